/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counted windows in one table: rows of a network, reason and domain, and rows of a reason and
 * domain alone, which have no network. Pure.
 */
#include "core/suppression.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/memory.h"
#include "base/text.h"

#define SUMMARIES_OF_ROWS (SUPPRESSION_SUMMARIES_MAX - DECISION_REASON_COUNT)

struct window {
	int64_t since_ms;
	unsigned lines;
};

struct row_key {
	struct ip_network network;
	uint8_t reason;
	bool of_network;
	char domain[MAIL_DOMAIN_MAX + 1]; /* up to its NUL in the table's eyes */
};

struct row {
	struct row_key key;
	struct window window;
	unsigned long suppressed;
	UT_hash_handle hh;
};

struct suppression {
	struct suppression_limits limits;
	struct row *rows;
	struct window window;
	unsigned long rest[DECISION_REASON_COUNT]; /* suppressed of those that have no row */
};

struct suppression *suppression_new(const struct suppression_limits *limits)
{
	struct suppression *suppression = memory_alloc(sizeof(*suppression));

	suppression->limits = *limits;
	return suppression;
}

static void row_remove(struct suppression *suppression, struct row *row)
{
	HASH_DEL(suppression->rows, row);
	free(row);
}

void suppression_free(struct suppression *suppression)
{
	struct row *row, *next;

	HASH_ITER(hh, suppression->rows, row, next)
		row_remove(suppression, row);
	free(suppression);
}

size_t suppression_rows(const struct suppression *suppression)
{
	return HASH_COUNT(suppression->rows);
}

static bool window_is_over(const struct window *window, int64_t now_ms)
{
	return now_ms - window->since_ms >= SUPPRESSION_WINDOW_MS;
}

static void window_look(struct window *window, int64_t now_ms)
{
	if (window_is_over(window, now_ms))
		*window = (struct window){ .since_ms = now_ms };
}

/* ---- rows ---- */

static void key_make(struct row_key *key, const struct suppression_event *event, bool of_network)
{
	memset(key, 0, sizeof(*key)); /* padding is compared, too */
	if (of_network)
		key->network = ip_client_network(&event->client);
	key->of_network = of_network;
	key->reason = (uint8_t)event->reason;
	text_copy(key->domain, sizeof(key->domain), event->domain);
}

static size_t key_length(const struct row_key *key)
{
	return offsetof(struct row_key, domain) + strlen(key->domain);
}

static struct row *row_find(struct suppression *suppression, const struct row_key *key,
			    int64_t now_ms)
{
	struct row *row;

	HASH_FIND(hh, suppression->rows, key, key_length(key), row);
	if (row != NULL)
		window_look(&row->window, now_ms);
	return row;
}

static struct row *row_new(struct suppression *suppression, const struct row_key *key,
			   int64_t now_ms)
{
	struct row *row = memory_alloc(sizeof(*row));

	row->key = *key;
	row->window.since_ms = now_ms;
	HASH_ADD(hh, suppression->rows, key, key_length(&row->key), row);
	return row;
}

/* ---- what happens ---- */

static bool has_room(const struct suppression *suppression, const struct row *client,
		     const struct row *domain)
{
	const struct suppression_limits *limits = &suppression->limits;
	unsigned lines = client != NULL ? client->window.lines : 0;
	unsigned part = lines < limits->first ? 1 : 2;

	return lines < limits->client &&
	       (domain == NULL || domain->window.lines < limits->domain / part) &&
	       suppression->window.lines < limits->total / part;
}

static void count(struct suppression *suppression, struct row *client, struct row *domain,
		  enum decision_reason reason)
{
	if (client != NULL)
		client->suppressed++;
	else if (domain != NULL)
		domain->suppressed++;
	else
		suppression->rest[reason]++;
}

bool suppression_admit(struct suppression *suppression, const struct suppression_event *event,
		       int64_t now_ms, unsigned long *suppressed)
{
	struct row_key of_client, of_domain;
	struct row *client, *domain;

	*suppressed = 0;
	window_look(&suppression->window, now_ms);
	key_make(&of_client, event, true);
	key_make(&of_domain, event, false);
	client = row_find(suppression, &of_client, now_ms);
	domain = row_find(suppression, &of_domain, now_ms);
	if (!has_room(suppression, client, domain)) {
		count(suppression, client, domain, event->reason);
		return false;
	}
	if (client == NULL)
		client = row_new(suppression, &of_client, now_ms);
	if (domain == NULL)
		domain = row_new(suppression, &of_domain, now_ms);
	client->window.lines++;
	domain->window.lines++;
	suppression->window.lines++;
	*suppressed = client->suppressed;
	client->suppressed = 0;
	return true;
}

/* ---- what was left out ---- */

static void summarise(const struct row *row, struct suppression_summary *summary)
{
	memset(summary, 0, sizeof(*summary));
	summary->network = row->key.network;
	summary->reason = (enum decision_reason)row->key.reason;
	text_copy(summary->domain, sizeof(summary->domain), row->key.domain);
	summary->suppressed = row->suppressed;
}

static size_t collect_rest(struct suppression *suppression, struct suppression_summary *summaries)
{
	size_t found = 0;

	for (size_t reason = 0; reason < DECISION_REASON_COUNT; reason++) {
		if (suppression->rest[reason] == 0)
			continue;
		memset(&summaries[found], 0, sizeof(summaries[found]));
		summaries[found].reason = (enum decision_reason)reason;
		summaries[found++].suppressed = suppression->rest[reason];
		suppression->rest[reason] = 0;
	}
	return found;
}

static void tell(struct suppression *suppression, const struct row *row,
		 struct suppression_summary *summaries, size_t *found)
{
	if (row->suppressed > 0 && *found < SUMMARIES_OF_ROWS)
		summarise(row, &summaries[(*found)++]);
	else
		suppression->rest[row->key.reason] += row->suppressed;
}

size_t suppression_collect(struct suppression *suppression, int64_t now_ms, bool everything,
			   struct suppression_summary summaries[SUPPRESSION_SUMMARIES_MAX])
{
	struct row *row, *next;
	size_t found = 0;

	HASH_ITER(hh, suppression->rows, row, next) {
		bool over = everything || window_is_over(&row->window, now_ms);

		/* a domain's row has no line to come that would tell */
		if (over || !row->key.of_network) {
			tell(suppression, row, summaries, &found);
			row->suppressed = 0;
		}
		if (over)
			row_remove(suppression, row);
	}
	return found + collect_rest(suppression, summaries + found);
}
