/* SPDX-License-Identifier: BSD-2-Clause */
/* What a forced state replaces, what it doesn't, and when it is over. */
#include "core/force.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START 1800000000

static struct force given(enum domain_state state)
{
	struct force force = { .state = DOMAIN_NOT_OURS };

	if (state != DOMAIN_NOT_OURS)
		force_give(&force, state, 3600, START);
	return force;
}

static void test_state(void **state)
{
	static const enum domain_state none = DOMAIN_NOT_OURS;
	static const enum domain_state up = DOMAIN_FORCED_UP;
	static const enum domain_state down = DOMAIN_FORCED_DOWN;
	static const struct {
		enum domain_state forced, seen, wanted;
	} cases[] = {
		{ none, DOMAIN_UP, DOMAIN_UP },
		{ none, DOMAIN_SICK, DOMAIN_SICK },
		{ up, DOMAIN_UNKNOWN, DOMAIN_FORCED_UP },
		{ up, DOMAIN_UP, DOMAIN_FORCED_UP },
		{ up, DOMAIN_SICK, DOMAIN_FORCED_UP },
		{ up, DOMAIN_DOWN, DOMAIN_FORCED_UP },
		{ down, DOMAIN_UNKNOWN, DOMAIN_FORCED_DOWN },
		{ down, DOMAIN_UP, DOMAIN_FORCED_DOWN },
		{ down, DOMAIN_SICK, DOMAIN_FORCED_DOWN },
		{ down, DOMAIN_DOWN, DOMAIN_FORCED_DOWN },
		/* whose backup we aren't, stays so */
		{ up, DOMAIN_NOT_BACKUP, DOMAIN_NOT_BACKUP },
		{ down, DOMAIN_NOT_BACKUP, DOMAIN_NOT_BACKUP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct force force = given(cases[i].forced);

		assert_int_equal(force_state(&force, cases[i].seen), cases[i].wanted);
	}
}

/* Forced up replaces the probe, not the MX records. */
static void test_senders(void **state)
{
	struct force none = given(DOMAIN_NOT_OURS);
	struct force up = given(DOMAIN_FORCED_UP);
	struct force down = given(DOMAIN_FORCED_DOWN);

	(void)state;
	assert_true(force_senders_up(&none, true, true));
	assert_false(force_senders_up(&none, true, false));
	assert_true(force_senders_up(&up, true, false));
	assert_false(force_senders_up(&up, false, false));
	assert_true(force_senders_up(&down, true, true));
	assert_false(force_senders_up(&down, true, false));
}

static void test_down_since(void **state)
{
	struct force none = given(DOMAIN_NOT_OURS);
	struct force up = given(DOMAIN_FORCED_UP);
	struct force down = given(DOMAIN_FORCED_DOWN);

	(void)state;
	assert_int_equal(force_down_since(&none, DOMAIN_DOWN, START - 5), START - 5);
	assert_int_equal(force_down_since(&none, DOMAIN_UNKNOWN, START - 5), 0);
	assert_int_equal(force_down_since(&none, DOMAIN_UP, START - 5), 0);
	assert_int_equal(force_down_since(&up, DOMAIN_DOWN, START - 5), 0);
	/* it was down before it was said, or went down later, or never */
	assert_int_equal(force_down_since(&down, DOMAIN_DOWN, START - 5), START - 5);
	assert_int_equal(force_down_since(&down, DOMAIN_DOWN, START + 5), START);
	assert_int_equal(force_down_since(&down, DOMAIN_UP, START - 5), START);
}

static void test_end(void **state)
{
	struct force force = given(DOMAIN_FORCED_DOWN);

	(void)state;
	assert_int_equal(force_seconds_left(&force, START), 3600);
	assert_int_equal(force_seconds_left(&force, START + 3599), 1);
	assert_int_equal(force_seconds_left(&force, START + 3600), 0);
	assert_int_equal(force_seconds_left(&force, START + 999999), 0);
	/* the clock was set back by a year */
	assert_int_equal(force_seconds_left(&force, START - 365 * 86400), 3600);
	force = given(DOMAIN_NOT_OURS);
	assert_int_equal(force_seconds_left(&force, START), 0);
}

static void test_said_again(void **state)
{
	struct force force = given(DOMAIN_FORCED_DOWN);

	(void)state;
	force_give(&force, DOMAIN_FORCED_DOWN, 7200, START + 600);
	assert_int_equal(force.since, START);
	assert_int_equal(force.until, START + 7800);
	assert_int_equal(force_seconds_left(&force, START - 5), 7200);
	force_give(&force, DOMAIN_FORCED_UP, 60, START + 700);
	assert_int_equal(force.since, START + 700);
	assert_int_equal(force.until, START + 760);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state),	   cmocka_unit_test(test_senders),
		cmocka_unit_test(test_down_since), cmocka_unit_test(test_end),
		cmocka_unit_test(test_said_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
