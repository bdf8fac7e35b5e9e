/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fire drills (DESIGN section 10): the tokens that were handed out, the message that each of them
 * is for, and what became of it. Pure: the time is an argument, and whoever shares a table between
 * threads locks it (mta/drills.h).
 */
#ifndef BACKUPMX_CORE_DRILL_H
#define BACKUPMX_CORE_DRILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/decision.h"
#include "core/drill_marks.h"
#include "core/mail_address.h"
#include "core/tag.h"

#define DRILLS_MAX	   16
#define DRILL_TOKEN_LENGTH 32 /* hex digits: 128 bits */
#define DRILL_LIFE_MS	   300000
#define DRILL_KEPT_MS	   600000 /* behind its end, or its expiry */
#define DRILL_TEXT_MAX	   980
#define DRILL_QUEUE_ID_MAX 64

/* The token in "ENVID=drill-TOKEN", one of the parameters of a MAIL command: the key word in any
 * case, the value xtext (RFC 3461 section 4). False when there is none of that form. The list ends
 * with NULL. */
bool drill_token_in(const char *const *parameters, char token[DRILL_TOKEN_LENGTH + 1]);

enum drill_state {
	DRILL_WAITING, /* no message with its token came yet */
	DRILL_USED,    /* MAIL was seen; no verdict yet, or not the end of the message */
	DRILL_REFUSED, /* the recipient was deferred or rejected */
	DRILL_TAKEN,   /* it reached its end */
	DRILL_EXPIRED  /* it wasn't taken in time */
};

enum drill_end { DRILL_RUNS, DRILL_PASSED, DRILL_FAILED };

/* What is asked for. */
struct drill_order {
	char token[DRILL_TOKEN_LENGTH + 1];
	char domain[MAIL_DOMAIN_MAX + 1]; /* A-label */
	char local[MAIL_LOCAL_MAX + 1];
	char recipient[DRILL_RECIPIENT_MAX + 1]; /* as it was typed */
	bool hold;
	int64_t expires; /* seconds since 1970, to be shown */
};

/* What the decision was. */
struct drill_decision {
	struct verdict verdict;
	enum recipient_status recipient;
	bool shadow; /* nothing was said and is changed */
	char id[TAG_ID_SIZE];
	char text[DRILL_TEXT_MAX]; /* to the client; "" when nothing is said */
};

/* What becomes of the message at its end. */
struct drill_changes {
	bool held;
	char tag[TAG_VALUE_MAX]; /* "": none */
	char queue_id[DRILL_QUEUE_ID_MAX];
};

struct drill {
	uint64_t serial; /* 0: this place of the table is free */
	struct drill_order order;
	int64_t expires_ms;
	bool used;
	bool spoiled; /* the message has another recipient */
	bool decided;
	struct drill_decision decision;
	bool taken, undone; /* undone: the end came, and the message was deferred for our sake */
	struct drill_changes changes;
	enum drill_end end;
	int64_t ended_ms;
	bool overdue; /* said by drill_table_overdue() */
};

struct drill_table {
	struct drill places[DRILLS_MAX];
	uint64_t last; /* serial */
};

/* NULL when DRILLS_MAX are kept that have not ended. */
struct drill *drill_table_add(struct drill_table *table, const struct drill_order *order,
			      int64_t now_ms);
/* By its token, in a time that tells nothing of other tokens; NULL when there is none. */
struct drill *drill_table_find(struct drill_table *table, const char *token);
/* By its serial; NULL when it isn't kept any more. */
struct drill *drill_table_get(struct drill_table *table, uint64_t serial);
/* Forgets those that were kept long enough. Copies one that nobody has ended: it has expired now,
 * or is forgotten now. False when there is no more of these. */
bool drill_table_overdue(struct drill_table *table, int64_t now_ms, struct drill *drill);
bool drill_table_is_empty(const struct drill_table *table);

enum drill_state drill_state(const struct drill *drill, int64_t now_ms);
const char *drill_state_name(enum drill_state state);
const char *drill_end_name(enum drill_end end); /* NULL while it runs */

/* Why a message, or one of its recipients, isn't a drill's. */
enum drill_refusal {
	DRILL_FITS,
	DRILL_NO_TOKEN, /* none that is known */
	DRILL_AGAIN,	/* a message had it already */
	DRILL_LATE,	/* it has expired */
	DRILL_ENDED,
	DRILL_CLIENT,	/* isn't this host */
	DRILL_SENDER,	/* isn't <> */
	DRILL_RECIPIENT /* isn't the one that it is for, or not the only one */
};
const char *drill_refusal_name(enum drill_refusal refusal);

/* A MAIL command comes with its token (NULL: with one of nobody). DRILL_FITS: it is used now. */
enum drill_refusal drill_claim(struct drill *drill, bool own_client, bool null_sender,
			       int64_t now_ms);
/* A recipient of the message that has claimed it. Whoever else gets the message is never held. */
enum drill_refusal drill_admit(struct drill *drill, const char *domain, const char *local);
void drill_decide(struct drill *drill, const struct drill_decision *decision);
/* The end of that message: *changes.held comes in as whether it can be held, and is left as
 * whether it is. Nothing happens when the drill has ended, or no recipient was admitted. */
void drill_take(struct drill *drill, struct drill_changes *changes);
/* How that came out: what of it was done, and whether the message was taken at all. */
void drill_settle(struct drill *drill, bool taken, bool tagged, bool held);

/* False, and nothing happens, when it has ended already, or can't have passed. */
bool drill_finish(struct drill *drill, enum drill_end end, int64_t now_ms);

#endif
