/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One domain from the inside: shared by the files of watch/ that look after it, and by no one else.
 * Loop thread only, but for `published` and `verdicts`.
 */
#ifndef BACKUPMX_WATCH_DOMAIN_H
#define BACKUPMX_WATCH_DOMAIN_H

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

#include "core/budget.h"
#include "core/force.h"
#include "core/mxset.h"
#include "watch/candidates.h"
#include "watch/domains.h"
#include "watch/endpoints.h"
#include "watch/lookup.h"

/* A primary that answers again after an outage may have lost its users in it. */
enum domain_proof { DOMAIN_PROOF_NONE, DOMAIN_PROOF_ASKED, DOMAIN_PROOF_GIVEN };

struct domain_published {	 /* under the table's lock */
	struct domain_view view; /* peer_mx and up_clock are made at each look */
	int64_t up_seconds;	 /* until up_started_ms */
	int64_t up_started_ms;	 /* loop_now_ms when it came up; 0: it isn't up */
	struct ip *peers;	 /* addresses of all MX hosts but ours */
	size_t peer_count;
	struct ip *endpoints; /* addresses of the forwarding set */
	size_t endpoint_count;
	char *next_hop; /* as the MTA gave it last, of a learned domain; NULL: not looked at */
};

/* Why it is in the table. */
enum domain_kind { DOMAIN_CONFIGURED, DOMAIN_SUBDOMAIN, DOMAIN_LEARNED, DOMAIN_KIND_COUNT };

/* A learned domain's settings where the MTA's next hop is its primary. */
struct domain_by_next_hop {
	struct config_domain settings; /* the unlisted ones but for `primary` */
	struct config_endpoint endpoint;
	char host[MAIL_DOMAIN_MAX + 1];
};

struct domain {
	UT_hash_handle hh;
	struct domains *owner;
	char name[MAIL_DOMAIN_MAX + 1];
	enum domain_kind kind;
	const struct config_domain *settings; /* in the table's configuration, or in by_next_hop */
	struct domain_by_next_hop *by_next_hop; /* NULL: none */
	int64_t next_hop_ms;			/* when it changed last (loop_now_ms) */
	bool asleep;	       /* learned, and not asked for: no probes, no look-ups, no sets */
	int64_t asked_kept_ms; /* asked_ms as the record has it */
	/* DNS */
	struct mxset set;     /* the last good one, roles assigned */
	struct mxset primary; /* the configured hosts with addresses; preference is the index */
	struct lookup *mx_lookup, *primary_lookup;
	struct loop_timer *mx_timer, *primary_timer;
	bool mx_answered, primary_answered; /* at least once, or remembered */
	bool mx_failing;		    /* the last question got no answer; said already */
	int64_t gone_since; /* DNS has said since then that the working set is gone; 0: it hasn't */
	int64_t primary_gone_since; /* likewise for the configured primaries' names */
	/* endpoints */
	struct domain_member *members;
	size_t member_count;
	/* state */
	int64_t begun_ms;
	enum domain_state state;
	enum health_reason reason;
	int64_t since;
	int64_t recovered;
	int64_t up_seconds;	   /* observed up, until up_started_ms */
	int64_t up_started_ms;	   /* 0: not up now */
	bool in_outage;		   /* down or sick, and looked at */
	int64_t outage_ms;	   /* since the start of the process, until outage_started_ms */
	int64_t outage_started_ms; /* of a clock that stands still while we are isolated */
	bool senders_up;
	bool turns_away; /* see struct domain_view */
	bool sick;	 /* its primary refuses those it knew, whenever it answers */
	enum domain_proof proof;
	struct recipient_doubts doubts;
	/* what the administrator says against it */
	struct force force;
	int64_t force_ends_ms; /* loop_now_ms */
	int64_t force_ended;   /* the last one, seconds since 1970; 0: not since this start */
	struct loop_timer *force_timer; /* NULL: nothing is forced */
	bool unproved; /* it was forced down: what waits is held until the prover has asked */
	/* mail taken since it went down */
	unsigned long mails;
	int64_t flushed;   /* when some were flushed last, seconds since 1970; 0: never */
	bool mails_unsure; /* what was flushed lately may not have got through: flush again */
	struct domain_published published;
	atomic_llong hangs_until_ms;
	atomic_llong asked_ms; /* when somebody last wanted to know (loop_now_ms) */
	atomic_ulong verdicts[DECISION_ASK + 1];
	atomic_ullong questions; /* asked in the upper half, known in the lower: they go together */
};

