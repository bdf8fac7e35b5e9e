/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * By what the message of a fire drill is known in an MTA's queue, when its drill is no more: to
 * filter.c, which has it held, and to backupmxctl, which cleans up.
 */
#ifndef BACKUPMX_CORE_DRILL_MARKS_H
#define BACKUPMX_CORE_DRILL_MARKS_H

#define DRILL_HEADER	  "Backup-MX-Drill" /* of the message; its value is the domain */
#define DRILL_HOLD_REASON "backupmx drill"  /* of the quarantine; Postfix drops it */

#endif
