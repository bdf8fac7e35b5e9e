/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is counted since the start: counters, and times in fixed buckets (DESIGN section 11).
 *
 * Every thread counts as it goes: no lock, no allocation, nothing that waits. A reader sees each
 * number right, though not all of them of the same moment. One struct, made by the daemon and
 * handed around by pointer. Pure; any thread.
 */
#ifndef BACKUPMX_CORE_STATS_H
#define BACKUPMX_CORE_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/decision.h"
#include "core/health.h"
#include "core/rcpt_answer.h"

/* One look into the recipient memory: what it said, or that it could not be read. */
#define STATS_LOOKUP_FAILED RECIPIENT_STATUS_COUNT
#define STATS_LOOKUP_COUNT  (RECIPIENT_STATUS_COUNT + 1)

/* What a callout came to; by the words of its log line. */
enum stats_callout {
	STATS_CALLOUT_VALID,
	STATS_CALLOUT_INVALID,
	STATS_CALLOUT_CATCH_ALL,
	STATS_CALLOUT_LATER,
	STATS_CALLOUT_NONE,
	STATS_CALLOUT_COUNT
};

enum stats_flush {
	STATS_FLUSH_OK,
	STATS_FLUSH_REFUSED, /* the MTA, or the command, said no */
	STATS_FLUSH_FAILED,  /* it could not be asked */
	STATS_FLUSH_COUNT
};

/* Durations that fall into buckets; the last bucket is for all that is longer. */
enum stats_time { STATS_TIME_DECISION, STATS_TIME_PROBE, STATS_TIME_CALLOUT, STATS_TIME_COUNT };
#define STATS_BUCKETS 18
struct stats_histogram {
	atomic_ullong counts[STATS_BUCKETS + 1];
	atomic_ullong sum_us;
};

struct stats {
	int64_t started; /* seconds since 1970 */
	atomic_ullong decisions[DECISION_ASK][DECISION_REASON_COUNT];
	atomic_ullong lookups[STATS_LOOKUP_COUNT];
	atomic_ullong probes[HEALTH_REASON_COUNT];
	atomic_ullong callouts[STATS_CALLOUT_COUNT];
	atomic_ullong transitions[DOMAIN_STATE_COUNT];
	atomic_ullong flushes[STATS_FLUSH_COUNT];
	struct stats_histogram times[STATS_TIME_COUNT];
	atomic_llong connections; /* of the MTA's, open now */
	atomic_bool reload_failed;
};

/* All zero, but for the time of the start. */
void stats_init(struct stats *stats, int64_t started);

/* `us` are microseconds; a negative time counts as none. */
void stats_count_decision(struct stats *stats, enum decision_action action,
			  enum decision_reason reason, int64_t us);
void stats_count_lookup(struct stats *stats, enum recipient_status status, bool failed);
void stats_count_probe(struct stats *stats, enum health_reason result, int64_t us);
void stats_count_callout(struct stats *stats, enum stats_callout result, int64_t us);
void stats_count_transition(struct stats *stats, enum domain_state to);
void stats_count_flush(struct stats *stats, enum stats_flush result);
void stats_count_connection(struct stats *stats, bool opened);
void stats_note_reload(struct stats *stats, bool succeeded);

uint64_t stats_read(const atomic_ullong *counter);
int64_t stats_bound_us(size_t i); /* of i < STATS_BUCKETS */

enum stats_callout stats_callout_of(enum rcpt_verdict verdict, bool catch_all);

const char *stats_lookup_name(size_t result);
const char *stats_callout_name(enum stats_callout result);
const char *stats_flush_name(enum stats_flush result);

#endif
