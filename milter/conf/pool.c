/* SPDX-License-Identifier: BSD-2-Clause */
/* A pool of memory for one snapshot. Owns its chunks; used by the thread that loads. */
#include "conf/pool.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define CHUNK_SIZE (64 * 1024)

struct pool_chunk {
	struct pool_chunk *next;
	size_t used;
	size_t size;
	alignas(max_align_t) char bytes[];
};

static struct pool_chunk *chunk_add(struct pool *pool, size_t wanted)
{
	size_t size = wanted > CHUNK_SIZE ? wanted : CHUNK_SIZE;
	struct pool_chunk *chunk = memory_alloc(sizeof(*chunk) + size);

	chunk->size = size;
	chunk->next = pool->chunks;
	pool->chunks = chunk;
	return chunk;
}

static void *take(struct pool *pool, size_t size, size_t align)
{
	struct pool_chunk *chunk = pool->chunks;
	size_t start = 0;

	if (chunk != NULL)
		start = (chunk->used + align - 1) / align * align;
	if (chunk == NULL || start > chunk->size || size > chunk->size - start) {
		chunk = chunk_add(pool, size);
		start = 0;
	}
	chunk->used = start + size;
	return chunk->bytes + start;
}

void *pool_alloc(struct pool *pool, size_t size)
{
	return take(pool, size, alignof(max_align_t));
}

char *pool_string(struct pool *pool, const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(take(pool, size, 1), text, size);
}

void pool_fini(struct pool *pool)
{
	while (pool->chunks != NULL) {
		struct pool_chunk *chunk = pool->chunks;

		pool->chunks = chunk->next;
		free(chunk);
	}
}
