/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A domain's state, from its endpoints'. Loop thread only.
 */
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "watch/domain.h"
#include "watch/isolation.h"

#define FLUSH_UNSURE_SECONDS                                                                       \
	900 /* the last round of flushing is ten minutes after the recovery                        \
	     */

/* What the endpoints of the forwarding set add up to. */
struct tally {
	unsigned total;
	unsigned up;
	unsigned unknown;
	unsigned no_route;
	unsigned ehlo_refused;	 /* answered, but refuse EHLO and HELO with 5xx */
	unsigned banner_refused; /* answered, but greet with 5xx */
	unsigned rising;	 /* still down, but the last probe was a good one */
	unsigned reached;	 /* answered at all */
	bool looped;		 /* one was left out because it is ourselves */
	enum health_reason first_reason;
};

static void tally_add(struct tally *tally, const struct health *health)
{
	tally->total++;
	if (health->no_route) {
		tally->no_route++;
		return;
	}
	if (health->state == HEALTH_UNKNOWN)
		tally->unknown++;
	else if (health->state == HEALTH_UP)
		tally->up++;
	else if (tally->first_reason == HEALTH_OK)
		tally->first_reason = health->reason;
	if (health->state == HEALTH_DOWN && health_reason_reached(health->reason))
		tally->reached++;
	if (health->state == HEALTH_DOWN && health->reason == HEALTH_EHLO_5XX)
		tally->ehlo_refused++;
	if (health->state == HEALTH_DOWN && health->reason == HEALTH_BANNER_5XX)
		tally->banner_refused++;
	if (health->state == HEALTH_DOWN && health->reason == HEALTH_OK)
		tally->rising++;
}

static struct tally tally_of(const struct domain *domain)
{
	struct tally tally = { .first_reason = HEALTH_OK };

	for (size_t i = 0; i < domain->member_count; i++) {
		const struct domain_member *member = &domain->members[i];
		const struct health *health = endpoint_health(member->endpoint);

		if (member->sets & DOMAIN_SET_FORWARDING)
			tally_add(&tally, health);
		else if (member->sets == 0)
			tally.looped = true;
	}
	return tally;
}

/* Without any endpoint to deliver to. */
static enum domain_state state_without_endpoints(const struct domain *domain,
						 const struct tally *tally,
						 enum health_reason *reason)
{
	*reason = tally->looped ? HEALTH_LOOP : HEALTH_DNS_FAIL;
	if (domain->settings->primary.count > 0)
		return domain->primary_answered ? DOMAIN_DOWN : DOMAIN_UNKNOWN;
	switch (domain->set.standing) {
	case MX_STANDING_UNKNOWN:
		return domain->mx_answered ? DOMAIN_DOWN : DOMAIN_UNKNOWN;
	case MX_STANDING_BACKUP:
		/* better hosts whose addresses can't be found; or they all are ourselves */
		return tally->looped ? DOMAIN_NOT_BACKUP : DOMAIN_DOWN;
	default:
		*reason = HEALTH_OK;
		return DOMAIN_NOT_BACKUP;
	}
}

/* Our MTA would be refused at once by all that answer, and would bounce what we took. One good
 * probe doesn't end that: it takes `rise` of them. */
static bool is_sick_by_ehlo(const struct domain *domain, const struct tally *tally)
{
	bool so_far = domain->state == DOMAIN_SICK && tally->rising > 0;

	return tally->reached == tally->ehlo_refused && (tally->reached > 0 || so_far);
}

/* RFC 5321 (3.1) lets an MTA take that for final, also when another host of the domain is away, or
 * says "later". As above, one good probe doesn't end it. */
static bool turns_away(const struct domain *domain, const struct tally *tally)
{
	if (tally->up > 0)
		return false;
	return tally->banner_refused + tally->ehlo_refused > 0 ||
	       (domain->turns_away && tally->rising > 0);
}

static enum domain_state state_of(const struct domain *domain, const struct tally *tally,
				  enum health_reason *reason)
{
	*reason = HEALTH_OK;
	if (tally->total == 0)
		return state_without_endpoints(domain, tally, reason);
	if (tally->up > 0 && domain->sick) {
		*reason = HEALTH_CANARY_REFUSED;
		return DOMAIN_SICK;
	}
	if (tally->up > 0)
		return DOMAIN_UP;
	if (tally->unknown > 0) {
		/* What was seen before stays true until a probe tells otherwise. */
		*reason = domain->reason;
		return domain->state == DOMAIN_NOT_BACKUP ? DOMAIN_UNKNOWN : domain->state;
	}
	*reason = tally->no_route == tally->total ? HEALTH_NO_ROUTE : tally->first_reason;
	return is_sick_by_ehlo(domain, tally) ? DOMAIN_SICK : DOMAIN_DOWN;
}

