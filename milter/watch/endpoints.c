/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The prober: for each endpoint a timer, a session while a probe runs, and its health.
 * Loop thread only.
 */
#include "watch/endpoints.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/stats.h"
#include "io/log_valve.h"
#include "watch/isolation.h"

#define RECORD_MAX	      512
#define FIRST_PROBE_SPREAD_MS 200 /* so that a start with many endpoints is no burst */

struct user {
	UT_hash_handle hh;
	void *who;
	struct health_rules rules;
	enum health_level level;
	int64_t connect_timeout, timeout, jitter;
	struct ip source_v4, source_v6;
	char helo[MAIL_DOMAIN_MAX + 1];
	bool leading;
};

struct endpoint {
	UT_hash_handle hh;
	struct endpoints *owner;
	struct ip_port address;
	char label[IP_TEXT_MAX];
	struct user *users;
	struct user merged; /* the rules by which it is probed; looked at by merged_rules() only */
	bool merged_stale;
	size_t leading; /* users that it leads */
	struct health health;
	int64_t since;	    /* of the state, seconds since 1970 */
	int64_t turned;	    /* see endpoint_turned() */
	int64_t last_probe; /* its end, seconds since 1970 */
	int64_t began_ms;   /* the last sample's beginning: intervals run from start to start */
	bool probed;	    /* since this start */
	bool failing;	    /* the last probe got no answer, whether it counted or not */
	bool held;	    /* it is not decided yet whether the last probe counts */
	enum health_reason held_result;
	int64_t held_ms; /* when that probe ended */
	struct loop_timer *timer;
	struct smtp_client *session;	/* while a probe runs */
	char helo[MAIL_DOMAIN_MAX + 1]; /* of the running probe */
};

struct endpoints {
	struct services *services;
	endpoint_listener listener;
	struct endpoint *all;
	struct isolation_endpoints tally; /* of those that have users */
};

/* ---- what is remembered ---- */

static void record_save(const struct endpoint *endpoint)
{
	char text[RECORD_MAX];
	json_t *record = json_pack(
		"{s:s, s:s, s:I}", "state", health_state_name(endpoint->health.state), "reason",
		health_reason_name(endpoint->health.reason), "since", (json_int_t)endpoint->since);
	size_t length = json_dumpb(record, text, sizeof(text), JSON_COMPACT);

	json_decref(record);
	if (length > 0 && length <= sizeof(text))
		writer_put(endpoint->owner->services->writer, STORE_ENDPOINTS, endpoint->label,
			   strlen(endpoint->label), text, length);
}

static void record_load(struct endpoint *endpoint)
{
	char text[RECORD_MAX];
	size_t length = 0;
	const char *state = "";
	const char *reason = "";
	json_int_t since = 0;
	json_t *record;

	if (writer_get(endpoint->owner->services->writer, STORE_ENDPOINTS, endpoint->label,
		       strlen(endpoint->label), text, sizeof(text), &length) != STORE_FOUND)
		return;
	record = json_loadb(text, length, 0, NULL);
	if (json_unpack(record, "{s:s, s:s, s:I}", "state", &state, "reason", &reason, "since",
			&since) == 0 &&
	    health_state_parse(state, &endpoint->health.state) &&
	    health_reason_parse(reason, &endpoint->health.reason))
		endpoint->since = since;
	json_decref(record);
}

/* ---- users and their rules ---- */

static struct user *user_find(struct endpoint *endpoint, const void *who)
{
	struct user *user;

	HASH_FIND_PTR(endpoint->users, &who, user);
	return user;
}

static void user_set(struct user *user, const struct config_probe *probe, const char *host_name)
{
	user->rules = probe->rules;
	user->level = probe->level;
	user->connect_timeout = probe->connect_timeout;
	user->timeout = probe->timeout;
	user->jitter = probe->jitter;
	user->source_v4 = probe->source_v4;
	user->source_v6 = probe->source_v6;
	text_copy(user->helo, sizeof(user->helo),
		  probe->helo_name[0] != '\0' ? probe->helo_name : host_name);
}

