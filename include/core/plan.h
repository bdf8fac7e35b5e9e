/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which DNS records make a host the backup MX of a domain: from what DNS says now to what is there,
 * to add, to change and to remove, each with why.
 *
 * Pure. The caller owns the facts and what they point to, and keeps them while it uses the plan.
 * All names are lower case without a final dot, as DNS libraries print them (what is no letter,
 * digit, hyphen or dot may be escaped by a backslash, or not). Times are seconds. One thread at a
 * time.
 */
#ifndef BACKUPMX_CORE_PLAN_H
#define BACKUPMX_CORE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ip.h"
#include "core/mxset.h"

/* Outside of these a failover is slow, or DNS is asked for every mail. */
#define PLAN_TTL_LEAST 300
#define PLAN_TTL_MOST  86400
#define PLAN_TTL_GOOD  3600

/* ---- facts ---- */

enum plan_known {
	PLAN_FOUND,
	PLAN_NONE,	/* there is none: DNS says so */
	PLAN_CANT_TELL, /* DNS doesn't answer */
};

/* A host name and where it leads to. */
struct plan_host {
	char name[MAIL_DOMAIN_MAX + 1];
	char canonical[MAIL_DOMAIN_MAX + 1]; /* where its CNAMEs end; "": it is no alias */
	enum plan_known known;		     /* of its addresses */
	struct ip addresses[MXSET_ADDRESSES_MAX];
	size_t address_count;
};

struct plan_mx {
	struct plan_host host; /* name "": "MX 0 ." */
	uint16_t preference;
};

struct plan_backup {
	struct plan_host host;
	char zone[MAIL_DOMAIN_MAX + 1];	       /* that its name lies in; "": not found */
	struct ip wanted[MXSET_ADDRESSES_MAX]; /* what its name should have */
	size_t wanted_count;
	bool chosen;	      /* somebody gave these addresses; else they are the interfaces' */
	const struct ip *own; /* all by which an MX entry is this host */
	size_t own_count;
};

/* What an address is called. */
struct plan_reverse {
	struct ip ip;
	enum plan_known known;
	char name[MAIL_DOMAIN_MAX + 1];
};

struct plan_facts {
	struct plan_host
		domain; /* its own address is where mail goes while there is no MX record */
	char zone[MAIL_DOMAIN_MAX + 1]; /* that its MX records lie in; not known: the domain */
	bool zone_known;
	const struct plan_mx *mx;
	size_t mx_count;
	int64_t mx_ttl;			 /* as in the zone; 0: not known */
	int64_t mx_ttl_seen;		 /* out of a cache, which counts it down; 0: not there */
	const struct plan_host *primary; /* as named by the user; NULL: not named */
	const struct plan_backup *backups;
	size_t backup_count; /* at least 1 */
	const struct plan_reverse *reverse;
	size_t reverse_count;
	int64_t ttl; /* as wanted by the user; 0: what is good */
};

/* ---- the plan ---- */

enum plan_action { PLAN_KEEP, PLAN_ADD, PLAN_CHANGE, PLAN_REMOVE };
enum plan_type { PLAN_MX, PLAN_A, PLAN_AAAA };

enum plan_why {
	PLAN_WHY_OTHER,	      /* kept: no host of ours */
	PLAN_WHY_BACKUP,      /* kept: a backup where it should be */
	PLAN_WHY_BACKUP_NEW,  /* added */
	PLAN_WHY_EQUAL,	      /* a backup as good as another host: senders choose at random */
	PLAN_WHY_BEST,	      /* a backup that no primary is better than */
	PLAN_WHY_NO_ROOM,     /* there is no free number behind it */
	PLAN_WHY_PRIMARY,     /* added: the primary as the user named it */
	PLAN_WHY_IMPLICIT,    /* added: it is the primary only while there is no MX record */
	PLAN_WHY_NULL,	      /* removed: "takes no mail" */
	PLAN_WHY_ALIAS,	      /* its name is an alias */
	PLAN_WHY_DUPLICATE,   /* removed: the host is listed twice */
	PLAN_WHY_TTL,	      /* its TTL is unfit, or not the wanted one */
	PLAN_WHY_ADDRESS,     /* kept */
	PLAN_WHY_ADDRESS_NEW, /* added */
	PLAN_WHYS,
};

