/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One primary host's line: the questions that wait for it, and what may be asked of it. Loop thread
 * only.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "memory/callout_session.h"

#define QUEUE_MAX	   1000
#define REFUSALS_WINDOW_MS 600000
#define CANARY_PAUSE_MS	   1000

/* What a full budget holds and what it regains in ten minutes make callout_refusals together: the
 * primary's own watchers count any ten minutes. */
static int64_t refusals_allowed(const struct callout_line *line)
{
	int64_t allowed = line->callouts->config->recipients.callout_refusals / 2;

	return allowed > 0 ? allowed : 1;
}

bool callout_line_may_be_refused(const struct callout_line *line)
{
	return budget_has(&line->refusals, refusals_allowed(line), REFUSALS_WINDOW_MS,
			  loop_now_ms());
}

/* Sessions side by side all saw room for the last one: what they went beyond it is owed. Not so
 * canaries, which ask for no room: those of a long sickness would silence us for days after it. */
void callout_line_refused(struct callout_line *line, bool is_canary)
{
	int64_t allowed = refusals_allowed(line);

	if (!is_canary || callout_line_may_be_refused(line))
		budget_charge(&line->refusals, allowed, REFUSALS_WINDOW_MS, loop_now_ms());
}

bool callout_line_may_ask(struct callout_line *line)
{
	const struct config *config = line->callouts->config;
	int64_t now = loop_now_ms();

	return line->queued < QUEUE_MAX && callout_line_may_be_refused(line) &&
	       budget_take(&line->rate, config->recipients.callout_rate, 1000, now);
}

/* Sees to it that the next canary gets its turn. From the loop and never at once, so that whoever
 * asks has left the code that may be freeing a session. */
static void await_turn(struct callout_line *line)
{
	int64_t wait = line->canary_from_ms - loop_now_ms();

	if (line->canaries != NULL)
		loop_timer_start(line->timer, wait > 0 ? wait : 0);
}

static void turn_came(void *arg)
{
	struct callout_line *line = arg;

	callout_line_serve(line);
	/* it may have been asked meanwhile, or the timer a little early; one that is due and still
	 * waits does so for a session */
	if (loop_now_ms() < line->canary_from_ms)
		await_turn(line);
}

struct callout_line *callout_line_get(struct callouts *callouts, const struct ip_port *address)
{
	struct callout_line *line;

	HASH_FIND(hh, callouts->lines, address, sizeof(*address), line);
	if (line == NULL) {
		line = memory_alloc(sizeof(*line));
		memcpy(&line->address, address, sizeof(*address));
		line->callouts = callouts;
		line->timer = loop_timer_new(callouts->services->loop, turn_came, line);
		HASH_ADD(hh, callouts->lines, address, sizeof(line->address), line);
	}
	return line;
}

void callout_line_add(struct callout_line *line, struct callout_question *question)
{
	if (question->done != NULL) {
		DL_APPEND(line->canaries, question);
		await_turn(line);
	} else {
		DL_APPEND(line->queue, question);
		line->queued++;
	}
}

void callout_line_put_back(struct callout_line *line, struct callout_question *question)
{
	if (question->done != NULL) {
		DL_PREPEND(line->canaries, question);
		await_turn(line);
	} else {
		DL_PREPEND(line->queue, question);
		line->queued++;
	}
}

struct callout_question *callout_line_first(const struct callout_line *line)
{
	if (line->canaries != NULL && loop_now_ms() >= line->canary_from_ms)
		return line->canaries;
	return line->queue;
}

struct callout_question *callout_line_take(struct callout_line *line)
{
	struct callout_question *question = callout_line_first(line);

	if (question == NULL)
		return NULL;
	if (question->done != NULL) {
		DL_DELETE(line->canaries, question);
		line->canary_from_ms = loop_now_ms() + CANARY_PAUSE_MS;
		await_turn(line);
	} else {
		DL_DELETE(line->queue, question);
		line->queued--;
	}
	return question;
}

static void give_no_answer(struct callout_line *line, struct callout_question *question,
			   const struct callout_answer *nothing)
{
	if (question->done != NULL)
		callout_canary_answer(line, question,
				      &(struct callout_heard){ .answer = CANARY_NO_ANSWER,
							       .code = nothing->code });
	else
		callout_question_answer(line, question, nothing);
}

/* Another endpoint may have become the domain's best since the question was put: this one can
 * answer all the same. */
static bool open_session(struct callout_line *line, const struct callout_question *question)
{
	struct domain *domain = domains_find(line->callouts->domains, question->domain);
	struct endpoint *endpoint =
		domain != NULL ? domain_endpoint_up_at(domain, &line->address) : NULL;

	if (endpoint == NULL)
		return false;
	if (question->done == NULL && !callout_line_may_be_refused(line))
		return false;
	callout_session_start(line, domain, endpoint);
	return true;
}

void callout_line_serve(struct callout_line *line)
{
	struct callout_answer nothing = { .verdict = RCPT_VERDICT_NONE, .reason = HEALTH_LOST };
	struct callout_question *question;

	while ((question = callout_line_first(line)) != NULL) {
		if (line->idle != NULL) {
			callout_session_resume(line->idle);
			return;
		}
		if (line->session_count >= line->callouts->config->recipients.callout_sessions)
			return;
		if (open_session(line, question))
			return;
		if (line->session_count > 0 && question->done == NULL)
			return; /* that one may still take it */
		give_no_answer(line, callout_line_take(line), &nothing);
	}
}

void callout_line_serve_soon(struct callout_line *line)
{
	loop_timer_start(line->timer, 0);
}

void callout_line_fail(struct callout_line *line, const struct callout_answer *nothing)
{
	struct callout_question *question = callout_line_first(line);

	/* one canary a failure: each of the others makes its own attempt */
	if (question != NULL && question->done != NULL)
		give_no_answer(line, callout_line_take(line), nothing);
	while (line->session_count == 0 && (question = line->queue) != NULL) {
		DL_DELETE(line->queue, question);
		line->queued--;
		callout_question_answer(line, question, nothing);
	}
}

void callout_line_free(struct callout_line *line)
{
	struct callout_session *session, *next;
	struct callout_question *canary, *next_canary;

	for (session = line->sessions; session != NULL; session = next) {
		next = callout_session_next(session);
		callout_session_free(session);
	}
	DL_FOREACH_SAFE(line->canaries, canary, next_canary)
		free(canary);
	loop_timer_free(line->timer);
	HASH_DEL(line->callouts->lines, line);
	free(line);
}
