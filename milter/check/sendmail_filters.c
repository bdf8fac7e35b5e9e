/* SPDX-License-Identifier: BSD-2-Clause */
/* Does Sendmail ask our milter, where it should and only there, and as it should? */
#include "check/sendmail.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "check/milter_socket.h"

#define REPLY_SECONDS_GOOD 30 /* in the line we give; more when our own settings ask for it */

/* ---- the filter ---- */

/* Ours among those that are defined; NULL: none. */
static const struct sendmail_filter *our_filter(const struct check *check,
						const struct sendmail *sendmail)
{
	for (size_t i = 0; i < sendmail->filter_count; i++)
		if (milter_socket_is_same(check->config->milter.socket,
					  sendmail->filters[i].socket))
			return &sendmail->filters[i];
	return NULL;
}

static bool daemon_asks(const struct sendmail *sendmail, const struct sendmail_daemon *daemon,
			const struct sendmail_filter *filter)
{
	const struct sendmail_names *list =
		daemon->has_filters ? &daemon->filters : &sendmail->input_filters;

	return sendmail_names_have(list, filter->name);
}

static bool is_submission(const struct sendmail_daemon *daemon)
{
	static const char *const ports[] = { "submission", "587", "submissions", "smtps", "465" };

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (strcasecmp(daemon->port, ports[i]) == 0)
			return true;
	return false;
}

static void mend_filter(struct check *check, const struct sendmail_filter *filter)
{
	const char *socket = check->config->milter.socket;
	bool has_place = strchr(socket, '@') != NULL || strncmp(socket, "inet", 4) != 0;
	long long seconds = mta_answer_seconds(check);

	if (seconds < REPLY_SECONDS_GOOD)
		seconds = REPLY_SECONDS_GOOD;
	sendmail_mend_mc(check,
			 "INPUT_MAIL_FILTER(`%s', `S=%s%s, F=T, T=C:30s;S:30s;R:%llds;E:60s')dnl",
			 filter != NULL ? filter->name : "backupmx", socket,
			 has_place ? "" : "@127.0.0.1", seconds);
}

static void mend_listed(struct check *check, const struct sendmail *sendmail,
			const struct sendmail_filter *filter)
{
	char list[CHECK_LINE_MAX];
	TEXT_ON(text, list);

	if (filter == NULL) {
		mend_filter(check, NULL);
		return;
	}
	for (size_t i = 0; i < sendmail->input_filters.count; i++)
		text_add_format(&text, "%s,", sendmail->input_filters.items[i]);
	text_add(&text, filter->name);
	sendmail_mend_mc(check, "define(`confINPUT_MAIL_FILTERS', `%s')dnl", list);
}

static void judge_listed(struct check *check, const struct sendmail *sendmail,
			 const struct sendmail_filter *filter)
{
	bool is_asked = true;

	if (filter == NULL) {
		mta_add(check, MTA_RULE_MILTER_LISTED, CHECK_ERROR, NULL,
			"no filter of %s has the socket %s", sendmail->cf,
			check->config->milter.socket);
		mend_listed(check, sendmail, NULL);
		return;
	}
	for (size_t i = 0; i < sendmail->daemon_count; i++) {
		const struct sendmail_daemon *daemon = &sendmail->daemons[i];

		if (is_submission(daemon) || daemon_asks(sendmail, daemon, filter))
			continue;
		is_asked = false;
		mta_add(check, MTA_RULE_MILTER_LISTED, CHECK_ERROR, NULL,
			"the filter %s is defined, but %s of daemon %s (port %s) doesn't list it",
			filter->name, daemon->has_filters ? "InputFilter=" : "InputMailFilters",
			daemon->name, daemon->port);
		if (daemon->has_filters)
			mta_mend(check,
				 "# take InputFilter= out of that DAEMON_OPTIONS, or add %s to it",
				 filter->name);
		else
			mend_listed(check, sendmail, filter);
	}
	if (is_asked)
		mta_add(check, MTA_RULE_MILTER_LISTED, CHECK_OK, NULL,
			"InputMailFilters has %s, with the milter's socket %s", filter->name,
			filter->socket);
}

