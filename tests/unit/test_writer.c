/* SPDX-License-Identifier: BSD-2-Clause */
/* Write-behind: what is queued is seen at once, is on disk after settling, and failures lose no
 * answer. */
#include "io/writer.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A store whose writing can be made to fail or to wait. */
struct gated_store {
	struct store store;
	struct store *inner;
	pthread_mutex_t gate; /* held by a test: writing waits */
	int error;
	bool only_puts;	 /* the error meets batches with a put in them */
	size_t room_for; /* larger batches get the error; 0: all do */
	int batches;
};

static enum store_result gated_get(struct store *store, enum store_table table, const void *key,
				   size_t key_length, void *value, size_t size, size_t *length)
{
	return store_get(((struct gated_store *)store)->inner, table, key, key_length, value, size,
			 length);
}

static bool gate_refuses(const struct gated_store *gated, const struct store_op *ops, size_t count)
{
	bool puts = false;

	for (size_t i = 0; i < count; i++)
		puts |= ops[i].value != NULL;
	return gated->error != 0 && (puts || !gated->only_puts) &&
	       (gated->room_for == 0 || count > gated->room_for);
}

static int gated_apply(struct store *store, const struct store_op *ops, size_t count)
{
	struct gated_store *gated = (struct gated_store *)store;
	int result;

	pthread_mutex_lock(&gated->gate);
	gated->batches++;
	result = gate_refuses(gated, ops, count) ? gated->error
						 : store_apply(gated->inner, ops, count);
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

static enum store_result get_recipient(struct writer *writer, const char *key)
{
	char value[64];
	size_t length = 0;

	return writer_get(writer, STORE_RECIPIENTS, key, strlen(key), value, sizeof(value),
			  &length);
}

static void put_recipient(struct writer *writer, const char *key)
{
	writer_put(writer, STORE_RECIPIENTS, key, strlen(key), "v", 1);
}

static void set_error(struct gated_store *gated, int error)
{
	pthread_mutex_lock(&gated->gate);
	gated->error = error;
	pthread_mutex_unlock(&gated->gate);
}

/* P7: a full disk stops learning, not answering; and it mends itself. */
static void test_failure_stops_learning_only(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);

	put_recipient(writer, "before");
	writer_settle(writer);
	set_error(gated, -ENOSPC);
	put_recipient(writer, "lost");
	writer_settle(writer);
	assert_int_equal(get_recipient(writer, "lost"), STORE_ABSENT);
	assert_int_equal(get_recipient(writer, "before"), STORE_FOUND);
	set_error(gated, 0);
	put_recipient(writer, "after");
	writer_settle(writer);
	assert_int_equal(get_recipient(writer, "after"), STORE_FOUND);
	writer_stop(writer);
}

/* Our own state can't be learned again: it waits for the disk, and the newest of it wins. */
static void test_failure_keeps_state(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);
	char value[64];

	set_error(gated, -ENOSPC);
	put(writer, "secret", "old");
	put(writer, "clock", "1");
	writer_settle(writer);
	assert_int_equal(get(writer, "secret", value), STORE_FOUND);
	assert_string_equal(value, "old");
	put(writer, "secret", "new");
	writer_settle(writer);
	assert_int_equal(get(writer, "secret", value), STORE_FOUND);
	assert_string_equal(value, "new");
	set_error(gated, 0);
	writer_stop(writer);
	assert_int_equal(store_entries(gated->inner, STORE_META), 2);
	assert_int_equal(store_get(gated->inner, STORE_META, "secret", 6, value, sizeof(value),
				   &(size_t){ 0 }),
			 STORE_FOUND);
	assert_memory_equal(value, "new", 3);
}

/* Written by itself, without anything else being queued. */
static void test_state_is_tried_again(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);

	set_error(gated, -ENOSPC);
	put(writer, "secret", "kept");
	writer_settle(writer);
	set_error(gated, 0);
	for (int i = 0; i < 300 && store_entries(gated->inner, STORE_META) == 0; i++)
		usleep(100000);
	assert_int_equal(store_entries(gated->inner, STORE_META), 1);
	writer_stop(writer);
}

