/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: one line per event to syslog, and to stderr as well when asked.
 *
 * A line is "topic: key=value key=value ..." (or "QUEUEID: action=..." for decisions), built with
 * base/text.h so that foreign bytes are printable before they get here. Any thread may log. No lock
 * of ours may be held while logging: syslog(3) can block.
 */
#ifndef BACKUPMX_BASE_LOG_H
#define BACKUPMX_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Opens syslog under `ident` (a string that outlives the process) and, with `to_stderr`, copies
 * each line there. Call it once, before any thread starts. Until then lines go to stderr only. */
void log_open(const char *ident, bool to_stderr);

/* Stops the copies to stderr: a daemon does this when it has detached. */
void log_forget_stderr(void);

/* Lines above `level` are dropped. Atomic: may change while others log. */
void log_set_level(enum log_level level);
bool log_wants(enum log_level level);

/* Sets the syslog facility by its name ("mail", "daemon", "local0", ...). Returns false, and
 * changes nothing, when there is no such facility. */
bool log_set_facility(const char *name);
bool log_facility_known(const char *name);

/* Reads "error", "warning", "notice", "info" or "debug". Returns false when it is none of them. */
bool log_level_parse(const char *word, enum log_level *level);
const char *log_level_name(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
