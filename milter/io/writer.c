/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer thread. What is queued sits in a hash by key until it is on disk, so that a key
 * changed twice is written once and a reader finds it; a batch being written stays visible beside
 * the new one, and so does what is kept to be tried again.
 */
#include "io/writer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/log.h"
#include "base/memory.h"
#include "io/clock.h"

#define QUEUE_MAX     200000
#define CHUNK	      5000 /* of one transaction: a failure takes no more than this with it */
#define RETRY_MS      2000
#define STEADY_MS     10000 /* without a failure, before the log says that it is over */
#define NO_CHORE_SOON INT64_MAX

struct queued {
	UT_hash_handle hh;
	unsigned char *value; /* NULL: delete */
	size_t value_length;
	size_t key_length; /* of `key`, the table's byte in front included */
	bool failed;	   /* the thread's own: it was not written */
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
	struct queued *kept;	/* state that could not be written, to be tried again */
	bool stop;
	uint64_t rounds; /* batches finished */
	writer_chore chore;
	void *chore_arg;
	bool chore_runs;
	int64_t chore_due_ms;
	int64_t retry_due_ms;
	bool failing;		 /* the thread's own: said already */
	bool failing_learned;	 /* and what others had learned was lost */
	int64_t failed_at_ms;	 /* the last time */
	atomic_size_t waiting;	 /* entries in all three, to spare readers the lock */
	atomic_bool overflowing; /* said already */
	atomic_ullong losses;
};

/* Recipients and senders come from outside, in any number, and can be learned again. The rest is
 * our own state: few records, never dropped. */
static bool is_state(enum store_table table)
{
	return table != STORE_RECIPIENTS && table != STORE_SENDERS;
}

static enum store_table table_of(const struct queued *item)
{
	return (enum store_table)item->key[0];
}

static void queued_free(struct queued *item)
{
	free(item->value);
	free(item);
}

static void queued_free_all(struct queued **head)
{
	struct queued *item, *next;

	HASH_ITER(hh, *head, item, next) {
		HASH_DEL(*head, item);
		queued_free(item);
	}
}

/* ---- writing ---- */

/* One transaction's worth. */
struct chunk {
	struct store_op ops[CHUNK];
	struct queued *items[CHUNK];
	size_t count;
};

static void chunk_add(struct chunk *chunk, struct queued *item)
{
	chunk->items[chunk->count] = item;
	chunk->ops[chunk->count++] = (struct store_op){
		.table = table_of(item),
		.key = item->key + 1,
		.key_length = item->key_length - 1,
		.value = item->value,
		.value_length = item->value_length,
	};
}

/* A full map has room for a few changed pages where it has none for many. */
static int apply_halving(struct store *store, const struct store_op *ops, size_t count)
{
	int result = store_apply(store, ops, count);

	if (result == 0 || count <= 1)
		return result;
	result = apply_halving(store, ops, count / 2);
	if (result != 0)
		return result;
	return apply_halving(store, ops + count / 2, count - count / 2);
}

enum kind { KIND_DELETE, KIND_STATE, KIND_LEARNED, KIND_COUNT };

static enum kind kind_of(const struct queued *item)
{
	if (item->value == NULL)
		return KIND_DELETE;
	return is_state(table_of(item)) ? KIND_STATE : KIND_LEARNED;
}

/* What failed together is tried apart, for a delete needs less room than a put, and an own record
 * is worth more than a stranger's. What was learned is given up. */
static void chunk_retry(struct writer *writer, const struct chunk *all)
{
	struct chunk *part = memory_alloc(sizeof(*part));

	for (int kind = KIND_DELETE; kind <= KIND_STATE; kind++) {
		part->count = 0;
		for (size_t i = 0; i < all->count; i++)
			if ((int)kind_of(all->items[i]) == kind)
				chunk_add(part, all->items[i]);
		if (part->count == 0 || apply_halving(writer->store, part->ops, part->count) != 0)
			continue;
		for (size_t i = 0; i < part->count; i++)
			part->items[i]->failed = false;
	}
	free(part);
}

static int chunk_write(struct writer *writer, struct chunk *chunk)
{
	int result = store_apply(writer->store, chunk->ops, chunk->count);

	for (size_t i = 0; i < chunk->count; i++)
		chunk->items[i]->failed = result != 0;
	if (result != 0)
		chunk_retry(writer, chunk);
	chunk->count = 0;
	return result;
}

