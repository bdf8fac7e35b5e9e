/* SPDX-License-Identifier: BSD-2-Clause */
/* A growing file, read as far as it goes. Owns its descriptor. One thread. */
#include "ctl/log_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

/* Opens what is at the path now. 0 or an errno. */
static int open_file(struct log_tail *tail, struct stat *found)
{
	/* O_NONBLOCK: a pipe there must not hold us up before we know what it is */
	int fd = open(tail->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int error;

	if (fd < 0)
		return errno;
	if (fstat(fd, found) == 0 && S_ISREG(found->st_mode)) {
		if (tail->fd >= 0)
			close(tail->fd);
		tail->fd = fd;
		tail->inode = found->st_ino;
		return 0;
	}
	error = S_ISDIR(found->st_mode) ? EISDIR : EINVAL;
	close(fd);
	return error;
}

int log_tail_open(struct log_tail *tail, const char *path)
{
	struct stat found;
	int error;

	*tail = (struct log_tail){ .path = memory_string(path), .fd = -1 };
	error = open_file(tail, &found);
	if (error == 0)
		tail->offset = found.st_size;
	return error;
}

static void begin_anew(struct log_tail *tail)
{
	tail->offset = 0;
	tail->length = 0;
}

/* At the end of the file: is it still the log? True when there is something else to read. */
static bool follow_rotation(struct log_tail *tail)
{
	struct stat found;

	if (fstat(tail->fd, &found) == 0 && found.st_size < tail->offset) {
		begin_anew(tail);
		return true;
	}
	/* a new one is the log from its first byte on: until then the old one may still grow */
	if (stat(tail->path, &found) != 0 || found.st_ino == tail->inode || found.st_size == 0 ||
	    open_file(tail, &found) != 0)
		return false;
	begin_anew(tail);
	return true;
}

static bool fill(struct log_tail *tail)
{
	ssize_t count;

	do
		count = pread(tail->fd, tail->chunk, sizeof(tail->chunk), tail->offset);
	while (count == 0 && follow_rotation(tail));
	tail->chunk_used = 0;
	tail->chunk_length = count > 0 ? (size_t)count : 0;
	tail->offset += (off_t)tail->chunk_length;
	return count > 0;
}

const char *log_tail_next(struct log_tail *tail)
{
	while (tail->fd >= 0 && (tail->chunk_used < tail->chunk_length || fill(tail))) {
		char c = tail->chunk[tail->chunk_used++];

		if (c == '\n') {
			tail->line[tail->length] = '\0';
			tail->length = 0;
			return tail->line;
		}
		if (tail->length + 1 < sizeof(tail->line))
			tail->line[tail->length++] = c != '\0' ? c : '?';
	}
	return NULL;
}

void log_tail_close(struct log_tail *tail)
{
	if (tail->fd >= 0)
		close(tail->fd);
	tail->fd = -1;
	free(tail->path);
	tail->path = NULL;
}
