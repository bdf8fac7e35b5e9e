/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs run from the loop: never through a shell, never waited for, never for longer than they
 * may. Loop thread only.
 *
 * A program gets the arguments and the environment it is given and nothing else of ours: no open
 * file but /dev/null as its input and a pipe for what it writes, no blocked or ignored signal; and
 * it leads a process group of its own. Its end is noticed by SIGCHLD, which nobody else in the
 * process may use; only programs started here are waited for.
 */
#ifndef BACKUPMX_IO_CHILD_H
#define BACKUPMX_IO_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/loop.h"

struct children; /* all that run */
struct child;	 /* one of them */

enum child_end {
	CHILD_EXITED,  /* `code`: its status */
	CHILD_KILLED,  /* `code`: the signal */
	CHILD_TIMEOUT, /* it took too long and was ended, with its whole process group */
	CHILD_FAILED,  /* it couldn't be started; `code`: errno */
};

struct child_result {
	enum child_end end;
	int code;
	int64_t ms;	  /* how long it took */
	const char *last; /* the last line it wrote, printable; of CHILD_FAILED: why. "": none */
};

struct child_settings {
	char *const *arguments; /* argv, ended by NULL; the first is the program's absolute path */
	char *const *environment; /* ended by NULL */
	int64_t limit_ms;
};

/* Called once, on the loop, after child_start() has returned. The child is gone then. */
typedef void (*child_done)(void *arg, const struct child_result *result);

struct children *children_new(struct loop *loop);
/* Starts a program; also one that can't be started ends by `done`. Nothing of `settings` is kept.
 */
struct child *child_start(struct children *children, const struct child_settings *settings,
			  child_done done, void *arg);
/* Nobody wants to hear of it any more: it is ended. */
void child_abandon(struct child *child);
/* The program stops: no more begin, and nobody is told of an end any more. */
void children_stop(struct children *children);
/* Waits until all have ended: three seconds after children_stop() they are told to, and at the
 * latest two seconds later they are. */
void children_free(struct children *children);

/* True for status 0. */
bool child_succeeded(const struct child_result *result);
/* "ok", "exit-1", "signal-9", "timeout" or "failed". */
const char *child_result_name(const struct child_result *result, char *buffer, size_t size);

#endif
