/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MX records of a plan: what there is, who is the primary, where the backups stand, how long it
 * lives in caches. Pure; the owner's thread.
 *
 * What works is left alone: a record changes only when it keeps the backup from being one.
 */
#include "core/plan_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

#define PREFERENCE_STEP 10 /* between neighbours, so that another fits in */
#define PREFERENCE_MAX	65535
#define UNPLACED	(-1)

/* ---- which of the backups is it ---- */

/* Is this host that backup? By name, or by any address. */
static bool is_backup(const struct plan_backup *backup, const struct plan_host *host)
{
	if (strcmp(plan_host_name(host), plan_host_name(&backup->host)) == 0)
		return true;
	for (size_t i = 0; i < host->address_count; i++) {
		const struct ip *ip = &host->addresses[i];

		if (plan_has_ip(backup->own, backup->own_count, ip) ||
		    plan_has_ip(backup->wanted, backup->wanted_count, ip) ||
		    plan_has_ip(backup->host.addresses, backup->host.address_count, ip))
			return true;
	}
	return false;
}

static int backup_of(const struct plan_facts *facts, const struct plan_host *host)
{
	for (size_t i = 0; i < facts->backup_count; i++)
		if (is_backup(&facts->backups[i], host))
			return (int)i;
	return -1;
}

/* ---- what is there ---- */

void plan_take_mx(struct plan *plan, const struct plan_facts *facts)
{
	for (size_t i = 0; i < facts->mx_count; i++) {
		const struct plan_mx *mx = &facts->mx[i];
		int backup = backup_of(facts, &mx->host);
		struct plan_record *record = plan_record_add(
			plan, PLAN_MX, PLAN_KEEP, backup >= 0 ? PLAN_WHY_BACKUP : PLAN_WHY_OTHER);

		record->backup = backup;
		text_copy(record->name, sizeof(record->name), facts->domain.name);
		text_copy(record->now.target, sizeof(record->now.target), mx->host.name);
		record->now.preference = mx->preference;
		record->now.ttl = facts->mx_ttl;
		record->then = record->now;
	}
}

/* "MX 0 ." stands alone, or means nothing (RFC 7505 3). */
static void mend_null(struct plan *plan, const struct plan_facts *facts)
{
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_record *record = &plan->records[i];

		if (record->then.target[0] != '\0')
			continue;
		plan_record_change(record, PLAN_REMOVE, PLAN_WHY_NULL);
		if (facts->mx_count == 1 && facts->primary == NULL)
			plan_hinder(plan, PLAN_DOMAIN_IS_NULL, facts->domain.name);
	}
}

static void mend_aliases(struct plan *plan, const struct plan_facts *facts)
{
	for (size_t i = 0; i < facts->mx_count; i++) {
		const struct plan_host *host = &facts->mx[i].host;
		struct plan_record *record = &plan->records[i];

		/* an alias that leads nowhere: its target would be no better */
		if (host->canonical[0] == '\0' || host->known != PLAN_FOUND)
			continue;
		plan_record_change(record, PLAN_CHANGE, PLAN_WHY_ALIAS);
		text_copy(record->then.target, sizeof(record->then.target), host->canonical);
	}
}

/* Of two records for one host the better one counts; of equals the one that needs no change. */
static struct plan_record *lesser_of(struct plan_record *a, struct plan_record *b)
{
	if (a->then.preference != b->then.preference)
		return a->then.preference > b->then.preference ? a : b;
	return a->action == PLAN_CHANGE ? a : b;
}

static void mend_duplicates(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		for (size_t j = 0; j < i; j++) {
			struct plan_record *a = &plan->records[i];
			struct plan_record *b = &plan->records[j];

			if (plan_is_live(a) && plan_is_live(b) && a->backup < 0 &&
			    strcmp(a->then.target, b->then.target) == 0)
				plan_record_change(lesser_of(a, b), PLAN_REMOVE,
						   PLAN_WHY_DUPLICATE);
		}
	}
}

void plan_mend_mx(struct plan *plan, const struct plan_facts *facts)
{
	mend_null(plan, facts);
	mend_aliases(plan, facts);
	mend_duplicates(plan);
}

/* ---- the primary ---- */

static bool others_listed(const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan_is_live(&plan->records[i]) && plan->records[i].backup < 0)
			return true;
	return false;
}

static void add_primary(struct plan *plan, const struct plan_facts *facts,
			const struct plan_host *host, enum plan_why why)
{
	struct plan_record *record = plan_record_add(plan, PLAN_MX, PLAN_ADD, why);

	if (host->canonical[0] != '\0')
		record->whys |= 1u << PLAN_WHY_ALIAS;
	text_copy(record->name, sizeof(record->name), facts->domain.name);
	text_copy(record->then.target, sizeof(record->then.target), plan_host_name(host));
	record->then.preference = PREFERENCE_STEP;
}

