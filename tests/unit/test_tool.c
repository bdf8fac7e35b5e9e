/* SPDX-License-Identifier: BSD-2-Clause */
/* Real programs that are waited for: what they get, what is kept of them, how they end. */
#include "io/tool.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "io/clock.h"

static struct tool_result result;

static bool run_with(const char *script, struct tool tool)
{
	const char *arguments[] = { "sh", "-c", script, NULL };

	tool_result_fini(&result);
	tool.arguments = arguments;
	return tool_run(&tool, &result);
}

static bool run(const char *script)
{
	return run_with(script, (struct tool){ .limit_ms = 0 });
}

static int end(void **state)
{
	(void)state;
	tool_result_fini(&result);
	return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : -1; /* no zombie */
}

static void assert_why(const char *why)
{
	char buffer[256];

	assert_string_equal(tool_say_why(&result, buffer, sizeof(buffer)), why);
}

static void test_ends(void **state)
{
	(void)state;
	assert_true(run("echo out; echo err >&2"));
	assert_int_equal(result.end, TOOL_EXITED);
	assert_string_equal(result.output, "out\n");
	assert_string_equal(result.errors, "err\n");
	assert_int_equal(result.output_length, 4);
	assert_false(result.cut);
	assert_false(run("echo out; echo fatal: no >&2; exit 3"));
	assert_int_equal(result.end, TOOL_EXITED);
	assert_why("exit status 3: fatal: no");
	assert_false(run("echo told here; exit 1"));
	assert_why("exit status 1: told here");
	assert_false(run("kill -9 $$"));
	assert_int_equal(result.end, TOOL_KILLED);
	assert_why("signal 9");
}

static void test_no_shell(void **state)
{
	const char *arguments[] = { "echo", "$HOME; echo two", "`id`", NULL };
	struct tool tool = { .arguments = arguments };

	(void)state;
	tool_result_fini(&result);
	assert_true(tool_run(&tool, &result));
	assert_string_equal(result.output, "$HOME; echo two `id`\n");
}

static void assert_not_started(const char *name, int error)
{
	const char *arguments[] = { name, NULL };
	struct tool tool = { .arguments = arguments };

	tool_result_fini(&result);
	assert_false(tool_run(&tool, &result));
	assert_int_equal(result.end, TOOL_FAILED);
	assert_int_equal(result.code, error);
	assert_string_equal(result.output, "");
	assert_why(strerror(error));
}

static void test_cannot_start(void **state)
{
	(void)state;
	assert_not_started("no-such-tool-anywhere", ENOENT);
	assert_not_started("/no/such/program", ENOENT);
	assert_not_started("/etc/passwd", EACCES);
}

/* PATH of whoever calls counts first, a relative folder in it not at all; without it the usual
 * places do. */
static void test_where_it_is(void **state)
{
	char folder[] = "/tmp/backupmx-tool-XXXXXX";
	char *before = memory_string(getenv("PATH"));
	char path[256], name[300];
	FILE *file;

	(void)state;
	unsetenv("PATH");
	assert_true(tool_find("sh", path, sizeof(path)));
	assert_non_null(mkdtemp(folder));
	snprintf(name, sizeof(name), "%s/sh", folder);
	file = fopen(name, "w");
	assert_non_null(file);
	fclose(file);
	setenv("PATH", folder, 1);
	assert_true(tool_find("sh", path, sizeof(path)));
	assert_string_not_equal(path, name); /* it can't be run */
	assert_int_equal(chmod(name, 0700), 0);
	assert_true(tool_find("sh", path, sizeof(path)));
	assert_string_equal(path, name);
	assert_int_equal(chdir(folder), 0);
	setenv("PATH", ":.:", 1);
	assert_true(tool_find("sh", path, sizeof(path)));
	assert_string_equal(strrchr(path, '/'), "/sh");
	assert_int_equal(path[0], '/');
	assert_string_not_equal(path, name);
	assert_int_equal(chdir("/"), 0);
	unlink(name);
	rmdir(folder);
	setenv("PATH", before, 1);
	free(before);
}

