/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Persistent senders in a table of fixed size: buckets of rows, found by a keyed hash, so that
 * nobody outside can choose whom to push out. Untouched pages of it cost nothing. One lock; any
 * thread.
 */
#include "memory/senders.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/log_valve.h"

#define BUCKETS		 65536
#define BUCKET_ROWS	 16
#define NETWORKS	 65536
#define ROWS_PER_NETWORK 20000
#define SWEEP_AT_QUOTA	 256
#define CLEARED_MAX	 64

struct slot {
	uint64_t key; /* 0: empty */
	struct persistent_row row;
	uint32_t network; /* index into `networks` */
};

struct senders {
	pthread_mutex_t lock;
	struct writer *writer;
	struct secret secret;
	struct slot (*buckets)[BUCKET_ROWS];
	uint32_t *networks; /* rows per client network, by a hash of it */
	size_t count;
	size_t swept; /* the bucket that is swept next */
};

struct record {
	uint32_t first, last, became, attempts, network;
};

/* What one attempt changed, to be told to the store when the lock is open again. */
struct change {
	uint64_t cleared[CLEARED_MAX]; /* keys */
	size_t cleared_count;
	struct slot kept; /* key 0: none */
};

static void change_save(struct senders *senders, const struct change *change)
{
	const struct slot *slot = &change->kept;
	struct record record = { slot->row.first, slot->row.last, slot->row.became,
				 slot->row.attempts, slot->network };

	for (size_t i = 0; i < change->cleared_count; i++)
		writer_delete(senders->writer, STORE_SENDERS, &change->cleared[i],
			      sizeof(change->cleared[i]));
	if (slot->key != 0)
		writer_put(senders->writer, STORE_SENDERS, &slot->key, sizeof(slot->key), &record,
			   sizeof(record));
}

static void slot_clear(struct senders *senders, struct slot *slot, struct change *change)
{
	if (slot->key == 0)
		return;
	senders->networks[slot->network]--;
	senders->count--;
	change->cleared[change->cleared_count++] = slot->key;
	memset(slot, 0, sizeof(*slot));
}

/* Whether `a` should go before `b`: those who tried once, then the oldest. */
static bool goes_first(const struct slot *a, const struct slot *b)
{
	bool a_single = a->row.attempts <= 1;
	bool b_single = b->row.attempts <= 1;

	if (a_single != b_single)
		return a_single;
	return a->row.last < b->row.last;
}

static struct slot *slot_find(struct senders *senders, uint64_t key)
{
	struct slot *bucket = senders->buckets[key % BUCKETS];

	for (size_t i = 0; i < BUCKET_ROWS; i++)
		if (bucket[i].key == key)
			return &bucket[i];
	return NULL;
}

/* A free slot in the key's bucket, made free if need be. */
static struct slot *slot_make_room(struct senders *senders, uint64_t key, int64_t now,
				   struct change *change)
{
	struct slot *bucket = senders->buckets[key % BUCKETS];
	struct slot *victim = &bucket[0];

	for (size_t i = 0; i < BUCKET_ROWS; i++) {
		if (bucket[i].key == 0)
			return &bucket[i];
		if (persistent_row_forgotten(&bucket[i].row, now)) {
			victim = &bucket[i];
			break;
		}
		if (goes_first(&bucket[i], victim))
			victim = &bucket[i];
	}
	slot_clear(senders, victim, change);
	return victim;
}

static bool load_one(void *arg, const void *key, size_t key_length, const void *value,
		     size_t value_length)
{
	struct senders *senders = arg;
	struct record record;
	struct slot *slot;
	uint64_t number;

	if (key_length != sizeof(number) || value_length != sizeof(record))
		return true;
	memcpy(&number, key, sizeof(number));
	memcpy(&record, value, sizeof(record));
	if (number == 0 || record.network >= NETWORKS || slot_find(senders, number) != NULL)
		return true;
	slot = senders->buckets[number % BUCKETS];
	for (size_t i = 0; i < BUCKET_ROWS; i++, slot++) {
		if (slot->key != 0)
			continue;
		slot->key = number;
		slot->row = (struct persistent_row){ record.first, record.last, record.became,
						     record.attempts };
		slot->network = record.network;
		senders->networks[slot->network]++;
		senders->count++;
		break;
	}
	return true;
}

