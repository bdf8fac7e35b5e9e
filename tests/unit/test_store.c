/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store: LMDB and memory do the same, and a damaged file is set aside (promise P7).
 */
#include "io/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MAP_SIZE (8UL << 20)

static char folder[] = "/tmp/test_store.XXXXXX";
static char path[256];

static struct store *open_lmdb(void)
{
	const char *why = NULL;
	bool aside = true;
	struct store *store = store_lmdb_open(path, MAP_SIZE, true, &aside, &why);

	if (store == NULL)
		fail_msg("cannot open %s: %s", path, why);
	assert_false(aside);
	return store;
}

static void empty_folder(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char name[600];

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name);
		unlink(name);
	}
	if (dir != NULL)
		closedir(dir);
}

static int group_setup(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/store.mdb", folder);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	empty_folder();
	return rmdir(folder);
}

static int setup_lmdb(void **state)
{
	empty_folder();
	*state = open_lmdb();
	return 0;
}

static int setup_memory(void **state)
{
	*state = store_memory_new();
	return 0;
}

static int teardown(void **state)
{
	store_close(*state);
	return 0;
}

static struct store_op put(enum store_table table, const char *key, const char *value)
{
	return (struct store_op){ table, key, strlen(key), value,
				  value != NULL ? strlen(value) : 0 };
}

static void assert_value(struct store *store, enum store_table table, const char *key,
			 const char *value)
{
	char buffer[64];
	size_t length = 0;
	enum store_result result =
		store_get(store, table, key, strlen(key), buffer, sizeof(buffer), &length);

	if (value == NULL) {
		assert_int_equal(result, STORE_ABSENT);
		return;
	}
	assert_int_equal(result, STORE_FOUND);
	assert_int_equal(length, strlen(value));
	assert_memory_equal(buffer, value, length);
}

static void test_put_get_delete(void **state)
{
	struct store *store = *state;
	struct store_op ops[] = { put(STORE_META, "a", "1"), put(STORE_META, "b", "2"),
				  put(STORE_DOMAINS, "a", "other") };
	struct store_op more[] = { put(STORE_META, "a", NULL), put(STORE_META, "b", "two"),
				   put(STORE_META, "never", NULL) };

	assert_value(store, STORE_META, "a", NULL);
	assert_int_equal(store_apply(store, ops, 3), 0);
	assert_value(store, STORE_META, "a", "1");
	assert_value(store, STORE_DOMAINS, "a", "other");
	assert_int_equal(store_apply(store, more, 3), 0);
	assert_value(store, STORE_META, "a", NULL);
	assert_value(store, STORE_META, "b", "two");
	assert_value(store, STORE_DOMAINS, "a", "other");
	assert_int_equal(store_entries(store, STORE_META), 1);
}

/* "Does not fit" is a failure, never "not there". */
static void test_too_small_a_buffer(void **state)
{
	struct store *store = *state;
	struct store_op op = put(STORE_META, "key", "a long value");
	char small[4];
	size_t length;

	assert_int_equal(store_apply(store, &op, 1), 0);
	assert_int_equal(store_get(store, STORE_META, "key", 3, small, sizeof(small), &length),
			 STORE_FAILED);
}

struct seen {
	char keys[256];
	int left;
};

static bool note_key(void *arg, const void *key, size_t key_length, const void *value,
		     size_t value_length)
{
	struct seen *seen = arg;
	size_t length = strlen(seen->keys);

	(void)value;
	(void)value_length;
	snprintf(seen->keys + length, sizeof(seen->keys) - length, "%.*s ", (int)key_length,
		 (const char *)key);
	return --seen->left > 0;
}

static void test_scan(void **state)
{
	struct store *store = *state;
	struct store_op ops[] = {
		put(STORE_RECIPIENTS, "b.1", "x"), put(STORE_RECIPIENTS, "a.2", "x"),
		put(STORE_RECIPIENTS, "a.1", "x"), put(STORE_RECIPIENTS, "a", "x"),
		put(STORE_RECIPIENTS, "ab", "x"),  put(STORE_META, "a.3", "x"),
	};
	struct seen all = { .left = 100 };
	struct seen prefix = { .left = 100 };
	struct seen two = { .left = 2 };

	assert_int_equal(store_apply(store, ops, 6), 0);
	assert_int_equal(store_scan(store, &(struct store_range){ .table = STORE_RECIPIENTS },
				    note_key, &all),
			 0);
	assert_string_equal(all.keys, "a a.1 a.2 ab b.1 ");
	assert_int_equal(store_scan(store,
				    &(struct store_range){ STORE_RECIPIENTS, "a.", 2, NULL, 0 },
				    note_key, &prefix),
			 0);
	assert_string_equal(prefix.keys, "a.1 a.2 ");
	assert_int_equal(store_scan(store,
				    &(struct store_range){ STORE_RECIPIENTS, "a", 1, NULL, 0 },
				    note_key, &two),
			 0);
	assert_string_equal(two.keys, "a a.1 ");
}

