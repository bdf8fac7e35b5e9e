/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as an MTA-STS record and as a policy: bounds, and what must hold of what was read. */
#include "core/mta_sts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_pattern(const struct mta_sts_policy *policy, const char *pattern)
{
	bool is_wildcard = pattern[0] == '*';
	const char *host = is_wildcard ? pattern + 2 : pattern;

	must(host[0] != '\0' && strlen(host) <= MAIL_DOMAIN_MAX);
	must(strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-.") == strlen(host));
	if (is_wildcard)
		must(pattern[1] == '.');
	else
		must(mta_sts_policy_match(policy, pattern) != NULL);
}

static void check_policy(const char *bytes, size_t size)
{
	struct mta_sts_policy policy;

	if (mta_sts_policy_read(bytes, size, &policy) == NULL) {
		must(policy.max_age >= 0 && policy.max_age <= MTA_STS_MAX_AGE_MAX);
		must(mta_sts_mode_name(policy.mode) != NULL);
		must(policy.pattern_count > 0 || policy.mode == MTA_STS_NONE);
		for (size_t i = 0; i < policy.pattern_count; i++)
			check_pattern(&policy, policy.patterns[i].name);
		mta_sts_policy_match(&policy, "mx2.example.test");
	}
	mta_sts_policy_fini(&policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size > 0 ? size : 1); /* so that a sanitizer sees its end */

	must(bytes != NULL);
	if (size > 0)
		memcpy(bytes, data, size);
	if (mta_sts_txt_read(bytes, size) == MTA_STS_TXT_VALID)
		must(size >= strlen("v=STSv1;id=1") && memcmp(bytes, "v=STSv1", 7) == 0);
	check_policy(bytes, size);
	free(bytes);
	return 0;
}
