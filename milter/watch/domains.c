/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of domains: who is in it, what others may see of it, waiting for a first probe.
 * The loop thread changes it under the write lock; others read copies under the read lock.
 */
#include "watch/domains.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/log_valve.h"
#include "watch/domain.h"
#include "watch/next_hop.h"

#define SAVE_EVERY_MS	      60000
#define ROUNDS		      60  /* in which all are saved: each second one */
#define LOOKUPS_AT_ONCE	      100 /* at start; the rest follows at this many a second */
#define HANGING_MS	      30000 /* after a wait in vain nobody waits for that primary for so long */
#define LATECOMER_SECONDS     60
#define SUBDOMAINS_MAX	      10000 /* of ".parent" sections, taken up because somebody asked */
#define SUBDOMAINS_PER_SECOND 10

/* ---- coming and going ---- */

static void set_settings(struct domain *domain, enum domain_kind kind,
			 const struct config_domain *settings)
{
	domain->owner->counts[domain->kind]--;
	domain->owner->counts[kind]++;
	domain->kind = kind;
	domain->settings = settings;
}

static enum domain_kind kind_of(const struct config_domain *settings)
{
	return settings->name[0] == '.' ? DOMAIN_SUBDOMAIN : DOMAIN_CONFIGURED;
}

static struct domain *domain_new(struct domains *domains, const char *name, enum domain_kind kind)
{
	struct domain *domain = memory_alloc(sizeof(*domain));

	domain->owner = domains;
	text_copy(domain->name, sizeof(domain->name), name);
	domain->state = DOMAIN_UNKNOWN;
	domain->published.view.state = DOMAIN_UNKNOWN; /* until it is evaluated */
	domain->published.view.seen = DOMAIN_UNKNOWN;
	atomic_store(&domain->asked_ms, loop_now_ms());
	domain->kind = kind;
	domains->counts[kind]++;
	domain->settings = kind == DOMAIN_LEARNED ? domain_learned_settings(domain)
						  : config_domain_find(domains->config, name);
	return domain;
}

static void domain_free(struct domain *domain)
{
	domain_dns_stop(domain);
	domain_members_drop(domain);
	loop_timer_free(domain->force_timer);
	mxset_fini(&domain->set);
	mxset_fini(&domain->primary);
	free(domain->published.peers);
	free(domain->published.endpoints);
	free(domain->published.next_hop);
	free(domain->by_next_hop);
	free(domain);
}

static int by_name(const struct domain *a, const struct domain *b)
{
	return strcmp(a->name, b->name);
}

void domain_begin(struct domain *domain, int64_t delay_ms)
{
	struct domains *domains = domain->owner;

	domain->begun_ms = loop_now_ms();
	domain_record_load(domain);
	domain_tell_awake(domain, true);
	domain_members_update(domain);
	domain_evaluate(domain);
	domain_dns_start(domain, delay_ms);
	domain_tell_prover(domain); /* what it remembers may be no change */
	/* it came back just before we were stopped, and its mail was not flushed yet */
	if (domain_delivers(domain) && domain->mails > 0)
		domains->listener.recovered(domains->listener.arg, domain->name, domain->mails);
}

struct domain *domain_add(struct domains *domains, const char *name, enum domain_kind kind)
{
	struct domain *domain = domain_new(domains, name, kind);

	pthread_rwlock_wrlock(&domains->lock);
	HASH_ADD_STR(domains->all, name, domain);
	pthread_rwlock_unlock(&domains->lock);
	return domain;
}

void domain_remove(struct domain *domain, bool keep)
{
	struct domains *domains = domain->owner;

	if (domains->prover.gone != NULL)
		domains->prover.gone(domains->prover.arg, domain);
	for (size_t i = 0; i < domains->watcher_count; i++)
		if (domains->watchers[i].gone != NULL)
			domains->watchers[i].gone(domains->watchers[i].arg, domain->name);
	if (keep)
		domain_record_save(domain);
	else
		writer_delete(domains->services->writer, STORE_DOMAINS, domain->name,
			      strlen(domain->name));
	domains->counts[domain->kind]--;
	pthread_rwlock_wrlock(&domains->lock);
	HASH_DEL(domains->all, domain);
	pthread_rwlock_unlock(&domains->lock);
	domain_free(domain);
}

/* Its record would be older than what it says: its clock runs, or somebody asked for it. */
static bool is_worth_saving(const struct domain *domain)
{
	return domain->up_started_ms != 0 || domain->mails > 0 ||
	       (domain->kind == DOMAIN_LEARNED &&
		atomic_load(&domain->asked_ms) - domain->asked_kept_ms >= SAVE_EVERY_MS);
}

