/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One outage of a domain's primary: what is kept of it, from the first failed probe on. Pure; any
 * thread.
 *
 * Moments are seconds since 1970 by the wall clock, which may jump; lengths that are counted come
 * from a clock that never goes back, and no length is ever negative.
 */
#ifndef BACKUPMX_CORE_OUTAGE_H
#define BACKUPMX_CORE_OUTAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/decision.h"
#include "core/health.h"

#define OUTAGE_UNKNOWN (-1) /* for lengths */

struct outage {
	int64_t start;		 /* the first failed probe; where that isn't known, `detected` */
	int64_t detected;	 /* the change of state */
	int64_t end;		 /* 0: it goes on */
	int64_t as_of;		 /* until when the lengths are counted */
	enum domain_state state; /* the first one: down or sick */
	enum health_reason cause;
	int64_t detect_seconds;	 /* from start to detected; or unknown */
	int64_t recover_seconds; /* from the first good probe to the end; or unknown */
	int64_t passed_ms;	 /* from start on; without `isolated_ms` */
	int64_t isolated_ms;	 /* in which this host was cut off itself: not counted */
	int64_t mails_taken;
	int64_t mails_flushed;
	int64_t waiting_since; /* when the first mail was taken that isn't flushed; 0: none is */
	int64_t longest_delay; /* seconds from then to its flush; or unknown */
};

/* Why and since when. */
struct outage_news {
	enum domain_state state;
	enum health_reason reason;
	int64_t at;
	int64_t began; /* when the first probe began that led to this; 0: not known */
};

void outage_begin(struct outage *outage, const struct outage_news *news);
/* `ms` more of it have passed. */
void outage_pass(struct outage *outage, int64_t ms, bool isolated, int64_t wall);
/* The primary is still away after a time in which nobody looked. That time is part of the outage:
 * what was away before and after it isn't taken for having been there. */
void outage_resume(struct outage *outage, int64_t wall);
/* `news` of the primary that is back. */
void outage_end(struct outage *outage, const struct outage_news *news);
/* It goes on, or ended less than `seconds` ago. */
bool outage_is_near(const struct outage *outage, int64_t wall, int64_t seconds);
/* A mail was taken in it, or was on its way to us when it ended. */
void outage_take_mail(struct outage *outage, int64_t wall);
/* The MTA was told to deliver what waits. True when something did. */
bool outage_flush(struct outage *outage, int64_t wall);
int64_t outage_seconds(const struct outage *outage);

#define OUTAGE_RECORD_SIZE (2 + 16 + 12 * 8)
void outage_write(const struct outage *outage, unsigned char bytes[OUTAGE_RECORD_SIZE]);
/* False for what no outage_write() wrote. */
bool outage_read(struct outage *outage, const unsigned char *bytes, size_t length);

#endif
