/* SPDX-License-Identifier: BSD-2-Clause */
/* Connection and message state, and what is said and logged for each recipient. */
#include "mta/session.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/secret.h"
#include "mta/judge.h"

/* Of what a client typed: any real address, and so little that the id at the end of a reply or of a
 * log line is never cut off, even when each character has to be escaped. */
#define ADDRESS_SHOWN_MAX 340
#define ADDRESS_TYPED_MAX 1024

struct session {
	struct gate *gate;
	struct ip client;
	char client_name[MAIL_DOMAIN_MAX + 1];
	char mta_name[MAIL_DOMAIN_MAX + 1];
	bool is_sendmail;
	/* the message */
	struct config *config;
	bool authenticated;
	char sender_typed[ADDRESS_TYPED_MAX];
	int64_t wait_left_ms;
	bool watched; /* a recipient of ours, of a client that isn't exempt, was let in */
	int tags_seen;
	struct tag tag;
	char **accepted; /* domains for which it was accepted, each once */
	size_t accepted_count;
	struct no_bounce no_bounce;
	uint64_t drill; /* its serial, of a message that has claimed one; else 0 */
};

struct session *session_new(struct gate *gate, const struct ip *client, const char *client_name)
{
	struct session *session = memory_alloc(sizeof(*session));

	session->gate = gate;
	stats_count_connection(gate->stats, true);
	session->client = *client;
	/* "unknown" and "[192.0.2.7]" are what MTAs write when they could not verify a name */
	if (client_name[0] != '[' && strcasecmp(client_name, "unknown") != 0)
		text_copy(session->client_name, sizeof(session->client_name), client_name);
	return session;
}

void session_reset(struct session *session)
{
	for (size_t i = 0; i < session->accepted_count; i++)
		free(session->accepted[i]);
	free(session->accepted);
	session->accepted = NULL;
	session->accepted_count = 0;
	no_bounce_clear(&session->no_bounce);
	config_put(session->config);
	session->config = NULL;
	session->watched = false;
	session->tags_seen = 0;
	session->drill = 0;
	memset(&session->tag, 0, sizeof(session->tag));
}

void session_free(struct session *session)
{
	if (session == NULL)
		return;
	session_reset(session);
	stats_count_connection(session->gate->stats, false);
	free(session);
}

void session_set_mta(struct session *session, bool is_sendmail, const char *mta_name)
{
	session->is_sendmail = is_sendmail;
	gate_note_mta(session->gate, is_sendmail);
	text_copy(session->mta_name, sizeof(session->mta_name), mta_name);
}

/* Whether it is a fire drill's message. */
static void look_for_drill(struct session *session, const char *sender,
			   const char *const *parameters)
{
	char token[DRILL_TOKEN_LENGTH + 1];
	struct mail_address address;

	if (!drill_token_in(parameters, token))
		return;
	mail_address_parse(sender, &address);
	session->drill = drills_claim(session->gate->drills, token, &session->client,
				      address.kind == MAIL_ADDRESS_NULL);
}

void session_mail(struct session *session, const char *sender, const char *const *parameters,
		  bool authenticated)
{
	session_reset(session);
	session->config = gate_config(session->gate);
	session->authenticated = authenticated;
	session->wait_left_ms = session->config->recipients.callout_wait * 1000;
	text_copy(session->sender_typed, sizeof(session->sender_typed), sender);
	look_for_drill(session, sender, parameters);
}

/* ---- what is logged ---- */

static void add_path(struct text *text, const char *key, const char *typed)
{
	char path[ADDRESS_SHOWN_MAX + 1];
	TEXT_ON(shown, path);

	text_add_format(&shown, typed[0] == '<' ? "%s" : "<%s>", typed);
	text_add_pair(text, key, path);
}

/* Whether this decision gets a line; those that accept or reject always do. */
static bool gets_line(const struct session *session, const struct judgement *judgement,
		      unsigned long *suppressed)
{
	struct suppression_event event = { .client = session->client,
					   .reason = judgement->verdict.reason,
					   .domain = judgement->domain };

	*suppressed = 0;
	return judgement->verdict.action != DECISION_DEFER || judgement->drill ||
	       defer_log_admit(session->gate->defers, &event, suppressed);
}

