/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An administrator's word against what the probes say of a domain's primary, for a limited time
 * (DESIGN section 3). Pure; times are seconds since 1970. One owner at a time.
 */
#ifndef BACKUPMX_CORE_FORCE_H
#define BACKUPMX_CORE_FORCE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/decision.h"

#define FORCE_DEFAULT_SECONDS 3600
#define FORCE_MAX_SECONDS     (30LL * 24 * 3600) /* one that is forgotten ends some day */

struct force {
	enum domain_state state; /* DOMAIN_FORCED_UP or _DOWN; DOMAIN_NOT_OURS: nothing is forced */
	int64_t since;		 /* of the state */
	int64_t given;		 /* when it was said last: saying it again prolongs it */
	int64_t until;
};

bool force_is_on(const struct force *force);

/* By what is decided, when probes say `seen`. Nobody can force us to be a backup. */
enum domain_state force_state(const struct force *force, enum domain_state seen);

/* P8: it replaces the probe, not the MX records. `published`: they give a better host with an
 * address; `up`: our probe finds one up. */
bool force_senders_up(const struct force *force, bool published, bool up);

/* Since when the domain counts as down: the earlier of what was seen and what was said. 0: it
 * doesn't, or nothing was seen yet. */
int64_t force_down_since(const struct force *force, enum domain_state seen, int64_t seen_since);

/* Takes up the order of now, keeping `since` where the state was forced before. */
void force_give(struct force *force, enum domain_state state, int64_t seconds, int64_t now);

/* How long it lasts yet; 0: it is over. A wall clock that was set back doesn't prolong it beyond
 * what was given. */
int64_t force_seconds_left(const struct force *force, int64_t now);

#endif
