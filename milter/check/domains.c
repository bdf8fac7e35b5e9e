/* SPDX-License-Identifier: BSD-2-Clause */
/* The domains of a check: which there are, their MX sets, and where their mail is forwarded. */
#include "check/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "check/mta.h"

static bool have(const struct check *check, const char *name)
{
	for (size_t i = 0; i < check->domain_count; i++)
		if (strcmp(check->domains[i].name, name) == 0)
			return true;
	return false;
}

bool check_domain_add(struct check *check, const char *name)
{
	struct check_domain domain = { .name = "" };
	struct mail_address parsed;
	char address[MAIL_DOMAIN_MAX + 4];
	TEXT_ON(text, address);

	text_add_format(&text, "x@%s", name);
	mail_address_parse(address, &parsed);
	if (text.cut || !parsed.askable || !parsed.is_ascii)
		return false;
	text_copy(domain.name, sizeof(domain.name), parsed.domain);
	if (have(check, domain.name))
		return true;
	domain.config = config_domain_find(check->config, domain.name);
	if (domain.config == NULL)
		domain.config = &check->config->unlisted;
	check->domains = memory_resize(check->domains, check->domain_count + 1, sizeof(domain));
	check->domains[check->domain_count++] = domain;
	return true;
}

void check_domains_known(struct check *check)
{
	const struct mta *mta = mta_get(check);
	const json_t *domain;
	size_t i;

	for (i = 0; i < check->config->domain_count; i++)
		check_domain_add(check, check->config->domain[i].name);
	json_array_foreach(json_object_get(check->status, "domains"), i, domain) {
		const char *name = json_string_value(json_object_get(domain, "domain"));

		if (name != NULL)
			check_domain_add(check, name);
	}
	if (mta->facts != NULL)
		mta->kind->add_domains(check, mta->facts);
}

/* ---- MX sets ---- */

static size_t addresses_add(const struct resolved *resolved, enum dns_type type,
			    struct ip *addresses, size_t count)
{
	const struct dns_record *record;

	for (size_t i = 0; (record = resolved_record(resolved, type, i)) != NULL; i++)
		if (count < MXSET_ADDRESSES_MAX)
			addresses[count++] = record->ip;
	return count;
}

size_t check_host_addresses(struct check *check, const char *host, struct ip *addresses)
{
	const struct resolved *v4 = resolve_start(check->resolve, host, DNS_TYPE_A);
	const struct resolved *v6 = resolve_start(check->resolve, host, DNS_TYPE_AAAA);
	size_t count;

	resolve_wait(check->resolve);
	count = addresses_add(v4, DNS_TYPE_A, addresses, 0);
	return addresses_add(v6, DNS_TYPE_AAAA, addresses, count);
}

size_t check_configured_addresses(struct check *check, const struct config_endpoint *endpoint,
				  struct ip *addresses)
{
	addresses[0] = endpoint->ip;
	if (endpoint->ip.family != IP_NONE)
		return 1;
	if (strcmp(endpoint->host, "localhost") == 0) /* which DNS need not know */
		return ip_parse("127.0.0.1", &addresses[0]) ? 1 : 0;
	return check_host_addresses(check, endpoint->host, addresses);
}

static enum mx_standing standing_of(const struct resolved *mx)
{
	switch (mx->status) {
	case DNS_NO_DOMAIN:
		return MX_STANDING_GONE;
	case DNS_FAILED:
		return MX_STANDING_UNKNOWN;
	default:
		return MX_STANDING_IMPLICIT; /* mxset_add_host() and _find_ourselves() correct it */
	}
}

static void set_fill(struct check *check, struct check_domain *domain)
{
	const struct dns_record *record;
	struct mxset *set = &domain->set;

	set->standing = standing_of(domain->mx);
	for (size_t i = 0; (record = resolved_record(domain->mx, DNS_TYPE_MX, i)) != NULL; i++) {
		set->standing = MX_STANDING_UNLISTED;
		mxset_add_host(set, record->target, (uint16_t)record->preference);
	}
	if (set->count == 0 && resolved_count(domain->mx, DNS_TYPE_MX) > 0)
		set->standing = MX_STANDING_NULL;
	for (size_t i = 0; i < set->count; i++) {
		struct ip addresses[MXSET_ADDRESSES_MAX];
		size_t count = check_host_addresses(check, set->hosts[i].name, addresses);

		for (size_t j = 0; j < count; j++)
			mx_host_add_address(&set->hosts[i], &addresses[j]);
	}
	mxset_sort(set);
	mxset_find_ourselves(set, &check->identity.self);
}

