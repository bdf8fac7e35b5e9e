/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The opening of an SMTP session, played from scripts: what the host says, and what we do.
 */
#include "core/smtp_dialog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char *our_names[] = { (char *)(uintptr_t) "mx2.example.net" };
static const struct mx_identity self = { our_names, 1, NULL, 0 };

/* Reads one whole reply. */
static struct smtp_reply reply_of(const char *text)
{
	struct smtp_reply_reader reader;
	size_t used;

	smtp_reply_reader_init(&reader);
	assert_int_equal(smtp_reply_feed(&reader, text, strlen(text), &used), SMTP_REPLY_COMPLETE);
	return reader.reply;
}

static void note(char *log, size_t size, const struct smtp_dialog *dialog,
		 enum smtp_dialog_action action)
{
	size_t length = strlen(log);

	switch (action) {
	case SMTP_DIALOG_WAIT:
		break;
	case SMTP_DIALOG_SEND:
		snprintf(log + length, size - length, "%.*s ",
			 (int)strcspn(dialog->command, " \r\n"), dialog->command);
		break;
	case SMTP_DIALOG_START_TLS:
		snprintf(log + length, size - length, "tls ");
		break;
	case SMTP_DIALOG_OPEN:
		snprintf(log + length, size - length, "open");
		break;
	case SMTP_DIALOG_FAILED:
		snprintf(log + length, size - length, "%s", health_reason_name(dialog->reason));
		break;
	}
}

/* Plays replies until the opening is over; a handshake always succeeds. */
static void play(const struct smtp_dialog_plan *plan, const char *const *replies, char *log,
		 size_t size)
{
	struct smtp_dialog dialog;
	enum smtp_dialog_action action;

	log[0] = '\0';
	smtp_dialog_init(&dialog, plan);
	action = smtp_dialog_connected(&dialog);
	note(log, size, &dialog, action);
	while (action != SMTP_DIALOG_OPEN && action != SMTP_DIALOG_FAILED) {
		if (action == SMTP_DIALOG_START_TLS) {
			action = smtp_dialog_tls_done(&dialog);
		} else {
			struct smtp_reply reply;

			if (*replies == NULL)
				return;
			reply = reply_of(*replies++);
			action = smtp_dialog_reply(&dialog, &reply);
		}
		note(log, size, &dialog, action);
	}
}

#define GREETING   "220 mx1.example.test ESMTP\r\n"
#define PLAIN_EHLO "250-mx1.example.test\r\n250 PIPELINING\r\n"
#define TLS_EHLO   "250-mx1.example.test\r\n250-STARTTLS\r\n250 PIPELINING\r\n"

