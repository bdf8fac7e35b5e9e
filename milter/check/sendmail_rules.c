/* SPDX-License-Identifier: BSD-2-Clause */
/* Is Sendmail set up for a backup? Its daemons, its queue, its names, and what it has no use for.
 */
#include "check/sendmail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/duration.h"
#include "base/text.h"

#define LIFETIME_GOOD (5 * 24 * 3600LL)
#define INTERVAL_GOOD 3600

/* ---- mends ---- */

void sendmail_mend_restart(struct check *check)
{
	mta_mend(check, "systemctl restart sendmail");
}

void sendmail_mend_mc(struct check *check, const char *format, ...)
{
	char line[CHECK_LINE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	mta_mend(check, "# in /etc/mail/sendmail.mc, above MAILER():");
	mta_mend(check, "%s", line);
	mta_mend(check, "m4 /etc/mail/sendmail.mc >/etc/mail/sendmail.cf");
	sendmail_mend_restart(check);
}

/* ---- the program and its daemons ---- */

static void judge_mta(struct check *check, const struct sendmail *sendmail)
{
	if (sendmail->complaint[0] != '\0')
		mta_add(check, MTA_RULE_MTA, CHECK_WARNING, NULL, "Sendmail %s: %s",
			sendmail->version, sendmail->complaint);
	if (sendmail->run_problem[0] != '\0') {
		mta_unseen(check, MTA_RULE_MTA, NULL,
			   "Sendmail %s with %s; whether it runs is in "
			   "%s: %s",
			   sendmail->version, sendmail->cf, sendmail->pid_file,
			   sendmail->run_problem);
	} else if (sendmail->runs) {
		mta_add(check, MTA_RULE_MTA, CHECK_OK, NULL, "Sendmail %s runs, with %s",
			sendmail->version, sendmail->cf);
	} else {
		mta_add(check, MTA_RULE_MTA, CHECK_ERROR, NULL,
			"Sendmail %s is installed, with %s, and doesn't run: by %s",
			sendmail->version, sendmail->cf, sendmail->pid_file);
		mta_mend(check, "systemctl enable --now sendmail");
	}
}

static bool is_smtp(const struct sendmail_daemon *daemon)
{
	return strcasecmp(daemon->port, "smtp") == 0 || strcmp(daemon->port, "25") == 0;
}

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
	       strcasecmp(address, "IPv6:::1") == 0 || strcasecmp(address, "localhost") == 0;
}

/* On all addresses one of IPv6 takes IPv4's connections as well. */
static bool serves(const struct sendmail_daemon *daemon, enum ip_family family)
{
	bool is_all = daemon->address[0] == '\0' || strcmp(daemon->address, "::") == 0;

	return is_smtp(daemon) && !is_loopback(daemon->address) &&
	       (daemon->is_inet6 == (family == IP_V6) || (daemon->is_inet6 && is_all));
}

static const struct sendmail_daemon *daemon_for(const struct sendmail *sendmail,
						enum ip_family family)
{
	for (size_t i = 0; i < sendmail->daemon_count; i++)
		if (serves(&sendmail->daemons[i], family))
			return &sendmail->daemons[i];
	return NULL;
}

/* This host's name leads senders to an address of a family that no daemon serves. */
static bool judge_families(struct check *check, const struct sendmail *sendmail)
{
	struct ip addresses[MXSET_ADDRESSES_MAX];
	size_t count = check_host_addresses(check, check_host_name(check), addresses);
	char shown[IP_TEXT_MAX];

	for (size_t i = 0; i < count; i++) {
		if (daemon_for(sendmail, addresses[i].family) != NULL)
			continue;
		ip_format(&addresses[i], shown, sizeof(shown));
		mta_add(check, MTA_RULE_LISTENS, CHECK_WARNING, NULL,
			"%s has the address %s in DNS, and no daemon listens on port 25 with "
			"Family=%s",
			check_host_name(check), shown,
			addresses[i].family == IP_V6 ? "inet6" : "inet");
		sendmail_mend_mc(check,
				 "DAEMON_OPTIONS(`Name=MTA-%s, Family=%s, Addr=%s, Port=smtp')dnl",
				 addresses[i].family == IP_V6 ? "v6" : "v4",
				 addresses[i].family == IP_V6 ? "inet6" : "inet", shown);
		return false;
	}
	return true;
}

