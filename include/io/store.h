/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A store of small records under byte-string keys: what must survive a restart.
 *
 * An interface with two implementations: LMDB on disk, and memory for tests. Reads may come from
 * any thread at any time and never wait for a write. Writes come from one thread (io/writer.h).
 *
 * "Could not read" is a result of its own, all the way up: it is never "not there".
 */
#ifndef BACKUPMX_IO_STORE_H
#define BACKUPMX_IO_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_table {
	STORE_META,	  /* the secret and such */
	STORE_RECIPIENTS, /* core/recipient.h */
	STORE_DOMAINS,	  /* a domain's state, clock and last good set: JSON */
	STORE_ENDPOINTS,  /* an endpoint's state: JSON */
	STORE_SENDERS,	  /* persistent senders */
	STORE_CANARIES,	  /* a domain's canaries: JSON */
	STORE_HISTORY,	  /* a domain's days and outages: watch/history.h */
	STORE_TABLE_COUNT
};

enum store_result { STORE_FOUND, STORE_ABSENT, STORE_FAILED };

#define STORE_KEY_MAX 511 /* LMDB's limit */

struct store_op {
	enum store_table table;
	const void *key;
	size_t key_length;
	const void *value; /* NULL: delete the key */
	size_t value_length;
};

/* Returns false to stop the scan. The pointers are valid during the call only. */
typedef bool (*store_visitor)(void *arg, const void *key, size_t key_length, const void *value,
			      size_t value_length);

/* The keys that begin with `prefix` (length 0: all), from the first one behind `after` on (length
 * 0: from the first). */
struct store_range {
	enum store_table table;
	const void *prefix;
	size_t prefix_length;
	const void *after;
	size_t after_length;
};

struct store {
	const struct store_methods *methods;
};

struct store_methods {
	enum store_result (*get)(struct store *store, enum store_table table, const void *key,
				 size_t key_length, void *value, size_t size, size_t *length);
	int (*apply)(struct store *store, const struct store_op *ops, size_t count);
	int (*scan)(struct store *store, const struct store_range *range, store_visitor visit,
		    void *arg);
	int64_t (*bytes)(struct store *store);
	int64_t (*entries)(struct store *store, enum store_table table);
	void (*close)(struct store *store);
};

/* Opens the LMDB file `path` (made when missing, mode 0600). One that can't be read is renamed to
 * "PATH.corrupt-TIME" and an empty one is begun; *set_aside tells. NULL and a phrase in *why when
 * even that fails. With `check` every record is read once first, in a child process, because LMDB
 * trusts what it maps: damage in the middle of a file is a signal, not an error code. (A small file
 * is checked always.) So call it before any thread is started; and after any fork that is to stay,
 * once per process. */
struct store *store_lmdb_open(const char *path, size_t map_size, bool check, bool *set_aside,
			      const char **why);
struct store *store_memory_new(void);

/* Copies the value. STORE_FAILED also when it is larger than `size`. Any thread. */
enum store_result store_get(struct store *store, enum store_table table, const void *key,
			    size_t key_length, void *value, size_t size, size_t *length);
/* All of it or nothing, durable when it returns 0; else -errno (-ENOSPC: disk or map full). */
int store_apply(struct store *store, const struct store_op *ops, size_t count);
/* Visits the keys of the range, in order, in one consistent view. 0 or -errno. Keep it short: a
 * long read keeps old pages alive; go on behind the last key in another one. */
int store_scan(struct store *store, const struct store_range *range, store_visitor visit,
	       void *arg);
int64_t store_bytes(struct store *store);
int64_t store_entries(struct store *store, enum store_table table); /* -1: can't tell */
void store_close(struct store *store);

#endif
