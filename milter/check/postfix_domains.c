/* SPDX-License-Identifier: BSD-2-Clause */
/* What Postfix does with mail to the domains: relayed, and to where? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/text.h"
#include "check/postfix.h"

/* ---- relayed? ---- */

/* Each domain of the check, in its order. */
struct relayed {
	enum postfix_match match;
	struct postfix_matched by;
};

/* relay_domains with all that are missing: one line that can be pasted for each of them. They come
 * first, or a "!" that is there would hold against them. */
static void mend_relay_domains(struct check *check, const struct postfix *postfix,
			       const struct relayed *relayed)
{
	const char *there = postfix_value(postfix, NULL, "relay_domains")[0] != '\0'
				    ? postfix_written(postfix, NULL, "relay_domains")
				    : "";
	char value[CHECK_LINE_MAX];
	TEXT_ON(text, value);

	for (size_t i = 0; i < check->domain_count; i++)
		if (relayed[i].match == POSTFIX_NO)
			text_add_format(&text, "%s%s", text.length > 0 ? ", " : "",
					check->domains[i].name);
	if (there[0] != '\0')
		text_add_format(&text, ", %s", there);
	if (text.cut) {
		mta_mend(check,
			 "# so many are missing that they want a table: see relay_domains in "
			 "postconf(5)");
		return;
	}
	postfix_mend_set(check, postfix, NULL, "relay_domains", value);
	postfix_mend_reload(check, postfix);
}

static bool relies_on_mx(const struct postfix *postfix)
{
	const struct postfix_service *mx = postfix_service_next(postfix, POSTFIX_MX, NULL);

	return postfix_value_lists(postfix_value(postfix, mx, "smtpd_relay_restrictions"),
				   "permit_mx_backup") ||
	       postfix_value_lists(postfix_value(postfix, mx, "smtpd_recipient_restrictions"),
				   "permit_mx_backup");
}

static void judge_relayed(struct check *check, const struct postfix *postfix,
			  const struct relayed *relayed, size_t i)
{
	const char *domain = check->domains[i].name;

	if (relayed[i].match == POSTFIX_YES) {
		mta_add(check, MTA_RULE_RELAY_DOMAINS, CHECK_OK, domain, "relay_domains has %s",
			relayed[i].by.by);
		return;
	}
	if (relayed[i].match == POSTFIX_UNKNOWN) {
		mta_unseen(check, MTA_RULE_RELAY_DOMAINS, domain, "%s can't be read",
			   relayed[i].by.by);
		return;
	}
	if (relies_on_mx(postfix))
		mta_add(check, MTA_RULE_RELAY_DOMAINS, CHECK_WARNING, domain,
			"relay_domains doesn't have it; it is relayed by permit_mx_backup, which "
			"is on its way out of Postfix");
	else
		mta_add(check, MTA_RULE_RELAY_DOMAINS, CHECK_ERROR, domain,
			"relay_domains doesn't have it");
	mend_relay_domains(check, postfix, relayed);
}

/* ---- local? ---- */

/* The word of main.cf that is the item of the expanded list; NULL when that can't be told. */
static const char *written_item(const struct postfix_list *written, const char *value, size_t index)
{
	struct postfix_list expanded;
	size_t count;

	postfix_list_split(value, &expanded);
	count = expanded.count;
	postfix_list_fini(&expanded);
	return count == written->count ? written->items[index] : NULL;
}

static void mend_local(struct check *check, const struct postfix *postfix, const char *setting,
		       const struct postfix_matched *matched)
{
	struct postfix_list written;
	const char *item;

	if (strchr(matched->by, ':') != NULL || matched->by[0] == '/') {
		mta_mend(check,
			 "# take the domain out of %s (then postmap, where it is a table), "
			 "or out of %s what names it",
			 matched->by, setting);
		return;
	}
	postfix_list_split(postfix_written(postfix, NULL, setting), &written);
	item = written_item(&written, postfix_value(postfix, NULL, setting), matched->index);
	if (item != NULL) {
		if (strcmp(item, "$myhostname") == 0)
			mta_mend(check,
				 "# myhostname is the domain's name: give this host a name "
				 "of its own, as %s",
				 check_host_name(check));
		postfix_mend_without(check, postfix, NULL, setting, item);
		postfix_mend_reload(check, postfix);
	} else {
		mta_mend(check, "# take it out of %s", setting);
	}
	postfix_list_fini(&written);
}

static void judge_local(struct check *check, const struct postfix *postfix, const char *domain)
{
	static const char *const settings[] = { "mydestination", "virtual_alias_domains",
						"virtual_mailbox_domains" };
	struct postfix_matched matched;
	bool fine = true;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		switch (postfix_domain_match(postfix, settings[i], domain, &matched)) {
		case POSTFIX_YES:
			mta_add(check, MTA_RULE_LOCAL_DOMAIN, CHECK_ERROR, domain,
				"%s has it, by %s", settings[i], matched.by);
			mend_local(check, postfix, settings[i], &matched);
			fine = false;
			break;
		case POSTFIX_UNKNOWN:
			mta_unseen(check, MTA_RULE_LOCAL_DOMAIN, domain, "%s: %s can't be read",
				   settings[i], matched.by);
			fine = false;
			break;
		default:
			break;
		}
	}
	if (fine)
		mta_add(check, MTA_RULE_LOCAL_DOMAIN, CHECK_OK, domain,
			"neither mydestination nor a virtual_* list has it");
}

