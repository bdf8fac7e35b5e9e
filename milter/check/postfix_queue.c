/* SPDX-License-Identifier: BSD-2-Clause */
/* Postfix's queue: sent at once when a primary is back, and kept for as long as that takes. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "check/postfix.h"

#define DAY	       86400
#define LIFETIME_LEAST (5 * DAY)
#define BACKOFF_MOST   (4 * 3600)

/* ---- flushing ---- */

static void judge_fast_flush(struct check *check, const struct postfix *postfix, const char *domain)
{
	struct postfix_matched matched;

	switch (postfix_domain_match(postfix, "fast_flush_domains", domain, &matched)) {
	case POSTFIX_YES:
		mta_add(check, MTA_RULE_FAST_FLUSH, CHECK_OK, domain, "fast_flush_domains has %s",
			matched.by);
		break;
	case POSTFIX_UNKNOWN:
		mta_unseen(check, MTA_RULE_FAST_FLUSH, domain, "%s can't be read", matched.by);
		break;
	default:
		mta_add(check, MTA_RULE_FAST_FLUSH, CHECK_WARNING, domain,
			"fast_flush_domains doesn't have it: ETRN is answered by 459");
		postfix_mend_set(check, postfix, NULL, "fast_flush_domains", "$relay_domains");
		postfix_mend_reload(check, postfix);
	}
}

static void judge_fast_flushes(struct check *check, const struct postfix *postfix)
{
	const char *relayed = postfix_value(postfix, NULL, "relay_domains");
	const char *flushed = postfix_value(postfix, NULL, "fast_flush_domains");
	struct postfix_matched matched;

	if (postfix_service_find(postfix, "flush", "unix") == NULL) {
		mta_add(check, MTA_RULE_FAST_FLUSH, CHECK_WARNING, NULL,
			"master.cf has no flush service: ETRN is answered by 458");
		mta_mend(check, "postconf%s -M 'flush/unix=flush unix n - y 1000? 0 flush'",
			 postfix->option);
		postfix_mend_reload(check, postfix);
	}
	if (strcmp(relayed, flushed) == 0) {
		mta_add(check, MTA_RULE_FAST_FLUSH, CHECK_OK, NULL,
			"fast_flush_domains has what relay_domains has");
		return;
	}
	for (size_t i = 0; i < check->domain_count; i++)
		if (postfix_domain_match(postfix, "relay_domains", check->domains[i].name,
					 &matched) != POSTFIX_NO)
			judge_fast_flush(check, postfix, check->domains[i].name);
}

enum outcome { UNDECIDED, ALLOWED, REFUSED };

/* What an access table says: "OK", "REJECT ...", "550 ...". */
static enum outcome access_outcome(const char *action)
{
	if (strncasecmp(action, "ok", 2) == 0 || strncasecmp(action, "permit", 6) == 0)
		return ALLOWED;
	if (strncasecmp(action, "reject", 6) == 0 || strncasecmp(action, "defer", 5) == 0 ||
	    action[0] == '4' || action[0] == '5')
		return REFUSED;
	return UNDECIDED;
}

/* One item of smtpd_etrn_restrictions, for a client that is this host. */
static enum outcome etrn_item(const struct check *check, const struct postfix *postfix,
			      const struct postfix_list *list, size_t i)
{
	const char *item = list->items[i];
	char action[512];

	if (strcasecmp(item, "permit") == 0 || strcasecmp(item, "permit_mynetworks") == 0 ||
	    strcasecmp(item, "permit_inet_interfaces") == 0)
		return ALLOWED;
	if (strcasecmp(item, "reject") == 0 || strcasecmp(item, "defer") == 0)
		return REFUSED;
	if (strcasecmp(item, "check_etrn_access") != 0 || i + 1 == list->count ||
	    check->domain_count == 0 ||
	    postfix_tables_lookup(postfix, list->items[i + 1], check->domains[0].name, action,
				  sizeof(action)) != POSTFIX_YES)
		return UNDECIDED;
	return access_outcome(action);
}

static bool etrn_allowed(const struct check *check, const struct postfix *postfix,
			 const char *value)
{
	enum outcome outcome = UNDECIDED;
	struct postfix_list list;

	postfix_list_split(value, &list);
	for (size_t i = 0; i < list.count && outcome == UNDECIDED; i++)
		outcome = etrn_item(check, postfix, &list, i);
	postfix_list_fini(&list);
	return outcome != REFUSED;
}

/* An address to listen at, for [flush] mta. */
static void mend_mta(struct check *check, const struct postfix *postfix)
{
	struct postfix_list list;
	struct ip ip;
	bool found = false;
	char shown[IP_TEXT_MAX];

	mta_mend(check, "# in %s, section [flush]:", check_config_path(check));
	postfix_list_split(postfix_value(postfix, NULL, "inet_interfaces"), &list);
	for (size_t i = 0; i < list.count && !found; i++) {
		found = postfix_address_parse(list.items[i], &ip);
		if (found)
			mta_mend(check, ip.family == IP_V6 ? "mta = \"[%s]:25\"" : "mta = %s:25",
				 ip_format(&ip, shown, sizeof(shown)));
	}
	postfix_list_fini(&list);
	mta_mend(check, "backupmxctl reload");
}

