/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page from the inside: shared by the files milter/control/page*.c and by no one else.
 *
 * What is ours is written with fprintf(); what comes out of the documents only by the functions
 * here that say so, since they escape it.
 */
#ifndef BACKUPMX_CONTROL_PAGE_PARTS_H
#define BACKUPMX_CONTROL_PAGE_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PAGE_DAY  86400
#define PAGE_DAYS 90

/* Also the names of style classes and of the shapes in front of the words. */
enum page_tone { PAGE_GOOD, PAGE_BACK, PAGE_WARN, PAGE_BAD, PAGE_IDLE };

/* A domain as it is shown. */
struct page_domain {
	const json_t *status;
	const json_t *report; /* NULL: none */
	const char *name;
	const char *word; /* its state, for people */
	enum page_tone tone;
	int rank;      /* the smaller, the sooner somebody should look at it */
	int64_t since; /* 0: not known */
};

/* What the headline is about. */
struct page_counts {
	size_t down, sick, unknown, up, unwatched; /* forced ones are among them */
};

struct page_outage {
	const json_t *outage;
	const char *domain;
	int64_t start, end; /* `end` is now while it lasts */
	int64_t lasted;	    /* seconds */
	bool over, sick;
};

struct page {
	FILE *out;
	const json_t *status, *report, *about;
	int64_t now;		     /* seconds since 1970 */
	struct page_domain *domains; /* those that are shown */
	size_t shown;
	size_t domain_count; /* of all */
	struct page_counts counts;
	struct page_outage *outages; /* the latest first */
	size_t outage_count;
	int64_t days; /* from the first day in the report to today, PAGE_DAYS at most; 0: none */
};

/* ---- page_text.c: writing ---- */

/* Writes a foreign string: bounded, printable ASCII, escaped for text and attributes. */
void page_foreign(const struct page *page, const char *string);
/* The same for names, which may be broken behind their dots; not for attributes. */
void page_name(const struct page *page, const char *name);
void page_time(const struct page *page, int64_t seconds);     /* an element; UTC, to the minute */
void page_ago(const struct page *page, int64_t seconds);      /* "3 min ago", "just now" */
void page_duration(const struct page *page, int64_t seconds); /* two units at most: 3 d 4 h */
void page_date(const struct page *page, int64_t seconds);     /* "23 Nov" */
void page_number(const struct page *page, int64_t number);
/* Shares in percent; 100 % is all of it, not nearly all. */
void page_share(const struct page *page, double share);	  /* to the hundredth: 99.98 % */
void page_percent(const struct page *page, double share); /* a whole number */
/* "1 outage", "3 outages" */
void page_plural(const struct page *page, int64_t count, const char *one, const char *many);
/* "today", "in the last 12 days": the time of which the report knows something */
void page_span(const struct page *page);
void page_icon(const struct page *page, enum page_tone tone);
const char *page_tone_name(enum page_tone tone);

/* ---- page_facts.c: reading ---- */

const char *page_get_string(const json_t *object, const char *key); /* "" when it isn't there */
int64_t page_get_number(const json_t *object, const char *key);	    /* 0, likewise */
bool page_get_known(const json_t *object, const char *key);	    /* a number is there */
bool page_get_flag(const json_t *object, const char *key);
int64_t page_get_time(const json_t *object, const char *key); /* 0, likewise */
int64_t page_get_date(const json_t *object, const char *key); /* midnight; 0, likewise */
/* Fills `domains`, `counts` and `outages` from the documents. */
void page_facts_take(struct page *page);
void page_facts_drop(struct page *page);

/* ---- page_words.c: plain words ---- */

/* What a primary does; NULL for a word that isn't ours. */
const char *page_health_words(const char *reason);
const char *page_decision_words(const char *reason);

/* ---- the sections ---- */

void page_verdict_title(const struct page *page); /* one line, for the title as well */
enum page_tone page_verdict_tone(const struct page *page);
void page_verdict(const struct page *page);
void page_domains(const struct page *page);
void page_days(const struct page *page, const struct page_domain *domain);
void page_outages(const struct page *page);
void page_decisions(const struct page *page);

#endif
