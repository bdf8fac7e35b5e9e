/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From DNS to endpoints: a domain's MX set and configured primaries are looked up, kept over
 * failures, searched for ourselves, and turned into the endpoints to probe, and to ask. Loop thread
 * only.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "core/learned.h"
#include "watch/domain.h"

#define PATCHED_RETRY_SECONDS	    60
#define NOTHING_KNOWN_RETRY_SECONDS 10

/* ---- who is who ---- */

/* Ourselves, plus the endpoints that greeted us with our own name. */
struct wide_identity {
	struct mx_identity self;
	struct ip *addresses;
};

static void wide_identity_init(struct wide_identity *wide, const struct domain *domain)
{
	const struct mx_identity *self = &domain->owner->services->identity.self;
	size_t count = self->address_count;

	wide->addresses = memory_array(count + domain->member_count, sizeof(*wide->addresses));
	if (count > 0)
		memcpy(wide->addresses, self->addresses, count * sizeof(*wide->addresses));
	for (size_t i = 0; i < domain->member_count; i++)
		if (endpoint_health(domain->members[i].endpoint)->reason == HEALTH_LOOP)
			wide->addresses[count++] =
				endpoint_address(domain->members[i].endpoint)->ip;
	wide->self = *self;
	wide->self.addresses = wide->addresses;
	wide->self.address_count = count;
}

static bool is_better_address(const struct mxset *set, const struct ip *ip)
{
	for (size_t h = 0; h < set->count; h++) {
		if (set->hosts[h].role != MX_BETTER)
			continue;
		for (size_t a = 0; a < set->hosts[h].address_count; a++)
			if (ip_equal(&set->hosts[h].addresses[a], ip))
				return true;
	}
	return false;
}

/* ---- members ---- */

struct member_list {
	struct domain_member *items;
	size_t count;
};

static void member_add(struct domain *domain, struct member_list *list, const struct ip *ip,
		       uint16_t port, unsigned sets)
{
	struct ip_port address = { .ip = *ip, .port = port };
	struct endpoint *endpoint;

	if (mx_identity_has_address(&domain->owner->services->identity.self, ip))
		return; /* never probe ourselves */
	endpoint =
		endpoints_use(domain->owner->endpoints, &address, domain, &domain->settings->probe);
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].endpoint == endpoint) {
			list->items[i].sets |= sets;
			return;
		}
	}
	list->items = memory_resize(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = (struct domain_member){ endpoint, sets };
}

static void add_senders(struct domain *domain, struct member_list *list)
{
	unsigned sets = DOMAIN_SET_SENDERS;

	if (domain->settings->primary.count == 0)
		sets |= DOMAIN_SET_FORWARDING;
	for (size_t h = 0; h < domain->set.count; h++) {
		const struct mx_host *host = &domain->set.hosts[h];

		for (size_t a = 0; host->role == MX_BETTER && a < host->address_count; a++)
			member_add(domain, list, &host->addresses[a],
				   (uint16_t)domain->settings->probe.port, sets);
	}
}

static void add_primaries(struct domain *domain, struct member_list *list)
{
	const struct config_endpoints *configured = &domain->settings->primary;

	for (size_t h = 0; h < domain->primary.count; h++) {
		const struct mx_host *host = &domain->primary.hosts[h];
		uint16_t port = (uint16_t)domain->settings->probe.port;

		if (host->preference < configured->count &&
		    configured->items[host->preference].port != 0)
			port = configured->items[host->preference].port;
		for (size_t a = 0; a < host->address_count; a++)
			member_add(domain, list, &host->addresses[a], port, DOMAIN_SET_FORWARDING);
	}
}

static bool list_has(const struct member_list *list, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].endpoint == endpoint)
			return true;
	return false;
}

static void drop_missing(struct domain *domain, const struct member_list *list)
{
	for (size_t i = 0; i < domain->member_count; i++)
		if (!list_has(list, domain->members[i].endpoint))
			endpoints_drop(domain->members[i].endpoint, domain);
	free(domain->members);
}

/* An endpoint that is ourselves is in no set; a better MX that is ourselves may leave nobody
 * better. */
