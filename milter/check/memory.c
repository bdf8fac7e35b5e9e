/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon remembers: recipients, their lists, learned domains. By its status. */
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "check/groups.h"

#define COVERAGE_WANTED 0.5 /* of those asked for in 30 days */
#define NEARLY_FULL	90  /* percent */
#define NAMES_MAX_BYTES 400
#define NAMES_LINE_MAX	3000 /* of a command */

static const struct check_rule cold_rule = {
	"cold-memory",
	"most recipients that are asked for are known",
	"In an outage mail is taken for recipients that are known; senders to all others are put "
	"off, and give up in a long one. Recipients are learned while the primary is up, or "
	"imported.",
};

static const struct check_rule file_rule = {
	"recipients-file",
	"the recipients_file is in use as it is now",
	"A file that is empty, packed or suddenly short is not taken: the list before it stays in "
	"use, and new mailboxes stay unknown.",
};

static const struct check_rule learned_rule = {
	"learned-domains",
	"the domains that the MTA relays are known, or will be learned",
	"Domains are learned when the MTA relays them, unless domains_from_mta is off; of one that "
	"is neither learned nor configured the milter leaves all mail alone. Over "
	"max_learned_domains the one that was asked for least recently is forgotten.",
};

/* ---- cold-memory ---- */

/* The primary's name, where it has one that we know. */
static const char *primary_of(const struct check_domain *domain)
{
	for (size_t i = 0; i < domain->endpoint_count; i++)
		if (domain->endpoints[i].host[0] != '\0')
			return domain->endpoints[i].host;
	return "PRIMARY";
}

static void import_mend(struct check *check, const struct check_domain *domain)
{
	check_mend(check->findings,
		   "# take the primary's own list, the source of its Postfix map, or its mail log "
		   "(Postfix, Exim, Sendmail), copied to this host:");
	check_mend(check->findings, "backupmxctl recipients import FILE --domain %s", domain->name);
	check_mend(check->findings, "# or from the primary by ssh, the log of some weeks:");
	check_mend(check->findings,
		   "ssh root@%s 'zcat -f /var/log/mail.log*' | backupmxctl recipients import "
		   "- --domain %s",
		   primary_of(domain), domain->name);
}

static bool state_is(const struct check_domain *domain, const char *state)
{
	const char *its = json_string_value(json_object_get(domain->status, "state"));

	return its != NULL && strcmp(its, state) == 0;
}

static void coverage_judge(struct check *check, const struct check_domain *domain, double coverage,
			   long long valid)
{
	bool cold = coverage < COVERAGE_WANTED;

	check_add(check->findings, &cold_rule, cold ? CHECK_ERROR : CHECK_OK, domain->name,
		  "of the recipients asked for in 30 days %d %% are known; valid: %lld",
		  (int)(coverage * 100), valid);
	if (cold)
		import_mend(check, domain);
}

/* ---- domains that the daemon doesn't know ---- */

/* Should it be named in the configuration? A domain is learned when it has us as its backup. */
static bool is_unnamed(const struct check *check, const struct check_domain *domain)
{
	return check->status != NULL && domain->status == NULL &&
	       domain->config == &check->config->unlisted &&
	       (!check->config->domains.from_mta || domain->set.standing == MX_STANDING_BACKUP);
}

/* One command for all of them, so that it is pasted once; for this one alone when these are too
 * many for a line. */
static void name_mend(struct check *check, const struct check_domain *domain)
{
	char line[NAMES_LINE_MAX], path[512];
	TEXT_ON(names, line);
	TEXT_ON(file, path);

	text_add_shell(&file, check_config_path(check));
	for (size_t i = 0; i < check->domain_count; i++) {
		if (!is_unnamed(check, &check->domains[i]))
			continue;
		text_add(&names, " ");
		text_add_shell(&names, check->domains[i].name);
	}
	if (names.cut) {
		names.length = 0;
		names.cut = false;
		text_add(&names, " ");
		text_add_shell(&names, domain->name);
	}
	check_mend(check->findings, "# name it at the end of the configuration, and it is watched "
				    "from now on:");
	check_mend(check->findings, "printf '\\n[domain \"%%s\"]\\n'%s >>%s", line, path);
	check_mend(check->findings, "backupmxctl reload");
}

static void unknown_judge(struct check *check, const struct check_domain *domain)
{
	if (check->status == NULL) {
		check_unseen(check->findings, &cold_rule, domain->name,
			     "the daemon doesn't answer");
	} else if (domain->config != &check->config->unlisted) {
		check_add(check->findings, &cold_rule, CHECK_WARNING, domain->name,
			  "the daemon doesn't know this domain, though the configuration names "
			  "it");
		check_mend(check->findings, "backupmxctl reload");
	} else if (check->config->domains.from_mta && is_unnamed(check, domain)) {
		check_add(check->findings, &cold_rule, CHECK_WARNING, domain->name,
			  "the daemon learns this domain with the first mail for it, and until "
			  "then knows nobody of it");
		name_mend(check, domain);
	} else {
		check_unseen(check->findings, &cold_rule, domain->name,
			     "the daemon doesn't know this domain (yet)");
	}
}

