/* SPDX-License-Identifier: BSD-2-Clause */
/* One session of a probe that somebody looks at, and what was said in it. Loop thread only. */
#include "watch/dialogue.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

#define GOODBYE_MS 3000

struct dialogue {
	dialogue_done done;
	void *arg;
	struct smtp_client *session; /* NULL: over */
	struct loop_timer *goodbye;
	char helo[MAIL_DOMAIN_MAX + 1];
	int64_t began_ms, ms;
	enum health_reason result;
	bool open; /* the prober would be content; what follows is QUIT */
	struct dialogue_step
		steps[DIALOGUE_STEPS_MAX + 2]; /* "left out" and "closed" fit besides */
	size_t count;
	char line[DIALOGUE_TEXT_MAX]; /* the peer's, not ended yet */
	size_t line_length;
};

static int64_t elapsed(const struct dialogue *dialogue)
{
	return loop_now_ms() - dialogue->began_ms;
}

static void keep(struct dialogue *dialogue, enum dialogue_what what, const char *bytes,
		 size_t length)
{
	static const char left_out[] = "(more is left out)";
	struct dialogue_step *step = &dialogue->steps[dialogue->count];
	char printable[DIALOGUE_TEXT_MAX];
	TEXT_ON(text, printable);

	if (dialogue->count > DIALOGUE_STEPS_MAX && what != DIALOGUE_CLOSED)
		return;
	if (dialogue->count == DIALOGUE_STEPS_MAX && what != DIALOGUE_CLOSED)
		text_add(&text, left_out);
	else
		text_add_printable(&text, bytes, length);
	*step = (struct dialogue_step){ elapsed(dialogue), what, memory_string(printable) };
	dialogue->count++;
}

static void keep_word(struct dialogue *dialogue, enum dialogue_what what, const char *word)
{
	keep(dialogue, what, word, strlen(word));
}

static void end_line(struct dialogue *dialogue)
{
	size_t length = dialogue->line_length;

	if (length > 0 && dialogue->line[length - 1] == '\r')
		length--;
	keep(dialogue, DIALOGUE_RECEIVED, dialogue->line, length);
	dialogue->line_length = 0;
}

/* Line by line; of one that is too long the beginning. */
static void take_received(struct dialogue *dialogue, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] == '\n')
			end_line(dialogue);
		else if (dialogue->line_length < sizeof(dialogue->line))
			dialogue->line[dialogue->line_length++] = bytes[i];
	}
}

static void observe(void *arg, enum smtp_client_step step, const char *bytes, size_t length)
{
	struct dialogue *dialogue = arg;

	switch (step) {
	case SMTP_CLIENT_CONNECTED:
		keep_word(dialogue, DIALOGUE_CONNECT, "connected");
		break;
	case SMTP_CLIENT_SENT:
		keep(dialogue, DIALOGUE_SENT, bytes, strcspn(bytes, "\r\n"));
		break;
	case SMTP_CLIENT_RECEIVED:
		take_received(dialogue, bytes, length);
		break;
	case SMTP_CLIENT_SECURED:
		keep(dialogue, DIALOGUE_TLS, bytes, length);
		break;
	}
}

static void finish(struct dialogue *dialogue, const char *how)
{
	if (dialogue->line_length > 0)
		end_line(dialogue);
	keep_word(dialogue, DIALOGUE_CLOSED, how);
	dialogue->session = NULL;
	loop_timer_stop(dialogue->goodbye);
	dialogue->done(dialogue->arg);
}

static void give_up_goodbye(void *arg)
{
	struct dialogue *dialogue = arg;

	smtp_client_abort(dialogue->session);
	finish(dialogue, "no answer to QUIT");
}

static void on_open(void *arg)
{
	struct dialogue *dialogue = arg;

	dialogue->result = HEALTH_OK;
	dialogue->ms = elapsed(dialogue);
	dialogue->open = true;
	loop_timer_start(dialogue->goodbye, GOODBYE_MS);
	smtp_client_send(dialogue->session, "QUIT");
}

static void on_reply(void *arg, const struct smtp_reply *reply)
{
	struct dialogue *dialogue = arg;

	(void)reply; /* to QUIT; it has been observed */
	smtp_client_abort(dialogue->session);
	finish(dialogue, "after QUIT");
}

static void on_ended(void *arg, enum health_reason reason)
{
	struct dialogue *dialogue = arg;

	if (dialogue->open) {
		finish(dialogue, reason == HEALTH_TIMEOUT ? "no answer to QUIT" : "after QUIT");
		return;
	}
	dialogue->result = reason;
	dialogue->ms = elapsed(dialogue);
	finish(dialogue, health_reason_name(reason));
}

static void keep_connect(struct dialogue *dialogue, const struct smtp_client_settings *settings)
{
	bool is_v4 = settings->endpoint.ip.family == IP_V4;
	const struct ip *source = is_v4 ? &settings->source_v4 : &settings->source_v6;
	char address[IP_TEXT_MAX];
	char buffer[2 * IP_TEXT_MAX + 16];
	TEXT_ON(text, buffer);

	text_add(&text, "to ");
	text_add(&text, ip_port_format(&settings->endpoint, address, sizeof(address)));
	if (source->family != IP_NONE) {
		text_add(&text, " from ");
		text_add(&text, ip_format_literal(source, address, sizeof(address)));
	}
	keep_word(dialogue, DIALOGUE_CONNECT, buffer);
}

struct dialogue *dialogue_start(struct services *services, struct endpoint *endpoint,
				dialogue_done done, void *arg)
{
	static const struct smtp_client_handlers handlers = { on_open, on_reply, on_ended };
	struct dialogue *dialogue = memory_alloc(sizeof(*dialogue));
	struct smtp_client_settings settings =
		endpoint_session_settings(endpoint, dialogue->helo, sizeof(dialogue->helo));

	settings.observe = observe;
	dialogue->done = done;
	dialogue->arg = arg;
	dialogue->began_ms = loop_now_ms();
	dialogue->goodbye = loop_timer_new(services->loop, give_up_goodbye, dialogue);
	keep_connect(dialogue, &settings);
	dialogue->session = smtp_client_start(services->clients, &settings, &handlers, dialogue);
	return dialogue;
}

void dialogue_free(struct dialogue *dialogue)
{
	if (dialogue->session != NULL)
		smtp_client_abort(dialogue->session);
	loop_timer_free(dialogue->goodbye);
	for (size_t i = 0; i < dialogue->count; i++)
		free(dialogue->steps[i].text);
	free(dialogue);
}

enum health_reason dialogue_result(const struct dialogue *dialogue)
{
	return dialogue->result;
}

int64_t dialogue_ms(const struct dialogue *dialogue)
{
	return dialogue->ms;
}

size_t dialogue_step_count(const struct dialogue *dialogue)
{
	return dialogue->count;
}

const struct dialogue_step *dialogue_step(const struct dialogue *dialogue, size_t i)
{
	return &dialogue->steps[i];
}

const char *dialogue_what_name(enum dialogue_what what)
{
	static const char *const names[] = {
		[DIALOGUE_CONNECT] = "connect",	  [DIALOGUE_SENT] = "sent",
		[DIALOGUE_RECEIVED] = "received", [DIALOGUE_TLS] = "tls",
		[DIALOGUE_CLOSED] = "closed",
	};

	return names[what];
}
