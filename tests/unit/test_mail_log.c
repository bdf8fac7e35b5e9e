/* SPDX-License-Identifier: BSD-2-Clause */
/* Which lines of a mail log prove a delivery, and to whom: data/mail_log.table. */
#include "core/mail_log.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "table.h"

#define ROWS_MIN 60

static const char *const format_names[] = {
	[MAIL_LOG_NONE] = "none",
	[MAIL_LOG_POSTFIX] = "postfix",
	[MAIL_LOG_SENDMAIL] = "sendmail",
	[MAIL_LOG_EXIM] = "exim",
};

static void assert_reads(const char *line, enum mail_log_format format, const char *want)
{
	struct mail_log_line found;
	char got[1024];
	TEXT_ON(text, got);

	mail_log_read(line, format, &found);
	for (size_t i = 0; i < found.count; i++)
		text_add_format(&text, "%s%.*s", i > 0 ? " " : "", (int)found.recipients[i].length,
				found.recipients[i].start);
	if (strcmp(got[0] != '\0' ? got : "-", want) != 0)
		fail_msg("as %s gives \"%s\", not \"%s\": %s", format_names[format], got, want,
			 line);
}

static void check_row(char *row)
{
	char *rest = row;
	const char *format = table_field(&rest);
	const char *want = table_field(&rest);
	enum mail_log_format found = mail_log_format_of(rest);

	if (strcmp(format_names[found], format) != 0)
		fail_msg("format %s, not %s: %s", format_names[found], format, rest);
	assert_reads(rest, found, want);
	assert_reads(rest, MAIL_LOG_NONE, want);
	/* another format's eyes see nothing in it, least of all somebody else */
	assert_reads(rest, found == MAIL_LOG_EXIM ? MAIL_LOG_POSTFIX : MAIL_LOG_EXIM, "-");
}

static void test_table(void **state)
{
	FILE *table = table_open("mail_log.table");
	char row[2048];
	int rows = 0;

	(void)state;
	assert_non_null(table);
	while (fgets(row, sizeof(row), table) != NULL) {
		row[strcspn(row, "\n")] = '\0';
		if (row[0] == '#' || row[0] == '\0')
			continue;
		check_row(row);
		rows++;
	}
	fclose(table);
	assert_true(rows >= ROWS_MIN);
}

static void test_more_recipients_than_fit(void **state)
{
	struct mail_log_line found;
	char line[4096];
	TEXT_ON(text, line);

	(void)state;
	text_add(&text, "Nov 23 10:00:00 mx1 sendmail[1]: uANA: to=<a@x>");
	for (int i = 0; i < 40; i++)
		text_add_format(&text, ",<a%d@x>", i);
	text_add(&text, ", delay=00:00:01, stat=Sent");
	mail_log_read(line, MAIL_LOG_NONE, &found);
	assert_int_equal(found.count, MAIL_LOG_RECIPIENTS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_more_recipients_than_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
