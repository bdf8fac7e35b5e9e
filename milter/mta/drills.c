/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of drills behind one lock, which is never held while logging or writing. */
#include "mta/drills.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/log_valve.h"
#include "io/loop.h"
#include "io/secret.h"

#define LOOK_MS 1000 /* at what has expired, while there is any drill */

static const char last_key[] = "last-drill";

struct drills {
	struct services *services;
	struct loop_timer *timer;
	int64_t last_passed;
	pthread_mutex_t lock; /* of what follows */
	struct drill_table table;
	struct ip *own; /* this host's addresses, when a token was handed out last */
	size_t own_count;
};

/* ---- what is logged ---- */

static void add_queue_id(struct text *text, const struct drill *drill)
{
	if (drill->taken && drill->changes.queue_id[0] != '\0')
		text_add_pair(text, "queue_id", drill->changes.queue_id);
	if (drill->changes.held)
		text_add(text, " held=yes");
}

static void log_result(const struct drill *drill, const char *result, const char *by)
{
	char line[2048];
	TEXT_ON(text, line);
	char path[DRILL_RECIPIENT_MAX + 3];
	TEXT_ON(recipient, path);

	text_add_format(&recipient, "<%s>", drill->order.recipient);
	text_add_format(&text, "drill: domain=%s result=%s", drill->order.domain, result);
	text_add_pair(&text, "recipient", path);
	add_queue_id(&text, drill);
	if (by != NULL)
		text_add_pair(&text, "by", by);
	log_line(drill->end == DRILL_PASSED ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, "%s", line);
}

static void log_begun(const struct drill_order *order, const char *by)
{
	char line[2048];
	TEXT_ON(text, line);
	char path[DRILL_RECIPIENT_MAX + 3];
	TEXT_ON(recipient, path);

	text_add_format(&recipient, "<%s>", order->recipient);
	text_add_format(&text, "drill: domain=%s state=begun", order->domain);
	text_add_pair(&text, "recipient", path);
	text_add_format(&text, " hold=%s", order->hold ? "yes" : "no");
	text_add_pair(&text, "by", by);
	log_notice("%s", line);
}

static void log_refusal(enum drill_refusal refusal, const struct ip *client, const char *domain)
{
	char address[IP_TEXT_MAX];
	char line[512];
	TEXT_ON(text, line);

	if (refusal == DRILL_FITS || !log_valve_admit(LOG_VALVE_DRILL))
		return;
	text_add_format(&text, "drill: refused=%s", drill_refusal_name(refusal));
	text_add_pair(&text, "client", ip_format_literal(client, address, sizeof(address)));
	if (domain[0] != '\0')
		text_add_pair(&text, "domain", domain);
	log_info("%s", line);
}

static void look_at_the_time(void *arg)
{
	struct drills *drills = arg;
	int64_t now_ms = loop_now_ms();
	struct drill drill;
	bool empty, any;

	do {
		pthread_mutex_lock(&drills->lock);
		any = drill_table_overdue(&drills->table, now_ms, &drill);
		empty = drill_table_is_empty(&drills->table);
		pthread_mutex_unlock(&drills->lock);
		if (any)
			log_result(&drill,
				   drill_state(&drill, now_ms) == DRILL_EXPIRED ? "expired"
										: "unfinished",
				   NULL);
	} while (any);
	if (!empty)
		loop_timer_start(drills->timer, LOOK_MS);
}

/* ---- start and stop ---- */

struct drills *drills_new(struct services *services)
{
	struct drills *drills = memory_alloc(sizeof(*drills));
	unsigned char bytes[sizeof(int64_t)];
	size_t length = 0;

	drills->services = services;
	pthread_mutex_init(&drills->lock, NULL);
	drills->timer = loop_timer_new(services->loop, look_at_the_time, drills);
	if (writer_get(services->writer, STORE_META, last_key, sizeof(last_key), bytes,
		       sizeof(bytes), &length) == STORE_FOUND &&
	    length == sizeof(bytes))
		drills->last_passed = (int64_t)bytes_get(bytes, sizeof(bytes));
	return drills;
}

void drills_stop(struct drills *drills)
{
	struct drill cut_off[DRILLS_MAX];
	size_t count = 0;

	loop_timer_stop(drills->timer);
	pthread_mutex_lock(&drills->lock);
	for (size_t i = 0; i < DRILLS_MAX; i++) {
		struct drill *drill = &drills->table.places[i];

		if (drill->serial != 0 && drill->end == DRILL_RUNS && !drill->overdue)
			cut_off[count++] = *drill;
	}
	memset(&drills->table, 0, sizeof(drills->table));
	pthread_mutex_unlock(&drills->lock);
	for (size_t i = 0; i < count; i++)
		log_result(&cut_off[i], "unfinished", NULL);
}

void drills_free(struct drills *drills)
{
	drills_stop(drills);
	loop_timer_free(drills->timer);
	pthread_mutex_destroy(&drills->lock);
	free(drills->own);
	free(drills);
}

/* ---- for the control commands ---- */

