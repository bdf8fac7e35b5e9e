/* SPDX-License-Identifier: BSD-2-Clause */
/* What would Sendmail do with mail from strangers to the domains, and to others? Its own rulesets
 * are asked, so that every way to write that down counts: relay-domains, the access map, MX
 * records, the mailertable. */
#include "check/sendmail.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/text.h"

#define BATCH	  50 /* domains asked for in one run: their traces fit the output that is kept */
#define QUESTIONS 2  /* for each */

#define LOCAL_PART "backupmx-check" /* nobody's; a refusal of one mailbox isn't the domain's */

static bool is_error(const struct sendmail_result *result)
{
	return strcmp(result->mailer, "error") == 0 || strcmp(result->mailer, "discard") == 0;
}

/* What Sendmail may not read when we run it, it can't know: bad news of it isn't to be believed
 * then. Says so; false when the news may be believed. */
static bool doubt(struct check *check, const struct sendmail *sendmail,
		  const struct sendmail_result *result, enum mta_rule rule, const char *subject)
{
	if (result->trouble[0] != '\0')
		mta_unseen(check, rule, subject, "Sendmail can't read all it needs: %s",
			   result->trouble);
	else if (result->host[0] == '4') /* of "$@ 4.3.0" */
		mta_unseen(check, rule, subject, "ruleset check_rcpt couldn't tell: %s",
			   result->text);
	else if (sendmail->complaint[0] != '\0' && geteuid() != 0)
		mta_unseen(check, rule, subject, "Sendmail can't read all it needs: %s",
			   sendmail->complaint);
	else
		return false;
	return true;
}

/* A line for the file of a class, or for the mc file where there is none. */
static void mend_class(struct check *check, const char *file, const char *macro, const char *name)
{
	if (file[0] != '\0') {
		mta_mend(check, "echo '%s' >>%s", name, file);
		sendmail_mend_restart(check);
	} else {
		sendmail_mend_mc(check, "%s(`%s')dnl", macro, name);
	}
}

static void judge_relayed(struct check *check, const struct sendmail *sendmail, const char *domain,
			  const struct sendmail_result *result)
{
	if (!is_error(result) && result->words[0] != '\0') {
		mta_add(check, MTA_RULE_RELAY_DOMAINS, CHECK_OK, domain,
			"ruleset check_rcpt takes mail of strangers to it");
		return;
	}
	if (doubt(check, sendmail, result, MTA_RULE_RELAY_DOMAINS, domain))
		return;
	mta_add(check, MTA_RULE_RELAY_DOMAINS, CHECK_ERROR, domain,
		"ruleset check_rcpt refuses mail of strangers to it: %s",
		result->text[0] != '\0' ? result->text : result->words);
	mend_class(check, sendmail->relay_file, "RELAY_DOMAIN", domain);
}

static bool is_delivered_here(const struct sendmail_result *route)
{
	static const char *const mailers[] = { "local",	  "prog",  "*file*",  "error",
					       "discard", "cyrus", "cyrusv2", "procmail" };

	for (size_t i = 0; i < sizeof(mailers) / sizeof(mailers[0]); i++)
		if (strcasecmp(route->mailer, mailers[i]) == 0)
			return true;
	return route->host[0] == '\0';
}

static void judge_local(struct check *check, const struct sendmail *sendmail, const char *domain,
			const struct sendmail_result *route)
{
	bool is_ours = sendmail_names_have(&sendmail->local, domain);

	if (!is_ours && !is_delivered_here(route)) {
		mta_add(check, MTA_RULE_LOCAL_DOMAIN, CHECK_OK, domain,
			"it isn't in class w, and goes to mailer %s", route->mailer);
		return;
	}
	if (is_ours) {
		mta_add(check, MTA_RULE_LOCAL_DOMAIN, CHECK_ERROR, domain,
			"it is in class w, the names of this host itself");
		mta_mend(check, "# take %s out of %s, or of LOCAL_DOMAIN() in sendmail.mc", domain,
			 sendmail->local_file[0] != '\0' ? sendmail->local_file : "class w");
	} else {
		mta_add(check, MTA_RULE_LOCAL_DOMAIN, CHECK_ERROR, domain,
			"ruleset 3,0 gives it to mailer %s: %s",
			route->mailer[0] != '\0' ? route->mailer : "(none)",
			route->text[0] != '\0' ? route->text : route->words);
		mta_mend(check,
			 "# take %s out of VIRTUSER_DOMAIN(), the virtusertable or the "
			 "mailertable, whichever has it",
			 domain);
	}
	sendmail_mend_restart(check);
}

/* Is it one of the hosts that the milter watches? In brackets as the mailertable has them. */
static bool is_endpoint(const struct check_domain *domain, const char *host)
{
	char bare[256];
	struct ip ip;

	text_copy(bare, sizeof(bare), host + (host[0] == '['));
	bare[strcspn(bare, "]")] = '\0';
	for (size_t i = 0; i < domain->endpoint_count; i++) {
		if (strcasecmp(domain->endpoints[i].host, bare) == 0)
			return true;
		if (ip_parse_literal(bare, &ip) && ip_equal(&domain->endpoints[i].address.ip, &ip))
			return true;
	}
	return false;
}

