/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands that change something: reload, flush. Loop thread only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "control/control.h"
#include "io/idna.h"

static json_t *words_to_json(char *list)
{
	json_t *array = json_array();
	char *rest = list;
	char *word;

	while ((word = strtok_r(rest, ", ", &rest)) != NULL)
		json_array_append_new(array, json_string(word));
	return array;
}

/* The settings are in force, and yet somebody's list may not be. */
static json_t *refused_lists(struct gate *gate)
{
	struct config *config = gate_config(gate);
	json_t *refused = json_object();

	for (size_t i = 0; i < config->domain_count; i++) {
		const char *domain = config->domain[i].name;
		const char *why = recipients_list_refusal(gate->recipients, domain);

		if (why != NULL)
			json_object_set_new(refused, domain, json_string(why));
	}
	config_put(config);
	return refused;
}

void control_reload_now(struct control_call *call)
{
	const struct control_settings *settings = control_settings_of(call);
	struct config_errors errors = { .lines = NULL };
	char restart_keys[1024] = "";
	char text[4096];
	size_t length = 0;

	if (settings->reload(settings->reload_arg, control_flag(call, "force"), &errors,
			     restart_keys, sizeof(restart_keys))) {
		json_t *refused = refused_lists(settings->gate);
		const char *problem = settings->http_problem(settings->reload_arg);
		bool all = json_object_size(refused) == 0 && problem == NULL;

		control_answer(call, all ? CONTROL_OK : CONTROL_NO,
			       json_pack("{s:b, s:o, s:o, s:s?}", "reloaded", 1, "restart_needed",
					 words_to_json(restart_keys), "refused_lists", refused,
					 "http_problem", problem));
	} else {
		text[0] = '\0';
		for (size_t i = 0; i < errors.count && length < sizeof(text) - 1; i++) {
			int added = snprintf(text + length, sizeof(text) - length, "%s%s",
					     i > 0 ? "\n" : "", errors.lines[i]);

			if (added < 0 || (size_t)added >= sizeof(text) - length)
				break;
			length += (size_t)added;
		}
		control_fail(call, CONTROL_NO, "the old settings stay:\n%s", text);
	}
	config_errors_fini(&errors);
}

struct flush_call {
	struct control_call *call;
	char domain[MAIL_DOMAIN_MAX + 1];
};

static void flushed(void *arg, const struct flush_result *result)
{
	struct flush_call *flush = arg;
	bool by_command = strcmp(result->method, "command") == 0;

	if (result->why == NULL)
		control_answer(flush->call, result->taken ? CONTROL_OK : CONTROL_NO,
			       json_pack("{s:s, s:s, s:i, s:s}", "domain", flush->domain, "method",
					 result->method, by_command ? "status" : "reply",
					 result->code, "text", result->text));
	else if (strcmp(result->method, "none") == 0)
		control_fail(flush->call, CONTROL_NO, "%s", result->why);
	else if (by_command)
		control_fail(flush->call, CONTROL_NO,
			     "the command of [flush] did not do it: %s%s%s", result->why,
			     result->text[0] != '\0' ? ": " : "", result->text);
	else
		control_fail(flush->call, CONTROL_NO, "the MTA can't be reached: %s", result->why);
	free(flush);
}

void control_flush(struct control_call *call)
{
	const struct control_settings *settings = control_settings_of(call);
	const char *wanted = control_string(call, "domain", "");
	struct flush_call *flush;
	char name[MAIL_DOMAIN_MAX + 1];

	if (wanted[0] == '\0') {
		control_fail(call, CONTROL_USAGE, "flush needs a domain");
		return;
	}
	if (!idna_domain_to_ascii(wanted, name, sizeof(name)) ||
	    domains_find(settings->gate->domains, name) == NULL) {
		control_fail(call, CONTROL_NO, "%s is no domain of ours", wanted);
		return;
	}
	flush = memory_alloc(sizeof(*flush));
	flush->call = call;
	memcpy(flush->domain, name, sizeof(flush->domain));
	if (!flush_now(settings->flush, name, flushed, flush)) {
		control_fail(call, CONTROL_NO, "flushing is off: [flush] method = none");
		free(flush);
	}
}
