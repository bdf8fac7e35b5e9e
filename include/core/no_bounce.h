/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recipients of one message whose later refusal must make no bounce (accept_no_bounce): they
 * are deleted as typed and added again with NOTIFY=NEVER (RFC 3461 4.1). Only where that neither
 * loses a recipient nor makes two of one. Pure; one thread at a time per list.
 */
#ifndef BACKUPMX_CORE_NO_BOUNCE_H
#define BACKUPMX_CORE_NO_BOUNCE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/mail_address.h"

struct no_bounce_recipient {
	char *typed;	  /* as the client wrote it, but for a source route: so it is deleted */
	char *parameters; /* to add it again with; NULL: no */
	char *mailbox;	  /* the same for all ways to write one address */
};

/* Zeroed it is empty. */
struct no_bounce {
	struct no_bounce_recipient *recipients;
	size_t count;
};

/* One RCPT command that was let in. */
struct no_bounce_rcpt {
	const char *typed;
	const struct mail_address *address; /* the same, read */
	const char *const *parameters;	    /* "NAME=value", NULL behind the last; or NULL */
	bool fold;   /* local parts that differ in case only are one mailbox */
	bool wanted; /* the verdict says that it must make no bounce */
};

/* Takes a recipient of the message. Those for which it isn't wanted count too: they may be the same
 * mailbox, written in another way. */
void no_bounce_add(struct no_bounce *list, const struct no_bounce_rcpt *rcpt);

/* At end of message: leaves those to be deleted, with parameters where they are to be added again
 * once all are deleted. A mailbox whose client asked for NOTIFY itself stays as it is. One that was
 * named more than once is added once, in whatever ways it was written. */
void no_bounce_settle(struct no_bounce *list);

void no_bounce_clear(struct no_bounce *list);

#endif
