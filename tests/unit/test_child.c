/* SPDX-License-Identifier: BSD-2-Clause */
/* Real programs on a real loop: what they get, how they end, and that nothing of them stays. */
#include "io/child.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "io/spawn.h"

#define WAIT_MS 20000

static struct loop *loop;
static struct children *children;

struct outcome {
	struct child_result result;
	char last[512];
	bool over;
};

static void note(void *arg, const struct child_result *result)
{
	struct outcome *outcome = arg;

	outcome->result = *result;
	snprintf(outcome->last, sizeof(outcome->last), "%s", result->last);
	outcome->over = true;
	loop_stop(loop);
}

static void give_up(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void run_loop(int64_t milliseconds)
{
	struct loop_timer *timer = loop_timer_new(loop, give_up, NULL);

	loop_timer_start(timer, milliseconds);
	loop_run(loop);
	loop_timer_free(timer);
}

static struct child *start(struct outcome *outcome, const char *program, const char *script,
			   int64_t limit_ms)
{
	char shell_option[] = "-c";
	char *arguments[] = { (char *)program, shell_option, (char *)script, NULL };
	struct child_settings settings = { arguments, spawn_environment, limit_ms };

	outcome->over = false;
	return child_start(children, &settings, note, outcome);
}

static struct outcome run(const char *script, int64_t limit_ms)
{
	struct outcome outcome;

	start(&outcome, "/bin/sh", script, limit_ms);
	assert_false(outcome.over);
	run_loop(WAIT_MS);
	assert_true(outcome.over);
	return outcome;
}

static int begin(void **state)
{
	(void)state;
	loop = loop_new();
	children = children_new(loop);
	return 0;
}

static int end(void **state)
{
	(void)state;
	children_free(children);
	loop_run_posted(loop);
	loop_free(loop);
	/* no zombie, no program of ours */
	return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : -1;
}

static void assert_ended(const struct outcome *outcome, const char *name)
{
	char buffer[32];

	assert_string_equal(child_result_name(&outcome->result, buffer, sizeof(buffer)), name);
	assert_int_equal(child_succeeded(&outcome->result), strcmp(name, "ok") == 0);
}

static void test_ends(void **state)
{
	struct outcome outcome = run("exit 0", WAIT_MS);

	(void)state;
	assert_ended(&outcome, "ok");
	assert_string_equal(outcome.last, "");
	outcome = run("echo one; echo two words >&2; exit 3", WAIT_MS);
	assert_ended(&outcome, "exit-3");
	assert_string_equal(outcome.last, "two words");
	outcome = run("kill -9 $$", WAIT_MS);
	assert_ended(&outcome, "signal-9");
}

static void test_cannot_start(void **state)
{
	struct outcome outcome;

	(void)state;
	start(&outcome, "/no/such/program", "", WAIT_MS);
	assert_false(outcome.over); /* never from inside the call */
	run_loop(WAIT_MS);
	assert_true(outcome.over);
	assert_ended(&outcome, "failed");
	assert_string_equal(outcome.last, "No such file or directory");
	start(&outcome, "/etc/passwd", "", WAIT_MS);
	run_loop(WAIT_MS);
	assert_ended(&outcome, "failed");
	assert_string_equal(outcome.last, "Permission denied");
}

static void test_what_it_gets(void **state)
{
	struct outcome outcome =
		run("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | sort | tr '\\n' ' '", WAIT_MS);

	(void)state;
	assert_string_equal(outcome.last,
			    "LANG=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/"
			    "bin ");
	outcome = run("readlink /proc/self/fd/0", WAIT_MS);
	assert_string_equal(outcome.last, "/dev/null");
	/* a group of its own, led by it */
	outcome = run("test \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$ || echo no", WAIT_MS);
	assert_string_equal(outcome.last, "");
}

static void test_no_file_of_ours(void **state)
{
	int leaky = open("/etc/passwd", O_RDONLY); /* as a library might: not closed at exec */
	struct outcome outcome = run("exec ls -m /proc/self/fd", WAIT_MS); /* 3: that folder */

	(void)state;
	assert_true(leaky > 2);
	close(leaky);
	assert_string_equal(outcome.last, "0, 1, 2, 3");
}

static void test_signals_are_as_usual(void **state)
{
	struct outcome outcome;
	sigset_t all, before;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	sigfillset(&all);
	sigdelset(&all, SIGCHLD);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* a shell blocks signals while it starts something: it is awk that looks at itself */
	outcome = run("exec awk '/^SigBlk/ { b = $2 } /^SigIgn/ { print b, $2 }' /proc/self/status",
		      WAIT_MS);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	if (strcmp(outcome.last, "0000000000000000 0000000000000000") != 0)
		/* two signals belong to the C library */
		assert_string_equal(outcome.last, "0000000000000000 0000000180000000");
}

static void test_time_limit(void **state)
{
	struct outcome outcome = run("echo working; sleep 60", 200);

	(void)state;
	assert_ended(&outcome, "timeout");
	assert_string_equal(outcome.last, "working");
	assert_true(outcome.result.ms >= 150);
}

/* Nor does it help to be deaf, or to leave the work to others. */
static void test_time_limit_of_the_stubborn(void **state)
{
	struct outcome outcome =
		run("trap '' TERM; (trap '' TERM; sleep 60; :) & echo $!; wait; sleep 60", 200);
	long grandchild = strtol(outcome.last, NULL, 10);

	(void)state;
	assert_ended(&outcome, "timeout");
	assert_true(grandchild > 1);
	for (int i = 0; i < 500 && kill((pid_t)grandchild, 0) == 0; i++) {
		char path[64], text[256] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%ld/stat", grandchild);
		file = fopen(path, "r");
		if (file == NULL || fgets(text, sizeof(text), file) == NULL ||
		    strstr(text, ") Z ") != NULL) { /* init has yet to notice */
			if (file != NULL)
				fclose(file);
			return;
		}
		fclose(file);
		usleep(10000);
	}
	assert_int_equal(kill((pid_t)grandchild, 0), -1);
}

/* Megabytes of output are read, and none is kept. */
static void test_chatter(void **state)
{
	struct outcome outcome =
		run("head -c 5000000 /dev/zero | tr '\\0' 'x'; echo; echo end", WAIT_MS);

	(void)state;
	assert_ended(&outcome, "ok");
	assert_string_equal(outcome.last, "end");
}

/* One that goes on in the background doesn't keep us waiting for the end of its output. */
static void test_background(void **state)
{
	struct outcome outcome = run("sleep 1 & echo started", WAIT_MS);

	(void)state;
	assert_ended(&outcome, "ok");
	assert_true(outcome.result.ms < 900);
}

static void test_many_at_once(void **state)
{
	struct outcome outcomes[20];
	size_t over = 0;

	(void)state;
	for (size_t i = 0; i < 20; i++)
		start(&outcomes[i], "/bin/sh", "exit 7", WAIT_MS);
	for (int round = 0; round < 20 && over < 20; round++) {
		run_loop(WAIT_MS);
		over = 0;
		for (size_t i = 0; i < 20; i++)
			over += outcomes[i].over;
	}
	for (size_t i = 0; i < 20; i++)
		assert_ended(&outcomes[i], "exit-7");
}

/* Somebody else's child is left to them. */
static void test_others_are_left_alone(void **state)
{
	pid_t other = fork();
	int status;

	(void)state;
	if (other == 0)
		_exit(42);
	run("exit 0", WAIT_MS);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void test_abandoned(void **state)
{
	struct outcome one, two;

	(void)state;
	child_abandon(start(&one, "/bin/sh", "sleep 60", WAIT_MS));
	child_abandon(start(&two, "/no/such/program", "", WAIT_MS));
	run_loop(300);
	assert_false(one.over || two.over);
}

static void assert_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "r");
	char found[64] = "";

	assert_non_null(file);
	assert_non_null(fgets(found, sizeof(found), file));
	assert_string_equal(found, text);
	fclose(file);
}

