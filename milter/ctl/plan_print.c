/* SPDX-License-Identifier: BSD-2-Clause */
/* A plan as people read it, as lines for a zone file, nsupdate and web forms, and as JSON. One
 * thread. */
#include "ctl/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "core/plan_forms.h"
#include "ctl/terminal.h"

#define SAY_MAX 2048
#define PLAN_TTL_WORDS                                                                             \
	"TTLs: 300 s to 1 day; shorter ones cost a question for every mail and don't outlive a "   \
	"failure of your DNS, longer ones make each change slow."

/* ---- words ---- */

void plan_say_obstacle(const struct plan *plan, const struct plan_facts *facts, char *buffer,
		       size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	text_add_printable(&text, facts->domain.name, strlen(facts->domain.name));
	if (strcmp(plan->hindering, facts->domain.name) != 0) {
		text_add(&text, ": ");
		text_add_printable(&text, plan->hindering, strlen(plan->hindering));
	}
	text_add_format(&text, ": %s", plan_obstacle_text(plan->obstacle));
}

/* "example.org. MX 20 mx2.example.net." */
static void add_record(struct text *text, const struct plan_record *record,
		       const struct plan_value *value)
{
	plan_add_name(text, record->name);
	text_add_format(text, " %s ", plan_type_name(record->type));
	plan_add_value(text, record->type, value);
}

static void add_whys(struct text *text, uint32_t whys)
{
	bool first = true;

	for (int why = 0; why < PLAN_WHYS; why++) {
		if ((whys >> why & 1) == 0)
			continue;
		text_add_format(text, "%s%s",
				first ? "" : "; and: ", plan_why_text((enum plan_why)why));
		first = false;
	}
}

static bool is_same_value(enum plan_type type, const struct plan_value *a,
			  const struct plan_value *b)
{
	return type == PLAN_MX && a->preference == b->preference &&
	       strcmp(a->target, b->target) == 0;
}

/* ---- for people ---- */

static const enum terminal_tone tones[] = {
	[PLAN_KEEP] = TERMINAL_FAINT,
	[PLAN_ADD] = TERMINAL_GOOD,
	[PLAN_CHANGE] = TERMINAL_UNSURE,
	[PLAN_REMOVE] = TERMINAL_BAD,
};

static void print_record(const struct terminal *terminal, const struct plan_record *record)
{
	char line[PLAN_LINE_MAX];
	TEXT_ON(say, line);
	char why[SAY_MAX];
	TEXT_ON(whys, why);
	char first[16];

	add_record(&say, record, record->action == PLAN_ADD ? &record->then : &record->now);
	if (record->action == PLAN_CHANGE &&
	    !is_same_value(record->type, &record->now, &record->then)) {
		text_add(&say, " to ");
		plan_add_value(&say, record->type, &record->then);
	}
	if (record->then.ttl > 0 && record->action != PLAN_REMOVE)
		text_add_format(&say, " (TTL %lld)", (long long)record->then.ttl);
	if (record->elsewhere && record->action != PLAN_KEEP)
		text_add(&say, " in another zone");
	snprintf(first, sizeof(first), "  %-8s", plan_action_name(record->action));
	terminal_marked(terminal, tones[record->action], first, line);
	if (record->action == PLAN_KEEP)
		return;
	add_whys(&whys, record->whys);
	terminal_paragraph(terminal, "          ", why);
}

static void print_title(const struct terminal *terminal, const char *title)
{
	fputc('\n', terminal->out);
	terminal_print(terminal, TERMINAL_STRONG, title);
	fputc('\n', terminal->out);
}

static void print_notes(const struct terminal *terminal, const struct plan *plan)
{
	char say[SAY_MAX];

	if (plan->note_count > 0)
		print_title(terminal, "Worth knowing");
	for (size_t i = 0; i < plan->note_count; i++) {
		plan_note_say(&plan->notes[i], say, sizeof(say));
		terminal_paragraph(terminal, "  - ", say);
	}
}

static void print_line(void *arg, const char *line)
{
	fprintf(arg, "%s\n", line);
}

