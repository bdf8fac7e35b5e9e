/* SPDX-License-Identifier: BSD-2-Clause */
/* "status DOMAIN": all that is known of one. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/terminal.h"

#define LABEL_WIDTH 18
#define VALUE_SIZE  4096
/* " is up (recovering) since 2026-11-23T13:05:00Z (119 min ago)" */
#define HEADLINE_MAX 61

static void field(const struct terminal *terminal, const char *label, const char *value)
{
	terminal_field(terminal, LABEL_WIDTH, label, TERMINAL_PLAIN, value);
}

/* ---- how it is ---- */

static void print_headline(const struct terminal *terminal, const json_t *domain)
{
	const char *state = ctl_domain_state(domain);
	const char *name = ctl_string(domain, "domain");
	char ago[48];

	if (strlen(name) + HEADLINE_MAX > terminal->width) {
		terminal_paragraph(terminal, "", name);
		fputs("is ", terminal->out);
	} else {
		terminal_print(terminal, TERMINAL_STRONG, name);
		fputs(" is ", terminal->out);
	}
	terminal_print(terminal, terminal_tone_of_state(ctl_string(domain, "state")), state);
	if (ctl_time(domain, "since") != 0)
		fprintf(terminal->out, " since %s (%s)", ctl_string(domain, "since"),
			ctl_ago(domain, "since", ago, sizeof(ago)));
	fputs("\n\n", terminal->out);
}

/* The states that their words don't explain. */
static const char *meaning_of(const json_t *domain)
{
	const char *state = ctl_string(domain, "state");

	if (ctl_flag(domain, "recovering"))
		return "it came back lately: senders aren't sent there yet, their mail is still "
		       "taken";
	if (strcmp(state, "sick") == 0 &&
	    strcmp(ctl_string(domain, "reason"), "canary-refused") == 0)
		return "the primary refuses people it accepted lately (the log's \"canary:\" "
		       "lines say what it said): senders are told to come again, until it "
		       "accepts them";
	if (strcmp(state, "sick") == 0)
		return "the primary answers, but refuses EHLO and HELO: senders are told to come "
		       "again, until it doesn't";
	if (strcmp(state, "not-backup") == 0)
		return "the milter says nothing to its mail: there is no primary to send anybody "
		       "to, nor to ask";
	if (strcmp(state, "unknown") == 0)
		return "nothing was probed yet: it counts as down";
	return NULL;
}

static void print_reason(const struct terminal *terminal, const json_t *domain)
{
	const char *reason = ctl_string(domain, "reason");
	const char *words = ctl_say_reason(reason);
	const char *meaning = meaning_of(domain);
	char value[VALUE_SIZE];

	/* of one that isn't probed no probe says anything */
	if (strcmp(ctl_string(domain, "state"), "not-backup") != 0 || words != NULL) {
		snprintf(value, sizeof(value), "%s%s%s%s", reason, words != NULL ? " (" : "",
			 words != NULL ? words : "", words != NULL ? ")" : "");
		field(terminal, ctl_time(domain, "forced_until") != 0 ? "probes say" : "reason",
		      value);
	}
	if (meaning != NULL)
		field(terminal, "that means", meaning);
}

static void print_force(const struct terminal *terminal, const json_t *domain)
{
	long long until = ctl_time(domain, "forced_until");
	char value[VALUE_SIZE];
	char span[32];

	if (until == 0)
		return;
	snprintf(value, sizeof(value), "until %s (%s more); it ends by: backupmxctl force %s auto",
		 ctl_string(domain, "forced_until"),
		 ctl_span(until - (long long)time(NULL), span, sizeof(span)),
		 ctl_string(domain, "domain"));
	field(terminal, "forced", value);
}

/* ---- what it is ---- */

static void print_source(const struct terminal *terminal, const json_t *domain)
{
	static const struct {
		const char *source;
		const char *what;
	} sources[] = {
		{ "configured", "configured" },
		{ "subdomain", "a subdomain of a configured one" },
		{ "learned", "learned from the MTA" },
	};
	const char *source = ctl_string(domain, "source");
	char value[VALUE_SIZE];

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		if (strcmp(source, sources[i].source) == 0)
			source = sources[i].what;
	snprintf(value, sizeof(value), "%s%s", source,
		 ctl_flag(domain, "asleep") ? "; asleep: nobody has asked for it in a day" : "");
	field(terminal, "source", value);
}

static void print_list(const struct terminal *terminal, const char *label, const json_t *array)
{
	char value[VALUE_SIZE];
	TEXT_ON(text, value);
	json_t *item;
	size_t i;

	json_array_foreach(array, i, item)
		text_add_format(&text, "%s%s", i > 0 ? ", " : "", json_string_value(item));
	field(terminal, label, json_array_size(array) > 0 ? value : "none");
}

