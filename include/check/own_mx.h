/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MX hosts that are us, and the certificate that our MTA shows to who comes by such a name.
 * Each is looked at once, when somebody asks. One thread, which runs the loop while it waits.
 */
#ifndef BACKUPMX_CHECK_OWN_MX_H
#define BACKUPMX_CHECK_OWN_MX_H

#include "check/check.h"
#include "io/tls_chain.h"

enum own_mx_tls {
	OWN_MX_UNSEEN,	    /* no session came about */
	OWN_MX_NOT_OFFERED, /* no STARTTLS */
	OWN_MX_FAILED,	    /* it was offered, and didn't succeed */
	OWN_MX_SHOWN,
};

struct own_mx {
	const struct mx_host *host; /* of one of the domains; the name is what counts */
	bool looked_at;
	enum own_mx_tls tls;
	struct tls_chain *chain; /* when shown */
	char where[IP_TEXT_MAX]; /* "[192.0.2.20]:25", the last that was tried; "" for nowhere */
	const char *problem;	 /* when unseen: why */
};

struct own_mx_list {
	struct check *check;
	struct own_mx *items; /* each name once, in order of the domains */
	size_t count;
};

/* Finds them in the domains' MX sets. */
void own_mx_list_init(struct own_mx_list *list, struct check *check);
void own_mx_list_fini(struct own_mx_list *list);

/* NULL when the name isn't one of ours. */
struct own_mx *own_mx_find(const struct own_mx_list *list, const char *name);
/* Makes sure that its TLS has been looked at: at its addresses as senders do, and when nobody
 * answers there (a NAT that doesn't lead back in) at [flush] mta. */
void own_mx_look(const struct own_mx_list *list, struct own_mx *own);

#endif
