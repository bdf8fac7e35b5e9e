/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who are we in a domain's MX set, and to whom could a sender go instead? (RFC 5321 5.1, RFC 7505)
 *
 * Pure. An mxset is owned by whoever made it; one thread at a time.
 */
#ifndef BACKUPMX_CORE_MXSET_H
#define BACKUPMX_CORE_MXSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ip.h"
#include "core/mail_address.h"

/* More hosts or addresses than these in one answer are left out: no real domain has them. */
#define MXSET_HOSTS_MAX	    128
#define MXSET_ADDRESSES_MAX 16 /* of one host */

enum mx_role {
	MX_SELF,       /* one of our names or addresses */
	MX_BETTER,     /* strictly preferred to us: a sender could go there */
	MX_NOT_BETTER, /* equal to us or behind us, or we are not in the set at all */
};

struct mx_host {
	char name[MAIL_DOMAIN_MAX + 1]; /* lower case, no final dot */
	uint16_t preference;
	struct ip addresses[MXSET_ADDRESSES_MAX];
	size_t address_count;
	enum mx_role role; /* set by mxset_find_ourselves() */
};

/* What the domain's MX records say of us. */
enum mx_standing {
	MX_STANDING_UNKNOWN,  /* never learned */
	MX_STANDING_BACKUP,   /* we are listed, and somebody is better */
	MX_STANDING_BEST,     /* we are listed, and nobody is better */
	MX_STANDING_UNLISTED, /* there are MX records, none of them is us */
	MX_STANDING_IMPLICIT, /* no MX record: senders use the domain's own address */
	MX_STANDING_NULL,     /* RFC 7505: the domain takes no mail */
	MX_STANDING_GONE,     /* the domain doesn't exist */
};

struct mxset {
	struct mx_host *hosts; /* by preference, then name */
	size_t count;
	enum mx_standing standing;
};

/* What makes an MX entry "us". */
struct mx_identity {
	char *const *names; /* lower case, no final dot */
	size_t name_count;
	const struct ip *addresses; /* of our interfaces, of NAT, and of hosts that greet as us */
	size_t address_count;
};

/* Copies a name in lower case without its final dot. False when it is too long. */
bool mxset_name_copy(char *target, size_t size, const char *name);
/* Is such a name the zone's own, or below it? All are within "", the root. */
bool mxset_name_is_within(const char *name, const char *zone);

/* Adds a host; `name` "" or "." at preference 0 as the only host is a null MX. False when full. */
bool mxset_add_host(struct mxset *set, const char *name, uint16_t preference);
/* Adds an address, each once. */
bool mx_host_add_address(struct mx_host *host, const struct ip *ip);
void mxset_sort(struct mxset *set);
void mxset_copy(struct mxset *to, const struct mxset *from); /* `to` is empty or finished */
void mxset_fini(struct mxset *set);

/* Gives each host its role and the set its standing (unless it is IMPLICIT, NULL, GONE or UNKNOWN
 * by what DNS said). Our preference is the lowest of the entries that are us. */
void mxset_find_ourselves(struct mxset *set, const struct mx_identity *self);

/* True when some host is MX_BETTER: there is a senders' set. */
bool mxset_has_better(const struct mxset *set);
/* True when such a host has an address, too. */
bool mxset_works(const struct mxset *set);
bool mx_identity_has_name(const struct mx_identity *self, const char *name);
bool mx_identity_has_address(const struct mx_identity *self, const struct ip *ip);

const char *mx_standing_name(enum mx_standing standing);
bool mx_standing_parse(const char *word, enum mx_standing *standing);

#endif
