/* SPDX-License-Identifier: BSD-2-Clause */
/* The session: an opening, with TLS when that is offered, then one recipient after the other. */
#include "check/server.h"

#include <stdio.h>

#include "base/text.h"

static void finish(struct server_session *session)
{
	session->client = NULL;
	session->over = true;
	loop_stop(session->check->loop);
}

static void ask_next(struct server_session *session)
{
	if (session->asking == session->question_count) {
		session->step = SERVER_AT_QUIT; /* waited for, as the program may end then */
		smtp_client_send(session->client, "QUIT");
		return;
	}
	session->step = SERVER_AT_MAIL;
	smtp_client_send(session->client, "MAIL FROM:<>");
}

static void opened(void *arg)
{
	struct server_session *session = arg;
	const struct smtp_dialog *dialog = smtp_client_dialog(session->client);

	session->reason = HEALTH_OK;
	if (dialog->offers_starttls || dialog->secure) /* not offered again once it stands */
		session->offers_starttls = true;
	text_copy(session->greeting, sizeof(session->greeting), dialog->host);
	ask_next(session);
}

static void mail_answered(struct server_session *session, struct server_question *question,
			  const struct smtp_reply *reply)
{
	char command[SMTP_COMMAND_MAX];

	if (reply->code / 100 != 2) {
		question->mail_code = reply->code;
		text_copy(question->said, sizeof(question->said), reply->text);
		session->asking++;
		ask_next(session);
		return;
	}
	snprintf(command, sizeof(command), "RCPT TO:<%s>", question->recipient);
	session->step = SERVER_AT_RCPT;
	smtp_client_send(session->client, command);
}

static void replied(void *arg, const struct smtp_reply *reply)
{
	struct server_session *session = arg;
	struct server_question *question = &session->questions[session->asking];

	switch (session->step) {
	case SERVER_AT_MAIL:
		mail_answered(session, question, reply);
		return;
	case SERVER_AT_RCPT:
		question->code = reply->code;
		text_copy(question->said, sizeof(question->said), reply->text);
		session->step = SERVER_AT_RSET;
		smtp_client_send(session->client, "RSET");
		return;
	case SERVER_AT_RSET:
		session->asking++;
		ask_next(session);
		return;
	default:
		smtp_client_abort(session->client);
		finish(session);
	}
}

static void ended(void *arg, enum health_reason reason)
{
	struct server_session *session = arg;

	if (session->reason != HEALTH_OK)
		session->reason = reason;
	finish(session);
}

static void observe(void *arg, enum smtp_client_step step, const char *bytes, size_t length)
{
	struct server_session *session = arg;

	(void)length;
	if (step == SMTP_CLIENT_SECURED)
		text_copy(session->tls, sizeof(session->tls), bytes);
}

static void run_once(struct server_session *session, enum smtp_dialog_tls tls)
{
	static const struct smtp_client_handlers handlers = { opened, replied, ended };
	struct check *check = session->check;
	const struct config_probe *probe = &check->config->probe;
	struct smtp_client_settings settings = {
		.endpoint = session->address,
		.source_v4 = probe->source_v4,
		.source_v6 = probe->source_v6,
		.plan = { .helo = check_helo_name(check, probe),
			  .level = HEALTH_LEVEL_EHLO,
			  .tls = tls },
		.tls_host = session->host,
		.connect_timeout_ms = probe->connect_timeout * 1000,
		.reply_timeout_ms = probe->timeout * 1000,
		.observe = observe,
	};

	session->over = false;
	session->reason = HEALTH_REASON_COUNT; /* nothing is known yet */
	session->client = smtp_client_start(check->smtp, &settings, &handlers, session);
	while (!session->over)
		loop_run(check->loop);
}

void server_session_run(struct server_session *session)
{
	run_once(session, SMTP_DIALOG_TLS_MAY);
	if (session->reason != HEALTH_TLS_FAIL)
		return;
	session->offers_starttls = true;
	session->tls_failed = true;
	session->tls[0] = '\0';
	run_once(session, SMTP_DIALOG_TLS_NONE);
}
