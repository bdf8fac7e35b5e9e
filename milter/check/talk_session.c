/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sessions of a check: connect, EHLO, STARTTLS where it is offered (when the handshake fails,
 * once more in plain), then for each domain MAIL, its canary, perhaps an invented recipient, RSET.
 * A session is freed when it has ended or said QUIT. On the loop.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "check/talk.h"
#include "io/secret.h"

#define AT_ONCE		20
#define CONNECT_SECONDS 10
#define REPLY_SECONDS	15    /* postscreen waits 6 s before its banner */
#define SESSION_MS	60000 /* for all of it */
#define REFUSALS_MAX	4     /* fail2ban's filters count five by default */
#define CANARIES_MAX	50    /* domains asked for in a session */
#define INVENTED_LENGTH 14
#define GOODBYE_LOOK_MS 20

struct runner {
	struct check *check;
	struct talk **talks;
	size_t count;
	size_t next;
	size_t running;
};

enum step { STEP_MAIL, STEP_CANARY, STEP_INVENTED, STEP_RSET, STEP_COUNT };

struct session {
	struct runner *runner;
	struct talk *talk;
	struct smtp_client *client;
	struct loop_timer *patience;
	bool plain; /* TLS has failed */
	bool opened;
	size_t turn; /* which of talk->canaries */
	enum step step;
	size_t inventions;
};

static void start_more(struct runner *runner);

static void session_end(struct session *session)
{
	struct runner *runner = session->runner;

	loop_timer_free(session->patience);
	free(session);
	runner->running--;
	start_more(runner);
	if (runner->running == 0)
		loop_stop(runner->check->loop);
}

/* ---- what is asked ---- */

static bool is_best_host(const struct talk_domain *domain, const struct talk *talk)
{
	const char *best = domain->domain->endpoints[0].host;

	for (size_t i = 0; i < talk->host_count; i++)
		if (strcmp(talk->hosts[i], best) == 0)
			return true;
	return false;
}

static bool wants_canary(const struct session *session, const struct talk_canary *canary)
{
	return canary->domain->silent == NULL && canary->domain->canary[0] != '\0' &&
	       session->turn < CANARIES_MAX;
}

/* One endpoint of the best host takes it upon itself. */
static bool wants_invented(struct session *session, struct talk_domain *domain)
{
	if (domain->invented_at == NULL && domain->silent == NULL &&
	    session->inventions < REFUSALS_MAX && is_best_host(domain, session->talk)) {
		domain->invented_at = session->talk;
		session->inventions++;
	}
	return domain->invented_at == session->talk;
}

static bool is_wanted(struct session *session)
{
	struct talk_canary *canary = &session->talk->canaries[session->turn];
	bool invented = wants_invented(session, canary->domain);

	switch (session->step) {
	case STEP_CANARY:
		return wants_canary(session, canary);
	case STEP_INVENTED:
		return invented;
	default:
		return invented || wants_canary(session, canary);
	}
}

static void send_step(struct session *session)
{
	const struct talk_domain *domain = session->talk->canaries[session->turn].domain;
	char local[INVENTED_LENGTH + 1];
	char line[SMTP_COMMAND_MAX];
	TEXT_ON(text, line);

	switch (session->step) {
	case STEP_MAIL:
		text_add(&text, "MAIL FROM:<>");
		break;
	case STEP_CANARY:
		text_add_format(&text, "RCPT TO:<%s>", domain->canary);
		break;
	case STEP_INVENTED:
		secret_random_id(local, INVENTED_LENGTH);
		text_add_format(&text, "RCPT TO:<%s@%s>", local, domain->domain->name);
		break;
	default:
		text_add(&text, "RSET");
		break;
	}
	smtp_client_send(session->client, line);
}

static void say_goodbye(struct session *session)
{
	smtp_client_quit(session->client);
	session_end(session);
}

