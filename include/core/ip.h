/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IP addresses and networks as values. An IPv4-mapped IPv6 address is always kept as IPv4, so that
 * equal hosts compare equal. Pure; any thread.
 */
#ifndef BACKUPMX_CORE_IP_H
#define BACKUPMX_CORE_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ip_family { IP_NONE, IP_V4, IP_V6 };

struct ip {
	uint8_t family;	   /* enum ip_family */
	uint8_t bytes[16]; /* network order; IPv4 uses the first four, the rest are zero */
};

/* An address and a port: an endpoint's key. Compare with ip_port_equal(). */
struct ip_port {
	struct ip ip;
	uint16_t port; /* host order */
};

struct ip_network {
	struct ip ip; /* host bits are zero */
	uint8_t prefix;
};

#define IP_TEXT_MAX 64 /* longest of the forms below, with the NUL */

/* Reads "192.0.2.7" or "2001:db8::7" (no brackets, no zone, no port). False when it is neither. */
bool ip_parse(const char *word, struct ip *ip);

/* Reads what RFC 5321 4.1.3 puts in brackets: "192.0.2.7", "IPv6:2001:db8::7"; the bare IPv6 form
 * is taken too. `word` is without the brackets. */
bool ip_parse_literal(const char *word, struct ip *ip);

/* From and to the system's sockaddr. from: false for other families. to: returns the length. */
struct sockaddr;
struct sockaddr_storage;
bool ip_from_sockaddr(const struct sockaddr *address, struct ip_port *out);
size_t ip_to_sockaddr(const struct ip_port *endpoint, struct sockaddr_storage *out);

bool ip_equal(const struct ip *a, const struct ip *b);
bool ip_port_equal(const struct ip_port *a, const struct ip_port *b);

/* "192.0.2.7" / "2001:db8::7" */
const char *ip_format(const struct ip *ip, char *buffer, size_t size);
/* "[192.0.2.7]" / "[IPv6:2001:db8::7]": the form of logs and tags (RFC 5321 4.1.3) */
const char *ip_format_literal(const struct ip *ip, char *buffer, size_t size);
/* "[192.0.2.10]:25" / "[2001:db8::7]:25": the form of endpoints in logs and JSON */
const char *ip_port_format(const struct ip_port *endpoint, char *buffer, size_t size);

/* "7.2.0.192.in-addr.arpa", "8.b.d...ip6.arpa": where its PTR record is (RFC 1035 3.5, RFC 3596).
 */
#define IP_REVERSE_MAX 80
const char *ip_format_reverse(const struct ip *ip, char *buffer, size_t size);

/* Reads "10.0.0.0/8", "::1", "2001:db8::/32" or a bare address (its full length). False, with a
 * fixed English phrase in *why (never NULL then), for anything else. Host bits that are set are an
 * error too: *network is then the network that was meant, for the message to name it; with every
 * other error its family is IP_NONE. */
bool ip_network_parse(const char *word, struct ip_network *network, const char **why);
bool ip_network_contains(const struct ip_network *network, const struct ip *ip);

/* The client's network for quotas and identities: its /24 (IPv4) or /64 (IPv6). */
struct ip_network ip_client_network(const struct ip *ip);

#endif
