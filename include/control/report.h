/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The report on availability as JSON, made bit by bit so that the loop isn't held up: for the
 * command "report" and for the page of the HTTP listener. Loop thread only.
 *
 * {"from": T, "to": T, "domains": [...], "totals": {...}, "after": null}, see
 * etc/schemas/report.schema.json. With more than REPORT_PAGE domains it is a page of them, by name,
 * and "after" is where the next one goes on; "totals" are of the page.
 */
#ifndef BACKUPMX_CONTROL_REPORT_H
#define BACKUPMX_CONTROL_REPORT_H

#include <jansson.h>

#include "watch/history.h"

#define REPORT_PAGE	    500
#define REPORT_SPAN_DEFAULT (30LL * 86400) /* seconds */

struct report_request {
	struct history *history;
	struct domains *domains;
	const char *domain; /* of this one alone; NULL: of all */
	json_t *names;	    /* of these alone, an array; NULL: of all */
	const char *after;  /* of those behind it; "": from the first on */
	int64_t seconds;    /* until now */
};

/* An unfinished report; json_decref() it to give up. */
json_t *report_begin(const struct report_request *request);
/* Goes on for some milliseconds. True when the report is finished: then it is the answer. */
bool report_step(struct history *history, json_t *report);

#endif
