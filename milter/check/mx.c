/* SPDX-License-Identifier: BSD-2-Clause */
/* Where are we in a domain's MX set, and is that a backup's place? */
#include "check/mx.h"

#include <string.h>

#include "base/text.h"
#include "check/addresses.h"
#include "check/groups.h"

#define PREFERENCE_MAX 65535
#define PREFERENCE_GAP 10 /* room for hosts that come later */

static const struct check_rule lookup_rule = {
	"mx-lookup",
	"the domain's MX records can be looked up",
	"Senders that can't look them up keep or return their mail, and the milter goes on with "
	"the records it saw last.",
};

static const struct check_rule null_rule = {
	"mx-null",
	"the domain takes mail at all",
	"A null MX (RFC 7505) tells senders to return all mail for the domain at once, and must "
	"be its only MX record.",
};

static const struct check_rule implicit_rule = {
	"mx-implicit",
	"the domain has MX records",
	"Without an MX record mail goes to the domain's own address and nowhere else: there is no "
	"backup. As soon as one MX record is there, that address counts no more, so the primary "
	"needs one, too.",
};

static const struct check_rule listed_rule = {
	"mx-listed",
	"this host is one of the domain's MX hosts",
	"Senders know a backup by its MX record only. While this host isn't listed, the milter "
	"never sends anybody to the primary.",
};

static const struct check_rule best_rule = {
	"mx-best",
	"another MX host is better than this one",
	"A backup comes behind the primary. When nobody is better, all mail comes here first and "
	"there is no host to which a sender could be told to go.",
};

static const struct check_rule equal_rule = {
	"mx-equal",
	"no other host has this host's preference",
	"Senders choose among equal hosts by chance. An equal host isn't better: nobody is told "
	"to go there instead.",
};

/* ---- what several rules ask ---- */

bool check_mx_has_hosts(const struct check_domain *domain)
{
	return domain->set.standing == MX_STANDING_BACKUP ||
	       domain->set.standing == MX_STANDING_BEST ||
	       domain->set.standing == MX_STANDING_UNLISTED;
}

static const struct mx_host *own_entry(const struct mxset *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->hosts[i].role == MX_SELF)
			return &set->hosts[i];
	return NULL;
}

bool check_mx_preference(const struct mxset *set, unsigned *preference)
{
	const struct mx_host *own = own_entry(set);

	if (own != NULL)
		*preference = own->preference;
	return own != NULL;
}

const char *check_mx_own_name(const struct mxset *set)
{
	const struct mx_host *own = own_entry(set);

	return own != NULL ? own->name : "";
}

bool check_mx_concerns(const struct mxset *set, const struct mx_host *host)
{
	if (host->name[0] == '\0')
		return false; /* a null MX where it doesn't belong: mx-null says so */
	return set->standing != MX_STANDING_BACKUP || host->role != MX_NOT_BETTER;
}

/* A zone file may hold an address with brackets, and as one label with its dots escaped. */
bool check_mx_is_literal(const struct mx_host *host, struct ip *ip)
{
	char bare[sizeof(host->name)];
	TEXT_ON(text, bare);

	for (const char *at = host->name; *at != '\0'; at++)
		if (strchr("[]\\", *at) == NULL)
			text_add_char(&text, *at);
	return ip_parse_literal(bare, ip);
}

/* The zone line of this host's MX record. */
static void mend_own_mx(struct check *check, const char *domain, unsigned preference)
{
	if (check_name_is_full(check_host_name(check)))
		check_mend_mx(check, domain, preference, check_host_name(check));
	else
		check_mend(check->findings,
			   "# %s. %d IN MX %u and this host's full name (it has none yet: see "
			   "host-helo)",
			   domain, CHECK_MX_TTL, preference);
}

/* A number behind all others, with room between. */
static unsigned preference_behind(const struct mxset *set, bool with_us)
{
	unsigned last = 0;

	for (size_t i = 0; i < set->count; i++)
		if (with_us || set->hosts[i].role != MX_SELF)
			last = set->hosts[i].preference;
	return last + PREFERENCE_GAP <= PREFERENCE_MAX ? last + PREFERENCE_GAP : PREFERENCE_MAX;
}