static void print_sets(const struct terminal *terminal, const json_t *domain)
{
	const char *standing = ctl_say_standing(ctl_string(domain, "mx"));

	field(terminal, "our MX place", standing != NULL ? standing : ctl_string(domain, "mx"));
	print_list(terminal, "senders' set", json_object_get(domain, "senders_set"));
	print_list(terminal, "forwarding set", json_object_get(domain, "forwarding_set"));
}

/* ---- endpoints ---- */

/* Most are where senders go and where we deliver. */
static const char *set_of(const json_t *endpoint)
{
	const json_t *sets = json_object_get(endpoint, "sets");

	if (json_array_size(sets) == 2)
		return "";
	if (json_array_size(sets) == 0)
		return "is ourselves";
	return strcmp(json_string_value(json_array_get(sets, 0)), "senders") == 0
		       ? "senders only"
		       : "forwarding only";
}

static void print_endpoints(const struct terminal *terminal, const json_t *endpoints)
{
	static const struct terminal_column columns[] = {
		{ .title = "ENDPOINT", .least = 18 },
		{ .title = "STATE" },
		{ .title = "SINCE" },
		{ .title = "PROBED" },
		{ .title = "REASON", .least = 8 },
		{ .title = "SET", .least = 4 },
	};
	struct terminal_table *table;
	json_t *endpoint;
	size_t i;

	if (json_array_size(endpoints) == 0)
		return;
	table = terminal_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(endpoints, i, endpoint) {
		const char *state = ctl_string(endpoint, "state");
		const char *set = set_of(endpoint);
		char ago[48];

		terminal_table_add(table, TERMINAL_PLAIN, ctl_string(endpoint, "endpoint"));
		terminal_table_add(table, terminal_tone_of_state(state), state);
		terminal_table_add(table, TERMINAL_PLAIN,
				   ctl_ago(endpoint, "since", ago, sizeof(ago)));
		terminal_table_add(table, TERMINAL_PLAIN,
				   ctl_ago(endpoint, "last_probe", ago, sizeof(ago)));
		terminal_table_add(table, TERMINAL_PLAIN,
				   json_is_null(json_object_get(endpoint, "last_probe"))
					   ? "-"
					   : ctl_string(endpoint, "reason"));
		terminal_table_add(table, TERMINAL_FAINT, set[0] != '\0' ? set : "both");
	}
	fputc('\n', terminal->out);
	terminal_table_print(table, terminal, 2);
	fputc('\n', terminal->out);
	terminal_table_free(table);
}

/* ---- what was known and done ---- */

static void print_memory(const struct terminal *terminal, const json_t *recipients)
{
	const json_t *coverage = json_object_get(recipients, "coverage");
	char value[VALUE_SIZE];

	snprintf(value, sizeof(value), "%lld valid, %lld invalid%s",
		 ctl_number(recipients, "valid"), ctl_number(recipients, "invalid"),
		 ctl_flag(recipients, "catch_all") ? "; catch-all: any address is taken there"
						   : "");
	field(terminal, "recipients", value);
	if (!json_is_number(coverage)) {
		field(terminal, "coverage", "nobody has asked for anyone yet");
		return;
	}
	snprintf(value, sizeof(value),
		 "%.0f %% of those asked for in 30 days were known, or are now",
		 json_number_value(coverage) * 100);
	field(terminal, "coverage", value);
}

static void print_counters(const struct terminal *terminal, const json_t *counters)
{
	char value[VALUE_SIZE];

	snprintf(value, sizeof(value), "%lld accepted, %lld deferred, %lld rejected",
		 ctl_number(counters, "accept"), ctl_number(counters, "defer"),
		 ctl_number(counters, "reject"));
	field(terminal, "decisions", value);
	if (ctl_number(counters, "mails_since_down") > 0)
		snprintf(value, sizeof(value), "%lld taken since it went down, not flushed yet",
			 ctl_number(counters, "mails_since_down"));
	else
		snprintf(value, sizeof(value), "none that waits to be flushed");
	field(terminal, "mails", value);
}

void ctl_print_domain(const struct terminal *terminal, const json_t *domain)
{
	print_headline(terminal, domain);
	print_reason(terminal, domain);
	print_force(terminal, domain);
	print_source(terminal, domain);
	print_sets(terminal, domain);
	print_endpoints(terminal, json_object_get(domain, "endpoints"));
	print_memory(terminal, json_object_get(domain, "recipients"));
	print_counters(terminal, json_object_get(domain, "counters"));
}
