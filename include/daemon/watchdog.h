/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells the service manager that the loop still turns (sd_watchdog_enabled(3)). Loop thread only.
 */
#ifndef BACKUPMX_DAEMON_WATCHDOG_H
#define BACKUPMX_DAEMON_WATCHDOG_H

#include "io/loop.h"

struct watchdog;

/* NULL where nobody wants to know: no WATCHDOG_USEC in the environment, or another process's. */
struct watchdog *watchdog_start(struct loop *loop);
void watchdog_free(struct watchdog *watchdog); /* NULL is fine */

#endif
