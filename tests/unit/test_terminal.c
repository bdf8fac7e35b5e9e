/* SPDX-License-Identifier: BSD-2-Clause */
/* What people read fits the terminal, whatever it says. */
#include "ctl/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct page {
	struct terminal terminal;
	char *text;
	size_t length;
};

static void page_open(struct page *page, unsigned width, bool colour)
{
	*page = (struct page){ .terminal = { .width = width, .colour = colour } };
	page->terminal.out = open_memstream(&page->text, &page->length);
	assert_non_null(page->terminal.out);
}

static void page_expect(struct page *page, const char *expected)
{
	assert_int_equal(fclose(page->terminal.out), 0);
	assert_string_equal(page->text, expected);
	free(page->text);
}

static size_t longest_line(const char *text)
{
	size_t longest = 0;

	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		longest = length > longest ? length : longest;
		text += length + (text[length] == '\n');
	}
	return longest;
}

static void test_shorten(void **state)
{
	static const struct {
		const char *text;
		unsigned width;
		const char *expected;
	} rows[] = {
		{ "example.org", 20, "example.org" },
		{ "example.org", 11, "example.org" },
		{ "example.org", 10, "exa....org" },
		{ "a-very-long-name.of-somebody.example.org", 20, "a-very-l...ample.org" },
		{ "example.org", 8, "ex...org" },
		{ "example.org", 5, "examp" },
		{ "example.org", 0, "" },
		{ "\033[2J\xc3\xa4", 10, "?[2J??" },
		{ "", 5, "" },
	};
	char buffer[64];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(
			terminal_shorten(rows[i].text, rows[i].width, buffer, sizeof(buffer)),
			rows[i].expected);
}

static void test_paragraph(void **state)
{
	struct page page;

	(void)state;
	page_open(&page, 20, false);
	terminal_paragraph(&page.terminal, "  - ", "one two three four five\nsix");
	page_expect(&page, "  - one two three\n    four five\n    six\n");

	page_open(&page, 20, false);
	terminal_paragraph(&page.terminal, "", "0123456789012345678901234 x");
	page_expect(&page, "01234567890123456789\n01234 x\n");

	page_open(&page, 20, false);
	terminal_paragraph(&page.terminal, "", "exactly twenty chars and more");
	page_expect(&page, "exactly twenty chars\nand more\n");

	page_open(&page, 20, false);
	terminal_paragraph(&page.terminal, "", "");
	page_expect(&page, "\n");
}

static void test_field(void **state)
{
	struct page page;

	(void)state;
	page_open(&page, 24, true);
	terminal_field(&page.terminal, 10, "state", TERMINAL_GOOD, "up since Monday noon");
	page_expect(&page, "  state   \033[32mup since\n          Monday noon\033[0m\n");

	page_open(&page, 40, false);
	terminal_field(&page.terminal, 6, "longlabel", TERMINAL_BAD, "\033[2J");
	page_expect(&page, "  longlabel ?[2J\n");
}

static const struct terminal_column columns[] = {
	{ .title = "DOMAIN", .least = 10 },
	{ .title = "N", .right = true },
	{ .title = "REASON" },
};

static void test_table(void **state)
{
	struct page page;
	struct terminal_table *table = terminal_table_new(columns, COUNT(columns));

	(void)state;
	terminal_table_add(table, TERMINAL_PLAIN, "up.test");
	terminal_table_add_format(table, TERMINAL_PLAIN, "%d", 1);
	terminal_table_add(table, TERMINAL_PLAIN, "ok");
	terminal_table_add(table, TERMINAL_PLAIN, "a-long-name.example.org");
	terminal_table_add_format(table, TERMINAL_PLAIN, "%d", 1000);
	terminal_table_add(table, TERMINAL_PLAIN, "");

	page_open(&page, 60, false);
	terminal_table_print(table, &page.terminal, 0);
	page_expect(&page, "DOMAIN                      N  REASON\n"
			   "up.test                     1  ok\n"
			   "a-long-name.example.org  1000\n");

	page_open(&page, 26, false);
	terminal_table_print(table, &page.terminal, 2);
	page_expect(&page, "  DOMAIN         N  REASON\n"
			   "  up.test        1  ok\n"
			   "  a-l....org  1000\n");
	terminal_table_free(table);
}

static void test_table_without_titles_in_colours(void **state)
{
	static const struct terminal_column bare[] = { { .least = 0 }, { .least = 0 } };
	struct terminal_table *table = terminal_table_new(bare, COUNT(bare));
	struct page page;

	(void)state;
	terminal_table_add(table, TERMINAL_PLAIN, "x");
	terminal_table_add(table, TERMINAL_BAD, "down");
	page_open(&page, 60, true);
	terminal_table_print(table, &page.terminal, 1);
	page_expect(&page, " x  \033[1;31mdown\033[0m\n");
	terminal_table_free(table);
	terminal_table_free(NULL);
}

/* Names of any length leave the table within the width. */
static void test_table_fits(void **state)
{
	(void)state;
	for (unsigned length = 1; length <= 255; length += 7) {
		struct terminal_table *table = terminal_table_new(columns, COUNT(columns));
		char name[256];
		struct page page;

		memset(name, 'n', length);
		name[length] = '\0';
		terminal_table_add(table, TERMINAL_PLAIN, name);
		terminal_table_add(table, TERMINAL_PLAIN, "12345");
		terminal_table_add(table, TERMINAL_PLAIN, "canary-refused");
		page_open(&page, 80, false);
		terminal_table_print(table, &page.terminal, 0);
		fflush(page.terminal.out);
		assert_true(longest_line(page.text) <= 80);
		fclose(page.terminal.out);
		free(page.text);
		terminal_table_free(table);
	}
}

/* No terminal here: 80 columns and no colour, unless COLUMNS says otherwise. */
static void test_init(void **state)
{
	static const struct {
		const char *columns;
		unsigned width;
	} rows[] = { { "", 80 },   { "100", 100 }, { "1", TERMINAL_WIDTH_MIN },
		     { "-5", 80 }, { "wide", 80 }, { "99999", TERMINAL_WIDTH_MAX } };
	struct terminal terminal;
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	setenv("TERM", "xterm", 1);
	for (size_t i = 0; i < COUNT(rows); i++) {
		setenv("COLUMNS", rows[i].columns, 1);
		terminal_init(&terminal, file);
		assert_int_equal(terminal.width, rows[i].width);
		assert_false(terminal.colour);
	}
	unsetenv("COLUMNS");
	terminal_init(&terminal, file);
	assert_int_equal(terminal.width, TERMINAL_WIDTH_DEFAULT);
	fclose(file);
}

static void test_tones(void **state)
{
	(void)state;
	assert_int_equal(terminal_tone_of_state("up"), TERMINAL_GOOD);
	assert_int_equal(terminal_tone_of_state("forced-down"), TERMINAL_BAD);
	assert_int_equal(terminal_tone_of_state("a new word"), TERMINAL_PLAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shorten),
		cmocka_unit_test(test_paragraph),
		cmocka_unit_test(test_field),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_without_titles_in_colours),
		cmocka_unit_test(test_table_fits),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_tones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
