/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plan as lines for programs: a zone file's and nsupdate's.
 *
 * Pure. Names come from DNS and may hold any byte: here they are written so that no byte of theirs
 * ever means something else. A line has no newline, and is valid during the call.
 */
#ifndef BACKUPMX_CORE_PLAN_FORMS_H
#define BACKUPMX_CORE_PLAN_FORMS_H

#include "base/text.h"
#include "core/plan.h"

#define PLAN_LINE_MAX 4096 /* longer than any line below, with the NUL */

typedef void (*plan_line_taker)(void *arg, const char *line);

/* What to put into the zone file. What is to be taken out of it, and what belongs into another
 * zone, are comments. */
void plan_zone_lines(const struct plan *plan, const struct plan_facts *facts, plan_line_taker take,
		     void *arg);

/* What makes nsupdate(1) change the zone, and only if its records are still those of the facts.
 * `server` takes the updates; "": nsupdate is to find it. */
void plan_nsupdate_lines(const struct plan *plan, const struct plan_facts *facts,
			 const char *server, plan_line_taker take, void *arg);

/* Adds a name as RFC 1035 5.1 has it, with a final dot; all but letters, digits, "-" and "_"
 * becomes \DDD. */
void plan_add_name(struct text *text, const char *name);

/* Adds the name as it is called inside of the zone, "@" for the zone's own; with a final dot when
 * it lies elsewhere. */
void plan_add_relative_name(struct text *text, const char *name, const char *zone);

/* Adds the value of a record: "192.0.2.7" or, for MX, "20 mx2.example.net." */
void plan_add_value(struct text *text, enum plan_type type, const struct plan_value *value);

#endif
