/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Durations as people write them: "90s", "5m", "2h", "7d"; a bare number is seconds.
 */
#ifndef BACKUPMX_BASE_DURATION_H
#define BACKUPMX_BASE_DURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DURATION_MAX_SECONDS (10LL * 365 * 24 * 3600)

/* Reads digits and at most one unit letter (s, m, h, d; lower case) and nothing else.
 * Returns false when it is no such thing or would not fit. The range is the caller's to check. */
bool duration_parse(const char *word, int64_t *seconds);

/* Writes the shortest exact form: 90 -> "90s", 300 -> "5m", 86400 -> "1d". */
const char *duration_format(int64_t seconds, char *buffer, size_t size);

#endif
