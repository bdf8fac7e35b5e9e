/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "/": gathers what the page (control/page.h) is made from. Loop thread only.
 *
 * The status is of the moment. The report of ninety days is made bit by bit, so that the loop isn't
 * held up: where it isn't done at once, the page comes with the one before, or without, and the
 * next one has it. It is forgotten when nobody looks any more.
 */
#ifndef BACKUPMX_CONTROL_WEB_PAGE_H
#define BACKUPMX_CONTROL_WEB_PAGE_H

#include "control/control.h"
#include "io/http.h"

struct web_page;

/* The settings must outlive it. */
struct web_page *web_page_new(const struct control_settings *settings);
void web_page_free(struct web_page *page);

void web_page_serve(struct web_page *page, struct http_request *request);

#endif
