/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the page reads out of the documents: domains in the order in which somebody should look at
 * them, and outages, the latest first. No state; any thread.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "control/page.h"
#include "control/page_parts.h"

const char *page_get_string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value != NULL ? value : "";
}

int64_t page_get_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

bool page_get_known(const json_t *object, const char *key)
{
	return json_is_number(json_object_get(object, key));
}

bool page_get_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* Other than strptime(), it takes no year that the arithmetic behind it might stumble over. */
static int64_t time_of(const char *text, const char *format)
{
	struct tm utc = { .tm_isdst = 0 };
	const char *end = strptime(text, format, &utc);

	if (end == NULL || *end != '\0' || utc.tm_year < 70 || utc.tm_year > 8000)
		return 0;
	return timegm(&utc);
}

int64_t page_get_time(const json_t *object, const char *key)
{
	return time_of(page_get_string(object, key), "%Y-%m-%dT%H:%M:%SZ");
}

int64_t page_get_date(const json_t *object, const char *key)
{
	return time_of(page_get_string(object, key), "%Y-%m-%d");
}

/* ---- domains ---- */

/* In the order in which they are shown: a state's place is its rank. */
static const struct state {
	const char *name, *word;
	enum page_tone tone;
	size_t counted; /* where in struct page_counts */
} states[PAGE_RANKS] = {
	{ "down", "down", PAGE_BAD, offsetof(struct page_counts, down) },
	{ "sick", "sick", PAGE_WARN, offsetof(struct page_counts, sick) },
	{ "forced-down", "forced down", PAGE_BAD, offsetof(struct page_counts, down) },
	{ "unknown", "not known yet", PAGE_IDLE, offsetof(struct page_counts, unknown) },
	{ "not-backup", "not its backup", PAGE_IDLE, offsetof(struct page_counts, unwatched) },
	{ "forced-up", "forced up", PAGE_BACK, offsetof(struct page_counts, up) },
	{ "up", "up, recovering", PAGE_BACK, offsetof(struct page_counts, up) },
	{ "up", "up", PAGE_GOOD, offsetof(struct page_counts, up) },
	{ "", "asleep", PAGE_IDLE, offsetof(struct page_counts, unwatched) },
};
enum { RANK_UNKNOWN = 3, RANK_RECOVERING = 6, RANK_UP = 7, RANK_ASLEEP = 8 };

int page_rank(const char *state, bool recovering, bool asleep)
{
	if (asleep)
		return RANK_ASLEEP;
	if (strcmp(state, states[RANK_UP].name) == 0)
		return recovering ? RANK_RECOVERING : RANK_UP;
	for (int i = 0; i < RANK_RECOVERING; i++)
		if (strcmp(state, states[i].name) == 0)
			return i;
	return RANK_UNKNOWN;
}

static void count(struct page *page, int rank, size_t more)
{
	*(size_t *)(void *)((char *)&page->counts + states[rank].counted) += more;
	page->domain_count += more;
}

static int compare_domains(const void *a, const void *b)
{
	const struct page_domain *one = a;
	const struct page_domain *other = b;

	return one->rank != other->rank ? one->rank - other->rank : strcmp(one->name, other->name);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(page_get_string(*(json_t *const *)a, "domain"),
		      page_get_string(*(json_t *const *)b, "domain"));
}

/* The report's domains, sorted by name. */
static const json_t **reports_sorted(const struct page *page, size_t *length)
{
	const json_t *array = json_object_get(page->report, "domains");
	const json_t **sorted;

	*length = json_array_size(array);
	sorted = memory_array(*length + 1, sizeof(json_t *));
	for (size_t i = 0; i < *length; i++)
		sorted[i] = json_array_get(array, i);
	qsort(sorted, *length, sizeof(json_t *), compare_names);
	return sorted;
}

