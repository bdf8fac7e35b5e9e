/* SPDX-License-Identifier: BSD-2-Clause */
/* The sums of a day, their shares, and their record. */
#include "core/availability.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DAY 86400000LL

static void test_as_what_a_moment_counts(void **state)
{
	(void)state;
	assert_int_equal(availability_of(DOMAIN_UP, false), AVAILABILITY_UP);
	assert_int_equal(availability_of(DOMAIN_DOWN, false), AVAILABILITY_DOWN);
	assert_int_equal(availability_of(DOMAIN_SICK, false), AVAILABILITY_SICK);
	assert_int_equal(availability_of(DOMAIN_UP, true), AVAILABILITY_ISOLATED);
	assert_int_equal(availability_of(DOMAIN_DOWN, true), AVAILABILITY_ISOLATED);
	assert_int_equal(availability_of(DOMAIN_UNKNOWN, false), AVAILABILITY_UNOBSERVED);
	assert_int_equal(availability_of(DOMAIN_UNKNOWN, true), AVAILABILITY_UNOBSERVED);
	assert_int_equal(availability_of(DOMAIN_NOT_BACKUP, false), AVAILABILITY_UNOBSERVED);
}

static void test_midnight(void **state)
{
	(void)state;
	assert_int_equal(availability_day_of(0), 0);
	assert_int_equal(availability_day_of(86399), 0);
	assert_int_equal(availability_day_of(86400), 1);
	assert_int_equal(availability_ms_of_day(5 * DAY + 4000, 3000), 3000);
	assert_int_equal(availability_ms_of_day(5 * DAY + 4000, 4000), 4000);
	assert_int_equal(availability_ms_of_day(5 * DAY + 4000, 10000), 4000);
	assert_int_equal(availability_ms_of_day(5 * DAY, 10000), 0);
}

static void test_moving(void **state)
{
	struct availability_day day = { .ms = { [AVAILABILITY_UP] = 5000 } };

	(void)state;
	availability_move(&day, AVAILABILITY_UP, AVAILABILITY_DOWN, 2000);
	assert_int_equal(day.ms[AVAILABILITY_UP], 3000);
	assert_int_equal(day.ms[AVAILABILITY_DOWN], 2000);
	availability_move(&day, AVAILABILITY_UP, AVAILABILITY_DOWN, -1);
	assert_int_equal(day.ms[AVAILABILITY_UP], 3000);
	availability_move(&day, AVAILABILITY_UP, AVAILABILITY_SICK, 9000);
	assert_int_equal(day.ms[AVAILABILITY_UP], 0);
	assert_int_equal(day.ms[AVAILABILITY_SICK], 3000);
}

static double share(int64_t up, int64_t down, int64_t sick, int64_t isolated)
{
	struct availability_day sum = { .ms = { up, down, sick, isolated } };

	return availability_share(&sum);
}

static int millionths(double number)
{
	return (int)(number * 1e6 + 0.5);
}

static void test_shares(void **state)
{
	(void)state;
	assert_true(share(0, 0, 0, 0) < 0);
	assert_true(share(0, 0, 0, DAY) < 0);
	assert_int_equal(millionths(share(DAY, 0, 0, DAY)), 1000000);
	assert_int_equal(millionths(share(0, 1, 0, 0)), 0);
	assert_int_equal(millionths(share(1, 1, 2, 99)), 250000);
	/* a second in ten years is not nothing */
	assert_true(share(3650 * DAY, 1000, 0, 0) < 1);
	assert_int_equal(millionths(share(2, 1, 0, 0)), 666666);
}

static void test_coverage(void **state)
{
	struct availability_day sum = { .asked = 0 };

	(void)state;
	assert_true(availability_coverage(&sum) < 0);
	sum = (struct availability_day){ .asked = 3, .known = 2 };
	assert_int_equal(millionths(availability_coverage(&sum)), 667000);
	sum = (struct availability_day){ .asked = 3, .known = 4 };
	assert_int_equal(millionths(availability_coverage(&sum)), 1000000);
	sum = (struct availability_day){ .asked = 3, .known = 0 };
	assert_int_equal(millionths(availability_coverage(&sum)), 0);
	sum = (struct availability_day){ .asked = UINT64_C(1) << 60, .known = UINT64_C(1) << 60 };
	assert_int_equal(millionths(availability_coverage(&sum)), 1000000);
}

static void test_record(void **state)
{
	struct availability_day day = {
		.day = 20000, .ms = { 1, 86399999, 3, 4 }, .asked = 70000, .known = 69999
	};
	struct availability_day read = { .day = 20000 };
	unsigned char bytes[AVAILABILITY_RECORD_SIZE];

	(void)state;
	for (int anew = 0; anew < 2; anew++) {
		day.anew = anew;
		availability_write(&day, bytes);
		assert_true(availability_read(&read, bytes, sizeof(bytes)));
		assert_int_equal(read.day, 20000);
		assert_memory_equal(read.ms, day.ms, sizeof(day.ms));
		assert_true(read.asked == 70000 && read.known == 69999 && read.anew == anew);
	}
}

/* An answer may come after midnight, or after the questions were begun anew. */
static void test_record_of_more_answers_than_questions(void **state)
{
	struct availability_day day = { .ms = { 5 }, .asked = 0, .known = 2 };
	struct availability_day read = { .day = 1 };
	unsigned char bytes[AVAILABILITY_RECORD_SIZE];

	(void)state;
	availability_write(&day, bytes);
	assert_true(availability_read(&read, bytes, sizeof(bytes)));
	assert_true(read.ms[0] == 5 && read.asked == 0 && read.known == 2);
}

static void test_damaged_records(void **state)
{
	struct availability_day day = { .ms = { 1000, 2000 }, .asked = 5, .known = 5 };
	unsigned char bytes[AVAILABILITY_RECORD_SIZE];

	(void)state;
	availability_write(&day, bytes);
	for (size_t length = 0; length < sizeof(bytes); length++)
		assert_false(availability_read(&day, bytes, length));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		unsigned char was = bytes[i];

		for (int value = 0; value < 256; value++) {
			struct availability_day read = { .day = 7, .asked = 1 };

			bytes[i] = (unsigned char)value;
			if (availability_read(&read, bytes, sizeof(bytes)))
				assert_true(read.ms[0] >= 0 && read.ms[0] <= 1000 * DAY);
			else
				assert_true(read.day == 7 && read.asked == 1);
		}
		bytes[i] = was;
	}
	bytes[0] = 2;
	assert_false(availability_read(&day, bytes, sizeof(bytes)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_what_a_moment_counts),
		cmocka_unit_test(test_midnight),
		cmocka_unit_test(test_moving),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_coverage),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_record_of_more_answers_than_questions),
		cmocka_unit_test(test_damaged_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
