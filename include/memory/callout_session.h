/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One SMTP session with a primary, asking question after question: MAIL FROM:<>, RCPT TO, RSET;
 * never DATA. Shared by the files of callouts only. Loop thread only.
 */
#ifndef BACKUPMX_MEMORY_CALLOUT_SESSION_H
#define BACKUPMX_MEMORY_CALLOUT_SESSION_H

#include <uthash.h>
#include <utlist.h>

#include "base/text.h"
#include "core/budget.h"
#include "core/smtp_reply.h"
#include "memory/callouts.h"

#define CALLOUT_KEY_MAX (MAIL_LOCAL_MAX + 1 + MAIL_DOMAIN_MAX + 1)

struct callout_waiter;
struct callout_session;

/* A recipient asked about. It is in callouts->questions from the moment it is asked until answered,
 * and in its line's queue until a session takes it up. A canary is in its line's queue of canaries
 * only: it may be asked for while the same recipient is asked about. */
struct callout_question {
	UT_hash_handle hh;
	struct callout_question *prev, *next; /* in the line's queue */
	char key[CALLOUT_KEY_MAX];	      /* "local@domain", folded */
	char domain[MAIL_DOMAIN_MAX + 1];
	char local[MAIL_LOCAL_MAX + 1]; /* as typed */
	bool is_ascii;
	bool again; /* it was put back once, by a host that hung up */
	struct callout_waiter *waiters;
	int64_t begun_ms;	   /* loop_now_ms */
	callouts_canary_done done; /* a canary's; NULL: it is none */
	void *done_arg;
};

/* All that concerns one primary host: its queue, its sessions, its budgets. */
struct callout_line {
	UT_hash_handle hh;
	struct ip_port address;
	struct callouts *callouts;
	struct callout_question *queue;
	size_t queued;
	struct callout_question *canaries; /* served before the queue, */
	int64_t canary_from_ms;		   /* but not before this */
	bool canary_refused;		   /* the last one that it said yes or no to */
	struct loop_timer *timer;	   /* of the next canary's turn */
	struct callout_session *sessions;
	int64_t session_count;
	struct callout_session *idle; /* one of them, kept open for the next question */
	struct budget rate;
	struct budget refusals;
};

struct callouts {
	struct services *services;
	struct domains *domains;
	struct recipients *recipients;
	struct secret secret;
	struct config *config;
	struct callouts_observer observer;
	struct callout_question *questions;
	struct callout_line *lines;
	struct silence *silences; /* recipients that got no answer lately */
	struct pending *reasks;	  /* recipients that are asked about again by themselves */
	struct loop_timer *reasks_timer;
	int64_t reasks_at_ms; /* when it fires; 0: it doesn't run */
	struct client_budget *clients;
	pthread_mutex_t wait_lock; /* of all waiters and of `stopping` */
	pthread_cond_t answered;
	bool stopping;
};

/* What a question came to. */
struct callout_answer {
	enum rcpt_verdict verdict;
	bool catch_all;		   /* the domain accepts any local part */
	bool control_failed;	   /* refused, and the control got no 2xx */
	int code;		   /* of the reply that decided; 0: there was none */
	enum health_reason reason; /* why the session failed, when code is 0 */
};

/* ---- callout_line.c ---- */

/* The line of a host; made when it isn't there yet. */
struct callout_line *callout_line_get(struct callouts *callouts, const struct ip_port *address);
/* Takes one of callout_rate; false when the line takes no further question now. */
bool callout_line_may_ask(struct callout_line *line);
/* Puts a question into the line; callout_line_serve() sees that it is asked. */
void callout_line_add(struct callout_line *line, struct callout_question *question);
/* Puts one that was taken back to where it was. */
void callout_line_put_back(struct callout_line *line, struct callout_question *question);
/* The question whose turn it is, still in the line; NULL when there is none. */
struct callout_question *callout_line_first(const struct callout_line *line);
/* Takes that one out. */
struct callout_question *callout_line_take(struct callout_line *line);
/* Finds a session for the question whose turn it is, or no answer. */
void callout_line_serve(struct callout_line *line);
/* The same from the loop, soon. */
void callout_line_serve_soon(struct callout_line *line);
/* A session failed for a reason that holds for those that wait as well: unless another session
 * lives they get no answer. */
void callout_line_fail(struct callout_line *line, const struct callout_answer *nothing);
void callout_line_free(struct callout_line *line);
/* callout_refusals leaves room for one more; looked at again when a question's turn comes, for many
 * may have been refused since it was put. */
bool callout_line_may_be_refused(const struct callout_line *line);
void callout_line_refused(struct callout_line *line, bool is_canary);

/* ---- callouts.c, for the others ---- */

/* A question that is nowhere yet, without a key. */
struct callout_question *callout_question_new(const char *domain, const char *local, bool is_ascii);
/* Begins its line in the log: "KIND: recipient=<...>". */
void callout_log_begin(struct text *text, const char *kind,
		       const struct callout_question *question);

/* Writes down the answer, tells who waits, frees the question. */
void callout_question_answer(struct callout_line *line, struct callout_question *question,
			     const struct callout_answer *answer);
/* The question as the memory takes it; false when its domain has gone meanwhile. */
bool callout_question_at_memory(struct callouts *callouts, const struct callout_question *question,
				struct recipient_question *out);
/* The primary has lost its users: what it refuses now proves nothing. */
bool callout_question_is_of_sick(struct callouts *callouts,
				 const struct callout_question *question);
/* The domain was seen to take any local part: then nothing is asked or kept of single ones. */
bool callout_question_is_catch_all(struct callouts *callouts,
				   const struct callout_question *question);
/* A control got no 2xx. */
void callout_control_failed(struct callouts *callouts, const char *domain);

/* ---- callout_canary.c ---- */

struct callout_heard {
	enum canary_answer answer;
	int code; /* 0: there was no reply */
	char xcode[16];
	char text[SMTP_REPLY_TEXT_MAX];
};

/* Tells who asked, frees the question. */
void callout_canary_answer(struct callout_line *line, struct callout_question *question,
			   const struct callout_heard *heard);

/* ---- callout_silences.c ---- */

/* A recipient that got no answer is not asked about again for a while, unless its domain's state
 * changes. `key` is a question's; "@domain" stands for the invented one of the catch-all test. */
void callout_silence_keep(struct callouts *callouts, const char *key, const char *domain);
bool callout_silence_holds(struct callouts *callouts, const char *key, const char *domain);
void callout_silences_clear(struct callouts *callouts);
/* When the domain came into its state: a silence counts within that state only. */
int64_t callout_state_since(struct callouts *callouts, const char *domain);

/* ---- callout_reasks.c ---- */

/* To be told of each answer: a "later" begins a series, what settles the matter ends it. */
void callout_reask_answered(struct callouts *callouts, const struct callout_question *question,
			    const struct callout_answer *answer);
void callout_reasks_init(struct callouts *callouts);
void callout_reasks_fini(struct callouts *callouts);

/* ---- callout_session.c ---- */

/* Starts a session with the line's host for the domain's questions. */
void callout_session_start(struct callout_line *line, struct domain *domain,
			   struct endpoint *endpoint);
/* The line's idle session takes up what waits, or ends. */
void callout_session_resume(struct callout_session *session);
/* Its settings are out of date: it takes no further question. */
void callout_session_retire(struct callout_session *session);
/* Closes it without answering anybody. */
void callout_session_free(struct callout_session *session);
struct callout_session *callout_session_next(struct callout_session *session);

#endif
