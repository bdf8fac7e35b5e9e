/* SPDX-License-Identifier: BSD-2-Clause */
/* getifaddrs(3) and the host's name. No state; any thread. */
#include "io/netif.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "core/mxset.h"

bool netif_addresses(struct ip **addresses, size_t *count)
{
	struct ifaddrs *all = NULL;
	struct ip *found = NULL;
	struct ip_port one;

	*count = 0;
	*addresses = NULL;
	if (getifaddrs(&all) != 0)
		return false;
	for (struct ifaddrs *entry = all; entry != NULL; entry = entry->ifa_next) {
		if (entry->ifa_addr == NULL || !ip_from_sockaddr(entry->ifa_addr, &one))
			continue;
		found = memory_resize(found, *count + 1, sizeof(*found));
		found[(*count)++] = one.ip;
	}
	freeifaddrs(all);
	*addresses = found;
	return true;
}

static bool reaches_beyond(const struct ip *ip)
{
	static const char *const near[] = { "127.0.0.0/8", "169.254.0.0/16", "::1", "fe80::/10" };

	for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
		struct ip_network network;
		const char *why;

		if (ip_network_parse(near[i], &network, &why) && ip_network_contains(&network, ip))
			return false;
	}
	return true;
}

bool netif_has_family(enum ip_family family)
{
	struct ip *all;
	size_t count;
	bool has = !netif_addresses(&all, &count); /* who can't tell assumes the usual */

	for (size_t i = 0; i < count && !has; i++)
		has = all[i].family == family && reaches_beyond(&all[i]);
	free(all);
	return has;
}

void netif_host_name(char *buffer, size_t size)
{
	char name[256] = "localhost";
	struct addrinfo hints = { .ai_flags = AI_CANONNAME };
	struct addrinfo *info = NULL;

	gethostname(name, sizeof(name) - 1);
	if (strchr(name, '.') == NULL && getaddrinfo(name, NULL, &hints, &info) == 0) {
		if (info->ai_canonname != NULL && strchr(info->ai_canonname, '.') != NULL) {
			mxset_name_copy(buffer, size, info->ai_canonname);
			freeaddrinfo(info);
			return;
		}
		freeaddrinfo(info);
	}
	mxset_name_copy(buffer, size, name);
}
