/* SPDX-License-Identifier: BSD-2-Clause */
/* The times at which a greylisted recipient is asked about again. */
#include "core/reask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define START  123456789LL
#define MINUTE 60000LL

static void test_times(void **state)
{
	struct reask reask;

	(void)state;
	reask_begin(&reask, START);
	assert_false(reask_is_over(&reask));
	assert_int_equal(reask_due_ms(&reask), START + 6 * MINUTE);
	/* counted from the first 4xx, however late the question went out */
	reask_asked(&reask, START + 9 * MINUTE);
	assert_false(reask_is_over(&reask));
	assert_int_equal(reask_due_ms(&reask), START + 30 * MINUTE);
	reask_asked(&reask, START + 30 * MINUTE);
	assert_true(reask_is_over(&reask));
}

/* A question that waited for its turn until the second time had come is asked once, not twice. */
static void test_late(void **state)
{
	struct reask reask;

	(void)state;
	reask_begin(&reask, START);
	reask_asked(&reask, START + 30 * MINUTE);
	assert_true(reask_is_over(&reask));
	reask_begin(&reask, START + 60 * MINUTE);
	assert_int_equal(reask_due_ms(&reask), START + 66 * MINUTE);
	reask_asked(&reask, START + 90 * MINUTE - 1);
	assert_false(reask_is_over(&reask));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
