/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocation that aborts instead of failing. No state; any thread. */
#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_abort(void *memory)
{
	if (memory == NULL) {
		fputs("backupmx: out of memory\n", stderr);
		abort();
	}
	return memory;
}

void *memory_alloc(size_t size)
{
	return or_abort(calloc(1, size > 0 ? size : 1));
}

void *memory_array(size_t count, size_t size)
{
	return or_abort(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *memory_resize(void *old, size_t count, size_t size)
{
	if (size > 0 && count > SIZE_MAX / size)
		return or_abort(NULL);
	return or_abort(realloc(old, count * size > 0 ? count * size : 1));
}

char *memory_string(const char *text)
{
	return or_abort(strdup(text != NULL ? text : ""));
}

char *memory_format(const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		return or_abort(NULL);
	text = memory_alloc((size_t)length + 1);
	va_start(args, format);
	vsnprintf(text, (size_t)length + 1, format, args);
	va_end(args);
	return text;
}
