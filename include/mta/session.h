/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One SMTP connection as the MTA tells us of it, message by message: what we answer to each RCPT,
 * and what we change at the end of a message. Knows nothing of libmilter. One thread at a time per
 * session; the thread may change from call to call.
 */
#ifndef BACKUPMX_MTA_SESSION_H
#define BACKUPMX_MTA_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "core/ip.h"
#include "core/no_bounce.h"
#include "core/tag.h"
#include "mta/gate.h"

#define SESSION_REPLY_MAX 980 /* what libmilter takes */

struct session;

/* `client_name`: as the MTA verified it, or "" or "[address]". */
struct session *session_new(struct gate *gate, const struct ip *client, const char *client_name);
void session_free(struct session *session); /* NULL is fine */

/* What the MTA is, as far as it matters. */
void session_set_mta(struct session *session, bool is_sendmail, const char *mta_name);

/* `parameters`: of the command, NULL behind the last; itself never NULL. */
void session_mail(struct session *session, const char *sender, const char *const *parameters,
		  bool authenticated);

struct session_reply {
	int code; /* 0: go on */
	const char *xcode;
	char text[SESSION_REPLY_MAX];
};
/* One RCPT as the MTA hands it on; what it didn't tell is NULL. */
struct session_recipient {
	const char *typed;
	const char *const *parameters; /* of the command, NULL behind the last; itself never NULL */
	const char *queue_id;
	const char *mailer;   /* {rcpt_mailer} */
	const char *next_hop; /* {rcpt_host} */
};
void session_rcpt(struct session *session, const struct session_recipient *recipient,
		  struct session_reply *reply);

void session_header(struct session *session, const char *name);

struct session_changes {
	int remove_tags; /* copies of our header that came in with the message: remove all of them
			  */
	bool add_tag;
	char tag[TAG_VALUE_MAX];
	/* Recipients to be deleted and added again with these parameters; the session's, until
	 * session_reset(). */
	const struct no_bounce *no_bounce;
	bool hold; /* a fire drill's, to be seen waiting in the queue */
};
/* End of message: what to change; counts the mail. `queue_id`: NULL when it isn't told; `can_hold`:
 * the MTA lets milters hold messages. */
void session_end(struct session *session, const char *queue_id, bool can_hold,
		 struct session_changes *changes);
/* What of it was done, and whether the message is taken. */
struct session_outcome {
	bool taken, tagged, held;
};
void session_settle(struct session *session, const struct session_outcome *outcome);

/* The message is over, one way or the other. */
void session_reset(struct session *session);

#endif