static void judge_listens(struct check *check, const struct sendmail *sendmail)
{
	const struct sendmail_daemon *local = NULL;
	const struct sendmail_daemon *found = daemon_for(sendmail, IP_V4);

	if (found == NULL)
		found = daemon_for(sendmail, IP_V6);
	if (found != NULL) {
		if (judge_families(check, sendmail))
			mta_add(check, MTA_RULE_LISTENS, CHECK_OK, NULL,
				"daemon %s listens on port %s of %s", found->name, found->port,
				found->address[0] != '\0' ? found->address : "all addresses");
		return;
	}
	for (size_t i = 0; i < sendmail->daemon_count; i++)
		if (is_smtp(&sendmail->daemons[i]))
			local = &sendmail->daemons[i];
	mta_add(check, MTA_RULE_LISTENS, CHECK_ERROR, NULL,
		local != NULL ? "no daemon listens on port 25 of anything but %s"
			      : "no daemon listens on port 25%s",
		local != NULL ? local->address : "");
	if (local != NULL)
		mta_mend(check, "# instead of the DAEMON_OPTIONS() with Name=%s:", local->name);
	sendmail_mend_mc(check, "DAEMON_OPTIONS(`Name=%s, Family=inet, Port=smtp')dnl",
			 local != NULL ? local->name : "MTA-v4");
}

/* ---- the queue ---- */

static bool has_privacy(const struct sendmail *sendmail, const char *flag)
{
	char wanted[32];
	TEXT_ON(text, wanted);

	text_add_format(&text, ",%s,", flag);
	return strstr(sendmail->privacy, wanted) != NULL;
}

/* The daemon that the milter's ETRN reaches. */
static const struct sendmail_daemon *flush_daemon(const struct check *check,
						  const struct sendmail *sendmail)
{
	uint16_t port = check->config->flush.mta.port;

	for (size_t i = 0; i < sendmail->daemon_count; i++) {
		const struct sendmail_daemon *daemon = &sendmail->daemons[i];
		uint16_t its = is_smtp(daemon) ? 25
			       : strcasecmp(daemon->port, "submission") == 0
				       ? 587
				       : (uint16_t)strtoul(daemon->port, NULL, 10);

		if (its == (port != 0 ? port : 25))
			return daemon;
	}
	return NULL;
}

/* What a ruleset of the administrator's own says; "" when nothing speaks against it. */
static void ask_check_etrn(const struct sendmail *sendmail, const char *domain, char *text,
			   size_t size)
{
	struct sendmail_dialog dialog = { .sendmail = sendmail };
	struct sendmail_result result = { .words = "" };

	sendmail_dialog_add(&dialog, "check_etrn %s", domain);
	if (sendmail_dialog_run(&dialog, true))
		sendmail_result_read(dialog.answers[0], &result);
	sendmail_dialog_fini(&dialog);
	text_copy(text, size, strcmp(result.mailer, "error") == 0 ? result.text : "");
}

