/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys and records of the history, and the sweep. Loop thread only. */
#include "watch/history_store.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/log_valve.h"
#include "watch/domain.h"

#define KIND_DAY       'd'
#define KIND_OUTAGE    'o'
#define NUMBER_SIZE    8
#define KEY_MAX	       (MAIL_DOMAIN_MAX + 2 + NUMBER_SIZE)
#define SWEEP_FIRST_MS 60000
#define SWEEP_EVERY_MS (24LL * 3600 * 1000)
#define SWEEP_PAGE     200
#define SWEEP_PAUSE_MS 100

struct history_store {
	struct services *services;
	struct domains *domains;
	struct loop_timer *timer;
	unsigned char after[KEY_MAX]; /* the sweep goes on behind this */
	size_t after_length;
};

/* ---- keys ---- */

static size_t key_prefix(unsigned char *key, const char *domain, char kind)
{
	size_t length = strnlen(domain, MAIL_DOMAIN_MAX);

	memcpy(key, domain, length);
	key[length] = '\0';
	key[length + 1] = (unsigned char)kind;
	return length + 2;
}

static size_t key_of(unsigned char *key, const char *domain, char kind, int64_t number)
{
	size_t length = key_prefix(key, domain, kind);

	bytes_put(key + length, NUMBER_SIZE, (uint64_t)number);
	return length + NUMBER_SIZE;
}

struct key {
	char domain[MAIL_DOMAIN_MAX + 1];
	char kind;
	int64_t number;
};

/* False for what no key_of() made. */
static bool key_read(struct key *key, const unsigned char *bytes, size_t length)
{
	const unsigned char *nul = memchr(bytes, '\0', length);
	size_t name = nul != NULL ? (size_t)(nul - bytes) : length;

	if (name > MAIL_DOMAIN_MAX || length != name + 2 + NUMBER_SIZE ||
	    (nul[1] != KIND_DAY && nul[1] != KIND_OUTAGE))
		return false;
	memcpy(key->domain, bytes, name + 1);
	key->kind = (char)nul[1];
	key->number = (int64_t)bytes_get(nul + 2, NUMBER_SIZE);
	return true;
}

static void log_damaged(const unsigned char *key, size_t length)
{
	char line[2 * KEY_MAX];
	char name[KEY_MAX];
	TEXT_ON(text, line);
	TEXT_ON(shown, name);

	if (!log_valve_admit(LOG_VALVE_HISTORY))
		return;
	text_add_printable(&shown, (const char *)key, strnlen((const char *)key, length));
	text_add(&text, "history: ");
	text_add_pair(&text, "domain", name);
	text_add(&text, " a record cannot be read and is left out");
	log_warning("%s", line);
}

/* ---- scans ---- */

typedef void (*record_visitor)(void *arg, const struct key *key, const unsigned char *value,
			       size_t length);

struct scan {
	record_visitor visit;
	void *arg;
};

static bool scan_visit(void *arg, const void *key, size_t key_length, const void *value,
		       size_t value_length)
{
	struct scan *scan = arg;
	struct key read;

	if (key_read(&read, key, key_length))
		scan->visit(scan->arg, &read, value, value_length);
	return true;
}

/* All records of a kind, or those from a number on. */
static bool scan_from(const struct history_store *store, const char *domain, char kind,
		      int64_t from, struct scan *scan)
{
	unsigned char prefix[KEY_MAX];
	unsigned char after[KEY_MAX];
	struct store_range range = { .table = STORE_HISTORY,
				     .prefix = prefix,
				     .prefix_length = key_prefix(prefix, domain, kind),
				     .after = after };

	if (from > 0)
		range.after_length = key_of(after, domain, kind, from - 1);
	return store_scan(writer_store(store->services->writer), &range, scan_visit, scan) == 0;
}

/* ---- days ---- */

void history_store_get_day(struct history_store *store, const char *domain, int64_t day,
			   struct availability_day *out)
{
	unsigned char key[KEY_MAX];
	size_t key_length = key_of(key, domain, KIND_DAY, day);
	unsigned char bytes[AVAILABILITY_RECORD_SIZE];
	size_t length = 0;
	enum store_result result = writer_get(store->services->writer, STORE_HISTORY, key,
					      key_length, bytes, sizeof(bytes), &length);

	*out = (struct availability_day){ .day = day };
	if (result == STORE_FAILED ||
	    (result == STORE_FOUND && !availability_read(out, bytes, length)))
		log_damaged(key, key_length);
}

void history_store_put_day(struct history_store *store, const char *domain,
			   const struct availability_day *day)
{
	unsigned char key[KEY_MAX];
	unsigned char bytes[AVAILABILITY_RECORD_SIZE];

	availability_write(day, bytes);
	writer_put(store->services->writer, STORE_HISTORY, key,
		   key_of(key, domain, KIND_DAY, day->day), bytes, sizeof(bytes));
}

static void drop(struct history_store *store, const char *domain, char kind, int64_t number)
{
	unsigned char key[KEY_MAX];

	writer_delete(store->services->writer, STORE_HISTORY, key,
		      key_of(key, domain, kind, number));
}

int64_t history_store_days_kept(const struct domain *domain)
{
	return domain == NULL || domain->kind == DOMAIN_CONFIGURED ? HISTORY_DAYS
								   : HISTORY_LEARNED_DAYS;
}

void history_store_drop_day(struct history_store *store, const char *domain, int64_t day)
{
	drop(store, domain, KIND_DAY, day);
}

