/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The domains we are backup for, and how each one's primary is (DESIGN sections 2 and 3).
 *
 * The loop thread owns them and alone changes them. Other threads get copies: domains_view() and
 * domains_wait() are for any thread, as are the two counters at the end.
 */
#ifndef BACKUPMX_WATCH_DOMAINS_H
#define BACKUPMX_WATCH_DOMAINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/config.h"
#include "core/decision.h"
#include "core/health.h"
#include "core/recipient.h"
#include "watch/endpoints.h"
#include "watch/services.h"

struct domains;
struct domain;

/* A copy of what the decision needs to know. */
struct domain_view {
	enum domain_state state; /* by which is decided */
	enum domain_state seen;	 /* what probes and canaries say: the same, unless it was forced */
	enum health_reason reason;
	int64_t since;		/* of the state, seconds since 1970 */
	int64_t down_since;	/* when it began to count as down, if it does; else 0 */
	int64_t forced_until;	/* seconds since 1970; 0: the state isn't forced */
	int64_t begun_ms;	/* when this process took the domain up (loop_now_ms) */
	int64_t hangs_until_ms; /* lately a question got no answer in time: don't wait for another
				   until then (loop_now_ms) */
	int64_t up_clock;	/* observed-up seconds, now */
	struct recipient_doubts doubts;
	int64_t recovered; /* when it came back from down or sick, seconds since 1970; 0: never */
	bool senders_up;  /* a better public MX exists and one of its addresses is up, or said to be
			     (P8) */
	bool turns_away;  /* none is up, and one of them greets, or answers EHLO, with 5xx */
	bool is_endpoint; /* the client asked about is one of the endpoints that we deliver to */
	bool peer_mx;	  /* the client asked about is one of the domain's MX hosts */
	bool asleep;	  /* nobody asked for a day: it is looked at again once somebody does */
};

/* Who hears, on the loop, of the mail that waits for a primary. */
struct domains_listener {
	/* The primary is back after down or sick; mail was taken meanwhile (or may have been, with
	 * `mails` 0: the daemon was restarted). */
	void (*recovered)(void *arg, const char *domain, unsigned long mails);
	/* A mail was taken that was welcomed while the primary was still away. */
	void (*latecomer)(void *arg, const char *domain);
	/* The primary is away again. */
	void (*lost)(void *arg, const char *domain);
	void *arg;
};

/* Who knows, on the loop, whether a primary that answers is in its right mind (memory/canaries.h).
 * None of these may free or change the domain. */
struct domains_prover {
	/* The primary answers again after an outage. True: its state waits until domain_proved() or
	 * domain_set_sick() is called, soon. */
	bool (*prove)(void *arg, struct domain *domain);
	/* It has come into another state, or its settings have changed. */
	void (*changed)(void *arg, struct domain *domain);
	/* A mail was taken that our MTA will deliver at once: its primary is up. */
	void (*delivering)(void *arg, struct domain *domain);
	/* It is no domain of ours any more. */
	void (*gone)(void *arg, struct domain *domain);
	void *arg;
};

/* A domain has come into another state. */
struct domain_change {
	enum domain_state state, was;	  /* by which is decided */
	enum domain_state seen, seen_was; /* what our probes and canaries say: the same, unless it
					     was forced */
	enum health_reason reason;
	int64_t at;	     /* seconds since 1970 */
	int64_t after;	     /* how many seconds it was what it was before; 0: not known */
	int64_t began;	     /* when the first of the probes began that led to this; 0: not known */
	unsigned long mails; /* taken while it was away, and not flushed yet */
};

/* Who hears, on the loop, of each change, after it is in force. The domain must not be freed or
 * changed in there. */