static void test_what_it_gets(void **state)
{
	const char *extra[] = { "MAIL_CONFIG=/etc/other place", NULL };

	(void)state;
	setenv("BACKUPMX_SECRET", "ours", 1);
	assert_true(run_with("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^PATH= | sort",
			     (struct tool){ .extra = extra }));
	assert_string_equal(result.output, "LANG=C\nMAIL_CONFIG=/etc/other place\n");
	assert_true(run("cat; readlink /proc/self/fd/0"));
	assert_string_equal(result.output, "/dev/null\n");
	assert_true(run_with("cat; cat", (struct tool){ .input = "one\ntwo\n" }));
	assert_string_equal(result.output, "one\ntwo\n");
	assert_true(run("exec ls -m /proc/self/fd")); /* 3: that folder */
	assert_string_equal(result.output, "0, 1, 2, 3\n");
}

/* It ends all the same, and what was kept is the beginning. */
static void test_bound(void **state)
{
	(void)state;
	assert_true(run_with("yes | head -c 3000000; echo end >&2",
			     (struct tool){ .output_max = 100001 }));
	assert_int_equal(result.output_length, 100001);
	assert_int_equal(strlen(result.output), 100001);
	assert_true(result.cut);
	assert_string_equal(result.errors, "end\n");
	assert_true(run("yes | head -c 1048576"));
	assert_int_equal(result.output_length, 1048576);
	assert_false(result.cut);
}

/* Dead, whether or not its new parent has noticed. */
static void assert_gone(long pid)
{
	char name[64], script[160];

	assert_true(pid > 1);
	snprintf(name, sizeof(name), "/proc/%ld/stat", pid);
	snprintf(script, sizeof(script),
		 "for i in $(seq 100); do case $(cat %s) in ''|*') Z '*) exit 0; esac; sleep 0.1; "
		 "done; exit 1",
		 name);
	assert_true(run_with(script, (struct tool){ .limit_ms = 20000 }));
}

static void test_time_limit(void **state)
{
	int64_t before = clock_now_ms();

	(void)state;
	assert_false(run_with("echo begun; sleep 60", (struct tool){ .limit_ms = 300 }));
	assert_int_equal(result.end, TOOL_TIMEOUT);
	assert_string_equal(result.output, "begun\n");
	assert_why("it took too long: begun");
	/* nor does it help to be deaf, or to leave the work to others */
	assert_false(run_with("trap '' TERM INT; (trap '' TERM; sleep 60; :) & echo $!; wait",
			      (struct tool){ .limit_ms = 300 }));
	assert_int_equal(result.end, TOOL_TIMEOUT);
	assert_gone(strtol(result.output, NULL, 10));
	assert_true(clock_now_ms() - before < 30000);
}

/* Nor is a program waited for that has closed its output, but one that it left behind isn't. */
static void test_pipes_and_ends(void **state)
{
	int64_t before = clock_now_ms();

	(void)state;
	assert_true(run("exec >&- 2>&-; sleep 0.2"));
	assert_true(clock_now_ms() - before >= 200);
	assert_true(run("sleep 30 & echo $!"));
	assert_true(clock_now_ms() - before < 25000);
	kill((pid_t)strtol(result.output, NULL, 10), SIGKILL);
}

static volatile sig_atomic_t heard;

static void hear(int number)
{
	heard = number;
}

/* Ctrl-C is for us to think about when the tool has done its work. */
static void test_signals_do_not_end_it(void **state)
{
	struct sigaction action = { .sa_handler = hear };
	struct sigaction before;

	(void)state;
	sigaction(SIGINT, &action, &before);
	assert_true(run("kill -INT $PPID; sleep 0.1; echo done"));
	sigaction(SIGINT, &before, NULL);
	assert_int_equal(heard, SIGINT);
	assert_string_equal(result.output, "done\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_ends, end),
		cmocka_unit_test_teardown(test_no_shell, end),
		cmocka_unit_test_teardown(test_cannot_start, end),
		cmocka_unit_test_teardown(test_where_it_is, end),
		cmocka_unit_test_teardown(test_what_it_gets, end),
		cmocka_unit_test_teardown(test_bound, end),
		cmocka_unit_test_teardown(test_time_limit, end),
		cmocka_unit_test_teardown(test_pipes_and_ends, end),
		cmocka_unit_test_teardown(test_signals_do_not_end_it, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
