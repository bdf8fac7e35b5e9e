/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one place that knows what an answer to RCPT means. The lists are short on purpose: a phrase
 * or code belongs here only when it can mean nothing but "there is no such mailbox". Pure; any
 * thread.
 */
#include "core/rcpt_answer.h"

#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const mailbox_phrases[] = {
	"user unknown",		  "unknown user",	 "no such user",      "no such recipient",
	"no such mailbox",	  "no mailbox here",	 "recipient unknown", "unknown recipient",
	"recipient not found",	  "address unknown",	 "unknown address",   "mailbox not found",
	"mailbox unavailable",	  "unrouteable address", "invalid recipient", "user not found",
	"account does not exist", "does not exist",
};

static const char *const policy_words[] = {
	"relay", "block", "spam", "policy", "sender", "denied", "blacklist",
};

/* What a refusal in plain words may be about although somebody is there: a full or locked mailbox,
 * our null sender, our address, our pace. Seen in the field beside phrases of the first list. */
static const char *const other_matters[] = {
	"bounce",   "null sender", "returned mail", "quota",	  "is full",	    "mailbox full",
	"suspend",  "disabled",	   "locked",	    "black list", "is listed",	    "listed at",
	"greylist", "grey list",   "try again",	    "too many",	  "not allowed to", "authenticat",
	"prohibit", "callback",	   "helo",	    "domain of",  "access denied",
};

static bool has_any(const char *text, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(list[i]);

		for (const char *c = text; *c != '\0'; c++)
			if (strncasecmp(c, list[i], length) == 0)
				return true;
	}
	return false;
}

static bool is_code(const struct smtp_enhanced *enhanced, unsigned subject, unsigned detail)
{
	return enhanced->class != 0 && enhanced->subject == subject && enhanced->detail == detail;
}

/* 5.1.1: no such mailbox. 5.1.6: it has moved away. 5.1.10: it is none, by Exchange. Another class
 * contradicts the reply's code: such a host says nothing that could be relied on. */
static bool is_mailbox_code(const struct smtp_enhanced *enhanced)
{
	if (enhanced->class != 5)
		return false;
	return is_code(enhanced, 1, 1) || is_code(enhanced, 1, 6) || is_code(enhanced, 1, 10);
}

static bool is_microsoft_edge(const char *host)
{
	static const char domain[] = ".mail.protection.outlook.com";
	size_t length = host != NULL ? strlen(host) : 0;

	if (length > 0 && host[length - 1] == '.')
		length--;
	return length > sizeof(domain) - 1 &&
	       strncasecmp(host + length - (sizeof(domain) - 1), domain, sizeof(domain) - 1) == 0;
}

/* Microsoft 365 says of a mailbox that isn't there what it also could say of a policy, by these
 * very words; nobody else does. */
static bool is_microsoft_refusal(const struct smtp_reply *reply, const char *endpoint_host)
{
	static const char words[] = "Recipient address rejected";

	return reply->code == 550 && reply->enhanced.class == 5 &&
	       is_code(&reply->enhanced, 4, 1) &&
	       strncasecmp(reply->text, words, sizeof(words) - 1) == 0 &&
	       is_microsoft_edge(endpoint_host);
}

static bool mentions_any(const struct smtp_reply *reply, const char *const *list, size_t count)
{
	return has_any(reply->text, list, count) || has_any(reply->first, list, count) ||
	       has_any(reply->between, list, count);
}

static enum rcpt_answer read_without_code(const struct smtp_reply *reply)
{
	if (has_any(reply->text, other_matters, COUNT(other_matters)))
		return RCPT_ANSWER_NONE;
	if (has_any(reply->text, mailbox_phrases, COUNT(mailbox_phrases)))
		return RCPT_ANSWER_REFUSED_WORDS;
	/* 554 is what hosts say when they refuse for any reason at all. */
	if (reply->code == 554)
		return RCPT_ANSWER_NONE;
	if (mentions_any(reply, policy_words, COUNT(policy_words)) ||
	    mentions_any(reply, other_matters, COUNT(other_matters)))
		return RCPT_ANSWER_NONE;
	return RCPT_ANSWER_REFUSED_BARE;
}

