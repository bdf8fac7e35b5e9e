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
	size_t hosts;	   /* that were asked, different ones */
	size_t answered;   /* sessions */
	bool alike;	   /* of those that failed: all in the same way */
	const char *first; /* host that was asked */
	enum health_reason reason;
	const char *reached; /* one that answered */
};

/* The addresses of one host share its fate: they count once. */
static void outbound_count(struct outbound *outbound, const struct talk *talk)
{
	if (talk->address.port != SMTP_PORT || talk->is_us || talk->reason == HEALTH_NO_ROUTE)
		return;
	if (!is_blocked(talk)) {
		outbound->answered++;
		outbound->reached = talk->label;
		return;
	}
	if (outbound->hosts == 0 || talk->hosts[0][0] == '\0' ||
	    strcmp(outbound->first, talk->hosts[0]) != 0)
		outbound->hosts++;
	if (outbound->first == NULL) {
		outbound->first = talk->hosts[0];
		outbound->reason = talk->reason;
		outbound->alike = true;
	}
	outbound->alike = outbound->alike && outbound->reason == talk->reason;
}

static void outbound_judge(struct check *check, const struct talks *talks)
{
	struct outbound outbound = { .hosts = 0 };

	for (size_t i = 0; i < talks->count; i++)
		outbound_count(&outbound, &talks->items[i]);
	for (size_t i = 0; i < talks->reference_count; i++)
		outbound_count(&outbound, &talks->references[i]);
	if (outbound.answered > 0) {
		check_add(check->findings, &outbound_rule, CHECK_OK, NULL,
			  "a connection to %s stands", outbound.reached);
	} else if (outbound.hosts == 0) {
		check_unseen(check->findings, &outbound_rule, NULL,
			     "there is nobody to be asked at port 25");
	} else if (outbound.hosts == 1 || !outbound.alike) {
		check_unseen(check->findings, &outbound_rule, NULL,
			     "nobody answers at port 25, but too few were asked to tell a blocked "
			     "port from primaries that are down; with a reference in section "
			     "[probe] it could be told");
	} else {
		check_add(check->findings, &outbound_rule, CHECK_ERROR, NULL,
			  "no host answers at port 25, none of %zu, and all in the same way: %s",
			  outbound.hosts, health_reason_name(outbound.reason));
		check_mend(check->findings,
			   "# ask the provider of this host to open TCP port 25 outwards; many do "
			   "so only on request. This tells when it is open:");
		check_mend(check->findings, "backupmxctl check");
	}
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

			spared = other != talk && other->reason == HEALTH_OK;
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
	for (size_t i = 0; i < talks->domain_count; i++)
		if (talks->domains[i].domain->endpoint_count == 0)
			homeless_judge(check, talks->domains[i].domain);
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
