/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mail logs of a primary: which recipients it has delivered to, line by line. Pure; any thread.
 *
 * Only a finished delivery proves that the primary takes mail for an address; what was deferred,
 * bounced or refused proves nothing, least of all that somebody doesn't exist. Most of a line was
 * written by strangers (addresses, replies of other hosts, header lines in warnings), so a line
 * counts only when it has the delivery's form from its beginning on.
 */
#ifndef BACKUPMX_CORE_MAIL_LOG_H
#define BACKUPMX_CORE_MAIL_LOG_H

#include <stdbool.h>
#include <stddef.h>

#define MAIL_LOG_RECIPIENTS_MAX 16

enum mail_log_format {
	MAIL_LOG_NONE, /* no line of a mail log that we know */
	MAIL_LOG_POSTFIX,
	MAIL_LOG_SENDMAIL,
	MAIL_LOG_EXIM,
};

/* A piece of the line; of a recipient: the address as the MTA wrote it, without brackets. */
struct mail_log_recipient {
	const char *start;
	size_t length;
};

struct mail_log_line {
	struct mail_log_recipient recipients[MAIL_LOG_RECIPIENTS_MAX];
	size_t count;
};

/* Whose line it seems to be, by its first words: to tell a log from a list. Postfix also stands for
 * any other program's line in syslog's form with a PID. */
enum mail_log_format mail_log_format_of(const char *line);

/* The recipients to whom the line says that a mail was delivered; none for any other line. They are
 * foreign text, to be parsed. MAIL_LOG_NONE: whatever format it has. */
void mail_log_read(const char *line, enum mail_log_format format, struct mail_log_line *out);

/* What a line says became of one message. */
enum mail_log_outcome {
	MAIL_LOG_NOTHING, /* it is another message's, or tells of no delivery */
	MAIL_LOG_SENT,
	MAIL_LOG_PASSED_ON, /* to this host itself: a content filter, say */
	MAIL_LOG_DEFERRED,
	MAIL_LOG_BOUNCED,
};

struct mail_log_delivery {
	struct mail_log_recipient relay;  /* length 0: not told */
	struct mail_log_recipient status; /* "sent (250 2.0.0 Ok)", up to the end of the line */
};

/* By its queue id at this host, Postfix's or Sendmail's. For messages whose recipients we chose:
 * another's address could be made to look like the rest of a line. */
enum mail_log_outcome mail_log_outcome_of(const char *line, const char *queue_id,
					  struct mail_log_delivery *out);

#endif
