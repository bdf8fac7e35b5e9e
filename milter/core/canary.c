/* SPDX-License-Identifier: BSD-2-Clause */
/* Up to three recipients who take turns, and what their refusals add up to. Pure; one owner. */
#include "core/canary.h"

#include <string.h>

#include "base/text.h"

#define WINDOW_PART_SECONDS 300
#define MASS_MIN	    5  /* more than so many of the re-asked turned invalid ... */
#define MASS_PERCENT	    20 /* ... and more than so much of them */
#define SECOND_OPINION	    2  /* a refusal counts when it was heard so often */

/* ---- places ---- */

static struct canary_bird *find(struct canary *canary, const char *local)
{
	for (size_t i = 0; i < CANARY_BIRDS; i++)
		if (strcmp(canary->birds[i].local, local) == 0)
			return &canary->birds[i];
	return NULL;
}

static bool is_proven(const struct canary_bird *bird, const struct canary_time *time)
{
	return bird->local[0] != '\0' && bird->passed &&
	       time->up - bird->passed_up < CANARY_PROOF_SECONDS;
}

static void let_go(struct canary_bird *bird)
{
	memset(bird, 0, sizeof(*bird));
}

bool canary_has_place(const struct canary *canary)
{
	for (size_t i = 0; i < CANARY_BIRDS; i++)
		if (canary->birds[i].local[0] == '\0')
			return true;
	return false;
}

bool canary_adopt(struct canary *canary, const char *local)
{
	struct canary_bird *place = find(canary, "");

	if (place == NULL || local[0] == '\0' || find(canary, local) != NULL)
		return false;
	return text_copy(place->local, sizeof(place->local), local);
}

bool canary_can_tell(const struct canary *canary, const struct canary_time *time)
{
	for (size_t i = 0; i < CANARY_BIRDS; i++)
		if (is_proven(&canary->birds[i], time))
			return true;
	return false;
}

/* ---- turns ---- */

/* Whose turn it is among those who passed lately and were refused, or not, since. */
static const struct canary_bird *next_proven(struct canary *canary, const struct canary_time *time,
					     bool refused)
{
	for (size_t i = 0; i < CANARY_BIRDS; i++) {
		size_t at = (canary->turn + i) % CANARY_BIRDS;
		const struct canary_bird *bird = &canary->birds[at];

		if (is_proven(bird, time) && bird->refused == refused) {
			canary->turn = (at + 1) % CANARY_BIRDS;
			return bird;
		}
	}
	return NULL;
}

const struct canary_bird *canary_next(struct canary *canary, const struct canary_time *time,
				      bool to_count)
{
	const struct canary_bird *other;

	if (!canary->sick && (to_count || canary->refusals > 0)) {
		other = next_proven(canary, time, false);
		if (other == NULL)
			other = next_proven(canary, time, true);
		if (other != NULL)
			return other;
	}
	for (size_t i = 0; i < CANARY_BIRDS; i++) {
		other = &canary->birds[canary->turn];
		canary->turn = (canary->turn + 1) % CANARY_BIRDS;
		if (other->local[0] != '\0')
			return other;
	}
	return NULL;
}

/* ---- answers ---- */

/* Refusals have been in doubt since the last good canary; where there was none, or it missed what
 * has come to light, for as long as that may have been going on. */
static enum canary_event fall_sick(struct canary *canary, const struct canary_time *time,
				   bool missed)
{
	canary->sick = true;
	canary->goods = 0;
	canary->doubt_since = time->now - CANARY_WINDOW_PARTS * WINDOW_PART_SECONDS;
	if (canary->last_good != 0 && canary->last_good <= time->now &&
	    (!missed || canary->last_good < canary->doubt_since))
		canary->doubt_since = canary->last_good;
	return CANARY_SICK;
}

static bool all_proven_refused(const struct canary *canary, const struct canary_time *time)
{
	for (size_t i = 0; i < CANARY_BIRDS; i++)
		if (is_proven(&canary->birds[i], time) && !canary->birds[i].refused)
			return false;
	return true;
}

/* Somebody is accepted. So those who were refused are gone, and the primary is in its right mind.
 */
static enum canary_event take_good(struct canary *canary, struct canary_bird *bird,
				   const struct canary_rules *rules, const struct canary_time *time)
{
	if (bird != NULL) {
		bird->passed = true;
		bird->passed_up = time->up;
		bird->refused = false;
	}
	canary->goods++;
	if (canary->sick && canary->goods < rules->rise)
		return CANARY_AGAIN_SOON;
	for (size_t i = 0; i < CANARY_BIRDS; i++)
		if (canary->birds[i].refused)
			let_go(&canary->birds[i]);
	canary->last_good = time->now;
	canary->refusals = 0;
	canary->laters = 0;
	canary->goods = 0;
	if (!canary->sick)
		return CANARY_NOTHING;
	canary->sick = false;
	memset(canary->window, 0, sizeof(canary->window));
	return CANARY_WELL;
}

