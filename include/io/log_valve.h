/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bounds for log lines that strangers, or a primary gone bad, can cause without end. (Decisions
 * that defer have their own: mta/defer_log.h.)
 *
 * A valve lets so many lines of its kind through in a minute; what it holds back is counted, and
 * told
 * ("log: kind=callout left_out=37"). A limit is an allowance of ours that strangers can use up:
 * that it is reached is said once for each episode, and once that the episode is over ("limit:
 * ..."). The state is the process's, as the log is. Any thread, no lock of the caller's held, but
 * for log_valves_tell().
 */
#ifndef BACKUPMX_IO_LOG_VALVE_H
#define BACKUPMX_IO_LOG_VALVE_H

#include <stdbool.h>

#define LOG_VALVES_TELL_MS 30000

enum log_valve {
	LOG_VALVE_CALLOUT, /* verdicts and canaries' answers */
	LOG_VALVE_DOMAIN,  /* learned, forgotten, asleep, awake */
	LOG_VALVE_PROBE,   /* probes that count for nothing */
	LOG_VALVE_MILTER,  /* changes that an MTA didn't take */
	LOG_VALVE_HISTORY, /* damaged records, at each report anew */
	LOG_VALVE_DRILL,   /* messages that claim to be a drill's, and aren't */
	LOG_VALVE_COUNT
};

/* Whether a line of that kind may be written now. */
bool log_valve_admit(enum log_valve which);

enum log_limit {
	LOG_LIMIT_CALLOUTS_PER_CLIENT,
	LOG_LIMIT_CALLOUT_RATE,
	LOG_LIMIT_CALLOUT_REFUSALS,
	LOG_LIMIT_MAX_WAITING,
	LOG_LIMIT_CANDIDATES,
	LOG_LIMIT_LEARNED_PER_SECOND,
	LOG_LIMIT_SUBDOMAINS_PER_SECOND,
	LOG_LIMIT_SENDERS_PER_NETWORK,
	LOG_LIMIT_COUNT
};

/* The limit held something back. `key` and `value` say whose it was, NULL when there is nothing to
 * say; they are printed as text_add_pair() does. */
void log_limit_reached(enum log_limit which, const char *key, const char *value);

/* Tells what was held back, and which episodes are over. Loop thread, every LOG_VALVES_TELL_MS and
 * at the end. */
void log_valves_tell(void);

#endif
