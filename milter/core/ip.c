/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses and networks: reading, comparing, writing. libc's inet_pton() and inet_ntop() do the
 * notation; this file keeps one host one value. Pure; any thread.
 */
#include "core/ip.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define V4_BITS	    32
#define V6_BITS	    128
#define MAPPED_BITS 96 /* of ::ffff:0:0/96, RFC 4291 2.5.5.2 */

static const uint8_t mapped_prefix[MAPPED_BITS / 8] = { [10] = 0xff, [11] = 0xff };

static struct ip from_v4(const void *bytes)
{
	struct ip ip = { .family = IP_V4 };

	memcpy(ip.bytes, bytes, V4_BITS / 8);
	return ip;
}

static struct ip from_v6(const uint8_t bytes[V6_BITS / 8])
{
	struct ip ip = { .family = IP_V6 };

	if (memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0)
		return from_v4(bytes + sizeof(mapped_prefix));
	memcpy(ip.bytes, bytes, V6_BITS / 8);
	return ip;
}

static unsigned family_bits(const struct ip *ip)
{
	switch (ip->family) {
	case IP_V4:
		return V4_BITS;
	case IP_V6:
		return V6_BITS;
	default:
		return 0;
	}
}

bool ip_parse(const char *word, struct ip *ip)
{
	uint8_t bytes[V6_BITS / 8];

	if (inet_pton(AF_INET, word, bytes) == 1)
		*ip = from_v4(bytes);
	else if (inet_pton(AF_INET6, word, bytes) == 1)
		*ip = from_v6(bytes);
	else
		return false;
	return true;
}

bool ip_parse_literal(const char *word, struct ip *ip)
{
	static const char tag[] = "IPv6:";
	const size_t tag_length = sizeof(tag) - 1;

	if (strncasecmp(word, tag, tag_length) != 0)
		return ip_parse(word, ip);
	/* "IPv6:192.0.2.7" is neither. */
	return strchr(word + tag_length, ':') != NULL && ip_parse(word + tag_length, ip);
}

/* Copies instead of casting: the caller's bytes need not be aligned for the bigger types. */
bool ip_from_sockaddr(const struct sockaddr *address, struct ip_port *out)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	memset(out, 0, sizeof(*out));
	switch (address->sa_family) {
	case AF_INET:
		memcpy(&v4, address, sizeof(v4));
		out->ip = from_v4(&v4.sin_addr);
		out->port = ntohs(v4.sin_port);
		return true;
	case AF_INET6:
		memcpy(&v6, address, sizeof(v6));
		out->ip = from_v6(v6.sin6_addr.s6_addr);
		out->port = ntohs(v6.sin6_port);
		return true;
	default:
		return false;
	}
}

size_t ip_to_sockaddr(const struct ip_port *endpoint, struct sockaddr_storage *out)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(endpoint->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(endpoint->port) };

	memset(out, 0, sizeof(*out));
	switch (endpoint->ip.family) {
	case IP_V4:
		memcpy(&v4.sin_addr, endpoint->ip.bytes, sizeof(v4.sin_addr));
		memcpy(out, &v4, sizeof(v4));
		return sizeof(v4);
	case IP_V6:
		memcpy(&v6.sin6_addr, endpoint->ip.bytes, sizeof(v6.sin6_addr));
		memcpy(out, &v6, sizeof(v6));
		return sizeof(v6);
	default:
		return 0;
	}
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, family_bits(a) / 8) == 0;
}

bool ip_port_equal(const struct ip_port *a, const struct ip_port *b)
{
	return a->port == b->port && ip_equal(&a->ip, &b->ip);
}

static void add_ip(struct text *text, const struct ip *ip)
{
	char word[INET6_ADDRSTRLEN] = "unknown";

	if (ip->family == IP_V4)
		inet_ntop(AF_INET, ip->bytes, word, sizeof(word));
	else if (ip->family == IP_V6)
		inet_ntop(AF_INET6, ip->bytes, word, sizeof(word));
	text_add(text, word);
}

const char *ip_format(const struct ip *ip, char *buffer, size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	add_ip(&text, ip);
	return buffer;
}

