/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sweep removes what counts no more and nothing else (promises P1, P7), a piece at a time; and
 * what a catch-all accepted goes at once for those who ask, and by and by from the store.
 */
#include "memory/sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/memory.h"
#include "conf/config.h"
#include "io/loop.h"
#include "memory/recipient_lists.h"

#define HOUR  3600LL
#define DAY   (24 * HOUR)
#define START 1700000000LL
#define UP    (1000 * DAY) /* the domain's observed-up clock at START */

struct world {
	struct store *store;
	struct writer *writer;
	struct recipients *recipients;
	struct sweep *sweep;
	struct loop *loop;
	struct config *config;
	struct recipient_lists *lists;
	struct sweep_time now;
	struct recipient_clock clock; /* of ours.test */
};

static bool clock_of(void *arg, const char *domain, int64_t wall, struct recipient_clock *clock)
{
	struct world *world = arg;

	if (strcmp(domain, "ours.test") != 0)
		return false;
	*clock = world->clock;
	clock->now = wall;
	return true;
}

/* The defaults; with a state_dir that is not there, for nothing of it is needed. */
static struct config *load_config(void)
{
	static const char text[] = "[milter]\nstate_dir = /nonexistent\n";
	char path[] = "/tmp/test_sweep.XXXXXX";
	struct config_errors errors = { .lines = NULL };
	struct config *config = NULL;
	int fd = mkstemp(path);

	if (fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1)
		config = config_load(path, &errors);
	for (size_t i = 0; i < errors.count; i++)
		print_error("%s\n", errors.lines[i]);
	config_errors_fini(&errors);
	close(fd);
	unlink(path);
	assert_non_null(config);
	return config;
}

static int setup(void **state)
{
	struct world *world = memory_alloc(sizeof(*world));
	struct sweep_settings settings = { .clock = clock_of, .clock_arg = world };

	world->config = load_config();
	world->loop = loop_new();
	world->lists = recipient_lists_new(world->loop, world->config);
	world->store = store_memory_new();
	world->writer = settings.writer = writer_start(world->store);
	world->recipients = settings.recipients = recipients_new(world->writer, world->lists);
	world->sweep = sweep_new(&settings, world->config);
	world->now = (struct sweep_time){ .ms = 1000, .wall = START };
	world->clock = (struct recipient_clock){ .up = UP, .primary_up = true };
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	sweep_free(world->sweep);
	recipients_free(world->recipients);
	writer_stop(world->writer);
	store_close(world->store);
	recipient_lists_free(world->lists);
	loop_free(world->loop);
	config_put(world->config);
	free(world);
	return 0;
}

static void put(struct world *world, const char *domain, const char *local,
		const struct recipient_record *record)
{
	char key[RECIPIENT_KEY_MAX];
	unsigned char bytes[RECIPIENT_RECORD_MAX];
	struct store_op op = { .table = STORE_RECIPIENTS, .key = key, .value = bytes };

	op.key_length = recipient_key(key, domain, local);
	op.value_length = recipient_record_write(record, bytes);
	assert_int_equal(store_apply(world->store, &op, 1), 0);
}

static bool is_there(struct world *world, const char *domain, const char *local)
{
	char key[RECIPIENT_KEY_MAX];
	unsigned char bytes[RECIPIENT_RECORD_MAX];
	size_t length;

	return store_get(world->store, STORE_RECIPIENTS, key, recipient_key(key, domain, local),
			 bytes, sizeof(bytes), &length) == STORE_FOUND;
}

/* Lets time pass for both clocks, with the steps that the sweep asks for. */
static void pass(struct world *world, int64_t seconds)
{
	int64_t until = world->now.ms + seconds * 1000;

	while (world->now.ms < until) {
		int64_t pause = sweep_step(world->sweep, &world->now);

		assert_true(pause > 0);
		if (pause > until - world->now.ms)
			pause = until - world->now.ms;
		world->now.ms += pause;
		world->now.wall = START + world->now.ms / 1000;
	}
}

static struct recipient_record record_of(enum recipient_kind kind, int64_t age, int64_t age_up)
{
	return (struct recipient_record){ .kind = kind,
					  .source = RECIPIENT_SOURCE_CALLOUT,
					  .verified = START - age,
					  .verified_up = UP - age_up };
}

struct expected {
	const char *name;
	enum recipient_kind kind;
	int64_t age, age_up;
	bool brief;
	bool has_former;	     /* then verified as long before the refusal as `former_age` */
	int64_t former_age;	     /* by both clocks */
	bool ours_stays, gone_stays; /* after three hours with steady clocks */
};

