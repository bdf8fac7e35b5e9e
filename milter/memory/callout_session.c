/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session with a primary. For each question up to three recipients are asked about, in this
 * order: an invented one (is the domain a catch-all?), the one in question, and, if that was
 * refused, a control that the primary is known to accept. One session of a line stays open for a
 * while when there is nothing to ask. Loop thread only.
 */
#include "memory/callout_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/rcpt_answer.h"

#define REFUSALS_MAX		7 /* Postfix tarpits from the tenth error on: leave well before */
#define REFUSALS_PER_QUESTION	3 /* the invented one, the one in question, the control */
#define IDLE_MS			10000
#define AGE_MS			120000
#define INVENTED_LENGTH		16
#define CATCH_ALL_AGAIN_SECONDS 3600
#define WEEK_SECONDS		(7 * 24 * 3600)

enum step { STEP_INVENTED, STEP_RECIPIENT, STEP_CONTROL, STEP_CANARY };
enum phase { PHASE_MAIL, PHASE_RCPT, PHASE_RSET };

struct callout_session {
	struct callout_session *prev, *next;
	struct callout_line *line;
	struct smtp_client *client;
	struct callout_question *question; /* being asked */
	enum step step;
	enum phase phase;
	enum rcpt_answer answer; /* to the step's RCPT */
	int code;
	/* the question's outcome so far */
	enum rcpt_answer recipient_answer;
	int recipient_code;
	struct callout_heard canary; /* of a canary, so far */
	int refusals;		     /* in this session */
	char controlled[MAIL_DOMAIN_MAX +
			1]; /* the domain whose control was accepted in this session */
	bool answered;	    /* a question before the present one, or it has been idle */
	bool reused;	    /* it has been idle, and nothing was heard from the host since */
	bool stale;	    /* the configuration has changed since it was opened */
	int64_t opened_ms;
	struct loop_timer *idle_timer;
	bool retry_plain; /* TLS failed, and may be left out */
	/* what the session is made of; must outlive the client */
	char helo[MAIL_DOMAIN_MAX + 1];
	char host[MAIL_DOMAIN_MAX + 1];
	char domain[MAIL_DOMAIN_MAX + 1];
};

static void session_next_question(struct callout_session *session);

struct callout_session *callout_session_next(struct callout_session *session)
{
	return session->next;
}

static void session_unlink(struct callout_session *session)
{
	DL_DELETE(session->line->sessions, session);
	session->line->session_count--;
	if (session->line->idle == session)
		session->line->idle = NULL;
	loop_timer_free(session->idle_timer);
	free(session);
}

void callout_session_free(struct callout_session *session)
{
	if (session->client != NULL)
		smtp_client_abort(session->client);
	if (session->question != NULL && session->question->done != NULL)
		free(session->question); /* the others are in callouts->questions */
	session_unlink(session);
}

/* ---- one RCPT ---- */

static void ask_rcpt(struct callout_session *session, enum step step, const char *local)
{
	const struct smtp_dialog *dialog = smtp_client_dialog(session->client);
	bool utf8 = !text_is_ascii(local);
	char command[SMTP_COMMAND_MAX];

	session->step = step;
	session->phase = PHASE_MAIL;
	session->answer = RCPT_ANSWER_NONE;
	session->code = 0;
	snprintf(command, sizeof(command), "RCPT TO:<%s@%s>", local, session->question->domain);
	smtp_client_send(session->client, utf8 && dialog->offers_smtputf8 ? "MAIL FROM:<> SMTPUTF8"
									  : "MAIL FROM:<>");
	smtp_client_send(session->client, command);
	smtp_client_send(session->client, "RSET");
}

/* ---- the question's course ---- */

static void finish_question(struct callout_session *session, const struct callout_answer *answer)
{
	struct callout_question *question = session->question;

	session->question = NULL;
	session->answered = true;
	if (question->done != NULL)
		callout_canary_answer(session->line, question, &session->canary);
	else
		callout_question_answer(session->line, question, answer);
}

