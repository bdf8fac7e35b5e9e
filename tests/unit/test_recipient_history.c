/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random lives of one recipient's entry: answers of all kinds, outages, crashes, sick primaries, a
 * wall clock that is set back. Whatever happened, who was accepted stays welcome (promise P1) and
 * nobody is refused but by a refusal that counts (P2). The same numbers each time; a failure names
 * its life and step.
 */
#include "core/recipient.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MINUTE 60LL
#define HOUR   3600LL
#define DAY    (24 * HOUR)
#define START  1700000000LL
#define LIVES  2000
#define STEPS  300

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct recipient_rules rules = { .valid_ttl = 31 * DAY,
					      .valid_refresh = 7 * DAY,
					      .valid_max_age = 400 * DAY,
					      .invalid_ttl = 2 * HOUR,
					      .catch_all_ttl = 7 * DAY };

struct life {
	uint64_t dice;
	bool has_sickness; /* then the wall clock isn't set back */
	struct recipient_clock clock;
	unsigned char bytes[RECIPIENT_RECORD_MAX]; /* as they outlive a restart */
	size_t length;				   /* 0: nothing is stored */
	/* what is remembered beside the code under test */
	bool accepted;
	int64_t accepted_at;
	int64_t up_since; /* seconds the domain was up since then, those lost in crashes too */
	bool refused;	  /* since then */
	bool brief;	  /* of the last refusal */
	bool is_void;	  /* all of that was found to be of a sick primary */
	int64_t first_refused_at, refused_at;
};

/* How often the promises were put to the test. */
struct tally {
	long owed, owed_after_outage, owed_in_doubt, invalid, expired, protected;
};

static uint64_t roll(struct life *life, uint64_t sides)
{
	life->dice ^= life->dice << 13;
	life->dice ^= life->dice >> 7;
	life->dice ^= life->dice << 17;
	return (life->dice >> 16) % sides;
}

static enum recipient_status status_now(const struct life *life)
{
	struct recipient_record record;

	if (life->length == 0)
		return RECIPIENT_UNKNOWN;
	assert_true(recipient_record_read(&record, life->bytes, life->length));
	return recipient_status_now(&record, &rules, &life->clock);
}

static bool in_doubt(const struct life *life, int64_t when)
{
	for (size_t i = 0; i < RECIPIENT_DOUBTS; i++)
		if (life->clock.doubts.spells[i].to != 0 &&
		    when >= life->clock.doubts.spells[i].from &&
		    when <= life->clock.doubts.spells[i].to)
			return true;
	return false;
}

/* The recipient must be welcome now. */
static bool is_owed(const struct life *life)
{
	return life->accepted && (!life->refused || life->is_void) &&
	       life->up_since < rules.valid_ttl &&
	       life->clock.now - life->accepted_at < rules.valid_max_age;
}

/* ---- what happens ---- */

static void pass_time(struct life *life)
{
	static const int64_t spans[] = { 1,   MINUTE,  9 * MINUTE, 11 * MINUTE, HOUR,
					 DAY, 6 * DAY, 20 * DAY,   90 * DAY };
	int64_t span = spans[roll(life, COUNT(spans))];

	/* a primary isn't up for months without somebody asking */
	if (life->clock.primary_up && span > 6 * DAY)
		span = HOUR;
	life->clock.now += span;
	if (!life->clock.primary_up)
		return;
	life->clock.up += span;
	life->up_since += span;
}

/* The daemon dies: the clock's last minute wasn't written. */
static void crash(struct life *life)
{
	int64_t lost = (int64_t)roll(life, MINUTE + 1);

	life->clock.up = life->clock.up > lost ? life->clock.up - lost : 0;
}

/* The primary turns out to have lost its users. */
static void fall_sick(struct life *life)
{
	int64_t since = life->clock.now - (int64_t)roll(life, HOUR);

	recipient_doubts_add(&life->clock.doubts, since, life->clock.now);
	if (life->refused && life->first_refused_at >= since)
		life->is_void = true;
}

static void note_answer(struct life *life, enum rcpt_verdict verdict)
{
	if (verdict == RCPT_VERDICT_VALID) {
		life->accepted = true;
		life->accepted_at = life->clock.now;
		life->up_since = 0;
		life->refused = false;
		life->is_void = false;
		return;
	}
	if (!life->refused || life->is_void)
		life->first_refused_at = life->clock.now;
	life->refused = true;
	life->is_void = false;
	life->brief = verdict == RCPT_VERDICT_INVALID_BRIEFLY;
	life->refused_at = life->clock.now;
}

