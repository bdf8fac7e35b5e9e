/* SPDX-License-Identifier: BSD-2-Clause */
/* Our addresses and names: which of them can the world see? */
#include "check/addresses.h"

#include <string.h>

#include "base/text.h"

bool check_ip_is_public(const struct ip *ip)
{
	static const char *const near[] = {
		"0.0.0.0/8",	 "10.0.0.0/8",	   "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
		"172.16.0.0/12", "192.168.0.0/16", "::/127",	    "fc00::/7",	   "fe80::/10",
	};

	for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
		struct ip_network network;
		const char *why;

		if (ip_network_parse(near[i], &network, &why) && ip_network_contains(&network, ip))
			return false;
	}
	return true;
}

static bool seen_before(const struct ip *addresses, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (ip_equal(&addresses[j], &addresses[i]))
			return true;
	return false;
}

const struct ip *check_own_public_address(const struct check *check, size_t n)
{
	const struct mx_identity *self = &check->identity.self;

	for (size_t i = 0; i < self->address_count; i++)
		if (check_ip_is_public(&self->addresses[i]) && !seen_before(self->addresses, i) &&
		    n-- == 0)
			return &self->addresses[i];
	return NULL;
}

static bool ends_with(const char *name, const char *tail)
{
	size_t length = strlen(name), tail_length = strlen(tail);

	return length >= tail_length && strcmp(name + length - tail_length, tail) == 0;
}

bool check_name_is_full(const char *name)
{
	return strchr(name, '.') != NULL && !ends_with(name, ".localhost") &&
	       !ends_with(name, ".localdomain") && !ends_with(name, ".local");
}

void check_mend_my_addresses(struct check *check, const struct ip *ip)
{
	char address[IP_TEXT_MAX];
	char line[CHECK_LINE_MAX];
	TEXT_ON(list, line);

	for (size_t i = 0; i < check->config->milter.my_address_count; i++)
		text_add_format(&list, "\"%s\", ",
				ip_format(&check->config->milter.my_addresses[i], address,
					  sizeof(address)));
	text_add_format(&list, "\"%s\"", ip_format(ip, address, sizeof(address)));
	check_mend(check->findings, "my_addresses = {%s}", line);
}
