/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads SMTP replies byte by byte, so that it makes no difference how the network cut them.
 * A reader belongs to one session; pure; any thread.
 */
#include "core/smtp_reply.h"
#include "base/text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CODE_LENGTH 3

/* A piece of the line that is being read; never NUL-terminated. */
struct piece {
	const char *start;
	size_t length;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static struct piece behind(struct piece piece, size_t count)
{
	return (struct piece){ piece.start + count, piece.length - count };
}

static struct piece without_blanks(struct piece piece)
{
	while (piece.length > 0 && (piece.start[0] == ' ' || piece.start[0] == '\t'))
		piece = behind(piece, 1);
	while (piece.length > 0 &&
	       (piece.start[piece.length - 1] == ' ' || piece.start[piece.length - 1] == '\t'))
		piece.length--;
	return piece;
}

/* ---- enhanced codes ---- */

/* Reads one to three digits; returns how many it took. */
static size_t read_number(struct piece piece, unsigned short *number)
{
	size_t length = 0;

	*number = 0;
	for (; length < 3 && length < piece.length && is_digit(piece.start[length]); length++)
		*number = (unsigned short)(*number * 10 + (piece.start[length] - '0'));
	return length;
}

/* "5.1.1" at the piece's start: returns its length, 0 when it isn't there. */
static size_t read_enhanced(struct piece piece, struct smtp_enhanced *enhanced)
{
	size_t at = 2;
	size_t digits;

	if (piece.length < 5 || strchr("245", piece.start[0]) == NULL || piece.start[1] != '.')
		return 0;
	enhanced->class = (unsigned char)(piece.start[0] - '0');
	digits = read_number(behind(piece, at), &enhanced->subject);
	at += digits;
	if (digits == 0 || at == piece.length || piece.start[at] != '.')
		return 0;
	at++;
	digits = read_number(behind(piece, at), &enhanced->detail);
	return digits > 0 ? at + digits : 0;
}

/* What may follow a leading code: "5.1.1 text", "5.1.1: text"; but "5.1.1.2" is no such code. */
static bool ends_code(struct piece rest)
{
	if (rest.length > 1 && rest.start[0] == '.')
		rest = behind(rest, 1);
	return rest.length == 0 ||
	       !(is_alnum(rest.start[0]) || (unsigned char)rest.start[0] >= 0x80);
}

static bool find_leading(struct piece *text, struct smtp_enhanced *enhanced)
{
	struct smtp_enhanced found;
	size_t length = read_enhanced(*text, &found);

	if (length == 0 || !ends_code(behind(*text, length)))
		return false;
	*enhanced = found;
	*text = behind(*text, length);
	if (text->length > 0 && text->start[0] == ':')
		*text = behind(*text, 1);
	*text = without_blanks(*text);
	return true;
}

/* qmail's way: "(#5.1.1)" anywhere. */
static bool find_in_text(struct piece text, struct smtp_enhanced *enhanced)
{
	for (; text.length > 2; text = behind(text, 1)) {
		struct smtp_enhanced found;
		size_t length;

		if (text.start[0] != '(' || text.start[1] != '#')
			continue;
		length = read_enhanced(behind(text, 2), &found);
		if (length == 0 || 2 + length >= text.length || text.start[2 + length] != ')')
			continue;
		*enhanced = found;
		return true;
	}
	return false;
}

/* ---- EHLO keywords ---- */

static bool is_keyword(struct piece word, const char *keyword)
{
	return strlen(keyword) == word.length && strncasecmp(word.start, keyword, word.length) == 0;
}

/* Too many digits for the type mean as much as its greatest number. */
static unsigned long long read_size(struct piece digits)
{
	unsigned long long size = 0;
	size_t i;

	for (i = 0; i < digits.length && is_digit(digits.start[i]); i++) {
		unsigned digit = (unsigned)(digits.start[i] - '0');

		if (size > (ULLONG_MAX - digit) / 10)
			return ULLONG_MAX;
		size = size * 10 + digit;
	}
	return i == digits.length || digits.start[i] == ' ' ? size : 0;
}

static void read_keyword(struct smtp_reply *reply, struct piece text)
{
	struct piece word = { text.start, 0 };

	while (word.length < text.length && text.start[word.length] != ' ' &&
	       text.start[word.length] != '\t' && text.start[word.length] != '=')
		word.length++;
	if (is_keyword(word, "STARTTLS"))
		reply->has_starttls = true;
	else if (is_keyword(word, "PIPELINING"))
		reply->has_pipelining = true;
	else if (is_keyword(word, "SMTPUTF8"))
		reply->has_smtputf8 = true;
	else if (is_keyword(word, "8BITMIME"))
		reply->has_8bitmime = true;
	else if (is_keyword(word, "ENHANCEDSTATUSCODES"))
		reply->has_enhanced = true;
	else if (is_keyword(word, "DSN"))
		reply->has_dsn = true;
	else if (is_keyword(word, "SIZE")) {
		text = behind(text, word.length);
		reply->has_size = true;
		reply->size_limit =
			read_size(without_blanks(behind(text, text.length > 0 ? 1 : 0)));
	}
}

/* ---- lines ---- */

/* 0 when the line doesn't begin as one of a reply. */
static int read_code(struct piece line)
{
	if (line.length < CODE_LENGTH || line.start[0] < '2' || line.start[0] > '5' ||
	    !is_digit(line.start[1]) || !is_digit(line.start[2]))
		return 0;
	if (line.length > CODE_LENGTH && line.start[CODE_LENGTH] != ' ' &&
	    line.start[CODE_LENGTH] != '-')
		return 0;
	return (line.start[0] - '0') * 100 + (line.start[1] - '0') * 10 + (line.start[2] - '0');
}

static void keep_text(struct piece text, char *buffer, size_t size)
{
	struct text kept;

	text_init(&kept, buffer, size);
	text_add_printable(&kept, text.start, text.length);
}

static void keep_between(struct smtp_reply *reply, struct piece text)
{
	size_t used = strlen(reply->between);

	if (used + 2 >= sizeof(reply->between))
		return;
	if (used > 0)
		reply->between[used++] = ' ';
	keep_text(text, reply->between + used, sizeof(reply->between) - used);
}

static void finish_reply(struct smtp_reply *reply, struct piece text)
{
	if (!find_leading(&text, &reply->enhanced))
		(void)find_in_text(text, &reply->enhanced);
	keep_text(text, reply->text, sizeof(reply->text));
}

static enum smtp_reply_status read_line(struct smtp_reply *reply, struct piece line)
{
	int code = read_code(line);
	bool is_last = line.length <= CODE_LENGTH || line.start[CODE_LENGTH] == ' ';
	struct piece text = { line.start, 0 };

