/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recipient memory at size: `memory_size FOLDER [ENTRIES]` fills a store in FOLDER with entries
 * of 1,000 domains and prints what filling, looking up, sweeping and reading through cost. The
 * lookups in an empty store are the floor that ratios are to. `make bench` runs it with 10 million.
 *
 * `memory_size FOLDER ENTRIES fill DOMAIN` only fills, for tests: one domain's entries "u0000000"
 * and so on; the even ones valid, the odd ones refused so long ago that the sweep removes them.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "conf/config.h"
#include "core/recipient.h"
#include "io/loop.h"
#include "io/store.h"
#include "io/writer.h"
#include "memory/recipient_lists.h"
#include "memory/recipients.h"
#include "memory/sweep.h"

#define DOMAINS	    1000
#define BATCH	    5000
#define LOOKUPS	    200000
#define SWEEP_STEPS 2000

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static long rss_kb(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "RssAnon: %ld", &kb) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return kb;
}

struct bench {
	struct store *store;
	struct writer *writer;
	struct recipients *recipients;
	struct sweep *sweep;
	struct config *config;
	unsigned long entries;
	const char *domain; /* one for all; NULL: many */
};

static void name_of(const struct bench *bench, unsigned long i, char *domain, char *local)
{
	unsigned long per_domain = bench->entries / DOMAINS + 1;

	if (bench->domain != NULL)
		snprintf(domain, MAIL_DOMAIN_MAX + 1, "%s", bench->domain);
	else
		snprintf(domain, MAIL_DOMAIN_MAX + 1, "customer%03lu.example.org", i / per_domain);
	snprintf(local, MAIL_LOCAL_MAX + 1, bench->domain != NULL ? "u%07lu" : "firstname.u%07lu",
		 i);
}

/* ---- filling ---- */

struct batch {
	struct store_op ops[BATCH];
	char keys[BATCH][RECIPIENT_KEY_MAX];
	unsigned char values[BATCH][RECIPIENT_RECORD_MAX];
};

static bool fill(struct bench *bench)
{
	struct batch *batch = memory_alloc(sizeof(*batch));
	int64_t wall = loop_wall_seconds();
	char domain[MAIL_DOMAIN_MAX + 1];
	char local[MAIL_LOCAL_MAX + 1];
	size_t count = 0;
	int result = 0;

	for (unsigned long i = 0; i < bench->entries && result == 0; i++) {
		struct recipient_record record = {
			.kind = i % 2 == 0 ? RECIPIENT_KIND_VALID : RECIPIENT_KIND_INVALID,
			.source = RECIPIENT_SOURCE_CALLOUT,
			.verified = i % 2 == 0 ? wall : wall - 864000,
		};

		name_of(bench, i, domain, local);
		batch->ops[count] = (struct store_op){
			.table = STORE_RECIPIENTS,
			.key = batch->keys[count],
			.key_length = recipient_key(batch->keys[count], domain, local),
			.value = batch->values[count],
			.value_length = recipient_record_write(&record, batch->values[count]),
		};
		if (++count == BATCH || i + 1 == bench->entries) {
			result = store_apply(bench->store, batch->ops, count);
			count = 0;
		}
	}
	free(batch);
	if (result != 0)
		printf("filling: %s\n", strerror(-result));
	return result == 0;
}

/* ---- lookups ---- */

static unsigned long random_number(unsigned *seed)
{
	unsigned long high = (unsigned long)rand_r(seed);

	return high << 16 ^ (unsigned long)rand_r(seed);
}

