/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program started by io/spawn.h and waited for by poll(2). Owns the pipes and, until it has
 * ended, the process. The thread of whoever waits.
 */
#include "io/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"
#include "core/last_line.h"
#include "io/clock.h"
#include "io/spawn.h"

#define PATH_SIZE  4096
#define CHUNK	   16384
#define LOOK_MS	   50 /* how often it is seen whether it has ended, its pipes held by others */
#define SETTLE_MS  2  /* and when its pipes are closed */
#define FIRST_ROOM 4096

struct stream {
	int fd; /* -1: at its end */
	char *bytes;
	size_t length, room, max;
	bool cut;
};

struct running {
	pid_t pid;
	struct stream output, errors;
	int64_t until_ms;
};

/* ---- where it is ---- */

static bool find_in(const char *folders, const char *name, char *path, size_t size)
{
	while (*folders != '\0') {
		size_t length = strcspn(folders, ":");
		struct text text;

		text_init(&text, path, size);
		text_add_format(&text, "%.*s/%s", (int)length, folders, name);
		/* no relative folder: where we were called from is nobody's place for tools */
		if (folders[0] == '/' && !text.cut && access(path, X_OK) == 0)
			return true;
		folders += length + (folders[length] == ':');
	}
	return false;
}

bool tool_find(const char *name, char *path, size_t size)
{
	const char *ours = getenv("PATH");

	if (strchr(name, '/') != NULL)
		return text_copy(path, size, name);
	return (ours != NULL && find_in(ours, name, path, size)) ||
	       find_in(strchr(spawn_environment[0], '=') + 1, name, path, size);
}

/* ---- what it writes ---- */

static void keep(struct stream *stream, const char *bytes, size_t count)
{
	if (count > stream->max - stream->length) {
		count = stream->max - stream->length;
		stream->cut = true;
	}
	while (stream->length + count + 1 > stream->room) {
		stream->room *= 2;
		stream->bytes = memory_resize(stream->bytes, stream->room, 1);
	}
	memcpy(stream->bytes + stream->length, bytes, count);
	stream->length += count;
	stream->bytes[stream->length] = '\0';
}

/* As much as there is, up to a bound: it may write faster than we read. */
static void stream_read(struct stream *stream)
{
	char chunk[CHUNK];

	for (int i = 0; i < 16 && stream->fd >= 0; i++) {
		ssize_t count = read(stream->fd, chunk, sizeof(chunk));

		if (count > 0) {
			keep(stream, chunk, (size_t)count);
		} else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
			close(stream->fd);
			stream->fd = -1;
		} else {
			return;
		}
	}
}

/* Returns the end that is written to, or -1. */
static int stream_open(struct stream *stream, size_t max)
{
	int ends[2];

	stream->fd = -1;
	stream->max = max;
	stream->room = FIRST_ROOM;
	stream->bytes = memory_alloc(stream->room);
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	stream->fd = ends[0];
	fcntl(stream->fd, F_SETFL, O_NONBLOCK);
	return ends[1];
}

static void stream_close(struct stream *stream)
{
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
}

/* ---- the start ---- */

/* A file in memory that holds `input`, to be read from its start: a disk or a /tmp that can't be
 * written is no reason to fail. -1: errno. */
