/* SPDX-License-Identifier: BSD-2-Clause */
/* "reload", "flush", "metrics", "version". */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "ctl/ctl.h"

static int ask_and_print(struct ctl *ctl, json_t *request, void (*print)(const json_t *result))
{
	json_t *result;
	int code = ctl_ask(ctl, request, &result);

	if (result != NULL && !ctl_print_json(ctl, result))
		print(result);
	json_decref(result);
	return code;
}

static void print_reload(const json_t *result)
{
	const char *domain;
	json_t *key;
	size_t i;

	puts("the new settings are in force");
	json_array_foreach(json_object_get(result, "restart_needed"), i, key)
		printf("%s has changed too: that needs a restart\n", json_string_value(key));
	json_object_foreach(json_object_get(result, "refused_lists"), domain, key)
		fprintf(stderr, "backupmxctl: recipients_file of %s was not taken: %s\n", domain,
			json_string_value(key));
	if (json_is_string(json_object_get(result, "http_problem")))
		fprintf(stderr, "backupmxctl: [http] listen is not in force: %s\n",
			ctl_string(result, "http_problem"));
}

int ctl_reload(struct ctl *ctl, int argc, char **argv)
{
	bool force = ctl_option(ctl, "force") != NULL;

	(void)argc;
	(void)argv;
	return ask_and_print(ctl, json_pack("{s:s, s:b}", "command", "reload", "force", force),
			     print_reload);
}

static void print_flush(const json_t *result)
{
	const char *text = ctl_string(result, "text");

	if (strcmp(ctl_string(result, "method"), "command") == 0)
		printf("%s: the command ended with status %lld%s%s\n", ctl_string(result, "domain"),
		       ctl_number(result, "status"), text[0] != '\0' ? ": " : "", text);
	else
		printf("%s: the MTA said %lld %s\n", ctl_string(result, "domain"),
		       ctl_number(result, "reply"), text);
}

int ctl_flush(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return ask_and_print(ctl, json_pack("{s:s, s:s}", "command", "flush", "domain", argv[1]),
			     print_flush);
}

static void print_metrics(const json_t *result)
{
	fputs(ctl_string(result, "text"), stdout);
}

int ctl_metrics(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return ask_and_print(ctl, json_pack("{s:s}", "command", "metrics"), print_metrics);
}

static void print_version(const json_t *result)
{
	printf("backupmxctl %s\nbackupmx-milter %s\n", PACKAGE_VERSION,
	       ctl_string(result, "version"));
}

int ctl_version(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return ask_and_print(ctl, json_pack("{s:s}", "command", "version"), print_version);
}
