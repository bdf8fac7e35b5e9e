/* SPDX-License-Identifier: BSD-2-Clause */
/* Counting a small memory, page by page. Loop thread only. */
#include "memory/recipient_totals.h"

#include <string.h>

struct counting {
	struct config *config;
	struct domains *domains;
	struct recipient_totals *totals;
	size_t seen;
	struct domains_clock_last clock;
};

static void count_one(void *arg, const char *domain, const char *local,
		      const struct recipient_record *record)
{
	struct counting *counting = arg;
	struct recipient_found found;

	(void)local;
	recipients_judge(counting->config,
			 domains_clock_next(counting->domains, &counting->clock, domain), record,
			 &found);
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
