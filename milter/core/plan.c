/* SPDX-License-Identifier: BSD-2-Clause */
/* A plan put together from its parts. Pure; the owner's thread. */
#include "core/plan_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* ---- what the parts share ---- */

bool plan_has_ip(const struct ip *list, size_t count, const struct ip *ip)
{
	for (size_t i = 0; i < count; i++)
		if (ip_equal(&list[i], ip))
			return true;
	return false;
}

const char *plan_host_name(const struct plan_host *host)
{
	return host->canonical[0] != '\0' ? host->canonical : host->name;
}

bool plan_is_live(const struct plan_record *record)
{
	return record->type == PLAN_MX && record->action != PLAN_REMOVE;
}

bool plan_is_listed(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan_is_live(&plan->records[i]) &&
		    strcmp(plan->records[i].then.target, name) == 0)
			return true;
	return false;
}

struct plan_record *plan_record_add(struct plan *plan, enum plan_type type, enum plan_action action,
				    enum plan_why why)
{
	struct plan_record *record;

	plan->records = memory_resize(plan->records, plan->count + 1, sizeof(*plan->records));
	record = &plan->records[plan->count++];
	memset(record, 0, sizeof(*record));
	record->type = type;
	record->action = action;
	record->whys = 1u << why;
	record->backup = -1;
	return record;
}

void plan_record_change(struct plan_record *record, enum plan_action action, enum plan_why why)
{
	if (record->action == PLAN_KEEP)
		record->whys = 0;
	if (record->action != PLAN_ADD)
		record->action = action;
	record->whys |= 1u << why;
}

struct plan_note *plan_note_add(struct plan *plan, enum plan_advice advice, const char *subject)
{
	struct plan_note *note;

	plan->notes = memory_resize(plan->notes, plan->note_count + 1, sizeof(*plan->notes));
	note = &plan->notes[plan->note_count++];
	*note = (struct plan_note){ .advice = advice, .subject = subject };
	return note;
}

void plan_hinder(struct plan *plan, enum plan_obstacle obstacle, const char *name)
{
	if (plan->obstacle != PLAN_NO_OBSTACLE)
		return;
	plan->obstacle = obstacle;
	plan->hindering = name;
}

int64_t plan_good_ttl(const struct plan_facts *facts, int64_t now)
{
	if (facts->ttl > 0)
		return facts->ttl;
	return now >= PLAN_TTL_LEAST && now <= PLAN_TTL_MOST ? now : PLAN_TTL_GOOD;
}

/* ---- the plan ---- */

/* MX first; what goes stands where it stood. */
static int in_order(const void *left, const void *right)
{
	const struct plan_record *a = left;
	const struct plan_record *b = right;
	const struct plan_value *va = a->action == PLAN_REMOVE ? &a->now : &a->then;
	const struct plan_value *vb = b->action == PLAN_REMOVE ? &b->now : &b->then;
	int order;

	if ((a->type == PLAN_MX) != (b->type == PLAN_MX))
		return a->type == PLAN_MX ? -1 : 1;
	if (a->type == PLAN_MX && va->preference != vb->preference)
		return va->preference < vb->preference ? -1 : 1;
	if (a->type == PLAN_MX)
		return strcmp(va->target, vb->target);
	if (a->backup != b->backup)
		return a->backup < b->backup ? -1 : 1;
	order = (int)a->type - (int)b->type;
	return order != 0 ? order
			  : memcmp(va->address.bytes, vb->address.bytes, sizeof(va->address.bytes));
}

/* Whatever was thought of so far: only what is there. */
static void drop_changes(struct plan *plan, const struct plan_facts *facts)
{
	free(plan->records);
	plan->records = NULL;
	plan->count = 0;
	free(plan->notes);
	plan->notes = NULL;
	plan->note_count = 0;
	plan_take_mx(plan, facts);
}

static void make(struct plan *plan, const struct plan_facts *facts)
{
	plan_mend_mx(plan, facts);
	plan_take_primary(plan, facts);
	if (plan->obstacle != PLAN_NO_OBSTACLE)
		return;
	plan_place_backups(plan, facts);
	plan_set_ttls(plan, facts);
	plan_advise_mx(plan, facts);
	plan_addresses(plan, facts);
	plan_advise_reverse(plan, facts);
}

void plan_make(struct plan *plan, const struct plan_facts *facts)
{
	*plan = (struct plan){ .hindering = "" };
	plan_take_mx(plan, facts);
	if (facts->domain.canonical[0] != '\0')
		plan_hinder(plan, PLAN_DOMAIN_IS_ALIAS, facts->domain.canonical);
	else
		make(plan, facts);
	if (plan->obstacle != PLAN_NO_OBSTACLE)
		drop_changes(plan, facts);
	if (plan->count > 1)
		qsort(plan->records, plan->count, sizeof(*plan->records), in_order);
}

void plan_fini(struct plan *plan)
{
	free(plan->records);
	free(plan->notes);
	*plan = (struct plan){ .hindering = "" };
}

bool plan_has_changes(const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->records[i].action != PLAN_KEEP)
			return true;
	return false;
}