/* The same daemon without filters. */
static void mend_submission(struct check *check, const struct sendmail_daemon *daemon)
{
	mta_mend(check,
		 "# instead of the DAEMON_OPTIONS() with Name=%s, or of the default with "
		 "FEATURE(`no_default_msa'):",
		 daemon->name);
	sendmail_mend_mc(check,
			 "DAEMON_OPTIONS(`Name=%s, Family=%s%s%s, Port=%s, M=%s, InputFilter=')dnl",
			 daemon->name, daemon->is_inet6 ? "inet6" : "inet",
			 daemon->address[0] != '\0' ? ", Addr=" : "", daemon->address, daemon->port,
			 daemon->modifiers);
}

static void judge_submission(struct check *check, const struct sendmail *sendmail,
			     const struct sendmail_filter *filter)
{
	size_t asking = 0;

	for (size_t i = 0; i < sendmail->daemon_count; i++) {
		const struct sendmail_daemon *daemon = &sendmail->daemons[i];

		if (!is_submission(daemon) || !daemon_asks(sendmail, daemon, filter))
			continue;
		asking++;
		mta_add(check, MTA_RULE_MILTER_SUBMISSION, CHECK_WARNING, NULL,
			"daemon %s (port %s) asks the milter, too", daemon->name, daemon->port);
		mend_submission(check, daemon);
	}
	if (asking == 0)
		mta_add(check, MTA_RULE_MILTER_SUBMISSION, CHECK_OK, NULL,
			"no daemon for submission asks the milter");
}

static void judge_action(struct check *check, const struct sendmail_filter *filter)
{
	if (filter->action == 'T' || filter->action == '4') {
		mta_add(check, MTA_RULE_MILTER_DEFAULT_ACTION, CHECK_OK, NULL,
			"F=%c: mail gets a 4xx while the milter is away", filter->action);
		return;
	}
	if (filter->action == 'R')
		mta_add(check, MTA_RULE_MILTER_DEFAULT_ACTION, CHECK_ERROR, NULL,
			"F=R: all mail is refused for good while the milter is away");
	else
		mta_add(check, MTA_RULE_MILTER_DEFAULT_ACTION, CHECK_WARNING, NULL,
			"no F=: mail is taken as if there were no milter while it is away");
	mend_filter(check, filter);
}

static void judge_timeout(struct check *check, const struct sendmail_filter *filter)
{
	long long needed = mta_answer_seconds(check);
	long long wait = check->config->recipients.callout_wait;
	long long given = filter->reply_seconds;

	mta_add(check, MTA_RULE_MILTER_TIMEOUT,
		given <= wait	 ? CHECK_ERROR
		: given < needed ? CHECK_WARNING
				 : CHECK_OK,
		NULL,
		"Sendmail waits %lld s (R: in T=, 10s when it isn't given), the milter may take "
		"callout_wait = %llds",
		given, wait);
	if (given < needed)
		mend_filter(check, filter);
}

void sendmail_judge_filters(struct check *check, const struct sendmail *sendmail)
{
	static const enum mta_rule rest[] = { MTA_RULE_MILTER_SUBMISSION,
					      MTA_RULE_MILTER_DEFAULT_ACTION,
					      MTA_RULE_MILTER_TIMEOUT };
	const struct sendmail_filter *filter = our_filter(check, sendmail);

	if (sendmail->cf_problem[0] != '\0') {
		mta_unseen(check, MTA_RULE_MILTER_LISTED, NULL, "%s: %s", sendmail->cf,
			   sendmail->cf_problem);
	} else if (!sendmail->knows_milters) {
		mta_add(check, MTA_RULE_MILTER_LISTED, CHECK_ERROR, NULL,
			"this Sendmail was built without MILTER");
		mta_mend(check, "# install a Sendmail that was built with -DMILTER");
		filter = NULL;
	} else {
		judge_listed(check, sendmail, filter);
	}
	if (filter == NULL) {
		for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
			mta_unseen(check, rest[i], NULL, "the milter isn't among its filters");
		return;
	}
	judge_submission(check, sendmail, filter);
	judge_action(check, filter);
	judge_timeout(check, filter);
}