static void take_domain(struct page *page, const json_t *status)
{
	int rank = page_rank(page_get_string(status, "state"), page_get_flag(status, "recovering"),
			     page_get_flag(status, "asleep"));

	page->domains[page->domain_count] =
		(struct page_domain){ .status = status,
				      .name = page_get_string(status, "domain"),
				      .word = states[rank].word,
				      .tone = states[rank].tone,
				      .rank = rank,
				      .since = page_get_time(status, "since") };
	count(page, rank, 1);
}

static void take_domains(struct page *page)
{
	const json_t *array = json_object_get(page->status, "domains");
	const json_t *others = json_object_get(page->about, "others");
	json_t *status;
	size_t i;

	page->domains = memory_array(json_array_size(array) + 1, sizeof(*page->domains));
	json_array_foreach(array, i, status)
		take_domain(page, status);
	qsort(page->domains, page->domain_count, sizeof(*page->domains), compare_domains);
	page->shown = page->domain_count < PAGE_DOMAINS_MAX ? page->domain_count : PAGE_DOMAINS_MAX;
	for (int rank = 0; rank < PAGE_RANKS; rank++) {
		json_int_t more = json_integer_value(json_array_get(others, (size_t)rank));

		if (more > 0)
			count(page, rank, (size_t)more);
	}
}

static void take_reports(struct page *page)
{
	size_t length;
	const json_t **sorted = reports_sorted(page, &length);

	for (size_t i = 0; i < page->shown; i++) {
		const json_t **found = bsearch(&page->domains[i].status, sorted, length,
					       sizeof(json_t *), compare_names);

		page->domains[i].report = found != NULL ? *found : NULL;
	}
	free(sorted);
}

/* ---- outages ---- */

static int compare_outages(const void *a, const void *b)
{
	const struct page_outage *one = a;
	const struct page_outage *other = b;

	if (one->start != other->start)
		return one->start < other->start ? 1 : -1;
	return strcmp(one->domain, other->domain);
}

static void take_outage(struct page *page, const json_t *domain, const json_t *outage)
{
	struct page_outage *taken = &page->outages[page->outage_count];

	taken->outage = outage;
	taken->domain = page_get_string(domain, "domain");
	taken->start = page_get_time(outage, "start");
	taken->end = page_get_time(outage, "end");
	taken->over = taken->end != 0;
	taken->sick = strcmp(page_get_string(outage, "state"), "sick") == 0;
	if (!taken->over)
		taken->end = page->now;
	taken->lasted = page_get_known(outage, "duration_seconds")
				? page_get_number(outage, "duration_seconds")
				: taken->end - taken->start;
	if (taken->start != 0)
		page->outage_count++;
}

static void take_outages(struct page *page)
{
	const json_t *domains = json_object_get(page->report, "domains");
	json_t *domain;
	json_t *outage;
	size_t length = 0;
	size_t i;
	size_t j;

	json_array_foreach(domains, i, domain)
		length += json_array_size(json_object_get(domain, "outages"));
	page->outages = memory_array(length + 1, sizeof(*page->outages));
	json_array_foreach(domains, i, domain)
		json_array_foreach(json_object_get(domain, "outages"), j, outage)
			take_outage(page, domain, outage);
	qsort(page->outages, page->outage_count, sizeof(*page->outages), compare_outages);
}

static void take_days(struct page *page)
{
	json_t *domain;
	size_t i;

	json_array_foreach(json_object_get(page->report, "domains"), i, domain) {
		const json_t *oldest = json_array_get(json_object_get(domain, "days"), 0);
		int64_t date = page_get_date(oldest, "date");
		int64_t days = page->now / PAGE_DAY - date / PAGE_DAY + 1;

		if (date != 0 && days > page->days)
			page->days = days < PAGE_DAYS ? days : PAGE_DAYS;
	}
}

void page_facts_take(struct page *page)
{
	page->now = page_get_time(page->about, "time");
	take_domains(page);
	take_reports(page);
	take_outages(page);
	take_days(page);
}

void page_facts_drop(struct page *page)
{
	free(page->domains);
	free(page->outages);
}