static void conclude(struct callout_session *session, enum rcpt_control control)
{
	struct callouts *callouts = session->line->callouts;
	struct callout_answer answer = {
		.verdict = rcpt_verdict_of(session->recipient_answer, control),
		.code = session->recipient_code,
		.control_failed = control == RCPT_CONTROL_FAILED,
	};
	char domain[MAIL_DOMAIN_MAX + 1];

	text_copy(domain, sizeof(domain), session->question->domain);
	finish_question(session, &answer);
	if (control == RCPT_CONTROL_FAILED)
		callout_control_failed(callouts, domain);
	session_next_question(session);
}

/* A local part that nobody has; the same for a week, so that a primary sees one invented name only.
 */
static void invent_local(const struct callout_session *session, char local[INVENTED_LENGTH + 1])
{
	char week[32];
	const char *parts[] = { "catch-all", session->question->domain, week };

	snprintf(week, sizeof(week), "%lld", (long long)(loop_wall_seconds() / WEEK_SECONDS));
	secret_word(&session->line->callouts->secret, parts, 3, local, INVENTED_LENGTH);
}

static const char *catch_all_key(const struct callout_session *session, char key[CALLOUT_KEY_MAX])
{
	snprintf(key, CALLOUT_KEY_MAX, "@%s", session->question->domain);
	return key;
}

static bool catch_all_is_due(const struct callout_session *session)
{
	char key[CALLOUT_KEY_MAX];
	struct callouts *callouts = session->line->callouts;
	struct recipient_question at_memory;
	int64_t asked;

	if (!callout_question_at_memory(callouts, session->question, &at_memory) ||
	    callout_silence_holds(callouts, catch_all_key(session, key), session->question->domain))
		return false;
	if (recipients_catch_all(callouts->recipients, &at_memory, &asked) == CATCH_ALL_UNKNOWN)
		return true;
	return at_memory.clock.now - asked >= CATCH_ALL_AGAIN_SECONDS ||
	       at_memory.clock.now < asked;
}

/* False when there was nothing to ask: the question is answered. */
static bool begin_question(struct callout_session *session)
{
	struct callout_answer catch_all = { .catch_all = true, .reason = HEALTH_OK };
	char invented[INVENTED_LENGTH + 1];

	if (session->question->done != NULL) {
		ask_rcpt(session, STEP_CANARY, session->question->local);
	} else if (catch_all_is_due(session)) {
		invent_local(session, invented);
		ask_rcpt(session, STEP_INVENTED, invented);
	} else if (callout_question_is_catch_all(session->line->callouts, session->question)) {
		finish_question(session, &catch_all);
		return false;
	} else {
		ask_rcpt(session, STEP_RECIPIENT, session->question->local);
	}
	return true;
}

/* A full mailbox is somebody's, but proves nothing of others: only a 2xx is an acceptance here. */
static bool was_accepted(const struct callout_session *session)
{
	return session->answer == RCPT_ANSWER_VALID && session->code < 300;
}

static void note_controlled(struct callout_session *session)
{
	text_copy(session->controlled, sizeof(session->controlled), session->question->domain);
}

static void after_invented(struct callout_session *session)
{
	struct callouts *callouts = session->line->callouts;
	struct callout_answer answer = { .catch_all = true, .code = session->code };
	struct recipient_question at_memory;
	bool known = callout_question_at_memory(callouts, session->question, &at_memory);
	char key[CALLOUT_KEY_MAX];

	if (known && was_accepted(session)) {
		recipients_learn_catch_all(callouts->recipients, &at_memory, true);
		finish_question(session, &answer);
		session_next_question(session);
		return;
	}
	/* a 4xx, or a refusal that isn't of the mailbox, or one by a sick primary tells nothing:
	 * asked again another time */
	if (known && rcpt_answer_is_refusal(session->answer) &&
	    !callout_question_is_of_sick(callouts, session->question))
		recipients_learn_catch_all(callouts->recipients, &at_memory, false);
	else
		callout_silence_keep(callouts, catch_all_key(session, key),
				     session->question->domain);
	ask_rcpt(session, STEP_RECIPIENT, session->question->local);
}

