/* SPDX-License-Identifier: BSD-2-Clause */
/* What a forced state replaces, and when it is over. Pure; the owner's thread. */
#include "core/force.h"

bool force_is_on(const struct force *force)
{
	return force->state == DOMAIN_FORCED_UP || force->state == DOMAIN_FORCED_DOWN;
}

enum domain_state force_state(const struct force *force, enum domain_state seen)
{
	if (!force_is_on(force) || seen == DOMAIN_NOT_OURS || seen == DOMAIN_NOT_BACKUP)
		return seen;
	return force->state;
}

bool force_senders_up(const struct force *force, bool published, bool up)
{
	return published && (up || force->state == DOMAIN_FORCED_UP);
}

int64_t force_down_since(const struct force *force, enum domain_state seen, int64_t seen_since)
{
	switch (force_state(force, seen)) {
	case DOMAIN_DOWN:
		return seen_since;
	case DOMAIN_FORCED_DOWN:
		return seen == DOMAIN_DOWN && seen_since < force->since ? seen_since : force->since;
	default:
		return 0;
	}
}

void force_give(struct force *force, enum domain_state state, int64_t seconds, int64_t now)
{
	if (force->state != state)
		force->since = now;
	force->state = state;
	force->given = now;
	force->until = now + seconds;
}

int64_t force_seconds_left(const struct force *force, int64_t now)
{
	int64_t left = force->until - now;
	int64_t given = force->until - force->given;

	if (!force_is_on(force) || left <= 0)
		return 0;
	return left < given ? left : given;
}
