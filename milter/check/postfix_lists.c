/* SPDX-License-Identifier: BSD-2-Clause */
/* Postfix's lists of domains and its tables: what is in them, as Postfix sees it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/text.h"
#include "check/postfix.h"
#include "io/tool.h"

#define SEPARATORS ", \t\r\n"
#define FILE_LINE  1024
#define NESTED_MAX 4 /* files that name files */

/* ---- lists ---- */

/* The end of the item that begins here. */
static const char *item_end(const char *item)
{
	int depth = 0;

	for (; *item != '\0' && (depth > 0 || strchr(SEPARATORS, *item) == NULL); item++)
		depth += *item == '{' ? 1 : *item == '}' && depth > 0 ? -1 : 0;
	return item;
}

void postfix_list_split(const char *value, struct postfix_list *list)
{
	*list = (struct postfix_list){ .items = NULL };
	for (;;) {
		const char *end;

		value += strspn(value, SEPARATORS);
		if (*value == '\0')
			return;
		end = item_end(value);
		list->items = memory_resize(list->items, list->count + 1, sizeof(*list->items));
		list->items[list->count++] = memory_format("%.*s", (int)(end - value), value);
		value = end;
	}
}

void postfix_list_fini(struct postfix_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
}

static bool has(const struct postfix_list *list, const char *item)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], item) == 0)
			return true;
	return false;
}

bool postfix_value_lists(const char *value, const char *item)
{
	struct postfix_list list;
	bool found;

	postfix_list_split(value, &list);
	found = has(&list, item);
	postfix_list_fini(&list);
	return found;
}

/* ---- tables ---- */

/* The table itself, where proxymap(8) stands before it: that may refuse us, and needn't run. */
static const char *unproxied(const char *table)
{
	return strncmp(table, "proxy:", 6) == 0 ? table + 6 : table;
}

static bool run_postmap(const struct postfix *postfix, const char *option, const char *key,
			const char *table, struct tool_result *result)
{
	const char *arguments[8] = { "postmap" };
	struct tool tool = { .arguments = arguments };
	size_t count = 1;

	if (postfix->folder != NULL) {
		arguments[count++] = "-c";
		arguments[count++] = postfix->folder;
	}
	arguments[count++] = option;
	if (key != NULL)
		arguments[count++] = key;
	arguments[count++] = unproxied(table);
	arguments[count] = NULL;
	return tool_run(&tool, result);
}

static enum postfix_match table_lookup(const struct postfix *postfix, const char *table,
				       const char *key, char *value, size_t size)
{
	struct tool_result result;
	enum postfix_match match = POSTFIX_NO;
	char why[256];
	struct text text;

	text_init(&text, value, size);
	if (run_postmap(postfix, "-q", key, table, &result)) {
		match = POSTFIX_YES;
		result.output[strcspn(result.output, "\n")] = '\0';
		text_add(&text, result.output);
	} else if (result.end != TOOL_EXITED || strstr(result.errors, "fatal: ") != NULL) {
		/* without that word status 1 is "not there", whatever else it warns of */
		match = POSTFIX_UNKNOWN;
		text_add_format(&text, "%s: %s", table, tool_say_why(&result, why, sizeof(why)));
	}
	tool_result_fini(&result);
	return match;
}

enum postfix_match postfix_tables_lookup(const struct postfix *postfix, const char *tables,
					 const char *key, char *value, size_t size)
{
	struct postfix_list list;
	enum postfix_match match = POSTFIX_NO;

	postfix_list_split(tables, &list);
	for (size_t i = 0; i < list.count && match == POSTFIX_NO; i++)
		match = table_lookup(postfix, list.items[i], key, value, size);
	postfix_list_fini(&list);
	return match;
}

/* ---- is a domain in a list? ---- */

struct search {
	const struct postfix *postfix;
	const char *domain;
	bool parents;  /* "example.test" stands for its subdomains, too */
	bool suffixes; /* ".example.test" does */
	struct postfix_matched *matched;
};

static bool name_matches(const struct search *search, const char *pattern)
{
	size_t length = strlen(search->domain), part = strlen(pattern);
	const char *tail;

	if (strcasecmp(search->domain, pattern) == 0)
		return true;
	if (part >= length)
		return false;
	tail = search->domain + length - part;
	if (search->parents)
		return tail[-1] == '.' && strcasecmp(tail, pattern) == 0;
	return search->suffixes && pattern[0] == '.' && strcasecmp(tail, pattern) == 0;
}