static int input_open(const char *input)
{
	size_t left = strlen(input);
	int fd = memfd_create("backupmxctl", MFD_CLOEXEC);

	while (fd >= 0 && left > 0) {
		ssize_t written = write(fd, input, left);

		if (written <= 0) {
			close(fd);
			return -1;
		}
		input += written;
		left -= (size_t)written;
	}
	if (fd >= 0 && lseek(fd, 0, SEEK_SET) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int spawn(struct running *running, const struct tool *tool, const struct spawn_files *files)
{
	char path[PATH_SIZE];
	size_t arguments = 0, ours = 0, extra = 0;
	const char **copy, **environment;
	int error;

	if (!tool_find(tool->arguments[0], path, sizeof(path)))
		return ENOENT;
	while (tool->arguments[arguments] != NULL)
		arguments++;
	while (spawn_environment[ours] != NULL)
		ours++;
	while (tool->extra != NULL && tool->extra[extra] != NULL)
		extra++;
	copy = memory_array(arguments + 1, sizeof(*copy));
	environment = memory_array(ours + extra + 1, sizeof(*environment));
	memcpy(copy, tool->arguments, arguments * sizeof(*copy));
	copy[0] = path;
	memcpy(environment, spawn_environment, ours * sizeof(*environment));
	if (extra > 0)
		memcpy(environment + ours, tool->extra, extra * sizeof(*environment));
	/* posix_spawn() changes none of the strings, whatever its type says */
	error = spawn_program(&running->pid, (char *const *)copy, (char *const *)environment,
			      files);
	free(environment);
	free(copy);
	return error;
}

/* 0 or an errno. */
static int start(struct running *running, const struct tool *tool)
{
	size_t max = tool->output_max > 0 ? tool->output_max : TOOL_OUTPUT_MAX;
	struct spawn_files files = { .input = -1 };
	int error = 0;

	files.output = stream_open(&running->output, max);
	files.errors = stream_open(&running->errors, max);
	if (files.output < 0 || files.errors < 0)
		error = errno;
	if (error == 0 && tool->input != NULL && (files.input = input_open(tool->input)) < 0)
		error = errno;
	if (error == 0)
		error = spawn(running, tool, &files);
	if (files.input >= 0)
		close(files.input);
	if (files.output >= 0)
		close(files.output);
	if (files.errors >= 0)
		close(files.errors);
	return error;
}

/* ---- until its end ---- */

static int least_of(int64_t a, int64_t b)
{
	return (int)(a < b ? a : b);
}

/* Reads what there is, or waits a little. */
static void wait_a_little(struct running *running)
{
	bool open = running->output.fd >= 0 || running->errors.fd >= 0;
	struct pollfd pipes[] = {
		{ .fd = running->output.fd, .events = POLLIN },
		{ .fd = running->errors.fd, .events = POLLIN },
	};
	int64_t left = running->until_ms - clock_now_ms();

	poll(pipes, 2, least_of(open ? LOOK_MS : SETTLE_MS, left > 0 ? left : 0));
	stream_read(&running->output);
	stream_read(&running->errors);
}

/* Has it ended? Its process id stays its own until waitpid(). */
static bool has_ended(const struct running *running)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)running->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
	       info.si_pid != 0;
}

static void wait_for_end(struct running *running, struct tool_result *result)
{
	bool late = false;
	int status = 0;
	pid_t gone;

	while (!late && !has_ended(running)) {
		wait_a_little(running);
		late = clock_now_ms() >= running->until_ms;
	}
	if (late)
		kill(-running->pid, SIGKILL);
	while ((gone = waitpid(running->pid, &status, 0)) < 0 && errno == EINTR)
		;
	/* its last words are in the pipes, whoever else holds those */
	stream_read(&running->output);
	stream_read(&running->errors);
	result->end = late		    ? TOOL_TIMEOUT
		      : gone < 0	    ? TOOL_FAILED
		      : WIFSIGNALED(status) ? TOOL_KILLED
					    : TOOL_EXITED;
	result->code = late		     ? 0
		       : gone < 0	     ? errno
		       : WIFSIGNALED(status) ? WTERMSIG(status)
					     : WEXITSTATUS(status);
}

bool tool_run(const struct tool *tool, struct tool_result *result)
{
	struct running running = { .pid = 0 };
	int error;

	*result = (struct tool_result){ .end = TOOL_FAILED };
	running.until_ms = clock_now_ms() + (tool->limit_ms > 0 ? tool->limit_ms : TOOL_LIMIT_MS);
	error = start(&running, tool);
	if (error == 0)
		wait_for_end(&running, result);
	else
		result->code = error;
	stream_close(&running.output);
	stream_close(&running.errors);
	result->output = running.output.bytes;
	result->output_length = running.output.length;
	result->errors = running.errors.bytes;
	result->errors_length = running.errors.length;
	result->cut = running.output.cut || running.errors.cut;
	return result->end == TOOL_EXITED && result->code == 0;
}

void tool_result_fini(struct tool_result *result)
{
	free(result->output);
	free(result->errors);
	result->output = result->errors = NULL;
}

const char *tool_say_why(const struct tool_result *result, char *buffer, size_t size)
{
	bool by_errors = result->errors_length > 0;
	struct last_line last = { .length = 0 };
	struct text text;

	text_init(&text, buffer, size);
	if (result->end == TOOL_FAILED) {
		text_add(&text, strerror(result->code));
		return buffer;
	}
	if (result->end == TOOL_TIMEOUT)
		text_add(&text, "it took too long");
	else
		text_add_format(&text, result->end == TOOL_KILLED ? "signal %d" : "exit status %d",
				result->code);
	last_line_add(&last, by_errors ? result->errors : result->output,
		      by_errors ? result->errors_length : result->output_length);
	if (last.text[0] != '\0')
		text_add_format(&text, ": %s", last.text);
	return buffer;
}
