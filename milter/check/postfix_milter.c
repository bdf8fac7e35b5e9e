/* SPDX-License-Identifier: BSD-2-Clause */
/* Does Postfix ask our milter, about the right mail, and what if it gets no answer? */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "check/milter_socket.h"
#include "check/postfix.h"

#define CONNECT_LEAST 10 /* seconds, for milter_connect_timeout and milter_content_timeout */

/* An item of smtpd_milters: "inet:host:port", or "{ inet:host:port, default_action=accept }". */
struct entry {
	char *item; /* as it stands in the list */
	char *socket;
	struct postfix_list options; /* "default_action=accept" */
};

static void entry_init(struct entry *entry, const char *item)
{
	size_t length = strlen(item);
	char *inner;

	*entry = (struct entry){ .item = memory_string(item) };
	if (item[0] != '{' || length < 2 || item[length - 1] != '}') {
		entry->socket = memory_string(item);
		return;
	}
	inner = memory_format("%.*s", (int)length - 2, item + 1);
	postfix_list_split(inner, &entry->options);
	free(inner);
	entry->socket = memory_string(entry->options.count > 0 ? entry->options.items[0] : "");
}

static void entry_fini(struct entry *entry)
{
	free(entry->item);
	free(entry->socket);
	postfix_list_fini(&entry->options);
}

/* Its own "name=value", or NULL. */
static const char *entry_option(const struct entry *entry, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 1; i < entry->options.count; i++)
		if (strncmp(entry->options.items[i], name, length) == 0 &&
		    entry->options.items[i][length] == '=')
			return entry->options.items[i] + length + 1;
	return NULL;
}

static struct milter_socket_place place_of(const struct postfix *postfix,
					   const struct postfix_service *service)
{
	return (struct milter_socket_place){
		.queue = postfix_value(postfix, NULL, "queue_directory"),
		.chrooted = service != NULL && service->chrooted,
	};
}

/* Finds us in a list of milters; false when we aren't there. entry_fini() when true. */
static bool find_us(const struct check *check, const struct milter_socket_place *place,
		    const char *value, struct entry *entry)
{
	struct postfix_list list;
	bool found = false;

	postfix_list_split(value, &list);
	for (size_t i = 0; i < list.count && !found; i++) {
		entry_init(entry, list.items[i]);
		found = milter_socket_is_ours(check->config->milter.socket, entry->socket, place);
		if (!found)
			entry_fini(entry);
	}
	postfix_list_fini(&list);
	return found;
}

/* ---- is it asked? ---- */

/* "" for the usual one, else the service's name. */
static const char *subject_of(const struct postfix_service *service)
{
	return service == NULL || strcmp(service->name, "smtp") == 0 ? "" : service->name;
}

static void judge_reachable(struct check *check, const struct postfix *postfix,
			    const struct postfix_service *service, const struct entry *entry)
{
	struct milter_socket_place place = place_of(postfix, service);
	char why[512];

	if (!milter_socket_usable(check->config->milter.socket,
				  postfix_value(postfix, NULL, "mail_owner"), why, sizeof(why))) {
		mta_add(check, MTA_RULE_MILTER_LISTED, CHECK_ERROR, subject_of(service),
			"smtpd_milters has %s, but Postfix can't use it: %s", entry->socket, why);
		mta_mend(check, "# in %s, section [milter]:", check_config_path(check));
		mta_mend(check, "socket_mode = 0660");
		mta_mend(check, "socket_group = %s", postfix_value(postfix, NULL, "mail_owner"));
		mta_mend(check, "systemctl restart backupmx-milter");
		return;
	}
	if (postfix_value(postfix, service, "smtpd_milter_maps")[0] != '\0')
		mta_unseen(check, MTA_RULE_MILTER_LISTED, "smtpd_milter_maps",
			   "it names other milters for some clients");
	mta_add(check, MTA_RULE_MILTER_LISTED, CHECK_OK, subject_of(service),
		"smtpd_milters has %s%s", entry->socket,
		place.chrooted && entry->socket[0] == 'u' ? ", below the chroot" : "");
}

