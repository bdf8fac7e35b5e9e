/* SPDX-License-Identifier: BSD-2-Clause */
/* The valves' budgets and the limits' episodes, behind one lock that is never held while logging.
 */
#include "io/log_valve.h"

#include <pthread.h>

#include "base/log.h"
#include "base/text.h"
#include "core/budget.h"
#include "core/episode.h"
#include "io/clock.h"

#define MINUTE_MS 60000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
	const char *name;
	int64_t allowed; /* a minute */
	enum log_level level;
	struct budget budget;
	unsigned long left_out;
} valves[] = {
	[LOG_VALVE_CALLOUT] = { .name = "callout", .allowed = 1000, .level = LOG_LEVEL_INFO },
	[LOG_VALVE_DOMAIN] = { .name = "domain", .allowed = 600, .level = LOG_LEVEL_INFO },
	[LOG_VALVE_PROBE] = { .name = "probe", .allowed = 20, .level = LOG_LEVEL_NOTICE },
	[LOG_VALVE_MILTER] = { .name = "milter", .allowed = 20, .level = LOG_LEVEL_ERROR },
	[LOG_VALVE_HISTORY] = { .name = "history", .allowed = 20, .level = LOG_LEVEL_WARNING },
	[LOG_VALVE_DRILL] = { .name = "drill", .allowed = 20, .level = LOG_LEVEL_INFO },
};

static struct {
	const char *name;
	struct episode episode;
} limits[] = {
	[LOG_LIMIT_CALLOUTS_PER_CLIENT] = { .name = "callouts_per_client" },
	[LOG_LIMIT_CALLOUT_RATE] = { .name = "callout_rate" },
	[LOG_LIMIT_CALLOUT_REFUSALS] = { .name = "callout_refusals" },
	[LOG_LIMIT_MAX_WAITING] = { .name = "max_waiting" },
	[LOG_LIMIT_CANDIDATES] = { .name = "candidates" },
	[LOG_LIMIT_SUBDOMAINS_PER_SECOND] = { .name = "subdomains_per_second" },
	[LOG_LIMIT_LEARNED_PER_SECOND] = { .name = "learned_per_second" },
	[LOG_LIMIT_SENDERS_PER_NETWORK] = { .name = "senders_per_network" },
};

bool log_valve_admit(enum log_valve which)
{
	bool admitted;

	pthread_mutex_lock(&lock);
	admitted = budget_take(&valves[which].budget, valves[which].allowed, MINUTE_MS,
			       clock_now_ms());
	valves[which].left_out += !admitted;
	pthread_mutex_unlock(&lock);
	return admitted;
}

void log_limit_reached(enum log_limit which, const char *key, const char *value)
{
	char line[512];
	TEXT_ON(text, line);
	bool begins;

	pthread_mutex_lock(&lock);
	begins = episode_hit(&limits[which].episode, clock_now_ms());
	pthread_mutex_unlock(&lock);
	if (!begins)
		return;
	text_add_format(&text, "limit: name=%s state=reached", limits[which].name);
	if (key != NULL)
		text_add_pair(&text, key, value);
	log_notice("%s", line);
}

static void tell_valve(enum log_valve which)
{
	unsigned long left_out;

	pthread_mutex_lock(&lock);
	left_out = valves[which].left_out;
	valves[which].left_out = 0;
	pthread_mutex_unlock(&lock);
	if (left_out > 0)
		log_line(valves[which].level, "log: kind=%s left_out=%lu", valves[which].name,
			 left_out);
}

static void tell_limit(enum log_limit which)
{
	struct episode ended;
	bool over;

	pthread_mutex_lock(&lock);
	over = episode_end(&limits[which].episode, clock_now_ms(), &ended);
	pthread_mutex_unlock(&lock);
	if (over)
		log_notice("limit: name=%s state=over hits=%lu after=%llds", limits[which].name,
			   ended.hits, (long long)(ended.last_ms - ended.began_ms) / 1000);
}

void log_valves_tell(void)
{
	for (int which = 0; which < LOG_VALVE_COUNT; which++)
		tell_valve((enum log_valve)which);
	for (int which = 0; which < LOG_LIMIT_COUNT; which++)
		tell_limit((enum log_limit)which);
}