static const struct expected table[] = {
	{ .name = "fresh", .kind = RECIPIENT_KIND_VALID, .ours_stays = true, .gone_stays = true },
	{ .name = "month",
	  .kind = RECIPIENT_KIND_VALID,
	  .age = 30 * DAY,
	  .age_up = 30 * DAY,
	  .ours_stays = true,
	  .gone_stays = true },
	/* an outage of a year takes no time (P1); a domain that left may come back */
	{ .name = "outage",
	  .kind = RECIPIENT_KIND_VALID,
	  .age = 390 * DAY,
	  .age_up = 30 * DAY,
	  .ours_stays = true,
	  .gone_stays = true },
	{ .name = "old",
	  .kind = RECIPIENT_KIND_VALID,
	  .age = 32 * DAY,
	  .age_up = 32 * DAY,
	  .gone_stays = true },
	{ .name = "ancient", .kind = RECIPIENT_KIND_VALID, .age = 401 * DAY, .age_up = 1 * DAY },
	{ .name = "future",
	  .kind = RECIPIENT_KIND_VALID,
	  .age = -900 * DAY,
	  .age_up = 1 * DAY,
	  .ours_stays = true,
	  .gone_stays = true },
	{ .name = "refused-old", .kind = RECIPIENT_KIND_INVALID, .age = 2 * HOUR },
	{ .name = "refused-brief", .kind = RECIPIENT_KIND_INVALID, .age = 600, .brief = true },
	{ .name = "refused-future", .kind = RECIPIENT_KIND_INVALID, .age = -9 * DAY },
	{ .name = "refused-former",
	  .kind = RECIPIENT_KIND_INVALID,
	  .age = 3 * HOUR,
	  .has_former = true,
	  .former_age = DAY,
	  .gone_stays = true },
	{ .name = "refused-former-old",
	  .kind = RECIPIENT_KIND_INVALID,
	  .age = 3 * HOUR,
	  .has_former = true,
	  .former_age = 401 * DAY },
};

static void test_what_goes_and_what_stays(void **state)
{
	struct world *world = *state;
	size_t count = sizeof(table) / sizeof(table[0]);

	for (size_t i = 0; i < count; i++) {
		const struct expected *row = &table[i];
		struct recipient_record record = record_of(row->kind, row->age, row->age_up);

		record.brief = row->brief;
		record.has_former = row->has_former;
		record.former_source = RECIPIENT_SOURCE_CALLOUT;
		record.former_verified = record.verified - row->former_age;
		record.former_verified_up = record.verified_up - row->former_age;
		put(world, "ours.test", row->name, &record);
		put(world, "gone.test", row->name, &record);
	}
	pass(world, 3 * HOUR);
	for (size_t i = 0; i < count; i++) {
		if (is_there(world, "ours.test", table[i].name) != table[i].ours_stays)
			fail_msg("%s@ours.test: there is %d", table[i].name, !table[i].ours_stays);
		if (is_there(world, "gone.test", table[i].name) != table[i].gone_stays)
			fail_msg("%s@gone.test: there is %d", table[i].name, !table[i].gone_stays);
	}
}

static void test_a_young_refusal_stays(void **state)
{
	struct world *world = *state;
	struct recipient_record young = record_of(RECIPIENT_KIND_INVALID, HOUR, 0);

	put(world, "ours.test", "refused", &young);
	pass(world, HOUR / 2);
	assert_true(is_there(world, "ours.test", "refused"));
	pass(world, 2 * HOUR);
	assert_false(is_there(world, "ours.test", "refused"));
}

/* The domain's own entry says when it was last asked: that is state, for as long as it is ours. */
static void test_the_domains_own_entry(void **state)
{
	struct world *world = *state;
	struct recipient_record no = record_of(RECIPIENT_KIND_NO_CATCH_ALL, 500 * DAY, 500 * DAY);
	struct recipient_record lately = record_of(RECIPIENT_KIND_CATCH_ALL, 90 * DAY, 90 * DAY);

	put(world, "ours.test", "", &no);
	put(world, "gone.test", "", &no);
	put(world, "away.test", "", &lately);
	pass(world, 3 * HOUR);
	assert_true(is_there(world, "ours.test", ""));
	assert_false(is_there(world, "gone.test", ""));
	assert_true(is_there(world, "away.test", ""));
}

/* While a primary was sick its refusals meant nothing: then the acceptance before is what counts.
 */
static void test_a_refusal_in_doubt_keeps_the_acceptance(void **state)
{
	struct world *world = *state;
	struct recipient_record record = record_of(RECIPIENT_KIND_INVALID, 5 * HOUR, 0);

	record.has_former = true;
	record.former_verified = START - 10 * DAY;
	record.former_verified_up = UP - 10 * DAY;
	put(world, "ours.test", "alice", &record);
	recipient_doubts_add(&world->clock.doubts, START - 6 * HOUR, START - 4 * HOUR);
	pass(world, 3 * HOUR);
	assert_true(is_there(world, "ours.test", "alice"));
	world->clock.up += 22 * DAY;
	pass(world, 3 * HOUR);
	assert_false(is_there(world, "ours.test", "alice"));
}

