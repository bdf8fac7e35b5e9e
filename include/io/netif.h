/* SPDX-License-Identifier: BSD-2-Clause */
/* What this host knows of itself: its interfaces' addresses and its name. Any thread. */
#ifndef BACKUPMX_IO_NETIF_H
#define BACKUPMX_IO_NETIF_H

#include <stdbool.h>
#include <stddef.h>

#include "core/ip.h"

/* The addresses of all interfaces in *addresses; free() them. False, and none, when the system
 * doesn't tell. */
bool netif_addresses(struct ip **addresses, size_t *count);

/* True when some interface has an address of the family that reaches beyond this host and its link.
 */
bool netif_has_family(enum ip_family family);

/* The host's fully qualified name, lower case, no final dot: the host name itself when it has a
 * dot, else what the resolver calls it, else the bare host name. May look into /etc/hosts or DNS:
 * call it at start, not later. */
void netif_host_name(char *buffer, size_t size);

#endif
