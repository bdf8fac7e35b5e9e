/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What answers to RCPT mean. The answers are in data/rcpt_answers.table, one a row; each goes
 * through the reply reader as it came from the network.
 */
#include "core/rcpt_answer.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TABLE_ROWS_MIN 400
#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))

static const char *const answer_names[] = {
	[RCPT_ANSWER_VALID] = "valid",	       [RCPT_ANSWER_REFUSED_CODE] = "code",
	[RCPT_ANSWER_REFUSED_WORDS] = "words", [RCPT_ANSWER_REFUSED_BARE] = "bare",
	[RCPT_ANSWER_LATER] = "later",	       [RCPT_ANSWER_NONE] = "none",
};

/* ---- the table ---- */

static FILE *open_below(const char *folder, const char *rest)
{
	char path[4096];

	if (folder == NULL)
		return NULL;
	snprintf(path, sizeof(path), "%s/%srcpt_answers.table", folder, rest);
	return fopen(path, "r");
}

static FILE *open_table(void)
{
	static const char *const below[] = { "data/", "unit/data/", "tests/unit/data/" };
	const char *source = getenv("srcdir");
	FILE *table = NULL;

#ifdef TEST_DATA_DIR
	table = open_below(TEST_DATA_DIR, "");
#endif
	for (size_t i = 0; table == NULL && i < COUNT(below); i++)
		table = open_below(source != NULL ? source : ".", below[i]);
	return table;
}

static char *trimmed(char *field)
{
	size_t length;

	field += strspn(field, " \t");
	length = strcspn(field, "\n");
	while (length > 0 && (field[length - 1] == ' ' || field[length - 1] == '\t'))
		length--;
	field[length] = '\0';
	return field;
}

/* Cuts the line at its next '|'. */
static char *next_field(char **rest)
{
	char *field = *rest;
	char *bar = strchr(field, '|');

	assert_non_null(bar);
	*bar = '\0';
	*rest = bar + 1;
	return trimmed(field);
}

/* "550-one\n550 two" as the network brings it. */
static void to_wire(const char *written, char *wire, size_t size)
{
	struct text text;

	text_init(&text, wire, size);
	for (; *written != '\0'; written++) {
		if (written[0] == '\\' && written[1] == 'n') {
			text_add(&text, "\r\n");
			written++;
		} else {
			text_add_char(&text, *written);
		}
	}
	text_add(&text, "\r\n");
	assert_false(text.cut);
}

static enum rcpt_answer read_wire(const char *wire, const char *host)
{
	struct smtp_reply_reader reader;
	size_t used;

	smtp_reply_reader_init(&reader);
	assert_int_equal(smtp_reply_feed(&reader, wire, strlen(wire), &used), SMTP_REPLY_COMPLETE);
	assert_int_equal(used, strlen(wire));
	return rcpt_answer_read(&reader.reply, host);
}

/* Returns whether the row holds; says so when it doesn't, and the next rows are still tried. */
static bool row_holds(char *line, unsigned number)
{
	char wire[4096];
	const char *wanted = next_field(&line);
	const char *host = next_field(&line);
	const char *reply = trimmed(line);
	const char *got;

	to_wire(reply, wire, sizeof(wire));
	got = answer_names[read_wire(wire, strcmp(host, "-") == 0 ? "" : host)];
	if (strcmp(got, wanted) == 0)
		return true;
	print_error("rcpt_answers.table:%u: %s instead of %s: %s\n", number, got, wanted, reply);
	return false;
}

static void test_table(void **state)
{
	FILE *table = open_table();
	char line[4096];
	unsigned number = 0;
	unsigned rows = 0;
	unsigned wrong = 0;

	(void)state;
	assert_non_null(table);
	while (fgets(line, sizeof(line), table) != NULL) {
		number++;
		if (line[0] == '#' || line[0] == '\n')
			continue;
		rows++;
		wrong += row_holds(line, number) ? 0 : 1;
	}
	fclose(table);
	assert_int_equal(wrong, 0);
	assert_true(rows >= TABLE_ROWS_MIN);
}

/* ---- the lists, word by word, in any case and place ---- */

static enum rcpt_answer read_text(int code, const char *text)
{
	char wire[512];

	snprintf(wire, sizeof(wire), "%d %s\r\n", code, text);
	return read_wire(wire, "");
}

static void test_phrases(void **state)
{
	static const char *const phrases[] = {
		"user unknown",	       "unknown user",		 "no such user",
		"no such recipient",   "no such mailbox",	 "no mailbox here",
		"recipient unknown",   "unknown recipient",	 "recipient not found",
		"address unknown",     "unknown address",	 "mailbox not found",
		"mailbox unavailable", "unrouteable address",	 "invalid recipient",
		"user not found",      "account does not exist", "does not exist",
	};
	static const int codes[] = { 550, 551, 553, 554 };

	(void)state;
	for (size_t i = 0; i < COUNT(phrases); i++) {
		char text[128];

		for (size_t j = 0; j < COUNT(codes); j++)
			assert_int_equal(read_text(codes[j], phrases[i]),
					 RCPT_ANSWER_REFUSED_WORDS);
		assert_int_equal(read_text(552, phrases[i]), RCPT_ANSWER_NONE);
		assert_int_equal(read_text(450, phrases[i]), RCPT_ANSWER_LATER);
		assert_int_equal(read_text(250, phrases[i]), RCPT_ANSWER_VALID);
		snprintf(text, sizeof(text), "5.7.1 %s", phrases[i]);
		assert_int_equal(read_text(550, text), RCPT_ANSWER_NONE);
		snprintf(text, sizeof(text), "<a@example.test>: %s!", phrases[i]);
		for (char *c = text; *c != '\0'; c++)
			*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
		assert_int_equal(read_text(550, text), RCPT_ANSWER_REFUSED_WORDS);
	}
}

