/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a domain keeps over a restart: its state, its observed-up clock, its last good MX set and
 * primaries, as JSON in the store. Foreign or damaged records are no records. Loop thread only.
 */
#include <jansson.h>
#include <string.h>

#include "base/log.h"
#include "watch/domain.h"

#define RECORD_MAX     131072
#define RECORD_VERSION 1

static json_t *set_to_json(const struct mxset *set)
{
	json_t *hosts = json_array();

	for (size_t h = 0; h < set->count; h++) {
		const struct mx_host *host = &set->hosts[h];
		json_t *addresses = json_array();
		char text[IP_TEXT_MAX];

		for (size_t a = 0; a < host->address_count; a++)
			json_array_append_new(
				addresses,
				json_string(ip_format(&host->addresses[a], text, sizeof(text))));
		json_array_append_new(hosts,
				      json_pack("{s:s, s:i, s:o}", "name", host->name, "preference",
						(int)host->preference, "addresses", addresses));
	}
	return hosts;
}

static void set_from_json(struct mxset *set, const json_t *hosts)
{
	size_t h, a;
	json_t *entry, *address;

	json_array_foreach(hosts, h, entry) {
		const char *name = NULL;
		int preference = 0;
		json_t *addresses = NULL;
		struct ip ip;

		if (json_unpack(entry, "{s:s, s:i, s:o}", "name", &name, "preference", &preference,
				"addresses", &addresses) != 0 ||
		    preference < 0 || preference > UINT16_MAX ||
		    !mxset_add_host(set, name, (uint16_t)preference))
			continue;
		json_array_foreach(addresses, a, address) {
			if (json_is_string(address) && ip_parse(json_string_value(address), &ip))
				mx_host_add_address(&set->hosts[set->count - 1], &ip);
		}
	}
}

static json_t *doubts_to_json(const struct recipient_doubts *doubts)
{
	json_t *spells = json_array();

	for (size_t i = 0; i < RECIPIENT_DOUBTS && doubts->spells[i].to != 0; i++)
		json_array_append_new(spells,
				      json_pack("[I, I]", (json_int_t)doubts->spells[i].from,
						(json_int_t)doubts->spells[i].to));
	return spells;
}

static void doubts_from_json(struct recipient_doubts *doubts, const json_t *spells)
{
	size_t i;
	json_t *spell;

	memset(doubts, 0, sizeof(*doubts));
	json_array_foreach(spells, i, spell) {
		json_int_t from, to;

		if (json_unpack(spell, "[I, I]", &from, &to) == 0 && from <= to)
			recipient_doubts_add(doubts, from, to);
	}
}

void domain_record_save(const struct domain *domain)
{
	char text[RECORD_MAX];
	size_t length;
	json_t *record;

	if (domain->asleep) /* what it had is in its record, and there alone */
		return;
	record = json_pack("{s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:o, s:s, s:o, s:o}",
			   "version", RECORD_VERSION, "state", domain_state_name(domain->state),
			   "reason", health_reason_name(domain->reason), "since",
			   (json_int_t)domain->since, "recovered", (json_int_t)domain->recovered,
			   "up_seconds", (json_int_t)domain_up_clock(domain), "gone_since",
			   (json_int_t)domain->gone_since, "mails", (json_int_t)domain->mails,
			   "sick", domain->sick, "doubts", doubts_to_json(&domain->doubts), "mx",
			   mx_standing_name(domain->set.standing), "hosts",
			   set_to_json(&domain->set), "primary", set_to_json(&domain->primary));
	if (domain->kind == DOMAIN_LEARNED)
		domain_learned_to_record(domain, record);
	domain_force_to_record(domain, record);
	length = json_dumpb(record, text, sizeof(text), JSON_COMPACT);
	json_decref(record);
	if (length > 0 && length <= sizeof(text))
		writer_put(domain->owner->services->writer, STORE_DOMAINS, domain->name,
			   strlen(domain->name), text, length);
}

static bool state_parse(const char *word, enum domain_state *state)
{
	static const enum domain_state kept[] = { DOMAIN_UP, DOMAIN_SICK, DOMAIN_DOWN };

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (strcmp(word, domain_state_name(kept[i])) == 0) {
			*state = kept[i];
			return true;
		}
	}
	return false; /* "unknown", "not-backup": to be found out again */
}

