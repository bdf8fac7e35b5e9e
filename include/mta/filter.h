/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libmilter: its callbacks on one side, mta/session.h on the other. The only file that knows
 * mfapi.h.
 */
#ifndef BACKUPMX_MTA_FILTER_H
#define BACKUPMX_MTA_FILTER_H

#include <stdbool.h>

#include "mta/gate.h"

struct filter_settings {
	const char *socket;	  /* as in [milter] socket */
	int socket_mode;	  /* of a unix socket */
	const char *socket_group; /* "": leave it */
};

/* Opens the milter socket. Hold the daemon's lock: a socket of the same name is removed. Returns 0,
 * or -errno after logging why not. */
int filter_open(struct gate *gate, const struct filter_settings *settings);

/* Starts libmilter in a thread of its own. `failed` is called (from that thread) when it ends
 * although nobody asked it to. */
void filter_start(void (*failed)(void *arg), void *arg);

/* Asks libmilter to stop and waits until callbacks in flight are done, at most `seconds`. False
 * when some were not. Call it from the main thread after the loop has ended. */
bool filter_stop(int seconds);

#endif
