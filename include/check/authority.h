/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a zone's own name servers say. A resolver's answer comes from a cache, where a TTL is less
 * than the zone's by the time it has been there. One thread, which runs the loop while it waits.
 */
#ifndef BACKUPMX_CHECK_AUTHORITY_H
#define BACKUPMX_CHECK_AUTHORITY_H

#include "check/check.h"

struct authority;

struct authority *authority_new(struct check *check);
void authority_free(struct authority *authority);

/* Which records are wanted, each of them once or more often; then all are asked for together. */
void authority_want(struct authority *authority, const char *name, enum dns_type type);
void authority_ask(struct authority *authority);

/* The answer, which lives as long as `authority`; NULL when it wasn't wanted, or no name server of
 * the zone gave records of that name and type. */
const struct resolved *authority_answer(const struct authority *authority, const char *name,
					enum dns_type type);

#endif
