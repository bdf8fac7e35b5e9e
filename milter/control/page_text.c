/* SPDX-License-Identifier: BSD-2-Clause */
/* How the page writes strings, numbers and times. No state; any thread. */
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "control/page_parts.h"

#define FOREIGN_MAX 300 /* bytes; a domain name has 253 at most */

static void put_foreign(const struct page *page, char c)
{
	switch (c) {
	case '<':
		fputs("&lt;", page->out);
		return;
	case '>':
		fputs("&gt;", page->out);
		return;
	case '&':
		fputs("&amp;", page->out);
		return;
	case '"':
		fputs("&quot;", page->out);
		return;
	case '\'':
		fputs("&#39;", page->out);
		return;
	default:
		fputc(text_printable(c), page->out);
	}
}

static void put_string(const struct page *page, const char *string, bool breaks)
{
	size_t i;

	for (i = 0; i < FOREIGN_MAX && string[i] != '\0'; i++) {
		put_foreign(page, string[i]);
		if (breaks && string[i] == '.')
			fputs("<wbr>", page->out);
	}
	if (string[i] != '\0')
		fputs("\u2026", page->out);
}

void page_foreign(const struct page *page, const char *string)
{
	put_string(page, string, false);
}

void page_name(const struct page *page, const char *name)
{
	put_string(page, name, true);
}

static struct tm utc_of(int64_t seconds)
{
	time_t time = (time_t)seconds;
	struct tm utc = { .tm_mday = 1 };

	gmtime_r(&time, &utc);
	return utc;
}

static void put_date(const struct page *page, const struct tm *utc)
{
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

	fprintf(page->out, "%d\u00a0%s", utc->tm_mday, months[utc->tm_mon]);
	if (utc->tm_year != utc_of(page->now).tm_year)
		fprintf(page->out, " %d", utc->tm_year + 1900);
}

void page_time(const struct page *page, int64_t seconds)
{
	struct tm utc = utc_of(seconds);

	if (seconds == 0) {
		fputs("an unknown time", page->out);
		return;
	}
	fprintf(page->out, "<time datetime='%04d-%02d-%02dT%02d:%02d:%02dZ'>", utc.tm_year + 1900,
		utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
	if (seconds / PAGE_DAY != page->now / PAGE_DAY) {
		put_date(page, &utc);
		fputs(", ", page->out);
	}
	fprintf(page->out, "%02d:%02d\u00a0UTC</time>", utc.tm_hour, utc.tm_min);
}

void page_date(const struct page *page, int64_t seconds)
{
	struct tm utc = utc_of(seconds);

	put_date(page, &utc);
}

static void put_units(const struct page *page, long long large, const char *unit, long long small,
		      const char *small_unit)
{
	fprintf(page->out, "%lld\u00a0%s", large, unit);
	if (small != 0)
		fprintf(page->out, " %lld\u00a0%s", small, small_unit);
}

void page_duration(const struct page *page, int64_t seconds)
{
	long long s = seconds > 0 ? seconds : 0;

	if (s < 120)
		put_units(page, s, "s", 0, "");
	else if (s < 3600)
		put_units(page, s / 60, "min", 0, "");
	else if (s < PAGE_DAY)
		put_units(page, s / 3600, "h", s / 60 % 60, "min");
	else
		put_units(page, s / PAGE_DAY, "d", s / 3600 % 24, "h");
}

void page_ago(const struct page *page, int64_t seconds)
{
	if (page->now - seconds < 2) {
		fputs("just now", page->out);
		return;
	}
	page_duration(page, page->now - seconds);
	fputs(" ago", page->out);
}

void page_number(const struct page *page, int64_t number)
{
	char digits[32];
	size_t length;

	snprintf(digits, sizeof(digits), "%lld", (long long)number);
	length = strlen(digits);
	for (size_t i = 0; i < length; i++) {
		if (i > 0 && digits[i - 1] != '-' && (length - i) % 3 == 0)
			fputc(',', page->out);
		fputc(digits[i], page->out);
	}
}

void page_percent(const struct page *page, double share)
{
	fprintf(page->out, "%d\u00a0%%",
		share > 0 && share < 1 ? (int)(share * 100)
		: share >= 1	       ? 100
				       : 0);
}

void page_share(const struct page *page, double share)
{
	int hundredths;

	if (!(share > 0))
		share = 0;
	hundredths = share < 1 ? (int)(share * 10000 + 1e-6) : 10000;
	if (hundredths == 10000)
		fputs("100\u00a0%", page->out);
	else
		fprintf(page->out, "%d.%02d\u00a0%%", hundredths / 100, hundredths % 100);
}

void page_plural(const struct page *page, int64_t count, const char *one, const char *many)
{
	page_number(page, count);
	fprintf(page->out, " %s", count == 1 ? one : many);
}

void page_span(const struct page *page)
{
	if (page->days <= 1)
		fputs("today", page->out);
	else
		fprintf(page->out, "in the last %d days", (int)page->days);
}

const char *page_tone_name(enum page_tone tone)
{
	static const char *const names[] = {
		[PAGE_GOOD] = "good", [PAGE_BACK] = "back", [PAGE_WARN] = "warn",
		[PAGE_BAD] = "bad",   [PAGE_IDLE] = "idle",
	};

	return names[tone];
}

void page_icon(const struct page *page, enum page_tone tone)
{
	const char *name = page_tone_name(tone);

	fprintf(page->out, "<svg class='icon %s' aria-hidden='true'><use href='#%s'/></svg>", name,
		name);
}
