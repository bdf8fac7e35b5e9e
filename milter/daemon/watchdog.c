/* SPDX-License-Identifier: BSD-2-Clause */
/* WatchdogSec= of systemd: a loop that hangs is restarted, as a process that died would be. */
#include "daemon/watchdog.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "daemon/process.h"

#define USEC_MAX 1000000000000LL /* eleven days */

struct watchdog {
	struct loop_timer *timer;
	int64_t every_ms;
};

static void still_here(void *arg)
{
	struct watchdog *watchdog = arg;

	process_notify("WATCHDOG=1");
	loop_timer_start(watchdog->timer, watchdog->every_ms);
}

static long long environment_number(const char *name)
{
	const char *value = getenv(name);
	char *end;
	long long number;

	if (value == NULL || *value == '\0')
		return 0;
	number = strtoll(value, &end, 10);
	return *end == '\0' ? number : 0;
}

struct watchdog *watchdog_start(struct loop *loop)
{
	long long usec = environment_number("WATCHDOG_USEC");
	long long pid = environment_number("WATCHDOG_PID");
	struct watchdog *watchdog;

	if (usec <= 0 || usec > USEC_MAX || (pid != 0 && pid != getpid()))
		return NULL;
	watchdog = memory_alloc(sizeof(*watchdog));
	watchdog->every_ms = usec / 1000 / 2 > 0 ? usec / 1000 / 2 : 1; /* as the manual advises */
	watchdog->timer = loop_timer_new(loop, still_here, watchdog);
	still_here(watchdog);
	return watchdog;
}

void watchdog_free(struct watchdog *watchdog)
{
	if (watchdog == NULL)
		return;
	loop_timer_free(watchdog->timer);
	free(watchdog);
}
