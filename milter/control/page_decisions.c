/* SPDX-License-Identifier: BSD-2-Clause */
/* What was answered, and why, since the program's start. No state; any thread. */
#include <string.h>

#include "control/page_parts.h"

static const struct action {
	const char *name, *word, *meaning;
} actions[] = {
	{ "accept", "Taken", "kept for the primary, tagged" },
	{ "defer", "Deferred", "sent to the primary, or told to come again" },
	{ "reject", "Refused", "no such user" },
	{ "continue", "Left alone", "none of our business" },
};
#define ACTION_COUNT (sizeof(actions) / sizeof(actions[0]))
#define REASONS_MAX  100

static const json_t *decisions_of(const struct page *page)
{
	return json_object_get(page->about, "decisions");
}

static bool is_of(const json_t *decision, const struct action *action)
{
	return strcmp(page_get_string(decision, "action"), action->name) == 0;
}

static int64_t count_of(const struct page *page, const struct action *action)
{
	json_t *decision;
	int64_t sum = 0;
	size_t i;

	json_array_foreach(decisions_of(page), i, decision)
		if (is_of(decision, action))
			sum = (int64_t)((uint64_t)sum +
					(uint64_t)page_get_number(decision, "count"));
	return sum;
}

static void put_reasons(const struct page *page, const struct action *action)
{
	json_t *decision;
	size_t shown = 0;
	size_t i;

	json_array_foreach(decisions_of(page), i, decision) {
		const char *reason = page_get_string(decision, "reason");
		const char *words = page_decision_words(reason);
		int64_t count = page_get_number(decision, "count");

		if (!is_of(decision, action) || count == 0 || shown++ >= REASONS_MAX)
			continue;
		fputs("<li><span>", page->out);
		if (words != NULL)
			fputs(words, page->out);
		else
			page_foreign(page, reason);
		fputs("</span> <b>", page->out);
		page_number(page, count);
		fputs("</b></li>", page->out);
	}
}

static void put_action(const struct page *page, const struct action *action)
{
	int64_t count = count_of(page, action);

	fprintf(page->out, "<li class='action %s'><h3><b>", action->name);
	page_number(page, count);
	fprintf(page->out, "</b> %s</h3><p>%s</p>", action->word, action->meaning);
	if (count != 0) {
		fputs("<ul>", page->out);
		put_reasons(page, action);
		fputs("</ul>", page->out);
	}
	fputs("</li>\n", page->out);
}

void page_decisions(const struct page *page)
{
	int64_t started = page_get_time(page->about, "started");

	if (decisions_of(page) == NULL)
		return;
	fputs("<section><h2>Decisions</h2><p class='lead'>Recipients judged", page->out);
	if (started != 0) {
		fputs(" since the start, ", page->out);
		page_ago(page, started);
	}
	fputs(".</p>\n<ul class='actions'>\n", page->out);
	for (size_t i = 0; i < ACTION_COUNT; i++)
		put_action(page, &actions[i]);
	fputs("</ul></section>\n", page->out);
}
