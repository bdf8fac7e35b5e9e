/* SPDX-License-Identifier: BSD-2-Clause */
/* Who waits for the one text that is being written. Loop thread only. */
#include "control/web_status.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/memory.h"
#include "control/status.h"

struct waiting {
	struct waiting *next;
	struct http_request *request;
};

struct web_status {
	const struct control_settings *settings;
	struct status_text *text; /* NULL: nobody waits */
	struct waiting *waiting;
	struct loop_timer *timer;
};

static void answer_all(struct web_status *status, const struct http_reply *reply)
{
	struct waiting *waiting, *next;

	LL_FOREACH_SAFE(status->waiting, waiting, next) {
		http_answer(waiting->request, reply);
		free(waiting);
	}
	status->waiting = NULL;
	status_text_free(status->text);
	status->text = NULL;
}

static void go_on(void *arg)
{
	struct web_status *status = arg;
	struct http_reply reply = { .status = 200, .type = "application/json" };

	if (!status_text_step(status->text)) {
		loop_timer_start(status->timer, CONTROL_PAUSE_MS);
		return;
	}
	reply.body = status_text_get(status->text, &reply.length);
	answer_all(status, &reply);
}

void web_status_serve(struct web_status *status, struct http_request *request)
{
	struct waiting *waiting = memory_alloc(sizeof(*waiting));

	waiting->request = request;
	LL_PREPEND(status->waiting, waiting);
	if (status->text != NULL)
		return;
	status->text = status_text_begin(status->settings);
	go_on(status);
}

void web_status_stop(struct web_status *status)
{
	static const struct http_reply reply = {
		.status = 503, .type = "application/json", .body = "{}", .length = 2
	};

	loop_timer_stop(status->timer);
	answer_all(status, &reply);
}

struct web_status *web_status_new(const struct control_settings *settings)
{
	struct web_status *status = memory_alloc(sizeof(*status));

	status->settings = settings;
	status->timer = loop_timer_new(settings->services->loop, go_on, status);
	return status;
}

void web_status_free(struct web_status *status)
{
	loop_timer_free(status->timer);
	free(status);
}