static void print_line_indented(void *arg, const char *line)
{
	fprintf(arg, "  %s\n", line);
}

/* ---- the web form ---- */

static const struct terminal_column form_columns[] = {
	{ "HOST", 0, false },  { "TYPE", 0, false }, { "PRIORITY", 0, true },
	{ "VALUE", 0, false }, { "TTL", 0, true },   { "DO", 0, false },
};

/* As forms want it: without the final dot, and the preference has a field of its own. */
static void add_form_value(struct text *text, const struct plan_record *record,
			   const struct plan_value *value)
{
	if (record->type != PLAN_MX) {
		plan_add_value(text, record->type, value);
		return;
	}
	plan_add_name(text, value->target);
	if (text->length > 1)
		text->start[--text->length] = '\0';
}

/* "add", "remove", "change, was 10 mx2.example.net". */
static void add_form_action(struct text *text, const struct plan_record *record)
{
	text_add(text, plan_action_name(record->action));
	if (record->action != PLAN_CHANGE)
		return;
	text_add_format(text, ", was %d ", (int)record->now.preference);
	add_form_value(text, record, &record->now);
	text_add_format(text, " with TTL %lld", (long long)record->now.ttl);
}

static void form_row(struct terminal_table *table, const struct plan_facts *facts,
		     const struct plan_record *record)
{
	bool goes = record->action == PLAN_REMOVE;
	const struct plan_value *value = goes ? &record->now : &record->then;
	char host[PLAN_LINE_MAX], target[PLAN_LINE_MAX], action[PLAN_LINE_MAX];
	TEXT_ON(host_text, host);
	TEXT_ON(target_text, target);
	TEXT_ON(action_text, action);

	plan_add_relative_name(&host_text, record->name, facts->zone);
	add_form_value(&target_text, record, value);
	add_form_action(&action_text, record);
	terminal_table_add(table, TERMINAL_PLAIN, host);
	terminal_table_add(table, TERMINAL_PLAIN, plan_type_name(record->type));
	if (record->type == PLAN_MX)
		terminal_table_add_format(table, TERMINAL_PLAIN, "%d", (int)value->preference);
	else
		terminal_table_add(table, TERMINAL_PLAIN, "");
	terminal_table_add(table, TERMINAL_PLAIN, target);
	terminal_table_add_format(table, TERMINAL_PLAIN, "%lld", (long long)value->ttl);
	terminal_table_add(table, tones[record->action], action);
}

/* In the order of preference: who types them in one after the other never leaves the backup alone
 * in front. */
static void print_form(const struct terminal *terminal, const struct plan *plan,
		       const struct plan_facts *facts, unsigned indent)
{
	struct terminal_table *table =
		terminal_table_new(form_columns, sizeof(form_columns) / sizeof(form_columns[0]));

	for (size_t i = 0; i < plan->count; i++)
		if (plan->records[i].action != PLAN_KEEP)
			form_row(table, facts, &plan->records[i]);
	terminal_table_print(table, terminal, indent);
	terminal_table_free(table);
}

/* ---- what to do ---- */

typedef void (*step_taker)(void *arg, const char *step);

static bool has_action(const struct plan *plan, bool elsewhere)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->records[i].action != PLAN_KEEP && plan->records[i].elsewhere == elsewhere)
			return true;
	return false;
}

/* How to get there, in this order: who is named in MX records must take the mail already. */
static void steps_of_change(const struct plan *plan, const struct plan_facts *facts,
			    step_taker take, void *arg)
{
	char step[SAY_MAX];

	if (has_action(plan, true))
		take(arg, "have the address records of the other zone added, and wait until they "
			  "are seen");
	snprintf(step, sizeof(step),
		 "let the backup's MTA relay %s before senders know of it, or their mail is "
		 "refused: backupmxctl check %s, there, says what is missing",
		 facts->domain.name, facts->domain.name);
	take(arg, step);
	if (has_action(plan, false))
		take(arg, "change the zone: this command with --format nsupdate | nsupdate -k "
			  "KEYFILE, or by the lines or the table above");
	if (facts->mx_ttl == 0)
		return;
	snprintf(step, sizeof(step),
		 "wait %lld s, the TTL of the old MX records: then all senders know the new ones",
		 (long long)facts->mx_ttl);
	take(arg, step);
}

