/* SPDX-License-Identifier: BSD-2-Clause */
/* Lock, limits, detaching, systemd. Main thread only. */
#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

static int ready_pipe = -1; /* to the parent that waits */

/* Who holds the lock leaves a mark in the file, and takes it away at an orderly end. */
static bool leave_mark(int fd)
{
	char mark;
	bool was_there = read(fd, &mark, 1) == 1;

	if (!was_there && write(fd, "1", 1) != 1)
		log_warning("daemon: cannot write to the lock file: %s", strerror(errno));
	return was_there;
}

void process_unlock(int lock)
{
	if (ftruncate(lock, 0) != 0)
		log_warning("daemon: cannot write to the lock file: %s", strerror(errno));
	close(lock);
}

int process_lock(const char *state_dir, bool *crashed)
{
	char *path = memory_format("%s/lock", state_dir);
	int fd;
	int error = 0;

	if (mkdir(state_dir, 0750) != 0 && errno != EEXIST) {
		free(path);
		return -1;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		error = errno;
		close(fd);
		fd = -1;
		errno = error;
	}
	error = errno;
	*crashed = fd >= 0 && leave_mark(fd);
	free(path);
	errno = error;
	return fd;
}

void process_make_parent(const char *path)
{
	char *parent = memory_string(path);
	char *slash = strrchr(parent, '/');

	if (slash != NULL && slash != parent) {
		*slash = '\0';
		mkdir(parent, 0755);
	}
	free(parent);
}

bool process_socket_is_live(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	bool live;
	int fd;

	if (!text_copy(address.sun_path, sizeof(address.sun_path), path))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	live = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return live;
}

void process_raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		log_warning("daemon: cannot raise the limit of open files: %s", strerror(errno));
}

/* The parent's part: waits for the child's word. */
static _Noreturn void wait_for_child(int fd)
{
	char word;

	_exit(read(fd, &word, 1) == 1 ? EX_OK : EX_OSERR);
}

int process_detach(void)
{
	int ends[2];
	pid_t child;

	if (pipe(ends) != 0)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child > 0) {
		close(ends[1]);
		wait_for_child(ends[0]);
	}
	close(ends[0]);
	ready_pipe = ends[1];
	fcntl(ready_pipe, F_SETFD, FD_CLOEXEC);
	if (setsid() < 0 || chdir("/") != 0)
		return -errno;
	return 0;
}

bool process_write_pid(const char *pid_path)
{
	FILE *file = fopen(pid_path, "we");
	bool written;

	if (file == NULL)
		return false;
	written = fprintf(file, "%ld\n", (long)getpid()) > 0;
	return fclose(file) == 0 && written;
}

void process_detached(void)
{
	int null;

	if (ready_pipe < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	if (write(ready_pipe, "1", 1) != 1)
		log_warning("daemon: the starting process has gone");
	close(ready_pipe);
	ready_pipe = -1;
}

void process_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t length;
	int fd;

	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
	    !text_copy(address.sun_path, sizeof(address.sun_path), path))
		return;
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (address.sun_path[0] == '@') /* Linux's abstract sockets */
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, length) < 0)
		log_warning("daemon: systemd did not take \"%s\": %s", state, strerror(errno));
	close(fd);
}
