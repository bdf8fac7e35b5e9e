/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer thread. What is queued sits in a hash by key until it is on disk, so that a key
 * changed twice is written once and a reader finds it; a batch being written stays visible beside
 * the new one.
 */
#include "io/writer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/log.h"
#include "base/memory.h"

#define QUEUE_MAX 200000

struct queued {
	UT_hash_handle hh;
	unsigned char *value; /* NULL: delete */
	size_t value_length;
	size_t key_length; /* of `key`, the table's byte in front included */
	unsigned char key[];
};

struct writer {
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	pthread_cond_t settled;
	struct queued *queue;	/* waits */
	struct queued *writing; /* is being written; only the thread frees it */
	bool stop;
	uint64_t rounds;       /* batches finished */
	bool failing;	       /* the thread's own: said already */
	atomic_size_t waiting; /* entries in both, to spare readers the lock */
	atomic_bool overflowing;
};

static void queued_free_all(struct queued **head)
{
	struct queued *item, *next;

	HASH_ITER(hh, *head, item, next) {
		HASH_DEL(*head, item);
		free(item->value);
		free(item);
	}
}

static void batch_write(struct writer *writer, struct queued *batch, size_t count)
{
	struct store_op *ops = memory_array(count, sizeof(*ops));
	struct queued *item;
	size_t i = 0;
	int result;

	for (item = batch; item != NULL; item = item->hh.next)
		ops[i++] = (struct store_op){
			.table = (enum store_table)item->key[0],
			.key = item->key + 1,
			.key_length = item->key_length - 1,
			.value = item->value,
			.value_length = item->value_length,
		};
	result = store_apply(writer->store, ops, count);
	free(ops);
	if (result != 0 && !writer->failing)
		log_error("store: cannot write: %s; nothing new is kept until this is mended",
			  strerror(-result));
	else if (result == 0 && writer->failing)
		log_notice("store: writing works again");
	writer->failing = result != 0;
}

static void *writer_main(void *arg)
{
	struct writer *writer = arg;
	struct queued *batch;
	size_t count;

	pthread_mutex_lock(&writer->lock);
	for (;;) {
		while (writer->queue == NULL && !writer->stop)
			pthread_cond_wait(&writer->wake, &writer->lock);
		if (writer->queue == NULL)
			break;
		batch = writer->writing = writer->queue;
		writer->queue = NULL;
		count = HASH_COUNT(batch);
		pthread_mutex_unlock(&writer->lock);
		batch_write(writer, batch, count);
		pthread_mutex_lock(&writer->lock);
		atomic_fetch_sub(&writer->waiting, count);
		queued_free_all(&writer->writing);
		writer->rounds++;
		pthread_cond_broadcast(&writer->settled);
	}
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

struct writer *writer_start(struct store *store)
{
	struct writer *writer = memory_alloc(sizeof(*writer));

	writer->store = store;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_cond_init(&writer->wake, NULL);
	pthread_cond_init(&writer->settled, NULL);
	if (pthread_create(&writer->thread, NULL, writer_main, writer) != 0)
		abort();
	return writer;
}

void writer_stop(struct writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->stop = true;
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	pthread_cond_destroy(&writer->wake);
	pthread_cond_destroy(&writer->settled);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
}

static size_t full_key(unsigned char *buffer, enum store_table table, const void *key,
		       size_t key_length)
{
	buffer[0] = (unsigned char)table;
	memcpy(buffer + 1, key, key_length);
	return key_length + 1;
}

static struct queued *queued_new(const unsigned char *key, size_t key_length, const void *value,
				 size_t value_length)
{
	struct queued *item = memory_alloc(sizeof(*item) + key_length);

	memcpy(item->key, key, key_length);
	item->key_length = key_length;
	if (value != NULL) {
		item->value = memory_alloc(value_length);
		memcpy(item->value, value, value_length);
		item->value_length = value_length;
	}
	return item;
}

/* Under the lock. */
static void queue_replace(struct writer *writer, struct queued *item)
{
	struct queued *old;

	HASH_FIND(hh, writer->queue, item->key, item->key_length, old);
	if (old != NULL) {
		HASH_DEL(writer->queue, old);
		free(old->value);
		free(old);
	} else {
		atomic_fetch_add(&writer->waiting, 1);
	}
	HASH_ADD(hh, writer->queue, key, item->key_length, item);
}

static void enqueue(struct writer *writer, enum store_table table, const void *key,
		    size_t key_length, const void *value, size_t value_length)
{
	unsigned char buffer[STORE_KEY_MAX + 1];
	struct queued *item;

	if (key_length == 0 || key_length > STORE_KEY_MAX)
		return;
	if (atomic_load(&writer->waiting) >= QUEUE_MAX) {
		if (!atomic_exchange(&writer->overflowing, true))
			log_error("store: writing can't keep up, what is learned now is not kept");
		return;
	}
	atomic_store(&writer->overflowing, false);
	item = queued_new(buffer, full_key(buffer, table, key, key_length), value, value_length);
	pthread_mutex_lock(&writer->lock);
	queue_replace(writer, item);
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
}

void writer_put(struct writer *writer, enum store_table table, const void *key, size_t key_length,
		const void *value, size_t value_length)
{
	enqueue(writer, table, key, key_length, value, value_length);
}

void writer_delete(struct writer *writer, enum store_table table, const void *key,
		   size_t key_length)
{
	enqueue(writer, table, key, key_length, NULL, 0);
}

static enum store_result queued_get(const struct queued *item, void *value, size_t size,
				    size_t *length)
{
	if (item->value == NULL)
		return STORE_ABSENT;
	if (item->value_length > size)
		return STORE_FAILED;
	memcpy(value, item->value, item->value_length);
	*length = item->value_length;
	return STORE_FOUND;
}

enum store_result writer_get(struct writer *writer, enum store_table table, const void *key,
			     size_t key_length, void *value, size_t size, size_t *length)
{
	unsigned char buffer[STORE_KEY_MAX + 1];
	enum store_result result = STORE_FAILED;
	struct queued *item = NULL;
	size_t full;

	if (key_length == 0 || key_length > STORE_KEY_MAX)
		return STORE_ABSENT;
	if (atomic_load(&writer->waiting) > 0) {
		full = full_key(buffer, table, key, key_length);
		pthread_mutex_lock(&writer->lock);
		HASH_FIND(hh, writer->queue, buffer, full, item);
		if (item == NULL)
			HASH_FIND(hh, writer->writing, buffer, full, item);
		if (item != NULL)
			result = queued_get(item, value, size, length);
		pthread_mutex_unlock(&writer->lock);
		if (item != NULL)
			return result;
	}
	return store_get(writer->store, table, key, key_length, value, size, length);
}

void writer_settle(struct writer *writer)
{
	uint64_t until;

	pthread_mutex_lock(&writer->lock);
	until = writer->rounds + (writer->queue != NULL) + (writer->writing != NULL);
	while (writer->rounds < until)
		pthread_cond_wait(&writer->settled, &writer->lock);
	pthread_mutex_unlock(&writer->lock);
}

struct store *writer_store(struct writer *writer)
{
	return writer->store;
}
