/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules of learned domains. Pure. */
#include "core/learned.h"

#include <stddef.h>
#include <strings.h>

#define SLEEP_AFTER_SECONDS 86400
#define UNTOLD_SECONDS	    60
#define REFUSAL_FLOOR	    600
#define REFUSAL_CEILING	    3600

bool learned_mailer_relays(const char *mailer)
{
	static const char *const own[] = { "local", "virtual", "lmtp", "error", "discard" };

	for (size_t i = 0; mailer != NULL && i < sizeof(own) / sizeof(own[0]); i++)
		if (strcasecmp(mailer, own[i]) == 0)
			return false;
	return true;
}

enum learned_proof learned_proof_of(const struct mxset *set, bool complete)
{
	if (mxset_works(set))
		return LEARNED_PROVED;
	switch (set->standing) {
	case MX_STANDING_UNKNOWN:
		return LEARNED_UNTOLD;
	case MX_STANDING_BACKUP:
	case MX_STANDING_BEST:
	case MX_STANDING_UNLISTED:
		/* an address that is missing may be ours, or the better host's */
		return complete ? LEARNED_DISPROVED : LEARNED_UNTOLD;
	case MX_STANDING_IMPLICIT:
	case MX_STANDING_NULL:
	case MX_STANDING_GONE:
		break;
	}
	return LEARNED_DISPROVED;
}

int64_t learned_refusal_seconds(enum learned_proof proof, int64_t ttl)
{
	if (proof == LEARNED_UNTOLD)
		return UNTOLD_SECONDS;
	if (ttl < REFUSAL_FLOOR)
		return REFUSAL_FLOOR;
	return ttl < REFUSAL_CEILING ? ttl : REFUSAL_CEILING;
}

bool learned_may_sleep(enum domain_state state, bool mail_waits, int64_t idle)
{
	if (mail_waits || idle < SLEEP_AFTER_SECONDS)
		return false;
	return state == DOMAIN_UP || state == DOMAIN_UNKNOWN || state == DOMAIN_NOT_BACKUP;
}
