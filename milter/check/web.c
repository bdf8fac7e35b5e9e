/* SPDX-License-Identifier: BSD-2-Clause */
/* Can senders that insist on TLS deliver to us when the primary is down? */
#include "check/groups.h"
#include "check/web.h"

static const struct check_rule *const rules[] = { &web_mta_sts_rule, &web_tlsa_rule, NULL };

static void run(struct check *check)
{
	struct own_mx_list own;

	own_mx_list_init(&own, check);
	web_mta_sts_judge(check, &own);
	web_tlsa_judge(check, &own);
	own_mx_list_fini(&own);
}

const struct check_group check_group_web = { "Senders that insist on TLS", rules, run };
