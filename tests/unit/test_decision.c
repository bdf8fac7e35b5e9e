/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decision against its table (data/decision.table), and against its promises over every
 * combination of facts.
 */
#include "core/decision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the table ---- */

static const struct {
	const char *word;
	enum domain_state state;
} state_words[] = {
	{ "not-ours", DOMAIN_NOT_OURS },   { "not-backup", DOMAIN_NOT_BACKUP },
	{ "unknown", DOMAIN_UNKNOWN },	   { "up", DOMAIN_UP },
	{ "sick", DOMAIN_SICK },	   { "down", DOMAIN_DOWN },
	{ "forced-up", DOMAIN_FORCED_UP }, { "forced-down", DOMAIN_FORCED_DOWN },
};

static const struct {
	const char *word;
	enum recipient_status status;
} recipient_words[] = {
	{ "valid", RECIPIENT_VALID },
	{ "invalid", RECIPIENT_INVALID },
	{ "catch-all", RECIPIENT_CATCH_ALL },
	{ "stranger", RECIPIENT_UNKNOWN },
};

static bool take_flag(struct decision_facts *facts, const char *word)
{
	const struct {
		const char *word;
		bool *flag;
		bool value;
	} flags[] = {
		{ "exempt", &facts->exempt, true },
		{ "peer-mx", &facts->peer_mx, true },
		{ "persistent", &facts->persistent, true },
		{ "persistent-long", &facts->persistent_long, true },
		{ "recovering", &facts->recovering, true },
		{ "no-better-mx", &facts->senders_up, false },
		{ "down-long", &facts->down_long, true },
		{ "would-bounce", &facts->would_bounce, true },
		{ "asked", &facts->asked, true },
	};

	for (size_t i = 0; i < COUNT(flags); i++) {
		if (strcmp(word, flags[i].word) == 0) {
			*flags[i].flag = flags[i].value;
			return true;
		}
	}
	return false;
}

static bool take_policy(struct decision_policy *policy, const char *word)
{
	static const struct {
		const char *word;
		struct decision_policy policy;
		size_t offset;
	} words[] = {
		{ "when_up=accept", { .when_up = WHEN_UP_ACCEPT }, 0 },
		{ "when_invalid=defer", { .when_invalid = WHEN_INVALID_DEFER }, 1 },
		{ "when_unknown=defer", { .when_unknown = WHEN_UNKNOWN_DEFER }, 2 },
		{ "when_unknown=accept", { .when_unknown = WHEN_UNKNOWN_ACCEPT }, 2 },
		{ "when_unknown=accept_no_bounce",
		  { .when_unknown = WHEN_UNKNOWN_ACCEPT_NO_BOUNCE },
		  2 },
		{ "when_catch_all=accept_no_bounce",
		  { .when_catch_all = WHEN_CATCH_ALL_ACCEPT_NO_BOUNCE },
		  3 },
		{ "when_catch_all=defer", { .when_catch_all = WHEN_CATCH_ALL_DEFER }, 3 },
	};

	for (size_t i = 0; i < COUNT(words); i++) {
		if (strcmp(word, words[i].word) != 0)
			continue;
		if (words[i].offset == 0)
			policy->when_up = words[i].policy.when_up;
		else if (words[i].offset == 1)
			policy->when_invalid = words[i].policy.when_invalid;
		else if (words[i].offset == 2)
			policy->when_unknown = words[i].policy.when_unknown;
		else
			policy->when_catch_all = words[i].policy.when_catch_all;
		return true;
	}
	return false;
}

static bool take_fact(struct decision_facts *facts, const char *word)
{
	for (size_t i = 0; i < COUNT(state_words); i++) {
		if (strcmp(word, state_words[i].word) == 0) {
			facts->state = state_words[i].state;
			return true;
		}
	}
	for (size_t i = 0; i < COUNT(recipient_words); i++) {
		if (strcmp(word, recipient_words[i].word) == 0) {
			facts->recipient = recipient_words[i].status;
			return true;
		}
	}
	return take_flag(facts, word) || take_policy(&facts->policy, word);
}

/* The verdict in the words of the table. */
static void describe(const struct verdict *verdict, char *out, size_t size)
{
	int length =
		snprintf(out, size, "%d %s %s", verdict->row, decision_action_name(verdict->action),
			 decision_reason_name(verdict->reason));

	if (verdict->code != 0)
		length += snprintf(out + length, size - (size_t)length, " %d %s", verdict->code,
				   verdict->xcode);
	if (verdict->no_bounce)
		snprintf(out + length, size - (size_t)length, " no-bounce");
}

