/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The prober of the references. A round connects to all addresses of all of them at once; the
 * first that answers ends it. Loop thread only.
 */
#include "watch/isolation.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "watch/lookup.h"

#define OBSERVERS_MAX  2
#define CONNECT_MAX_MS 5000
#define TICK_MS	       1000 /* while something is held */
#define HOLD_MARGIN_MS 5000 /* for what is late besides the timeouts */

/* One connection of a round. */
struct look {
	struct isolation_watch *watch;
	struct smtp_client *session; /* NULL: over */
};

struct isolation_watch {
	struct services *services;
	struct config *config;
	struct isolation rule;
	struct isolation_listener listener;
	struct {
		isolation_observer tell;
		void *arg;
	} observers[OBSERVERS_MAX];
	size_t observer_count;
	int64_t lasted_ms;	  /* how long the flag was up, but for: */
	int64_t on_since_ms;	  /* while it is */
	struct loop_timer *timer; /* of the next round, or the next look at what is held */
	struct mxset hosts;	  /* the references; preference is the index of the key's list */
	struct lookup *lookup;
	struct loop_timer *lookup_timer;
	bool looked_up;	    /* at least once */
	struct look *looks; /* the running round; NULL: none runs */
	size_t look_count, open;
	int64_t began_ms;
	bool doubtful; /* the round: this process was short of something */
};

/* ---- words ---- */

static unsigned endpoints_answering(const struct isolation_watch *watch)
{
	const struct isolation_endpoints *endpoints = watch->listener.endpoints;

	return endpoints != NULL ? endpoints->total - endpoints->failing : 0;
}

static unsigned endpoints_total(const struct isolation_watch *watch)
{
	return watch->listener.endpoints != NULL ? watch->listener.endpoints->total : 0;
}

static void tell_observers(struct isolation_watch *watch)
{
	if (watch->rule.on)
		watch->on_since_ms = loop_now_ms();
	else
		watch->lasted_ms += loop_now_ms() - watch->on_since_ms;
	for (size_t i = 0; i < watch->observer_count; i++)
		watch->observers[i].tell(watch->observers[i].arg, watch->rule.on);
}

static void say_on(struct isolation_watch *watch)
{
	log_notice("isolated: state=on endpoints=%u/%u references=0/%zu",
		   endpoints_answering(watch), endpoints_total(watch), watch->rule.references);
	tell_observers(watch);
}

static void say_off(struct isolation_watch *watch, unsigned references)
{
	log_notice("isolated: state=off after=%llds endpoints=%u/%u references=%u/%zu",
		   (long long)((loop_now_ms() - watch->rule.since_ms) / 1000),
		   endpoints_answering(watch), endpoints_total(watch), references,
		   watch->rule.references);
	tell_observers(watch);
}

/* ---- what follows ---- */

static void judge_again(struct isolation_watch *watch)
{
	if (watch->listener.judge_again != NULL)
		watch->listener.judge_again(watch->listener.arg);
}

static void over(struct isolation_watch *watch)
{
	if (watch->listener.over != NULL)
		watch->listener.over(watch->listener.arg);
}

/* Nothing is asked of the references while all is well. */
static void schedule(struct isolation_watch *watch)
{
	if (watch->rule.on)
		loop_timer_start(watch->timer, watch->config->probe.rules.fast_interval * 1000);
	else if (watch->rule.trouble_ms != 0)
		loop_timer_start(watch->timer, TICK_MS);
	else
		loop_timer_stop(watch->timer);
}

/* `references`: how many of them it was that answered. */
static void take_answer(struct isolation_watch *watch, unsigned references)
{
	bool was_on = watch->rule.on;
	bool was_held = watch->rule.trouble_ms != 0;

	isolation_answered(&watch->rule, loop_now_ms());
	if (!was_on && !was_held)
		return;
	schedule(watch);
	if (was_on)
		say_off(watch, references);
	judge_again(watch);
	if (was_on)
		over(watch);
}

/* ---- a round ---- */

static void round_end(struct isolation_watch *watch)
{
	for (size_t i = 0; i < watch->look_count; i++)
		if (watch->looks[i].session != NULL)
			smtp_client_abort(watch->looks[i].session);
	free(watch->looks);
	watch->looks = NULL;
	watch->look_count = watch->open = 0;
}

/* Nobody answered. Held results wait on where the round proves nothing; the timer brings the next.
 */
