/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Write-behind over a store: a thread that writes what others queue, in batches.
 *
 * A reader who asks through the writer sees what is queued before it is on disk. When the disk or
 * the map is full, or the queue has grown past its bound, what was learned (recipients, senders) is
 * dropped and the log says so once: learning stops, answering goes on (promise P7). Our own state
 * (all other tables) stays queued and is tried again until it is written. Any thread.
 */
#ifndef BACKUPMX_IO_WRITER_H
#define BACKUPMX_IO_WRITER_H

#include "io/store.h"

struct writer;

/* Starts the thread. The store stays the caller's and must outlive the writer. */
struct writer *writer_start(struct store *store);
/* Writes what is queued, ends the thread, frees. */
void writer_stop(struct writer *writer);

void writer_put(struct writer *writer, enum store_table table, const void *key, size_t key_length,
		const void *value, size_t value_length);
void writer_delete(struct writer *writer, enum store_table table, const void *key,
		   size_t key_length);
enum store_result writer_get(struct writer *writer, enum store_table table, const void *key,
			     size_t key_length, void *value, size_t size, size_t *length);

/* Something to do on the writer's thread between two batches: nobody writes to the store meanwhile,
 * and what is queued is newer than what the store says and will win. Returns after how many
 * milliseconds it wants to be called again. One at a time; setting another, or NULL, waits until
 * the one that runs has returned. */
typedef int64_t (*writer_chore)(void *arg);
void writer_set_chore(struct writer *writer, writer_chore chore, void *arg);
/* Deletes in the store, all that a full map leaves room for: 0 when it was all, else -errno. For
 * the chore only. */
int writer_delete_now(struct writer *writer, const struct store_op *deletes, size_t count);
/* How many writes wait: to hold back whoever has much to write. And how often something that was
 * queued had to be given up, since the start. Any thread. */
size_t writer_backlog(struct writer *writer);
uint64_t writer_losses(struct writer *writer);

/* Waits until everything queued before the call was tried. Not for the loop in normal work. */
void writer_settle(struct writer *writer);
struct store *writer_store(struct writer *writer);

#endif
