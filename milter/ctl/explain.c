/* SPDX-License-Identifier: BSD-2-Clause */
/* "explain": what would be said to a recipient, and every input of that. */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ctl/ctl.h"

/* Some of them were typed by somebody: no control characters reach the terminal. */
static void print_value(const char *value)
{
	char shown[512];
	TEXT_ON(text, shown);

	text_add_printable(&text, value, strlen(value));
	puts(shown[0] != '\0' ? shown : "-");
}

static void print_inputs(const json_t *inputs)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)inputs, key, value) {
		printf("  %-16s", key);
		if (json_is_string(value))
			print_value(json_string_value(value));
		else if (json_is_integer(value))
			printf("%lld\n", (long long)json_integer_value(value));
		else
			puts(json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
	}
}

static void print_explanation(const json_t *result)
{
	if (json_is_null(json_object_get(result, "code")))
		printf("%s: nothing is said", ctl_string(result, "action"));
	else
		printf("%s: %lld %s %s", ctl_string(result, "action"), ctl_number(result, "code"),
		       ctl_string(result, "xcode"), ctl_string(result, "text"));
	printf("\nrow %lld of the decision table, reason %s\n", ctl_number(result, "row"),
	       ctl_string(result, "reason"));
	print_inputs(json_object_get(result, "inputs"));
}

int ctl_explain(struct ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{ "client", required_argument, NULL, 'c' },
		{ "name", required_argument, NULL, 'n' },
		{ "from", required_argument, NULL, 'f' },
		{ "auth", no_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	json_t *request = json_pack("{s:s}", "command", "explain");
	json_t *result;
	int option;
	int code;

	optind = 0; /* the main program's getopt has run before */
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'c')
			json_object_set_new(request, "client", json_string(optarg));
		else if (option == 'n')
			json_object_set_new(request, "name", json_string(optarg));
		else if (option == 'f')
			json_object_set_new(request, "from", json_string(optarg));
		else if (option == 'a')
			json_object_set_new(request, "auth", json_true());
		else
			goto usage;
	}
	if (optind != argc - 1)
		goto usage;
	json_object_set_new(request, "recipient", json_string(argv[optind]));
	code = ctl_ask(ctl, request, &result);
	if (result != NULL && !ctl_print_json(ctl, result))
		print_explanation(result);
	json_decref(result);
	return code;
usage:
	json_decref(request);
	return ctl_wrong_usage(ctl, argv[0]);
}
