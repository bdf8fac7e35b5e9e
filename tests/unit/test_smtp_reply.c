/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SMTP replies. Every case is read three times: at once, byte by byte, and cut in two at each
 * place; all must come to the same.
 */
#include "core/smtp_reply.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct outcome {
	enum smtp_reply_status status;
	size_t used;
	struct smtp_reply reply; /* when complete */
};

/* Feeds pieces of at most `step` bytes until the reader has enough or all is eaten. */
static struct outcome feed_in_steps(const char *wire, size_t length, size_t first, size_t step)
{
	struct outcome outcome = { .status = SMTP_REPLY_MORE };
	struct smtp_reply_reader *reader = malloc(sizeof(*reader));
	size_t piece = first;

	assert_non_null(reader);
	smtp_reply_reader_init(reader);
	while (outcome.used < length && outcome.status == SMTP_REPLY_MORE) {
		size_t used = SIZE_MAX;

		if (piece > length - outcome.used)
			piece = length - outcome.used;
		outcome.status = smtp_reply_feed(reader, wire + outcome.used, piece, &used);
		assert_true(used <= piece);
		assert_true(outcome.status != SMTP_REPLY_MORE || used == piece);
		outcome.used += used;
		piece = step;
	}
	if (outcome.status == SMTP_REPLY_COMPLETE)
		outcome.reply = reader->reply;
	free(reader);
	return outcome;
}

/* Field by field: what is between the fields is nobody's. */
static void assert_same_reply(const struct smtp_reply *a, const struct smtp_reply *b)
{
	assert_int_equal(a->code, b->code);
	assert_int_equal(a->enhanced.class, b->enhanced.class);
	assert_int_equal(a->enhanced.subject, b->enhanced.subject);
	assert_int_equal(a->enhanced.detail, b->enhanced.detail);
	assert_string_equal(a->text, b->text);
	assert_string_equal(a->first, b->first);
	assert_int_equal(a->lines, b->lines);
	assert_int_equal(a->has_starttls, b->has_starttls);
	assert_int_equal(a->has_pipelining, b->has_pipelining);
	assert_int_equal(a->has_smtputf8, b->has_smtputf8);
	assert_int_equal(a->has_8bitmime, b->has_8bitmime);
	assert_int_equal(a->has_size, b->has_size);
	assert_int_equal(a->has_dsn, b->has_dsn);
	assert_int_equal(a->has_enhanced, b->has_enhanced);
	assert_true(a->size_limit == b->size_limit);
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->used, b->used);
	assert_same_reply(&a->reply, &b->reply);
}

static struct outcome feed_bytes(const char *wire, size_t length)
{
	struct outcome at_once = feed_in_steps(wire, length, length, length);
	struct outcome by_byte = feed_in_steps(wire, length, 1, 1);

	assert_same(&at_once, &by_byte);
	for (size_t cut = 1; cut < length && length < 1000; cut++) {
		struct outcome in_two = feed_in_steps(wire, length, cut, length);

		assert_same(&at_once, &in_two);
	}
	return at_once;
}

static struct outcome feed(const char *wire)
{
	return feed_bytes(wire, strlen(wire));
}

static struct smtp_reply complete(const char *wire)
{
	struct outcome outcome = feed(wire);

	if (outcome.status != SMTP_REPLY_COMPLETE || outcome.used != strlen(wire))
		print_error("case: %s\n", wire);
	assert_int_equal(outcome.status, SMTP_REPLY_COMPLETE);
	assert_int_equal(outcome.used, strlen(wire));
	return outcome.reply;
}

static void check_bad(const char *wire)
{
	struct outcome outcome = feed(wire);

	if (outcome.status != SMTP_REPLY_BAD)
		print_error("case: %s\n", wire);
	assert_int_equal(outcome.status, SMTP_REPLY_BAD);
}

/* ---- lines ---- */

