/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * evhttp, and around it what evhttp (of libevent 2.1) has no bounds for: how many connections, and
 * for how long. Loop thread only.
 *
 * evhttp tells of a connection's end to whoever set its close callback, but of its beginning only
 * that it wants a stream. That stream's callbacks have the connection as their argument: so it is
 * found, before the first byte is read.
 */
#include "io/http.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/memory.h"

#define BACKLOG	     64
#define IDLE_SECONDS 5
#define NOTHING_MAY  "default-src 'none'; frame-ancestors 'none'"

struct connection {
	struct connection *prev, *next;
	struct http_server *server; /* NULL: it has gone before */
	struct bufferevent *stream;
	struct evhttp_connection *evcon; /* NULL: not found yet */
	struct loop_timer *deadline;
};

struct http_server {
	struct loop *loop;
	struct evhttp *evhttp;
	struct evconnlistener *listener;
	struct connection *connections;
	unsigned connection_count;
	struct http_request *queue; /* not given to the handler yet */
	struct loop_timer *turn;
	http_handler handler;
	void *arg;
};

struct http_request {
	struct http_request *prev, *next; /* in `queue` */
	struct http_server *server;
	struct evhttp_request *request;
	char *path; /* of an absolute target, too */
};

/* ---- bounds ---- */

static void connection_leave(struct connection *connection)
{
	struct http_server *server = connection->server;

	DL_DELETE(server->connections, connection);
	connection->server = NULL;
	loop_timer_free(connection->deadline);
	if (server->connection_count-- == HTTP_CONNECTIONS_MAX)
		evconnlistener_enable(server->listener);
}

static void connection_closed(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	connection_leave(arg);
	free(arg);
}

/* evhttp takes it for the end of the connection, and frees all. */
static void connection_expired(void *arg)
{
	struct connection *connection = arg;

	shutdown(bufferevent_getfd(connection->stream), SHUT_RDWR);
}

/* Comes before anything is read: the loop hasn't looked at the new socket yet. */
static void connection_find(void *arg)
{
	struct connection *connection = arg;
	void *evcon = NULL;

	if (connection->server == NULL) {
		free(connection);
		return;
	}
	bufferevent_getcb(connection->stream, NULL, NULL, NULL, &evcon);
	connection->evcon = evcon;
	assert(evcon != NULL && evhttp_connection_get_bufferevent(evcon) == connection->stream);
	evhttp_connection_set_closecb(connection->evcon, connection_closed, connection);
}

/* Makes the stream of a connection that has just been accepted. */
static struct bufferevent *connection_new(struct event_base *base, void *arg)
{
	struct http_server *server = arg;
	struct connection *connection = memory_alloc(sizeof(*connection));

	connection->server = server;
	connection->stream = bufferevent_socket_new(base, -1, 0);
	assert(connection->stream != NULL);
	connection->deadline = loop_timer_new(server->loop, connection_expired, connection);
	loop_timer_start(connection->deadline, HTTP_SECONDS_MAX * 1000);
	DL_APPEND(server->connections, connection);
	if (++server->connection_count == HTTP_CONNECTIONS_MAX)
		evconnlistener_disable(server->listener);
	loop_post(server->loop, connection_find, connection);
	return connection->stream;
}

/* ---- requests ---- */

/* While it waits for its answer evhttp doesn't read, so the connection is still there. */
static struct connection *connection_of(const struct http_request *request)
{
	const struct evhttp_connection *evcon = evhttp_request_get_connection(request->request);
	struct connection *connection;

	DL_SEARCH_SCALAR(request->server->connections, connection, evcon, evcon);
	assert(connection != NULL);
	return connection;
}

static void request_free(struct http_request *request)
{
	free(request->path);
	free(request);
}

/* Many answers in one turn would be one long turn. */
static void hand_over_next(void *arg)
{
	struct http_server *server = arg;
	struct http_request *request = server->queue;

	DL_DELETE(server->queue, request);
	if (server->queue != NULL)
		loop_timer_start(server->turn, 0);
	server->handler(server->arg, request);
}

static void take_request(struct evhttp_request *request, void *arg)
{
	struct http_server *server = arg;
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
	struct http_request *taken = memory_alloc(sizeof(*taken));

	taken->server = server;
	taken->request = request;
	taken->path = memory_string(path != NULL ? path : "");
	loop_timer_stop(connection_of(taken)->deadline); /* how long we take is not its fault */
	DL_APPEND(server->queue, taken);
	loop_timer_start(server->turn, 0);
}

