/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is served by HTTP (DESIGN sections 6 and 11): /, /metrics, /healthz, /status.json. Reads
 * only; nothing can be changed through it. Loop thread only.
 *
 * To add a page: a line in the table of routes in milter/control/web.c.
 */
#ifndef BACKUPMX_CONTROL_WEB_H
#define BACKUPMX_CONTROL_WEB_H

#include "conf/config.h"
#include "control/control.h"

struct web;

/* Listens as [http] listen says; an address that can't be listened on is logged, and tried again
 * each minute. Of the settings all but the path are used; they are copied. */
struct web *web_new(const struct control_settings *settings, const struct config *config);
void web_free(struct web *web); /* NULL is fine */

/* Follows [http] listen. When the new address can't be listened on, the old one stays in use. */
void web_configure(struct web *web, const struct config *config);
/* Why [http] listen isn't in force: "cannot listen on 192.0.2.7:80: ..."; NULL when it is. */
const char *web_problem(const struct web *web);

#endif