static void next_steps(const struct plan *plan, const struct plan_facts *facts, step_taker take,
		       void *arg)
{
	const char *domain = facts->domain.name;
	char step[SAY_MAX];

	if (plan_has_changes(plan))
		steps_of_change(plan, facts, take, arg);
	snprintf(step, sizeof(step),
		 "look at all of it: backupmxctl check %s; then try it: backupmxctl drill %s --to "
		 "YOU@%s",
		 domain, domain, domain);
	take(arg, step);
}

struct step_printer {
	const struct terminal *terminal;
	int number;
};

static void print_step(void *arg, const char *step)
{
	struct step_printer *printer = arg;
	char first[16];

	snprintf(first, sizeof(first), "  %d. ", ++printer->number);
	terminal_paragraph(printer->terminal, first, step);
}

/* ---- text ---- */

static void print_summary(const struct terminal *terminal, const struct plan *plan,
			  const struct plan_gathered *gathered)
{
	const struct plan_facts *facts = &gathered->facts;
	unsigned counts[PLAN_REMOVE + 1] = { 0 };
	char line[PLAN_LINE_MAX];
	TEXT_ON(text, line);

	for (size_t i = 0; i < plan->count; i++)
		counts[plan->records[i].action]++;
	text_add_format(&text, "%s: ", facts->domain.name);
	if (!plan_has_changes(plan))
		text_add(&text, "nothing to do, its DNS records are complete");
	else
		text_add_format(&text, "%u to add, %u to change, %u to remove, %u to keep",
				counts[PLAN_ADD], counts[PLAN_CHANGE], counts[PLAN_REMOVE],
				counts[PLAN_KEEP]);
	terminal_print(terminal, plan_has_changes(plan) ? TERMINAL_UNSURE : TERMINAL_GOOD, line);
	fputc('\n', terminal->out);
	text_init(&text, line, sizeof(line));
	if (facts->zone_known) {
		text_add_format(&text, "zone %s, updates go to %s",
				facts->zone[0] != '\0' ? facts->zone : ".", gathered->server);
	} else {
		text_add(&text, "its zone could not be found: no SOA record was answered");
	}
	terminal_paragraph(terminal, "", line);
}

static void print_forms(const struct terminal *terminal, const struct plan *plan,
			const struct plan_gathered *gathered)
{
	const struct plan_facts *facts = &gathered->facts;

	print_title(terminal, "Lines of the zone file (--format zone)");
	plan_zone_lines(plan, facts, print_line_indented, terminal->out);
	print_title(terminal, "For nsupdate (--format nsupdate)");
	plan_nsupdate_lines(plan, facts, gathered->server, print_line_indented, terminal->out);
	print_title(terminal, "For a web form (--format table)");
	print_form(terminal, plan, facts, 2);
}

static void print_all(const struct terminal *terminal, const struct plan *plan,
		      const struct plan_gathered *gathered)
{
	struct step_printer printer = { .terminal = terminal };

	print_summary(terminal, plan, gathered);
	print_title(terminal, "Records");
	for (size_t i = 0; i < plan->count; i++)
		print_record(terminal, &plan->records[i]);
	fputc('\n', terminal->out);
	terminal_paragraph(terminal, "  ", PLAN_TTL_WORDS);
	print_notes(terminal, plan);
	if (plan_has_changes(plan))
		print_forms(terminal, plan, gathered);
	print_title(terminal, "Next");
	next_steps(plan, &gathered->facts, print_step, &printer);
}

void plan_print(const struct plan *plan, const struct plan_gathered *gathered,
		const struct plan_wish *wish)
{
	struct terminal terminal;

	terminal_init(&terminal, stdout);
	if (wish->format == NULL)
		print_all(&terminal, plan, gathered);
	else if (strcmp(wish->format, "zone") == 0)
		plan_zone_lines(plan, &gathered->facts, print_line, stdout);
	else if (strcmp(wish->format, "nsupdate") == 0)
		plan_nsupdate_lines(plan, &gathered->facts, gathered->server, print_line, stdout);
	else
		print_form(&terminal, plan, &gathered->facts, 0);
}

