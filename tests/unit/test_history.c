/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the history keeps in the store, and how much: a table of domains made by hand, whose changes
 * are told by the tests.
 */
#include "watch/history.h"

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
#include "watch/domain.h"
#include "watch/isolation.h"

#define NAME "one.test"

struct world {
	struct store *store;
	struct config *config;
	struct services services;
	struct domains domains;
	struct domain *domain;
	struct history *history;
	int64_t now; /* when the test began, seconds since 1970 */
};

static struct config *load_config(void)
{
	static const char text[] = "[milter]\nstate_dir = /nonexistent\n";
	char path[] = "/tmp/test_history.XXXXXX";
	struct config_errors errors = { .lines = NULL };
	struct config *config;
	int fd = mkstemp(path);

	assert_true(fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1);
	close(fd);
	config = config_load(path, &errors);
	unlink(path);
	assert_non_null(config);
	config_errors_fini(&errors);
	return config;
}

static int world_new(void **state)
{
	struct world *world = memory_alloc(sizeof(*world));
	struct domains *domains = &world->domains;

	world->store = store_memory_new();
	world->config = load_config();
	world->services.loop = loop_new();
	world->services.writer = writer_start(world->store);
	world->services.isolation = isolation_watch_new(&world->services, world->config);
	world->domain = memory_alloc(sizeof(*world->domain));
	strcpy(world->domain->name, NAME);
	world->domain->state = DOMAIN_UP;
	world->domain->owner = domains;
	HASH_ADD_STR(domains->all, name, world->domain);
	world->history = history_new(&world->services, domains);
	world->now = loop_wall_seconds();
	*state = world;
	return 0;
}

static int world_free(void **state)
{
	struct world *world = *state;

	history_free(world->history);
	HASH_DEL(world->domains.all, world->domain);
	free(world->domain);
	isolation_watch_free(world->services.isolation);
	writer_stop(world->services.writer);
	loop_free(world->services.loop);
	config_put(world->config);
	store_close(world->store);
	free(world);
	return 0;
}

/* The program stops and starts; what is remembered of the domain is its state. */
static void start_again(struct world *world)
{
	history_free(world->history);
	writer_settle(world->services.writer);
	world->history = history_new(&world->services, &world->domains);
}

static void change(struct world *world, enum domain_state state, int64_t at)
{
	struct domain_change news = { .state = state,
				      .was = world->domain->state,
				      .seen = state,
				      .seen_was = world->domain->state,
				      .reason = state == DOMAIN_UP ? HEALTH_OK : HEALTH_REFUSED,
				      .at = at };
	const struct domains_watcher *watcher = &world->domains.watchers[0];

	world->domain->state = state;
	world->domain->since = at;
	watcher->changed(watcher->arg, world->domain, &news);
}

static struct history_of_domain read_all(struct world *world)
{
	struct history_of_domain known;

	writer_settle(world->services.writer);
	assert_true(history_read(world->history, NAME, 1, &known));
	return known;
}

static void test_a_thousand_outages(void **state)
{
	struct world *world = *state;
	int64_t first = world->now - 3000;
	struct history_of_domain known;

	for (int i = 0; i < 1205; i++) {
		change(world, DOMAIN_DOWN, first + 2 * i);
		change(world, DOMAIN_UP, first + 2 * i + 1);
		if (i % 5 == 0) /* the oldest are looked for on the disk */
			writer_settle(world->services.writer);
	}
	known = read_all(world);
	assert_in_range(known.outage_count, 900, HISTORY_OUTAGES);
	assert_int_equal(known.outages[known.outage_count - 1].start, first + 2 * 1204);
	for (size_t i = 1; i < known.outage_count; i++)
		assert_int_equal(known.outages[i].start, known.outages[i - 1].start + 2);
	history_of_domain_fini(&known);
}

