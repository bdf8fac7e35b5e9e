/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is watched now, and the counting of its time. A domain that is looked at has an entry here;
 * the sums of its day and its last outages are in it, and newer than the store. Loop thread only.
 */
#include "watch/history.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/memory.h"
#include "watch/domain.h"
#include "watch/history_store.h"
#include "watch/isolation.h"

#define ROUND_MS	  1000
#define ROUNDS		  300			    /* in which all are counted and saved */
#define GAP_MS		  (2LL * ROUNDS * ROUND_MS) /* longer without a round: we were stopped */
#define OUTAGES_NEAR	  10			    /* that may still get mail flushed */
#define LATECOMER_SECONDS 60 /* after the end a mail may be of a sender who was welcomed before */

/* One that is looked at. */
struct watched {
	UT_hash_handle hh;
	struct domain *domain;
	enum domain_state seen;
	int64_t counted_ms; /* until then (loop_now_ms) its time is in the sums */
	struct availability_day today;
	bool changed;		      /* `today` says more than its record */
	struct availability_day past; /* the days of coverage before `past.day` */
	bool past_known;
	struct history_outage *outages; /* the last ones, oldest first */
	size_t outage_count;		/* those in the store alone included */
	char name[];
};

struct history {
	struct services *services;
	struct domains *domains;
	struct history_store *store;
	struct watched *all;
	bool isolated;
	struct loop_timer *timer;
	unsigned round;
};

static struct watched *watched_find(const struct history *history, const char *name)
{
	struct watched *watched;

	HASH_FIND_STR(history->all, name, watched);
	return watched;
}

/* ---- outages ---- */

static struct history_outage *last_outage(const struct watched *watched)
{
	return watched->outages != NULL ? watched->outages->prev : NULL;
}

static struct outage *open_outage(const struct watched *watched)
{
	struct history_outage *last = last_outage(watched);

	return last != NULL && last->outage.end == 0 ? &last->outage : NULL;
}

static void save_last_outage(const struct history *history, const struct watched *watched)
{
	history_store_put_outage(history->store, watched->name, last_outage(watched));
}

/* Those that are long over, and all but the last few, are left to the store. */
static void forget_outages(struct watched *watched, size_t keep)
{
	struct history_outage *outage, *next;
	size_t count = 0;

	DL_COUNT(watched->outages, outage, count);
	DL_FOREACH_SAFE(watched->outages, outage, next) {
		if (count-- <= keep)
			break;
		DL_DELETE(watched->outages, outage);
		free(outage);
	}
}

static size_t outages_kept(const struct watched *watched)
{
	return watched->domain->kind == DOMAIN_CONFIGURED ? HISTORY_OUTAGES
							  : HISTORY_LEARNED_OUTAGES;
}

/* A hundredth at once: looking for them takes reading them all. */
static void drop_oldest_outages(struct history *history, struct watched *watched)
{
	struct history_outage *list = NULL, *outage, *next;
	size_t dropped = 0;

	history_store_outages(history->store, watched->name, &list);
	DL_FOREACH_SAFE(list, outage, next) {
		if (dropped < outages_kept(watched) / 100) {
			history_store_drop_outage(history->store, watched->name, outage->key);
			dropped++;
		}
		DL_DELETE(list, outage);
		free(outage);
	}
	watched->outage_count -= dropped;
}

static void outage_open(struct history *history, struct watched *watched,
			const struct outage_news *news)
{
	struct history_outage *added = memory_alloc(sizeof(*added));

	outage_begin(&added->outage, news);
	added->key = history_store_free_key(history->store, watched->name, added->outage.start);
	DL_APPEND(watched->outages, added);
	forget_outages(watched, OUTAGES_NEAR);
	if (++watched->outage_count > outages_kept(watched))
		drop_oldest_outages(history, watched);
	/* the probes that found it were of it already */
	availability_move(&watched->today, AVAILABILITY_UP,
			  availability_of(news->state, history->isolated), added->outage.passed_ms);
	save_last_outage(history, watched);
}

static bool is_away(enum domain_state state)
{
	return state == DOMAIN_DOWN || state == DOMAIN_SICK;
}

