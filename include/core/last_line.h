/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last line of whatever a program wrote: what it says when it fails, kept in little room and
 * whatever the bytes. Pure; one owner at a time.
 */
#ifndef BACKUPMX_CORE_LAST_LINE_H
#define BACKUPMX_CORE_LAST_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define LAST_LINE_MAX 200 /* bytes; the rest of a longer line is left out */

/* A zeroed one has seen nothing. */
struct last_line {
	char text[LAST_LINE_MAX + 1]; /* printable; "" when there was none */
	size_t length;
	bool ended; /* by a line feed: the next byte begins another */
};

/* Takes the next bytes. A line of blanks alone is none. */
void last_line_add(struct last_line *line, const char *bytes, size_t count);

#endif
