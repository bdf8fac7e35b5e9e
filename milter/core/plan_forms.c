/* SPDX-License-Identifier: BSD-2-Clause */
/* Zone lines (RFC 1035 5.1) and nsupdate's language (RFC 2136 in words). Pure; any thread. */
#include "core/plan_forms.h"

#include <stdio.h>
#include <string.h>

/* ---- names ---- */

/* The next byte of a name in which some may be escaped; *is_dot: it ends a label. */
static unsigned char next_byte(const char **at, bool *is_dot)
{
	const char *p = *at;
	unsigned value = 0;
	int digits = 0;

	*is_dot = *p == '.';
	if (*p != '\\' || p[1] == '\0') {
		*at = p + 1;
		return (unsigned char)*p;
	}
	for (; digits < 3 && p[1 + digits] >= '0' && p[1 + digits] <= '9'; digits++)
		value = value * 10 + (unsigned)(p[1 + digits] - '0');
	if (digits == 3 && value <= 255) {
		*at = p + 4;
		return (unsigned char)value;
	}
	*at = p + 2;
	return (unsigned char)p[1];
}

static bool is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static void add_labels(struct text *text, const char *name, const char *end)
{
	while (name < end) {
		bool is_dot;
		unsigned char c = next_byte(&name, &is_dot);

		if (is_dot || is_plain(c))
			text_add_char(text, (char)c);
		else
			text_add_format(text, "\\%03u", c);
	}
}

void plan_add_name(struct text *text, const char *name)
{
	add_labels(text, name, name + strlen(name));
	text_add_char(text, '.');
}

void plan_add_relative_name(struct text *text, const char *name, const char *zone)
{
	size_t length = strlen(name);
	size_t tail = strlen(zone);

	if (strcmp(name, zone) == 0)
		text_add_char(text, '@');
	else if (tail > 0 && length > tail + 1 && name[length - tail - 1] == '.' &&
		 strcmp(name + length - tail, zone) == 0)
		add_labels(text, name, name + length - tail - 1);
	else
		plan_add_name(text, name);
}

void plan_add_value(struct text *text, enum plan_type type, const struct plan_value *value)
{
	char ip[IP_TEXT_MAX];

	if (type != PLAN_MX) {
		text_add(text, ip_format(&value->address, ip, sizeof(ip)));
		return;
	}
	text_add_format(text, "%d ", (int)value->preference);
	plan_add_name(text, value->target);
}

/* "NAME [TTL] IN TYPE VALUE" */
static void add_record(struct text *text, const struct plan_record *record,
		       const struct plan_value *value, bool with_ttl)
{
	plan_add_name(text, record->name);
	if (with_ttl)
		text_add_format(text, " %lld", (long long)value->ttl);
	text_add_format(text, " IN %s ", plan_type_name(record->type));
	plan_add_value(text, record->type, value);
}

/* ---- lines ---- */

struct lines {
	plan_line_taker take;
	void *arg;
};

/* "FIRST RECORD" */
static void line_of_record(const struct lines *lines, const char *first,
			   const struct plan_record *record, const struct plan_value *value,
			   bool with_ttl)
{
	char line[PLAN_LINE_MAX];
	TEXT_ON(text, line);

	text_add(&text, first);
	add_record(&text, record, value, with_ttl);
	lines->take(lines->arg, line);
}

static void line_of_name(const struct lines *lines, const char *first, const char *name,
			 const char *rest)
{
	char line[PLAN_LINE_MAX];
	TEXT_ON(text, line);

	text_add(&text, first);
	plan_add_name(&text, name);
	text_add(&text, rest);
	lines->take(lines->arg, line);
}

/* Those of other zones are for other hands. */
static void lines_elsewhere(const struct lines *lines, const struct plan *plan,
			    const struct plan_facts *facts)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_record *record = &plan->records[i];
		const char *zone;

		if (!record->elsewhere || record->action != PLAN_ADD)
			continue;
		zone = facts->backups[record->backup].zone;
		if (zone[0] != '\0')
			line_of_name(lines, "; this one belongs into the zone ", zone, ":");
		else
			lines->take(lines->arg, "; this one belongs into another zone:");
		line_of_record(lines, "; ", record, &record->then, true);
	}
}

