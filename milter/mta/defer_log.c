/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core/suppression behind a lock, and the timer that tells what was left out. Owns both. The
 * timer's part runs on the loop.
 */
#include "mta/defer_log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#define TELL_EVERY_MS (SUPPRESSION_WINDOW_MS / 2)

/* In all less than what journald and rsyslog take in by default before they drop lines of a
 * service, whatever these say. */
static const struct suppression_limits limits = {
	.first = 5, .client = 100, .domain = 500, .total = 1000
};

struct defer_log {
	pthread_mutex_t lock;
	struct suppression *suppression;
	struct loop_timer *timer;
};

static void log_summary(const struct suppression_summary *summary)
{
	char address[IP_TEXT_MAX];
	char network[IP_TEXT_MAX + 8];
	char line[512];
	TEXT_ON(text, line);

	text_add(&text, "defers: ");
	text_add_format(&text, "suppressed=%lu", summary->suppressed);
	text_add_pair(&text, "reason", decision_reason_name(summary->reason));
	if (summary->domain[0] != '\0')
		text_add_pair(&text, "domain", summary->domain);
	if (summary->network.ip.family != IP_NONE) {
		snprintf(network, sizeof(network), "%s/%u",
			 ip_format(&summary->network.ip, address, sizeof(address)),
			 (unsigned)summary->network.prefix);
		text_add_pair(&text, "client", network);
	}
	log_info("%s", line);
}

static void tell(struct defer_log *log, bool everything)
{
	struct suppression_summary summaries[SUPPRESSION_SUMMARIES_MAX];
	size_t count;

	pthread_mutex_lock(&log->lock);
	count = suppression_collect(log->suppression, loop_now_ms(), everything, summaries);
	pthread_mutex_unlock(&log->lock);
	for (size_t i = 0; i < count; i++)
		log_summary(&summaries[i]);
}

static void tell_in_time(void *arg)
{
	struct defer_log *log = arg;

	tell(log, false);
	loop_timer_start(log->timer, TELL_EVERY_MS);
}

struct defer_log *defer_log_new(struct loop *loop)
{
	struct defer_log *log = memory_alloc(sizeof(*log));

	pthread_mutex_init(&log->lock, NULL);
	log->suppression = suppression_new(&limits);
	log->timer = loop_timer_new(loop, tell_in_time, log);
	loop_timer_start(log->timer, TELL_EVERY_MS);
	return log;
}

void defer_log_tell(struct defer_log *log)
{
	tell(log, true);
}

void defer_log_free(struct defer_log *log)
{
	tell(log, true);
	loop_timer_free(log->timer);
	suppression_free(log->suppression);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

bool defer_log_admit(struct defer_log *log, const struct suppression_event *event,
		     unsigned long *suppressed)
{
	bool admitted;

	pthread_mutex_lock(&log->lock);
	admitted = suppression_admit(log->suppression, event, loop_now_ms(), suppressed);
	pthread_mutex_unlock(&log->lock);
	return admitted;
}
