/* SPDX-License-Identifier: BSD-2-Clause */
/* Token buckets: so many in so much time. */
#include "core/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_burst_then_steady(void **state)
{
	struct budget budget = { 0 };
	int64_t now = 1000000;
	int taken = 0;

	(void)state;
	for (int i = 0; i < 50; i++)
		taken += budget_take(&budget, 10, 1000, now);
	assert_int_equal(taken, 10);
	assert_false(budget_has(&budget, 10, 1000, now + 99));
	assert_true(budget_has(&budget, 10, 1000, now + 100));
	for (int ms = 1; ms <= 10000; ms++)
		taken += budget_take(&budget, 10, 1000, now + ms);
	assert_int_equal(taken, 10 + 100);
}

static void test_full_again(void **state)
{
	struct budget budget = { 0 };

	(void)state;
	assert_true(budget_is_full(&budget, 60, 5));
	assert_true(budget_take(&budget, 60, 600000, 5));
	assert_false(budget_is_full(&budget, 60, 5));
	assert_false(budget_is_full(&budget, 60, 5 + 9999));
	assert_true(budget_is_full(&budget, 60, 5 + 10000));
}

static void test_asking_takes_nothing(void **state)
{
	struct budget budget = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_true(budget_has(&budget, 1, 1000, 7));
	assert_true(budget_take(&budget, 1, 1000, 7));
	assert_false(budget_take(&budget, 1, 1000, 7));
}

static void test_what_is_owed_has_to_come_back(void **state)
{
	struct budget budget = { 0 };

	(void)state;
	for (int i = 0; i < 15; i++)
		budget_charge(&budget, 10, 1000, 7);
	assert_false(budget_has(&budget, 10, 1000, 7 + 599));
	assert_true(budget_has(&budget, 10, 1000, 7 + 600));
	assert_false(budget_is_full(&budget, 10, 7 + 1499));
	assert_true(budget_is_full(&budget, 10, 7 + 1500));
}

static void test_years_of_uptime(void **state)
{
	struct budget budget = { 0 };
	const int64_t allowed = INT32_MAX;
	const int64_t ten_years = 10LL * 365 * 86400 * 1000;

	(void)state;
	assert_true(budget_take(&budget, allowed, 600000, 5));
	assert_true(budget_take(&budget, allowed, 600000, 5 + ten_years));
	assert_true(budget_has(&budget, allowed, 600000, 5 + 2 * ten_years));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_then_steady),
		cmocka_unit_test(test_full_again),
		cmocka_unit_test(test_asking_takes_nothing),
		cmocka_unit_test(test_what_is_owed_has_to_come_back),
		cmocka_unit_test(test_years_of_uptime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
