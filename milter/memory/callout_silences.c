/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recipients that got no answer lately: they are left alone for a while. Loop thread only.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "memory/callout_session.h"

#define SILENCE_MS   300000
#define SILENCES_MAX 100000

/* A recipient that got no answer: not asked again for a while, unless the domain's state changes.
 */
struct silence {
	UT_hash_handle hh;
	char key[CALLOUT_KEY_MAX];
	int64_t until_ms;
	int64_t state_since;
};

void callout_silences_clear(struct callouts *callouts)
{
	struct silence *item, *next;

	HASH_ITER(hh, callouts->silences, item, next) {
		HASH_DEL(callouts->silences, item);
		free(item);
	}
}

void callouts_forget_silences(struct callouts *callouts, const char *domain)
{
	struct silence *item, *next;

	HASH_ITER(hh, callouts->silences, item, next) {
		if (strcmp(strrchr(item->key, '@') + 1, domain) != 0)
			continue;
		HASH_DEL(callouts->silences, item);
		free(item);
	}
}

int64_t callout_state_since(struct callouts *callouts, const char *domain)
{
	const struct domain *known = domains_find(callouts->domains, domain);

	return known != NULL ? domain_view_now(known, NULL).since : 0;
}

void callout_silence_keep(struct callouts *callouts, const char *key, const char *domain)
{
	struct silence *item;

	HASH_FIND_STR(callouts->silences, key, item);
	if (item == NULL) {
		if (HASH_COUNT(callouts->silences) >= SILENCES_MAX)
			callout_silences_clear(callouts);
		item = memory_alloc(sizeof(*item));
		text_copy(item->key, sizeof(item->key), key);
		HASH_ADD_STR(callouts->silences, key, item);
	}
	item->until_ms = loop_now_ms() + SILENCE_MS;
	item->state_since = callout_state_since(callouts, domain);
}

bool callout_silence_holds(struct callouts *callouts, const char *key, const char *domain)
{
	struct silence *item;

	HASH_FIND_STR(callouts->silences, key, item);
	if (item == NULL)
		return false;
	if (item->until_ms > loop_now_ms() &&
	    item->state_since == callout_state_since(callouts, domain))
		return true;
	HASH_DEL(callouts->silences, item);
	free(item);
	return false;
}