static void test_scripts(void **state)
{
	static const struct {
		const char *what;
		enum health_level level;
		enum smtp_dialog_tls tls;
		const char *replies[8];
		const char *log;
	} cases[] = {
		{ "connect only", HEALTH_LEVEL_CONNECT, SMTP_DIALOG_TLS_NONE, { NULL }, "open" },
		{ "banner only", HEALTH_LEVEL_BANNER, SMTP_DIALOG_TLS_NONE, { GREETING }, "open" },
		{ "the usual",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_NONE,
		  { GREETING, PLAIN_EHLO },
		  "EHLO open" },
		{ "421 banner",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_NONE,
		  { "421 busy\r\n" },
		  "banner-4xx" },
		{ "554 banner",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_NONE,
		  { "554 no\r\n" },
		  "banner-5xx" },
		{ "354 banner",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_NONE,
		  { "354 go\r\n" },
		  "protocol" },
		{ "our own name",
		  HEALTH_LEVEL_BANNER,
		  SMTP_DIALOG_TLS_NONE,
		  { "220 MX2.example.net ESMTP\r\n" },
		  "loop" },
		{ "HELO after 5xx",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_NONE,
		  { GREETING, "502 what?\r\n", "250 mx1\r\n" },
		  "EHLO HELO open" },
		{ "both refused",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_NONE,
		  { GREETING, "550 no\r\n", "550 no\r\n" },
		  "EHLO HELO ehlo-5xx" },
		{ "EHLO 4xx",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_NONE,
		  { GREETING, "450 later\r\n" },
		  "EHLO ehlo-4xx" },
		{ "HELO 4xx",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_NONE,
		  { GREETING, "500 no\r\n", "421 bye\r\n" },
		  "EHLO HELO ehlo-4xx" },
		{ "TLS offered and wanted",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_MAY,
		  { GREETING, TLS_EHLO, "220 go\r\n", PLAIN_EHLO },
		  "EHLO STARTTLS tls EHLO open" },
		{ "TLS not offered, not needed",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_MAY,
		  { GREETING, PLAIN_EHLO },
		  "EHLO open" },
		{ "TLS not offered, but needed",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_MUST,
		  { GREETING, PLAIN_EHLO },
		  "EHLO tls-fail" },
		{ "TLS probe",
		  HEALTH_LEVEL_STARTTLS,
		  SMTP_DIALOG_TLS_NONE,
		  { GREETING, TLS_EHLO, "220 go\r\n", TLS_EHLO },
		  "EHLO STARTTLS tls EHLO open" },
		{ "TLS refused for now, may",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_MAY,
		  { GREETING, TLS_EHLO, "454 not now\r\n" },
		  "EHLO STARTTLS open" },
		{ "TLS refused for now, must",
		  HEALTH_LEVEL_STARTTLS,
		  SMTP_DIALOG_TLS_NONE,
		  { GREETING, TLS_EHLO, "454 not now\r\n" },
		  "EHLO STARTTLS tls-fail" },
		{ "TLS offered, unwanted",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_NONE,
		  { GREETING, TLS_EHLO },
		  "EHLO open" },
		{ "no TLS by HELO",
		  HEALTH_LEVEL_EHLO,
		  SMTP_DIALOG_TLS_MAY,
		  { GREETING, "500 no\r\n", "250-x\r\n250 STARTTLS\r\n" },
		  "EHLO HELO open" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct smtp_dialog_plan plan = { .helo = "mx2.example.net",
						 .level = cases[i].level,
						 .tls = cases[i].tls,
						 .self = &self };
		char log[256];

		play(&plan, cases[i].replies, log, sizeof(log));
		if (strcmp(log, cases[i].log) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", cases[i].what, log, cases[i].log);
	}
}

/* RFC 3207 4.2: what was offered in the clear doesn't count behind TLS. */
static void test_offers_are_read_anew_behind_tls(void **state)
{
	struct smtp_dialog_plan plan = { .helo = "x.test",
					 .level = HEALTH_LEVEL_EHLO,
					 .tls = SMTP_DIALOG_TLS_MAY };
	struct smtp_dialog dialog;
	struct smtp_reply replies[] = { reply_of(GREETING), reply_of(TLS_EHLO),
					reply_of("220 go\r\n"), reply_of("250-x\r\n250 DSN\r\n") };

	(void)state;
	smtp_dialog_init(&dialog, &plan);
	smtp_dialog_connected(&dialog);
	smtp_dialog_reply(&dialog, &replies[0]);
	smtp_dialog_reply(&dialog, &replies[1]);
	assert_true(dialog.offers_pipelining);
	smtp_dialog_reply(&dialog, &replies[2]);
	smtp_dialog_tls_done(&dialog);
	smtp_dialog_reply(&dialog, &replies[3]);
	assert_true(dialog.secure);
	assert_false(dialog.offers_pipelining);
	assert_true(dialog.offers_dsn);
}

/* An answer to HELO has no keywords, whatever stands in it. */
static void test_offers_of_a_mail(void **state)
{
	static const char offers[] = "250-x\r\n250-8BITMIME\r\n250 SIZE 10240000\r\n";
	static const struct {
		const char *replies[3];
		bool has_8bitmime, has_size;
		unsigned long long limit;
	} cases[] = {
		{ { offers }, true, true, 10240000 },
		{ { "250-x\r\n250 SIZE\r\n" }, false, true, 0 },
		{ { "250-x\r\n250-SIZE 0\r\n250 8bitmime\r\n" }, true, true, 0 },
		{ { "250 x\r\n" }, false, false, 0 },
		{ { "500 what?\r\n", offers }, false, false, 0 },
	};
	struct smtp_dialog_plan plan = { .helo = "x.test", .level = HEALTH_LEVEL_EHLO };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct smtp_dialog dialog;
		struct smtp_reply reply = reply_of(GREETING);

		smtp_dialog_init(&dialog, &plan);
		smtp_dialog_connected(&dialog);
		smtp_dialog_reply(&dialog, &reply);
		for (size_t j = 0; cases[i].replies[j] != NULL; j++) {
			reply = reply_of(cases[i].replies[j]);
			smtp_dialog_reply(&dialog, &reply);
		}
		assert_int_equal(dialog.stage, SMTP_DIALOG_AT_OPEN);
		assert_int_equal(dialog.offers_8bitmime, cases[i].has_8bitmime);
		assert_int_equal(dialog.offers_size, cases[i].has_size);
		assert_int_equal(dialog.size_limit, cases[i].limit);
	}
}

static void test_commands_are_bounded_and_clean(void **state)
{
	char name[2000];
	struct smtp_dialog_plan plan = { .helo = name, .level = HEALTH_LEVEL_EHLO };
	struct smtp_dialog dialog;
	struct smtp_reply greeting = reply_of(GREETING);

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	name[3] = '\n';
	smtp_dialog_init(&dialog, &plan);
	smtp_dialog_connected(&dialog);
	assert_int_equal(smtp_dialog_reply(&dialog, &greeting), SMTP_DIALOG_SEND);
	assert_true(strlen(dialog.command) < sizeof(dialog.command));
	assert_memory_equal(dialog.command, "EHLO xxx?", 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_offers_are_read_anew_behind_tls),
		cmocka_unit_test(test_offers_of_a_mail),
		cmocka_unit_test(test_commands_are_bounded_and_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