/* What the state means for the outage that is open, or isn't. Unknown means nothing yet. */
static void outage_follow(struct history *history, struct watched *watched,
			  const struct outage_news *news)
{
	struct outage *open = open_outage(watched);

	if (open == NULL && is_away(news->state)) {
		outage_open(history, watched, news);
	} else if (open != NULL && is_away(news->state)) {
		outage_resume(open, news->at); /* nobody knew for a while */
	} else if (open != NULL && !is_away(news->state) && news->state != DOMAIN_UNKNOWN) {
		outage_end(open, news);
		save_last_outage(history, watched);
	}
}

/* ---- time ---- */

static void day_save(const struct history *history, struct watched *watched)
{
	if (watched->changed)
		history_store_put_day(history->store, watched->name, &watched->today);
	watched->changed = false;
}

static void day_switch(const struct history *history, struct watched *watched, int64_t day)
{
	if (watched->today.day == day)
		return;
	day_save(history, watched);
	history_store_get_day(history->store, watched->name, day, &watched->today);
	history_store_drop_day(history->store, watched->name,
			       day - history_store_days_kept(watched->domain));
	watched->past_known = false;
}

/* `ms` that end now. They are less than a day, so they are of today and yesterday. */
static void spend(const struct history *history, struct watched *watched, int64_t ms)
{
	int64_t wall_ms = loop_wall_ms();
	enum availability kind = availability_of(watched->seen, history->isolated);
	int64_t today = availability_day_of(wall_ms / 1000);
	int64_t of_today = availability_ms_of_day(wall_ms, ms);
	struct outage *open = open_outage(watched);

	if (kind != AVAILABILITY_UNOBSERVED && of_today < ms) {
		day_switch(history, watched, today - 1);
		watched->today.ms[kind] += ms - of_today;
		watched->changed = true;
	}
	day_switch(history, watched, today);
	if (kind == AVAILABILITY_UNOBSERVED)
		return;
	watched->today.ms[kind] += of_today;
	watched->changed |= of_today > 0;
	if (open != NULL)
		outage_pass(open, ms, history->isolated, wall_ms / 1000);
}

static void take_questions(struct watched *watched)
{
	struct domain_questions questions = domain_take_questions(watched->domain);

	watched->today.asked += questions.asked;
	watched->today.known += questions.known;
	watched->changed |= questions.asked > 0 || questions.known > 0;
}

/* Brings the sums up to now. */
static void count(const struct history *history, struct watched *watched)
{
	int64_t now_ms = loop_now_ms();
	int64_t ms = now_ms - watched->counted_ms;

	watched->counted_ms = now_ms;
	spend(history, watched, ms < GAP_MS ? ms : 0);
	take_questions(watched);
}

static void save(const struct history *history, struct watched *watched)
{
	day_save(history, watched);
	if (open_outage(watched) != NULL)
		save_last_outage(history, watched);
}

static void look_after_some(void *arg)
{
	struct history *history = arg;
	struct watched *watched;

	history->round = (history->round + 1) % ROUNDS;
	for (watched = history->all; watched != NULL; watched = watched->hh.next) {
		if (watched->hh.hashv % ROUNDS != history->round)
			continue;
		count(history, watched);
		save(history, watched);
	}
	loop_timer_start(history->timer, ROUND_MS);
}

/* ---- who is looked at ---- */

/* The outage that was open when nobody looked any more, and the state that is remembered. */
static void take_up_outage(struct history *history, struct watched *watched)
{
	const struct domain *domain = watched->domain;
	struct outage *open = open_outage(watched);
	int64_t wall = loop_wall_seconds();
	struct outage_news news = { .state = watched->seen,
				    .reason = domain->reason,
				    .at = domain->since > 0 && domain->since < wall ? domain->since
										    : wall };

	if (open != NULL && watched->seen == DOMAIN_UP && news.at < open->as_of)
		news.at = open->as_of;
	outage_follow(history, watched, &news);
	open = open_outage(watched);
	if (open != NULL)
		outage_resume(open, wall);
}

static struct watched *watched_new(struct history *history, struct domain *domain,
				   enum domain_state seen)
{
	size_t length = strlen(domain->name);
	struct watched *watched = memory_alloc(sizeof(*watched) + length + 1);
	const struct history_outage *outage;

