/* SPDX-License-Identifier: BSD-2-Clause */
/* Which defer lines are written under attack, and that none is left out uncounted. */
#include "core/suppression.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct suppression_limits limits = {
	.first = 5, .client = 100, .domain = 500, .total = 1000
};

struct tally {
	struct suppression *suppression;
	unsigned long events, lines, told;
};

static bool feed(struct tally *tally, const char *client, const char *domain, int64_t now)
{
	struct suppression_event event = { .reason = REASON_PRIMARY_UP, .domain = domain };
	unsigned long suppressed;
	bool line;

	if (client != NULL)
		assert_true(ip_parse(client, &event.client));
	line = suppression_admit(tally->suppression, &event, now, &suppressed);
	tally->events++;
	tally->lines += line;
	tally->told += suppressed;
	assert_true(line || suppressed == 0);
	return line;
}

static size_t collect(struct tally *tally, int64_t now, bool everything,
		      struct suppression_summary *summaries)
{
	size_t count = suppression_collect(tally->suppression, now, everything, summaries);

	for (size_t i = 0; i < count; i++)
		tally->told += summaries[i].suppressed;
	return count;
}

/* Everything was told, and nothing is kept. */
static void settle(struct tally *tally)
{
	struct suppression_summary summaries[SUPPRESSION_SUMMARIES_MAX];

	collect(tally, 0, true, summaries);
	assert_int_equal(tally->lines + tally->told, tally->events);
	assert_int_equal(suppression_rows(tally->suppression), 0);
	suppression_free(tally->suppression);
}

static void test_one_network(void **state)
{
	struct tally tally = { .suppression = suppression_new(&limits) };
	struct suppression_summary summaries[SUPPRESSION_SUMMARIES_MAX];
	char client[32];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(client, sizeof(client), "192.0.2.%d", i % 250);
		assert_int_equal(feed(&tally, client, "a.test", 1000 + i), i < 100);
	}
	assert_int_equal(collect(&tally, 7000, false, summaries), 0);
	assert_int_equal(collect(&tally, 61000, false, summaries), 1);
	assert_int_equal(summaries[0].suppressed, 4900);
	assert_string_equal(summaries[0].domain, "a.test");
	assert_int_equal(summaries[0].reason, REASON_PRIMARY_UP);
	assert_int_equal(summaries[0].network.prefix, 24);
	assert_int_equal(collect(&tally, 61000, true, summaries), 0);
	settle(&tally);
}

static void test_next_line_tells(void **state)
{
	struct tally tally = { .suppression = suppression_new(&limits) };

	(void)state;
	for (int i = 0; i < 107; i++)
		feed(&tally, "192.0.2.1", "a.test", 1000);
	assert_true(feed(&tally, "192.0.2.2", "a.test", 61000));
	assert_int_equal(tally.told, 7);
	assert_true(feed(&tally, "192.0.2.2", "a.test", 61001));
	assert_int_equal(tally.told, 7);
	settle(&tally);
}

/* What is another's comes through, and so does one who comes for the first time. */
static void test_others_are_seen(void **state)
{
	struct tally tally = { .suppression = suppression_new(&limits) };
	char client[32];
	int lines = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		snprintf(client, sizeof(client), "198.51.%d.7", i % 40);
		lines += feed(&tally, client, "a.test", 1000);
	}
	assert_in_range(lines, 200, 250);
	for (int i = 0; i < 5; i++)
		assert_true(feed(&tally, "192.0.2.1", "a.test", 1000));
	assert_false(feed(&tally, "192.0.2.1", "a.test", 1000));
	for (int i = 0; i < 100; i++)
		assert_true(feed(&tally, "192.0.2.1", "b.test", 1000));
	settle(&tally);
}

/* Networks without end, each once: a domain's bound holds, and the whole's. */
static void test_many_networks(void **state)
{
	struct tally tally = { .suppression = suppression_new(&limits) };
	struct suppression_summary summaries[SUPPRESSION_SUMMARIES_MAX];
	char client[32], domain[32];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		snprintf(client, sizeof(client), "10.%d.%d.7", i / 250, i % 250);
		feed(&tally, client, "a.test", 1000);
	}
	assert_int_equal(tally.lines, 500);
	assert_in_range(suppression_rows(tally.suppression), 500, 501);
	for (int i = 0; i < 20000; i++) {
		snprintf(client, sizeof(client), "10.%d.%d.7", i / 250, i % 250);
		snprintf(domain, sizeof(domain), "%d.test", i % 50);
		feed(&tally, client, domain, 1000);
	}
	assert_int_equal(tally.lines, 1000);
	assert_in_range(suppression_rows(tally.suppression), 1000, 2000);
	assert_in_range(collect(&tally, 1000, false, summaries), 1, SUPPRESSION_SUMMARIES_MAX);
	settle(&tally);
}

/* An attack that never ends is told of all the while, and the table doesn't grow. */
static void test_attack_without_end(void **state)
{
	struct tally tally = { .suppression = suppression_new(&limits) };
	struct suppression_summary summaries[SUPPRESSION_SUMMARIES_MAX];
	char client[32];
	unsigned long before = 0;

	(void)state;
	for (int64_t now = 0; now < 600000; now += 3) {
		snprintf(client, sizeof(client), "10.%d.%d.7", (int)(now % 251),
			 (int)(now / 1000 % 250));
		feed(&tally, client, now % 2 != 0 ? "a.test" : "b.test", now);
		if (now % 30000 != 0 || now == 0)
			continue;
		assert_in_range(collect(&tally, now, false, summaries), 1,
				SUPPRESSION_SUMMARIES_MAX);
		assert_true(tally.told > before);
		assert_in_range(tally.events - tally.lines - tally.told, 0, 30000);
		before = tally.told;
		assert_in_range(suppression_rows(tally.suppression), 0, 4000);
	}
	assert_in_range(tally.lines, 5000, 10000);
	settle(&tally);
}

/* A client without an address, as on a unix socket, and one with IPv6. */
static void test_odd_clients(void **state)
{
	struct tally tally = { .suppression = suppression_new(&limits) };

	(void)state;
	for (int i = 0; i < 300; i++)
		assert_int_equal(feed(&tally, NULL, "a.test", 1000), i < 100);
	for (int i = 0; i < 300; i++)
		assert_int_equal(
			feed(&tally, i % 2 ? "2001:db8::1" : "2001:db8::2", "a.test", 1000),
			i < 100);
	assert_int_equal(tally.lines, 200);
	settle(&tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_network),	   cmocka_unit_test(test_next_line_tells),
		cmocka_unit_test(test_others_are_seen),	   cmocka_unit_test(test_many_networks),
		cmocka_unit_test(test_attack_without_end), cmocka_unit_test(test_odd_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
