/* SPDX-License-Identifier: BSD-2-Clause */
/* mx-ttl: do the records live long enough for an outage of DNS, and not too long for a change? */
#include "base/text.h"
#include "check/authority.h"
#include "check/mx.h"

const struct check_rule check_rule_mx_ttl = {
	"mx-ttl",
	"MX and address records live from five minutes to a day",
	"Records that live shorter are gone from all caches minutes after the name servers fail, "
	"often together with the primary: then nobody finds the backup. Records that live longer "
	"keep senders from seeing a change.",
};

/* One set of records: its TTL, and whose word that is. */
struct life {
	const char *name;
	enum dns_type type;
	const struct resolved *records;
	int64_t ttl;
	bool cached; /* no name server of the zone could be asked: the zone's is no less */
};

/* False when there are none. */
static bool life_find(struct check *check, const struct authority *authority, const char *name,
		      enum dns_type type, struct life *life)
{
	const struct dns_record *record;

	*life = (struct life){ .name = name, .type = type };
	life->records = authority_answer(authority, name, type);
	if (life->records == NULL) {
		life->records = resolve_now(check->resolve, name, type);
		life->cached = true;
	}
	record = resolved_record(life->records, type, 0);
	if (record == NULL)
		return false;
	life->ttl = record->ttl; /* one for all of a set: RFC 2181 5.2 */
	return true;
}

static const char *type_name(enum dns_type type)
{
	switch (type) {
	case DNS_TYPE_A:
		return "A";
	case DNS_TYPE_AAAA:
		return "AAAA";
	default:
		return "MX";
	}
}

static void mend_life(struct check *check, const struct life *life)
{
	const struct dns_record *record;
	char ip[IP_TEXT_MAX];

	for (size_t i = 0; (record = resolved_record(life->records, life->type, i)) != NULL; i++) {
		if (life->type == DNS_TYPE_MX)
			check_mend_mx(check, record->owner, record->preference, record->target);
		else
			check_mend(check->findings, "%s. %d IN %s %s", record->owner, CHECK_MX_TTL,
				   type_name(life->type), ip_format(&record->ip, ip, sizeof(ip)));
	}
}

/* Says what is wrong with it; false when nothing is. */
static bool life_judge(struct check *check, const struct check_domain *domain,
		       const struct life *life, enum check_severity severity)
{
	const char *type = type_name(life->type);

	if (life->ttl >= PLAN_TTL_LEAST && life->ttl <= PLAN_TTL_MOST)
		return false;
	if (life->cached && life->ttl < PLAN_TTL_LEAST) {
		check_unseen(check->findings, &check_rule_mx_ttl, domain->name,
			     "no name server of the zone of %s %s answers this host, and the TTL "
			     "of %lld that the resolver has left says little",
			     life->name, type, (long long)life->ttl);
		return true;
	}
	check_add(check->findings, &check_rule_mx_ttl, severity, domain->name,
		  "%s %s has a TTL of %lld seconds, which is %s", life->name, type,
		  (long long)life->ttl,
		  life->ttl < PLAN_TTL_LEAST ? "less than five minutes" : "more than a day");
	mend_life(check, life);
	return true;
}

static void say_life(const struct life *life, struct text *say)
{
	text_add_format(say, "%s%s %s %s%lld", say->length > 0 ? ", " : "", life->name,
			type_name(life->type), life->cached ? "at least " : "",
			(long long)life->ttl);
}

static const enum dns_type address_types[] = { DNS_TYPE_A, DNS_TYPE_AAAA };

/* Runs over the sets of records that concern a domain; adds those that are well to `say`. */
static bool domain_lives(struct check *check, const struct authority *authority,
			 const struct check_domain *domain, struct text *say)
{
	struct life life;
	bool well = true;

	if (life_find(check, authority, domain->name, DNS_TYPE_MX, &life)) {
		well = !life_judge(check, domain, &life, CHECK_WARNING);
		say_life(&life, say);
	}
	for (size_t i = 0; i < domain->set.count; i++) {
		const struct mx_host *host = &domain->set.hosts[i];
		/* somebody else's TTL can't be mended here */
		bool ours = host->role == MX_SELF || mxset_name_is_within(host->name, domain->name);

		for (size_t j = 0; check_mx_concerns(&domain->set, host) && j < 2; j++) {
			if (!life_find(check, authority, host->name, address_types[j], &life))
				continue;
			if (life_judge(check, domain, &life, ours ? CHECK_WARNING : CHECK_NOTE))
				well = false;
			say_life(&life, say);
		}
	}
	return well;
}

static void want(struct authority *authority, const struct check_domain *domain)
{
	authority_want(authority, domain->name, DNS_TYPE_MX);
	for (size_t i = 0; i < domain->set.count; i++)
		for (size_t j = 0; check_mx_concerns(&domain->set, &domain->set.hosts[i]) && j < 2;
		     j++)
			authority_want(authority, domain->set.hosts[i].name, address_types[j]);
}

const struct authority *check_mx_authority(struct check *check)
{
	if (check->authority != NULL)
		return check->authority;
	check->authority = authority_new(check);
	for (size_t i = 0; i < check->domain_count; i++)
		if (check_mx_has_hosts(&check->domains[i]))
			want(check->authority, &check->domains[i]);
	authority_ask(check->authority);
	return check->authority;
}

void check_mend_mx(struct check *check, const char *domain, unsigned preference, const char *target)
{
	const struct resolved *mx =
		authority_answer(check_mx_authority(check), domain, DNS_TYPE_MX);
	const struct dns_record *record = mx != NULL ? resolved_record(mx, DNS_TYPE_MX, 0) : NULL;
	int64_t ttl = CHECK_MX_TTL;

	if (record != NULL && record->ttl >= PLAN_TTL_LEAST && record->ttl <= PLAN_TTL_MOST)
		ttl = record->ttl;
	check_mend(check->findings, "%s. %lld IN MX %u %s.", domain, (long long)ttl, preference,
		   target);
}

void check_mx_ttl_judge(struct check *check)
{
	const struct authority *authority = check_mx_authority(check);

	for (size_t i = 0; i < check->domain_count; i++) {
		char line[2048];
		TEXT_ON(say, line);

		if (check_mx_has_hosts(&check->domains[i]) &&
		    domain_lives(check, authority, &check->domains[i], &say))
			check_add(check->findings, &check_rule_mx_ttl, CHECK_OK,
				  check->domains[i].name, "seconds: %s", line);
	}
}