	memcpy(watched->name, domain->name, length + 1);
	watched->domain = domain;
	watched->seen = seen;
	watched->counted_ms = loop_now_ms();
	history_store_get_day(history->store, watched->name,
			      availability_day_of(loop_wall_seconds()), &watched->today);
	history_store_outages(history->store, watched->name, &watched->outages);
	DL_COUNT(watched->outages, outage, watched->outage_count);
	forget_outages(watched, OUTAGES_NEAR);
	HASH_ADD_STR(history->all, name, watched);
	take_up_outage(history, watched);
	return watched;
}

static void watched_free(struct history *history, struct watched *watched)
{
	forget_outages(watched, 0);
	HASH_DEL(history->all, watched);
	free(watched);
}

static void watched_end(struct history *history, struct watched *watched)
{
	count(history, watched);
	save(history, watched);
	watched_free(history, watched);
}

/* ---- what is heard ---- */

static void awake(void *arg, const struct domain *domain, bool is_awake)
{
	struct history *history = arg;
	struct watched *watched = watched_find(history, domain->name);

	if (is_awake && watched == NULL)
		watched_new(history, domains_find(history->domains, domain->name), domain->state);
	else if (!is_awake && watched != NULL)
		watched_end(history, watched);
}

static void gone(void *arg, const char *name)
{
	struct history *history = arg;
	struct watched *watched = watched_find(history, name);

	if (watched != NULL)
		watched_end(history, watched);
}

static void changed(void *arg, const struct domain *domain, const struct domain_change *change)
{
	struct history *history = arg;
	struct watched *watched = watched_find(history, domain->name);
	struct outage_news news = { .state = change->seen,
				    .reason = change->reason,
				    .at = change->at,
				    .began = change->began };

	if (watched == NULL || watched->seen == change->seen)
		return;
	count(history, watched);
	watched->seen = change->seen;
	outage_follow(history, watched, &news);
	day_save(history, watched);
}

static void mail_taken(void *arg, const struct domain *domain)
{
	struct history *history = arg;
	struct watched *watched = watched_find(history, domain->name);
	struct history_outage *last = watched != NULL ? last_outage(watched) : NULL;
	int64_t wall = loop_wall_seconds();

	if (last == NULL || !outage_is_near(&last->outage, wall, LATECOMER_SECONDS))
		return;
	outage_take_mail(&last->outage, wall);
	save_last_outage(history, watched);
}

static void flushed(void *arg, const struct domain *domain)
{
	struct history *history = arg;
	struct watched *watched = watched_find(history, domain->name);
	struct history_outage *outage;

	if (watched == NULL)
		return;
	DL_FOREACH(watched->outages, outage)
		if (outage_flush(&outage->outage, loop_wall_seconds()))
			history_store_put_outage(history->store, watched->name, outage);
}

/* The time until now was of the other kind. */
static void isolation_changed(void *arg, bool on)
{
	struct history *history = arg;
	struct watched *watched;

	for (watched = history->all; watched != NULL; watched = watched->hh.next)
		count(history, watched);
	history->isolated = on;
}

/* ---- coverage ---- */

/* The questions of the days from `from` to `to`, from the last one that began anew on. */
static struct availability_day sum_of_days(const struct history *history, const char *domain,
					   int64_t from, int64_t to)
{
	struct availability_day sum = { .day = to };
	struct availability_day *days;
	size_t count;

	history_store_days(history->store, domain, from, &days, &count);
	for (size_t i = 0; i < count && days[i].day <= to; i++) {
		if (days[i].anew)
			sum = (struct availability_day){ .day = to };
		availability_add(&sum, &days[i]);
	}
	free(days);
	return sum;
}

static const struct availability_day *past_of(const struct history *history,
					      struct watched *watched)
{
	int64_t today = watched->today.day;

	if (!watched->past_known)
		watched->past = sum_of_days(history, watched->name,
					    today - HISTORY_COVERAGE_DAYS + 1, today - 1);
	watched->past_known = true;
	return &watched->past;
}

double history_coverage(struct history *history, const char *domain)
{
	struct watched *watched = watched_find(history, domain);
	int64_t today = availability_day_of(loop_wall_seconds());
	struct availability_day sum;

	if (watched == NULL) {
		sum = sum_of_days(history, domain, today - HISTORY_COVERAGE_DAYS + 1, today);
	} else {
		count(history, watched);
		sum = watched->today;
		if (!sum.anew)
			availability_add(&sum, past_of(history, watched));
	}
	return availability_coverage(&sum);
}