static void merge(struct endpoint *endpoint)
{
	struct user *merged = &endpoint->merged;
	const struct user *user;

	*merged = *endpoint->users;
	for (user = endpoint->users->hh.next; user != NULL; user = user->hh.next) {
		health_rules_merge(&merged->rules, &user->rules);
		if (user->level > merged->level)
			merged->level = user->level;
		if (user->connect_timeout < merged->connect_timeout)
			merged->connect_timeout = user->connect_timeout;
		if (user->timeout < merged->timeout)
			merged->timeout = user->timeout;
	}
}

/* The rules by which it is probed: the strictest of its users'. A hundred thousand domains may use
 * it, and each of them asks when it goes down: they are put together once for all. */
static struct user merged_rules(struct endpoint *endpoint)
{
	if (endpoint->merged_stale)
		merge(endpoint);
	endpoint->merged_stale = false;
	endpoint->merged.leading = endpoint->leading > 0;
	return endpoint->merged;
}

/* ---- the schedule ---- */

static int64_t jittered(int64_t milliseconds, int64_t percent)
{
	int64_t spread = milliseconds * percent / 100;

	if (spread <= 0)
		return milliseconds;
	return milliseconds - spread + random() % (2 * spread + 1);
}

static void schedule_next(struct endpoint *endpoint)
{
	struct user rules = merged_rules(endpoint);
	int64_t seconds = health_interval(&endpoint->health, &rules.rules, rules.leading);
	int64_t due = endpoint->began_ms + jittered(seconds * 1000, rules.jitter);
	int64_t wait = due - loop_now_ms();

	loop_timer_start(endpoint->timer, wait > 0 ? wait : 0);
}

void endpoint_probe_soon(struct endpoint *endpoint)
{
	int64_t earliest;
	int64_t now = loop_now_ms();

	if (endpoint->session != NULL || endpoint->held || endpoint->users == NULL)
		return;
	earliest = endpoint->began_ms + merged_rules(endpoint).rules.fast_interval * 1000;
	if (!endpoint->probed || earliest <= now)
		loop_timer_start(endpoint->timer, 0);
	else
		loop_timer_start(endpoint->timer, earliest - now);
}

void endpoint_set_leading(struct endpoint *endpoint, void *user, bool leading)
{
	struct user *entry = user_find(endpoint, user);

	if (entry == NULL || entry->leading == leading)
		return;
	entry->leading = leading;
	if (leading)
		endpoint->leading++;
	else
		endpoint->leading--;
	/* a follower that leads now may be ten intervals away from its next probe */
	if (leading && endpoint->session == NULL && endpoint->probed)
		endpoint_probe_soon(endpoint);
}

/* ---- results ---- */

static void log_change(const struct endpoint *endpoint, enum health_state was, int64_t now)
{
	char line[512];
	TEXT_ON(text, line);

	text_add(&text, "endpoint: ");
	text_add_pair(&text, "address", endpoint->label);
	text_add_pair(&text, "state", health_state_name(endpoint->health.state));
	text_add_pair(&text, "was", health_state_name(was));
	text_add_pair(&text, "reason", health_reason_name(endpoint->health.reason));
	text_add_format(&text, " after=%llds",
			(long long)(endpoint->since > 0 && now > endpoint->since
					    ? now - endpoint->since
					    : 0));
	log_info("%s", line);
}

static void tell_users(struct endpoint *endpoint)
{
	struct user *user, *next;

	HASH_ITER(hh, endpoint->users, user, next)
		endpoint->owner->listener(user->who, endpoint);
}

