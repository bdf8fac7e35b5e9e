/* SPDX-License-Identifier: BSD-2-Clause */
/* The command table, who may call what, and the envelope of answers. Loop thread only. */
#include "control/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "control/drill.h"
#include "control/status.h"
#include "core/tag.h"

#define SOCKET_MODE 0660

struct control {
	struct control_settings settings;
	struct line_server *server;
	struct control_call *put_off;
	bool busy; /* one of them has run in this turn of the loop */
	struct loop_timer *turn;
	struct probe_run *probes;
};

static const struct command {
	const char *name;
	bool changes; /* for root and the daemon's own user only */
	bool is_long; /* takes milliseconds, or more */
	void (*run)(struct control_call *call);
} commands[] = {
	{ "status", false, true, control_status },
	{ "metrics", false, true, control_metrics },
	{ "explain", false, false, control_explain },
	{ "report", false, true, control_report },
	{ "reload", true, false, control_reload_now },
	{ "flush", true, false, control_flush },
	{ "force", true, false, control_force },
	{ "probe", true, false, control_probe },
	{ "drill", true, false, control_drill },
	{ "drill_result", true, false, control_drill_result },
	{ "drill_end", true, false, control_drill_end },
	{ "version", false, false, control_version },
	{ "recipients-show", false, false, control_recipients_show },
	{ "recipients-list", false, true, control_recipients_list },
	{ "recipients-import", true, false, control_recipients_import },
	{ "recipients-forget", true, false, control_recipients_forget },
};

const struct control_settings *control_settings_of(const struct control_call *call)
{
	return &call->control->settings;
}

struct probe_run **control_probes_of(const struct control_call *call)
{
	return &call->control->probes;
}

static void send_text(struct control_call *call, const char *envelope)
{
	line_request_answer(call->line, envelope);
	json_decref(call->request);
	json_decref(call->kept);
	status_text_free(call->status);
	free(call);
}

static void send_envelope(struct control_call *call, json_t *envelope)
{
	char *text = json_dumps(envelope, CONTROL_JSON);

	json_decref(envelope);
	send_text(call, text != NULL ? text : "{\"exit\":1,\"error\":\"internal\"}");
	free(text);
}

static void turn_over(void *arg)
{
	struct control *control = arg;

	control->busy = false;
}

/* One in a turn of the loop, however many clients ask: the loop has more to do. */
static void run_again(void *arg)
{
	struct control_call *call = arg;
	struct control *control = call->control;

	if (control->busy) {
		loop_timer_start(call->timer, 1);
		return;
	}
	control->busy = true;
	loop_timer_start(control->turn, 0);
	DL_DELETE(call->control->put_off, call);
	loop_timer_free(call->timer);
	call->timer = NULL;
	call->again(call);
}

void control_later(struct control_call *call, int64_t milliseconds,
		   void (*again)(struct control_call *call))
{
	call->again = again;
	call->timer = loop_timer_new(call->control->settings.services->loop, run_again, call);
	DL_APPEND(call->control->put_off, call);
	loop_timer_start(call->timer, milliseconds);
}

static void answer_put_off(struct control *control)
{
	struct control_call *call, *next;

	DL_FOREACH_SAFE(control->put_off, call, next) {
		DL_DELETE(control->put_off, call);
		loop_timer_free(call->timer);
		control_fail(call, CONTROL_NO, "the daemon stops");
	}
}

void control_answer(struct control_call *call, int exit_code, json_t *result)
{
	send_envelope(call, json_pack("{s:i, s:o}", "exit", exit_code, "result", result));
}

void control_answer_text(struct control_call *call, int exit_code, const char *result)
{
	char *text = memory_format("{\"exit\":%d,\"result\":%s}", exit_code, result);

	send_text(call, text);
	free(text);
}

void control_fail(struct control_call *call, int exit_code, const char *format, ...)
{
	char message[4096];
	va_list args;
	json_t *text;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	text = json_string(message);
	if (text == NULL) { /* cut in the middle of a character */
		text_make_printable(message);
		text = json_string(message);
	}
	send_envelope(call, json_pack("{s:i, s:o}", "exit", exit_code, "error", text));
}

const char *control_string(const struct control_call *call, const char *key, const char *fallback)
{
	const char *value = json_string_value(json_object_get(call->request, key));

	return value != NULL ? value : fallback;
}

bool control_flag(const struct control_call *call, const char *key)
{
	return json_is_true(json_object_get(call->request, key));
}

json_t *control_time(int64_t seconds)
{
	char text[32];

	if (seconds <= 0)
		return json_null();
	return json_string(tag_format_time(seconds, text, sizeof(text)));
}

json_t *control_share(double share)
{
	return share < 0 ? json_null() : json_real(share);
}

static bool may_change(const struct line_peer *peer)
{
	return peer->known && (peer->uid == 0 || peer->uid == geteuid());
}

static void dispatch(struct control_call *call, const struct line_peer *peer)
{
	const char *name = control_string(call, "command", "");

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		if (commands[i].changes && !may_change(peer))
			control_fail(
				call, CONTROL_NO,
				"that changes something: run it as root or as the daemon's own "
				"user");
		else if (commands[i].is_long)
			control_later(call, 0, commands[i].run);
		else
			commands[i].run(call);
		return;
	}
	control_fail(call, CONTROL_USAGE, "the daemon knows no such command");
}

static void take_line(void *arg, const struct line_peer *peer, const char *line,
		      struct line_request *request)
{
	struct control_call *call = memory_alloc(sizeof(*call));
	json_t *object = line != NULL ? json_loads(line, JSON_REJECT_DUPLICATES, NULL) : NULL;

	call->control = arg;
	call->line = request;
	call->request = object;
	call->uid = peer->uid;
	call->begun_ms = loop_now_ms();
	if (json_is_object(object))
		dispatch(call, peer);
	else
		control_fail(call, CONTROL_USAGE, "a request is one line with one JSON object");
}

struct control *control_new(const struct control_settings *settings)
{
	struct control *control = memory_alloc(sizeof(*control));

	control->settings = *settings;
	control->server = line_server_new(settings->services->loop, settings->path, SOCKET_MODE,
					  take_line, control);
	if (control->server != NULL) {
		control->turn = loop_timer_new(settings->services->loop, turn_over, control);
		return control;
	}
	log_error("control: cannot listen on %s: %s", settings->path, strerror(errno));
	free(control);
	return NULL;
}

void control_free(struct control *control)
{
	if (control == NULL)
		return;
	answer_put_off(control);
	control_probes_stop(&control->probes);
	line_server_free(control->server);
	loop_timer_free(control->turn);
	free(control);
}
