/* SPDX-License-Identifier: BSD-2-Clause */
/* The store's interface: calls go to the implementation. No state of its own. */
#include "io/store.h"

enum store_result store_get(struct store *store, enum store_table table, const void *key,
			    size_t key_length, void *value, size_t size, size_t *length)
{
	return store->methods->get(store, table, key, key_length, value, size, length);
}

int store_apply(struct store *store, const struct store_op *ops, size_t count)
{
	return store->methods->apply(store, ops, count);
}

int store_scan(struct store *store, const struct store_range *range, store_visitor visit, void *arg)
{
	return store->methods->scan(store, range, visit, arg);
}

int64_t store_bytes(struct store *store)
{
	return store->methods->bytes(store);
}

int64_t store_entries(struct store *store, enum store_table table)
{
	return store->methods->entries(store, table);
}

void store_close(struct store *store)
{
	store->methods->close(store);
}
