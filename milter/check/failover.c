/* SPDX-License-Identifier: BSD-2-Clause */
/* Do senders reach the backup when the primary fails, and only then? TTLs, families, networks. */
#include "base/text.h"
#include "check/addresses.h"
#include "check/groups.h"
#include "check/mx.h"
#include "io/netif.h"

#define V4_SITE 24 /* bits of a network that is one site, most often */
#define V6_SITE 48

static const struct check_rule family_rule = {
	"mx-family",
	"backup and primary are reached by the same address families",
	"A sender with one family only, IPv4 or IPv6, must reach both: the backup when the primary "
	"fails, and the primary when the backup sends it there.",
};

static const struct check_rule network_rule = {
	"mx-network",
	"backup and primary are in different networks",
	"What shares a network often shares the line, the provider and the power, and fails "
	"together.",
};

/* ---- families ---- */

static bool has_family(const struct mxset *set, enum mx_role role, enum ip_family family)
{
	for (size_t i = 0; i < set->count; i++)
		for (size_t j = 0; j < set->hosts[i].address_count; j++)
			if (set->hosts[i].role == role &&
			    set->hosts[i].addresses[j].family == family)
				return true;
	return false;
}

static const char *family_name(enum ip_family family)
{
	return family == IP_V4 ? "IPv4" : "IPv6";
}

/* By the name that is in the MX set. */
static void mend_own_address(struct check *check, const struct mxset *set, enum ip_family family)
{
	const char *name = check_mx_own_name(set);
	const struct ip *ip;
	char text[IP_TEXT_MAX];

	for (size_t i = 0; (ip = check_own_public_address(check, i)) != NULL; i++) {
		if (ip->family != (int)family)
			continue;
		check_mend(check->findings, "%s. %d IN %s %s", name, CHECK_MX_TTL,
			   family == IP_V4 ? "A" : "AAAA", ip_format(ip, text, sizeof(text)));
		return;
	}
	check_mend(check->findings, "# get an %s address for this host, and add it to %s",
		   family_name(family), name);
}

/* Senders with IPv4 alone are many, with IPv6 alone few. Each of these is false when all is well.
 */
static bool asymmetry_judge(struct check *check, const struct check_domain *domain,
			    enum ip_family family)
{
	enum check_severity severity = family == IP_V4 ? CHECK_WARNING : CHECK_NOTE;
	const char *name = family_name(family);
	bool theirs = has_family(&domain->set, MX_BETTER, family);
	bool ours = has_family(&domain->set, MX_SELF, family);

	if (domain->set.standing != MX_STANDING_BACKUP || theirs == ours)
		return false;
	if (theirs) {
		check_add(check->findings, &family_rule, severity, domain->name,
			  "the primary has %s, this host's entry hasn't: who has %s only doesn't "
			  "reach the backup",
			  name, name);
		mend_own_address(check, &domain->set, family);
	} else {
		check_add(check->findings, &family_rule, severity, domain->name,
			  "this host's entry has %s, the primary hasn't: who has %s only is sent "
			  "where it can't go, until it counts as persistent",
			  name, name);
		check_mend(check->findings,
			   "# give the primary an %s address, or remove this host's", name);
	}
	return true;
}

/* What we publish must be here. */
static bool published_judge(struct check *check, const struct check_domain *domain,
			    enum ip_family family)
{
	const struct mxset *set = &domain->set;
	char text[IP_TEXT_MAX];

	for (size_t i = 0; i < set->count; i++) {
		const struct mx_host *host = &set->hosts[i];

		for (size_t j = 0; host->role == MX_SELF && j < host->address_count; j++) {
			const struct ip *ip = &host->addresses[j];

			if (ip->family != (int)family ||
			    mx_identity_has_address(&check->identity.self, ip))
				continue;
			ip_format(ip, text, sizeof(text));
			check_add(check->findings, &family_rule, CHECK_WARNING, domain->name,
				  "%s has %s, but this host has no %s", host->name, text,
				  family_name(family));
			check_mend(check->findings, "# remove: %s. IN %s %s", host->name,
				   family == IP_V4 ? "A" : "AAAA", text);
			return true;
		}
	}
	return false;
}

/* And there must be a way to where mail is forwarded. */
static bool forwarding_judge(struct check *check, const struct check_domain *domain,
			     enum ip_family lacking)
{
	for (size_t i = 0; i < domain->endpoint_count; i++)
		if (domain->endpoints[i].address.ip.family != (int)lacking)
			return false;
	if (domain->endpoint_count == 0)
		return false;
	check_add(check->findings, &family_rule, CHECK_ERROR, domain->name,
		  "the primary has %s addresses only, and this host has none: mail can't be "
		  "forwarded",
		  family_name(lacking));
	check_mend(check->findings,
		   "# get an %s address for this host, or an %s one for the primary",
		   family_name(lacking), family_name(lacking == IP_V4 ? IP_V6 : IP_V4));
	return true;
}

