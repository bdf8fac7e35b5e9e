/* SPDX-License-Identifier: BSD-2-Clause */
/* What is counted, by many threads at once; and how it is written down for Prometheus. */
#include "core/exposition.h"
#include "core/stats.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 8
#define ROUNDS	50000

static void test_buckets(void **state)
{
	static const struct {
		int64_t us;
		size_t bucket;
	} cases[] = {
		{ -5, 0 },
		{ 0, 0 },
		{ 100, 0 },
		{ 101, 1 },
		{ 1000, 3 },
		{ 1001, 4 },
		{ 5000000, 14 },
		{ 5000001, 15 },
		{ 60000000, 17 },
		{ 60000001, 18 },
		{ INT64_MAX / 2, 18 },
	};
	struct stats stats;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		stats_init(&stats, 1700000000);
		stats_count_probe(&stats, HEALTH_OK, cases[i].us);
		for (size_t b = 0; b <= STATS_BUCKETS; b++)
			assert_int_equal(stats_read(&stats.times[STATS_TIME_PROBE].counts[b]),
					 b == cases[i].bucket);
	}
	assert_int_equal(stats.started, 1700000000);
	for (size_t i = 1; i < STATS_BUCKETS; i++)
		assert_true(stats_bound_us(i) > stats_bound_us(i - 1));
}

static void *count_a_lot(void *arg)
{
	struct stats *stats = arg;

	for (int i = 0; i < ROUNDS; i++) {
		stats_count_decision(stats, (enum decision_action)(i % DECISION_ASK),
				     (enum decision_reason)(i % DECISION_REASON_COUNT), i % 1000);
		stats_count_lookup(stats, RECIPIENT_VALID, i % 5 == 0);
		stats_count_connection(stats, i % 2 == 0);
	}
	return NULL;
}

/* Nothing is lost, whoever counts. */
static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	struct stats stats;
	uint64_t decisions = 0;
	uint64_t times = 0;

	(void)state;
	stats_init(&stats, 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_a_lot, &stats), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (size_t action = 0; action < DECISION_ASK; action++)
		for (size_t reason = 0; reason < DECISION_REASON_COUNT; reason++)
			decisions += stats_read(&stats.decisions[action][reason]);
	for (size_t b = 0; b <= STATS_BUCKETS; b++)
		times += stats_read(&stats.times[STATS_TIME_DECISION].counts[b]);
	assert_int_equal(decisions, THREADS * ROUNDS);
	assert_int_equal(times, THREADS * ROUNDS);
	assert_int_equal(stats_read(&stats.times[STATS_TIME_DECISION].sum_us),
			 (uint64_t)THREADS * (ROUNDS / 1000) * (999 * 1000 / 2));
	assert_int_equal(stats_read(&stats.lookups[STATS_LOOKUP_FAILED]), THREADS * ROUNDS / 5);
	assert_int_equal(stats_read(&stats.lookups[RECIPIENT_VALID]), THREADS * ROUNDS / 5 * 4);
	assert_int_equal(atomic_load(&stats.connections), 0);
}

static void test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < STATS_LOOKUP_COUNT; i++)
		assert_non_null(stats_lookup_name(i));
	for (size_t i = 0; i < STATS_CALLOUT_COUNT; i++)
		assert_non_null(stats_callout_name((enum stats_callout)i));
	for (size_t i = 0; i < STATS_FLUSH_COUNT; i++)
		assert_non_null(stats_flush_name((enum stats_flush)i));
	/* a callout is counted by the word that its log line has */
	for (int verdict = RCPT_VERDICT_VALID; verdict <= RCPT_VERDICT_NONE; verdict++)
		assert_string_equal(
			stats_callout_name(stats_callout_of((enum rcpt_verdict)verdict, false)),
			rcpt_verdict_name((enum rcpt_verdict)verdict));
	assert_string_equal(stats_callout_name(stats_callout_of(RCPT_VERDICT_NONE, true)),
			    "catch-all");
}