static enum postfix_match table_matches(const struct search *search, const char *table)
{
	char value[512];
	const char *key = search->domain;
	enum postfix_match match = table_lookup(search->postfix, table, key, value, sizeof(value));

	while (match == POSTFIX_NO && (search->parents || search->suffixes) &&
	       (key = strchr(key + 1, '.')) != NULL)
		match = table_lookup(search->postfix, table, search->parents ? key + 1 : key, value,
				     sizeof(value));
	if (match == POSTFIX_UNKNOWN)
		text_copy(search->matched->by, sizeof(search->matched->by), value);
	return match;
}

static enum postfix_match list_matches(const struct search *search, const char *value, int depth);

/* A file's lines are items like those that stand in the setting itself. */
static enum postfix_match file_matches(const struct search *search, const char *path, int depth)
{
	FILE *file = depth < NESTED_MAX ? fopen(path, "re") : NULL;
	enum postfix_match match = POSTFIX_NO;
	char line[FILE_LINE];

	if (file == NULL) {
		text_copy(search->matched->by, sizeof(search->matched->by), path);
		return POSTFIX_UNKNOWN;
	}
	while (match == POSTFIX_NO && fgets(line, sizeof(line), file) != NULL)
		if (line[0] != '#')
			match = list_matches(search, line, depth + 1);
	fclose(file);
	return match;
}

static enum postfix_match item_matches(const struct search *search, const char *item, int depth)
{
	if (item[0] == '/')
		return file_matches(search, item, depth);
	if (strchr(item, ':') != NULL)
		return table_matches(search, item);
	return name_matches(search, item) ? POSTFIX_YES : POSTFIX_NO;
}

/* The first item that matches decides; "!" before it turns it round. */
static enum postfix_match list_matches(const struct search *search, const char *value, int depth)
{
	struct postfix_list list;
	enum postfix_match match = POSTFIX_NO;

	postfix_list_split(value, &list);
	for (size_t i = 0; i < list.count && match == POSTFIX_NO; i++) {
		const char *item = list.items[i];
		bool negative = false;

		for (; *item == '!'; item++)
			negative = !negative;
		match = item_matches(search, item, depth);
		if (match == POSTFIX_YES) {
			search->matched->index = i;
			text_copy(search->matched->by, sizeof(search->matched->by), list.items[i]);
		}
		if (match == POSTFIX_YES && negative) {
			match = POSTFIX_NO;
			break;
		}
	}
	postfix_list_fini(&list);
	return match;
}

enum postfix_match postfix_domain_match(const struct postfix *postfix, const char *setting,
					const char *domain, struct postfix_matched *matched)
{
	const char *parents = postfix_value(postfix, NULL, "parent_domain_matches_subdomains");
	bool has_subdomains =
		strcmp(setting, "relay_domains") == 0 || strcmp(setting, "fast_flush_domains") == 0;
	struct search search = {
		.postfix = postfix,
		.domain = domain,
		.parents = has_subdomains && postfix_value_lists(parents, setting),
		.suffixes = has_subdomains,
		.matched = matched,
	};

	*matched = (struct postfix_matched){ .by = "" };
	return list_matches(&search, postfix_value(postfix, NULL, setting), 0);
}

/* ---- which are there? ---- */

static bool can_be_listed(const char *table)
{
	static const char *const types[] = { "hash:", "btree:", "lmdb:",    "dbm:",
					     "sdbm:", "cdb:",	"texthash:" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strncmp(unproxied(table), types[i], strlen(types[i])) == 0)
			return true;
	return false;
}

static void table_each(const struct postfix *postfix, const char *table, postfix_name_seen seen,
		       void *arg)
{
	struct tool_result result;
	char *rest = NULL;

	if (!can_be_listed(table))
		return;
	if (run_postmap(postfix, "-s", NULL, table, &result))
		for (char *line = strtok_r(result.output, "\n", &rest); line != NULL;
		     line = strtok_r(NULL, "\n", &rest)) {
			line[strcspn(line, " \t")] = '\0';
			seen(arg, line);
		}
	tool_result_fini(&result);
}

void postfix_names_each(const struct postfix *postfix, const char *list, postfix_name_seen seen,
			void *arg)
{
	struct postfix_list items;

	postfix_list_split(list, &items);
	for (size_t i = 0; i < items.count; i++) {
		const char *item = items.items[i];

		if (strchr(item, ':') != NULL)
			table_each(postfix, item, seen, arg);
		else if (strchr("!/.", item[0]) == NULL)
			seen(arg, item);
	}
	postfix_list_fini(&items);
}
