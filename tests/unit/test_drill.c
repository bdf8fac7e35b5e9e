/* SPDX-License-Identifier: BSD-2-Clause */
/* Tokens as MAIL brings them, and what a drill's message may and may not do to its drill. */
#include "core/drill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define TOKEN "00112233445566778899aabbccddeeff"
#define OTHER "00112233445566778899aabbccddeefe"

static const struct verdict accepted = { .row = 5,
					 .action = DECISION_ACCEPT,
					 .reason = REASON_PRIMARY_DOWN };
static const struct verdict deferred = { .row = 7, .action = DECISION_DEFER, .code = 451 };

/* ---- the token ---- */

static void test_token(void **state)
{
	static const struct {
		const char *parameter;
		bool found;
	} cases[] = {
		{ "ENVID=drill-" TOKEN, true },
		{ "envid=drill-" TOKEN, true },
		{ "EnvId=drill-" TOKEN, true },
		/* xtext: any character may be written as its number, in upper case */
		{ "ENVID=drill+2D" TOKEN, true },
		{ "ENVID=+64+72+69+6C+6C-0011223344556677889+39aabbccddeeff", true },
		{ "ENVID=drill+2d" TOKEN, false },
		{ "ENVID=drill+2", false },
		{ "ENVID=drill+", false },
		{ "ENVID=drill-+", false },
		{ "ENVID=Drill-" TOKEN, false },
		{ "ENVID=drill-" TOKEN "0", false },
		{ "ENVID=drill-" TOKEN "+00", false },
		{ "ENVID=drill-" TOKEN " ", false },
		{ "ENVID=drill-0011223344556677889", false },
		{ "ENVID=drill-00112233445566778899AABBCCDDEEFF", false },
		{ "ENVID=drill-g0112233445566778899aabbccddeeff", false },
		{ "ENVID=drill-", false },
		{ "ENVID=", false },
		{ "ENVID", false },
		{ "XENVID=drill-" TOKEN, false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const parameters[] = { "SIZE=100", cases[i].parameter, "BODY=8BITMIME",
						   NULL };
		char token[DRILL_TOKEN_LENGTH + 1] = "";

		if (drill_token_in(parameters, token) != cases[i].found)
			fail_msg("%s", cases[i].parameter);
		if (cases[i].found)
			assert_string_equal(token, TOKEN);
	}
	assert_false(drill_token_in((const char *const[]){ NULL }, (char[40]){ 0 }));
}

/* ---- a drill ---- */

static struct drill_order order_of(const char *token, bool hold)
{
	struct drill_order order = { .domain = "example.test", .local = "alice", .hold = hold };

	text_copy(order.token, sizeof(order.token), token);
	return order;
}

static struct drill *begun(struct drill_table *table, bool hold)
{
	struct drill_order order = order_of(TOKEN, hold);

	memset(table, 0, sizeof(*table));
	return drill_table_add(table, &order, 0);
}

static void decide(struct drill *drill, struct verdict verdict, bool shadow)
{
	struct drill_decision decision = { .verdict = verdict, .shadow = shadow };

	drill_decide(drill, &decision);
}

/* As far as its end, taken by the milter. */
static struct drill *at_end(struct drill_table *table, bool hold)
{
	struct drill *drill = begun(table, hold);

	assert_int_equal(drill_claim(drill, true, true, 10), DRILL_FITS);
	assert_int_equal(drill_admit(drill, "example.test", "alice"), DRILL_FITS);
	decide(drill, accepted, false);
	return drill;
}

static bool take(struct drill *drill, bool can_hold)
{
	struct drill_changes changes = { .held = can_hold, .tag = "accepted", .queue_id = "4Q1" };

	drill_take(drill, &changes);
	return changes.held;
}

static void test_life(void **state)
{
	struct drill_table table;
	struct drill *drill = begun(&table, true);

	(void)state;
	assert_int_equal(drill_state(drill, DRILL_LIFE_MS - 1), DRILL_WAITING);
	assert_int_equal(drill_state(drill, DRILL_LIFE_MS), DRILL_EXPIRED);
	drill = at_end(&table, true);
	assert_int_equal(drill_state(drill, 20), DRILL_USED);
	assert_true(take(drill, true));
	assert_int_equal(drill_state(drill, DRILL_LIFE_MS + 1), DRILL_TAKEN);
	assert_string_equal(drill->changes.tag, "accepted");
	assert_true(drill_finish(drill, DRILL_PASSED, 30));
	assert_false(drill_finish(drill, DRILL_FAILED, 30));
	assert_string_equal(drill_end_name(drill->end), "pass");
}

static void test_claims(void **state)
{
	struct drill_table table;
	struct drill *drill = begun(&table, false);

	(void)state;
	assert_int_equal(drill_claim(NULL, true, true, 0), DRILL_NO_TOKEN);
	assert_int_equal(drill_claim(drill, true, true, DRILL_LIFE_MS), DRILL_LATE);
	/* neither a stranger nor a wrong sender takes it away */
	assert_int_equal(drill_claim(drill, false, true, 1), DRILL_CLIENT);
	assert_int_equal(drill_claim(drill, true, false, 1), DRILL_SENDER);
	assert_int_equal(drill_claim(drill, true, true, DRILL_LIFE_MS - 1), DRILL_FITS);
	assert_int_equal(drill_claim(drill, true, true, DRILL_LIFE_MS - 1), DRILL_AGAIN);
	drill = begun(&table, false);
	assert_true(drill_finish(drill, DRILL_FAILED, 1));
	assert_int_equal(drill_claim(drill, true, true, 2), DRILL_ENDED);
}

static void test_recipients(void **state)
{
	static const struct {
		const char *domain, *local;
	} wrong[] = { { "example.test", "bob" },
		      { "example.org", "alice" },
		      { "example.test", "Alice" },
		      { "", "alice" },
		      { "example.test", "" } };
	struct drill_table table;
	struct drill *drill;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		/* first: the message is an ordinary one from then on */
		drill = begun(&table, true);
		drill_claim(drill, true, true, 1);
		assert_int_equal(drill_admit(drill, wrong[i].domain, wrong[i].local),
				 DRILL_RECIPIENT);
		assert_int_equal(drill_admit(drill, "example.test", "alice"), DRILL_RECIPIENT);
		assert_false(take(drill, true));
		assert_int_equal(drill_state(drill, 2), DRILL_USED);
		/* afterwards: nobody's mail is held */
		drill = at_end(&table, true);
		assert_int_equal(drill_admit(drill, wrong[i].domain, wrong[i].local),
				 DRILL_RECIPIENT);
		assert_false(take(drill, true));
		assert_int_equal(drill_state(drill, 2), DRILL_TAKEN);
	}
	assert_int_equal(drill_admit(NULL, "example.test", "alice"), DRILL_ENDED);
}

