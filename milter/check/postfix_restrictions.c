/* SPDX-License-Identifier: BSD-2-Clause */
/* Postfix's restriction lists: who may send what to where, before the milter is asked. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "check/postfix.h"

#define STANDARD "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination"

enum outcome { PASSES, REFUSED };

/* What a list says of a stranger's recipient in a relayed domain, or in one that isn't. What we
 * can't judge (tables, block lists) is taken to say nothing. */
static enum outcome walk(const char *value, bool relayed)
{
	struct postfix_list list;
	enum outcome outcome = PASSES;

	postfix_list_split(value, &list);
	for (size_t i = 0; i < list.count; i++) {
		const char *item = list.items[i];
		bool unauth = strcasecmp(item, "reject_unauth_destination") == 0 ||
			      strcasecmp(item, "defer_unauth_destination") == 0;

		if (strcasecmp(item, "reject") == 0 || strcasecmp(item, "defer") == 0 ||
		    (unauth && !relayed)) {
			outcome = REFUSED;
			break;
		}
		if (strcasecmp(item, "permit") == 0 ||
		    (relayed && strcasecmp(item, "permit_auth_destination") == 0))
			break;
	}
	postfix_list_fini(&list);
	return outcome;
}

/* Postfix serves nobody when neither list has one of these. */
static bool has_safety(const char *value)
{
	static const char *const words[] = { "reject_unauth_destination",
					     "defer_unauth_destination", "reject", "defer" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (postfix_value_lists(value, words[i]))
			return true;
	return false;
}

static bool trusts_the_world(const char *networks)
{
	return postfix_value_lists(networks, "0.0.0.0/0") ||
	       postfix_value_lists(networks, "[::]/0") ||
	       postfix_value_lists(networks, "static:all");
}

struct lists {
	const char *relay;
	const char *recipient;
};

static void mend_standard(struct check *check, const struct postfix *postfix,
			  const struct postfix_service *mx)
{
	postfix_mend_set(check, postfix,
			 postfix_is_overridden(mx, "smtpd_relay_restrictions") ? mx : NULL,
			 "smtpd_relay_restrictions", STANDARD);
	postfix_mend_reload(check, postfix);
}

static void judge_refused(struct check *check, const struct postfix *postfix,
			  const struct postfix_service *mx, const struct lists *lists)
{
	bool by_recipient = walk(lists->recipient, true) == REFUSED;

	mta_add(check, MTA_RULE_RELAY_RESTRICTIONS, CHECK_ERROR, NULL,
		"%s = %s: strangers can't send to relay_domains",
		by_recipient ? "smtpd_recipient_restrictions" : "smtpd_relay_restrictions",
		by_recipient ? lists->recipient : lists->relay);
	if (by_recipient) {
		postfix_mend_without(check, postfix, mx, "smtpd_recipient_restrictions", "reject");
		postfix_mend_reload(check, postfix);
	}
	mend_standard(check, postfix, mx);
}

static void judge_relaying(struct check *check, const struct postfix *postfix,
			   const struct postfix_service *mx)
{
	const char *networks = postfix_value(postfix, mx, "mynetworks");
	struct lists lists = {
		.relay = postfix_value(postfix, mx, "smtpd_relay_restrictions"),
		.recipient = postfix_value(postfix, mx, "smtpd_recipient_restrictions"),
	};

	if (!has_safety(lists.relay) && !has_safety(lists.recipient)) {
		mta_add(check, MTA_RULE_RELAY_RESTRICTIONS, CHECK_ERROR, NULL,
			"neither smtpd_relay_restrictions nor smtpd_recipient_restrictions has "
			"reject_unauth_destination: Postfix takes no mail so");
		mend_standard(check, postfix, mx);
	} else if (walk(lists.relay, false) == PASSES && walk(lists.recipient, false) == PASSES) {
		mta_add(check, MTA_RULE_RELAY_RESTRICTIONS, CHECK_ERROR, NULL,
			"smtpd_relay_restrictions = %s: an open relay", lists.relay);
		mend_standard(check, postfix, mx);
	} else if (walk(lists.relay, true) == REFUSED || walk(lists.recipient, true) == REFUSED) {
		judge_refused(check, postfix, mx, &lists);
	} else if (trusts_the_world(networks)) {
		mta_add(check, MTA_RULE_RELAY_RESTRICTIONS, CHECK_ERROR, NULL,
			"mynetworks = %s: an open relay", networks);
		postfix_mend_set(check, postfix,
				 postfix_is_overridden(mx, "mynetworks") ? mx : NULL, "mynetworks",
				 "127.0.0.0/8, [::1]/128");
		postfix_mend_reload(check, postfix);
	} else {
		mta_add(check, MTA_RULE_RELAY_RESTRICTIONS, CHECK_OK, NULL,
			"smtpd_relay_restrictions = %s", lists.relay);
	}
}

/* The default of an old compatibility level is no mistake of anybody's; a word in the list is. */
static void judge_mx_backup(struct check *check, const struct postfix *postfix,
			    const struct postfix_service *mx)
{
	static const char *const names[] = { "smtpd_relay_restrictions",
					     "smtpd_recipient_restrictions" };

	for (size_t i = 0; i < 2; i++) {
		if (!postfix_value_lists(postfix_value(postfix, mx, names[i]), "permit_mx_backup"))
			continue;
		mta_add(check, MTA_RULE_RELAY_RESTRICTIONS, CHECK_WARNING, NULL,
			"%s has permit_mx_backup: strangers decide by their own MX records what is "
			"relayed here",
			names[i]);
		postfix_mend_without(check, postfix, mx, names[i], "permit_mx_backup");
		postfix_mend_reload(check, postfix);
	}
}

static void judge_verify(struct check *check, const struct postfix *postfix,
			 const struct postfix_service *mx)
{
	static const char *const names[] = {
		"smtpd_client_restrictions",	  "smtpd_helo_restrictions",
		"smtpd_sender_restrictions",	  "smtpd_relay_restrictions",
		"smtpd_recipient_restrictions",	  "smtpd_data_restrictions",
		"smtpd_end_of_data_restrictions",
	};
	bool found = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!postfix_value_lists(postfix_value(postfix, mx, names[i]),
					 "reject_unverified_recipient"))
			continue;
		mta_add(check, MTA_RULE_VERIFY_LEFTOVER, CHECK_ERROR, NULL,
			"%s has reject_unverified_recipient", names[i]);
		postfix_mend_without(check, postfix, mx, names[i], "reject_unverified_recipient");
		postfix_mend_reload(check, postfix);
		found = true;
	}
	if (!found)
		mta_add(check, MTA_RULE_VERIFY_LEFTOVER, CHECK_OK, NULL,
			"no reject_unverified_recipient in any restriction list");
}

void postfix_judge_restrictions(struct check *check, const struct postfix *postfix)
{
	const struct postfix_service *mx = postfix_service_next(postfix, POSTFIX_MX, NULL);

	judge_relaying(check, postfix, mx);
	judge_mx_backup(check, postfix, mx);
	judge_verify(check, postfix, mx);
}
