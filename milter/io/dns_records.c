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
#include "core/mxset.h"

/* A name at `at`, in the form of dns_record. */
static bool name_read(const ns_msg *message, const unsigned char *at, char *target, size_t size)
{
	char name[NS_MAXDNAME];

	if (ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), at, name,
			       sizeof(name)) < 0)
		return false;
	return mxset_name_copy(target, size, strcmp(name, ".") == 0 ? "" : name);
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
	if (!mxset_name_copy(record->owner, sizeof(record->owner),
			     strcmp(ns_rr_name(*rr), ".") == 0 ? "" : ns_rr_name(*rr)))
		return false;
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