static void check_line(char *line, int number)
{
	struct decision_facts facts = { .senders_up = true };
	char *wanted = strstr(line, "=>");
	char seen[256];
	char whole[512];
	char *rest = line;
	char *word;
	struct verdict verdict;

	snprintf(whole, sizeof(whole), "%s", line);
	if (wanted == NULL)
		fail_msg("line %d has no \"=>\": %s", number, line);
	*wanted = '\0';
	wanted += 2 + strspn(wanted + 2, " ");
	while ((word = strtok_r(rest, " ", &rest)) != NULL)
		if (!take_fact(&facts, word))
			fail_msg("line %d: no such fact: %s", number, word);
	verdict = decision_make(&facts);
	describe(&verdict, seen, sizeof(seen));
	if (strcmp(seen, wanted) != 0)
		fail_msg("line %d: %s\n  decided: %s", number, whole, seen);
}

static void test_table(void **state)
{
	FILE *file = fopen(TEST_DATA_DIR "/decision.table", "r");
	char line[512];
	int number = 0;
	int rows = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		number++;
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		check_line(line, number);
		rows++;
	}
	fclose(file);
	assert_true(rows >= 80);
}

/* ---- the sweep ---- */

/* Counts through all combinations: each call takes the next few bits. */
static unsigned take(unsigned long *number, unsigned choices)
{
	unsigned choice = (unsigned)(*number % choices);

	*number /= choices;
	return choice;
}

static struct decision_facts facts_of(unsigned long number)
{
	struct decision_facts facts = {
		.exempt = take(&number, 2),
		.peer_mx = take(&number, 2),
		.persistent = take(&number, 2),
		.persistent_long = take(&number, 2),
		.recovering = take(&number, 2),
		.senders_up = take(&number, 2),
		.down_long = take(&number, 2),
		.would_bounce = take(&number, 2),
		.asked = take(&number, 2),
		.state = (enum domain_state)take(&number, DOMAIN_STATE_COUNT),
		.recipient = (enum recipient_status)take(&number, RECIPIENT_STATUS_COUNT),
	};

	facts.policy.when_up = (enum when_up)take(&number, 2);
	facts.policy.when_invalid = (enum when_invalid)take(&number, 2);
	facts.policy.when_unknown = (enum when_unknown)take(&number, 4);
	facts.policy.when_catch_all = (enum when_catch_all)take(&number, 3);
	return facts;
}

#define COMBINATIONS (512UL * DOMAIN_STATE_COUNT * RECIPIENT_STATUS_COUNT * 2 * 2 * 4 * 3)

static void each_combination(void (*check)(const struct decision_facts *facts,
					   const struct verdict *verdict))
{
	for (unsigned long i = 0; i < COMBINATIONS; i++) {
		struct decision_facts facts = facts_of(i);
		struct verdict verdict = decision_make(&facts);

		check(&facts, &verdict);
	}
}

static void check_codes(const struct decision_facts *facts, const struct verdict *verdict)
{
	(void)facts;
	switch (verdict->action) {
	case DECISION_DEFER:
		assert_in_range(verdict->code, 400, 499);
		assert_int_equal(verdict->xcode[0], '4');
		assert_non_null(verdict->text);
		break;
	case DECISION_REJECT:
		assert_in_range(verdict->code, 500, 599);
		assert_int_equal(verdict->xcode[0], '5');
		assert_non_null(verdict->text);
		break;
	default:
		assert_int_equal(verdict->code, 0);
		assert_null(verdict->xcode);
		assert_null(verdict->text);
	}
	assert_in_range(verdict->row, 1, 10);
}

/* P2: nothing but a confirmed "no such user" becomes a 5xx. */
static void check_p2(const struct decision_facts *facts, const struct verdict *verdict)
{
	if (verdict->action == DECISION_REJECT || verdict->code >= 500)
		assert_int_equal(facts->recipient, RECIPIENT_INVALID);
}

/* P3: the network is waited for in one row only, and once. */
static void check_p3(const struct decision_facts *facts, const struct verdict *verdict)
{
	if (verdict->action != DECISION_ASK)
		return;
	assert_int_equal(verdict->row, 9);
	assert_false(facts->asked);
	assert_true(domain_state_is_up(facts->state));
	assert_int_equal(facts->recipient, RECIPIENT_UNKNOWN);
}