static void after_recipient(struct callout_session *session)
{
	struct callouts *callouts = session->line->callouts;
	struct recipient_question at_memory;
	char control[MAIL_LOCAL_MAX + 1];

	session->recipient_answer = session->answer;
	session->recipient_code = session->code;
	if (!rcpt_answer_is_refusal(session->answer)) {
		if (was_accepted(session) && !mail_local_is_role(session->question->local))
			note_controlled(session);
		conclude(session, RCPT_CONTROL_NONE);
	} else if (callout_question_is_of_sick(callouts, session->question)) {
		conclude(session, RCPT_CONTROL_NONE); /* won't be kept: no control is bothered */
	} else if (strcmp(session->controlled, session->question->domain) == 0) {
		conclude(session, RCPT_CONTROL_ACCEPTED);
	} else if (callout_question_at_memory(callouts, session->question, &at_memory) &&
		   recipients_control(callouts->recipients, &at_memory, control, sizeof(control))) {
		ask_rcpt(session, STEP_CONTROL, control);
	} else {
		conclude(session, RCPT_CONTROL_NONE);
	}
}

static void after_control(struct callout_session *session)
{
	bool accepted = was_accepted(session);

	if (accepted)
		note_controlled(session);
	conclude(session, accepted ? RCPT_CONTROL_ACCEPTED : RCPT_CONTROL_FAILED);
}

static void after_canary(struct callout_session *session)
{
	/* it is as good a control as any for the questions behind it */
	if (session->canary.answer == CANARY_ACCEPTED &&
	    !mail_local_is_role(session->question->local))
		note_controlled(session);
	finish_question(session, NULL);
	session_next_question(session);
}

static void step_done(struct callout_session *session)
{
	switch (session->step) {
	case STEP_INVENTED:
		after_invented(session);
		break;
	case STEP_RECIPIENT:
		after_recipient(session);
		break;
	case STEP_CONTROL:
		after_control(session);
		break;
	case STEP_CANARY:
		after_canary(session);
		break;
	}
}

/* ---- the session's course ---- */

static void session_quit(struct callout_session *session)
{
	smtp_client_quit(session->client);
	session->client = NULL;
	session_unlink(session);
}

/* The endpoint that this session talks to, as one of the domain's; NULL when it is none any more.
 */
static struct endpoint *endpoint_of(const struct callout_session *session, const char *domain_name)
{
	struct domain *domain = domains_find(session->line->callouts->domains, domain_name);

	for (size_t i = 0; domain != NULL && i < domain_member_count(domain); i++) {
		struct endpoint *endpoint = domain_member(domain, i).endpoint;

		if (ip_port_equal(endpoint_address(endpoint), &session->line->address))
			return endpoint;
	}
	return NULL;
}

/* Several domains may know one address by different names; the certificate was checked for one. */
static bool is_verified_for(const struct callout_session *session, const char *domain)
{
	struct callouts *callouts = session->line->callouts;
	const struct endpoint *endpoint = endpoint_of(session, domain);

	if (callouts->config->recipients.callout_tls != CONFIG_TLS_VERIFY)
		return true;
	return endpoint != NULL &&
	       strcmp(domain_endpoint_host(domains_find(callouts->domains, domain), endpoint),
		      session->host) == 0;
}

static int64_t age_left_ms(const struct callout_session *session)
{
	return session->opened_ms + AGE_MS - loop_now_ms();
}

/* This session is good for that question. */
static bool may_take(const struct callout_session *session, const struct callout_question *question)
{
	if (question == NULL || session->stale || age_left_ms(session) <= 0 ||
	    !is_verified_for(session, question->domain))
		return false;
	/* A canary is to hear what a mail would that comes now: a server process that has served us
	 * for a while may not have noticed yet that its table of users is gone. */
	if (question->done != NULL)
		return !session->answered;
	return session->refusals + REFUSALS_PER_QUESTION <= REFUSALS_MAX &&
	       callout_line_may_be_refused(session->line);
}

static bool may_rest(const struct callout_session *session)
{
	return session->line->idle == NULL && callout_line_first(session->line) == NULL &&
	       !session->stale && age_left_ms(session) > 0 &&
	       session->refusals + REFUSALS_PER_QUESTION <= REFUSALS_MAX;
}

static void rested_enough(void *arg)
{
	session_quit(arg);
}

static void session_rest(struct callout_session *session)
{
	int64_t left = age_left_ms(session);

	session->line->idle = session;
	session->answered = true;
	session->controlled[0] = '\0'; /* who was accepted then may not be any more */
	if (session->idle_timer == NULL)
		session->idle_timer = loop_timer_new(session->line->callouts->services->loop,
						     rested_enough, session);
	loop_timer_start(session->idle_timer, left < IDLE_MS ? left : IDLE_MS);
}

