/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names that are being looked up and those that were turned down, in one table under one lock.
 * Entries that are being looked up are the loop's; the others are anybody's who holds the lock.
 */
#include "watch/candidates.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/log.h"
#include "base/memory.h"
#include "core/budget.h"
#include "core/learned.h"
#include "io/clock.h"
#include "io/log_valve.h"

#define REFUSED_MAX	   10000
#define MINUTE_MS	   60000
#define LOOKUPS_PER_SECOND 50
#define LOOKUPS_AT_ONCE	   32
#define WAITS_IN_VAIN	   20 /* a minute: names that aren't ours must not make mail slow */
#define LONG_WAIT_MS	   2000
#define NO_WAITS_MS	   30000 /* for so long nobody waits for a candidate after a long wait */

struct candidate {
	UT_hash_handle hh;
	struct candidates *owner;
	bool pending;
	int64_t refused_until_ms;
	struct lookup *lookup; /* loop thread only */
	char *next_hop;	       /* while pending; "" when none was given */
	char name[];
};

struct candidates {
	struct services *services;
	candidate_proved proved;
	void *arg;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t settled;
	struct candidate *all; /* in the order in which they came in */
	size_t pending;
	struct budget lookups;
	struct budget waits_in_vain;
	int64_t no_waits_until_ms;
	bool stopping;
};

/* A name on its way to the loop. */
struct call {
	struct candidates *candidates;
	char name[];
};

struct candidates *candidates_new(struct services *services, candidate_proved proved, void *arg)
{
	struct candidates *candidates = memory_alloc(sizeof(*candidates));

	candidates->services = services;
	candidates->proved = proved;
	candidates->arg = arg;
	pthread_mutex_init(&candidates->lock, NULL);
	clock_cond_init(&candidates->settled);
	return candidates;
}

void candidates_free(struct candidates *candidates)
{
	candidates_clear(candidates);
	pthread_cond_destroy(&candidates->settled);
	pthread_mutex_destroy(&candidates->lock);
	free(candidates);
}

/* ---- the table; the lock is held ---- */

static struct candidate *find(struct candidates *candidates, const char *name)
{
	struct candidate *candidate;

	HASH_FIND_STR(candidates->all, name, candidate);
	return candidate;
}

static struct candidate *add(struct candidates *candidates, const char *name)
{
	size_t length = strlen(name);
	struct candidate *candidate = memory_alloc(sizeof(*candidate) + length + 1);

	candidate->owner = candidates;
	memcpy(candidate->name, name, length + 1);
	HASH_ADD_KEYPTR(hh, candidates->all, candidate->name, length, candidate);
	return candidate;
}

static void drop(struct candidate *candidate)
{
	struct candidates *candidates = candidate->owner;

	HASH_DEL(candidates->all, candidate);
	lookup_cancel(candidate->lookup); /* there is one only where the loop drops it */
	candidates->pending -= candidate->pending;
	free(candidate->next_hop);
	free(candidate);
}

/* Makes room for one more name: the one that was turned down first goes. */
static void make_room(struct candidates *candidates)
{
	struct candidate *candidate = candidates->all;

	if (HASH_COUNT(candidates->all) < REFUSED_MAX)
		return;
	while (candidate != NULL && candidate->pending)
		candidate = candidate->hh.next;
	if (candidate != NULL)
		drop(candidate);
}

/* ---- looking up ---- */

static void settle(struct candidates *candidates, const char *name, int64_t refused_ms)
{
	struct candidate *candidate;

	pthread_mutex_lock(&candidates->lock);
	candidate = find(candidates, name);
	if (candidate != NULL)
		drop(candidate);
	if (refused_ms > 0) {
		make_room(candidates);
		add(candidates, name)->refused_until_ms = loop_now_ms() + refused_ms;
	}
	pthread_cond_broadcast(&candidates->settled);
	pthread_mutex_unlock(&candidates->lock);
}

static void looked_up(void *arg, struct lookup_result *result)
{
	struct candidate *candidate = arg;
	struct candidates *candidates = candidate->owner;
	char *name = memory_string(candidate->name);
	enum learned_proof proof = LEARNED_UNTOLD;
	enum mx_standing standing = MX_STANDING_UNKNOWN;
	int64_t refused = 0;

	candidate->lookup = NULL;
	if (result->status != DNS_FAILED) {
		lookup_find_ourselves(result, &candidates->services->identity.self);
		proof = learned_proof_of(&result->set, !result->patched);
		standing = result->set.standing;
	}
	if (proof == LEARNED_PROVED)
		candidates->proved(candidates->arg, name, candidate->next_hop, result);
	else
		refused = learned_refusal_seconds(proof, result->ttl);
	log_debug("candidate: domain=%s mx=%s refused_for=%llds", name, mx_standing_name(standing),
		  (long long)refused);
	settle(candidates, name, refused * 1000);
	free(name);
}

