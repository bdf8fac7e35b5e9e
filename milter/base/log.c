/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Syslog and stderr behind one call. Owns the process's syslog connection.
 * Called by every thread; its own state is atomic, the rest is libc's to lock.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <time.h>

#define LOG_LINE_MAX 2048

static atomic_int current_level = LOG_LEVEL_INFO;
static atomic_int current_facility = LOG_MAIL;
static atomic_bool stderr_wanted = true;
static atomic_bool syslog_opened;

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", LOG_ERR },
	[LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
	[LOG_LEVEL_NOTICE] = { "notice", LOG_NOTICE },
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

static const struct {
	const char *name;
	int facility;
} facilities[] = {
	{ "mail", LOG_MAIL },	  { "daemon", LOG_DAEMON }, { "user", LOG_USER },
	{ "local0", LOG_LOCAL0 }, { "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 },
	{ "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 }, { "local5", LOG_LOCAL5 },
	{ "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 },
};

void log_open(const char *ident, bool to_stderr)
{
	openlog(ident, LOG_PID | LOG_NDELAY, LOG_MAIL);
	atomic_store(&stderr_wanted, to_stderr);
	atomic_store(&syslog_opened, true);
}

void log_forget_stderr(void)
{
	atomic_store(&stderr_wanted, false);
}

void log_set_level(enum log_level level)
{
	atomic_store(&current_level, (int)level);
}

bool log_wants(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

static int facility_find(const char *name)
{
	for (size_t i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++)
		if (strcasecmp(name, facilities[i].name) == 0)
			return facilities[i].facility;
	return -1;
}

bool log_facility_known(const char *name)
{
	return facility_find(name) >= 0;
}

bool log_set_facility(const char *name)
{
	int facility = facility_find(name);

	if (facility < 0)
		return false;
	atomic_store(&current_facility, facility);
	return true;
}

bool log_level_parse(const char *word, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcasecmp(word, levels[i].name) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

const char *log_level_name(enum log_level level)
{
	return levels[level].name;
}

/* One write per line, so that lines of several threads do not mix. */
static void write_stderr(enum log_level level, const char *line)
{
	struct timespec now;
	struct tm utc;
	char stamp[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	fprintf(stderr, "%s.%03ldZ %s: %s\n", stamp, now.tv_nsec / 1000000, levels[level].name,
		line);
}

void log_line(enum log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list args;

	if (!log_wants(level))
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (atomic_load(&stderr_wanted))
		write_stderr(level, line);
	if (atomic_load(&syslog_opened))
		syslog(atomic_load(&current_facility) | levels[level].priority, "%s", line);
}
