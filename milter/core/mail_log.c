/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Delivery lines of Postfix, Sendmail and Exim.
 *
 *   Nov 23 10:00:00 mx postfix/lmtp[123]: 4F1A2: to=<a@x>, orig_to=<b@x>, relay=..., status=sent
 * (...) Nov 23 10:00:00 mx sendmail[123]: u1N2: to=<a@x>,<b@x>, delay=..., relay=..., stat=Sent
 *   2026-11-23 10:00:00 1abCDe-000123-AB => a <a@x> R=local T=mbox
 *
 * In front of the first two stands whatever the system's logger wrote: it ends with the first
 * "[PID]: ".
 */
#include "core/mail_log.h"

#include <string.h>

#define QUEUE_ID_MAX 40
#define EXIM_STAMP   "dddd-dd-dd dd:dd:dd"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_id_char(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Behind `word`; NULL when the text doesn't begin with it. */
static const char *behind(const char *text, const char *word)
{
	size_t length = strlen(word);

	return strncmp(text, word, length) == 0 ? text + length : NULL;
}

static void add(struct mail_log_line *out, const char *start, size_t length)
{
	if (length > 0 && out->count < MAIL_LOG_RECIPIENTS_MAX)
		out->recipients[out->count++] = (struct mail_log_recipient){ start, length };
}

/* Behind the first "[PID]: ", NULL when there is none. */
static const char *behind_tag(const char *line)
{
	for (const char *c = strchr(line, '['); c != NULL; c = strchr(c + 1, '[')) {
		size_t digits = 1;

		while (is_digit(c[digits]))
			digits++;
		if (digits > 1 && strncmp(c + digits, "]: ", 3) == 0)
			return c + digits + 3;
	}
	return NULL;
}

/* Behind "QUEUEID: ". */
static const char *behind_queue_id(const char *text)
{
	size_t length = 0;

	if (text == NULL)
		return NULL;
	while (is_id_char(text[length]) && length < QUEUE_ID_MAX)
		length++;
	return length > 0 ? behind(text + length, ": ") : NULL;
}

static size_t occurrences(const char *text, const char *word)
{
	size_t count = 0;

	for (const char *c = strstr(text, word); c != NULL; c = strstr(c + 1, word))
		count++;
	return count;
}

/* "<address>" at `text`: a quoted local part may hold anything. Behind it, NULL when it isn't
 * one. */
static const char *read_bracketed(const char *text, struct mail_log_recipient *address)
{
	const char *c = text + 1;
	bool quoted = false;

	if (text[0] != '<')
		return NULL;
	for (; *c != '\0' && (quoted || *c != '>'); c++) {
		if (*c == '"')
			quoted = !quoted;
		else if (quoted && *c == '\\' && c[1] != '\0')
			c++;
	}
	if (*c != '>')
		return NULL;
	*address = (struct mail_log_recipient){ text + 1, (size_t)(c - text) - 1 };
	return c + 1;
}

/* ---- Postfix ---- */

/* "sent" through the smtp client to ourselves or a filter beside us: whoever takes it there takes
 * anything. The delivery proper has a line of its own. */
static bool is_hand_over(const char *relay)
{
	return behind(relay, "127.") != NULL || behind(relay, "localhost[") != NULL ||
	       behind(relay, "[127.") != NULL || behind(relay, "[::1]") != NULL ||
	       behind(relay, "::1[") != NULL;
}

static bool is_by_lmtp(const char *line, const char *body)
{
	const char *lmtp = strstr(line, "lmtp[");

	return lmtp != NULL && lmtp < body;
}

static bool is_filter(const char *line, const char *body, const char *relay)
{
	if (!is_hand_over(relay))
		return false;
	return !is_by_lmtp(line, body) || strstr(relay, " from MTA(") != NULL;
}

/* An address can be written so that, put between brackets, it reads like the rest of such a line.
 * Then what comes twice comes twice, and the line tells nothing. */
static bool is_ambiguous(const char *body)
{
	return occurrences(body, ", relay=") != 1 || occurrences(body, ", status=") != 1;
}

