/* SPDX-License-Identifier: BSD-2-Clause */
/* How often a change is told: at once, and yet not of everything that flaps. */
#include "core/damping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MINUTE_MS 60000LL

enum { UP, DOWN, SICK };

/* Tells if it may. Returns the changes left out, or -1: nothing was told. */
static int look(struct damping *damping, int64_t now_ms)
{
	if (!damping_wants(damping) || damping_wait_ms(damping, now_ms) > 0)
		return -1;
	return (int)damping_tell(damping, now_ms);
}

static void test_each_change_once(void **state)
{
	struct damping damping;
	int64_t now = 5;

	(void)state;
	damping_init(&damping, UP);
	assert_int_equal(look(&damping, now), -1);
	for (int i = 0; i < 20; i++, now += 11 * MINUTE_MS) {
		damping_change(&damping, i % 2 == 0 ? DOWN : UP);
		assert_int_equal(look(&damping, now), 0);
		assert_int_equal(look(&damping, now), -1);
		assert_int_equal(look(&damping, now + 1000 * MINUTE_MS), -1);
	}
}

/* The same state again is no change. */
static void test_no_change(void **state)
{
	struct damping damping;

	(void)state;
	damping_init(&damping, DOWN);
	damping_change(&damping, DOWN);
	assert_false(damping_wants(&damping));
	damping_change(&damping, UP);
	damping_change(&damping, UP);
	assert_int_equal(look(&damping, 5), 0);
}

/* An outage that ends at once needs no notice, where none was sent. */
static void test_back_before_it_was_told(void **state)
{
	struct damping damping;

	(void)state;
	damping_init(&damping, UP);
	damping_change(&damping, DOWN);
	damping_change(&damping, UP);
	assert_false(damping_wants(&damping));
	/* but the next one says that it was there */
	damping_change(&damping, SICK);
	assert_int_equal(look(&damping, 5), 2);
}

static void test_flaps(void **state)
{
	struct damping damping;
	int64_t now = 1000000;
	int told = 0, left_out = 0, changes = 0;

	(void)state;
	damping_init(&damping, UP);
	/* an hour, with a change every 20 seconds */
	for (int i = 0; i < 180; i++, now += MINUTE_MS / 3) {
		int result;

		damping_change(&damping, i % 2 == 0 ? DOWN : UP);
		changes++;
		result = look(&damping, now);
		if (i < 4)
			assert_int_equal(result, 0);
		if (result >= 0) {
			told++;
			left_out += result;
		}
	}
	assert_in_range(told, 4 + 3, 4 + 6);
	/* it settles: what was not told is, when its time comes, and then nothing more */
	damping_change(&damping, SICK);
	changes++;
	assert_in_range(damping_wait_ms(&damping, now), 0, 10 * MINUTE_MS);
	now += damping_wait_ms(&damping, now);
	assert_int_equal(damping_wait_ms(&damping, now), 0);
	left_out += look(&damping, now);
	told++;
	assert_int_equal(told + left_out, changes);
	assert_int_equal(look(&damping, now + 1000 * MINUTE_MS), -1);
}

static void test_quiet_is_forgiving(void **state)
{
	struct damping damping;
	int64_t now = 7;

	(void)state;
	damping_init(&damping, UP);
	for (int i = 0; i < 4; i++) {
		damping_change(&damping, i % 2 == 0 ? DOWN : UP);
		assert_int_equal(look(&damping, now), 0);
	}
	damping_change(&damping, DOWN);
	assert_int_equal(look(&damping, now + 10 * MINUTE_MS - 1), -1);
	assert_int_equal(look(&damping, now + 10 * MINUTE_MS), 0);
	now += 60 * MINUTE_MS;
	for (int i = 0; i < 4; i++) {
		damping_change(&damping, i % 2 == 0 ? UP : DOWN);
		assert_int_equal(look(&damping, now), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_change_once),	cmocka_unit_test(test_no_change),
		cmocka_unit_test(test_back_before_it_was_told), cmocka_unit_test(test_flaps),
		cmocka_unit_test(test_quiet_is_forgiving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