/* ---- recipients ---- */

struct recipients_search {
	const char *domain;
	bool found;
};

static void recipient_seen(void *arg, const char *name)
{
	struct recipients_search *search = arg;
	const char *at = strrchr(name, '@');

	if (at != NULL && strcasecmp(at + 1, search->domain) == 0)
		search->found = true;
}

static bool refuses_unlisted(const struct postfix *postfix, const struct postfix_service *mx)
{
	return postfix_value_is_yes(postfix, mx, "smtpd_reject_unlisted_recipient") ||
	       postfix_value_lists(postfix_value(postfix, mx, "smtpd_recipient_restrictions"),
				   "reject_unlisted_recipient");
}

static void judge_recipients(struct check *check, const struct postfix *postfix, const char *domain)
{
	const struct postfix_service *mx = postfix_service_next(postfix, POSTFIX_MX, NULL);
	const char *tables = postfix_value(postfix, mx, "relay_recipient_maps");
	struct recipients_search search = { .domain = domain };
	char key[MAIL_DOMAIN_MAX + 2], value[512];
	TEXT_ON(text, key);

	if (tables[0] == '\0' || !refuses_unlisted(postfix, mx)) {
		mta_add(check, MTA_RULE_RELAY_RECIPIENTS, CHECK_OK, domain,
			"relay_recipient_maps refuses nobody");
		return;
	}
	text_add_format(&text, "@%s", domain);
	if (postfix_tables_lookup(postfix, tables, key, value, sizeof(value)) == POSTFIX_YES) {
		mta_add(check, MTA_RULE_RELAY_RECIPIENTS, CHECK_OK, domain,
			"relay_recipient_maps has %s: everybody", key);
		return;
	}
	postfix_names_each(postfix, tables, recipient_seen, &search);
	if (search.found)
		mta_add(check, MTA_RULE_RELAY_RECIPIENTS, CHECK_WARNING, domain,
			"who isn't in relay_recipient_maps (%s) is refused without asking the "
			"milter",
			tables);
	else
		mta_add(check, MTA_RULE_RELAY_RECIPIENTS, CHECK_ERROR, domain,
			"relay_recipient_maps (%s) has nobody of it, as far as it can be listed: "
			"all are refused without asking the milter",
			tables);
	mta_mend(check, "# the milter knows recipients by asking the primary; a list that you keep "
			"goes into its memory by: backupmxctl recipients import FILE");
	postfix_mend_set(check, postfix,
			 postfix_is_overridden(mx, "relay_recipient_maps") ? mx : NULL,
			 "relay_recipient_maps", "");
	postfix_mend_reload(check, postfix);
}

/* ---- the next hop ---- */

/* "smtp:[mx.example.net]:25", "error:5.1.1 no": what stands before the colon. */
static bool transport_is(const char *transport, const char *const *names)
{
	size_t length = strcspn(transport, ":");

	for (; *names != NULL; names++)
		if (strlen(*names) == length && strncmp(transport, *names, length) == 0)
			return true;
	return false;
}

/* Before what is there: of two domains the second then doesn't take back the first for long. */
static void mend_transport(struct check *check, const struct postfix *postfix, const char *domain,
			   const char *hop)
{
	char item[CHECK_LINE_MAX];
	TEXT_ON(text, item);

	text_add_format(&text, "%s{ { %s = relay:%s } }", "inline:", domain, hop);
	postfix_mend_with(check, postfix, NULL, "transport_maps", item);
	postfix_mend_reload(check, postfix);
}

static void judge_transport(struct check *check, const struct check_domain *domain,
			    const char *transport)
{
	static const char *const wrong[] = {
		"error", "discard", "local", "virtual", "retry", NULL
	};
	const char *hop = strchr(transport, ':');

	if (transport_is(transport, wrong)) {
		mta_add(check, MTA_RULE_NEXT_HOP, CHECK_ERROR, domain->name,
			"transport_maps says %s", transport);
		mta_mend(check, "# take it out of transport_maps: its mail has to go to its "
				"primary");
	} else if (hop == NULL || hop[1] == '\0') {
		mta_add(check, MTA_RULE_NEXT_HOP, CHECK_OK, domain->name,
			"transport_maps says %s, which is by its MX records", transport);
	} else if (domain->config->primary.count > 0) {
		mta_add(check, MTA_RULE_NEXT_HOP, CHECK_OK, domain->name,
			"transport_maps says %s, and `primary` is configured", transport);
	} else {
		mta_add(check, MTA_RULE_NEXT_HOP, CHECK_NOTE, domain->name,
			"transport_maps says %s, the milter watches its MX hosts", transport);
		mta_mend(check, "# when that is another host than the better MX, name it: in %s",
			 check_config_path(check));
		mta_mend(check, "[domain \"%s\"]", domain->name);
		mta_mend(check, "primary = {\"%s\"}", hop + 1);
	}
}