/* Each domain once a minute, but not a hundred thousand of them in one go. */
static void look_after_some(void *arg)
{
	struct domains *domains = arg;
	struct domain *domain;

	domains->round = (domains->round + 1) % ROUNDS;
	for (domain = domains->all; domain != NULL; domain = domain->hh.next) {
		if (domain->hh.hashv % ROUNDS != domains->round)
			continue;
		if (is_worth_saving(domain)) {
			domain->asked_kept_ms = atomic_load(&domain->asked_ms);
			domain_record_save(domain);
		}
		if (domain->kind == DOMAIN_LEARNED)
			domain_consider_sleep(domain);
	}
	loop_timer_start(domains->round_timer, SAVE_EVERY_MS / ROUNDS);
}

void domains_free(struct domains *domains)
{
	struct domain *domain, *next;

	domains->watcher_count = 0; /* they aren't gone, the program stops */
	HASH_ITER(hh, domains->all, domain, next)
		domain_remove(domain, true);
	loop_timer_free(domains->round_timer);
	candidates_free(domains->candidates);
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

void domain_reconfigure(struct domain *domain, enum domain_kind kind,
			const struct config_domain *settings)
{
	bool same = same_primary(domain->settings, settings);

	if (domain->asleep && kind != DOMAIN_LEARNED)
		domain_wake(domain);
	set_settings(domain, kind, settings);
	if (domain->asleep)
		return;
	if (!same)
		domain_primary_changed(domain);
	domain_members_update(domain);
	domain_evaluate(domain);
	domain_tell_prover(domain);
}

static void domain_leave(struct domain *domain)
{
	domain_force_drop(domain);
	domain_remove(domain, true);
}

static void reconfigure_present(struct domains *domains, struct config *config)
{
	struct domain *domain, *next;

	HASH_ITER(hh, domains->all, domain, next) {
		const struct config_domain *settings = config_domain_find(config, domain->name);

		if (settings != NULL)
			domain_reconfigure(domain, kind_of(settings), settings);
		else if (domain->kind == DOMAIN_LEARNED && config->domains.from_mta)
			domain_learned_reconfigure(domain);
		else if (domain->kind == DOMAIN_LEARNED)
			domain_learned_leave(domain);
		else
			domain_leave(domain);
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
		domain_begin(domain_add(domains, name, DOMAIN_CONFIGURED),
			     added < LOOKUPS_AT_ONCE ? 0 : added * 1000 / LOOKUPS_AT_ONCE);
		added++;
	}
}

void domains_configure(struct domains *domains, struct config *config)
{
	struct config *old = domains->config;
	bool learns = config->domains.from_mta;

	domains->config = config_get(config);
	candidates_clear(domains->candidates);
	reconfigure_present(domains, config);
	add_missing(domains);
	if (learns && (old == NULL || !old->domains.from_mta))
		domains_restore_learned(domains);
	domains_make_room(domains, DOMAIN_LEARNED, (size_t)config->domains.max_learned_domains, 0);
	config_put(old);
}

struct domains *domains_new(struct services *services, struct config *config,
			    const struct domains_listener *listener)
{
	struct domains *domains = memory_alloc(sizeof(*domains));

	domains->services = services;
	domains->listener = *listener;
	domains->endpoints = endpoints_new(services, domain_endpoint_sampled);
	pthread_rwlock_init(&domains->lock, NULL);
	pthread_mutex_init(&domains->wait_lock, NULL);
	clock_cond_init(&domains->changed);
	domains->candidates = candidates_new(services, domains_learn, domains);
	domains->round_timer = loop_timer_new(services->loop, look_after_some, domains);
	loop_timer_start(domains->round_timer, SAVE_EVERY_MS / ROUNDS);
	domains_configure(domains, config);
	domains_restore_subdomains(domains, SUBDOMAINS_MAX);
	return domains;
}

void domains_watch(struct domains *domains, const struct domains_watcher *watcher)
{
	const struct domain *domain;

	assert(domains->watcher_count < DOMAINS_WATCHERS_MAX);
	domains->watchers[domains->watcher_count++] = *watcher;
	for (domain = domains->all; domain != NULL && watcher->awake != NULL;
	     domain = domain->hh.next)
		if (!domain->asleep)
			watcher->awake(watcher->arg, domain, true);
}

void domains_unwatch(struct domains *domains, const void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < domains->watcher_count; i++)
		if (domains->watchers[i].arg != arg)
			domains->watchers[kept++] = domains->watchers[i];
	domains->watcher_count = kept;
}

void domains_set_prover(struct domains *domains, const struct domains_prover *prover)
{
	struct domain *domain;

	domains->prover = *prover;
	for (domain = domains->all; domain != NULL && prover->changed != NULL;
	     domain = domain->hh.next)
		prover->changed(prover->arg, domain);
}

