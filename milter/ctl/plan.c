/* SPDX-License-Identifier: BSD-2-Clause */
/* "plan": which DNS records make this host, or others, the backup MX of a domain. One thread. */
#include "ctl/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/memory.h"
#include "base/text.h"
#include "check/addresses.h"
#include "io/idna.h"

/* ---- the command line ---- */

/* A name that other hosts can look up: with a dot. */
static bool take_name(const char *word, size_t length, char *name)
{
	char copy[4 * MAIL_DOMAIN_MAX];

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, word, length);
	copy[length] = '\0';
	return idna_domain_to_ascii(copy, name, MAIL_DOMAIN_MAX + 1) && strchr(name, '.') != NULL;
}

static bool take_address(const char *word, size_t length, struct ip *ip)
{
	char copy[IP_TEXT_MAX] = "";

	if (length < sizeof(copy))
		memcpy(copy, word, length);
	return ip_parse(copy, ip) && check_ip_is_public(ip);
}

/* "ADDR,..." */
static int take_addresses(const struct ctl *ctl, struct plan_wish *wish, const char *list)
{
	struct ip *addresses = wish->backups[wish->backup_count].addresses;
	size_t *count = &wish->backups[wish->backup_count].address_count;

	for (;;) {
		size_t length = strcspn(list, ",");

		if (*count == MXSET_ADDRESSES_MAX)
			return ctl_misused(ctl, "--backup: a host has at most %d addresses",
					   MXSET_ADDRESSES_MAX);
		if (!take_address(list, length, &addresses[(*count)++]))
			return ctl_misused(
				ctl,
				"--backup: \"%.*s\" is no address that others can reach, "
				"such as 192.0.2.7 or 2001:db8::7",
				(int)length, list);
		if (list[length] == '\0')
			return CTL_EXIT_OK;
		list += length + 1;
	}
}

/* "NAME" or "NAME=ADDR,..." */
static int take_backup(const struct ctl *ctl, struct plan_wish *wish, const char *word)
{
	size_t length = strcspn(word, "=");
	char *name = wish->backups[wish->backup_count].name;
	int code = CTL_EXIT_OK;

	if (!take_name(word, length, name))
		return ctl_misused(ctl,
				   "--backup: \"%.*s\" is no host name that can be looked up, such "
				   "as mx2.example.net",
				   (int)length, word);
	for (size_t i = 0; i < wish->backup_count; i++)
		if (strcmp(wish->backups[i].name, name) == 0)
			return ctl_misused(ctl, "--backup: %s is given twice", name);
	if (word[length] == '=')
		code = take_addresses(ctl, wish, word + length + 1);
	wish->backup_count++;
	return code;
}

static int take_format(const struct ctl *ctl, struct plan_wish *wish)
{
	static const char *const formats[] = { "zone", "nsupdate", "table" };
	const char *format = ctl_option(ctl, "format");

	wish->format = format;
	if (format == NULL)
		return CTL_EXIT_OK;
	if (ctl->json)
		return ctl_misused(ctl, "--format and --json don't go together: choose one");
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(format, formats[i]) == 0)
			return CTL_EXIT_OK;
	return ctl_misused(ctl, "--format is zone, nsupdate or table");
}

static int take_ttl(const struct ctl *ctl, struct plan_wish *wish)
{
	const char *ttl = ctl_option(ctl, "ttl");

	if (ttl == NULL || (duration_parse(ttl, &wish->ttl) && wish->ttl >= PLAN_TTL_LEAST &&
			    wish->ttl <= PLAN_TTL_MOST))
		return CTL_EXIT_OK;
	return ctl_misused(ctl,
			   "--ttl takes a duration from 300s to 1d: shorter ones cost a question "
			   "for every mail and don't outlive a failure of your DNS, longer ones "
			   "make each change slow");
}