static enum canary_event take_refusal(struct canary *canary, struct canary_bird *bird,
				      const struct canary_time *time)
{
	if (!is_proven(bird, time) && !canary->sick) {
		let_go(bird);
		return canary->refusals > 0 ? CANARY_AGAIN_SOON : CANARY_NOTHING;
	}
	bird->refused = true;
	if (canary->sick) {
		/* some are taken again, and this one isn't: it has gone meanwhile */
		if (canary->goods > 0)
			let_go(bird);
		return canary->goods > 0 ? CANARY_AGAIN_SOON : CANARY_NOTHING;
	}
	canary->refusals++;
	if (canary->refusals >= SECOND_OPINION && all_proven_refused(canary, time))
		return fall_sick(canary, time, false);
	return CANARY_AGAIN_SOON;
}

static enum canary_event take_later(struct canary *canary, const struct canary_bird *bird,
				    const struct canary_rules *rules,
				    const struct canary_time *time)
{
	if (canary->sick) {
		canary->goods = 0;
		return CANARY_NOTHING;
	}
	if (!is_proven(bird, time))
		return CANARY_NOTHING;
	canary->laters++;
	if (canary->laters >= SECOND_OPINION && canary->laters >= rules->fall)
		return fall_sick(canary, time, false);
	return CANARY_AGAIN_SOON;
}

enum canary_event canary_feed(struct canary *canary, const char *local, enum canary_answer answer,
			      const struct canary_rules *rules, const struct canary_time *time)
{
	struct canary_bird *bird = find(canary, local);

	if (bird == NULL || local[0] == '\0')
		return CANARY_NOTHING;
	switch (answer) {
	case CANARY_ACCEPTED:
		return take_good(canary, bird, rules, time);
	case CANARY_REFUSED:
		return take_refusal(canary, bird, time);
	case CANARY_LATER:
		return take_later(canary, bird, rules, time);
	case CANARY_NO_ANSWER:
		break;
	}
	return !canary->sick && canary->refusals > 0 ? CANARY_AGAIN_SOON : CANARY_NOTHING;
}

/* A place for one that was just accepted: a free one, or while sick that of one who was refused. */
static struct canary_bird *make_place(struct canary *canary, const char *local)
{
	struct canary_bird *bird = find(canary, local);

	if (bird != NULL)
		return bird;
	for (size_t i = 0; canary->sick && i < CANARY_BIRDS && !canary_has_place(canary); i++)
		if (canary->birds[i].refused)
			let_go(&canary->birds[i]);
	return canary_adopt(canary, local) ? find(canary, local) : NULL;
}

enum canary_event canary_saw_accepted(struct canary *canary, const char *local,
				      const struct canary_rules *rules,
				      const struct canary_time *time)
{
	return take_good(canary, make_place(canary, local), rules, time);
}

/* ---- many at once ---- */

static struct canary_window_part *part_of(struct canary *canary, int64_t now)
{
	struct canary_window_part *oldest = &canary->window[0];
	int64_t begins = now - now % WINDOW_PART_SECONDS;

	for (size_t i = 0; i < CANARY_WINDOW_PARTS; i++) {
		if (canary->window[i].begins == begins)
			return &canary->window[i];
		if (canary->window[i].begins < oldest->begins)
			oldest = &canary->window[i];
	}
	*oldest = (struct canary_window_part){ .begins = begins };
	return oldest;
}

enum canary_event canary_saw_reasked(struct canary *canary, bool turned_invalid,
				     const struct canary_time *time)
{
	struct canary_window_part *part = part_of(canary, time->now);
	int64_t first = part->begins - (CANARY_WINDOW_PARTS - 1) * WINDOW_PART_SECONDS;
	int64_t asked = 0, turned = 0;

	part->asked++;
	part->turned += turned_invalid;
	for (size_t i = 0; i < CANARY_WINDOW_PARTS; i++) {
		if (canary->window[i].begins < first || canary->window[i].begins > part->begins)
			continue;
		asked += canary->window[i].asked;
		turned += canary->window[i].turned;
	}
	if (canary->sick || !turned_invalid)
		return CANARY_NOTHING;
	if (turned > MASS_MIN && turned * 100 > asked * MASS_PERCENT)
		return fall_sick(canary, time, true);
	return CANARY_AGAIN_SOON;
}
