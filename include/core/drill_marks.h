/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both sides of a fire drill, the daemon and backupmxctl, know of its message: whom it can be
 * for, and by what it is known in an MTA's queue when its drill is no more (filter.c has it held,
 * backupmxctl cleans up).
 */
#ifndef BACKUPMX_CORE_DRILL_MARKS_H
#define BACKUPMX_CORE_DRILL_MARKS_H

#include "core/mail_address.h"

#define DRILL_RECIPIENT_MAX (MAIL_LOCAL_MAX + 1 + MAIL_DOMAIN_MAX)

#define DRILL_HEADER	  "Backup-MX-Drill" /* of the message; its value is the domain */
#define DRILL_HOLD_REASON "backupmx drill"  /* of the quarantine; Postfix drops it */

#endif
