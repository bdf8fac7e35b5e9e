/* SPDX-License-Identifier: BSD-2-Clause */
/* Outages: of the last week on a timeline (SVG), and the latest ones in a table. No state; any
 * thread. */
#include <string.h>

#include "control/page_parts.h"

#define WEEK_DAYS  7
#define ROWS_MAX   12 /* domains on the timeline */
#define LATEST_MAX 20 /* outages in the table */
#define WIDTH	   1000
#define HEIGHT	   20
#define VISIBLE	   6 /* of WIDTH: so much is drawn of the shortest outage */

/* ---- the timeline ---- */

static int64_t week_begin(const struct page *page)
{
	return (page->now / PAGE_DAY - WEEK_DAYS + 1) * PAGE_DAY;
}

static int place_of(const struct page *page, int64_t seconds)
{
	int64_t into = seconds - week_begin(page);

	if (into < 0)
		return 0;
	if (into > WEEK_DAYS * PAGE_DAY)
		return WIDTH;
	return (int)(into * WIDTH / (WEEK_DAYS * PAGE_DAY));
}

/* A sick primary is half as tall: told apart without its colour. */
static void put_span(const struct page *page, const struct page_outage *outage)
{
	int from = place_of(page, outage->start);
	int to = place_of(page, outage->end);

	if (to - from < VISIBLE)
		to = from + VISIBLE;
	fprintf(page->out, "<rect class='%s' x='%d' y='%d' width='%d' height='%d'><title>",
		outage->sick ? "warn" : "bad", from, outage->sick ? HEIGHT / 4 : 0, to - from,
		outage->sick ? HEIGHT / 2 : HEIGHT);
	fprintf(page->out, "%s from ", outage->sick ? "sick" : "down");
	page_date(page, outage->start);
	fprintf(page->out, ", %02d:%02d UTC, for ", (int)(outage->start / 3600 % 24),
		(int)(outage->start / 60 % 60));
	page_duration(page, outage->lasted);
	fprintf(page->out, "%s</title></rect>", outage->over ? "" : " until now");
}

static bool in_week(const struct page *page, const struct page_outage *outage)
{
	return outage->end >= week_begin(page) && outage->start <= page->now;
}

static bool is_of(const struct page *page, size_t i, const char *domain)
{
	return in_week(page, &page->outages[i]) && strcmp(domain, page->outages[i].domain) == 0;
}

/* Oldest first. Of a primary that flaps, what would lie upon each other is drawn once. */
static void put_spans(const struct page *page, const char *domain)
{
	int last = -1;

	for (size_t i = page->outage_count; i-- > 0;) {
		const struct page_outage *outage = &page->outages[i];
		int end = place_of(page, outage->end);

		if (!is_of(page, i, domain) || (end <= last && outage->over))
			continue;
		put_span(page, outage);
		last = end;
	}
}

static void put_row(const struct page *page, const char *domain)
{
	int64_t count = 0;

	for (size_t i = 0; i < page->outage_count; i++)
		count += is_of(page, i, domain);
	fputs("<li><span>", page->out);
	page_name(page, domain);
	fprintf(page->out,
		"</span><svg class='week' role='img' viewBox='0 0 %d %d' "
		"preserveAspectRatio='none' aria-label='",
		WIDTH, HEIGHT);
	page_plural(page, count, "outage", "outages");
	fprintf(page->out,
		" in the last %d days'><rect class='past' x='0' y='0' width='%d' height='%d'/>",
		WEEK_DAYS, place_of(page, page->now), HEIGHT);
	for (int i = 1; i < WEEK_DAYS; i++)
		fprintf(page->out, "<path class='midnight' d='M%d 0v%d'/>", i * WIDTH / WEEK_DAYS,
			HEIGHT);
	put_spans(page, domain);
	fputs("</svg></li>\n", page->out);
}

static void put_dates(const struct page *page)
{
	fputs("<p class='dates' aria-hidden='true'>", page->out);
	for (int i = 0; i < WEEK_DAYS - 1; i++) {
		fputs("<span>", page->out);
		page_date(page, week_begin(page) + i * PAGE_DAY);
		fputs("</span>", page->out);
	}
	fputs("<span>today</span></p>\n", page->out);
}