static void mark_loops(struct domain *domain)
{
	struct wide_identity wide;

	wide_identity_init(&wide, domain);
	if (wide.self.address_count > domain->owner->services->identity.self.address_count) {
		struct mxset seen = { .hosts = NULL };

		mxset_copy(&seen, &domain->set);
		mxset_find_ourselves(&seen, &wide.self);
		for (size_t i = 0; i < domain->member_count; i++) {
			struct domain_member *member = &domain->members[i];

			if (endpoint_health(member->endpoint)->reason == HEALTH_LOOP)
				member->sets = 0;
			else if (!is_better_address(&seen, &endpoint_address(member->endpoint)->ip))
				member->sets &= domain->settings->primary.count > 0
							? DOMAIN_SET_FORWARDING
							: 0;
		}
		mxset_fini(&seen);
	}
	free(wide.addresses);
}

static struct ip *peers_of(const struct domain *domain, size_t *count)
{
	struct ip *peers = NULL;

	*count = 0;
	for (size_t h = 0; h < domain->set.count; h++) {
		const struct mx_host *host = &domain->set.hosts[h];

		if (host->role == MX_SELF || host->address_count == 0)
			continue;
		peers = memory_resize(peers, *count + host->address_count, sizeof(*peers));
		memcpy(peers + *count, host->addresses, host->address_count * sizeof(*peers));
		*count += host->address_count;
	}
	return peers;
}

static struct ip *endpoints_of(const struct domain *domain, size_t *count)
{
	struct ip *endpoints = memory_array(domain->member_count, sizeof(*endpoints));

	*count = 0;
	for (size_t i = 0; i < domain->member_count; i++)
		if (domain->members[i].sets & DOMAIN_SET_FORWARDING)
			endpoints[(*count)++] = endpoint_address(domain->members[i].endpoint)->ip;
	return endpoints;
}

/* The addresses by which other threads recognise clients. */
static void publish_addresses(struct domain *domain)
{
	struct domain_published fresh = { .peers = NULL };
	struct domain_published old;

	fresh.peers = peers_of(domain, &fresh.peer_count);
	fresh.endpoints = endpoints_of(domain, &fresh.endpoint_count);
	pthread_rwlock_wrlock(&domain->owner->lock);
	old = domain->published;
	domain->published.peers = fresh.peers;
	domain->published.peer_count = fresh.peer_count;
	domain->published.endpoints = fresh.endpoints;
	domain->published.endpoint_count = fresh.endpoint_count;
	pthread_rwlock_unlock(&domain->owner->lock);
	free(old.peers);
	free(old.endpoints);
}

void domain_members_update(struct domain *domain)
{
	struct member_list list = { .items = NULL };

	mxset_find_ourselves(&domain->set, &domain->owner->services->identity.self);
	add_senders(domain, &list);
	add_primaries(domain, &list);
	drop_missing(domain, &list);
	domain->members = list.items;
	domain->member_count = list.count;
	mark_loops(domain);
	publish_addresses(domain);
}

void domain_members_drop(struct domain *domain)
{
	struct member_list none = { .items = NULL };

	drop_missing(domain, &none);
	domain->members = NULL;
	domain->member_count = 0;
}

/* ---- MX records ---- */

/* The answer says that there is nothing there: no domain, no MX record, or better hosts none of
 * which has an address any more. (Records that name others are a change, not an absence.) */
static bool is_absence(const struct domain *domain, struct lookup_result *result)
{
	if (result->status != DNS_FOUND)
		return true;
	mxset_find_ourselves(&result->set, &domain->owner->services->identity.self);
	return result->set.standing == MX_STANDING_BACKUP && !mxset_works(&result->set);
}

/* Seconds until the next question: not later than when the grace that began at `since` (0: none)
 * ends. */
static int64_t not_beyond_grace(const struct domain *domain, int64_t since, int64_t seconds)
{
	int64_t left = since + domain->owner->config->dns.dns_grace - loop_wall_seconds();

	if (since == 0 || left >= seconds)
		return seconds;
	return left > 0 ? left : 1;
}

static const char *absence_name(enum dns_status status)
{
	return status == DNS_NO_DOMAIN ? "no-domain"
	       : status == DNS_FOUND   ? "no-address"
				       : "no-data";
}

