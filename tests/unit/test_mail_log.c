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

static const struct {
	enum mail_log_outcome outcome;
	const char *relay, *status, *line;
} outcomes[] = {
	{ MAIL_LOG_SENT, "mx1.example.test[192.0.2.10]:25",
	  "sent (250 2.0.0 Ok: queued as 12345, status=deferred)",
	  "Nov 23 10:00:00 mx2 postfix/smtp[9]: 4F1A2: to=<jane@example.test>, "
	  "relay=mx1.example.test[192.0.2.10]:25, delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, "
	  "status=sent (250 2.0.0 Ok: queued as 12345, status=deferred)" },
	{ MAIL_LOG_DEFERRED, "none", "deferred (connect to x: Connection refused)",
	  "2026-11-23T10:00:00Z mx2 postfix/relay/smtp[9]: 4F1A2: to=<jane@example.test>, "
	  "relay=none, delay=0.2, dsn=4.4.1, status=deferred (connect to x: Connection refused)" },
	{ MAIL_LOG_BOUNCED, "x[192.0.2.10]:25", "bounced (host x said: 550 no)",
	  "mx2 postfix/smtp[9]: 4F1A2: to=<j@x>, relay=x[192.0.2.10]:25, status=bounced (host x "
	  "said: 550 no)" },
	{ MAIL_LOG_PASSED_ON, "127.0.0.1[127.0.0.1]:10024", "sent (250 2.0.0 Ok: queued as 77)",
	  "mx2 postfix/smtp[9]: 4F1A2: to=<j@x>, relay=127.0.0.1[127.0.0.1]:10024, status=sent "
	  "(250 2.0.0 Ok: queued as 77)" },
	{ MAIL_LOG_NOTHING, "", "", "mx2 postfix/smtp[9]: 4F1A21: to=<j@x>, relay=x, status=sent" },
	{ MAIL_LOG_NOTHING, "", "", "mx2 postfix/smtp[9]: 4F1A: to=<j@x>, relay=x, status=sent" },
	{ MAIL_LOG_NOTHING, "", "", "mx2 postfix/qmgr[9]: 4F1A2: from=<>, size=1, status=sent" },
	{ MAIL_LOG_NOTHING, "", "", "mx2 postfix/qmgr[9]: 4F1A2: removed" },
	{ MAIL_LOG_NOTHING, "", "", "mx2 postfix/x[9]: warning: 4F1A2: to=<j@x>, status=sent" },
	{ MAIL_LOG_NOTHING, "", "", "mx2 postfix/x[9]: 4F1A2: to=<j@x>, relay=x" },
	{ MAIL_LOG_NOTHING, "", "", "" },
	{ MAIL_LOG_SENT, "mx1.example.test. [192.0.2.10]", "Sent (ok queued as 5)",
	  "Nov 23 10:00:00 mx2 sendmail[9]: 4F1A2: to=<j@x>, delay=00:00:01, mailer=relay, "
	  "relay=mx1.example.test. [192.0.2.10], dsn=2.0.0, stat=Sent (ok queued as 5)" },
	{ MAIL_LOG_DEFERRED, "mx1. [192.0.2.10]", "Deferred: Connection refused by mx1.",
	  "mx2 sm-mta[9]: 4F1A2: to=<j@x>, relay=mx1. [192.0.2.10], dsn=4.0.0, stat=Deferred: "
	  "Connection refused by mx1." },
	{ MAIL_LOG_NOTHING, "", "quarantined",
	  "mx2 sm-mta[9]: 4F1A2: to=<j@x>, delay=00:00:00, stat=quarantined" },
	{ MAIL_LOG_BOUNCED, "mx1. [192.0.2.10]", "User unknown",
	  "mx2 sm-mta[9]: 4F1A2: to=<j@x>, relay=mx1. [192.0.2.10], dsn=5.1.1, stat=User unknown" },
};

static void assert_piece(const char *want, struct mail_log_recipient piece)
{
	char got[256];

	snprintf(got, sizeof(got), "%.*s", (int)piece.length, piece.start);
	assert_string_equal(got, want);
}

static void test_outcome_of_one_message(void **state)
{
	struct mail_log_delivery found;

	(void)state;
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		assert_int_equal(mail_log_outcome_of(outcomes[i].line, "4F1A2", &found),
				 outcomes[i].outcome);
		assert_int_equal(mail_log_outcome_of(outcomes[i].line, "", &found),
				 MAIL_LOG_NOTHING);
		if (outcomes[i].outcome == MAIL_LOG_NOTHING)
			continue;
		mail_log_outcome_of(outcomes[i].line, "4F1A2", &found);
		assert_piece(outcomes[i].relay, found.relay);
		assert_piece(outcomes[i].status, found.status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_more_recipients_than_fit),
		cmocka_unit_test(test_outcome_of_one_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