/* A clock that jumps years ahead must not wipe the memory before somebody sets it right. */
static void test_a_jump_of_the_wall_clock(void **state)
{
	struct world *world = *state;
	struct recipient_record record = record_of(RECIPIENT_KIND_VALID, 10 * DAY, 10 * DAY);
	int64_t end;

	put(world, "ours.test", "alice", &record);
	put(world, "gone.test", "alice", &record);
	pass(world, 5 * HOUR);
	/* for fifty minutes, with a round of the sweep in each of them */
	for (int i = 0; i < 50; i++) {
		end = world->now.ms + 60000;
		while (world->now.ms < end) {
			world->now.wall = START + 3650 * DAY + world->now.ms / 1000;
			world->now.ms += sweep_step(world->sweep, &world->now);
		}
	}
	pass(world, 5 * HOUR);
	assert_true(is_there(world, "ours.test", "alice"));
	assert_true(is_there(world, "gone.test", "alice"));
}

static void fill(struct world *world, const char *domain, unsigned count,
		 const struct recipient_record *record)
{
	char local[16];

	for (unsigned i = 0; i < count; i++) {
		snprintf(local, sizeof(local), "u%05u", i);
		put(world, domain, local, record);
	}
}

/* No more than 500 entries in a step, 2,000 a second; and no step forgets its place. */
static void test_small_steps(void **state)
{
	struct world *world = *state;
	struct recipient_record dead = record_of(RECIPIENT_KIND_INVALID, DAY, DAY);
	struct recipient_record alive = record_of(RECIPIENT_KIND_VALID, 0, 0);
	int64_t before, removed;

	fill(world, "ours.test", 5250, &dead);
	fill(world, "gone.test", 3000, &alive);
	before = store_entries(world->store, STORE_RECIPIENTS);
	for (int i = 0; i < 100; i++) {
		world->now.ms += sweep_step(world->sweep, &world->now);
		world->now.wall = START + world->now.ms / 1000;
		removed = before - store_entries(world->store, STORE_RECIPIENTS);
		assert_true(removed <= 500);
		before -= removed;
	}
	assert_int_equal(before, 3000);
	assert_true(world->now.ms >= 10000 + (5250 + 3000) / 500 * 250);
}

/* What is learned while its old entry is being removed is queued, written later, and stays. */
static void test_an_entry_refreshed_meanwhile(void **state)
{
	struct world *world = *state;
	struct recipient_record dead = record_of(RECIPIENT_KIND_VALID, 40 * DAY, 40 * DAY);
	struct recipient_question question = { .config = world->config,
					       .domain = "ours.test",
					       .local = "alice",
					       .clock = { .now = START + 100, .up = UP + 100 } };

	put(world, "ours.test", "alice", &dead);
	recipients_learn(world->recipients, &question, RCPT_VERDICT_VALID);
	pass(world, HOUR);
	writer_settle(world->writer);
	assert_true(is_there(world, "ours.test", "alice"));
}

static void test_counts_of_a_large_domain(void **state)
{
	struct world *world = *state;
	struct recipient_record valid = record_of(RECIPIENT_KIND_VALID, 0, 0);
	struct recipient_counts counts;
	struct recipient_question question = { .config = world->config,
					       .domain = "ours.test",
					       .local = "",
					       .clock = { .now = START, .up = UP } };

	fill(world, "ours.test", 7000, &valid);
	recipients_count(world->recipients, &question, &counts);
	assert_int_equal(counts.valid, 2000);
	pass(world, HOUR);
	recipients_count(world->recipients, &question, &counts);
	assert_int_equal(counts.valid, 7000);
}

/* ---- a domain that turns catch-all ---- */

static enum recipient_status status_of(struct world *world, const char *local)
{
	struct recipient_question question = {
		.config = world->config,
		.domain = "ours.test",
		.local = local,
		.clock = { .now = world->now.wall, .up = UP, .primary_up = true },
	};
	struct recipient_found found;

	recipients_find(world->recipients, &question, &found);
	return found.status;
}

static void learn_catch_all(struct world *world, int64_t at, bool accepts_all)
{
	struct recipient_question question = { .config = world->config,
					       .domain = "ours.test",
					       .local = "x",
					       .clock = { .now = at, .up = UP } };

	recipients_learn_catch_all(world->recipients, &question, accepts_all);
	writer_settle(world->writer);
}

