/* SPDX-License-Identifier: BSD-2-Clause */
/* Do the primaries answer? Connection, greeting, and whether it is they and not us. */
#include "check/reach.h"

#include <string.h>

#include "check/groups.h"

#define SMTP_PORT 25

static const struct check_rule outbound_rule = {
	"outbound-25",
	"this host may connect to port 25",
	"Many providers block port 25 outwards. Then every primary seems to be down, no recipient "
	"is learned, and nothing that was taken can be delivered.",
};

static const struct check_rule connect_rule = {
	"primary-connect",
	"each address of a primary takes connections",
	"Mail is forwarded there; an address that doesn't answer delays it, and a primary without "
	"one that does counts as down.",
};

static const struct check_rule ehlo_rule = {
	"primary-ehlo",
	"each primary greets and answers EHLO",
	"A primary that refuses the greeting takes no mail: its domains count as down or sick.",
};

static const struct check_rule loop_rule = {
	"primary-loop",
	"no primary is this host itself",
	"Mail forwarded to ourselves loops until it bounces.",
};

/* ---- outbound-25 ---- */

static bool is_blocked(const struct talk *talk)
{
	return !talk->connected &&
	       (talk->reason == HEALTH_TIMEOUT || talk->reason == HEALTH_REFUSED ||
		talk->reason == HEALTH_UNREACHABLE);
}

/* What all sessions to port 25 have in common. */
struct outbound {
	const struct talk *reached; /* one that answered */
	const struct talk *first;   /* that didn't */
	size_t failed;
	bool several; /* of those that failed, two share neither host nor domain */
	bool unlike;  /* of one address family, they failed in different ways */
	enum health_reason reason[IP_V6 + 1];
};

/* Addresses of a host, and hosts of a domain, may share a fate of their own. */
static bool are_strangers(const struct talk *a, const struct talk *b)
{
	if (a == b || (a->hosts[0][0] != '\0' && strcmp(a->hosts[0], b->hosts[0]) == 0))
		return false;
	for (size_t i = 0; i < a->canary_count; i++)
		for (size_t j = 0; j < b->canary_count; j++)
			if (a->canaries[i].domain == b->canaries[j].domain)
				return false;
	return true;
}

static void outbound_count(struct outbound *outbound, const struct talk *talk)
{
	enum health_reason *reason = &outbound->reason[talk->address.ip.family];

	if (talk->address.port != SMTP_PORT || talk->is_us || talk->reason == HEALTH_NO_ROUTE ||
	    talk->reason == HEALTH_OWN_FAULT)
		return;
	if (talk->connected) {
		outbound->reached = talk;
		return;
	}
	if (outbound->first == NULL)
		outbound->first = talk;
	if (are_strangers(outbound->first, talk))
		outbound->several = true;
	if (!is_blocked(talk) || (*reason != HEALTH_OK && *reason != talk->reason))
		outbound->unlike = true;
	*reason = talk->reason;
	outbound->failed++;
}

static void outbound_say(struct check *check, const struct outbound *outbound)
{
	check_add(check->findings, &outbound_rule, CHECK_ERROR, NULL,
		  "nobody answers at port 25, at none of %zu addresses, and all fail in the same "
		  "way: %s",
		  outbound->failed, health_reason_name(outbound->first->reason));
	check_mend(check->findings,
		   "# look first whether a firewall of this host does it (nft list ruleset), then "
		   "ask its provider to open TCP port 25 outwards: many do so only on request. "
		   "This tells when it is open:");
	check_mend(check->findings, "backupmxctl check");
}

