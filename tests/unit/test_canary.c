/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Canaries as short stories. "A+": somebody asked about A, who was accepted. "a+" "a-" "a~" "a?":
 * A's answer as a canary is 2xx, 5xx, 4xx, none. "25h": so much time passes, the primary being up.
 * ":again" ":sick" ":well" ":nothing": what the step before came to. ">a": A is asked next, ">":
 * nobody; "!a": the same where the answer is to count. "r" and "R": a recipient was asked again and
 * stayed valid, turned invalid.
 */
#include "core/canary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START 1700000000LL

static const struct canary_rules rules = { .rise = 2, .fall = 3 };

struct story {
	struct canary canary;
	struct canary_time time;
	enum canary_event event;
};

static const char *event_name(enum canary_event event)
{
	static const char *const names[] = {
		[CANARY_NOTHING] = "nothing",
		[CANARY_AGAIN_SOON] = "again",
		[CANARY_SICK] = "sick",
		[CANARY_WELL] = "well",
	};

	return names[event];
}

static enum canary_answer answer_of(char sign)
{
	return sign == '+'   ? CANARY_ACCEPTED
	       : sign == '-' ? CANARY_REFUSED
	       : sign == '~' ? CANARY_LATER
			     : CANARY_NO_ANSWER;
}

static void tell_step(struct story *story, const char *step)
{
	char local[2] = { step[0], '\0' };

	if (step[0] == ':') {
		assert_string_equal(event_name(story->event), step + 1);
	} else if (step[0] == '>' || step[0] == '!') {
		const struct canary_bird *bird =
			canary_next(&story->canary, &story->time, step[0] == '!');

		assert_string_equal(bird != NULL ? bird->local : "", step + 1);
	} else if (step[0] >= '0' && step[0] <= '9') {
		story->time.now += atoi(step) * 3600;
		story->time.up += atoi(step) * 3600;
	} else if (strcmp(step, "r") == 0 || strcmp(step, "R") == 0) {
		story->event = canary_saw_reasked(&story->canary, step[0] == 'R', &story->time);
	} else if (step[0] >= 'A' && step[0] <= 'Z') {
		local[0] = (char)(step[0] - 'A' + 'a');
		story->event = canary_saw_accepted(&story->canary, local, &rules, &story->time);
	} else {
		story->event = canary_feed(&story->canary, local, answer_of(step[1]), &rules,
					   &story->time);
	}
	story->time.now++;
	story->time.up++;
}

static struct story tell(const char *steps)
{
	struct story story = { .time = { .now = START } };
	char copy[512];
	char *rest = copy;
	char *step;

	print_message("%s\n", steps);
	snprintf(copy, sizeof(copy), "%s", steps);
	while ((step = strtok_r(rest, " ", &rest)) != NULL)
		tell_step(&story, step);
	return story;
}

static void test_stories(void **state)
{
	(void)state;
	/* the users are gone: all who passed lately are refused, the only one twice */
	tell("A+ B+ a- :again >b b- :sick");
	tell("A+ a- :again >a a- :sick");
	tell("A+ B+ C+ a- b- :again c- :sick");
	/* one of them is gone, the primary is fine, and somebody else may take the place */
	tell("A+ B+ a- :again b+ :nothing D+ >d");
	tell("A+ B+ a- B+ :nothing b- :again b- :sick");
	/* a refusal counts of those only who passed within a day of observed up time */
	tell("A+ 25h a- :nothing >");
	tell("A+ B+ 25h B+ a- :nothing b- :again b- :sick");
	/* 4xx counts when it goes on */
	tell("A+ B+ a~ :again b~ :again a~ :sick");
	tell("A+ B+ a~ b~ a+ :nothing a~ :again b~ :again");
	/* no answer says nothing, and is no reason to stop asking */
	tell("A+ a? :nothing a- a? :again a- :sick");
	/* whoever gives none must not keep the others from being asked */
	tell("A+ B+ C+ >a a- :again >b b? :again >c c? :again >b");
	/* one whose refusal says nothing doesn't decide whether a primary may come back */
	tell("A+ 25h B+ C+ !b !c !b >c >a");
	tell("A+ 25h !a");
	/* good ones in a row end it; so does anybody else who is accepted */
	tell("A+ B+ a- b- :sick a+ :again b+ :well");
	tell("A+ B+ a- b- :sick a+ :again b~ :nothing a+ :again a+ :well");
	tell("A+ a- a- :sick C+ :again c+ :well");
	tell("A+ a- a- :sick a- :nothing a- :nothing");
	/* mended, but one of them has gone for good */
	tell("A+ B+ a- b- :sick a+ :again b- :again a+ :well");
	/* nobody to ask, a stranger to the table */
	tell(">");
	tell("A+ z- :nothing z+ :nothing");
	/* they take turns */
	tell("A+ B+ C+ D+ >a >b >c >a");
}

static void test_many_turn_invalid(void **state)
{
	(void)state;
	tell("A+ R :again R R R R :again R :sick");
	tell("A+ R R R R R 1h R :again");
	/* six of thirty are no more than 20 % */
	tell("r r r r r r r r r r r r r r r r r r r r r r r r R R R R R R :again R :sick");
	/* once well again it begins anew */
	tell("A+ R R R R R R :sick a+ a+ :well R :again");
	/* who is sick already doesn't fall sick */
	tell("A+ a- a- :sick R R R R R R R :nothing");
}

/* What was refused before the sickness was noticed is in doubt since the last good canary, or since
 * the answers began to turn. */
static void test_doubt(void **state)
{
	struct story story = tell("A+ 5h a+ 2h a- a- :sick");

	(void)state;
	assert_int_equal(story.canary.doubt_since, START + 1 + 5 * 3600 + 1);
	story = tell("A+ 5h a+ R R R R R R :sick");
	assert_in_range(story.time.now - story.canary.doubt_since, 3600, 3700);
	story = tell("R R R R R R :sick");
	assert_in_range(story.time.now - story.canary.doubt_since, 3600, 3700);
}

static void test_places(void **state)
{
	struct canary canary = { .turn = 0 };
	struct canary_time time = { .now = START };

	(void)state;
	assert_true(canary_has_place(&canary));
	assert_true(canary_adopt(&canary, "a"));
	assert_false(canary_adopt(&canary, "a"));
	assert_false(canary_adopt(&canary, ""));
	assert_false(canary_can_tell(&canary, &time));
	canary_saw_accepted(&canary, "a", &rules, &time);
	assert_true(canary_can_tell(&canary, &time));
	assert_true(canary_adopt(&canary, "b"));
	assert_true(canary_adopt(&canary, "c"));
	assert_false(canary_has_place(&canary));
	assert_false(canary_adopt(&canary, "d"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stories),
		cmocka_unit_test(test_many_turn_invalid),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
