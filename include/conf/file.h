/* SPDX-License-Identifier: BSD-2-Clause */
/* A whole file in memory, with a limit. Called by the thread that loads. */
#ifndef BACKUPMX_CONF_FILE_H
#define BACKUPMX_CONF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct file_bytes {
	char *bytes; /* free() it; NUL-terminated behind `length` */
	size_t length;
	dev_t device; /* with the inode: which file it was, whatever its name */
	ino_t inode;
};

/* Returns 0 or -errno: -EFBIG above `limit`; with `regular_only`, -EINVAL for what is no regular
 * file (a pipe would block). */
int file_read(const char *path, size_t limit, bool regular_only, struct file_bytes *file);

/* 0 when the file could be read, else -errno as above. */
int file_check(const char *path);

#endif
