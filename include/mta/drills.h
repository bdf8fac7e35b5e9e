/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fire drills of this daemon (DESIGN section 10): core/drill.h's table behind a lock, what is
 * logged of it, and when one last passed, which survives restarts. The control commands hand out
 * and end (loop thread), the mail sessions claim and tell (any thread).
 */
#ifndef BACKUPMX_MTA_DRILLS_H
#define BACKUPMX_MTA_DRILLS_H

#include "core/drill.h"
#include "core/ip.h"
#include "watch/services.h"

struct drills;

/* ---- loop thread ---- */

struct drills *drills_new(struct services *services);
/* Says which drills were cut off; no session may come any more. */
void drills_free(struct drills *drills);
/* The same, while others may still come. */
void drills_stop(struct drills *drills);

/* Hands out the token, which is written into the order, until order->expires, which is too. `by`:
 * who, for the log. False when too many drills are under way. */
bool drills_begin(struct drills *drills, struct drill_order *order, const char *by);
/* Copies the drill. False when there is none (any more) with this token. */
bool drills_look(struct drills *drills, const char *token, struct drill *drill);
/* Ends it; false when drill_finish() says so. A pass is kept. */
bool drills_end(struct drills *drills, const char *token, enum drill_end end, const char *by);
/* Ends all that run, as unfinished: nobody is there any more who would. */
void drills_end_left(struct drills *drills, const char *by);
/* When one last passed, seconds since 1970; 0: never. */
int64_t drills_last_passed(const struct drills *drills);

/* ---- any thread ---- */

/* A MAIL command with a token. Returns the drill's serial, or 0 after logging why it is none. */
uint64_t drills_claim(struct drills *drills, const char *token, const struct ip *client,
		      bool null_sender);
/* Whether a recipient of the message that claimed it is the drill's; logs why it isn't. `domain`
 * is an A-label. */
bool drills_admit(struct drills *drills, uint64_t serial, const struct ip *client,
		  const char *domain, const char *local);
/* As drill_decide(), drill_take(), drill_settle(). */
void drills_decide(struct drills *drills, uint64_t serial, const struct drill_decision *decision);
void drills_take(struct drills *drills, uint64_t serial, struct drill_changes *changes);
void drills_settle(struct drills *drills, uint64_t serial, bool taken, bool tagged, bool held);

#endif
