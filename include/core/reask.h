/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a recipient whose primary said "later" (greylisting, mostly) is asked about again by itself:
 * some minutes after the first 4xx, once more half an hour after it, then not any more. Pure; one
 * owner at a time.
 */
#ifndef BACKUPMX_CORE_REASK_H
#define BACKUPMX_CORE_REASK_H

#include <stdbool.h>
#include <stdint.h>

struct reask { /* milliseconds of a clock that never goes back */
	int64_t first_ms;
	unsigned asked; /* so many of the times are used up */
};

/* The first 4xx came now. */
void reask_begin(struct reask *reask, int64_t now_ms);
bool reask_is_over(const struct reask *reask);
/* The next time; of a series that isn't over. */
int64_t reask_due_ms(const struct reask *reask);
/* It is asked about now. Times that have passed meanwhile are not made up for. */
void reask_asked(struct reask *reask, int64_t now_ms);

#endif