struct times {
	double p50, p99, max;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static struct times look_up(struct bench *bench, unsigned seed, size_t count)
{
	double *seconds = memory_array(count, sizeof(*seconds));
	char domain[MAIL_DOMAIN_MAX + 1];
	char local[MAIL_LOCAL_MAX + 1];
	struct recipient_question question = { .config = bench->config,
					       .domain = domain,
					       .local = local,
					       .clock = { .now = loop_wall_seconds() } };
	struct times times;

	for (size_t i = 0; i < count; i++) {
		struct recipient_found found;
		double begun;

		name_of(bench, random_number(&seed) % bench->entries, domain, local);
		begun = now();
		recipients_find(bench->recipients, &question, &found);
		seconds[i] = now() - begun;
	}
	qsort(seconds, count, sizeof(*seconds), by_value);
	times = (struct times){ seconds[count / 2], seconds[count / 100 * 99], seconds[count - 1] };
	free(seconds);
	return times;
}

static struct times print_times(const char *what, struct times times, const struct times *floor)
{
	printf("%-34s p50 %7.2f us  p99 %7.2f us  max %9.1f us", what, times.p50 * 1e6,
	       times.p99 * 1e6, times.max * 1e6);
	if (floor != NULL)
		printf("  %.1fx the floor", times.p50 / floor->p50);
	printf("\n");
	return times;
}

/* ---- beside each other ---- */

static atomic_bool is_over;

static void *sweep_on(void *arg)
{
	struct bench *bench = arg;
	int64_t begun_ms = loop_now_ms();
	int64_t begun_wall = loop_wall_seconds();
	struct sweep_time time = { .ms = begun_ms, .wall = begun_wall };
	size_t steps = bench->entries / 500 < SWEEP_STEPS ? bench->entries / 500 : SWEEP_STEPS;
	double *seconds = memory_array(SWEEP_STEPS, sizeof(*seconds));
	int64_t before = store_entries(bench->store, STORE_RECIPIENTS);
	size_t count = 0;

	while (!atomic_load(&is_over) && count < steps) {
		double begun = now();
		int64_t pause = sweep_step(bench->sweep, &time);

		seconds[count++] = now() - begun;
		time.ms += pause; /* without the pauses: the worst that it can do */
		time.wall = begun_wall + (time.ms - begun_ms) / 1000;
	}
	qsort(seconds, count, sizeof(*seconds), by_value);
	print_times(
		"a sweep step of 500 entries",
		(struct times){ seconds[count / 2], seconds[count / 100 * 99], seconds[count - 1] },
		NULL);
	printf("%-34s %lld of %zu\n", "swept",
	       (long long)(before - store_entries(bench->store, STORE_RECIPIENTS)), count * 500);
	free(seconds);
	return NULL;
}

static int64_t sweep_chore(void *arg)
{
	sweep_on(arg);
	return INT32_MAX;
}

static void *learn_on(void *arg)
{
	struct bench *bench = arg;
	unsigned seed = 7;
	unsigned long learned = 0;
	double begun = now();
	char domain[MAIL_DOMAIN_MAX + 1];
	char local[MAIL_LOCAL_MAX + 1];
	struct recipient_question question = { .config = bench->config,
					       .domain = domain,
					       .local = local,
					       .clock = { .now = loop_wall_seconds() } };

	while (!atomic_load(&is_over)) {
		name_of(bench, random_number(&seed) % bench->entries, domain, local);
		recipients_learn(bench->recipients, &question, RCPT_VERDICT_VALID);
		learned++;
		usleep(200);
	}
	printf("%-34s %.0f a second\n", "learned meanwhile", (double)learned / (now() - begun));
	return NULL;
}

static void beside(struct bench *bench, bool sweep, const struct times *floor)
{
	pthread_t learner;

	atomic_store(&is_over, false);
	if (sweep)
		writer_set_chore(bench->writer, sweep_chore, bench);
	pthread_create(&learner, NULL, learn_on, bench);
	print_times(sweep ? "lookups beside writes and sweep" : "lookups beside writes",
		    look_up(bench, 3, LOOKUPS), floor);
	atomic_store(&is_over, true);
	pthread_join(learner, NULL);
	writer_set_chore(bench->writer, NULL, NULL);
	writer_settle(bench->writer);
}

/* ---- reading through, counting ---- */

static bool touch(void *arg, const void *key, size_t key_length, const void *value,
		  size_t value_length)
{
	(void)key;
	(void)value;
	*(size_t *)arg += key_length + value_length;
	return true;
}

static void print_reading(struct bench *bench)
{
	struct recipient_counts counts;
	struct recipient_question question = { .config = bench->config,
					       .domain = "customer001.example.org",
					       .local = "",
					       .clock = { .now = loop_wall_seconds() } };
	size_t bytes = 0;
	double begun = now();

	store_scan(bench->store, &(struct store_range){ .table = STORE_RECIPIENTS }, touch, &bytes);
	printf("%-34s %.2f s\n", "a scan of all", now() - begun);
	begun = now();
	recipients_count(bench->recipients, &question, &counts);
	printf("%-34s %.2f ms\n", "status counts a large domain", (now() - begun) * 1e3);
}

/* ---- main ---- */

static bool no_clock(void *arg, const char *domain, int64_t wall, struct recipient_clock *clock)
{
	(void)arg;
	(void)domain;
	*clock = (struct recipient_clock){ .now = wall };
	return true;
}

static void bench_open(struct bench *bench, const char *path, bool check)
{
	const char *why = "";
	bool aside;
	size_t map = bench->entries * 256 + (256UL << 20);
	double begun = now();

	bench->store = store_lmdb_open(path, map, check, &aside, &why);
	if (bench->store == NULL) {
		printf("%s: %s\n", path, why);
		exit(1);
	}
	if (check)
		printf("%-34s %.2f s\n", "opening after a crash", now() - begun);
}

/* The disk's turn again: the kernel drops what it keeps of the file. */
static void forget_cached(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
		printf("%s: stays cached\n", path);
	if (fd >= 0)
		close(fd);
}

static void memory_begin(struct bench *bench, struct recipient_lists *lists)
{
	struct sweep_settings settings = { .clock = no_clock };

	settings.writer = bench->writer = writer_start(bench->store);
	settings.recipients = bench->recipients = recipients_new(bench->writer, lists);
	bench->sweep = sweep_new(&settings, bench->config);
}

static void memory_end(struct bench *bench)
{
	sweep_free(bench->sweep);
	recipients_free(bench->recipients);
	writer_stop(bench->writer);
}

static struct times measure_floor(struct bench *bench, struct recipient_lists *lists)
{
	struct times floor;

