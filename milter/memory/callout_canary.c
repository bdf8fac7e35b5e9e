/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Canaries: one RCPT each, no invented recipient before and no control behind it. They say how the
 * primary is, so they go out whatever it was found to be, and bring nothing into the memory but a
 * new date. Loop thread only.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "io/log_valve.h"
#include "memory/callout_session.h"

static const char *answer_name(enum canary_answer answer)
{
	static const char *const names[] = {
		[CANARY_ACCEPTED] = "accepted",
		[CANARY_REFUSED] = "refused",
		[CANARY_LATER] = "later",
		[CANARY_NO_ANSWER] = "none",
	};

	return names[answer];
}

static void log_canary(const struct callout_line *line, const struct callout_question *question,
		       const struct callout_heard *heard)
{
	char endpoint[IP_TEXT_MAX];
	char line_text[2048];
	TEXT_ON(text, line_text);

	if (heard->answer != CANARY_ACCEPTED && !log_valve_admit(LOG_VALVE_CALLOUT))
		return;
	callout_log_begin(&text, "canary", question);
	text_add_pair(&text, "answer", answer_name(heard->answer));
	if (heard->code != 0)
		text_add_format(&text, " code=%d", heard->code);
	if (heard->xcode[0] != '\0')
		text_add_pair(&text, "xcode", heard->xcode);
	text_add_pair(&text, "endpoint",
		      ip_port_format(&line->address, endpoint, sizeof(endpoint)));
	/* who reads that a domain is sick wants to know what its primary said */
	if (heard->answer != CANARY_ACCEPTED && heard->text[0] != '\0')
		text_add_pair(&text, "text", heard->text);
	log_line(heard->answer == CANARY_ACCEPTED ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "%s",
		 line_text);
}

void callout_canary_answer(struct callout_line *line, struct callout_question *question,
			   const struct callout_heard *heard)
{
	struct callouts *callouts = line->callouts;
	struct recipient_question at_memory;

	log_canary(line, question, heard);
	if (heard->answer == CANARY_ACCEPTED || heard->answer == CANARY_REFUSED)
		line->canary_refused = heard->answer == CANARY_REFUSED;
	if (heard->answer == CANARY_ACCEPTED &&
	    !callout_question_is_catch_all(callouts, question) &&
	    callout_question_at_memory(callouts, question, &at_memory))
		recipients_learn(callouts->recipients, &at_memory, RCPT_VERDICT_VALID);
	question->done(question->done_arg, question->domain, question->local, heard->answer);
	free(question);
}

bool callouts_ask_canary(struct callouts *callouts, const char *domain, const char *local,
			 callouts_canary_done done, void *arg)
{
	const struct domain *known = domains_find(callouts->domains, domain);
	const struct endpoint *endpoint = known != NULL ? domain_endpoint_up(known) : NULL;
	struct callout_question *question;

	if (endpoint == NULL)
		return false;
	question = callout_question_new(domain, local, text_is_ascii(local));
	question->done = done;
	question->done_arg = arg;
	callout_line_add(callout_line_get(callouts, endpoint_address(endpoint)), question);
	return true;
}

bool callouts_primary_refuses(struct callouts *callouts, const struct domain *domain)
{
	const struct endpoint *endpoint = domain_endpoint_up(domain);

	return endpoint != NULL &&
	       callout_line_get(callouts, endpoint_address(endpoint))->canary_refused;
}