static void judge_etrn(struct check *check, const struct postfix *postfix)
{
	const struct postfix_service *mx = postfix_service_next(postfix, POSTFIX_MX, NULL);
	const char *value = postfix_value(postfix, mx, "smtpd_etrn_restrictions");
	const struct ip *mta = &check->config->flush.mta.ip;
	char shown[IP_TEXT_MAX];

	if (mta->family != IP_NONE && !postfix_listens_at(postfix, mta)) {
		mta_add(check, MTA_RULE_ETRN, CHECK_WARNING, NULL,
			"[flush] mta = %s, where Postfix doesn't listen: inet_interfaces = %s",
			ip_format(mta, shown, sizeof(shown)),
			postfix_value(postfix, NULL, "inet_interfaces"));
		mend_mta(check, postfix);
	} else if (!etrn_allowed(check, postfix, value)) {
		mta_add(check, MTA_RULE_ETRN, CHECK_WARNING, NULL,
			"smtpd_etrn_restrictions = %s: refuses this host itself", value);
		postfix_mend_with(check, postfix, mx, "smtpd_etrn_restrictions",
				  "permit_mynetworks");
		postfix_mend_reload(check, postfix);
	} else {
		mta_add(check, MTA_RULE_ETRN, CHECK_OK, NULL, "smtpd_etrn_restrictions %s%s",
			value[0] != '\0' ? "= " : "is empty: everybody may ask", value);
	}
}

void postfix_judge_flush(struct check *check, const struct postfix *postfix)
{
	enum config_flush method = check->config->flush.method;

	if (method == CONFIG_FLUSH_NONE) {
		mta_add(check, MTA_RULE_FAST_FLUSH, CHECK_NOTE, NULL,
			"[flush] method = none: nothing is sent before the MTA's next try");
		mta_add(check, MTA_RULE_ETRN, CHECK_OK, NULL, "[flush] method = none");
		return;
	}
	judge_fast_flushes(check, postfix);
	if (method == CONFIG_FLUSH_ETRN)
		judge_etrn(check, postfix);
	else
		mta_add(check, MTA_RULE_ETRN, CHECK_OK, NULL,
			"[flush] method = command: ETRN isn't used");
}

/* ---- how long, how often ---- */

static void judge_lifetime(struct check *check, const struct postfix *postfix)
{
	const char *value = postfix_value(postfix, NULL, "maximal_queue_lifetime");

	if (postfix_seconds(value, 'd') >= LIFETIME_LEAST) {
		mta_add(check, MTA_RULE_QUEUE_LIFETIME, CHECK_OK, NULL,
			"maximal_queue_lifetime = %s", value);
		return;
	}
	mta_add(check, MTA_RULE_QUEUE_LIFETIME, CHECK_WARNING, NULL, "maximal_queue_lifetime = %s",
		value);
	postfix_mend_set(check, postfix, NULL, "maximal_queue_lifetime", "5d");
	postfix_mend_reload(check, postfix);
}

static void judge_backoff(struct check *check, const struct postfix *postfix)
{
	const char *value = postfix_value(postfix, NULL, "maximal_backoff_time");

	if (postfix_seconds(value, 's') <= BACKOFF_MOST)
		return;
	mta_add(check, MTA_RULE_QUEUE_LIFETIME, CHECK_WARNING, NULL,
		"maximal_backoff_time = %s: so long may mail wait that a flush has missed", value);
	postfix_mend_set(check, postfix, NULL, "maximal_backoff_time", "4000s");
	postfix_mend_reload(check, postfix);
}

static void judge_soft_bounce(struct check *check, const struct postfix *postfix)
{
	const char *transport = postfix_value(postfix, NULL, "relay_transport");
	char name[256];
	const struct postfix_service *relay;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(transport, ":"), transport);
	relay = postfix_service_find(postfix, name, "unix");
	if (postfix_value_is_yes(postfix, NULL, "soft_bounce")) {
		mta_add(check, MTA_RULE_SOFT_BOUNCE, CHECK_WARNING, NULL,
			"soft_bounce = yes for all of Postfix: unknown recipients and strangers' "
			"relaying are refused for a while only, and come again");
		postfix_mend_set(check, postfix, NULL, "soft_bounce", "no");
		postfix_mend_reload(check, postfix);
	} else if (relay == NULL) {
		mta_unseen(check, MTA_RULE_SOFT_BOUNCE, NULL,
			   "relay_transport = %s, which master.cf doesn't have", transport);
	} else if (postfix_value_is_yes(postfix, relay, "soft_bounce")) {
		mta_add(check, MTA_RULE_SOFT_BOUNCE, CHECK_OK, NULL,
			"soft_bounce = no, and yes for the transport %s", name);
	} else {
		mta_add(check, MTA_RULE_SOFT_BOUNCE, CHECK_NOTE, NULL,
			"the transport %s doesn't have soft_bounce=yes: a half-alive primary can "
			"refuse what waits for it",
			name);
		postfix_mend_set(check, postfix, relay, "soft_bounce", "yes");
		postfix_mend_reload(check, postfix);
	}
}

void postfix_judge_queue(struct check *check, const struct postfix *postfix)
{
	judge_lifetime(check, postfix);
	judge_backoff(check, postfix);
	judge_soft_bounce(check, postfix);
}
