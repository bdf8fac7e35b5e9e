/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An SMTP session that is waited for, command by command (io/smtp_client.h on a loop of its own).
 * One thread. It ends early when the command is interrupted (ctl/interrupt.h), but for the answer
 * to a whole message: until that has come nobody knows whose the message is.
 */
#ifndef BACKUPMX_CTL_MAIL_SESSION_H
#define BACKUPMX_CTL_MAIL_SESSION_H

#include <stdbool.h>

#include "core/health.h"
#include "core/ip.h"
#include "core/smtp_reply.h"

struct mail_session;

struct mail_answer {
	bool replied;		   /* else the session is over */
	struct smtp_reply reply;   /* when it did */
	enum health_reason reason; /* why not */
	bool interrupted;	   /* likewise: somebody stopped us */
};

/* Connects and says EHLO as `helo`. `answer` holds no reply in any case: its reason is HEALTH_OK
 * when the session stands. */
struct mail_session *mail_session_open(const struct ip_port *endpoint, const char *helo,
				       struct mail_answer *answer);
/* As the EHLO reply said. */
bool mail_session_offers_dsn(const struct mail_session *session);

/* True for a 2xx or 3xx reply. HEALTH_PROTOCOL: the command can't be sent. */
bool mail_session_command(struct mail_session *session, const char *command,
			  struct mail_answer *answer);
/* The message after DATA's 354; see smtp_client_send_message(). */
bool mail_session_message(struct mail_session *session, const char *message,
			  struct mail_answer *answer);

/* Says QUIT if it still stands; NULL is fine. */
void mail_session_close(struct mail_session *session);

#endif
