/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many recipients of each status the memory holds, of all domains together. Loop thread only.
 */
#ifndef BACKUPMX_MEMORY_RECIPIENT_TOTALS_H
#define BACKUPMX_MEMORY_RECIPIENT_TOTALS_H

#include <stdbool.h>

#include "memory/recipients.h"
#include "watch/domains.h"

/* A memory of up to so many entries is counted when asked for, in some milliseconds; a larger one
 * is counted by the sweep. */
#define RECIPIENT_TOTALS_MAX 5000

/* False when it can't be told: the sweep hasn't been through yet, or the store can't be read. */
bool recipients_total(struct recipients *recipients, struct config *config, struct domains *domains,
		      struct recipient_totals *totals);

#endif