const char *ip_format_literal(const struct ip *ip, char *buffer, size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	text_add(&text, ip->family == IP_V6 ? "[IPv6:" : "[");
	add_ip(&text, ip);
	text_add(&text, "]");
	return buffer;
}

const char *ip_port_format(const struct ip_port *endpoint, char *buffer, size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	text_add(&text, "[");
	add_ip(&text, &endpoint->ip);
	text_add_format(&text, "]:%u", (unsigned)endpoint->port);
	return buffer;
}

static struct ip masked(const struct ip *ip, unsigned prefix)
{
	struct ip result = *ip;

	for (unsigned i = 0; i < sizeof(result.bytes); i++) {
		unsigned keep = prefix > i * 8 ? prefix - i * 8 : 0;

		if (keep < 8)
			result.bytes[i] &= (uint8_t)(0xff00u >> keep);
	}
	return result;
}

/* Digits alone, without a needless zero before them: "/024" is nobody's intention. */
static bool parse_prefix(const char *digits, unsigned limit, unsigned *prefix)
{
	unsigned number = 0;
	const char *c = digits;

	for (; *c >= '0' && *c <= '9'; c++) {
		number = number * 10 + (unsigned)(*c - '0');
		if (number > limit)
			return false;
	}
	*prefix = number;
	return c > digits && *c == '\0' && (digits[0] != '0' || digits[1] == '\0');
}

/* The prefix of a network that was written as IPv6 and is kept as IPv4 counts from bit 96. One that
 * is shorter would reach beyond IPv4: no such network can be meant. */
static bool network_prefix(const char *address, const char *digits, const struct ip *ip,
			   unsigned *prefix)
{
	bool is_mapped = ip->family == IP_V4 && strchr(address, ':') != NULL;

	if (!parse_prefix(digits, is_mapped ? V6_BITS : family_bits(ip), prefix))
		return false;
	if (!is_mapped)
		return true;
	if (*prefix < MAPPED_BITS)
		return false;
	*prefix -= MAPPED_BITS;
	return true;
}

bool ip_network_parse(const char *word, struct ip_network *network, const char **why)
{
	const char *slash = strchr(word, '/');
	size_t length = slash != NULL ? (size_t)(slash - word) : strlen(word);
	char address[INET6_ADDRSTRLEN];
	unsigned prefix;
	struct ip ip;

	memset(network, 0, sizeof(*network));
	*why = "not an IP address";
	if (length >= sizeof(address))
		return false;
	memcpy(address, word, length);
	address[length] = '\0';
	if (!ip_parse(address, &ip))
		return false;
	*why = "the length behind the slash is not one of this kind of address";
	prefix = family_bits(&ip);
	if (slash != NULL && !network_prefix(address, slash + 1, &ip, &prefix))
		return false;
	network->ip = masked(&ip, prefix);
	network->prefix = (uint8_t)prefix;
	*why = "the address has bits set behind the network's length";
	return ip_equal(&network->ip, &ip);
}

bool ip_network_contains(const struct ip_network *network, const struct ip *ip)
{
	struct ip of_network = masked(ip, network->prefix);

	return network->ip.family != IP_NONE && ip_equal(&network->ip, &of_network);
}

struct ip_network ip_client_network(const struct ip *ip)
{
	struct ip_network network = { .prefix = 0 };

	if (ip->family == IP_V4)
		network.prefix = 24;
	else if (ip->family == IP_V6)
		network.prefix = 64;
	network.ip = masked(ip, network.prefix);
	return network;
}

const char *ip_format_reverse(const struct ip *ip, char *buffer, size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	if (ip->family == IP_V4) {
		for (int i = 3; i >= 0; i--)
			text_add_format(&text, "%u.", ip->bytes[i]);
		text_add(&text, "in-addr.arpa");
		return buffer;
	}
	for (int i = 15; i >= 0; i--)
		text_add_format(&text, "%x.%x.", ip->bytes[i] & 15U, ip->bytes[i] >> 4);
	text_add(&text, "ip6.arpa");
	return buffer;
}