static void cold_judge(struct check *check, const struct check_domain *domain)
{
	const json_t *recipients = json_object_get(domain->status, "recipients");
	const json_t *coverage = json_object_get(recipients, "coverage");
	long long valid = json_integer_value(json_object_get(recipients, "valid"));

	if (domain->status == NULL)
		unknown_judge(check, domain);
	else if (state_is(domain, "not-backup"))
		check_unseen(check->findings, &cold_rule, domain->name,
			     "this host is no backup for it, so nothing is remembered");
	else if (json_is_true(json_object_get(recipients, "catch_all")))
		check_add(check->findings, &cold_rule, CHECK_OK, domain->name,
			  "its primary takes any recipient, so none need be remembered");
	else if (json_is_number(coverage))
		coverage_judge(check, domain, json_number_value(coverage), valid);
	else if (valid > 0)
		check_add(check->findings, &cold_rule, CHECK_OK, domain->name,
			  "nobody was asked for in 30 days; valid: %lld", valid);
	else {
		check_add(check->findings, &cold_rule, CHECK_WARNING, domain->name,
			  "nobody was asked for in 30 days, and no recipient is known");
		import_mend(check, domain);
	}
}

/* ---- recipients-file ---- */

/* What the daemon says of it. */
static const json_t *list_of(const struct check_domain *domain)
{
	return json_object_get(json_object_get(domain->status, "recipients"), "list");
}

static void list_judge(struct check *check, const struct check_domain *domain)
{
	const char *path = domain->config->recipients_file;
	const json_t *list = json_object_get(json_object_get(domain->status, "recipients"), "list");
	const char *refused = json_string_value(json_object_get(list, "refused"));

	if (path[0] == '\0')
		path = "the recipients_file"; /* of the daemon's configuration, not of ours */
	if (!json_is_object(list)) {
		if (access(path, F_OK) == 0)
			check_unseen(check->findings, &file_rule, domain->name,
				     "%s is there; whether it is in use only the daemon can tell",
				     path);
		else
			check_unseen(check->findings, &file_rule, domain->name,
				     "%s can't be found from here", path);
		return;
	}
	if (refused == NULL) {
		check_add(check->findings, &file_rule, CHECK_OK, domain->name,
			  "%s is in use, with %lld entries", path,
			  (long long)json_integer_value(json_object_get(list, "entries")));
		return;
	}
	check_add(check->findings, &file_rule, CHECK_ERROR, domain->name,
		  "%s is not in use: %s. What is in use has %lld entries", path, refused,
		  (long long)json_integer_value(json_object_get(list, "entries")));
	check_mend(check->findings, "# put the right list there, an address per line or the source "
				    "of a Postfix map, then:");
	check_mend(check->findings, "backupmxctl reload");
}

static void lists_judge(struct check *check)
{
	size_t count = 0;

	for (size_t i = 0; i < check->domain_count; i++)
		if (check->domains[i].config->recipients_file[0] != '\0' ||
		    json_is_object(list_of(&check->domains[i]))) {
			list_judge(check, &check->domains[i]);
			count++;
		}
	if (count == 0)
		check_add(check->findings, &file_rule, CHECK_OK, NULL,
			  "none is configured: recipients are learned from the primary");
}

/* ---- learned-domains ---- */

struct learned {
	long long count, asleep;
	char names[NAMES_MAX_BYTES];
};

static void learned_count(const struct check *check, struct learned *learned)
{
	TEXT_ON(names, learned->names);
	const json_t *domain;
	size_t i;

	json_array_foreach(json_object_get(check->status, "domains"), i, domain) {
		const char *source = json_string_value(json_object_get(domain, "source"));
		const char *name = json_string_value(json_object_get(domain, "domain"));

		if (source == NULL || name == NULL || strcmp(source, "learned") != 0)
			continue;
		learned->count++;
		learned->asleep += json_is_true(json_object_get(domain, "asleep"));
		if (names.length + strlen(name) + 8 < names.size)
			text_add_format(&names, "%s%s", names.length > 0 ? ", " : ": ", name);
		else if (!names.cut) {
			text_add(&names, ", ...");
			names.cut = true;
		}
	}
}

/* Those that the daemon neither has nor will ever learn; false when there are none. */
static bool unlearned_judge(struct check *check)
{
	bool any = false;

	for (size_t i = 0; i < check->domain_count; i++) {
		const struct check_domain *domain = &check->domains[i];

		if (!is_unnamed(check, domain))
			continue;
		any = true;
		check_add(check->findings, &learned_rule, CHECK_ERROR, domain->name,
			  "domains_from_mta = no, and nothing else names it: the milter leaves its "
			  "mail alone");
		name_mend(check, domain);
	}
	return any;
}

static void learned_judge(struct check *check)
{
	long long most = check->config->domains.max_learned_domains;
	struct learned learned = { .count = 0 };
	bool full;

	if (!check->config->domains.from_mta) {
		if (!unlearned_judge(check))
			check_add(check->findings, &learned_rule, CHECK_OK, NULL,
				  "domains_from_mta = no: none are learned");
		return;
	}
	if (check->status == NULL) {
		check_unseen(check->findings, &learned_rule, NULL, "the daemon doesn't answer");
		return;
	}
	learned_count(check, &learned);
	full = learned.count * 100 >= most * NEARLY_FULL;
	check_add(check->findings, &learned_rule, full ? CHECK_WARNING : CHECK_OK, NULL,
		  "%lld of at most %lld, %lld of them asleep%s", learned.count, most,
		  learned.asleep, learned.names);
	if (!full)
		return;
	check_mend(check->findings, "# are these all yours? Then, in section [domains]:");
	check_mend(check->findings, "max_learned_domains = %lld", most * 2);
	check_mend(check->findings, "backupmxctl reload");
}

static const struct check_rule *const rules[] = { &cold_rule, &file_rule, &learned_rule, NULL };

static void run(struct check *check)
{
	for (size_t i = 0; i < check->domain_count; i++)
		cold_judge(check, &check->domains[i]);
	lists_judge(check);
	learned_judge(check);
}

const struct check_group check_group_memory = { "What is remembered", rules, run };
