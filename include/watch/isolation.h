/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches whether this host is cut off itself (DESIGN section 3: isolated; the rule is in
 * core/isolation.h): looks at the references when the rule wants them, says when the flag changes.
 * Loop thread only.
 *
 * References are connected to and nothing is said to them, and only while there is something to
 * find out: a probe failed and nothing else has answered, or the flag is up.
 */
#ifndef BACKUPMX_WATCH_ISOLATION_H
#define BACKUPMX_WATCH_ISOLATION_H

#include <stdbool.h>

#include "conf/config.h"
#include "core/isolation.h"
#include "watch/services.h"

struct isolation_watch;

/* How many endpoints there are, and how many of them answered nobody's last probe. */
struct isolation_endpoints {
	unsigned total, failing;
};

/* Who has results held back, and endpoints to probe. */
struct isolation_listener {
	void *arg;
	const struct isolation_endpoints *endpoints; /* kept true by the listener */
	/* What is held may be decided now: judge it again. */
	void (*judge_again)(void *arg);
	/* The references don't answer: how are the endpoints that did? */
	void (*probe_others)(void *arg);
	/* The flag has been taken down: probe all, soon. */
	void (*over)(void *arg);
};

struct isolation_watch *isolation_watch_new(struct services *services, struct config *config);
void isolation_watch_free(struct isolation_watch *watch);
/* There is one listener; NULL: none any more. */
void isolation_watch_listen(struct isolation_watch *watch,
			    const struct isolation_listener *listener);
/* References that are the same are looked at as before; a flag without references is taken down. */
void isolation_watch_configure(struct isolation_watch *watch, struct config *config);

/* A probe got no answer: does it count? Never calls the listener before it returns. */
enum isolation_verdict isolation_watch_judge(struct isolation_watch *watch,
					     const struct isolation_sample *sample);
/* An endpoint has answered. Calls the listener. */
void isolation_watch_answered(struct isolation_watch *watch);

/* Who hears of each change of the flag, and may not call the watch from there. There are at most
 * two; they are told until the watch is freed. */
typedef void (*isolation_observer)(void *arg, bool on);
void isolation_watch_observe(struct isolation_watch *watch, isolation_observer observer, void *arg);
/* The one with this `arg` hears no more. */
void isolation_watch_unobserve(struct isolation_watch *watch, const void *arg);

bool isolation_watch_is_on(const struct isolation_watch *watch);
/* How long the flag was up so far, all times together. */
int64_t isolation_watch_lasted_ms(const struct isolation_watch *watch);
/* The flag is up, and nothing may go down by it. */
bool isolation_watch_freezes(const struct isolation_watch *watch);

#endif
