/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decision: facts in, verdict out (DESIGN section 5).
 *
 * A pure function. Everything that has a socket, a clock or a file only gathers the facts or
 * carries the verdict out. milter/core/decision.c reads as the table does, row by row.
 */
#ifndef BACKUPMX_CORE_DECISION_H
#define BACKUPMX_CORE_DECISION_H

#include <stdbool.h>
#include <stddef.h>

/* What we are to the recipient's domain, and how its primary is. */
enum domain_state {
	DOMAIN_NOT_OURS,   /* nothing of ours */
	DOMAIN_NOT_BACKUP, /* configured, but DNS gives senders nobody better than us and no primary
			      is set */
	DOMAIN_UNKNOWN,	   /* nothing probed yet: counts as down */
	DOMAIN_UP,
	DOMAIN_SICK,
	DOMAIN_DOWN,
	DOMAIN_FORCED_UP,
	DOMAIN_FORCED_DOWN,
	DOMAIN_STATE_COUNT
};

enum recipient_status {
	RECIPIENT_UNKNOWN,
	RECIPIENT_VALID,
	RECIPIENT_INVALID,
	RECIPIENT_CATCH_ALL,
	RECIPIENT_STATUS_COUNT
};

enum when_up { WHEN_UP_DEFER, WHEN_UP_ACCEPT };
enum when_invalid { WHEN_INVALID_REJECT, WHEN_INVALID_DEFER };
enum when_unknown {
	WHEN_UNKNOWN_DEFER_THEN_ACCEPT,
	WHEN_UNKNOWN_DEFER,
	WHEN_UNKNOWN_ACCEPT,
	WHEN_UNKNOWN_ACCEPT_NO_BOUNCE,
};
enum when_catch_all {
	WHEN_CATCH_ALL_ACCEPT,
	WHEN_CATCH_ALL_ACCEPT_NO_BOUNCE,
	WHEN_CATCH_ALL_DEFER
};

struct decision_policy {
	enum when_up when_up;
	enum when_invalid when_invalid;
	enum when_unknown when_unknown;
	enum when_catch_all when_catch_all;
};

struct decision_facts {
	/* the client */
	bool exempt;	 /* authenticated, or in exempt_clients */
	bool peer_mx;	 /* its address is any MX host's of the domain, better or worse than us */
	bool persistent; /* came back often enough, for long enough */
	bool persistent_long; /* and for four hours */
	/* the domain */
	enum domain_state state;
	bool recovering;   /* up, and lately down or sick */
	bool senders_up;   /* a better public MX exists and one of its addresses is up (P8) */
	bool down_long;	   /* down for unknown_accept_after */
	bool would_bounce; /* it answers all the same, in a way that has our MTA bounce at once what
			      was taken */
	/* the recipient */
	enum recipient_status recipient;
	bool asked; /* row 9's question has been asked: its answer, or none, is in `recipient` */
	/* what the administrator wants */
	struct decision_policy policy;
};

enum decision_action {
	DECISION_CONTINUE, /* say nothing */
	DECISION_ACCEPT,   /* say nothing, and tag */
	DECISION_DEFER,
	DECISION_REJECT,
	DECISION_ASK, /* ask the primary in line, then decide again with `asked` */
};

enum decision_reason {
	REASON_EXEMPT,
	REASON_NOT_OURS,
	REASON_NOT_BACKUP,
	REASON_INVALID_RECIPIENT,
	REASON_PRIMARY_SICK,
	REASON_PRIMARY_DOWN,
	REASON_CATCH_ALL,
	REASON_UNKNOWN_RECIPIENT,
	REASON_PERSISTENT_SENDER,
	REASON_RECOVERING,
	REASON_PEER_MX,
	REASON_NO_BETTER_MX,
	REASON_POLICY,
	REASON_UNVERIFIED,
	REASON_PRIMARY_UP,
	DECISION_REASON_COUNT
};

struct verdict {
	int row; /* 1 to 10: the row of DESIGN's table that matched */
	enum decision_action action;
	enum decision_reason reason;
	bool no_bounce;	   /* accepted, but a later refusal must make no bounce (NOTIFY=NEVER) */
	int code;	   /* 450, 451, 550; 0 when nothing is said */
	const char *xcode; /* "4.3.2", ...; NULL when nothing is said */
	const char *text;  /* behind "<RCPT>: "; NULL when nothing is said */
};

struct verdict decision_make(const struct decision_facts *facts);

/* Whether some facts end in that action for that reason. */
bool decision_may_end(enum decision_action action, enum decision_reason reason);

/* True when the primary counts as up, respectively down, for the table. */
bool domain_state_is_up(enum domain_state state);
bool domain_state_is_down(enum domain_state state);

const char *domain_state_name(enum domain_state state);
const char *recipient_status_name(enum recipient_status status);
const char *decision_action_name(enum decision_action action);
const char *decision_reason_name(enum decision_reason reason);

#endif
