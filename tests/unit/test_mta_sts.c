/* SPDX-License-Identifier: BSD-2-Clause */
/* MTA-STS records and policies: tests/unit/data/mta_sts.table, and the bounds. */
#include "core/mta_sts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "table.h"

/* Bytes in memory of exactly their size, so that a sanitizer sees who reads over the end. */
struct bytes {
	char *at;
	size_t length;
};

static char unescape(const char **at)
{
	switch (*++*at) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'x':
		*at += 2;
		return '\xff';
	default:
		return '\0';
	}
}

static struct bytes bytes_of(const char *text)
{
	struct bytes bytes = { malloc(strlen(text) + 1), 0 };

	assert_non_null(bytes.at);
	for (; *text != '\0'; text++)
		bytes.at[bytes.length++] = *text == '\\' ? unescape(&text) : *text;
	bytes.at = realloc(bytes.at, bytes.length + (bytes.length == 0));
	assert_non_null(bytes.at);
	return bytes;
}

static void txt_is(const char *record, const char *expected)
{
	static const char *const names[] = { [MTA_STS_TXT_OTHER] = "other",
					     [MTA_STS_TXT_MALFORMED] = "malformed",
					     [MTA_STS_TXT_VALID] = "valid" };
	struct bytes bytes = bytes_of(record);
	const char *found = names[mta_sts_txt_read(bytes.at, bytes.length)];

	free(bytes.at);
	if (strcmp(found, expected) != 0)
		fail_msg("txt | %s: %s, not %s", record, found, expected);
}

static void policy_is(const char *file, const char *expected)
{
	struct bytes bytes = bytes_of(file);
	struct mta_sts_policy policy;
	const char *wrong = mta_sts_policy_read(bytes.at, bytes.length, &policy);
	char found[1024];
	int length;

	free(bytes.at);
	length = wrong != NULL
			 ? snprintf(found, sizeof(found), "%s", wrong)
			 : snprintf(found, sizeof(found), "%s %lld", mta_sts_mode_name(policy.mode),
				    (long long)policy.max_age);
	for (size_t i = 0; wrong == NULL && i < policy.pattern_count; i++)
		length += snprintf(found + length, sizeof(found) - (size_t)length, "%s%s",
				   i > 0 ? "," : " ", policy.patterns[i].name);
	mta_sts_policy_fini(&policy);
	if (strcmp(found, expected) != 0)
		fail_msg("policy | %s: \"%s\", not \"%s\"", file, found, expected);
}

static void match_is(const char *patterns, char *question)
{
	char file[1024] = "version: STSv1\nmode: enforce\nmax_age: 1\n";
	char names[512];
	char *rest = names;
	char *host = strsep(&question, " ");
	struct mta_sts_policy policy;
	const char *name, *found;

	snprintf(names, sizeof(names), "%s", patterns);
	while ((name = strsep(&rest, ",")) != NULL)
		snprintf(file + strlen(file), sizeof(file) - strlen(file), "mx: %s\n", name);
	assert_null(mta_sts_policy_read(file, strlen(file), &policy));
	found = mta_sts_policy_match(&policy, host);
	if (strcmp(found != NULL ? found : "none", question + strlen("-> ")) != 0)
		fail_msg("match | %s | %s: %s", patterns, host, found != NULL ? found : "none");
	mta_sts_policy_fini(&policy);
}

static void test_table(void **state)
{
	FILE *table = table_open("mta_sts.table");
	char line[1024];
	size_t rows = 0;

	(void)state;
	assert_non_null(table);
	while (fgets(line, sizeof(line), table) != NULL) {
		char *rest = line;
		const char *what, *given;

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		rows++;
		what = table_field(&rest);
		given = table_field(&rest);
		if (strcmp(what, "txt") == 0)
			txt_is(given, rest);
		else if (strcmp(what, "policy") == 0)
			policy_is(given, rest);
		else
			match_is(given, rest);
	}
	fclose(table);
	assert_true(rows > 60);
}

static void test_long_ones(void **state)
{
	static const char head[] = "version: STSv1\nmode: enforce\nmax_age: 1\n";
	static const char host[] = "mx: a\n";
	struct mta_sts_policy policy;
	size_t length = strlen(head);
	char *file = malloc(MTA_STS_POLICY_MAX + 1);

	(void)state;
	assert_non_null(file);
	memcpy(file, head, length);
	for (; length + strlen(host) <= MTA_STS_POLICY_MAX; length += strlen(host))
		memcpy(file + length, host, strlen(host));
	assert_null(mta_sts_policy_read(file, length, &policy));
	assert_int_equal(policy.pattern_count, (length - strlen(head)) / strlen(host));
	mta_sts_policy_fini(&policy);

	memset(file + length, '\n', MTA_STS_POLICY_MAX + 1 - length);
	assert_string_equal(mta_sts_policy_read(file, MTA_STS_POLICY_MAX + 1, &policy),
			    "it is longer than 64 KiB");
	mta_sts_policy_fini(&policy);

	/* a host name of the greatest length, and one over it */
	length = strlen(head);
	memcpy(file + length, "mx: *.", 6);
	memset(file + length + 6, 'a', MAIL_DOMAIN_MAX + 1);
	assert_null(mta_sts_policy_read(file, length + 6 + MAIL_DOMAIN_MAX, &policy));
	assert_int_equal(strlen(policy.patterns[0].name), MAIL_DOMAIN_MAX + 2);
	mta_sts_policy_fini(&policy);
	assert_non_null(mta_sts_policy_read(file, length + 6 + MAIL_DOMAIN_MAX + 1, &policy));
	mta_sts_policy_fini(&policy);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_long_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