static int take_wish(const struct ctl *ctl, struct plan_wish *wish, const char *domain)
{
	const char *primary = ctl_option(ctl, "primary");
	int code = take_format(ctl, wish);

	if (code == CTL_EXIT_OK)
		code = take_ttl(ctl, wish);
	if (code != CTL_EXIT_OK)
		return code;
	if (!idna_domain_to_ascii(domain, wish->domain, sizeof(wish->domain)))
		return ctl_misused(ctl, "\"%s\" is no domain name", domain);
	if (primary != NULL && !take_name(primary, strlen(primary), wish->primary))
		return ctl_misused(ctl,
				   "--primary: \"%s\" is no host name that can be looked up, such "
				   "as mx1.example.org",
				   primary);
	for (size_t i = 0; i < ctl->several_count && code == CTL_EXIT_OK; i++)
		code = take_backup(ctl, wish, ctl->several[i]);
	return code;
}

/* ---- the run ---- */

static int show(const struct ctl *ctl, const struct plan *plan,
		const struct plan_gathered *gathered, const struct plan_wish *wish)
{
	char message[2048];
	json_t *result;

	if (ctl->json) {
		result = plan_to_json(plan, gathered);
		ctl_print_json(ctl, result);
		json_decref(result);
	} else if (plan->obstacle == PLAN_NO_OBSTACLE) {
		plan_print(plan, gathered, wish);
	} else {
		plan_say_obstacle(plan, &gathered->facts, message, sizeof(message));
		ctl_fail(ctl, CTL_EXIT_NO, message);
	}
	return plan->obstacle == PLAN_NO_OBSTACLE ? CTL_EXIT_OK : CTL_EXIT_NO;
}

/* With errors in it the configuration doesn't say who we are. The default one need not be there,
 * nor be readable for this user. */
static int check_usable(const struct ctl *ctl, const struct check *check,
			const struct plan_wish *wish)
{
	char name[MAIL_DOMAIN_MAX + 1], message[CTL_PROBLEM_MAX];
	const char *own = check_host_name(check);

	if (check->config_errors.count > 0 && ctl->config_path != NULL)
		return ctl_fail(ctl, CTL_EXIT_NO, check->config_errors.lines[0]);
	if (check->config_errors.count > 0 && !ctl->json)
		fprintf(stderr, "backupmxctl: %s; going by the defaults\n",
			check->config_errors.lines[0]);
	if (wish->backup_count > 0 || take_name(own, strlen(own), name))
		return CTL_EXIT_OK;
	snprintf(message, sizeof(message),
		 "this host calls itself \"%s\", which is no name for MX records; give a full one "
		 "by my_names, or by --backup NAME=ADDRESS",
		 own);
	return ctl_fail(ctl, CTL_EXIT_NO, message);
}

static int run(const struct ctl *ctl, struct check *check, const struct plan_wish *wish)
{
	struct plan_gathered gathered;
	struct plan plan;
	char problem[CTL_PROBLEM_MAX] = "";
	int code = check_usable(ctl, check, wish);

	if (code != CTL_EXIT_OK)
		return code;
	if (plan_gather(&gathered, check, wish, problem)) {
		plan_make(&plan, &gathered.facts);
		code = show(ctl, &plan, &gathered, wish);
		plan_fini(&plan);
	} else {
		code = ctl_fail(ctl, CTL_EXIT_NO, problem);
	}
	plan_gathered_fini(&gathered);
	return code;
}

int ctl_plan(struct ctl *ctl, int argc, char **argv)
{
	struct check_options options = { .config_path = ctl->config_path };
	struct plan_wish *wish = memory_alloc(sizeof(*wish));
	int code = take_wish(ctl, wish, argc > 1 ? argv[1] : "");
	struct check *check;

	if (code != CTL_EXIT_OK)
		goto out;
	check = check_new(&options, NULL);
	if (check != NULL) {
		code = run(ctl, check, wish);
		check_free(check);
	} else {
		code = ctl_fail(ctl, CTL_EXIT_NO, "the resolver or TLS could not be started");
	}
out:
	free(wish);
	return code;
}
