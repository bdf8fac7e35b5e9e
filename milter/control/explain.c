/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "explain": what would be said to a RCPT, and why. Never waits, counts or learns. Loop thread
 * only.
 */
#include <string.h>

#include "base/text.h"
#include "conf/options.h"
#include "control/control.h"
#include "core/mail_address.h"
#include "mta/judge.h"

static json_t *client_to_json(const struct judge_request *request,
			      const struct judgement *judgement)
{
	const struct decision_facts *facts = &judgement->facts;
	char client[IP_TEXT_MAX];

	ip_format_literal(&request->client, client, sizeof(client));
	return json_pack("{s:s, s:b, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:i}", "client", client,
			 "client_given", request->client.family != IP_NONE, "client_name",
			 request->client_name, "sender", request->sender, "authenticated",
			 request->authenticated, "exempt", facts->exempt, "peer_mx", facts->peer_mx,
			 "persistent", facts->persistent, "persistent_long", facts->persistent_long,
			 "attempts", (int)judgement->standing.attempts);
}

/* Why a domain is none of ours, or not ours to back up. */
static const char *standing_of(const struct control_settings *settings,
			       const struct judgement *judgement)
{
	const struct domain *domain = domains_find(settings->gate->domains, judgement->domain);

	return domain != NULL ? mx_standing_name(domain_mxset(domain)->standing) : NULL;
}

static json_t *domain_to_json(const struct control_settings *settings,
			      const struct judge_request *request,
			      const struct judgement *judgement)
{
	const struct decision_facts *facts = &judgement->facts;
	const char *mx = standing_of(settings, judgement);

	return json_pack("{s:s, s:s, s:o, s:o, s:b, s:b, s:b, s:b, s:b, s:b}", "domain",
			 judgement->domain, "state", domain_state_name(facts->state), "since",
			 control_time(judgement->view.since), "mx",
			 mx != NULL ? json_string(mx) : json_null(), "listed",
			 judgement->settings != NULL &&
				 judgement->settings != &request->config->unlisted,
			 "learning", request->config->domains.from_mta, "senders_up",
			 facts->senders_up, "recovering", facts->recovering, "down_long",
			 facts->down_long, "would_bounce", facts->would_bounce);
}

static json_t *recipient_to_json(const struct judge_request *request,
				 const struct judgement *judgement, bool asks)
{
	const struct recipient_found *found = &judgement->found;

	return json_pack("{s:s, s:s, s:o, s:I, s:b, s:b, s:b}", "recipient",
			 recipient_status_name(judgement->facts.recipient), "source",
			 recipient_source_name(found->source), "verified",
			 control_time(found->verified), "age_up_seconds",
			 (json_int_t)found->age_up_seconds, "memory_failed", found->failed,
			 "asks_primary", asks, "learns",
			 request->config->recipients.callout && judgement_learns(judgement));
}

/* The word of a policy key's value. */
static const char *policy_word(const char *key, int value)
{
	const struct option_word *word = options_find("policy", key)->words;

	while (word->name != NULL && word->value != value)
		word++;
	return word->name;
}

/* The keys by which it was decided; null for a domain that has none. */
static json_t *policy_to_json(const struct judge_request *request,
			      const struct judgement *judgement)
{
	const struct config_policy *policy;

	if (judgement->settings == NULL)
		return json_null();
	policy = &judgement->settings->policy;
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "when_up",
		policy_word("when_up", (int)policy->decision.when_up), "when_invalid",
		policy_word("when_invalid", (int)policy->decision.when_invalid), "when_unknown",
		policy_word("when_unknown", (int)policy->decision.when_unknown), "when_catch_all",
		policy_word("when_catch_all", (int)policy->decision.when_catch_all),
		"unknown_accept_after", (json_int_t)policy->unknown_accept_after, "recovery_grace",
		(json_int_t)policy->recovery_grace, "persistent_attempts",
		(json_int_t)policy->persistent_attempts, "persistent_after",
		(json_int_t)policy->persistent_after, "callout_wait",
		(json_int_t)request->config->recipients.callout_wait);
}

