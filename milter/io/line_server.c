/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket's listener and its clients, on libevent. Loop thread only. */
#include "io/line_server.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

#include "base/memory.h"
#include "base/text.h"

struct line_client {
	struct line_client *prev, *next;
	struct line_server *server;
	struct bufferevent *stream;
	struct line_peer peer;
	struct line_request *open; /* the one line that is being answered */
	bool ended;		   /* it says no more: the lines that are here are the last */
	bool closing;		   /* takes no more lines; both: close when the answer is out */
};

struct line_request {
	struct line_client *client; /* NULL: it has gone */
};

struct line_server {
	struct loop *loop;
	struct evconnlistener *listener;
	struct line_client *clients;
	unsigned client_count;
	line_handler handler;
	void *arg;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static void client_free(struct line_client *client)
{
	DL_DELETE(client->server->clients, client);
	client->server->client_count--;
	if (client->open != NULL)
		client->open->client = NULL;
	bufferevent_free(client->stream);
	free(client);
}

static void hand_over(struct line_client *client, const char *line)
{
	struct line_server *server = client->server;
	struct line_request *request = memory_alloc(sizeof(*request));

	request->client = client;
	client->open = request;
	server->handler(server->arg, &client->peer, line, request);
}

/* The last answer isn't out yet. */
static bool is_busy(const struct line_client *client)
{
	return client->open != NULL ||
	       evbuffer_get_length(bufferevent_get_output(client->stream)) > 0;
}

/* Takes the next line, unless one is still being answered: who asks and asks and doesn't read must
 * not fill our memory with answers. */
static void take_line(struct line_client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->stream);
	char *line;

	if (is_busy(client) || client->closing)
		return;
	line = evbuffer_readln(input, NULL, EVBUFFER_EOL_LF);
	if (line != NULL) {
		hand_over(client, line);
		free(line);
	} else if (evbuffer_get_length(input) > LINE_SERVER_LINE_MAX) {
		client->closing = true;
		bufferevent_disable(client->stream, EV_READ);
		hand_over(client, NULL);
	}
}

static void client_read(struct bufferevent *stream, void *arg)
{
	(void)stream;
	take_line(arg);
}

void line_request_answer(struct line_request *request, const char *text)
{
	struct line_client *client = request->client;

	free(request);
	if (client == NULL)
		return;
	client->open = NULL;
	bufferevent_write(client->stream, text, strlen(text));
	bufferevent_write(client->stream, "\n", 1);
}

/* The answer is out: a line that came meanwhile is the next. */
static void client_written(struct bufferevent *stream, void *arg)
{
	struct line_client *client = arg;

	(void)stream;
	take_line(client);
	if ((client->ended || client->closing) && !is_busy(client))
		client_free(client);
}

static void client_event(struct bufferevent *stream, short what, void *arg)
{
	struct line_client *client = arg;

	/* who waits for an answer isn't idle: the time begins anew */
	if ((what & BEV_EVENT_TIMEOUT) && (what & BEV_EVENT_READING) && client->open != NULL) {
		bufferevent_enable(stream, EV_READ);
		return;
	}
	/* a client may close its writing side before it reads the answer */
	if ((what & BEV_EVENT_EOF) && is_busy(client))
		client->ended = true;
	else
		client_free(client);
}

static void peer_read(evutil_socket_t fd, struct line_peer *peer)
{
#ifdef SO_PEERCRED
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0)
		*peer = (struct line_peer){ credentials.uid, credentials.gid, true };
#else
	if (getpeereid(fd, &peer->uid, &peer->gid) == 0)
		peer->known = true;
#endif
}

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
		     int length, void *arg)
{
	struct line_server *server = arg;
	struct timeval idle = { .tv_sec = LINE_SERVER_IDLE_SECONDS };
	struct line_client *client;

	(void)listener;
	(void)address;
	(void)length;
	if (server->client_count >= LINE_SERVER_CLIENTS_MAX) {
		close(fd);
		return;
	}
	client = memory_alloc(sizeof(*client));
	client->server = server;
	peer_read(fd, &client->peer);
	client->stream = bufferevent_socket_new(loop_base(server->loop), fd, BEV_OPT_CLOSE_ON_FREE);
	assert(client->stream != NULL);
	bufferevent_setcb(client->stream, client_read, client_written, client_event, client);
	bufferevent_setwatermark(client->stream, EV_READ, 0, LINE_SERVER_LINE_MAX + 2);
	bufferevent_set_timeouts(client->stream, &idle, &idle);
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
	DL_APPEND(server->clients, client);
	server->client_count++;
}

static int listen_at(const char *path, mode_t mode)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat there;
	mode_t old_mask;
	int failed;
	int fd;

	if (!text_copy(address.sun_path, sizeof(address.sun_path), path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		return -1;
	if (lstat(path, &there) == 0 && !S_ISSOCK(there.st_mode)) {
		close(fd);
		errno = EEXIST; /* a file of somebody's: not ours to remove */
		return -1;
	}
	unlink(path);
	old_mask = umask(0177); /* never open to others, not even for a moment */
	failed = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(old_mask);
	if (failed == 0)
		failed = chmod(path, mode);
	if (failed != 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	evutil_make_socket_nonblocking(fd);
	evutil_make_socket_closeonexec(fd);
	return fd;
}

struct line_server *line_server_new(struct loop *loop, const char *path, mode_t mode,
				    line_handler handler, void *arg)
{
	struct line_server *server;
	int fd = listen_at(path, mode);

	if (fd < 0)
		return NULL;
	server = memory_alloc(sizeof(*server));
	server->loop = loop;
	server->handler = handler;
	server->arg = arg;
	text_copy(server->path, sizeof(server->path), path);
	server->listener =
		evconnlistener_new(loop_base(loop), accepted, server,
				   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16, fd);
	assert(server->listener != NULL);
	return server;
}

/* The loop doesn't run any more: what the socket takes now is all that goes out. */
static void last_words(struct bufferevent *stream)
{
	struct evbuffer *output = bufferevent_get_output(stream);

	evbuffer_unfreeze(output, 1); /* or only the loop may take from it */
	evbuffer_write(output, bufferevent_getfd(stream));
}

void line_server_free(struct line_server *server)
{
	struct line_client *client, *next;

	if (server == NULL)
		return;
	DL_FOREACH_SAFE(server->clients, client, next) {
		last_words(client->stream);
		client_free(client);
	}
	evconnlistener_free(server->listener);
	unlink(server->path);
	free(server);
}
