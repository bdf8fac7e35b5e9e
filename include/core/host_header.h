/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whom a client of the HTTP server takes us for: a Host header, taken apart. Pure; any thread.
 *
 * A browser can be made to send requests to this host under a name of somebody else's ("DNS
 * rebinding"), and to hand the answers to a page of his. So names count only when they are ours.
 */
#ifndef BACKUPMX_CORE_HOST_HEADER_H
#define BACKUPMX_CORE_HOST_HEADER_H

#include <stdbool.h>

#include "core/mail_address.h"

enum host_header {
	HOST_HEADER_BAD,     /* no host, or no port behind it */
	HOST_HEADER_ADDRESS, /* an IP address */
	HOST_HEADER_NAME,
};

/* Reads "name", "name:80", "192.0.2.7:80", "[2001:db8::7]:80". A name goes to `name` in lower case
 * and without a final dot. */
enum host_header host_header_read(const char *value, char name[MAIL_DOMAIN_MAX + 1]);

#endif
