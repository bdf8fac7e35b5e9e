/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What has to be told, in which order and how fast. Owns an item for each domain that has changed
 * since the start. Loop thread only.
 */
#include "watch/notices.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/budget.h"
#include "core/damping.h"
#include "watch/isolation.h"
#include "watch/notice.h"

#define RUNNING_MAX	 2
#define SINGLY_MAX	 20 /* notices of one domain each at once: more are told together */
#define SINGLY_WINDOW_MS (SINGLY_MAX * 60000LL)
#define GATHER_MS	 10000	/* so long are many waited for before they are told */
#define MANY_EVERY_MS	 300000 /* and so far apart */
#define RECONNECTED_MS	 60000	/* before that, primaries are about to be found up again */
#define NAMES_MAX	 20

/* The states of this host, beside those of a domain. */
enum host_state { HOST_CONNECTED = DOMAIN_STATE_COUNT, HOST_ISOLATED };

struct item {
	UT_hash_handle hh;
	struct item *prev, *next; /* in `waiting` */
	struct damping damping;
	struct domain_change change; /* the latest */
	bool waiting;		     /* people think it is something else */
	struct notice_run *run;	     /* of its notice; NULL: none runs */
	char name[];
};

struct notices {
	struct services *services;
	struct children *children;
	struct config *config;
	struct loop_timer *timer;
	struct item *all;     /* by name */
	struct item *waiting; /* in the order in which they changed */
	struct budget singly;
	int64_t many_due_ms;	 /* they are told together then; 0: singly */
	int64_t many_allowed_ms; /* not before */
	bool many_runs;
	struct damping host;
	struct domain_change host_change;
	int64_t quiet_until_ms; /* nothing is told of domains */
	struct notice_run runs[RUNNING_MAX];
};

static bool is_on(const struct notices *notices)
{
	return notices->config->notify.command.count > 0;
}

static const char *state_name(int state)
{
	if (state == HOST_ISOLATED)
		return "isolated";
	return state == HOST_CONNECTED ? "connected" : domain_state_name((enum domain_state)state);
}

/* ---- items ---- */

static struct item *item_find(struct notices *notices, const char *name)
{
	struct item *item;

	HASH_FIND_STR(notices->all, name, item);
	return item;
}

static struct item *item_add(struct notices *notices, const char *name, enum domain_state known)
{
	size_t size = strlen(name) + 1;
	struct item *item = memory_alloc(sizeof(*item) + size);

	memcpy(item->name, name, size);
	damping_init(&item->damping, (int)known);
	HASH_ADD_STR(notices->all, name, item);
	return item;
}

static void item_wait(struct notices *notices, struct item *item)
{
	bool wants = damping_wants(&item->damping);

	if (wants && !item->waiting)
		DL_APPEND(notices->waiting, item);
	else if (!wants && item->waiting)
		DL_DELETE(notices->waiting, item);
	item->waiting = wants;
}

static void item_remove(struct notices *notices, struct item *item)
{
	if (item->waiting)
		DL_DELETE(notices->waiting, item);
	HASH_DEL(notices->all, item);
	free(item);
}

static void forget_all(struct notices *notices)
{
	struct item *item, *next;

	HASH_ITER(hh, notices->all, item, next)
		item_remove(notices, item);
	notices->many_due_ms = 0;
}

/* Its time has come, as far as it is concerned itself. */
static bool is_ready(const struct item *item, int64_t now_ms)
{
	return item->run == NULL && damping_wait_ms(&item->damping, now_ms) == 0;
}

static size_t count_ready(const struct notices *notices, int64_t now_ms)
{
	const struct item *item;
	size_t count = 0;

	DL_FOREACH(notices->waiting, item)
		count += is_ready(item, now_ms);
	return count;
}

/* ---- programs ---- */

static struct notice_run *free_run(struct notices *notices)
{
	for (size_t i = 0; i < RUNNING_MAX; i++)
		if (notices->runs[i].child == NULL)
			return &notices->runs[i];
	return NULL;
}

static void run_over(void *arg, struct notice_run *run)
{
	struct notices *notices = arg;
	struct item *item = item_find(notices, run->domain);

	if (run->domain[0] == '\0' && run->count > 0)
		notices->many_runs = false;
	if (item != NULL && item->run == run)
		item->run = NULL;
	loop_timer_start(notices->timer, 0);
}

static void start(struct notices *notices, struct notice_run *run, struct notice *notice)
{
	notice->host = identity_name(&notices->services->identity);
	notice_start(run, notices->children, &notices->config->notify.command, notice);
}

