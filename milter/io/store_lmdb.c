/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store on disk: one LMDB file with a named database per table.
 *
 * MDB_NOTLS, because libmilter runs one connection's callbacks on changing threads that end when
 * they like: a reader slot tied to such a thread would leak. Each read is a transaction of its own.
 */
#include "io/store.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"

#define READERS_MAX	     1024
#define CHECK_SECONDS	     60
#define ALWAYS_CHECKED_BYTES (64L << 20) /* a matter of milliseconds: checked at every start */
#define MAP_SPARE	     (4UL << 20) /* room above what is in the file already */
#define LOCK_FILE_BYTES	     (READERS_MAX * 64 + 4096)

struct store_lmdb {
	struct store store;
	MDB_env *env;
	MDB_dbi tables[STORE_TABLE_COUNT];
};

static const char *const table_names[STORE_TABLE_COUNT] = {
	[STORE_META] = "meta",	     [STORE_RECIPIENTS] = "recipients",
	[STORE_DOMAINS] = "domains", [STORE_ENDPOINTS] = "endpoints",
	[STORE_SENDERS] = "senders", [STORE_CANARIES] = "canaries",
	[STORE_HISTORY] = "history",
};

static struct store_lmdb *downcast(struct store *store)
{
	return (struct store_lmdb *)store;
}

/* LMDB's own codes are negative and errno values are positive: give the caller -errno. */
static int errno_of(int code)
{
	if (code == 0)
		return 0;
	if (code == MDB_MAP_FULL || code == MDB_TXN_FULL || code == ENOSPC)
		return -ENOSPC;
	return code > 0 ? -code : -EIO;
}

static enum store_result lmdb_get(struct store *store, enum store_table table, const void *key,
				  size_t key_length, void *value, size_t size, size_t *length)
{
	struct store_lmdb *lmdb = downcast(store);
	MDB_val k = { .mv_size = key_length, .mv_data = (void *)(uintptr_t)key };
	MDB_val v;
	MDB_txn *txn;
	enum store_result result = STORE_FAILED;
	int code;

	if (key_length == 0 || key_length > STORE_KEY_MAX)
		return STORE_ABSENT;
	if (mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn) != 0)
		return STORE_FAILED;
	code = mdb_get(txn, lmdb->tables[table], &k, &v);
	if (code == MDB_NOTFOUND) {
		result = STORE_ABSENT;
	} else if (code == 0 && v.mv_size <= size) {
		memcpy(value, v.mv_data, v.mv_size);
		*length = v.mv_size;
		result = STORE_FOUND;
	}
	mdb_txn_abort(txn);
	return result;
}

static int apply_one(struct store_lmdb *lmdb, MDB_txn *txn, const struct store_op *op)
{
	MDB_val k = { .mv_size = op->key_length, .mv_data = (void *)(uintptr_t)op->key };
	MDB_val v = { .mv_size = op->value_length, .mv_data = (void *)(uintptr_t)op->value };
	int code;

	if (op->key_length == 0 || op->key_length > STORE_KEY_MAX)
		return EINVAL;
	if (op->value != NULL)
		return mdb_put(txn, lmdb->tables[op->table], &k, &v, 0);
	code = mdb_del(txn, lmdb->tables[op->table], &k, NULL);
	return code == MDB_NOTFOUND ? 0 : code;
}

static int lmdb_apply(struct store *store, const struct store_op *ops, size_t count)
{
	struct store_lmdb *lmdb = downcast(store);
	MDB_txn *txn;
	int code = mdb_txn_begin(lmdb->env, NULL, 0, &txn);

	if (code != 0)
		return errno_of(code);
	for (size_t i = 0; i < count && code == 0; i++)
		code = apply_one(lmdb, txn, &ops[i]);
	if (code != 0) {
		mdb_txn_abort(txn);
		return errno_of(code);
	}
	return errno_of(mdb_txn_commit(txn));
}

static MDB_val val_of(const void *data, size_t size)
{
	return (MDB_val){ .mv_size = size, .mv_data = (void *)(uintptr_t)data };
}

/* Puts the cursor on the range's first key. */
static int cursor_begin(MDB_cursor *cursor, const struct store_range *range, MDB_val *k, MDB_val *v)
{
	int code;

	if (range->after_length == 0) {
		*k = val_of(range->prefix, range->prefix_length);
		return mdb_cursor_get(cursor, k, v,
				      range->prefix_length > 0 ? MDB_SET_RANGE : MDB_FIRST);
	}
	*k = val_of(range->after, range->after_length);
	code = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
	if (code == 0 && k->mv_size == range->after_length &&
	    memcmp(k->mv_data, range->after, range->after_length) == 0)
		code = mdb_cursor_get(cursor, k, v, MDB_NEXT);
	return code;
}