static void mend_by_plan(struct check *check, const struct check_domain *domain)
{
	check_mend(check->findings, "# or let it be worked out for all records at once:");
	check_mend(check->findings, "backupmxctl plan %s", domain->name);
}

unsigned check_mx_preference_behind(const struct mxset *set)
{
	return preference_behind(set, false);
}

/* "mx1.example.test (10), mx2.example.test (20)" */
static void say_hosts(const struct mxset *set, struct text *say)
{
	for (size_t i = 0; i < set->count; i++)
		text_add_format(say, "%s%s (%u)", i > 0 ? ", " : "",
				set->hosts[i].name[0] != '\0' ? set->hosts[i].name : ".",
				(unsigned)set->hosts[i].preference);
}

/* ---- are there any? ---- */

/* False when there is nothing more to say of the domain. */
static bool lookup_judge(struct check *check, const struct check_domain *domain)
{
	size_t count = resolved_count(domain->mx, DNS_TYPE_MX);

	if (domain->mx->status == DNS_FOUND || domain->mx->status == DNS_NO_DATA) {
		check_add(check->findings, &lookup_rule, CHECK_OK, domain->name,
			  "%zu MX record%s found", count, count == 1 ? " is" : "s are");
		return true;
	}
	check_add(check->findings, &lookup_rule, CHECK_ERROR, domain->name, "%s",
		  resolved_problem(domain->mx));
	if (domain->mx->status == DNS_NO_DOMAIN)
		check_mend(check->findings, "# is the name spelled right, and still registered?");
	check_mend(check->findings, "dig +trace %s. MX", domain->name);
	return false;
}

static bool null_judge(struct check *check, const struct check_domain *domain)
{
	const struct mxset *set = &domain->set;

	if (set->standing == MX_STANDING_NULL) {
		check_add(check->findings, &null_rule, CHECK_ERROR, domain->name,
			  "the only MX record is \".\": the domain takes no mail");
		check_mend(check->findings,
			   "# if it is to take mail, put the primary's and this host's MX records "
			   "in its place:");
		check_mend(check->findings, "backupmxctl plan %s", domain->name);
		check_mend(check->findings,
			   "# if not, take the domain out of the MTA's relay domains");
		return false;
	}
	for (size_t i = 0; i < set->count; i++) {
		if (set->hosts[i].name[0] != '\0')
			continue;
		check_add(check->findings, &null_rule, CHECK_WARNING, domain->name,
			  "a null MX (%u \".\") stands beside other MX records",
			  (unsigned)set->hosts[i].preference);
		check_mend(check->findings, "# remove: %s. IN MX %u .", domain->name,
			   (unsigned)set->hosts[i].preference);
		return true;
	}
	check_add(check->findings, &null_rule, CHECK_OK, domain->name, "no null MX is among them");
	return true;
}

static bool implicit_judge(struct check *check, const struct check_domain *domain)
{
	if (domain->set.count > 0) {
		check_add(check->findings, &implicit_rule, CHECK_OK, domain->name,
			  "mail goes by MX records, not by the domain's own address");
		return true;
	}
	check_add(check->findings, &implicit_rule, CHECK_ERROR, domain->name,
		  "there is no MX record");
	check_mend(check->findings, "# the host that has taken mail so far, then this one:");
	check_mend_mx(check, domain->name, PREFERENCE_GAP, domain->name);
	mend_own_mx(check, domain->name, 2 * PREFERENCE_GAP);
	mend_by_plan(check, domain);
	return false;
}

/* ---- our place ---- */

static void unlisted(struct check *check, const struct check_domain *domain)
{
	const struct mxset *set = &domain->set;
	bool has_primary = domain->config->primary.count > 0;
	char line[2048];
	TEXT_ON(say, line);

	say_hosts(set, &say);
	check_add(check->findings, &listed_rule, has_primary ? CHECK_WARNING : CHECK_ERROR,
		  domain->name, "none of the MX hosts is this one, by name or address: %s", line);
	mend_own_mx(check, domain->name, check_mx_preference_behind(set));
	mend_by_plan(check, domain);
	check_mend(check->findings,
		   "# if one of them is this host, behind NAT or a load balancer, say so in "
		   "section [milter]:");
	check_mend(check->findings, "my_addresses = {its public address}");
}

