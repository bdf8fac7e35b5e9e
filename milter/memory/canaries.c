/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a canary is due, whom it concerns, and what its answer does to the domain. All that acts on
 * domains is done by the timer or by an answer, never from inside of what the domains tell us.
 */
#include "memory/canaries.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/canary.h"

#define PROOF_MS	   10000 /* so long a primary that returns is kept waiting for an answer */
#define PROOF_QUESTIONS	   (CANARY_BIRDS + 1) /* in which it should have shown what it is like */
#define SICK_FACTOR	   4 /* a sick one is asked so much less often than a dead one is probed */
#define DELIVERING_MS	   60000 /* while mail is taken though it is up, the last answer is no older */
#define SAVE_AFTER_SECONDS 300
#define RECORD_MAX	   1024

struct entry {
	UT_hash_handle hh;
	struct canaries *owner;
	char domain[MAIL_DOMAIN_MAX + 1];
	struct canary canary;
	struct loop_timer *timer;
	bool asking;	  /* an answer is on its way */
	bool proving;	  /* the domain waits for it to come up */
	int proof_asked;  /* questions of that */
	int64_t asked_ms; /* loop_now_ms */
	int64_t saved_good;
};

struct canaries {
	struct canaries_settings settings;
	struct config *config;
	struct entry *all;
};

/* ---- what the configuration says ---- */

static const char *canary_setting(const struct domain *domain)
{
	return domain_settings(domain)->probe.canary;
}

static bool is_off(const struct domain *domain)
{
	return strcmp(canary_setting(domain), "none") == 0;
}

/* The local part of a configured address, where it is of this domain. */
static bool fixed_local(const struct domain *domain, char *local, size_t size)
{
	const char *setting = canary_setting(domain);
	const char *at = strrchr(setting, '@');

	if (at == NULL || strcmp(at + 1, domain_name(domain)) != 0 ||
	    (size_t)(at - setting) >= size)
		return false;
	memcpy(local, setting, (size_t)(at - setting));
	local[at - setting] = '\0';
	return true;
}

static struct canary_rules rules_of(const struct domain *domain)
{
	const struct health_rules *rules = &domain_settings(domain)->probe.rules;

	return (struct canary_rules){ .rise = rules->rise, .fall = rules->fall };
}

static struct canary_time time_of(const struct domain *domain)
{
	return (struct canary_time){ .now = loop_wall_seconds(),
				     .up = domain_view_now(domain, NULL).up_clock };
}

/* ---- what is remembered ---- */

static void entry_save(struct entry *entry)
{
	char text[RECORD_MAX];
	json_t *birds = json_array();
	json_t *record;
	size_t length;

	for (size_t i = 0; i < CANARY_BIRDS; i++)
		if (entry->canary.birds[i].passed)
			json_array_append_new(
				birds, json_pack("{s:s, s:I}", "local",
						 entry->canary.birds[i].local, "passed_up",
						 (json_int_t)entry->canary.birds[i].passed_up));
	record = json_pack("{s:o, s:I}", "birds", birds, "last_good",
			   (json_int_t)entry->canary.last_good);
	length = record != NULL ? json_dumpb(record, text, sizeof(text), JSON_COMPACT) : 0;
	json_decref(record);
	if (length > 0 && length <= sizeof(text))
		writer_put(entry->owner->settings.services->writer, STORE_CANARIES, entry->domain,
			   strlen(entry->domain), text, length);
	entry->saved_good = entry->canary.last_good;
}

static void take_birds(struct canary *canary, const json_t *birds)
{
	size_t i;
	json_t *bird;

	json_array_foreach(birds, i, bird) {
		const char *local = json_string_value(json_object_get(bird, "local"));

		if (i >= CANARY_BIRDS || local == NULL || !canary_adopt(canary, local))
			break;
		canary->birds[i].passed = true;
		canary->birds[i].passed_up = json_integer_value(json_object_get(bird, "passed_up"));
	}
}

