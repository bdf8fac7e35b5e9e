/* SPDX-License-Identifier: BSD-2-Clause */
/* When a sender who comes back is let in (promise P4). Attempts are given as minutes. */
#include "core/persistent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define START	 1700000000LL
#define HOURS(n) ((n)*60)

static const struct persistent_rules rules = { .attempts = 3, .after = 20 * 60 };

/* Feeds attempts (minutes, closed by -1) and returns the index of the one that is let in; -1: none.
 */
static int let_in_at(const int *minutes)
{
	struct persistent_row row = { .first = 0 };

	for (int i = 0; minutes[i] >= 0; i++)
		if (persistent_row_feed(&row, &rules, START + minutes[i] * 60))
			return i;
	return -1;
}

static void test_attempts(void **state)
{
	static const struct {
		const char *what;
		int minutes[16];
		int let_in;
	} cases[] = {
		{ "three over twenty minutes", { 0, 10, 20, -1 }, 2 },
		{ "three within nineteen are too fast", { 0, 10, 19, -1 }, -1 },
		{ "and the fourth makes it", { 0, 10, 19, 20, -1 }, 3 },
		{ "two are too few, however long", { 0, 600, -1 }, -1 },
		{ "a usual queue's back-off", { 0, 5, 15, 35, -1 }, 3 },
		{ "hammering counts once each third of ten minutes",
		  { 0, 1, 1, 2, 2, 3, 3, -1 },
		  -1 },
		{ "hammering all the time comes to it in twenty minutes",
		  { 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, -1 },
		  10 },
		{ "after 36 hours it starts anew",
		  { 0, 10, 10 + HOURS(36), 20 + HOURS(36), -1 },
		  -1 },
		{ "a day between attempts is patience", { 0, HOURS(24), HOURS(48), -1 }, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int at = let_in_at(cases[i].minutes);

		if (at != cases[i].let_in)
			fail_msg("%s: let in at %d, not %d", cases[i].what, at, cases[i].let_in);
	}
}

static void test_standing_lasts(void **state)
{
	struct persistent_row row = { .first = 0 };
	int64_t became = START + 20 * 60;

	(void)state;
	persistent_row_feed(&row, &rules, START);
	persistent_row_feed(&row, &rules, START + 10 * 60);
	assert_false(persistent_row_holds(&row, START + 10 * 60));
	assert_true(persistent_row_feed(&row, &rules, became));
	assert_true(persistent_row_holds(&row, became + 3600));
	assert_false(persistent_row_is_long(&row, became + 4 * 3600 - 1));
	assert_true(persistent_row_is_long(&row, became + 4 * 3600));
	assert_true(persistent_row_holds(&row, became + 36 * 3600 - 1));
	assert_false(persistent_row_holds(&row, became + 36 * 3600));
}

static void test_clock_that_went_back(void **state)
{
	struct persistent_row row = { .first = 0 };

	(void)state;
	for (int minute = 0; minute <= 40; minute += 10)
		persistent_row_feed(&row, &rules, START + minute * 60);
	assert_true(persistent_row_forgotten(&row, START));
	assert_false(persistent_row_feed(&row, &rules, START));
	assert_int_equal(row.attempts, 1);
}

static void test_one_attempt_rules(void **state)
{
	static const struct persistent_rules at_once = { .attempts = 1, .after = 1 };
	struct persistent_row row = { .first = 0 };

	(void)state;
	assert_false(persistent_row_feed(&row, &at_once, START));
	assert_true(persistent_row_feed(&row, &at_once, START + 1));
}

static void test_client_identity(void **state)
{
	static const struct {
		const char *name, *ip, *identity;
	} cases[] = {
		{ "mail-ej1-f54.google.com", "209.85.218.54", "google.com" },
		{ "MAIL-EJ1-F99.Google.com", "209.85.218.99", "google.com" },
		{ "mx.example.test", "192.0.2.7", "example.test" },
		{ "example.test", "192.0.2.7", "192.0.2.0/24" },
		{ "", "192.0.2.7", "192.0.2.0/24" },
		{ "localhost", "192.0.2.200", "192.0.2.0/24" },
		{ "", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
		{ "a.b.c.d.test", "192.0.2.7", "b.c.d.test" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char identity[PERSISTENT_IDENTITY_MAX];
		struct ip ip;

		assert_true(ip_parse(cases[i].ip, &ip));
		persistent_client_identity(cases[i].name, &ip, identity, sizeof(identity));
		assert_string_equal(identity, cases[i].identity);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attempts),
		cmocka_unit_test(test_standing_lasts),
		cmocka_unit_test(test_clock_that_went_back),
		cmocka_unit_test(test_one_attempt_rules),
		cmocka_unit_test(test_client_identity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
