/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What DNS says of a domain and of its backups, as the facts of a plan. One thread.
 *
 * The MX records are asked of the zone's own servers: what a cache holds may be old, and its TTLs
 * are counted down. Who can't be reached there is asked by the resolver, as everybody else.
 */
#include "ctl/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "check/addresses.h"
#include "check/authority.h"

#define CNAMES_MAX 16 /* on the way to an address */

/* ---- hosts ---- */

static void take_addresses(struct plan_host *host, const struct resolved *resolved,
			   enum dns_type type)
{
	const struct dns_record *record;

	for (size_t i = 0; (record = resolved_record(resolved, type, i)) != NULL; i++)
		if (host->address_count < MXSET_ADDRESSES_MAX)
			host->addresses[host->address_count++] = record->ip;
}

/* Where the CNAMEs of an answer lead to; false: there are none for this name. */
static bool follow_cname(const struct resolved *resolved, char *name, size_t size)
{
	const struct dns_record *record;

	for (size_t i = 0; (record = resolved_record(resolved, DNS_TYPE_CNAME, i)) != NULL; i++)
		if (strcmp(record->owner, name) == 0)
			return text_copy(name, size, record->target);
	return false;
}

static void take_canonical(struct plan_host *host, const struct resolved *resolved)
{
	char name[MAIL_DOMAIN_MAX + 1];
	int steps = 0;

	text_copy(name, sizeof(name), host->name);
	while (steps < CNAMES_MAX && follow_cname(resolved, name, sizeof(name)))
		steps++;
	if (steps > 0)
		text_copy(host->canonical, sizeof(host->canonical), name);
}

static void start_host(struct resolve *resolve, const char *name)
{
	if (name[0] == '\0')
		return;
	resolve_start(resolve, name, DNS_TYPE_A);
	resolve_start(resolve, name, DNS_TYPE_AAAA);
}

/* False: DNS doesn't tell. */
static bool take_addresses_of(struct plan_host *host, struct resolve *resolve, const char *name)
{
	const struct resolved *v4 = resolve_start(resolve, name, DNS_TYPE_A);
	const struct resolved *v6 = resolve_now(resolve, name, DNS_TYPE_AAAA);

	take_addresses(host, v4, DNS_TYPE_A);
	take_addresses(host, v6, DNS_TYPE_AAAA);
	if (host->canonical[0] == '\0')
		take_canonical(host, v4->count > 0 ? v4 : v6);
	return v4->status != DNS_FAILED && v6->status != DNS_FAILED;
}

/* start_host() several, then take them: they are asked all at once. */
static void take_host(struct plan_host *host, struct resolve *resolve, const char *name)
{
	bool told;

	*host = (struct plan_host){ .known = PLAN_NONE };
	text_copy(host->name, sizeof(host->name), name);
	if (name[0] == '\0')
		return;
	told = take_addresses_of(host, resolve, name);
	/* a server that knows the one zone only gives the CNAME alone */
	if (host->canonical[0] != '\0' && host->address_count == 0)
		told = take_addresses_of(host, resolve, host->canonical);
	if (host->address_count > 0)
		host->known = PLAN_FOUND;
	else if (!told)
		host->known = PLAN_CANT_TELL;
}

/* ---- zones ---- */

/* The SOA of the zone that a name lies in; NULL: DNS doesn't tell. Of a name that is an alias the
 * answer speaks of its target's zone, so its parents are asked. */
static const struct dns_record *zone_of(struct resolve *resolve, const char *name)
{
	for (const char *at = name; at != NULL; at = strchr(at, '.')) {
		const struct dns_record *soa;
		const struct resolved *resolved;

		at += *at == '.';
		resolved = resolve_now(resolve, at, DNS_TYPE_SOA);
		soa = resolved_record(resolved, DNS_TYPE_SOA, 0);
		if (soa != NULL && mxset_name_is_within(at, soa->owner))
			return soa;
		if (resolved->status == DNS_FAILED)
			return NULL;
	}
	return NULL;
}

/* ---- MX records ---- */

static void take_mx_records(struct plan_gathered *gathered, const struct resolved *mx)
{
	const struct dns_record *record;
	size_t count = resolved_count(mx, DNS_TYPE_MX);

	gathered->mx = memory_array(count + 1, sizeof(*gathered->mx));
	gathered->facts.mx = gathered->mx;
	gathered->facts.mx_count = count;
	for (size_t i = 0; (record = resolved_record(mx, DNS_TYPE_MX, i)) != NULL; i++) {
		text_copy(gathered->mx[i].host.name, sizeof(gathered->mx[i].host.name),
			  record->target);
		gathered->mx[i].preference = (uint16_t)record->preference;
		gathered->facts.mx_ttl_seen = record->ttl;
	}
}