static void note_failure(struct writer *writer, int result, bool learned)
{
	if (!writer->failing)
		log_error("store: cannot write: %s; nothing new is kept until this is mended",
			  strerror(-result));
	writer->failing = true;
	writer->failing_learned |= learned;
	atomic_fetch_add(&writer->losses, learned);
	writer->failed_at_ms = clock_now_ms();
}

/* A full map refuses what is new and takes what only changes: it isn't over with the first success.
 */
static void note_success(struct writer *writer, bool learned)
{
	if (!writer->failing || (writer->failing_learned && !learned) ||
	    clock_now_ms() - writer->failed_at_ms < STEADY_MS)
		return;
	log_notice("store: writing works again");
	writer->failing = false;
	writer->failing_learned = false;
}

static void batch_write(struct writer *writer, struct queued *batch)
{
	struct chunk *chunk = memory_alloc(sizeof(*chunk));
	struct queued *item;
	bool learned = false;
	int result = 0;

	for (item = batch; item != NULL; item = item->hh.next) {
		learned |= kind_of(item) == KIND_LEARNED;
		chunk_add(chunk, item);
		if (chunk->count == CHUNK || item->hh.next == NULL) {
			int code = chunk_write(writer, chunk);

			result = result != 0 ? result : code;
		}
	}
	free(chunk);
	if (result != 0)
		note_failure(writer, result, learned);
	else
		note_success(writer, learned);
}

/* ---- the thread; all of it under the lock, which is given up while something is done ---- */

/* The queue, and what is to be tried again unless there is newer. */
static struct queued *batch_take(struct writer *writer)
{
	struct queued *item, *next, *newer;

	writer->writing = writer->queue;
	writer->queue = NULL;
	if (writer->kept == NULL || (!writer->stop && clock_now_ms() < writer->retry_due_ms))
		return writer->writing;
	HASH_ITER(hh, writer->kept, item, next) {
		HASH_DEL(writer->kept, item);
		HASH_FIND(hh, writer->writing, item->key, item->key_length, newer);
		if (newer == NULL) {
			HASH_ADD(hh, writer->writing, key, item->key_length, item);
			continue;
		}
		atomic_fetch_sub(&writer->waiting, 1);
		queued_free(item);
	}
	return writer->writing;
}

static void keep_failed_state(struct writer *writer)
{
	struct queued *item, *next, *older;

	HASH_ITER(hh, writer->writing, item, next) {
		HASH_FIND(hh, writer->kept, item->key, item->key_length, older);
		if (older != NULL && is_state(table_of(item))) { /* this one is newer */
			HASH_DEL(writer->kept, older);
			atomic_fetch_sub(&writer->waiting, 1);
			queued_free(older);
		}
		if (!item->failed || !is_state(table_of(item)))
			continue;
		HASH_DEL(writer->writing, item);
		HASH_ADD(hh, writer->kept, key, item->key_length, item);
		writer->retry_due_ms = clock_now_ms() + RETRY_MS;
	}
}

static void batch_do(struct writer *writer)
{
	struct queued *batch = batch_take(writer);

	if (batch == NULL)
		return;
	pthread_mutex_unlock(&writer->lock);
	batch_write(writer, batch);
	pthread_mutex_lock(&writer->lock);
	keep_failed_state(writer);
	atomic_fetch_sub(&writer->waiting, HASH_COUNT(writer->writing));
	queued_free_all(&writer->writing);
	writer->rounds++;
	pthread_cond_broadcast(&writer->settled);
}

static void chore_do(struct writer *writer)
{
	writer_chore chore = writer->chore;
	void *arg = writer->chore_arg;
	int64_t pause_ms;

	if (chore == NULL || writer->stop || clock_now_ms() < writer->chore_due_ms)
		return;
	writer->chore_runs = true;
	pthread_mutex_unlock(&writer->lock);
	pause_ms = chore(arg);
	pthread_mutex_lock(&writer->lock);
	writer->chore_runs = false;
	writer->chore_due_ms = clock_now_ms() + pause_ms;
	pthread_cond_broadcast(&writer->settled);
}