	memory_begin(bench, lists);
	look_up(bench, 1, 1000);
	floor = print_times("lookups in an empty store (floor)", look_up(bench, 1, LOOKUPS), NULL);
	memory_end(bench);
	return floor;
}

static void print_filled(const struct bench *bench, double seconds)
{
	printf("%-34s %.0f entries a second, %.1f s\n", "filling", (double)bench->entries / seconds,
	       seconds);
	printf("%-34s %.0f MB, %.1f bytes an entry\n", "the file",
	       (double)store_bytes(bench->store) / 1e6,
	       (double)store_bytes(bench->store) / (double)bench->entries);
}

static void run(struct bench *bench, const char *path)
{
	struct config_errors errors = { .lines = NULL };
	static const char ini[] = "[milter]\nstate_dir = /nonexistent\n";
	struct loop *loop = loop_new();
	struct recipient_lists *lists;
	struct times floor;
	double begun;

	bench->config = config_load_bytes("bench", ini, sizeof(ini) - 1, &errors);
	lists = recipient_lists_new(loop, bench->config);
	bench_open(bench, path, false);
	floor = measure_floor(bench, lists);
	begun = now();
	if (!fill(bench))
		exit(1);
	print_filled(bench, now() - begun);
	store_close(bench->store);
	forget_cached(path);
	bench_open(bench, path, true);
	store_close(bench->store);
	forget_cached(path);
	bench_open(bench, path, false);
	memory_begin(bench, lists);
	print_times("lookups, from the disk", look_up(bench, 2, 20000), &floor);
	print_times("lookups, warm", look_up(bench, 2, LOOKUPS), &floor);
	beside(bench, false, &floor);
	beside(bench, true, &floor);
	print_reading(bench);
	printf("%-34s %ld MB\n", "memory of our own", rss_kb() / 1024);
	memory_end(bench);
	store_close(bench->store);
	recipient_lists_free(lists);
	loop_free(loop);
	config_put(bench->config);
}

int main(int argc, char **argv)
{
	struct bench bench = { .entries = 10000000 };
	bool only_fill = argc == 5 && strcmp(argv[3], "fill") == 0;
	char *path;

	if (argc < 2 || (argc > 3 && !only_fill)) {
		fprintf(stderr, "usage: memory_size FOLDER [ENTRIES [fill DOMAIN]]\n");
		return 64;
	}
	if (argc > 2)
		bench.entries = strtoul(argv[2], NULL, 10);
	if (bench.entries == 0)
		return 64;
	path = memory_format("%s/backupmx.mdb", argv[1]);
	if (only_fill) {
		bench.domain = argv[4];
		bench_open(&bench, path, false);
		if (!fill(&bench))
			return 1;
		store_close(bench.store);
	} else {
		setvbuf(stdout, NULL, _IOLBF, 0);
		run(&bench, path);
	}
	free(path);
	return 0;
}
