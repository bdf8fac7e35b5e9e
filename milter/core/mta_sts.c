/* SPDX-License-Identifier: BSD-2-Clause */
/* MTA-STS records and policies (RFC 8461 3.1, 3.2, 4.1). By the book, but for empty lines in a
 * policy, which every sender steps over. */
#include "core/mta_sts.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "core/mxset.h"

#define ID_MAX	    32
#define AGE_DIGITS  10
#define VERSION	    "STSv1"
#define TXT_VERSION "v=" VERSION

/* Bytes that belong to somebody else. */
struct span {
	const char *at;
	size_t length;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
}

static bool span_is(struct span span, const char *word)
{
	return span.length == strlen(word) && memcmp(span.at, word, span.length) == 0;
}

static struct span span_trim(struct span span)
{
	while (span.length > 0 && is_blank(span.at[0])) {
		span.at++;
		span.length--;
	}
	while (span.length > 0 && is_blank(span.at[span.length - 1]))
		span.length--;
	return span;
}

/* What is before the next `end`, which is stepped over. */
static struct span span_take(struct span *rest, char end)
{
	const char *found = memchr(rest->at, end, rest->length);
	struct span taken = { rest->at, found != NULL ? (size_t)(found - rest->at) : rest->length };
	size_t used = taken.length + (found != NULL ? 1 : 0);

	rest->at += used;
	rest->length -= used;
	return taken;
}

/* ---- the record ---- */

static bool id_is_valid(struct span value)
{
	for (size_t i = 0; i < value.length; i++)
		if (!is_alphanumeric(value.at[i]))
			return false;
	return value.length >= 1 && value.length <= ID_MAX;
}

static bool extension_is_valid(struct span name, struct span value)
{
	for (size_t i = 0; i < value.length; i++)
		if (value.at[i] <= ' ' || value.at[i] > '~' || value.at[i] == '=')
			return false;
	return name.length > 0 && value.length > 0;
}

enum mta_sts_txt mta_sts_txt_read(const char *bytes, size_t length)
{
	struct span rest = { bytes, length };
	struct span version = span_trim(span_take(&rest, ';'));
	bool has_id = false;

	if (length == 0 || is_blank(bytes[0]) || !span_is(version, TXT_VERSION))
		return MTA_STS_TXT_OTHER;
	rest = span_trim(rest);
	if (rest.length > 0 && rest.at[rest.length - 1] == ';')
		rest.length--; /* one delimiter may end the record */
	for (bool more = rest.length > 0; more;) {
		struct span value, name;

		more = memchr(rest.at, ';', rest.length) != NULL;
		value = span_trim(span_take(&rest, ';'));
		name = span_take(&value, '=');
		if (span_is(name, "id") ? !id_is_valid(value) : !extension_is_valid(name, value))
			return MTA_STS_TXT_MALFORMED;
		has_id = has_id || span_is(name, "id");
	}
	return has_id ? MTA_STS_TXT_VALID : MTA_STS_TXT_MALFORMED;
}

/* ---- the policy ---- */

/* Which of the fields that count once have been there: of another of the same name senders take the
 * first. */
struct reader {
	struct mta_sts_policy *policy;
	bool version, mode, max_age;
};

static const char *mode_read(struct span value, enum mta_sts_mode *mode)
{
	for (int i = MTA_STS_NONE; i <= MTA_STS_ENFORCE; i++) {
		if (span_is(value, mta_sts_mode_name((enum mta_sts_mode)i))) {
			*mode = (enum mta_sts_mode)i;
			return NULL;
		}
	}
	return "its mode is not one of enforce, testing and none";
}

static const char *max_age_read(struct span value, int64_t *max_age)
{
	static const char wrong[] = "its max_age is no number from 0 to 31557600";

	if (value.length == 0 || value.length > AGE_DIGITS)
		return wrong;
	*max_age = 0;
	for (size_t i = 0; i < value.length; i++) {
		if (!is_digit(value.at[i]))
			return wrong;
		*max_age = *max_age * 10 + (value.at[i] - '0');
	}
	return *max_age <= MTA_STS_MAX_AGE_MAX ? NULL : wrong;
}