/* Starts the questions for the addresses of all hosts that a domain needs. */
static void addresses_start(struct check *check, const struct check_domain *domain)
{
	const struct dns_record *record;
	const struct config_endpoints *primary = &domain->config->primary;

	for (size_t i = 0; (record = resolved_record(domain->mx, DNS_TYPE_MX, i)) != NULL; i++) {
		if (record->target[0] == '\0')
			continue;
		resolve_start(check->resolve, record->target, DNS_TYPE_A);
		resolve_start(check->resolve, record->target, DNS_TYPE_AAAA);
	}
	for (size_t i = 0; i < primary->count; i++) {
		if (primary->items[i].ip.family != IP_NONE)
			continue;
		resolve_start(check->resolve, primary->items[i].host, DNS_TYPE_A);
		resolve_start(check->resolve, primary->items[i].host, DNS_TYPE_AAAA);
	}
}

/* ---- the forwarding set ---- */

static void endpoint_add(struct check_domain *domain, const char *host, const struct ip *ip,
			 int64_t port)
{
	struct check_endpoint endpoint = { .address = { .ip = *ip, .port = (uint16_t)port } };

	text_copy(endpoint.host, sizeof(endpoint.host), host);
	domain->endpoints =
		memory_resize(domain->endpoints, domain->endpoint_count + 1, sizeof(endpoint));
	domain->endpoints[domain->endpoint_count++] = endpoint;
}

static void endpoints_configured(struct check *check, struct check_domain *domain)
{
	const struct config_endpoints *primary = &domain->config->primary;

	for (size_t i = 0; i < primary->count; i++) {
		const struct config_endpoint *item = &primary->items[i];
		int64_t port = item->port != 0 ? item->port : domain->config->probe.port;
		struct ip addresses[MXSET_ADDRESSES_MAX];
		size_t count = check_configured_addresses(check, item, addresses);

		for (size_t j = 0; j < count; j++)
			endpoint_add(domain, item->host, &addresses[j], port);
	}
}

static void endpoints_from_dns(struct check_domain *domain)
{
	const struct mxset *set = &domain->set;

	for (size_t i = 0; i < set->count; i++) {
		const struct mx_host *host = &set->hosts[i];

		if (host->role == MX_SELF ||
		    (host->role != MX_BETTER && set->standing != MX_STANDING_UNLISTED))
			continue;
		for (size_t j = 0; j < host->address_count; j++)
			endpoint_add(domain, host->name, &host->addresses[j],
				     domain->config->probe.port);
	}
}

static const json_t *status_of(const struct check *check, const char *name)
{
	const json_t *domain;
	size_t i;

	json_array_foreach(json_object_get(check->status, "domains"), i, domain) {
		const char *its = json_string_value(json_object_get(domain, "domain"));

		if (its != NULL && strcmp(its, name) == 0)
			return domain;
	}
	return NULL;
}

void check_domains_gather(struct check *check)
{
	for (size_t i = 0; i < check->domain_count; i++)
		check->domains[i].mx =
			resolve_start(check->resolve, check->domains[i].name, DNS_TYPE_MX);
	resolve_wait(check->resolve);
	for (size_t i = 0; i < check->domain_count; i++)
		addresses_start(check, &check->domains[i]);
	resolve_wait(check->resolve);
	for (size_t i = 0; i < check->domain_count; i++) {
		struct check_domain *domain = &check->domains[i];

		domain->status = status_of(check, domain->name);
		set_fill(check, domain);
		if (domain->config->primary.count > 0)
			endpoints_configured(check, domain);
		else
			endpoints_from_dns(domain);
	}
}