/* The next question there is, from this step on. */
static void ask(struct session *session)
{
	while (session->turn < session->talk->canary_count && !is_wanted(session)) {
		if (++session->step == STEP_COUNT) {
			session->step = STEP_MAIL;
			session->turn++;
		}
	}
	if (session->turn < session->talk->canary_count)
		send_step(session);
	else
		say_goodbye(session);
}

/* ---- what is heard ---- */

static void answer_read(const struct smtp_reply *reply, const char *host,
			struct talk_answer *answer)
{
	char enhanced[16];
	TEXT_ON(said, answer->said);

	answer->code = reply->code;
	answer->enhanced = reply->enhanced;
	answer->meaning = rcpt_answer_read(reply, host);
	smtp_enhanced_format(&reply->enhanced, enhanced, sizeof(enhanced));
	text_add_format(&said, "%d%s%s %s", reply->code, enhanced[0] != '\0' ? " " : "", enhanced,
			reply->text);
}

static void on_reply(void *arg, const struct smtp_reply *reply)
{
	struct session *session = arg;
	struct talk *talk = session->talk;
	struct talk_canary *canary = &talk->canaries[session->turn];
	const char *host = smtp_client_dialog(session->client)->host;

	if (session->step == STEP_MAIL && reply->code >= 400) {
		answer_read(reply, host, &talk->mail);
		say_goodbye(session); /* the other domains' would be answered alike */
		return;
	}
	if (session->step == STEP_CANARY) {
		canary->asked = true;
		answer_read(reply, host, &canary->answer);
	}
	if (session->step == STEP_INVENTED)
		answer_read(reply, host, &canary->domain->invented);
	session->step++;
	if (session->step == STEP_COUNT) {
		session->step = STEP_MAIL;
		session->turn++;
	}
	ask(session);
}

static void certificate_look(struct talk *talk, struct ssl_st *ssl)
{
	talk->has_certificate = tls_certificate_read(ssl, &talk->certificate);
	for (size_t i = 0; i < talk->host_count && talk->not_named == NULL; i++)
		if (talk->hosts[i][0] != '\0' && !tls_certificate_names(ssl, talk->hosts[i]))
			talk->not_named = talk->hosts[i];
}

/* Where a callout would not be made, no recipient is named either (callout_tls). */
static bool may_ask(const struct session *session)
{
	const struct talk *talk = session->talk;

	switch (session->runner->check->config->recipients.callout_tls) {
	case CONFIG_TLS_ENCRYPT:
		return talk->tls == TALK_TLS_STANDS;
	case CONFIG_TLS_VERIFY:
		return talk->tls == TALK_TLS_STANDS && talk->certificate.trusted &&
		       talk->not_named == NULL;
	default:
		return true;
	}
}

static void on_open(void *arg)
{
	struct session *session = arg;
	struct talk *talk = session->talk;
	const struct smtp_dialog *dialog = smtp_client_dialog(session->client);
	struct ssl_st *ssl = smtp_client_tls(session->client);

	session->opened = true;
	talk->reason = HEALTH_OK;
	talk->offers_8bitmime = dialog->offers_8bitmime;
	talk->offers_smtputf8 = dialog->offers_smtputf8;
	talk->offers_size = dialog->offers_size;
	talk->size_limit = dialog->size_limit;
	if (ssl != NULL) {
		talk->tls = TALK_TLS_STANDS;
		certificate_look(talk, ssl);
	} else if (dialog->offers_starttls && talk->kind == TALK_PRIMARY) {
		talk->tls = TALK_TLS_FAILED;
	}
	if (may_ask(session))
		ask(session);
	else
		say_goodbye(session);
}

static void on_observed(void *arg, enum smtp_client_step step, const char *bytes, size_t length)
{
	struct session *session = arg;
	struct talk *talk = session->talk;
	TEXT_ON(said, talk->said);
	size_t start;

	if (step == SMTP_CLIENT_CONNECTED)
		talk->connected = true;
	if (step != SMTP_CLIENT_RECEIVED)
		return;
	while (length > 0 && (bytes[length - 1] == '\n' || bytes[length - 1] == '\r'))
		length--;
	for (start = length; start > 0 && bytes[start - 1] != '\n';)
		start--;
	text_add_printable(&said, bytes + start, length - start);
	if (talk->greeting[0] == '\0')
		text_copy(talk->greeting, sizeof(talk->greeting), talk->said);
}