static void log_verdict(const struct session *session, const struct judgement *judgement,
			const char *recipient, const char *queue_id, const char *id)
{
	const struct verdict *verdict = &judgement->verdict;
	enum log_level level =
		verdict->reason == REASON_EXEMPT || verdict->reason == REASON_NOT_OURS
			? LOG_LEVEL_DEBUG
			: LOG_LEVEL_INFO;
	unsigned long suppressed;
	char address[IP_TEXT_MAX];
	char line[2048];
	TEXT_ON(text, line);

	if (!log_wants(level) || !gets_line(session, judgement, &suppressed))
		return;
	text_add_printable(&text, queue_id, strlen(queue_id));
	text_add(&text, ": ");
	text_add_pair(&text, "action", decision_action_name(verdict->action));
	if (verdict->code != 0) {
		text_add_format(&text, " code=%d", verdict->code);
		text_add_pair(&text, "xcode", verdict->xcode);
	}
	text_add_pair(&text, "reason", decision_reason_name(verdict->reason));
	text_add_format(&text, " row=%d", verdict->row);
	text_add_pair(&text, "client",
		      ip_format_literal(&session->client, address, sizeof(address)));
	add_path(&text, "from", session->sender_typed);
	add_path(&text, "to", recipient);
	text_add_pair(&text, "domain", judgement->domain[0] != '\0' ? judgement->domain : "-");
	text_add_pair(&text, "state", domain_state_name(judgement->facts.state));
	text_add_pair(&text, "recipient", recipient_status_name(judgement->facts.recipient));
	text_add_pair(&text, "mode",
		      session->config->milter.mode == CONFIG_MODE_SHADOW ? "shadow" : "enforce");
	text_add_pair(&text, "id", id);
	if (suppressed > 0)
		text_add_format(&text, " suppressed=%lu", suppressed);
	if (judgement->drill)
		text_add(&text, " drill=yes");
	log_line(level, "%s", line);
}

/* ---- what is said ---- */

static void make_reply(const struct session *session, const struct verdict *verdict,
		       const char *recipient, const char *id, struct session_reply *reply)
{
	/* Sendmail puts the address before 550 texts itself. */
	bool with_recipient = !(session->is_sendmail && verdict->code == 550);
	size_t shown = strlen(recipient);
	TEXT_ON(text, reply->text);

	if (shown > ADDRESS_SHOWN_MAX)
		shown = ADDRESS_SHOWN_MAX;
	if (with_recipient) {
		if (recipient[0] != '<')
			text_add_char(&text, '<');
		text_add_printable(&text, recipient, shown);
		text_add(&text, recipient[0] != '<' ? ">: " : ": ");
	}
	text_add(&text, verdict->text);
	text_add_format(&text, " (id %s)", id);
	reply->code = verdict->code;
	reply->xcode = verdict->xcode;
}

static void note_accepted(struct session *session, const char *domain)
{
	for (size_t i = 0; i < session->accepted_count; i++)
		if (strcmp(session->accepted[i], domain) == 0)
			return;
	session->accepted = memory_resize(session->accepted, session->accepted_count + 1,
					  sizeof(*session->accepted));
	session->accepted[session->accepted_count++] = memory_string(domain);
}

static bool may_bounce_not(const struct decision_policy *policy)
{
	return policy->when_unknown == WHEN_UNKNOWN_ACCEPT_NO_BOUNCE ||
	       policy->when_catch_all == WHEN_CATCH_ALL_ACCEPT_NO_BOUNCE;
}

static void let_in(struct session *session, const struct judgement *judgement,
		   const struct session_recipient *recipient, const char *id)
{
	struct no_bounce_rcpt no_bounce = { .typed = recipient->typed,
					    .address = &judgement->recipient,
					    .parameters = recipient->parameters,
					    .fold = session->config->recipients.local_part_case ==
						    CONFIG_CASE_FOLD,
					    .wanted = judgement->verdict.no_bounce };

	session->watched = true;
	if (!judgement->drill) /* no outage keeps it */
		note_accepted(session, judgement->domain);
	if (may_bounce_not(&judgement->settings->policy.decision))
		no_bounce_add(&session->no_bounce, &no_bounce);
	if (judgement->settings->policy.tag)
		tag_add_recipient(&session->tag, &judgement->verdict, judgement->facts.state,
				  judgement->drill ? 0 : judgement->view.since,
				  judgement->facts.recipient, id);
}

static void count_verdict(struct session *session, const struct judgement *judgement,
			  int64_t begun_us)
{
	const struct verdict *verdict = &judgement->verdict;

	if (judgement->drill)
		return;
	stats_count_decision(session->gate->stats, verdict->action, verdict->reason,
			     clock_now_us() - begun_us);
	if (judgement->settings != NULL)
		domains_count_verdict(session->gate->domains, judgement->domain, verdict->action);
}

