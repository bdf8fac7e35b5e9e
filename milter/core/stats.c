/* SPDX-License-Identifier: BSD-2-Clause */
/* Relaxed atomics: each number stands for itself, none orders anything else. Pure; any thread. */
#include "core/stats.h"

#include <string.h>

/* From what a decision takes out of memory up to the longest waits for a primary. */
static const int64_t bounds_us[STATS_BUCKETS] = {
	100,	250,	500,	1000,	 2500,	  5000,	   10000,    25000,    50000,
	100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000,
};

static void add(atomic_ullong *counter, unsigned long long n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void count_time(struct stats *stats, enum stats_time time, int64_t us)
{
	struct stats_histogram *histogram = &stats->times[time];
	size_t i = 0;

	if (us < 0)
		us = 0;
	while (i < STATS_BUCKETS && us > bounds_us[i])
		i++;
	add(&histogram->counts[i], 1);
	add(&histogram->sum_us, (unsigned long long)us);
}

void stats_init(struct stats *stats, int64_t started)
{
	memset(stats, 0, sizeof(*stats));
	stats->started = started;
}

void stats_count_decision(struct stats *stats, enum decision_action action,
			  enum decision_reason reason, int64_t us)
{
	add(&stats->decisions[action][reason], 1);
	count_time(stats, STATS_TIME_DECISION, us);
}

void stats_count_lookup(struct stats *stats, enum recipient_status status, bool failed)
{
	add(&stats->lookups[failed ? (size_t)STATS_LOOKUP_FAILED : (size_t)status], 1);
}

void stats_count_probe(struct stats *stats, enum health_reason result, int64_t us)
{
	add(&stats->probes[result], 1);
	count_time(stats, STATS_TIME_PROBE, us);
}

void stats_count_callout(struct stats *stats, enum stats_callout result, int64_t us)
{
	add(&stats->callouts[result], 1);
	count_time(stats, STATS_TIME_CALLOUT, us);
}

void stats_count_transition(struct stats *stats, enum domain_state to)
{
	add(&stats->transitions[to], 1);
}

void stats_count_flush(struct stats *stats, enum stats_flush result)
{
	add(&stats->flushes[result], 1);
}

void stats_count_connection(struct stats *stats, bool opened)
{
	atomic_fetch_add_explicit(&stats->connections, opened ? 1 : -1, memory_order_relaxed);
}

void stats_note_reload(struct stats *stats, bool succeeded)
{
	atomic_store_explicit(&stats->reload_failed, !succeeded, memory_order_relaxed);
}

uint64_t stats_read(const atomic_ullong *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

int64_t stats_bound_us(size_t i)
{
	return bounds_us[i];
}

enum stats_callout stats_callout_of(enum rcpt_verdict verdict, bool catch_all)
{
	if (catch_all)
		return STATS_CALLOUT_CATCH_ALL;
	switch (verdict) {
	case RCPT_VERDICT_VALID:
		return STATS_CALLOUT_VALID;
	case RCPT_VERDICT_INVALID:
	case RCPT_VERDICT_INVALID_BRIEFLY:
		return STATS_CALLOUT_INVALID;
	case RCPT_VERDICT_LATER:
		return STATS_CALLOUT_LATER;
	case RCPT_VERDICT_NONE:
		break;
	}
	return STATS_CALLOUT_NONE;
}

const char *stats_lookup_name(size_t result)
{
	return result == STATS_LOOKUP_FAILED ? "failed"
					     : recipient_status_name((enum recipient_status)result);
}

const char *stats_callout_name(enum stats_callout result)
{
	static const char *const names[] = {
		[STATS_CALLOUT_VALID] = "valid",	 [STATS_CALLOUT_INVALID] = "invalid",
		[STATS_CALLOUT_CATCH_ALL] = "catch-all", [STATS_CALLOUT_LATER] = "later",
		[STATS_CALLOUT_NONE] = "none",
	};

	return names[result];
}

const char *stats_flush_name(enum stats_flush result)
{
	static const char *const names[] = { [STATS_FLUSH_OK] = "ok",
					     [STATS_FLUSH_REFUSED] = "refused",
					     [STATS_FLUSH_FAILED] = "failed" };

	return names[result];
}