void domains_look_again(struct domains *domains)
{
	struct domain *domain;
	int64_t asked = 0;

	candidates_clear(domains->candidates);
	for (domain = domains->all; domain != NULL; domain = domain->hh.next) {
		if (domain->asleep)
			continue;
		domain_members_update(domain);
		domain_evaluate(domain);
		domain_dns_restart(domain, asked++ * 1000 / LOOKUPS_AT_ONCE);
	}
}

/* ---- for other threads ---- */

static bool is_among(const struct ip *addresses, size_t count, const struct ip *client)
{
	for (size_t i = 0; client != NULL && i < count; i++)
		if (ip_equal(&addresses[i], client))
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
	view->peer_mx = is_among(published->peers, published->peer_count, client);
	view->is_endpoint = is_among(published->endpoints, published->endpoint_count, client);
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
	struct ip client;
	char next_hop[NEXT_HOP_MAX];
};

static struct wanted *wanted_new(struct domains *domains, const char *name)
{
	struct wanted *wanted = memory_alloc(sizeof(*wanted));

	wanted->domains = domains;
	text_copy(wanted->name, sizeof(wanted->name), name);
	return wanted;
}

static void serve_asked(void *arg)
{
	struct wanted *asked = arg;
	struct domain *domain = domains_find(asked->domains, asked->name);

	if (domain != NULL && domain->asleep)
		domain_wake(domain);
	if (domain != NULL && domain->kind == DOMAIN_LEARNED && asked->next_hop[0] != '\0')
		domain_follow(domain, asked->next_hop);
	free(asked);
}

/* The lock is held. */
static bool is_elsewhere(const struct domain *domain, const char *next_hop)
{
	const char *known = domain->published.next_hop;

	return next_hop[0] != '\0' && strlen(next_hop) < NEXT_HOP_MAX &&
	       (known == NULL || strcmp(known, next_hop) != 0);
}

void domains_note_asked(struct domains *domains, const char *name, const char *next_hop)
{
	bool wants_service = false;
	struct wanted *asked;
	struct domain *domain;

	pthread_rwlock_rdlock(&domains->lock);
	HASH_FIND_STR(domains->all, name, domain);
	if (domain != NULL) {
		atomic_store_explicit(&domain->asked_ms, loop_now_ms(), memory_order_relaxed);
		wants_service = domain->published.view.asleep || is_elsewhere(domain, next_hop);
	}
	pthread_rwlock_unlock(&domains->lock);
	if (!wants_service)
		return;
	asked = wanted_new(domains, name);
	text_copy(asked->next_hop, sizeof(asked->next_hop), next_hop);
	loop_post(domains->services->loop, serve_asked, asked);
}

static void take_up(struct domains *domains, const char *name)
{
	const struct config_domain *settings = config_domain_find(domains->config, name);

	if (settings == NULL || domains_find(domains, name) != NULL)
		return;
	if (kind_of(settings) == DOMAIN_SUBDOMAIN)
		domains_make_room(domains, DOMAIN_SUBDOMAIN, SUBDOMAINS_MAX, 1);
	domain_begin(domain_add(domains, name, kind_of(settings)), 0);
}

static void take_wanted(void *arg)
{
	struct wanted *wanted = arg;

	take_up(wanted->domains, wanted->name);
	free(wanted);
}

bool domains_want(struct domains *domains, const char *name)
{
	bool may;

	pthread_mutex_lock(&domains->wait_lock);
	may = budget_take(&domains->wants, SUBDOMAINS_PER_SECOND, 1000, loop_now_ms());
	pthread_mutex_unlock(&domains->wait_lock);
	if (!may)
		log_limit_reached(LOG_LIMIT_SUBDOMAINS_PER_SECOND, NULL, NULL);
	else
		loop_post(domains->services->loop, take_wanted, wanted_new(domains, name));
	return may;
}

bool domains_learn_later(struct domains *domains, const char *name, const char *next_hop)
{
	return candidates_consider(domains->candidates, name,
				   strlen(next_hop) < NEXT_HOP_MAX ? next_hop : "");
}

void domains_wait_learned(struct domains *domains, const char *name, int64_t until_ms)
{
	candidates_wait(domains->candidates, name, until_ms);
}

static void probe_client(void *arg)
{
	struct wanted *heard = arg;
	struct domain *domain = domains_find(heard->domains, heard->name);

	for (size_t i = 0; domain != NULL && i < domain->member_count; i++)
		if (ip_equal(&endpoint_address(domain->members[i].endpoint)->ip, &heard->client))
			endpoint_probe_soon(domain->members[i].endpoint);
	free(heard);
}

