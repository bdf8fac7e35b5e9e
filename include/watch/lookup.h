/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One look at DNS for a set of hosts: a domain's MX hosts with all their addresses, or the
 * addresses of configured primaries. Loop thread only.
 *
 * What can't be told now (SERVFAIL, timeout) is filled in from the last good set, host by host and
 * family by family, so that a trembling resolver doesn't take a primary away.
 */
#ifndef BACKUPMX_WATCH_LOOKUP_H
#define BACKUPMX_WATCH_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/mxset.h"
#include "io/dns.h"

struct lookup_result {
	enum dns_status status; /* of the MX question; DNS_FOUND for configured hosts */
	struct mxset set; /* hosts and addresses, roles not yet assigned; the callee may take it by
			     zeroing it */
	int64_t ttl;	  /* seconds until it should be asked again */
	bool patched; /* something could not be told and came from the last good set, or is missing
		       */
};

typedef void (*lookup_done)(void *arg, struct lookup_result *result);

struct lookup;

/* Never calls done() before it returns. */
struct lookup *lookup_mx(struct dns *dns, struct loop *loop, const char *domain,
			 const struct mxset *last_good, lookup_done done, void *arg);
/* `hosts` has names; entries that have addresses already are left as they are. */
struct lookup *lookup_hosts(struct dns *dns, struct loop *loop, const struct mxset *hosts,
			    const struct mxset *last_good, lookup_done done, void *arg);
/* Gives the hosts of an MX answer their roles and the set its standing. */
void lookup_find_ourselves(struct lookup_result *result, const struct mx_identity *self);
/* done() will not be called; the pointer is void. */
void lookup_cancel(struct lookup *lookup);

#endif
