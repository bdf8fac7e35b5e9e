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

#define LINE_SERVER_LINE_MAX 65536
#define LINE_SERVER_CLIENTS_MAX 32
#define LINE_SERVER_IDLE_SECONDS 30

struct line_server;

/* Who is at the other end of the socket. */
struct line_peer {
	uid_t uid;
	gid_t gid;
	bool known; /* the system told */
};

/* Answers a line (without its end; NULL when it was too long). Returns a malloc'd text that is sent
 * with a newline behind it, and freed. */
typedef char *(*line_handler)(void *arg, const struct line_peer *peer, const char *line);

/* Listens at `path`; a stale socket there is removed first, so hold the daemon's lock. NULL with errno
 * set on failure. */
struct line_server *line_server_new(struct loop *loop, const char *path, mode_t mode,
				    line_handler handler, void *arg);
/* Closes all and removes the socket. NULL is fine. */
void line_server_free(struct line_server *server);

#endif
