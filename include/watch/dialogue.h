/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A probe to look at: one SMTP session with an endpoint, exactly as the prober would have it, of
 * which each step is kept with its time. It counts for nothing. Loop thread only.
 */
#ifndef BACKUPMX_WATCH_DIALOGUE_H
#define BACKUPMX_WATCH_DIALOGUE_H

#include <stddef.h>
#include <stdint.h>

#include "core/health.h"
#include "watch/endpoints.h"
#include "watch/services.h"

#define DIALOGUE_STEPS_MAX 100 /* what comes after that is left out, and said to be */
#define DIALOGUE_TEXT_MAX  512

struct dialogue;

enum dialogue_what {
	DIALOGUE_CONNECT,
	DIALOGUE_SENT,
	DIALOGUE_RECEIVED,
	DIALOGUE_TLS,
	DIALOGUE_CLOSED
};

struct dialogue_step {
	int64_t ms; /* since the beginning */
	enum dialogue_what what;
	char *text; /* printable (base/text.h) */
};

/* It is over; the last call. dialogue_free() may be called from there. */
typedef void (*dialogue_done)(void *arg);

/* Never calls `done` before it returns. The endpoint may go meanwhile. */
struct dialogue *dialogue_start(struct services *services, struct endpoint *endpoint,
				dialogue_done done, void *arg);
/* Also in the middle of it: then nobody is called. */
void dialogue_free(struct dialogue *dialogue);

/* What the prober would have made of it, and how long that took; QUIT comes after that. */
enum health_reason dialogue_result(const struct dialogue *dialogue);
int64_t dialogue_ms(const struct dialogue *dialogue);
size_t dialogue_step_count(const struct dialogue *dialogue);
const struct dialogue_step *dialogue_step(const struct dialogue *dialogue, size_t i);

/* "connect", "sent", "received", "tls", "closed" */
const char *dialogue_what_name(enum dialogue_what what);

#endif
