/* SPDX-License-Identifier: BSD-2-Clause */
/* Where Postfix listens, whom it trusts, and which addresses it knows for its own. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "check/postfix.h"

bool postfix_address_parse(const char *word, struct ip *ip)
{
	char bare[IP_TEXT_MAX];

	text_copy(bare, sizeof(bare), word[0] == '[' ? word + 1 : word);
	bare[strcspn(bare, "]")] = '\0';
	return ip_parse(bare, ip);
}

static bool is_loopback(const char *word)
{
	struct ip ip;

	if (!postfix_address_parse(word, &ip))
		return strcmp(word, "loopback-only") == 0 || strcmp(word, "localhost") == 0;
	if (ip.family == IP_V4)
		return ip.bytes[0] == 127;
	ip.bytes[15] ^= 1;
	for (size_t i = 0; i < sizeof(ip.bytes); i++)
		if (ip.bytes[i] != 0)
			return false;
	return true;
}

bool postfix_listens_at(const struct postfix *postfix, const struct ip *ip)
{
	struct postfix_list list;
	struct ip its;
	char shown[IP_TEXT_MAX];
	bool found = false;

	ip_format(ip, shown, sizeof(shown));
	postfix_list_split(postfix_value(postfix, NULL, "inet_interfaces"), &list);
	for (size_t i = 0; i < list.count && !found; i++) {
		if (strcmp(list.items[i], "loopback-only") == 0)
			found = is_loopback(shown);
		else
			found = !postfix_address_parse(list.items[i], &its) || ip_equal(&its, ip);
	}
	postfix_list_fini(&list);
	return found;
}

static bool all_loopback(const char *value)
{
	struct postfix_list list;
	bool all = true;

	postfix_list_split(value, &list);
	for (size_t i = 0; i < list.count; i++)
		all = all && is_loopback(list.items[i]);
	postfix_list_fini(&list);
	return all;
}

/* Do our names have IPv6 addresses that nobody would answer at? */
static void judge_protocols(struct check *check, const struct postfix *postfix)
{
	const char *protocols = postfix_value(postfix, NULL, "inet_protocols");
	const char *host = check_host_name(check);
	struct ip addresses[MXSET_ADDRESSES_MAX];
	size_t count = check_host_addresses(check, host, addresses);
	bool v4 = postfix_value_lists(protocols, "all") || postfix_value_lists(protocols, "ipv4");
	bool v6 = postfix_value_lists(protocols, "all") || postfix_value_lists(protocols, "ipv6");

	for (size_t i = 0; i < count; i++) {
		char shown[IP_TEXT_MAX];

		if (addresses[i].family == IP_V4 ? v4 : v6)
			continue;
		mta_add(check, MTA_RULE_LISTENS, CHECK_WARNING, NULL,
			"%s has the address %s in DNS, and inet_protocols = %s", host,
			ip_format(&addresses[i], shown, sizeof(shown)), protocols);
		postfix_mend_set(check, postfix, NULL, "inet_protocols", "all");
		postfix_mend_restart(check, postfix);
		return;
	}
}

void postfix_judge_network(struct check *check, const struct postfix *postfix)
{
	const char *interfaces = postfix_value(postfix, NULL, "inet_interfaces");

	if (postfix_service_next(postfix, POSTFIX_MX, NULL) == NULL) {
		mta_add(check, MTA_RULE_LISTENS, CHECK_ERROR, NULL,
			"master.cf has no smtpd for port 25 of this host's addresses");
		mta_mend(check, "postconf%s -M 'smtp/inet=smtp inet n - y - - smtpd'",
			 postfix->option);
		postfix_mend_reload(check, postfix);
	} else if (all_loopback(interfaces)) {
		mta_add(check, MTA_RULE_LISTENS, CHECK_ERROR, NULL, "inet_interfaces = %s",
			interfaces);
		postfix_mend_set(check, postfix, NULL, "inet_interfaces", "all");
		postfix_mend_restart(check, postfix);
	} else {
		mta_add(check, MTA_RULE_LISTENS, CHECK_OK, NULL,
			"port 25 is served, and inet_interfaces = %s", interfaces);
	}
	judge_protocols(check, postfix);
}

/* ---- who may relay ---- */

