/* SPDX-License-Identifier: BSD-2-Clause */
/* posix_spawn(3), which is safe beside other threads. Owns nothing. Any thread. */
#include "io/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>

char *const spawn_environment[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LANG=C",
	NULL,
};

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &all);
	posix_spawnattr_setpgroup(attributes, 0);
	return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
							    POSIX_SPAWN_SETPGROUP);
}

/* Libraries may have opened files that are not closed at exec: closed they are. */
static int set_files(posix_spawn_file_actions_t *actions, const struct spawn_files *files)
{
	int error = files->input < 0
			    ? posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0)
			    : posix_spawn_file_actions_adddup2(actions, files->input, 0);

	if (error == 0)
		error = posix_spawn_file_actions_adddup2(actions, files->output, 1);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(actions, files->errors, 2);
	if (error == 0)
		error = posix_spawn_file_actions_addclosefrom_np(actions, 3);
	return error;
}

int spawn_program(pid_t *pid, char *const *arguments, char *const *environment,
		  const struct spawn_files *files)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int error;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return ENOMEM;
	if (posix_spawnattr_init(&attributes) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return ENOMEM;
	}
	error = set_attributes(&attributes);
	if (error == 0)
		error = set_files(&actions, files);
	if (error == 0)
		error = posix_spawn(pid, arguments[0], &actions, &attributes, arguments,
				    environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}
