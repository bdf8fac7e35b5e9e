/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Token bucket in integers. Each one taken uses window_ms of allowed * window_ms; time gives back
 * `allowed` a millisecond. Pure.
 */
#include "core/budget.h"

static int64_t used_now(const struct budget *budget, int64_t allowed, int64_t now_ms)
{
	int64_t elapsed = now_ms - budget->last_ms;

	/* divided, not multiplied: years of uptime times a large allowance would overflow */
	if (elapsed > budget->used_ms / allowed)
		return 0;
	return budget->used_ms - elapsed * allowed;
}

bool budget_has(const struct budget *budget, int64_t allowed, int64_t window_ms, int64_t now_ms)
{
	return used_now(budget, allowed, now_ms) + window_ms <= allowed * window_ms;
}

int64_t budget_wait_ms(const struct budget *budget, int64_t allowed, int64_t window_ms,
		       int64_t now_ms)
{
	int64_t over = used_now(budget, allowed, now_ms) + window_ms - allowed * window_ms;

	return over > 0 ? (over + allowed - 1) / allowed : 0;
}

bool budget_take(struct budget *budget, int64_t allowed, int64_t window_ms, int64_t now_ms)
{
	if (!budget_has(budget, allowed, window_ms, now_ms))
		return false;
	budget_charge(budget, allowed, window_ms, now_ms);
	return true;
}

void budget_charge(struct budget *budget, int64_t allowed, int64_t window_ms, int64_t now_ms)
{
	budget->used_ms = used_now(budget, allowed, now_ms) + window_ms;
	budget->last_ms = now_ms;
}

bool budget_is_full(const struct budget *budget, int64_t allowed, int64_t now_ms)
{
	return used_now(budget, allowed, now_ms) == 0;
}