static enum rcpt_answer read_refusal(const struct smtp_reply *reply, const char *endpoint_host)
{
	switch (reply->code) {
	case 550:
	case 551:
	case 553:
	case 554:
		break;
	default:
		return RCPT_ANSWER_NONE;
	}
	if (reply->enhanced.class == 0)
		return read_without_code(reply);
	if (is_mailbox_code(&reply->enhanced))
		return RCPT_ANSWER_REFUSED_CODE;
	if (is_microsoft_refusal(reply, endpoint_host))
		return RCPT_ANSWER_REFUSED_WORDS;
	return RCPT_ANSWER_NONE;
}

/* X.2.2: the mailbox is full, so there is one. */
static bool is_mailbox_full(const struct smtp_reply *reply)
{
	return is_code(&reply->enhanced, 2, 2);
}

enum rcpt_answer rcpt_answer_read(const struct smtp_reply *reply, const char *endpoint_host)
{
	switch (reply->code / 100) {
	case 2:
		return RCPT_ANSWER_VALID;
	case 4:
		return is_mailbox_full(reply) ? RCPT_ANSWER_VALID : RCPT_ANSWER_LATER;
	case 5:
		if (is_mailbox_full(reply))
			return RCPT_ANSWER_VALID;
		return read_refusal(reply, endpoint_host);
	default:
		return RCPT_ANSWER_NONE;
	}
}

bool rcpt_answer_is_refusal(enum rcpt_answer answer)
{
	return answer == RCPT_ANSWER_REFUSED_CODE || answer == RCPT_ANSWER_REFUSED_WORDS ||
	       answer == RCPT_ANSWER_REFUSED_BARE;
}

static enum rcpt_verdict refusal_verdict(enum rcpt_answer answer, enum rcpt_control control)
{
	switch (control) {
	case RCPT_CONTROL_ACCEPTED:
		return RCPT_VERDICT_INVALID;
	case RCPT_CONTROL_NONE:
		return answer == RCPT_ANSWER_REFUSED_CODE ? RCPT_VERDICT_INVALID_BRIEFLY
							  : RCPT_VERDICT_NONE;
	case RCPT_CONTROL_FAILED:
		break;
	}
	return RCPT_VERDICT_NONE;
}

enum rcpt_verdict rcpt_verdict_of(enum rcpt_answer answer, enum rcpt_control control)
{
	if (rcpt_answer_is_refusal(answer))
		return refusal_verdict(answer, control);
	if (answer == RCPT_ANSWER_VALID)
		return RCPT_VERDICT_VALID;
	return answer == RCPT_ANSWER_LATER ? RCPT_VERDICT_LATER : RCPT_VERDICT_NONE;
}

enum canary_answer rcpt_answer_of_canary(const struct smtp_reply *reply)
{
	if (reply->code >= 400 && is_mailbox_full(reply))
		return CANARY_NO_ANSWER;
	switch (reply->code / 100) {
	case 2:
		return CANARY_ACCEPTED;
	case 4:
		return CANARY_LATER;
	case 5:
		return CANARY_REFUSED;
	default:
		return CANARY_NO_ANSWER;
	}
}

const char *rcpt_verdict_name(enum rcpt_verdict verdict)
{
	switch (verdict) {
	case RCPT_VERDICT_VALID:
		return "valid";
	case RCPT_VERDICT_INVALID:
	case RCPT_VERDICT_INVALID_BRIEFLY:
		return "invalid";
	case RCPT_VERDICT_LATER:
		return "later";
	case RCPT_VERDICT_NONE:
		break;
	}
	return "none";
}