static bool is_inside(const struct store_range *range, const MDB_val *k)
{
	return range->prefix_length == 0 ||
	       (k->mv_size >= range->prefix_length &&
		memcmp(k->mv_data, range->prefix, range->prefix_length) == 0);
}

static int lmdb_scan(struct store *store, const struct store_range *range, store_visitor visit,
		     void *arg)
{
	struct store_lmdb *lmdb = downcast(store);
	MDB_val k;
	MDB_val v;
	MDB_cursor *cursor;
	MDB_txn *txn;
	int code = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn);

	if (code != 0)
		return errno_of(code);
	code = mdb_cursor_open(txn, lmdb->tables[range->table], &cursor);
	if (code != 0)
		goto out;
	code = cursor_begin(cursor, range, &k, &v);
	while (code == 0 && is_inside(range, &k)) {
		if (!visit(arg, k.mv_data, k.mv_size, v.mv_data, v.mv_size))
			break;
		code = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	if (code == MDB_NOTFOUND)
		code = 0;
	mdb_cursor_close(cursor);
out:
	mdb_txn_abort(txn);
	return errno_of(code);
}

static int64_t lmdb_bytes(struct store *store)
{
	MDB_envinfo info;
	MDB_stat stat;

	if (mdb_env_info(downcast(store)->env, &info) != 0 ||
	    mdb_env_stat(downcast(store)->env, &stat) != 0)
		return -1;
	return (int64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

static int64_t lmdb_entries(struct store *store, enum store_table table)
{
	struct store_lmdb *lmdb = downcast(store);
	MDB_stat stat;
	MDB_txn *txn;
	int64_t entries = -1;

	if (mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn) != 0)
		return -1;
	if (mdb_stat(txn, lmdb->tables[table], &stat) == 0)
		entries = (int64_t)stat.ms_entries;
	mdb_txn_abort(txn);
	return entries;
}

static void lmdb_close(struct store *store)
{
	mdb_env_close(downcast(store)->env);
	free(store);
}

static const struct store_methods lmdb_methods = {
	.get = lmdb_get,
	.apply = lmdb_apply,
	.scan = lmdb_scan,
	.bytes = lmdb_bytes,
	.entries = lmdb_entries,
	.close = lmdb_close,
};

static int open_tables(struct store_lmdb *lmdb)
{
	MDB_txn *txn;
	int code = mdb_txn_begin(lmdb->env, NULL, 0, &txn);

	if (code != 0)
		return code;
	for (size_t i = 0; i < STORE_TABLE_COUNT && code == 0; i++)
		code = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &lmdb->tables[i]);
	if (code != 0) {
		mdb_txn_abort(txn);
		return code;
	}
	return mdb_txn_commit(txn);
}

/* A file that ends before its last page would be a bus error at the first read of that page. */
static int check_not_truncated(MDB_env *env, const char *path)
{
	MDB_envinfo info;
	MDB_stat env_stat;
	struct stat file;

	if (mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &env_stat) != 0)
		return EIO;
	if (stat(path, &file) != 0)
		return errno;
	if ((uint64_t)file.st_size < (uint64_t)(info.me_last_pgno + 1) * env_stat.ms_psize)
		return MDB_CORRUPTED;
	return 0;
}

/* LMDB writes to its lock file through a map. On a full disk a hole in that file is a bus error the
 * first time a reader's slot lies in it: so it gets its blocks before anybody uses it. */
static int lock_file_reserve(const char *path)
{
	char *name = memory_format("%s-lock", path);
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int code = fd < 0 ? errno : posix_fallocate(fd, 0, LOCK_FILE_BYTES);

	if (fd >= 0)
		close(fd);
	free(name);
	return code == EINVAL || code == EOPNOTSUPP ? 0 : code; /* a file system that can't */
}

/* The map is never smaller than the file, whatever max_entries says by now; and some room above it
 * lets the sweep make more. */
static int map_keep_spare(MDB_env *env, size_t map_size)
{
	MDB_envinfo info;
	MDB_stat stat;
	size_t wanted;

	if (mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &stat) != 0)
		return EIO;
	wanted = (info.me_last_pgno + 1) * stat.ms_psize + MAP_SPARE;
	if (wanted <= map_size)
		return 0;
	return mdb_env_set_mapsize(env, wanted);
}