static void judge_missing(struct check *check, const struct postfix *postfix,
			  const struct postfix_service *service)
{
	struct milter_socket_place place = place_of(postfix, service);
	const char *value = postfix_value(postfix, service, "smtpd_milters");
	char wanted[512];

	mta_add(check, MTA_RULE_MILTER_LISTED, CHECK_ERROR, subject_of(service),
		"smtpd_milters%s %s%s, [milter] socket = %s",
		postfix_is_overridden(service, "smtpd_milters") ? " of master.cf" : "",
		value[0] != '\0' ? "= " : "is empty", value, check->config->milter.socket);
	if (!milter_socket_name(check->config->milter.socket, &place, wanted, sizeof(wanted))) {
		mta_mend(check, "# smtpd is chrooted and can't see that socket; take it out of the "
				"chroot (or listen on an inet socket):");
		mta_mend(check, "postconf%s -F '%s/%s/chroot=n'", postfix->option, service->name,
			 service->type);
	}
	if (!postfix_value_lists(value, wanted)) {
		if (value[0] != '\0')
			mta_mend(check,
				 "# take out what is there, if it is an older socket of this "
				 "milter; other milters come behind it:");
		postfix_mend_with(check, postfix, service, "smtpd_milters", wanted);
	}
	postfix_mend_reload(check, postfix);
}

static void judge_listed(struct check *check, const struct postfix *postfix,
			 const struct postfix_service *service)
{
	struct milter_socket_place place = place_of(postfix, service);
	struct entry entry;

	if (!find_us(check, &place, postfix_value(postfix, service, "smtpd_milters"), &entry)) {
		judge_missing(check, postfix, service);
		return;
	}
	if (postfix_value_lists(postfix_value(postfix, service, "receive_override_options"),
				"no_milters")) {
		mta_add(check, MTA_RULE_MILTER_LISTED, CHECK_ERROR, subject_of(service),
			"receive_override_options has no_milters: none is asked");
		postfix_mend_without(check, postfix, service, "receive_override_options",
				     "no_milters");
		postfix_mend_reload(check, postfix);
	} else {
		judge_reachable(check, postfix, service, &entry);
	}
	entry_fini(&entry);
}

/* ---- and about nothing else? ---- */

static void judge_submission(struct check *check, const struct postfix *postfix)
{
	const struct postfix_service *service = NULL;
	struct entry entry;
	bool fine = true;

	while ((service = postfix_service_next(postfix, POSTFIX_SUBMISSION, service)) != NULL) {
		struct milter_socket_place place = place_of(postfix, service);
		const char *value = postfix_value(postfix, service, "smtpd_milters");
		char others[CHECK_LINE_MAX] = "";
		TEXT_ON(text, others);
		struct postfix_list list;

		if (!find_us(check, &place, value, &entry))
			continue;
		fine = false;
		mta_add(check, MTA_RULE_MILTER_SUBMISSION, CHECK_WARNING, service->name,
			"it asks %s, too", entry.socket);
		postfix_list_split(value, &list);
		for (size_t i = 0; i < list.count; i++)
			if (strcmp(list.items[i], entry.item) != 0)
				text_add_format(&text, "%s%s", text.length > 0 ? "," : "",
						list.items[i]);
		postfix_mend_set(check, postfix, service, "smtpd_milters", others);
		postfix_mend_reload(check, postfix);
		postfix_list_fini(&list);
		entry_fini(&entry);
	}
	if (find_us(check, &(struct milter_socket_place){ .queue = "" },
		    postfix_value(postfix, NULL, "non_smtpd_milters"), &entry)) {
		fine = false;
		mta_add(check, MTA_RULE_MILTER_SUBMISSION, CHECK_WARNING, "non_smtpd_milters",
			"it has %s: mail of this host's own programs is no business of a backup",
			entry.socket);
		postfix_mend_without(check, postfix, NULL, "non_smtpd_milters", entry.item);
		postfix_mend_reload(check, postfix);
		entry_fini(&entry);
	}
	if (fine)
		mta_add(check, MTA_RULE_MILTER_SUBMISSION, CHECK_OK, NULL,
			"neither a submission service nor non_smtpd_milters asks it");
}

/* ---- without an answer ---- */

struct judged_action {
	const char *name;
	enum check_severity severity;
	const char *means;
};

static const struct judged_action actions[] = {
	{ "tempfail", CHECK_OK, "senders come again" },
	{ "shutdown", CHECK_OK, "the session ends by 421, senders come again" },
	{ "accept", CHECK_WARNING, "meanwhile mail for everybody is taken, to be bounced later" },
	{ "quarantine", CHECK_WARNING,
	  "meanwhile mail for everybody is taken, and held until somebody releases it by hand" },
	{ "reject", CHECK_ERROR, "meanwhile all mail is refused for good, and lost" },
};