struct plan_value {
	int32_t preference;		  /* MX */
	char target[MAIL_DOMAIN_MAX + 1]; /* MX; "" is "." */
	struct ip address;		  /* A, AAAA */
	int64_t ttl;			  /* 0: not known */
};

struct plan_record {
	enum plan_action action;
	enum plan_type type;
	uint32_t whys;	/* a bit for each */
	int backup;	/* which of the backups it is about; -1: none */
	bool elsewhere; /* its name lies in another zone than the domain */
	char name[MAIL_DOMAIN_MAX + 1];
	struct plan_value now;	/* unless ADD */
	struct plan_value then; /* unless REMOVE */
};

/* Why nothing can be planned. */
enum plan_obstacle {
	PLAN_NO_OBSTACLE,
	PLAN_DOMAIN_IS_ALIAS,	  /* a name with a CNAME has no MX records of its own */
	PLAN_DOMAIN_IS_NULL,	  /* it says that it takes no mail */
	PLAN_NO_PRIMARY,	  /* there is no MX record, no address, no primary named */
	PLAN_ONLY_BACKUPS,	  /* nobody else is listed, no primary named */
	PLAN_DOMAIN_IS_BACKUP,	  /* the domain's own address is a backup's */
	PLAN_PRIMARY_IS_BACKUP,	  /* the named one is */
	PLAN_PRIMARY_UNREACHABLE, /* the named one has no address */
	PLAN_PRIMARY_NOT_LISTED,  /* one is named, others are listed */
	PLAN_BACKUP_UNREACHABLE,  /* it has no address, and none is known for it */
	PLAN_BACKUP_UNKNOWN,	  /* DNS doesn't tell of its addresses */
	PLAN_OBSTACLES,
};

/* What isn't a record of this zone, but should be known. */
enum plan_advice {
	PLAN_ADVICE_ELSEWHERE,	    /* its address records belong into another zone */
	PLAN_ADVICE_LISTED_AS,	    /* a backup is listed by another name, `detail` */
	PLAN_ADVICE_OTHER_ADDRESS,  /* a backup's name lacks its address `ip`, and has others */
	PLAN_ADVICE_FAMILY,	    /* a backup's name has no address of the family of its `ip` */
	PLAN_ADVICE_REVERSE_NONE,   /* a backup's address has no name */
	PLAN_ADVICE_REVERSE_OTHER,  /* it is called `detail` */
	PLAN_ADVICE_NO_ADDRESS,	    /* an MX host has none */
	PLAN_ADVICE_UNSEEN_ADDRESS, /* DNS doesn't tell of those of an MX host */
	PLAN_ADVICE_LITERAL,	    /* an MX host is an IP address */
	PLAN_ADVICE_ALIAS,	    /* an MX host gets another name, `detail` */
	PLAN_ADVICE_TTL_UNKNOWN,    /* a cache said `seconds` */
	PLAN_ADVICE_TTL_LONG,	    /* the old one lives on in caches for that long */
	PLAN_ADVICES,
};

struct plan_note {
	enum plan_advice advice;
	const char *subject; /* points into the facts; never NULL */
	const char *detail;  /* so does this; NULL: none */
	struct ip ip;
	int64_t seconds;
};

struct plan {
	enum plan_obstacle obstacle; /* then the records only say what is there */
	const char *hindering;	     /* which name; points into the facts; never NULL */
	struct plan_record *records; /* MX by preference, then addresses */
	size_t count;
	struct plan_note *notes;
	size_t note_count;
};

void plan_make(struct plan *plan, const struct plan_facts *facts);
void plan_fini(struct plan *plan);

/* True when a record is to be added, changed or removed. */
bool plan_has_changes(const struct plan *plan);

/* The same in words: "add", "equal", "no-primary", "reverse-none". */
const char *plan_action_name(enum plan_action action);
const char *plan_type_name(enum plan_type type);
const char *plan_why_name(enum plan_why why);
const char *plan_obstacle_name(enum plan_obstacle obstacle);
const char *plan_advice_name(enum plan_advice advice);

/* The same for people: half a sentence, a sentence. Foreign names are in them. */
const char *plan_why_text(enum plan_why why);
const char *plan_obstacle_text(enum plan_obstacle obstacle); /* what is missing, and what helps */
void plan_note_say(const struct plan_note *note, char *buffer, size_t size);

#endif