static void entry_load(struct entry *entry)
{
	char text[RECORD_MAX];
	size_t length = 0;
	json_t *record;

	if (writer_get(entry->owner->settings.services->writer, STORE_CANARIES, entry->domain,
		       strlen(entry->domain), text, sizeof(text), &length) != STORE_FOUND)
		return;
	record = json_loadb(text, length, 0, NULL);
	take_birds(&entry->canary, json_object_get(record, "birds"));
	entry->canary.last_good = json_integer_value(json_object_get(record, "last_good"));
	json_decref(record);
}

/* ---- coming and going ---- */

static void tick(void *arg);

static struct entry *entry_find(struct canaries *canaries, const char *domain)
{
	struct entry *entry;

	HASH_FIND_STR(canaries->all, domain, entry);
	return entry;
}

static struct entry *entry_get(struct canaries *canaries, const struct domain *domain)
{
	struct entry *entry = entry_find(canaries, domain_name(domain));
	struct domain_view view;

	if (entry != NULL)
		return entry;
	entry = memory_alloc(sizeof(*entry));
	entry->owner = canaries;
	text_copy(entry->domain, sizeof(entry->domain), domain_name(domain));
	entry->timer = loop_timer_new(canaries->settings.services->loop, tick, entry);
	entry_load(entry);
	view = domain_view_now(domain, NULL);
	entry->canary.sick = domain_is_sick(domain);
	entry->canary.doubt_since = recipient_doubts_latest(&view.doubts);
	HASH_ADD_STR(canaries->all, domain, entry);
	return entry;
}

static void entry_free(struct entry *entry)
{
	HASH_DEL(entry->owner->all, entry);
	loop_timer_free(entry->timer);
	free(entry);
}

/* ---- who sings ---- */

static void keep_only(struct canary *canary, const char *local)
{
	for (size_t i = 0; i < CANARY_BIRDS; i++)
		if (strcmp(canary->birds[i].local, local) != 0)
			memset(&canary->birds[i], 0, sizeof(canary->birds[i]));
	canary_adopt(canary, local);
}

static void adopt_known(struct entry *entry, const struct domain *domain)
{
	struct domain_view view = domain_view_now(domain, NULL);
	struct recipient_question question = {
		.config = entry->owner->config,
		.domain = entry->domain,
		.local = "",
		.clock = domain_view_clock(&view, loop_wall_seconds()),
	};
	char locals[CANARY_BIRDS][MAIL_LOCAL_MAX + 1];
	size_t count = recipients_recent(entry->owner->settings.recipients, &question, locals,
					 CANARY_BIRDS);

	for (size_t i = 0; i < count; i++)
		canary_adopt(&entry->canary, locals[i]);
}

static void fill_places(struct entry *entry, const struct domain *domain)
{
	char local[MAIL_LOCAL_MAX + 1];

	if (fixed_local(domain, local, sizeof(local)))
		keep_only(&entry->canary, local);
	else if (canary_has_place(&entry->canary))
		adopt_known(entry, domain);
}

/* ---- when ---- */

/* A sickness is to be noticed within one canary_interval, second opinions included. */
static int64_t regular_ms(const struct domain *domain)
{
	const struct config_probe *probe = &domain_settings(domain)->probe;
	int64_t interval = probe->canary_interval * 1000;
	int64_t early = interval - CANARY_BIRDS * probe->rules.fast_interval * 1000;

	if (early < interval / 2)
		early = interval / 2;
	return early - early * (random() % (probe->jitter + 1)) / 100;
}

static int64_t fast_ms(const struct domain *domain)
{
	return domain_settings(domain)->probe.rules.fast_interval * 1000;
}

/* Milliseconds until the next regular one. After a start not all domains sing at once. */
static int64_t regular_wait_ms(const struct entry *entry, const struct domain *domain)
{
	int64_t interval = domain_settings(domain)->probe.canary_interval;
	int64_t age = loop_wall_seconds() - entry->canary.last_good;
	int64_t wait = entry->asked_ms + regular_ms(domain) - loop_now_ms();

	if (entry->asked_ms == 0)
		wait = random() %
		       (age >= 0 && age < interval ? regular_ms(domain) : fast_ms(domain));
	return wait > 0 ? wait : 0;
}

