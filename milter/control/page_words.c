/* SPDX-License-Identifier: BSD-2-Clause */
/* The fixed words of states and reasons, as a person would say them. No state; any thread. */
#include <string.h>

#include "control/page_parts.h"
#include "core/decision.h"
#include "core/health.h"

/* Each goes on from "the primary": "the primary refuses connections". */
static const char *const health_words[HEALTH_REASON_COUNT] = {
	[HEALTH_OK] = "answers as it should",
	[HEALTH_DNS_FAIL] = "has a name that can\u2019t be resolved",
	[HEALTH_REFUSED] = "refuses connections",
	[HEALTH_TIMEOUT] = "doesn\u2019t answer in time",
	[HEALTH_UNREACHABLE] = "can\u2019t be reached over the network",
	[HEALTH_NO_ROUTE] = "is out of reach from here (no route)",
	[HEALTH_RESET] = "breaks connections off",
	[HEALTH_LOST] = "hangs up in the middle of a session",
	[HEALTH_TLS_FAIL] = "fails at TLS",
	[HEALTH_BANNER_4XX] = "greets with a temporary error",
	[HEALTH_BANNER_5XX] = "greets with a refusal",
	[HEALTH_EHLO_4XX] = "answers EHLO with a temporary error",
	[HEALTH_EHLO_5XX] = "refuses EHLO",
	[HEALTH_PROTOCOL] = "answers in something other than SMTP",
	[HEALTH_LOOP] = "turned out to be this host itself",
	[HEALTH_CANARY_REFUSED] = "refuses recipients it accepted lately",
	[HEALTH_OWN_FAULT] = "couldn\u2019t be asked: this host ran out of resources",
};

static const char *const decision_words[DECISION_REASON_COUNT] = {
	[REASON_EXEMPT] = "trusted or authenticated client",
	[REASON_NOT_OURS] = "no domain of ours",
	[REASON_NOT_BACKUP] = "no backup for this domain",
	[REASON_INVALID_RECIPIENT] = "no such user at the primary",
	[REASON_PRIMARY_SICK] = "primary is sick",
	[REASON_PRIMARY_DOWN] = "primary is down, recipient is known",
	[REASON_CATCH_ALL] = "primary is down, domain takes any recipient",
	[REASON_UNKNOWN_RECIPIENT] = "primary is down, recipient is not known here",
	[REASON_PERSISTENT_SENDER] = "sender came back often and for long",
	[REASON_RECOVERING] = "primary has just come back",
	[REASON_PEER_MX] = "client is another MX host of the domain",
	[REASON_NO_BETTER_MX] = "senders have no better host that is up",
	[REASON_POLICY] = "configured to take it (when_up = accept)",
	[REASON_UNVERIFIED] = "recipient is not verified yet",
	[REASON_PRIMARY_UP] = "primary is up, to be delivered there",
};

const char *page_health_words(const char *reason)
{
	enum health_reason known;

	return health_reason_parse(reason, &known) ? health_words[known] : NULL;
}

const char *page_decision_words(const char *reason)
{
	for (int i = 0; i < DECISION_REASON_COUNT; i++)
		if (strcmp(reason, decision_reason_name((enum decision_reason)i)) == 0)
			return decision_words[i];
	return NULL;
}
