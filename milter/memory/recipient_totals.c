/* SPDX-License-Identifier: BSD-2-Clause */
/* Counting a small memory, page by page. Loop thread only. */
#include "memory/recipient_totals.h"

#include <string.h>

#include "base/text.h"

struct counting {
	struct config *config;
	struct domains *domains;
	struct recipient_totals *totals;
	size_t seen;
	char domain[MAIL_DOMAIN_MAX + 1]; /* whose clock it is */
	struct recipient_clock clock;
};

static void count_one(void *arg, const char *domain, const char *local,
		      const struct recipient_record *record)
{
	struct counting *counting = arg;
	struct recipient_found found;

	(void)local;
	if (strcmp(counting->domain, domain) != 0) {
		text_copy(counting->domain, sizeof(counting->domain), domain);
		counting->clock = domains_clock(counting->domains, domain);
	}
	recipients_judge(counting->config, &counting->clock, record, &found);
	counting->totals->of[found.status]++;
	counting->seen++;
}

bool recipients_total(struct recipients *recipients, struct config *config, struct domains *domains,
		      struct recipient_totals *totals)
{
	struct counting counting = { .config = config, .domains = domains, .totals = totals };
	struct recipients_page page = { .more = true };

	memset(totals, 0, sizeof(*totals));
	while (page.more && counting.seen < RECIPIENT_TOTALS_MAX)
		if (!recipients_list(recipients, &page, count_one, &counting))
			return false;
	return !page.more || recipients_swept_totals(recipients, totals);
}
