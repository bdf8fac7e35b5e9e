/* SPDX-License-Identifier: BSD-2-Clause */
/* What Sendmail prints, as the facts of a check: its debug output, traces, durations; and garbage.
 */
#include "check/sendmail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"

static void test_durations(void **state)
{
	static const struct {
		const char *word;
		int64_t seconds;
	} table[] = {
		{ "5d", 432000 },   { "1w", 604800 }, { "1d12h", 129600 }, { "1h30m", 5400 },
		{ "90s", 90 },	    { "15", 900 },    { "1H", 3600 },	   { "0", 0 },
		{ "1h30", 5400 },   { "", -1 },	      { "now", -1 },	   { "5x", -1 },
		{ "5d ", -1 },	    { "-5d", -1 },    { "5d-", -1 },	   { "99999999999d", -1 },
		{ "\xff\xff", -1 }, { "1h\xff", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(sendmail_duration(table[i].word), table[i].seconds);
}

static void test_results(void **state)
{
	struct sendmail_result result;

	(void)state;
	sendmail_result_read(
		"> parse              input: x < @ example . test . >\n"
		"Parse1           returns: $# local $: x\n"
		"parse            returns: $# esmtp $@ example . test . $: x < @ e >\n> ",
		&result);
	assert_string_equal(result.mailer, "esmtp");
	assert_string_equal(result.host, "example.test");

	sendmail_result_read(
		"check_rcpt returns: $# error $@ 5 . 7 . 1 $: \"550 Relaying denied\"\n", &result);
	assert_string_equal(result.mailer, "error");
	assert_string_equal(result.host, "5.7.1");
	assert_string_equal(result.text, "550 Relaying denied");

	sendmail_result_read("check_rcpt returns: RELAY", &result);
	assert_string_equal(result.words, "RELAY");
	assert_string_equal(result.mailer, "");

	sendmail_result_read("D  input: < x >\nhash map \"access\": unsafe map file "
			     "/etc/mail/access.db: Permission\x01 denied\nD returns: < x >\n",
			     &result);
	assert_string_equal(result.trouble, "hash map \"access\": unsafe map file "
					    "/etc/mail/access.db: Permission? denied");

	sendmail_result_read("Undefined ruleset check_etrn\n", &result);
	assert_string_equal(result.words, "");
	sendmail_result_read("", &result);
	assert_string_equal(result.words, "");
	sendmail_result_read("x returns: $#", &result);
	assert_string_equal(result.mailer, "");
	sendmail_result_read("x returns: $# smtp $: b $@ a", &result);
	assert_string_equal(result.host, "");
}

/* The parser writes into what it reads, as strsep() does. */
static struct sendmail *read_debug(const char *output)
{
	struct sendmail *sendmail = memory_alloc(sizeof(*sendmail));
	char *copy = memory_string(output);

	sendmail_read_debug(sendmail, copy);
	free(copy);
	return sendmail;
}

static void forget(struct sendmail *sendmail)
{
	for (size_t i = 0; i < sendmail->daemon_count; i++)
		sendmail_names_fini(&sendmail->daemons[i].filters);
	free(sendmail->daemons);
	free(sendmail->filters);
	sendmail_names_fini(&sendmail->input_filters);
	free(sendmail);
}

static void test_debug_output(void **state)
{
	struct sendmail *sendmail = read_debug(
		"Version 8.17.1.9\n"
		" Compiled with: DNSMAP\n\t\tLOG MATCHGECOS MILTER\n"
		"     Conf file:\t/etc/mail/submit.cf (default for MSP)\n"
		"     Conf file:\t/etc/mail/other.cf (selected)\n"
		"      Pid file:\t/run/sendmail.pid (selected)\n"
		"setoption DaemonPortOptions (O)=Name=MTA, Family=inet , Addr=127.0.0.1 (unsafe)\n"
		"Daemon MTA flags: \n"
		"setoption DaemonPortOptions (O)=Port=587,Name=MSA, M=Ea, InputFilter= a; b\n"
		"setoption PrivacyOptions (p)=authwarnings, NoETRN\n"
		"setoption InputMailFilters (0xbb)=one, two;three\n"
		"setoption Timeout (r).queuewarn=4h\n"
		"setoption Timeout (r).queuereturn=2d\n"
		"Xone: C=30\nXone: R=30\n"
		"/etc/mail/other.cf: line 7: what is this?\n"
		"/etc/mail/other.cf: line 9: and this?\n");

	(void)state;
	assert_string_equal(sendmail->version, "8.17.1.9");
	assert_true(sendmail->knows_milters);
	assert_string_equal(sendmail->cf, "/etc/mail/other.cf");
	assert_string_equal(sendmail->pid_file, "/run/sendmail.pid");
	assert_int_equal(sendmail->daemon_count, 2);
	assert_string_equal(sendmail->daemons[0].address, "127.0.0.1");
	assert_string_equal(sendmail->daemons[0].port, "smtp");
	assert_false(sendmail->daemons[0].has_filters);
	assert_string_equal(sendmail->daemons[1].modifiers, "Ea");
	assert_true(sendmail->daemons[1].has_filters);
	assert_true(sendmail_names_have(&sendmail->daemons[1].filters, "b"));
	assert_string_equal(sendmail->privacy, ",authwarnings,noetrn,");
	assert_int_equal(sendmail->input_filters.count, 3);
	assert_int_equal(sendmail->queue_return, 2 * 24 * 3600);
	assert_int_equal(sendmail_filter_find(sendmail, "one")->reply_seconds, 30);
	assert_string_equal(sendmail->complaint, "/etc/mail/other.cf: line 7: what is this?");
	forget(sendmail);
}

static void test_nothing_and_garbage(void **state)
{
	static const char *const outputs[] = {
		"",
		"\n\n",
		"setoption ",
		"setoption =",
		"setoption (O)=",
		"setoption DaemonPortOptions (O)=",
		"setoption DaemonPortOptions (O)=,,=,I,N=,;",
		"setoption DaemonPortOptions (O",
		"setoption PrivacyOptions (p)=",
		"setoption InputMailFilters (=,,;",
		"setoption Timeout (r).queuereturn=\xff",
		"X: R=\nX: R=99999999999999999999\nX",
		"Conf file: (selected)",
		"Version \x1b[2J",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
		struct sendmail *sendmail = read_debug(outputs[i]);

		assert_true(sendmail->daemon_count > 0);
		assert_null(strchr(sendmail->version, '\x1b'));
		forget(sendmail);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_debug_output),
		cmocka_unit_test(test_nothing_and_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