int64_t domain_up_clock(const struct domain *domain)
{
	if (domain->up_started_ms == 0)
		return domain->up_seconds;
	return domain->up_seconds + (loop_now_ms() - domain->up_started_ms) / 1000;
}

static void up_clock_switch(struct domain *domain, bool up)
{
	domain->up_seconds = domain_up_clock(domain);
	domain->up_started_ms = up ? loop_now_ms() : 0;
}

static bool is_outage(enum domain_state state)
{
	return state == DOMAIN_DOWN || state == DOMAIN_SICK;
}

/* What passes while this host is cut off itself is no primary's fault. */
static int64_t connected_now_ms(const struct domain *domain)
{
	return loop_now_ms() - isolation_watch_lasted_ms(domain->owner->services->isolation);
}

int64_t domain_outage_ms(const struct domain *domain)
{
	return domain->outage_ms +
	       (domain->in_outage ? connected_now_ms(domain) - domain->outage_started_ms : 0);
}

static void outage_clock_switch(struct domain *domain)
{
	bool in_outage = is_outage(domain->state) && !domain->asleep;

	if (in_outage == domain->in_outage)
		return;
	domain->outage_ms = domain_outage_ms(domain);
	domain->outage_started_ms = connected_now_ms(domain);
	domain->in_outage = in_outage;
}

static void log_change(const struct domain *domain, const struct domain_standing *was,
		       const struct domain_standing *is, int64_t after)
{
	bool not_backup = is->state == DOMAIN_NOT_BACKUP;
	struct tally tally = tally_of(domain);
	char line[1024];
	TEXT_ON(text, line);

	text_add(&text, "health: ");
	text_add_pair(&text, "domain", domain->name);
	text_add_pair(&text, "state", domain_state_name(is->state));
	text_add_pair(&text, "was", domain_state_name(was->state));
	/* not our business by what DNS says, or because the better host is ourselves */
	if (!not_backup || domain->reason != HEALTH_OK)
		text_add_pair(&text, "reason", health_reason_name(domain->reason));
	else
		text_add_pair(&text, "mx", mx_standing_name(domain->set.standing));
	text_add_format(&text, " endpoints=%u/%u after=%llds", tally.up, tally.total,
			(long long)after);
	if (is->seen != is->state)
		text_add_pair(&text, "seen", domain_state_name(is->seen));
	log_line(not_backup ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "%s", line);
}

enum domain_state domain_seen(const struct domain *domain)
{
	return domain->state;
}

static bool may_deliver(const struct domain *domain)
{
	return domain->state == DOMAIN_UP &&
	       domain_state_is_up(force_state(&domain->force, domain->state));
}

bool domain_delivers(const struct domain *domain)
{
	return may_deliver(domain) && !domain->unproved;
}

static bool mail_waits(const struct domain *domain)
{
	return domain->mails > 0 || domain->mails_unsure;
}

struct domain_standing domain_standing(const struct domain *domain)
{
	enum domain_state state = force_state(&domain->force, domain->state);
	bool forced = state != domain->state;

	return (struct domain_standing){
		.seen = domain->state,
		.state = state,
		.seen_since = domain->since,
		.since = forced ? domain->force.since : domain->since,
		.delivers = domain_delivers(domain),
	};
}

static void tell_recovered(const struct domain *domain)
{
	const struct domains_listener *listener = &domain->owner->listener;

	if (mail_waits(domain))
		listener->recovered(listener->arg, domain->name, domain->mails);
}

/* Mail may wait in the MTA's queue for this domain. */
static void tell_listener(const struct domain *domain, const struct domain_standing *was)
{
	const struct domains_listener *listener = &domain->owner->listener;
	bool delivers = domain_delivers(domain);

	if (was->delivers && !delivers)
		listener->lost(listener->arg, domain->name);
	if (!was->delivers && delivers)
		tell_recovered(domain);
}

/* The first of those probes that made the domain what it is now: of the last endpoint that failed,
 * or of the first that answered. */
static int64_t change_began(const struct domain *domain)
{
	bool up = domain->state == DOMAIN_UP;
	int64_t began = 0;

	for (size_t i = 0; i < domain->member_count; i++) {
		const struct endpoint *endpoint = domain->members[i].endpoint;
		int64_t turned = endpoint_turned(endpoint);

		if (!(domain->members[i].sets & DOMAIN_SET_FORWARDING) || turned == 0 ||
		    (endpoint_health(endpoint)->state == HEALTH_UP) != up)
			continue;
		if (began == 0 || (up ? turned < began : turned > began))
			began = turned;
	}
	return began;
}

static void tell_watchers(const struct domain *domain, const struct domain_change *change)
{
	const struct domains *domains = domain->owner;

	for (size_t i = 0; i < domains->watcher_count; i++)
		domains->watchers[i].changed(domains->watchers[i].arg, domain, change);
}

