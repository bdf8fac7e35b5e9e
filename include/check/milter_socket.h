/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * [milter] socket, as an MTA calls it. "inet:8899@127.0.0.1" is libmilter's and Sendmail's way;
 * Postfix says "inet:127.0.0.1:8899", and "unix:" paths below its queue where it is chrooted.
 */
#ifndef BACKUPMX_CHECK_MILTER_SOCKET_H
#define BACKUPMX_CHECK_MILTER_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

struct milter_socket_place {
	const char *queue; /* queue_directory: where relative paths begin, and the chroot */
	bool chrooted;
};

/* Is `name`, as Postfix's smtpd_milters has it, our `socket`? */
bool milter_socket_is_ours(const char *socket, const char *name,
			   const struct milter_socket_place *place);
/* The same for Sendmail's S= of a filter, which is written as ours is. */
bool milter_socket_is_same(const char *socket, const char *name);
/* What smtpd_milters should have. False when a chrooted smtpd can't see the socket: it is the name
 * outside of the chroot then. */
bool milter_socket_name(const char *socket, const struct milter_socket_place *place, char *name,
			size_t size);
/* May that user connect? True too when it can't be told, or the socket isn't there (yet). */
bool milter_socket_usable(const char *socket, const char *user, char *why, size_t size);

#endif
