/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with a configuration, collected from every pass and told in order of file and line.
 * Owned by one load; one thread.
 */
#ifndef BACKUPMX_CONF_PROBLEMS_H
#define BACKUPMX_CONF_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/config.h"

/* A spot in one of the files read. `line` 0: nowhere, or the file as a whole. */
struct place {
	unsigned file;
	unsigned line;
};

struct problem {
	struct place place;
	size_t number; /* in order of discovery, to sort stably */
	char *line;
};

struct problems {
	char **files; /* in the order they were opened: the main file is the first */
	unsigned file_count;
	struct problem *items;
	size_t count;
	size_t room;
};

/* Registers a file and returns its number for `struct place`. */
unsigned problems_add_file(struct problems *problems, const char *name);
const char *problems_file(const struct problems *problems, unsigned file);

/* Adds "FILE:LINE: key: text", or without the "key: " when `key` is NULL. The text says "what is
 * wrong; what would be right"; foreign bytes in it become printable here. */
void problems_add(struct problems *problems, struct place place, const char *key,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Moves the lines, sorted, into `errors` (not set before). Returns true when there was none. */
bool problems_finish(struct problems *problems, struct config_errors *errors);

#endif
