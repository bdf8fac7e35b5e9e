/* SPDX-License-Identifier: BSD-2-Clause */
/* MX sets and our place in them. Pure; the owner's thread. */
#include "core/mxset.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

static const char *const standing_names[] = {
	[MX_STANDING_UNKNOWN] = "unknown",   [MX_STANDING_BACKUP] = "backup",
	[MX_STANDING_BEST] = "best",	     [MX_STANDING_UNLISTED] = "unlisted",
	[MX_STANDING_IMPLICIT] = "implicit", [MX_STANDING_NULL] = "null",
	[MX_STANDING_GONE] = "gone",
};

bool mxset_name_copy(char *target, size_t size, const char *name)
{
	size_t length;

	if (!text_copy(target, size, name))
		return false;
	length = strlen(target);
	if (length > 0 && target[length - 1] == '.')
		target[length - 1] = '\0';
	text_lower(target);
	return true;
}

bool mxset_name_is_within(const char *name, const char *zone)
{
	size_t length = strlen(name), tail = strlen(zone);

	if (tail == 0 || strcmp(name, zone) == 0)
		return true;
	return length > tail && name[length - tail - 1] == '.' &&
	       strcmp(name + length - tail, zone) == 0;
}

bool mxset_add_host(struct mxset *set, const char *name, uint16_t preference)
{
	struct mx_host *host;

	if (set->count >= MXSET_HOSTS_MAX)
		return false;
	set->hosts = memory_resize(set->hosts, set->count + 1, sizeof(*set->hosts));
	host = &set->hosts[set->count];
	memset(host, 0, sizeof(*host));
	host->preference = preference;
	host->role = MX_NOT_BETTER;
	if (!mxset_name_copy(host->name, sizeof(host->name), name))
		return false;
	set->count++;
	return true;
}

bool mx_host_add_address(struct mx_host *host, const struct ip *ip)
{
	for (size_t i = 0; i < host->address_count; i++)
		if (ip_equal(&host->addresses[i], ip))
			return true;
	if (host->address_count >= MXSET_ADDRESSES_MAX)
		return false;
	host->addresses[host->address_count++] = *ip;
	return true;
}

static int host_compare(const void *left, const void *right)
{
	const struct mx_host *a = left;
	const struct mx_host *b = right;

	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	return strcmp(a->name, b->name);
}

void mxset_sort(struct mxset *set)
{
	if (set->count > 1)
		qsort(set->hosts, set->count, sizeof(*set->hosts), host_compare);
}

void mxset_copy(struct mxset *to, const struct mxset *from)
{
	mxset_fini(to);
	*to = *from;
	to->hosts = memory_array(from->count, sizeof(*from->hosts));
	if (from->count > 0)
		memcpy(to->hosts, from->hosts, from->count * sizeof(*from->hosts));
}

void mxset_fini(struct mxset *set)
{
	free(set->hosts);
	*set = (struct mxset){ .hosts = NULL };
}

bool mx_identity_has_name(const struct mx_identity *self, const char *name)
{
	for (size_t i = 0; i < self->name_count; i++)
		if (strcmp(self->names[i], name) == 0)
			return true;
	return false;
}

bool mx_identity_has_address(const struct mx_identity *self, const struct ip *ip)
{
	for (size_t i = 0; i < self->address_count; i++)
		if (ip_equal(&self->addresses[i], ip))
			return true;
	return false;
}

static bool host_is_us(const struct mx_host *host, const struct mx_identity *self)
{
	if (mx_identity_has_name(self, host->name))
		return true;
	for (size_t i = 0; i < host->address_count; i++)
		if (mx_identity_has_address(self, &host->addresses[i]))
			return true;
	return false;
}

void mxset_find_ourselves(struct mxset *set, const struct mx_identity *self)
{
	bool listed = false;
	uint16_t ours = 0;

	if (set->count == 1 && set->hosts[0].name[0] == '\0')
		set->standing = MX_STANDING_NULL;
	for (size_t i = 0; i < set->count; i++) {
		struct mx_host *host = &set->hosts[i];

		host->role = MX_NOT_BETTER;
		if (set->standing == MX_STANDING_NULL || !host_is_us(host, self))
			continue;
		host->role = MX_SELF;
		if (!listed || host->preference < ours)
			ours = host->preference;
		listed = true;
	}
	if (set->count == 0 || set->standing == MX_STANDING_NULL)
		return;
	set->standing = listed ? MX_STANDING_BEST : MX_STANDING_UNLISTED;
	for (size_t i = 0; listed && i < set->count; i++) {
		struct mx_host *host = &set->hosts[i];

		if (host->role == MX_SELF || host->preference >= ours)
			continue;
		host->role = MX_BETTER;
		set->standing = MX_STANDING_BACKUP;
	}
}

bool mxset_has_better(const struct mxset *set)
{
	return set->standing == MX_STANDING_BACKUP;
}

bool mxset_works(const struct mxset *set)
{
	for (size_t h = 0; mxset_has_better(set) && h < set->count; h++)
		if (set->hosts[h].role == MX_BETTER && set->hosts[h].address_count > 0)
			return true;
	return false;
}

const char *mx_standing_name(enum mx_standing standing)
{
	return standing_names[standing];
}

bool mx_standing_parse(const char *word, enum mx_standing *standing)
{
	for (size_t i = 0; i < sizeof(standing_names) / sizeof(standing_names[0]); i++) {
		if (strcmp(word, standing_names[i]) == 0) {
			*standing = (enum mx_standing)i;
			return true;
		}
	}
	return false;
}
