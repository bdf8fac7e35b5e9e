/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads lines of recipient lists and map sources. Pure; any thread. */
#include "core/recipient_list.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

/* an address, brackets, and quotes with each character escaped */
#define WORD_MAX (2 * MAIL_LOCAL_MAX + MAIL_DOMAIN_MAX + 8)

enum recipient_file_form recipient_file_form_of(const char *first_line)
{
	static const char xz[] = { '\xfd', '7', 'z', 'X', 'Z', '\0' };
	static const char *const packed[] = { "\x1f\x8b", "BZh", xz, "\x28\xb5\x2f\xfd" };

	for (size_t i = 0; i < sizeof(packed) / sizeof(packed[0]); i++)
		if (strncmp(first_line, packed[i], strlen(packed[i])) == 0)
			return RECIPIENT_FILE_PACKED;
	return strchr(first_line, '\x01') != NULL ? RECIPIENT_FILE_BINARY : RECIPIENT_FILE_TEXT;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static const char *skip_blanks(const char *c)
{
	while (is_blank(*c))
		c++;
	return c;
}

/* Blanks within a quoted local part don't end the word. NULL: a quote that never ends. */
static const char *word_end(const char *word)
{
	bool quoted = false;

	for (; *word != '\0' && (quoted || !is_blank(*word)); word++) {
		if (*word == '"')
			quoted = !quoted;
		else if (quoted && *word == '\\' && word[1] != '\0')
			word++;
	}
	return quoted ? NULL : word;
}

static void read_catch_all(const char *domain, struct recipient_entry *entry)
{
	struct mail_address address;
	char invented[WORD_MAX];
	TEXT_ON(text, invented);

	/* what is a domain behind somebody's name is one behind nobody's */
	text_add(&text, "x@");
	text_add(&text, domain);
	mail_address_parse(invented, &address);
	if (text.cut || address.kind != MAIL_ADDRESS_MAILBOX || address.domain_is_literal ||
	    strpbrk(domain, "@ ") != NULL)
		return;
	text_copy(entry->domain, sizeof(entry->domain), address.domain);
	entry->kind = RECIPIENT_ENTRY_CATCH_ALL;
}

static void read_local(const struct mail_address *address, struct recipient_entry *entry)
{
	size_t length;

	/* "*" is a map's word for everything else */
	if (strcmp(address->local, "*") == 0)
		return;
	text_copy(entry->local, sizeof(entry->local),
		  address->kind == MAIL_ADDRESS_POSTMASTER ? "postmaster" : address->local);
	/* "name:", as aliases(5) has it */
	length = strlen(entry->local);
	if (length > 1 && entry->local[length - 1] == ':')
		entry->local[length - 1] = '\0';
	entry->kind = RECIPIENT_ENTRY_LOCAL;
}

void recipient_word_read(const char *word, struct recipient_entry *entry)
{
	struct mail_address address;

	memset(entry, 0, sizeof(*entry));
	entry->kind = RECIPIENT_ENTRY_MALFORMED;
	if (word[0] == '@') {
		read_catch_all(word + 1, entry);
		return;
	}
	mail_address_parse(word, &address);
	if (address.kind == MAIL_ADDRESS_LOCAL_ONLY || address.kind == MAIL_ADDRESS_POSTMASTER)
		read_local(&address, entry);
	if (address.kind != MAIL_ADDRESS_MAILBOX)
		return;
	text_copy(entry->local, sizeof(entry->local), address.local);
	text_copy(entry->domain, sizeof(entry->domain), address.domain);
	entry->kind = RECIPIENT_ENTRY_ADDRESS;
}

void recipient_list_read(struct recipient_list_reader *reader, const char *line, bool cut,
			 struct recipient_entry *entry)
{
	const char *word = skip_blanks(line);
	const char *end = word_end(word);
	char copy[WORD_MAX];

	memset(entry, 0, sizeof(*entry));
	if (word[0] == '\0' || word[0] == '#')
		return;
	if (word > line && reader->has_value)
		return;
	entry->kind = RECIPIENT_ENTRY_MALFORMED;
	reader->has_value = end != NULL && *skip_blanks(end) != '\0';
	if (end == NULL || (size_t)(end - word) >= sizeof(copy) || (cut && *end == '\0')) {
		reader->has_value = true; /* whatever it was, it has no lines of its own below */
		return;
	}
	memcpy(copy, word, (size_t)(end - word));
	copy[end - word] = '\0';
	recipient_word_read(copy, entry);
}

bool recipient_word_names_domain(const char *word, const char *domain)
{
	size_t length = strlen(word);
	size_t tail = strlen(domain);

	if (length < tail || strcasecmp(word + length - tail, domain) != 0)
		return false;
	return length == tail || word[length - tail - 1] == '.';
}

/* The local part once more, behind a domain that is right for sure: askable says that it is a
 * dot-string in UTF-8, but also refuses quotes, '%' and '!', which are a mailbox's own matter
 * here. */
bool recipient_entry_is_strict(const struct recipient_entry *entry)
{
	struct mail_address address;
	char plain[MAIL_LOCAL_MAX + 16];
	TEXT_ON(text, plain);

	for (const char *c = entry->local; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
		text_add_char(&text, *c == '%' || *c == '!' ? '_' : *c);
	}
	if (entry->local[0] == '"')
		return text_is_ascii(entry->local);
	text_add(&text, "@x.test");
	mail_address_parse(plain, &address);
	return address.askable;
}
