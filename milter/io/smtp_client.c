/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SMTP sessions on libevent. A session owns its socket, its buffers and one deadline; it is freed
 * when the outermost call into it returns, so that handlers may end it. Loop thread only.
 */
#include "io/smtp_client.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/memory.h"
#include "io/netif.h"

#define GOODBYE_MS 3000
#define CHUNK	   4096

struct command {
	struct command *next;
	char line[SMTP_COMMAND_MAX + 1];
};

struct smtp_clients {
	struct loop *loop;
	struct tls *tls;
	struct smtp_client *all;
};

struct smtp_client {
	struct smtp_client *prev, *next;
	struct smtp_clients *owner;
	struct smtp_client_settings settings;
	struct smtp_client_handlers handlers;
	void *arg;
	struct smtp_dialog dialog;
	struct smtp_reply_reader reader;
	int fd;
	struct event *connecting;
	struct bufferevent *stream;
	struct loop_timer *deadline;
	struct command *queue;	  /* not sent yet */
	unsigned awaited;	  /* replies to what was sent */
	unsigned depth;		  /* calls of ours on the stack */
	enum health_reason early; /* a failure seen before start returned */
	bool handshaking;
	bool goodbye; /* QUIT was said, or the owner has gone */
	bool dead;    /* free it when depth is 0 */
};

static void client_free(struct smtp_client *client)
{
	struct command *command, *next;

	DL_DELETE(client->owner->all, client);
	LL_FOREACH_SAFE(client->queue, command, next)
		free(command);
	if (client->connecting != NULL)
		event_free(client->connecting);
	if (client->stream != NULL) {
		/* Freed from its own callback it lives on until that has returned: its events have
		 * to go before the socket does, whose number another thread may get at once. */
		bufferevent_disable(client->stream, EV_READ | EV_WRITE);
		bufferevent_free(client->stream);
	}
	if (client->fd >= 0)
		close(client->fd);
	loop_timer_free(client->deadline);
	free(client);
}

static void enter(struct smtp_client *client)
{
	client->depth++;
}

static void leave(struct smtp_client *client)
{
	if (--client->depth == 0 && client->dead)
		client_free(client);
}

/* The session is over; the owner is told unless it has gone. */
static void finish(struct smtp_client *client, enum health_reason reason)
{
	bool tell = !client->goodbye && !client->dead;

	client->dead = true;
	if (tell)
		client->handlers.ended(client->arg, reason);
}

static void observe(const struct smtp_client *client, enum smtp_client_step step, const char *bytes,
		    size_t length)
{
	if (client->settings.observe != NULL)
		client->settings.observe(client->arg, step, bytes, length);
}

static void write_line(struct smtp_client *client, const char *line)
{
	observe(client, SMTP_CLIENT_SENT, line, strlen(line));
	bufferevent_write(client->stream, line, strlen(line));
	loop_timer_start(client->deadline, client->settings.reply_timeout_ms);
}

/* Sends what may go out now. */
static void pump_queue(struct smtp_client *client)
{
	while (client->queue != NULL &&
	       (client->awaited == 0 || client->dialog.offers_pipelining)) {
		struct command *command = client->queue;

		LL_DELETE(client->queue, command);
		client->awaited++;
		write_line(client, command->line);
		free(command);
	}
}

static void stream_read(struct bufferevent *stream, void *arg);
static void stream_event(struct bufferevent *stream, short what, void *arg);

static void stream_take(struct smtp_client *client, struct bufferevent *stream)
{
	assert(stream != NULL);
	client->stream = stream;
	bufferevent_setcb(stream, stream_read, NULL, stream_event, client);
	bufferevent_enable(stream, EV_READ | EV_WRITE);
}

static void start_tls(struct smtp_client *client)
{
	struct smtp_client_settings *settings = &client->settings;
	SSL *ssl = tls_session(client->owner->tls, settings->tls_host, settings->tls_verify);

	if (ssl == NULL) {
		finish(client, HEALTH_TLS_FAIL);
		return;
	}
	bufferevent_free(client->stream);
	client->handshaking = true;
	/* this stream closes the socket and frees `ssl` when it goes: only so libevent frees it */
	stream_take(client, bufferevent_openssl_socket_new(
				    loop_base(client->owner->loop), client->fd, ssl,
				    BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE));
	client->fd = -1;
	loop_timer_start(client->deadline, settings->reply_timeout_ms);
}

static void act(struct smtp_client *client, enum smtp_dialog_action action)
{
	switch (action) {
	case SMTP_DIALOG_WAIT:
		break;
	case SMTP_DIALOG_SEND:
		write_line(client, client->dialog.command);
		break;
	case SMTP_DIALOG_START_TLS:
		start_tls(client);
		break;
	case SMTP_DIALOG_OPEN:
		loop_timer_stop(client->deadline);
		client->handlers.open(client->arg);
		break;
	case SMTP_DIALOG_FAILED:
		finish(client, client->dialog.reason);
		break;
	}
}

/* `rest`: the peer has sent more than this reply. When no other is awaited, there were more replies
 * than commands: nobody can tell which of them answers what, the last few included. */
