/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small HTTP server for GET and HEAD (libevent's evhttp). Loop thread only.
 *
 * Bounded: connections, the size of a request, and the times in which it must have come and its
 * answer must have gone, however slowly somebody writes or reads. A connection serves one request.
 * What can't be read and what is too large is refused in here; all else comes to the handler, one
 * request in a turn of the loop, for the loop has more to do.
 */
#ifndef BACKUPMX_IO_HTTP_H
#define BACKUPMX_IO_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "core/ip.h"
#include "io/loop.h"

#define HTTP_CONNECTIONS_MAX 32 /* more wait in the kernel's queue */
#define HTTP_HEAD_MAX	     8192
#define HTTP_BODY_MAX	     1024 /* nobody has a use for one; a small one is no offence */
#define HTTP_SECONDS_MAX     15	  /* of a request, and of its answer */

struct http_server;
/* It stays valid, whatever its client does, until it is answered; each must be answered once, now
 * or later, by http_answer(). */
struct http_request;

typedef void (*http_handler)(void *arg, struct http_request *request);

/* NULL with errno set when that can't be listened on. */
struct http_server *http_server_new(struct loop *loop, const struct ip_port *address,
				    http_handler handler, void *arg);
/* Closes all connections. All requests that the handler got must have been answered. NULL is fine.
 */
void http_server_free(struct http_server *server);

/* The path as sent, without the query; "" when there is none. Foreign bytes. */
const char *http_request_path(const struct http_request *request);
/* Whom the client takes us for: the target's host, else the Host header; NULL: it doesn't say.
 * Foreign bytes, with the port if it gave one. */
const char *http_request_host(const struct http_request *request);
/* GET or HEAD; else a method that nothing here has an answer for. */
bool http_request_is_read(const struct http_request *request);

struct http_reply {
	int status;
	const char *type;   /* Content-Type */
	const char *policy; /* Content-Security-Policy; NULL: nothing may be loaded or run */
	const char *body;   /* copied; left out in the answer to a HEAD */
	size_t length;
};
/* Frees the request. */
void http_answer(struct http_request *request, const struct http_reply *reply);

#endif
