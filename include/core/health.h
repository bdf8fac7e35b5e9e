/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Health of one endpoint: a sequence of probe results in, up or down out (DESIGN section 3).
 *
 * Pure: time is an argument, in milliseconds of a clock that never goes back. One owner at a time.
 */
#ifndef BACKUPMX_CORE_HEALTH_H
#define BACKUPMX_CORE_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far a probe goes. Each level includes those before it. */
enum health_level {
	HEALTH_LEVEL_CONNECT,
	HEALTH_LEVEL_BANNER,
	HEALTH_LEVEL_EHLO,
	HEALTH_LEVEL_STARTTLS,
};

/* The fixed words that say why. Only HEALTH_OK is a good probe; HEALTH_NO_ROUTE says nothing of the
 * endpoint (this host lacks the address family). */
enum health_reason {
	HEALTH_OK,
	HEALTH_DNS_FAIL,
	HEALTH_REFUSED,
	HEALTH_TIMEOUT,
	HEALTH_UNREACHABLE,
	HEALTH_NO_ROUTE,
	HEALTH_RESET,
	HEALTH_LOST,
	HEALTH_TLS_FAIL,
	HEALTH_BANNER_4XX,
	HEALTH_BANNER_5XX,
	HEALTH_EHLO_4XX,
	HEALTH_EHLO_5XX,
	HEALTH_PROTOCOL,
	HEALTH_LOOP,
	HEALTH_CANARY_REFUSED,
	HEALTH_OWN_FAULT, /* this process ran out of something: says nothing of anybody, is never
			     fed */
	HEALTH_REASON_COUNT
};

enum health_state { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

struct health_rules {
	int64_t rise;					/* good probes in a row to go up */
	int64_t fall;					/* bad ones to go down */
	int64_t interval, fast_interval, down_interval; /* seconds */
};

struct health {
	enum health_state state;
	enum health_reason reason; /* of the last probe that counted */
	int64_t streak; /* probes in a row that speak against `state`; 0 when it is sure of itself
			 */
	bool no_route; /* the last probe found no way from here: the endpoint stays out of the count
			*/
};

/* Takes one probe's result. Returns true when the state changed. */
bool health_feed(struct health *health, const struct health_rules *rules,
		 enum health_reason result);

/* Seconds until the next probe, before jitter. `leading`: this endpoint is the best one up of a
 * primary set, or none of the set is up; the others wait ten times as long. */
int64_t health_interval(const struct health *health, const struct health_rules *rules,
			bool leading);

/* An endpoint that several domains use is probed once for all, by the strictest of their rules: the
 * shortest intervals, the most probes to change. */
void health_rules_merge(struct health_rules *into, const struct health_rules *other);

/* A failure that somebody answered with: whoever it is can be reached. */
bool health_reason_reached(enum health_reason reason);

const char *health_reason_name(enum health_reason reason);
const char *health_state_name(enum health_state state);
bool health_reason_parse(const char *word, enum health_reason *reason);
bool health_state_parse(const char *word, enum health_state *state);

#endif