struct domains_watcher {
	void (*changed)(void *arg, const struct domain *domain, const struct domain_change *change);
	/* It is looked at from now on (taken up, or asked for again), in the state that is
	 * remembered; or it isn't any more (asleep). Those that are looked at when domains_watch()
	 * is called are told then. NULL: no matter; likewise for what follows. */
	void (*awake)(void *arg, const struct domain *domain, bool awake);
	/* A mail was taken for it, however it is. */
	void (*mail_taken)(void *arg, const struct domain *domain);
	/* The MTA was told to deliver what waits. */
	void (*flushed)(void *arg, const struct domain *domain);
	/* It is no domain of ours any more (the program doesn't stop: then nobody is told). */
	void (*gone)(void *arg, const char *domain);
	void *arg;
};
#define DOMAINS_WATCHERS_MAX 4

struct domains *domains_new(struct services *services, struct config *config,
			    const struct domains_listener *listener);
void domains_free(struct domains *domains);

/* Brings the domains in line with a new configuration; what didn't change keeps its state. */
void domains_configure(struct domains *domains, struct config *config);
/* The resolver or our identity is another: look everything up again, soon. */
void domains_look_again(struct domains *domains);

/* Copies the view of a domain. False when there is none of that name (yet). Any thread. */
bool domains_view(struct domains *domains, const char *name, const struct ip *client,
		  struct domain_view *view);
/* Notes that mail for it was offered: it wakes up if it was asleep, and a learned one follows
 * `next_hop` ({rcpt_host}; "": don't). Any thread. */
void domains_note_asked(struct domains *domains, const char *name, const char *next_hop);
/* Asks the loop to find out whether a name that isn't configured is one of ours, to be learned.
 * False when that is known not to be, or not worth waiting for. Any thread. */
bool domains_learn_later(struct domains *domains, const char *name, const char *next_hop);
/* Waits until that is found out, or `until_ms` (loop_now_ms). Any thread but the loop. */
void domains_wait_learned(struct domains *domains, const char *name, int64_t until_ms);
/* Asks the loop to take up a name that the configuration covers but that isn't there yet (a new
 * subdomain of a ".parent" section). False when that happens too often. Any thread. */
bool domains_want(struct domains *domains, const char *name);
/* A client connected to us from an address of the domain's primary: its next probe comes sooner.
 * Any thread. */
void domains_heard_from(struct domains *domains, const char *name, const struct ip *client);
/* Waits until the domain's state is known, or `until_ms` (loop_now_ms). Any thread but the loop. */
void domains_wait(struct domains *domains, const char *name, int64_t until_ms);
/* Ends all waits, now and later: the program stops. Any thread. */
void domains_stop_waits(struct domains *domains);

/* A mail session waited for an answer of the domain's primary in vain. Any thread. */
void domains_note_hanging(struct domains *domains, const char *name);

/* Counts a verdict, respectively a message that was taken, for a domain. Any thread. */
void domains_count_verdict(struct domains *domains, const char *name, enum decision_action action);
void domains_count_mail(struct domains *domains, const char *name);
/* Counts a recipient that a client named, and whether the list or the memory knew of it. Any
 * thread. */
void domains_count_question(struct domains *domains, const char *name, bool known);
/* Counts that the primary has told, since, of one who wasn't known: next time that one is. */
void domains_count_answer(struct domains *domains, const char *name);

/* Up, and lately down or sick. A recovery in the future (the wall clock went back) is over. Pure.
 */
bool domain_view_recovering(const struct domain_view *view, int64_t grace, int64_t now);
/* The clocks by which the domain's recipients are judged. Pure. */
struct recipient_clock domain_view_clock(const struct domain_view *view, int64_t now);

/* ---- loop thread only ---- */

struct domain *domains_find(struct domains *domains, const char *name);
/* The same for a command that is about it: a name that the configuration covers is taken up, a
 * domain that sleeps wakes. */
struct domain *domains_rouse(struct domains *domains, const char *name);
struct domain *domains_first(struct domains *domains);
struct domain *domain_next(struct domain *domain); /* NULL at the end; sorted by name */
/* The same in no order, which costs nothing to begin with. */
struct domain *domains_any(struct domains *domains);

