/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decision table of DESIGN section 5. Read decision_make() from the top: the first row that
 * matches wins. Pure; any thread.
 *
 * tests/unit/data/decision.table holds one requirement per line against it, and
 * tests/unit/test_decision.c sweeps all combinations of facts for the promises.
 */
#include "core/decision.h"

/* What is said to the client; "<RCPT>: " goes before it and " (id XXXXXXXX)" behind it. */
static const char text_no_such_user[] = "no such user at the primary MX";
static const char text_sick[] = "primary MX is not in order, try again later";
static const char text_unreachable[] =
	"primary MX is unreachable and this recipient is not known here yet";
static const char text_unverified[] = "recipient not verified yet";
static const char text_up[] = "primary MX is available, please deliver there";

static struct verdict verdict_silent(int row, enum decision_action action,
				     enum decision_reason reason)
{
	return (struct verdict){ .row = row, .action = action, .reason = reason };
}

static struct verdict verdict_defer(int row, enum decision_reason reason, int code,
				    const char *xcode, const char *text)
{
	return (struct verdict){ .row = row,
				 .action = DECISION_DEFER,
				 .reason = reason,
				 .code = code,
				 .xcode = xcode,
				 .text = text };
}

static struct verdict row_invalid(const struct decision_facts *facts)
{
	if (facts->policy.when_invalid == WHEN_INVALID_DEFER)
		return verdict_defer(3, REASON_INVALID_RECIPIENT, 450, "4.1.1", text_no_such_user);
	return (struct verdict){ .row = 3,
				 .action = DECISION_REJECT,
				 .reason = REASON_INVALID_RECIPIENT,
				 .code = 550,
				 .xcode = "5.1.1",
				 .text = text_no_such_user };
}

static struct verdict row_catch_all(const struct decision_facts *facts)
{
	struct verdict verdict = verdict_silent(6, DECISION_ACCEPT, REASON_CATCH_ALL);

	switch (facts->policy.when_catch_all) {
	case WHEN_CATCH_ALL_DEFER:
		return verdict_defer(6, REASON_CATCH_ALL, 451, "4.4.1", text_unreachable);
	case WHEN_CATCH_ALL_ACCEPT_NO_BOUNCE:
		verdict.no_bounce = true;
		break;
	case WHEN_CATCH_ALL_ACCEPT:
		break;
	}
	return verdict;
}

static struct verdict row_unknown(const struct decision_facts *facts)
{
	struct verdict accept = verdict_silent(7, DECISION_ACCEPT, REASON_UNKNOWN_RECIPIENT);

	switch (facts->policy.when_unknown) {
	case WHEN_UNKNOWN_ACCEPT:
		return accept;
	case WHEN_UNKNOWN_ACCEPT_NO_BOUNCE:
		accept.no_bounce = true;
		return accept;
	case WHEN_UNKNOWN_DEFER_THEN_ACCEPT:
		if (facts->down_long && facts->persistent)
			return verdict_silent(7, DECISION_ACCEPT, REASON_PERSISTENT_SENDER);
		break;
	case WHEN_UNKNOWN_DEFER:
		break;
	}
	return verdict_defer(7, REASON_UNKNOWN_RECIPIENT, 451, "4.4.1", text_unreachable);
}

/* What is taken would come back as a bounce. */
static bool is_sick(const struct decision_facts *facts)
{
	return facts->state == DOMAIN_SICK ||
	       (facts->would_bounce && domain_state_is_down(facts->state));
}

/* Why a sender is not sent on to a primary that is up; false when nothing speaks against it. */
static bool reason_to_keep(const struct decision_facts *facts, enum decision_reason *reason)
{
	if (facts->persistent)
		*reason = REASON_PERSISTENT_SENDER;
	else if (facts->recovering)
		*reason = REASON_RECOVERING;
	else if (facts->peer_mx)
		*reason = REASON_PEER_MX;
	else if (!facts->senders_up)
		*reason = REASON_NO_BETTER_MX;
	else if (facts->policy.when_up == WHEN_UP_ACCEPT)
		*reason = REASON_POLICY;
	else
		return false;
	return true;
}

static struct verdict row_unverified(const struct decision_facts *facts)
{
	if (!facts->asked)
		return verdict_silent(9, DECISION_ASK, REASON_UNVERIFIED);
	if (facts->persistent_long)
		return verdict_silent(9, DECISION_ACCEPT, REASON_PERSISTENT_SENDER);
	return verdict_defer(9, REASON_UNVERIFIED, 450, "4.1.1", text_unverified);
}

struct verdict decision_make(const struct decision_facts *facts)
{
	const enum recipient_status recipient = facts->recipient;
	enum decision_reason keep;

