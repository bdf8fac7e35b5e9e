/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains learned from the MTA, once they have proved to be ours (candidates.c): how they come into
 * the table, by whose settings they live, how they sleep, and who has to go. Loop thread only.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/learned.h"
#include "io/log_valve.h"
#include "watch/domain.h"
#include "watch/next_hop.h"

#define LEARNED_PER_SECOND 10
#define FOLLOW_EVERY_MS	   10000 /* a next hop that changes with each recipient is followed thus */
#define ROOM_PART	   100	 /* room is made for a hundredth at once: looking takes long */

static void log_action(const struct domain *domain, enum log_level level, const char *action,
		       const char *key, const char *value)
{
	char line[MAIL_DOMAIN_MAX + 512];
	TEXT_ON(text, line);

	if (!log_valve_admit(LOG_VALVE_DOMAIN))
		return;
	text_add(&text, "domain: ");
	text_add_pair(&text, "domain", domain->name);
	text_add_pair(&text, "action", action);
	if (key != NULL)
		text_add_pair(&text, key, value);
	log_line(level, "%s", line);
}

/* ---- settings, and the next hop ---- */

static void set_by_next_hop(struct domain *domain, const struct next_hop *hop)
{
	struct domain_by_next_hop *own = memory_alloc(sizeof(*own));

	own->settings = domain->owner->config->unlisted;
	text_copy(own->host, sizeof(own->host), hop->host);
	own->endpoint =
		(struct config_endpoint){ .host = own->host, .ip = hop->ip, .port = hop->port };
	own->settings.primary = (struct config_endpoints){ .items = &own->endpoint, .count = 1 };
	domain->by_next_hop = own;
}

const struct config_domain *domain_learned_settings(struct domain *domain)
{
	const struct domains *domains = domain->owner;
	const char *text = domain->published.next_hop;
	struct next_hop hop;

	free(domain->by_next_hop);
	domain->by_next_hop = NULL;
	if (text == NULL || !domains->config->domains.primary_from_mta ||
	    !next_hop_parse(text, domain->name, &domains->services->identity.self, &hop))
		return &domains->config->unlisted;
	set_by_next_hop(domain, &hop);
	return &domain->by_next_hop->settings;
}

void domain_learned_reconfigure(struct domain *domain)
{
	struct domain_by_next_hop *before = domain->by_next_hop;

	domain->by_next_hop = NULL; /* what is in force is looked at until the new ones are */
	domain_reconfigure(domain, DOMAIN_LEARNED, domain_learned_settings(domain));
	free(before);
}

static void set_next_hop(struct domain *domain, const char *next_hop)
{
	char *old = domain->published.next_hop;

	pthread_rwlock_wrlock(&domain->owner->lock);
	domain->published.next_hop = memory_string(next_hop);
	pthread_rwlock_unlock(&domain->owner->lock);
	domain->next_hop_ms = loop_now_ms();
	free(old);
}

void domain_follow(struct domain *domain, const char *next_hop)
{
	const char *known = domain->published.next_hop;

	if (known != NULL &&
	    (strcmp(known, next_hop) == 0 || loop_now_ms() - domain->next_hop_ms < FOLLOW_EVERY_MS))
		return;
	set_next_hop(domain, next_hop);
	domain_learned_reconfigure(domain);
	log_action(domain, LOG_LEVEL_INFO, "follows", "next_hop", next_hop);
	domain_record_save(domain);
}

/* ---- what is remembered ---- */

void domain_learned_to_record(const struct domain *domain, json_t *record)
{
	int64_t idle_ms = loop_now_ms() - atomic_load(&domain->asked_ms);
	const char *next_hop = domain->published.next_hop;

	json_object_set_new(record, "learned", json_true());
	json_object_set_new(record, "asked", json_integer(loop_wall_seconds() - idle_ms / 1000));
	if (next_hop != NULL) /* one that is no UTF-8 is none, and adds nothing */
		json_object_set_new(record, "next_hop", json_string(next_hop));
}

void domain_learned_from_record(struct domain *domain, const json_t *record)
{
	const char *next_hop = json_string_value(json_object_get(record, "next_hop"));

	if (next_hop == NULL || domain->published.next_hop != NULL ||
	    strlen(next_hop) >= NEXT_HOP_MAX || !domain->owner->config->domains.primary_from_mta)
		return;
	set_next_hop(domain, next_hop);
	domain->next_hop_ms -= FOLLOW_EVERY_MS;
	domain->settings = domain_learned_settings(domain);
}

/* ---- sleep ---- */

