/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server on a unix socket that takes one line and answers with one text, over and over.
 * Bounded: clients, line length, idle time. Loop thread only.
 */
#ifndef BACKUPMX_IO_LINE_SERVER_H
#define BACKUPMX_IO_LINE_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "io/loop.h"

#define LINE_SERVER_LINE_MAX	 65536
#define LINE_SERVER_CLIENTS_MAX	 32
#define LINE_SERVER_IDLE_SECONDS 30

struct line_server;

/* Who is at the other end of the socket. */
struct line_peer {
	uid_t uid;
	gid_t gid;
	bool known; /* the system told */
};

/* One line that waits for its answer. It stays valid, whatever its client does, until it is
 * answered; each must be answered once, now or later. */
struct line_request;

/* Takes a line (without its end; NULL when it was too long). */
typedef void (*line_handler)(void *arg, const struct line_peer *peer, const char *line,
			     struct line_request *request);

/* Sends the text and a newline, and frees the request. */
void line_request_answer(struct line_request *request, const char *text);

/* Listens at `path`; a stale socket there is removed first, so hold the daemon's lock. NULL with
 * errno set on failure. */
struct line_server *line_server_new(struct loop *loop, const char *path, mode_t mode,
				    line_handler handler, void *arg);
/* Closes all and removes the socket. NULL is fine. Requests not yet answered must still be
 * answered. */
void line_server_free(struct line_server *server);

#endif
