/* SPDX-License-Identifier: BSD-2-Clause */
/* Is the program itself in order: its configuration, the daemon, its mode? */
#include <string.h>

#include "check/groups.h"

static const struct check_rule config_rule = {
	"config",
	"the ini file is there and has no errors",
	"Without it, or with errors in it, the daemon doesn't start; a reload keeps the old "
	"settings.",
};

static const struct check_rule daemon_rule = {
	"daemon",
	"the daemon runs and answers",
	"While it doesn't run, mail gets what the MTA's milter_default_action says, and nobody "
	"watches the primary.",
};

static const struct check_rule mode_rule = {
	"mode",
	"decisions are carried out",
	"In shadow mode decisions are only logged: this host takes all mail as it would without "
	"the milter.",
};

static const struct check_rule reference_rule = {
	"reference",
	"the daemon can tell its own isolation from an outage",
	"When this host's own uplink fails, every primary seems to be down. With a host of "
	"somebody else's to compare, that is told apart: one notice instead of many, and no false "
	"outages in the report.",
};

/* A daemon that answers has another file, or had this one when it was started. */
static void missing_judge(struct check *check)
{
	if (check->status != NULL) {
		check_add(check->findings, &config_rule, CHECK_WARNING, NULL,
			  "there is no %s, though the daemon runs", CONFIG_DEFAULT_PATH);
		check_mend(check->findings,
			   "# if it was started with another file, name that: backupmxctl -c FILE "
			   "check; else:");
	} else {
		check_add(check->findings, &config_rule, CHECK_ERROR, NULL,
			  "there is no %s: without it the daemon doesn't start",
			  CONFIG_DEFAULT_PATH);
		check_mend(check->findings,
			   "# an empty one will do, as all settings have good defaults:");
	}
	check_mend(check->findings, "install -D -m 644 /dev/null %s", CONFIG_DEFAULT_PATH);
}

static void config_judge(struct check *check)
{
	const struct config_errors *errors = &check->config_errors;

	if (!check->config_found) {
		missing_judge(check);
		return;
	}
	if (errors->count == 0) {
		check_add(check->findings, &config_rule, CHECK_OK, NULL, "%s has no errors",
			  check_config_path(check));
		return;
	}
	for (size_t i = 0; i < errors->count; i++)
		check_add(check->findings, &config_rule, CHECK_ERROR, NULL, "%s", errors->lines[i]);
	check_mend(check->findings, "backupmx-milter -t -c %s", check_config_path(check));
	check_mend(check->findings, "# what follows looks at the defaults instead");
}

static void daemon_judge(struct check *check)
{
	size_t domains = json_array_size(json_object_get(check->status, "domains"));

	if (check->status != NULL) {
		check_add(check->findings, &daemon_rule, CHECK_OK, NULL,
			  "version %s answers, with %zu domain%s",
			  json_string_value(json_object_get(check->status, "version")), domains,
			  domains == 1 ? "" : "s");
		return;
	}
	if (check->options.daemon_forbidden) {
		check_unseen(check->findings, &daemon_rule, NULL, "%s",
			     check->options.daemon_problem);
		return;
	}
	check_add(check->findings, &daemon_rule, CHECK_ERROR, NULL, "%s",
		  check->options.daemon_problem);
	check_mend(check->findings, "systemctl enable --now backupmx-milter");
	check_mend(check->findings, "# or by hand: backupmx-milter -c %s",
		   check_config_path(check));
}

static void mode_judge(struct check *check)
{
	const char *mode = json_string_value(json_object_get(check->status, "mode"));
	bool is_shadow = mode != NULL ? strcmp(mode, "shadow") == 0
				      : check->config->milter.mode == CONFIG_MODE_SHADOW;

	if (!is_shadow) {
		check_add(check->findings, &mode_rule, CHECK_OK, NULL, "mode = enforce");
		return;
	}
	check_add(check->findings, &mode_rule, CHECK_WARNING, NULL, "mode = shadow");
	check_mend(check->findings, "# in %s, section [milter]:", check_config_path(check));
	check_mend(check->findings, "mode = enforce");
	check_mend(check->findings, "backupmxctl reload");
}

static void reference_judge(struct check *check)
{
	size_t count = check->config->reference.count;

	if (count > 0) {
		check_add(check->findings, &reference_rule, CHECK_OK, NULL,
			  "%zu reference%s configured", count, count == 1 ? " is" : "s are");
		return;
	}
	check_add(check->findings, &reference_rule, CHECK_NOTE, NULL, "no reference is configured");
	check_mend(check->findings,
		   "# in %s, section [probe]: a host that is always reachable and "
		   "isn't the primary, as your provider's mail relay",
		   check_config_path(check));
	check_mend(check->findings, "reference = {mail.provider.example:25}");
}

static const struct check_rule *const rules[] = { &config_rule, &daemon_rule, &mode_rule,
						  &reference_rule, NULL };

static void run(struct check *check)
{
	config_judge(check);
	daemon_judge(check);
	mode_judge(check);
	reference_judge(check);
}

const struct check_group check_group_setup = { "This program", rules, run };