/* As soon as may be, and not more often than at fast_interval. */
static void schedule_soon(struct entry *entry, const struct domain *domain)
{
	int64_t wait = entry->asked_ms + fast_ms(domain) - loop_now_ms();

	if (!entry->asking)
		loop_timer_start(entry->timer, entry->asked_ms == 0 || wait < 0 ? 0 : wait);
}

static void schedule(struct entry *entry, const struct domain *domain)
{
	bool suspects = entry->canary.refusals > 0 || entry->canary.laters > 0;
	enum domain_state state = domain_seen(domain);
	const struct health_rules *rules = &domain_settings(domain)->probe.rules;

	if (entry->asking || (entry->proving && state == DOMAIN_UP))
		return; /* the answer will say when, or the question is due */
	if (domain_is_sick(domain))
		loop_timer_start(entry->timer, rules->down_interval * 1000 * SICK_FACTOR);
	else if (state == DOMAIN_UP && suspects) /* also when a reload comes in between */
		schedule_soon(entry, domain);
	else if (state == DOMAIN_UP)
		loop_timer_start(entry->timer, regular_wait_ms(entry, domain));
	else if (!entry->proving)
		loop_timer_stop(entry->timer);
}

/* ---- answers ---- */

static void end_proof(struct entry *entry, struct domain *domain)
{
	entry->proving = false;
	domain_proved(domain);
}

static void set_sick(struct entry *entry, struct domain *domain, bool sick)
{
	entry->proving = false;
	domain_doubt_refusals(domain, entry->canary.doubt_since);
	domain_set_sick(domain, sick);
}

static void act(struct entry *entry, struct domain *domain, enum canary_event event)
{
	bool goes_on = entry->canary.refusals > 0 && entry->proof_asked < PROOF_QUESTIONS;

	if (entry->canary.last_good - entry->saved_good >= SAVE_AFTER_SECONDS ||
	    event == CANARY_SICK || event == CANARY_WELL)
		entry_save(entry);
	if (event == CANARY_SICK || event == CANARY_WELL)
		set_sick(entry, domain, event == CANARY_SICK);
	else if (entry->proving && !goes_on)
		end_proof(entry, domain);
	if (event == CANARY_AGAIN_SOON)
		schedule_soon(entry, domain);
	else
		schedule(entry, domain);
}

static bool sits(const struct canary *canary, const char *local)
{
	for (size_t i = 0; i < CANARY_BIRDS; i++)
		if (strcmp(canary->birds[i].local, local) == 0)
			return true;
	return false;
}

/* Who was let go although the primary is in its right mind has probably left: a proper question,
 * with a control, is to tell. */
static void ask_of_departed(struct entry *entry, const struct canary *before)
{
	struct callout_request request = { .domain = entry->domain, .is_ascii = true };

	for (size_t i = 0; i < CANARY_BIRDS; i++) {
		request.local = before->birds[i].local;
		if (request.local[0] != '\0' && !sits(&entry->canary, request.local))
			callouts_learn(entry->owner->settings.callouts, &request);
	}
}

static void answered(void *arg, const char *name, const char *local, enum canary_answer answer)
{
	struct canaries *canaries = arg;
	struct entry *entry = entry_find(canaries, name);
	struct domain *domain = domains_find(canaries->settings.domains, name);
	struct canary_rules rules;
	struct canary_time time;
	struct canary before;
	enum canary_event event;

	if (entry == NULL || domain == NULL)
		return;
	entry->asking = false;
	before = entry->canary;
	rules = rules_of(domain);
	time = time_of(domain);
	event = canary_feed(&entry->canary, local, answer, &rules, &time);
	ask_of_departed(entry, &before);
	act(entry, domain, event);
}