static void listed_judge(struct check *check, const struct check_domain *domain)
{
	const struct mxset *set = &domain->set;
	char line[2048];
	TEXT_ON(say, line);

	if (set->standing == MX_STANDING_UNLISTED) {
		unlisted(check, domain);
		return;
	}
	say_hosts(set, &say);
	check_add(check->findings, &listed_rule, CHECK_OK, domain->name,
		  "%s is this host; all of them: %s", check_mx_own_name(set), line);
}

static void mend_best(struct check *check, const struct check_domain *domain, unsigned ours)
{
	const struct mxset *set = &domain->set;
	bool alone = true;

	for (size_t i = 0; i < set->count; i++)
		alone = alone && set->hosts[i].role == MX_SELF;
	if (alone) {
		check_mend(check->findings,
			   "# add the primary's MX record with a number below this host's%s",
			   ours == 0 ? ", and raise this host's:" : "");
		if (ours == 0)
			mend_own_mx(check, domain->name, 2 * PREFERENCE_GAP);
	} else {
		check_mend(check->findings, "# in place of the present record, behind all others:");
		mend_own_mx(check, domain->name, check_mx_preference_behind(set));
	}
	mend_by_plan(check, domain);
}

/* The first that is better; NULL when nobody is. A null MX is nobody. */
static const struct mx_host *better_host(const struct mxset *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->hosts[i].role == MX_BETTER && set->hosts[i].name[0] != '\0')
			return &set->hosts[i];
	return NULL;
}

static void best_judge(struct check *check, const struct check_domain *domain)
{
	const struct mxset *set = &domain->set;
	const struct mx_host *better = better_host(set);
	unsigned ours;

	if (!check_mx_preference(set, &ours))
		return;
	if (better != NULL) {
		check_add(check->findings, &best_rule, CHECK_OK, domain->name,
			  "%s (%u) is better than this host (%u)", better->name,
			  (unsigned)better->preference, ours);
		return;
	}
	if (domain->config->primary.count > 0)
		check_add(check->findings, &best_rule, CHECK_WARNING, domain->name,
			  "nobody is better than this host (%u): all mail comes here; recipients "
			  "are checked at the configured primary, but no sender is told to go "
			  "there",
			  ours);
	else
		check_add(check->findings, &best_rule, CHECK_ERROR, domain->name,
			  "nobody is better than this host (%u), and no primary is configured: "
			  "the MTA has nowhere to deliver, and the milter stays out of it",
			  ours);
	mend_best(check, domain, ours);
}

static void equal_judge(struct check *check, const struct check_domain *domain)
{
	const struct mxset *set = &domain->set;
	unsigned ours;

	if (!check_mx_preference(set, &ours))
		return;
	for (size_t i = 0; i < set->count; i++) {
		const struct mx_host *host = &set->hosts[i];

		if (host->role == MX_SELF || host->preference != ours)
			continue;
		check_add(check->findings, &equal_rule,
			  set->standing == MX_STANDING_BEST ? CHECK_WARNING : CHECK_NOTE,
			  domain->name, "%s has this host's preference, %u", host->name, ours);
		check_mend(check->findings,
			   "# if %s is the primary, in place of the present "
			   "record:",
			   host->name);
		mend_own_mx(check, domain->name, preference_behind(set, true));
		return;
	}
	check_add(check->findings, &equal_rule, CHECK_OK, domain->name,
		  "no other host has this host's preference, %u", ours);
}

static const struct check_rule *const rules[] = { &lookup_rule, &null_rule, &implicit_rule,
						  &listed_rule, &best_rule, &equal_rule,
						  NULL };

static void run(struct check *check)
{
	for (size_t i = 0; i < check->domain_count; i++) {
		const struct check_domain *domain = &check->domains[i];

		if (!lookup_judge(check, domain) || !null_judge(check, domain) ||
		    !implicit_judge(check, domain))
			continue;
		listed_judge(check, domain);
		best_judge(check, domain);
		equal_judge(check, domain);
	}
}

const struct check_group check_group_mx = { "MX records: this host's place", rules, run };
