/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a RCPT to a verdict: gathers the facts, has the table decide, asks the primary in line where
 * the table says so (row 9). The mail sessions and `backupmxctl explain` both come here. Any
 * thread.
 */
#ifndef BACKUPMX_MTA_JUDGE_H
#define BACKUPMX_MTA_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/decision.h"
#include "core/mail_address.h"
#include "mta/gate.h"

struct judge_request {
	const struct config *config; /* the message's */
	struct ip client;
	const char *client_name; /* verified, or "" */
	bool authenticated;
	bool from_sendmail;    /* the MTA that asks */
	const char *sender;    /* as typed */
	const char *recipient; /* as typed */
	const char *mailer;    /* {rcpt_mailer}; NULL: not told */
	const char *next_hop;  /* {rcpt_host}; NULL: not told */
	uint64_t drill;	       /* that the message has claimed (mta/drills.h); 0: none */
	/* Milliseconds that this message may still wait; what is used up is taken off. NULL: look
	 * only, wait for nothing, count and learn nothing. */
	int64_t *wait_left_ms;
};

struct judgement {
	struct mail_address recipient;
	char domain[MAIL_DOMAIN_MAX + 1];     /* A-label; "" when there is none */
	const struct config_domain *settings; /* NULL: not ours */
	bool drill; /* the recipient of a fire drill: nobody is exempt, and the domain is down */
	struct domain_view view;
	struct recipient_found found;
	struct sender_standing standing;
	struct decision_facts facts;
	struct verdict verdict;
};

/* The primary is asked for the recipient in the background, after the answer. */
bool judgement_learns(const struct judgement *judgement);

void judge(struct gate *gate, const struct judge_request *request, struct judgement *judgement);

#endif