static void take_reply_when_open(struct smtp_client *client, const struct smtp_reply *reply,
				 bool rest)
{
	if (client->awaited == 0) { /* "421 idle too long": it closes */
		finish(client, HEALTH_LOST);
		return;
	}
	if (client->awaited == 1 && rest) {
		finish(client, HEALTH_PROTOCOL);
		return;
	}
	client->awaited--;
	if (client->awaited == 0)
		loop_timer_stop(client->deadline);
	else
		loop_timer_start(client->deadline, client->settings.reply_timeout_ms);
	client->handlers.reply(client->arg, reply);
	if (!client->dead && !client->goodbye)
		pump_queue(client);
}

/* In the opening a peer has no cause to send more than one reply; behind the answer to STARTTLS it
 * would be an injection. */
static void take_reply(struct smtp_client *client, const struct smtp_reply *reply, bool rest)
{
	if (client->dialog.stage == SMTP_DIALOG_AT_OPEN)
		take_reply_when_open(client, reply, rest);
	else if (rest)
		finish(client, HEALTH_PROTOCOL);
	else
		act(client, smtp_dialog_reply(&client->dialog, reply));
}

static void take_bytes(struct smtp_client *client, const char *bytes, size_t length)
{
	while (length > 0 && !client->dead && !client->goodbye) {
		size_t used = 0;
		enum smtp_reply_status status =
			smtp_reply_feed(&client->reader, bytes, length, &used);

		bytes += used;
		length -= used;
		if (status == SMTP_REPLY_BAD)
			finish(client, HEALTH_PROTOCOL);
		else if (status == SMTP_REPLY_COMPLETE)
			take_reply(client, &client->reader.reply, length > 0);
	}
}

static void stream_read(struct bufferevent *stream, void *arg)
{
	struct smtp_client *client = arg;
	char chunk[CHUNK];
	size_t length;

	enter(client);
	while (!client->dead && client->stream == stream &&
	       (length = bufferevent_read(stream, chunk, sizeof(chunk))) > 0) {
		if (client->goodbye)
			client->dead = true; /* the 221, or anything else: it is over */
		else {
			observe(client, SMTP_CLIENT_RECEIVED, chunk, length);
			take_bytes(client, chunk, length);
		}
	}
	leave(client);
}

static enum health_reason reason_of_errno(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return HEALTH_REFUSED;
	case ETIMEDOUT:
		return HEALTH_TIMEOUT;
	case ECONNRESET:
	case EPIPE:
		return HEALTH_RESET;
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETUNREACH:
	case ENETDOWN:
	case EACCES: /* a firewall of our own */
	case EPERM:
		return HEALTH_UNREACHABLE;
	case EAFNOSUPPORT:
		return HEALTH_NO_ROUTE;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return HEALTH_OWN_FAULT;
	default:
		return HEALTH_LOST;
	}
}

/* "No route" only where this host lacks the address family: else the network is at fault. */
static enum health_reason connect_reason(int error, enum ip_family family)
{
	if ((error == ENETUNREACH || error == EADDRNOTAVAIL || error == EHOSTUNREACH) &&
	    !netif_has_family(family))
		return HEALTH_NO_ROUTE;
	if (error == EADDRNOTAVAIL)
		return HEALTH_UNREACHABLE;
	return reason_of_errno(error);
}

static void observe_secured(const struct smtp_client *client)
{
	char text[TLS_TEXT_MAX];

	if (client->settings.observe == NULL)
		return;
	tls_describe(bufferevent_openssl_get_ssl(client->stream), text, sizeof(text));
	observe(client, SMTP_CLIENT_SECURED, text, strlen(text));
}

static void stream_event(struct bufferevent *stream, short what, void *arg)
{
	struct smtp_client *client = arg;
	int error = EVUTIL_SOCKET_ERROR();

	(void)stream;
	enter(client);
	if (what & BEV_EVENT_CONNECTED) {
		client->handshaking = false;
		observe_secured(client);
		act(client, smtp_dialog_tls_done(&client->dialog));
	} else if (client->handshaking) {
		finish(client, HEALTH_TLS_FAIL);
	} else if (what & BEV_EVENT_ERROR) {
		finish(client, reason_of_errno(error));
	} else if (what & BEV_EVENT_EOF) {
		finish(client, HEALTH_LOST);
	}
	leave(client);
}

static void deadline_passed(void *arg)
{
	struct smtp_client *client = arg;

	enter(client);
	finish(client, client->early != HEALTH_OK ? client->early : HEALTH_TIMEOUT);
	leave(client);
}

static void connected(evutil_socket_t fd, short what, void *arg)
{
	struct smtp_client *client = arg;
	int error = 0;
	socklen_t length = sizeof(error);

	(void)what;
	enter(client);
	event_free(client->connecting);
	client->connecting = NULL;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	if (error != 0) {
		finish(client, connect_reason(error, client->settings.endpoint.ip.family));
	} else {
		observe(client, SMTP_CLIENT_CONNECTED, "", 0);
		stream_take(client, bufferevent_socket_new(loop_base(client->owner->loop), fd, 0));
		loop_timer_start(client->deadline, client->settings.reply_timeout_ms);
		act(client, smtp_dialog_connected(&client->dialog));
	}
	leave(client);
}

