/* SPDX-License-Identifier: BSD-2-Clause */
/* "drill", "drill_result", "drill_end". Loop thread only. */
#include "control/drill.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "io/idna.h"

#define LOOK_AGAIN_MS 20
#define PATIENCE_MS   2000
#define SMTP_PORT     25

static struct drills *drills_of(const struct control_call *call)
{
	return control_settings_of(call)->gate->drills;
}

static const char *mode_name(bool shadow)
{
	return shadow ? "shadow" : "enforce";
}

static bool is_shadow(const struct control_call *call)
{
	struct config *config = gate_config(control_settings_of(call)->gate);
	bool shadow = config->milter.mode == CONFIG_MODE_SHADOW;

	config_put(config);
	return shadow;
}

/* "HOST:PORT", "[ADDRESS]:PORT" */
static json_t *mta_of(const struct control_call *call)
{
	struct config *config = gate_config(control_settings_of(call)->gate);
	const struct config_endpoint *mta = &config->flush.mta;
	struct ip_port endpoint = { .ip = mta->ip, .port = mta->port != 0 ? mta->port : SMTP_PORT };
	char text[MAIL_DOMAIN_MAX + 8];
	json_t *answer;

	if (mta->ip.family != IP_NONE)
		ip_port_format(&endpoint, text, sizeof(text));
	else
		snprintf(text, sizeof(text), "%s:%u", mta->host, (unsigned)endpoint.port);
	answer = json_string(text);
	config_put(config);
	return answer;
}

static void name_caller(const struct control_call *call, char *by, size_t size)
{
	snprintf(by, size, "uid:%lu", (unsigned long)call->uid);
}

/* ---- drill ---- */

/* NULL, or what is wrong with the recipient. */
static const char *read_recipient(const char *typed, struct drill_order *order)
{
	char domain[MAIL_DOMAIN_MAX + 1];
	struct mail_address address;

	mail_address_parse(typed, &address);
	if (address.kind != MAIL_ADDRESS_MAILBOX || !address.askable)
		return "is no plain mail address; write USER@DOMAIN";
	if (!idna_domain_to_ascii(address.domain, domain, sizeof(domain)) ||
	    strcmp(domain, order->domain) != 0)
		return "is not of that domain";
	/* what the log shows, and the message is to be sent to: without the brackets */
	snprintf(order->recipient, sizeof(order->recipient), "%s@%s", address.local,
		 address.domain);
	text_copy(order->local, sizeof(order->local), address.local);
	return NULL;
}

/* False after answering what is wrong. */
static bool read_order(struct control_call *call, struct drill_order *order)
{
	const json_t *hold = json_object_get(call->request, "hold");
	const json_t *alone = json_object_get(call->request, "alone");
	const char *domain = control_string(call, "domain", "");
	const char *recipient = control_string(call, "recipient", "");
	const char *wrong;

	memset(order, 0, sizeof(*order));
	order->hold = json_is_true(hold);
	if (domain[0] == '\0' || recipient[0] == '\0')
		control_fail(call, CONTROL_USAGE, "drill needs a domain and a recipient of it");
	else if (hold != NULL && !json_is_boolean(hold))
		control_fail(call, CONTROL_USAGE, "\"hold\" is true or false");
	else if (alone != NULL && !json_is_boolean(alone))
		control_fail(call, CONTROL_USAGE, "\"alone\" is true or false");
	else if (!idna_domain_to_ascii(domain, order->domain, sizeof(order->domain)))
		control_fail(call, CONTROL_USAGE, "\"%.300s\" is no domain name", domain);
	else if ((wrong = read_recipient(recipient, order)) != NULL)
		control_fail(call, CONTROL_USAGE, "\"%.400s\" %s", recipient, wrong);
	else
		return true;
	return false;
}

static void begin(struct control_call *call, struct drill_order *order, const struct domain *domain)
{
	bool shadow = is_shadow(call);
	char by[32];

	name_caller(call, by, sizeof(by));
	if (json_is_true(json_object_get(call->request, "alone")))
		drills_end_left(drills_of(call), by);
	if (!drills_begin(drills_of(call), order, by)) {
		control_fail(call, CONTROL_NO,
			     "%d drills are under way already: they end by themselves, in %d "
			     "minutes at most",
			     DRILLS_MAX, (DRILL_LIFE_MS + DRILL_KEPT_MS) / 60000);
		return;
	}
	control_answer(call, CONTROL_OK,
		       json_pack("{s:s, s:o, s:s, s:s, s:s, s:b, s:b, s:o}", "token", order->token,
				 "expires", control_time(order->expires), "domain", order->domain,
				 "mode", mode_name(shadow), "state",
				 domain_state_name(domain_view_now(domain, NULL).state), "tag",
				 !shadow && domain_settings(domain)->policy.tag, "hold",
				 order->hold, "mta", mta_of(call)));
}