static void read_postfix(const char *line, const char *body, struct mail_log_line *out)
{
	struct mail_log_recipient to, orig_to = { .length = 0 };
	const char *rest = behind(body, "to=");
	const char *status = strstr(body, ", status=");
	const char *next;

	rest = rest != NULL ? read_bracketed(rest, &to) : NULL;
	if (rest == NULL || status == NULL || is_ambiguous(body))
		return;
	next = behind(rest, ", orig_to=");
	if (next != NULL && (rest = read_bracketed(next, &orig_to)) == NULL)
		return;
	rest = behind(rest, ", relay=");
	if (rest == NULL || status < rest || is_filter(line, body, rest))
		return;
	if (behind(status, ", status=sent") == NULL &&
	    behind(status, ", status=deliverable") == NULL)
		return;
	add(out, to.start, to.length);
	add(out, orig_to.start, orig_to.length);
}

/* ---- Sendmail ---- */

/* "<a@x>,<b@x>" or "a@x,b@x": up to ", delay=" or another ", word=". */
static const char *read_sendmail_address(const char *text, struct mail_log_recipient *address)
{
	size_t length;

	if (text[0] == '<')
		return read_bracketed(text, address);
	length = strcspn(text, ", \t<>\"|/");
	*address = (struct mail_log_recipient){ text, length };
	return length > 0 ? text + length : NULL;
}

static void read_sendmail(const char *body, struct mail_log_line *out)
{
	const char *rest = behind(body, "to=");
	const char *stat = strstr(body, ", stat=");
	struct mail_log_recipient address;

	if (rest == NULL || stat == NULL || occurrences(body, ", stat=") != 1 ||
	    occurrences(body, ", delay=") != 1 || behind(stat, ", stat=Sent") == NULL)
		return;
	while ((rest = read_sendmail_address(rest, &address)) != NULL) {
		add(out, address.start, address.length);
		if (rest[0] != ',' || rest[1] == ' ')
			break;
		rest++;
	}
	if (rest == NULL || rest[0] != ',' || strstr(body, ", delay=") < rest)
		out->count = 0;
}

/* ---- Exim ---- */

/* Behind "2026-11-23 10:00:00", with fractions, zone and PID if they are there; NULL else. */
static const char *behind_exim_stamp(const char *text)
{
	static const char stamp[] = EXIM_STAMP;

	for (const char *c = stamp; *c != '\0'; c++, text++)
		if (*c == 'd' ? !is_digit(*text) : *text != *c)
			return NULL;
	if (*text == '.')
		for (text++; is_digit(*text);)
			text++;
	if (text[0] == ' ' && (text[1] == '+' || text[1] == '-') && is_digit(text[2]))
		for (text += 2; is_digit(*text);)
			text++;
	if (text[0] == ' ' && text[1] == '[' && is_digit(text[2])) {
		for (text += 2; is_digit(*text);)
			text++;
		if (*text++ != ']')
			return NULL;
	}
	return *text == ' ' ? text + 1 : NULL;
}

/* Behind "1abCDe-000123-AB " (since 4.97 longer); NULL else. */
static const char *behind_exim_id(const char *text)
{
	static const size_t lengths[2][3] = { { 6, 6, 2 }, { 6, 11, 4 } };

	for (size_t form = 0; form < 2; form++) {
		const char *c = text;
		size_t part = 0;

		for (; part < 3; part++) {
			size_t length = 0;

			while (length < lengths[form][part] && is_id_char(c[length]))
				length++;
			if (length < lengths[form][part] || c[length] != (part < 2 ? '-' : ' '))
				break;
			c += length + 1;
		}
		if (part == 3)
			return c;
	}
	return NULL;
}

/* The file's own form, or what syslog made of it. */
static const char *exim_body(const char *line)
{
	const char *body = behind_exim_stamp(line);

	if (body != NULL)
		return body;
	body = behind_tag(line);
	if (body != NULL && behind_exim_stamp(body) != NULL)
		return behind_exim_stamp(body);
	return body;
}

/* The end of an address outside of brackets, quotes respected. */
static const char *exim_word_end(const char *text)
{
	bool quoted = false;

	for (; *text != '\0' && (quoted || *text != ' '); text++) {
		if (*text == '"')
			quoted = !quoted;
		else if (quoted && *text == '\\' && text[1] != '\0')
			text++;
	}
	return quoted ? NULL : text;
}

/* "final", "final <original>", "final (parent) <original>"; final is a pipe, a file, ":blackhole:"
 * or a bare name where the delivery was local. */
