/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads lines into a bounded buffer. Owns nothing; any thread. */
#include "base/lines.h"

bool lines_next(FILE *file, char *buffer, size_t size, bool *cut)
{
	size_t length = 0;
	int c;

	*cut = false;
	flockfile(file);
	while ((c = getc_unlocked(file)) != EOF && c != '\n') {
		if (length + 1 < size)
			buffer[length++] = c != '\0' ? (char)c : '\x01';
		else
			*cut = true;
	}
	funlockfile(file);
	if (c == '\n' && !*cut && length > 0 && buffer[length - 1] == '\r')
		length--;
	buffer[length] = '\0';
	return c == '\n' || length > 0;
}