/* "There is none" must hold for dns_grace before it takes a working set away. */
static bool still_in_grace(struct domain *domain, struct lookup_result *result)
{
	int64_t now = loop_wall_seconds();
	int64_t grace = domain->owner->config->dns.dns_grace;

	if (!mxset_works(&domain->set) || !is_absence(domain, result)) {
		domain->gone_since = 0;
		return false;
	}
	if (domain->gone_since == 0 || domain->gone_since > now) {
		domain->gone_since = now;
		log_warning("dns: domain=%s mx=%s the last good MX set is kept for %llds",
			    domain->name, absence_name(result->status), (long long)grace);
		domain_record_save(domain);
	}
	return now - domain->gone_since < grace;
}

static void take_set(struct domain *domain, struct lookup_result *result)
{
	enum mx_standing before = domain->set.standing;

	lookup_find_ourselves(result, &domain->owner->services->identity.self);
	mxset_fini(&domain->set);
	domain->set = result->set;
	memset(&result->set, 0, sizeof(result->set));
	domain->gone_since = 0;
	domain_members_update(domain);
	if (domain->set.standing != before)
		log_info("dns: domain=%s mx=%s was=%s hosts=%zu", domain->name,
			 mx_standing_name(domain->set.standing), mx_standing_name(before),
			 domain->set.count);
	domain_record_save(domain);
}

/* Says it once when DNS stops to answer, and once when it answers again. */
static void note_failing(struct domain *domain, bool failing)
{
	if (failing == domain->mx_failing)
		return;
	domain->mx_failing = failing;
	if (failing)
		log_warning("dns: domain=%s mx=failed %s", domain->name,
			    domain->set.standing == MX_STANDING_UNKNOWN
				    ? "nothing is known of its primaries yet"
				    : "the last good MX set stays");
	else
		log_notice("dns: domain=%s mx=answered", domain->name);
}

/* A learned domain is ours by its MX records alone. */
static bool is_ours_no_more(const struct domain *domain, const struct lookup_result *result)
{
	return domain->kind == DOMAIN_LEARNED && result->status != DNS_FAILED &&
	       learned_proof_of(&domain->set, !result->patched) == LEARNED_DISPROVED;
}

static void mx_done(void *arg, struct lookup_result *result)
{
	struct domain *domain = arg;

	domain->mx_lookup = NULL;
	domain_dns_take(domain, result);
}

void domain_dns_take(struct domain *domain, struct lookup_result *result)
{
	int64_t again = result->ttl;

	domain->mx_answered = true;
	note_failing(domain, result->status == DNS_FAILED);
	if (result->status != DNS_FAILED && !still_in_grace(domain, result))
		take_set(domain, result);
	if (is_ours_no_more(domain, result)) {
		domain_forget(domain, learned_refusal_seconds(LEARNED_DISPROVED, result->ttl));
		return;
	}
	if (domain->mx_failing && domain->set.standing == MX_STANDING_UNKNOWN)
		again = NOTHING_KNOWN_RETRY_SECONDS;
	else if (result->patched && again > PATCHED_RETRY_SECONDS)
		again = PATCHED_RETRY_SECONDS;
	again = not_beyond_grace(domain, domain->gone_since, again);
	loop_timer_start(domain->mx_timer, again * 1000);
	domain_evaluate(domain);
}

static void mx_ask(void *arg)
{
	struct domain *domain = arg;
	struct services *services = domain->owner->services;

	if (domain->mx_lookup == NULL)
		domain->mx_lookup = lookup_mx(services->dns, services->loop, domain->name,
					      &domain->set, mx_done, domain);
}

/* ---- configured primaries ---- */

static bool has_address(const struct mxset *set)
{
	for (size_t h = 0; h < set->count; h++)
		if (set->hosts[h].address_count > 0)
			return true;
	return false;
}

/* The names of a working set give no address any more: that must hold as well. */
static bool primary_still_in_grace(struct domain *domain, const struct mxset *seen)
{
	int64_t now = loop_wall_seconds();

	if (has_address(seen) || !has_address(&domain->primary)) {
		domain->primary_gone_since = 0;
		return false;
	}
	if (domain->primary_gone_since == 0 || domain->primary_gone_since > now) {
		domain->primary_gone_since = now;
		log_warning("dns: domain=%s primary=no-address the last good addresses are kept "
			    "for %llds",
			    domain->name, (long long)domain->owner->config->dns.dns_grace);
	}
	return now - domain->primary_gone_since < domain->owner->config->dns.dns_grace;
}