static void round_failed(struct isolation_watch *watch)
{
	bool proves =
		!watch->doubtful && loop_lagged_at_ms(watch->services->loop) < watch->began_ms;

	round_end(watch);
	log_debug("isolated: references=0/%zu ms=%lld", watch->rule.references,
		  (long long)(loop_now_ms() - watch->began_ms));
	if (!proves || watch->rule.on)
		return;
	isolation_references_failed(&watch->rule, watch->began_ms);
	judge_again(watch);
	if (!watch->rule.on && watch->rule.trouble_ms != 0 && watch->listener.probe_others != NULL)
		watch->listener.probe_others(watch->listener.arg);
}

static void look_open(void *arg)
{
	struct isolation_watch *watch = ((struct look *)arg)->watch;

	round_end(watch);
	take_answer(watch, 1);
}

static void look_reply(void *arg, const struct smtp_reply *reply)
{
	(void)arg; /* nothing is said, nothing is listened to */
	(void)reply;
}

static void look_ended(void *arg, enum health_reason reason)
{
	struct look *look = arg;
	struct isolation_watch *watch = look->watch;

	look->session = NULL;
	watch->doubtful |= reason == HEALTH_OWN_FAULT;
	if (--watch->open == 0)
		round_failed(watch);
}

static int64_t connect_timeout_ms(const struct config *config)
{
	int64_t configured = config->probe.connect_timeout * 1000;

	return configured < CONNECT_MAX_MS ? configured : CONNECT_MAX_MS;
}

static void look_start(struct look *look, const struct ip *ip, uint16_t port)
{
	static const struct smtp_client_handlers handlers = { look_open, look_reply, look_ended };
	const struct config *config = look->watch->config;
	struct smtp_client_settings settings = {
		.endpoint = { .ip = *ip, .port = port },
		.source_v4 = config->probe.source_v4,
		.source_v6 = config->probe.source_v6,
		.plan = { .helo = "", .level = HEALTH_LEVEL_CONNECT },
		.connect_timeout_ms = connect_timeout_ms(config),
		.reply_timeout_ms = connect_timeout_ms(config),
	};

	look->session =
		smtp_client_start(look->watch->services->clients, &settings, &handlers, look);
}

static size_t address_count(const struct isolation_watch *watch)
{
	size_t count = 0;

	for (size_t h = 0; h < watch->hosts.count; h++)
		count += watch->hosts.hosts[h].address_count;
	return count;
}

static void round_start(struct isolation_watch *watch)
{
	const struct config_endpoints *references = &watch->config->reference;

	watch->began_ms = loop_now_ms();
	watch->doubtful = false;
	watch->open = address_count(watch);
	if (watch->open == 0) { /* their names can't be found either */
		round_failed(watch);
		return;
	}
	watch->looks = memory_array(watch->open, sizeof(*watch->looks));
	for (size_t h = 0; h < watch->hosts.count; h++) {
		const struct mx_host *host = &watch->hosts.hosts[h];

		for (size_t a = 0; a < host->address_count; a++) {
			struct look *look = &watch->looks[watch->look_count++];

			look->watch = watch;
			look_start(look, &host->addresses[a],
				   references->items[host->preference].port);
		}
	}
}

static void timer_fired(void *arg)
{
	struct isolation_watch *watch = arg;
	bool wanted = watch->rule.on || isolation_wants_look(&watch->rule);

	/* a name that nobody has looked up yet: its lookup is under way, and has a time limit */
	if (wanted && watch->looks == NULL && watch->looked_up)
		round_start(watch);
	judge_again(watch);
	schedule(watch);
}

/* ---- names ---- */

static void hosts_done(void *arg, struct lookup_result *result)
{
	struct isolation_watch *watch = arg;

	watch->lookup = NULL;
	watch->looked_up = true;
	mxset_fini(&watch->hosts);
	watch->hosts = result->set;
	memset(&result->set, 0, sizeof(result->set));
	loop_timer_start(watch->lookup_timer,
			 (result->patched ? DNS_TTL_FLOOR : result->ttl) * 1000);
	if (watch->rule.trouble_ms != 0)
		loop_timer_start(watch->timer, 0);
}

static void hosts_ask(void *arg)
{
	struct isolation_watch *watch = arg;
	struct services *services = watch->services;
	const struct config_endpoints *references = &watch->config->reference;
	struct mxset hosts = { .hosts = NULL };

	for (size_t i = 0; i < references->count; i++) {
		const struct config_endpoint *item = &references->items[i];

		if (mxset_add_host(&hosts, item->host, (uint16_t)i) && item->ip.family != IP_NONE)
			mx_host_add_address(&hosts.hosts[hosts.count - 1], &item->ip);
	}
	lookup_cancel(watch->lookup);
	watch->lookup = lookup_hosts(services->dns, services->loop, &hosts, &watch->hosts,
				     hosts_done, watch);
	mxset_fini(&hosts);
}

/* ---- settings ---- */

