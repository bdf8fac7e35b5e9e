/* SPDX-License-Identifier: BSD-2-Clause */
/* Our addresses and names: which of them can the world see? */
#ifndef BACKUPMX_CHECK_ADDRESSES_H
#define BACKUPMX_CHECK_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>

#include "check/check.h"

/* False for loopback, link-local and private networks (RFC 1918, RFC 4193, RFC 6598). */
bool check_ip_is_public(const struct ip *ip);

/* The i-th of our public addresses, each once; NULL behind the last. */
const struct ip *check_own_public_address(const struct check *check, size_t i);

/* Is it a full host name? Not without a dot, nor a name that is every host's, as localhost. */
bool check_name_is_full(const char *name);

/* Adds the line of the configuration that makes an address ours, beside those that are there: it
 * can be pasted in place of the one before. */
void check_mend_my_addresses(struct check *check, const struct ip *ip);

#endif
