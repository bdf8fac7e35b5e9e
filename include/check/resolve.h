/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DNS questions of a check: started together, waited for together, each asked once and kept. One
 * thread, which runs the loop while it waits.
 */
#ifndef BACKUPMX_CHECK_RESOLVE_H
#define BACKUPMX_CHECK_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "io/dns.h"
#include "io/loop.h"

struct resolved {
	enum dns_status status;
	const struct dns_record *records; /* all of the answer, the CNAMEs on the way too; when
					     nothing was found perhaps the SOA of the zone */
	size_t count;
};

struct resolve;

/* Neither is taken over. */
struct resolve *resolve_new(struct loop *loop, struct dns *dns);
void resolve_free(struct resolve *resolve);

/* Asks, unless that was asked before. The answer counts after resolve_wait(); it lives as long as
 * `resolve`. */
const struct resolved *resolve_start(struct resolve *resolve, const char *name, enum dns_type type);
/* Runs the loop until every question that was started has an answer. */
void resolve_wait(struct resolve *resolve);
/* Both at once. */
const struct resolved *resolve_now(struct resolve *resolve, const char *name, enum dns_type type);

/* How many records of the type the answer holds, and the i-th of them (NULL behind the last). */
size_t resolved_count(const struct resolved *resolved, enum dns_type type);
const struct dns_record *resolved_record(const struct resolved *resolved, enum dns_type type,
					 size_t i);

/* "SERVFAIL, or no answer", "no such name", "no such records", in words. */
const char *resolved_problem(const struct resolved *resolved);

#endif
