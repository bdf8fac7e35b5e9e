/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may ask what, and who waits for it: single flight, budgets of clients. The loop owns all of
 * it but the waiters, which have a lock.
 */
#include "memory/callouts.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/stats.h"
#include "io/clock.h"
#include "io/log_valve.h"
#include "memory/callout_session.h"

#define CLIENTS_MAX 10000
#define MINUTE_MS   60000

/* Shared by the loop and the worker that waits; the last of the two frees it. */
struct callout_waiter {
	struct callout_waiter *next;
	bool done;
	bool abandoned;
	enum recipient_status status;
};

struct client_budget {
	UT_hash_handle hh;
	struct ip_network network;
	struct budget budget;
};

/* ---- budgets ---- */

static void clients_clear(struct callouts *callouts, bool all)
{
	int64_t allowed = callouts->config->recipients.callouts_per_client;
	struct client_budget *item, *next;

	HASH_ITER(hh, callouts->clients, item, next) {
		if (!all && !budget_is_full(&item->budget, allowed, loop_now_ms()))
			continue;
		HASH_DEL(callouts->clients, item);
		free(item);
	}
}

static bool client_may_cause(struct callouts *callouts, const struct ip *client)
{
	int64_t allowed = callouts->config->recipients.callouts_per_client;
	struct ip_network network;
	struct client_budget *item;

	memset(&network, 0, sizeof(network));
	network = ip_client_network(client);
	HASH_FIND(hh, callouts->clients, &network, sizeof(network), item);
	if (item == NULL) {
		if (HASH_COUNT(callouts->clients) >= CLIENTS_MAX)
			clients_clear(callouts, false);
		if (HASH_COUNT(callouts->clients) >= CLIENTS_MAX)
			return false;
		item = memory_alloc(sizeof(*item));
		memcpy(&item->network, &network, sizeof(network));
		HASH_ADD(hh, callouts->clients, network, sizeof(item->network), item);
	}
	return budget_take(&item->budget, allowed, MINUTE_MS, loop_now_ms());
}

/* ---- answers ---- */

static void waiters_tell(struct callouts *callouts, struct callout_question *question,
			 enum recipient_status status)
{
	struct callout_waiter *waiter, *next;

	pthread_mutex_lock(&callouts->wait_lock);
	LL_FOREACH_SAFE(question->waiters, waiter, next) {
		waiter->done = true;
		waiter->status = status;
		if (waiter->abandoned)
			free(waiter);
	}
	pthread_cond_broadcast(&callouts->answered);
	pthread_mutex_unlock(&callouts->wait_lock);
	question->waiters = NULL;
}

bool callout_question_at_memory(struct callouts *callouts, const struct callout_question *question,
				struct recipient_question *out)
{
	struct domain *domain = domains_find(callouts->domains, question->domain);
	struct domain_view view;

	if (domain == NULL)
		return false;
	view = domain_view_now(domain, NULL);
	*out = (struct recipient_question){
		.config = callouts->config,
		.domain = question->domain,
		.local = question->local,
		.clock = domain_view_clock(&view, loop_wall_seconds()),
	};
	return true;
}

struct callout_question *callout_question_new(const char *domain, const char *local, bool is_ascii)
{
	struct callout_question *question = memory_alloc(sizeof(*question));

	text_copy(question->domain, sizeof(question->domain), domain);
	text_copy(question->local, sizeof(question->local), local);
	question->is_ascii = is_ascii;
	question->begun_ms = loop_now_ms();
	return question;
}

void callout_log_begin(struct text *text, const char *kind, const struct callout_question *question)
{
	char recipient[CALLOUT_KEY_MAX + 2];
	TEXT_ON(name, recipient);

	text_add_format(&name, "<%s@%s>", question->local, question->domain);
	text_add_format(text, "%s: ", kind);
	text_add_pair(text, "recipient", recipient);
}

