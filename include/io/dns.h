/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DNS questions on the loop (c-ares). Loop thread only.
 *
 * "There is none" (NXDOMAIN, no data) and "can't tell" (SERVFAIL, timeout, refused, garbage) are
 * different answers, and stay so. Only DNS is asked, as an MTA does: no hosts file, no search list.
 */
#ifndef BACKUPMX_IO_DNS_H
#define BACKUPMX_IO_DNS_H

#include <stddef.h>
#include <stdint.h>

#include "core/ip.h"
#include "core/mxset.h"
#include "io/dns_records.h"
#include "io/loop.h"

enum dns_status {
	DNS_FOUND,
	DNS_NO_DATA,   /* the name is there, records of this type are not */
	DNS_NO_DOMAIN, /* NXDOMAIN */
	DNS_FAILED,    /* can't tell */
};

#define DNS_TTL_FLOOR	60
#define DNS_TTL_CEILING 3600

struct dns_server {
	struct ip ip;
	uint16_t port; /* 0: 53 */
};

struct dns_settings {
	const struct dns_server *servers; /* none: resolv.conf */
	size_t server_count;
	int64_t timeout_ms; /* for one question in all */
};

struct dns_mx {
	uint16_t preference;
	char name[MAIL_DOMAIN_MAX + 1]; /* lower case; "" for "." */
};

struct dns_answer {
	enum dns_status status;
	int64_t ttl; /* seconds, between floor and ceiling; the floor when nothing was found */
	const struct dns_mx *mx;
	size_t mx_count;
	const struct ip *addresses;
	size_t address_count;
};

/* The answer is valid during the call. Can be called before dns_ask_*() returns. Not called any
 * more once dns_free() has returned; dns_free() itself calls what is open with DNS_FAILED. */
typedef void (*dns_done)(void *arg, const struct dns_answer *answer);

/* The same of a question for the records as they are; `records` is valid during the call. When
 * nothing was found it may hold the SOA that says whose word that is. */
typedef void (*dns_records_done)(void *arg, enum dns_status status,
				 const struct dns_record *records, size_t count);

struct dns;
/* NULL when the resolver library can't start. */
struct dns *dns_new(struct loop *loop, const struct dns_settings *settings);
void dns_free(struct dns *dns);

void dns_ask_mx(struct dns *dns, const char *name, dns_done done, void *arg);
void dns_ask_addresses(struct dns *dns, const char *name, enum ip_family family, dns_done done,
		       void *arg);
void dns_ask_records(struct dns *dns, const char *name, enum dns_type type, dns_records_done done,
		     void *arg);

#endif