struct domains {
	struct services *services;
	struct config *config;
	struct endpoints *endpoints;
	struct domains_listener listener;
	struct domains_prover prover; /* its functions are NULL until there is one */
	struct domains_watcher watchers[DOMAINS_WATCHERS_MAX];
	size_t watcher_count;
	struct loop_timer *round_timer;
	unsigned round;
	struct domain *all;	   /* changed by the loop under `lock` for writing */
	pthread_rwlock_t lock;	   /* of `all` and each domain's `published` */
	pthread_mutex_t wait_lock; /* of the rest */
	pthread_cond_t changed;
	struct budget wants; /* new subdomains */
	struct candidates *candidates;
	struct budget learning;		  /* loop thread */
	size_t counts[DOMAIN_KIND_COUNT]; /* loop thread */
	uint64_t generation;
	bool stopping;
};

/* domains.c */
/* Into the table, with settings, and nothing more: domain_begin() comes next. */
struct domain *domain_add(struct domains *domains, const char *name, enum domain_kind kind);
/* `keep`: what is known of it is remembered for the day it comes back. */
void domain_remove(struct domain *domain, bool keep);
/* Takes other settings. */
void domain_reconfigure(struct domain *domain, enum domain_kind kind,
			const struct config_domain *settings);
/* Takes up what its record says, and begins to look. */
void domain_begin(struct domain *domain, int64_t delay_ms);

/* domains_learned.c */
/* A candidate has proved to be ours: see candidate_proved. */
void domains_learn(void *domains, const char *name, const char *next_hop,
		   struct lookup_result *result);
/* The settings of a learned domain in the table's configuration, by its next hop. Those before are
 * gone. */
const struct config_domain *domain_learned_settings(struct domain *domain);
void domain_learned_reconfigure(struct domain *domain);
/* Follows the MTA's next hop. */
void domain_follow(struct domain *domain, const char *next_hop);
void domain_wake(struct domain *domain);
/* Lets it sleep when it is time to. */
void domain_consider_sleep(struct domain *domain);
/* A learned domain is none of ours: it is turned down for so long. */
void domain_forget(struct domain *domain, int64_t refused_seconds);
/* They aren't learned any more; what is known of it is remembered. */
void domain_learned_leave(struct domain *domain);
/* Makes room for `more` domains of a kind of which there are at most `most`: those that nobody
 * asked for longest go, but none with mail waiting. False when that didn't suffice. */
bool domains_make_room(struct domains *domains, enum domain_kind kind, size_t most, size_t more);
/* What a record holds of a learned domain besides. */
struct json_t;
void domain_learned_to_record(const struct domain *domain, struct json_t *record);
void domain_learned_from_record(struct domain *domain, const struct json_t *record);

/* domains_restore.c: takes those up again that the store remembers. */
void domains_restore_learned(struct domains *domains);
void domains_restore_subdomains(struct domains *domains, size_t most);

/* domain_counts.c */
/* Tells the watchers of a mail that was taken. */
void domain_tell_mail(const struct domain *domain);
/* How a domain stands: taken before a change, it tells what the change was. */
struct domain_standing {
	enum domain_state seen, state; /* by probes and canaries; by which is decided */
	int64_t seen_since, since;
	bool delivers;
};

/* domain_state.c */
void domain_evaluate(struct domain *domain);
struct domain_standing domain_standing(const struct domain *domain);
/* What follows from a change of its state, or of what is forced: the log, the record, and all who
 * want to hear of it. */
void domain_announce(struct domain *domain, const struct domain_standing *was);
void domain_publish(struct domain *domain);
/* Tells the watchers that it is awake, or asleep. */
void domain_tell_awake(const struct domain *domain, bool awake);
/* It is in another state, or has other settings. */
void domain_tell_prover(struct domain *domain);
void domain_endpoint_sampled(void *domain, struct endpoint *endpoint);
int64_t domain_up_clock(const struct domain *domain);

/* domain_dns.c */
void domain_dns_start(struct domain *domain, int64_t delay_ms);
/* The same, forgetting the questions that are open: their answers would come from another resolver.
 */
void domain_dns_restart(struct domain *domain, int64_t delay_ms);
void domain_dns_stop(struct domain *domain);
/* An answer to the MX question. The domain may be gone afterwards, if it is a learned one. */
void domain_dns_take(struct domain *domain, struct lookup_result *result);
void domain_primary_changed(struct domain *domain);
/* Finds ourselves in the set anew and registers with the endpoints that come out of it. */
void domain_members_update(struct domain *domain);
void domain_members_drop(struct domain *domain);

/* domain_force.c */
/* It is no domain of ours any more, and what is forced ends with that. */
void domain_force_drop(struct domain *domain);
void domain_force_to_record(const struct domain *domain, struct json_t *record);
void domain_force_from_record(struct domain *domain, const struct json_t *record);
bool domain_force_in_record(const struct json_t *record);

/* domain_record.c */
void domain_record_save(const struct domain *domain);
void domain_record_load(struct domain *domain);
/* Only by what its recipients are judged: the observed-up clock and the refusals in doubt. */
void domain_record_load_clock(struct domain *domain);
/* The observed-up clock of a domain that isn't there now; 0 when it never was. */
int64_t domain_record_up_seconds(struct writer *writer, const char *name);

#endif
