/* SPDX-License-Identifier: BSD-2-Clause */
/* DNS messages taken apart by the C library's own reader (nameser.h). */
#include "io/dns_records.h"

#include <arpa/nameser.h>
#include <resolv.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "base/text.h"

#define ESCAPE_LENGTH 4 /* "\\124" */

/* The next byte of a name as ns_name_ntop() writes it: "\DDD" or "\c" where it has to. */
static unsigned char byte_next(const char **at, bool *is_escaped)
{
	const char *p = *at;
	unsigned value = 0;

	*is_escaped = *p == '\\';
	*at = p + 1;
	if (!*is_escaped)
		return (unsigned char)*p;
	*at = p + 2;
	if (p[1] < '0' || p[1] > '9')
		return (unsigned char)p[1];
	for (int i = 1; i < ESCAPE_LENGTH; i++)
		value = value * 10 + (unsigned)(p[i] - '0');
	*at = p + ESCAPE_LENGTH;
	return (unsigned char)value;
}

/* What names of hosts are made of, and addresses in the place of one. */
static bool is_plain(unsigned char c, bool is_first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c == '-' && !is_first) || (c != '\0' && strchr("_.:[]", c) != NULL);
}

/* A name that its escapes make too long is no host's: its beginning is enough to be shown. */
static void end_well(char *cut)
{
	char *last = strrchr(cut, '\\');

	if (last != NULL && strlen(last) < ESCAPE_LENGTH)
		*last = '\0';
	if (cut[0] != '\0' && cut[strlen(cut) - 1] == '.')
		cut[strlen(cut) - 1] = '\0';
}

/* The zone's owner chose the name, and it comes to stand in commands and zone lines: whatever means
 * something there is written as "\DDD", which to a shell is nothing worse than its digits. */
static void name_keep(const char *name, char *target, size_t size)
{
	char plain[NS_MAXDNAME];
	bool is_first = true, is_escaped;
	TEXT_ON(text, plain);

	if (strcmp(name, ".") == 0)
		name = "";
	for (; *name != '\0'; is_first = false) {
		unsigned char c = byte_next(&name, &is_escaped);

		if (!is_plain(c, is_first))
			text_add_format(&text, "\\%03u", c);
		else
			text_add_format(&text, is_escaped ? "\\%c" : "%c", c);
	}
	if (!text_copy(target, size, plain))
		end_well(target);
	text_lower(target);
}

/* A name at `at`, in the form of dns_record. */
static bool name_read(const ns_msg *message, const unsigned char *at, char *target, size_t size)
{
	char name[NS_MAXDNAME];

	if (ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), at, name,
			       sizeof(name)) < 0)
		return false;
	name_keep(name, target, size);
	return true;
}

static bool address_read(const ns_rr *rr, struct dns_record *record)
{
	bool v4 = record->type == DNS_TYPE_A;
	size_t length = v4 ? 4 : 16;

	if (ns_rr_rdlen(*rr) != length)
		return false;
	record->ip.family = v4 ? IP_V4 : IP_V6;
	memcpy(record->ip.bytes, ns_rr_rdata(*rr), length);
	return true;
}

/* Its character-strings one behind the other (RFC 1035 3.3.14). */
static bool text_read(const ns_rr *rr, struct dns_record *record)
{
	const unsigned char *at = ns_rr_rdata(*rr);
	const unsigned char *end = at + ns_rr_rdlen(*rr);

	while (at < end) {
		size_t length = *at++;

		if ((size_t)(end - at) < length)
			return false;
		memcpy(record->data + record->length, at, length);
		record->length += length;
		at += length;
	}
	return true;
}

static bool data_read(const ns_msg *message, const ns_rr *rr, struct dns_record *record)
{
	const unsigned char *data = ns_rr_rdata(*rr);
	size_t length = ns_rr_rdlen(*rr);

	if (length > DNS_DATA_MAX)
		return false;
	record->data = memory_alloc(length + 1);
	switch (record->type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		return address_read(rr, record);
	case DNS_TYPE_TXT:
		return text_read(rr, record);
	case DNS_TYPE_MX:
		if (length < 3)
			return false;
		record->preference = (unsigned)bytes_get(data, 2);
		return name_read(message, data + 2, record->target, sizeof(record->target));
	case DNS_TYPE_CNAME:
	case DNS_TYPE_NS:
	case DNS_TYPE_PTR:
	case DNS_TYPE_SOA:
		return name_read(message, data, record->target, sizeof(record->target));
	default:
		memcpy(record->data, data, length);
		record->length = length;
		return true;
	}
}

static bool record_read(const ns_msg *message, const ns_rr *rr, struct dns_record *record)
{
	record->type = (int)ns_rr_type(*rr);
	record->ttl = (int64_t)ns_rr_ttl(*rr);
	name_keep(ns_rr_name(*rr), record->owner, sizeof(record->owner));
	return data_read(message, rr, record);
}

int dns_records_read(const unsigned char *bytes, size_t length, struct dns_record **records)
{
	ns_msg message;
	ns_sect section = ns_s_an;
	size_t count = 0;
	int there;

	*records = NULL;
	if (length > NS_MAXMSG || ns_initparse(bytes, (int)length, &message) < 0)
		return -1;
	if (ns_msg_count(message, ns_s_an) == 0)
		section = ns_s_ns;
	there = ns_msg_count(message, section);
	if (there > DNS_RECORDS_MAX)
		there = DNS_RECORDS_MAX;
	*records = memory_array((size_t)there + 1, sizeof(**records));
	for (int i = 0; i < there; i++) {
		ns_rr rr;

		if (ns_parserr(&message, section, i, &rr) < 0 ||
		    !record_read(&message, &rr, &(*records)[count++])) {
			dns_records_free(*records, count);
			*records = NULL;
			return -1;
		}
	}
	return (int)count;
}

void dns_records_free(struct dns_record *records, size_t count)
{
	for (size_t i = 0; records != NULL && i < count; i++)
		free(records[i].data);
	free(records);
}