void domains_heard_from(struct domains *domains, const char *name, const struct ip *client)
{
	struct wanted *heard = wanted_new(domains, name);

	heard->client = *client;
	loop_post(domains->services->loop, probe_client, heard);
}

bool domain_view_recovering(const struct domain_view *view, int64_t grace, int64_t now)
{
	return view->state == DOMAIN_UP && view->recovered != 0 && now >= view->recovered &&
	       now - view->recovered < grace;
}

struct recipient_clock domain_view_clock(const struct domain_view *view, int64_t now)
{
	return (struct recipient_clock){
		.now = now,
		.up = view->up_clock,
		/* said to be down it may have new mailboxes all the same */
		.primary_up = domain_state_is_up(view->state) || view->seen == DOMAIN_UP,
		.doubts = view->doubts,
	};
}

void domains_wait(struct domains *domains, const char *name, int64_t until_ms)
{
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
			over = !clock_cond_wait(&domains->changed, &domains->wait_lock, until_ms);
		pthread_mutex_unlock(&domains->wait_lock);
	}
}

void domains_stop_waits(struct domains *domains)
{
	pthread_mutex_lock(&domains->wait_lock);
	domains->stopping = true;
	pthread_cond_broadcast(&domains->changed);
	pthread_mutex_unlock(&domains->wait_lock);
	candidates_stop_waits(domains->candidates);
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

static bool is_recent(int64_t then, int64_t seconds)
{
	int64_t age = loop_wall_seconds() - then;

	return age >= 0 && age < seconds;
}

static void take_mail(void *arg)
{
	struct wanted *counted = arg;
	struct domain *domain = domains_find(counted->domains, counted->name);

	if (domain != NULL && !domain_delivers(domain)) {
		/* the first one at once: a crash must not hide that there is something to flush */
		if (domain->mails++ == 0)
			domain_record_save(domain);
	} else if (domain != NULL && (is_recent(domain->recovered, LATECOMER_SECONDS) ||
				      is_recent(domain->force_ended, LATECOMER_SECONDS))) {
		/* it was welcomed while the primary was still away: the flush may have missed it */
		domain->owner->listener.latecomer(domain->owner->listener.arg, domain->name);
	}
	/* also when it is only said to be down: the MTA doesn't know that */
	if (domain != NULL && domain->state == DOMAIN_UP &&
	    domain->owner->prover.delivering != NULL)
		domain->owner->prover.delivering(domain->owner->prover.arg, domain);
	if (domain != NULL)
		domain_tell_mail(domain);
	free(counted);
}

void domains_count_mail(struct domains *domains, const char *name)
{
	loop_post(domains->services->loop, take_mail, wanted_new(domains, name));
}

/* ---- loop thread only ---- */

struct recipient_clock domains_clock(struct domains *domains, const char *name)
{
	const struct domain *domain = domains_find(domains, name);
	int64_t now = loop_wall_seconds();
	struct domain_view view;

	if (domain == NULL)
		return (struct recipient_clock){
			.now = now,
			.up = domain_record_up_seconds(domains->services->writer, name),
		};
	view = domain_view_now(domain, NULL);
	return domain_view_clock(&view, now);
}

const struct recipient_clock *domains_clock_next(struct domains *domains,
						 struct domains_clock_last *last, const char *name)
{
	if (strcmp(last->name, name) != 0) {
		text_copy(last->name, sizeof(last->name), name);
		last->clock = domains_clock(domains, name);
	}
	return &last->clock;
}

struct domain *domains_find(struct domains *domains, const char *name)
{
	struct domain *domain;

	HASH_FIND_STR(domains->all, name, domain);
	return domain;
}

struct domain *domains_rouse(struct domains *domains, const char *name)
{
	struct domain *domain;

	take_up(domains, name);
	domain = domains_find(domains, name);
	if (domain == NULL)
		return NULL;
	atomic_store(&domain->asked_ms, loop_now_ms());
	if (domain->asleep)
		domain_wake(domain);
	return domain;
}

struct domain *domains_first(struct domains *domains)
{
	pthread_rwlock_wrlock(&domains->lock);
	HASH_SORT(domains->all, by_name);
	pthread_rwlock_unlock(&domains->lock);
	return domains->all;
}

struct domain *domains_any(struct domains *domains)
{
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

const char *domain_source(const struct domain *domain)
{
	static const char *const sources[] = { [DOMAIN_CONFIGURED] = "configured",
					       [DOMAIN_SUBDOMAIN] = "subdomain",
					       [DOMAIN_LEARNED] = "learned" };

	return sources[domain->kind];
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