static void session_next_question(struct callout_session *session)
{
	struct callout_line *line = session->line;
	const struct smtp_dialog *dialog = smtp_client_dialog(session->client);
	struct callout_answer unaskable = { .verdict = RCPT_VERDICT_NONE,
					    .reason = HEALTH_PROTOCOL };

	while (may_take(session, callout_line_first(line))) {
		session->question = callout_line_take(line);
		session->canary = (struct callout_heard){ .answer = CANARY_NO_ANSWER };
		session->code = 0;
		/* its domain may be gone meanwhile, or have other primaries */
		if (endpoint_of(session, session->question->domain) == NULL ||
		    (!session->question->is_ascii && !dialog->offers_smtputf8))
			finish_question(session, &unaskable);
		else if (begin_question(session))
			return;
	}
	if (may_rest(session)) {
		session_rest(session);
		return;
	}
	session_quit(session);
	callout_line_serve(line);
}

void callout_session_resume(struct callout_session *session)
{
	session->line->idle = NULL;
	session->reused = true;
	loop_timer_stop(session->idle_timer);
	session_next_question(session);
}

void callout_session_retire(struct callout_session *session)
{
	session->stale = true;
	if (session->line->idle == session)
		session_quit(session);
}

static void hear_canary(struct callout_session *session, const struct smtp_reply *reply)
{
	session->canary.answer = rcpt_answer_of_canary(reply);
	session->canary.code = reply->code;
	smtp_enhanced_format(&reply->enhanced, session->canary.xcode,
			     sizeof(session->canary.xcode));
	text_copy(session->canary.text, sizeof(session->canary.text), reply->text);
}

static void take_rcpt(struct callout_session *session, const struct smtp_reply *reply)
{
	const struct smtp_dialog *dialog = smtp_client_dialog(session->client);
	const char *host = strstr(dialog->host, ".mail.protection.outlook.com") != NULL
				   ? dialog->host
				   : session->host;
	struct endpoint *endpoint;

	session->code = reply->code;
	session->answer = rcpt_answer_read(reply, host);
	hear_canary(session, reply);
	if (reply->code >= 400) /* Postfix counts errors of both kinds */
		session->refusals++;
	if (reply->code >= 500)
		callout_line_refused(session->line, session->step == STEP_CANARY);
	endpoint = endpoint_of(session, session->question->domain);
	if (endpoint != NULL)
		endpoint_saw_answer(endpoint);
}

/* A host that hangs up in the middle of a session that went well until then ("421 too many errors")
 * has not been heard on this question: it gets its turn in another session, once. That it closed an
 * idle one is nobody's fault and doesn't count. */
static bool ask_again(struct callout_session *session)
{
	struct callout_question *question = session->question;

	if (question == NULL || !session->answered || (question->again && !session->reused))
		return false;
	question->again = question->again || !session->reused;
	session->question = NULL;
	callout_line_put_back(session->line, question);
	return true;
}

static void fail_session(struct callout_session *session, enum health_reason reason, int code)
{
	struct callout_line *line = session->line;
	struct callout_answer nothing = { .verdict = RCPT_VERDICT_NONE,
					  .code = code,
					  .reason = reason };
	bool again = ask_again(session);

	if (session->question != NULL)
		finish_question(session, &nothing);
	session_unlink(session);
	if (again)
		callout_line_serve(line);
	else
		callout_line_fail(line, &nothing);
}

static void give_up_session(struct callout_session *session, enum health_reason reason, int code)
{
	smtp_client_quit(session->client);
	session->client = NULL;
	fail_session(session, reason, code);
}

static void reply_came(void *arg, const struct smtp_reply *reply)
{
	struct callout_session *session = arg;

	if (reply->code != 421) /* "idle for too long" */
		session->reused = false;
	switch (session->phase) {
	case PHASE_MAIL:
		session->phase = PHASE_RCPT;
		if (reply->code >= 400) { /* that is about us: nobody's fault but ours */
			session->code = reply->code;
			hear_canary(session, reply);
			give_up_session(session, HEALTH_OK, reply->code);
		}
		break;
	case PHASE_RCPT:
		session->phase = PHASE_RSET;
		take_rcpt(session, reply);
		break;
	case PHASE_RSET:
		/* RSET can't fail (RFC 5321 4.1.1.5): this is the answer to something else, and so
		 * was the one taken for RCPT's */
		if (reply->code >= 300) {
			session->canary.answer = CANARY_NO_ANSWER;
			give_up_session(session, HEALTH_PROTOCOL, 0);
		} else {
			step_done(session);
		}
		break;
	}
}

