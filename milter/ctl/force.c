/* SPDX-License-Identifier: BSD-2-Clause */
/* "force": overrides a state. */
#include <stdio.h>

#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/terminal.h"

static void print_forced(const json_t *result)
{
	bool forced = json_is_string(json_object_get(result, "forced_until"));
	const char *domain = ctl_string(result, "domain");
	struct terminal terminal;
	char line[1024];
	TEXT_ON(text, line);

	text_add_format(&text, "%s is %s", domain, ctl_string(result, "state"));
	if (forced)
		text_add_format(&text,
				" until %s. The probes say %s; they decide again after that, or "
				"after: backupmxctl force %s auto",
				ctl_string(result, "forced_until"), ctl_string(result, "seen"),
				domain);
	else
		text_add_format(&text, ", as the probes say (%s)", ctl_string(result, "reason"));
	terminal_init(&terminal, stdout);
	terminal_paragraph(&terminal, "", line);
}

int ctl_force(struct ctl *ctl, int argc, char **argv)
{
	json_t *result;
	int code;

	(void)argc;
	code = ctl_ask(ctl,
		       json_pack("{s:s, s:s, s:s, s:s*}", "command", "force", "domain", argv[1],
				 "state", argv[2], "for", ctl_option(ctl, "for")),
		       &result);
	if (result != NULL && !ctl_print_json(ctl, result))
		print_forced(result);
	json_decref(result);
	return code;
}