void control_drill(struct control_call *call)
{
	struct drill_order order;
	struct domain *domain;

	if (!read_order(call, &order))
		return;
	domain = domains_rouse(control_settings_of(call)->gate->domains, order.domain);
	if (domain == NULL)
		control_fail(call, CONTROL_NO,
			     "%s is no domain of ours yet: write [domain \"%s\"] at the end of the "
			     "configuration, then backupmxctl reload",
			     order.domain, order.domain);
	else if (domain_seen(domain) == DOMAIN_NOT_BACKUP)
		control_fail(call, CONTROL_NO,
			     "%s is not-backup: its MX records give nobody better than this host, "
			     "and no primary is configured, so its mail is left alone",
			     order.domain);
	else
		begin(call, &order, domain);
}

/* ---- drill_result ---- */

static json_t *text_or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *number_or_null(int number)
{
	return number != 0 ? json_integer(number) : json_null();
}

/* Unfolded. */
static json_t *tag_line(const char *value)
{
	char line[sizeof(TAG_HEADER) + TAG_VALUE_MAX + 2];
	TEXT_ON(text, line);

	if (value[0] == '\0')
		return json_null();
	text_add(&text, TAG_HEADER ": ");
	for (; *value != '\0'; value++)
		if (*value != '\n') /* a tab follows */
			text_add_char(&text, *value == '\t' ? ' ' : *value);
	return json_string(line);
}

static void add_decision(json_t *document, const struct drill *drill)
{
	const struct drill_decision *decision = &drill->decision;
	const struct verdict *verdict = &decision->verdict;
	bool is = drill->decided;

	json_object_set_new(document, "action",
			    text_or_null(is ? decision_action_name(verdict->action) : NULL));
	json_object_set_new(document, "row", number_or_null(verdict->row));
	json_object_set_new(document, "reason",
			    text_or_null(is ? decision_reason_name(verdict->reason) : NULL));
	json_object_set_new(document, "recipient_status",
			    text_or_null(is ? recipient_status_name(decision->recipient) : NULL));
	json_object_set_new(document, "id", text_or_null(decision->id));
	json_object_set_new(document, "code", number_or_null(verdict->code));
	json_object_set_new(document, "xcode", text_or_null(verdict->xcode));
	json_object_set_new(document, "text", text_or_null(decision->text));
}

static json_t *drill_to_json(const struct control_call *call, const struct drill *drill)
{
	const struct drill_order *order = &drill->order;
	bool shadow = drill->decided ? drill->decision.shadow : is_shadow(call);
	json_t *document =
		json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:s}", "token", order->token, "domain",
			  order->domain, "recipient", order->recipient, "mode", mode_name(shadow),
			  "hold", order->hold, "expires", control_time(order->expires), "state",
			  drill_state_name(drill_state(drill, loop_now_ms())));

	add_decision(document, drill);
	json_object_set_new(document, "tag", tag_line(drill->changes.tag));
	json_object_set_new(document, "queue_id", text_or_null(drill->changes.queue_id));
	json_object_set_new(document, "held", json_boolean(drill->changes.held));
	json_object_set_new(document, "ended", text_or_null(drill_end_name(drill->end)));
	return document;
}

void control_drill_result(struct control_call *call)
{
	struct drill drill;

	if (drills_look(drills_of(call), control_string(call, "token", ""), &drill))
		control_answer(call, CONTROL_OK, drill_to_json(call, &drill));
	else
		control_fail(call, CONTROL_NO,
			     "there is no drill with that token, or not any more: a restart of "
			     "the daemon ends them");
}

/* ---- drill_end ---- */

/* A crash must not forget the pass that the operator was told of. */
static void answer_when_kept(struct control_call *call)
{
	if (!recipients_is_settled(control_settings_of(call)->gate->recipients) &&
	    loop_now_ms() - call->begun_ms < PATIENCE_MS)
		control_later(call, LOOK_AGAIN_MS, answer_when_kept);
	else
		control_drill_result(call);
}

void control_drill_end(struct control_call *call)
{
	const char *token = control_string(call, "token", "");
	const char *result = control_string(call, "result", "");
	bool passed = strcmp(result, "pass") == 0;
	struct drill drill;
	char by[32];

	name_caller(call, by, sizeof(by));
	if (!passed && strcmp(result, "fail") != 0)
		control_fail(call, CONTROL_USAGE, "a drill ends with \"pass\" or \"fail\"");
	else if (!drills_look(drills_of(call), token, &drill))
		control_drill_result(call);
	else if (drills_end(drills_of(call), token, passed ? DRILL_PASSED : DRILL_FAILED, by))
		answer_when_kept(call);
	else
		control_fail(call, CONTROL_NO, "%s",
			     drill.end != DRILL_RUNS
				     ? "that drill has ended already"
				     : "that drill can't have passed: its message wasn't taken");
}
