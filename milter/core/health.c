/* SPDX-License-Identifier: BSD-2-Clause */
/* Rise and fall of one endpoint. Pure; the owner's thread. */
#include "core/health.h"

#include <string.h>

/* Endpoints that don't lead their set are probed this many times less often. */
#define FOLLOWER_FACTOR 10

static const char *const reason_names[HEALTH_REASON_COUNT] = {
	[HEALTH_OK] = "ok",
	[HEALTH_DNS_FAIL] = "dns-fail",
	[HEALTH_REFUSED] = "refused",
	[HEALTH_TIMEOUT] = "timeout",
	[HEALTH_UNREACHABLE] = "unreachable",
	[HEALTH_NO_ROUTE] = "no-route",
	[HEALTH_RESET] = "reset",
	[HEALTH_LOST] = "lost",
	[HEALTH_TLS_FAIL] = "tls-fail",
	[HEALTH_BANNER_4XX] = "banner-4xx",
	[HEALTH_BANNER_5XX] = "banner-5xx",
	[HEALTH_EHLO_4XX] = "ehlo-4xx",
	[HEALTH_EHLO_5XX] = "ehlo-5xx",
	[HEALTH_PROTOCOL] = "protocol",
	[HEALTH_LOOP] = "loop",
	[HEALTH_CANARY_REFUSED] = "canary-refused",
	[HEALTH_OWN_FAULT] = "own-fault",
};

static const char *const state_names[] = {
	[HEALTH_UNKNOWN] = "unknown",
	[HEALTH_UP] = "up",
	[HEALTH_DOWN] = "down",
};

/* How many results against `state` in a row change it. */
static int64_t probes_to_leave(enum health_state state, const struct health_rules *rules,
			       enum health_reason result)
{
	switch (state) {
	case HEALTH_UP:
		/* an endpoint that greets with our own name is us, and was never a primary */
		return result == HEALTH_LOOP ? 1 : rules->fall;
	case HEALTH_DOWN:
		return rules->rise;
	case HEALTH_UNKNOWN:
		break;
	}
	return 1;
}

bool health_feed(struct health *health, const struct health_rules *rules, enum health_reason result)
{
	enum health_state seen = result == HEALTH_OK ? HEALTH_UP : HEALTH_DOWN;

	health->no_route = result == HEALTH_NO_ROUTE;
	if (health->no_route)
		return false;
	health->reason = result;
	if (seen == health->state) {
		health->streak = 0;
		return false;
	}
	health->streak++;
	if (health->streak < probes_to_leave(health->state, rules, result))
		return false;
	health->state = seen;
	health->streak = 0;
	return true;
}

int64_t health_interval(const struct health *health, const struct health_rules *rules, bool leading)
{
	int64_t seconds = rules->interval;

	if (health->streak > 0 && !health->no_route)
		return rules->fast_interval;
	if (health->state == HEALTH_DOWN && leading)
		seconds = rules->down_interval;
	return leading ? seconds : seconds * FOLLOWER_FACTOR;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

void health_rules_merge(struct health_rules *into, const struct health_rules *other)
{
	into->rise = larger(into->rise, other->rise);
	into->fall = larger(into->fall, other->fall);
	into->interval = smaller(into->interval, other->interval);
	into->fast_interval = smaller(into->fast_interval, other->fast_interval);
	into->down_interval = smaller(into->down_interval, other->down_interval);
}

bool health_reason_reached(enum health_reason reason)
{
	switch (reason) {
	case HEALTH_TLS_FAIL:
	case HEALTH_BANNER_4XX:
	case HEALTH_BANNER_5XX:
	case HEALTH_EHLO_4XX:
	case HEALTH_EHLO_5XX:
	case HEALTH_PROTOCOL:
		return true;
	default:
		return false;
	}
}

const char *health_reason_name(enum health_reason reason)
{
	return reason_names[reason];
}

const char *health_state_name(enum health_state state)
{
	return state_names[state];
}

bool health_reason_parse(const char *word, enum health_reason *reason)
{
	for (size_t i = 0; i < HEALTH_REASON_COUNT; i++) {
		if (strcmp(word, reason_names[i]) == 0) {
			*reason = (enum health_reason)i;
			return true;
		}
	}
	return false;
}

bool health_state_parse(const char *word, enum health_state *state)
{
	for (size_t i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++) {
		if (strcmp(word, state_names[i]) == 0) {
			*state = (enum health_state)i;
			return true;
		}
	}
	return false;
}
