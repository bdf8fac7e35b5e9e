/* SPDX-License-Identifier: BSD-2-Clause */
/* What the page is made from: status, report, counters. Loop thread only. */
#include "control/web_page.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "control/page.h"
#include "control/report.h"
#include "core/stats.h"

#define SPAN	(90LL * 86400)
#define KEEP_MS 120000 /* twice as long as a browser waits until it asks again */

struct web_page {
	const struct control_settings *settings;
	json_t *report; /* the last one; NULL: none */
	json_t *making; /* the next one; NULL: none */
	struct loop_timer *timer;
};

/* ---- which domains ---- */

struct candidate {
	const struct domain *domain;
	int rank;
	int64_t since;
};

struct choice {
	const struct domain *shown[PAGE_DOMAINS_MAX];
	size_t count;
	json_t *others; /* how many more there are, by rank */
};

/* Of those of one rank those that changed last: what went by lately is told, too. */
static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *one = a;
	const struct candidate *other = b;

	if (one->rank != other->rank)
		return one->rank - other->rank;
	if (one->since != other->since)
		return one->since < other->since ? 1 : -1;
	return strcmp(domain_name(one->domain), domain_name(other->domain));
}

static struct candidate candidate_of(const struct domain *domain)
{
	struct domain_view view = domain_view_now(domain, NULL);
	int64_t grace = domain_settings(domain)->policy.recovery_grace;
	bool recovering = domain_view_recovering(&view, grace, loop_wall_seconds());

	return (struct candidate){ .domain = domain,
				   .rank = page_rank(domain_state_name(view.state), recovering,
						     view.asleep),
				   .since = view.since };
}

static struct candidate *candidates_new(struct domains *domains, size_t *count)
{
	struct candidate *all = NULL;
	size_t room = 0;

	*count = 0;
	for (struct domain *domain = domains_any(domains); domain != NULL;
	     domain = domain_next(domain)) {
		if (*count == room) {
			room = room > 0 ? 2 * room : PAGE_DOMAINS_MAX;
			all = memory_resize(all, room, sizeof(*all));
		}
		all[(*count)++] = candidate_of(domain);
	}
	return all;
}

/* A hundred thousand learned domains cost some ten milliseconds here; a document of them all would
 * take as many seconds. */
static void choose(struct choice *choice, struct domains *domains)
{
	json_int_t others[PAGE_RANKS] = { 0 };
	size_t count;
	struct candidate *all = candidates_new(domains, &count);

	*choice = (struct choice){ .others = json_array() };
	if (count > 0)
		qsort(all, count, sizeof(*all), compare_candidates);
	for (size_t i = 0; i < count; i++) {
		if (i < PAGE_DOMAINS_MAX)
			choice->shown[choice->count++] = all[i].domain;
		else
			others[all[i].rank]++;
	}
	for (int rank = 0; rank < PAGE_RANKS; rank++)
		json_array_append_new(choice->others, json_integer(others[rank]));
	free(all);
}

/* ---- the report ---- */

static void go_on(struct web_page *page)
{
	if (!report_step(page->settings->history, page->making)) {
		loop_timer_start(page->timer, CONTROL_PAUSE_MS);
		return;
	}
	json_decref(page->report);
	page->report = page->making;
	page->making = NULL;
	loop_timer_start(page->timer, KEEP_MS);
}

static void timer_fired(void *arg)
{
	struct web_page *page = arg;

	if (page->making != NULL) {
		go_on(page);
		return;
	}
	json_decref(page->report);
	page->report = NULL;
}

static void refresh_report(struct web_page *page, const struct domain *const *shown, size_t count)
{
	struct report_request request = { .history = page->settings->history,
					  .domains = page->settings->gate->domains,
					  .after = "",
					  .seconds = SPAN };

	if (page->making != NULL)
		return;
	request.names = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(request.names, json_string(domain_name(shown[i])));
	page->making = report_begin(&request);
	json_decref(request.names);
	go_on(page);
}

/* ---- who we are, and what we decided ---- */

static json_t *decision_to_json(enum decision_action action, enum decision_reason reason,
				uint64_t count)
{
	return json_pack("{s:s, s:s, s:I}", "action", decision_action_name(action), "reason",
			 decision_reason_name(reason), "count", (json_int_t)count);
}

static json_t *decisions_to_json(struct stats *stats)
{
	json_t *array = json_array();

	for (enum decision_action action = 0; action < DECISION_ASK; action++)
		for (enum decision_reason reason = 0; reason < DECISION_REASON_COUNT; reason++) {
			uint64_t count = stats_read(&stats->decisions[action][reason]);

			if (count > 0)
				json_array_append_new(array,
						      decision_to_json(action, reason, count));
		}
	return array;
}

/* Takes `others` over. */
static json_t *about(const struct control_settings *settings, json_t *others)
{
	struct stats *stats = settings->services->stats;
	char host[MAIL_DOMAIN_MAX + 1];

	gate_host_name(settings->gate, host, sizeof(host));
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "host", host, "time",
			 control_time(loop_wall_seconds()), "started", control_time(stats->started),
			 "decisions", decisions_to_json(stats), "others", others);
}

void web_page_serve(struct web_page *page, struct http_request *request)
{
	char policy[PAGE_POLICY_MAX];
	struct http_reply reply = { .status = 200,
				    .type = "text/html; charset=utf-8",
				    .policy = page_policy(policy, sizeof(policy)) };
	struct page_facts facts;
	struct choice choice;
	json_t *status;
	json_t *self;
	char *text;

	choose(&choice, page->settings->gate->domains);
	status = control_status_of(page->settings, choice.shown, choice.count);
	self = about(page->settings, choice.others);
	refresh_report(page, choice.shown, choice.count);
	facts.status = status;
	facts.about = self;
	facts.report = page->report;
	text = page_render(&facts, &reply.length);
	reply.body = text;
	http_answer(request, &reply);
	free(text);
	json_decref(self);
	json_decref(status);
}

struct web_page *web_page_new(const struct control_settings *settings)
{
	struct web_page *page = memory_alloc(sizeof(*page));

	page->settings = settings;
	page->timer = loop_timer_new(settings->services->loop, timer_fired, page);
	return page;
}

void web_page_free(struct web_page *page)
{
	json_decref(page->report);
	json_decref(page->making);
	loop_timer_free(page->timer);
	free(page);
}