/* Asks the zone's own servers. False: they give none. */
static bool take_mx_of_authority(struct plan_gathered *gathered, struct check *check)
{
	const char *domain = gathered->facts.domain.name;
	struct authority *authority = authority_new(check);
	const struct resolved *mx;

	authority_want(authority, domain, DNS_TYPE_MX);
	authority_ask(authority);
	mx = authority_answer(authority, domain, DNS_TYPE_MX);
	if (mx != NULL) {
		take_mx_records(gathered, mx);
		gathered->facts.mx_ttl = gathered->facts.mx_ttl_seen;
	}
	authority_free(authority);
	return mx != NULL;
}

static bool take_mx(struct plan_gathered *gathered, struct check *check, char *problem)
{
	const struct resolved *mx;

	if (take_mx_of_authority(gathered, check))
		return true;
	mx = resolve_now(check->resolve, gathered->facts.domain.name, DNS_TYPE_MX);
	if (mx->status == DNS_FAILED) {
		snprintf(problem, CTL_PROBLEM_MAX,
			 "the MX records of %s: %s; nothing can be "
			 "planned without knowing them",
			 gathered->facts.domain.name, resolved_problem(mx));
		return false;
	}
	take_mx_records(gathered, mx);
	/* what is left of it is too much already */
	if (gathered->facts.mx_ttl_seen > PLAN_TTL_MOST)
		gathered->facts.mx_ttl = gathered->facts.mx_ttl_seen;
	return true;
}

static void take_mx_hosts(struct plan_gathered *gathered, struct resolve *resolve)
{
	size_t count = gathered->facts.mx_count;

	for (size_t i = 0; i < count; i++)
		start_host(resolve, gathered->mx[i].host.name);
	for (size_t i = 0; i < count; i++) {
		char name[MAIL_DOMAIN_MAX + 1];

		text_copy(name, sizeof(name), gathered->mx[i].host.name);
		take_host(&gathered->mx[i].host, resolve, name);
	}
}

/* ---- the backups ---- */

static void want(struct plan_backup *backup, const struct ip *ip)
{
	if (backup->wanted_count < MXSET_ADDRESSES_MAX)
		backup->wanted[backup->wanted_count++] = *ip;
}

/* The only public address of a family that the interfaces have. Of several none: which one senders
 * should use isn't ours to guess. */
static void want_of_interfaces(struct plan_backup *backup, const struct check *check,
			       enum ip_family family)
{
	const struct ip *ip, *found = NULL;

	for (size_t i = 0; (ip = check_own_public_address(check, i)) != NULL; i++) {
		if (ip->family != family)
			continue;
		if (found != NULL)
			return;
		found = ip;
	}
	if (found != NULL)
		want(backup, found);
}

static void want_own(struct plan_backup *backup, const struct check *check)
{
	size_t configured = check->config->milter.my_address_count;

	backup->own = check->identity.addresses;
	backup->own_count = check->identity.self.address_count;
	if (backup->wanted_count > 0)
		return;
	for (size_t i = 0; i < configured; i++)
		want(backup, &check->config->milter.my_addresses[i]);
	backup->chosen = configured > 0;
	if (configured > 0)
		return;
	want_of_interfaces(backup, check, IP_V4);
	want_of_interfaces(backup, check, IP_V6);
}

static void take_backup(struct plan_backup *backup, struct check *check, const char *name)
{
	const struct dns_record *soa;

	take_host(&backup->host, check->resolve, name);
	soa = zone_of(check->resolve,
		      backup->host.canonical[0] != '\0' ? backup->host.canonical : name);
	if (soa != NULL)
		text_copy(backup->zone, sizeof(backup->zone), soa->owner);
	if (mx_identity_has_name(&check->identity.self, name))
		want_own(backup, check);
}

static void take_backups(struct plan_gathered *gathered, struct check *check,
			 const struct plan_wish *wish)
{
	size_t count = wish->backup_count > 0 ? wish->backup_count : 1;

	gathered->backups = memory_array(count, sizeof(*gathered->backups));
	gathered->facts.backups = gathered->backups;
	gathered->facts.backup_count = count;
	for (size_t i = 0; i < wish->backup_count; i++)
		start_host(check->resolve, wish->backups[i].name);
	for (size_t i = 0; i < count; i++) {
		struct plan_backup *backup = &gathered->backups[i];

		for (size_t j = 0; j < wish->backups[i].address_count; j++)
			want(backup, &wish->backups[i].addresses[j]);
		backup->chosen = backup->wanted_count > 0;
		take_backup(backup, check,
			    wish->backup_count > 0 ? wish->backups[i].name
						   : check_host_name(check));
		/* who can't be told to lie elsewhere lies where its name says */
		if (backup->zone[0] == '\0' &&
		    mxset_name_is_within(backup->host.name, gathered->facts.zone))
			text_copy(backup->zone, sizeof(backup->zone), gathered->facts.zone);
	}
}

