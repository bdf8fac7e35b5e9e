/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What senders are promised of our TLS: by MTA-STS policies on the web, by TLSA records in DNS. The
 * two rules share what our MTA shows. One thread.
 */
#ifndef BACKUPMX_CHECK_WEB_H
#define BACKUPMX_CHECK_WEB_H

#include "check/own_mx.h"

extern const struct check_rule web_mta_sts_rule;
extern const struct check_rule web_tlsa_rule;

/* Fetches the policies of all domains that have one, and judges them. */
void web_mta_sts_judge(struct check *check, const struct own_mx_list *own);
/* Asks for the TLSA records of all MX hosts, and judges them. */
void web_tlsa_judge(struct check *check, const struct own_mx_list *own);

#endif
