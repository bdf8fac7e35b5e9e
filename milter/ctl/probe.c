/* SPDX-License-Identifier: BSD-2-Clause */
/* "probe": what a domain's primaries say, right now. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/terminal.h"

#define PATIENCE    240 /* connect, banner, EHLO, STARTTLS, TLS, EHLO: each has its time limit */
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const char *sign_of(const char *what)
{
	if (strcmp(what, "sent") == 0)
		return "->";
	return strcmp(what, "received") == 0 ? "<-" : "--";
}

/* Words that aren't the peer's say what they are about. */
static void say_step(const json_t *step, struct text *say)
{
	static const struct {
		const char *what, *says;
	} words[] = { { "tls", "TLS stands: " }, { "closed", "closed: " } };
	const char *what = ctl_string(step, "what");
	const char *text = ctl_string(step, "text");

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (strcmp(what, words[i].what) == 0)
			text_add(say, words[i].says);
	if (strcmp(what, "connect") == 0 && strcmp(text, "connected") != 0)
		text_add(say, "connect ");
	text_add(say, text);
}

static void print_step(const struct terminal *terminal, const json_t *step)
{
	char first[64];
	char line[1024];
	TEXT_ON(say, line);

	say_step(step, &say);
	snprintf(first, sizeof(first), "%7lld ms %s ", ctl_number(step, "ms"),
		 sign_of(ctl_string(step, "what")));
	terminal_paragraph(terminal, first, line);
}

static void say_sets(const json_t *sets, struct text *say)
{
	const json_t *set;
	size_t i;

	if (json_array_size(sets) == 0)
		text_add(say, "it is this host itself");
	json_array_foreach(sets, i, set)
		text_add_format(say, "%s%s", i > 0 ? ", " : "", json_string_value(set));
}

static void print_endpoint(const struct terminal *terminal, const json_t *endpoint)
{
	const char *host = ctl_string(endpoint, "host");
	const char *result = ctl_string(endpoint, "result");
	const json_t *step;
	char line[1024];
	TEXT_ON(say, line);
	size_t i;

	text_add_format(&say, "%s%s%s (", host, host[0] != '\0' ? " " : "",
			ctl_string(endpoint, "endpoint"));
	say_sets(json_object_get(endpoint, "sets"), &say);
	text_add_char(&say, ')');
	terminal_paragraph(terminal, "", line);
	json_array_foreach(json_object_get(endpoint, "steps"), i, step)
		print_step(terminal, step);
	fputs("  result: ", terminal->out);
	terminal_print(terminal, strcmp(result, "ok") == 0 ? TERMINAL_GOOD : TERMINAL_BAD, result);
	fprintf(terminal->out, " after %lld ms\n\n", ctl_number(endpoint, "ms"));
}

static void print_dialogues(const json_t *result)
{
	const json_t *endpoint;
	struct terminal terminal;
	char line[512];
	TEXT_ON(say, line);
	size_t i;

	terminal_init(&terminal, stdout);
	json_array_foreach(json_object_get(result, "endpoints"), i, endpoint)
		print_endpoint(&terminal, endpoint);
	if (ctl_number(result, "left_out") > 0)
		text_add_format(&say, "%lld more endpoints were left out\n",
				ctl_number(result, "left_out"));
	text_add_format(&say, "%s: %s primary is fit to take mail", ctl_string(result, "domain"),
			ctl_flag(result, "ok") ? "a" : "no");
	if (ctl_flag(result, "ok") && strcmp(ctl_string(result, "state"), "sick") == 0)
		text_add(&say, "; all the same it is sick: it refuses recipients, and a probe asks "
			       "for none");
	terminal_paragraph(&terminal, "", line);
}

int ctl_probe(struct ctl *ctl, int argc, char **argv)
{
	json_t *result;
	int code;

	(void)argc;
	ctl->patience = PATIENCE;
	code = ctl_ask(ctl, json_pack("{s:s, s:s}", "command", "probe", "domain", argv[1]),
		       &result);
	if (result != NULL && !ctl_print_json(ctl, result))
		print_dialogues(result);
	json_decref(result);
	return code;
}