static int try_open(struct store_lmdb *lmdb, const char *path, size_t map_size)
{
	int dead = 0;
	int code = lock_file_reserve(path);

	if (code == 0)
		code = mdb_env_create(&lmdb->env);
	if (code != 0)
		return code;
	mdb_env_set_mapsize(lmdb->env, map_size);
	mdb_env_set_maxreaders(lmdb->env, READERS_MAX);
	mdb_env_set_maxdbs(lmdb->env, STORE_TABLE_COUNT);
	code = mdb_env_open(lmdb->env, path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (code == 0)
		code = check_not_truncated(lmdb->env, path);
	if (code == 0)
		code = map_keep_spare(lmdb->env, map_size);
	if (code == 0)
		code = open_tables(lmdb);
	if (code != 0) {
		mdb_env_close(lmdb->env);
		lmdb->env = NULL;
		return code;
	}
	mdb_reader_check(lmdb->env, &dead);
	return 0;
}

/* Damage, as opposed to a disk or a permission that an administrator can mend in place: LMDB's own
 * codes are negative, and all but these two speak of what is in the file. */
static bool is_damage(int code)
{
	if (code == MDB_READERS_FULL || code == MDB_MAP_FULL)
		return false;
	return code < 0 || code == EIO || code == EINVAL;
}

static bool set_file_aside(const char *path)
{
	char *aside = memory_format("%s.corrupt-%lld", path, (long long)time(NULL));
	char *lock = memory_format("%s-lock", path);
	bool done = rename(path, aside) == 0;

	if (done) {
		log_error("store: file=%s cannot be read, it was set aside as %s and an empty one "
			  "is begun",
			  path, aside);
		unlink(lock);
	}
	free(lock);
	free(aside);
	return done;
}

static bool touch(void *sum, const void *key, size_t key_length, const void *value,
		  size_t value_length)
{
	const unsigned char *bytes = key;

	for (size_t i = 0; i < key_length; i++)
		*(volatile unsigned *)sum += bytes[i];
	bytes = value;
	for (size_t i = 0; i < value_length; i++)
		*(volatile unsigned *)sum += bytes[i];
	return true;
}

/* From its begin to its end, which a disk does in a fraction of the time that it takes in the order
 * of the keys. */
static void read_ahead(const char *path)
{
	static char block[1 << 20];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && read(fd, block, sizeof(block)) > 0)
		;
	if (fd >= 0)
		close(fd);
}

/* The child's part: reads all there is. Damage may end it by a signal, or keep it busy for
 * ever. */
static _Noreturn void read_all_and_exit(const char *path, size_t map_size)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGABRT, SIGALRM };
	struct store_lmdb lmdb = { .store = { .methods = &lmdb_methods } };
	unsigned sum = 0;
	int code;

	sigset_t none;

	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		signal(deadly[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	alarm(CHECK_SECONDS);
	read_ahead(path);
	code = try_open(&lmdb, path, map_size);
	if (code != 0) /* the parent will see that for itself, and judge it */
		_exit(0);
	for (int table = 0; table < STORE_TABLE_COUNT && code == 0; table++)
		code = lmdb_scan(&lmdb.store,
				 &(struct store_range){ .table = (enum store_table)table }, touch,
				 &sum);
	_exit(code == 0 ? 0 : 1);
}

/* False when the file can be opened, but not read to its end. */
static bool survives_reading(const char *path, size_t map_size)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		read_all_and_exit(path, map_size);
	if (child < 0) /* then it has to be trusted */
		return true;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return true;
	/* a large file on a slow disk is no damaged one */
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return true;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Whether the file is to be set aside. A large one takes its time, and who waits shall know why. */
static bool is_damaged(const char *path, size_t map_size, bool check)
{
	struct stat status;
	time_t begun = time(NULL);
	bool survives;

	if (stat(path, &status) != 0)
		return false;
	if (status.st_size <= ALWAYS_CHECKED_BYTES)
		return !survives_reading(path, map_size);
	if (!check)
		return false;
	log_notice("store: checking %lld MB, because the last stop was a crash",
		   (long long)status.st_size >> 20);
	survives = survives_reading(path, map_size);
	log_notice("store: checked, result=%s took=%llds", survives ? "ok" : "damaged",
		   (long long)(time(NULL) - begun));
	return !survives;
}

struct store *store_lmdb_open(const char *path, size_t map_size, bool check, bool *set_aside,
			      const char **why)
{
	struct store_lmdb *lmdb = memory_alloc(sizeof(*lmdb));
	int code;

	*set_aside = false;
	if (is_damaged(path, map_size, check))
		*set_aside = set_file_aside(path);
	code = try_open(lmdb, path, map_size);
	if (is_damage(code) && set_file_aside(path)) {
		*set_aside = true;
		code = try_open(lmdb, path, map_size);
	}
	if (code != 0) {
		*why = mdb_strerror(code);
		free(lmdb);
		return NULL;
	}
	lmdb->store.methods = &lmdb_methods;
	return &lmdb->store;
}