static void log_answer(const struct callout_line *line, const struct callout_question *question,
		       const struct callout_answer *answer)
{
	char endpoint[IP_TEXT_MAX];
	char line_text[1024];
	TEXT_ON(text, line_text);

	if (!log_valve_admit(LOG_VALVE_CALLOUT))
		return;
	callout_log_begin(&text, "callout", question);
	text_add_pair(&text, "verdict",
		      answer->catch_all ? "catch-all" : rcpt_verdict_name(answer->verdict));
	if (answer->code != 0)
		text_add_format(&text, " code=%d", answer->code);
	else
		text_add_pair(&text, "reason", health_reason_name(answer->reason));
	text_add_pair(&text, "endpoint",
		      ip_port_format(&line->address, endpoint, sizeof(endpoint)));
	log_info("%s", line_text);
}

bool callout_question_is_of_sick(struct callouts *callouts, const struct callout_question *question)
{
	const struct domain *domain = domains_find(callouts->domains, question->domain);

	return domain != NULL && domain_seen(domain) == DOMAIN_SICK;
}

bool callout_question_is_catch_all(struct callouts *callouts,
				   const struct callout_question *question)
{
	struct recipient_question at_memory;
	int64_t asked;

	return callout_question_at_memory(callouts, question, &at_memory) &&
	       recipients_catch_all(callouts->recipients, &at_memory, &asked) == CATCH_ALL_YES;
}

/* Files the answer. What the memory said of the recipient before goes to *was. */
static enum recipient_status write_down(struct callouts *callouts,
					const struct callout_question *question,
					const struct callout_answer *answer,
					struct recipient_found *was)
{
	struct recipient_question at_memory;
	struct recipient_found found;

	memset(was, 0, sizeof(*was));
	if (!callout_question_at_memory(callouts, question, &at_memory))
		return RECIPIENT_UNKNOWN;
	recipients_find(callouts->recipients, &at_memory, was);
	if (!answer->catch_all)
		recipients_learn(callouts->recipients, &at_memory, answer->verdict);
	recipients_find(callouts->recipients, &at_memory, &found);
	return found.status;
}

static bool verdict_is_refusal(enum rcpt_verdict verdict)
{
	return verdict == RCPT_VERDICT_INVALID || verdict == RCPT_VERDICT_INVALID_BRIEFLY;
}

/* Refused together with the control proves nothing of the recipient, and all the more of the
 * primary: it doesn't know two people whom it knew. */
static void tell_reasked(struct callouts *callouts, const struct callout_question *question,
			 const struct callout_answer *answer)
{
	const struct callouts_observer *observer = &callouts->observer;
	bool turned_invalid = verdict_is_refusal(answer->verdict) || answer->control_failed;

	if (observer->reasked != NULL && (turned_invalid || answer->verdict == RCPT_VERDICT_VALID))
		observer->reasked(observer->arg, question->domain, turned_invalid);
}

static void tell_accepted(struct callouts *callouts, const struct callout_question *question)
{
	const struct callouts_observer *observer = &callouts->observer;
	char local[MAIL_LOCAL_MAX + 1];

	if (observer->accepted == NULL || mail_local_is_role(question->local) ||
	    callout_question_is_catch_all(callouts, question))
		return;
	recipients_fold(callouts->config, question->local, local, sizeof(local));
	observer->accepted(observer->arg, question->domain, local);
}

void callout_control_failed(struct callouts *callouts, const char *domain)
{
	const struct callouts_observer *observer = &callouts->observer;

	if (observer->control_failed != NULL)
		observer->control_failed(observer->arg, domain);
}

