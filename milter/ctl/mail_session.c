/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop runs until the one answer that is awaited has come. Owns loop and session. One thread.
 */
#include "ctl/mail_session.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"
#include "ctl/interrupt.h"
#include "io/loop.h"
#include "io/smtp_client.h"

#define CONNECT_MS 10000
#define REPLY_MS   60000 /* a milter behind the MTA may take its time */
#define LOOK_MS	   100	 /* how often an interrupt is looked for */

struct mail_session {
	struct loop *loop;
	struct smtp_clients *clients;
	struct smtp_client *client; /* NULL: over */
	struct loop_timer *look;
	char helo[MAIL_DOMAIN_MAX + 1];
	bool done;    /* what was awaited has come */
	bool patient; /* an interrupt has to wait */
	struct mail_answer *answer;
};

static void stop(struct mail_session *session)
{
	session->done = true;
	loop_stop(session->loop);
}

static void opened(void *arg)
{
	struct mail_session *session = arg;

	session->answer->reason = HEALTH_OK;
	stop(session);
}

static void replied(void *arg, const struct smtp_reply *reply)
{
	struct mail_session *session = arg;

	session->answer->replied = true;
	session->answer->reply = *reply;
	stop(session);
}

static void ended(void *arg, enum health_reason reason)
{
	struct mail_session *session = arg;

	session->client = NULL;
	session->answer->reason = reason;
	stop(session);
}

static void look_for_interrupt(void *arg)
{
	struct mail_session *session = arg;

	if (!session->patient && interrupt_came()) {
		session->answer->interrupted = true;
		stop(session);
		return;
	}
	loop_timer_start(session->look, LOOK_MS);
}

static void wait_for(struct mail_session *session)
{
	session->done = false;
	loop_timer_start(session->look, LOOK_MS);
	while (!session->done) /* a stop may come late, and is none of this wait then */
		loop_run(session->loop);
	loop_timer_stop(session->look);
	if (session->answer->interrupted && session->client != NULL) {
		smtp_client_abort(session->client);
		session->client = NULL;
	}
}

struct mail_session *mail_session_open(const struct ip_port *endpoint, const char *helo,
				       struct mail_answer *answer)
{
	static const struct smtp_client_handlers handlers = { opened, replied, ended };
	struct mail_session *session = memory_alloc(sizeof(*session));
	struct smtp_client_settings settings = {
		.endpoint = *endpoint,
		.plan = { .helo = session->helo, .level = HEALTH_LEVEL_EHLO },
		.connect_timeout_ms = CONNECT_MS,
		.reply_timeout_ms = REPLY_MS,
	};

	*answer = (struct mail_answer){ .reason = HEALTH_LOST };
	session->answer = answer;
	text_copy(session->helo, sizeof(session->helo), helo);
	session->loop = loop_new();
	session->clients = smtp_clients_new(session->loop, NULL); /* no TLS to ourselves */
	session->look = loop_timer_new(session->loop, look_for_interrupt, session);
	session->client = smtp_client_start(session->clients, &settings, &handlers, session);
	wait_for(session);
	return session;
}

bool mail_session_offers_dsn(const struct mail_session *session)
{
	return session->client != NULL && smtp_client_dialog(session->client)->offers_dsn;
}

static bool is_good(const struct mail_answer *answer)
{
	return answer->replied && answer->reply.code < 400;
}

bool mail_session_command(struct mail_session *session, const char *command,
			  struct mail_answer *answer)
{
	*answer = (struct mail_answer){ .reason = HEALTH_LOST };
	session->answer = answer;
	if (session->client == NULL)
		return false;
	if (!smtp_client_send(session->client, command)) {
		answer->reason = HEALTH_PROTOCOL;
		return false;
	}
	wait_for(session);
	return is_good(answer);
}

bool mail_session_message(struct mail_session *session, const char *message,
			  struct mail_answer *answer)
{
	*answer = (struct mail_answer){ .reason = HEALTH_LOST };
	session->answer = answer;
	if (session->client == NULL)
		return false;
	smtp_client_send_message(session->client, message);
	session->patient = true;
	wait_for(session);
	session->patient = false;
	return is_good(answer);
}

void mail_session_close(struct mail_session *session)
{
	struct mail_answer nobodys;

	if (session == NULL)
		return;
	mail_session_command(session, "QUIT", &nobodys);
	smtp_clients_free(session->clients);
	loop_timer_free(session->look);
	loop_free(session->loop);
	free(session);
}
