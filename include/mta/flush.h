/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flushing the MTA's queue for a domain whose primary is back: ETRN (RFC 1985) to our own MTA, at
 * most one a second, again after 10 s, 2 and 10 minutes, because a flush misses what is in flight.
 * Loop thread only.
 */
#ifndef BACKUPMX_MTA_FLUSH_H
#define BACKUPMX_MTA_FLUSH_H

#include <stdbool.h>

#include "conf/config.h"
#include "core/smtp_reply.h"
#include "watch/domains.h"

struct flush;

struct flush *flush_new(struct services *services, struct config *config);
void flush_free(struct flush *flush);
void flush_configure(struct flush *flush, struct config *config);
/* The table of domains is made after the flush that it tells of recoveries. */
void flush_set_domains(struct flush *flush, struct domains *domains);

/* What the table of domains tells (watch/domains.h): a recovery begins the rounds, a latecomer
 * prolongs them, the next outage ends them. */
void flush_recovered(void *flush, const char *domain, unsigned long mails);
void flush_latecomer(void *flush, const char *domain);
void flush_lost(void *flush, const char *domain);

/* One flush now, asked for by an operator; `done` gets the MTA's reply, or NULL and a reason. False
 * when flushing is off (method = none). */
typedef void (*flush_done)(void *arg, const struct smtp_reply *reply, enum health_reason reason);
bool flush_now(struct flush *flush, const char *domain, flush_done done, void *arg);

#endif
