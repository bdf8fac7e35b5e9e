/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of domains: who is in it, what others may see of it, waiting for a first probe.
 * The loop thread changes it under the write lock; others read copies under the read lock.
 */
#include "watch/domains.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "watch/domain.h"

#define SAVE_EVERY_MS	  60000
#define LOOKUPS_AT_ONCE	  100	/* at start; the rest follows at this many a second */
#define HANGING_MS	  30000 /* after a wait in vain nobody waits for that primary for so long */
#define LATECOMER_SECONDS 60
#define SUBDOMAINS_MAX	  10000 /* of ".parent" sections, taken up because somebody asked */

/* ---- coming and going ---- */

static struct domain *domain_new(struct domains *domains, const char *name)
{
	struct domain *domain = memory_alloc(sizeof(*domain));

	domain->owner = domains;
	text_copy(domain->name, sizeof(domain->name), name);
	domain->state = DOMAIN_UNKNOWN;
	domain->begun_ms = loop_now_ms();
	domain->settings = config_domain_find(domains->config, name);
	domain_record_load(domain);
	return domain;
}

static void domain_free(struct domain *domain)
{
	domain_dns_stop(domain);
	domain_members_drop(domain);
	mxset_fini(&domain->set);
	mxset_fini(&domain->primary);
	free(domain->published.peers);
	free(domain);
}

static int by_name(const struct domain *a, const struct domain *b)
{
	return strcmp(a->name, b->name);
}

static void domain_add(struct domains *domains, const char *name, int64_t delay_ms)
{
	struct domain *domain = domain_new(domains, name);

	pthread_rwlock_wrlock(&domains->lock);
	HASH_ADD_STR(domains->all, name, domain);
	pthread_rwlock_unlock(&domains->lock);
	domain_members_update(domain);
	domain_evaluate(domain);
	domain_dns_start(domain, delay_ms);
}

static void domain_remove(struct domain *domain)
{
	struct domains *domains = domain->owner;

	domain_record_save(domain);
	pthread_rwlock_wrlock(&domains->lock);
	HASH_DEL(domains->all, domain);
	pthread_rwlock_unlock(&domains->lock);
	domain_free(domain);
}

static void save_all(void *arg)
{
	struct domains *domains = arg;
	struct domain *domain;

	for (domain = domains->all; domain != NULL; domain = domain->hh.next)
		if (domain->up_started_ms != 0 || domain->mails > 0)
			domain_record_save(domain);
	loop_timer_start(domains->save_timer, SAVE_EVERY_MS);
}

