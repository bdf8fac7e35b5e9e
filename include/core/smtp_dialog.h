/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The opening of an SMTP session as an automaton: replies in, actions out (RFC 5321 3.1, 4.3.1;
 * RFC 3207). Probes, callouts and ETRN all begin with it; what comes after the opening (MAIL, RCPT,
 * ETRN) is the caller's. Pure: no socket, no clock. One owner at a time.
 */
#ifndef BACKUPMX_CORE_SMTP_DIALOG_H
#define BACKUPMX_CORE_SMTP_DIALOG_H

#include <stdbool.h>
#include <stddef.h>

#include "core/health.h"
#include "core/mxset.h"
#include "core/smtp_reply.h"

#define SMTP_COMMAND_MAX 512 /* RFC 5321 4.5.3.1.4, with CRLF */

enum smtp_dialog_tls {
	SMTP_DIALOG_TLS_NONE, /* never */
	SMTP_DIALOG_TLS_MAY,  /* when offered */
	SMTP_DIALOG_TLS_MUST, /* or the session failed */
};

enum smtp_dialog_action {
	SMTP_DIALOG_WAIT,      /* for the next reply */
	SMTP_DIALOG_SEND,      /* send dialog->command (CRLF is in it), then wait */
	SMTP_DIALOG_START_TLS, /* then tell by smtp_dialog_tls_done() */
	SMTP_DIALOG_OPEN,      /* the session stands: the caller's turn */
	SMTP_DIALOG_FAILED,    /* give it up; dialog->reason says why */
};

enum smtp_dialog_stage {
	SMTP_DIALOG_AT_BANNER,
	SMTP_DIALOG_AT_EHLO,
	SMTP_DIALOG_AT_HELO,
	SMTP_DIALOG_AT_STARTTLS,
	SMTP_DIALOG_AT_HANDSHAKE,
	SMTP_DIALOG_AT_OPEN,
};

struct smtp_dialog_plan {
	const char *helo;	  /* our name */
	enum health_level level;  /* how far to go; HEALTH_LEVEL_EHLO for a real session */
	enum smtp_dialog_tls tls; /* level HEALTH_LEVEL_STARTTLS is MUST */
	const struct mx_identity
		*self; /* our names: a host that greets with one of them is us; may be NULL */
};

struct smtp_dialog {
	struct smtp_dialog_plan plan;
	enum smtp_dialog_stage stage;
	enum health_reason reason; /* HEALTH_OK once open */
	bool secure;		   /* TLS stands */
	bool offers_starttls, offers_pipelining, offers_smtputf8, offers_dsn, offers_8bitmime;
	bool offers_size;
	unsigned long long size_limit;	/* bytes, told with SIZE; 0: no limit told */
	bool ehlo_refused;		/* EHLO got a 5xx, HELO is tried */
	char host[MAIL_DOMAIN_MAX + 1]; /* the name it greeted with, "" when none */
	char command[SMTP_COMMAND_MAX];
};

/* `plan` is copied; the strings it points to must outlive the dialog. */
void smtp_dialog_init(struct smtp_dialog *dialog, const struct smtp_dialog_plan *plan);

/* The TCP connection stands. */
enum smtp_dialog_action smtp_dialog_connected(struct smtp_dialog *dialog);
enum smtp_dialog_action smtp_dialog_reply(struct smtp_dialog *dialog,
					  const struct smtp_reply *reply);
/* The handshake succeeded; when it fails, the session is over (HEALTH_TLS_FAIL). */
enum smtp_dialog_action smtp_dialog_tls_done(struct smtp_dialog *dialog);

#endif
