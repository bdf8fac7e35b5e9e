/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a program is started, for io/child.h (from the loop) and io/tool.h (waited for). Any thread.
 */
#ifndef BACKUPMX_IO_SPAWN_H
#define BACKUPMX_IO_SPAWN_H

#include <sys/types.h>

/* All that a program needs of an environment: PATH and LANG. Ended by NULL. */
extern char *const spawn_environment[];

struct spawn_files {
	int input; /* -1: /dev/null */
	int output, errors;
};

/* Starts a program without a shell. It gets the arguments (argv, ended by NULL; the first is its
 * path), the environment and the three files, and nothing else of ours: no other open file, no
 * blocked or ignored signal; and it leads a process group of its own. Returns 0 or an errno. */
int spawn_program(pid_t *pid, char *const *arguments, char *const *environment,
		  const struct spawn_files *files);

#endif
