/* SPDX-License-Identifier: BSD-2-Clause */
/* Which of our addresses the world may see. */
#ifndef BACKUPMX_CHECK_ADDRESSES_H
#define BACKUPMX_CHECK_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>

#include "check/check.h"

/* False for loopback, link-local and private networks (RFC 1918, RFC 4193, RFC 6598). */
bool check_ip_is_public(const struct ip *ip);

/* The i-th of our public addresses, each once; NULL behind the last. */
const struct ip *check_own_public_address(const struct check *check, size_t i);

/* Adds the line of the configuration that makes an address ours, beside those that are there. */
void check_mend_my_addresses(struct check *check, const struct ip *ip);

#endif