static void take_named_primary(struct plan *plan, const struct plan_facts *facts)
{
	const struct plan_host *primary = facts->primary;

	if (backup_of(facts, primary) >= 0)
		plan_hinder(plan, PLAN_PRIMARY_IS_BACKUP, primary->name);
	else if (plan_is_listed(plan, plan_host_name(primary)))
		return;
	else if (others_listed(plan))
		plan_hinder(plan, PLAN_PRIMARY_NOT_LISTED, primary->name);
	else if (primary->known != PLAN_FOUND)
		plan_hinder(plan, PLAN_PRIMARY_UNREACHABLE, primary->name);
	else
		add_primary(plan, facts, primary, PLAN_WHY_PRIMARY);
}

/* While there is no MX record, mail goes to the domain's own address; the first MX record ends
 * that. So who takes the mail now must be listed before any backup is. */
void plan_take_primary(struct plan *plan, const struct plan_facts *facts)
{
	const struct plan_host *domain = &facts->domain;

	if (facts->primary != NULL)
		take_named_primary(plan, facts);
	else if (others_listed(plan))
		return;
	else if (facts->mx_count > 0)
		plan_hinder(plan, PLAN_ONLY_BACKUPS, domain->name);
	else if (domain->known != PLAN_FOUND)
		plan_hinder(plan, PLAN_NO_PRIMARY, domain->name);
	else if (backup_of(facts, domain) >= 0)
		plan_hinder(plan, PLAN_DOMAIN_IS_BACKUP, domain->name);
	else
		add_primary(plan, facts, domain, PLAN_WHY_IMPLICIT);
}

/* ---- the backups' places ---- */

struct neighbours {
	bool better, equal;
};

/* How a backup with that preference stands to the hosts that are none. With a named primary only
 * that one counts as better. */
static struct neighbours neighbours_of(const struct plan *plan, const struct plan_facts *facts,
				       int32_t preference)
{
	struct neighbours seen = { .better = false };

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_record *other = &plan->records[i];

		if (!plan_is_live(other) || other->backup >= 0)
			continue;
		seen.equal |= other->then.preference == preference;
		seen.better |= other->then.preference < preference &&
			       (facts->primary == NULL ||
				strcmp(other->then.target, plan_host_name(facts->primary)) == 0);
	}
	return seen;
}

static bool is_in_place(const struct plan *plan, const struct plan_facts *facts,
			const struct plan_record *record)
{
	struct neighbours seen = neighbours_of(plan, facts, record->then.preference);

	return seen.better && !seen.equal;
}

/* Of two records for one backup: what makes it a backup stays, and what has its own name. */
static struct plan_record *lesser_of_backup(const struct plan *plan, const struct plan_facts *facts,
					    struct plan_record *a, struct plan_record *b)
{
	const char *name = plan_host_name(&facts->backups[a->backup].host);
	bool a_named = strcmp(a->then.target, name) == 0;
	bool b_named = strcmp(b->then.target, name) == 0;

	if (is_in_place(plan, facts, a) != is_in_place(plan, facts, b))
		return is_in_place(plan, facts, a) ? b : a;
	if (a_named != b_named)
		return a_named ? b : a;
	return lesser_of(a, b);
}

/* A second one is no second chance for senders, but passes for another host. */
static void mend_duplicate_backups(struct plan *plan, const struct plan_facts *facts)
{
	for (size_t i = 0; i < plan->count; i++) {
		for (size_t j = 0; j < i; j++) {
			struct plan_record *a = &plan->records[i];
			struct plan_record *b = &plan->records[j];

			if (plan_is_live(a) && plan_is_live(b) && a->backup >= 0 &&
			    a->backup == b->backup)
				plan_record_change(lesser_of_backup(plan, facts, a, b), PLAN_REMOVE,
						   PLAN_WHY_DUPLICATE);
		}
	}
}

static void unplace(struct plan_record *record, enum plan_why why)
{
	plan_record_change(record, PLAN_CHANGE, why);
	record->then.preference = UNPLACED;
}

/* Those of our records that can't stay where they are. */
static void unplace_misplaced(struct plan *plan, const struct plan_facts *facts)
{
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_record *record = &plan->records[i];
		struct neighbours seen;

		if (!plan_is_live(record) || record->backup < 0)
			continue;
		seen = neighbours_of(plan, facts, record->then.preference);
		if (seen.equal)
			unplace(record, PLAN_WHY_EQUAL);
		else if (!seen.better)
			unplace(record, PLAN_WHY_BEST);
	}
}

static void add_missing_backup(struct plan *plan, const struct plan_facts *facts, size_t index)
{
	const struct plan_host *host = &facts->backups[index].host;
	struct plan_record *record;

	for (size_t i = 0; i < plan->count; i++)
		if (plan_is_live(&plan->records[i]) && plan->records[i].backup == (int)index)
			return;
	record = plan_record_add(plan, PLAN_MX, PLAN_ADD, PLAN_WHY_BACKUP_NEW);
	if (host->canonical[0] != '\0')
		record->whys |= 1u << PLAN_WHY_ALIAS;
	record->backup = (int)index;
	text_copy(record->name, sizeof(record->name), facts->domain.name);
	text_copy(record->then.target, sizeof(record->then.target), plan_host_name(host));
	record->then.preference = UNPLACED;
}