static int bind_source(int fd, const struct smtp_client_settings *settings)
{
	struct ip_port source = { .ip = settings->endpoint.ip.family == IP_V4
						? settings->source_v4
						: settings->source_v6 };
	struct sockaddr_storage address;
	size_t length;

	if (source.ip.family == IP_NONE)
		return 0;
	length = ip_to_sockaddr(&source, &address);
	return bind(fd, (struct sockaddr *)&address, (socklen_t)length);
}

/* 0 when the connection is under way, else an errno value. */
static int start_connect(struct smtp_client *client)
{
	const struct smtp_client_settings *settings = &client->settings;
	struct sockaddr_storage address;
	size_t length = ip_to_sockaddr(&settings->endpoint, &address);

	client->fd = socket(address.ss_family, SOCK_STREAM, 0);
	if (client->fd < 0)
		return errno;
	evutil_make_socket_nonblocking(client->fd);
	evutil_make_socket_closeonexec(client->fd);
	if (bind_source(client->fd, settings) != 0)
		return errno;
	if (connect(client->fd, (struct sockaddr *)&address, (socklen_t)length) != 0 &&
	    errno != EINPROGRESS)
		return errno;
	client->connecting =
		event_new(loop_base(client->owner->loop), client->fd, EV_WRITE, connected, client);
	assert(client->connecting != NULL);
	event_add(client->connecting, NULL);
	return 0;
}

struct smtp_client *smtp_client_start(struct smtp_clients *clients,
				      const struct smtp_client_settings *settings,
				      const struct smtp_client_handlers *handlers, void *arg)
{
	struct smtp_client *client = memory_alloc(sizeof(*client));
	int error;

	client->owner = clients;
	client->settings = *settings;
	client->handlers = *handlers;
	client->arg = arg;
	client->fd = -1;
	smtp_dialog_init(&client->dialog, &settings->plan);
	smtp_reply_reader_init(&client->reader);
	client->deadline = loop_timer_new(clients->loop, deadline_passed, client);
	DL_APPEND(clients->all, client);
	error = start_connect(client);
	if (error == 0) {
		loop_timer_start(client->deadline, settings->connect_timeout_ms);
	} else {
		client->early = connect_reason(error, settings->endpoint.ip.family);
		loop_timer_start(client->deadline, 0);
	}
	return client;
}

bool smtp_client_send(struct smtp_client *client, const char *command)
{
	struct command *item;
	size_t length = strlen(command);

	if (length > SMTP_COMMAND_MAX - 2)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)command[i] < 0x20 || command[i] == 0x7f)
			return false;
	item = memory_alloc(sizeof(*item));
	memcpy(item->line, command, length);
	memcpy(item->line + length, "\r\n", 3);
	LL_APPEND(client->queue, item);
	enter(client);
	pump_queue(client);
	leave(client);
	return true;
}

void smtp_client_send_message(struct smtp_client *client, const char *message)
{
	struct evbuffer *out = bufferevent_get_output(client->stream);

	while (*message != '\0') {
		const char *end = strchr(message, '\n');
		size_t length = end != NULL ? (size_t)(end - message) + 1 : strlen(message);

		if (*message == '.')
			evbuffer_add(out, ".", 1);
		evbuffer_add(out, message, length);
		message += length;
	}
	evbuffer_add(out, ".\r\n", 3);
	client->awaited++;
	loop_timer_start(client->deadline, client->settings.reply_timeout_ms);
}

void smtp_client_quit(struct smtp_client *client)
{
	if (client->dead)
		return;
	enter(client);
	client->goodbye = true;
	if (client->stream != NULL && !client->handshaking)
		bufferevent_write(client->stream, "QUIT\r\n", 6);
	else
		client->dead = true;
	loop_timer_start(client->deadline, GOODBYE_MS);
	leave(client);
}

void smtp_client_abort(struct smtp_client *client)
{
	if (client->dead)
		return;
	enter(client);
	client->goodbye = true;
	client->dead = true;
	leave(client);
}

const struct smtp_dialog *smtp_client_dialog(const struct smtp_client *client)
{
	return &client->dialog;
}

struct ssl_st *smtp_client_tls(const struct smtp_client *client)
{
	return client->dialog.secure ? bufferevent_openssl_get_ssl(client->stream) : NULL;
}

struct smtp_clients *smtp_clients_new(struct loop *loop, struct tls *tls)
{
	struct smtp_clients *clients = memory_alloc(sizeof(*clients));

	clients->loop = loop;
	clients->tls = tls;
	return clients;
}

bool smtp_clients_busy(const struct smtp_clients *clients)
{
	return clients->all != NULL;
}

void smtp_clients_free(struct smtp_clients *clients)
{
	struct smtp_client *client, *next;

	DL_FOREACH_SAFE(clients->all, client, next)
		client_free(client);
	free(clients);
}