static void primary_done(void *arg, struct lookup_result *result)
{
	struct domain *domain = arg;
	int64_t again = result->ttl;

	domain->primary_lookup = NULL;
	domain->primary_answered = true;
	if (!primary_still_in_grace(domain, &result->set)) {
		mxset_fini(&domain->primary);
		domain->primary = result->set;
		memset(&result->set, 0, sizeof(result->set));
	}
	if (!has_address(&domain->primary))
		again = DNS_TTL_FLOOR;
	again = not_beyond_grace(domain, domain->primary_gone_since, again);
	loop_timer_start(domain->primary_timer, again * 1000);
	domain_members_update(domain);
	domain_record_save(domain);
	domain_evaluate(domain);
}

static void primary_ask(void *arg)
{
	struct domain *domain = arg;
	struct services *services = domain->owner->services;
	const struct config_endpoints *configured = &domain->settings->primary;
	struct mxset hosts = { .hosts = NULL };

	if (domain->primary_lookup != NULL)
		return;
	for (size_t i = 0; i < configured->count && i < MXSET_HOSTS_MAX; i++) {
		const struct config_endpoint *item = &configured->items[i];

		mxset_add_host(&hosts, item->host, (uint16_t)i);
		if (item->ip.family != IP_NONE)
			mx_host_add_address(&hosts.hosts[hosts.count - 1], &item->ip);
	}
	domain->primary_lookup = lookup_hosts(services->dns, services->loop, &hosts,
					      &domain->primary, primary_done, domain);
	mxset_fini(&hosts);
}

void domain_primary_changed(struct domain *domain)
{
	lookup_cancel(domain->primary_lookup);
	domain->primary_lookup = NULL;
	mxset_fini(&domain->primary);
	domain->primary_answered = false;
	loop_timer_stop(domain->primary_timer);
	if (domain->settings->primary.count > 0)
		loop_timer_start(domain->primary_timer, 0);
}

/* ---- start and stop ---- */

void domain_dns_start(struct domain *domain, int64_t delay_ms)
{
	if (domain->mx_timer == NULL)
		domain->mx_timer = loop_timer_new(domain->owner->services->loop, mx_ask, domain);
	if (domain->primary_timer == NULL)
		domain->primary_timer =
			loop_timer_new(domain->owner->services->loop, primary_ask, domain);
	loop_timer_start(domain->mx_timer, delay_ms);
	if (domain->settings->primary.count > 0)
		loop_timer_start(domain->primary_timer, delay_ms);
}

static void cancel_lookups(struct domain *domain)
{
	lookup_cancel(domain->mx_lookup);
	lookup_cancel(domain->primary_lookup);
	domain->mx_lookup = domain->primary_lookup = NULL;
}

void domain_dns_restart(struct domain *domain, int64_t delay_ms)
{
	cancel_lookups(domain);
	domain_dns_start(domain, delay_ms);
}

void domain_dns_stop(struct domain *domain)
{
	cancel_lookups(domain);
	loop_timer_free(domain->mx_timer);
	loop_timer_free(domain->primary_timer);
	domain->mx_timer = domain->primary_timer = NULL;
}

/* ---- whom to ask ---- */

static bool may_be_asked(const struct domain_member *member)
{
	const struct health *health = endpoint_health(member->endpoint);

	return (member->sets & DOMAIN_SET_FORWARDING) && health->state == HEALTH_UP &&
	       !health->no_route;
}

struct endpoint *domain_endpoint_up(const struct domain *domain)
{
	for (size_t i = 0; i < domain->member_count; i++)
		if (may_be_asked(&domain->members[i]))
			return domain->members[i].endpoint;
	return NULL;
}

struct endpoint *domain_endpoint_up_at(const struct domain *domain, const struct ip_port *address)
{
	for (size_t i = 0; i < domain->member_count; i++)
		if (may_be_asked(&domain->members[i]) &&
		    ip_port_equal(endpoint_address(domain->members[i].endpoint), address))
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