void domain_consider_sleep(struct domain *domain)
{
	int64_t idle = (loop_now_ms() - atomic_load(&domain->asked_ms)) / 1000;

	if (domain->asleep || force_is_on(&domain->force) ||
	    !learned_may_sleep(domain->state, domain->mails > 0 || domain->mails_unsure, idle))
		return;
	log_action(domain, LOG_LEVEL_INFO, "asleep", NULL, NULL);
	domain_tell_awake(domain, false);
	domain_dns_stop(domain);
	domain->up_seconds = domain_up_clock(domain);
	domain->up_started_ms = 0;
	domain->state = DOMAIN_UNKNOWN;
	domain->reason = HEALTH_OK;
	domain->since = 0;
	domain->begun_ms = 0;
	domain->senders_up = false;
	domain_record_save(domain);
	mxset_fini(&domain->set);
	mxset_fini(&domain->primary);
	domain->mx_answered = domain->primary_answered = domain->mx_failing = false;
	domain_members_update(domain);
	domain->asleep = true;
	domain_publish(domain);
	domain_tell_prover(domain);
}

void domain_wake(struct domain *domain)
{
	domain->asleep = false;
	domain_begin(domain, 0);
	log_action(domain, LOG_LEVEL_INFO, "awake", NULL, NULL);
}

/* ---- coming ---- */

static bool may_learn(struct domains *domains)
{
	if (budget_take(&domains->learning, LEARNED_PER_SECOND, 1000, loop_now_ms()))
		return true;
	log_limit_reached(LOG_LIMIT_LEARNED_PER_SECOND, NULL, NULL);
	return false;
}

void domains_learn(void *arg, const char *name, const char *next_hop, struct lookup_result *result)
{
	struct domains *domains = arg;
	const struct config *config = domains->config;
	struct domain *domain;

	if (!config->domains.from_mta || domains_find(domains, name) != NULL ||
	    config_domain_find(config, name) != NULL || !may_learn(domains) ||
	    !domains_make_room(domains, DOMAIN_LEARNED, (size_t)config->domains.max_learned_domains,
			       1))
		return;
	domain = domain_add(domains, name, DOMAIN_LEARNED);
	if (config->domains.primary_from_mta && next_hop[0] != '\0') {
		set_next_hop(domain, next_hop);
		domain->settings = domain_learned_settings(domain);
	}
	domain_begin(domain, 0);
	log_action(domain, LOG_LEVEL_INFO, "learned",
		   domain->by_next_hop != NULL ? "primary" : NULL, next_hop);
	domain_dns_take(domain, result);
}

/* ---- going ---- */

void domain_forget(struct domain *domain, int64_t refused_seconds)
{
	candidates_refuse(domain->owner->candidates, domain->name, refused_seconds);
	log_action(domain, LOG_LEVEL_NOTICE, "forgotten", "mx",
		   mx_standing_name(domain->set.standing));
	domain_remove(domain, false);
}

void domain_learned_leave(struct domain *domain)
{
	domain_force_drop(domain);
	log_action(domain, LOG_LEVEL_INFO, "forgotten", "reason", "domains_from_mta");
	domain_remove(domain, true);
}

struct idle_domain {
	struct domain *domain;
	int64_t asked_ms; /* a copy: others ask all the while */
};

static int by_asked(const void *left, const void *right)
{
	int64_t a = ((const struct idle_domain *)left)->asked_ms;
	int64_t b = ((const struct idle_domain *)right)->asked_ms;

	return a < b ? -1 : a > b;
}

/* Removes up to `count` domains of a kind, those first that nobody asked for longest. */
static void remove_idle(struct domains *domains, enum domain_kind kind, size_t count)
{
	struct idle_domain *idle = memory_array(domains->counts[kind], sizeof(*idle));
	struct domain *domain;
	size_t found = 0;

	for (domain = domains->all; domain != NULL; domain = domain->hh.next)
		if (domain->kind == kind && domain->mails == 0 && !domain->mails_unsure &&
		    domain->state != DOMAIN_SICK && !force_is_on(&domain->force))
			idle[found++] =
				(struct idle_domain){ domain, atomic_load(&domain->asked_ms) };
	if (found > 0)
		qsort(idle, found, sizeof(*idle), by_asked);
	for (size_t i = 0; i < found && i < count; i++) {
		if (kind == DOMAIN_LEARNED)
			log_action(idle[i].domain, LOG_LEVEL_INFO, "forgotten", "reason", "room");
		domain_remove(idle[i].domain, false);
	}
	free(idle);
}

bool domains_make_room(struct domains *domains, enum domain_kind kind, size_t most, size_t more)
{
	size_t there = domains->counts[kind];

	if (there + more > most)
		remove_idle(domains, kind, there + more - most + (more > 0 ? most / ROOM_PART : 0));
	return domains->counts[kind] + more <= most;
}
