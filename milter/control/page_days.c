/* SPDX-License-Identifier: BSD-2-Clause */
/* The bar of ninety days of one domain: a rectangle per day, as SVG. No state; any thread. */
#include "control/page_parts.h"

#define STEP	10 /* from day to day; the whole is stretched to the room there is */
#define WIDTH	7
#define HEIGHT	40
#define SERIOUS 100 /* a day is a bad one when more than a hundredth of it was lost */

struct day {
	int64_t up, away, isolated;
	bool known;
};

static struct day day_of(const json_t *object)
{
	struct day day = { .up = page_get_number(object, "up_seconds"),
			   .away = page_get_number(object, "down_seconds"),
			   .isolated = page_get_number(object, "isolated_seconds") };
	int64_t sick = page_get_number(object, "sick_seconds");

	if (day.up < 0 || day.up > PAGE_DAY)
		day.up = 0;
	if (day.away < 0 || day.away > PAGE_DAY)
		day.away = 0;
	if (sick > 0 && sick <= PAGE_DAY)
		day.away += sick;
	day.known = day.up > 0 || day.away > 0;
	return day;
}

/* The last ninety days up to today, those without observation left empty. */
static void take_days(const struct page *page, const json_t *report, struct day days[PAGE_DAYS])
{
	int64_t today = page->now / PAGE_DAY;
	json_t *object;
	size_t i;

	for (i = 0; i < PAGE_DAYS; i++)
		days[i] = (struct day){ .known = false };
	json_array_foreach(json_object_get(report, "days"), i, object) {
		int64_t back = today - page_get_date(object, "date") / PAGE_DAY;

		if (back >= 0 && back < PAGE_DAYS)
			days[PAGE_DAYS - 1 - back] = day_of(object);
	}
}

/* Trouble stands out by its height as well as by its colour. */
static enum page_tone tone_of(const struct day *day)
{
	if (!day->known)
		return PAGE_IDLE;
	if (day->away == 0)
		return PAGE_GOOD;
	return day->away > (day->up + day->away) / SERIOUS ? PAGE_BAD : PAGE_WARN;
}

static void put_day(const struct page *page, const struct day *day, int place)
{
	static const int margins[] = {
		[PAGE_GOOD] = 8, [PAGE_WARN] = 4, [PAGE_BAD] = 0, [PAGE_IDLE] = 16
	};
	enum page_tone tone = tone_of(day);
	int64_t date = (page->now / PAGE_DAY - PAGE_DAYS + 1 + place) * PAGE_DAY;

	fprintf(page->out, "<rect class='%s' x='%d' y='%d' width='%d' height='%d'><title>",
		page_tone_name(tone), place * STEP, margins[tone], WIDTH,
		HEIGHT - 2 * margins[tone]);
	page_date(page, date);
	if (!day->known)
		fputs(day->isolated > 0 ? ": this host was cut off" : ": not observed", page->out);
	else if (day->away == 0)
		fputs(": up", page->out);
	else {
		fputs(": away for ", page->out);
		page_duration(page, day->away);
	}
	fputs("</title></rect>", page->out);
}

static void put_summary(const struct page *page, const json_t *report)
{
	const json_t *availability = json_object_get(report, "availability");
	size_t outages = json_array_size(json_object_get(report, "outages"));

	if (json_is_number(availability)) {
		page_share(page, json_number_value(availability));
		fputs(" up, ", page->out);
		if (outages == 0)
			fputs("no outage", page->out);
		else
			page_plural(page, (int64_t)outages, "outage", "outages");
	} else {
		fputs("not observed yet", page->out);
	}
}

void page_days(const struct page *page, const struct page_domain *domain)
{
	struct day days[PAGE_DAYS];

	if (domain->report == NULL)
		return;
	take_days(page, domain->report, days);
	fprintf(page->out,
		"<svg class='days' role='img' viewBox='0 0 %d %d' preserveAspectRatio='none' "
		"aria-label='The last 90 days: ",
		PAGE_DAYS * STEP - (STEP - WIDTH), HEIGHT);
	put_summary(page, domain->report);
	fputs("'>", page->out);
	for (int i = 0; i < PAGE_DAYS; i++)
		put_day(page, &days[i], i);
	fputs("</svg><p class='scale'><span>90 days ago</span><strong>", page->out);
	put_summary(page, domain->report);
	fputs("</strong><span>today</span></p>", page->out);
}
