/* SPDX-License-Identifier: BSD-2-Clause */
/* The ground floor: text, durations, memory, the names of the log. */
#include "base/duration.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- durations ---- */

static void test_duration_parse(void **state)
{
	static const struct {
		const char *word;
		int64_t seconds; /* -1: not one */
	} rows[] = {
		{ "0", 0 },
		{ "90", 90 },
		{ "90s", 90 },
		{ "5m", 300 },
		{ "2h", 7200 },
		{ "7d", 604800 },
		{ "007s", 7 },
		{ "3650d", DURATION_MAX_SECONDS },
		{ "", -1 },
		{ "s", -1 },
		{ "5 m", -1 },
		{ " 5m", -1 },
		{ "5m ", -1 },
		{ "5M", -1 },
		{ "5w", -1 },
		{ "5ms", -1 },
		{ "5m5s", -1 },
		{ "-5m", -1 },
		{ "+5", -1 },
		{ "1.5h", -1 },
		{ "0x10", -1 },
		{ "9223372036854775807", -1 },
		{ "99999999999999999999999999999999d", -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t seconds = -1;

		assert_int_equal(duration_parse(rows[i].word, &seconds), rows[i].seconds >= 0);
		assert_int_equal(seconds, rows[i].seconds);
	}
}

/* Whatever is taken fits: the greatest number of each unit that is read at all. */
static void test_duration_bounds(void **state)
{
	static const char *const words[] = { "3153600000", "3153600000s", "3153600000m",
					     "3153600000h", "3153600000d" };
	int64_t seconds;

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++)
		if (duration_parse(words[i], &seconds))
			assert_true(seconds >= 3153600000);
	assert_false(duration_parse("3153600001", &seconds));
}

static void test_duration_format(void **state)
{
	static const struct {
		int64_t seconds;
		const char *word;
	} rows[] = {
		{ 0, "0s" },	      { 1, "1s" },	{ 59, "59s" },	  { 60, "1m" },
		{ 90, "90s" },	      { 300, "5m" },	{ 3600, "1h" },	  { 5400, "90m" },
		{ 86400, "1d" },      { 90000, "25h" }, { 604800, "7d" }, { 86401, "86401s" },
		{ 34560000, "400d" },
	};
	char buffer[32];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t back;

		assert_string_equal(duration_format(rows[i].seconds, buffer, sizeof(buffer)),
				    rows[i].word);
		assert_true(duration_parse(buffer, &back));
		assert_int_equal(back, rows[i].seconds);
	}
}

/* ---- text ---- */

static void test_text_bounds(void **state)
{
	char buffer[8];
	TEXT_ON(text, buffer);

	(void)state;
	assert_string_equal(buffer, "");
	text_add(&text, "1234567");
	assert_false(text.cut);
	assert_int_equal(text.length, 7);
	text_add(&text, "");
	assert_false(text.cut);
	text_add_char(&text, '8');
	assert_true(text.cut);
	assert_string_equal(buffer, "1234567");
}

static void test_text_smallest(void **state)
{
	char buffer[1] = { 'x' };
	TEXT_ON(text, buffer);

	(void)state;
	assert_string_equal(buffer, "");
	text_add_char(&text, 'a');
	text_add_format(&text, "%d", 12);
	text_add_pair(&text, "key", "value");
	assert_string_equal(buffer, "");
	assert_true(text.cut);
	assert_int_equal(text.length, 0);
}

static void test_text_format(void **state)
{
	char buffer[8];
	TEXT_ON(text, buffer);

	(void)state;
	text_add_format(&text, "%s-%d", "ab", 12);
	assert_string_equal(buffer, "ab-12");
	text_add_format(&text, "%d", 34);
	assert_string_equal(buffer, "ab-1234");
	assert_false(text.cut);
	text_add_format(&text, "%d", 5);
	assert_true(text.cut);
	assert_string_equal(buffer, "ab-1234");
	assert_int_equal(text.length, 7);
}

static void test_text_format_cut(void **state)
{
	char buffer[5];
	TEXT_ON(text, buffer);

	(void)state;
	text_add_format(&text, "%s", "1234567");
	assert_string_equal(buffer, "1234");
	assert_true(text.cut);
	assert_int_equal(text.length, 4);
}

static void test_text_printable(void **state)
{
	static const char foreign[] = "a\r\nb\0c\x7f\x80\xff~ \x1b[0m";
	char buffer[64];
	char string[] = "x\ty\xc3\xa4z";
	TEXT_ON(text, buffer);

	(void)state;
	text_add_printable(&text, foreign, sizeof(foreign) - 1);
	assert_string_equal(buffer, "a??b?c???~ ?[0m");
	text_make_printable(string);
	assert_string_equal(string, "x?y??z");
}

static void test_text_pairs(void **state)
{
	static const struct {
		const char *value;
		const char *written;
	} rows[] = {
		{ "plain", "k=plain" },
		{ "", "k=\"\"" },
		{ "two words", "k=\"two words\"" },
		{ "a\"b", "k=\"a\\\"b\"" },
		{ "a\\b", "k=\"a\\\\b\"" },
		{ "a\tb", "k=\"a?b\"" },
		{ "line\nfeed", "k=line?feed" },
		{ "<a@b.test>", "k=<a@b.test>" },
		{ "\xc3\xa4", "k=??" },
	};
	char buffer[64];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		TEXT_ON(text, buffer);

		text_add_pair(&text, "k", rows[i].value);
		assert_string_equal(buffer, rows[i].written);
	}
}

