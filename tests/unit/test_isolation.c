/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose fault is it: scripts of what probes and references find, with their times, against the
 * verdicts on each failure and the flag.
 */
#include "core/isolation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HOLD_MAX_MS 60000
#define MINUTE	    60000
#define STEPS_MAX   14

enum kind {
	END,
	FAILS,	    /* a probe that set out at `began` ends now without an answer */
	LAST_FAILS, /* the same, and now no endpoint answers any more */
	ANSWERS,    /* an endpoint or a reference */
	NOBODY,	    /* a round of references that set out at `began` is over, none answered */
	REFERENCES, /* so many there are from now on */
};

struct step {
	int64_t now, began;
	enum kind kind;
	const char *wanted; /* the verdict and what the flag is then: "feed", "ignore on", ... */
};

struct script {
	const char *what;
	size_t references;
	struct step steps[STEPS_MAX];
};

static const struct script scripts[] = {
	{ "without references everything counts at once",
	  0,
	  { { 1000, 900, LAST_FAILS, "feed" }, { 2000, 1900, LAST_FAILS, "feed" } } },
	{ "the only primary fails, a reference answers: its own fault, after one round",
	  1,
	  { { 1000, 900, LAST_FAILS, "hold look" },
	    { 1050, 0, ANSWERS, "" },
	    { 1050, 900, LAST_FAILS, "feed" } } },
	{ "the next failure is a new question",
	  1,
	  { { 1000, 900, LAST_FAILS, "hold look" },
	    { 1050, 0, ANSWERS, "" },
	    { 1050, 900, LAST_FAILS, "feed" },
	    { 11000, 10900, LAST_FAILS, "hold look" } } },
	{ "the only primary and all references fail: the first failure counts for nothing",
	  1,
	  { { 1000, 900, LAST_FAILS, "hold look" },
	    { 6000, 1000, NOBODY, "" },
	    { 6000, 900, LAST_FAILS, "ignore on" },
	    { 16000, 15000, LAST_FAILS, "ignore on" } } },
	{ "somebody else answered while it failed: nothing is held",
	  1,
	  { { 990, 0, ANSWERS, "" }, { 1000, 900, FAILS, "feed" } } },
	{ "somebody else answered just before a long probe gave up",
	  1,
	  { { 29500, 0, ANSWERS, "" }, { 30000, 1000, FAILS, "feed" } } },
	{ "an answer early in a long probe proves nothing",
	  1,
	  { { 1500, 0, ANSWERS, "" }, { 30000, 1000, FAILS, "hold look" } } },
	{ "an answer before it set out proves nothing",
	  1,
	  { { 950, 0, ANSWERS, "" }, { 1001, 1000, FAILS, "hold look" } } },
	{ "a round that set out before the trouble proves nothing",
	  1,
	  { { 900, 500, NOBODY, "" }, { 1000, 950, LAST_FAILS, "hold look" } } },
	{ "endpoints that answered last are waited for",
	  1,
	  { { 1000, 900, FAILS, "hold look" },
	    { 6000, 1000, NOBODY, "" },
	    { 6000, 900, FAILS, "hold" },
	    { 9000, 7000, LAST_FAILS, "ignore on" },
	    { 9000, 900, LAST_FAILS, "ignore on" } } },
	{ "one of them answers: all that was held counts",
	  1,
	  { { 1000, 900, FAILS, "hold look" },
	    { 2000, 1500, FAILS, "hold look" },
	    { 6000, 1000, NOBODY, "" },
	    { 7000, 0, ANSWERS, "" },
	    { 7000, 900, FAILS, "feed" },
	    { 7000, 1500, FAILS, "feed" } } },
	{ "they aren't waited for without end, and the next failure begins anew",
	  1,
	  { { 1000, 900, FAILS, "hold look" },
	    { 1500, 1400, FAILS, "hold look" },
	    { 6000, 1000, NOBODY, "" },
	    { 60999, 900, FAILS, "hold" },
	    { 61000, 900, FAILS, "feed" },
	    { 61000, 1400, FAILS, "feed" },
	    { 71000, 70900, FAILS, "hold look" } } },
	{ "a round that never ends holds nothing for ever",
	  1,
	  { { 1000, 900, LAST_FAILS, "hold look" }, { 61000, 900, LAST_FAILS, "feed" } } },
	{ "back again: what set out while we were cut off counts for nothing",
	  1,
	  { { 1000, 900, LAST_FAILS, "hold look" },
	    { 6000, 1000, NOBODY, "" },
	    { 6000, 900, LAST_FAILS, "ignore on" },
	    { 20000, 0, ANSWERS, "" },
	    { 25000, 19000, LAST_FAILS, "ignore" },
	    { 26000, 25500, LAST_FAILS, "hold look" },
	    { 26050, 0, ANSWERS, "" },
	    { 26050, 25500, LAST_FAILS, "feed" } } },
	{ "cut off a second time",
	  1,
	  { { 1000, 900, LAST_FAILS, "hold look" },
	    { 6000, 1000, NOBODY, "" },
	    { 6000, 900, LAST_FAILS, "ignore on" },
	    { 20000, 0, ANSWERS, "" },
	    { 40000, 39000, LAST_FAILS, "hold look" },
	    { 45000, 40000, NOBODY, "" },
	    { 45000, 39000, LAST_FAILS, "ignore on" } } },
	{ "half an hour at most, then failures count though the flag stays",
	  1,
	  { { 1000, 900, LAST_FAILS, "hold look" },
	    { 6000, 1000, NOBODY, "" },
	    { 6000, 900, LAST_FAILS, "ignore on" },
	    { 6000 + 30 * MINUTE - 1, 6000 + 29 * MINUTE, LAST_FAILS, "ignore on" },
	    { 6000 + 30 * MINUTE, 6000 + 29 * MINUTE, LAST_FAILS, "feed on" },
	    { 6000 + 40 * MINUTE, 6000 + 39 * MINUTE, LAST_FAILS, "feed on" },
	    { 6000 + 50 * MINUTE, 0, ANSWERS, "" } } },
	{ "references are taken away while something is held",
	  1,
	  { { 1000, 900, LAST_FAILS, "hold look" },
	    { 1500, 0, REFERENCES, "" },
	    { 1500, 900, LAST_FAILS, "feed" } } },
	{ "references are taken away while the flag is up",
	  1,
	  { { 1000, 900, LAST_FAILS, "hold look" },
	    { 6000, 1000, NOBODY, "" },
	    { 6000, 900, LAST_FAILS, "ignore on" },
	    { 7000, 0, REFERENCES, "" },
	    { 8000, 7500, LAST_FAILS, "feed" } } },
};

