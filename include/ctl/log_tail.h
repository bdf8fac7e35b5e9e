/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is added to a log file from now on, line by line; also behind its rotation, by a new file or
 * by truncation. One thread; never waits.
 */
#ifndef BACKUPMX_CTL_LOG_TAIL_H
#define BACKUPMX_CTL_LOG_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LOG_TAIL_LINE_MAX 4096 /* the rest of a longer line is left out */

struct log_tail {
	char *path;
	int fd; /* -1: not open */
	ino_t inode;
	off_t offset; /* so far was read */
	char line[LOG_TAIL_LINE_MAX];
	size_t length;
	char chunk[LOG_TAIL_LINE_MAX];
	size_t chunk_length, chunk_used;
};

/* From the end of the file on. 0 or an errno: it can't be read, or is no regular file. */
int log_tail_open(struct log_tail *tail, const char *path);
/* The next whole line, without its end and with '?' for NUL; NULL when there is none yet. It stays
 * until the next call. */
const char *log_tail_next(struct log_tail *tail);
void log_tail_close(struct log_tail *tail);

#endif
