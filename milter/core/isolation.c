/* SPDX-License-Identifier: BSD-2-Clause */
/* The rule by which this host finds that it is cut off itself. Pure; the owner's thread. */
#include "core/isolation.h"

/* An answer this shortly before a probe gave up shows that the network was there: the probe itself
 * may have waited for half a minute. */
#define RECENT_MS 1000

/* From when on an answer of somebody else makes this failure the endpoint's own. */
static int64_t doubt_begins(const struct isolation_sample *sample)
{
	int64_t recent = sample->ended_ms - RECENT_MS;

	return recent > sample->began_ms ? recent : sample->began_ms;
}

static void settle(struct isolation *isolation, int64_t now_ms)
{
	isolation->settled_ms = now_ms;
	isolation->trouble_ms = 0;
}

static void take_down(struct isolation *isolation, int64_t now_ms)
{
	isolation->on = false;
	isolation->ended_ms = now_ms;
}

void isolation_configure(struct isolation *isolation, size_t references, int64_t hold_max_ms)
{
	isolation->references = references;
	isolation->hold_max_ms = hold_max_ms;
	isolation->looked_ms = 0; /* others may be among them */
	if (references == 0) {
		isolation->on = false;
		isolation->trouble_ms = 0;
	}
}

enum isolation_verdict isolation_judge(struct isolation *isolation,
				       const struct isolation_sample *sample, bool all_failing,
				       int64_t now_ms)
{
	int64_t doubt_ms = doubt_begins(sample);

	if (isolation->references == 0)
		return ISOLATION_FEED;
	if (isolation->on)
		return isolation_freezes(isolation, now_ms) ? ISOLATION_IGNORE : ISOLATION_FEED;
	if (isolation->ended_ms >= sample->began_ms) /* it set out while we were cut off */
		return ISOLATION_IGNORE;
	if (isolation->settled_ms >= doubt_ms)
		return ISOLATION_FEED;
	if (isolation->trouble_ms == 0) {
		isolation->trouble_ms = doubt_ms;
		isolation->held_ms = now_ms;
	}
	if (all_failing && isolation->looked_ms >= isolation->trouble_ms) {
		isolation->on = true;
		isolation->since_ms = now_ms;
		isolation->trouble_ms = 0;
		return ISOLATION_IGNORE;
	}
	if (now_ms - isolation->held_ms < isolation->hold_max_ms)
		return ISOLATION_HOLD;
	settle(isolation, now_ms);
	return ISOLATION_FEED;
}

void isolation_answered(struct isolation *isolation, int64_t now_ms)
{
	settle(isolation, now_ms);
	if (isolation->on)
		take_down(isolation, now_ms);
}

void isolation_references_failed(struct isolation *isolation, int64_t round_began_ms)
{
	isolation->looked_ms = round_began_ms;
}

bool isolation_wants_look(const struct isolation *isolation)
{
	return isolation->trouble_ms != 0 && isolation->looked_ms < isolation->trouble_ms;
}

bool isolation_freezes(const struct isolation *isolation, int64_t now_ms)
{
	return isolation->on && now_ms - isolation->since_ms < ISOLATION_FREEZE_MS;
}