const char *http_request_path(const struct http_request *request)
{
	return request->path;
}

const char *http_request_host(const struct http_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request->request);
	const char *host = evhttp_uri_get_host(uri);

	if (host != NULL)
		return host;
	return evhttp_find_header(evhttp_request_get_input_headers(request->request), "Host");
}

bool http_request_is_read(const struct http_request *request)
{
	enum evhttp_cmd_type command = evhttp_request_get_command(request->request);

	return command == EVHTTP_REQ_GET || command == EVHTTP_REQ_HEAD;
}

static const char *reason_of(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	default:
		return "Service Unavailable";
	}
}

void http_answer(struct http_request *request, const struct http_reply *reply)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request->request);
	bool is_head = evhttp_request_get_command(request->request) == EVHTTP_REQ_HEAD;
	struct evbuffer *body = evbuffer_new();
	char length[32];

	assert(body != NULL);
	snprintf(length, sizeof(length), "%zu", reply->length);
	evhttp_add_header(headers, "Content-Type", reply->type);
	evhttp_add_header(headers, "Content-Length", length);
	evhttp_add_header(headers, "Content-Security-Policy",
			  reply->policy != NULL ? reply->policy : NOTHING_MAY);
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Connection", "close");
	if (reply->status == 405)
		evhttp_add_header(headers, "Allow", "GET, HEAD");
	if (!is_head)
		evbuffer_add(body, reply->body, reply->length);
	loop_timer_start(connection_of(request)->deadline, HTTP_SECONDS_MAX * 1000);
	evhttp_send_reply(request->request, reply->status, reason_of(reply->status), body);
	evbuffer_free(body);
	request_free(request);
}

/* ---- start and stop ---- */

static int listen_on(const struct ip_port *address)
{
	struct sockaddr_storage storage;
	socklen_t length = (socklen_t)ip_to_sockaddr(address, &storage);
	int fd = socket(storage.ss_family, SOCK_STREAM, 0);
	int yes = 1;
	int error;

	if (fd < 0)
		return -1;
	evutil_make_socket_nonblocking(fd);
	evutil_make_socket_closeonexec(fd);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
	    bind(fd, (struct sockaddr *)&storage, length) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static void evhttp_configure(struct http_server *server)
{
	/* all that evhttp knows: what is refused, is refused by the handler */
	static const ev_uint16_t methods = EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
					   EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
					   EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH;

	evhttp_set_allowed_methods(server->evhttp, methods);
	evhttp_set_max_headers_size(server->evhttp, HTTP_HEAD_MAX);
	evhttp_set_max_body_size(server->evhttp, HTTP_BODY_MAX);
	evhttp_set_timeout(server->evhttp, IDLE_SECONDS);
	evhttp_set_bevcb(server->evhttp, connection_new, server);
	evhttp_set_gencb(server->evhttp, take_request, server);
}

struct http_server *http_server_new(struct loop *loop, const struct ip_port *address,
				    http_handler handler, void *arg)
{
	struct http_server *server;
	int fd = listen_on(address);

	if (fd < 0)
		return NULL;
	server = memory_alloc(sizeof(*server));
	server->loop = loop;
	server->handler = handler;
	server->arg = arg;
	server->turn = loop_timer_new(loop, hand_over_next, server);
	server->evhttp = evhttp_new(loop_base(loop));
	assert(server->evhttp != NULL);
	evhttp_configure(server);
	server->listener = evconnlistener_new(loop_base(loop), NULL, NULL,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	assert(server->listener != NULL);
	if (evhttp_bind_listener(server->evhttp, server->listener) == NULL)
		abort();
	return server;
}

void http_server_free(struct http_server *server)
{
	struct connection *connection, *next;
	struct http_request *request, *later;

	if (server == NULL)
		return;
	DL_FOREACH_SAFE(server->queue, request, later) {
		DL_DELETE(server->queue, request);
		request_free(request);
	}
	loop_timer_free(server->turn);
	/* one that isn't found yet is freed when it would have been */
	DL_FOREACH_SAFE(server->connections, connection, next) {
		bool found = connection->evcon != NULL;

		if (found)
			evhttp_connection_set_closecb(connection->evcon, NULL, NULL);
		connection_leave(connection);
		if (found)
			free(connection);
	}
	evhttp_free(server->evhttp); /* the listener and the streams with it */
	free(server);
}