/* Takes a sample into the endpoint's health. Listeners must not drop endpoints in here. */
static void take_sample(struct endpoint *endpoint, enum health_reason result)
{
	struct user rules = merged_rules(endpoint);
	enum health_state was = endpoint->health.state;
	bool was_sure = endpoint->health.streak == 0;
	int64_t now = loop_wall_seconds();
	bool changed;

	if (result == HEALTH_LOOP && endpoint->health.reason != HEALTH_LOOP)
		log_warning("endpoint: address=%s greets with one of our own names: taken for "
			    "ourselves; if it is another host, one of us needs another name",
			    endpoint->label);
	changed = health_feed(&endpoint->health, &rules.rules, result);
	if (was_sure && (changed || endpoint->health.streak > 0))
		endpoint->turned = now - (loop_now_ms() - endpoint->began_ms) / 1000;
	endpoint->last_probe = now;
	endpoint->probed = true;
	if (changed) {
		log_change(endpoint, was, now);
		endpoint->since = now;
		record_save(endpoint);
	}
	schedule_next(endpoint);
	tell_users(endpoint);
}

/* ---- them or us ---- */

static void count_in(struct endpoint *endpoint)
{
	endpoint->owner->tally.total++;
	endpoint->owner->tally.failing += endpoint->failing;
}

static void count_out(struct endpoint *endpoint)
{
	endpoint->owner->tally.total--;
	endpoint->owner->tally.failing -= endpoint->failing;
	endpoint->held = false;
}

static void note_failing(struct endpoint *endpoint, bool failing)
{
	if (failing && !endpoint->failing)
		endpoint->owner->tally.failing++;
	else if (!failing && endpoint->failing)
		endpoint->owner->tally.failing--;
	endpoint->failing = failing;
}

static void note_answer(struct endpoint *endpoint)
{
	note_failing(endpoint, false);
	isolation_watch_answered(endpoint->owner->services->isolation);
}

/* Somebody else answered, whatever it was. (Our own name in the banner is us: no proof.) */
static bool is_answer(enum health_reason result)
{
	return result == HEALTH_OK || health_reason_reached(result);
}

/* An endpoint that was down for the like of it already has nothing to lose by a failure. */
static bool is_news(const struct endpoint *endpoint, enum health_reason result)
{
	const struct health *health = &endpoint->health;

	if (result == HEALTH_NO_ROUTE)
		return !health->no_route;
	return health->state != HEALTH_DOWN || is_answer(health->reason);
}

static void ignore_sample(struct endpoint *endpoint)
{
	endpoint->last_probe = loop_wall_seconds();
	endpoint->probed = true;
	schedule_next(endpoint);
}

/* Lets a probe without an answer count, or not, or later. */
static void judge_sample(struct endpoint *endpoint, enum health_reason result, int64_t ended_ms)
{
	struct isolation_sample sample = { endpoint->began_ms, ended_ms };
	struct isolation_watch *isolation = endpoint->owner->services->isolation;

	endpoint->held = false;
	switch (isolation_watch_judge(isolation, &sample)) {
	case ISOLATION_FEED:
		take_sample(endpoint, result);
		break;
	case ISOLATION_HOLD:
		endpoint->held = true;
		endpoint->held_result = result;
		endpoint->held_ms = ended_ms;
		break;
	case ISOLATION_IGNORE:
		ignore_sample(endpoint);
		break;
	}
}

/* Takes the sample of a probe, unless it may be our own uplink that failed. */
static void weigh_sample(struct endpoint *endpoint, enum health_reason result)
{
	bool answer = is_answer(result);

	if (answer)
		note_answer(endpoint);
	else
		note_failing(endpoint, true);
	if (answer || result == HEALTH_LOOP || !is_news(endpoint, result))
		take_sample(endpoint, result);
	else
		judge_sample(endpoint, result, loop_now_ms());
}

static void judge_held(void *arg)
{
	struct endpoints *endpoints = arg;
	struct endpoint *endpoint, *next;

	HASH_ITER(hh, endpoints->all, endpoint, next)
		if (endpoint->held)
			judge_sample(endpoint, endpoint->held_result, endpoint->held_ms);
}

static void probe_answering(void *arg)
{
	struct endpoints *endpoints = arg;
	struct endpoint *endpoint, *next;

	HASH_ITER(hh, endpoints->all, endpoint, next)
		if (!endpoint->failing)
			endpoint_probe_soon(endpoint);
}

