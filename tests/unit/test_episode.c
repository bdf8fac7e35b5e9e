/* SPDX-License-Identifier: BSD-2-Clause */
/* Episodes: one word at the begin, one at the end, however much happens between. */
#include "core/episode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_one_begin_and_one_end(void **state)
{
	struct episode episode = { 0 }, ended;
	int begins = 0;

	(void)state;
	assert_false(episode_end(&episode, 5000000, &ended));
	for (int64_t now = 1000; now <= 1001000; now += 1000)
		begins += episode_hit(&episode, now);
	assert_int_equal(begins, 1);
	assert_false(episode_end(&episode, 1001000 + EPISODE_QUIET_MS - 1, &ended));
	assert_true(episode_end(&episode, 1001000 + EPISODE_QUIET_MS, &ended));
	assert_int_equal(ended.hits, 1001);
	assert_int_equal(ended.last_ms - ended.began_ms, 1000000);
	assert_false(episode_end(&episode, 5000000, &ended));
	assert_true(episode_hit(&episode, 5000001));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_begin_and_one_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
