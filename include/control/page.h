/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page "/" of the HTTP listener: what a person sees of this host in a browser.
 *
 * A pure function from JSON to one HTML document that needs nothing else: no script, no file, no
 * other host. All strings of the documents are taken for foreign: they are cut at a sensible
 * length, made printable and escaped. What is missing or of another type counts as not known. Any
 * thread.
 */
#ifndef BACKUPMX_CONTROL_PAGE_H
#define BACKUPMX_CONTROL_PAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define PAGE_DOMAINS_MAX 100 /* that are shown */

struct page_facts {
	const json_t *status; /* as the answer to "status", of the domains that are shown */
	const json_t *report; /* of the same and ninety days as "report" gives it; NULL: none yet */
	/* {"host": "mx2.example.net", "time": T (now), "started": T,
	 *  "decisions": [{"action": "accept", "reason": "primary-down", "count": 12}, ...],
	 *  "others": [n, ...]}: so many domains besides, by their ranks.
	 * T is RFC 3339 UTC; "decisions" counts from "started" on. */
	const json_t *about;
};

/* How soon somebody should look at a domain in that state: the smaller, the sooner. */
#define PAGE_RANKS 9
int page_rank(const char *state, bool recovering, bool asleep);

/* The document, UTF-8; free() it. It asks the browser to load it again each minute. */
char *page_render(const struct page_facts *facts, size_t *length);

/* The Content-Security-Policy header that the document holds to: nothing is loaded or run. */
#define PAGE_POLICY_MAX 256
const char *page_policy(char *buffer, size_t size);

#endif
