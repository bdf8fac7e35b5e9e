/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs started by io/spawn.h, and libevent for what they write. Owns the children and the
 * reading ends of their pipes. Loop thread only.
 */
#include "io/child.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "base/memory.h"
#include "base/text.h"
#include "core/last_line.h"
#include "io/spawn.h"

#define KILL_MS	      2000 /* from SIGTERM to SIGKILL */
#define STOP_GRACE_MS 3000 /* when we stop ourselves: to end by itself */
#define STOP_END_MS   1000 /* and after SIGTERM, and after SIGKILL */
#define STOP_STEP_MS  10
#define READ_SIZE     4096
#define READ_MAX      16 /* reads in a row: one that never ends to write holds nobody up */

struct child {
	struct child *prev, *next;
	struct children *children;
	pid_t pid; /* 0: not started */
	int output;
	struct event *readable;
	struct loop_timer *timer;
	struct last_line last;
	int64_t begun_ms;
	bool timed_out;
	int error;	 /* errno of what went wrong; 0: nothing */
	child_done done; /* NULL: abandoned */
	void *arg;
};

struct children {
	struct loop *loop;
	struct child *all;
	bool stopping;
	int64_t stopped_ms;
};

/* ---- what it writes ---- */

/* False at the end of it. */
static bool read_output(struct child *child)
{
	char bytes[READ_SIZE];

	for (int i = 0; i < READ_MAX; i++) {
		ssize_t count = read(child->output, bytes, sizeof(bytes));

		if (count <= 0)
			return count < 0 && (errno == EAGAIN || errno == EINTR);
		last_line_add(&child->last, bytes, (size_t)count);
	}
	return true;
}

static void output_ready(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;

	(void)fd;
	(void)what;
	if (!read_output(child))
		event_del(child->readable);
}

/* ---- the end ---- */

static void child_free(struct child *child)
{
	DL_DELETE(child->children->all, child);
	if (child->readable != NULL)
		event_free(child->readable);
	if (child->output >= 0)
		close(child->output);
	loop_timer_free(child->timer);
	free(child);
}

static void finish(struct child *child, enum child_end end, int code)
{
	struct child_result result = { .end = end,
				       .code = code,
				       .ms = loop_now_ms() - child->begun_ms,
				       .last = child->last.text };

	if (child->done != NULL)
		child->done(child->arg, &result);
	child_free(child);
}

/* Waits for a child of ours that has ended. One that was ended leaves none of its own behind: they
 * are killed while its process id can't be anybody else's yet. False: it runs on. */
static bool reap(struct child *child, int *status)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
		child->error = errno; /* somebody else has waited for it */
		return true;
	}
	if (info.si_pid == 0)
		return false;
	if (child->timed_out)
		kill(-child->pid, SIGKILL);
	if (waitpid(child->pid, status, WNOHANG) != child->pid)
		child->error = errno;
	return true;
}

static void check_end(struct child *child)
{
	int status = 0;

	if (!reap(child, &status))
		return;
	read_output(child);
	if (child->error != 0)
		finish(child, CHILD_FAILED, child->error);
	else if (child->timed_out)
		finish(child, CHILD_TIMEOUT, 0);
	else if (WIFSIGNALED(status))
		finish(child, CHILD_KILLED, WTERMSIG(status));
	else
		finish(child, CHILD_EXITED, WEXITSTATUS(status));
}

static void some_ended(void *arg)
{
	struct children *children = arg;
	struct child *child, *next;

	/* what is told of an end may start another, which goes to the list's end: no harm */
	DL_FOREACH_SAFE(children->all, child, next)
		if (child->pid != 0)
			check_end(child);
}

/* The first time it is asked to end, then it has to. */
static void time_is_up(void *arg)
{
	struct child *child = arg;

	if (child->pid == 0) {
		finish(child, CHILD_FAILED, child->error);
		return;
	}
	kill(-child->pid, child->timed_out ? SIGKILL : SIGTERM);
	child->timed_out = true;
	loop_timer_start(child->timer, KILL_MS);
}

/* ---- the start ---- */