/* Nobody can be asked: then nobody can tell that it is sick either. */
static void give_up(struct entry *entry, struct domain *domain)
{
	if (entry->proving)
		end_proof(entry, domain);
	if (entry->canary.sick) {
		entry->canary.sick = false;
		log_notice("canary: domain=%s nobody is left to be asked for", entry->domain);
		set_sick(entry, domain, false);
	}
	schedule(entry, domain);
}

static void ask(struct entry *entry, struct domain *domain)
{
	struct canaries *canaries = entry->owner;
	struct canary_time time = time_of(domain);
	const struct canary_bird *bird;

	entry->asked_ms = loop_now_ms(); /* also in vain: another try is not for now */
	fill_places(entry, domain);
	bird = canary_next(&entry->canary, &time, entry->proving);
	if (bird == NULL) {
		give_up(entry, domain);
		return;
	}
	entry->asking = callouts_ask_canary(canaries->settings.callouts, entry->domain, bird->local,
					    answered, canaries);
	if (entry->asking) {
		entry->proof_asked++;
		if (entry->proving)
			loop_timer_start(entry->timer, PROOF_MS);
		return;
	}
	if (entry->proving)
		end_proof(entry, domain);
	schedule(entry, domain);
}

/* Sick by its answers to EHLO: what it said of recipients before that is as doubtful. */
static void doubt_ehlo_sick(struct entry *entry, struct domain *domain)
{
	int64_t now = loop_wall_seconds();
	int64_t good = entry->canary.last_good;

	domain_doubt_refusals(domain, good > 0 && good <= now ? good : now - 3600);
}

/* The answer takes too long, which says nothing; unless it is for the many domains of a primary
 * that has begun to refuse those it knew: then it waits for its turn. */
static void late(struct entry *entry, struct domain *domain)
{
	if (callouts_primary_refuses(entry->owner->settings.callouts, domain))
		loop_timer_start(entry->timer, PROOF_MS);
	else
		end_proof(entry, domain);
}

static void tick(void *arg)
{
	struct entry *entry = arg;
	struct domain *domain = domains_find(entry->owner->settings.domains, entry->domain);
	enum domain_state state;

	if (domain == NULL) {
		entry_free(entry);
		return;
	}
	state = domain_seen(domain);
	if (is_off(domain)) {
		entry_free(entry);
		domain_proved(domain);
		if (domain_is_sick(domain))
			domain_set_sick(domain, false);
	} else if (entry->proving && entry->asking) {
		late(entry, domain);
	} else if (state == DOMAIN_SICK && !domain_is_sick(domain) && !entry->proving) {
		doubt_ehlo_sick(entry, domain);
	} else if (state == DOMAIN_UNKNOWN && !entry->asking && !entry->proving) { /* asleep */
		entry_save(entry);
		entry_free(entry);
	} else if (!entry->asking &&
		   (state == DOMAIN_UP || domain_is_sick(domain) || entry->proving)) {
		ask(entry, domain);
	}
}

/* ---- what the domains tell ---- */

static void on_changed(void *arg, struct domain *domain)
{
	struct canaries *canaries = arg;
	struct entry *entry = entry_find(canaries, domain_name(domain));
	enum domain_state state = domain_seen(domain);

	if (entry == NULL &&
	    (is_off(domain) ? !domain_is_sick(domain) : state != DOMAIN_UP && state != DOMAIN_SICK))
		return;
	if (entry == NULL)
		entry = entry_get(canaries, domain);
	if (is_off(domain) || state == DOMAIN_UNKNOWN ||
	    (state == DOMAIN_SICK && !domain_is_sick(domain)))
		loop_timer_start(entry->timer, 0);
	else
		schedule(entry, domain);
}

/* What was taken for a primary that lost its users bounces: while mail is taken they are looked
 * after more closely. */
