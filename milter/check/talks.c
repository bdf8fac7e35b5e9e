/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is talked to in a check: each endpoint once, the references, our own MTA. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "check/talk.h"

#define SMTP_PORT 25

static void talk_init(struct talk *talk, const char *host, const struct ip_port *address,
		      const struct config_probe *probe)
{
	char label[IP_TEXT_MAX];
	TEXT_ON(text, talk->label);

	talk->address = *address;
	talk->probe = probe;
	talk->reason = HEALTH_LOST;
	talk->hosts[talk->host_count++] = host;
	text_add_format(&text, "%s%s%s", host, host[0] != '\0' ? " " : "",
			ip_port_format(address, label, sizeof(label)));
}

static void host_add(struct talk *talk, const char *host)
{
	for (size_t i = 0; i < talk->host_count; i++)
		if (strcmp(talk->hosts[i], host) == 0)
			return;
	if (talk->host_count < TALK_HOSTS_MAX)
		talk->hosts[talk->host_count++] = host;
}

struct talk *talks_find(const struct talks *talks, const struct ip_port *address)
{
	for (size_t i = 0; i < talks->count; i++)
		if (ip_port_equal(&talks->items[i].address, address))
			return &talks->items[i];
	return NULL;
}

static void endpoint_take(struct check *check, struct talks *talks, struct talk_domain *domain,
			  const struct check_endpoint *endpoint)
{
	struct talk *talk = talks_find(talks, &endpoint->address);
	struct talk_canary canary = { .domain = domain };

	if (talk == NULL) {
		talk = &talks->items[talks->count++];
		talk_init(talk, endpoint->host, &endpoint->address, &domain->domain->config->probe);
		talk->is_us = mx_identity_has_address(&check->identity.self, &talk->address.ip);
	} else {
		host_add(talk, endpoint->host);
	}
	for (size_t i = 0; i < talk->canary_count; i++)
		if (talk->canaries[i].domain == domain)
			return;
	talk->canaries = memory_resize(talk->canaries, talk->canary_count + 1, sizeof(canary));
	talk->canaries[talk->canary_count++] = canary;
}

static void primaries_add(struct check *check, struct talks *talks)
{
	size_t most = 0;

	for (size_t i = 0; i < check->domain_count; i++)
		most += check->domains[i].endpoint_count;
	talks->items = memory_array(most + 1, sizeof(*talks->items));
	talks->domains = memory_array(check->domain_count + 1, sizeof(*talks->domains));
	talks->domain_count = check->domain_count;
	for (size_t i = 0; i < check->domain_count; i++) {
		struct talk_domain *domain = &talks->domains[i];

		domain->domain = &check->domains[i];
		if (!check->config->recipients.callout)
			domain->silent = "callout = no in section [recipients]";
		else if (domain->domain->endpoint_count > 0)
			talk_canary_choose(check, domain);
		for (size_t j = 0; j < domain->domain->endpoint_count && j < TALK_ENDPOINTS_MAX;
		     j++)
			endpoint_take(check, talks, domain, &domain->domain->endpoints[j]);
	}
}

static void reference_add(struct check *check, struct talks *talks,
			  const struct config_endpoint *reference)
{
	struct ip addresses[MXSET_ADDRESSES_MAX];
	size_t count = check_configured_addresses(check, reference, addresses);

	for (size_t i = 0; i < count; i++) {
		struct ip_port address = { .ip = addresses[i], .port = reference->port };
		struct talk *talk = &talks->references[talks->reference_count];

		if (address.port != SMTP_PORT || talks_find(talks, &address) != NULL)
			continue;
		talk_init(talk, reference->host, &address, &check->config->probe);
		talk->kind = TALK_REFERENCE;
		talks->reference_count++;
	}
}

static void references_add(struct check *check, struct talks *talks)
{
	const struct config_endpoints *references = &check->config->reference;

	talks->references = memory_array(references->count * MXSET_ADDRESSES_MAX + 1,
					 sizeof(*talks->references));
	for (size_t i = 0; i < references->count; i++)
		reference_add(check, talks, &references->items[i]);
}

static void own_add(struct check *check, struct talks *talks)
{
	const struct config_endpoint *mta = &check->config->flush.mta;
	struct ip addresses[MXSET_ADDRESSES_MAX];
	struct ip_port address = { .port = mta->port != 0 ? mta->port : SMTP_PORT };

	if (check_configured_addresses(check, mta, addresses) > 0)
		address.ip = addresses[0];
	talk_init(&talks->own, mta->host, &address, &check->config->probe);
	talks->own.kind = TALK_OWN;
	talks->own.is_us = address.ip.family == IP_NONE; /* nobody to be asked */
}

struct talks *talks_gather(struct check *check)
{
	struct talks *talks = memory_alloc(sizeof(*talks));
	struct talk **all;
	size_t count = 0;

	primaries_add(check, talks);
	references_add(check, talks);
	own_add(check, talks);
	all = memory_array(talks->count + talks->reference_count + 1, sizeof(*all));
	all[count++] = &talks->own;
	for (size_t i = 0; i < talks->reference_count; i++)
		all[count++] = &talks->references[i];
	for (size_t i = 0; i < talks->count; i++)
		all[count++] = &talks->items[i];
	talk_sessions_run(check, all, count);
	free(all);
	return talks;
}

void talks_free(struct talks *talks)
{
	if (talks == NULL)
		return;
	for (size_t i = 0; i < talks->count; i++)
		free(talks->items[i].canaries);
	free(talks->items);
	free(talks->references);
	free(talks->domains);
	free(talks);
}