static void test_complete(void **state)
{
	static const struct {
		const char *wire;
		int code;
		unsigned lines;
		const char *enhanced;
		const char *first;
		const char *text;
	} rows[] = {
		{ "220 mx.example.test ESMTP\r\n", 220, 1, "", "mx.example.test ESMTP",
		  "mx.example.test ESMTP" },
		{ "250 2.1.5 Ok\r\n", 250, 1, "2.1.5", "2.1.5 Ok", "Ok" },
		{ "250\r\n", 250, 1, "", "", "" },
		{ "250 \r\n", 250, 1, "", "", "" },
		{ "354 go on\r\n", 354, 1, "", "go on", "go on" },
		{ "599 x\r\n", 599, 1, "", "x", "x" },
		{ "200 x\r\n", 200, 1, "", "x", "x" },
		{ "250 bare line feed\n", 250, 1, "", "bare line feed", "bare line feed" },
		{ "250   blanks \t \r\n", 250, 1, "", "blanks", "blanks" },
		{ "250 two\r\r\n", 250, 1, "", "two?", "two?" },
		{ "250 a\rb\r\n", 250, 1, "", "a?b", "a?b" },
		{ "250 tab\there \x1b[0m\x7f\xc3\xa4\r\n", 250, 1, "", "tab?here ?[0m???",
		  "tab?here ?[0m???" },
		{ "250-one\r\n250-two\r\n250 three\r\n", 250, 3, "", "one", "three" },
		{ "250-one\n250 two\n", 250, 2, "", "one", "two" },
		{ "250-one\r\n250\r\n", 250, 2, "", "one", "" },
		{ "250-\r\n250 \r\n", 250, 2, "", "", "" },
		{ "550-5.1.1 first\r\n550 5.1.10 last\r\n", 550, 2, "5.1.10", "5.1.1 first",
		  "last" },
		{ "550-5.1.1 first\r\n550 last\r\n", 550, 2, "", "5.1.1 first", "last" },
		{ "421-4.7.0 a\r\n421 4.7.28 b\r\n", 421, 2, "4.7.28", "4.7.0 a", "b" },
	};
	char enhanced[16];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct smtp_reply reply = complete(rows[i].wire);

		assert_int_equal(reply.code, rows[i].code);
		assert_int_equal(reply.lines, rows[i].lines);
		assert_string_equal(
			smtp_enhanced_format(&reply.enhanced, enhanced, sizeof(enhanced)),
			rows[i].enhanced);
		assert_string_equal(reply.first, rows[i].first);
		assert_string_equal(reply.text, rows[i].text);
	}
}

