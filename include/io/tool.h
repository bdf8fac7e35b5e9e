/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program run to its end while the caller waits: for backupmxctl, which asks an MTA's own tools
 * (postconf, postqueue, sendmail). The daemon never waits so; it has io/child.h.
 *
 * Never through a shell, never for longer than it may, and no more is kept of what it writes than
 * the caller has room for. What it gets of ours is told in io/spawn.h. A signal that comes
 * meanwhile doesn't reach it (it has a process group of its own) and doesn't end the wait.
 */
#ifndef BACKUPMX_IO_TOOL_H
#define BACKUPMX_IO_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOOL_LIMIT_MS	10000	  /* instead of 0 */
#define TOOL_OUTPUT_MAX (1 << 20) /* instead of 0 */

struct tool {
	/* argv, ended by NULL. The first is a path, or a name that is looked for in our PATH and
	 * then in the usual folders, those of the system's own programs included. */
	const char *const *arguments;
	const char *const *extra; /* "NAME=value", ended by NULL, beside PATH and LANG; or NULL */
	const char *input;	  /* what it may read; NULL: nothing */
	size_t output_max;	  /* bytes kept of its output, and of its errors; 0: a megabyte */
	int64_t limit_ms;	  /* 0: ten seconds */
};

enum tool_end {
	TOOL_EXITED,  /* `code`: its status */
	TOOL_KILLED,  /* `code`: the signal */
	TOOL_TIMEOUT, /* it took too long and was killed, with its whole process group */
	TOOL_FAILED,  /* it couldn't be started; `code`: errno, ENOENT when there is no such tool */
};

struct tool_result {
	enum tool_end end;
	int code;
	char *output, *errors; /* what it wrote, each with a NUL behind it; foreign bytes */
	size_t output_length, errors_length;
	bool cut; /* it wrote more than was kept */
};

/* True when it ended by itself with status 0. tool_result_fini() in any case. */
bool tool_run(const struct tool *tool, struct tool_result *result);
void tool_result_fini(struct tool_result *result);

/* Why it did not do what it should, in one printable line: what it said last, by preference on its
 * stderr, else how it ended ("exit status 3"). Returns `buffer`. */
const char *tool_say_why(const struct tool_result *result, char *buffer, size_t size);

/* Where a tool is; false when it is nowhere. A name with a slash is taken as it is. */
bool tool_find(const char *name, char *path, size_t size);

#endif
