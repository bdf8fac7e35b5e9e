/* SPDX-License-Identifier: BSD-2-Clause */
/* Write-behind: what is queued is seen at once, is on disk after settling, and failures lose no
 * answer. */
#include "io/writer.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A store whose writing can be made to fail or to wait. */
struct gated_store {
	struct store store;
	struct store *inner;
	pthread_mutex_t gate; /* held by a test: writing waits */
	int error;
	int batches;
};

static enum store_result gated_get(struct store *store, enum store_table table, const void *key,
				   size_t key_length, void *value, size_t size, size_t *length)
{
	return store_get(((struct gated_store *)store)->inner, table, key, key_length, value, size,
			 length);
}

static int gated_apply(struct store *store, const struct store_op *ops, size_t count)
{
	struct gated_store *gated = (struct gated_store *)store;
	int result;

	pthread_mutex_lock(&gated->gate);
	gated->batches++;
	result = gated->error != 0 ? gated->error : store_apply(gated->inner, ops, count);
	pthread_mutex_unlock(&gated->gate);
	return result;
}

static const struct store_methods gated_methods = { .get = gated_get, .apply = gated_apply };

static int setup(void **state)
{
	static struct gated_store gated;

	memset(&gated, 0, sizeof(gated));
	gated.store.methods = &gated_methods;
	gated.inner = store_memory_new();
	pthread_mutex_init(&gated.gate, NULL);
	*state = &gated;
	return 0;
}

static int teardown(void **state)
{
	struct gated_store *gated = *state;

	store_close(gated->inner);
	pthread_mutex_destroy(&gated->gate);
	return 0;
}

static enum store_result get(struct writer *writer, const char *key, char *value)
{
	size_t length = 0;
	enum store_result result =
		writer_get(writer, STORE_META, key, strlen(key), value, 63, &length);

	value[length] = '\0';
	return result;
}

static void put(struct writer *writer, const char *key, const char *value)
{
	writer_put(writer, STORE_META, key, strlen(key), value, strlen(value));
}

static void test_queued_is_seen(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);
	char value[64];

	pthread_mutex_lock(&gated->gate);
	put(writer, "a", "1");
	put(writer, "b", "2");
	put(writer, "a", "3");
	assert_int_equal(get(writer, "a", value), STORE_FOUND);
	assert_string_equal(value, "3");
	writer_delete(writer, STORE_META, "b", 1);
	assert_int_equal(get(writer, "b", value), STORE_ABSENT);
	pthread_mutex_unlock(&gated->gate);
	writer_settle(writer);
	assert_int_equal(get(writer, "a", value), STORE_FOUND);
	assert_string_equal(value, "3");
	assert_int_equal(get(writer, "b", value), STORE_ABSENT);
	writer_stop(writer);
}

static void test_stop_writes_the_rest(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);
	char key[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		put(writer, key, "v");
	}
	writer_stop(writer);
	assert_int_equal(store_entries(gated->inner, STORE_META), 1000);
}

static void test_batches(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);
	char key[16];

	pthread_mutex_lock(&gated->gate);
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		put(writer, key, "v");
	}
	pthread_mutex_unlock(&gated->gate);
	writer_stop(writer);
	assert_true(gated->batches <= 3);
}

/* P7: a full disk stops learning, not answering; and it mends itself. */
static void test_failure_stops_learning_only(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);
	char value[64];

	put(writer, "before", "1");
	writer_settle(writer);
	pthread_mutex_lock(&gated->gate);
	gated->error = -ENOSPC;
	pthread_mutex_unlock(&gated->gate);
	put(writer, "lost", "2");
	writer_settle(writer);
	assert_int_equal(get(writer, "lost", value), STORE_ABSENT);
	assert_int_equal(get(writer, "before", value), STORE_FOUND);
	pthread_mutex_lock(&gated->gate);
	gated->error = 0;
	pthread_mutex_unlock(&gated->gate);
	put(writer, "after", "3");
	writer_settle(writer);
	assert_int_equal(get(writer, "after", value), STORE_FOUND);
	writer_stop(writer);
}

static void *hammer(void *arg)
{
	struct writer *writer = arg;
	char key[16];
	char value[64];

	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "k%d", i % 50);
		put(writer, key, "v");
		/* another thread's deletion may come between: found or absent, never failed */
		if (get(writer, key, value) == STORE_FAILED)
			return (void *)1;
		if (i % 7 == 0)
			writer_delete(writer, STORE_META, key, strlen(key));
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);
	pthread_t threads[4];
	void *failed;

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, writer), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	writer_stop(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_queued_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_writes_the_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failure_stops_learning_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
