/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All groups of rules, in the order in which they are run and shown, which is the order in which to
 * mend what they find: mail comes as soon as the MX records name this host, so all else is first.
 */
#include "check/groups.h"

/* clang-format off */
const struct check_group *const check_groups[] = {
	&check_group_setup,
	&check_group_mta,
	&check_group_host,
	&check_group_reach,
	&check_group_web,
	&check_group_mx,
	&check_group_mx_entries,
	&check_group_mx_targets,
	&check_group_failover,
	&check_group_memory,
	&check_group_server,
	NULL,
};
/* clang-format on */

bool check_group_is_outside(const struct check_group *group)
{
	return group == &check_group_server;
}