static void test_hold(void **state)
{
	struct drill_table table;
	struct drill *drill;

	(void)state;
	assert_false(take(at_end(&table, false), true)); /* nobody asked for it */
	assert_false(take(at_end(&table, true), false)); /* the MTA doesn't let us */
	/* withdrawn meanwhile: nobody is there any more to release it */
	drill = at_end(&table, true);
	assert_true(drill_finish(drill, DRILL_FAILED, 3));
	assert_int_equal(drill_admit(drill, "example.test", "alice"), DRILL_ENDED);
	assert_false(take(drill, true));
	assert_int_equal(drill_state(drill, 4), DRILL_USED);
	/* shadow changes nothing */
	drill = at_end(&table, true);
	decide(drill, accepted, true);
	assert_false(take(drill, true));
	assert_int_equal(drill_state(drill, 4), DRILL_TAKEN);
}

static void test_settled(void **state)
{
	struct drill_table table;
	struct drill *drill = at_end(&table, true);

	(void)state;
	assert_true(take(drill, true));
	drill_settle(drill, true, true, false);
	assert_false(drill->changes.held);
	assert_string_equal(drill->changes.tag, "accepted");
	drill_settle(drill, true, false, true);
	assert_false(drill->changes.held);
	assert_string_equal(drill->changes.tag, "");
	drill_settle(drill, false, false, false);
	assert_int_equal(drill_state(drill, 4), DRILL_REFUSED);
	drill_settle(NULL, true, true, true);
	assert_false(take(NULL, true));
}

