/* SPDX-License-Identifier: BSD-2-Clause */
/* Strict parsers for all option types. Owns nothing; called by the thread that loads. */
#include "conf/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/duration.h"
#include "base/log.h"
#include "base/text.h"
#include "core/mail_address.h"
#include "io/idna.h"

#define SHOWN_MAX	 100 /* of a bad value in a message */
#define STRING_VALUE_MAX 255
#define DELIMITERS_MAX	 8
#define ARGUMENT_MAX	 4095
#define UNIX_PATH_MAX	 107 /* what fits into sockaddr_un */

struct reading {
	const struct option *option;
	const char *text;
	struct value *value;
	char *wrong;
	size_t wrong_size;
};

/* ---- what would be right ---- */

static void say_words(struct text *out, const struct option_word *words)
{
	text_add(out, "write ");
	for (const struct option_word *word = words; word->name != NULL; word++) {
		if (word > words)
			text_add(out, word[1].name != NULL ? ", " : " or ");
		text_add(out, word->name);
	}
}

static void say_duration(struct text *out, const struct option *option)
{
	char from[32], to[32];

	text_add_format(out, "write %s to %s", duration_format(option->min, from, sizeof(from)),
			duration_format(option->max, to, sizeof(to)));
	if (option->max == DURATION_MAX_SECONDS)
		text_add(out, ", like 90s, 5m, 2h or 7d");
}

static void say_range(struct text *out, const struct option *option)
{
	if (option->type == OPTION_DURATION)
		say_duration(out, option);
	else if (option->type == OPTION_PERCENT)
		text_add_format(out, "write %" PRId64 "%% to %" PRId64 "%%", option->min,
				option->max);
	else if (option->type == OPTION_MODE)
		text_add_format(out, "write an octal number from 0000 to %04" PRIo64 ", like 0660",
				option->max);
	else
		text_add_format(out, "write %" PRId64 " to %" PRId64, option->min, option->max);
}

static const char *const right[OPTION_TYPE_COUNT] = {
	[OPTION_BOOLEAN] = "write yes or no",
	[OPTION_STRING] = "write one word without blanks",
	[OPTION_FACILITY] = "write mail, daemon, user, or local0 to local7",
	[OPTION_DELIMITER] = "write up to 8 of the signs ! # $ % & ' * + - . / = ? ^ _ ` { | } ~",
	[OPTION_HOST] = "write a host name like mx2.example.net",
	[OPTION_CANARY] = "write auto, none, or the address of a mailbox at the primary",
	[OPTION_PATH] = "write an absolute path",
	[OPTION_SOCKET] = "write inet:PORT@ADDRESS, inet6:PORT@ADDRESS or unix:/path",
	[OPTION_ENDPOINT] = "write HOST:PORT or [ADDRESS]:PORT, like 127.0.0.1:25",
	[OPTION_LISTEN] = "write ADDRESS:PORT, like 127.0.0.1:9726 or \"[::1]:9726\"",
	[OPTION_HOSTS] = "write host names like mx2.example.net",
	[OPTION_ADDRESSES] = "write addresses like 192.0.2.7 or 2001:db8::7",
	[OPTION_NETWORKS] = "write addresses or networks like 192.0.2.0/24 or 2001:db8::/32",
	[OPTION_ENDPOINTS] = "write NAME, NAME:PORT, ADDRESS or \"[ADDRESS]:PORT\"",
	[OPTION_SERVERS] = "write ADDRESS, 192.0.2.53:53 or \"[2001:db8::53]:53\"",
	[OPTION_SOURCES] = "write at most one IPv4 and one IPv6 address of this host",
	[OPTION_COMMAND] = "write the absolute path of a program and its arguments",
};

const char *value_say_right(const struct option *option, char *buffer, size_t size)
{
	struct text out;

	text_init(&out, buffer, size);
	if (option->type == OPTION_WORD)
		say_words(&out, option->words);
	else if (right[option->type] != NULL)
		text_add(&out, right[option->type]);
	else
		say_range(&out, option);
	return buffer;
}

/* Fills `wrong` with "TEXT" what; right. Always returns false. */
static bool refuse_saying(struct reading *reading, const char *what, const char *say)
{
	size_t length = strlen(reading->text);

	snprintf(reading->wrong, reading->wrong_size, "\"%.*s%s\" %s; %s", SHOWN_MAX, reading->text,
		 length > SHOWN_MAX ? "..." : "", what, say);
	return false;
}

