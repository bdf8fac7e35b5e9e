/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading and writing durations. No state; any thread. */
#include "base/duration.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
	char letter;
	int64_t seconds;
} units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };

static int64_t unit_seconds(char letter)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].letter == letter)
			return units[i].seconds;
	return 0;
}

bool duration_parse(const char *word, int64_t *seconds)
{
	int64_t number = 0;
	int64_t unit = 1;
	const char *c = word;

	for (; *c >= '0' && *c <= '9'; c++) {
		number = number * 10 + (*c - '0');
		if (number > DURATION_MAX_SECONDS * 10)
			return false;
	}
	if (c == word)
		return false;
	if (*c != '\0') {
		unit = unit_seconds(*c);
		if (unit == 0 || c[1] != '\0')
			return false;
	}
	*seconds = number * unit;
	return true;
}

const char *duration_format(int64_t seconds, char *buffer, size_t size)
{
	size_t i = 0;

	while (i + 1 < sizeof(units) / sizeof(units[0]) &&
	       (seconds < units[i].seconds || seconds % units[i].seconds != 0))
		i++;
	snprintf(buffer, size, "%" PRId64 "%c", seconds / units[i].seconds, units[i].letter);
	return buffer;
}
