/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An SMTP client session on the loop: connects, runs the opening (core/smtp_dialog.h), then carries
 * the caller's commands and replies. Probes, callouts and ETRN are its callers. Loop thread only.
 *
 * Each wait has one absolute deadline: a peer that drips bytes gains nothing by it.
 */
#ifndef BACKUPMX_IO_SMTP_CLIENT_H
#define BACKUPMX_IO_SMTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/health.h"
#include "core/ip.h"
#include "core/smtp_dialog.h"
#include "core/smtp_reply.h"
#include "io/loop.h"
#include "io/tls.h"

struct smtp_clients; /* all sessions of the process, also those that are only saying goodbye */
struct smtp_client;

struct smtp_clients *smtp_clients_new(struct loop *loop, struct tls *tls);
void smtp_clients_free(struct smtp_clients *clients); /* closes what is open, calls nobody */
/* True while a session is open, if only to hear the answer to its QUIT. */
bool smtp_clients_busy(const struct smtp_clients *clients);

/* What may be observed. */
enum smtp_client_step {
	SMTP_CLIENT_CONNECTED, /* no bytes */
	SMTP_CLIENT_SENT, /* one command, with CRLF and a NUL behind it; not the QUIT of _quit() */
	SMTP_CLIENT_RECEIVED, /* whatever came, as it came */
	SMTP_CLIENT_SECURED,  /* TLS stands: a description (io/tls.h) */
};

struct smtp_client_settings {
	struct ip_port endpoint;
	struct ip source_v4, source_v6; /* IP_NONE: the system's choice */
	struct smtp_dialog_plan plan;	/* its strings must outlive the session */
	const char *tls_host;		/* for SNI and verification; must outlive the session */
	bool tls_verify;
	int64_t connect_timeout_ms;
	int64_t reply_timeout_ms; /* for the banner, the TLS handshake and each reply */
	/* For who wants to show the session: it may only look. NULL: nobody. */
	void (*observe)(void *arg, enum smtp_client_step step, const char *bytes, size_t length);
};

/* In each of them smtp_client_send(), _quit() and _abort() may be called. */
struct smtp_client_handlers {
	/* The opening is done as far as the plan's level says. */
	void (*open)(void *arg);
	/* The reply to one command, in the order they were sent. */
	void (*reply)(void *arg, const struct smtp_reply *reply);
	/* The session failed or was closed; the last call, the pointer is void after it. */
	void (*ended)(void *arg, enum health_reason reason);
};

/* Never calls a handler before it returns. */
struct smtp_client *smtp_client_start(struct smtp_clients *clients,
				      const struct smtp_client_settings *settings,
				      const struct smtp_client_handlers *handlers, void *arg);

/* Sends a command (without CRLF), at once when the host takes pipelining, else after the reply to
 * the one before. False, and nothing is sent, when it holds control characters or is too long. */
bool smtp_client_send(struct smtp_client *client, const char *command);

/* After the 354 to DATA: sends the message (its lines end with CRLF, the last one too) and the dot
 * that ends it; dots within are stuffed. One more reply comes. */
void smtp_client_send_message(struct smtp_client *client, const char *message);

/* Says QUIT in the background. No handler is called any more; the pointer is void. */
void smtp_client_quit(struct smtp_client *client);
/* Closes. No handler is called any more; the pointer is void. */
void smtp_client_abort(struct smtp_client *client);

/* What the opening found: offers, host name, TLS. */
const struct smtp_dialog *smtp_client_dialog(const struct smtp_client *client);
/* The TLS session, to be looked at only, while it stands; NULL: there is none. */
struct ssl_st *smtp_client_tls(const struct smtp_client *client);

#endif
