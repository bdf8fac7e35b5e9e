/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An administrator's forced state of a domain: its time limit, its log lines, its record. What
 * follows from it is domain_state.c's. Loop thread only.
 */
#include <jansson.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "core/tag.h"
#include "watch/domain.h"

#define LOOK_MS 10000 /* the wall clock may jump: it is looked at this often */

static void log_force(const struct domain *domain, const char *key, const char *value)
{
	const struct force *force = &domain->force;
	char line[MAIL_DOMAIN_MAX + 256];
	char until[32];
	TEXT_ON(text, line);

	text_add(&text, "force: ");
	text_add_pair(&text, "domain", domain->name);
	text_add_pair(&text, "state",
		      force_is_on(force) ? domain_state_name(force->state) : "auto");
	if (force_is_on(force))
		text_add_pair(&text, "until", tag_format_time(force->until, until, sizeof(until)));
	text_add_pair(&text, key, value);
	log_notice("%s", line);
}

static void forget(struct domain *domain)
{
	domain->force = (struct force){ .state = DOMAIN_NOT_OURS };
	domain->force_ended = loop_wall_seconds();
	loop_timer_free(domain->force_timer);
	domain->force_timer = NULL;
}

static void end(struct domain *domain, const char *key, const char *value)
{
	struct domain_standing was = domain_standing(domain);

	forget(domain);
	log_force(domain, key, value);
	domain_announce(domain, &was);
}

/* By the wall clock it ends when it was said to, and by the other one no later than that. */
static int64_t left_ms(const struct domain *domain)
{
	int64_t by_wall = force_seconds_left(&domain->force, loop_wall_seconds()) * 1000;
	int64_t left = domain->force_ends_ms - loop_now_ms();

	return by_wall < left ? by_wall : left;
}

static void look(void *arg)
{
	struct domain *domain = arg;
	int64_t left = left_ms(domain);

	if (left <= 0)
		end(domain, "reason", "expired");
	else
		loop_timer_start(domain->force_timer, left < LOOK_MS ? left : LOOK_MS);
}

static void run_out_later(struct domain *domain)
{
	int64_t left = force_seconds_left(&domain->force, loop_wall_seconds());

	domain->force_ends_ms = loop_now_ms() + left * 1000;
	if (domain->force_timer == NULL)
		domain->force_timer = loop_timer_new(domain->owner->services->loop, look, domain);
	loop_timer_start(domain->force_timer, 0);
}

void domain_force(struct domain *domain, enum domain_state state, int64_t seconds, const char *by)
{
	struct domain_standing was = domain_standing(domain);

	force_give(&domain->force, state, seconds, loop_wall_seconds());
	run_out_later(domain);
	log_force(domain, "by", by);
	domain_announce(domain, &was);
}

bool domain_unforce(struct domain *domain, const char *by)
{
	if (!force_is_on(&domain->force))
		return false;
	end(domain, "by", by);
	return true;
}

void domain_force_drop(struct domain *domain)
{
	if (!force_is_on(&domain->force))
		return;
	forget(domain);
	log_force(domain, "reason", "removed");
}

void domain_force_to_record(const struct domain *domain, json_t *record)
{
	const struct force *force = &domain->force;

	if (force_is_on(force))
		json_object_set_new(
			record, "force",
			json_pack("{s:s, s:I, s:I, s:I}", "state", domain_state_name(force->state),
				  "since", (json_int_t)force->since, "given",
				  (json_int_t)force->given, "until", (json_int_t)force->until));
}

static bool state_parse(const char *word, enum domain_state *state)
{
	if (strcmp(word, domain_state_name(DOMAIN_FORCED_UP)) == 0)
		*state = DOMAIN_FORCED_UP;
	else if (strcmp(word, domain_state_name(DOMAIN_FORCED_DOWN)) == 0)
		*state = DOMAIN_FORCED_DOWN;
	else
		return false;
	return true;
}

static bool force_from_json(const json_t *json, struct force *force)
{
	const char *state = NULL;
	json_int_t since, given, until;

	if (json_unpack((json_t *)(uintptr_t)json, "{s:s, s:I, s:I, s:I}", "state", &state, "since",
			&since, "given", &given, "until", &until) != 0 ||
	    since < 0 || given < 0 || until < given || until - given > FORCE_MAX_SECONDS)
		return false;
	*force = (struct force){ .since = since, .given = given, .until = until };
	return state_parse(state, &force->state);
}

bool domain_force_in_record(const json_t *record)
{
	struct force force;

	return force_from_json(json_object_get(record, "force"), &force);
}

void domain_force_from_record(struct domain *domain, const json_t *record)
{
	struct force force;

	if (force_is_on(&domain->force) ||
	    !force_from_json(json_object_get(record, "force"), &force))
		return;
	domain->force = force;
	if (force_seconds_left(&force, loop_wall_seconds()) > 0) {
		run_out_later(domain);
		log_force(domain, "by", "record");
	} else {
		forget(domain);
		log_force(domain, "reason", "expired");
	}
}