static void test_outages_of_the_same_second(void **state)
{
	struct world *world = *state;
	struct history_of_domain known;

	for (int i = 0; i < 3; i++) {
		change(world, DOMAIN_DOWN, world->now);
		change(world, DOMAIN_UP, world->now);
	}
	start_again(world);
	known = read_all(world);
	assert_int_equal(known.outage_count, 3);
	for (size_t i = 0; i < known.outage_count; i++)
		assert_int_equal(known.outages[i].start, world->now);
	history_of_domain_fini(&known);
}

/* Each state that is remembered, after an outage was open. */
static void test_an_open_outage_over_a_start(void **state)
{
	struct world *world = *state;
	struct history_of_domain known;

	change(world, DOMAIN_DOWN, world->now - 100);
	start_again(world);
	known = read_all(world);
	assert_int_equal(known.outage_count, 1);
	assert_int_equal(known.outages[0].end, 0);
	history_of_domain_fini(&known);

	world->domain->state = DOMAIN_UNKNOWN;
	start_again(world);
	known = read_all(world);
	assert_int_equal(known.outages[0].end, 0);
	history_of_domain_fini(&known);
	change(world, DOMAIN_SICK, world->now);
	known = read_all(world);
	assert_int_equal(known.outage_count, 1);
	assert_int_equal(known.outages[0].end, 0);
	history_of_domain_fini(&known);

	world->domain->state = DOMAIN_UP;
	world->domain->since = world->now - 50;
	start_again(world);
	known = read_all(world);
	assert_int_equal(known.outage_count, 1);
	assert_true(known.outages[0].end >= world->now - 50);
	history_of_domain_fini(&known);
}

static void test_damaged_records_are_left_out(void **state)
{
	static const char day[] = NAME "\0d\0\0\0\0\0\0\0\1";
	static const char outage[] = NAME "\0o\0\0\0\0\0\0\0\1";
	static const char odd[] = NAME "\0x";
	struct world *world = *state;
	struct writer *writer = world->services.writer;
	struct history_of_domain known;

	change(world, DOMAIN_DOWN, world->now);
	writer_put(writer, STORE_HISTORY, day, sizeof(day) - 1, "rubbish", 7);
	writer_put(writer, STORE_HISTORY, outage, sizeof(outage) - 1, "rubbish", 7);
	writer_put(writer, STORE_HISTORY, odd, sizeof(odd) - 1, "rubbish", 7);
	known = read_all(world);
	assert_int_equal(known.day_count, 1);
	assert_int_equal(known.outage_count, 1);
	assert_int_equal(known.outages[0].start, world->now);
	history_of_domain_fini(&known);
}

/* Asleep or gone it is told by its records alone. */
static void test_asleep(void **state)
{
	struct world *world = *state;
	const struct domains_watcher *watcher = &world->domains.watchers[0];
	struct history_of_domain known;

	change(world, DOMAIN_DOWN, world->now - 10);
	change(world, DOMAIN_UP, world->now);
	atomic_store(&world->domain->questions, (4ULL << 32) + 1);
	assert_true(history_coverage(world->history, NAME) == 0.25);
	watcher->awake(watcher->arg, world->domain, false);
	known = read_all(world);
	assert_int_equal(known.outage_count, 1);
	assert_true(history_coverage(world->history, NAME) == 0.25);
	history_of_domain_fini(&known);
	history_count_anew(world->history, NAME);
	writer_settle(world->services.writer);
	assert_true(history_coverage(world->history, NAME) < 0);
	watcher->awake(watcher->arg, world->domain, true);
	assert_true(history_coverage(world->history, NAME) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_thousand_outages, world_new, world_free),
		cmocka_unit_test_setup_teardown(test_outages_of_the_same_second, world_new,
						world_free),
		cmocka_unit_test_setup_teardown(test_an_open_outage_over_a_start, world_new,
						world_free),
		cmocka_unit_test_setup_teardown(test_damaged_records_are_left_out, world_new,
						world_free),
		cmocka_unit_test_setup_teardown(test_asleep, world_new, world_free),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