	if (code == 0 || (reply->lines > 0 && code != reply->code) ||
	    reply->lines == SMTP_REPLY_LINES_MAX)
		return SMTP_REPLY_BAD;
	if (line.length > CODE_LENGTH)
		text = without_blanks(behind(line, CODE_LENGTH + 1));
	reply->code = code;
	if (reply->lines++ == 0)
		keep_text(text, reply->first, sizeof(reply->first));
	else
		read_keyword(reply, text);
	if (!is_last) {
		if (reply->lines > 1)
			keep_between(reply, text);
		return SMTP_REPLY_MORE;
	}
	finish_reply(reply, text);
	return SMTP_REPLY_COMPLETE;
}

static enum smtp_reply_status end_line(struct smtp_reply_reader *reader)
{
	struct piece line = { reader->line, reader->line_length };
	enum smtp_reply_status status;

	if (line.length > 0 && line.start[line.length - 1] == '\r')
		line.length--;
	status = read_line(&reader->reply, line);
	reader->line_length = 0;
	reader->finished = status == SMTP_REPLY_COMPLETE;
	return status;
}

static enum smtp_reply_status take_byte(struct smtp_reply_reader *reader, char byte)
{
	if (reader->finished)
		smtp_reply_reader_init(reader);
	reader->started = true;
	if (byte == '\n')
		return end_line(reader);
	if (byte == '\0' || reader->line_length == sizeof(reader->line))
		return SMTP_REPLY_BAD;
	reader->line[reader->line_length++] = byte;
	return SMTP_REPLY_MORE;
}

void smtp_reply_reader_init(struct smtp_reply_reader *reader)
{
	memset(reader, 0, sizeof(*reader));
}

enum smtp_reply_status smtp_reply_feed(struct smtp_reply_reader *reader, const char *bytes,
				       size_t length, size_t *used)
{
	enum smtp_reply_status status = SMTP_REPLY_MORE;

	for (*used = 0; *used < length && status == SMTP_REPLY_MORE; (*used)++)
		status = take_byte(reader, bytes[*used]);
	return status;
}

const char *smtp_enhanced_format(const struct smtp_enhanced *enhanced, char *buffer, size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	if (enhanced->class != 0)
		text_add_format(&text, "%u.%u.%u", (unsigned)enhanced->class,
				(unsigned)enhanced->subject, (unsigned)enhanced->detail);
	return buffer;
}

/* ---- the host that speaks ---- */

/* Letters, digits, hyphens (and '_', which some hosts have) in labels; the last one not of digits
 * alone, which keeps addresses and enhanced codes out. */
static bool is_host_name(struct piece name)
{
	bool has_letter = false;
	size_t label = 0;

	if (name.length == 0 || name.length > 255)
		return false;
	for (size_t i = 0; i < name.length; i++) {
		char c = name.start[i];

		if (c == '.' ? label == 0 : !(is_alnum(c) || c == '-' || c == '_'))
			return false;
		has_letter = c != '.' && ((label > 0 && has_letter) || !is_digit(c));
		label = c == '.' ? 0 : label + 1;
	}
	return label > 0 && has_letter;
}

void smtp_reply_host(const struct smtp_reply *reply, char *buffer, size_t size)
{
	struct piece word = { reply->first, strcspn(reply->first, " ") };
	struct text host;

	text_init(&host, buffer, size);
	if (word.length > 0 && word.start[word.length - 1] == '.')
		word.length--;
	if (!is_host_name(word))
		return;
	text_add_printable(&host, word.start, word.length);
	if (host.cut)
		buffer[0] = '\0';
	text_lower(buffer);
}
