/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of plan_make() share; of no use to others. Pure; the owner's thread. */
#ifndef BACKUPMX_CORE_PLAN_PARTS_H
#define BACKUPMX_CORE_PLAN_PARTS_H

#include "core/plan.h"

/* A record with its first reason, at the end; valid until the next one is added. */
struct plan_record *plan_record_add(struct plan *plan, enum plan_type type, enum plan_action action,
				    enum plan_why why);
/* Another action (what is added stays so) for one more reason; that to keep it is none then. */
void plan_record_change(struct plan_record *record, enum plan_action action, enum plan_why why);
/* An MX record that will be there. */
bool plan_is_live(const struct plan_record *record);
/* Will an MX record give that name? */
bool plan_is_listed(const struct plan *plan, const char *name);

struct plan_note *plan_note_add(struct plan *plan, enum plan_advice advice, const char *subject);
/* The first obstacle counts. */
void plan_hinder(struct plan *plan, enum plan_obstacle obstacle, const char *name);

/* The name that MX records may give: no alias (RFC 2181 10.3). */
const char *plan_host_name(const struct plan_host *host);
bool plan_has_ip(const struct ip *list, size_t count, const struct ip *ip);
/* The wanted one, else the one there is when it fits. */
int64_t plan_good_ttl(const struct plan_facts *facts, int64_t now);

/* ---- the parts, in this order ---- */

void plan_take_mx(struct plan *plan, const struct plan_facts *facts); /* as facts->mx, in order */
void plan_mend_mx(struct plan *plan, const struct plan_facts *facts);
void plan_take_primary(struct plan *plan, const struct plan_facts *facts);
void plan_place_backups(struct plan *plan, const struct plan_facts *facts);
void plan_set_ttls(struct plan *plan, const struct plan_facts *facts);
void plan_advise_mx(struct plan *plan, const struct plan_facts *facts);
void plan_addresses(struct plan *plan, const struct plan_facts *facts);
void plan_advise_reverse(struct plan *plan, const struct plan_facts *facts);

#endif
