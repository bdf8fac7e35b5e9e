/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sweep: goes through the recipient memory, round after round, and removes what counts no more
 * (recipient_is_dead()). Ten million entries take an hour and a half.
 *
 * It runs on the writer's thread, between batches, a few hundred entries at a time. Nobody else
 * writes to the store meanwhile, and what is queued is newer and written later: so an entry that is
 * refreshed while it is being removed stays. It also does the work of memory/drops.h, and counts
 * what large domains have.
 */
#ifndef BACKUPMX_MEMORY_SWEEP_H
#define BACKUPMX_MEMORY_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/config.h"
#include "core/recipient.h"
#include "memory/recipients.h"

struct sweep;

/* Fills in the domain's clock at that wall time; false when it is none of ours. Any thread. */
typedef bool (*sweep_clock)(void *arg, const char *domain, int64_t wall,
			    struct recipient_clock *clock);

struct sweep_settings {
	struct writer *writer;
	struct recipients *recipients;
	sweep_clock clock;
	void *clock_arg;
};

struct sweep *sweep_new(const struct sweep_settings *settings, const struct config *config);
/* After sweep_stop() if it was started. */
void sweep_free(struct sweep *sweep);
void sweep_configure(struct sweep *sweep, const struct config *config); /* any thread */

/* Makes it the writer's chore, respectively ends that. */
void sweep_start(struct sweep *sweep);
void sweep_stop(struct sweep *sweep);

struct sweep_time {
	int64_t ms;   /* of a clock that never goes back */
	int64_t wall; /* seconds since 1970 */
};
/* One step, as the writer's thread does it. Returns after how many milliseconds comes the next. */
int64_t sweep_step(struct sweep *sweep, const struct sweep_time *now);

#endif