static void test_words_of_policy(void **state)
{
	static const char *const words[] = {
		"relay", "block", "spam", "policy", "sender", "denied", "blacklist",
	};
	static const int codes[] = { 550, 551, 553, 554 };

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		char text[128];

		snprintf(text, sizeof(text), "You are%sED", words[i]);
		for (size_t j = 0; j < COUNT(codes); j++)
			assert_int_equal(read_text(codes[j], text), RCPT_ANSWER_NONE);
		snprintf(text, sizeof(text), "%s: no such user", words[i]);
		assert_int_equal(read_text(550, text), RCPT_ANSWER_REFUSED_WORDS);
	}
}

/* Nothing but a 2xx or a full mailbox is ever valid, nothing but the four codes is ever a refusal.
 */
static void test_every_code(void **state)
{
	(void)state;
	for (int code = 200; code < 600; code++) {
		bool can_refuse = code == 550 || code == 551 || code == 553 || code == 554;
		bool is_valid = code < 300;
		char text[64];

		for (unsigned detail = 0; detail < 12; detail++) {
			enum rcpt_answer answer;

			snprintf(text, sizeof(text), "%d.1.%u x", code / 100, detail);
			answer = read_text(code, text);
			assert_int_equal(answer == RCPT_ANSWER_VALID, is_valid);
			assert_int_equal(answer == RCPT_ANSWER_LATER, code / 100 == 4);
			assert_int_equal(answer == RCPT_ANSWER_REFUSED_CODE,
					 can_refuse &&
						 (detail == 1 || detail == 6 || detail == 10));
		}
		assert_int_equal(rcpt_answer_is_refusal(read_text(code, "no such user")),
				 can_refuse);
	}
}

static void test_no_host(void **state)
{
	(void)state;
	assert_int_equal(
		read_wire("550 5.4.1 Recipient address rejected: Access denied.\r\n", NULL),
		RCPT_ANSWER_NONE);
}

/* ---- verdicts ---- */

static void test_verdicts(void **state)
{
	static const struct {
		enum rcpt_answer answer;
		enum rcpt_verdict by_control[3]; /* none known, accepted, failed */
	} rows[] = {
		{ RCPT_ANSWER_VALID,
		  { RCPT_VERDICT_VALID, RCPT_VERDICT_VALID, RCPT_VERDICT_VALID } },
		{ RCPT_ANSWER_REFUSED_CODE,
		  { RCPT_VERDICT_INVALID_BRIEFLY, RCPT_VERDICT_INVALID, RCPT_VERDICT_NONE } },
		{ RCPT_ANSWER_REFUSED_WORDS,
		  { RCPT_VERDICT_NONE, RCPT_VERDICT_INVALID, RCPT_VERDICT_NONE } },
		{ RCPT_ANSWER_REFUSED_BARE,
		  { RCPT_VERDICT_NONE, RCPT_VERDICT_INVALID, RCPT_VERDICT_NONE } },
		{ RCPT_ANSWER_LATER,
		  { RCPT_VERDICT_LATER, RCPT_VERDICT_LATER, RCPT_VERDICT_LATER } },
		{ RCPT_ANSWER_NONE, { RCPT_VERDICT_NONE, RCPT_VERDICT_NONE, RCPT_VERDICT_NONE } },
	};
	static const enum rcpt_control controls[] = { RCPT_CONTROL_NONE, RCPT_CONTROL_ACCEPTED,
						      RCPT_CONTROL_FAILED };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t j = 0; j < COUNT(controls); j++)
			assert_int_equal(rcpt_verdict_of(rows[i].answer, controls[j]),
					 rows[i].by_control[j]);
}

/* To a canary every refusal counts, but a full mailbox says nothing of the primary. */
static void test_canary(void **state)
{
	static const struct {
		int code;
		struct smtp_enhanced enhanced;
		enum canary_answer answer;
	} table[] = {
		{ 250, { 2, 1, 5 }, CANARY_ACCEPTED },	{ 251, { 0, 0, 0 }, CANARY_ACCEPTED },
		{ 550, { 5, 1, 1 }, CANARY_REFUSED },	{ 554, { 5, 7, 1 }, CANARY_REFUSED },
		{ 500, { 0, 0, 0 }, CANARY_REFUSED },	{ 552, { 5, 2, 2 }, CANARY_NO_ANSWER },
		{ 452, { 4, 2, 2 }, CANARY_NO_ANSWER }, { 451, { 4, 3, 0 }, CANARY_LATER },
		{ 421, { 0, 0, 0 }, CANARY_LATER },	{ 354, { 0, 0, 0 }, CANARY_NO_ANSWER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct smtp_reply reply = { .code = table[i].code, .enhanced = table[i].enhanced };

		assert_int_equal(rcpt_answer_of_canary(&reply), table[i].answer);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(rcpt_verdict_name(RCPT_VERDICT_VALID), "valid");
	assert_string_equal(rcpt_verdict_name(RCPT_VERDICT_INVALID), "invalid");
	assert_string_equal(rcpt_verdict_name(RCPT_VERDICT_INVALID_BRIEFLY), "invalid");
	assert_string_equal(rcpt_verdict_name(RCPT_VERDICT_LATER), "later");
	assert_string_equal(rcpt_verdict_name(RCPT_VERDICT_NONE), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),		cmocka_unit_test(test_phrases),
		cmocka_unit_test(test_words_of_policy), cmocka_unit_test(test_every_code),
		cmocka_unit_test(test_no_host),		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_canary),		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