static void test_bad(void **state)
{
	static const char *const wires[] = {
		"\r\n",
		"\n",
		"2\r\n",
		"25\r\n",
		" 250 x\r\n",
		"+OK POP3 ready\r\n",
		"* OK IMAP ready\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/1.1 400 Bad Request\r\n",
		"150 x\r\n",
		"650 x\r\n",
		"000 x\r\n",
		"2500 x\r\n",
		"250x\r\n",
		"250\tx\r\n",
		"250_x\r\n",
		"25a x\r\n",
		"2 50 x\r\n",
		"-250 x\r\n",
		"250-one\r\n\r\n",
		"250-one\r\n251 two\r\n",
		"250-one\r\n550 two\r\n",
		"250-one\r\n250-two\r\n25 three\r\n",
		"250-one\r\ntwo\r\n",
		"220-mx.example.test\r\n554 no\r\n",
		"\xff\xff\xff\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wires); i++)
		check_bad(wires[i]);
}

static void test_more(void **state)
{
	static const char *const wires[] = {
		"2", "250", "250 x", "250 x\r", "250-x\r\n", "250-x\r\n250", "250-x\r\n250 y\r"
	};
	struct smtp_reply_reader reader;
	size_t used = SIZE_MAX;

	(void)state;
	for (size_t i = 0; i < COUNT(wires); i++)
		assert_int_equal(feed(wires[i]).status, SMTP_REPLY_MORE);
	smtp_reply_reader_init(&reader);
	assert_int_equal(smtp_reply_feed(&reader, "", 0, &used), SMTP_REPLY_MORE);
	assert_int_equal(used, 0);
}

static void test_nul(void **state)
{
	static const char wire[] = "250 a\0b\r\n";
	static const char first[] = "\0";
	static const char later[] = "250-a\r\n25\0 b\r\n";

	(void)state;
	assert_int_equal(feed_bytes(wire, sizeof(wire) - 1).status, SMTP_REPLY_BAD);
	assert_int_equal(feed_bytes(wire, sizeof(wire) - 1).used, 6);
	assert_int_equal(feed_bytes(first, 1).status, SMTP_REPLY_BAD);
	assert_int_equal(feed_bytes(later, sizeof(later) - 1).status, SMTP_REPLY_BAD);
}

/* ---- limits ---- */

static char *long_line(const char *start, char filler, size_t length)
{
	char *line = malloc(length + 3);

	assert_non_null(line);
	memset(line, filler, length);
	memcpy(line, start, strlen(start));
	memcpy(line + length, "\r\n", 3);
	return line;
}

static void test_long_line(void **state)
{
	/* the CR counts, the LF doesn't */
	char *fits = long_line("250 ", 'x', SMTP_REPLY_LINE_MAX - 1);
	char *too_long = long_line("250 ", 'x', SMTP_REPLY_LINE_MAX);
	char *endless = long_line("250 ", 'x', 100000);
	struct smtp_reply reply = complete(fits);

	(void)state;
	assert_int_equal(strlen(reply.text), SMTP_REPLY_TEXT_MAX - 1);
	assert_int_equal(strlen(reply.first), SMTP_REPLY_TEXT_MAX - 1);
	check_bad(too_long);
	check_bad(endless);
	assert_int_equal(feed(endless).used, SMTP_REPLY_LINE_MAX + 1);
	free(fits);
	free(too_long);
	free(endless);
}

/* A code in the last line is found however long the line: the text is cut, the code isn't. */
static void test_long_line_code(void **state)
{
	char *line = long_line("550 no mailbox", '.', 1500);
	struct smtp_reply reply;

	(void)state;
	memcpy(line + 1490, "(#5.1.1)", 8);
	reply = complete(line);
	assert_int_equal(reply.enhanced.class, 5);
	assert_int_equal(reply.enhanced.detail, 1);
	assert_int_equal(strlen(reply.text), SMTP_REPLY_TEXT_MAX - 1);
	free(line);
}

static void test_many_lines(void **state)
{
	static const char middle[] = "250-x\r\n";
	const size_t length = sizeof(middle) - 1;
	char *wire = malloc(length * (SMTP_REPLY_LINES_MAX + 1) + 1);
	struct outcome outcome;

	(void)state;
	assert_non_null(wire);
	for (size_t i = 0; i < SMTP_REPLY_LINES_MAX + 1; i++)
		memcpy(wire + i * length, middle, length + 1);
	wire[(SMTP_REPLY_LINES_MAX - 1) * length + 3] = ' ';
	outcome = feed(wire);
	assert_int_equal(outcome.status, SMTP_REPLY_COMPLETE);
	assert_int_equal(outcome.used, SMTP_REPLY_LINES_MAX * length);
	assert_int_equal(outcome.reply.lines, SMTP_REPLY_LINES_MAX);
	wire[(SMTP_REPLY_LINES_MAX - 1) * length + 3] = '-';
	wire[SMTP_REPLY_LINES_MAX * length + 3] = ' ';
	check_bad(wire);
	free(wire);
}

/* ---- enhanced codes ---- */

static void test_enhanced(void **state)
{
	static const struct {
		const char *wire;
		const char *enhanced;
		const char *text;
	} rows[] = {
		{ "550 5.1.1\r\n", "5.1.1", "" },
		{ "550 5.1.1 x\r\n", "5.1.1", "x" },
		{ "550  5.1.1  x\r\n", "5.1.1", "x" },
		{ "550 5.1.1\tx\r\n", "5.1.1", "x" },
		{ "550 5.1.1: x\r\n", "5.1.1", "x" },
		{ "550 5.1.1, x\r\n", "5.1.1", ", x" },
		{ "550 5.1.1. x\r\n", "5.1.1", ". x" },
		{ "550 5.1.1<a@b.test>\r\n", "5.1.1", "<a@b.test>" },
		{ "550 5.999.999 x\r\n", "5.999.999", "x" },
		{ "550 5.0.0 x\r\n", "5.0.0", "x" },
		{ "450 4.2.2 x\r\n", "4.2.2", "x" },
		{ "250 2.1.5 x\r\n", "2.1.5", "x" },
		/* a class that is not the code's is kept: what it means is rcpt_answer.h's to say
		 */
		{ "550 4.1.1 x\r\n", "4.1.1", "x" },
		{ "450 5.1.1 x\r\n", "5.1.1", "x" },
		{ "250 5.1.1 x\r\n", "5.1.1", "x" },
		{ "550 2.0.0 x\r\n", "2.0.0", "x" },
		{ "354 3.1.1 x\r\n", "", "3.1.1 x" },
		/* no such code */
		{ "550 5.1 x\r\n", "", "5.1 x" },
		{ "550 5.1. x\r\n", "", "5.1. x" },
		{ "550 5..1 x\r\n", "", "5..1 x" },
		{ "550 5.1.1.7 x\r\n", "", "5.1.1.7 x" },
		{ "550 5.1.1a x\r\n", "", "5.1.1a x" },
		{ "550 5.1.1000 x\r\n", "", "5.1.1000 x" },
		{ "550 5.1000.1 x\r\n", "", "5.1000.1 x" },
		{ "550 55.1.1 x\r\n", "", "55.1.1 x" },
		{ "550 #5.1.0 x\r\n", "", "#5.1.0 x" },
		{ "550 x 5.1.1\r\n", "", "x 5.1.1" },
		{ "550 5\r\n", "", "5" },
		{ "550 5.\r\n", "", "5." },
		{ "550 5.1\r\n", "", "5.1" },
		{ "550 5.1.\r\n", "", "5.1." },
		/* qmail's place for it */
		{ "550 sorry (#5.1.1)\r\n", "5.1.1", "sorry (#5.1.1)" },
		{ "550 (#5.1.1) sorry\r\n", "5.1.1", "(#5.1.1) sorry" },
		{ "550 (#5.1.1)\r\n", "5.1.1", "(#5.1.1)" },
		{ "550 a (b) (#) (#x) (#5.1.1)\r\n", "5.1.1", "a (b) (#) (#x) (#5.1.1)" },
		{ "550 (#4.1.1) (#5.2.2)\r\n", "4.1.1", "(#4.1.1) (#5.2.2)" },
		{ "550 5.7.1 sorry (#5.1.1)\r\n", "5.7.1", "sorry (#5.1.1)" },
		{ "550 4.7.1 sorry (#5.1.1)\r\n", "4.7.1", "sorry (#5.1.1)" },
		{ "450 sorry (#5.1.1)\r\n", "5.1.1", "sorry (#5.1.1)" },
		{ "550 sorry (#5.1.1\r\n", "", "sorry (#5.1.1" },
		{ "550 sorry (#5.1.1 - x)\r\n", "", "sorry (#5.1.1 - x)" },
		{ "550 sorry (5.1.1)\r\n", "", "sorry (5.1.1)" },
		{ "550 sorry #5.1.1\r\n", "", "sorry #5.1.1" },
		{ "550 sorry ( #5.1.1)\r\n", "", "sorry ( #5.1.1)" },
		{ "550 (#\r\n", "", "(#" },
	};
	char enhanced[16];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct smtp_reply reply = complete(rows[i].wire);

		assert_string_equal(
			smtp_enhanced_format(&reply.enhanced, enhanced, sizeof(enhanced)),
			rows[i].enhanced);
		assert_string_equal(reply.text, rows[i].text);
	}
}

