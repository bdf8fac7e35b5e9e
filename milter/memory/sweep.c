/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sweep's place in the memory, its judgement, and its trust in the wall clock. The writer's
 * thread, but for sweep_configure().
 */
#include "memory/sweep.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "io/loop.h"

#define PIECE	       500 /* entries in one step: a read transaction of a fraction of a ms */
#define STEP_MS	       250 /* so 2,000 entries a second at most */
#define FIRST_MS       10000
#define REST_MS	       3600000 /* between two rounds */
#define AFTER_ERROR_MS 60000
#define PROGRESS_EVERY 10000 /* entries */
#define LOOK_MS	       5000  /* between rounds */
#define STEADY_MS      3600000
#define JUMP_SECONDS   2

struct looked_at {
	char key[RECIPIENT_KEY_MAX];
	size_t key_length;
	struct recipient_record record;
	bool is_record; /* else foreign or damaged bytes, or a newer version's: left alone */
};

struct sweep {
	struct sweep_settings settings;
	pthread_mutex_t lock; /* of `rules` */
	struct recipient_rules rules;
	struct looked_at *piece;
	size_t piece_count;
	struct store_op *deletes;
	size_t delete_count;
	char after[RECIPIENT_KEY_MAX]; /* the key looked at last */
	size_t after_length;	       /* 0: a round begins */
	int64_t next_ms;	       /* of the next step; 0: nothing was done yet */
	/* of the round */
	int64_t begun_ms;
	unsigned long looked, removed;
	struct recipient_totals totals;
	/* the domain that the place is in */
	char domain[MAIL_DOMAIN_MAX + 1];
	struct recipient_counts counts;
	/* the wall clock against the other one */
	struct sweep_time before;
	int64_t steady_since_ms;
};

void sweep_configure(struct sweep *sweep, const struct config *config)
{
	struct recipient_rules rules = recipients_rules(config);

	pthread_mutex_lock(&sweep->lock);
	sweep->rules = rules;
	pthread_mutex_unlock(&sweep->lock);
}

struct sweep *sweep_new(const struct sweep_settings *settings, const struct config *config)
{
	struct sweep *sweep = memory_alloc(sizeof(*sweep));

	sweep->settings = *settings;
	pthread_mutex_init(&sweep->lock, NULL);
	sweep->piece = memory_array(PIECE, sizeof(*sweep->piece));
	sweep->deletes = memory_array(PIECE, sizeof(*sweep->deletes));
	sweep_configure(sweep, config);
	return sweep;
}

void sweep_free(struct sweep *sweep)
{
	pthread_mutex_destroy(&sweep->lock);
	free(sweep->piece);
	free(sweep->deletes);
	free(sweep);
}

static int64_t step_now(void *arg)
{
	struct sweep_time now = { .ms = loop_now_ms(), .wall = loop_wall_seconds() };

	return sweep_step(arg, &now);
}

void sweep_start(struct sweep *sweep)
{
	writer_set_chore(sweep->settings.writer, step_now, sweep);
}

void sweep_stop(struct sweep *sweep)
{
	writer_set_chore(sweep->settings.writer, NULL, NULL);
}

/* A wall clock that jumps, as one does at boot or under a wrong time server, must not wipe what was
 * accepted: it is believed after it has gone along with the other clock for an hour. */
static bool wall_is_steady(struct sweep *sweep, const struct sweep_time *now)
{
	int64_t elapsed = (now->ms - sweep->before.ms) / 1000;
	int64_t drift = now->wall - sweep->before.wall - elapsed;
	bool begins = sweep->before.ms == 0;
	bool was_steady = !begins && now->ms - sweep->steady_since_ms >= STEADY_MS;

	sweep->before = *now;
	if (!begins && drift <= JUMP_SECONDS && drift >= -JUMP_SECONDS)
		return was_steady;
	if (was_steady)
		log_warning("sweep: the wall clock jumped by %llds: until it has run steadily for "
			    "an hour, nothing is removed for its age by that clock",
			    (long long)drift);
	sweep->steady_since_ms = now->ms;
	return false;
}

/* ---- a step ---- */

/* Only copies: what is to be thought about it is thought outside of the transaction. */
static bool look_at_one(void *arg, const void *key, size_t key_length, const void *value,
			size_t value_length)
{
	struct sweep *sweep = arg;
	struct looked_at *entry = &sweep->piece[sweep->piece_count];

	if (key_length > sizeof(entry->key))
		return true;
	memcpy(entry->key, key, key_length);
	entry->key_length = key_length;
	entry->is_record = recipient_record_read(&entry->record, value, value_length);
	return ++sweep->piece_count < PIECE;
}