static void test_turning_catch_all(void **state)
{
	struct world *world = *state;
	struct recipient_record proven = record_of(RECIPIENT_KIND_VALID, 2 * DAY, 0);
	struct recipient_record unproven = record_of(RECIPIENT_KIND_VALID, HOUR, 0);
	struct recipient_record imported = unproven;

	imported.source = RECIPIENT_SOURCE_IMPORT;
	put(world, "ours.test", "alice", &proven);
	put(world, "ours.test", "imported", &imported);
	fill(world, "ours.test", 1700, &unproven);
	put(world, "gone.test", "alice", &unproven);
	learn_catch_all(world, START - DAY, false);
	assert_int_equal(status_of(world, "u00001"), RECIPIENT_VALID);
	learn_catch_all(world, START, true);
	/* at once, although nothing was deleted yet */
	assert_true(is_there(world, "ours.test", "u00001"));
	assert_int_equal(status_of(world, "u00001"), RECIPIENT_CATCH_ALL);
	assert_int_equal(status_of(world, "alice"), RECIPIENT_VALID);
	assert_int_equal(status_of(world, "imported"), RECIPIENT_VALID);
	/* and when it refuses again, what was accepted meanwhile is not believed either */
	learn_catch_all(world, START + 5, false);
	assert_int_equal(status_of(world, "u00001"), RECIPIENT_UNKNOWN);
	pass(world, 60);
	writer_settle(world->writer);
	assert_false(is_there(world, "ours.test", "u00000"));
	assert_false(is_there(world, "ours.test", "u01699"));
	assert_true(is_there(world, "ours.test", "alice"));
	assert_true(is_there(world, "ours.test", "imported"));
	assert_true(is_there(world, "ours.test", ""));
	assert_true(is_there(world, "gone.test", "alice"));
	assert_int_equal(store_entries(world->store, STORE_META), 0);
}

/* Another process goes on where this one was stopped. */
static void test_a_drop_survives_a_restart(void **state)
{
	struct world *world = *state;
	struct recipient_record unproven = record_of(RECIPIENT_KIND_VALID, HOUR, 0);
	struct sweep_settings settings = { .writer = world->writer,
					   .clock = clock_of,
					   .clock_arg = world };

	fill(world, "ours.test", 1700, &unproven);
	learn_catch_all(world, START, true);
	world->now.ms += sweep_step(world->sweep, &world->now);
	assert_false(is_there(world, "ours.test", "u00000"));
	assert_true(is_there(world, "ours.test", "u01699"));
	sweep_free(world->sweep);
	recipients_free(world->recipients);
	world->recipients = settings.recipients = recipients_new(world->writer, world->lists);
	world->sweep = sweep_new(&settings, world->config);
	assert_int_equal(status_of(world, "u01699"), RECIPIENT_CATCH_ALL);
	pass(world, 60);
	assert_false(is_there(world, "ours.test", "u01699"));
}

/* ---- a full memory ---- */

static void learn(struct world *world, const char *local)
{
	struct recipient_question question = { .config = world->config,
					       .domain = "ours.test",
					       .local = local,
					       .clock = { .now = world->now.wall, .up = UP } };

	recipients_learn(world->recipients, &question, RCPT_VERDICT_VALID);
	writer_settle(world->writer);
}

static void test_expired_entries_make_room(void **state)
{
	struct world *world = *state;
	struct recipient_record dead = record_of(RECIPIENT_KIND_INVALID, DAY, DAY);
	struct recipient_record alive = record_of(RECIPIENT_KIND_VALID, 0, 0);

	fill(world, "ours.test", 600, &dead);
	fill(world, "gone.test", 400, &alive);
	world->config->recipients.max_entries = 1000;
	learn(world, "new");
	assert_false(is_there(world, "ours.test", "new"));
	learn(world, "u00001"); /* is there: may change */
	pass(world, 60);
	learn(world, "new");
	assert_true(is_there(world, "ours.test", "new"));
	assert_true(is_there(world, "ours.test", "u00001"));
	assert_int_equal(store_entries(world->store, STORE_RECIPIENTS), 402);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_goes_and_what_stays),
		TEST(test_a_young_refusal_stays),
		TEST(test_the_domains_own_entry),
		TEST(test_a_refusal_in_doubt_keeps_the_acceptance),
		TEST(test_a_jump_of_the_wall_clock),
		TEST(test_small_steps),
		TEST(test_an_entry_refreshed_meanwhile),
		TEST(test_counts_of_a_large_domain),
		TEST(test_turning_catch_all),
		TEST(test_a_drop_survives_a_restart),
		TEST(test_expired_entries_make_room),
	};

	log_set_level(LOG_LEVEL_WARNING);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
