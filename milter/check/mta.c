/* SPDX-License-Identifier: BSD-2-Clause */
/* Is this host's MTA set up for a backup? Finds out which it is; its own reader does the rest. */
#include "check/mta.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "check/addresses.h"
#include "check/groups.h"
#include "io/netif.h"

#define ANSWER_MARGIN 5 /* seconds: what the milter and the MTA need themselves on a bad day */

static const struct mta_kind *const kinds[] = { &mta_postfix, &mta_sendmail };

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const struct mta *mta_get(struct check *check)
{
	struct mta *mta = check->mta;

	if (mta != NULL)
		return mta;
	mta = check->mta = memory_alloc(sizeof(*mta));
	for (size_t i = 0; i < KINDS && mta->kind == NULL; i++)
		if (kinds[i]->is_here(check))
			mta->kind = kinds[i];
	if (mta->kind != NULL)
		mta->facts = mta->kind->read(check, mta->problem, sizeof(mta->problem));
	return mta;
}

void mta_free(struct mta *mta)
{
	if (mta == NULL)
		return;
	if (mta->facts != NULL)
		mta->kind->forget(mta->facts);
	free(mta);
}

/* ---- what is judged alike ---- */

static bool network_within(const struct ip_network *inner, const struct config_networks *outer)
{
	for (size_t i = 0; i < outer->count; i++)
		if (outer->items[i].prefix <= inner->prefix &&
		    ip_network_contains(&outer->items[i], &inner->ip))
			return true;
	return false;
}

static void add_network(struct text *text, const struct ip_network *network)
{
	char shown[IP_TEXT_MAX];

	text_add(text, ip_format(&network->ip, shown, sizeof(shown)));
	if (network->prefix != (network->ip.family == IP_V4 ? 32 : 128))
		text_add_format(text, "/%u", network->prefix);
}

/* An ini file wants quotes where there are colons. */
static void add_item(struct text *text, const struct ip_network *network)
{
	const char *quote = network->ip.family == IP_V6 ? "\"" : "";

	text_add_format(text, "%s%s", text->length > 0 ? ", " : "", quote);
	add_network(text, network);
	text_add(text, quote);
}

static bool is_loopback(const struct ip_network *network)
{
	static const struct ip v6 = { .family = IP_V6, .bytes = { [15] = 1 } };

	return network->ip.family == IP_V4 ? network->ip.bytes[0] == 127
					   : ip_equal(&network->ip, &v6);
}

/* The other way round: who is exempt and no friend of the MTA. */
static void judge_exempt_strangers(struct check *check, const struct mta_networks *networks)
{
	const struct config_networks *exempt = &check->config->milter.exempt_clients;
	const struct config_networks known = { .items = networks->items, .count = networks->count };
	char shown[IP_TEXT_MAX + 8];

	for (size_t i = 0; i < exempt->count; i++) {
		TEXT_ON(text, shown);

		if (is_loopback(&exempt->items[i]) || network_within(&exempt->items[i], &known))
			continue;
		add_network(&text, &exempt->items[i]);
		mta_add(check, MTA_RULE_EXEMPT_NETWORKS, CHECK_NOTE, shown,
			"exempt_clients has it, %s doesn't: what it sends to the domains is taken "
			"at any time, recipients unseen",
			networks->setting);
	}
}

/* exempt_clients as it is, and `missing`: the ini line that mends. */
static void mend_networks(struct check *check, const struct mta_networks *missing)
{
	const struct config_networks *exempt = &check->config->milter.exempt_clients;
	char line[CHECK_LINE_MAX];
	TEXT_ON(text, line);

	for (size_t i = 0; i < exempt->count; i++)
		add_item(&text, &exempt->items[i]);
	for (size_t i = 0; i < missing->count; i++)
		add_item(&text, &missing->items[i]);
	mta_mend(check, "# in %s, section [milter]:", check_config_path(check));
	mta_mend(check, "exempt_clients = {%s}", line);
	mta_mend(check, "backupmxctl reload");
}

void mta_judge_networks(struct check *check, const struct mta_networks *networks)
{
	struct mta_networks missing = *networks;
	char names[1024];
	TEXT_ON(text, names);

	missing.items = memory_array(networks->count + 1, sizeof(*missing.items));
	missing.count = 0;
	for (size_t i = 0; i < networks->count; i++) {
		/* who trusts the whole world has another problem, which this would make worse */
		if (networks->items[i].prefix == 0 ||
		    network_within(&networks->items[i], &check->config->milter.exempt_clients))
			continue;
		text_add(&text, missing.count > 0 ? " " : "");
		add_network(&text, &networks->items[i]);
		missing.items[missing.count++] = networks->items[i];
	}
	if (missing.count == 0) {
		mta_add(check, MTA_RULE_EXEMPT_NETWORKS, CHECK_OK, NULL,
			"all networks of %s are in exempt_clients", networks->setting);
	} else {
		mta_add(check, MTA_RULE_EXEMPT_NETWORKS, CHECK_WARNING, NULL,
			"%s has %s, exempt_clients doesn't", networks->setting, names);
		mend_networks(check, &missing);
	}
	free(missing.items);
	judge_exempt_strangers(check, networks);
}

