/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The history of the domains (DESIGN sections 3 and 8): each outage, and how long each domain was
 * up, down, sick or out of sight on each day, kept in the store over restarts. Loop thread only.
 *
 * What counts is what our probes and canaries saw: a state that an operator forced is no outage.
 * Time in which this program didn't run, or a learned domain slept, is unobserved and counts
 * nowhere. Time in which this host was isolated is kept apart. An outage that was open when the
 * program stopped goes on when the primary is still away after the start, the time between
 * included; else it ends when the primary is seen up.
 *
 * A crash loses some minutes of a day's sums, and nothing of what changed. Outages older than the
 * last HISTORY_OUTAGES of a domain, and days older than HISTORY_DAYS, are dropped, and so is all of
 * a domain that the store has forgotten. Domains that nobody configured, of which there may be very
 * many, are remembered less of (HISTORY_LEARNED_...).
 */
#ifndef BACKUPMX_WATCH_HISTORY_H
#define BACKUPMX_WATCH_HISTORY_H

#include <stddef.h>

#include "core/availability.h"
#include "core/outage.h"
#include "watch/domains.h"
#include "watch/services.h"

#define HISTORY_OUTAGES		1000
#define HISTORY_DAYS		400
#define HISTORY_LEARNED_OUTAGES 100
#define HISTORY_LEARNED_DAYS	100
#define HISTORY_COVERAGE_DAYS	30

struct history;

/* Begins to watch the domains; free it before them. */
struct history *history_new(struct services *services, struct domains *domains);
/* Saves all first. */
void history_free(struct history *history);

/* What is known of a domain, up to now. */
struct history_of_domain {
	struct availability_day *days; /* oldest first */
	size_t day_count;
	struct outage *outages; /* oldest first; those that go on are counted up to now */
	size_t outage_count;
};

/* Reads the days from that of `from` (seconds since 1970) on, and the outages that weren't over
 * before `from`. False when the store can't be read; then, too, there is something to free. */
bool history_read(struct history *history, const char *domain, int64_t from,
		  struct history_of_domain *out);
void history_of_domain_fini(struct history_of_domain *out);

/* Which share of the recipients asked for in the last HISTORY_COVERAGE_DAYS days a list or the
 * memory knew, or the primary was asked about with success: 0 to 1, three decimals; -1: nobody
 * asked. */
double history_coverage(struct history *history, const char *domain);
/* The domain's list is another, or recipients were imported: that share is counted anew. */
void history_count_anew(struct history *history, const char *domain);

#endif