static void look_up(void *arg)
{
	struct call *call = arg;
	struct candidates *candidates = call->candidates;
	struct services *services = candidates->services;
	const struct mxset nothing = { .hosts = NULL };
	struct candidate *candidate;

	pthread_mutex_lock(&candidates->lock);
	candidate = find(candidates, call->name);
	pthread_mutex_unlock(&candidates->lock);
	if (candidate != NULL && candidate->pending && candidate->lookup == NULL)
		candidate->lookup = lookup_mx(services->dns, services->loop, candidate->name,
					      &nothing, looked_up, candidate);
	free(call);
}

/* The lock is held. */
static bool may_look_up(struct candidates *candidates, const struct candidate *known)
{
	int64_t now = loop_now_ms();

	if (known != NULL && now < known->refused_until_ms)
		return false;
	return candidates->pending < LOOKUPS_AT_ONCE && !candidates->stopping &&
	       budget_take(&candidates->lookups, LOOKUPS_PER_SECOND, 1000, now);
}

/* The lock is held. */
static bool may_wait(const struct candidates *candidates)
{
	int64_t now = loop_now_ms();

	return now >= candidates->no_waits_until_ms &&
	       budget_has(&candidates->waits_in_vain, WAITS_IN_VAIN, MINUTE_MS, now);
}

/* The lock is held. A resolver that hangs, and names that aren't ours, must not hold up mail. */
static void note_wait(struct candidates *candidates, bool in_vain, int64_t begun_ms)
{
	int64_t now = loop_now_ms();

	if (in_vain)
		budget_take(&candidates->waits_in_vain, WAITS_IN_VAIN, MINUTE_MS, now);
	if (now - begun_ms >= LONG_WAIT_MS)
		candidates->no_waits_until_ms = now + NO_WAITS_MS;
}

bool candidates_consider(struct candidates *candidates, const char *name, const char *next_hop)
{
	size_t length = strlen(name);
	struct call *call = NULL;
	struct candidate *candidate;
	bool worth_waiting, left_out;

	pthread_mutex_lock(&candidates->lock);
	candidate = find(candidates, name);
	if ((candidate == NULL || !candidate->pending) && may_look_up(candidates, candidate)) {
		if (candidate != NULL)
			drop(candidate);
		make_room(candidates);
		candidate = add(candidates, name);
		candidate->pending = true;
		candidate->next_hop = memory_string(next_hop);
		candidates->pending++;
		call = memory_alloc(sizeof(*call) + length + 1);
		call->candidates = candidates;
		memcpy(call->name, name, length + 1);
	}
	left_out = candidate == NULL && !candidates->stopping;
	worth_waiting = candidate != NULL && candidate->pending && may_wait(candidates);
	pthread_mutex_unlock(&candidates->lock);
	if (call != NULL)
		loop_post(candidates->services->loop, look_up, call);
	if (left_out)
		log_limit_reached(LOG_LIMIT_CANDIDATES, NULL, NULL);
	return worth_waiting;
}

void candidates_wait(struct candidates *candidates, const char *name, int64_t until_ms)
{
	const struct candidate *candidate;
	int64_t begun_ms = loop_now_ms();
	bool over = false;

	pthread_mutex_lock(&candidates->lock);
	while (!over && !candidates->stopping && (candidate = find(candidates, name)) != NULL &&
	       candidate->pending)
		over = !clock_cond_wait(&candidates->settled, &candidates->lock, until_ms);
	note_wait(candidates, find(candidates, name) != NULL, begun_ms);
	pthread_mutex_unlock(&candidates->lock);
}

void candidates_stop_waits(struct candidates *candidates)
{
	pthread_mutex_lock(&candidates->lock);
	candidates->stopping = true;
	pthread_cond_broadcast(&candidates->settled);
	pthread_mutex_unlock(&candidates->lock);
}

void candidates_refuse(struct candidates *candidates, const char *name, int64_t seconds)
{
	settle(candidates, name, seconds * 1000);
}

void candidates_clear(struct candidates *candidates)
{
	struct candidate *candidate, *next;

	pthread_mutex_lock(&candidates->lock);
	HASH_ITER(hh, candidates->all, candidate, next)
		drop(candidate);
	candidates->no_waits_until_ms = 0;
	pthread_cond_broadcast(&candidates->settled);
	pthread_mutex_unlock(&candidates->lock);
}
