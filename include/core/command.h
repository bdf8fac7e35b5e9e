/* SPDX-License-Identifier: BSD-2-Clause */
/* Arguments of a program to run, where a part of them isn't known before. Pure. */
#ifndef BACKUPMX_CORE_COMMAND_H
#define BACKUPMX_CORE_COMMAND_H

/* A copy with the domain for each "%d"; all other bytes stay what they are. free() it. */
char *command_argument(const char *argument, const char *domain);

#endif