void callout_question_answer(struct callout_line *line, struct callout_question *question,
			     const struct callout_answer *heard)
{
	struct callouts *callouts = line->callouts;
	struct callout_answer answer = *heard;
	struct recipient_found was;
	enum recipient_status status;

	if (callout_question_is_of_sick(callouts, question)) {
		answer.control_failed = false;
		if (verdict_is_refusal(answer.verdict))
			answer.verdict = RCPT_VERDICT_NONE;
	}
	log_answer(line, question, &answer);
	stats_count_callout(callouts->services->stats,
			    stats_callout_of(answer.verdict, answer.catch_all),
			    (loop_now_ms() - question->begun_ms) * 1000);
	status = write_down(callouts, question, &answer, &was);
	if (status == RECIPIENT_UNKNOWN || answer.control_failed)
		callout_silence_keep(callouts, question->key, question->domain);
	if (was.status == RECIPIENT_UNKNOWN && status != RECIPIENT_UNKNOWN)
		domains_count_answer(callouts->domains, question->domain);
	waiters_tell(callouts, question, status);
	HASH_DEL(callouts->questions, question);
	callout_reask_answered(callouts, question, &answer);
	/* an old list that names people who left is no sign of a sick primary */
	if (!answer.catch_all && was.status == RECIPIENT_VALID &&
	    was.source == RECIPIENT_SOURCE_CALLOUT)
		tell_reasked(callouts, question, &answer);
	if (!answer.catch_all && answer.code >= 200 && answer.code < 300)
		tell_accepted(callouts, question);
	free(question);
}

/* ---- asking ---- */

struct asked {
	struct callouts *callouts;
	char domain[MAIL_DOMAIN_MAX + 1];
	char local[MAIL_LOCAL_MAX + 1];
	bool is_ascii;
	struct ip client;
	struct callout_waiter *waiter; /* NULL: nobody waits */
};

/* No callout is made: whoever waits is told so. */
static void decline(struct asked *asked, const char *why)
{
	struct callout_question nobody = { .waiters = asked->waiter };

	log_debug("callout: domain=%s declined: %s", asked->domain, why);
	waiters_tell(asked->callouts, &nobody, RECIPIENT_UNKNOWN);
}

static void question_start(struct asked *asked, const char *key, struct callout_line *line)
{
	struct callouts *callouts = asked->callouts;
	struct callout_question *question =
		callout_question_new(asked->domain, asked->local, asked->is_ascii);

	text_copy(question->key, sizeof(question->key), key);
	if (asked->waiter != NULL)
		LL_PREPEND(question->waiters, asked->waiter);
	HASH_ADD_STR(callouts->questions, key, question);
	callout_line_add(line, question);
	callout_line_serve(line);
}

static void say_client_limit(const struct ip *client)
{
	char address[IP_TEXT_MAX];

	log_limit_reached(LOG_LIMIT_CALLOUTS_PER_CLIENT, "client",
			  ip_format_literal(client, address, sizeof(address)));
}

static void say_line_limit(const struct callout_line *line)
{
	char address[IP_TEXT_MAX];

	log_limit_reached(callout_line_may_be_refused(line) ? LOG_LIMIT_CALLOUT_RATE
							    : LOG_LIMIT_CALLOUT_REFUSALS,
			  "endpoint", ip_port_format(&line->address, address, sizeof(address)));
}

static void consider(struct asked *asked)
{
	struct callouts *callouts = asked->callouts;
	struct domain *domain = domains_find(callouts->domains, asked->domain);
	struct endpoint *endpoint = domain != NULL ? domain_endpoint_up(domain) : NULL;
	struct callout_question *same;
	struct callout_line *line;
	char folded[MAIL_LOCAL_MAX + 1];
	char key[CALLOUT_KEY_MAX];

	if (!callouts->config->recipients.callout) {
		decline(asked, "callout = no");
		return;
	}
	if (endpoint == NULL) {
		decline(asked, "no endpoint is up");
		return;
	}
	recipients_fold(callouts->config, asked->local, folded, sizeof(folded));
	snprintf(key, sizeof(key), "%s@%s", folded, asked->domain);
	HASH_FIND_STR(callouts->questions, key, same);
	if (same != NULL) {
		if (asked->waiter != NULL)
			LL_PREPEND(same->waiters, asked->waiter);
		return;
	}
	if (callout_silence_holds(callouts, key, asked->domain)) {
		decline(asked, "it got no answer lately");
		return;
	}
	line = callout_line_get(callouts, endpoint_address(endpoint));
	if (!client_may_cause(callouts, &asked->client)) {
		say_client_limit(&asked->client);
		decline(asked, "callouts_per_client");
	} else if (!callout_line_may_ask(line)) {
		say_line_limit(line);
		decline(asked, "callout_rate or callout_refusals");
	} else {
		question_start(asked, key, line);
	}
}

