/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ranges of time whose acceptances are deleted, by domain. The table is behind a lock; each row is
 * a record "drop:DOMAIN" in the store's meta table as well, until it is done.
 */
#include "memory/drops.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#define KEY_PREFIX     "drop:"
#define PIECE	       500 /* entries looked at in one step */
#define STEP_MS	       25
#define AFTER_ERROR_MS 30000

struct span {
	int64_t since, until;
};

struct drop {
	UT_hash_handle hh;
	char domain[MAIL_DOMAIN_MAX + 1];
	struct span span;
	char after[RECIPIENT_KEY_MAX]; /* the key looked at last */
	size_t after_length;	       /* 0: begins */
};

struct drops {
	struct writer *writer;
	pthread_mutex_t lock; /* of `all` */
	struct drop *all;
	atomic_size_t count; /* of them, to spare readers the lock */
};

static size_t store_key(char key[sizeof(KEY_PREFIX) + MAIL_DOMAIN_MAX], const char *domain)
{
	memcpy(key, KEY_PREFIX, sizeof(KEY_PREFIX) - 1);
	text_copy(key + sizeof(KEY_PREFIX) - 1, MAIL_DOMAIN_MAX + 1, domain);
	return strlen(key);
}

/* Under the lock, or before there are others. The range that is there grows, and is gone through
 * anew. */
static struct span drop_extend(struct drops *drops, const char *domain, struct span span)
{
	struct drop *drop;

	HASH_FIND_STR(drops->all, domain, drop);
	if (drop == NULL) {
		drop = memory_alloc(sizeof(*drop));
		text_copy(drop->domain, sizeof(drop->domain), domain);
		drop->span = span;
		HASH_ADD_STR(drops->all, domain, drop);
		atomic_fetch_add(&drops->count, 1);
	}
	if (span.since < drop->span.since)
		drop->span.since = span.since;
	if (span.until > drop->span.until)
		drop->span.until = span.until;
	drop->after_length = 0;
	return drop->span;
}

static bool take_stored(void *arg, const void *key, size_t key_length, const void *value,
			size_t value_length)
{
	char domain[MAIL_DOMAIN_MAX + 1];
	size_t length = key_length - (sizeof(KEY_PREFIX) - 1);
	struct span span;

	if (length >= sizeof(domain) || value_length != sizeof(span))
		return true;
	memcpy(domain, (const char *)key + sizeof(KEY_PREFIX) - 1, length);
	domain[length] = '\0';
	memcpy(&span, value, sizeof(span));
	drop_extend(arg, domain, span);
	return true;
}

struct drops *drops_new(struct writer *writer)
{
	struct drops *drops = memory_alloc(sizeof(*drops));

	drops->writer = writer;
	pthread_mutex_init(&drops->lock, NULL);
	store_scan(writer_store(writer),
		   &(struct store_range){ .table = STORE_META,
					  .prefix = KEY_PREFIX,
					  .prefix_length = sizeof(KEY_PREFIX) - 1 },
		   take_stored, drops);
	return drops;
}

static void drop_remove(struct drops *drops, struct drop *drop)
{
	HASH_DEL(drops->all, drop);
	atomic_fetch_sub(&drops->count, 1);
	free(drop);
}

void drops_free(struct drops *drops)
{
	struct drop *drop, *next;

	HASH_ITER(hh, drops->all, drop, next)
		drop_remove(drops, drop);
	pthread_mutex_destroy(&drops->lock);
	free(drops);
}

void drops_add(struct drops *drops, const char *domain, int64_t since, int64_t until)
{
	char key[sizeof(KEY_PREFIX) + MAIL_DOMAIN_MAX];
	size_t key_length = store_key(key, domain);
	struct span span = { .since = since, .until = until };

	pthread_mutex_lock(&drops->lock);
	span = drop_extend(drops, domain, span);
	pthread_mutex_unlock(&drops->lock);
	writer_put(drops->writer, STORE_META, key, key_length, &span, sizeof(span));
}

static bool is_in(const struct span *span, const struct recipient_record *record)
{
	return record->kind == RECIPIENT_KIND_VALID && record->source == RECIPIENT_SOURCE_CALLOUT &&
	       record->verified >= span->since && record->verified <= span->until;
}

