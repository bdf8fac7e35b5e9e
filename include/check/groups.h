/* SPDX-License-Identifier: BSD-2-Clause */
/* The groups of rules, a file each; milter/check/catalogue.c puts them in order. */
#ifndef BACKUPMX_CHECK_GROUPS_H
#define BACKUPMX_CHECK_GROUPS_H

#include "check/check.h"

extern const struct check_group check_group_setup;	/* configuration, daemon, mode */
extern const struct check_group check_group_mta;	/* Postfix, Sendmail */
extern const struct check_group check_group_mx;		/* our place in the MX sets */
extern const struct check_group check_group_mx_entries; /* each host once */
extern const struct check_group check_group_mx_targets; /* CNAMEs, addresses */
extern const struct check_group check_group_failover;	/* TTLs, families, networks */
extern const struct check_group check_group_host;	/* our names and addresses */
extern const struct check_group check_group_memory;	/* who is known, lists, learned domains */
extern const struct check_group check_group_reach;	/* SMTP to the primaries */
extern const struct check_group check_group_web;	/* MTA-STS, TLSA */
extern const struct check_group check_group_server;	/* somebody else's backup */

#endif