static void test_refused(void **state)
{
	struct drill_table table;
	struct drill *drill = at_end(&table, true);

	(void)state;
	decide(drill, deferred, false);
	assert_int_equal(drill_state(drill, DRILL_LIFE_MS + 1), DRILL_REFUSED);
	assert_false(drill_finish(drill, DRILL_PASSED, 5));
	assert_true(drill_finish(drill, DRILL_FAILED, 5));
	/* in shadow mode it goes on */
	drill = at_end(&table, true);
	decide(drill, deferred, true);
	assert_int_equal(drill_state(drill, 4), DRILL_USED);
}

/* ---- the table ---- */

static void fill(struct drill_table *table)
{
	char token[DRILL_TOKEN_LENGTH + 1];

	memset(table, 0, sizeof(*table));
	for (int i = 0; i < DRILLS_MAX; i++) {
		struct drill_order order;

		snprintf(token, sizeof(token), "%032d", i);
		order = order_of(token, false);
		assert_non_null(drill_table_add(table, &order, i));
	}
}

static void test_places(void **state)
{
	struct drill_order order = order_of(TOKEN, false);
	struct drill_table table;
	struct drill *drill;
	uint64_t serial;

	(void)state;
	fill(&table);
	assert_null(drill_table_add(&table, &order, 100));
	/* those that have ended make room, the oldest end first */
	drill = drill_table_find(&table, "00000000000000000000000000000007");
	serial = drill->serial;
	drill_finish(drill, DRILL_FAILED, 60);
	drill_finish(drill_table_find(&table, "00000000000000000000000000000003"), DRILL_FAILED,
		     50);
	assert_non_null(drill_table_add(&table, &order, 100));
	assert_null(drill_table_find(&table, "00000000000000000000000000000003"));
	assert_ptr_equal(drill_table_get(&table, serial), drill);
	assert_non_null(drill_table_find(&table, TOKEN));
	assert_null(drill_table_find(&table, OTHER));
	assert_non_null(drill_table_add(&table, &order, 100));
	/* whoever claimed the one that was here means no other */
	assert_null(drill_table_get(&table, serial));
	assert_null(drill_table_get(&table, 0));
}

static void test_no_token_is_none(void **state)
{
	static struct drill_table empty;
	char zeros[DRILL_TOKEN_LENGTH + 1] = "";

	(void)state;
	assert_null(drill_table_find(&empty, zeros));
	assert_null(drill_table_find(&empty, TOKEN "00"));
	assert_true(drill_table_is_empty(&empty));
}

static void test_overdue(void **state)
{
	struct drill_table table;
	struct drill told;

	(void)state;
	/* never came: said once, when it expires, and kept a while */
	begun(&table, false);
	assert_false(drill_table_overdue(&table, DRILL_LIFE_MS - 1, &told));
	assert_true(drill_table_overdue(&table, DRILL_LIFE_MS, &told));
	assert_string_equal(told.order.token, TOKEN);
	assert_false(drill_table_overdue(&table, DRILL_LIFE_MS, &told));
	assert_non_null(drill_table_find(&table, TOKEN));
	assert_false(drill_table_overdue(&table, DRILL_LIFE_MS + DRILL_KEPT_MS, &told));
	assert_true(drill_table_is_empty(&table));
	/* taken, and nobody said how it ended */
	take(at_end(&table, true), true);
	assert_false(drill_table_overdue(&table, DRILL_LIFE_MS + DRILL_KEPT_MS - 1, &told));
	assert_true(drill_table_overdue(&table, DRILL_LIFE_MS + DRILL_KEPT_MS, &told));
	assert_true(told.changes.held);
	assert_true(drill_table_is_empty(&table));
	/* ended in order */
	drill_finish(at_end(&table, true), DRILL_FAILED, 1000);
	assert_false(drill_table_overdue(&table, 1000 + DRILL_KEPT_MS - 1, &told));
	assert_false(drill_table_is_empty(&table));
	assert_false(drill_table_overdue(&table, 1000 + DRILL_KEPT_MS, &told));
	assert_true(drill_table_is_empty(&table));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_settled),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_no_token_is_none),
		cmocka_unit_test(test_overdue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