bool drops_cover(struct drops *drops, const char *domain, const struct recipient_record *record)
{
	struct drop *drop;
	bool covered;

	if (atomic_load(&drops->count) == 0)
		return false;
	pthread_mutex_lock(&drops->lock);
	HASH_FIND_STR(drops->all, domain, drop);
	covered = drop != NULL && is_in(&drop->span, record);
	pthread_mutex_unlock(&drops->lock);
	return covered;
}

/* ---- the work ---- */

struct piece {
	struct drop drop; /* a copy */
	size_t looked;
	size_t count; /* of what is to be deleted */
	char keys[PIECE][RECIPIENT_KEY_MAX];
	struct store_op deletes[PIECE];
};

/* What is newer than the store is written after this, and wins. */
static bool look_at_one(void *arg, const void *key, size_t key_length, const void *value,
			size_t value_length)
{
	struct piece *piece = arg;
	struct recipient_record record;

	if (key_length > RECIPIENT_KEY_MAX)
		return true;
	if (recipient_record_read(&record, value, value_length) &&
	    is_in(&piece->drop.span, &record)) {
		memcpy(piece->keys[piece->count], key, key_length);
		piece->deletes[piece->count] = (struct store_op){
			.table = STORE_RECIPIENTS,
			.key = piece->keys[piece->count],
			.key_length = key_length,
		};
		piece->count++;
	}
	memcpy(piece->drop.after, key, key_length);
	piece->drop.after_length = key_length;
	return ++piece->looked < PIECE;
}

static bool piece_do(struct drops *drops, struct piece *piece)
{
	char prefix[RECIPIENT_KEY_MAX];
	char after[RECIPIENT_KEY_MAX];
	struct store_range range = {
		.table = STORE_RECIPIENTS,
		.prefix = prefix,
		.prefix_length = recipient_key(prefix, piece->drop.domain, ""),
		.after = after,
		.after_length = piece->drop.after_length,
	};

	memcpy(after, piece->drop.after, piece->drop.after_length);
	return store_scan(writer_store(drops->writer), &range, look_at_one, piece) == 0 &&
	       (piece->count == 0 ||
		writer_delete_now(drops->writer, piece->deletes, piece->count) == 0);
}

/* Goes on behind the piece, or ends; unless the range has grown meanwhile. */
static void piece_done(struct drops *drops, const struct piece *piece)
{
	char key[sizeof(KEY_PREFIX) + MAIL_DOMAIN_MAX];
	struct drop *drop;
	bool is_last = false;

	pthread_mutex_lock(&drops->lock);
	HASH_FIND_STR(drops->all, piece->drop.domain, drop);
	if (memcmp(&drop->span, &piece->drop.span, sizeof(drop->span)) == 0) {
		memcpy(drop->after, piece->drop.after, piece->drop.after_length);
		drop->after_length = piece->drop.after_length;
		is_last = piece->looked < PIECE;
	}
	/* before it could be added again: the store's record follows the table's row */
	if (is_last) {
		writer_delete(drops->writer, STORE_META, key, store_key(key, drop->domain));
		drop_remove(drops, drop);
	}
	pthread_mutex_unlock(&drops->lock);
	if (is_last)
		log_info("recipients: domain=%s accepts any recipient, what it accepted before is "
			 "forgotten",
			 piece->drop.domain);
}

/* What was learned before the range ended may still be queued. It is written when the range's own
 * record is, which was queued later. */
static bool is_written(struct drops *drops, const struct drop *drop)
{
	char key[sizeof(KEY_PREFIX) + MAIL_DOMAIN_MAX];
	struct span span;
	size_t length = 0;

	return store_get(writer_store(drops->writer), STORE_META, key, store_key(key, drop->domain),
			 &span, sizeof(span), &length) == STORE_FOUND &&
	       length == sizeof(span) && memcmp(&span, &drop->span, sizeof(span)) == 0;
}

int64_t drops_step(struct drops *drops)
{
	struct piece *piece;
	int64_t pause_ms = AFTER_ERROR_MS;

	if (atomic_load(&drops->count) == 0)
		return -1;
	piece = memory_alloc(sizeof(*piece));
	pthread_mutex_lock(&drops->lock);
	piece->drop = *drops->all;
	pthread_mutex_unlock(&drops->lock);
	if (!is_written(drops, &piece->drop)) {
		pause_ms = STEP_MS;
	} else if (piece_do(drops, piece)) {
		piece_done(drops, piece);
		pause_ms = STEP_MS;
	}
	free(piece);
	return pause_ms;
}
