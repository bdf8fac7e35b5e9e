/* SPDX-License-Identifier: BSD-2-Clause */
/* The quota that one client network has in the table of persistent senders: it bounds that network
 * and nobody else, and forgotten rows give their place back. */
#include "memory/senders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define START 1700000000LL
#define HOUR  3600
#define QUOTA 20000

static const struct persistent_rules rules = { .attempts = 3, .after = 20 * 60 };

struct world {
	struct store *store;
	struct writer *writer;
	struct senders *senders;
};

static int setup(void **state)
{
	static struct world world;
	static const struct secret secret = { { 1, 2, 3 } };

	world.store = store_memory_new();
	world.writer = writer_start(world.store);
	world.senders = senders_new(world.writer, &secret);
	*state = &world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	senders_free(world->senders);
	writer_stop(world->writer);
	store_close(world->store);
	return 0;
}

static struct sender_standing attempt(struct world *world, const char *address,
				      const char *recipient, int64_t now)
{
	struct ip ip;
	struct sender_attempt attempt = { .client_name = "",
					  .client = &ip,
					  .sender = "sender@example.org",
					  .recipient = recipient };

	assert_true(ip_parse(address, &ip));
	return senders_attempt(world->senders, &attempt, &rules, now);
}

/* Tries again and again, 10 minutes apart; true when the third time lets it in. */
static bool comes_in(struct world *world, const char *address, const char *recipient, int64_t now)
{
	bool second;

	attempt(world, address, recipient, now);
	second = attempt(world, address, recipient, now + 600).persistent;
	assert_false(second);
	return attempt(world, address, recipient, now + 1200).persistent;
}

static void use_up(struct world *world)
{
	char recipient[64];

	for (int i = 0; i < QUOTA; i++) {
		snprintf(recipient, sizeof(recipient), "user%d@example.test", i);
		attempt(world, "198.51.100.9", recipient, START);
	}
	/* nearly all: a bucket may have run over */
	assert_in_range(senders_count(world->senders), QUOTA - 20, QUOTA);
	for (int i = 0; i < 100; i++) {
		snprintf(recipient, sizeof(recipient), "more%d@example.test", i);
		attempt(world, "198.51.100.10", recipient, START);
	}
	assert_in_range(senders_count(world->senders), QUOTA - 20, QUOTA);
}

static void test_quota_bounds_one_network_only(void **state)
{
	use_up(*state);
	assert_false(comes_in(*state, "198.51.100.9", "late@example.test", START + 60));
	assert_true(comes_in(*state, "203.0.113.9", "late@example.test", START + 60));
}

static void test_forgotten_rows_give_the_quota_back(void **state)
{
	struct world *world = *state;

	use_up(world);
	assert_false(comes_in(world, "198.51.100.9", "late@example.test", START + 34 * HOUR));
	assert_true(comes_in(world, "198.51.100.9", "late@example.test", START + 36 * HOUR));
	assert_in_range(senders_count(world->senders), 1, QUOTA - 1);
}

/* Whoever was let in stays so while all those rows around are taken away. */
static void test_sweeping_spares_the_living(void **state)
{
	struct world *world = *state;
	char recipient[64];
	int64_t now = START + 30 * HOUR;

	assert_true(comes_in(world, "198.51.100.9", "patient@example.test", START - HOUR));
	use_up(world);
	assert_true(attempt(world, "198.51.100.9", "patient@example.test", now).persistent);
	for (int i = 0; i < 3000; i++) {
		snprintf(recipient, sizeof(recipient), "new%d@example.test", i);
		attempt(world, "198.51.100.9", recipient, START + 37 * HOUR);
	}
	assert_true(attempt(world, "198.51.100.9", "patient@example.test", START + 37 * HOUR)
			    .persistent);
}

/* What is swept is gone from the store as well. */
static void test_swept_rows_leave_the_store(void **state)
{
	struct world *world = *state;

	use_up(world);
	attempt(world, "198.51.100.9", "late@example.test", START + 37 * HOUR);
	writer_settle(world->writer);
	assert_int_equal(store_entries(world->store, STORE_SENDERS), senders_count(world->senders));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_quota_bounds_one_network_only, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_forgotten_rows_give_the_quota_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_sweeping_spares_the_living, setup, teardown),
		cmocka_unit_test_setup_teardown(test_swept_rows_leave_the_store, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