/* One flat object, with the policy inside. */
static json_t *inputs_to_json(const struct control_settings *settings,
			      const struct judge_request *request,
			      const struct judgement *judgement, bool asks)
{
	json_t *inputs = client_to_json(request, judgement);
	json_t *parts[] = { domain_to_json(settings, request, judgement),
			    recipient_to_json(request, judgement, asks) };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		json_object_update(inputs, parts[i]);
		json_decref(parts[i]);
	}
	json_object_set_new(inputs, "policy", policy_to_json(request, judgement));
	return inputs;
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

static json_t *judgement_to_json(const struct control_settings *settings,
				 const struct judge_request *request, struct judgement *judgement)
{
	bool asks = judgement->verdict.action == DECISION_ASK;
	bool shadow = request->config->milter.mode == CONFIG_MODE_SHADOW;
	const struct verdict *verdict = &judgement->verdict;

	/* the question itself is not put: shown is what holds when it gets no answer */
	if (asks) {
		judgement->facts.asked = true;
		judgement->verdict = decision_make(&judgement->facts);
	}
	return json_pack("{s:i, s:s, s:o, s:o, s:o, s:s, s:b, s:s, s:s, s:s, s:o}", "row",
			 verdict->row, "action", decision_action_name(verdict->action), "code",
			 verdict->code != 0 ? json_integer(verdict->code) : json_null(), "xcode",
			 verdict->xcode != NULL ? json_string(verdict->xcode) : json_null(), "text",
			 text_to_json(verdict, request->recipient), "reason",
			 decision_reason_name(verdict->reason), "no_bounce", verdict->no_bounce,
			 "mode", shadow ? "shadow" : "enforce", "state",
			 domain_state_name(judgement->facts.state), "recipient",
			 recipient_status_name(judgement->facts.recipient), "inputs",
			 inputs_to_json(settings, request, judgement, asks));
}

/* What clients may type and no MTA would take says nothing of a decision. What an MTA might take
 * for a domain of ours is explained, however odd. */
static const char *wrong_with(const struct judgement *judgement)
{
	switch (judgement->recipient.kind) {
	case MAIL_ADDRESS_LOCAL_ONLY:
		return "has no domain";
	case MAIL_ADDRESS_NULL:
		return "is no recipient";
	case MAIL_ADDRESS_MAILBOX:
		if (judgement->domain[0] == '\0' && !judgement->recipient.domain_is_literal)
			return "has no valid domain";
		return NULL;
	case MAIL_ADDRESS_MALFORMED:
		return judgement->settings == NULL ? "is no mail address" : NULL;
	case MAIL_ADDRESS_POSTMASTER:
		break;
	}
	return NULL;
}

static void answer(struct control_call *call, const struct judge_request *request,
		   struct judgement *judgement)
{
	const char *wrong = wrong_with(judgement);
	json_t *result;

	if (wrong != NULL) {
		control_fail(call, CONTROL_USAGE, "\"%.300s\" %s; write USER@DOMAIN",
			     request->recipient, wrong);
		return;
	}
	result = judgement_to_json(control_settings_of(call), request, judgement);
	if (result != NULL)
		control_answer(call, CONTROL_OK, result);
	else
		control_fail(call, CONTROL_USAGE, "the recipient is no text");
}

void control_explain(struct control_call *call)
{
	const struct control_settings *settings = control_settings_of(call);
	const char *client = control_string(call, "client", "");
	struct judgement judgement;
	struct judge_request request = {
		.client_name = control_string(call, "name", ""),
		.authenticated = control_flag(call, "auth"),
		.from_sendmail = gate_mta_is_sendmail(settings->gate),
		.sender = control_string(call, "from", "<>"),
		.recipient = control_string(call, "recipient", ""),
	};
	struct config *config;

	if (request.recipient[0] == '\0') {
		control_fail(call, CONTROL_USAGE, "explain needs a recipient: USER@DOMAIN");
		return;
	}
	if (client[0] != '\0' && !ip_parse(client, &request.client)) {
		control_fail(call, CONTROL_USAGE, "--client: \"%.100s\" is no IP address", client);
		return;
	}
	config = gate_config(settings->gate);
	request.config = config;
	judge(settings->gate, &request, &judgement);
	answer(call, &request, &judgement);
	config_put(config);
}
