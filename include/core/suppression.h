/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which defer lines are written, and which are only counted. An attack repeats one thing from one
 * network, or one thing from many; what a minute may bring into the log is bounded for a client's
 * network (with reason and domain), for a domain (with reason), and in all. The first lines of a
 * network may use up each bound, its later ones only half: so one who comes for the first time is
 * seen although others are loud.
 *
 * Nothing is left out uncounted: lines written + numbers given out = calls, once everything was
 * collected. Rows are made with a line only, so their number is bounded as the lines are. Pure:
 * `now_ms` is any clock that never goes back. One owner at a time.
 */
#ifndef BACKUPMX_CORE_SUPPRESSION_H
#define BACKUPMX_CORE_SUPPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/decision.h"
#include "core/ip.h"
#include "core/mail_address.h"

#define SUPPRESSION_WINDOW_MS 60000

/* Lines in a window. */
struct suppression_limits {
	unsigned first;	 /* of a network that may use up the bounds below */
	unsigned client; /* of a client's network, with one reason and domain */
	unsigned domain; /* of a domain, with one reason */
	unsigned total;
};

struct suppression_event {
	struct ip client;
	enum decision_reason reason;
	const char *domain;
};

struct suppression;

struct suppression *suppression_new(const struct suppression_limits *limits);
void suppression_free(struct suppression *suppression);

/* Whether this event gets a line; *suppressed says how many before it, of the same network, reason
 * and domain, got none and were not told yet. */
bool suppression_admit(struct suppression *suppression, const struct suppression_event *event,
		       int64_t now_ms, unsigned long *suppressed);

/* Events that got no line, and no later line told them. */
struct suppression_summary {
	enum decision_reason reason;
	struct ip_network network;	  /* its ip.family is IP_NONE: of several */
	char domain[MAIL_DOMAIN_MAX + 1]; /* "": of several */
	unsigned long suppressed;
};

#define SUPPRESSION_SUMMARIES_MAX (20 + DECISION_REASON_COUNT)

/* Fills in what has waited for its line through a whole window, or with `everything` all that is
 * there; what doesn't fit comes as one summary for each reason. Returns how many. Call it every
 * half window: it also forgets rows. */
size_t suppression_collect(struct suppression *suppression, int64_t now_ms, bool everything,
			   struct suppression_summary summaries[SUPPRESSION_SUMMARIES_MAX]);

/* Rows kept now: for tests. */
size_t suppression_rows(const struct suppression *suppression);

#endif
