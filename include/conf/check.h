/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Settings that are fine each, but not together (DESIGN section 6), and files that have to be
 * there. Called by the thread that loads; asks the system for its name and interface addresses,
 * never DNS.
 */
#ifndef BACKUPMX_CONF_CHECK_H
#define BACKUPMX_CONF_CHECK_H

#include "conf/reader.h"

/* Looks at what the reader found; adds to the reader's problems. */
void check_all(const struct reader *reader);

#endif