static const struct judged_action *action_find(const char *name)
{
	static const struct judged_action other = { "", CHECK_ERROR, "Postfix knows no such word" };

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return &other;
}

/* What an entry says itself, in place of the setting of all milters. */
struct effective {
	const struct postfix *postfix;
	const struct postfix_service *service;
	const struct entry *entry; /* NULL: not listed yet */
};

/* Does the entry say it itself? */
static bool is_own(const struct effective *effective, const char *option)
{
	return effective->entry != NULL && entry_option(effective->entry, option) != NULL;
}

static const char *effective_value(const struct effective *effective, const char *option,
				   const char *setting)
{
	if (is_own(effective, option))
		return entry_option(effective->entry, option);
	return postfix_value(effective->postfix, effective->service, setting);
}

/* The entry in its list without this option, or the setting of all. */
static void mend_effective(struct check *check, const struct effective *effective,
			   const char *option, const char *setting, const char *value)
{
	const struct postfix_service *place =
		postfix_is_overridden(effective->service, setting) ? effective->service : NULL;

	if (is_own(effective, option))
		mta_mend(check, "# in smtpd_milters: %s=%s instead of %s=%s", option, value, option,
			 entry_option(effective->entry, option));
	else
		postfix_mend_set(check, effective->postfix, place, setting, value);
	postfix_mend_reload(check, effective->postfix);
}

static void judge_action(struct check *check, const struct effective *effective)
{
	const char *value = effective_value(effective, "default_action", "milter_default_action");
	const struct judged_action *action = action_find(value);

	mta_add(check, MTA_RULE_MILTER_DEFAULT_ACTION, action->severity,
		subject_of(effective->service), "%s = %s: %s",
		is_own(effective, "default_action") ? "default_action" : "milter_default_action",
		value, action->means);
	if (action->severity != CHECK_OK)
		mend_effective(check, effective, "default_action", "milter_default_action",
			       "tempfail");
}

static void judge_command_timeout(struct check *check, const struct effective *effective)
{
	const char *value = effective_value(effective, "command_timeout", "milter_command_timeout");
	int64_t seconds = postfix_seconds(value, 's');
	int64_t wanted = mta_answer_seconds(check);
	int64_t wait = check->config->recipients.callout_wait;

	mta_add(check, MTA_RULE_MILTER_TIMEOUT,
		seconds <= wait	   ? CHECK_ERROR
		: seconds < wanted ? CHECK_WARNING
				   : CHECK_OK,
		subject_of(effective->service),
		"Postfix waits %s (milter_command_timeout), the milter may take callout_wait = "
		"%llds",
		value, (long long)wait);
	if (seconds < wanted)
		mend_effective(check, effective, "command_timeout", "milter_command_timeout",
			       wanted <= 30 ? "30s" : "60s");
}

static void judge_other_timeouts(struct check *check, const struct effective *effective)
{
	static const char *const names[][3] = {
		{ "connect_timeout", "milter_connect_timeout", "30s" },
		{ "content_timeout", "milter_content_timeout", "300s" },
	};

	for (size_t i = 0; i < 2; i++) {
		const char *value = effective_value(effective, names[i][0], names[i][1]);

		if (postfix_seconds(value, 's') >= CONNECT_LEAST)
			continue;
		mta_add(check, MTA_RULE_MILTER_TIMEOUT, CHECK_WARNING,
			subject_of(effective->service), "%s = %s: too short for a busy host",
			names[i][1], value);
		mend_effective(check, effective, names[i][0], names[i][1], names[i][2]);
	}
}

void postfix_judge_milter(struct check *check, const struct postfix *postfix)
{
	const struct postfix_service *service = NULL;

	while ((service = postfix_service_next(postfix, POSTFIX_MX, service)) != NULL) {
		struct milter_socket_place place = place_of(postfix, service);
		struct effective effective = { .postfix = postfix, .service = service };
		struct entry entry;
		bool listed = find_us(check, &place,
				      postfix_value(postfix, service, "smtpd_milters"), &entry);

		effective.entry = listed ? &entry : NULL;
		judge_listed(check, postfix, service);
		judge_action(check, &effective);
		judge_command_timeout(check, &effective);
		judge_other_timeouts(check, &effective);
		if (listed)
			entry_fini(&entry);
	}
	judge_submission(check, postfix);
}
