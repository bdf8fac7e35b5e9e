/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The times: most greylisters let pass after five minutes, some after a quarter of an hour or
 * twenty minutes. Pure.
 */
#include "core/reask.h"

#define MINUTE_MS 60000

static const int64_t times_ms[] = { 6 * MINUTE_MS, 30 * MINUTE_MS };

#define TIMES (sizeof(times_ms) / sizeof(times_ms[0]))

void reask_begin(struct reask *reask, int64_t now_ms)
{
	reask->first_ms = now_ms;
	reask->asked = 0;
}

bool reask_is_over(const struct reask *reask)
{
	return reask->asked >= TIMES;
}

int64_t reask_due_ms(const struct reask *reask)
{
	return reask->first_ms + times_ms[reask->asked];
}

void reask_asked(struct reask *reask, int64_t now_ms)
{
	do
		reask->asked++;
	while (!reask_is_over(reask) && reask_due_ms(reask) <= now_ms);
}