/* The configuration may name others than it did when the record was written: a host that isn't
 * configured any more is no primary. */
static bool is_configured(const struct config_endpoints *configured, const struct mx_host *host)
{
	const struct config_endpoint *item;

	if (host->preference >= configured->count)
		return false;
	item = &configured->items[host->preference];
	if (item->ip.family == IP_NONE)
		return strcmp(item->host, host->name) == 0;
	return host->name[0] == '\0' && host->address_count == 1 &&
	       ip_equal(&item->ip, &host->addresses[0]);
}

static void keep_configured_primaries(struct domain *domain)
{
	const struct config_endpoints *configured = &domain->settings->primary;
	bool all = domain->primary.count == configured->count;

	for (size_t i = 0; i < domain->primary.count && all; i++)
		all = is_configured(configured, &domain->primary.hosts[i]);
	if (!all)
		mxset_fini(&domain->primary);
}

static bool take_record(struct domain *domain, const json_t *record)
{
	int version = 0;
	const char *state, *reason, *standing;
	json_int_t since, recovered, up_seconds, gone_since, mails;
	int sick = 0;
	json_t *hosts, *primary;
	json_t *doubts = NULL;

	if (json_unpack((json_t *)(uintptr_t)record,
			"{s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s?b, s?o, s:s, s:o, s:o}",
			"version", &version, "state", &state, "reason", &reason, "since", &since,
			"recovered", &recovered, "up_seconds", &up_seconds, "gone_since",
			&gone_since, "mails", &mails, "sick", &sick, "doubts", &doubts, "mx",
			&standing, "hosts", &hosts, "primary", &primary) != 0 ||
	    version != RECORD_VERSION)
		return false;
	if (domain->kind == DOMAIN_LEARNED)
		domain_learned_from_record(domain, record);
	domain_force_from_record(domain, record);
	if (state_parse(state, &domain->state)) {
		domain->since = since;
		health_reason_parse(reason, &domain->reason);
	}
	domain->recovered = recovered;
	domain->up_seconds = up_seconds > 0 ? up_seconds : 0;
	domain->gone_since = gone_since;
	domain->sick = sick != 0;
	doubts_from_json(&domain->doubts, doubts);
	domain->mails = mails > 0 ? (unsigned long)mails : 0;
	if (mx_standing_parse(standing, &domain->set.standing) &&
	    domain->set.standing != MX_STANDING_UNKNOWN)
		domain->mx_answered = true;
	set_from_json(&domain->set, hosts);
	set_from_json(&domain->primary, primary);
	keep_configured_primaries(domain);
	domain->primary_answered = domain->primary.count > 0;
	return true;
}

/* NULL: there is none. */
static json_t *record_read(struct writer *writer, const char *name)
{
	char text[RECORD_MAX];
	size_t length = 0;

	if (writer_get(writer, STORE_DOMAINS, name, strlen(name), text, sizeof(text), &length) !=
	    STORE_FOUND)
		return NULL;
	return json_loadb(text, length, 0, NULL);
}

static int64_t record_up_seconds(const json_t *record)
{
	int64_t up_seconds = json_integer_value(json_object_get(record, "up_seconds"));

	return up_seconds > 0 ? up_seconds : 0;
}

void domain_record_load(struct domain *domain)
{
	json_t *record = record_read(domain->owner->services->writer, domain->name);

	if (record != NULL && !take_record(domain, record))
		log_warning("store: domain=%s its record cannot be read and is begun anew",
			    domain->name);
	json_decref(record);
	/* The clock runs while we see it up. */
	if (domain->state == DOMAIN_UP)
		domain->up_started_ms = loop_now_ms();
}

void domain_record_load_clock(struct domain *domain)
{
	json_t *record = record_read(domain->owner->services->writer, domain->name);

	domain->up_seconds = record_up_seconds(record);
	doubts_from_json(&domain->doubts, json_object_get(record, "doubts"));
	json_decref(record);
}

int64_t domain_record_up_seconds(struct writer *writer, const char *name)
{
	json_t *record = record_read(writer, name);
	int64_t up_seconds = record_up_seconds(record);

	json_decref(record);
	return up_seconds;
}