/* When the thread has something to do of its own. */
static int64_t due_ms(const struct writer *writer)
{
	int64_t due = writer->chore != NULL ? writer->chore_due_ms : NO_CHORE_SOON;

	if (writer->kept != NULL && writer->retry_due_ms < due)
		due = writer->retry_due_ms;
	return due;
}

static void work_wait(struct writer *writer)
{
	while (writer->queue == NULL && !writer->stop && clock_now_ms() < due_ms(writer)) {
		int64_t due = due_ms(writer);

		if (due == NO_CHORE_SOON)
			pthread_cond_wait(&writer->wake, &writer->lock);
		else
			clock_cond_wait(&writer->wake, &writer->lock, due);
	}
}

static void *writer_main(void *arg)
{
	struct writer *writer = arg;
	bool last = false;

	pthread_mutex_lock(&writer->lock);
	while (!last) {
		work_wait(writer);
		last = writer->stop; /* nobody queues any more: this batch is all there is */
		batch_do(writer);
		chore_do(writer);
	}
	pthread_mutex_unlock(&writer->lock);
	return NULL;
}

struct writer *writer_start(struct store *store)
{
	struct writer *writer = memory_alloc(sizeof(*writer));

	writer->store = store;
	pthread_mutex_init(&writer->lock, NULL);
	clock_cond_init(&writer->wake);
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
	queued_free_all(&writer->kept);
	pthread_cond_destroy(&writer->wake);
	pthread_cond_destroy(&writer->settled);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
}

void writer_set_chore(struct writer *writer, writer_chore chore, void *arg)
{
	pthread_mutex_lock(&writer->lock);
	while (writer->chore_runs)
		pthread_cond_wait(&writer->settled, &writer->lock);
	writer->chore = chore;
	writer->chore_arg = arg;
	writer->chore_due_ms = 0;
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
}

int writer_delete_now(struct writer *writer, const struct store_op *deletes, size_t count)
{
	return apply_halving(writer->store, deletes, count);
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

/* Under the lock. False when there is no room for it. */
static bool queue_replace(struct writer *writer, struct queued *item)
{
	struct queued *old;

	HASH_FIND(hh, writer->queue, item->key, item->key_length, old);
	if (old == NULL && !is_state(table_of(item)) && atomic_load(&writer->waiting) >= QUEUE_MAX)
		return false;
	if (old != NULL) {
		HASH_DEL(writer->queue, old);
		queued_free(old);
	} else {
		atomic_fetch_add(&writer->waiting, 1);
	}
	HASH_ADD(hh, writer->queue, key, item->key_length, item);
	return true;
}

/* Said once, until the queue was half empty again. */
static void note_overflow(struct writer *writer, bool taken)
{
	if (!taken && !atomic_exchange(&writer->overflowing, true))
		log_error("store: writing can't keep up, what is learned now is not kept");
	else if (taken && atomic_load(&writer->overflowing) &&
		 atomic_load(&writer->waiting) < QUEUE_MAX / 2 &&
		 atomic_exchange(&writer->overflowing, false))
		log_notice("store: writing keeps up again");
}

static void enqueue(struct writer *writer, enum store_table table, const void *key,
		    size_t key_length, const void *value, size_t value_length)
{
	unsigned char buffer[STORE_KEY_MAX + 1];
	struct queued *item;
	bool taken;

	if (key_length == 0 || key_length > STORE_KEY_MAX)
		return;
	item = queued_new(buffer, full_key(buffer, table, key, key_length), value, value_length);
	pthread_mutex_lock(&writer->lock);
	taken = queue_replace(writer, item);
	if (taken)
		pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
	if (!taken) {
		atomic_fetch_add(&writer->losses, 1);
		queued_free(item);
	}
	note_overflow(writer, taken);
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
		if (item == NULL)
			HASH_FIND(hh, writer->kept, buffer, full, item);
		if (item != NULL)
			result = queued_get(item, value, size, length);
		pthread_mutex_unlock(&writer->lock);
		if (item != NULL)
			return result;
	}
	return store_get(writer->store, table, key, key_length, value, size, length);
}

size_t writer_backlog(struct writer *writer)
{
	return atomic_load(&writer->waiting);
}

uint64_t writer_losses(struct writer *writer)
{
	return atomic_load(&writer->losses);
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
