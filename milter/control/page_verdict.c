/* SPDX-License-Identifier: BSD-2-Clause */
/* The headline: how things stand, in words. No state; any thread. */
#include <string.h>

#include "control/page_parts.h"

#define NAMED_MAX 3 /* domains that the line below the headline names */

static bool is_isolated(const struct page *page)
{
	return page_get_flag(page->status, "isolated");
}

static size_t troubled(const struct page *page)
{
	return page->counts.down + page->counts.sick;
}

static bool is_one_trouble(const struct page *page)
{
	return troubled(page) == 1 && page->shown > 0;
}

enum page_tone page_verdict_tone(const struct page *page)
{
	if (is_isolated(page))
		return PAGE_WARN;
	if (page->counts.down > 0)
		return PAGE_BAD;
	if (page->counts.sick > 0)
		return PAGE_WARN;
	if (page->counts.unknown > 0 || page->counts.up == 0)
		return PAGE_IDLE;
	return PAGE_GOOD;
}

static void title_of_trouble(const struct page *page)
{
	const struct page_domain *worst = &page->domains[0];

	if (is_one_trouble(page)) {
		page_foreign(page, worst->name);
		fprintf(page->out, " is %s", worst->word);
		return;
	}
	if (page->counts.down > 0)
		page_plural(page, (int64_t)page->counts.down, "primary is down",
			    "primaries are down");
	if (page->counts.down > 0 && page->counts.sick > 0)
		fputs(", ", page->out);
	if (page->counts.sick > 0 && page->counts.down > 0)
		page_plural(page, (int64_t)page->counts.sick, "is sick", "are sick");
	else if (page->counts.sick > 0)
		page_plural(page, (int64_t)page->counts.sick, "primary is sick",
			    "primaries are sick");
}

void page_verdict_title(const struct page *page)
{
	if (is_isolated(page))
		fputs("This host is cut off", page->out);
	else if (troubled(page) > 0)
		title_of_trouble(page);
	else if (page->counts.unknown > 0)
		page_plural(page, (int64_t)page->counts.unknown, "primary is not known yet",
			    "primaries are not known yet");
	else if (page->domain_count == 0)
		fputs("No domains yet", page->out);
	else if (page->counts.up == 0)
		fputs("No primary is watched now", page->out);
	else
		fputs("All primaries are up", page->out);
}

/* ---- the lines below it ---- */

static void say_one_trouble(const struct page *page)
{
	const struct page_domain *worst = &page->domains[0];

	fputs("<p>Since ", page->out);
	page_time(page, worst->since);
	fputs(", ", page->out);
	page_ago(page, worst->since);
	fputs(worst->tone == PAGE_WARN
		      ? ". Senders are told to come again: mail passed on to it now would bounce."
		      : ". Mail for recipients known here is taken, and passed on when it is back.",
	      page->out);
	fputs(" Look closer: <code>backupmxctl status ", page->out);
	page_name(page, worst->name);
	fputs("</code></p>", page->out);
}

static void say_many_troubles(const struct page *page)
{
	size_t named = troubled(page) < NAMED_MAX ? troubled(page) : NAMED_MAX;

	if (named > page->shown)
		named = page->shown;
	fputs("<p>", page->out);
	for (size_t i = 0; i < named; i++) {
		fputs(i > 0 ? ", " : "", page->out);
		page_name(page, page->domains[i].name);
		fprintf(page->out, " is %s", page->domains[i].word);
	}
	if (troubled(page) > named) {
		fputs(", and ", page->out);
		page_number(page, (int64_t)(troubled(page) - named));
		fputs(" more", page->out);
	}
	fputs(".</p>", page->out);
}

static void say_last_outage(const struct page *page)
{
	const struct page_outage *last = NULL;

	for (size_t i = 0; i < page->outage_count; i++)
		if (page->outages[i].over && (last == NULL || page->outages[i].end > last->end))
			last = &page->outages[i];
	if (last == NULL) {
		if (page->days > 0 && page->outage_count == 0) {
			fputs("<p>No outage was seen ", page->out);
			page_span(page);
			fputs(".</p>", page->out);
		}
		return;
	}
	fputs("<p>The last outage, of ", page->out);
	page_name(page, last->domain);
	fputs(", ended ", page->out);
	page_ago(page, last->end);
	fputs(" and had lasted ", page->out);
	page_duration(page, last->lasted);
	fputs(".</p>", page->out);
}

static void say_why(const struct page *page)
{
	if (is_isolated(page))
		fputs("<p>Neither the primaries nor the reference hosts answer, so it is our own "
		      "uplink. States stay as they were, for half an hour at most.</p>",
		      page->out);
	else if (is_one_trouble(page))
		say_one_trouble(page);
	else if (troubled(page) > 0)
		say_many_troubles(page);
	else if (page->domain_count == 0)
		fputs("<p>A domain is learned when mail for it comes, or write <code>[domain "
		      "&quot;example.org&quot;]</code> into the configuration.</p>",
		      page->out);
	else
		say_last_outage(page);
}

static void figure(const struct page *page, const char *label)
{
	fprintf(page->out, "<div><dt>%s</dt><dd>", label);
}

/* Three months, or what we saw of them, in four numbers. */
static void figures(const struct page *page)
{
	const json_t *totals = json_object_get(page->report, "totals");
	const json_t *availability = json_object_get(totals, "availability");

	if (page->days == 0)
		return;
	fputs("<dl class='figures'><div><dt>available ", page->out);
	page_span(page);
	fputs("</dt><dd>", page->out);
	if (json_is_number(availability))
		page_share(page, json_number_value(availability));
	else
		fputs("\u2013", page->out);
	fputs("</dd></div>", page->out);
	figure(page, page_get_number(totals, "outages") == 1 ? "outage" : "outages");
	page_number(page, page_get_number(totals, "outages"));
	fputs("</dd></div>", page->out);
	figure(page, "in outages");
	page_duration(page, page_get_number(totals, "outage_seconds"));
	fputs("</dd></div>", page->out);
	figure(page, "mail taken / passed on");
	page_number(page, page_get_number(totals, "mails_taken"));
	fputs("<small> / ", page->out);
	page_number(page, page_get_number(totals, "mails_flushed"));
	fputs("</small></dd></div></dl>\n", page->out);
}

void page_verdict(const struct page *page)
{
	enum page_tone tone = page_verdict_tone(page);

	fprintf(page->out, "<section class='verdict %s'>", page_tone_name(tone));
	page_icon(page, tone);
	fputs("<div><h1>", page->out);
	page_verdict_title(page);
	fputs("</h1>", page->out);
	say_why(page);
	fputs("</div></section>\n", page->out);
	if (strcmp(page_get_string(page->status, "mode"), "shadow") == 0)
		fputs("<p class='notice' role='note'><strong>Shadow mode.</strong> Decisions are "
		      "only logged: all mail is taken as if there were no filter.</p>\n",
		      page->out);
	figures(page);
}