static void enter_domain(struct sweep *sweep, const char *domain, size_t length)
{
	if (sweep->domain[0] != '\0')
		recipients_note_counts(sweep->settings.recipients, sweep->domain, &sweep->counts);
	memcpy(sweep->domain, domain, length);
	sweep->domain[length] = '\0';
	memset(&sweep->counts, 0, sizeof(sweep->counts));
}

static void era_begin(struct sweep *sweep, const struct sweep_time *now, struct recipient_era *era)
{
	era->clock = (struct recipient_clock){ .now = now->wall };
	era->is_ours = sweep->settings.clock(sweep->settings.clock_arg, sweep->domain, now->wall,
					     &era->clock);
}

static void count_entry(struct sweep *sweep, enum recipient_status status)
{
	recipient_counts_add(&sweep->counts, status);
	sweep->totals.of[status]++;
}

static void piece_judge(struct sweep *sweep, const struct sweep_time *now, bool steady)
{
	struct recipient_era era = { .wall_is_steady = steady };
	struct recipient_rules rules;
	bool begun = false;

	pthread_mutex_lock(&sweep->lock);
	rules = sweep->rules;
	pthread_mutex_unlock(&sweep->lock);
	sweep->delete_count = 0;
	for (size_t i = 0; i < sweep->piece_count; i++) {
		struct looked_at *entry = &sweep->piece[i];
		size_t length = strnlen(entry->key, entry->key_length);

		if (!entry->is_record || length == entry->key_length || length > MAIL_DOMAIN_MAX)
			continue;
		if (strcmp(sweep->domain, entry->key) != 0) {
			enter_domain(sweep, entry->key, length);
			begun = false;
		}
		if (!begun)
			era_begin(sweep, now, &era);
		begun = true;
		if (recipient_is_dead(&entry->record, &rules, &era))
			sweep->deletes[sweep->delete_count++] = (struct store_op){
				.table = STORE_RECIPIENTS,
				.key = entry->key,
				.key_length = entry->key_length,
			};
		else
			count_entry(sweep,
				    recipient_status_now(&entry->record, &rules, &era.clock));
	}
}

static void round_end(struct sweep *sweep, const struct sweep_time *now)
{
	enter_domain(sweep, "", 0);
	log_info("sweep: looked=%lu removed=%lu took=%llds", sweep->looked, sweep->removed,
		 (long long)(now->ms - sweep->begun_ms) / 1000);
	recipients_note_totals(sweep->settings.recipients, &sweep->totals);
	memset(&sweep->totals, 0, sizeof(sweep->totals));
	sweep->after_length = 0;
	sweep->looked = sweep->removed = 0;
}

static int64_t piece_done(struct sweep *sweep, const struct sweep_time *now)
{
	const struct looked_at *last;
	unsigned long before = sweep->looked;

	sweep->looked += sweep->piece_count;
	sweep->removed += sweep->delete_count;
	if (sweep->looked / PROGRESS_EVERY != before / PROGRESS_EVERY)
		log_debug("sweep: so far looked=%lu removed=%lu", sweep->looked, sweep->removed);
	if (sweep->piece_count < PIECE) {
		round_end(sweep, now);
		return REST_MS;
	}
	last = &sweep->piece[PIECE - 1];
	memcpy(sweep->after, last->key, last->key_length);
	sweep->after_length = last->key_length;
	return STEP_MS;
}

static int64_t sweep_piece(struct sweep *sweep, const struct sweep_time *now, bool steady)
{
	struct store_range range = {
		.table = STORE_RECIPIENTS,
		.after = sweep->after,
		.after_length = sweep->after_length,
	};

	if (sweep->after_length == 0)
		sweep->begun_ms = now->ms;
	sweep->piece_count = 0;
	if (store_scan(writer_store(sweep->settings.writer), &range, look_at_one, sweep) != 0)
		return AFTER_ERROR_MS;
	piece_judge(sweep, now, steady);
	if (sweep->delete_count > 0 &&
	    writer_delete_now(sweep->settings.writer, sweep->deletes, sweep->delete_count) != 0)
		return AFTER_ERROR_MS; /* the same ones again */
	return piece_done(sweep, now);
}

int64_t sweep_step(struct sweep *sweep, const struct sweep_time *now)
{
	int64_t drop_ms = recipients_drop_step(sweep->settings.recipients);
	bool steady = wall_is_steady(sweep, now);
	int64_t pause_ms;

	if (sweep->next_ms == 0)
		sweep->next_ms = now->ms + FIRST_MS;
	if (now->ms >= sweep->next_ms)
		sweep->next_ms = now->ms + sweep_piece(sweep, now, steady);
	pause_ms = sweep->next_ms - now->ms;
	if (drop_ms >= 0 && drop_ms < pause_ms)
		pause_ms = drop_ms;
	/* the clocks are compared, and drops looked for, between rounds too */
	return pause_ms < LOOK_MS ? pause_ms : LOOK_MS;
}
