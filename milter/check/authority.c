/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the zone of a name (its SOA), the zone's name servers and their addresses by the resolver,
 * then asks them. Zones with the same servers share a resolver of their own.
 */
#include "check/authority.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/netif.h"

#define NAMES_MAX 4 /* name servers of a zone whose addresses are looked up */
#define FOUND_MAX 8 /* of their addresses */
#define SERVERS_MAX                                                                                \
	3 /* those that are asked, one after the other, within the time of one question */

struct question {
	char *name;
	enum dns_type type;
	const struct resolved *soa, *ns, *answer; /* answer: NULL when there is nobody to ask */
};

struct servers {
	struct dns_server list[FOUND_MAX]; /* in order, to be compared */
	size_t count;
	struct dns *dns; /* NULL: it could not start */
	struct resolve *resolve;
};

struct authority {
	struct check *check;
	struct question *questions;
	size_t question_count;
	struct servers *servers;
	size_t servers_count;
	bool has_v4, has_v6;
};

struct authority *authority_new(struct check *check)
{
	struct authority *authority = memory_alloc(sizeof(*authority));

	authority->check = check;
	authority->has_v4 = netif_has_family(IP_V4);
	authority->has_v6 = netif_has_family(IP_V6);
	return authority;
}

void authority_free(struct authority *authority)
{
	for (size_t i = 0; i < authority->question_count; i++)
		free(authority->questions[i].name);
	free(authority->questions);
	for (size_t i = 0; i < authority->servers_count; i++) {
		dns_free(authority->servers[i].dns);
		resolve_free(authority->servers[i].resolve);
	}
	free(authority->servers);
	free(authority);
}

static struct question *question_find(const struct authority *authority, const char *name,
				      enum dns_type type)
{
	for (size_t i = 0; i < authority->question_count; i++) {
		struct question *question = &authority->questions[i];

		if (question->type == type && strcmp(question->name, name) == 0)
			return question;
	}
	return NULL;
}

void authority_want(struct authority *authority, const char *name, enum dns_type type)
{
	struct question question = { .type = type };

	if (question_find(authority, name, type) != NULL)
		return;
	question.name = memory_string(name);
	authority->questions = memory_resize(authority->questions, authority->question_count + 1,
					     sizeof(question));
	authority->questions[authority->question_count++] = question;
}

/* ---- who is to be asked ---- */

static void name_servers_start(struct authority *authority, struct question *question)
{
	const struct dns_record *soa = resolved_record(question->soa, DNS_TYPE_SOA, 0);

	if (soa != NULL)
		question->ns = resolve_start(authority->check->resolve,
					     soa->owner[0] != '\0' ? soa->owner : ".", DNS_TYPE_NS);
}

static void addresses_start(struct authority *authority, const struct question *question)
{
	const struct dns_record *ns;

	for (size_t i = 0; question->ns != NULL && i < NAMES_MAX &&
			   (ns = resolved_record(question->ns, DNS_TYPE_NS, i)) != NULL;
	     i++) {
		resolve_start(authority->check->resolve, ns->target, DNS_TYPE_A);
		resolve_start(authority->check->resolve, ns->target, DNS_TYPE_AAAA);
	}
}

static int server_compare(const void *left, const void *right)
{
	const struct dns_server *a = left;
	const struct dns_server *b = right;

	if (a->ip.family != b->ip.family)
		return a->ip.family < b->ip.family ? -1 : 1;
	return memcmp(a->ip.bytes, b->ip.bytes, sizeof(a->ip.bytes));
}

static void server_list(const struct authority *authority, const struct question *question,
			struct servers *servers)
{
	const struct dns_record *ns;

	for (size_t i = 0; question->ns != NULL && i < NAMES_MAX &&
			   (ns = resolved_record(question->ns, DNS_TYPE_NS, i)) != NULL;
	     i++) {
		struct ip found[MXSET_ADDRESSES_MAX];
		size_t count = check_host_addresses(authority->check, ns->target, found);

		for (size_t j = 0; j < count && servers->count < FOUND_MAX; j++)
			if (found[j].family == IP_V4 ? authority->has_v4 : authority->has_v6)
				servers->list[servers->count++].ip = found[j];
	}
	qsort(servers->list, servers->count, sizeof(servers->list[0]), server_compare);
	if (servers->count > SERVERS_MAX)
		servers->count = SERVERS_MAX;
}

static bool same_servers(const struct servers *a, const struct servers *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!ip_equal(&a->list[i].ip, &b->list[i].ip))
			return false;
	return true;
}

/* The resolver that asks these servers; NULL when there is none. */
static struct resolve *servers_take(struct authority *authority, struct servers *servers)
{
	struct check *check = authority->check;
	struct dns_settings settings = { .servers = servers->list, .server_count = servers->count };

	if (servers->count == 0)
		return NULL;
	/* the settings' time is that of one server */
	settings.timeout_ms = check->config->dns.timeout * 1000 / (int64_t)servers->count;
	for (size_t i = 0; i < authority->servers_count; i++)
		if (same_servers(&authority->servers[i], servers))
			return authority->servers[i].resolve;
	servers->dns = dns_new(check->loop, &settings);
	if (servers->dns != NULL)
		servers->resolve = resolve_new(check->loop, servers->dns);
	authority->servers =
		memory_resize(authority->servers, authority->servers_count + 1, sizeof(*servers));
	authority->servers[authority->servers_count++] = *servers;
	return servers->resolve;
}

void authority_ask(struct authority *authority)
{
	struct resolve *common = authority->check->resolve;
	struct question *questions = authority->questions;
	size_t count = authority->question_count;

	for (size_t i = 0; i < count; i++)
		questions[i].soa = resolve_start(common, questions[i].name, DNS_TYPE_SOA);
	resolve_wait(common);
	for (size_t i = 0; i < count; i++)
		name_servers_start(authority, &questions[i]);
	resolve_wait(common);
	for (size_t i = 0; i < count; i++)
		addresses_start(authority, &questions[i]);
	resolve_wait(common);
	for (size_t i = 0; i < count; i++) {
		struct servers servers = { .count = 0 };
		struct resolve *resolve;

		server_list(authority, &questions[i], &servers);
		resolve = servers_take(authority, &servers);
		if (resolve != NULL)
			questions[i].answer =
				resolve_start(resolve, questions[i].name, questions[i].type);
	}
	for (size_t i = 0; i < authority->servers_count; i++)
		if (authority->servers[i].resolve != NULL)
			resolve_wait(authority->servers[i].resolve);
}

const struct resolved *authority_answer(const struct authority *authority, const char *name,
					enum dns_type type)
{
	const struct question *question = question_find(authority, name, type);

	if (question == NULL || question->answer == NULL ||
	    resolved_count(question->answer, type) == 0)
		return NULL;
	return question->answer;
}