struct domains *domains_new(struct services *services, struct config *config,
			    const struct domains_listener *listener)
{
	struct domains *domains = memory_alloc(sizeof(*domains));
	pthread_condattr_t monotonic;

	domains->services = services;
	domains->listener = *listener;
	domains->endpoints = endpoints_new(services, domain_endpoint_sampled);
	pthread_rwlock_init(&domains->lock, NULL);
	pthread_mutex_init(&domains->wait_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&domains->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	domains->save_timer = loop_timer_new(services->loop, save_all, domains);
	loop_timer_start(domains->save_timer, SAVE_EVERY_MS);
	domains_configure(domains, config);
	return domains;
}

void domains_free(struct domains *domains)
{
	struct domain *domain, *next;

	HASH_ITER(hh, domains->all, domain, next)
	domain_remove(domain);
	loop_timer_free(domains->save_timer);
	endpoints_free(domains->endpoints);
	pthread_cond_destroy(&domains->changed);
	pthread_mutex_destroy(&domains->wait_lock);
	pthread_rwlock_destroy(&domains->lock);
	config_put(domains->config);
	free(domains);
}

/* ---- configuration ---- */

static bool same_primary(const struct config_domain *a, const struct config_domain *b)
{
	if (a->primary.count != b->primary.count)
		return false;
	for (size_t i = 0; i < a->primary.count; i++) {
		const struct config_endpoint *x = &a->primary.items[i];
		const struct config_endpoint *y = &b->primary.items[i];

		if (strcmp(x->host, y->host) != 0 || !ip_equal(&x->ip, &y->ip) ||
		    x->port != y->port)
			return false;
	}
	return true;
}

static void domain_reconfigure(struct domain *domain, const struct config_domain *settings)
{
	bool same = same_primary(domain->settings, settings);

	domain->settings = settings;
	if (!same)
		domain_primary_changed(domain);
	domain_members_update(domain);
	domain_evaluate(domain);
}

static void reconfigure_present(struct domains *domains, struct config *config)
{
	struct domain *domain, *next;

	HASH_ITER(hh, domains->all, domain, next)
	{
		const struct config_domain *settings = config_domain_find(config, domain->name);

		if (settings != NULL)
			domain_reconfigure(domain, settings);
		else
			domain_remove(domain);
	}
}

static void add_missing(struct domains *domains)
{
	const struct config *config = domains->config;
	int64_t added = 0;

	for (size_t i = 0; i < config->domain_count; i++) {
		const char *name = config->domain[i].name;

		if (name[0] == '.' || domains_find(domains, name) != NULL)
			continue;
		domain_add(domains, name,
			   added < LOOKUPS_AT_ONCE ? 0 : added * 1000 / LOOKUPS_AT_ONCE);
		added++;
	}
}

void domains_configure(struct domains *domains, struct config *config)
{
	struct config *old = domains->config;

	domains->config = config_get(config);
	reconfigure_present(domains, config);
	add_missing(domains);
	config_put(old);
}

void domains_look_again(struct domains *domains)
{
	struct domain *domain;
	int64_t asked = 0;

	for (domain = domains->all; domain != NULL; domain = domain->hh.next) {
		domain_members_update(domain);
		domain_evaluate(domain);
		domain_dns_restart(domain, asked++ * 1000 / LOOKUPS_AT_ONCE);
	}
}

/* ---- for other threads ---- */

static bool is_peer(const struct domain *domain, const struct ip *client)
{
	for (size_t i = 0; i < domain->published.peer_count; i++)
		if (ip_equal(&domain->published.peers[i], client))
			return true;
	return false;
}

static void view_copy(const struct domain *domain, const struct ip *client,
		      struct domain_view *view)
{
	const struct domain_published *published = &domain->published;

	*view = published->view;
	view->up_clock = published->up_seconds;
	if (published->up_started_ms != 0)
		view->up_clock += (loop_now_ms() - published->up_started_ms) / 1000;
	view->hangs_until_ms = atomic_load(&domain->hangs_until_ms);
	view->peer_mx = client != NULL && is_peer(domain, client);
}

bool domains_view(struct domains *domains, const char *name, const struct ip *client,
		  struct domain_view *view)
{
	struct domain *domain;

	pthread_rwlock_rdlock(&domains->lock);
	HASH_FIND_STR(domains->all, name, domain);
	if (domain != NULL)
		view_copy(domain, client, view);
	pthread_rwlock_unlock(&domains->lock);
	return domain != NULL;
}

struct wanted {
	struct domains *domains;
	char name[MAIL_DOMAIN_MAX + 1];
};

static void take_wanted(void *arg)
{
	struct wanted *wanted = arg;
	struct domains *domains = wanted->domains;

	if (domains_find(domains, wanted->name) == NULL &&
	    config_domain_find(domains->config, wanted->name) != NULL &&
	    domains->subdomain_count < SUBDOMAINS_MAX) {
		domains->subdomain_count++;
		domain_add(domains, wanted->name, 0);
	}
	free(wanted);
}

void domains_want(struct domains *domains, const char *name)
{
	struct wanted *wanted = memory_alloc(sizeof(*wanted));

	wanted->domains = domains;
	text_copy(wanted->name, sizeof(wanted->name), name);
	loop_post(domains->services->loop, take_wanted, wanted);
}

static struct timespec deadline_at(int64_t milliseconds)
{
	return (struct timespec){ .tv_sec = (time_t)(milliseconds / 1000),
				  .tv_nsec = (long)(milliseconds % 1000) * 1000000 };
}

void domains_wait(struct domains *domains, const char *name, int64_t until_ms)
{
	struct timespec deadline = deadline_at(until_ms);
	struct domain_view view;
	uint64_t seen;
	bool over = false;

	while (!over) {
		pthread_mutex_lock(&domains->wait_lock);
		seen = domains->generation;
		over = domains->stopping;
		pthread_mutex_unlock(&domains->wait_lock);
		if (domains_view(domains, name, NULL, &view) && view.state != DOMAIN_UNKNOWN)
			return;
		pthread_mutex_lock(&domains->wait_lock);
		while (!over && domains->generation == seen && !domains->stopping)
			over = pthread_cond_timedwait(&domains->changed, &domains->wait_lock,
						      &deadline) != 0;
		pthread_mutex_unlock(&domains->wait_lock);
	}
}

void domains_stop_waits(struct domains *domains)
{
	pthread_mutex_lock(&domains->wait_lock);
	domains->stopping = true;
	pthread_cond_broadcast(&domains->changed);
	pthread_mutex_unlock(&domains->wait_lock);
}

void domains_note_hanging(struct domains *domains, const char *name)
{
	struct domain *domain;

	pthread_rwlock_rdlock(&domains->lock);
	HASH_FIND_STR(domains->all, name, domain);
	if (domain != NULL)
		atomic_store(&domain->hangs_until_ms, loop_now_ms() + HANGING_MS);
	pthread_rwlock_unlock(&domains->lock);
}

void domains_count_verdict(struct domains *domains, const char *name, enum decision_action action)
{
	struct domain *domain;

	pthread_rwlock_rdlock(&domains->lock);
	HASH_FIND_STR(domains->all, name, domain);
	if (domain != NULL)
		atomic_fetch_add(&domain->verdicts[action], 1);
	pthread_rwlock_unlock(&domains->lock);
}

static void take_mail(void *arg)
{
	struct wanted *counted = arg;
	struct domain *domain = domains_find(counted->domains, counted->name);

	if (domain != NULL && !domain_state_is_up(domain->state)) {
		/* the first one at once: a crash must not hide that there is something to flush */
		if (domain->mails++ == 0)
			domain_record_save(domain);
	} else if (domain != NULL && loop_wall_seconds() - domain->recovered < LATECOMER_SECONDS) {
		/* it was welcomed while the primary was still away: the flush may have missed it */
		domain->owner->listener.latecomer(domain->owner->listener.arg, domain->name);
	}
	free(counted);
}

void domains_count_mail(struct domains *domains, const char *name)
{
	struct wanted *counted = memory_alloc(sizeof(*counted));

	counted->domains = domains;
	text_copy(counted->name, sizeof(counted->name), name);
	loop_post(domains->services->loop, take_mail, counted);
}

/* ---- loop thread only ---- */

struct domain *domains_find(struct domains *domains, const char *name)
{
	struct domain *domain;

	HASH_FIND_STR(domains->all, name, domain);
	return domain;
}

struct domain *domains_first(struct domains *domains)
{
	pthread_rwlock_wrlock(&domains->lock);
	HASH_SORT(domains->all, by_name);
	pthread_rwlock_unlock(&domains->lock);
	return domains->all;
}

struct domain *domain_next(struct domain *domain)
{
	return domain->hh.next;
}

const char *domain_name(const struct domain *domain)
{
	return domain->name;
}

const struct config_domain *domain_settings(const struct domain *domain)
{
	return domain->settings;
}

struct domain_view domain_view_now(const struct domain *domain, const struct ip *client)
{
	struct domain_view view;

	view_copy(domain, client, &view);
	return view;
}

struct endpoint *domain_endpoint_up(const struct domain *domain)
{
	for (size_t i = 0; i < domain->member_count; i++)
		if ((domain->members[i].sets & DOMAIN_SET_FORWARDING) &&
		    endpoint_health(domain->members[i].endpoint)->state == HEALTH_UP &&
		    !endpoint_health(domain->members[i].endpoint)->no_route)
			return domain->members[i].endpoint;
	return NULL;
}

static const char *host_with(const struct mxset *set, const struct ip *ip)
{
	for (size_t h = 0; h < set->count; h++)
		for (size_t a = 0; a < set->hosts[h].address_count; a++)
			if (ip_equal(&set->hosts[h].addresses[a], ip))
				return set->hosts[h].name;
	return NULL;
}

const char *domain_endpoint_host(const struct domain *domain, const struct endpoint *endpoint)
{
	const struct ip *ip = &endpoint_address(endpoint)->ip;
	const char *name = host_with(&domain->primary, ip);

	if (name == NULL)
		name = host_with(&domain->set, ip);
	return name != NULL ? name : "";
}

const char *domain_source(const struct domain *domain)
{
	return strcmp(domain->settings->name, domain->name) == 0 ? "configured" : "subdomain";
}

const struct mxset *domain_mxset(const struct domain *domain)
{
	return &domain->set;
}

size_t domain_member_count(const struct domain *domain)
{
	return domain->member_count;
}

struct domain_member domain_member(const struct domain *domain, size_t i)
{
	return domain->members[i];
}

unsigned long domain_verdicts(const struct domain *domain, enum decision_action action)
{
	return atomic_load(&domain->verdicts[action]);
}

unsigned long domain_mails_waiting(const struct domain *domain)
{
	return domain->mails;
}

void domain_flushed(struct domain *domain)
{
	domain->mails = 0;
	domain->mails_unsure = false;
	domain_record_save(domain);
}
