/* SPDX-License-Identifier: BSD-2-Clause */
/* Gathering an MX set with its addresses from DNS. Loop thread only. */
#include "watch/lookup.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct address_question {
	struct lookup *lookup;
	size_t host;
	enum ip_family family;
};

struct lookup {
	struct dns *dns;
	lookup_done done; /* NULL once cancelled */
	void *arg;
	struct loop_timer *finisher; /* so that done() never comes before the caller has us */
	struct mxset last_good;
	struct lookup_result result;
	unsigned open; /* questions without an answer yet, plus one while asking */
};

static void lookup_free(struct lookup *lookup)
{
	loop_timer_free(lookup->finisher);
	mxset_fini(&lookup->last_good);
	mxset_fini(&lookup->result.set);
	free(lookup);
}

static void finish(void *arg)
{
	struct lookup *lookup = arg;

	if (lookup->done != NULL)
		lookup->done(lookup->arg, &lookup->result);
	lookup_free(lookup);
}

static void question_closed(struct lookup *lookup)
{
	if (--lookup->open > 0)
		return;
	mxset_sort(&lookup->result.set);
	loop_timer_start(lookup->finisher, 0);
}

static void ttl_lower(struct lookup *lookup, int64_t ttl)
{
	if (ttl < lookup->result.ttl)
		lookup->result.ttl = ttl;
}

static const struct mx_host *host_by_name(const struct mxset *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->hosts[i].name, name) == 0)
			return &set->hosts[i];
	return NULL;
}

/* What this host had of that family last time. */
static void patch_addresses(struct lookup *lookup, struct mx_host *host, enum ip_family family)
{
	const struct mx_host *old = host_by_name(&lookup->last_good, host->name);

	lookup->result.patched = true;
	for (size_t i = 0; old != NULL && i < old->address_count; i++)
		if (old->addresses[i].family == family)
			mx_host_add_address(host, &old->addresses[i]);
}

static void addresses_answered(void *arg, const struct dns_answer *answer)
{
	struct address_question *question = arg;
	struct lookup *lookup = question->lookup;
	struct mx_host *host = &lookup->result.set.hosts[question->host];

	if (answer->status == DNS_FAILED)
		patch_addresses(lookup, host, question->family);
	for (size_t i = 0; i < answer->address_count; i++)
		mx_host_add_address(host, &answer->addresses[i]);
	/* a host without IPv6 is no reason to ask again each minute */
	if (answer->status == DNS_FOUND || answer->status == DNS_FAILED)
		ttl_lower(lookup, answer->ttl);
	free(question);
	question_closed(lookup);
}

static void ask_family(struct lookup *lookup, size_t host, enum ip_family family)
{
	struct address_question *question = memory_alloc(sizeof(*question));

	*question = (struct address_question){ lookup, host, family };
	lookup->open++;
	dns_ask_addresses(lookup->dns, lookup->result.set.hosts[host].name, family,
			  addresses_answered, question);
}

static void ask_all_addresses(struct lookup *lookup)
{
	for (size_t i = 0; i < lookup->result.set.count; i++) {
		const struct mx_host *host = &lookup->result.set.hosts[i];

		if (host->name[0] == '\0' || host->address_count > 0)
			continue;
		ask_family(lookup, i, IP_V4);
		ask_family(lookup, i, IP_V6);
	}
}

static void mx_answered(void *arg, const struct dns_answer *answer)
{
	struct lookup *lookup = arg;

	lookup->result.status = answer->status;
	ttl_lower(lookup, answer->ttl);
	for (size_t i = 0; i < answer->mx_count; i++)
		mxset_add_host(&lookup->result.set, answer->mx[i].name, answer->mx[i].preference);
	ask_all_addresses(lookup);
	question_closed(lookup);
}

static struct lookup *lookup_new(struct dns *dns, struct loop *loop, const struct mxset *last_good,
				 lookup_done done, void *arg)
{
	struct lookup *lookup = memory_alloc(sizeof(*lookup));

	lookup->dns = dns;
	lookup->done = done;
	lookup->arg = arg;
	lookup->finisher = loop_timer_new(loop, finish, lookup);
	lookup->result.ttl = DNS_TTL_CEILING;
	lookup->open = 1;
	mxset_copy(&lookup->last_good, last_good);
	return lookup;
}

struct lookup *lookup_mx(struct dns *dns, struct loop *loop, const char *domain,
			 const struct mxset *last_good, lookup_done done, void *arg)
{
	struct lookup *lookup = lookup_new(dns, loop, last_good, done, arg);

	dns_ask_mx(dns, domain, mx_answered, lookup);
	return lookup;
}

struct lookup *lookup_hosts(struct dns *dns, struct loop *loop, const struct mxset *hosts,
			    const struct mxset *last_good, lookup_done done, void *arg)
{
	struct lookup *lookup = lookup_new(dns, loop, last_good, done, arg);

	lookup->result.status = DNS_FOUND;
	mxset_copy(&lookup->result.set, hosts);
	ask_all_addresses(lookup);
	question_closed(lookup);
	return lookup;
}

void lookup_find_ourselves(struct lookup_result *result, const struct mx_identity *self)
{
	mxset_find_ourselves(&result->set, self);
	if (result->status == DNS_NO_DATA)
		result->set.standing = MX_STANDING_IMPLICIT;
	else if (result->status == DNS_NO_DOMAIN)
		result->set.standing = MX_STANDING_GONE;
}

void lookup_cancel(struct lookup *lookup)
{
	if (lookup != NULL)
		lookup->done = NULL;
}