static void assert_range(struct store *store, const char *prefix, const char *after,
			 const char *keys)
{
	struct store_range range = { STORE_RECIPIENTS, prefix, strlen(prefix), after,
				     strlen(after) };
	struct seen seen = { .left = 100 };

	assert_int_equal(store_scan(store, &range, note_key, &seen), 0);
	assert_string_equal(seen.keys, keys);
}

/* A long scan goes on behind the key where the one before ended, whether it is still there or not.
 */
static void test_scan_goes_on(void **state)
{
	struct store *store = *state;
	struct store_op ops[] = {
		put(STORE_RECIPIENTS, "a", "x"),
		put(STORE_RECIPIENTS, "a.1", "x"),
		put(STORE_RECIPIENTS, "a.3", "x"),
		put(STORE_RECIPIENTS, "b", "x"),
	};

	assert_int_equal(store_apply(store, ops, 4), 0);
	assert_range(store, "", "a", "a.1 a.3 b ");
	assert_range(store, "", "a.2", "a.3 b ");
	assert_range(store, "a.", "a.1", "a.3 ");
	assert_range(store, "a.", "a.3", "");
	assert_range(store, "", "b", "");
}

static void test_survives_reopening(void **state)
{
	struct store_op op = put(STORE_META, "key", "value");

	assert_int_equal(store_apply(*state, &op, 1), 0);
	store_close(*state);
	*state = open_lmdb();
	assert_value(*state, STORE_META, "key", "value");
}

/* All or nothing, and an error of its own: P7 wants answering to go on. */
static void test_full_map(void **state)
{
	struct store *store = *state;
	static char big[1 << 20];
	struct store_op small = put(STORE_META, "small", "kept");
	int result = 0;

	memset(big, 'x', sizeof(big));
	assert_int_equal(store_apply(store, &small, 1), 0);
	for (int i = 0; i < 20 && result == 0; i++) {
		char key[16];
		struct store_op op = { STORE_META, key, 0, big, sizeof(big) };

		snprintf(key, sizeof(key), "big%d", i);
		op.key_length = strlen(key);
		result = store_apply(store, &op, 1);
	}
	assert_int_equal(result, -ENOSPC);
	assert_value(store, STORE_META, "small", "kept");
}

static struct store *open_with_map(size_t map_size)
{
	const char *why = NULL;
	bool aside = true;
	struct store *store = store_lmdb_open(path, map_size, false, &aside, &why);

	if (store == NULL)
		fail_msg("cannot open %s: %s", path, why);
	assert_false(aside);
	return store;
}

static struct store_op numbered(char *key, size_t size, unsigned number, const char *value)
{
	snprintf(key, size, "key %08x of some length", number * 2654435761U);
	return (struct store_op){ STORE_RECIPIENTS, key, strlen(key), value,
				  value != NULL ? strlen(value) : 0 };
}

/* Puts entries all over the tree until not even one fits; returns how many. */
static unsigned fill_up(struct store *store)
{
	static char keys[1000][40];
	struct store_op ops[1000];
	unsigned filled = 0;

	for (unsigned batch = 1000; batch > 0;) {
		for (unsigned i = 0; i < batch; i++)
			ops[i] = numbered(keys[i], sizeof(keys[i]), filled + i, "value");
		if (store_apply(store, ops, batch) == 0)
			filled += batch;
		else
			batch /= 2;
	}
	return filled;
}

/* The way out of a full map: deletes, a few at a time, and then there is room again. */
static void test_full_map_takes_deletes(void **state)
{
	struct store *store = *state;
	unsigned filled = fill_up(store);
	char key[40];
	struct store_op op;

	for (unsigned i = 0; i < 500; i++) {
		op = numbered(key, sizeof(key), i, NULL);
		assert_int_equal(store_apply(store, &op, 1), 0);
	}
	op = numbered(key, sizeof(key), filled, "new");
	assert_int_equal(store_apply(store, &op, 1), 0);
	op = numbered(key, sizeof(key), filled - 1, NULL);
	assert_value(store, STORE_RECIPIENTS, key, "value");
}

/* A lower max_entries is no reason not to open what is there, nor to refuse what it takes to get
 * rid of some of it. */
static void test_smaller_map_than_file(void **state)
{
	struct store *store;
	struct store_op ops[1000];
	static char keys[1000][40];
	unsigned filled;

	(void)state;
	empty_folder();
	store = open_with_map(MAP_SIZE);
	filled = fill_up(store);
	store_close(store);
	store = open_with_map(MAP_SIZE / 4);
	assert_int_equal(store_entries(store, STORE_RECIPIENTS), filled);
	for (unsigned i = 0; i < 1000; i++)
		ops[i] = numbered(keys[i], sizeof(keys[i]), i, NULL);
	assert_int_equal(store_apply(store, ops, 1000), 0);
	assert_int_equal(store_entries(store, STORE_RECIPIENTS), filled - 1000);
	store_close(store);
}