static bool same_references(const struct config *a, const struct config *b)
{
	if (a->reference.count != b->reference.count)
		return false;
	for (size_t i = 0; i < a->reference.count; i++) {
		const struct config_endpoint *x = &a->reference.items[i];
		const struct config_endpoint *y = &b->reference.items[i];

		if (strcmp(x->host, y->host) != 0 || !ip_equal(&x->ip, &y->ip) ||
		    x->port != y->port)
			return false;
	}
	return true;
}

/* Long enough for each other endpoint to be probed and the references to be looked at meanwhile. */
static int64_t hold_max_ms(const struct config *config)
{
	return (config->probe.rules.fast_interval + config->probe.connect_timeout +
		config->probe.timeout) *
		       1000 +
	       connect_timeout_ms(config) + HOLD_MARGIN_MS;
}

static void references_changed(struct isolation_watch *watch)
{
	round_end(watch);
	lookup_cancel(watch->lookup);
	watch->lookup = NULL;
	loop_timer_stop(watch->lookup_timer);
	mxset_fini(&watch->hosts);
	watch->looked_up = false;
	if (watch->config->reference.count > 0)
		hosts_ask(watch);
}

void isolation_watch_configure(struct isolation_watch *watch, struct config *config)
{
	struct config *old = watch->config;
	bool same = same_references(old, config);
	bool was_on = watch->rule.on;

	watch->config = config_get(config);
	if (!same)
		references_changed(watch);
	isolation_configure(&watch->rule, config->reference.count, hold_max_ms(config));
	config_put(old);
	if (was_on && !watch->rule.on)
		say_off(watch, 0);
	judge_again(watch);
	if (was_on && !watch->rule.on)
		over(watch);
	else if (!same && watch->rule.on) /* these may see more than those did */
		loop_timer_start(watch->timer, 0);
}

struct isolation_watch *isolation_watch_new(struct services *services, struct config *config)
{
	struct isolation_watch *watch = memory_alloc(sizeof(*watch));

	watch->services = services;
	watch->config = config_get(config);
	watch->timer = loop_timer_new(services->loop, timer_fired, watch);
	watch->lookup_timer = loop_timer_new(services->loop, hosts_ask, watch);
	isolation_configure(&watch->rule, config->reference.count, hold_max_ms(config));
	references_changed(watch);
	return watch;
}

void isolation_watch_free(struct isolation_watch *watch)
{
	round_end(watch);
	lookup_cancel(watch->lookup);
	loop_timer_free(watch->lookup_timer);
	loop_timer_free(watch->timer);
	mxset_fini(&watch->hosts);
	config_put(watch->config);
	free(watch);
}

void isolation_watch_listen(struct isolation_watch *watch,
			    const struct isolation_listener *listener)
{
	watch->listener = listener != NULL ? *listener : (struct isolation_listener){ .arg = NULL };
}

void isolation_watch_observe(struct isolation_watch *watch, isolation_observer observer, void *arg)
{
	assert(watch->observer_count < OBSERVERS_MAX);
	watch->observers[watch->observer_count].tell = observer;
	watch->observers[watch->observer_count++].arg = arg;
}

void isolation_watch_unobserve(struct isolation_watch *watch, const void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < watch->observer_count; i++)
		if (watch->observers[i].arg != arg)
			watch->observers[kept++] = watch->observers[i];
	watch->observer_count = kept;
}

/* ---- questions ---- */

int64_t isolation_watch_lasted_ms(const struct isolation_watch *watch)
{
	return watch->lasted_ms + (watch->rule.on ? loop_now_ms() - watch->on_since_ms : 0);
}

enum isolation_verdict isolation_watch_judge(struct isolation_watch *watch,
					     const struct isolation_sample *sample)
{
	const struct isolation_endpoints *endpoints = watch->listener.endpoints;
	bool was_on = watch->rule.on;
	enum isolation_verdict verdict = isolation_judge(
		&watch->rule, sample, endpoints->failing == endpoints->total, loop_now_ms());

	if (watch->rule.on && !was_on) {
		say_on(watch);
		schedule(watch);
	} else if (verdict == ISOLATION_HOLD && isolation_wants_look(&watch->rule) &&
		   watch->looks == NULL) {
		loop_timer_start(watch->timer, 0);
	}
	return verdict;
}

void isolation_watch_answered(struct isolation_watch *watch)
{
	take_answer(watch, 0);
}

bool isolation_watch_is_on(const struct isolation_watch *watch)
{
	return watch->rule.on;
}

bool isolation_watch_freezes(const struct isolation_watch *watch)
{
	return isolation_freezes(&watch->rule, loop_now_ms());
}
