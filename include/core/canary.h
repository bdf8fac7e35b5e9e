/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is the primary that answers in its right mind? Canaries are recipients it accepted lately, asked
 * for again as part of health; one that refuses them all has lost its users, and what our MTA would
 * deliver there now would bounce (DESIGN section 3: sick).
 *
 * Pure: times are arguments. One owner at a time.
 */
#ifndef BACKUPMX_CORE_CANARY_H
#define BACKUPMX_CORE_CANARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/mail_address.h"

#define CANARY_BIRDS	     3	   /* so many recipients take turns */
#define CANARY_PROOF_SECONDS 86400 /* a refusal counts of one that passed within this time */
#define CANARY_WINDOW_PARTS  12	   /* five minutes each: the last hour's re-asked recipients */

/* What the primary said to one canary. */
enum canary_answer {
	CANARY_ACCEPTED,  /* 2xx to RCPT */
	CANARY_REFUSED,	  /* 5xx to RCPT or MAIL, whatever it says: our mail would bounce */
	CANARY_LATER,	  /* 4xx to them */
	CANARY_NO_ANSWER, /* the session broke before; or the mailbox is full: says nothing */
};

/* What follows from it. */
enum canary_event {
	CANARY_NOTHING,
	CANARY_AGAIN_SOON, /* a refusal or a first good one needs another opinion */
	CANARY_SICK,	   /* it has become sick now */
	CANARY_WELL,	   /* it has recovered now */
};

struct canary_rules {
	int64_t rise; /* good canaries in a row that end a sickness */
	int64_t fall; /* 4xx in a row that begin one */
};

/* The two clocks of a domain. */
struct canary_time {
	int64_t now; /* seconds since 1970 */
	int64_t up;  /* observed up, seconds */
};

struct canary_bird {
	char local[MAIL_LOCAL_MAX + 1]; /* "": a free place */
	bool passed;
	int64_t passed_up; /* when, by the observed-up clock */
	bool refused;	   /* since then */
};

struct canary_window_part {
	int64_t begins; /* seconds since 1970 */
	int64_t asked, turned;
};

struct canary {
	struct canary_bird birds[CANARY_BIRDS];
	size_t turn; /* whose turn it is */
	bool sick;
	int64_t refusals;    /* in a row */
	int64_t laters;	     /* in a row */
	int64_t goods;	     /* in a row, while sick */
	int64_t last_good;   /* seconds since 1970; 0: never */
	int64_t doubt_since; /* while sick: refusals learned since then mean nothing */
	struct canary_window_part window[CANARY_WINDOW_PARTS];
};

/* Whom to ask next; NULL when there is nobody. They take turns. While a refusal needs another
 * opinion, or `to_count` wants one that would count, those who passed lately go before the others,
 * and among them who wasn't refused since. */
const struct canary_bird *canary_next(struct canary *canary, const struct canary_time *time,
				      bool to_count);

/* A free place may be taken by a recipient that is likely to exist; until it has passed once its
 * refusal proves nothing. False when there is no place, or it sits there already. */
bool canary_has_place(const struct canary *canary);
bool canary_adopt(struct canary *canary, const char *local);

/* Takes the answer to a canary that canary_next() gave. */
enum canary_event canary_feed(struct canary *canary, const char *local, enum canary_answer answer,
			      const struct canary_rules *rules, const struct canary_time *time);

/* A recipient of the domain was accepted that somebody asked about (not a role, not of a
 * catch-all): as good as a good canary, and it takes a free place. */
enum canary_event canary_saw_accepted(struct canary *canary, const char *local,
				      const struct canary_rules *rules,
				      const struct canary_time *time);

/* A recipient that counted as valid was asked again. More than 5 and more than 20 % of them turning
 * invalid within an hour is a sickness, too. */
enum canary_event canary_saw_reasked(struct canary *canary, bool turned_invalid,
				     const struct canary_time *time);

/* True when a refusal by this domain would count: someone passed within CANARY_PROOF_SECONDS. */
bool canary_can_tell(const struct canary *canary, const struct canary_time *time);

#endif
