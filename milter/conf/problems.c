/* SPDX-License-Identifier: BSD-2-Clause */
/* Collects the error lines of one load and sorts them. Owned by the thread that loads. */
#include "conf/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"

#define MESSAGE_MAX 1024

unsigned problems_add_file(struct problems *problems, const char *name)
{
	problems->files = memory_resize(problems->files, (size_t)problems->file_count + 1,
					sizeof(*problems->files));
	problems->files[problems->file_count] = memory_string(name);
	return problems->file_count++;
}

const char *problems_file(const struct problems *problems, unsigned file)
{
	return file < problems->file_count ? problems->files[file] : "";
}

static char *compose(const struct problems *problems, struct place place, const char *key,
		     const char *message)
{
	const char *file = problems_file(problems, place.file);
	const char *gap = key != NULL ? ": " : "";
	char *line;

	if (key == NULL)
		key = "";
	if (place.line > 0)
		line = memory_format("%s:%u: %s%s%s", file, place.line, key, gap, message);
	else
		line = memory_format("%s: %s%s%s", file, key, gap, message);
	text_make_printable(line);
	return line;
}

void problems_add(struct problems *problems, struct place place, const char *key,
		  const char *format, ...)
{
	char message[MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (problems->count == problems->room) {
		problems->room = problems->room > 0 ? problems->room * 2 : 16;
		problems->items =
			memory_resize(problems->items, problems->room, sizeof(*problems->items));
	}
	problems->items[problems->count] = (struct problem){
		.place = place,
		.number = problems->count,
		.line = compose(problems, place, key, message),
	};
	problems->count++;
}

static int compare_size(size_t a, size_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_problems(const void *left, const void *right)
{
	const struct problem *a = left;
	const struct problem *b = right;
	int order = compare_size(a->place.file, b->place.file);

	if (order == 0)
		order = compare_size(a->place.line, b->place.line);
	return order != 0 ? order : compare_size(a->number, b->number);
}

bool problems_finish(struct problems *problems, struct config_errors *errors)
{
	size_t count = problems->count;

	*errors = (struct config_errors){ .lines = NULL };
	if (count > 0) {
		qsort(problems->items, count, sizeof(*problems->items), compare_problems);
		errors->lines = memory_array(count, sizeof(*errors->lines));
		for (size_t i = 0; i < count; i++)
			errors->lines[errors->count++] = problems->items[i].line;
	}
	for (unsigned i = 0; i < problems->file_count; i++)
		free(problems->files[i]);
	free(problems->files);
	free(problems->items);
	*problems = (struct problems){ .files = NULL };
	return count == 0;
}
