/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Being stopped at a place of our own choosing: for commands that must leave nothing behind. The
 * signals stay blocked and are asked for, so that none ever comes between two steps. One thread.
 */
#ifndef BACKUPMX_CTL_INTERRUPT_H
#define BACKUPMX_CTL_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

/* From now on INT, TERM, HUP and PIPE don't end the program. */
void interrupt_catch(void);
/* True once one of them has come, or nobody reads what we print any more; it stays so. */
bool interrupt_came(void);
/* Sleeps so long; returns at once, and false, when it has come or comes meanwhile. */
bool interrupt_sleep(int64_t milliseconds);
/* "SIGINT"; what it was. */
const char *interrupt_name(void);

#endif