/* ---- the text ---- */

/* The sample that a family "f" writes with this label; free() it. */
static char *written(const char *value)
{
	struct exposition_labels labels = { { { "domain", value } } };
	struct exposition family = { .name = "f" };
	char *text = NULL;
	size_t length;

	family.out = open_memstream(&text, &length);
	exposition_add(&family, &labels, 7);
	fclose(family.out);
	return text;
}

static void test_escaping(void **state)
{
	static const struct {
		const char *value, *text;
	} cases[] = {
		{ "mail.test", "mail.test" },
		{ "", "" },
		{ "a\"b", "a\\\"b" },
		{ "a\\b", "a\\\\b" },
		{ "\\", "\\\\" },
		{ "a\nb", "a\\nb" },
		{ "x\"} 1\nbackupmx_evil 1", "x\\\"} 1\\nbackupmx_evil 1" },
		{ "tab\there\r\x1b[31m\x7f", "tab?here??[31m?" },
		{ "caf\xc3\xa9 \xff", "caf?? ?" },
		{ "{a=b,c}", "{a=b,c}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = written(cases[i].value);
		char wanted[256];

		snprintf(wanted, sizeof(wanted), "backupmx_f{domain=\"%s\"} 7\n", cases[i].text);
		assert_string_equal(text, wanted);
		free(text);
	}
}

static void test_families(void **state)
{
	struct exposition_labels two = { { { "action", "defer" }, { "reason", "primary-up" } } };
	struct exposition family;
	char *text = NULL;
	size_t length;

	(void)state;
	family.out = open_memstream(&text, &length);
	exposition_begin(&family, "decisions_total", "counter", "Some words.");
	exposition_add(&family, &two, UINT64_MAX);
	exposition_begin(&family, "lag_seconds", "gauge", "Others.");
	exposition_add_seconds(&family, NULL, 1000250);
	fclose(family.out);
	assert_string_equal(text,
			    "# HELP backupmx_decisions_total Some words.\n"
			    "# TYPE backupmx_decisions_total counter\n"
			    "backupmx_decisions_total{action=\"defer\",reason=\"primary-up\"} "
			    "18446744073709551615\n"
			    "# HELP backupmx_lag_seconds Others.\n"
			    "# TYPE backupmx_lag_seconds gauge\n"
			    "backupmx_lag_seconds 1.000250\n");
	free(text);
}

static void test_histogram(void **state)
{
	struct exposition family;
	struct stats stats;
	char *text = NULL;
	size_t length;

	(void)state;
	stats_init(&stats, 0);
	stats_count_probe(&stats, HEALTH_OK, 100);
	stats_count_probe(&stats, HEALTH_OK, 30000);
	stats_count_probe(&stats, HEALTH_TIMEOUT, 70000000);
	family.out = open_memstream(&text, &length);
	exposition_begin(&family, "p", "histogram", "Time.");
	exposition_add_histogram(&family, &stats, STATS_TIME_PROBE);
	fclose(family.out);
	assert_non_null(strstr(text, "\nbackupmx_p_bucket{le=\"0.0001\"} 1\n"));
	assert_non_null(strstr(text, "\nbackupmx_p_bucket{le=\"0.025\"} 1\n"));
	assert_non_null(strstr(text, "\nbackupmx_p_bucket{le=\"0.05\"} 2\n"));
	assert_non_null(strstr(text, "\nbackupmx_p_bucket{le=\"60\"} 2\n"
				     "backupmx_p_bucket{le=\"+Inf\"} 3\n"
				     "backupmx_p_sum 70.030100\n"
				     "backupmx_p_count 3\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),	 cmocka_unit_test(test_threads),
		cmocka_unit_test(test_words),	 cmocka_unit_test(test_escaping),
		cmocka_unit_test(test_families), cmocka_unit_test(test_histogram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
