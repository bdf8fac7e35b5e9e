/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is who in an MX set: does each entry stand for a host of its own, and for which is it us? */
#include <string.h>

#include "base/text.h"
#include "check/addresses.h"
#include "check/groups.h"
#include "check/mx.h"
#include "io/idna.h"

static const struct check_rule self_rule = {
	"mx-self",
	"this host is in the MX set once, by a name that it knows as its own",
	"The MTA drops its own entry and all behind it, so that mail doesn't go round in circles "
	"(RFC 5321 5.1). An entry that is this host under a name it doesn't know, or a name that "
	"leads elsewhere, makes that fail.",
};

static const struct check_rule duplicate_rule = {
	"mx-duplicate",
	"each host is listed once",
	"Two entries of one host are no second chance: senders try the same machine twice.",
};

static bool address_is_ours(const struct check *check, const struct mx_host *host)
{
	for (size_t i = 0; i < host->address_count; i++)
		if (mx_identity_has_address(&check->identity.self, &host->addresses[i]))
			return true;
	return false;
}

/* Is there an entry of ours behind this one? Then this one says that it is somebody better. */
static bool passes_for_better(const struct mxset *set, const struct mx_host *host)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->hosts[i].role == MX_SELF && set->hosts[i].preference > host->preference)
			return true;
	return false;
}

static void unknown_name(struct check *check, const struct check_domain *domain,
			 const struct mx_host *host)
{
	bool false_better = passes_for_better(&domain->set, host);
	const struct config_strings *mine = &check->config->milter.my_names;
	char name[MAIL_DOMAIN_MAX + 1];
	char names[CHECK_LINE_MAX];
	TEXT_ON(list, names);

	check_add(check->findings, &self_rule, false_better ? CHECK_ERROR : CHECK_NOTE,
		  domain->name,
		  "%s (%u) has an address of this host, but its name isn't one of this host's",
		  host->name, (unsigned)host->preference);
	if (false_better)
		check_mend(check->findings,
			   "# if that is to be another host, mend its address; else remove: %s. IN "
			   "MX %u %s.",
			   domain->name, (unsigned)host->preference, host->name);
	if (!idna_domain_to_ascii(host->name, name, sizeof(name)))
		return;
	for (size_t i = 0; i < mine->count; i++)
		text_add_format(&list, "%s, ", mine->items[i]);
	check_mend(check->findings, "# if it is a name of this host, in section [milter]:");
	check_mend(check->findings, "my_names = {%s%s}", names, name);
}

static void elsewhere(struct check *check, const struct check_domain *domain,
		      const struct mx_host *host)
{
	char ip[IP_TEXT_MAX];

	ip_format(&host->addresses[0], ip, sizeof(ip));
	check_add(check->findings, &self_rule, CHECK_WARNING, domain->name,
		  "%s is this host's name, but its address %s isn't this host's", host->name, ip);
	check_mend(check->findings, "# if mail for that address reaches this host by NAT, in "
				    "section [milter]:");
	check_mend_my_addresses(check, &host->addresses[0]);
	check_mend(check->findings, "# else mend the address record of %s", host->name);
}

/* Says what is wrong with one entry that is us; false when nothing is. `before`: another one of
 * ours; or NULL. */
static bool own_entry_judge(struct check *check, const struct check_domain *domain,
			    const struct mx_host *host, const struct mx_host *before)
{
	if (!mx_identity_has_name(&check->identity.self, host->name)) {
		unknown_name(check, domain, host);
		return true;
	}
	if (host->address_count > 0 && !address_is_ours(check, host)) {
		elsewhere(check, domain, host);
		return true;
	}
	if (before == NULL || strcmp(before->name, host->name) == 0 ||
	    !mx_identity_has_name(&check->identity.self, before->name))
		return false; /* mx-duplicate speaks of one name twice */
	check_add(check->findings, &self_rule, CHECK_WARNING, domain->name,
		  "this host is listed twice: %s (%u) and %s (%u)", before->name,
		  (unsigned)before->preference, host->name, (unsigned)host->preference);
	check_mend(check->findings, "# remove: %s. IN MX %u %s.", domain->name,
		   (unsigned)before->preference, before->name);
	return true;
}

static void self_judge(struct check *check, const struct check_domain *domain)
{
	const struct mxset *set = &domain->set;
	const struct mx_host *own = NULL;
	bool wrong = false;

	for (size_t i = 0; i < set->count; i++) {
		if (set->hosts[i].role != MX_SELF)
			continue;
		if (own_entry_judge(check, domain, &set->hosts[i], own))
			wrong = true;
		own = &set->hosts[i];
	}
	if (own != NULL && !wrong)
		check_add(check->findings, &self_rule, CHECK_OK, domain->name,
			  "%s is this host by name and address", own->name);
}

static bool share_address(const struct mx_host *a, const struct mx_host *b, struct ip *shared)
{
	for (size_t i = 0; i < a->address_count; i++) {
		for (size_t j = 0; j < b->address_count; j++) {
			if (ip_equal(&a->addresses[i], &b->addresses[j])) {
				*shared = a->addresses[i];
				return true;
			}
		}
	}
	return false;
}

/* False when these two are no duplicates of each other. */
static bool pair_judge(struct check *check, const struct check_domain *domain,
		       const struct mx_host *a, const struct mx_host *b)
{
	struct ip shared;
	char ip[IP_TEXT_MAX];

	if (strcmp(a->name, b->name) == 0) {
		check_add(check->findings, &duplicate_rule, CHECK_WARNING, domain->name,
			  "%s is listed twice, with %u and %u", a->name, (unsigned)a->preference,
			  (unsigned)b->preference);
		/* of ourselves the one that makes us a backup stays */
		check_mend(check->findings, "# remove: %s. IN MX %u %s.", domain->name,
			   (unsigned)(a->role == MX_SELF ? a : b)->preference, a->name);
		return true;
	}
	if ((a->role == MX_SELF && b->role == MX_SELF) || !share_address(a, b, &shared))
		return false; /* mx-self speaks of the first */
	check_add(check->findings, &duplicate_rule, CHECK_NOTE, domain->name,
		  "%s (%u) and %s (%u) have the same address %s", a->name, (unsigned)a->preference,
		  b->name, (unsigned)b->preference, ip_format(&shared, ip, sizeof(ip)));
	return true;
}

static void duplicate_judge(struct check *check, const struct check_domain *domain)
{
	const struct mxset *set = &domain->set;
	bool found = false;

	for (size_t i = 0; i < set->count; i++)
		for (size_t j = i + 1; j < set->count; j++)
			if (check_mx_concerns(set, &set->hosts[i]) &&
			    check_mx_concerns(set, &set->hosts[j]) &&
			    pair_judge(check, domain, &set->hosts[i], &set->hosts[j]))
				found = true;
	if (!found)
		check_add(check->findings, &duplicate_rule, CHECK_OK, domain->name,
			  "each host is listed once");
}

static const struct check_rule *const rules[] = { &self_rule, &duplicate_rule, NULL };

static void run(struct check *check)
{
	for (size_t i = 0; i < check->domain_count; i++) {
		if (!check_mx_has_hosts(&check->domains[i]))
			continue;
		self_judge(check, &check->domains[i]);
		duplicate_judge(check, &check->domains[i]);
	}
}

const struct check_group check_group_mx_entries = { "MX records: who is who", rules, run };