static void take_asked(void *arg)
{
	struct asked *asked = arg;

	consider(asked);
	free(asked);
}

static void post(struct callouts *callouts, const struct callout_request *request,
		 struct callout_waiter *waiter)
{
	struct asked *asked = memory_alloc(sizeof(*asked));

	asked->callouts = callouts;
	text_copy(asked->domain, sizeof(asked->domain), request->domain);
	text_copy(asked->local, sizeof(asked->local), request->local);
	asked->is_ascii = request->is_ascii;
	if (request->client != NULL)
		asked->client = *request->client;
	asked->waiter = waiter;
	loop_post(callouts->services->loop, take_asked, asked);
}

void callouts_learn(struct callouts *callouts, const struct callout_request *request)
{
	post(callouts, request, NULL);
}

enum recipient_status callouts_wait(struct callouts *callouts,
				    const struct callout_request *request, int64_t until_ms)
{
	struct callout_waiter *waiter = memory_alloc(sizeof(*waiter));
	enum recipient_status status = RECIPIENT_UNKNOWN;
	bool over = false;

	post(callouts, request, waiter);
	pthread_mutex_lock(&callouts->wait_lock);
	while (!waiter->done && !over && !callouts->stopping)
		over = !clock_cond_wait(&callouts->answered, &callouts->wait_lock, until_ms);
	if (waiter->done) {
		status = waiter->status;
		free(waiter);
	} else {
		waiter->abandoned = true;
	}
	pthread_mutex_unlock(&callouts->wait_lock);
	return status;
}

void callouts_stop_waits(struct callouts *callouts)
{
	pthread_mutex_lock(&callouts->wait_lock);
	callouts->stopping = true;
	pthread_cond_broadcast(&callouts->answered);
	pthread_mutex_unlock(&callouts->wait_lock);
}

/* ---- start and stop ---- */

struct callouts *callouts_new(struct services *services, struct domains *domains,
			      struct recipients *recipients, const struct secret *secret,
			      struct config *config)
{
	struct callouts *callouts = memory_alloc(sizeof(*callouts));

	callouts->services = services;
	callouts->domains = domains;
	callouts->recipients = recipients;
	callouts->secret = *secret;
	callouts->config = config_get(config);
	callout_reasks_init(callouts);
	pthread_mutex_init(&callouts->wait_lock, NULL);
	clock_cond_init(&callouts->answered);
	return callouts;
}

void callouts_observe(struct callouts *callouts, const struct callouts_observer *observer)
{
	callouts->observer = *observer;
}

void callouts_configure(struct callouts *callouts, struct config *config)
{
	struct config *old = callouts->config;
	struct callout_session *session, *next;
	struct callout_line *line, *next_line;

	callouts->config = config_get(config);
	HASH_ITER(hh, callouts->lines, line, next_line) {
		for (session = line->sessions; session != NULL; session = next) {
			next = callout_session_next(session);
			callout_session_retire(session);
		}
	}
	config_put(old);
}

void callouts_free(struct callouts *callouts)
{
	struct callout_question *question, *next_question;
	struct callout_line *line, *next_line;

	HASH_ITER(hh, callouts->lines, line, next_line)
		callout_line_free(line);
	HASH_ITER(hh, callouts->questions, question, next_question) {
		waiters_tell(callouts, question, RECIPIENT_UNKNOWN);
		HASH_DEL(callouts->questions, question);
		free(question);
	}
	callout_reasks_fini(callouts);
	callout_silences_clear(callouts);
	clients_clear(callouts, true);
	pthread_cond_destroy(&callouts->answered);
	pthread_mutex_destroy(&callouts->wait_lock);
	config_put(callouts->config);
	free(callouts);
}