void domain_tell_awake(const struct domain *domain, bool awake)
{
	const struct domains *domains = domain->owner;

	for (size_t i = 0; i < domains->watcher_count; i++)
		if (domains->watchers[i].awake != NULL)
			domains->watchers[i].awake(domains->watchers[i].arg, domain, awake);
}

void domain_tell_prover(struct domain *domain)
{
	const struct domains_prover *prover = &domain->owner->prover;

	if (prover->changed != NULL)
		prover->changed(prover->arg, domain);
}

/* To take the primary at its first word after an outage would have the MTA deliver what waits, and
 * bounce it all if the users were lost. */
static bool awaits_proof(struct domain *domain)
{
	const struct domains_prover *prover = &domain->owner->prover;

	if (domain->proof == DOMAIN_PROOF_NONE && is_outage(domain->state) &&
	    prover->prove != NULL && prover->prove(prover->arg, domain))
		domain->proof = DOMAIN_PROOF_ASKED;
	return domain->proof == DOMAIN_PROOF_ASKED;
}

/* Whoever forces a primary down works on it, and may end with one that lost its users, although no
 * probe ever failed: it is asked before the MTA delivers what waits. */
static void hold_unproved(struct domain *domain, const struct domain_standing *was)
{
	const struct domains_prover *prover = &domain->owner->prover;

	if (!may_deliver(domain))
		domain->unproved = false;
	else if (was->state == DOMAIN_FORCED_DOWN && was->seen == DOMAIN_UP && mail_waits(domain) &&
		 prover->prove != NULL)
		domain->unproved = prover->prove(prover->arg, domain);
}

/* What waited for the prover, if anything did, can go. */
static void release_proved(struct domain *domain)
{
	if (!domain->unproved)
		return;
	domain->unproved = false;
	if (may_deliver(domain))
		tell_recovered(domain);
}

static void note_times(struct domain *domain, const struct domain_standing *was, int64_t now)
{
	/* gone again so soon: what was flushed may not have got through */
	if (was->delivers && !may_deliver(domain) && domain->flushed != 0 &&
	    now - domain->flushed < FLUSH_UNSURE_SECONDS)
		domain->mails_unsure = true;
	if (domain->state == DOMAIN_UP && is_outage(was->seen))
		domain->recovered = now;
}

static struct domain_change change_between(const struct domain *domain,
					   const struct domain_standing *was,
					   const struct domain_standing *is)
{
	bool seen = is->seen != was->seen;
	int64_t now = loop_wall_seconds();
	int64_t since = seen ? was->seen_since : was->since;

	return (struct domain_change){
		.state = is->state,
		.was = was->state,
		.seen = is->seen,
		.seen_was = was->seen,
		.reason = domain->reason,
		.at = now,
		.after = since > 0 && now > since ? now - since : 0,
		.began = seen ? change_began(domain) : 0,
		.mails = domain->mails,
	};
}

void domain_announce(struct domain *domain, const struct domain_standing *was)
{
	struct domain_standing is = domain_standing(domain);
	struct domain_change change = change_between(domain, was, &is);
	bool changed = is.state != was->state || is.seen != was->seen;

	if (changed)
		log_change(domain, was, &is, change.after);
	note_times(domain, was, change.at);
	hold_unproved(domain, was);
	domain_record_save(domain);
	domain_publish(domain);
	tell_listener(domain, was);
	if (!changed)
		return;
	domain_tell_prover(domain);
	tell_watchers(domain, &change);
}

static void change_state(struct domain *domain, enum domain_state state, enum health_reason reason)
{
	struct domain_standing was = domain_standing(domain);

	domain->state = state;
	domain->reason = reason;
	domain->since = loop_wall_seconds();
	up_clock_switch(domain, state == DOMAIN_UP);
	domain_announce(domain, &was);
}

/* In each set the best one up leads; while none is up, all do. */
static void set_leaders(struct domain *domain)
{
	bool leading[2] = { false, false };
	static const unsigned sets[2] = { DOMAIN_SET_SENDERS, DOMAIN_SET_FORWARDING };
	struct endpoint *best[2] = { NULL, NULL };

	for (int s = 0; s < 2; s++)
		for (size_t i = 0; i < domain->member_count && best[s] == NULL; i++)
			if ((domain->members[i].sets & sets[s]) &&
			    endpoint_health(domain->members[i].endpoint)->state == HEALTH_UP)
				best[s] = domain->members[i].endpoint;
	for (size_t i = 0; i < domain->member_count; i++) {
		const struct domain_member *member = &domain->members[i];

		for (int s = 0; s < 2; s++)
			leading[s] = (member->sets & sets[s]) &&
				     (best[s] == NULL || best[s] == member->endpoint);
		endpoint_set_leading(member->endpoint, domain, leading[0] || leading[1]);
	}
}