const char *domain_name(const struct domain *domain);
const struct config_domain *domain_settings(const struct domain *domain);
struct domain_view domain_view_now(const struct domain *domain, const struct ip *client);

/* At most DOMAINS_WATCHERS_MAX; it is copied. */
void domains_watch(struct domains *domains, const struct domains_watcher *watcher);
/* The one with this `arg` hears no more. */
void domains_unwatch(struct domains *domains, const void *arg);

/* At most one prover; it hears of the domains that are there already at once. */
void domains_set_prover(struct domains *domains, const struct domains_prover *prover);
void domain_proved(struct domain *domain);
/* Its primary refuses those it knew: sick, or no more. */
void domain_set_sick(struct domain *domain, bool sick);
bool domain_is_sick(const struct domain *domain);
/* Refusals learned from `since` (seconds since 1970) until now mean nothing. */
void domain_doubt_refusals(struct domain *domain, int64_t since);

/* An administrator's word: DOMAIN_FORCED_UP or _DOWN for so many seconds, whatever is seen. `by`:
 * who, for the log. It survives restarts, and ends when the domain is no longer ours. */
void domain_force(struct domain *domain, enum domain_state state, int64_t seconds, const char *by);
/* The probes decide again. False when nothing was forced. */
bool domain_unforce(struct domain *domain, const char *by);
/* What probes and canaries say, whatever is forced. */
enum domain_state domain_seen(const struct domain *domain);
/* Mail that waits for its primary can be delivered: that is seen up, and nobody says otherwise. */
bool domain_delivers(const struct domain *domain);

/* The clocks of a domain's recipients, also of a subdomain that nobody asked for yet. */
struct recipient_clock domains_clock(struct domains *domains, const char *name);
/* The same for one entry after the other, as they stand in the memory: looked up once per domain.
 * Begin with a zeroed one; what is returned is in there. */
struct domains_clock_last {
	char name[MAIL_DOMAIN_MAX + 1];
	struct recipient_clock clock;
};
const struct recipient_clock *domains_clock_next(struct domains *domains,
						 struct domains_clock_last *last, const char *name);

/* The endpoint of the forwarding set to ask: the best one up. NULL when none is up. */
struct endpoint *domain_endpoint_up(const struct domain *domain);
/* The one of that set at this address, if it is up; NULL otherwise. */
struct endpoint *domain_endpoint_up_at(const struct domain *domain, const struct ip_port *address);

/* The name by which the endpoint is one of the domain's; "" for an address without a name. */
const char *domain_endpoint_host(const struct domain *domain, const struct endpoint *endpoint);

/* For status: what it is made of. */
const char *domain_source(const struct domain *domain); /* "configured", "subdomain", "learned" */
const struct mxset *domain_mxset(const struct domain *domain);
enum domain_set { DOMAIN_SET_SENDERS = 1, DOMAIN_SET_FORWARDING = 2 };
struct domain_member {
	struct endpoint *endpoint;
	unsigned sets; /* enum domain_set, or-ed; 0: it turned out to be ourselves */
};
size_t domain_member_count(const struct domain *domain);
struct domain_member domain_member(const struct domain *domain, size_t i);
/* How long it was down or sick, by what probes and canaries said, since the process started; the
 * time in which this host was isolated isn't counted. */
int64_t domain_outage_ms(const struct domain *domain);
unsigned long domain_verdicts(const struct domain *domain, enum decision_action action);
unsigned long domain_mails_waiting(const struct domain *domain);
void domain_flushed(struct domain *domain); /* its mail has been flushed: count anew */
/* What domains_count_question() has counted since this was called last; one caller alone may. */
struct domain_questions {
	unsigned long asked, known;
};
struct domain_questions domain_take_questions(struct domain *domain);

#endif
