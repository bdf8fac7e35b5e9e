/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This host's MTA, as far as a check wants to know it: the rules that all MTAs share, and what
 * a reader of one kind of MTA offers. A reader asks the MTA's own tools, once, and keeps what they
 * said; its judge adds the findings of the rules below, each in the MTA's own words and with its
 * own commands.
 *
 * The reader of Postfix is milter/check/postfix*.c, that of Sendmail milter/check/sendmail*.c.
 */
#ifndef BACKUPMX_CHECK_MTA_H
#define BACKUPMX_CHECK_MTA_H

#include "check/check.h"

/* ---- the rules; milter/check/mta_rules.c ---- */

enum mta_rule {
	MTA_RULE_MTA,
	MTA_RULE_CHROOT,
	MTA_RULE_LISTENS,
	MTA_RULE_RELAY_DOMAINS,
	MTA_RULE_LOCAL_DOMAIN,
	MTA_RULE_RELAY_RECIPIENTS,
	MTA_RULE_NEXT_HOP,
	MTA_RULE_RELAY_RESTRICTIONS,
	MTA_RULE_VERIFY_LEFTOVER,
	MTA_RULE_MILTER_LISTED,
	MTA_RULE_MILTER_SUBMISSION,
	MTA_RULE_MILTER_DEFAULT_ACTION,
	MTA_RULE_MILTER_TIMEOUT,
	MTA_RULE_EXEMPT_NETWORKS,
	MTA_RULE_FAST_FLUSH,
	MTA_RULE_ETRN,
	MTA_RULE_QUEUE_LIFETIME,
	MTA_RULE_SOFT_BOUNCE,
	MTA_RULE_PROXY_INTERFACES,
	MTA_RULES
};

extern const struct check_rule mta_rules[MTA_RULES];

/* ---- a kind of MTA ---- */

struct mta_kind {
	const char *name; /* "Postfix" */
	/* Is it this one: by options.mta_config, else by what is installed? */
	bool (*is_here)(const struct check *check);
	/* Asks its tools. NULL, with the reason in `why`, when they don't say enough. */
	void *(*read)(struct check *check, char *why, size_t size);
	void (*forget)(void *facts);
	/* check_domain_add() for the domains that it relays, where they can be listed. */
	void (*add_domains)(struct check *check, const void *facts);
	/* Adds the findings, a problem's most basic cause first: their mends are pasted in order.
	 */
	void (*judge)(struct check *check, const void *facts);
	/* See mta_mend_tls(). */
	void (*mend_tls)(struct check *check, const void *facts, const char *host);
};

extern const struct mta_kind mta_postfix;
extern const struct mta_kind mta_sendmail;

/* ---- the one that is here ---- */

struct mta {
	const struct mta_kind *kind; /* NULL: none was found */
	void *facts;		     /* NULL: they could not be read */
	char problem[512];	     /* why not */
};

/* Reads it the first time. */
const struct mta *mta_get(struct check *check);
void mta_free(struct mta *mta); /* NULL is fine */

/* ---- what is judged alike ---- */

/* Networks whose mail the MTA relays anywhere, against exempt_clients. `setting` is what the MTA
 * calls them. */
struct mta_networks {
	const char *setting;
	struct ip_network *items;
	size_t count;
};

void mta_judge_networks(struct check *check, const struct mta_networks *networks);

/* An address of ours in DNS that no interface has, as behind NAT. */
struct mta_foreign_address {
	char host[MAIL_DOMAIN_MAX + 1]; /* our name that has it */
	struct ip ip;
};

#define MTA_FOREIGN_ADDRESSES_MAX 16

/* Those of our own name and of the MX hosts that are us; returns how many. */
size_t mta_foreign_addresses(struct check *check, struct mta_foreign_address *found);
/* Whether such an address is in my_addresses of the configuration; adds a finding (of
 * MTA_RULE_PROXY_INTERFACES) only when it is not. */
void mta_judge_my_addresses(struct check *check, const struct mta_foreign_address *address);

/* Adds the lines by which the MTA offers STARTTLS and, unless `host` is NULL, shows a certificate
 * of a public authority for that name. For findings of other groups. */
void mta_mend_tls(struct check *check, const char *host);

/* How long the milter may take for an answer, in seconds: less than this, and the MTA gives up. */
int64_t mta_answer_seconds(const struct check *check);

/* check_add() and the like for a rule of the table above. */
#define mta_add(check, rule, ...)    check_add((check)->findings, &mta_rules[rule], __VA_ARGS__)
#define mta_mend(check, ...)	     check_mend((check)->findings, __VA_ARGS__)
#define mta_unseen(check, rule, ...) check_unseen((check)->findings, &mta_rules[rule], __VA_ARGS__)

#endif
