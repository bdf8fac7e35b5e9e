/* SPDX-License-Identifier: BSD-2-Clause */
/* What several rules ask of an MX set. */
#ifndef BACKUPMX_CHECK_MX_H
#define BACKUPMX_CHECK_MX_H

#include <stdbool.h>

#include "check/check.h"
#include "core/plan.h"

#define CHECK_MX_TTL PLAN_TTL_GOOD /* in the zone lines that mend something */

/* Has it MX records to judge? (Not when there are none, or it takes no mail.) */
bool check_mx_has_hosts(const struct check_domain *domain);

/* Is this entry our business: we ourselves, and those to whom mail goes before us? Other backups
 * are not. As long as we aren't listed, or nobody is better, all are. */
bool check_mx_concerns(const struct mxset *set, const struct mx_host *host);

/* Is the target an address where a name belongs (RFC 5321 5.1)? */
bool check_mx_is_literal(const struct mx_host *host, struct ip *ip);

/* Our preference; false when we are not listed. */
bool check_mx_preference(const struct mxset *set, unsigned *preference);

/* The name of our entry, the first of several; "" when we are not listed. */
const char *check_mx_own_name(const struct mxset *set);

/* A preference behind all others than us, with room between. */
unsigned check_mx_preference_behind(const struct mxset *set);

/* What the zones' own servers say of the MX records of all domains, and of the addresses of the
 * hosts that concern us; they are asked at the first call. */
const struct authority *check_mx_authority(struct check *check);

/* Adds the zone line of an MX record as a mend, with the TTL of those that the domain has, where
 * that is a good one: all of a set have the same. */
void check_mend_mx(struct check *check, const char *domain, unsigned preference,
		   const char *target);

/* mx-ttl, which has a file of its own: judges all domains. */
extern const struct check_rule check_rule_mx_ttl;
void check_mx_ttl_judge(struct check *check);

#endif
