/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The records of a DNS answer, each with its own owner and TTL (RFC 1035 4.1). Any thread.
 *
 * The daemon needs no more of an answer than io/dns.h gives it; who judges a zone wants to see what
 * is written there: the CNAMEs on the way, the TTLs as they are, types of any kind.
 */
#ifndef BACKUPMX_IO_DNS_RECORDS_H
#define BACKUPMX_IO_DNS_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "core/ip.h"
#include "core/mail_address.h"

#define DNS_RECORDS_MAX 256  /* of one answer; what is over it is left out */
#define DNS_DATA_MAX	4096 /* of one record */

/* The types asked for here, by the numbers of the protocol. */
enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_NS = 2,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_MX = 15,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_TLSA = 52, /* RFC 6698 */
};

/* A name is in lower case, without a final dot; but for letters, digits and "-_:[]" its bytes are
 * written as "\DDD" (a dot within a label as "\."), as is a "-" that it begins with: safe in a
 * shell and in a zone file. What then has more than 255 characters is cut. */
struct dns_record {
	char owner[MAIL_DOMAIN_MAX + 1];
	int type;    /* enum dns_type, or another */
	int64_t ttl; /* seconds, as it came: less than the zone's from a cache */
	/* by type */
	unsigned preference;		  /* MX */
	char target[MAIL_DOMAIN_MAX + 1]; /* MX, CNAME, NS, PTR, SOA (its primary server); "" for
					     the root */
	struct ip ip;			  /* A, AAAA */
	unsigned char *data; /* TXT: its strings put together, with a NUL behind them; else as it
				came */
	size_t length;	     /* of `data`, the NUL not counted */
};

/* Reads the answer section of a message, and for an answer without records the SOA of the authority
 * section (it names the zone). Returns how many there are in *records (dns_records_free()), -1 and
 * NULL when the message is malformed. Any bytes are safe. */
int dns_records_read(const unsigned char *message, size_t length, struct dns_record **records);
void dns_records_free(struct dns_record *records, size_t count);

#endif
