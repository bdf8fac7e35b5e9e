/* SPDX-License-Identifier: BSD-2-Clause */
/* When a sender counts as persistent. Pure; any thread. */
#include "core/persistent.h"

#include <string.h>

#include "base/text.h"

bool persistent_row_forgotten(const struct persistent_row *row, int64_t now)
{
	return row->first == 0 || now < row->last || now - row->last >= PERSISTENT_FORGET_SECONDS;
}

bool persistent_row_holds(const struct persistent_row *row, int64_t now)
{
	return !persistent_row_forgotten(row, now) && row->became != 0;
}

bool persistent_row_is_long(const struct persistent_row *row, int64_t now)
{
	return persistent_row_holds(row, now) && now - row->became >= PERSISTENT_LONG_SECONDS;
}

bool persistent_row_feed(struct persistent_row *row, const struct persistent_rules *rules,
			 int64_t now)
{
	uint32_t stamp = (uint32_t)now;

	if (persistent_row_forgotten(row, now)) {
		*row = (struct persistent_row){ .first = stamp, .last = stamp, .attempts = 1 };
	} else if ((now - row->last) * 2 * rules->attempts >= rules->after) {
		row->last = stamp;
		if (row->attempts < UINT32_MAX)
			row->attempts++;
	}
	if (row->became == 0 && row->attempts >= rules->attempts &&
	    now - row->first >= rules->after)
		row->became = stamp;
	return row->became != 0;
}

void persistent_client_identity(const char *name, const struct ip *ip, char *buffer, size_t size)
{
	const char *parent = strchr(name, '.');
	struct ip_network network;
	char address[IP_TEXT_MAX];
	struct text text;

	text_init(&text, buffer, size);
	if (parent != NULL && strchr(parent + 1, '.') != NULL) {
		text_add(&text, parent + 1);
		text_lower(buffer);
		return;
	}
	network = ip_client_network(ip);
	text_add(&text, ip_format(&network.ip, address, sizeof(address)));
	text_add_format(&text, "/%u", network.prefix);
}
