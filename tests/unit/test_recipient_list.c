/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of recipient lists, from data/recipient_list.table, and what words stand for. */
#include "core/recipient_list.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "table.h"

#define ROWS_MIN 45

static const char *show(const struct recipient_entry *entry, char *buffer, size_t size)
{
	static const char *const names[] = { "none", "address", "local", "catch-all", "malformed" };

	snprintf(buffer, size, "%s%s%s%s%s", names[entry->kind], entry->local[0] != '\0' ? " " : "",
		 entry->local, entry->domain[0] != '\0' ? " " : "", entry->domain);
	return buffer;
}

/* \t, \r and \\ in place. */
static void unescape(char *line)
{
	char *out = line;

	for (; *line != '\0'; line++) {
		if (*line == '\\' && line[1] != '\0') {
			line++;
			*out++ = *line == 't' ? '\t' : *line == 'r' ? '\r' : *line;
		} else {
			*out++ = *line;
		}
	}
	*out = '\0';
}

static void test_table(void **state)
{
	struct recipient_list_reader reader = { .has_value = false };
	FILE *table = table_open("recipient_list.table");
	struct recipient_entry entry;
	char row[1024], shown[512];
	int rows = 0;

	(void)state;
	assert_non_null(table);
	while (fgets(row, sizeof(row), table) != NULL) {
		char *want = row;
		char *line;

		row[strcspn(row, "\n")] = '\0';
		if (row[0] == '\0')
			reader.has_value = false;
		if (strstr(row, " | ") == NULL)
			continue;
		want = strstr(row, " | ");
		*want = '\0';
		want += 3;
		line = row;
		unescape(line);
		recipient_list_read(&reader, line, false, &entry);
		if (strcmp(show(&entry, shown, sizeof(shown)), want) != 0)
			fail_msg("\"%s\" gives \"%s\", not \"%s\"", line, shown, want);
		rows++;
	}
	fclose(table);
	assert_true(rows >= ROWS_MIN);
}

static void assert_first(const char *line, bool cut, enum recipient_entry_kind kind)
{
	struct recipient_list_reader reader = { .has_value = false };
	struct recipient_entry entry;

	recipient_list_read(&reader, line, cut, &entry);
	assert_int_equal(entry.kind, kind);
}

static void test_cut_lines(void **state)
{
	(void)state;
	assert_first("jane@example.test and more", true, RECIPIENT_ENTRY_ADDRESS);
	assert_first("jane@example.te", true, RECIPIENT_ENTRY_MALFORMED);
	assert_first("# comment", true, RECIPIENT_ENTRY_NONE);
}

static void test_long_words(void **state)
{
	char line[2000];

	(void)state;
	memset(line, 'a', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	assert_first(line, false, RECIPIENT_ENTRY_MALFORMED);
	memcpy(line + 64, "@example.test", 14);
	assert_first(line, false, RECIPIENT_ENTRY_ADDRESS);
	memcpy(line + 65, "@example.test", 14);
	line[64] = 'a';
	assert_first(line, false, RECIPIENT_ENTRY_MALFORMED);
}

static void test_names_of_the_domain(void **state)
{
	(void)state;
	assert_true(recipient_word_names_domain("example.test", "example.test"));
	assert_true(recipient_word_names_domain("Example.Test", "example.test"));
	assert_true(recipient_word_names_domain(".example.test", "example.test"));
	assert_true(recipient_word_names_domain("sub.example.test", "example.test"));
	assert_false(recipient_word_names_domain("jane.doe", "example.test"));
	assert_false(recipient_word_names_domain("myexample.test", "example.test"));
	assert_false(recipient_word_names_domain("test", "example.test"));
}

static void assert_strict(const char *word, bool strict)
{
	struct recipient_entry entry;

	recipient_word_read(word, &entry);
	if (recipient_entry_is_strict(&entry) != strict)
		fail_msg("%s is %s strict", word, strict ? "not" : "");
}

static void test_strict(void **state)
{
	(void)state;
	assert_strict("jane@example.test", true);
	assert_strict("jane.doe+x@example.test", true);
	assert_strict("\"jane doe\"@example.test", true);
	assert_strict("a%b@example.test", true);
	assert_strict("a!b@example.test", true);
	assert_strict("ä@example.test", true);
	assert_strict("jane..doe@example.test", false);
	assert_strict(".jane@example.test", false);
	assert_strict("a@b@example.test", false);
	assert_strict("jane doe@example.test", false);
	assert_strict("\xff@example.test", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	   cmocka_unit_test(test_cut_lines),
		cmocka_unit_test(test_long_words), cmocka_unit_test(test_names_of_the_domain),
		cmocka_unit_test(test_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