/* ---- names of addresses ---- */

static void reverse_add(struct plan_gathered *gathered, struct resolve *resolve,
			const struct ip *ip, const char *wanted)
{
	struct plan_reverse reverse = { .ip = *ip, .known = PLAN_NONE };
	char name[IP_REVERSE_MAX];
	const struct resolved *resolved;
	const struct dns_record *ptr;

	for (size_t i = 0; i < gathered->facts.reverse_count; i++)
		if (ip_equal(&gathered->reverse[i].ip, ip))
			return;
	ip_format_reverse(ip, name, sizeof(name));
	resolved = resolve_now(resolve, name, DNS_TYPE_PTR);
	if (resolved->status == DNS_FAILED)
		reverse.known = PLAN_CANT_TELL;
	/* of several names the right one counts */
	for (size_t i = 0; (ptr = resolved_record(resolved, DNS_TYPE_PTR, i)) != NULL; i++) {
		reverse.known = PLAN_FOUND;
		if (i == 0 || strcmp(ptr->target, wanted) == 0)
			text_copy(reverse.name, sizeof(reverse.name), ptr->target);
	}
	gathered->reverse = memory_resize(gathered->reverse, gathered->facts.reverse_count + 1,
					  sizeof(reverse));
	gathered->reverse[gathered->facts.reverse_count++] = reverse;
	gathered->facts.reverse = gathered->reverse;
}

static void take_reverse(struct plan_gathered *gathered, struct resolve *resolve)
{
	for (size_t i = 0; i < gathered->facts.backup_count; i++) {
		const struct plan_backup *backup = &gathered->backups[i];
		const char *name = backup->host.canonical[0] != '\0' ? backup->host.canonical
								     : backup->host.name;

		for (size_t j = 0; j < backup->host.address_count; j++)
			reverse_add(gathered, resolve, &backup->host.addresses[j], name);
		for (size_t j = 0; j < backup->wanted_count; j++)
			reverse_add(gathered, resolve, &backup->wanted[j], name);
	}
}

/* ---- all of it ---- */

static void take_zone(struct plan_gathered *gathered, struct resolve *resolve)
{
	struct plan_facts *facts = &gathered->facts;
	const struct dns_record *soa = zone_of(resolve, facts->domain.name);

	facts->zone_known = soa != NULL;
	text_copy(facts->zone, sizeof(facts->zone), soa != NULL ? soa->owner : facts->domain.name);
	if (soa != NULL)
		text_copy(gathered->server, sizeof(gathered->server), soa->target);
}

static bool take_domain(struct plan_gathered *gathered, struct check *check,
			const struct plan_wish *wish, char *problem)
{
	struct plan_host *domain = &gathered->facts.domain;

	take_host(domain, check->resolve, wish->domain);
	take_zone(gathered, check->resolve);
	if (!take_mx(gathered, check, problem))
		return false;
	if (gathered->facts.mx_count > 0 || domain->known != PLAN_CANT_TELL ||
	    wish->primary[0] != '\0')
		return true;
	snprintf(problem, CTL_PROBLEM_MAX,
		 "%s has no MX records, and DNS doesn't tell whether it has an address: who "
		 "takes its mail now isn't known; name that host by --primary",
		 wish->domain);
	return false;
}

bool plan_gather(struct plan_gathered *gathered, struct check *check, const struct plan_wish *wish,
		 char *problem)
{
	memset(gathered, 0, sizeof(*gathered));
	gathered->facts.ttl = wish->ttl;
	if (!take_domain(gathered, check, wish, problem))
		return false;
	take_mx_hosts(gathered, check->resolve);
	if (wish->primary[0] != '\0') {
		take_host(&gathered->primary, check->resolve, wish->primary);
		gathered->facts.primary = &gathered->primary;
	}
	take_backups(gathered, check, wish);
	take_reverse(gathered, check->resolve);
	return true;
}

void plan_gathered_fini(struct plan_gathered *gathered)
{
	free(gathered->mx);
	free(gathered->backups);
	free(gathered->reverse);
}