/* P8: they are published, and one of them is up; or said to be. */
static bool senders_up(const struct domain *domain)
{
	bool published = false;

	for (size_t i = 0; i < domain->member_count; i++)
		published |= (domain->members[i].sets & DOMAIN_SET_SENDERS) != 0;
	return force_senders_up(&domain->force, published, domain->senders_up);
}

static bool senders_seen_up(const struct domain *domain)
{
	for (size_t i = 0; i < domain->member_count; i++)
		if ((domain->members[i].sets & DOMAIN_SET_SENDERS) &&
		    endpoint_health(domain->members[i].endpoint)->state == HEALTH_UP &&
		    !endpoint_health(domain->members[i].endpoint)->no_route)
			return true;
	return false;
}

/* While our own uplink is gone nothing goes down: not by probes, nor by names that can't be found.
 */
static bool is_frozen(const struct domain *domain, enum domain_state state)
{
	return state == DOMAIN_DOWN && isolation_watch_freezes(domain->owner->services->isolation);
}

void domain_evaluate(struct domain *domain)
{
	struct tally tally = tally_of(domain);
	enum health_reason reason;
	enum domain_state state = state_of(domain, &tally, &reason);

	set_leaders(domain);
	domain->senders_up = senders_seen_up(domain);
	domain->turns_away = turns_away(domain, &tally);
	if (state != DOMAIN_UP)
		domain->proof = DOMAIN_PROOF_NONE;
	else if (awaits_proof(domain))
		state = domain->state;
	if (state == DOMAIN_UP)
		domain->proof = DOMAIN_PROOF_NONE;
	if (state != domain->state && !is_frozen(domain, state))
		change_state(domain, state, reason);
	else
		domain_publish(domain);
}

void domain_proved(struct domain *domain)
{
	release_proved(domain);
	if (domain->proof != DOMAIN_PROOF_ASKED)
		return;
	domain->proof = DOMAIN_PROOF_GIVEN;
	domain_evaluate(domain);
}

void domain_set_sick(struct domain *domain, bool sick)
{
	domain->sick = sick;
	/* who has just been asked needs not be asked again */
	domain->proof = sick ? DOMAIN_PROOF_NONE : DOMAIN_PROOF_GIVEN;
	domain_evaluate(domain);
	release_proved(domain);
}

bool domain_is_sick(const struct domain *domain)
{
	return domain->sick;
}

void domain_doubt_refusals(struct domain *domain, int64_t since)
{
	recipient_doubts_add(&domain->doubts, since, loop_wall_seconds());
	domain_record_save(domain);
	domain_publish(domain);
}

/* The leader of a set stumbles: how are the others? Else they would be asked minutes later. */
static void probe_others(struct domain *domain, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < domain->member_count; i++)
		if (domain->members[i].endpoint != endpoint)
			endpoint_probe_soon(domain->members[i].endpoint);
}

/* The endpoint was found to be ourselves, or isn't any more. */
static bool loop_is_news(const struct domain *domain, const struct endpoint *endpoint)
{
	bool looped = endpoint_health(endpoint)->reason == HEALTH_LOOP;

	for (size_t i = 0; i < domain->member_count; i++)
		if (domain->members[i].endpoint == endpoint)
			return looped != (domain->members[i].sets == 0);
	return false;
}

void domain_endpoint_sampled(void *arg, struct endpoint *endpoint)
{
	struct domain *domain = arg;
	const struct health *health = endpoint_health(endpoint);

	if (health->state == HEALTH_UP && health->streak == 1)
		probe_others(domain, endpoint);
	if (loop_is_news(domain, endpoint))
		domain_members_update(domain);
	domain_evaluate(domain);
}

void domain_publish(struct domain *domain)
{
	struct domains *domains = domain->owner;
	struct domain_published *published = &domain->published;
	const struct domain_standing is = domain_standing(domain);

	outage_clock_switch(domain);
	pthread_rwlock_wrlock(&domains->lock);
	published->view = (struct domain_view){
		.state = is.state,
		.seen = is.seen,
		.reason = domain->reason,
		.since = is.since,
		.down_since = force_down_since(&domain->force, domain->state, domain->since),
		.forced_until = is.state != is.seen ? domain->force.until : 0,
		.begun_ms = domain->begun_ms,
		.doubts = domain->doubts,
		.recovered = domain->recovered,
		.senders_up = senders_up(domain),
		.turns_away = domain->turns_away,
		.asleep = domain->asleep,
	};
	published->up_seconds = domain->up_seconds;
	published->up_started_ms = domain->up_started_ms;
	pthread_rwlock_unlock(&domains->lock);
	pthread_mutex_lock(&domains->wait_lock);
	domains->generation++;
	pthread_cond_broadcast(&domains->changed);
	pthread_mutex_unlock(&domains->wait_lock);
}
