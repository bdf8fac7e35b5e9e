/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One SMTP session with a backup MX that somebody else runs, or with a primary behind it: how it
 * opens, and what it says to some recipients. It goes no further than RCPT TO, and ends with QUIT.
 * One thread, which runs the loop while it waits.
 */
#ifndef BACKUPMX_CHECK_SERVER_H
#define BACKUPMX_CHECK_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "check/check.h"

#define SERVER_ADDRESS_MAX (MAIL_LOCAL_MAX + 1 + MAIL_DOMAIN_MAX + 1)

/* A recipient that is asked about, and the answer. */
struct server_question {
	const struct check_domain *domain;
	bool exists; /* so says --to; else it is invented */
	char recipient[SERVER_ADDRESS_MAX];
	int mail_code; /* of a MAIL FROM:<> that wasn't accepted; 0: it was, or wasn't reached */
	int code;      /* 0: it wasn't asked, or there was no answer */
	char said[SMTP_REPLY_TEXT_MAX]; /* the answer's text, printable */
};

struct server_session {
	/* in */
	struct check *check;
	struct ip_port address;
	const char *host; /* its name, for TLS; "": none */
	struct server_question *questions;
	size_t question_count;
	/* out */
	enum health_reason reason; /* of the opening; HEALTH_OK: it stood */
	bool offers_starttls;
	bool tls_failed;	/* STARTTLS was offered and failed; the rest was said in plain */
	char tls[TLS_TEXT_MAX]; /* what TLS is like; "": there is none */
	char greeting[SMTP_REPLY_TEXT_MAX]; /* the name it greets with; foreign bytes */
	/* within */
	struct smtp_client *client;
	size_t asking;
	enum { SERVER_AT_MAIL, SERVER_AT_RCPT, SERVER_AT_RSET, SERVER_AT_QUIT } step;
	bool over;
};

/* Runs it to its end; `session` has its "in" filled in and is zero otherwise. */
void server_session_run(struct server_session *session);

#endif