static void probe_all(void *arg)
{
	struct endpoints *endpoints = arg;
	struct endpoint *endpoint, *next;

	HASH_ITER(hh, endpoints->all, endpoint, next)
		endpoint_probe_soon(endpoint);
}

/* ---- a probe ---- */

static void probe_ended(void *arg, enum health_reason result)
{
	struct endpoint *endpoint = arg;
	struct loop *loop = endpoint->owner->services->loop;

	endpoint->session = NULL;
	stats_count_probe(endpoint->owner->services->stats, result,
			  (loop_now_ms() - endpoint->began_ms) * 1000);
	if (endpoint->users == NULL)
		return; /* nobody wants to know any more; the timer is set */
	log_debug("probe: address=%s result=%s ms=%lld", endpoint->label,
		  health_reason_name(result), (long long)(loop_now_ms() - endpoint->began_ms));
	if (result == HEALTH_OWN_FAULT ||
	    (result != HEALTH_OK && loop_lagged_at_ms(loop) >= endpoint->began_ms)) {
		if (log_valve_admit(LOG_VALVE_PROBE))
			log_notice("probe: address=%s result=%s counts for nothing: this process "
				   "itself was late or short of something",
				   endpoint->label, health_reason_name(result));
		schedule_next(endpoint);
		return;
	}
	weigh_sample(endpoint, result);
}

static void probe_open(void *arg)
{
	struct endpoint *endpoint = arg;

	smtp_client_quit(endpoint->session);
	probe_ended(endpoint, HEALTH_OK);
}

static void probe_reply(void *arg, const struct smtp_reply *reply)
{
	(void)arg; /* a probe sends no command after the opening */
	(void)reply;
}

struct smtp_client_settings endpoint_session_settings(struct endpoint *endpoint, char *helo,
						      size_t size)
{
	struct user rules = merged_rules(endpoint);

	text_copy(helo, size, rules.helo);
	return (struct smtp_client_settings){
		.endpoint = endpoint->address,
		.source_v4 = rules.source_v4,
		.source_v6 = rules.source_v6,
		.plan = { .helo = helo,
			  .level = rules.level,
			  .self = &endpoint->owner->services->identity.self },
		.connect_timeout_ms = rules.connect_timeout * 1000,
		.reply_timeout_ms = rules.timeout * 1000,
	};
}

static void probe_start(struct endpoint *endpoint)
{
	static const struct smtp_client_handlers handlers = { probe_open, probe_reply,
							      probe_ended };
	struct services *services = endpoint->owner->services;
	struct smtp_client_settings settings =
		endpoint_session_settings(endpoint, endpoint->helo, sizeof(endpoint->helo));

	endpoint->began_ms = loop_now_ms();
	endpoint->session = smtp_client_start(services->clients, &settings, &handlers, endpoint);
}

void endpoint_saw_answer(struct endpoint *endpoint)
{
	if (endpoint->users != NULL)
		note_answer(endpoint);
	/* what speaks for the state it has needs no sample; the next probe is time enough */
	if (endpoint->users == NULL || endpoint->session != NULL ||
	    (endpoint->health.state == HEALTH_UP && endpoint->health.streak == 0))
		return;
	if (loop_now_ms() - endpoint->began_ms < merged_rules(endpoint).rules.fast_interval * 1000)
		return;
	endpoint->began_ms = loop_now_ms();
	take_sample(endpoint, HEALTH_OK);
}

/* ---- coming and going ---- */

/* uthash compares keys byte by byte, padding and all. */
static void key_clean(struct ip_port *key, const struct ip_port *address)
{
	memset(key, 0, sizeof(*key));
	key->ip.family = address->ip.family;
	memcpy(key->ip.bytes, address->ip.bytes, sizeof(key->ip.bytes));
	key->port = address->port;
}

static void endpoint_free(struct endpoint *endpoint)
{
	struct user *user, *next;

	if (endpoint->session != NULL)
		smtp_client_abort(endpoint->session);
	HASH_DEL(endpoint->owner->all, endpoint);
	HASH_ITER(hh, endpoint->users, user, next) {
		HASH_DEL(endpoint->users, user);
		free(user);
	}
	loop_timer_free(endpoint->timer);
	free(endpoint);
}

