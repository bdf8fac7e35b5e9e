/* SPDX-License-Identifier: BSD-2-Clause */
/* Recipients that are to make no bounce, and the DSN parameters that say so (RFC 3461). Pure. */
#include "core/no_bounce.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/text.h"

#define ORCPT_MAX 500 /* RFC 3461 4.2 */

static bool is_graphic(char c)
{
	return c > ' ' && c < 0x7f;
}

/* RFC 3461 4 */
static bool is_xtext_plain(char c)
{
	return is_graphic(c) && c != '+' && c != '=';
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

/* "type;xtext". Sendmail loses a recipient that is added with another ORCPT. */
static bool is_orcpt(const char *value)
{
	const char *text = strchr(value, ';');

	if (text == NULL || text == value || text[1] == '\0' || strlen(value) > ORCPT_MAX)
		return false;
	for (const char *c = value; c < text; c++)
		if (!is_xtext_plain(*c))
			return false;
	for (text++; *text != '\0'; text++) {
		if (*text == '+' && is_hex(text[1]) && is_hex(text[2]))
			text += 2;
		else if (!is_xtext_plain(*text))
			return false;
	}
	return true;
}

/* The value of the client's parameter; NULL where there is none. `name` ends with '='. */
static const char *find_parameter(const char *const *parameters, const char *name)
{
	for (; parameters != NULL && *parameters != NULL; parameters++)
		if (strncasecmp(*parameters, name, strlen(name)) == 0)
			return *parameters + strlen(name);
	return NULL;
}

static void add_xtext(struct text *text, const char *string)
{
	for (; *string != '\0'; string++) {
		if (is_xtext_plain(*string))
			text_add_char(text, *string);
		else
			text_add_format(text, "+%02X", (unsigned char)*string);
	}
}

/* An ORCPT of our own; none for addresses it can't hold: xtext is ASCII. */
static bool make_orcpt(const struct mail_address *address, char *buffer, size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	if (address->kind != MAIL_ADDRESS_MAILBOX || !address->is_ascii)
		return false;
	text_add(&text, "rfc822;");
	add_xtext(&text, address->local);
	text_add_char(&text, '@');
	add_xtext(&text, address->domain);
	return !text.cut;
}

static char *make_parameters(const struct no_bounce_rcpt *rcpt)
{
	const char *orcpt = find_parameter(rcpt->parameters, "ORCPT=");
	char own[ORCPT_MAX + 1];

	if (orcpt != NULL && is_orcpt(orcpt))
		return memory_format("NOTIFY=NEVER ORCPT=%s", orcpt);
	if (make_orcpt(rcpt->address, own, sizeof(own)))
		return memory_format("NOTIFY=NEVER ORCPT=%s", own);
	return memory_string("NOTIFY=NEVER");
}

static char *make_mailbox(const struct no_bounce_rcpt *rcpt)
{
	const struct mail_address *address = rcpt->address;
	char *mailbox = address->kind == MAIL_ADDRESS_MAILBOX
				? memory_format("%s@%s", address->local, address->domain)
				: memory_string(rcpt->typed);

	if (rcpt->fold)
		text_lower(mailbox);
	return mailbox;
}

/* A source route ("<@relay:user@host>") is nothing to an MTA (RFC 5321 appendix C): Postfix finds
 * such a recipient only without it. */
static char *without_source_route(const char *typed)
{
	const char *path = typed + strspn(typed, " \t<");
	const char *colon = path;
	bool in_literal = false;

	if (*path != '@')
		return memory_string(typed);
	for (; *colon != '\0' && (in_literal || *colon != ':'); colon++) {
		if (*colon == '[')
			in_literal = true;
		else if (*colon == ']')
			in_literal = false;
	}
	if (*colon == '\0')
		return memory_string(typed);
	return memory_format("%s%s", strchr(typed, '<') != NULL ? "<" : "", colon + 1);
}

void no_bounce_add(struct no_bounce *list, const struct no_bounce_rcpt *rcpt)
{
	bool change = rcpt->wanted && find_parameter(rcpt->parameters, "NOTIFY=") == NULL;

	list->recipients =
		memory_resize(list->recipients, list->count + 1, sizeof(*list->recipients));
	list->recipients[list->count++] = (struct no_bounce_recipient){
		.typed = without_source_route(rcpt->typed),
		.parameters = change ? make_parameters(rcpt) : NULL,
		.mailbox = make_mailbox(rcpt),
	};
}

static void recipient_clear(struct no_bounce_recipient *recipient)
{
	free(recipient->typed);
	free(recipient->parameters);
	free(recipient->mailbox);
}

enum fate { NOTHING, DELETED, REPLACED };

static enum fate fate_of(const struct no_bounce *list, size_t which)
{
	const struct no_bounce_recipient *one = &list->recipients[which];
	bool first_of_mailbox = true, first_so_typed = true;

	for (size_t i = 0; i < list->count; i++) {
		const struct no_bounce_recipient *other = &list->recipients[i];

		if (strcmp(other->mailbox, one->mailbox) != 0)
			continue;
		if (other->parameters == NULL)
			return NOTHING;
		first_of_mailbox = first_of_mailbox && i >= which;
		first_so_typed =
			first_so_typed && (i >= which || strcmp(other->typed, one->typed) != 0);
	}
	if (!first_so_typed)
		return NOTHING;
	return first_of_mailbox ? REPLACED : DELETED;
}

void no_bounce_settle(struct no_bounce *list)
{
	enum fate *fates = memory_array(list->count + 1, sizeof(*fates));
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++)
		fates[i] = fate_of(list, i);
	for (size_t i = 0; i < list->count; i++) {
		struct no_bounce_recipient *recipient = &list->recipients[i];

		if (fates[i] == NOTHING) {
			recipient_clear(recipient);
			continue;
		}
		if (fates[i] == DELETED) {
			free(recipient->parameters);
			recipient->parameters = NULL;
		}
		list->recipients[kept++] = *recipient;
	}
	list->count = kept;
	free(fates);
}

void no_bounce_clear(struct no_bounce *list)
{
	for (size_t i = 0; i < list->count; i++)
		recipient_clear(&list->recipients[i]);
	free(list->recipients);
	*list = (struct no_bounce){ .count = 0 };
}