void history_count_anew(struct history *history, const char *domain)
{
	struct watched *watched = watched_find(history, domain);
	struct availability_day day;

	if (watched == NULL) {
		history_store_get_day(history->store, domain,
				      availability_day_of(loop_wall_seconds()), &day);
	} else {
		count(history, watched);
		day = watched->today;
	}
	day.asked = day.known = 0;
	day.anew = true;
	if (watched != NULL)
		watched->today = day;
	history_store_put_day(history->store, domain, &day);
}

/* ---- reading ---- */

/* What is here is newer than what the store said. */
static void merge_day(const struct availability_day *day, struct history_of_domain *out)
{
	size_t i = 0;

	while (i < out->day_count && out->days[i].day < day->day)
		i++;
	if (i == out->day_count || out->days[i].day != day->day) {
		out->days = memory_resize(out->days, out->day_count + 1, sizeof(*out->days));
		memmove(&out->days[i + 1], &out->days[i],
			(out->day_count - i) * sizeof(*out->days));
		out->day_count++;
	}
	out->days[i] = *day;
}

static void merge_outages(const struct watched *watched, struct history_outage **list)
{
	const struct history_outage *near;
	struct history_outage *found;

	DL_FOREACH(watched->outages, near) {
		DL_SEARCH_SCALAR(*list, found, key, near->key);
		if (found == NULL) {
			found = memory_alloc(sizeof(*found));
			found->key = near->key;
			DL_APPEND(*list, found);
		}
		found->outage = near->outage;
	}
}

static int by_key(const struct history_outage *a, const struct history_outage *b)
{
	return a->key < b->key ? -1 : a->key > b->key;
}

/* Frees the list. */
static void take_outages(struct history_outage *list, int64_t from, struct history_of_domain *out)
{
	struct history_outage *outage, *next;
	size_t count = 0;

	DL_COUNT(list, outage, count);
	out->outages = memory_array(count, sizeof(*out->outages));
	DL_SORT(list, by_key);
	DL_FOREACH_SAFE(list, outage, next) {
		if (outage->outage.end == 0 || outage->outage.end >= from)
			out->outages[out->outage_count++] = outage->outage;
		DL_DELETE(list, outage);
		free(outage);
	}
}

bool history_read(struct history *history, const char *domain, int64_t from,
		  struct history_of_domain *out)
{
	struct watched *watched = watched_find(history, domain);
	struct history_outage *list = NULL;
	bool read;

	memset(out, 0, sizeof(*out));
	read = history_store_days(history->store, domain, availability_day_of(from), &out->days,
				  &out->day_count);
	read &= history_store_outages(history->store, domain, &list);
	if (watched != NULL) {
		count(history, watched);
		merge_day(&watched->today, out);
		merge_outages(watched, &list);
	}
	take_outages(list, from, out);
	return read;
}

void history_of_domain_fini(struct history_of_domain *out)
{
	free(out->days);
	free(out->outages);
}

/* ---- life ---- */

struct history *history_new(struct services *services, struct domains *domains)
{
	struct history *history = memory_alloc(sizeof(*history));
	struct domains_watcher watcher = { .changed = changed,
					   .awake = awake,
					   .mail_taken = mail_taken,
					   .flushed = flushed,
					   .gone = gone,
					   .arg = history };

	history->services = services;
	history->domains = domains;
	history->store = history_store_new(services, domains);
	history->isolated = isolation_watch_is_on(services->isolation);
	history->timer = loop_timer_new(services->loop, look_after_some, history);
	loop_timer_start(history->timer, ROUND_MS);
	isolation_watch_observe(services->isolation, isolation_changed, history);
	domains_watch(domains, &watcher);
	return history;
}

void history_free(struct history *history)
{
	struct watched *watched, *next;

	domains_unwatch(history->domains, history);
	isolation_watch_unobserve(history->services->isolation, history);
	HASH_ITER(hh, history->all, watched, next)
		watched_end(history, watched);
	loop_timer_free(history->timer);
	history_store_free(history->store);
	free(history);
}