/* Who is at work may finish it, for a while. */
static void test_stop(void **state)
{
	int64_t begun = loop_now_ms();
	struct outcome quick, soft, deaf, late;
	struct child *unwatched;
	char path[] = "/tmp/test_child.XXXXXX";
	char *script;

	(void)state;
	close(mkstemp(path));
	script = memory_format("head -c 200000 /dev/zero; sleep 1; echo done > %s", path);
	unwatched = start(&quick, "/bin/sh", script, WAIT_MS);
	free(script);
	start(&soft, "/bin/sh", "sleep 60", WAIT_MS);
	start(&deaf, "/bin/sh", "trap '' TERM; while :; do sleep 60; done", WAIT_MS);
	usleep(200000); /* so that the trap is set */
	children_stop(children);
	child_abandon(unwatched); /* its owner goes first */
	start(&late, "/bin/sh", "sleep 60", WAIT_MS);
	children_free(children);
	assert_false(quick.over || soft.over || deaf.over || late.over);
	assert_in_range(loop_now_ms() - begun, 4000, 9000);
	assert_file(path, "done\n");
	unlink(path);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	loop_run_posted(loop);
	loop_free(loop);
}

int main(void)
{
#define CHILD_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CHILD_TEST(test_ends),
		CHILD_TEST(test_cannot_start),
		CHILD_TEST(test_what_it_gets),
		CHILD_TEST(test_no_file_of_ours),
		CHILD_TEST(test_signals_are_as_usual),
		CHILD_TEST(test_time_limit),
		CHILD_TEST(test_time_limit_of_the_stubborn),
		CHILD_TEST(test_chatter),
		CHILD_TEST(test_background),
		CHILD_TEST(test_many_at_once),
		CHILD_TEST(test_others_are_left_alone),
		CHILD_TEST(test_abandoned),
		cmocka_unit_test_setup(test_stop, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