static void outbound_judge(struct check *check, const struct talks *talks)
{
	struct outbound outbound = { .failed = 0 };

	for (size_t i = 0; i < talks->count; i++)
		outbound_count(&outbound, &talks->items[i]);
	for (size_t i = 0; i < talks->reference_count; i++)
		outbound_count(&outbound, &talks->references[i]);
	if (outbound.reached != NULL)
		check_add(check->findings, &outbound_rule, CHECK_OK, NULL,
			  "a connection to %s stands", outbound.reached->label);
	else if (outbound.failed == 0)
		check_unseen(check->findings, &outbound_rule, NULL,
			     "there is nobody to be asked at port 25");
	else if (outbound.several && !outbound.unlike)
		outbound_say(check, &outbound);
	else
		check_unseen(check->findings, &outbound_rule, NULL,
			     "nobody answers at port 25, %s; with a reference in section [probe] a "
			     "blocked port could be told from primaries that are down",
			     outbound.several ? "but they fail in different ways"
					      : "but only primaries of one domain were asked");
}

/* ---- each endpoint ---- */

/* True when every domain that is forwarded there has another address that answers. */
static bool is_spared(const struct talks *talks, const struct talk *talk)
{
	for (size_t i = 0; i < talk->canary_count; i++) {
		const struct check_domain *domain = talk->canaries[i].domain->domain;
		bool spared = false;

		for (size_t j = 0; j < domain->endpoint_count && !spared; j++) {
			const struct talk *other = talks_find(talks, &domain->endpoints[j].address);

			spared = other != NULL && other != talk && other->reason == HEALTH_OK;
		}
		if (!spared)
			return false;
	}
	return true;
}

static enum check_severity severity_of_loss(const struct talks *talks, const struct talk *talk)
{
	return is_spared(talks, talk) ? CHECK_WARNING : CHECK_ERROR;
}

static const char *words_of(enum health_reason reason)
{
	switch (reason) {
	case HEALTH_REFUSED:
		return "it refuses the connection";
	case HEALTH_TIMEOUT:
		return "it doesn't answer in time";
	case HEALTH_UNREACHABLE:
		return "the network says that it can't be reached";
	case HEALTH_RESET:
		return "it resets the connection";
	case HEALTH_PROTOCOL:
		return "what it says is no SMTP";
	case HEALTH_LOST:
		return "it closes the connection";
	default:
		return health_reason_name(reason);
	}
}

static void connect_judge(struct check *check, const struct talks *talks, const struct talk *talk)
{
	char address[IP_TEXT_MAX];

	if (talk->connected) {
		check_add(check->findings, &connect_rule, CHECK_OK, talk->label,
			  "it takes the connection");
		return;
	}
	if (talk->reason == HEALTH_NO_ROUTE || talk->reason == HEALTH_OWN_FAULT) {
		check_unseen(check->findings, &connect_rule, talk->label, "%s",
			     talk->reason == HEALTH_NO_ROUTE
				     ? "this host has no address of that family"
				     : "this host ran out of sockets or memory");
		return;
	}
	check_add(check->findings, &connect_rule, severity_of_loss(talks, talk), talk->label, "%s",
		  words_of(talk->reason));
	check_mend(check->findings, "# does it run, and do the firewalls on both sides let this "
				    "host through? Compare with the same from another network:");
	check_mend(check->findings, "nc -vz -w 10 %s %u",
		   ip_format(&talk->address.ip, address, sizeof(address)),
		   (unsigned)talk->address.port);
}

/* 4xx says "later", the rest that it will stay so. */
static void greeting_judge(struct check *check, const struct talks *talks, const struct talk *talk)
{
	enum check_severity severity = severity_of_loss(talks, talk);

	switch (talk->reason) {
	case HEALTH_OK:
		check_add(check->findings, &ehlo_rule, CHECK_OK, talk->label,
			  "it greets and answers EHLO");
		break;
	case HEALTH_LOOP: /* has a rule of its own */
		break;
	case HEALTH_BANNER_4XX:
	case HEALTH_EHLO_4XX:
		severity = CHECK_WARNING;
		/* fall through */
	case HEALTH_BANNER_5XX:
	case HEALTH_EHLO_5XX:
		check_add(check->findings, &ehlo_rule, severity, talk->label, "it says: %s",
			  talk->said);
		check_mend(check->findings, "# the primary's log says why; if it is our address "
					    "that it doesn't like, see primary-trust below");
		break;
	default:
		check_add(check->findings, &ehlo_rule, severity, talk->label,
			  "it took the connection, then %s%s%s",
			  talk->reason == HEALTH_TIMEOUT ? "nothing came in time"
							 : words_of(talk->reason),
			  talk->said[0] != '\0' ? "; the last it said: " : "", talk->said);
		check_mend(check->findings, "# the primary's log says what its mail server is "
					    "waiting for or failed at");
	}
}

