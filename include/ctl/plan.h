/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of "plan": what is asked for, what DNS says, what is printed. One thread. */
#ifndef BACKUPMX_CTL_PLAN_H
#define BACKUPMX_CTL_PLAN_H

#include "check/check.h"
#include "core/plan.h"
#include "ctl/ctl.h"

/* The command line. Names are lower-case A-labels. */
struct plan_wish {
	char domain[MAIL_DOMAIN_MAX + 1];
	char primary[MAIL_DOMAIN_MAX + 1]; /* "": not given */
	struct {
		char name[MAIL_DOMAIN_MAX + 1];
		struct ip addresses[MXSET_ADDRESSES_MAX];
		size_t address_count;
	} backups[CTL_SEVERAL_MAX];
	size_t backup_count; /* 0: this host is the backup */
	int64_t ttl;	     /* 0: not given */
	const char *format;  /* "zone", "nsupdate", "table"; NULL: all of it, for people */
};

struct plan_gathered {
	struct plan_facts facts; /* points into what follows */
	struct plan_mx *mx;
	struct plan_backup *backups;
	struct plan_host primary;
	struct plan_reverse *reverse;
	char server[MAIL_DOMAIN_MAX + 1]; /* that takes updates, by the zone's SOA; "": not known */
};

/* Asks DNS for all that a plan needs. False, with what went wrong in `problem` (CTL_PROBLEM_MAX
 * bytes, foreign ones among them), when there can't be a plan. plan_gathered_fini() in any case. */
bool plan_gather(struct plan_gathered *gathered, struct check *check, const struct plan_wish *wish,
		 char *problem);
void plan_gathered_fini(struct plan_gathered *gathered);

/* For people; with wish->format only that, for a program or to be copied. */
void plan_print(const struct plan *plan, const struct plan_gathered *gathered,
		const struct plan_wish *wish);
/* Everything, also of a plan with an obstacle. */
json_t *plan_to_json(const struct plan *plan, const struct plan_gathered *gathered);

/* "DOMAIN: mx2.example.net: what is missing, and what helps". */
void plan_say_obstacle(const struct plan *plan, const struct plan_facts *facts, char *buffer,
		       size_t size);

#endif