static void test_enhanced_format(void **state)
{
	struct smtp_enhanced none = { .subject = 1, .detail = 1 };
	struct smtp_enhanced some = { .class = 5, .subject = 123, .detail = 45 };
	char buffer[16];
	char small[4];

	(void)state;
	assert_string_equal(smtp_enhanced_format(&none, buffer, sizeof(buffer)), "");
	assert_string_equal(smtp_enhanced_format(&some, buffer, sizeof(buffer)), "5.123.45");
	assert_string_equal(smtp_enhanced_format(&some, small, sizeof(small)), "5.1");
}

/* ---- EHLO ---- */

static void test_ehlo(void **state)
{
	struct smtp_reply reply = complete("250-mx.example.test Hello backup [192.0.2.7]\r\n"
					   "250-PIPELINING\r\n"
					   "250-SIZE 10240000\r\n"
					   "250-ETRN\r\n"
					   "250-STARTTLS\r\n"
					   "250-AUTH PLAIN LOGIN\r\n"
					   "250-AUTH=PLAIN LOGIN\r\n"
					   "250-ENHANCEDSTATUSCODES\r\n"
					   "250-8BITMIME\r\n"
					   "250-DSN\r\n"
					   "250-SMTPUTF8\r\n"
					   "250 CHUNKING\r\n");
	char host[256];

	(void)state;
	assert_true(reply.has_pipelining && reply.has_starttls && reply.has_enhanced);
	assert_true(reply.has_8bitmime && reply.has_smtputf8 && reply.has_size);
	assert_true(reply.has_dsn);
	assert_int_equal(reply.size_limit, 10240000);
	assert_int_equal(reply.lines, 12);
	assert_string_equal(reply.text, "CHUNKING");
	smtp_reply_host(&reply, host, sizeof(host));
	assert_string_equal(host, "mx.example.test");
}

