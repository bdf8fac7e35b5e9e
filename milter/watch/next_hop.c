/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading what an MTA says of its next hop. */
#include "watch/next_hop.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "io/idna.h"

#define PORT_DIGITS_MAX 5

/* ":2525", or nothing at all. */
static bool read_port(const char *text, uint16_t *port)
{
	unsigned long number;

	*port = 0;
	if (text[0] == '\0')
		return true;
	text++;
	if (text[0] == '\0' || strlen(text) > PORT_DIGITS_MAX ||
	    strspn(text, "0123456789") != strlen(text))
		return false;
	number = strtoul(text, NULL, 10);
	*port = (uint16_t)number;
	return number > 0 && number <= UINT16_MAX;
}

/* Takes the host out of `text` and reads the port behind it. */
static bool split(const char *text, char *host, size_t size, bool *in_brackets, uint16_t *port)
{
	size_t length;

	*in_brackets = text[0] == '[';
	text += *in_brackets;
	length = strcspn(text, *in_brackets ? "]" : ":");
	if (length == 0 || length >= size)
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	text += length;
	if (*in_brackets && *text++ != ']')
		return false;
	return (text[0] == '\0' || text[0] == ':') && read_port(text, port);
}

bool next_hop_parse(const char *text, const char *domain, const struct mx_identity *self,
		    struct next_hop *out)
{
	char host[NEXT_HOP_MAX];
	bool in_brackets;

	memset(out, 0, sizeof(*out));
	if (!split(text, host, sizeof(host), &in_brackets, &out->port))
		return false;
	if (in_brackets ? ip_parse_literal(host, &out->ip) : ip_parse(host, &out->ip))
		return !mx_identity_has_address(self, &out->ip);
	if (!idna_domain_to_ascii(host, out->host, sizeof(out->host)))
		return false;
	if (!in_brackets && strcmp(out->host, domain) == 0)
		return false;
	return !mx_identity_has_name(self, out->host) && strcmp(out->host, "localhost") != 0;
}
