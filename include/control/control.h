/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: requests of backupmxctl in, JSON out (DESIGN section 8). Loop thread only.
 *
 * A request is one line: {"command": "...", ...}. The answer is one line: {"exit": N, "result":
 * {...}}, or {"exit": N, "error": "..."}; N is what backupmxctl exits with.
 */
#ifndef BACKUPMX_CONTROL_CONTROL_H
#define BACKUPMX_CONTROL_CONTROL_H

#include <jansson.h>

#include "io/line_server.h"
#include "mta/flush.h"
#include "mta/gate.h"
#include "watch/history.h"
#include "watch/isolation.h"
#include "watch/services.h"

struct control;
struct status_text;

/* Loads the configuration anew. Returns true and the keys that need a restart ("" when none do), or
 * false and what is wrong. */
typedef bool (*control_reload)(void *arg, bool force, struct config_errors *errors,
			       char *restart_keys, size_t size);

struct control_settings {
	struct services *services;
	struct gate *gate;
	struct flush *flush;
	struct history *history;
	const char *path;
	control_reload reload;
	const char *(*http_problem)(void *reload_arg); /* web_problem() */
	void *reload_arg;
};

/* NULL, after logging why, when the socket can't be made. */
struct control *control_new(const struct control_settings *settings);
void control_free(struct control *control); /* NULL is fine */

/* ---- for the files of control/ ---- */

struct control_call {
	struct control *control;
	json_t *request;
	struct line_request *line;
	uid_t uid; /* whose it is, where the system told */
	/* of one that is put off */
	json_t *kept;		    /* what the command has so far; or NULL */
	struct status_text *status; /* the same of "status" */
	struct control_call *prev, *next;
	struct loop_timer *timer;
	void (*again)(struct control_call *call);
	int64_t begun_ms; /* loop_now_ms */
};

const struct control_settings *control_settings_of(const struct control_call *call);
/* What backupmxctl exits with. */
#define CONTROL_OK    0
#define CONTROL_NO    1
#define CONTROL_USAGE 2

/* Each call ends with one of these. A `result` that is no text is taken over. */
void control_answer(struct control_call *call, int exit_code, json_t *result);
void control_answer_text(struct control_call *call, int exit_code, const char *result); /* JSON */
void control_fail(struct control_call *call, int exit_code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A string of the request; `fallback` when it isn't there. */
const char *control_string(const struct control_call *call, const char *key, const char *fallback);
bool control_flag(const struct control_call *call, const char *key);

/* Puts the call off: runs again(call) in `milliseconds`, with the same request. When the daemon
 * stops before, the call is answered with an error. */
void control_later(struct control_call *call, int64_t milliseconds,
		   void (*again)(struct control_call *call));

/* The probes that operators wait for. */
struct probe_run;
struct probe_run **control_probes_of(const struct control_call *call);
/* The daemon stops: answers them all. */
void control_probes_stop(struct probe_run **runs);

/* An endpoint's sets (enum domain_set) as JSON: a list of words. */
json_t *control_sets(unsigned sets);

/* A time as JSON: RFC 3339 UTC; null for 0. */
json_t *control_time(int64_t seconds);
/* A share of 0 to 1; null for less than 0. */
json_t *control_share(double share);
/* How JSON is written: a share of 0.987 as such, not as 0.98699999999999999. */
#define CONTROL_JSON (JSON_COMPACT | JSON_REAL_PRECISION(9))

/* A long answer is made in steps so long, and with such pauses between them, for the loop has more
 * to do. */
#define CONTROL_STEP_MS	 10
#define CONTROL_PAUSE_MS 1

/* The document of "status" for a few domains; for all of them see control/status.h. */
json_t *control_status_of(const struct control_settings *settings,
			  const struct domain *const *domains, size_t count);

void control_status(struct control_call *call);
void control_metrics(struct control_call *call);
void control_explain(struct control_call *call);
void control_report(struct control_call *call);
void control_reload_now(struct control_call *call);
void control_flush(struct control_call *call);
void control_force(struct control_call *call);
void control_recipients_show(struct control_call *call);
void control_recipients_list(struct control_call *call);
void control_recipients_import(struct control_call *call);
void control_recipients_forget(struct control_call *call);
void control_probe(struct control_call *call);
void control_version(struct control_call *call);

#endif
