/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flushing the MTA's queue for a domain whose primary is back: ETRN (RFC 1985) to our own MTA, or a
 * command; at most one a second, again after 10 s, 2 and 10 minutes, because a flush misses what is
 * in flight.
 * Loop thread only.
 */
#ifndef BACKUPMX_MTA_FLUSH_H
#define BACKUPMX_MTA_FLUSH_H

#include <stdbool.h>

#include "conf/config.h"
#include "core/health.h"
#include "io/child.h"
#include "watch/domains.h"

struct flush;

struct flush *flush_new(struct services *services, struct children *children,
			struct config *config);
void flush_free(struct flush *flush);
/* The daemon stops: operators who wait for a flush are told so. */
void flush_stop_waits(struct flush *flush);
void flush_configure(struct flush *flush, struct config *config);
/* The table of domains is made after the flush that it tells of recoveries. */
void flush_set_domains(struct flush *flush, struct domains *domains);

/* What the table of domains tells (watch/domains.h): a recovery begins the rounds, a latecomer
 * prolongs them, the next outage ends them. */
void flush_recovered(void *flush, const char *domain, unsigned long mails);
void flush_latecomer(void *flush, const char *domain);
void flush_lost(void *flush, const char *domain);

/* How a flush went. */
struct flush_result {
	bool taken;
	const char
		*method; /* "etrn" or "command"; "none": it was called off, `why` is a sentence */
	const char
		*why; /* nobody has answered: a word, such as "refused" or "timeout"; else NULL */
	int code;     /* the MTA's reply, or the command's status */
	const char *text; /* the reply's, or the last line that the command wrote */
};

/* One flush now, asked for by an operator; `done` is told how it went. False when flushing is off
 * (method = none). */
typedef void (*flush_done)(void *arg, const struct flush_result *result);
bool flush_now(struct flush *flush, const char *domain, flush_done done, void *arg);

#endif
