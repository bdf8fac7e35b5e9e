/* SPDX-License-Identifier: BSD-2-Clause */
/* How often a change is told. Pure. */
#include "core/damping.h"

#define AT_ONCE	  4
#define EVERY_MS  600000
#define WINDOW_MS (AT_ONCE * (int64_t)EVERY_MS)

void damping_init(struct damping *damping, int state)
{
	*damping = (struct damping){ .told = state, .state = state };
}

void damping_change(struct damping *damping, int state)
{
	if (state == damping->state)
		return;
	damping->state = state;
	damping->changes++;
}

bool damping_wants(const struct damping *damping)
{
	return damping->state != damping->told;
}

int64_t damping_wait_ms(const struct damping *damping, int64_t now_ms)
{
	return budget_wait_ms(&damping->budget, AT_ONCE, WINDOW_MS, now_ms);
}

unsigned damping_tell(struct damping *damping, int64_t now_ms)
{
	unsigned left_out = damping->changes > 0 ? damping->changes - 1 : 0;

	budget_charge(&damping->budget, AT_ONCE, WINDOW_MS, now_ms);
	damping->told = damping->state;
	damping->changes = 0;
	return left_out;
}
