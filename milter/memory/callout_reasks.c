/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recipients whose primary said "later": they are asked about again by themselves, at the times of
 * core/reask.h, while the domain stays in its state. Loop thread only.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "core/reask.h"
#include "memory/callout_session.h"

#define PENDING_MAX 10000
#define PATIENCE_MS 1000 /* until a budget is tried again */

struct pending {
	UT_hash_handle hh;
	char key[CALLOUT_KEY_MAX]; /* a question's, as the rest */
	char domain[MAIL_DOMAIN_MAX + 1];
	char local[MAIL_LOCAL_MAX + 1];
	bool is_ascii;
	int64_t state_since;
	struct reask reask; /* over: the last question is on its way */
};

static void drop(struct callouts *callouts, struct pending *pending)
{
	HASH_DEL(callouts->reasks, pending);
	free(pending);
}

/* ---- when it is time ---- */

static void start_question(struct callout_line *line, const struct pending *pending)
{
	struct callout_question *question =
		callout_question_new(pending->domain, pending->local, pending->is_ascii);

	text_copy(question->key, sizeof(question->key), pending->key);
	HASH_ADD_STR(line->callouts->questions, key, question);
	callout_line_add(line, question);
	callout_line_serve_soon(line); /* not now: an answer would change what we are looking at */
}

/* False when the budgets don't allow it now. */
static bool ask_again(struct callouts *callouts, struct pending *pending)
{
	const struct domain *domain = domains_find(callouts->domains, pending->domain);
	const struct endpoint *endpoint = domain != NULL ? domain_endpoint_up(domain) : NULL;
	struct callout_question *same;
	struct callout_line *line;

	HASH_FIND_STR(callouts->questions, pending->key, same);
	if (endpoint != NULL && same == NULL) {
		line = callout_line_get(callouts, endpoint_address(endpoint));
		if (!callout_line_may_ask(line))
			return false;
		start_question(line, pending);
	}
	reask_asked(&pending->reask, loop_now_ms());
	return true;
}

static bool is_void(struct callouts *callouts, const struct pending *pending)
{
	return !callouts->config->recipients.callout ||
	       pending->state_since != callout_state_since(callouts, pending->domain);
}

/* Returns when to look at it again; 0: not any more, or its answer will say. */
static int64_t look_at(struct callouts *callouts, struct pending *pending)
{
	if (is_void(callouts, pending)) {
		drop(callouts, pending);
		return 0;
	}
	if (!reask_is_over(&pending->reask) && reask_due_ms(&pending->reask) <= loop_now_ms() &&
	    !ask_again(callouts, pending))
		return loop_now_ms() + PATIENCE_MS;
	return reask_is_over(&pending->reask) ? 0 : reask_due_ms(&pending->reask);
}

static void look_not_later_than(struct callouts *callouts, int64_t at_ms)
{
	int64_t wait = at_ms - loop_now_ms();

	if (callouts->reasks_at_ms != 0 && callouts->reasks_at_ms <= at_ms)
		return;
	callouts->reasks_at_ms = at_ms;
	loop_timer_start(callouts->reasks_timer, wait > 0 ? wait : 0);
}

static void look_at_all(void *arg)
{
	struct callouts *callouts = arg;
	struct pending *pending, *next;
	int64_t at_ms;

	callouts->reasks_at_ms = 0;
	HASH_ITER(hh, callouts->reasks, pending, next) {
		at_ms = look_at(callouts, pending);
		if (at_ms != 0)
			look_not_later_than(callouts, at_ms);
	}
}

/* ---- answers ---- */

static void begin(struct callouts *callouts, const struct callout_question *question)
{
	struct pending *pending;

	if (HASH_COUNT(callouts->reasks) >= PENDING_MAX)
		return;
	pending = memory_alloc(sizeof(*pending));
	text_copy(pending->key, sizeof(pending->key), question->key);
	text_copy(pending->domain, sizeof(pending->domain), question->domain);
	text_copy(pending->local, sizeof(pending->local), question->local);
	pending->is_ascii = question->is_ascii;
	pending->state_since = callout_state_since(callouts, question->domain);
	reask_begin(&pending->reask, loop_now_ms());
	HASH_ADD_STR(callouts->reasks, key, pending);
	look_not_later_than(callouts, reask_due_ms(&pending->reask));
}

void callout_reask_answered(struct callouts *callouts, const struct callout_question *question,
			    const struct callout_answer *answer)
{
	bool later = !answer->catch_all && answer->verdict == RCPT_VERDICT_LATER;
	bool none = !answer->catch_all && answer->verdict == RCPT_VERDICT_NONE;
	struct pending *pending;

	HASH_FIND_STR(callouts->reasks, question->key, pending);
	if (pending != NULL && is_void(callouts, pending)) {
		drop(callouts, pending);
		pending = NULL;
	}
	if (pending == NULL) {
		if (later)
			begin(callouts, question);
	} else if ((!later && !none) || reask_is_over(&pending->reask)) {
		drop(callouts, pending);
	}
}

/* ---- start and stop ---- */

void callout_reasks_init(struct callouts *callouts)
{
	callouts->reasks_timer = loop_timer_new(callouts->services->loop, look_at_all, callouts);
}

void callout_reasks_fini(struct callouts *callouts)
{
	struct pending *pending, *next;

	HASH_ITER(hh, callouts->reasks, pending, next)
		drop(callouts, pending);
	loop_timer_free(callouts->reasks_timer);
}