static void answer(struct life *life, struct tally *tally)
{
	enum rcpt_verdict verdict = (enum rcpt_verdict)roll(life, RCPT_VERDICT_NONE + 1);
	struct recipient_record old, learned;
	bool was_valid = status_now(life) == RECIPIENT_VALID;
	bool is_written;

	if (life->length > 0)
		assert_true(recipient_record_read(&old, life->bytes, life->length));
	is_written = recipient_learn(life->length > 0 ? &old : NULL, verdict, &rules, &life->clock,
				     &learned);
	if (verdict == RCPT_VERDICT_LATER || verdict == RCPT_VERDICT_NONE) {
		assert_false(is_written);
	} else if (verdict == RCPT_VERDICT_INVALID_BRIEFLY && was_valid) {
		assert_false(is_written);
		tally->protected ++;
	} else {
		assert_true(is_written);
		note_answer(life, verdict);
	}
	if (is_written)
		life->length = recipient_record_write(&learned, life->bytes);
}

static void live(struct life *life, struct tally *tally)
{
	switch (roll(life, 12)) {
	case 0:
	case 1:
	case 2:
		life->clock.primary_up = !life->clock.primary_up;
		break;
	case 3:
		crash(life);
		break;
	case 4:
		if (life->has_sickness)
			fall_sick(life);
		else if (roll(life, 10) == 0)
			life->clock.now -= (int64_t)roll(life, 2 * DAY);
		break;
	case 5:
	case 6: /* callouts are made of primaries that are up, and may end when it is down again */
		answer(life, tally);
		break;
	default:
		pass_time(life);
		break;
	}
}

/* ---- what must hold ---- */

static int64_t refusal_lives(const struct life *life)
{
	return life->brief || life->clock.primary_up ? 10 * MINUTE : rules.invalid_ttl;
}

static bool holds(const struct life *life, struct tally *tally)
{
	enum recipient_status status = status_now(life);
	int64_t age = life->clock.now - life->refused_at;

	if (is_owed(life)) {
		tally->owed++;
		tally->owed_in_doubt += life->refused;
		if (life->clock.now - life->accepted_at > life->up_since + rules.valid_ttl)
			tally->owed_after_outage++;
		return status == RECIPIENT_VALID;
	}
	switch (status) {
	case RECIPIENT_VALID: /* no longer owed: a crash may have made it younger */
		return life->accepted && (!life->refused || in_doubt(life, life->refused_at));
	case RECIPIENT_INVALID:
		tally->invalid++;
		return life->refused && !in_doubt(life, life->refused_at) && age >= 0 &&
		       age < refusal_lives(life);
	case RECIPIENT_UNKNOWN:
		tally->expired += life->length > 0;
		return true;
	default:
		return false;
	}
}

static void lives(bool has_sickness, struct tally *tally)
{
	for (uint64_t number = 1; number <= LIVES; number++) {
		struct life life = { .dice = number * 0x9e3779b97f4a7c15ULL,
				     .has_sickness = has_sickness,
				     .clock = { .now = START, .primary_up = true } };

		for (int step = 0; step < STEPS; step++) {
			live(&life, tally);
			if (!holds(&life, tally))
				fail_msg("life %d, step %d: %s, accepted=%d refused=%d "
					 "up_since=%lld",
					 (int)number, step,
					 recipient_status_name(status_now(&life)), life.accepted,
					 life.refused, (long long)life.up_since);
		}
	}
	/* it was worth the while */
	assert_true(tally->owed > LIVES);
	assert_true(tally->owed_after_outage > LIVES);
	assert_true(tally->invalid > LIVES);
	assert_true(tally->expired > LIVES);
	assert_true(tally->protected > LIVES);
}

static void test_random_lives(void **state)
{
	struct tally tally = { 0 };

	(void)state;
	lives(false, &tally);
}

static void test_random_lives_with_sick_primaries(void **state)
{
	struct tally tally = { 0 };

	(void)state;
	lives(true, &tally);
	assert_true(tally.owed_in_doubt > LIVES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_lives),
		cmocka_unit_test(test_random_lives_with_sick_primaries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