/* Takes forgotten rows away, some buckets at each call, so that all have their turn. */
static void sweep(struct senders *senders, size_t buckets, int64_t now, struct change *change)
{
	for (; buckets > 0; buckets--) {
		struct slot *bucket = senders->buckets[senders->swept++ % BUCKETS];

		for (size_t i = 0; i < BUCKET_ROWS; i++) {
			if (bucket[i].key == 0 || !persistent_row_forgotten(&bucket[i].row, now))
				continue;
			if (change->cleared_count + 1 ==
			    CLEARED_MAX) /* one is for whom we make room */
				return;
			slot_clear(senders, &bucket[i], change);
		}
	}
}

struct senders *senders_new(struct writer *writer, const struct secret *secret)
{
	struct senders *senders = memory_alloc(sizeof(*senders));

	pthread_mutex_init(&senders->lock, NULL);
	senders->writer = writer;
	senders->secret = *secret;
	senders->buckets = memory_array(BUCKETS, sizeof(*senders->buckets));
	senders->networks = memory_array(NETWORKS, sizeof(*senders->networks));
	store_scan(writer_store(writer), &(struct store_range){ .table = STORE_SENDERS }, load_one,
		   senders);
	return senders;
}

void senders_free(struct senders *senders)
{
	pthread_mutex_destroy(&senders->lock);
	free(senders->buckets);
	free(senders->networks);
	free(senders);
}

static uint64_t key_of(const struct senders *senders, const struct sender_attempt *attempt)
{
	char identity[PERSISTENT_IDENTITY_MAX];
	const char *parts[] = { "sender", identity, attempt->sender, attempt->recipient };
	uint64_t key;

	persistent_client_identity(attempt->client_name, attempt->client, identity,
				   sizeof(identity));
	key = secret_hash(&senders->secret, parts, sizeof(parts) / sizeof(parts[0]));
	return key != 0 ? key : 1;
}

static uint32_t network_of(const struct senders *senders, const struct ip *client)
{
	struct ip_network network = ip_client_network(client);
	char text[IP_TEXT_MAX];
	const char *parts[] = { "network", ip_format(&network.ip, text, sizeof(text)) };

	return (uint32_t)(secret_hash(&senders->secret, parts, 2) % NETWORKS);
}

static struct sender_standing standing_of(const struct slot *slot, int64_t now)
{
	return (struct sender_standing){
		.persistent = persistent_row_holds(&slot->row, now),
		.persistent_long = persistent_row_is_long(&slot->row, now),
		.attempts = slot->row.attempts,
	};
}

static void say_quota(const struct ip *client)
{
	char address[IP_TEXT_MAX];

	log_limit_reached(LOG_LIMIT_SENDERS_PER_NETWORK, "client",
			  ip_format_literal(client, address, sizeof(address)));
}

struct sender_standing senders_attempt(struct senders *senders,
				       const struct sender_attempt *attempt,
				       const struct persistent_rules *rules, int64_t now)
{
	uint64_t key = key_of(senders, attempt);
	uint32_t network = network_of(senders, attempt->client);
	struct sender_standing standing = { .persistent = false };
	struct change change = { .cleared_count = 0 };
	struct persistent_row before;
	struct slot *slot;

	pthread_mutex_lock(&senders->lock);
	sweep(senders, senders->networks[network] < ROWS_PER_NETWORK ? 1 : SWEEP_AT_QUOTA, now,
	      &change);
	slot = slot_find(senders, key);
	if (slot == NULL && senders->networks[network] < ROWS_PER_NETWORK) {
		slot = slot_make_room(senders, key, now, &change);
		slot->key = key;
		slot->network = network;
		senders->networks[network]++;
		senders->count++;
	}
	if (slot != NULL) {
		before = slot->row;
		persistent_row_feed(&slot->row, rules, now);
		if (memcmp(&before, &slot->row, sizeof(before)) != 0)
			change.kept = *slot;
		standing = standing_of(slot, now);
	}
	pthread_mutex_unlock(&senders->lock);
	if (slot == NULL)
		say_quota(attempt->client);
	change_save(senders, &change);
	return standing;
}

struct sender_standing senders_look(struct senders *senders, const struct sender_attempt *attempt,
				    int64_t now)
{
	struct sender_standing standing = { .persistent = false };
	struct slot *slot;
	uint64_t key = key_of(senders, attempt);

	pthread_mutex_lock(&senders->lock);
	slot = slot_find(senders, key);
	if (slot != NULL)
		standing = standing_of(slot, now);
	pthread_mutex_unlock(&senders->lock);
	return standing;
}

size_t senders_count(struct senders *senders)
{
	size_t count;

	pthread_mutex_lock(&senders->lock);
	count = senders->count;
	pthread_mutex_unlock(&senders->lock);
	return count;
}