/* A delete makes room: it must not fail because of a put beside it. */
static void test_a_put_takes_no_delete_with_it(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);

	put_recipient(writer, "dead");
	writer_settle(writer);
	pthread_mutex_lock(&gated->gate);
	gated->error = -ENOSPC;
	gated->only_puts = true;
	put_recipient(writer, "new");
	writer_delete(writer, STORE_RECIPIENTS, "dead", 4);
	pthread_mutex_unlock(&gated->gate);
	writer_settle(writer);
	assert_int_equal(get_recipient(writer, "new"), STORE_ABSENT);
	assert_int_equal(get_recipient(writer, "dead"), STORE_ABSENT);
	writer_stop(writer);
}

/* A full map has no room for a large batch of deletes either. */
static void test_deletes_in_smaller_batches(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);
	struct store_op deletes[100];
	char keys[100][8];

	for (int i = 0; i < 100; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%d", i);
		deletes[i] = (struct store_op){ .table = STORE_RECIPIENTS,
						.key = keys[i],
						.key_length = strlen(keys[i]) };
		put_recipient(writer, keys[i]);
	}
	writer_settle(writer);
	gated->error = -ENOSPC;
	assert_int_equal(writer_delete_now(writer, deletes, 100), -ENOSPC);
	assert_int_equal(store_entries(gated->inner, STORE_RECIPIENTS), 100);
	gated->room_for = 3;
	assert_int_equal(writer_delete_now(writer, deletes, 100), 0);
	assert_int_equal(store_entries(gated->inner, STORE_RECIPIENTS), 0);
	writer_stop(writer);
}

/* Strangers can fill the queue, but not push our own state out of it. */
static void test_overflow_spares_state(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);
	char key[16];
	char value[64];

	pthread_mutex_lock(&gated->gate);
	for (int i = 0; i < 200000; i++) {
		snprintf(key, sizeof(key), "r%d", i);
		put_recipient(writer, key);
	}
	put_recipient(writer, "one too many");
	assert_int_equal(get_recipient(writer, "one too many"), STORE_ABSENT);
	put(writer, "secret", "kept");
	put_recipient(writer, "r199999"); /* is queued already */
	pthread_mutex_unlock(&gated->gate);
	writer_settle(writer);
	assert_int_equal(store_entries(gated->inner, STORE_RECIPIENTS), 200000);
	assert_int_equal(get(writer, "secret", value), STORE_FOUND);
	put_recipient(writer, "one too many");
	assert_int_equal(get_recipient(writer, "one too many"), STORE_FOUND);
	writer_stop(writer);
}

static int64_t count_call(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
	return 1;
}

static void test_chore(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);
	atomic_int calls = 0;
	int seen;

	writer_set_chore(writer, count_call, &calls);
	for (int i = 0; i < 300 && atomic_load(&calls) < 3; i++)
		usleep(100000);
	put(writer, "a", "1");
	writer_settle(writer);
	writer_set_chore(writer, NULL, NULL);
	seen = atomic_load(&calls);
	assert_true(seen >= 3);
	usleep(20000);
	assert_int_equal(atomic_load(&calls), seen);
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

/* By these, whoever has much to write holds back, and learns that it was in vain. */
static void test_backlog_and_losses(void **state)
{
	struct gated_store *gated = *state;
	struct writer *writer = writer_start(&gated->store);
	char key[16];

	assert_int_equal(writer_backlog(writer), 0);
	pthread_mutex_lock(&gated->gate);
	for (int i = 0; i < 500; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		writer_put(writer, STORE_RECIPIENTS, key, strlen(key), "x", 1);
	}
	assert_int_equal(writer_backlog(writer), 500);
	pthread_mutex_unlock(&gated->gate);
	writer_settle(writer);
	assert_int_equal(writer_backlog(writer), 0);
	assert_int_equal(writer_losses(writer), 0);
	set_error(gated, -ENOSPC);
	writer_put(writer, STORE_RECIPIENTS, "a", 1, "x", 1);
	writer_settle(writer);
	assert_true(writer_losses(writer) > 0);
	assert_int_equal(writer_backlog(writer), 0);
	set_error(gated, 0);
	writer_stop(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_queued_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backlog_and_losses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_writes_the_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failure_stops_learning_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failure_keeps_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state_is_tried_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_put_takes_no_delete_with_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_deletes_in_smaller_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overflow_spares_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chore, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
