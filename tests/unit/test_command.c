/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program to run is told, and the last thing it says. */
#include "core/command.h"
#include "core/last_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_domain_in_arguments(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "%d", "a.test" },
		{ "--site=%d", "--site=a.test" },
		{ "%d%d", "a.testa.test" },
		{ "[%d]", "[a.test]" },
		{ "%", "%" },
		{ "%%d", "%a.test" },
		{ "100%", "100%" },
		{ "%s %D %x", "%s %D %x" },
		{ "$(%d); `%d`", "$(a.test); `a.test`" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *filled = command_argument(rows[i][0], "a.test");

		assert_string_equal(filled, rows[i][1]);
		free(filled);
	}
}

/* What is put in is not looked at again. */
static void test_domain_is_no_pattern(void **state)
{
	char *filled = command_argument("%d-%d", "%d");

	(void)state;
	assert_string_equal(filled, "%d-%d");
	free(filled);
}

static void test_last_lines(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "one", "one" },
		{ "one\n", "one" },
		{ "one\ntwo", "two" },
		{ "one\r\ntwo\r\n", "two" },
		{ "one\n\n \t \n", "one" },
		{ "  one", "one" },
		{ "50%\r100%\r", "100%" },
		{ "a\x1b[31mb\x7f\xc3\xa4\n", "a?[31mb???" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct last_line whole = { .length = 0 };
		struct last_line bytes = { .length = 0 };

		last_line_add(&whole, rows[i][0], strlen(rows[i][0]));
		for (size_t j = 0; j < strlen(rows[i][0]); j++)
			last_line_add(&bytes, rows[i][0] + j, 1);
		assert_string_equal(whole.text, rows[i][1]);
		assert_string_equal(bytes.text, rows[i][1]);
	}
}

static void test_long_and_odd_lines(void **state)
{
	struct last_line line = { .length = 0 };
	char bytes[3 * LAST_LINE_MAX];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	last_line_add(&line, bytes, sizeof(bytes));
	assert_int_equal(strlen(line.text), LAST_LINE_MAX);
	last_line_add(&line, "\nshort\n", 7);
	assert_string_equal(line.text, "short");
	/* any byte at all, in any order */
	for (int i = 0; i < 100000; i++) {
		char byte = (char)(i * 7919 >> (i % 5));

		last_line_add(&line, &byte, 1);
		assert_true(line.length <= LAST_LINE_MAX && line.text[line.length] == '\0');
		assert_int_equal(strspn(line.text, "\n\r\t\x1b\x7f"), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_domain_in_arguments),
		cmocka_unit_test(test_domain_is_no_pattern),
		cmocka_unit_test(test_last_lines),
		cmocka_unit_test(test_long_and_odd_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
