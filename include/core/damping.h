/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One notice per change, and yet none by the dozen of something that flaps: a change is told at
 * once four times, then every ten minutes the state that it has come to. Pure; one owner at a time.
 */
#ifndef BACKUPMX_CORE_DAMPING_H
#define BACKUPMX_CORE_DAMPING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/budget.h"

struct damping {
	int told;	  /* the state as people know it */
	int state;	  /* as it is */
	unsigned changes; /* since it was told */
	struct budget budget;
};

/* `state` is known: nobody needs to be told. */
void damping_init(struct damping *damping, int state);
void damping_change(struct damping *damping, int state);
/* People think it is something else. */
bool damping_wants(const struct damping *damping);
/* Milliseconds until they may be told; 0: now. `now_ms` never goes back. */
int64_t damping_wait_ms(const struct damping *damping, int64_t now_ms);
/* They are told now. Returns how many of the changes since the time before were not told. */
unsigned damping_tell(struct damping *damping, int64_t now_ms);

#endif
