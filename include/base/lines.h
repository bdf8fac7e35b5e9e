/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of a foreign file, whatever is in it: of any length, with any bytes. Any thread.
 */
#ifndef BACKUPMX_BASE_LINES_H
#define BACKUPMX_BASE_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Reads the next line without its end (LF or CRLF); false at the end of the file or at an error
 * (ferror() tells). Of a line that doesn't fit the rest is passed over, and *cut is set. A NUL byte
 * becomes 0x01, which is as wrong in any text, so that it doesn't hide what follows. */
bool lines_next(FILE *file, char *buffer, size_t size, bool *cut);

#endif
