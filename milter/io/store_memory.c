/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store in memory, for tests and for a daemon whose disk can't be used: the same interface,
 * gone at exit. A sorted array behind one lock.
 */
#include "io/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct entry {
	unsigned char *key;
	size_t key_length;
	unsigned char *value;
	size_t value_length;
};

struct table {
	struct entry *entries;
	size_t count;
	size_t room;
};

struct store_memory {
	struct store store;
	pthread_mutex_t lock;
	struct table tables[STORE_TABLE_COUNT];
};

static int key_compare(const struct entry *entry, const void *key, size_t key_length)
{
	size_t common = entry->key_length < key_length ? entry->key_length : key_length;
	int order = common > 0 ? memcmp(entry->key, key, common) : 0;

	if (order != 0 || entry->key_length == key_length)
		return order;
	return entry->key_length < key_length ? -1 : 1;
}

/* The index of the first entry not before the key. */
static size_t lower_bound(const struct table *table, const void *key, size_t key_length)
{
	size_t low = 0;
	size_t high = table->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (key_compare(&table->entries[middle], key, key_length) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct entry *find(struct table *table, const void *key, size_t key_length)
{
	size_t i = lower_bound(table, key, key_length);

	if (i < table->count && key_compare(&table->entries[i], key, key_length) == 0)
		return &table->entries[i];
	return NULL;
}

static enum store_result memory_get(struct store *store, enum store_table table, const void *key,
				    size_t key_length, void *value, size_t size, size_t *length)
{
	struct store_memory *memory = (struct store_memory *)store;
	enum store_result result = STORE_ABSENT;
	struct entry *entry;

	pthread_mutex_lock(&memory->lock);
	entry = find(&memory->tables[table], key, key_length);
	if (entry != NULL && entry->value_length > size) {
		result = STORE_FAILED;
	} else if (entry != NULL) {
		memcpy(value, entry->value, entry->value_length);
		*length = entry->value_length;
		result = STORE_FOUND;
	}
	pthread_mutex_unlock(&memory->lock);
	return result;
}

static unsigned char *bytes_copy(const void *bytes, size_t length)
{
	unsigned char *copy = memory_alloc(length);

	memcpy(copy, bytes, length);
	return copy;
}

static void entry_remove(struct table *table, struct entry *entry)
{
	size_t behind = table->count - (size_t)(entry - table->entries) - 1;

	free(entry->key);
	free(entry->value);
	memmove(entry, entry + 1, behind * sizeof(*entry));
	table->count--;
}

static void entry_put(struct table *table, const struct store_op *op)
{
	struct entry *entry = find(table, op->key, op->key_length);
	size_t at;

	if (entry == NULL) {
		if (table->count == table->room) {
			table->room = table->room * 2 + 16;
			table->entries =
				memory_resize(table->entries, table->room, sizeof(*table->entries));
		}
		at = lower_bound(table, op->key, op->key_length);
		entry = &table->entries[at];
		memmove(entry + 1, entry, (table->count - at) * sizeof(*entry));
		table->count++;
		entry->key = bytes_copy(op->key, op->key_length);
		entry->key_length = op->key_length;
	} else {
		free(entry->value);
	}
	entry->value = bytes_copy(op->value, op->value_length);
	entry->value_length = op->value_length;
}

static int memory_apply(struct store *store, const struct store_op *ops, size_t count)
{
	struct store_memory *memory = (struct store_memory *)store;

	pthread_mutex_lock(&memory->lock);
	for (size_t i = 0; i < count; i++) {
		struct table *table = &memory->tables[ops[i].table];
		struct entry *entry = find(table, ops[i].key, ops[i].key_length);

		if (ops[i].value != NULL)
			entry_put(table, &ops[i]);
		else if (entry != NULL)
			entry_remove(table, entry);
	}
	pthread_mutex_unlock(&memory->lock);
	return 0;
}

static bool is_inside(const struct store_range *range, const struct entry *entry)
{
	return range->prefix_length == 0 ||
	       (entry->key_length >= range->prefix_length &&
		memcmp(entry->key, range->prefix, range->prefix_length) == 0);
}

/* The index of the range's first key. */
static size_t range_begin(const struct table *rows, const struct store_range *range)
{
	size_t i;

	if (range->after_length == 0)
		return lower_bound(rows, range->prefix, range->prefix_length);
	i = lower_bound(rows, range->after, range->after_length);
	if (i < rows->count && rows->entries[i].key_length == range->after_length &&
	    memcmp(rows->entries[i].key, range->after, range->after_length) == 0)
		i++;
	return i;
}

static int memory_scan(struct store *store, const struct store_range *range, store_visitor visit,
		       void *arg)
{
	struct store_memory *memory = (struct store_memory *)store;
	struct table *rows = &memory->tables[range->table];

	pthread_mutex_lock(&memory->lock);
	for (size_t i = range_begin(rows, range); i < rows->count; i++) {
		struct entry *entry = &rows->entries[i];

		if (!is_inside(range, entry))
			break;
		if (!visit(arg, entry->key, entry->key_length, entry->value, entry->value_length))
			break;
	}
	pthread_mutex_unlock(&memory->lock);
	return 0;
}

static int64_t memory_bytes(struct store *store)
{
	(void)store;
	return 0;
}

static int64_t memory_entries(struct store *store, enum store_table table)
{
	struct store_memory *memory = (struct store_memory *)store;
	int64_t count;

	pthread_mutex_lock(&memory->lock);
	count = (int64_t)memory->tables[table].count;
	pthread_mutex_unlock(&memory->lock);
	return count;
}

static void memory_close(struct store *store)
{
	struct store_memory *memory = (struct store_memory *)store;

	for (size_t t = 0; t < STORE_TABLE_COUNT; t++) {
		while (memory->tables[t].count > 0)
			entry_remove(&memory->tables[t],
				     &memory->tables[t].entries[memory->tables[t].count - 1]);
		free(memory->tables[t].entries);
	}
	pthread_mutex_destroy(&memory->lock);
	free(memory);
}

static const struct store_methods memory_methods = {
	.get = memory_get,
	.apply = memory_apply,
	.scan = memory_scan,
	.bytes = memory_bytes,
	.entries = memory_entries,
	.close = memory_close,
};

struct store *store_memory_new(void)
{
	struct store_memory *memory = memory_alloc(sizeof(*memory));

	pthread_mutex_init(&memory->lock, NULL);
	memory->store.methods = &memory_methods;
	return &memory->store;
}
