/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "/status.json": the document of "status" for all domains (control/status.h). Loop thread only.
 *
 * Very many domains take a while. Who asks meanwhile gets the same text, so that many who ask cost
 * no more than one.
 */
#ifndef BACKUPMX_CONTROL_WEB_STATUS_H
#define BACKUPMX_CONTROL_WEB_STATUS_H

#include "control/control.h"
#include "io/http.h"

struct web_status;

/* The settings must outlive it. */
struct web_status *web_status_new(const struct control_settings *settings);
/* Nobody may wait any more. */
void web_status_free(struct web_status *status);

/* Answers now or later. */
void web_status_serve(struct web_status *status, struct http_request *request);
/* The listener closes: answers all who wait that there is nothing for them. */
void web_status_stop(struct web_status *status);

#endif
