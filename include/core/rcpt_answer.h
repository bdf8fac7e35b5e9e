/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a primary's answer to RCPT TO means for the recipient: DESIGN section 4, in one place.
 *
 * The harm of reading "no such user" where there is one is a bounced mail; the harm of missing it
 * is a delay. So everything that is not clearly about the mailbox is no answer. Pure; any thread.
 */
#ifndef BACKUPMX_CORE_RCPT_ANSWER_H
#define BACKUPMX_CORE_RCPT_ANSWER_H

#include "core/canary.h"
#include "core/smtp_reply.h"

enum rcpt_answer {
	RCPT_ANSWER_VALID,	   /* 2xx, or mailbox full (5.2.2, 4.2.2) */
	RCPT_ANSWER_REFUSED_CODE,  /* a 5xx with an enhanced code that means this
				      mailbox: 5.1.1 5.1.6 5.1.10 */
	RCPT_ANSWER_REFUSED_WORDS, /* no enhanced code, but a phrase that means the mailbox, or
				      Microsoft's "550 5.4.1 Recipient address rejected" from its
				      own host */
	RCPT_ANSWER_REFUSED_BARE, /* 550/551/553 with neither code nor phrase nor words of policy */
	RCPT_ANSWER_LATER,	  /* 4xx: greylisting, rate limits, trouble */
	RCPT_ANSWER_NONE,	  /* everything else: policy, protocol, us */
};

/* `endpoint_host` is the name the primary was reached by or greeted with ("" when unknown). */
enum rcpt_answer rcpt_answer_read(const struct smtp_reply *reply, const char *endpoint_host);

/* What is kept of it, once it is known whether a control (a known-valid recipient of that domain)
 * was accepted in the same session. */
enum rcpt_control {
	RCPT_CONTROL_NONE,     /* no control is known for this domain */
	RCPT_CONTROL_ACCEPTED, /* the control got 2xx in the same session */
	RCPT_CONTROL_FAILED,   /* it was refused or got a 4xx: the answer counts for nothing */
};

enum rcpt_verdict {
	RCPT_VERDICT_VALID,
	RCPT_VERDICT_INVALID,
	RCPT_VERDICT_INVALID_BRIEFLY, /* kept 10 minutes at most: an enhanced code without a control
				       */
	RCPT_VERDICT_LATER,
	RCPT_VERDICT_NONE,
};

enum rcpt_verdict rcpt_verdict_of(enum rcpt_answer answer, enum rcpt_control control);

/* True when the answer is a refusal of any kind that a control would have to confirm. */
bool rcpt_answer_is_refusal(enum rcpt_answer answer);

/* What the reply to a canary's MAIL (a 4xx or 5xx) or RCPT means: here every refusal counts, for
 * our MTA would bounce on it whatever it says. */
enum canary_answer rcpt_answer_of_canary(const struct smtp_reply *reply);

const char *rcpt_verdict_name(enum rcpt_verdict verdict); /* "valid" "invalid" "later" "none" */

#endif