/* ---- life ---- */

static int64_t shortened_ms(int64_t seconds, int64_t most)
{
	return (seconds < most ? seconds : most) * 1000;
}

static enum smtp_dialog_tls tls_plan(const struct session *session)
{
	return session->plain || session->talk->kind != TALK_PRIMARY ? SMTP_DIALOG_TLS_NONE
								     : SMTP_DIALOG_TLS_MAY;
}

static void on_ended(void *arg, enum health_reason reason);

static void session_start(struct session *session)
{
	static const struct smtp_client_handlers handlers = { on_open, on_reply, on_ended };
	struct check *check = session->runner->check;
	struct talk *talk = session->talk;
	const struct config_probe *probe = talk->probe;
	struct smtp_client_settings settings = {
		.endpoint = talk->address,
		.plan = { .helo = check_helo_name(check, probe),
			  .level = talk->kind == TALK_REFERENCE ? HEALTH_LEVEL_BANNER
								: HEALTH_LEVEL_EHLO,
			  .tls = tls_plan(session) },
		.tls_host = talk->host_count > 0 ? talk->hosts[0] : "",
		.connect_timeout_ms = shortened_ms(probe->connect_timeout, CONNECT_SECONDS),
		.reply_timeout_ms = shortened_ms(probe->timeout, REPLY_SECONDS),
		.observe = on_observed,
	};

	if (talk->kind == TALK_PRIMARY)
		settings.plan.self = &check->identity.self;
	if (talk->kind != TALK_OWN) {
		settings.source_v4 = probe->source_v4;
		settings.source_v6 = probe->source_v6;
	}
	session->client = smtp_client_start(check->smtp, &settings, &handlers, session);
}

static void on_ended(void *arg, enum health_reason reason)
{
	struct session *session = arg;
	struct talk *talk = session->talk;

	if (!session->opened && reason == HEALTH_TLS_FAIL && !session->plain) {
		talk->tls = TALK_TLS_FAILED;
		session->plain = true;
		session_start(session);
		return;
	}
	if (!session->opened)
		talk->reason = reason;
	session_end(session);
}

static void patience_over(void *arg)
{
	struct session *session = arg;

	if (!session->opened)
		session->talk->reason = HEALTH_TIMEOUT;
	smtp_client_abort(session->client);
	session_end(session);
}

static void start_more(struct runner *runner)
{
	while (runner->running < AT_ONCE && runner->next < runner->count) {
		struct talk *talk = runner->talks[runner->next++];
		struct session *session;

		if (talk->is_us)
			continue;
		session = memory_alloc(sizeof(*session));
		session->runner = runner;
		session->talk = talk;
		session->patience = loop_timer_new(runner->check->loop, patience_over, session);
		loop_timer_start(session->patience, SESSION_MS);
		runner->running++;
		session_start(session);
	}
}

static void look_again(void *arg)
{
	loop_stop(arg);
}

/* A QUIT that isn't sent, or not waited for, looks like a lost connection in the peer's log. */
static void goodbyes_wait(struct check *check)
{
	struct loop_timer *timer = loop_timer_new(check->loop, look_again, check->loop);

	while (smtp_clients_busy(check->smtp)) {
		loop_timer_start(timer, GOODBYE_LOOK_MS);
		loop_run(check->loop);
	}
	loop_timer_free(timer);
}

void talk_sessions_run(struct check *check, struct talk **talks, size_t count)
{
	struct runner runner = { .check = check, .talks = talks, .count = count };

	start_more(&runner);
	while (runner.running > 0)
		loop_run(check->loop);
	goodbyes_wait(check);
}
