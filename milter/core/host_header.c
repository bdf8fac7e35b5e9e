/* SPDX-License-Identifier: BSD-2-Clause */
/* RFC 9110 7.2, RFC 3986 3.2.2; what isn't a plain host name or address is bad. Pure; any thread.
 */
#include "core/host_header.h"

#include <string.h>

#include "base/text.h"
#include "core/ip.h"

static bool is_port(const char *text)
{
	return text[0] == '\0' ||
	       (text[0] == ':' && strspn(text + 1, "0123456789") == strlen(text + 1));
}

static enum host_header read_bracketed(const char *value)
{
	const char *end = strchr(value, ']');
	char address[IP_TEXT_MAX];
	struct ip ip;

	if (end == NULL || (size_t)(end - value) >= sizeof(address) || !is_port(end + 1))
		return HOST_HEADER_BAD;
	memcpy(address, value, (size_t)(end - value));
	address[end - value] = '\0';
	return strchr(address, ':') != NULL && ip_parse(address, &ip) ? HOST_HEADER_ADDRESS
								      : HOST_HEADER_BAD;
}

enum host_header host_header_read(const char *value, char name[MAIL_DOMAIN_MAX + 1])
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t length = strcspn(value, ":");
	struct ip ip;

	if (value[0] == '[')
		return read_bracketed(value + 1);
	if (length == 0 || length > MAIL_DOMAIN_MAX || !is_port(value + length))
		return HOST_HEADER_BAD;
	memcpy(name, value, length);
	name[length] = '\0';
	text_lower(name);
	if (strspn(name, good) != length)
		return HOST_HEADER_BAD;
	if (ip_parse(name, &ip))
		return HOST_HEADER_ADDRESS;
	if (name[length - 1] == '.')
		name[length - 1] = '\0';
	return name[0] != '\0' ? HOST_HEADER_NAME : HOST_HEADER_BAD;
}