static bool is_taken(const struct plan *plan, int32_t preference)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan_is_live(&plan->records[i]) &&
		    plan->records[i].then.preference == preference)
			return true;
	return false;
}

/* The last preference that is in use; `others`: by hosts that are no backups. */
static int32_t last_in_use(const struct plan *plan, bool others)
{
	int32_t last = 0;

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_record *record = &plan->records[i];

		if (plan_is_live(record) && record->then.preference > last &&
		    (!others || record->backup < 0))
			last = record->then.preference;
	}
	return last;
}

/* The first free one behind `last`, by steps from a multiple of the step on, with some air between;
 * UNPLACED: none. */
static int32_t free_step(const struct plan *plan, int32_t last)
{
	int32_t first = (last + PREFERENCE_STEP / 2 + PREFERENCE_STEP - 1) / PREFERENCE_STEP *
			PREFERENCE_STEP;

	for (int32_t at = first; at <= PREFERENCE_MAX; at += PREFERENCE_STEP)
		if (!is_taken(plan, at))
			return at;
	return UNPLACED;
}

/* Behind all there are, else behind all that are no backups, there even without air. */
static int32_t free_preference(const struct plan *plan)
{
	int32_t found = free_step(plan, last_in_use(plan, false));

	if (found == UNPLACED)
		found = free_step(plan, last_in_use(plan, true));
	for (int32_t at = last_in_use(plan, true) + 1; found == UNPLACED && at <= PREFERENCE_MAX;
	     at++)
		if (!is_taken(plan, at))
			found = at;
	return found;
}

static int by_preference(const void *left, const void *right)
{
	const struct plan_record *const *a = left;
	const struct plan_record *const *b = right;

	return (*a)->then.preference - (*b)->then.preference;
}

/* 10, 20, 30 ... in the order that there is; equals stay equal. */
static void renumber(struct plan *plan)
{
	struct plan_record **placed = memory_array(plan->count, sizeof(*placed));
	int32_t was = UNPLACED, number = 0;
	size_t count = 0;

	for (size_t i = 0; i < plan->count; i++)
		if (plan_is_live(&plan->records[i]) && plan->records[i].then.preference != UNPLACED)
			placed[count++] = &plan->records[i];
	qsort(placed, count, sizeof(*placed), by_preference);
	for (size_t i = 0; i < count; i++) {
		if (placed[i]->then.preference != was)
			number += PREFERENCE_STEP;
		was = placed[i]->then.preference;
		if (was != number && placed[i]->action != PLAN_ADD)
			plan_record_change(placed[i], PLAN_CHANGE, PLAN_WHY_NO_ROOM);
		placed[i]->then.preference = number;
	}
	free(placed);
}

static void place(struct plan *plan, struct plan_record *record)
{
	int32_t found = free_preference(plan);

	if (found == UNPLACED) {
		renumber(plan);
		found = free_preference(plan);
	}
	record->then.preference = found;
}

void plan_place_backups(struct plan *plan, const struct plan_facts *facts)
{
	mend_duplicate_backups(plan, facts);
	unplace_misplaced(plan, facts);
	for (size_t i = 0; i < facts->backup_count; i++) {
		add_missing_backup(plan, facts, i);
		for (size_t r = 0; r < plan->count; r++) {
			struct plan_record *record = &plan->records[r];

			if (plan_is_live(record) && record->backup == (int)i &&
			    record->then.preference == UNPLACED)
				place(plan, record);
		}
	}
}

/* ---- times to live ---- */

/* The records of a set share theirs (RFC 2181 5.2). */
void plan_set_ttls(struct plan *plan, const struct plan_facts *facts)
{
	int64_t ttl = plan_good_ttl(facts, facts->mx_ttl);

	for (size_t i = 0; i < plan->count; i++) {
		struct plan_record *record = &plan->records[i];

		if (!plan_is_live(record))
			continue;
		if (record->action != PLAN_ADD && facts->mx_ttl > 0 && facts->mx_ttl != ttl)
			plan_record_change(record, PLAN_CHANGE, PLAN_WHY_TTL);
		if (record->action != PLAN_KEEP)
			record->then.ttl = ttl;
	}
	if (facts->mx_count > 0 && facts->mx_ttl == 0 && plan_has_changes(plan))
		plan_note_add(plan, PLAN_ADVICE_TTL_UNKNOWN, facts->domain.name)->seconds =
			facts->mx_ttl_seen;
	if (facts->mx_ttl > PLAN_TTL_MOST)
		plan_note_add(plan, PLAN_ADVICE_TTL_LONG, facts->domain.name)->seconds =
			facts->mx_ttl;
}