	if (facts->exempt)
		return verdict_silent(1, DECISION_CONTINUE, REASON_EXEMPT);
	if (facts->state == DOMAIN_NOT_OURS)
		return verdict_silent(2, DECISION_CONTINUE, REASON_NOT_OURS);
	if (facts->state == DOMAIN_NOT_BACKUP)
		return verdict_silent(2, DECISION_CONTINUE, REASON_NOT_BACKUP);
	if (recipient == RECIPIENT_INVALID)
		return row_invalid(facts);
	if (is_sick(facts))
		return verdict_defer(4, REASON_PRIMARY_SICK, 451, "4.3.0", text_sick);
	if (domain_state_is_down(facts->state)) {
		if (recipient == RECIPIENT_VALID)
			return verdict_silent(5, DECISION_ACCEPT, REASON_PRIMARY_DOWN);
		if (recipient == RECIPIENT_CATCH_ALL)
			return row_catch_all(facts);
		return row_unknown(facts);
	}
	if (reason_to_keep(facts, &keep)) {
		if (recipient == RECIPIENT_VALID || recipient == RECIPIENT_CATCH_ALL)
			return verdict_silent(8, DECISION_ACCEPT, keep);
		return row_unverified(facts);
	}
	return verdict_defer(10, REASON_PRIMARY_UP, 451, "4.3.2", text_up);
}

bool decision_may_end(enum decision_action action, enum decision_reason reason)
{
	switch (reason) {
	case REASON_EXEMPT:
	case REASON_NOT_OURS:
	case REASON_NOT_BACKUP:
		return action == DECISION_CONTINUE;
	case REASON_INVALID_RECIPIENT:
		return action == DECISION_REJECT || action == DECISION_DEFER;
	case REASON_CATCH_ALL:
	case REASON_UNKNOWN_RECIPIENT:
		return action == DECISION_ACCEPT || action == DECISION_DEFER;
	case REASON_PRIMARY_SICK:
	case REASON_PRIMARY_UP:
	case REASON_UNVERIFIED:
		return action == DECISION_DEFER;
	default:
		return action == DECISION_ACCEPT;
	}
}

bool domain_state_is_up(enum domain_state state)
{
	return state == DOMAIN_UP || state == DOMAIN_FORCED_UP;
}

bool domain_state_is_down(enum domain_state state)
{
	return state == DOMAIN_DOWN || state == DOMAIN_UNKNOWN || state == DOMAIN_FORCED_DOWN;
}

const char *domain_state_name(enum domain_state state)
{
	static const char *const names[] = {
		[DOMAIN_NOT_OURS] = "not-ours",	  [DOMAIN_NOT_BACKUP] = "not-backup",
		[DOMAIN_UNKNOWN] = "unknown",	  [DOMAIN_UP] = "up",
		[DOMAIN_SICK] = "sick",		  [DOMAIN_DOWN] = "down",
		[DOMAIN_FORCED_UP] = "forced-up", [DOMAIN_FORCED_DOWN] = "forced-down",
	};

	return names[state];
}

const char *recipient_status_name(enum recipient_status status)
{
	static const char *const names[] = {
		[RECIPIENT_UNKNOWN] = "unknown",
		[RECIPIENT_VALID] = "valid",
		[RECIPIENT_INVALID] = "invalid",
		[RECIPIENT_CATCH_ALL] = "catch-all",
	};

	return names[status];
}

const char *decision_action_name(enum decision_action action)
{
	static const char *const names[] = {
		[DECISION_CONTINUE] = "continue", [DECISION_ACCEPT] = "accept",
		[DECISION_DEFER] = "defer",	  [DECISION_REJECT] = "reject",
		[DECISION_ASK] = "ask",
	};

	return names[action];
}

const char *decision_reason_name(enum decision_reason reason)
{
	static const char *const names[] = {
		[REASON_EXEMPT] = "exempt",
		[REASON_NOT_OURS] = "not-ours",
		[REASON_NOT_BACKUP] = "not-backup",
		[REASON_INVALID_RECIPIENT] = "invalid-recipient",
		[REASON_PRIMARY_SICK] = "primary-sick",
		[REASON_PRIMARY_DOWN] = "primary-down",
		[REASON_CATCH_ALL] = "catch-all",
		[REASON_UNKNOWN_RECIPIENT] = "unknown-recipient",
		[REASON_PERSISTENT_SENDER] = "persistent-sender",
		[REASON_RECOVERING] = "recovering",
		[REASON_PEER_MX] = "peer-mx",
		[REASON_NO_BETTER_MX] = "no-better-mx",
		[REASON_POLICY] = "policy",
		[REASON_UNVERIFIED] = "unverified",
		[REASON_PRIMARY_UP] = "primary-up",
	};

	return names[reason];
}