/* LMDB maps it for writing: a hole in it would be a bus error on a full disk. */
static void test_lock_file_has_its_blocks(void **state)
{
	char name[300];
	struct stat status;

	(void)state;
	snprintf(name, sizeof(name), "%s-lock", path);
	assert_int_equal(stat(name, &status), 0);
	assert_true(status.st_size >= 65536);
	assert_true(status.st_blocks * 512 >= status.st_size);
}

static void fill_some(void)
{
	struct store *store = open_lmdb();
	char key[32];
	struct store_op op = { STORE_RECIPIENTS, key, 0, "value of some length", 20 };

	for (int i = 0; i < 500; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		op.key_length = strlen(key);
		assert_int_equal(store_apply(store, &op, 1), 0);
	}
	store_close(store);
}

static bool aside_exists(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	bool found = false;

	while ((entry = readdir(dir)) != NULL)
		found |= strncmp(entry->d_name, "store.mdb.corrupt-", 18) == 0;
	closedir(dir);
	return found;
}

/* An empty store is begun beside what was there. */
static void assert_set_aside(void)
{
	const char *why = NULL;
	bool aside = false;
	struct store *store = store_lmdb_open(path, MAP_SIZE, true, &aside, &why);
	struct store_op op = put(STORE_META, "key", "value");

	assert_non_null(store);
	assert_true(aside);
	assert_true(aside_exists());
	assert_int_equal(store_entries(store, STORE_RECIPIENTS), 0);
	assert_int_equal(store_apply(store, &op, 1), 0);
	store_close(store);
}

static void test_garbage_is_set_aside(void **state)
{
	char garbage[8192];
	FILE *file;

	(void)state;
	empty_folder();
	file = fopen(path, "w");
	memset(garbage, 0x5a, sizeof(garbage));
	assert_int_equal(fwrite(garbage, 1, sizeof(garbage), file), sizeof(garbage));
	fclose(file);
	assert_set_aside();
}

static void test_truncated_file_is_set_aside(void **state)
{
	struct stat status;

	(void)state;
	empty_folder();
	fill_some();
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(truncate(path, status.st_size / 2 / 4096 * 4096), 0);
	assert_set_aside();
}

/* LMDB itself would end the process by a signal at such a file. */
static void test_garbage_in_the_middle_is_set_aside(void **state)
{
	char garbage[4096];
	struct stat status;
	int fd;

	(void)state;
	empty_folder();
	fill_some();
	memset(garbage, 0x5a, sizeof(garbage));
	assert_int_equal(stat(path, &status), 0);
	fd = open(path, O_WRONLY);
	for (off_t at = 8192; at < status.st_size; at += (off_t)sizeof(garbage))
		assert_int_equal(pwrite(fd, garbage, sizeof(garbage), at), sizeof(garbage));
	close(fd);
	assert_set_aside();
}

static void test_zero_meta_pages_are_set_aside(void **state)
{
	static const char zeros[8192];
	int fd;

	(void)state;
	empty_folder();
	fill_some();
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
	close(fd);
	assert_set_aside();
}

static void test_impossible_place(void **state)
{
	const char *why = NULL;
	bool aside;

	(void)state;
	assert_null(store_lmdb_open("/nonexistent/place/store.mdb", MAP_SIZE, true, &aside, &why));
	assert_non_null(why);
	assert_false(aside);
}

#define BOTH(test)                                                                                 \
	{ #test " (lmdb)", test, setup_lmdb, teardown, NULL },                                     \
	{                                                                                          \
#test " (memory)", test, setup_memory, teardown, NULL                              \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_put_get_delete),
		BOTH(test_too_small_a_buffer),
		BOTH(test_scan),
		BOTH(test_scan_goes_on),
		cmocka_unit_test_setup_teardown(test_survives_reopening, setup_lmdb, teardown),
		cmocka_unit_test_setup_teardown(test_full_map, setup_lmdb, teardown),
		cmocka_unit_test_setup_teardown(test_full_map_takes_deletes, setup_lmdb, teardown),
		cmocka_unit_test(test_smaller_map_than_file),
		cmocka_unit_test_setup_teardown(test_lock_file_has_its_blocks, setup_lmdb,
						teardown),
		cmocka_unit_test(test_garbage_is_set_aside),
		cmocka_unit_test(test_truncated_file_is_set_aside),
		cmocka_unit_test(test_garbage_in_the_middle_is_set_aside),
		cmocka_unit_test(test_zero_meta_pages_are_set_aside),
		cmocka_unit_test(test_impossible_place),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
