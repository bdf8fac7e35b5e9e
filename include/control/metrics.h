/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The metrics as Prometheus text (DESIGN section 11), for /metrics and `backupmxctl metrics`. Loop
 * thread only. Bounded: at most METRICS_DOMAINS_MAX domains have series of their own.
 */
#ifndef BACKUPMX_CONTROL_METRICS_H
#define BACKUPMX_CONTROL_METRICS_H

#include <stddef.h>

#include "control/control.h"

#define METRICS_TYPE	    "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_DOMAINS_MAX 10000

/* free() it. */
char *metrics_render(const struct control_settings *settings, size_t *length);

#endif
