/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that lives as long as one configuration snapshot and is freed with it at once. So a domain
 * that inherits a setting shares the string, and a million names cost one allocation per 64 KB.
 * One writer while the snapshot is built; read-only afterwards.
 */
#ifndef BACKUPMX_CONF_POOL_H
#define BACKUPMX_CONF_POOL_H

#include <stddef.h>

struct pool_chunk;

struct pool {
	struct pool_chunk *chunks;
};

void *pool_alloc(struct pool *pool, size_t size); /* zeroed, aligned for any type */
char *pool_string(struct pool *pool, const char *text);
void pool_fini(struct pool *pool);

#endif