/* "192.0.2.0/24", "[2001:db8::]/32", "[::ffff:127.0.0.0]/104" */
static bool parse_network(const char *item, struct ip_network *network)
{
	char bare[IP_TEXT_MAX + 8];
	TEXT_ON(text, bare);
	const char *why;

	for (; *item != '\0'; item++)
		if (*item != '[' && *item != ']')
			text_add_char(&text, *item);
	if (text.cut)
		return false;
	/* host bits that are set: the network that was meant is what Postfix takes, too */
	return ip_network_parse(bare, network, &why) || network->ip.family != IP_NONE;
}

static void judge_exempt(struct check *check, const struct postfix *postfix)
{
	const char *value = postfix_value(postfix, NULL, "mynetworks");
	struct mta_networks networks = { .setting = "mynetworks" };
	struct postfix_list list;

	postfix_list_split(value, &list);
	networks.items = memory_array(list.count + 1, sizeof(*networks.items));
	for (size_t i = 0; i < list.count; i++) {
		if (parse_network(list.items[i], &networks.items[networks.count]))
			networks.count++;
		else if (list.items[i][0] != '!')
			mta_unseen(check, MTA_RULE_EXEMPT_NETWORKS, list.items[i],
				   "what it holds in mynetworks can't be compared with "
				   "exempt_clients");
	}
	mta_judge_networks(check, &networks);
	free(networks.items);
	postfix_list_fini(&list);
}

/* ---- which addresses are ours ---- */

static bool knows_address(struct check *check, const struct postfix *postfix, const struct ip *ip)
{
	struct postfix_list list;
	bool known = false;

	postfix_list_split(postfix_value(postfix, NULL, "proxy_interfaces"), &list);
	for (size_t i = 0; i < list.count && !known; i++) {
		struct ip addresses[MXSET_ADDRESSES_MAX];
		size_t count = 1;

		if (!postfix_address_parse(list.items[i], &addresses[0]))
			count = check_host_addresses(check, list.items[i], addresses);
		for (size_t j = 0; j < count; j++)
			known = known || ip_equal(&addresses[j], ip);
	}
	postfix_list_fini(&list);
	return known;
}

/* One command for all that are missing: a second would take back the first. */
static void mend_proxies(struct check *check, const struct postfix *postfix,
			 const struct mta_foreign_address *found, size_t count)
{
	char value[CHECK_LINE_MAX];
	TEXT_ON(text, value);
	char shown[IP_TEXT_MAX];

	text_add(&text, postfix_written(postfix, NULL, "proxy_interfaces"));
	for (size_t i = 0; i < count; i++)
		if (!knows_address(check, postfix, &found[i].ip))
			text_add_format(&text, "%s%s", text.length > 0 ? ", " : "",
					ip_format(&found[i].ip, shown, sizeof(shown)));
	postfix_mend_set(check, postfix, NULL, "proxy_interfaces", value);
	postfix_mend_restart(check, postfix);
}

static void judge_proxies(struct check *check, const struct postfix *postfix)
{
	struct mta_foreign_address found[MTA_FOREIGN_ADDRESSES_MAX];
	size_t count = mta_foreign_addresses(check, found);
	char shown[IP_TEXT_MAX];

	for (size_t i = 0; i < count; i++) {
		ip_format(&found[i].ip, shown, sizeof(shown));
		if (knows_address(check, postfix, &found[i].ip)) {
			mta_add(check, MTA_RULE_PROXY_INTERFACES, CHECK_OK, shown,
				"%s has this address, no interface has it, proxy_interfaces does",
				found[i].host);
		} else {
			mta_add(check, MTA_RULE_PROXY_INTERFACES, CHECK_ERROR, shown,
				"%s has this address, neither an interface nor proxy_interfaces "
				"has it",
				found[i].host);
			mend_proxies(check, postfix, found, count);
		}
		mta_judge_my_addresses(check, &found[i]);
	}
	if (count == 0)
		mta_add(check, MTA_RULE_PROXY_INTERFACES, CHECK_OK, NULL,
			"no interface lacks an address that DNS gives for %s",
			check_host_name(check));
}

void postfix_judge_addresses(struct check *check, const struct postfix *postfix)
{
	judge_exempt(check, postfix);
	judge_proxies(check, postfix);
}