static void on_delivering(void *arg, struct domain *domain)
{
	struct entry *entry = entry_find(arg, domain_name(domain));

	if (entry != NULL && !is_off(domain) && !domain_is_sick(domain) &&
	    loop_now_ms() - entry->asked_ms >= DELIVERING_MS)
		schedule_soon(entry, domain);
}

static void on_gone(void *arg, struct domain *domain)
{
	struct canaries *canaries = arg;
	struct entry *entry = entry_find(canaries, domain_name(domain));

	writer_delete(canaries->settings.services->writer, STORE_CANARIES, domain_name(domain),
		      strlen(domain_name(domain)));
	if (entry != NULL)
		entry_free(entry);
}

static bool on_prove(void *arg, struct domain *domain)
{
	struct canaries *canaries = arg;
	struct canary_time time = time_of(domain);
	struct entry *entry;

	if (is_off(domain))
		return false;
	entry = entry_get(canaries, domain);
	if (!canary_can_tell(&entry->canary, &time))
		return false;
	entry->proving = true;
	entry->proof_asked = 0;
	loop_timer_start(entry->timer, entry->asking ? PROOF_MS : 0);
	return true;
}

/* ---- what the callouts tell ---- */

static void on_accepted(void *arg, const char *name, const char *local)
{
	struct canaries *canaries = arg;
	struct domain *domain = domains_find(canaries->settings.domains, name);
	char fixed[MAIL_LOCAL_MAX + 1];
	struct canary_rules rules;
	struct canary_time time;
	struct entry *entry;
	bool is_new;

	if (domain == NULL || is_off(domain) || fixed_local(domain, fixed, sizeof(fixed)))
		return;
	entry = entry_get(canaries, domain);
	is_new = canary_has_place(&entry->canary);
	rules = rules_of(domain);
	time = time_of(domain);
	act(entry, domain, canary_saw_accepted(&entry->canary, local, &rules, &time));
	if (is_new)
		entry_save(entry);
}

static void on_reasked(void *arg, const char *name, bool turned_invalid)
{
	struct canaries *canaries = arg;
	struct domain *domain = domains_find(canaries->settings.domains, name);
	struct canary_time time;
	enum canary_event event;
	struct entry *entry;

	if (domain == NULL || is_off(domain))
		return;
	entry = entry_get(canaries, domain);
	time = time_of(domain);
	event = canary_saw_reasked(&entry->canary, turned_invalid, &time);
	if (event != CANARY_NOTHING)
		act(entry, domain, event);
}

static void on_control_failed(void *arg, const char *name)
{
	struct canaries *canaries = arg;
	struct domain *domain = domains_find(canaries->settings.domains, name);

	if (domain != NULL && !is_off(domain) && !domain_is_sick(domain))
		schedule_soon(entry_get(canaries, domain), domain);
}

/* ---- start and stop ---- */

struct canaries *canaries_new(const struct canaries_settings *settings, struct config *config)
{
	struct canaries *canaries = memory_alloc(sizeof(*canaries));
	struct domains_prover prover = { .prove = on_prove,
					 .changed = on_changed,
					 .delivering = on_delivering,
					 .gone = on_gone,
					 .arg = canaries };
	struct callouts_observer observer = { .reasked = on_reasked,
					      .control_failed = on_control_failed,
					      .accepted = on_accepted,
					      .arg = canaries };

	canaries->settings = *settings;
	canaries->config = config_get(config);
	callouts_observe(settings->callouts, &observer);
	domains_set_prover(settings->domains, &prover);
	return canaries;
}

void canaries_configure(struct canaries *canaries, struct config *config)
{
	struct config *old = canaries->config;

	canaries->config = config_get(config);
	config_put(old);
}

void canaries_free(struct canaries *canaries)
{
	static const struct domains_prover nobody;
	struct entry *entry, *next;

	domains_set_prover(canaries->settings.domains, &nobody);
	HASH_ITER(hh, canaries->all, entry, next) {
		entry_save(entry);
		entry_free(entry);
	}
	config_put(canaries->config);
	free(canaries);
}