static void judge_etrn(struct check *check, const struct sendmail *sendmail)
{
	const struct sendmail_daemon *daemon = flush_daemon(check, sendmail);
	char refusal[256] = "";

	if (check->config->flush.method != CONFIG_FLUSH_ETRN) {
		mta_add(check, MTA_RULE_ETRN, CHECK_OK, NULL,
			"[flush] method isn't etrn: ETRN isn't used");
		return;
	}
	if (check->domain_count > 0)
		ask_check_etrn(sendmail, check->domains[0].name, refusal, sizeof(refusal));
	if (has_privacy(sendmail, "noetrn")) {
		mta_add(check, MTA_RULE_ETRN, CHECK_WARNING, NULL, "PrivacyOptions has noetrn");
		mta_mend(check, "# take noetrn out of confPRIVACY_FLAGS in sendmail.mc");
	} else if (daemon != NULL && strchr(daemon->modifiers, 'E') != NULL) {
		mta_add(check, MTA_RULE_ETRN, CHECK_WARNING, NULL,
			"daemon %s (port %s) refuses ETRN: E in its M=%s", daemon->name,
			daemon->port, daemon->modifiers);
		mta_mend(check, "# take E out of M= in that DAEMON_OPTIONS of sendmail.mc");
	} else if (refusal[0] != '\0') {
		mta_add(check, MTA_RULE_ETRN, CHECK_WARNING, NULL,
			"ruleset check_etrn refuses it from this host: %s", refusal);
		mta_mend(check, "# let check_etrn pass 127.0.0.1");
	} else {
		mta_add(check, MTA_RULE_ETRN, CHECK_OK, NULL,
			"neither PrivacyOptions, M= nor check_etrn refuse it");
		return;
	}
	mta_mend(check, "m4 /etc/mail/sendmail.mc >/etc/mail/sendmail.cf");
	sendmail_mend_restart(check);
}

static void judge_lifetime(struct check *check, const struct sendmail *sendmail)
{
	int64_t seconds = sendmail->queue_return;
	bool is_good = seconds >= LIFETIME_GOOD;
	char shown[32];

	if (seconds < 0) {
		mta_unseen(check, MTA_RULE_QUEUE_LIFETIME, NULL,
			   "Timeout.queuereturn is no duration that we know");
		return;
	}
	mta_add(check, MTA_RULE_QUEUE_LIFETIME, is_good ? CHECK_OK : CHECK_WARNING, NULL,
		"Timeout.queuereturn is %s: then mail goes back to its sender",
		duration_format(seconds, shown, sizeof(shown)));
	if (!is_good)
		sendmail_mend_mc(check, "define(`confTO_QUEUERETURN', `5d')dnl");
}

static void judge_interval(struct check *check, const struct sendmail *sendmail)
{
	char shown[32];

	if (sendmail->command[0] == '\0')
		return; /* rule `mta` says why */
	if (sendmail->queue_interval > 0 && sendmail->queue_interval <= INTERVAL_GOOD) {
		mta_add(check, MTA_RULE_QUEUE_LIFETIME, CHECK_OK, NULL,
			"the queue is run every %s: %s",
			duration_format(sendmail->queue_interval, shown, sizeof(shown)),
			sendmail->command);
		return;
	}
	mta_add(check, MTA_RULE_QUEUE_LIFETIME, CHECK_WARNING, NULL,
		sendmail->queue_interval > 0 ? "the queue is run only every %s: %s"
					     : "%sno -q: nobody runs the queue: %s",
		sendmail->queue_interval > 0
			? duration_format(sendmail->queue_interval, shown, sizeof(shown))
			: "",
		sendmail->command);
	mta_mend(check, "# start it with -bd -q15m (Debian: QUEUE_INTERVAL in "
			"/etc/mail/sendmail.conf)");
}

/* ---- our names: an MX host that Sendmail doesn't know as itself is a host to send to ---- */

static void judge_own_name(struct check *check, const struct sendmail *sendmail, const char *name)
{
	if (sendmail_names_have(&sendmail->local, name)) {
		mta_add(check, MTA_RULE_PROXY_INTERFACES, CHECK_OK, name,
			"this name of ours is in class w");
		return;
	}
	mta_add(check, MTA_RULE_PROXY_INTERFACES, CHECK_ERROR, name,
		"an MX record names us so, class w doesn't: in an outage Sendmail sends to itself, "
		"says \"mail loops back to me\", and returns the mail to its sender");
	if (sendmail->local_file[0] != '\0') {
		mta_mend(check, "echo '%s' >>%s", name, sendmail->local_file);
		sendmail_mend_restart(check);
	} else {
		sendmail_mend_mc(check, "LOCAL_DOMAIN(`%s')dnl", name);
	}
}

