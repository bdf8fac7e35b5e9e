/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Callouts: asking a primary whether a recipient exists (DESIGN section 4).
 *
 * Only primaries of domains we are backup for are ever asked (P6), only while one of their
 * endpoints is up, one question in flight per recipient, within the budgets of [recipients].
 */
#ifndef BACKUPMX_MEMORY_CALLOUTS_H
#define BACKUPMX_MEMORY_CALLOUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/config.h"
#include "core/canary.h"
#include "core/decision.h"
#include "core/ip.h"
#include "io/secret.h"
#include "memory/recipients.h"
#include "watch/domains.h"

struct callouts;

struct callouts *callouts_new(struct services *services, struct domains *domains,
			      struct recipients *recipients, const struct secret *secret,
			      struct config *config);
/* Ends all sessions; nobody may wait any more (callouts_stop_waits). Loop thread. */
void callouts_free(struct callouts *callouts);
void callouts_configure(struct callouts *callouts, struct config *config); /* loop thread */

/* Whom the question is about, and which client caused it. */
struct callout_request {
	const char *domain;
	const char *local; /* as typed */
	bool is_ascii;	   /* else only a host with SMTPUTF8 is asked */
	const struct ip *client;
};

/* Asks in the background; the answer goes to the memory. Any thread. */
void callouts_learn(struct callouts *callouts, const struct callout_request *request);

/* Asks, and waits for the answer until `until_ms` (loop_now_ms) at most. What isn't known by then
 * is RECIPIENT_UNKNOWN; the question goes on in the background. Any thread but the loop. */
enum recipient_status callouts_wait(struct callouts *callouts,
				    const struct callout_request *request, int64_t until_ms);
/* Those of the domain who got no answer lately may be asked about again at once: somebody who knows
 * says that things have changed. Loop thread. */
void callouts_forget_silences(struct callouts *callouts, const char *domain);
/* Ends all waits, now and later: the program stops. Any thread. */
void callouts_stop_waits(struct callouts *callouts);

/* ---- canaries; loop thread ---- */

typedef void (*callouts_canary_done)(void *arg, const char *domain, const char *local,
				     enum canary_answer answer);

/* Asks the best endpoint up for one recipient, whatever the domain's state, `callout` and the
 * budgets of [recipients] are: at most one a second goes to a primary, a later one waits its turn.
 * done() is called exactly once, never from inside the call, and not any more once callouts_free()
 * has been called; it may ask again. False when no endpoint is up: then there is no done(). */
bool callouts_ask_canary(struct callouts *callouts, const char *domain, const char *local,
			 callouts_canary_done done, void *arg);

/* The domain's primary refused the last canary that it said yes or no to, of whichever domain. */
bool callouts_primary_refuses(struct callouts *callouts, const struct domain *domain);

/* Who wants to hear what the questions show of a domain. Called after the answer was written down;
 * callouts_ask_canary() may be called from inside. */
struct callouts_observer {
	/* A recipient that counted as valid has been asked again, and answered for. */
	void (*reasked)(void *arg, const char *domain, bool turned_invalid);
	/* A known-valid recipient got no 2xx. */
	void (*control_failed)(void *arg, const char *domain);
	/* A recipient, no role, of a domain that isn't a catch-all got a 2xx; `local` is as the
	 * memory keeps it. */
	void (*accepted)(void *arg, const char *domain, const char *local);
	void *arg;
};
/* At most once, before anything is asked; it is copied. */
void callouts_observe(struct callouts *callouts, const struct callouts_observer *observer);

#endif
