/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a domain says of its MX hosts by MTA-STS (RFC 8461): a TXT record that there is a policy,
 * and the policy itself. Foreign bytes of any kind are safe. Pure; one thread at a time.
 */
#ifndef BACKUPMX_CORE_MTA_STS_H
#define BACKUPMX_CORE_MTA_STS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/mail_address.h"

#define MTA_STS_POLICY_MAX  65536 /* bytes; senders read no more (3.3) */
#define MTA_STS_MAX_AGE_MAX 31557600

enum mta_sts_txt {
	MTA_STS_TXT_OTHER,     /* of something else: senders pass it over */
	MTA_STS_TXT_MALFORMED, /* begins as one, and isn't: senders see no policy */
	MTA_STS_TXT_VALID,
};

/* One TXT record at _mta-sts.DOMAIN. */
enum mta_sts_txt mta_sts_txt_read(const char *bytes, size_t length);

enum mta_sts_mode { MTA_STS_NONE, MTA_STS_TESTING, MTA_STS_ENFORCE };

/* "mx.example.test", or "*.example.test" for one label more; lower case, no final dot. */
struct mta_sts_pattern {
	char name[MAIL_DOMAIN_MAX + 3];
};

struct mta_sts_policy {
	enum mta_sts_mode mode;
	int64_t max_age; /* seconds */
	struct mta_sts_pattern *patterns;
	size_t pattern_count;
};

/* NULL when the policy is valid; else a fixed English phrase that says what is wrong with it, as a
 * sender who goes by the book sees it. mta_sts_policy_fini() in both cases. */
const char *mta_sts_policy_read(const char *bytes, size_t length, struct mta_sts_policy *policy);
void mta_sts_policy_fini(struct mta_sts_policy *policy);

/* The pattern that names the host (any case, with or without a final dot); NULL: none does. */
const char *mta_sts_policy_match(const struct mta_sts_policy *policy, const char *host);

const char *mta_sts_mode_name(enum mta_sts_mode mode);

#endif