static void opened(void *arg)
{
	session_next_question(arg);
}

static enum smtp_dialog_tls tls_wish(const struct callout_session *session)
{
	switch (session->line->callouts->config->recipients.callout_tls) {
	case CONFIG_TLS_NONE:
		return SMTP_DIALOG_TLS_NONE;
	case CONFIG_TLS_MAY:
		return session->retry_plain ? SMTP_DIALOG_TLS_NONE : SMTP_DIALOG_TLS_MAY;
	case CONFIG_TLS_ENCRYPT:
	case CONFIG_TLS_VERIFY:
		break;
	}
	return SMTP_DIALOG_TLS_MUST;
}

static void session_connect(struct callout_session *session, const struct config_probe *probe);

/* The answer to the recipient's RCPT had come when the session broke: it counts without a control,
 * unless it was the announcement that the session would break. */
static bool answered_before_loss(const struct callout_session *session)
{
	if (session->question == NULL || session->phase != PHASE_RSET || session->code == 421)
		return false;
	return session->step == STEP_CANARY ||
	       (session->step == STEP_RECIPIENT && !rcpt_answer_is_refusal(session->answer));
}

static void ended(void *arg, enum health_reason reason)
{
	struct callout_session *session = arg;
	struct callouts *callouts = session->line->callouts;
	struct domain *domain = domains_find(callouts->domains, session->domain);
	struct callout_answer answer;
	struct endpoint *endpoint;

	session->client = NULL;
	if (session->line->idle == session) {
		session_unlink(session);
		return;
	}
	if (reason == HEALTH_TLS_FAIL && domain != NULL && !session->retry_plain &&
	    callouts->config->recipients.callout_tls == CONFIG_TLS_MAY) {
		session->retry_plain = true;
		session_connect(session, &domain_settings(domain)->probe);
		return;
	}
	if (answered_before_loss(session)) {
		answer = (struct callout_answer){
			.verdict = rcpt_verdict_of(session->answer, RCPT_CONTROL_NONE),
			.code = session->code,
		};
		finish_question(session, &answer);
	}
	endpoint = endpoint_of(session, session->domain);
	if (endpoint != NULL && !session->reused)
		endpoint_probe_soon(endpoint);
	fail_session(session, reason, 0);
}

static void session_connect(struct callout_session *session, const struct config_probe *probe)
{
	static const struct smtp_client_handlers handlers = { opened, reply_came, ended };
	struct callouts *callouts = session->line->callouts;
	struct smtp_client_settings settings = {
		.endpoint = session->line->address,
		.source_v4 = probe->source_v4,
		.source_v6 = probe->source_v6,
		.plan = { .helo = session->helo,
			  .level = HEALTH_LEVEL_EHLO,
			  .tls = tls_wish(session),
			  .self = &callouts->services->identity.self },
		.tls_host = session->host,
		.tls_verify = callouts->config->recipients.callout_tls == CONFIG_TLS_VERIFY,
		.connect_timeout_ms = probe->connect_timeout * 1000,
		.reply_timeout_ms = probe->timeout * 1000,
	};

	session->client =
		smtp_client_start(callouts->services->clients, &settings, &handlers, session);
}

void callout_session_start(struct callout_line *line, struct domain *domain,
			   struct endpoint *endpoint)
{
	const struct config_probe *probe = &domain_settings(domain)->probe;
	struct callout_session *session = memory_alloc(sizeof(*session));

	session->line = line;
	session->opened_ms = loop_now_ms();
	text_copy(session->helo, sizeof(session->helo),
		  probe->helo_name[0] != '\0' ? probe->helo_name
					      : line->callouts->services->identity.host_name);
	text_copy(session->host, sizeof(session->host), domain_endpoint_host(domain, endpoint));
	text_copy(session->domain, sizeof(session->domain), domain_name(domain));
	DL_APPEND(line->sessions, session);
	line->session_count++;
	session_connect(session, probe);
}
