/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Candidates: domains that nobody configured and for which the MTA let a recipient pass. Their MX
 * records are looked up, and nothing else is done: no packet goes to anybody of theirs (promise
 * P6). Those that prove to be ours are handed on, the others are turned down for a while.
 *
 * Whatever strangers make up, there are bounds: look-ups a second and at a time, names kept.
 */
#ifndef BACKUPMX_WATCH_CANDIDATES_H
#define BACKUPMX_WATCH_CANDIDATES_H

#include <stdbool.h>
#include <stdint.h>

#include "watch/lookup.h"
#include "watch/services.h"

struct candidates;

/* The domain's MX records list us and somebody better. On the loop; the callee may take the
 * result's set. `next_hop` is what candidates_consider() was given. */
typedef void (*candidate_proved)(void *arg, const char *name, const char *next_hop,
				 struct lookup_result *result);

struct candidates *candidates_new(struct services *services, candidate_proved proved, void *arg);
/* Nobody may wait any more (candidates_stop_waits). */
void candidates_free(struct candidates *candidates);

/* Looks a name up, unless it was turned down lately or there are too many. True when it is being
 * looked up and the answer is worth waiting for. Any thread. */
bool candidates_consider(struct candidates *candidates, const char *name, const char *next_hop);
/* Waits until that has ended, or `until_ms` (loop_now_ms). Any thread but the loop. */
void candidates_wait(struct candidates *candidates, const char *name, int64_t until_ms);
/* Ends all waits, now and later: the program stops. Any thread. */
void candidates_stop_waits(struct candidates *candidates);

/* ---- loop thread only ---- */

/* Turns a name down without asking. */
void candidates_refuse(struct candidates *candidates, const char *name, int64_t seconds);
/* Forgets all answers and questions: we may be somebody else now, or the resolver is. */
void candidates_clear(struct candidates *candidates);

#endif
