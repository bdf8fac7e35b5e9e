/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A token bucket: so many in so much time, and no more. Pure; one owner at a time.
 */
#ifndef BACKUPMX_CORE_BUDGET_H
#define BACKUPMX_CORE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct budget {
	int64_t used_ms; /* how much of the window is used up, times `allowed` */
	int64_t last_ms;
};

/* Takes one of `allowed` per window. False, and nothing is taken, when they are used up. `now_ms`
 * never goes back. A zeroed budget is a full one. */
bool budget_take(struct budget *budget, int64_t allowed, int64_t window_ms, int64_t now_ms);
/* Takes one in any case: what goes beyond the allowance is owed, and time has to give it back
 * before there is one to take again. */
void budget_charge(struct budget *budget, int64_t allowed, int64_t window_ms, int64_t now_ms);
/* True when nothing is used: the budget may be forgotten. */
bool budget_is_full(const struct budget *budget, int64_t allowed, int64_t now_ms);
/* True when one could be taken. */
bool budget_has(const struct budget *budget, int64_t allowed, int64_t window_ms, int64_t now_ms);

/* How many milliseconds until one could be taken; 0: now. */
int64_t budget_wait_ms(const struct budget *budget, int64_t allowed, int64_t window_ms,
		       int64_t now_ms);

#endif