static bool refuse(struct reading *reading, const char *what)
{
	char say[256];

	return refuse_saying(reading, what, value_say_right(reading->option, say, sizeof(say)));
}

/* ---- scalars ---- */

static bool read_boolean(struct reading *reading)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(reading->text, words[i]) == 0) {
			reading->value->number = (int64_t)(i % 2);
			return true;
		}
	}
	return refuse(reading, "is neither yes nor no");
}

static bool read_word(struct reading *reading)
{
	for (const struct option_word *word = reading->option->words; word->name != NULL; word++) {
		if (strcmp(reading->text, word->name) == 0) {
			reading->value->number = word->value;
			return true;
		}
	}
	return refuse(reading, "is not one of its words");
}

static bool in_range(struct reading *reading)
{
	if (reading->value->number >= reading->option->min &&
	    reading->value->number <= reading->option->max)
		return true;
	return refuse(reading, "is out of range");
}

/* Digits of one base and nothing else; what would overflow stays far above any range. */
static bool digits_read(const char *text, size_t length, int base, int64_t *number)
{
	*number = 0;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] >= '0' + base)
			return false;
		if (*number < INT64_MAX / 16)
			*number = *number * base + (text[i] - '0');
	}
	return length > 0;
}

static bool read_number(struct reading *reading)
{
	const char *text = reading->text;
	bool is_negative = text[0] == '-';

	if (!digits_read(text + is_negative, strlen(text + is_negative), 10,
			 &reading->value->number))
		return refuse(reading, "is no number");
	if (is_negative)
		return refuse(reading, "is out of range");
	return in_range(reading);
}

static bool read_duration(struct reading *reading)
{
	const char *text = reading->text;
	size_t digits = strspn(text, "0123456789");

	if (duration_parse(text, &reading->value->number))
		return in_range(reading);
	if (digits > 0 && (text[digits] == '\0' ||
			   (strchr("smhd", text[digits]) != NULL && text[digits + 1] == '\0')))
		return refuse(reading, "is out of range");
	return refuse(reading, "is no duration");
}

static bool read_percent(struct reading *reading)
{
	size_t length = strlen(reading->text);

	if (length < 2 || reading->text[length - 1] != '%' ||
	    !digits_read(reading->text, length - 1, 10, &reading->value->number))
		return refuse(reading, "is no percentage");
	return in_range(reading);
}

static bool read_mode(struct reading *reading)
{
	if (!digits_read(reading->text, strlen(reading->text), 8, &reading->value->number))
		return refuse(reading, "is no octal number");
	return in_range(reading);
}

/* ---- texts ---- */

static bool may_be_empty(const struct option *option)
{
	return option->standard[0] == '\0';
}

static bool read_string(struct reading *reading)
{
	if (strlen(reading->text) > STRING_VALUE_MAX)
		return refuse(reading, "is too long");
	if (strpbrk(reading->text, " \t") != NULL)
		return refuse(reading, "holds blanks");
	return true;
}

/* One of a command's words. */
static bool read_argument(struct reading *reading)
{
	return strlen(reading->text) <= ARGUMENT_MAX || refuse(reading, "is too long");
}

static bool read_facility(struct reading *reading)
{
	return log_facility_known(reading->text) || refuse(reading, "is no syslog facility");
}

static bool read_delimiter(struct reading *reading)
{
	if (strlen(reading->text) > DELIMITERS_MAX)
		return refuse(reading, "is too long");
	if (strspn(reading->text, "!#$%&'*+-./=?^_`{|}~") != strlen(reading->text))
		return refuse(reading, "holds a sign that cannot part a local part");
	return true;
}

static bool host_read(const char *text, struct value *value)
{
	value->text = value->name;
	return idna_domain_to_ascii(text, value->name, sizeof(value->name));
}

static bool read_host(struct reading *reading)
{
	if (reading->text[0] == '\0' && reading->option->type == OPTION_HOST)
		return true;
	return host_read(reading->text, reading->value) || refuse(reading, "is no host name");
}

/* A mailbox that can be asked about. Postmaster and abuse are accepted by many a host before it has
 * looked at anything: they prove nothing. */
