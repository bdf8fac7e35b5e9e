/* SPDX-License-Identifier: BSD-2-Clause */
/* The hosts that MX records name: are they names of hosts, with addresses? */
#include <string.h>

#include "check/addresses.h"
#include "check/groups.h"
#include "check/mx.h"

static const struct check_rule cname_rule = {
	"mx-cname",
	"MX records name hosts, not aliases",
	"The target of an MX record must not be a CNAME (RFC 5321 5.1, RFC 2181 10.3): some "
	"senders refuse it, and a host that looks for its own name in the MX set doesn't find it.",
};

static const struct check_rule literal_rule = {
	"mx-literal",
	"MX records name hosts, not addresses",
	"The target of an MX record is a name (RFC 5321 5.1). An address there is looked up as a "
	"name that doesn't exist.",
};

static const struct check_rule address_rule = {
	"mx-address",
	"the MX hosts have addresses",
	"A sender skips a host without an address, and waits for one whose address can't be "
	"looked up.",
};

/* Both questions were asked when the MX sets were gathered. */
struct addresses {
	const struct resolved *v4, *v6;
};

static struct addresses addresses_of(struct check *check, const char *host)
{
	struct addresses addresses = { resolve_start(check->resolve, host, DNS_TYPE_A),
				       resolve_start(check->resolve, host, DNS_TYPE_AAAA) };

	resolve_wait(check->resolve);
	return addresses;
}

/* Where the name leads in the end; NULL when it is no alias. */
static const char *alias_end(const struct resolved *resolved)
{
	const struct dns_record *record;
	const char *end = NULL;

	for (size_t i = 0; (record = resolved_record(resolved, DNS_TYPE_CNAME, i)) != NULL; i++)
		end = record->target;
	return end;
}

/* Each of these says what is wrong with one host, and is false when nothing is. */

static bool cname_judge(struct check *check, const struct check_domain *domain,
			const struct mx_host *host)
{
	struct addresses addresses = addresses_of(check, host->name);
	const char *end = alias_end(addresses.v4);

	if (end == NULL)
		end = alias_end(addresses.v6);
	if (end == NULL)
		return false;
	check_add(check->findings, &cname_rule, CHECK_WARNING, domain->name,
		  "%s (%u) is an alias (CNAME) of %s", host->name, (unsigned)host->preference, end);
	check_mend(check->findings, "# in place of the present MX record:");
	check_mend_mx(check, domain->name, host->preference, end);
	return true;
}

static bool literal_judge(struct check *check, const struct check_domain *domain,
			  const struct mx_host *host)
{
	struct ip ip;
	char text[IP_TEXT_MAX];

	if (!check_mx_is_literal(host, &ip))
		return false;
	check_add(check->findings, &literal_rule, CHECK_ERROR, domain->name,
		  "the target of preference %u is the address %s", (unsigned)host->preference,
		  ip_format(&ip, text, sizeof(text)));
	check_mend(check->findings, "# give the host a name, in place of the present record:");
	check_mend(check->findings, "mx%u.%s. %d IN %s %s", (unsigned)host->preference,
		   domain->name, CHECK_MX_TTL, ip.family == IP_V4 ? "A" : "AAAA", text);
	check_mend(check->findings, "%s. %d IN MX %u mx%u.%s.", domain->name, CHECK_MX_TTL,
		   (unsigned)host->preference, (unsigned)host->preference, domain->name);
	return true;
}

/* Can mail still go where this entry would take it? Of the better ones any will do. */
static bool has_substitute(const struct mxset *set, const struct mx_host *host)
{
	for (size_t i = 0; host->role != MX_SELF && i < set->count; i++)
		if (set->hosts[i].role == host->role && set->hosts[i].address_count > 0)
			return true;
	return false;
}

static void mend_address(struct check *check, const struct mx_host *host)
{
	const struct ip *ip;
	char text[IP_TEXT_MAX];

	if (host->role != MX_SELF) {
		check_mend(check->findings, "# add the A and AAAA records of %s", host->name);
		return;
	}
	for (size_t i = 0; (ip = check_own_public_address(check, i)) != NULL; i++)
		check_mend(check->findings, "%s. %d IN %s %s", host->name, CHECK_MX_TTL,
			   ip->family == IP_V4 ? "A" : "AAAA", ip_format(ip, text, sizeof(text)));
}

static void no_address(struct check *check, const struct check_domain *domain,
		       const struct mx_host *host, const struct resolved *why)
{
	check_add(check->findings, &address_rule,
		  has_substitute(&domain->set, host) ? CHECK_WARNING : CHECK_ERROR, domain->name,
		  "%s (%u) has no address: %s", host->name, (unsigned)host->preference,
		  resolved_problem(why));
	if (why->status == DNS_FAILED)
		check_mend(check->findings, "dig +trace %s. A", host->name);
	else
		mend_address(check, host);
}

static bool address_judge(struct check *check, const struct check_domain *domain,
			  const struct mx_host *host)
{
	struct addresses addresses = addresses_of(check, host->name);
	bool v4_failed = addresses.v4->status == DNS_FAILED;
	bool v6_failed = addresses.v6->status == DNS_FAILED;

	if (host->address_count == 0) {
		no_address(check, domain, host, v6_failed ? addresses.v6 : addresses.v4);
		return true;
	}
	if (!v4_failed && !v6_failed)
		return false;
	check_add(check->findings, &address_rule, CHECK_WARNING, domain->name,
		  "the question for %s of %s fails (SERVFAIL, refused or no answer in time)",
		  v4_failed ? "A" : "AAAA", host->name);
	check_mend(check->findings, "dig +trace %s. %s", host->name, v4_failed ? "A" : "AAAA");
	return true;
}

/* ---- all of a set ---- */

typedef bool (*host_judge)(struct check *check, const struct check_domain *domain,
			   const struct mx_host *host);

/* Runs one rule over the hosts; true when it found nothing to say. An address where a name belongs
 * has no addresses, of course. */
static bool all_well(struct check *check, const struct check_domain *domain, host_judge judge)
{
	const struct mxset *set = &domain->set;
	bool well = true;
	struct ip ip;

	for (size_t i = 0; i < set->count; i++) {
		const struct mx_host *host = &set->hosts[i];

		if (!check_mx_concerns(set, host) ||
		    (judge != literal_judge && check_mx_is_literal(host, &ip)))
			continue;
		if (judge(check, domain, host))
			well = false;
	}
	return well;
}

static void domain_judge(struct check *check, const struct check_domain *domain)
{
	if (all_well(check, domain, literal_judge))
		check_add(check->findings, &literal_rule, CHECK_OK, domain->name,
			  "all targets are names");
	if (all_well(check, domain, cname_judge))
		check_add(check->findings, &cname_rule, CHECK_OK, domain->name,
			  "no target is an alias (CNAME)");
	if (all_well(check, domain, address_judge))
		check_add(check->findings, &address_rule, CHECK_OK, domain->name,
			  "all hosts have addresses");
}

static const struct check_rule *const rules[] = { &literal_rule, &cname_rule, &address_rule, NULL };

static void run(struct check *check)
{
	for (size_t i = 0; i < check->domain_count; i++)
		if (check_mx_has_hosts(&check->domains[i]))
			domain_judge(check, &check->domains[i]);
}

const struct check_group check_group_mx_targets = { "MX records: the hosts they name", rules, run };