static void read_exim(const char *body, struct mail_log_line *out)
{
	const char *rest = behind_exim_id(body);
	struct mail_log_recipient original;
	const char *end;

	if (rest == NULL || rest[0] == '\0' || strchr("=->", rest[0]) == NULL || rest[1] != '>' ||
	    rest[2] != ' ')
		return;
	rest += 3;
	end = exim_word_end(rest);
	if (end == NULL)
		return;
	if (strchr("|/:<", rest[0]) == NULL && memchr(rest, '@', (size_t)(end - rest)) != NULL)
		add(out, rest, (size_t)(end - rest));
	if (end[0] == ' ' && end[1] == '(' && strchr(end, ')') != NULL)
		end = strchr(end, ')') + 1;
	if (end[0] == ' ' && read_bracketed(end + 1, &original) != NULL &&
	    memchr(original.start, '@', original.length) != NULL)
		add(out, original.start, original.length);
}

/* ---- which ---- */

enum mail_log_format mail_log_format_of(const char *line)
{
	const char *body = behind_queue_id(behind_tag(line));

	if (behind_exim_stamp(line) != NULL ||
	    (behind_tag(line) != NULL && behind_exim_id(exim_body(line)) != NULL))
		return MAIL_LOG_EXIM;
	if (body != NULL && behind(body, "to=") != NULL && strstr(body, ", stat=") != NULL)
		return MAIL_LOG_SENDMAIL;
	return behind_tag(line) != NULL ? MAIL_LOG_POSTFIX : MAIL_LOG_NONE;
}

void mail_log_read(const char *line, enum mail_log_format format, struct mail_log_line *out)
{
	const char *body;

	out->count = 0;
	if (format == MAIL_LOG_EXIM || format == MAIL_LOG_NONE) {
		body = exim_body(line);
		if (body != NULL)
			read_exim(body, out);
		if (format == MAIL_LOG_EXIM || out->count > 0)
			return;
	}
	body = behind_queue_id(behind_tag(line));
	if (body == NULL)
		return;
	if (format != MAIL_LOG_SENDMAIL)
		read_postfix(line, body, out);
	if (format != MAIL_LOG_POSTFIX && out->count == 0)
		read_sendmail(body, out);
}

/* ---- one message ---- */

/* The value of the first ", word=", up to the next comma or, of the last one, to the end. */
static struct mail_log_recipient value_of(const char *body, const char *word, bool last)
{
	const char *start = strstr(body, word);

	if (start == NULL)
		return (struct mail_log_recipient){ body, 0 };
	start += strlen(word);
	return (struct mail_log_recipient){ start, last ? strlen(start) : strcspn(start, ",") };
}

static enum mail_log_outcome outcome_of(struct mail_log_recipient status)
{
	static const struct {
		const char *word;
		enum mail_log_outcome outcome;
	} words[] = {
		{ "sent", MAIL_LOG_SENT },	   { "Sent", MAIL_LOG_SENT },
		{ "deferred", MAIL_LOG_DEFERRED }, { "Deferred", MAIL_LOG_DEFERRED },
		{ "queued", MAIL_LOG_DEFERRED },   { "quarantined", MAIL_LOG_NOTHING },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (behind(status.start, words[i].word) != NULL)
			return words[i].outcome;
	/* Sendmail gives the reason instead of a word */
	return MAIL_LOG_BOUNCED;
}

enum mail_log_outcome mail_log_outcome_of(const char *line, const char *queue_id,
					  struct mail_log_delivery *out)
{
	const char *body = behind_tag(line);
	enum mail_log_outcome outcome;
	bool postfix;

	body = body != NULL && queue_id[0] != '\0' ? behind(body, queue_id) : NULL;
	body = body != NULL ? behind(body, ": ") : NULL;
	if (body == NULL || behind(body, "to=") == NULL)
		return MAIL_LOG_NOTHING;
	postfix = strstr(body, ", status=") != NULL;
	out->relay = value_of(body, ", relay=", false);
	out->status = value_of(body, postfix ? ", status=" : ", stat=", true);
	if (out->status.length == 0)
		return MAIL_LOG_NOTHING;
	outcome = outcome_of(out->status);
	if (outcome == MAIL_LOG_SENT && postfix && is_filter(line, body, out->relay.start))
		return MAIL_LOG_PASSED_ON;
	return outcome;
}