static bool read_canary(struct reading *reading)
{
	struct value *value = reading->value;
	struct mail_address address;
	char domain[MAIL_DOMAIN_MAX + 1];

	if (strcmp(reading->text, "auto") == 0 || strcmp(reading->text, "none") == 0)
		return true;
	mail_address_parse(reading->text, &address);
	if (address.kind != MAIL_ADDRESS_MAILBOX || !address.askable || !address.is_ascii ||
	    !idna_domain_to_ascii(address.domain, domain, sizeof(domain)))
		return refuse(reading, "is no address of a mailbox");
	if (mail_local_is_role(address.local))
		return refuse(reading, "proves nothing, it is accepted by hosts that know nobody");
	snprintf(value->name, sizeof(value->name), "%s@%s", address.local, domain);
	value->text = value->name;
	return true;
}

static bool read_path(struct reading *reading)
{
	if (reading->text[0] == '\0' && may_be_empty(reading->option))
		return true;
	if (reading->text[0] != '/')
		return refuse(reading, "is no absolute path");
	if ((int64_t)strlen(reading->text) > reading->option->max)
		return refuse(reading, "is too long");
	return true;
}

/* ---- addresses, hosts and ports ---- */

static bool port_read(const char *text, uint16_t *port)
{
	int64_t number;

	if (!digits_read(text, strlen(text), 10, &number) || number < 1 || number > 65535)
		return false;
	*port = (uint16_t)number;
	return true;
}

/* 0.0.0.0 and :: are nobody's address: only a listener has a use for them. */
static bool ip_is_unspecified(const struct ip *ip)
{
	static const uint8_t zeros[sizeof(ip->bytes)];

	return memcmp(ip->bytes, zeros, sizeof(zeros)) == 0;
}

static bool read_address(struct reading *reading)
{
	if (!ip_parse(reading->text, &reading->value->ip) || ip_is_unspecified(&reading->value->ip))
		return refuse(reading, "is no host's address");
	return true;
}

static bool read_network(struct reading *reading)
{
	struct ip_network *network = &reading->value->network;
	const char *why = "";
	char what[128], say[128], shown[IP_TEXT_MAX];

	if (ip_network_parse(reading->text, network, &why))
		return true;
	snprintf(what, sizeof(what), "is no network: %s", why);
	if (network->ip.family == IP_NONE)
		return refuse(reading, what);
	snprintf(say, sizeof(say), "write %s/%d", ip_format(&network->ip, shown, sizeof(shown)),
		 network->prefix);
	return refuse_saying(reading, what, say);
}

/* Splits "[host]:port", "[host]", "host:port", "host"; more than one colon without brackets is an
 * IPv6 address. False when the brackets or the port are wrong. */
static bool endpoint_split(const char *text, char *host, size_t size, bool *in_brackets,
			   uint16_t *port)
{
	const char *end = text + strlen(text);
	const char *colon = strchr(text, ':');

	*port = 0;
	*in_brackets = text[0] == '[';
	if (*in_brackets) {
		text++;
		end = strchr(text, ']');
		if (end == NULL || (end[1] != ':' && end[1] != '\0'))
			return false;
		colon = end[1] == ':' ? end + 1 : NULL;
	} else if (colon != NULL && strchr(colon + 1, ':') != NULL) {
		colon = NULL;
	} else if (colon != NULL) {
		end = colon;
	}
	if ((size_t)(end - text) >= size)
		return false;
	memcpy(host, text, (size_t)(end - text));
	host[end - text] = '\0';
	return colon == NULL || port_read(colon + 1, port);
}

static bool read_endpoint(struct reading *reading)
{
	struct value *value = reading->value;
	enum option_type type = reading->option->type;
	char host[1024];
	bool in_brackets;

	if (!endpoint_split(reading->text, host, sizeof(host), &in_brackets, &value->port))
		return refuse(reading, "is no host and port");
	if (in_brackets ? ip_parse_literal(host, &value->ip) : ip_parse(host, &value->ip)) {
		if (ip_is_unspecified(&value->ip))
			return refuse(reading, "is no host's address");
	} else if (in_brackets || type == OPTION_SERVERS) {
		return refuse(reading, "is no address");
	} else if (!host_read(host, value)) {
		return refuse(reading, "is no host");
	}
	if (type == OPTION_ENDPOINT && value->port == 0)
		return refuse(reading, "has no port");
	return true;
}

