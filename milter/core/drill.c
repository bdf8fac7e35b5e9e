/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of drills and what each one has seen of its message. Pure; whoever shares it locks it.
 */
#include "core/drill.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

/* ---- the token ---- */

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1; /* xtext has upper case only */
}

/* One character of xtext; '\0' at the end, and for what is none. */
static char xtext_next(const char **rest)
{
	int high, low;

	if (**rest == '\0')
		return '\0';
	if (**rest != '+')
		return *(*rest)++;
	high = hex_value((*rest)[1]);
	low = high < 0 ? -1 : hex_value((*rest)[2]);
	if (low < 0)
		return '\0';
	*rest += 3;
	return (char)(high * 16 + low);
}

static bool is_token_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool token_of(const char *value, char token[DRILL_TOKEN_LENGTH + 1])
{
	for (const char *wanted = "drill-"; *wanted != '\0'; wanted++)
		if (xtext_next(&value) != *wanted)
			return false;
	for (size_t i = 0; i < DRILL_TOKEN_LENGTH; i++) {
		token[i] = xtext_next(&value);
		if (!is_token_digit(token[i]))
			return false;
	}
	token[DRILL_TOKEN_LENGTH] = '\0';
	return *value == '\0';
}

bool drill_token_in(const char *const *parameters, char token[DRILL_TOKEN_LENGTH + 1])
{
	static const char key[] = "ENVID=";

	for (; *parameters != NULL; parameters++)
		if (strncasecmp(*parameters, key, sizeof(key) - 1) == 0)
			return token_of(*parameters + sizeof(key) - 1, token);
	return false;
}

/* ---- the table ---- */

static bool is_kept(const struct drill *drill, int64_t now_ms)
{
	int64_t since_ms = drill->end != DRILL_RUNS ? drill->ended_ms : drill->expires_ms;

	return drill->serial != 0 && now_ms < since_ms + DRILL_KEPT_MS;
}

static bool is_overdue(const struct drill *drill, int64_t now_ms)
{
	if (drill->serial == 0 || drill->end != DRILL_RUNS || drill->overdue)
		return false;
	return !is_kept(drill, now_ms) || drill_state(drill, now_ms) == DRILL_EXPIRED;
}

bool drill_table_overdue(struct drill_table *table, int64_t now_ms, struct drill *drill)
{
	bool found = false;

	for (size_t i = 0; i < DRILLS_MAX && !found; i++) {
		struct drill *place = &table->places[i];

		found = is_overdue(place, now_ms);
		place->overdue |= found;
		*drill = *place;
		if (!is_kept(place, now_ms))
			memset(place, 0, sizeof(*place));
	}
	return found;
}

bool drill_table_is_empty(const struct drill_table *table)
{
	for (size_t i = 0; i < DRILLS_MAX; i++)
		if (table->places[i].serial != 0)
			return false;
	return true;
}

/* A free place, or that of the one which ended longest ago. */
static struct drill *place_for(struct drill_table *table)
{
	struct drill *oldest = NULL;

	for (size_t i = 0; i < DRILLS_MAX; i++) {
		struct drill *drill = &table->places[i];

		if (drill->serial == 0)
			return drill;
		if (drill->end != DRILL_RUNS &&
		    (oldest == NULL || drill->ended_ms < oldest->ended_ms))
			oldest = drill;
	}
	return oldest;
}

struct drill *drill_table_add(struct drill_table *table, const struct drill_order *order,
			      int64_t now_ms)
{
	struct drill *drill = place_for(table);

	if (drill == NULL)
		return NULL;
	memset(drill, 0, sizeof(*drill));
	drill->serial = ++table->last;
	drill->order = *order;
	drill->expires_ms = now_ms + DRILL_LIFE_MS;
	return drill;
}

/* All digits are looked at, whatever the first of them say. */
static bool same_token(const char *one, const char *other)
{
	volatile unsigned char difference = 0;

	for (size_t i = 0; i < DRILL_TOKEN_LENGTH; i++)
		difference |= (unsigned char)(one[i] ^ other[i]);
	return difference == 0;
}

struct drill *drill_table_find(struct drill_table *table, const char *token)
{
	char padded[DRILL_TOKEN_LENGTH + 1] = "";
	struct drill *found = NULL;