static const char *verdict_name(enum isolation_verdict verdict)
{
	return verdict == ISOLATION_FEED ? "feed" : verdict == ISOLATION_HOLD ? "hold" : "ignore";
}

/* A sample that was held ended when it was judged first: the same beginning means the same one. */
static int64_t ended_at(const struct script *script, const struct step *step)
{
	for (const struct step *seen = script->steps; seen < step; seen++)
		if (seen->began == step->began && (seen->kind == FAILS || seen->kind == LAST_FAILS))
			return seen->now;
	return step->now;
}

static void judge(struct isolation *isolation, const struct script *script, const struct step *step)
{
	struct isolation_sample sample = { step->began, ended_at(script, step) };
	enum isolation_verdict verdict =
		isolation_judge(isolation, &sample, step->kind == LAST_FAILS, step->now);
	char found[32];

	snprintf(found, sizeof(found), "%s%s%s", verdict_name(verdict), isolation->on ? " on" : "",
		 isolation_wants_look(isolation) ? " look" : "");
	if (strcmp(found, step->wanted) != 0)
		fail_msg("%s: step %d gives \"%s\", not \"%s\"", script->what,
			 (int)(step - script->steps) + 1, found, step->wanted);
}

static void play(const struct script *script)
{
	struct isolation isolation = { .references = 0 };

	isolation_configure(&isolation, script->references, HOLD_MAX_MS);
	for (const struct step *step = script->steps; step->kind != END; step++) {
		switch (step->kind) {
		case ANSWERS:
			isolation_answered(&isolation, step->now);
			assert_false(isolation.on);
			break;
		case NOBODY:
			isolation_references_failed(&isolation, step->began);
			break;
		case REFERENCES:
			isolation_configure(&isolation, (size_t)step->began, HOLD_MAX_MS);
			break;
		default:
			judge(&isolation, script, step);
		}
	}
}

static void test_scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
		play(&scripts[i]);
}

static void test_freezing(void **state)
{
	struct isolation isolation = { .references = 1, .on = true, .since_ms = 1000 };

	(void)state;
	assert_true(isolation_freezes(&isolation, 1000));
	assert_true(isolation_freezes(&isolation, 1000 + 30 * MINUTE - 1));
	assert_false(isolation_freezes(&isolation, 1000 + 30 * MINUTE));
	isolation_answered(&isolation, 2000);
	assert_false(isolation_freezes(&isolation, 2000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_freezing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