static bool has_address(const struct mxset *set, const struct ip *ip)
{
	for (size_t i = 0; i < set->count; i++)
		for (size_t j = 0; j < set->hosts[i].address_count; j++)
			if (ip_equal(&set->hosts[i].addresses[j], ip))
				return true;
	return false;
}

/* The configured primary that the MX records don't have; NULL when they have all. */
static const struct check_endpoint *primary_elsewhere(const struct check_domain *domain)
{
	if (domain->config->primary.count == 0)
		return NULL;
	for (size_t i = 0; i < domain->endpoint_count; i++)
		if (domain->endpoints[i].address.port != 25 ||
		    !has_address(&domain->set, &domain->endpoints[i].address.ip))
			return &domain->endpoints[i];
	return NULL;
}

/* No transport_maps for it: relayhost, else the MX records. */
static void judge_default_hop(struct check *check, const struct postfix *postfix,
			      const struct check_domain *domain)
{
	const char *relayhost = postfix_value(postfix, NULL, "relayhost");
	const struct check_endpoint *elsewhere = primary_elsewhere(domain);
	char shown[IP_TEXT_MAX], hop[IP_TEXT_MAX + 8];

	if (elsewhere != NULL) {
		snprintf(hop, sizeof(hop), "[%s]:%u",
			 ip_format(&elsewhere->address.ip, shown, sizeof(shown)),
			 elsewhere->address.port);
		mta_add(check, MTA_RULE_NEXT_HOP, CHECK_WARNING, domain->name,
			"the milter watches `primary` at %s, Postfix delivers by %s", hop,
			relayhost[0] != '\0' ? "relayhost" : "the MX records");
		mend_transport(check, postfix, domain->name, hop);
	} else if (relayhost[0] != '\0') {
		mta_add(check, MTA_RULE_NEXT_HOP, CHECK_WARNING, domain->name,
			"relayhost = %s gets its mail, too, instead of its primary", relayhost);
		mend_transport(check, postfix, domain->name, "");
	} else {
		mta_add(check, MTA_RULE_NEXT_HOP, CHECK_OK, domain->name,
			"by its MX records: no transport_maps, no relayhost");
	}
}

/* As transport(5): the name, its parents with a dot before them, then "*". */
static enum postfix_match transport_lookup(const struct postfix *postfix, const char *domain,
					   char *value, size_t size)
{
	const char *maps = postfix_value(postfix, NULL, "transport_maps");
	const char *key = domain;
	enum postfix_match match = postfix_tables_lookup(postfix, maps, key, value, size);

	while (match == POSTFIX_NO && (key = strchr(key + 1, '.')) != NULL)
		match = postfix_tables_lookup(postfix, maps, key, value, size);
	if (match == POSTFIX_NO)
		match = postfix_tables_lookup(postfix, maps, "*", value, size);
	return match;
}

static void judge_next_hop(struct check *check, const struct postfix *postfix,
			   const struct check_domain *domain)
{
	const char *relay = postfix_value(postfix, NULL, "relay_transport");
	const char *hop = strchr(relay, ':');
	char value[512];

	switch (transport_lookup(postfix, domain->name, value, sizeof(value))) {
	case POSTFIX_YES:
		judge_transport(check, domain, value);
		return;
	case POSTFIX_UNKNOWN:
		mta_unseen(check, MTA_RULE_NEXT_HOP, domain->name, "%s", value);
		return;
	default:
		break;
	}
	if (hop != NULL && hop[1] != '\0')
		mta_add(check, MTA_RULE_NEXT_HOP, CHECK_NOTE, domain->name,
			"relay_transport = %s, the milter watches %s", relay,
			domain->config->primary.count > 0 ? "`primary`" : "its MX hosts");
	else
		judge_default_hop(check, postfix, domain);
}

static void judge_none(struct check *check, const struct postfix *postfix)
{
	const char *value = postfix_value(postfix, NULL, "relay_domains");

	mta_add(check, MTA_RULE_RELAY_DOMAINS, CHECK_ERROR, NULL,
		"relay_domains %s%s: this host is nobody's backup yet",
		value[0] != '\0' ? "= " : "is empty", value);
	mta_mend(check, "# name the domain that it is to be a backup for:");
	mta_mend(check, "# backupmxctl check DOMAIN");
}

void postfix_judge_domains(struct check *check, const struct postfix *postfix)
{
	struct relayed *relayed = memory_array(check->domain_count + 1, sizeof(*relayed));

	if (check->domain_count == 0)
		judge_none(check, postfix);
	for (size_t i = 0; i < check->domain_count; i++)
		relayed[i].match = postfix_domain_match(postfix, "relay_domains",
							check->domains[i].name, &relayed[i].by);
	for (size_t i = 0; i < check->domain_count; i++) {
		judge_local(check, postfix, check->domains[i].name);
		judge_relayed(check, postfix, relayed, i);
		if (relayed[i].match == POSTFIX_NO)
			continue;
		judge_recipients(check, postfix, check->domains[i].name);
		judge_next_hop(check, postfix, &check->domains[i]);
	}
	free(relayed);
}
