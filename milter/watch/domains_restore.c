/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains that nobody wrote into the configuration and that were there before the last stop: they
 * are taken up again at the start, for there may be mail in the queue for them. Loop thread only.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "core/learned.h"
#include "watch/domain.h"

#define RESTORED_PER_SECOND 100 /* so are their look-ups spread */

/* ---- subdomains ---- */

struct stored_names {
	const struct config *config;
	size_t most;
	struct config_strings covered; /* subdomains that a ".parent" section still covers */
};

static bool note_subdomain(void *arg, const void *key, size_t key_length, const void *value,
			   size_t value_length)
{
	struct stored_names *stored = arg;
	char name[MAIL_DOMAIN_MAX + 1];
	const struct config_domain *settings;

	(void)value;
	(void)value_length;
	if (key_length >= sizeof(name))
		return true;
	memcpy(name, key, key_length);
	name[key_length] = '\0';
	settings = config_domain_find(stored->config, name);
	if (settings == NULL || settings->name[0] != '.')
		return true;
	stored->covered.items = memory_resize(stored->covered.items, stored->covered.count + 1,
					      sizeof(*stored->covered.items));
	stored->covered.items[stored->covered.count++] = memory_string(name);
	return stored->covered.count < stored->most;
}

/* Subdomains are taken up when asked for; after a restart those that were are again at once, for
 * there may be mail in the queue for them. */
void domains_restore_subdomains(struct domains *domains, size_t most)
{
	struct stored_names stored = { .config = domains->config, .most = most };

	store_scan(writer_store(domains->services->writer),
		   &(struct store_range){ .table = STORE_DOMAINS }, note_subdomain, &stored);
	for (size_t i = 0; i < stored.covered.count; i++) {
		if (domains_find(domains, stored.covered.items[i]) == NULL)
			domain_begin(domain_add(domains, stored.covered.items[i], DOMAIN_SUBDOMAIN),
				     (int64_t)i * 1000 / RESTORED_PER_SECOND);
		free(stored.covered.items[i]);
	}
	free(stored.covered.items);
}

/* ---- learned domains ---- */

struct learned_name {
	char *name;
	int64_t asked; /* seconds since 1970 */
	bool busy;     /* it was away, or mail waits */
	bool mail_waits;
};

struct learned_names {
	struct learned_name *items;
	size_t count;
};

static bool note_learned(void *arg, const void *key, size_t key_length, const void *value,
			 size_t value_length)
{
	struct learned_names *stored = arg;
	json_t *record = json_loadb(value, value_length, 0, NULL);
	const char *state = json_string_value(json_object_get(record, "state"));
	struct learned_name *item;

	if (json_is_true(json_object_get(record, "learned")) && key_length <= MAIL_DOMAIN_MAX) {
		stored->items =
			memory_resize(stored->items, stored->count + 1, sizeof(*stored->items));
		item = &stored->items[stored->count++];
		item->name = memory_format("%.*s", (int)key_length, (const char *)key);
		item->asked = json_integer_value(json_object_get(record, "asked"));
		item->mail_waits = json_integer_value(json_object_get(record, "mails")) > 0;
		item->busy = item->mail_waits || domain_force_in_record(record) ||
			     (state != NULL &&
			      (strcmp(state, "down") == 0 || strcmp(state, "sick") == 0));
	}
	json_decref(record);
	return true;
}

/* Those with mail waiting first, then those asked for lately. */
static int by_worth(const void *left, const void *right)
{
	const struct learned_name *a = left;
	const struct learned_name *b = right;

	if (a->mail_waits != b->mail_waits)
		return a->mail_waits ? -1 : 1;
	if (a->asked != b->asked)
		return a->asked > b->asked ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Restores one; `started` counts those that look around, to spread their look-ups. */
static void restore(struct domains *domains, const struct learned_name *stored, int64_t *started)
{
	int64_t idle = loop_wall_seconds() - stored->asked;
	struct domain *domain = domain_add(domains, stored->name, DOMAIN_LEARNED);

	idle = idle > 0 ? idle : 0;
	atomic_store(&domain->asked_ms, loop_now_ms() - idle * 1000);
	domain->asked_kept_ms = atomic_load(&domain->asked_ms);
	domain->asleep = learned_may_sleep(DOMAIN_UNKNOWN, stored->busy, idle);
	if (!domain->asleep) {
		domain_begin(domain, (*started)++ * 1000 / RESTORED_PER_SECOND);
		return;
	}
	/* while it sleeps its memory is swept, and recipients are imported */
	domain_record_load_clock(domain);
	domain_publish(domain);
}

void domains_restore_learned(struct domains *domains)
{
	struct writer *writer = domains->services->writer;
	size_t most = (size_t)domains->config->domains.max_learned_domains;
	struct learned_names stored = { .items = NULL };
	int64_t started = 0;

	store_scan(writer_store(writer), &(struct store_range){ .table = STORE_DOMAINS },
		   note_learned, &stored);
	if (stored.count > 0)
		qsort(stored.items, stored.count, sizeof(*stored.items), by_worth);
	for (size_t i = 0; i < stored.count; i++) {
		const struct learned_name *item = &stored.items[i];

		if (config_domain_find(domains->config, item->name) == NULL &&
		    domains_find(domains, item->name) == NULL) {
			if (domains->counts[DOMAIN_LEARNED] < most || item->mail_waits)
				restore(domains, item, &started);
			else
				writer_delete(writer, STORE_DOMAINS, item->name,
					      strlen(item->name));
		}
		free(item->name);
	}
	free(stored.items);
}