/* Only an address can be listened on at once, without asking anybody. */
static bool read_listen(struct reading *reading)
{
	struct value *value = reading->value;
	char host[IP_TEXT_MAX];
	bool in_brackets;

	if (reading->text[0] == '\0')
		return true;
	if (!endpoint_split(reading->text, host, sizeof(host), &in_brackets, &value->port) ||
	    !(in_brackets ? ip_parse_literal(host, &value->ip) : ip_parse(host, &value->ip)))
		return refuse(reading, "is no address and port");
	return value->port != 0 || refuse(reading, "has no port");
}

/* The address of an inet socket. A name is left to libmilter, which takes it at start. */
static bool listener_is_good(const char *address, enum ip_family family)
{
	char bare[VALUE_NAME_MAX];
	size_t length;
	struct ip ip;

	if (family == IP_V6 && address[0] == '[') {
		if (!text_copy(bare, sizeof(bare), address + 1))
			return false;
		length = strlen(bare);
		if (length == 0 || bare[length - 1] != ']')
			return false;
		bare[length - 1] = '\0';
		address = bare;
	}
	if (ip_parse(address, &ip))
		return (strchr(address, ':') != NULL) == (family == IP_V6);
	return idna_domain_to_ascii(address, bare, sizeof(bare));
}

static bool read_inet_socket(struct reading *reading, const char *rest, enum ip_family family)
{
	const char *at = strchr(rest, '@');
	char digits[8];
	uint16_t port;

	if (at == NULL)
		return refuse(reading, "has no \"@ADDRESS\"");
	if ((size_t)(at - rest) >= sizeof(digits))
		return refuse(reading, "has no port from 1 to 65535");
	memcpy(digits, rest, (size_t)(at - rest));
	digits[at - rest] = '\0';
	if (!port_read(digits, &port))
		return refuse(reading, "has no port from 1 to 65535");
	if (!listener_is_good(at + 1, family))
		return refuse(reading, family == IP_V6 ? "has no IPv6 address behind its \"@\""
						       : "has no IPv4 address behind its \"@\"");
	return true;
}

static bool read_socket(struct reading *reading)
{
	const char *rest = strchr(reading->text, ':');
	size_t kind = rest != NULL ? (size_t)(rest - reading->text) : 0;

	if (rest == NULL)
		return refuse(reading, "is no milter socket");
	rest++;
	if (strncmp(reading->text, "inet:", kind + 1) == 0)
		return read_inet_socket(reading, rest, IP_V4);
	if (strncmp(reading->text, "inet6:", kind + 1) == 0)
		return read_inet_socket(reading, rest, IP_V6);
	if (strncmp(reading->text, "unix:", kind + 1) != 0 &&
	    strncmp(reading->text, "local:", kind + 1) != 0)
		return refuse(reading, "is no milter socket");
	if (rest[0] != '/')
		return refuse(reading, "is no absolute path");
	if (strlen(rest) > UNIX_PATH_MAX)
		return refuse(reading, "is too long for a unix socket");
	return true;
}

/* ---- all of them ---- */

bool value_read(const struct option *option, const char *text, struct value *value, char *wrong,
		size_t wrong_size)
{
	static bool (*const readers[OPTION_TYPE_COUNT])(struct reading *) = {
		[OPTION_BOOLEAN] = read_boolean,     [OPTION_WORD] = read_word,
		[OPTION_NUMBER] = read_number,	     [OPTION_DURATION] = read_duration,
		[OPTION_PERCENT] = read_percent,     [OPTION_MODE] = read_mode,
		[OPTION_STRING] = read_string,	     [OPTION_FACILITY] = read_facility,
		[OPTION_DELIMITER] = read_delimiter, [OPTION_HOST] = read_host,
		[OPTION_CANARY] = read_canary,	     [OPTION_PATH] = read_path,
		[OPTION_SOCKET] = read_socket,	     [OPTION_ENDPOINT] = read_endpoint,
		[OPTION_LISTEN] = read_listen,	     [OPTION_HOSTS] = read_host,
		[OPTION_ADDRESSES] = read_address,   [OPTION_NETWORKS] = read_network,
		[OPTION_ENDPOINTS] = read_endpoint,  [OPTION_SERVERS] = read_endpoint,
		[OPTION_SOURCES] = read_address,     [OPTION_COMMAND] = read_argument,
	};
	struct reading reading = { option, text, value, wrong, wrong_size };

	*value = (struct value){ .text = text };
	return readers[option->type](&reading);
}
