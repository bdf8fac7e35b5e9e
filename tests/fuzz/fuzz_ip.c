/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as an address, a literal or a network: what was read is written and read again. */
#include "core/ip.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_ip(const struct ip *ip)
{
	struct ip_network network = ip_client_network(ip);
	struct ip again;
	char text[IP_TEXT_MAX];

	must(ip->family == IP_V4 || ip->family == IP_V6);
	must(ip_parse(ip_format(ip, text, sizeof(text)), &again));
	must(ip_equal(ip, &again));
	ip_format_literal(ip, text, sizeof(text));
	must(text[0] == '[' && text[strlen(text) - 1] == ']');
	text[strlen(text) - 1] = '\0';
	must(ip_parse_literal(text + 1, &again));
	must(ip_equal(ip, &again));
	must(ip_network_contains(&network, ip));
}

static void check_network(const struct ip_network *network)
{
	struct ip_network again;
	const char *why;
	char text[IP_TEXT_MAX];
	size_t length;

	must(ip_network_contains(network, &network->ip));
	must(network->prefix <= (network->ip.family == IP_V4 ? 32 : 128));
	ip_format(&network->ip, text, sizeof(text));
	length = strlen(text);
	must(length + sizeof("/128") <= sizeof(text));
	text[length++] = '/';
	if (network->prefix >= 100)
		text[length++] = (char)('0' + network->prefix / 100);
	if (network->prefix >= 10)
		text[length++] = (char)('0' + network->prefix / 10 % 10);
	text[length++] = (char)('0' + network->prefix % 10);
	text[length] = '\0';
	must(ip_network_parse(text, &again, &why));
	must(ip_equal(&network->ip, &again.ip) && network->prefix == again.prefix);
}

static void check_word(const char *word)
{
	struct ip_network network;
	const char *why = NULL;
	struct ip ip;

	if (ip_parse(word, &ip))
		check_ip(&ip);
	if (ip_parse_literal(word, &ip))
		check_ip(&ip);
	/* with host bits set, the network that was meant is one too */
	if (ip_network_parse(word, &network, &why) || network.ip.family != IP_NONE)
		check_network(&network);
	must(why != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *word = malloc(size + 1);

	must(word != NULL);
	if (size > 0)
		memcpy(word, data, size);
	word[size] = '\0';
	check_word(word);
	free(word);
	return 0;
}