static void family_judge(struct check *check, const struct check_domain *domain)
{
	static const enum ip_family families[] = { IP_V4, IP_V6 };
	bool well = true;

	for (size_t i = 0; i < 2; i++) {
		if (asymmetry_judge(check, domain, families[i]))
			well = false;
		if (netif_has_family(families[i]))
			continue;
		if (published_judge(check, domain, families[i]))
			well = false;
		if (forwarding_judge(check, domain, families[i]))
			well = false;
	}
	if (well && domain->set.standing == MX_STANDING_BACKUP)
		check_add(check->findings, &family_rule, CHECK_OK, domain->name,
			  "backup and primary have the same families");
	else if (well)
		check_add(check->findings, &family_rule, CHECK_OK, domain->name,
			  "this host has the families that it needs");
}

/* ---- networks ---- */

/* The network both are in, when it is one site's; false when there is none. */
static bool same_site(const struct ip *a, const struct ip *b, char *buffer, size_t size)
{
	size_t bytes = a->family == IP_V4 ? V4_SITE / 8 : V6_SITE / 8;
	struct ip network = { .family = a->family };
	char text[IP_TEXT_MAX];
	TEXT_ON(say, text);
	char ip[IP_TEXT_MAX];

	if (a->family != b->family || ip_equal(a, b))
		return false;
	for (size_t i = 0; i < bytes; i++) {
		if (a->bytes[i] != b->bytes[i])
			return false;
		network.bytes[i] = a->bytes[i];
	}
	text_add_format(&say, "%s/%zu", ip_format(&network, ip, sizeof(ip)), bytes * 8);
	text_copy(buffer, size, text);
	return true;
}

/* Says that one of theirs shares a network with us; false when it doesn't. A private network may
 * be a tunnel between two sites. */
static bool neighbour_judge(struct check *check, const struct check_domain *domain,
			    const struct ip *ours, const struct ip *theirs)
{
	bool is_public = check_ip_is_public(theirs);
	char network[IP_TEXT_MAX], a[IP_TEXT_MAX], b[IP_TEXT_MAX];

	if (!same_site(ours, theirs, network, sizeof(network)))
		return false;
	check_add(check->findings, &network_rule, is_public ? CHECK_WARNING : CHECK_NOTE,
		  domain->name, "this host (%s) and the primary (%s) are both in %s%s",
		  ip_format(ours, a, sizeof(a)), ip_format(theirs, b, sizeof(b)), network,
		  is_public ? "" : ", which may be a tunnel");
	check_mend(check->findings,
		   "# move the backup to another site, with a line and a provider of its own");
	return true;
}

static bool neighbours_judge(struct check *check, const struct check_domain *domain,
			     const struct ip *theirs)
{
	const struct mx_identity *self = &check->identity.self;
	const struct mxset *set = &domain->set;

	for (size_t i = 0; i < self->address_count; i++)
		if (neighbour_judge(check, domain, &self->addresses[i], theirs))
			return true;
	for (size_t i = 0; i < set->count; i++)
		for (size_t j = 0; j < set->hosts[i].address_count; j++)
			if (set->hosts[i].role == MX_SELF &&
			    neighbour_judge(check, domain, &set->hosts[i].addresses[j], theirs))
				return true;
	return false;
}

/* One neighbour is enough to know. */
static void network_judge(struct check *check, const struct check_domain *domain)
{
	const struct mxset *set = &domain->set;
	bool known = domain->endpoint_count > 0;

	for (size_t i = 0; i < domain->endpoint_count; i++)
		if (neighbours_judge(check, domain, &domain->endpoints[i].address.ip))
			return;
	for (size_t i = 0; i < set->count; i++) {
		for (size_t j = 0; j < set->hosts[i].address_count; j++) {
			if (set->hosts[i].role != MX_BETTER)
				continue;
			if (neighbours_judge(check, domain, &set->hosts[i].addresses[j]))
				return;
			known = true;
		}
	}
	if (known)
		check_add(check->findings, &network_rule, CHECK_OK, domain->name,
			  "no address of the primary is in a /%d or /%d of this host", V4_SITE,
			  V6_SITE);
}

static const struct check_rule *const rules[] = { &check_rule_mx_ttl, &family_rule, &network_rule,
						  NULL };

static void run(struct check *check)
{
	check_mx_ttl_judge(check);
	for (size_t i = 0; i < check->domain_count; i++) {
		const struct check_domain *domain = &check->domains[i];

		if (!check_mx_has_hosts(domain) && domain->endpoint_count == 0)
			continue;
		family_judge(check, domain);
		network_judge(check, domain);
	}
}

const struct check_group check_group_failover = { "Failover: lifetimes, families, networks", rules,
						  run };