struct day_list {
	struct availability_day *items;
	size_t count;
};

static void collect_day(void *arg, const struct key *key, const unsigned char *value, size_t length)
{
	struct day_list *list = arg;
	struct availability_day day = { .day = key->number };

	if (!availability_read(&day, value, length)) {
		log_damaged((const unsigned char *)key->domain, sizeof(key->domain));
		return;
	}
	list->items = memory_resize(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = day;
}

bool history_store_days(struct history_store *store, const char *domain, int64_t from,
			struct availability_day **days, size_t *count)
{
	struct day_list list = { .items = NULL };
	struct scan scan = { .visit = collect_day, .arg = &list };
	bool read = scan_from(store, domain, KIND_DAY, from, &scan);

	*days = list.items;
	*count = list.count;
	return read;
}

/* ---- outages ---- */

int64_t history_store_free_key(struct history_store *store, const char *domain, int64_t start)
{
	unsigned char key[KEY_MAX];
	unsigned char bytes[OUTAGE_RECORD_SIZE];
	size_t length;

	while (writer_get(store->services->writer, STORE_HISTORY, key,
			  key_of(key, domain, KIND_OUTAGE, start), bytes, sizeof(bytes),
			  &length) == STORE_FOUND)
		start++;
	return start;
}

void history_store_put_outage(struct history_store *store, const char *domain,
			      const struct history_outage *outage)
{
	unsigned char key[KEY_MAX];
	unsigned char bytes[OUTAGE_RECORD_SIZE];

	outage_write(&outage->outage, bytes);
	writer_put(store->services->writer, STORE_HISTORY, key,
		   key_of(key, domain, KIND_OUTAGE, outage->key), bytes, sizeof(bytes));
}

void history_store_drop_outage(struct history_store *store, const char *domain, int64_t key)
{
	drop(store, domain, KIND_OUTAGE, key);
}

static void collect_outage(void *arg, const struct key *key, const unsigned char *value,
			   size_t length)
{
	struct history_outage **list = arg;
	struct outage outage;
	struct history_outage *added;

	if (!outage_read(&outage, value, length)) {
		log_damaged((const unsigned char *)key->domain, sizeof(key->domain));
		return;
	}
	added = memory_alloc(sizeof(*added));
	added->key = key->number;
	added->outage = outage;
	DL_APPEND(*list, added);
}

bool history_store_outages(struct history_store *store, const char *domain,
			   struct history_outage **list)
{
	struct scan scan = { .visit = collect_outage, .arg = list };

	return scan_from(store, domain, KIND_OUTAGE, 0, &scan);
}

/* ---- the sweep ---- */

struct sweep_page {
	struct history_store *store;
	struct key last; /* the domain that was judged last */
	bool keeps;	 /* it */
	size_t seen;
	bool more;
};

static bool is_remembered(const struct history_store *store, const char *domain)
{
	char byte;
	size_t length;

	/* what is there and doesn't fit is STORE_FAILED, as is what can't be read */
	return domains_find(store->domains, domain) != NULL ||
	       writer_get(store->services->writer, STORE_DOMAINS, domain, strlen(domain), &byte,
			  sizeof(byte), &length) != STORE_ABSENT;
}

static bool is_worth_keeping(struct sweep_page *page, const struct key *key)
{
	int64_t today = availability_day_of(loop_wall_seconds());
	int64_t day = key->kind == KIND_DAY ? key->number : availability_day_of(key->number);

	if (strcmp(page->last.domain, key->domain) != 0) {
		page->keeps = is_remembered(page->store, key->domain);
		page->last = *key;
	}
	return page->keeps && day > today - history_store_days_kept(domains_find(
						    page->store->domains, key->domain));
}

static bool sweep_visit(void *arg, const void *bytes, size_t length, const void *value,
			size_t value_length)
{
	struct sweep_page *page = arg;
	struct history_store *store = page->store;
	struct key key;

	(void)value;
	(void)value_length;
	if (page->seen++ == SWEEP_PAGE) {
		page->more = true;
		return false;
	}
	if (length <= sizeof(store->after)) {
		memcpy(store->after, bytes, length);
		store->after_length = length;
	}
	if (!key_read(&key, bytes, length) || !is_worth_keeping(page, &key))
		writer_delete(store->services->writer, STORE_HISTORY, bytes, length);
	return true;
}

static void sweep(void *arg)
{
	struct history_store *store = arg;
	struct sweep_page page = { .store = store };
	unsigned char after[KEY_MAX];
	struct store_range range = { .table = STORE_HISTORY,
				     .after = after,
				     .after_length = store->after_length };

	memcpy(after, store->after, store->after_length);
	store_scan(writer_store(store->services->writer), &range, sweep_visit, &page);
	if (!page.more)
		store->after_length = 0;
	loop_timer_start(store->timer, page.more ? SWEEP_PAUSE_MS : SWEEP_EVERY_MS);
}

/* ---- life ---- */

struct history_store *history_store_new(struct services *services, struct domains *domains)
{
	struct history_store *store = memory_alloc(sizeof(*store));

	store->services = services;
	store->domains = domains;
	store->timer = loop_timer_new(services->loop, sweep, store);
	loop_timer_start(store->timer, SWEEP_FIRST_MS);
	return store;
}

void history_store_free(struct history_store *store)
{
	loop_timer_free(store->timer);
	free(store);
}
