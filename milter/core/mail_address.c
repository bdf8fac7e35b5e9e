/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads envelope addresses. What an MTA lets through is wider than RFC 5321, so this takes whatever
 * has one clear local part and one clear domain, and marks what is strict enough to be asked for.
 * Pure; any thread.
 */
#include "core/mail_address.h"
#include "base/text.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */

/* A piece of the caller's string. */
struct piece {
	const char *start;
	size_t length;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_control(char c)
{
	unsigned char byte = (unsigned char)c;

	return byte < 0x20 || byte == 0x7f;
}

static bool is_8bit(char c)
{
	return (unsigned char)c >= 0x80;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 5321 4.1.2 with RFC 6531 3.3 */
static bool is_atext(char c)
{
	return is_alnum(c) || is_8bit(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static struct piece without_blanks(struct piece piece)
{
	while (piece.length > 0 && is_blank(piece.start[0])) {
		piece.start++;
		piece.length--;
	}
	while (piece.length > 0 && is_blank(piece.start[piece.length - 1]))
		piece.length--;
	return piece;
}

/* ---- UTF-8 ---- */

struct utf8_form {
	unsigned char mask, lead;
	unsigned length;
	uint32_t least; /* below it the form is longer than it had to be */
};

static const struct utf8_form *utf8_form(unsigned char byte)
{
	static const struct utf8_form forms[] = {
		{ 0x80, 0x00, 1, 0 },
		{ 0xe0, 0xc0, 2, 0x80 },
		{ 0xf0, 0xe0, 3, 0x800 },
		{ 0xf8, 0xf0, 4, 0x10000 },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if ((byte & forms[i].mask) == forms[i].lead)
			return &forms[i];
	return NULL;
}

static bool is_character(uint32_t point, const struct utf8_form *form)
{
	bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
	bool is_c1_control = point >= 0x80 && point < 0xa0;

	return point >= form->least && point <= 0x10ffff && !is_surrogate && !is_c1_control;
}

/* UTF-8 by RFC 3629, without the C1 control characters: nobody's name holds those. */
static bool is_utf8(const char *string)
{
	while (*string != '\0') {
		const struct utf8_form *form = utf8_form((unsigned char)*string);
		uint32_t point;

		if (form == NULL)
			return false;
		point = (unsigned char)*string++ & (unsigned char)~form->mask;
		for (unsigned i = 1; i < form->length; i++, string++) {
			if (((unsigned char)*string & 0xc0) != 0x80)
				return false;
			point = point << 6 | ((unsigned char)*string & 0x3f);
		}
		if (!is_character(point, form))
			return false;
	}
	return true;
}

/* ---- local part ---- */

static bool is_dot_string(const char *local)
{
	char before = '.';

	for (; *local != '\0'; before = *local++)
		if (*local == '.' ? before == '.' : !is_atext(*local))
			return false;
	return before != '.';
}

static void add_quoted(struct text *text, const char *content)
{
	text_add_char(text, '"');
	for (; *content != '\0'; content++) {
		if (*content == '"' || *content == '\\')
			text_add_char(text, '\\');
		text_add_char(text, *content);
	}
	text_add_char(text, '"');
}

/* The content of a quoted-string that has to end where `typed` ends. */
static bool unquote(struct piece typed, char *content, size_t size)
{
	size_t i;
	struct text text;

	text_init(&text, content, size);
	for (i = 1; i < typed.length && typed.start[i] != '"'; i++) {
		if (typed.start[i] == '\\' && ++i == typed.length)
			return false;
		text_add_char(&text, typed.start[i]);
	}
	return i + 1 == typed.length && !text.cut;
}

/* "j.doe" and j.doe are one mailbox (RFC 5321 4.1.2), so there is one way to write it here. */
static bool read_quoted(struct piece typed, struct text *local)
{
	char content[MAIL_LOCAL_MAX + 1];

	if (!unquote(typed, content, sizeof(content)))
		return false;
	if (is_dot_string(content))
		text_add(local, content);
	else
		add_quoted(local, content);
	return !local->cut;
}

static bool read_local(struct piece typed, char *out, size_t size)
{
	struct text local;

	text_init(&local, out, size);
	if (typed.length == 0)
		return false;
	if (typed.start[0] == '"')
		return read_quoted(typed, &local);
	for (size_t i = 0; i < typed.length; i++) {
		/* With these it isn't clear what the address is, or where it ends. */
		if (strchr("<>\"\\", typed.start[i]) != NULL)
			return false;
		text_add_char(&local, typed.start[i]);
	}
	return !local.cut;
}

/* ---- domain ---- */

static bool read_literal(struct piece typed, struct mail_address *out)
{
	out->domain_is_literal = true;
	if (typed.length < 3 || typed.start[typed.length - 1] != ']')
		return false;
	for (size_t i = 1; i + 1 < typed.length; i++)
		if (is_8bit(typed.start[i]) || strchr(" []\\<>\"", typed.start[i]) != NULL)
			return false;
	return true;
}

/* Wider than LDH by '_', which some zones have, and by UTF-8. */
static bool is_domain_name(const char *domain)
{
	size_t label = 0;

	for (const char *c = domain; *c != '\0'; c++) {
		if (*c == '.' ? label == 0
			      : !(is_alnum(*c) || is_8bit(*c) || *c == '-' || *c == '_'))
			return false;
		label = *c == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return false;
	}
	return label > 0 && is_utf8(domain);
}

static bool read_domain(struct piece typed, struct mail_address *out)
{
	bool is_literal = typed.length > 0 && typed.start[0] == '[';

	if (is_literal && !read_literal(typed, out))
		return false;
	if (!is_literal && typed.length > 0 && typed.start[typed.length - 1] == '.')
		typed.length--;
	if (typed.length > MAIL_DOMAIN_MAX)
		return false;
	memcpy(out->domain, typed.start, typed.length);
	out->domain[typed.length] = '\0';
	text_lower(out->domain);
	return is_literal || is_domain_name(out->domain);
}

/* Labels of letters, digits, inner hyphens and UTF-8; two at least. */
static bool is_askable_domain(const char *domain)
{
	char before = '.';

	for (const char *c = domain; *c != '\0'; before = *c++) {
		if (*c == '_' || (*c == '-' && before == '.') || (*c == '.' && before == '-'))
			return false;
	}
	return before != '-' && strchr(domain, '.') != NULL;
}

/* ---- path ---- */

/* Takes the brackets off, if there are any. */
static bool read_brackets(struct piece *path)
{
	*path = without_blanks(*path);
	if (path->length == 0)
		return false;
	if (path->start[0] != '<')
		return true;
	if (path->length < 2 || path->start[path->length - 1] != '>')
		return false;
	path->start++;
	path->length -= 2;
	*path = without_blanks(*path);
	return true;
}

/* Drops "@one,@two:". The colons of an address literal are not the end of it. */
static bool skip_source_route(struct piece *path)
{
	bool in_literal = false;
	size_t i;

	if (path->length == 0 || path->start[0] != '@')
		return true;
	for (i = 1; i < path->length && (in_literal || path->start[i] != ':'); i++) {
		if (strchr("<>\"\\", path->start[i]) != NULL)
			return false;
		if (path->start[i] == '[')
			in_literal = true;
		else if (path->start[i] == ']')
			in_literal = false;
	}
	if (i == path->length || i == 1)
		return false;
	path->start += i + 1;
	path->length -= i + 1;
	*path = without_blanks(*path);
	return path->length > 0 && path->start[0] != '@';
}

/* The '@' that counts is the last one; one within a quoted local part has the quote's end behind
 * it, so that the domain would not be one. Returns the path's length where there is none. */
static size_t find_at(struct piece path)
{
	size_t i = path.length;

	if (path.length > 0 && path.start[path.length - 1] == '"')
		return path.length;
	while (i > 0 && path.start[i - 1] != '@')
		i--;
	return i > 0 ? i - 1 : path.length;
}

static bool read_mailbox(struct piece path, struct mail_address *out)
{
	size_t at = find_at(path);
	struct piece local = { path.start, at };

	if (!read_local(local, out->local, sizeof(out->local)))
		return false;
	if (at < path.length) {
		struct piece domain = { path.start + at + 1, path.length - at - 1 };

		out->kind = MAIL_ADDRESS_MAILBOX;
		return read_domain(domain, out);
	}
	out->kind = strcasecmp(out->local, "postmaster") == 0 ? MAIL_ADDRESS_POSTMASTER
							      : MAIL_ADDRESS_LOCAL_ONLY;
	return true;
}

static bool read_path(struct piece path, struct mail_address *out)
{
	if (!read_brackets(&path))
		return false;
	for (size_t i = 0; i < path.length; i++)
		if (is_control(path.start[i]))
			return false;
	if (path.length == 0) {
		out->kind = MAIL_ADDRESS_NULL;
		return true;
	}
	return skip_source_route(&path) && read_mailbox(path, out);
}

static bool is_askable(const struct mail_address *address)
{
	return address->kind == MAIL_ADDRESS_MAILBOX && !address->domain_is_literal &&
	       is_dot_string(address->local) && strpbrk(address->local, "%!") == NULL &&
	       is_utf8(address->local) && is_askable_domain(address->domain);
}

void mail_address_parse(const char *typed, struct mail_address *out)
{
	struct piece path = { typed, strlen(typed) };

	memset(out, 0, sizeof(*out));
	if (!read_path(path, out)) {
		memset(out, 0, sizeof(*out));
		out->kind = MAIL_ADDRESS_MALFORMED;
		return;
	}
	out->is_ascii = text_is_ascii(out->local) && text_is_ascii(out->domain);
	out->askable = is_askable(out);
}

bool mail_local_is_role(const char *local)
{
	return strcasecmp(local, "postmaster") == 0 || strcasecmp(local, "abuse") == 0;
}

/* ---- detail ---- */

/* Names whose '-' was there before anybody thought of details. */
static bool is_list_name(const char *local)
{
	static const char owner[] = "owner-";
	static const char request[] = "-request";
	size_t length = strlen(local);

	if (strcasecmp(local, "mailer-daemon") == 0 ||
	    strncasecmp(local, owner, sizeof(owner) - 1) == 0)
		return true;
	return length >= sizeof(request) - 1 &&
	       strcasecmp(local + length - (sizeof(request) - 1), request) == 0;
}

bool mail_local_without_detail(const char *local, const char *delimiters, char *out, size_t size)
{
	size_t length = strcspn(local, delimiters);

	/* The inside of a quoted local part is nobody's detail. */
	if (local[0] == '"' || length == 0 || local[length] == '\0' || length >= size)
		return false;
	if (strchr(delimiters, '-') != NULL && is_list_name(local))
		return false;
	memcpy(out, local, length);
	out[length] = '\0';
	return true;
}

/* ---- senders ---- */

/* Behind the next '='; NULL when there is none or nothing follows it. */
static const char *behind_field(const char *c)
{
	const char *end = c != NULL ? strchr(c, '=') : NULL;

	return end != NULL && end[1] != '\0' ? end + 1 : NULL;
}

/* Behind `name` and one of `separators`; NULL when `local` doesn't begin so. */
static const char *behind_name(const char *local, const char *name, const char *separators)
{
	size_t length = strlen(name);

	if (strncasecmp(local, name, length) != 0 || local[length] == '\0')
		return NULL;
	return strchr(separators, local[length]) != NULL ? local + length + 1 : NULL;
}

/* A key's digit, three digits of the day, six hex digits of the hash */
static bool is_batv_tag(struct piece piece)
{
	for (size_t i = 0; i < piece.length; i++) {
		bool digit = piece.start[i] >= '0' && piece.start[i] <= '9';
		char letter = piece.start[i] | 0x20;

		if (!digit && (i < 4 || letter < 'a' || letter > 'f'))
			return false;
	}
	return piece.length == 10;
}

/* BATV, as the draft has it: prvs=TAG=local; with the fields swapped, as some do: prvs=local=TAG;
 * Momentum's msprvs1=TAG=local; Barracuda's btv1==TAG==local. */
static struct piece without_batv(struct piece local)
{
	const char *fields = behind_name(local.start, "prvs", "=");
	const char *end = local.start + local.length;
	const char *bare;

	if (fields == NULL)
		fields = behind_name(local.start, "msprvs1", "=");
	if (fields == NULL)
		fields = behind_name(local.start, "btv1=", "=");
	bare = behind_field(fields);
	if (bare == NULL || bare >= end)
		return local;
	if (*bare == '=' && bare + 1 < end) /* btv1 */
		bare++;
	else if (is_batv_tag((struct piece){ bare, (size_t)(end - bare) }) &&
		 !is_batv_tag((struct piece){ fields, (size_t)(bare - 1 - fields) }))
		return (struct piece){ fields, (size_t)(bare - 1 - fields) };
	return (struct piece){ bare, (size_t)(end - bare) };
}

/* SRS0=HASH=TIME=domain=local: what is behind the time, NULL when it isn't that. The separator
 * before the hash may be '=', '+' or '-'. */
static const char *behind_srs0(const char *local)
{
	return behind_field(behind_field(behind_name(local, "SRS0", "=+-")));
}

/* SRS1=HASH=host==HASH=TIME=domain=local, where the second of the double '=' is the separator of
 * the SRS0 address within: what is behind the time, and the host in *host. */
static const char *behind_srs1(const char *local, struct piece *host)
{
	const char *start = behind_field(behind_name(local, "SRS1", "=+-"));
	const char *inner = behind_field(start);

	if (inner == NULL || strchr("=+-", *inner) == NULL)
		return NULL;
	*host = (struct piece){ start, (size_t)(inner - start) };
	return behind_field(behind_field(inner + 1));
}

static void add_piece(struct text *text, struct piece piece)
{
	for (size_t i = 0; i < piece.length; i++)
		text_add_char(text, piece.start[i]);
}

static void add_without_srs(struct text *text, struct piece local)
{
	struct piece host = { local.start, 0 };
	const char *bare = behind_srs0(local.start);

	if (bare == NULL)
		bare = behind_srs1(local.start, &host);
	if (bare == NULL || bare >= local.start + local.length) {
		add_piece(text, local);
		return;
	}
	add_piece(text, host);
	add_piece(text, (struct piece){ bare, (size_t)(local.start + local.length - bare) });
}

/* What is within the brackets of a path that can't be read. */
static struct piece inner_path(const char *typed)
{
	struct piece path = { typed + strspn(typed, " \t<"), 0 };

	path.length = strlen(path.start);
	while (path.length > 0 && strchr(" \t>", path.start[path.length - 1]) != NULL)
		path.length--;
	return path;
}

void mail_sender_normalise(const char *typed, char *out, size_t size)
{
	struct mail_address sender;
	struct piece local, domain;
	struct text text;

	mail_address_parse(typed, &sender);
	local = (struct piece){ sender.local, strlen(sender.local) };
	domain = (struct piece){ sender.domain, strlen(sender.domain) };
	if (sender.kind == MAIL_ADDRESS_MALFORMED) {
		struct piece path = inner_path(typed);
		size_t at = find_at(path);

		local = (struct piece){ path.start, at };
		if (at < path.length)
			domain = (struct piece){ path.start + at + 1, path.length - at - 1 };
	}
	text_init(&text, out, size);
	add_without_srs(&text, without_batv(local));
	if (domain.length > 0) {
		text_add_char(&text, '@');
		add_piece(&text, domain);
	}
	text_lower(out);
}
