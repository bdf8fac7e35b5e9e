/* SPDX-License-Identifier: BSD-2-Clause */
/* "%d" in arguments. Pure. */
#include "core/command.h"

#include <string.h>

#include "base/memory.h"

#define MARK "%d"

static size_t count_marks(const char *argument)
{
	size_t count = 0;

	for (const char *mark = strstr(argument, MARK); mark != NULL;
	     mark = strstr(mark + strlen(MARK), MARK))
		count++;
	return count;
}

char *command_argument(const char *argument, const char *domain)
{
	size_t length = strlen(domain);
	char *filled = memory_alloc(strlen(argument) + count_marks(argument) * length + 1);
	char *out = filled;
	const char *mark;

	for (; (mark = strstr(argument, MARK)) != NULL; argument = mark + strlen(MARK)) {
		memcpy(out, argument, (size_t)(mark - argument));
		out += mark - argument;
		memcpy(out, domain, length);
		out += length;
	}
	memcpy(out, argument, strlen(argument) + 1);
	return filled;
}
