/* SPDX-License-Identifier: BSD-2-Clause */
/* Sequences of probe results, written as a string of letters, against the states they lead to. */
#include "core/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct health_rules rules = {
	.rise = 2, .fall = 3, .interval = 30, .fast_interval = 10, .down_interval = 15
};

static enum health_reason result_of(char letter)
{
	switch (letter) {
	case '+':
		return HEALTH_OK;
	case 'n':
		return HEALTH_NO_ROUTE;
	case 'l':
		return HEALTH_LOOP;
	default:
		return HEALTH_TIMEOUT;
	}
}

/* Feeds the probes and writes the state after each: U up, d down, ? unknown. */
static void play(struct health *health, const char *probes, char *states)
{
	for (; *probes != '\0'; probes++, states++) {
		health_feed(health, &rules, result_of(*probes));
		*states = health->state == HEALTH_UP	 ? 'U'
			  : health->state == HEALTH_DOWN ? 'd'
							 : '?';
	}
	*states = '\0';
}

static void test_sequences(void **state)
{
	static const struct {
		const char *what, *probes, *states;
	} cases[] = {
		{ "from unknown one good probe is enough", "+", "U" },
		{ "from unknown one bad probe is enough", "-", "d" },
		{ "three bad ones in a row take it down", "+---", "UUUd" },
		{ "two bad ones don't", "+--+", "UUUU" },
		{ "a good one starts the count anew", "+--+--+--", "UUUUUUUUU" },
		{ "two good ones bring it back", "-++", "ddU" },
		{ "one good one doesn't", "-+-+-", "ddddd" },
		{ "down, up, down again", "+---++---", "UUUddUUUd" },
		{ "no route counts neither way", "+--n-", "UUUUd" },
		{ "no route leaves an unknown one unknown", "nnn", "???" },
		{ "no route doesn't end a recovery", "-+n+", "dddU" },
		{ "our own name in the banner takes it down at once", "+l", "Ud" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct health health = { .state = HEALTH_UNKNOWN };
		char states[32];

		play(&health, cases[i].probes, states);
		if (strcmp(states, cases[i].states) != 0)
			fail_msg("%s: %s gives %s, not %s", cases[i].what, cases[i].probes, states,
				 cases[i].states);
	}
}

static void test_change_is_told_once(void **state)
{
	struct health health = { .state = HEALTH_UNKNOWN };

	(void)state;
	assert_true(health_feed(&health, &rules, HEALTH_OK));
	assert_false(health_feed(&health, &rules, HEALTH_OK));
	assert_false(health_feed(&health, &rules, HEALTH_REFUSED));
	assert_false(health_feed(&health, &rules, HEALTH_REFUSED));
	assert_true(health_feed(&health, &rules, HEALTH_RESET));
	assert_int_equal(health.reason, HEALTH_RESET);
	assert_false(health_feed(&health, &rules, HEALTH_RESET));
}

static void test_intervals(void **state)
{
	struct health up = { .state = HEALTH_UP };
	struct health down = { .state = HEALTH_DOWN };
	struct health doubting = { .state = HEALTH_UP, .streak = 1 };

	(void)state;
	assert_int_equal(health_interval(&up, &rules, true), 30);
	assert_int_equal(health_interval(&up, &rules, false), 300);
	assert_int_equal(health_interval(&down, &rules, true), 15);
	assert_int_equal(health_interval(&down, &rules, false), 300);
	assert_int_equal(health_interval(&doubting, &rules, true), 10);
	assert_int_equal(health_interval(&doubting, &rules, false), 10);
}

static void test_strictest_rules_win(void **state)
{
	struct health_rules mine = rules;
	const struct health_rules other = {
		.rise = 1, .fall = 5, .interval = 20, .fast_interval = 12, .down_interval = 15
	};

	(void)state;
	health_rules_merge(&mine, &other);
	assert_int_equal(mine.rise, 2);
	assert_int_equal(mine.fall, 5);
	assert_int_equal(mine.interval, 20);
	assert_int_equal(mine.fast_interval, 10);
	assert_int_equal(mine.down_interval, 15);
}

static void test_words(void **state)
{
	static const char *const words[] = {
		"ok",	    "dns-fail", "refused",  "timeout",	      "unreachable", "no-route",
		"reset",    "lost",	"tls-fail", "banner-4xx",     "banner-5xx",  "ehlo-4xx",
		"ehlo-5xx", "protocol", "loop",	    "canary-refused", "own-fault",
	};
	enum health_reason reason;
	enum health_state seen;

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_string_equal(health_reason_name((enum health_reason)i), words[i]);
		assert_true(health_reason_parse(words[i], &reason));
		assert_int_equal(reason, i);
	}
	assert_int_equal(sizeof(words) / sizeof(words[0]), HEALTH_REASON_COUNT);
	assert_false(health_reason_parse("tired", &reason));
	assert_true(health_state_parse("up", &seen));
	assert_int_equal(seen, HEALTH_UP);
	assert_false(health_state_parse("sideways", &seen));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences), cmocka_unit_test(test_change_is_told_once),
		cmocka_unit_test(test_intervals), cmocka_unit_test(test_strictest_rules_win),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
