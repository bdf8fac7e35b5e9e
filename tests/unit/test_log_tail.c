/* SPDX-License-Identifier: BSD-2-Clause */
/* A log that grows, is cut off and is put aside, on real files. */
#include "ctl/log_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[96], aside[96];
static struct log_tail tail;

static void add_to(const char *file, const char *text, size_t length)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), (ssize_t)length);
	close(fd);
}

static void add(const char *text)
{
	add_to(path, text, strlen(text));
}

static void assert_next(const char *want)
{
	const char *line = log_tail_next(&tail);

	if (want == NULL) {
		assert_null(line);
		assert_null(log_tail_next(&tail));
	} else {
		assert_non_null(line);
		assert_string_equal(line, want);
	}
}

static int begin(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/backupmx-tail-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/mail.log", folder);
	snprintf(aside, sizeof(aside), "%s/mail.log.1", folder);
	add("old\nold too\n");
	return log_tail_open(&tail, path);
}

static int end(void **state)
{
	(void)state;
	log_tail_close(&tail);
	unlink(path);
	unlink(aside);
	return rmdir(folder);
}

static void test_only_what_is_new(void **state)
{
	(void)state;
	assert_next(NULL);
	add("one\ntwo\nthr");
	assert_next("one");
	assert_next("two");
	assert_next(NULL);
	add("ee\n\n");
	assert_next("three");
	assert_next("");
	assert_next(NULL);
}

/* As logrotate does it: the program that logs goes on in the old file for a while. */
static void test_a_new_file(void **state)
{
	(void)state;
	add("one\n");
	assert_int_equal(rename(path, aside), 0);
	assert_next("one");
	assert_next(NULL);
	add_to(aside, "two\n", 4);
	assert_next("two");
	add(""); /* created, and nobody logs to it yet */
	add_to(aside, "three\n", 6);
	assert_next("three");
	add_to(aside, "four\n", 5);
	add("five\n");
	assert_next("four");
	assert_next("five");
	add("six\n");
	assert_next("six");
	assert_next(NULL);
}

/* As copytruncate does it. */
static void test_cut_off(void **state)
{
	(void)state;
	add("one\n");
	assert_next("one");
	assert_int_equal(truncate(path, 0), 0);
	assert_next(NULL);
	add("two\n");
	assert_next("two");
	assert_next(NULL);
}

static void test_odd_lines(void **state)
{
	static char line[3 * LOG_TAIL_LINE_MAX];

	(void)state;
	memset(line, 'x', sizeof(line));
	add_to(path, line, sizeof(line));
	add_to(path, "\na\0b\n", 5);
	assert_int_equal(strlen(log_tail_next(&tail)), LOG_TAIL_LINE_MAX - 1);
	assert_next("a?b");
	assert_next(NULL);
}

static void test_no_log(void **state)
{
	struct log_tail other;

	(void)state;
	assert_int_equal(log_tail_open(&other, "/nonexistent/mail.log"), ENOENT);
	assert_null(log_tail_next(&other));
	log_tail_close(&other);
	assert_int_equal(log_tail_open(&other, folder), EISDIR);
	log_tail_close(&other);
	assert_int_equal(mkfifo(aside, 0600), 0);
	assert_int_equal(log_tail_open(&other, aside), EINVAL);
	log_tail_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_what_is_new, begin, end),
		cmocka_unit_test_setup_teardown(test_a_new_file, begin, end),
		cmocka_unit_test_setup_teardown(test_cut_off, begin, end),
		cmocka_unit_test_setup_teardown(test_odd_lines, begin, end),
		cmocka_unit_test_setup_teardown(test_no_log, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