static void judge_next_hop(struct check *check, const struct check_domain *domain,
			   const struct sendmail_result *route)
{
	const struct config_endpoints *primary = &domain->config->primary;

	if (is_delivered_here(route)) {
		mta_unseen(check, MTA_RULE_NEXT_HOP, domain->name, "it isn't sent anywhere");
	} else if (strcasecmp(route->host, domain->name) != 0) {
		bool is_known = is_endpoint(domain, route->host);

		mta_add(check, MTA_RULE_NEXT_HOP, is_known ? CHECK_OK : CHECK_WARNING, domain->name,
			"Sendmail sends it to %s, %s", route->host,
			is_known ? "a primary" : "which is none of the primaries that are watched");
		if (!is_known)
			mta_mend(check,
				 "# take %s out of the mailertable, or name %s in `primary` "
				 "of its section in the ini file",
				 domain->name, route->host);
	} else if (primary->count > 0) {
		char shown[IP_TEXT_MAX];
		const struct config_endpoint *first = &primary->items[0];

		mta_add(check, MTA_RULE_NEXT_HOP, CHECK_WARNING, domain->name,
			"Sendmail goes by its MX records, the milter by `primary`");
		sendmail_mend_mc(check, "FEATURE(`mailertable')dnl");
		mta_mend(check, "echo '%s esmtp:[%s]' >>/etc/mail/mailertable", domain->name,
			 first->host[0] != '\0' ? first->host
						: ip_format(&first->ip, shown, sizeof(shown)));
		mta_mend(check, "makemap hash /etc/mail/mailertable </etc/mail/mailertable");
	} else {
		mta_add(check, MTA_RULE_NEXT_HOP, CHECK_OK, domain->name,
			"Sendmail goes by its MX records, as the milter does");
	}
}

static void judge_batch(struct check *check, const struct sendmail *sendmail, size_t first,
			size_t end)
{
	struct sendmail_dialog dialog = { .sendmail = sendmail };
	bool done;

	for (size_t i = first; i < end; i++) {
		const char *name = check->domains[i].name;

		sendmail_dialog_add(&dialog, "check_rcpt " LOCAL_PART "@%s", name);
		sendmail_dialog_add(&dialog, "3,0 " LOCAL_PART "@%s", name);
	}
	done = sendmail_dialog_run(&dialog, false);
	for (size_t i = first; i < end; i++) {
		const struct check_domain *domain = &check->domains[i];
		const char **answers = &dialog.answers[(i - first) * QUESTIONS];
		struct sendmail_result taken, route;

		if (!done) {
			mta_unseen(check, MTA_RULE_RELAY_DOMAINS, domain->name, "%s",
				   dialog.problem);
			continue;
		}
		sendmail_result_read(answers[0], &taken);
		sendmail_result_read(answers[1], &route);
		judge_relayed(check, sendmail, domain->name, &taken);
		judge_local(check, sendmail, domain->name, &route);
		judge_next_hop(check, domain, &route);
	}
	sendmail_dialog_fini(&dialog);
}

/* ---- others' domains ---- */

static void judge_open_relay(struct check *check, const struct sendmail *sendmail)
{
	struct sendmail_dialog dialog = { .sendmail = sendmail };
	struct sendmail_result taken;

	sendmail_dialog_add(&dialog, "check_rcpt " LOCAL_PART "@open-relay.invalid");
	if (!sendmail_dialog_run(&dialog, false)) {
		mta_unseen(check, MTA_RULE_RELAY_RESTRICTIONS, NULL, "%s", dialog.problem);
		sendmail_dialog_fini(&dialog);
		return;
	}
	sendmail_result_read(dialog.answers[0], &taken);
	if (is_error(&taken) && taken.host[0] == '4') {
		doubt(check, sendmail, &taken, MTA_RULE_RELAY_RESTRICTIONS, NULL);
	} else if (is_error(&taken)) {
		mta_add(check, MTA_RULE_RELAY_RESTRICTIONS, CHECK_OK, NULL,
			"ruleset check_rcpt refuses strangers' mail to other domains: %s",
			taken.text);
	} else {
		mta_add(check, MTA_RULE_RELAY_RESTRICTIONS, CHECK_ERROR, NULL,
			"ruleset check_rcpt takes strangers' mail to any domain: an open relay");
		mta_mend(check, "# take FEATURE(`promiscuous_relay') out of sendmail.mc, and what "
				"else lets strangers relay");
		sendmail_mend_restart(check);
	}
	sendmail_dialog_fini(&dialog);
}

void sendmail_judge_relaying(struct check *check, const struct sendmail *sendmail)
{
	for (size_t i = 0; i < check->domain_count; i += BATCH)
		judge_batch(check, sendmail, i,
			    i + BATCH < check->domain_count ? i + BATCH : check->domain_count);
	if (check->domain_count == 0) {
		mta_add(check, MTA_RULE_RELAY_DOMAINS, CHECK_ERROR, NULL,
			"class R has no domains: this host is nobody's backup yet");
		mta_mend(check, "# say which domain it is to be a backup for: backupmxctl check "
				"DOMAIN");
	}
	judge_open_relay(check, sendmail);
}
