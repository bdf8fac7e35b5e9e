/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads whole files. Owns nothing; called by the thread that loads. */
#include "conf/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

#define FIRST_ROOM 4096

/* Opens a file that is fit to be read. Returns the descriptor or -errno. */
static int open_file(const char *path, bool regular_only, struct stat *status)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular_only ? O_NONBLOCK : 0));
	int error = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, status) != 0)
		error = -errno;
	else if (S_ISDIR(status->st_mode))
		error = -EISDIR;
	else if (regular_only && !S_ISREG(status->st_mode))
		error = -EINVAL;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

static int read_all(int fd, size_t limit, struct file_bytes *file)
{
	size_t room = FIRST_ROOM;

	file->bytes = memory_alloc(room);
	for (;;) {
		ssize_t got;

		if (file->length + 1 >= room) {
			room *= 2;
			file->bytes = memory_resize(file->bytes, room, 1);
		}
		got = read(fd, file->bytes + file->length, room - file->length - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		file->length += (size_t)got;
		if (file->length > limit)
			return -EFBIG;
	}
	file->bytes[file->length] = '\0';
	return 0;
}

int file_read(const char *path, size_t limit, bool regular_only, struct file_bytes *file)
{
	struct stat status;
	int fd = open_file(path, regular_only, &status);
	int error;

	*file = (struct file_bytes){ .bytes = NULL };
	if (fd < 0)
		return fd;
	file->device = status.st_dev;
	file->inode = status.st_ino;
	error = read_all(fd, limit, file);
	close(fd);
	if (error != 0) {
		free(file->bytes);
		file->bytes = NULL;
	}
	return error;
}

int file_check(const char *path)
{
	struct stat status;
	int fd = open_file(path, true, &status);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}
