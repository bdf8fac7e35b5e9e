/* SPDX-License-Identifier: BSD-2-Clause */
/* The hosts of a plan: the backups' address records, and what should be known of all of them. Pure;
 * the owner's thread. */
#include "core/plan_parts.h"

#include <string.h>

#include "base/text.h"

static bool has_family(const struct ip *list, size_t count, int family)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].family == family)
			return true;
	return false;
}

/* ---- the backups' addresses ---- */

static struct plan_record *add_address(struct plan *plan, const struct plan_facts *facts,
				       int backup, const struct ip *ip)
{
	const struct plan_backup *of = &facts->backups[backup];
	struct plan_record *record = plan_record_add(plan, ip->family == IP_V4 ? PLAN_A : PLAN_AAAA,
						     PLAN_ADD, PLAN_WHY_ADDRESS_NEW);

	record->backup = backup;
	record->elsewhere = strcmp(of->zone, facts->zone) != 0;
	text_copy(record->name, sizeof(record->name), plan_host_name(&of->host));
	record->then.address = *ip;
	record->then.ttl = plan_good_ttl(facts, 0);
	return record;
}

static void keep_addresses(struct plan *plan, const struct plan_facts *facts, int backup)
{
	const struct plan_host *host = &facts->backups[backup].host;

	for (size_t i = 0; i < host->address_count; i++) {
		struct plan_record *record = add_address(plan, facts, backup, &host->addresses[i]);

		record->action = PLAN_KEEP;
		record->whys = 1u << PLAN_WHY_ADDRESS;
		record->then.ttl = 0;
		record->now = record->then;
	}
}

/* An address that the name hasn't: it is added when the name has none of its family and either none
 * at all or somebody chose this one. What is there stays: it may be of NAT, or of another host. */
static void want_address(struct plan *plan, const struct plan_facts *facts, int backup,
			 const struct ip *ip)
{
	const struct plan_backup *of = &facts->backups[backup];
	const struct plan_host *host = &of->host;

	if (!has_family(host->addresses, host->address_count, ip->family)) {
		if (host->address_count == 0 || of->chosen)
			add_address(plan, facts, backup, ip);
		else
			plan_note_add(plan, PLAN_ADVICE_FAMILY, host->name)->ip = *ip;
		return;
	}
	for (size_t i = 0; i < host->address_count && !of->chosen; i++)
		if (host->addresses[i].family == ip->family &&
		    plan_has_ip(of->own, of->own_count, &host->addresses[i]))
			return; /* another one of this host's */
	plan_note_add(plan, PLAN_ADVICE_OTHER_ADDRESS, host->name)->ip = *ip;
}

static void addresses_of_backup(struct plan *plan, const struct plan_facts *facts, int backup)
{
	const struct plan_backup *of = &facts->backups[backup];
	const struct plan_host *host = &of->host;
	size_t before = plan->count;

	if (!plan_is_listed(plan, plan_host_name(host)))
		return; /* senders get another name of it */
	if (host->known == PLAN_CANT_TELL)
		plan_hinder(plan, PLAN_BACKUP_UNKNOWN, host->name);
	else if (host->known == PLAN_NONE && (of->wanted_count == 0 || host->canonical[0] != '\0'))
		plan_hinder(plan, PLAN_BACKUP_UNREACHABLE, host->name);
	if (plan->obstacle != PLAN_NO_OBSTACLE)
		return;
	keep_addresses(plan, facts, backup);
	for (size_t i = 0; i < of->wanted_count; i++)
		if (!plan_has_ip(host->addresses, host->address_count, &of->wanted[i]))
			want_address(plan, facts, backup, &of->wanted[i]);
	for (size_t i = before; i < plan->count; i++) {
		if (plan->records[i].action != PLAN_ADD || !plan->records[i].elsewhere)
			continue;
		plan_note_add(plan, PLAN_ADVICE_ELSEWHERE, plan_host_name(host))->detail = of->zone;
		return;
	}
}

void plan_addresses(struct plan *plan, const struct plan_facts *facts)
{
	for (size_t i = 0; i < facts->backup_count; i++)
		addresses_of_backup(plan, facts, (int)i);
}

/* ---- what else should be known ---- */

void plan_advise_reverse(struct plan *plan, const struct plan_facts *facts)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_record *record = &plan->records[i];

		for (size_t r = 0; record->type != PLAN_MX && r < facts->reverse_count; r++) {
			const struct plan_reverse *reverse = &facts->reverse[r];
			const char *name = plan_host_name(&facts->backups[record->backup].host);
			struct plan_note *note;

			if (!ip_equal(&reverse->ip, &record->then.address) ||
			    reverse->known == PLAN_CANT_TELL ||
			    (reverse->known == PLAN_FOUND && strcmp(reverse->name, name) == 0))
				continue;
			note = plan_note_add(plan,
					     reverse->known == PLAN_NONE
						     ? PLAN_ADVICE_REVERSE_NONE
						     : PLAN_ADVICE_REVERSE_OTHER,
					     name);
			note->ip = reverse->ip;
			note->detail = reverse->known == PLAN_FOUND ? reverse->name : NULL;
		}
	}
}

static void advise_host(struct plan *plan, const struct plan_host *host)
{
	struct ip ip;

	if (ip_parse(host->name, &ip))
		plan_note_add(plan, PLAN_ADVICE_LITERAL, host->name);
	else if (host->known == PLAN_CANT_TELL)
		plan_note_add(plan, PLAN_ADVICE_UNSEEN_ADDRESS, host->name);
	else if (host->known == PLAN_NONE)
		plan_note_add(plan, PLAN_ADVICE_NO_ADDRESS, host->name);
	else if (host->canonical[0] != '\0')
		plan_note_add(plan, PLAN_ADVICE_ALIAS, host->name)->detail = host->canonical;
}

/* The first records are those of facts->mx. */
void plan_advise_mx(struct plan *plan, const struct plan_facts *facts)
{
	for (size_t i = 0; i < facts->mx_count; i++) {
		const struct plan_host *host = &facts->mx[i].host;
		const struct plan_record *record = &plan->records[i];
		const struct plan_host *backup;

		if (host->name[0] == '\0' || !plan_is_live(record))
			continue;
		if (record->backup < 0) {
			advise_host(plan, host);
			continue;
		}
		backup = &facts->backups[record->backup].host;
		if (strcmp(record->then.target, plan_host_name(backup)) != 0)
			plan_note_add(plan, PLAN_ADVICE_LISTED_AS, backup->name)->detail =
				host->name;
	}
}