/* Under the lock. Sessions may not read the identity, which the loop changes. */
static void note_own_addresses(struct drills *drills)
{
	const struct mx_identity *self = &drills->services->identity.self;

	free(drills->own);
	drills->own_count = self->address_count;
	drills->own = memory_array(self->address_count, sizeof(*drills->own));
	if (self->address_count > 0)
		memcpy(drills->own, self->addresses, self->address_count * sizeof(*drills->own));
}

bool drills_begin(struct drills *drills, struct drill_order *order, const char *by)
{
	bool added;

	secret_random_hex(order->token, DRILL_TOKEN_LENGTH);
	order->expires = loop_wall_seconds() + DRILL_LIFE_MS / 1000;
	pthread_mutex_lock(&drills->lock);
	note_own_addresses(drills);
	added = drill_table_add(&drills->table, order, loop_now_ms()) != NULL;
	pthread_mutex_unlock(&drills->lock);
	if (!added)
		return false;
	log_begun(order, by);
	loop_timer_start(drills->timer, LOOK_MS);
	return true;
}

bool drills_look(struct drills *drills, const char *token, struct drill *drill)
{
	struct drill *found;

	pthread_mutex_lock(&drills->lock);
	found = drill_table_find(&drills->table, token);
	if (found != NULL)
		*drill = *found;
	pthread_mutex_unlock(&drills->lock);
	return found != NULL;
}

static void keep_pass(struct drills *drills)
{
	unsigned char bytes[sizeof(int64_t)];

	drills->last_passed = loop_wall_seconds();
	bytes_put(bytes, sizeof(bytes), (uint64_t)drills->last_passed);
	writer_put(drills->services->writer, STORE_META, last_key, sizeof(last_key), bytes,
		   sizeof(bytes));
}

bool drills_end(struct drills *drills, const char *token, enum drill_end end, const char *by)
{
	struct drill drill;
	struct drill *found;
	bool ended;

	pthread_mutex_lock(&drills->lock);
	found = drill_table_find(&drills->table, token);
	ended = found != NULL && drill_finish(found, end, loop_now_ms());
	if (ended)
		drill = *found;
	pthread_mutex_unlock(&drills->lock);
	if (!ended)
		return false;
	log_result(&drill, drill_end_name(end), by);
	if (end == DRILL_PASSED)
		keep_pass(drills);
	return true;
}

void drills_end_left(struct drills *drills, const char *by)
{
	struct drill left[DRILLS_MAX];
	size_t count = 0;

	pthread_mutex_lock(&drills->lock);
	for (size_t i = 0; i < DRILLS_MAX; i++) {
		struct drill *drill = &drills->table.places[i];

		if (drill->serial != 0 && drill_finish(drill, DRILL_FAILED, loop_now_ms()) &&
		    !drill->overdue)
			left[count++] = *drill;
	}
	pthread_mutex_unlock(&drills->lock);
	for (size_t i = 0; i < count; i++)
		log_result(&left[i], "unfinished", by);
}

int64_t drills_last_passed(const struct drills *drills)
{
	return drills->last_passed;
}

/* ---- for the sessions ---- */

/* Under the lock. */
static bool is_own(const struct drills *drills, const struct ip *client)
{
	for (size_t i = 0; i < drills->own_count; i++)
		if (ip_equal(&drills->own[i], client))
			return true;
	return false;
}

uint64_t drills_claim(struct drills *drills, const char *token, const struct ip *client,
		      bool null_sender)
{
	char domain[MAIL_DOMAIN_MAX + 1] = "";
	enum drill_refusal refusal;
	struct drill *drill;
	uint64_t serial = 0;

	pthread_mutex_lock(&drills->lock);
	drill = drill_table_find(&drills->table, token);
	refusal = drill_claim(drill, is_own(drills, client), null_sender, loop_now_ms());
	if (drill != NULL)
		text_copy(domain, sizeof(domain), drill->order.domain);
	if (refusal == DRILL_FITS)
		serial = drill->serial;
	pthread_mutex_unlock(&drills->lock);
	log_refusal(refusal, client, domain);
	return serial;
}

bool drills_admit(struct drills *drills, uint64_t serial, const struct ip *client,
		  const char *domain, const char *local)
{
	enum drill_refusal refusal;

	pthread_mutex_lock(&drills->lock);
	refusal = drill_admit(drill_table_get(&drills->table, serial), domain, local);
	pthread_mutex_unlock(&drills->lock);
	log_refusal(refusal, client, domain);
	return refusal == DRILL_FITS;
}

void drills_decide(struct drills *drills, uint64_t serial, const struct drill_decision *decision)
{
	struct drill *drill;

	pthread_mutex_lock(&drills->lock);
	drill = drill_table_get(&drills->table, serial);
	if (drill != NULL)
		drill_decide(drill, decision);
	pthread_mutex_unlock(&drills->lock);
}

void drills_take(struct drills *drills, uint64_t serial, struct drill_changes *changes)
{
	pthread_mutex_lock(&drills->lock);
	drill_take(drill_table_get(&drills->table, serial), changes);
	pthread_mutex_unlock(&drills->lock);
}

void drills_settle(struct drills *drills, uint64_t serial, bool taken, bool tagged, bool held)
{
	pthread_mutex_lock(&drills->lock);
	drill_settle(drill_table_get(&drills->table, serial), taken, tagged, held);
	pthread_mutex_unlock(&drills->lock);
}