static void tell_drill(struct session *session, const struct judgement *judgement,
		       const struct session_reply *reply, const char *id)
{
	struct drill_decision decision = { .verdict = judgement->verdict,
					   .recipient = judgement->facts.recipient,
					   .shadow = session->config->milter.mode ==
						     CONFIG_MODE_SHADOW };

	if (!judgement->drill)
		return;
	text_copy(decision.id, sizeof(decision.id), id);
	if (reply->code != 0)
		text_copy(decision.text, sizeof(decision.text), reply->text);
	drills_decide(session->gate->drills, session->drill, &decision);
}

void session_rcpt(struct session *session, const struct session_recipient *recipient,
		  struct session_reply *reply)
{
	struct judge_request request = {
		.config = session->config,
		.client = session->client,
		.client_name = session->client_name,
		.authenticated = session->authenticated,
		.from_sendmail = session->is_sendmail,
		.sender = session->sender_typed,
		.recipient = recipient->typed,
		.mailer = recipient->mailer,
		.next_hop = recipient->next_hop,
		.drill = session->drill,
		.wait_left_ms = &session->wait_left_ms,
	};
	struct judgement judgement;
	char typed[ADDRESS_TYPED_MAX];
	char id[TAG_ID_SIZE];
	int64_t begun_us = clock_now_us();

	reply->code = 0;
	if (session->config == NULL) /* a RCPT without a MAIL: nothing to judge */
		return;
	text_copy(typed, sizeof(typed), recipient->typed);
	judge(session->gate, &request, &judgement);
	count_verdict(session, &judgement, begun_us);
	secret_random_id(id, TAG_ID_SIZE - 1);
	log_verdict(session, &judgement, typed,
		    recipient->queue_id != NULL ? recipient->queue_id : "NOQUEUE", id);
	if (judgement.verdict.code != 0)
		make_reply(session, &judgement.verdict, typed, id, reply);
	tell_drill(session, &judgement, reply, id);
	if (session->config->milter.mode == CONFIG_MODE_SHADOW)
		reply->code = 0;
	else if (judgement.verdict.action == DECISION_ACCEPT)
		let_in(session, &judgement, recipient, id);
}

void session_header(struct session *session, const char *name)
{
	size_t length = strlen(name);

	/* "Name : value" is obsolete syntax (RFC 5322 4.5.8), and still the same header to many */
	while (length > 0 && (name[length - 1] == ' ' || name[length - 1] == '\t'))
		length--;
	if (length == strlen(TAG_HEADER) && strncasecmp(name, TAG_HEADER, length) == 0)
		session->tags_seen++;
}

/* Sendmail (8.17 was tried) keeps the notifications of a recipient that was deleted when it is
 * added again without. */
static void warn_of_sendmail(void)
{
	static atomic_flag warned = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&warned))
		log_warning("milter: accept_no_bounce has no effect with Sendmail: what the "
			    "primary refuses later will bounce");
}

/* From here on the drill counts as taken, and held where it is to be: whoever ends it now knows
 * that there is something to release. */
static bool end_drill(struct session *session, const char *queue_id, bool can_hold,
		      const struct session_changes *changes)
{
	struct drill_changes drill = { .held = can_hold };

	if (session->drill == 0)
		return false;
	if (changes->add_tag)
		text_copy(drill.tag, sizeof(drill.tag), changes->tag);
	if (queue_id != NULL)
		text_copy(drill.queue_id, sizeof(drill.queue_id), queue_id);
	text_make_printable(drill.queue_id);
	drills_take(session->gate->drills, session->drill, &drill);
	return drill.held;
}

void session_end(struct session *session, const char *queue_id, bool can_hold,
		 struct session_changes *changes)
{
	char by[MAIL_DOMAIN_MAX + 1];

	changes->remove_tags = session->watched ? session->tags_seen : 0;
	changes->add_tag = session->tag.recipients > 0;
	if (session->mta_name[0] != '\0')
		text_copy(by, sizeof(by), session->mta_name);
	else
		gate_host_name(session->gate, by, sizeof(by));
	if (changes->add_tag)
		tag_format(&session->tag, by, &session->client, changes->tag, sizeof(changes->tag));
	no_bounce_settle(&session->no_bounce);
	changes->no_bounce = &session->no_bounce;
	if (session->no_bounce.count > 0 && session->is_sendmail)
		warn_of_sendmail();
	for (size_t i = 0; i < session->accepted_count; i++)
		domains_count_mail(session->gate->domains, session->accepted[i]);
	changes->hold = end_drill(session, queue_id, can_hold, changes);
}

void session_settle(struct session *session, const struct session_outcome *outcome)
{
	if (session->drill != 0)
		drills_settle(session->gate->drills, session->drill, outcome->taken,
			      outcome->tagged, outcome->held);
}
