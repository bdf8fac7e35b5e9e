/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MTA's next hop as a learned domain's primary (primary_from_mta). No state; any thread.
 */
#ifndef BACKUPMX_WATCH_NEXT_HOP_H
#define BACKUPMX_WATCH_NEXT_HOP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ip.h"
#include "core/mail_address.h"
#include "core/mxset.h"

#define NEXT_HOP_MAX 300 /* as the MTA writes it, with the NUL: longer ones mean nothing */

struct next_hop {
	char host[MAIL_DOMAIN_MAX + 1]; /* lower case, or "" when `ip` is set */
	struct ip ip;
	uint16_t port; /* 0: none given */
};

/* Reads {rcpt_host}: "[192.0.2.10]", "[mail.internal.test]:2525", "host.test", with or without a
 * final dot. False when it means nothing to us: the domain itself (the MTA goes by its MX records),
 * this host (a filter on the way), or what can't be read. */
bool next_hop_parse(const char *text, const char *domain, const struct mx_identity *self,
		    struct next_hop *out);

#endif