static int start(struct child *child, const struct child_settings *settings)
{
	int ends[2];
	int error;

	if (child->children->stopping)
		return ECANCELED;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return errno;
	child->output = ends[0];
	fcntl(child->output, F_SETFL, O_NONBLOCK);
	error = spawn_program(&child->pid, settings->arguments, settings->environment,
			      &(struct spawn_files){ -1, ends[1], ends[1] });
	if (error != 0)
		child->pid = 0;
	close(ends[1]);
	return error;
}

struct child *child_start(struct children *children, const struct child_settings *settings,
			  child_done done, void *arg)
{
	struct child *child = memory_alloc(sizeof(*child));

	child->children = children;
	child->output = -1;
	child->done = done;
	child->arg = arg;
	child->begun_ms = loop_now_ms();
	child->timer = loop_timer_new(children->loop, time_is_up, child);
	DL_APPEND(children->all, child);
	child->error = start(child, settings);
	if (child->error != 0) {
		const char *why = strerror(child->error);

		last_line_add(&child->last, why, strlen(why));
		loop_timer_start(child->timer, 0);
		return child;
	}
	child->readable = event_new(loop_base(children->loop), child->output, EV_READ | EV_PERSIST,
				    output_ready, child);
	assert(child->readable != NULL);
	event_add(child->readable, NULL);
	loop_timer_start(child->timer, settings->limit_ms);
	return child;
}

void child_abandon(struct child *child)
{
	child->done = NULL;
	/* its timer has been started; or it has the time that all have when we stop */
	if (child->pid == 0 || child->children->stopping)
		return;
	kill(-child->pid, SIGTERM);
	child->timed_out = true;
	loop_timer_start(child->timer, KILL_MS);
}

/* ---- all of them ---- */

struct children *children_new(struct loop *loop)
{
	struct children *children = memory_alloc(sizeof(*children));

	children->loop = loop;
	loop_on_signal(loop, SIGCHLD, some_ended, children);
	return children;
}

void children_stop(struct children *children)
{
	struct child *child;

	children->stopping = true;
	children->stopped_ms = loop_now_ms();
	DL_FOREACH(children->all, child)
		child->done = NULL;
}

/* Frees those that have ended. True when none is left. */
static bool free_ended(struct children *children)
{
	struct child *child, *next;
	int status = 0;

	DL_FOREACH_SAFE(children->all, child, next) {
		if (child->pid == 0 || reap(child, &status))
			child_free(child);
		else
			read_output(child); /* a full pipe would hold it up */
	}
	return children->all == NULL;
}

static void wait_for_all(struct children *children, int64_t until_ms)
{
	static const struct timespec step = { .tv_nsec = STOP_STEP_MS * 1000000L };

	while (!free_ended(children) && loop_now_ms() < until_ms)
		nanosleep(&step, NULL);
}

static void end_all(struct children *children, int number)
{
	struct child *child;

	DL_FOREACH(children->all, child) {
		kill(-child->pid, number);
		child->timed_out = true;
	}
	wait_for_all(children, loop_now_ms() + STOP_END_MS);
}

void children_free(struct children *children)
{
	struct child *child, *next;

	if (!children->stopping)
		children_stop(children);
	wait_for_all(children, children->stopped_ms + STOP_GRACE_MS);
	end_all(children, SIGTERM);
	end_all(children, SIGKILL);
	/* what even that doesn't end (a dead file server) is left to init */
	DL_FOREACH_SAFE(children->all, child, next)
		child_free(child);
	free(children);
}

/* ---- words ---- */

bool child_succeeded(const struct child_result *result)
{
	return result->end == CHILD_EXITED && result->code == 0;
}

const char *child_result_name(const struct child_result *result, char *buffer, size_t size)
{
	if (result->end == CHILD_TIMEOUT)
		return "timeout";
	if (result->end == CHILD_FAILED)
		return "failed";
	if (child_succeeded(result))
		return "ok";
	snprintf(buffer, size, result->end == CHILD_EXITED ? "exit-%d" : "signal-%d", result->code);
	return buffer;
}
