/* SPDX-License-Identifier: BSD-2-Clause */
/* This host's names and addresses. Loop thread only. */
#include "watch/identity.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/netif.h"

static void names_free(struct identity *identity)
{
	for (size_t i = 0; i < identity->self.name_count; i++)
		free(identity->names[i]);
	free(identity->names);
}

static void names_fill(struct identity *identity, const struct config *config)
{
	const struct config_strings *mine = &config->milter.my_names;
	size_t count = 0;

	identity->names = memory_array(mine->count + 1, sizeof(*identity->names));
	identity->names[count++] = memory_string(identity->host_name);
	for (size_t i = 0; i < mine->count; i++)
		identity->names[count++] = memory_string(mine->items[i]);
	identity->self.names = identity->names;
	identity->self.name_count = count;
}

/* The interfaces' addresses and my_addresses in one array. */
static struct ip *addresses_gather(const struct config *config, bool *told, size_t *count)
{
	size_t configured = config->milter.my_address_count;
	struct ip *all;

	*told = netif_addresses(&all, count);
	all = memory_resize(all, *count + configured, sizeof(*all));
	if (configured > 0)
		memcpy(all + *count, config->milter.my_addresses, configured * sizeof(*all));
	*count += configured;
	return all;
}

static bool same_addresses(const struct identity *identity, const struct ip *other, size_t count)
{
	return count == identity->self.address_count &&
	       (count == 0 || memcmp(identity->addresses, other, count * sizeof(*other)) == 0);
}

static bool same_names(const struct identity *identity, const struct config *config)
{
	const struct config_strings *mine = &config->milter.my_names;

	if (identity->self.name_count != mine->count + 1)
		return false;
	for (size_t i = 0; i < mine->count; i++)
		if (strcmp(identity->names[i + 1], mine->items[i]) != 0)
			return false;
	return true;
}

void identity_init(struct identity *identity, const struct config *config)
{
	bool told;

	memset(identity, 0, sizeof(*identity));
	netif_host_name(identity->host_name, sizeof(identity->host_name));
	names_fill(identity, config);
	identity->addresses = addresses_gather(config, &told, &identity->self.address_count);
	identity->self.addresses = identity->addresses;
}

bool identity_refresh(struct identity *identity, const struct config *config)
{
	size_t count;
	bool told;
	struct ip *addresses = addresses_gather(config, &told, &count);
	bool changed = !same_names(identity, config);

	if (told && !same_addresses(identity, addresses, count)) {
		free(identity->addresses);
		identity->addresses = addresses;
		identity->self.addresses = addresses;
		identity->self.address_count = count;
		changed = true;
	} else { /* the same, or nobody could tell: what we knew stays */
		free(addresses);
	}
	names_free(identity);
	names_fill(identity, config);
	return changed;
}

const char *identity_name(const struct identity *identity)
{
	const struct mx_identity *self = &identity->self;

	return self->names[self->name_count > 1 ? 1 : 0];
}

void identity_fini(struct identity *identity)
{
	names_free(identity);
	free(identity->addresses);
	memset(identity, 0, sizeof(*identity));
}