static void loop_judge(struct check *check, const struct talk *talk)
{
	if (!talk->is_us && talk->reason != HEALTH_LOOP) {
		if (talk->reason == HEALTH_OK)
			check_add(check->findings, &loop_rule, CHECK_OK, talk->label,
				  "it greets with a name that isn't ours");
		return;
	}
	check_add(check->findings, &loop_rule, CHECK_ERROR, talk->label,
		  talk->is_us ? "that is an address of this host"
			      : "it greets with a name of this host: %s",
		  talk->said);
	check_mend(check->findings,
		   "# let the MX records, or `primary` in section [domain \"%s\"], "
		   "name the host that has the mailboxes; if it is another host "
		   "that only has our name, give it one of its own (Postfix: myhostname)",
		   talk->canaries[0].domain->domain->name);
}

/* Who gives a domain so many addresses can't have this host connect to all of them. */
static void left_out_judge(struct check *check, const struct check_domain *domain)
{
	if (domain->endpoint_count > TALK_ENDPOINTS_MAX)
		check_unseen(check->findings, &connect_rule, domain->name,
			     "of the %zu addresses of its hosts only the first %d are asked",
			     domain->endpoint_count, TALK_ENDPOINTS_MAX);
}

/* What the MX records lack is said by their own rules. */
static void homeless_judge(struct check *check, const struct check_domain *domain)
{
	if (domain->config->primary.count == 0) {
		check_unseen(check->findings, &connect_rule, domain->name,
			     "no address is known where its mail could be forwarded to");
		return;
	}
	check_add(check->findings, &connect_rule, CHECK_ERROR, domain->name,
		  "its `primary` of the configuration has no address in DNS");
	check_mend(check->findings,
		   "# in section [domain \"%s\"] name a host that has one, or an address:",
		   domain->name);
	check_mend(check->findings, "primary = \"[192.0.2.10]:25\"");
}

static void endpoints_judge(struct check *check, const struct talks *talks)
{
	for (size_t i = 0; i < talks->domain_count; i++) {
		if (talks->domains[i].domain->endpoint_count == 0)
			homeless_judge(check, talks->domains[i].domain);
		left_out_judge(check, talks->domains[i].domain);
	}
	for (size_t i = 0; i < talks->count; i++) {
		const struct talk *talk = &talks->items[i];

		if (!talk->is_us)
			connect_judge(check, talks, talk);
		if (talk->connected)
			greeting_judge(check, talks, talk);
		loop_judge(check, talk);
	}
}

static const struct check_rule *const rules[] = {
	&outbound_rule,
	&connect_rule,
	&ehlo_rule,
	&loop_rule,
	&reach_starttls,
	&reach_certificate,
	&reach_canary,
	&reach_catch_all,
	&reach_offer_size,
	&reach_offer_smtputf8,
	&reach_offer_8bitmime,
	&reach_trust,
	NULL,
};

static void run(struct check *check)
{
	struct talks *talks = talks_gather(check);

	outbound_judge(check, talks);
	endpoints_judge(check, talks);
	reach_tls_judge(check, talks);
	reach_recipients_judge(check, talks);
	reach_offers_judge(check, talks);
	reach_trust_judge(check, talks);
	talks_free(talks);
}

const struct check_group check_group_reach = { "The primaries", rules, run };
