/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of "field | field | rest" in tests/unit/data. For the unit tests only. */
#ifndef BACKUPMX_TESTS_UNIT_TABLE_H
#define BACKUPMX_TESTS_UNIT_TABLE_H

#include <stdio.h>
#include <string.h>

static inline FILE *table_open(const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", TEST_DATA_DIR, name);
	return fopen(path, "r");
}

/* Cuts at the next " | "; the last field is the rest. */
static inline char *table_field(char **rest)
{
	char *field = *rest;
	char *bar = strstr(field, " | ");

	if (bar == NULL) {
		*rest = field + strlen(field);
		return field;
	}
	*bar = '\0';
	*rest = bar + 3;
	return field;
}

#endif
