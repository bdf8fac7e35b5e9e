/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "explain": what would be said to a RCPT, and why. Never waits, counts or learns. Loop thread
 * only.
 */
#include <string.h>

#include "base/text.h"
#include "control/control.h"
#include "core/mail_address.h"
#include "mta/judge.h"

#define EXIT_USAGE 2

static json_t *inputs_to_json(const struct judge_request *request,
			      const struct judgement *judgement, bool asks)
{
	const struct decision_facts *facts = &judgement->facts;
	char client[IP_TEXT_MAX];

	ip_format_literal(&request->client, client, sizeof(client));
	return json_pack("{s:s, s:s, s:b, s:b, s:s, s:s, s:o, s:b, s:b, s:b, s:b, s:b, s:b, s:i, "
			 "s:s, s:s, s:o, s:I, s:b, s:b}",
			 "client", client, "client_name", request->client_name, "authenticated",
			 request->authenticated, "exempt", facts->exempt, "domain",
			 judgement->domain, "state", domain_state_name(facts->state), "since",
			 control_time(judgement->view.since), "senders_up", facts->senders_up,
			 "recovering", facts->recovering, "peer_mx", facts->peer_mx, "down_long",
			 facts->down_long, "persistent", facts->persistent, "persistent_long",
			 facts->persistent_long, "attempts", (int)judgement->standing.attempts,
			 "recipient", recipient_status_name(facts->recipient), "source",
			 recipient_source_name(judgement->found.source), "verified",
			 control_time(judgement->found.verified), "age_up_seconds",
			 (json_int_t)judgement->found.age_up_seconds, "memory_failed",
			 judgement->found.failed, "asks_primary", asks);
}

/* As the client would see it: with foreign bytes made printable. */
static json_t *text_to_json(const struct verdict *verdict, const char *recipient)
{
	char buffer[1024];
	TEXT_ON(text, buffer);

	if (verdict->text == NULL)
		return json_null();
	text_add(&text, recipient[0] == '<' ? "" : "<");
	text_add_printable(&text, recipient, strlen(recipient));
	text_add(&text, recipient[0] == '<' ? ": " : ">: ");
	text_add(&text, verdict->text);
	return json_string(buffer);
}

static json_t *judgement_to_json(const struct judge_request *request, struct judgement *judgement)
{
	bool asks = judgement->verdict.action == DECISION_ASK;
	const struct verdict *verdict = &judgement->verdict;

	/* the question itself is not put: shown is what holds when it gets no answer */
	if (asks) {
		judgement->facts.asked = true;
		judgement->verdict = decision_make(&judgement->facts);
	}
	return json_pack("{s:i, s:s, s:o, s:o, s:o, s:s, s:s, s:s, s:o}", "row", verdict->row,
			 "action", decision_action_name(verdict->action), "code",
			 verdict->code != 0 ? json_integer(verdict->code) : json_null(), "xcode",
			 verdict->xcode != NULL ? json_string(verdict->xcode) : json_null(), "text",
			 text_to_json(verdict, request->recipient), "reason",
			 decision_reason_name(verdict->reason), "state",
			 domain_state_name(judgement->facts.state), "recipient",
			 recipient_status_name(judgement->facts.recipient), "inputs",
			 inputs_to_json(request, judgement, asks));
}

void control_explain(struct control_call *call)
{
	const struct control_settings *settings = control_settings_of(call);
	const char *client = control_string(call, "client", "");
	struct config *config;
	struct judgement judgement;
	struct judge_request request = {
		.client_name = control_string(call, "name", ""),
		.authenticated = control_flag(call, "auth"),
		.sender = control_string(call, "from", "<>"),
		.recipient = control_string(call, "recipient", ""),
	};
	json_t *result;

	if (request.recipient[0] == '\0') {
		control_fail(call, EXIT_USAGE, "explain needs a recipient address");
		return;
	}
	if (client[0] != '\0' && !ip_parse(client, &request.client)) {
		control_fail(call, EXIT_USAGE, "--client takes an IP address, not \"%s\"", client);
		return;
	}
	config = gate_config(settings->gate);
	request.config = config;
	judge(settings->gate, &request, &judgement);
	result = judgement_to_json(&request, &judgement);
	config_put(config);
	if (result != NULL)
		control_answer(call, 0, result);
	else
		control_fail(call, EXIT_USAGE, "the recipient is no text");
}
