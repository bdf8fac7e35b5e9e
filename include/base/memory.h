/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is there or the process is not.
 *
 * A mail filter that limps on without memory gives wrong answers; one that stops gets restarted,
 * and the MTA's milter_default_action covers the gap. So these never return NULL.
 */
#ifndef BACKUPMX_BASE_MEMORY_H
#define BACKUPMX_BASE_MEMORY_H

#include <stddef.h>

void *memory_alloc(size_t size);			   /* zeroed; free() it */
void *memory_array(size_t count, size_t size);		   /* zeroed, overflow-checked; free() it */
void *memory_resize(void *old, size_t count, size_t size); /* grown part is not zeroed */
char *memory_string(const char *text);			   /* a copy; NULL gives "" */
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