static void test_text_pairs_apart(void **state)
{
	char buffer[64];
	TEXT_ON(text, buffer);

	(void)state;
	text_add(&text, "health: ");
	text_add_pair(&text, "state", "up");
	text_add_pair(&text, "was", "down");
	assert_string_equal(buffer, "health: state=up was=down");
}

static void test_text_shell(void **state)
{
	static const char *const words[][2] = {
		{ "", "''" },
		{ "alice@example.test", "alice@example.test" },
		{ "/etc/a-b_c.d,1%+=:", "/etc/a-b_c.d,1%+=:" },
		{ "`reboot`@example.test", "'`reboot`@example.test'" },
		{ "$(reboot)", "'$(reboot)'" },
		{ "it's", "'it'\\''s'" },
		{ "'", "''\\'''" },
		{ "a b", "'a b'" },
		{ "a|b;c&d", "'a|b;c&d'" },
		{ "~", "'~'" },
		{ "{a,b}", "'{a,b}'" },
		{ "!x", "'!x'" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char buffer[64];
		TEXT_ON(text, buffer);

		text_add_shell(&text, words[i][0]);
		assert_string_equal(buffer, words[i][1]);
	}
}

static void test_text_copy(void **state)
{
	char target[4];

	(void)state;
	assert_true(text_copy(target, sizeof(target), "abc"));
	assert_string_equal(target, "abc");
	assert_false(text_copy(target, sizeof(target), "abcd"));
	assert_string_equal(target, "abc");
	assert_true(text_copy(target, sizeof(target), ""));
	assert_string_equal(target, "");
	assert_false(text_copy(target, 1, "x"));
	assert_string_equal(target, "");
}

static void test_text_lower(void **state)
{
	char string[] = "AbZ@[`{\xc3\x84";

	(void)state;
	text_lower(string);
	assert_string_equal(string, "abz@[`{\xc3\x84");
	assert_true(text_is_ascii(""));
	assert_true(text_is_ascii("\x01~\x7f"));
	assert_false(text_is_ascii("a\x80"));
	assert_false(text_is_ascii("\xff"));
}

/* ---- memory ---- */

static void test_memory_format(void **state)
{
	char *text = memory_format("%s has %d of %c", "one", 42, 'x');
	char *empty = memory_format("%s", "");
	char *great = memory_format("%*s", 100000, "end");

	(void)state;
	assert_string_equal(text, "one has 42 of x");
	assert_string_equal(empty, "");
	assert_int_equal(strlen(great), 100000);
	assert_string_equal(great + 99997, "end");
	free(text);
	free(empty);
	free(great);
}

static void test_memory_blocks(void **state)
{
	unsigned char *block = memory_alloc(100);
	unsigned char *none = memory_alloc(0);
	unsigned *array = memory_array(10, sizeof(*array));
	char *copy = memory_string("text");
	char *missing = memory_string(NULL);

	(void)state;
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(block[i], 0);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(array[i], 0);
		array[i] = i;
	}
	array = memory_resize(array, 1000, sizeof(*array));
	assert_int_equal(array[9], 9);
	assert_non_null(none);
	assert_string_equal(copy, "text");
	assert_string_equal(missing, "");
	free(block);
	free(none);
	free(array);
	free(copy);
	free(missing);
}

/* ---- log ---- */

static void test_log_levels(void **state)
{
	static const char *const names[] = { "error", "warning", "notice", "info", "debug" };
	enum log_level level;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_true(log_level_parse(names[i], &level));
		assert_int_equal(level, i);
		assert_string_equal(log_level_name(level), names[i]);
	}
	level = LOG_LEVEL_NOTICE;
	assert_false(log_level_parse("", &level));
	assert_false(log_level_parse("warn", &level));
	assert_false(log_level_parse("errors", &level));
	assert_false(log_level_parse("3", &level));
	assert_int_equal(level, LOG_LEVEL_NOTICE);
}

static void test_log_wants(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_WARNING);
	assert_true(log_wants(LOG_LEVEL_ERROR));
	assert_true(log_wants(LOG_LEVEL_WARNING));
	assert_false(log_wants(LOG_LEVEL_NOTICE));
	log_set_level(LOG_LEVEL_DEBUG);
	assert_true(log_wants(LOG_LEVEL_DEBUG));
	log_set_level(LOG_LEVEL_INFO);
}

static void test_log_facilities(void **state)
{
	(void)state;
	assert_true(log_facility_known("mail"));
	assert_true(log_facility_known("daemon"));
	assert_true(log_facility_known("local7"));
	assert_false(log_facility_known("local8"));
	assert_false(log_facility_known(""));
	assert_false(log_set_facility("post"));
	assert_true(log_set_facility("mail"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_duration_parse),	cmocka_unit_test(test_duration_bounds),
		cmocka_unit_test(test_duration_format), cmocka_unit_test(test_text_bounds),
		cmocka_unit_test(test_text_smallest),	cmocka_unit_test(test_text_format),
		cmocka_unit_test(test_text_format_cut), cmocka_unit_test(test_text_printable),
		cmocka_unit_test(test_text_pairs),	cmocka_unit_test(test_text_pairs_apart),
		cmocka_unit_test(test_text_shell),	cmocka_unit_test(test_text_copy),
		cmocka_unit_test(test_text_lower),	cmocka_unit_test(test_memory_format),
		cmocka_unit_test(test_memory_blocks),	cmocka_unit_test(test_log_levels),
		cmocka_unit_test(test_log_wants),	cmocka_unit_test(test_log_facilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