static bool host_is_valid(struct span host)
{
	if (host.length > MAIL_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < host.length; i++) {
		bool is_label_start = i == 0 || host.at[i - 1] == '.';

		if (host.at[i] == '.' ? is_label_start
				      : !is_alphanumeric(host.at[i]) && host.at[i] != '-')
			return false;
	}
	return host.length > 0 && host.at[host.length - 1] != '.';
}

static const char *pattern_read(struct span value, struct mta_sts_policy *policy)
{
	struct mta_sts_pattern *pattern;
	bool is_wildcard = value.length > 2 && memcmp(value.at, "*.", 2) == 0;
	struct span host = { value.at + (is_wildcard ? 2 : 0),
			     value.length - (is_wildcard ? 2 : 0) };

	if (!host_is_valid(host))
		return "an mx line of it holds neither a host name nor *.DOMAIN";
	policy->patterns = memory_resize(policy->patterns, policy->pattern_count + 1,
					 sizeof(*policy->patterns));
	pattern = &policy->patterns[policy->pattern_count++];
	memcpy(pattern->name, value.at, value.length);
	pattern->name[value.length] = '\0';
	text_lower(pattern->name);
	return NULL;
}

/* True the first time. */
static bool is_first(bool *seen)
{
	bool first = !*seen;

	*seen = true;
	return first;
}

static const char *line_read(struct span line, struct reader *reader)
{
	struct span value = line;
	struct span name = span_take(&value, ':');

	if (name.length == line.length)
		return "a line of it is not NAME: VALUE";
	value = span_trim(value);
	if (span_is(name, "version") && is_first(&reader->version))
		return span_is(value, VERSION) ? NULL : "its version is not STSv1";
	if (span_is(name, "mode") && is_first(&reader->mode))
		return mode_read(value, &reader->policy->mode);
	if (span_is(name, "max_age") && is_first(&reader->max_age))
		return max_age_read(value, &reader->policy->max_age);
	if (span_is(name, "mx"))
		return pattern_read(value, reader->policy);
	return NULL;
}

static const char *missing(const struct reader *reader)
{
	if (!reader->version)
		return "it has no version: STSv1";
	if (!reader->mode)
		return "it has no mode";
	if (!reader->max_age)
		return "it has no max_age";
	if (reader->policy->mode != MTA_STS_NONE && reader->policy->pattern_count == 0)
		return "it has no mx line";
	return NULL;
}

const char *mta_sts_policy_read(const char *bytes, size_t length, struct mta_sts_policy *policy)
{
	struct reader reader = { .policy = policy };
	struct span rest = { bytes, length };
	const char *wrong = NULL;

	*policy = (struct mta_sts_policy){ .patterns = NULL };
	if (length > MTA_STS_POLICY_MAX)
		return "it is longer than 64 KiB";
	while (rest.length > 0 && wrong == NULL) {
		struct span line = span_take(&rest, '\n');

		if (line.length > 0 && line.at[line.length - 1] == '\r')
			line.length--;
		line = span_trim(line);
		if (line.length > 0)
			wrong = line_read(line, &reader);
	}
	return wrong != NULL ? wrong : missing(&reader);
}

void mta_sts_policy_fini(struct mta_sts_policy *policy)
{
	free(policy->patterns);
	*policy = (struct mta_sts_policy){ .patterns = NULL };
}

const char *mta_sts_policy_match(const struct mta_sts_policy *policy, const char *host)
{
	char name[MAIL_DOMAIN_MAX + 1];
	const char *parent;

	if (!mxset_name_copy(name, sizeof(name), host))
		return NULL;
	parent = strchr(name, '.');
	for (size_t i = 0; i < policy->pattern_count; i++) {
		const char *pattern = policy->patterns[i].name;

		if (strcmp(pattern, name) == 0)
			return pattern;
		if (pattern[0] == '*' && parent != NULL && parent > name &&
		    strcmp(pattern + 1, parent) == 0)
			return pattern;
	}
	return NULL;
}

const char *mta_sts_mode_name(enum mta_sts_mode mode)
{
	static const char *const names[] = {
		[MTA_STS_NONE] = "none",
		[MTA_STS_TESTING] = "testing",
		[MTA_STS_ENFORCE] = "enforce",
	};

	return names[mode];
}