static bool is_on_interface(const struct ip *ip)
{
	struct ip *addresses;
	size_t count;
	bool found = false;

	if (!netif_addresses(&addresses, &count))
		return true; /* nobody can tell: nothing to complain of */
	for (size_t i = 0; i < count; i++)
		found = found || ip_equal(&addresses[i], ip);
	free(addresses);
	return found;
}

struct foreign_search {
	struct mta_foreign_address *found;
	size_t count;
};

static void foreign_of_host(struct check *check, const char *host, struct foreign_search *search)
{
	struct ip addresses[MXSET_ADDRESSES_MAX];
	size_t count = check_host_addresses(check, host, addresses);

	for (size_t i = 0; i < count; i++) {
		bool known = is_on_interface(&addresses[i]);

		for (size_t j = 0; j < search->count; j++)
			known = known || ip_equal(&search->found[j].ip, &addresses[i]);
		if (known || search->count == MTA_FOREIGN_ADDRESSES_MAX)
			continue;
		search->found[search->count].ip = addresses[i];
		text_copy(search->found[search->count++].host, MAIL_DOMAIN_MAX + 1, host);
	}
}

size_t mta_foreign_addresses(struct check *check, struct mta_foreign_address *found)
{
	struct foreign_search search = { .found = found };

	foreign_of_host(check, check_host_name(check), &search);
	for (size_t i = 0; i < check->domain_count; i++) {
		const struct mxset *set = &check->domains[i].set;

		for (size_t j = 0; j < set->count; j++)
			if (set->hosts[j].role == MX_SELF)
				foreign_of_host(check, set->hosts[j].name, &search);
	}
	return search.count;
}

void mta_judge_my_addresses(struct check *check, const struct mta_foreign_address *address)
{
	const struct config *config = check->config;
	char shown[IP_TEXT_MAX];

	for (size_t i = 0; i < config->milter.my_address_count; i++)
		if (ip_equal(&config->milter.my_addresses[i], &address->ip))
			return;
	ip_format(&address->ip, shown, sizeof(shown));
	mta_add(check, MTA_RULE_PROXY_INTERFACES, CHECK_WARNING, shown,
		"%s has this address, no interface has it, and my_addresses doesn't name it",
		address->host);
	mta_mend(check, "# in %s, section [milter]:", check_config_path(check));
	check_mend_my_addresses(check, &address->ip);
	mta_mend(check, "backupmxctl reload");
}

void mta_mend_tls(struct check *check, const char *host)
{
	const struct mta *mta = mta_get(check);

	if (host != NULL)
		mta_mend(check, "# a certificate for %s of a public authority:", host);
	if (mta->facts != NULL)
		mta->kind->mend_tls(check, mta->facts, host);
	else
		mta_mend(check, "# let this host's MTA offer STARTTLS, and show it");
}

int64_t mta_answer_seconds(const struct check *check)
{
	return check->config->recipients.callout_wait + ANSWER_MARGIN;
}

/* ---- the group ---- */

static void run(struct check *check)
{
	const struct mta *mta = mta_get(check);

	if (mta->kind == NULL && check->options.mta_config != NULL)
		mta_unseen(check, MTA_RULE_MTA, NULL,
			   "%s is neither a folder of Postfix nor a file of Sendmail",
			   check->options.mta_config);
	else if (mta->kind == NULL)
		mta_unseen(check, MTA_RULE_MTA, NULL,
			   "no Postfix and no Sendmail was found on this host; --mta-config says "
			   "where its configuration is");
	else if (mta->facts == NULL)
		mta_unseen(check, MTA_RULE_MTA, NULL, "%s: %s", mta->kind->name, mta->problem);
	else
		mta->kind->judge(check, mta->facts);
}

static const struct check_rule *const rules[] = {
	&mta_rules[MTA_RULE_MTA],
	&mta_rules[MTA_RULE_CHROOT],
	&mta_rules[MTA_RULE_LISTENS],
	&mta_rules[MTA_RULE_RELAY_DOMAINS],
	&mta_rules[MTA_RULE_LOCAL_DOMAIN],
	&mta_rules[MTA_RULE_RELAY_RECIPIENTS],
	&mta_rules[MTA_RULE_NEXT_HOP],
	&mta_rules[MTA_RULE_RELAY_RESTRICTIONS],
	&mta_rules[MTA_RULE_VERIFY_LEFTOVER],
	&mta_rules[MTA_RULE_MILTER_LISTED],
	&mta_rules[MTA_RULE_MILTER_SUBMISSION],
	&mta_rules[MTA_RULE_MILTER_DEFAULT_ACTION],
	&mta_rules[MTA_RULE_MILTER_TIMEOUT],
	&mta_rules[MTA_RULE_EXEMPT_NETWORKS],
	&mta_rules[MTA_RULE_FAST_FLUSH],
	&mta_rules[MTA_RULE_ETRN],
	&mta_rules[MTA_RULE_QUEUE_LIFETIME],
	&mta_rules[MTA_RULE_SOFT_BOUNCE],
	&mta_rules[MTA_RULE_PROXY_INTERFACES],
	NULL,
};

const struct check_group check_group_mta = { "This host's MTA", rules, run };