	if (!text_copy(padded, sizeof(padded), token))
		return NULL;
	for (size_t i = 0; i < DRILLS_MAX; i++) {
		struct drill *drill = &table->places[i];
		bool same = same_token(drill->order.token, padded);

		if (same && drill->serial != 0)
			found = drill;
	}
	return found;
}

struct drill *drill_table_get(struct drill_table *table, uint64_t serial)
{
	for (size_t i = 0; i < DRILLS_MAX; i++)
		if (serial != 0 && table->places[i].serial == serial)
			return &table->places[i];
	return NULL;
}

/* ---- one drill ---- */

enum drill_state drill_state(const struct drill *drill, int64_t now_ms)
{
	const struct drill_decision *decision = &drill->decision;

	if (drill->taken)
		return DRILL_TAKEN;
	if (drill->undone || (drill->decided && !decision->shadow && decision->verdict.code != 0))
		return DRILL_REFUSED;
	if (now_ms >= drill->expires_ms)
		return DRILL_EXPIRED;
	return drill->used ? DRILL_USED : DRILL_WAITING;
}

enum drill_refusal drill_claim(struct drill *drill, bool own_client, bool null_sender,
			       int64_t now_ms)
{
	if (drill == NULL)
		return DRILL_NO_TOKEN;
	/* of these two neither uses the token up: whoever it is for comes yet */
	if (!own_client)
		return DRILL_CLIENT;
	if (!null_sender)
		return DRILL_SENDER;
	if (drill->end != DRILL_RUNS)
		return DRILL_ENDED;
	if (drill->used)
		return DRILL_AGAIN;
	if (now_ms >= drill->expires_ms)
		return DRILL_LATE;
	drill->used = true;
	return DRILL_FITS;
}

enum drill_refusal drill_admit(struct drill *drill, const char *domain, const char *local)
{
	if (drill == NULL || drill->end != DRILL_RUNS)
		return DRILL_ENDED;
	if (drill->spoiled || strcmp(drill->order.domain, domain) != 0 ||
	    strcmp(drill->order.local, local) != 0) {
		drill->spoiled = true;
		return DRILL_RECIPIENT;
	}
	return DRILL_FITS;
}

void drill_decide(struct drill *drill, const struct drill_decision *decision)
{
	drill->decided = true;
	drill->decision = *decision;
}

void drill_take(struct drill *drill, struct drill_changes *changes)
{
	changes->held &= drill != NULL && drill->end == DRILL_RUNS && drill->decided &&
			 drill->order.hold && !drill->spoiled && !drill->decision.shadow;
	if (drill == NULL || drill->end != DRILL_RUNS || !drill->decided)
		return;
	drill->taken = true;
	drill->changes = *changes;
}

void drill_settle(struct drill *drill, bool taken, bool tagged, bool held)
{
	if (drill == NULL || !drill->taken)
		return;
	drill->taken = taken;
	drill->undone = !taken;
	drill->changes.held &= held;
	if (!tagged)
		drill->changes.tag[0] = '\0';
}

bool drill_finish(struct drill *drill, enum drill_end end, int64_t now_ms)
{
	if (drill->end != DRILL_RUNS || (end == DRILL_PASSED && !drill->taken))
		return false;
	drill->end = end;
	drill->ended_ms = now_ms;
	return true;
}

/* ---- names ---- */

const char *drill_state_name(enum drill_state state)
{
	static const char *const names[] = {
		[DRILL_WAITING] = "waiting", [DRILL_USED] = "used",
		[DRILL_REFUSED] = "refused", [DRILL_TAKEN] = "taken",
		[DRILL_EXPIRED] = "expired",
	};

	return names[state];
}

const char *drill_end_name(enum drill_end end)
{
	static const char *const names[] = {
		[DRILL_RUNS] = NULL,
		[DRILL_PASSED] = "pass",
		[DRILL_FAILED] = "fail",
	};

	return names[end];
}

const char *drill_refusal_name(enum drill_refusal refusal)
{
	static const char *const names[] = {
		[DRILL_FITS] = "no",	   [DRILL_NO_TOKEN] = "token",
		[DRILL_AGAIN] = "used",	   [DRILL_LATE] = "expired",
		[DRILL_ENDED] = "ended",   [DRILL_CLIENT] = "client",
		[DRILL_SENDER] = "sender", [DRILL_RECIPIENT] = "recipient",
	};

	return names[refusal];
}