static void put_legend(const struct page *page)
{
	fputs("<p class='legend'><span><svg class='key' aria-hidden='true' viewBox='0 0 16 16'>"
	      "<rect class='bad' width='16' height='16'/></svg>down</span> <span><svg class='key' "
	      "aria-hidden='true' viewBox='0 0 16 16'><rect class='warn' y='4' width='16' "
	      "height='8'/></svg>sick</span></p>\n",
	      page->out);
}

static bool is_among(const char *name, const char *const names[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Domains with outages in the week, the latest first. */
static size_t take_names(const struct page *page, const char *names[ROWS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < page->outage_count && count < ROWS_MAX; i++)
		if (in_week(page, &page->outages[i]) &&
		    !is_among(page->outages[i].domain, names, count))
			names[count++] = page->outages[i].domain;
	return count;
}

static void put_timeline(const struct page *page)
{
	const char *names[ROWS_MAX];
	size_t count = take_names(page, names);

	fputs("<section><h2>Outages in the last seven days</h2>\n", page->out);
	if (count == 0) {
		fputs("<p class='none'>None.</p></section>\n", page->out);
		return;
	}
	fputs("<div class='panel'><ul class='weeks'>\n", page->out);
	for (size_t i = 0; i < count; i++)
		put_row(page, names[i]);
	fputs("</ul>\n", page->out);
	put_dates(page);
	put_legend(page);
	fputs("</div></section>\n", page->out);
}

/* ---- the table ---- */

static void cell(const struct page *page, const char *label)
{
	fprintf(page->out, "<td data-label='%s'>", label);
}

static void number_cell(const struct page *page, const char *label, const json_t *outage,
			const char *key)
{
	cell(page, label);
	page_number(page, page_get_number(outage, key));
	fputs("</td>", page->out);
}

static void duration_cell(const struct page *page, const char *label, const json_t *outage,
			  const char *key)
{
	cell(page, label);
	if (page_get_known(outage, key))
		page_duration(page, page_get_number(outage, key));
	else
		fputs("\u2013", page->out);
	fputs("</td>", page->out);
}

static void put_cause(const struct page *page, const json_t *outage)
{
	const char *cause = page_get_string(outage, "cause");
	const char *words = page_health_words(cause);

	cell(page, "The primary");
	if (words != NULL)
		fputs(words, page->out);
	else
		page_foreign(page, cause);
	fputs("</td>", page->out);
}

static void put_outage(const struct page *page, const struct page_outage *outage)
{
	fputs("<tr><th scope='row'>", page->out);
	page_icon(page, outage->sick ? PAGE_WARN : PAGE_BAD);
	page_name(page, outage->domain);
	fprintf(page->out, "<span class='kind'> %s</span></th>", outage->sick ? "sick" : "down");
	cell(page, "Began");
	page_time(page, outage->start);
	fputs("</td>", page->out);
	cell(page, "Lasted");
	page_duration(page, outage->lasted);
	fputs(outage->over ? "</td>" : ", <b>not over</b></td>", page->out);
	put_cause(page, outage->outage);
	duration_cell(page, "Noticed after", outage->outage, "detect_seconds");
	number_cell(page, "Mail taken", outage->outage, "mails_taken");
	number_cell(page, "Passed on", outage->outage, "mails_flushed");
	duration_cell(page, "Longest delay", outage->outage, "longest_delay_seconds");
	fputs("</tr>\n", page->out);
}

static void put_table(const struct page *page)
{
	size_t shown = page->outage_count < LATEST_MAX ? page->outage_count : LATEST_MAX;

	fputs("<section><h2>Latest outages</h2>\n<table class='outages'><thead><tr>"
	      "<th scope='col'>Domain</th><th scope='col'>Began</th><th scope='col'>Lasted</th>"
	      "<th scope='col'>The primary</th><th scope='col'>Noticed after</th>"
	      "<th scope='col'>Mail taken</th><th scope='col'>Passed on</th>"
	      "<th scope='col'>Longest delay</th></tr></thead>\n<tbody>\n",
	      page->out);
	for (size_t i = 0; i < shown; i++)
		put_outage(page, &page->outages[i]);
	fputs("</tbody></table>", page->out);
	if (shown < page->outage_count) {
		fputs("<p class='more'>", page->out);
		page_number(page, (int64_t)(page->outage_count - shown));
		fputs(" earlier ones are in <code>backupmxctl report --since 90d</code>.</p>",
		      page->out);
	}
	fputs("</section>\n", page->out);
}

void page_outages(const struct page *page)
{
	if (page->days > 0)
		put_timeline(page);
	if (page->outage_count > 0)
		put_table(page);
}