static void tell_host(struct notices *notices, struct notice_run *run, int64_t now_ms)
{
	const char *state = state_name(notices->host.state);
	struct notice notice = { .event = state,
				 .domain = "",
				 .state = state,
				 .was = state_name(notices->host.told),
				 .reason = "",
				 .since = notices->host_change.at,
				 .after = notices->host_change.after,
				 .domains = "" };

	notice.changes = damping_tell(&notices->host, now_ms);
	start(notices, run, &notice);
}

static void tell_one(struct notices *notices, struct notice_run *run, struct item *item,
		     int64_t now_ms)
{
	const struct domain_change *change = &item->change;
	struct notice notice = { .event = domain_state_name(change->state),
				 .domain = item->name,
				 .state = domain_state_name(change->state),
				 .was = domain_state_name(change->was),
				 .reason = health_reason_name(change->reason),
				 .since = change->at,
				 .after = change->after,
				 .count = 1,
				 .domains = item->name };

	notice.changes = damping_tell(&item->damping, now_ms);
	budget_charge(&notices->singly, SINGLY_MAX, SINGLY_WINDOW_MS, now_ms);
	item_wait(notices, item);
	item->run = run;
	start(notices, run, &notice);
}

/* What the changes of many have in common. */
static void join(struct notice *notice, const struct domain_change *change)
{
	const char *state = domain_state_name(change->state);
	const char *was = domain_state_name(change->was);
	const char *reason = health_reason_name(change->reason);
	bool first = notice->count == 0;

	notice->state = first || notice->state == state ? state : "mixed";
	notice->was = first || notice->was == was ? was : "mixed";
	notice->reason = first || notice->reason == reason ? reason : "mixed";
	notice->since = first || change->at < notice->since ? change->at : notice->since;
	notice->after = first || change->after < notice->after ? change->after : notice->after;
}

static void tell_many(struct notices *notices, struct notice_run *run, int64_t now_ms)
{
	struct notice notice = { .event = "many", .domain = "", .state = "", .was = "" };
	char names[NAMES_MAX * (NOTICE_DOMAIN_MAX + 1) + 1];
	TEXT_ON(text, names);
	struct item *item, *next;

	DL_FOREACH_SAFE(notices->waiting, item, next) {
		if (!is_ready(item, now_ms))
			continue;
		join(&notice, &item->change);
		if (notice.count++ < NAMES_MAX)
			text_add_format(&text, "%s%s", text.length > 0 ? " " : "", item->name);
		notice.changes += damping_tell(&item->damping, now_ms);
		item_wait(notices, item);
	}
	notice.domains = names;
	notices->many_due_ms = 0;
	notices->many_allowed_ms = now_ms + MANY_EVERY_MS;
	notices->many_runs = true;
	start(notices, run, &notice);
}

/* ---- when ---- */

static struct item *first_ready(const struct notices *notices, int64_t now_ms)
{
	struct item *item;

	DL_FOREACH(notices->waiting, item)
		if (is_ready(item, now_ms))
			return item;
	return NULL;
}

/* Too many to tell them one by one? Then they are gathered. */
static void consider_many(struct notices *notices, size_t ready, int64_t now_ms)
{
	bool may_singly = budget_has(&notices->singly, SINGLY_MAX, SINGLY_WINDOW_MS, now_ms);

	if (notices->many_due_ms != 0 || ready == 0 || (may_singly && ready <= SINGLY_MAX))
		return;
	notices->many_due_ms = now_ms + GATHER_MS;
	if (notices->many_due_ms < notices->many_allowed_ms)
		notices->many_due_ms = notices->many_allowed_ms;
}

/* Tells what may be told of domains now. */
static void tell_domains(struct notices *notices, int64_t now_ms)
{
	size_t ready = count_ready(notices, now_ms);
	struct notice_run *run;

	consider_many(notices, ready, now_ms);
	if (notices->many_due_ms > now_ms || notices->many_runs)
		return;
	run = free_run(notices);
	if (notices->many_due_ms != 0 && ready > 1) {
		if (run != NULL)
			tell_many(notices, run, now_ms);
		return;
	}
	notices->many_due_ms = 0; /* one is left of them, or none */
	for (; run != NULL && ready > 0; ready--, run = free_run(notices))
		tell_one(notices, run, first_ready(notices, now_ms), now_ms);
}