static void timer_fired(void *arg)
{
	struct endpoint *endpoint = arg;

	if (endpoint->users == NULL) {
		writer_delete(endpoint->owner->services->writer, STORE_ENDPOINTS, endpoint->label,
			      strlen(endpoint->label));
		endpoint_free(endpoint);
	} else if (endpoint->session == NULL && !endpoint->held) {
		probe_start(endpoint);
	}
}

static struct endpoint *endpoint_new(struct endpoints *endpoints, const struct ip_port *key)
{
	struct endpoint *endpoint = memory_alloc(sizeof(*endpoint));

	endpoint->owner = endpoints;
	key_clean(&endpoint->address, key);
	ip_port_format(key, endpoint->label, sizeof(endpoint->label));
	endpoint->timer = loop_timer_new(endpoints->services->loop, timer_fired, endpoint);
	record_load(endpoint);
	HASH_ADD(hh, endpoints->all, address, sizeof(endpoint->address), endpoint);
	loop_timer_start(endpoint->timer, random() % FIRST_PROBE_SPREAD_MS);
	return endpoint;
}

struct endpoints *endpoints_new(struct services *services, endpoint_listener listener)
{
	struct endpoints *endpoints = memory_alloc(sizeof(*endpoints));
	struct isolation_listener isolation = {
		.arg = endpoints,
		.endpoints = &endpoints->tally,
		.judge_again = judge_held,
		.probe_others = probe_answering,
		.over = probe_all,
	};

	endpoints->services = services;
	endpoints->listener = listener;
	isolation_watch_listen(services->isolation, &isolation);
	return endpoints;
}

struct endpoint *endpoints_use(struct endpoints *endpoints, const struct ip_port *address,
			       void *who, const struct config_probe *probe)
{
	struct ip_port key;
	struct endpoint *endpoint;
	struct user *user;

	key_clean(&key, address);
	HASH_FIND(hh, endpoints->all, &key, sizeof(key), endpoint);
	if (endpoint == NULL)
		endpoint = endpoint_new(endpoints, &key);
	user = user_find(endpoint, who);
	if (user == NULL) {
		user = memory_alloc(sizeof(*user));
		if (endpoint->users == NULL)
			count_in(endpoint);
		user->who = who;
		user->leading = true;
		endpoint->leading++;
		HASH_ADD_PTR(endpoint->users, who, user);
	}
	endpoint->merged_stale = true;
	user_set(user, probe, endpoints->services->identity.host_name);
	return endpoint;
}

void endpoints_drop(struct endpoint *endpoint, void *who)
{
	struct user *user = user_find(endpoint, who);

	if (user == NULL)
		return;
	HASH_DEL(endpoint->users, user);
	endpoint->leading -= user->leading;
	endpoint->merged_stale = true;
	free(user);
	/* it may be in the middle of telling its users: the timer takes it away */
	if (endpoint->users == NULL) {
		count_out(endpoint);
		loop_timer_start(endpoint->timer, 0);
	}
}

void endpoints_free(struct endpoints *endpoints)
{
	struct endpoint *endpoint, *next;

	isolation_watch_listen(endpoints->services->isolation, NULL);
	HASH_ITER(hh, endpoints->all, endpoint, next)
		endpoint_free(endpoint);
	free(endpoints);
}

const struct ip_port *endpoint_address(const struct endpoint *endpoint)
{
	return &endpoint->address;
}

const struct health *endpoint_health(const struct endpoint *endpoint)
{
	return &endpoint->health;
}

int64_t endpoint_since(const struct endpoint *endpoint)
{
	return endpoint->since;
}

int64_t endpoint_turned(const struct endpoint *endpoint)
{
	return endpoint->turned;
}

int64_t endpoint_last_probe(const struct endpoint *endpoint)
{
	return endpoint->last_probe;
}
