/* SPDX-License-Identifier: BSD-2-Clause */
/* "status": a table of all domains, those in trouble first, or one domain's page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/terminal.h"

const char *ctl_domain_state(const json_t *domain)
{
	return ctl_flag(domain, "recovering") ? "up (recovering)" : ctl_string(domain, "state");
}

/* ---- order ---- */

/* Those that want somebody's attention come first. */
static const char *const order[] = { "down",	  "sick",    "not-backup", "forced-down",
				     "forced-up", "unknown", "up" };
#define ORDER_COUNT (sizeof(order) / sizeof(order[0]))

static size_t rank_of(const json_t *domain)
{
	const char *state = ctl_string(domain, "state");

	for (size_t i = 0; i < ORDER_COUNT; i++)
		if (strcmp(state, order[i]) == 0)
			return i * 2 + !ctl_flag(domain, "recovering");
	return 0;
}

struct ranked {
	size_t rank;
	size_t place; /* as the daemon told them: by name */
	const json_t *domain;
};

static int compare_ranks(const void *left, const void *right)
{
	const struct ranked *a = left;
	const struct ranked *b = right;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return a->place < b->place ? -1 : a->place > b->place;
}

static struct ranked *rank_all(const json_t *domains)
{
	struct ranked *ranked = memory_array(json_array_size(domains) + 1, sizeof(*ranked));
	json_t *domain;
	size_t i;

	json_array_foreach(domains, i, domain)
		ranked[i] = (struct ranked){ rank_of(domain), i, domain };
	qsort(ranked, json_array_size(domains), sizeof(*ranked), compare_ranks);
	return ranked;
}

/* ---- the table ---- */

static void add_endpoints(struct terminal_table *table, const json_t *domain)
{
	const json_t *endpoints = json_object_get(domain, "endpoints");
	json_t *endpoint;
	size_t i, up = 0;

	json_array_foreach(endpoints, i, endpoint)
		up += strcmp(ctl_string(endpoint, "state"), "up") == 0;
	if (json_array_size(endpoints) == 0)
		terminal_table_add(table, TERMINAL_FAINT, "none");
	else
		terminal_table_add_format(table, TERMINAL_PLAIN, "%zu/%zu up", up,
					  json_array_size(endpoints));
}

/* Why it is what it is; or why its state may be old. */
static void add_reason(struct terminal_table *table, const json_t *domain)
{
	long long until = ctl_time(domain, "forced_until");
	char span[32];

	if (until != 0)
		terminal_table_add_format(
			table, TERMINAL_PLAIN, "for %s more",
			ctl_span(until - (long long)time(NULL), span, sizeof(span)));
	else if (ctl_flag(domain, "asleep"))
		terminal_table_add(table, TERMINAL_FAINT, "asleep");
	else if (strcmp(ctl_string(domain, "state"), "not-backup") == 0 &&
		 strcmp(ctl_string(domain, "reason"), "ok") == 0)
		terminal_table_add(table, TERMINAL_PLAIN,
				   ctl_say_standing_briefly(ctl_string(domain, "mx")));
	else
		terminal_table_add(table, TERMINAL_PLAIN, ctl_string(domain, "reason"));
}

static void add_domain(struct terminal_table *table, const json_t *domain)
{
	char ago[48];

	terminal_table_add(table, TERMINAL_PLAIN, ctl_string(domain, "domain"));
	terminal_table_add(table,
			   ctl_flag(domain, "recovering")
				   ? TERMINAL_UNSURE
				   : terminal_tone_of_state(ctl_string(domain, "state")),
			   ctl_domain_state(domain));
	terminal_table_add(table, TERMINAL_PLAIN, ctl_ago(domain, "since", ago, sizeof(ago)));
	add_endpoints(table, domain);
	add_reason(table, domain);
}

static void print_table(const struct terminal *terminal, const json_t *domains)
{
	static const struct terminal_column columns[] = {
		{ .title = "DOMAIN", .least = 16 },
		{ .title = "STATE" },
		{ .title = "SINCE" },
		{ .title = "ENDPOINTS" },
		{ .title = "REASON", .least = 12 },
	};
	struct terminal_table *table =
		terminal_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	struct ranked *ranked = rank_all(domains);

	for (size_t i = 0; i < json_array_size(domains); i++)
		add_domain(table, ranked[i].domain);
	terminal_table_print(table, terminal, 0);
	terminal_table_free(table);
	free(ranked);
}

/* "3 domains: 2 up, 1 down". */
static void print_summary(const struct terminal *terminal, const json_t *domains)
{
	size_t count = json_array_size(domains);
	size_t asleep = 0;
	char line[256];
	TEXT_ON(text, line);
	json_t *domain;
	size_t i;

	text_add_format(&text, "%zu domain%s:", count, count == 1 ? "" : "s");
	for (size_t state = ORDER_COUNT; state-- > 0;) {
		size_t in_state = 0;

		json_array_foreach(domains, i, domain)
			in_state += strcmp(ctl_string(domain, "state"), order[state]) == 0;
		if (in_state > 0)
			text_add_format(&text, "%s %zu %s",
					text.start[text.length - 1] == ':' ? "" : ",", in_state,
					order[state]);
	}
	json_array_foreach(domains, i, domain)
		asleep += ctl_flag(domain, "asleep");
	if (asleep > 0)
		text_add_format(&text, "; %zu asleep", asleep);
	terminal_paragraph(terminal, "", line);
}

static void print_all(const struct terminal *terminal, const json_t *domains)
{
	if (json_array_size(domains) == 0) {
		terminal_paragraph(terminal, "",
				   "no domain yet: one is learned when mail for it comes "
				   "(domains_from_mta), or write [domain \"example.org\"] into the "
				   "configuration");
		return;
	}
	print_table(terminal, domains);
	fputc('\n', terminal->out);
	print_summary(terminal, domains);
}

/* ---- the command ---- */

/* What holds for all of them. */
static void print_notes(const struct terminal *terminal, const json_t *result)
{
	if (ctl_flag(result, "isolated"))
		terminal_paragraph(terminal, "ISOLATED: ",
				   "neither primaries nor references answer this host: it is its "
				   "own uplink, and states stay as they were");
	if (strcmp(ctl_string(result, "mode"), "shadow") == 0)
		terminal_paragraph(terminal, "SHADOW MODE: ",
				   "decisions are only logged, and all mail is left alone "
				   "([milter] mode = shadow)");
	if (ctl_flag(result, "isolated") || strcmp(ctl_string(result, "mode"), "shadow") == 0)
		fputc('\n', terminal->out);
}

int ctl_status(struct ctl *ctl, int argc, char **argv)
{
	struct terminal terminal;
	json_t *request;
	json_t *result;
	const json_t *domains;
	int code;

	request =
		json_pack("{s:s, s:s*}", "command", "status", "domain", argc == 2 ? argv[1] : NULL);
	code = ctl_ask(ctl, request, &result);
	if (result == NULL || ctl_print_json(ctl, result))
		goto out;
	terminal_init(&terminal, stdout);
	domains = json_object_get(result, "domains");
	print_notes(&terminal, result);
	if (argc == 2)
		ctl_print_domain(&terminal, json_array_get(domains, 0));
	else
		print_all(&terminal, domains);
out:
	json_decref(result);
	return code;
}