/* Is it one that this zone gets, or loses? */
static bool is_work(const struct plan_record *record)
{
	return record->action != PLAN_KEEP && !record->elsewhere;
}

static bool any_work(const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (is_work(&plan->records[i]))
			return true;
	return false;
}

void plan_zone_lines(const struct plan *plan, const struct plan_facts *facts, plan_line_taker take,
		     void *arg)
{
	struct lines lines = { take, arg };

	if (!any_work(plan))
		line_of_name(&lines, "; ", facts->domain.name, " has all it needs in its own zone");
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_record *record = &plan->records[i];

		if (!is_work(record))
			continue;
		if (record->action == PLAN_REMOVE)
			line_of_record(&lines, "; take out: ", record, &record->now, false);
		if (record->action == PLAN_CHANGE)
			line_of_record(&lines, "; in place of: ", record, &record->now, false);
		if (record->action != PLAN_REMOVE)
			line_of_record(&lines, "", record, &record->then, true);
	}
	lines_elsewhere(&lines, plan, facts);
}

/* ---- nsupdate ---- */

/* A set that is as it was: all its records, or none. */
static void lines_mx_as_seen(const struct lines *lines, const struct plan *plan,
			     const struct plan_facts *facts)
{
	bool any = false;

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_record *record = &plan->records[i];

		if (record->type != PLAN_MX || record->action == PLAN_ADD)
			continue;
		line_of_record(lines, "prereq yxrrset ", record, &record->now, false);
		any = true;
	}
	if (any)
		return;
	line_of_name(lines, "prereq nxrrset ", facts->domain.name, " IN MX");
	line_of_name(lines, "prereq nxrrset ", facts->domain.name, " IN CNAME");
}

/* The first of the new records of its name and type: there was none. */
static bool begins_set(const struct plan *plan, size_t index)
{
	const struct plan_record *record = &plan->records[index];

	for (size_t i = 0; i < index; i++)
		if (plan->records[i].type == record->type &&
		    strcmp(plan->records[i].name, record->name) == 0)
			return false;
	return true;
}

static void lines_addresses_as_seen(const struct lines *lines, const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_record *record = &plan->records[i];

		if (record->type == PLAN_MX || !is_work(record) || !begins_set(plan, i))
			continue;
		line_of_name(lines, "prereq nxrrset ", record->name,
			     record->type == PLAN_A ? " IN A" : " IN AAAA");
		line_of_name(lines, "prereq nxrrset ", record->name, " IN CNAME");
	}
}

static void lines_updates(const struct lines *lines, const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_record *record = &plan->records[i];

		if (!is_work(record) || record->action == PLAN_ADD)
			continue;
		line_of_record(lines, "update delete ", record, &record->now, false);
	}
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_record *record = &plan->records[i];

		if (!is_work(record) || record->action == PLAN_REMOVE)
			continue;
		line_of_record(lines, "update add ", record, &record->then, true);
	}
}

void plan_nsupdate_lines(const struct plan *plan, const struct plan_facts *facts,
			 const char *server, plan_line_taker take, void *arg)
{
	struct lines lines = { take, arg };

	if (!any_work(plan)) {
		line_of_name(&lines, "; ", facts->domain.name, " has all it needs in its own zone");
		lines_elsewhere(&lines, plan, facts);
		return;
	}
	if (server[0] != '\0')
		line_of_name(&lines, "server ", server, "");
	if (facts->zone_known)
		line_of_name(&lines, "zone ", facts->zone, "");
	take(arg, "; only if the records are still those that this was made from:");
	lines_mx_as_seen(&lines, plan, facts);
	lines_addresses_as_seen(&lines, plan);
	lines_updates(&lines, plan);
	lines_elsewhere(&lines, plan, facts);
	take(arg, "send");
}