/* P4: a sender who came back often enough is let in while the primary is up, if we know or learn
 * that the recipient exists, and in the end even if not. */
static void check_p4(const struct decision_facts *facts, const struct verdict *verdict)
{
	if (facts->exempt || !facts->persistent || !domain_state_is_up(facts->state))
		return;
	if (facts->recipient == RECIPIENT_VALID || facts->recipient == RECIPIENT_CATCH_ALL)
		assert_int_equal(verdict->action, DECISION_ACCEPT);
	if (facts->recipient == RECIPIENT_UNKNOWN && facts->asked && facts->persistent_long)
		assert_int_equal(verdict->action, DECISION_ACCEPT);
}

/* P5: clients and domains that are none of our business are left alone; nothing else is "continue".
 */
static void check_p5(const struct decision_facts *facts, const struct verdict *verdict)
{
	bool alone = facts->exempt || facts->state == DOMAIN_NOT_OURS ||
		     facts->state == DOMAIN_NOT_BACKUP;

	assert_int_equal(verdict->action == DECISION_CONTINUE, alone);
}

/* P8: "go to the primary" only where there is a better public MX that is up. */
static void check_p8(const struct decision_facts *facts, const struct verdict *verdict)
{
	if (verdict->reason != REASON_PRIMARY_UP)
		return;
	assert_true(facts->senders_up);
	assert_true(domain_state_is_up(facts->state));
	assert_false(facts->persistent);
	assert_false(facts->recovering);
	assert_false(facts->peer_mx);
}

/* Mail that the primary would refuse is never taken. */
static void check_sick(const struct decision_facts *facts, const struct verdict *verdict)
{
	if (facts->state == DOMAIN_SICK && !facts->exempt)
		assert_int_not_equal(verdict->action, DECISION_ACCEPT);
	if (facts->would_bounce && domain_state_is_down(facts->state) && !facts->exempt)
		assert_int_not_equal(verdict->action, DECISION_ACCEPT);
	if (facts->recipient == RECIPIENT_INVALID)
		assert_int_not_equal(verdict->action, DECISION_ACCEPT);
}

static void test_every_reply_has_its_code(void **state)
{
	(void)state;
	each_combination(check_codes);
}

static bool ends[DECISION_ASK + 1][DECISION_REASON_COUNT];

static void note_end(const struct decision_facts *facts, const struct verdict *verdict)
{
	(void)facts;
	ends[verdict->action][verdict->reason] = true;
}

/* The metrics show each way in which a decision can end from the start, and no other. */
static void test_every_end_is_known(void **state)
{
	(void)state;
	each_combination(note_end);
	for (size_t action = 0; action < DECISION_ASK; action++)
		for (size_t reason = 0; reason < DECISION_REASON_COUNT; reason++)
			assert_int_equal(decision_may_end((enum decision_action)action,
							  (enum decision_reason)reason),
					 ends[action][reason]);
}

static void test_p2_no_5xx_without_a_confirmed_invalid(void **state)
{
	(void)state;
	each_combination(check_p2);
}

static void test_p3_only_row_9_asks(void **state)
{
	(void)state;
	each_combination(check_p3);
}

static void test_p4_persistent_senders_get_in(void **state)
{
	(void)state;
	each_combination(check_p4);
}

static void test_p5_exempt_and_foreign_are_left_alone(void **state)
{
	(void)state;
	each_combination(check_p5);
}

static void test_p8_nobody_is_sent_where_nothing_better_is(void **state)
{
	(void)state;
	each_combination(check_p8);
}

static void test_nothing_is_taken_that_would_bounce(void **state)
{
	(void)state;
	each_combination(check_sick);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_every_reply_has_its_code),
		cmocka_unit_test(test_every_end_is_known),
		cmocka_unit_test(test_p2_no_5xx_without_a_confirmed_invalid),
		cmocka_unit_test(test_p3_only_row_9_asks),
		cmocka_unit_test(test_p4_persistent_senders_get_in),
		cmocka_unit_test(test_p5_exempt_and_foreign_are_left_alone),
		cmocka_unit_test(test_p8_nobody_is_sent_where_nothing_better_is),
		cmocka_unit_test(test_nothing_is_taken_that_would_bounce),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
