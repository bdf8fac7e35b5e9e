/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps the log readable under attack: of decisions that defer only some get their own line, the
 * rest is counted, and told with the next line of its kind or in a "defers:" line. Decisions that
 * accept or reject never come here.
 */
#ifndef BACKUPMX_MTA_DEFER_LOG_H
#define BACKUPMX_MTA_DEFER_LOG_H

#include <stdbool.h>

#include "core/suppression.h"
#include "io/loop.h"

struct defer_log;

struct defer_log *defer_log_new(struct loop *loop);
/* Tells what was not told yet. No other thread may come any more. */
void defer_log_free(struct defer_log *log);
/* The same, while others may still come. */
void defer_log_tell(struct defer_log *log);

/* As suppression_admit(). Any thread; a lock is held for a look into a table. */
bool defer_log_admit(struct defer_log *log, const struct suppression_event *event,
		     unsigned long *suppressed);

#endif
