/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells people, by [notify] command, of each change of a domain's primary and of this host's
 * isolation. Loop thread only.
 *
 * A change is told at once; what flaps is damped (core/damping.h). A state that is found at the
 * start, or of a new domain, is told only if it isn't the one remembered. Many domains at once make
 * one notice. While this host is isolated only that is told: a minute after it is over, what is
 * still different is. At most two programs run at a time, and one domain's notices come in order.
 */
#ifndef BACKUPMX_WATCH_NOTICES_H
#define BACKUPMX_WATCH_NOTICES_H

#include "conf/config.h"
#include "io/child.h"
#include "watch/domains.h"
#include "watch/services.h"

struct notices;

struct notices *notices_new(struct services *services, struct children *children,
			    struct config *config);
/* Hears of the domains, and of the isolation, from now on. */
void notices_watch(struct notices *notices, struct domains *domains);
void notices_configure(struct notices *notices, struct config *config);
/* Programs that run are abandoned. Nothing may be told to it any more. */
void notices_free(struct notices *notices);

#endif
