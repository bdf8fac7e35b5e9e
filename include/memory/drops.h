/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Acceptances that prove nothing: what a domain's callouts accepted between its last refusal of an
 * invented local part and the moment it was found to accept any.
 *
 * They count no more from that moment on, and are deleted piece by piece on the writer's thread,
 * for a domain may have millions. What is still to be done is kept over restarts.
 */
#ifndef BACKUPMX_MEMORY_DROPS_H
#define BACKUPMX_MEMORY_DROPS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/recipient.h"
#include "io/writer.h"

struct drops;

/* Takes up what an earlier process has left to do. */
struct drops *drops_new(struct writer *writer);
void drops_free(struct drops *drops);

/* Everything of the domain learned by callouts from `since` to `until` goes (seconds since 1970,
 * both included). Any thread. */
void drops_add(struct drops *drops, const char *domain, int64_t since, int64_t until);
/* Whether the record is among what goes. Any thread. */
bool drops_cover(struct drops *drops, const char *domain, const struct recipient_record *record);

/* Does a piece of the work. Returns after how many milliseconds there is more; -1: nothing to do.
 * The writer's thread (a chore). */
int64_t drops_step(struct drops *drops);

#endif
