/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One primary host's line: the questions that wait for it, and what may be asked of it. Loop thread
 * only.
 */
#include <string.h>

#include "base/memory.h"
#include "memory/callout_session.h"

#define QUEUE_MAX	   1000
#define REFUSALS_WINDOW_MS 600000

bool callout_line_may_be_refused(const struct callout_line *line)
{
	return budget_has(&line->refusals, line->callouts->config->recipients.callout_refusals,
			  REFUSALS_WINDOW_MS, loop_now_ms());
}

void callout_line_refused(struct callout_line *line)
{
	budget_take(&line->refusals, line->callouts->config->recipients.callout_refusals,
		    REFUSALS_WINDOW_MS, loop_now_ms());
}

bool callout_line_may_ask(struct callout_line *line)
{
	const struct config *config = line->callouts->config;
	int64_t now = loop_now_ms();

	return line->queued < QUEUE_MAX && callout_line_may_be_refused(line) &&
	       budget_take(&line->rate, config->recipients.callout_rate, 1000, now);
}

struct callout_line *callout_line_get(struct callouts *callouts, const struct ip_port *address)
{
	struct callout_line *line;

	HASH_FIND(hh, callouts->lines, address, sizeof(*address), line);
	if (line == NULL) {
		line = memory_alloc(sizeof(*line));
		memcpy(&line->address, address, sizeof(*address));
		line->callouts = callouts;
		HASH_ADD(hh, callouts->lines, address, sizeof(line->address), line);
	}
	return line;
}

struct callout_question *callout_line_next(struct callout_line *line)
{
	struct callout_question *question = line->queue;

	if (question != NULL) {
		DL_DELETE(line->queue, question);
		line->queued--;
	}
	return question;
}
