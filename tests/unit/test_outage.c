/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of an outage, and its record. */
#include "core/outage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define T 1700000000

static struct outage begun(int64_t at, int64_t began)
{
	struct outage_news news = {
		.state = DOMAIN_DOWN, .reason = HEALTH_TIMEOUT, .at = at, .began = began
	};
	struct outage outage;

	outage_begin(&outage, &news);
	return outage;
}

static void end(struct outage *outage, int64_t at, int64_t began)
{
	struct outage_news news = { .state = DOMAIN_UP, .at = at, .began = began };

	outage_end(outage, &news);
}

static void test_it_begins_with_the_first_failed_probe(void **state)
{
	struct outage outage = begun(T + 74, T);

	(void)state;
	assert_int_equal(outage.start, T);
	assert_int_equal(outage.detected, T + 74);
	assert_int_equal(outage.detect_seconds, 74);
	assert_int_equal(outage_seconds(&outage), 74);
	assert_int_equal(outage.end, 0);
	assert_int_equal(outage.recover_seconds, OUTAGE_UNKNOWN);
	assert_int_equal(outage.longest_delay, OUTAGE_UNKNOWN);
	assert_true(outage.state == DOMAIN_DOWN && outage.cause == HEALTH_TIMEOUT);
}

/* Nobody knows when, or the clock was set back meanwhile. */
static void test_a_beginning_that_is_not_known(void **state)
{
	static const int64_t none[] = { 0, T + 1 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct outage outage = begun(T, none[i]);

		assert_int_equal(outage.start, T);
		assert_int_equal(outage.detect_seconds, OUTAGE_UNKNOWN);
		assert_int_equal(outage_seconds(&outage), 0);
	}
}

static void test_isolation_is_kept_apart(void **state)
{
	struct outage outage = begun(T + 10, T);

	(void)state;
	outage_pass(&outage, 5000, false, T + 15);
	outage_pass(&outage, 600000, true, T + 615);
	outage_pass(&outage, 1499, false, T + 616);
	assert_int_equal(outage_seconds(&outage), 16);
	assert_int_equal(outage.isolated_ms, 600000);
}

static void test_time_without_us_is_part_of_it(void **state)
{
	struct outage outage = begun(T, T);

	(void)state;
	outage_pass(&outage, 60000, false, T + 60);
	outage_resume(&outage, T + 3660);
	assert_int_equal(outage_seconds(&outage), 3660);
	/* the clock was set back while we were away */
	outage_resume(&outage, T - 86400);
	assert_int_equal(outage_seconds(&outage), 3660);
	outage_resume(&outage, T - 86400 + 5);
	assert_int_equal(outage_seconds(&outage), 3665);
}

static void test_the_end(void **state)
{
	struct outage outage = begun(T, T);

	(void)state;
	end(&outage, T + 100, T + 85);
	assert_int_equal(outage.end, T + 100);
	assert_int_equal(outage.recover_seconds, 15);

	outage = begun(T, T);
	end(&outage, T + 100, 0);
	assert_int_equal(outage.recover_seconds, OUTAGE_UNKNOWN);

	/* the clock was set back: it ends, and not before it was found */
	outage = begun(T, T);
	end(&outage, T - 3600, T - 10);
	assert_int_equal(outage.end, T);
	assert_int_equal(outage.recover_seconds, 0);
}

static void test_mail(void **state)
{
	struct outage outage = begun(T, T);

	(void)state;
	assert_false(outage_flush(&outage, T + 1));
	outage_take_mail(&outage, T + 10);
	outage_take_mail(&outage, T + 50);
	end(&outage, T + 100, T + 90);
	assert_true(outage_is_near(&outage, T + 159, 60));
	assert_false(outage_is_near(&outage, T + 160, 60));
	assert_false(outage_is_near(&outage, T + 99, 60));
	assert_true(outage_flush(&outage, T + 101));
	assert_int_equal(outage.mails_taken, 2);
	assert_int_equal(outage.mails_flushed, 2);
	assert_int_equal(outage.longest_delay, 91);
	/* the rounds after it carry nothing */
	assert_false(outage_flush(&outage, T + 111));
	/* a latecomer, which the second round takes along */
	outage_take_mail(&outage, T + 104);
	assert_int_equal(outage.mails_flushed, 2);
	assert_true(outage_flush(&outage, T + 111));
	assert_int_equal(outage.mails_flushed, 3);
	assert_int_equal(outage.longest_delay, 91);
}

static struct outage eventful(void)
{
	struct outage outage = begun(T + 7, T);

	outage.state = DOMAIN_SICK;
	outage.cause = HEALTH_CANARY_REFUSED;
	outage_pass(&outage, 123456, false, T + 130);
	outage_pass(&outage, 1, true, T + 131);
	outage_take_mail(&outage, T + 20);
	outage_flush(&outage, T + 25);
	outage_take_mail(&outage, T + 30);
	end(&outage, T + 140, T + 138);
	return outage;
}

static void test_record(void **state)
{
	struct outage outage = eventful();
	struct outage read;
	unsigned char bytes[OUTAGE_RECORD_SIZE];

	(void)state;
	outage_write(&outage, bytes);
	assert_true(outage_read(&read, bytes, sizeof(bytes)));
	assert_true(read.start == outage.start && read.detected == outage.detected &&
		    read.end == outage.end && read.as_of == outage.as_of);
	assert_true(read.state == DOMAIN_SICK && read.cause == HEALTH_CANARY_REFUSED);
	assert_true(read.detect_seconds == 7 && read.recover_seconds == 2);
	assert_true(read.passed_ms == outage.passed_ms && read.isolated_ms == 1);
	assert_true(read.mails_taken == 2 && read.mails_flushed == 1);
	assert_true(read.waiting_since == T + 30 && read.longest_delay == 5);
}

/* Whatever a damaged file holds is refused, or makes sense. */
static void test_damaged_records(void **state)
{
	struct outage outage = eventful();
	unsigned char bytes[OUTAGE_RECORD_SIZE];

	(void)state;
	outage_write(&outage, bytes);
	for (size_t length = 0; length < sizeof(bytes); length++)
		assert_false(outage_read(&outage, bytes, length));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		for (int value = 0; value < 256; value++) {
			struct outage read = { .start = -1 };
			unsigned char was = bytes[i];

			bytes[i] = (unsigned char)value;
			if (outage_read(&read, bytes, sizeof(bytes))) {
				assert_true(outage_seconds(&read) >= 0);
				assert_true(read.mails_flushed <= read.mails_taken);
				assert_true(read.end == 0 || read.end >= read.start);
			} else {
				assert_int_equal(read.start, -1);
			}
			bytes[i] = was;
		}
	}
	bytes[0] = 2; /* of a version to come */
	assert_false(outage_read(&outage, bytes, sizeof(bytes)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_begins_with_the_first_failed_probe),
		cmocka_unit_test(test_a_beginning_that_is_not_known),
		cmocka_unit_test(test_isolation_is_kept_apart),
		cmocka_unit_test(test_time_without_us_is_part_of_it),
		cmocka_unit_test(test_the_end),
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_damaged_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