/* Looks again when the next one's time comes. A program that ends looks as well. */
static void schedule(struct notices *notices, int64_t now_ms)
{
	bool waits = damping_wants(&notices->host);
	int64_t wait = waits ? damping_wait_ms(&notices->host, now_ms) : INT64_MAX;
	const struct item *item;

	DL_FOREACH(notices->waiting, item) {
		int64_t its = damping_wait_ms(&item->damping, now_ms);

		if (its < notices->many_due_ms - now_ms)
			its = notices->many_due_ms - now_ms;
		if (its < notices->quiet_until_ms - now_ms)
			its = notices->quiet_until_ms - now_ms;
		wait = its < wait ? its : wait;
	}
	/* 0: it waits for a program's end */
	if (wait != INT64_MAX && wait > 0)
		loop_timer_start(notices->timer, wait);
}

static void tell(void *arg)
{
	struct notices *notices = arg;
	struct notice_run *run = free_run(notices);
	int64_t now_ms = loop_now_ms();

	if (!is_on(notices))
		return;
	if (run != NULL && damping_wants(&notices->host) &&
	    damping_wait_ms(&notices->host, now_ms) == 0)
		tell_host(notices, run, now_ms);
	if (notices->host.state != HOST_ISOLATED && now_ms >= notices->quiet_until_ms)
		tell_domains(notices, now_ms);
	schedule(notices, now_ms);
}

/* ---- what is heard ---- */

static void domain_changed(void *arg, const struct domain *domain,
			   const struct domain_change *change)
{
	struct notices *notices = arg;
	struct item *item = item_find(notices, domain_name(domain));

	if (!is_on(notices) || change->state == DOMAIN_UNKNOWN)
		return;
	if (item == NULL && change->was == DOMAIN_UNKNOWN)
		return;
	if (item == NULL)
		item = item_add(notices, domain_name(domain), change->was);
	item->change = *change;
	damping_change(&item->damping, (int)change->state);
	item_wait(notices, item);
	loop_timer_start(notices->timer, 0);
}

static void domain_gone(void *arg, const char *domain)
{
	struct notices *notices = arg;
	struct item *item = item_find(notices, domain);

	if (item != NULL)
		item_remove(notices, item);
}

static void isolation_changed(void *arg, bool on)
{
	struct notices *notices = arg;
	int64_t now = loop_wall_seconds();
	int64_t before = notices->host_change.at;

	notices->host_change.at = now;
	notices->host_change.after = before > 0 && now > before ? now - before : 0;
	if (!on)
		notices->quiet_until_ms = loop_now_ms() + RECONNECTED_MS;
	if (!is_on(notices)) {
		damping_init(&notices->host, on ? HOST_ISOLATED : HOST_CONNECTED);
		return;
	}
	damping_change(&notices->host, on ? HOST_ISOLATED : HOST_CONNECTED);
	loop_timer_start(notices->timer, 0);
}

/* ---- life ---- */

struct notices *notices_new(struct services *services, struct children *children,
			    struct config *config)
{
	struct notices *notices = memory_alloc(sizeof(*notices));

	notices->services = services;
	notices->children = children;
	notices->config = config_get(config);
	notices->timer = loop_timer_new(services->loop, tell, notices);
	damping_init(&notices->host, HOST_CONNECTED);
	for (size_t i = 0; i < RUNNING_MAX; i++) {
		notices->runs[i].over = run_over;
		notices->runs[i].arg = notices;
	}
	isolation_watch_observe(services->isolation, isolation_changed, notices);
	return notices;
}

void notices_watch(struct notices *notices, struct domains *domains)
{
	struct domains_watcher watcher = { .changed = domain_changed,
					   .gone = domain_gone,
					   .arg = notices };

	domains_watch(domains, &watcher);
}

void notices_configure(struct notices *notices, struct config *config)
{
	struct config *old = notices->config;

	notices->config = config_get(config);
	config_put(old);
	if (is_on(notices))
		return;
	/* what changes while nobody is told is no news later */
	forget_all(notices);
	damping_init(&notices->host, notices->host.state);
}

static void log_dropped(const struct notices *notices)
{
	const struct item *item;
	size_t count = 0;

	DL_COUNT(notices->waiting, item, count);
	if (count > 0 || damping_wants(&notices->host))
		log_warning("notify: result=dropped domains=%zu", count);
}

void notices_free(struct notices *notices)
{
	log_dropped(notices);
	for (size_t i = 0; i < RUNNING_MAX; i++)
		if (notices->runs[i].child != NULL)
			child_abandon(notices->runs[i].child);
	forget_all(notices);
	loop_timer_free(notices->timer);
	config_put(notices->config);
	free(notices);
}