/* ---- JSON ---- */

static json_t *ttl_json(int64_t ttl)
{
	return ttl > 0 ? json_integer(ttl) : json_null();
}

static json_t *value_json(const struct plan_record *record, const struct plan_value *value)
{
	char shown[PLAN_LINE_MAX];
	TEXT_ON(text, shown);

	add_form_value(&text, record, value);
	return json_pack("{s:o, s:s, s:o}", "preference",
			 record->type == PLAN_MX ? json_integer(value->preference) : json_null(),
			 "value", shown, "ttl", ttl_json(value->ttl));
}

static json_t *whys_json(uint32_t whys)
{
	json_t *list = json_array();

	for (int why = 0; why < PLAN_WHYS; why++)
		if ((whys >> why & 1) != 0)
			json_array_append_new(list,
					      json_pack("{s:s, s:s}", "id",
							plan_why_name((enum plan_why)why), "text",
							plan_why_text((enum plan_why)why)));
	return list;
}

static json_t *record_json(const struct plan_record *record)
{
	return json_pack(
		"{s:s, s:o, s:s, s:b, s:o, s:o, s:o}", "action", plan_action_name(record->action),
		"name", ctl_printable(record->name), "type", plan_type_name(record->type),
		"elsewhere", record->elsewhere, "now",
		record->action == PLAN_ADD ? json_null() : value_json(record, &record->now), "then",
		record->action == PLAN_REMOVE ? json_null() : value_json(record, &record->then),
		"why", whys_json(record->whys));
}

static json_t *note_json(const struct plan_note *note)
{
	char say[SAY_MAX];

	plan_note_say(note, say, sizeof(say));
	return json_pack("{s:s, s:o, s:o}", "id", plan_advice_name(note->advice), "subject",
			 ctl_printable(note->subject), "text", ctl_printable(say));
}

static void append_line(void *arg, const char *line)
{
	json_array_append_new(arg, json_string(line));
}

static json_t *records_json(const struct plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->count; i++)
		json_array_append_new(list, record_json(&plan->records[i]));
	return list;
}

static json_t *notes_json(const struct plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->note_count; i++)
		json_array_append_new(list, note_json(&plan->notes[i]));
	return list;
}

static void add_lines(json_t *result, const struct plan *plan, const struct plan_gathered *gathered)
{
	json_t *zone = json_array(), *nsupdate = json_array(), *next = json_array();

	plan_zone_lines(plan, &gathered->facts, append_line, zone);
	plan_nsupdate_lines(plan, &gathered->facts, gathered->server, append_line, nsupdate);
	next_steps(plan, &gathered->facts, append_line, next);
	json_object_set_new(result, "zone_lines", zone);
	json_object_set_new(result, "nsupdate", nsupdate);
	json_object_set_new(result, "next", next);
}

json_t *plan_to_json(const struct plan *plan, const struct plan_gathered *gathered)
{
	const struct plan_facts *facts = &gathered->facts;
	bool hindered = plan->obstacle != PLAN_NO_OBSTACLE;
	char say[SAY_MAX];
	json_t *result = json_pack(
		"{s:s, s:o, s:o, s:b, s:o, s:o}", "domain", facts->domain.name, "zone",
		facts->zone_known ? ctl_printable(facts->zone) : json_null(), "server",
		gathered->server[0] != '\0' ? ctl_printable(gathered->server) : json_null(),
		"complete", !hindered && !plan_has_changes(plan), "records", records_json(plan),
		"notes", notes_json(plan));

	if (hindered) {
		plan_say_obstacle(plan, facts, say, sizeof(say));
		json_object_set_new(result, "obstacle",
				    json_string(plan_obstacle_name(plan->obstacle)));
		json_object_set_new(result, "error", json_string(say));
		return result;
	}
	json_object_set_new(result, "obstacle", json_null());
	add_lines(result, plan, gathered);
	return result;
}