static void test_ehlo_case(void **state)
{
	struct smtp_reply reply = complete("250-mx.example.test\n250-starttls\n250-PipeLining\n"
					   "250-8bitMIME\n250-size\n250-SmtpUtf8\n"
					   "250 enhancedstatuscodes\n");

	(void)state;
	assert_true(reply.has_pipelining && reply.has_starttls && reply.has_enhanced);
	assert_true(reply.has_8bitmime && reply.has_smtputf8 && reply.has_size);
	assert_int_equal(reply.size_limit, 0);
	assert_false(reply.has_dsn);
}

/* The first line is the host's, and what only begins like a keyword is none. */
static void test_ehlo_none(void **state)
{
	struct smtp_reply reply = complete("250-STARTTLS\r\n250-STARTTLSX\r\n250-XPIPELINING\r\n"
					   "250-\r\n250-SIZ\r\n250-X STARTTLS\r\n250 SIZED 5\r\n");
	struct smtp_reply single = complete("250 STARTTLS\r\n");

	(void)state;
	assert_false(reply.has_pipelining || reply.has_starttls || reply.has_enhanced);
	assert_false(reply.has_8bitmime || reply.has_smtputf8 || reply.has_size);
	assert_false(single.has_starttls);
}

static void test_ehlo_size(void **state)
{
	static const struct {
		const char *line;
		unsigned long long limit;
	} rows[] = {
		{ "SIZE", 0 },
		{ "SIZE ", 0 },
		{ "SIZE 0", 0 },
		{ "SIZE 1", 1 },
		{ "SIZE  52428800 ", 52428800 },
		{ "SIZE=52428800", 52428800 },
		{ "SIZE 100 200", 100 },
		{ "SIZE 18446744073709551615", ULLONG_MAX },
		{ "SIZE 18446744073709551616", ULLONG_MAX },
		{ "SIZE 99999999999999999999999999999999", ULLONG_MAX },
		{ "SIZE -1", 0 },
		{ "SIZE 10M", 0 },
		{ "SIZE x", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct smtp_reply reply;
		char wire[128];

		snprintf(wire, sizeof(wire), "250-mx.example.test\r\n250 %s\r\n", rows[i].line);
		reply = complete(wire);
		assert_true(reply.has_size);
		assert_true(reply.size_limit == rows[i].limit);
	}
}

/* ---- several replies ---- */

static void test_one_at_a_time(void **state)
{
	static const char wire[] =
		"250-mx.example.test\r\n250 SIZE 5\r\n250 2.1.0 Ok\r\n550 no\r\n22";
	static const int codes[] = { 250, 250, 550 };
	static const size_t lengths[] = { 33, 14, 8 };
	struct smtp_reply_reader reader;
	size_t at = 0;
	size_t used;

	(void)state;
	smtp_reply_reader_init(&reader);
	for (size_t i = 0; i < COUNT(codes); i++) {
		assert_int_equal(smtp_reply_feed(&reader, wire + at, sizeof(wire) - 1 - at, &used),
				 SMTP_REPLY_COMPLETE);
		assert_int_equal(used, lengths[i]);
		assert_int_equal(reader.reply.code, codes[i]);
		/* nothing is left of the one before */
		assert_int_equal(reader.reply.has_size, i == 0);
		assert_int_equal(reader.reply.enhanced.class, i == 1 ? 2 : 0);
		assert_int_equal(reader.reply.lines, i == 0 ? 2 : 1);
		at += used;
	}
	assert_int_equal(smtp_reply_feed(&reader, wire + at, sizeof(wire) - 1 - at, &used),
			 SMTP_REPLY_MORE);
	assert_int_equal(used, 2);
}

/* An empty feed after a reply leaves it where it is. */
static void test_reply_stays(void **state)
{
	struct smtp_reply_reader reader;
	size_t used;

	(void)state;
	smtp_reply_reader_init(&reader);
	assert_int_equal(smtp_reply_feed(&reader, "250 x\n", 6, &used), SMTP_REPLY_COMPLETE);
	assert_int_equal(smtp_reply_feed(&reader, "", 0, &used), SMTP_REPLY_MORE);
	assert_int_equal(reader.reply.code, 250);
	assert_int_equal(smtp_reply_feed(&reader, "5", 1, &used), SMTP_REPLY_MORE);
	assert_int_equal(reader.reply.code, 0);
}

/* ---- the host ---- */

static void test_host(void **state)
{
	static const struct {
		const char *wire;
		const char *host;
	} rows[] = {
		{ "220 mx.example.test ESMTP Postfix\r\n", "mx.example.test" },
		{ "220 MX.Example.TEST. ready\r\n", "mx.example.test" },
		{ "220-mx.example.test ESMTP\r\n220 be brief\r\n", "mx.example.test" },
		{ "250 mx.example.test\r\n", "mx.example.test" },
		{ "220   mx.example.test\r\n", "mx.example.test" },
		{ "220 localhost\r\n", "localhost" },
		{ "220 my_host.local\r\n", "my_host.local" },
		{ "220 1.2.test\r\n", "1.2.test" },
		{ "220 mx.4you\r\n", "mx.4you" },
		{ "220\r\n", "" },
		{ "220 [192.0.2.1] ESMTP\r\n", "" },
		{ "220 192.0.2.1 ESMTP\r\n", "" },
		{ "220 2.0.0 ready\r\n", "" },
		{ "220 *******************\r\n", "" },
		{ "220 .\r\n", "" },
		{ "220 .example.test\r\n", "" },
		{ "220 mx..test\r\n", "" },
		{ "220 mx.example.test..\r\n", "" },
		{ "220 mx.ex\xc3\xa4mple.test\r\n", "" },
		{ "220 <mx.example.test>\r\n", "" },
		{ "220 mx.example.test, ESMTP\r\n", "" },
	};
	char host[256];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct smtp_reply reply = complete(rows[i].wire);

		smtp_reply_host(&reply, host, sizeof(host));
		assert_string_equal(host, rows[i].host);
	}
}

/* A part of a name is another name: better none. */
static void test_host_bounds(void **state)
{
	struct smtp_reply reply = complete("220 mx.example.test ESMTP\r\n");
	char *wire = long_line("220 ", 'x', 4 + 256);
	char host[512];

	(void)state;
	smtp_reply_host(&reply, host, 15);
	assert_string_equal(host, "");
	smtp_reply_host(&reply, host, 16);
	assert_string_equal(host, "mx.example.test");
	reply = complete(wire);
	smtp_reply_host(&reply, host, sizeof(host));
	assert_string_equal(host, "");
	free(wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_more),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_long_line_code),
		cmocka_unit_test(test_many_lines),
		cmocka_unit_test(test_enhanced),
		cmocka_unit_test(test_enhanced_format),
		cmocka_unit_test(test_ehlo),
		cmocka_unit_test(test_ehlo_case),
		cmocka_unit_test(test_ehlo_none),
		cmocka_unit_test(test_ehlo_size),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_reply_stays),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_host_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