static void judge_own_names(struct check *check, const struct sendmail *sendmail)
{
	struct mta_foreign_address addresses[MTA_FOREIGN_ADDRESSES_MAX];
	size_t count = mta_foreign_addresses(check, addresses);
	struct sendmail_names seen = { .items = NULL };

	for (size_t i = 0; i < check->domain_count; i++) {
		const struct mxset *set = &check->domains[i].set;

		for (size_t j = 0; j < set->count; j++)
			if (set->hosts[j].role == MX_SELF &&
			    !sendmail_names_have(&seen, set->hosts[j].name)) {
				judge_own_name(check, sendmail, set->hosts[j].name);
				sendmail_names_add(&seen, set->hosts[j].name);
			}
	}
	if (seen.count == 0)
		judge_own_name(check, sendmail, check_host_name(check));
	sendmail_names_fini(&seen);
	for (size_t i = 0; i < count; i++)
		mta_judge_my_addresses(check, &addresses[i]);
}

/* ---- what isn't there ---- */

/* Milters that do what address verification does in other MTAs. */
static void judge_verification(struct check *check, const struct sendmail *sendmail)
{
	for (size_t i = 0; i < sendmail->input_filters.count; i++) {
		const char *name = sendmail->input_filters.items[i];

		if (strstr(name, "ahead") == NULL && strstr(name, "smf-sav") == NULL)
			continue;
		mta_add(check, MTA_RULE_VERIFY_LEFTOVER, CHECK_WARNING, NULL,
			"the filter %s verifies recipients, too", name);
		mta_mend(check, "# take %s out of INPUT_MAIL_FILTER() in sendmail.mc", name);
		return;
	}
	mta_add(check, MTA_RULE_VERIFY_LEFTOVER, CHECK_OK, NULL,
		"Sendmail verifies no recipients, and no filter of its is known to");
}

static void judge_not_applying(struct check *check)
{
	mta_add(check, MTA_RULE_CHROOT, CHECK_OK, NULL,
		"doesn't apply: Sendmail's daemon runs in no chroot");
	mta_add(check, MTA_RULE_RELAY_RECIPIENTS, CHECK_OK, NULL,
		"doesn't apply: Sendmail has no such table");
	if (check->config->flush.method == CONFIG_FLUSH_NONE)
		mta_add(check, MTA_RULE_FAST_FLUSH, CHECK_NOTE, NULL,
			"[flush] method = none: nothing is sent before Sendmail's next queue run");
	else
		mta_add(check, MTA_RULE_FAST_FLUSH, CHECK_OK, NULL,
			"doesn't apply: for ETRN Sendmail goes through its whole queue");
	mta_add(check, MTA_RULE_SOFT_BOUNCE, CHECK_NOTE, NULL,
		"Sendmail has no soft_bounce: what a primary refuses for good at delivery goes "
		"back to its sender, and all of it when the primary greets with 5xx");
}

void sendmail_judge(struct check *check, const void *facts)
{
	const struct sendmail *sendmail = facts;

	judge_mta(check, sendmail);
	judge_listens(check, sendmail);
	sendmail_judge_relaying(check, sendmail);
	sendmail_judge_filters(check, sendmail);
	sendmail_judge_networks(check, sendmail);
	judge_etrn(check, sendmail);
	judge_lifetime(check, sendmail);
	judge_interval(check, sendmail);
	judge_own_names(check, sendmail);
	judge_verification(check, sendmail);
	judge_not_applying(check);
}
