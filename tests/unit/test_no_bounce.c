/* SPDX-License-Identifier: BSD-2-Clause */
/* Which recipients are added again without bounces, and with what parameters (RFC 3461). */
#include "core/no_bounce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define PARAMETERS_MAX 3
#define LONG_LOCAL     "a234567890123456789012345678901234567890123456789012345678901234"

static bool exact; /* local_part_case */

static void add(struct no_bounce *list, bool wanted, const char *typed,
		const char *const *parameters)
{
	struct mail_address address;

	mail_address_parse(typed, &address);
	no_bounce_add(list, &(struct no_bounce_rcpt){ .typed = typed,
						      .address = &address,
						      .parameters = parameters,
						      .fold = !exact,
						      .wanted = wanted });
}

/* `wanted`: what is left, those that are not added again with a "-". */
static void assert_settled(struct no_bounce *list, const char *wanted)
{
	char seen[1024];
	TEXT_ON(text, seen);

	no_bounce_settle(list);
	for (size_t i = 0; i < list->count; i++)
		text_add_format(&text, "%s%s%s", i > 0 ? " " : "",
				list->recipients[i].parameters != NULL ? "" : "-",
				list->recipients[i].typed);
	assert_string_equal(seen, wanted);
	no_bounce_clear(list);
}

/* ---- parameters ---- */

static void test_parameters(void **state)
{
	static const struct {
		const char *typed;
		const char *given[PARAMETERS_MAX];
		const char *wanted; /* NULL: it stays as it is */
	} cases[] = {
		{ "<a@b.test>", { NULL }, "NOTIFY=NEVER ORCPT=rfc822;a@b.test" },
		{ "a@B.test", { NULL }, "NOTIFY=NEVER ORCPT=rfc822;a@b.test" },
		{ "<A+b=c@b.test>", { NULL }, "NOTIFY=NEVER ORCPT=rfc822;A+2Bb+3Dc@b.test" },
		{ "<\"a b\"@b.test>", { NULL }, "NOTIFY=NEVER ORCPT=rfc822;\"a+20b\"@b.test" },
		{ "<@relay.test:a@b.test>", { NULL }, "NOTIFY=NEVER ORCPT=rfc822;a@b.test" },
		/* the client's own, whatever its case and place */
		{ "<a@b.test>",
		  { "ORCPT=rfc822;old+2Blist@c.test" },
		  "NOTIFY=NEVER ORCPT=rfc822;old+2Blist@c.test" },
		{ "<a@b.test>", { "X=1", "orcpt=x400;c" }, "NOTIFY=NEVER ORCPT=x400;c" },
		/* what an MTA would choke on is not handed on */
		{ "<a@b.test>", { "ORCPT=a@c.test" }, "NOTIFY=NEVER ORCPT=rfc822;a@b.test" },
		{ "<a@b.test>", { "ORCPT=;a@c.test" }, "NOTIFY=NEVER ORCPT=rfc822;a@b.test" },
		{ "<a@b.test>", { "ORCPT=rfc822;" }, "NOTIFY=NEVER ORCPT=rfc822;a@b.test" },
		{ "<a@b.test>", { "ORCPT=rfc822;a+2b@c" }, "NOTIFY=NEVER ORCPT=rfc822;a@b.test" },
		{ "<a@b.test>", { "ORCPT=rfc822;a+" }, "NOTIFY=NEVER ORCPT=rfc822;a@b.test" },
		{ "<a@b.test>", { "ORCPT=rfc822;a=b" }, "NOTIFY=NEVER ORCPT=rfc822;a@b.test" },
		{ "<a@b.test>", { "ORCPT=rfc822;a b" }, "NOTIFY=NEVER ORCPT=rfc822;a@b.test" },
		{ "<a@b.test>", { "ORCPT=rfc822;\xc3\xa4" }, "NOTIFY=NEVER ORCPT=rfc822;a@b.test" },
		/* no xtext can hold it, or it isn't a mailbox that we can read */
		{ "<\xc3\xa4@b.test>", { NULL }, "NOTIFY=NEVER" },
		{ "<" LONG_LOCAL "x@b.test>", { NULL }, "NOTIFY=NEVER" },
		/* the client decides */
		{ "<a@b.test>", { "NOTIFY=FAILURE" }, NULL },
		{ "<a@b.test>", { "ORCPT=rfc822;a@b.test", "notify=SUCCESS,DELAY" }, NULL },
		{ "<a@b.test>", { "NOTIFY=NEVER" }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct no_bounce list = { .count = 0 };

		add(&list, true, cases[i].typed, cases[i].given);
		if (cases[i].wanted == NULL)
			assert_null(list.recipients[0].parameters);
		else
			assert_string_equal(list.recipients[0].parameters, cases[i].wanted);
		no_bounce_clear(&list);
	}
}

static void test_no_parameters_at_all(void **state)
{
	struct no_bounce list = { .count = 0 };

	(void)state;
	add(&list, true, "<a@b.test>", NULL);
	assert_string_equal(list.recipients[0].parameters, "NOTIFY=NEVER ORCPT=rfc822;a@b.test");
	no_bounce_clear(&list);
	assert_int_equal(list.count, 0);
	assert_settled(&list, "");
}

static void test_an_overlong_orcpt_is_not_cut(void **state)
{
	char orcpt[600] = "ORCPT=rfc822;";
	const char *parameters[] = { orcpt, NULL };
	struct no_bounce list = { .count = 0 };

	(void)state;
	memset(orcpt + strlen(orcpt), 'a', 580 - strlen(orcpt));
	add(&list, true, "<a@b.test>", parameters);
	assert_string_equal(list.recipients[0].parameters, "NOTIFY=NEVER ORCPT=rfc822;a@b.test");
	no_bounce_clear(&list);
}

/* ---- which of several ---- */

static void test_only_those_that_want_it(void **state)
{
	struct no_bounce list = { .count = 0 };

	(void)state;
	add(&list, true, "<a@b.test>", NULL);
	add(&list, false, "<c@b.test>", NULL);
	add(&list, true, "<d@b.test>", NULL);
	assert_settled(&list, "<a@b.test> <d@b.test>");
}

static void test_the_same_twice_is_added_once(void **state)
{
	struct no_bounce list = { .count = 0 };

	(void)state;
	add(&list, true, "<a@b.test>", NULL);
	add(&list, true, "<c@b.test>", NULL);
	add(&list, true, "<a@b.test>", NULL);
	add(&list, true, "<a@b.test>", NULL);
	assert_settled(&list, "<a@b.test> <c@b.test>");
}

static void test_two_spellings_of_one_are_one(void **state)
{
	static const struct {
		const char *typed, *wanted;
	} other[] = {
		{ "<A@b.test>", "<a@b.test> <c@b.test> -<A@b.test>" },
		{ "a@b.test", "<a@b.test> <c@b.test> -a@b.test" },
		{ "<a@b.test.>", "<a@b.test> <c@b.test> -<a@b.test.>" },
		{ "<\"a\"@B.test>", "<a@b.test> <c@b.test> -<\"a\"@B.test>" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		struct no_bounce list = { .count = 0 };

		add(&list, true, "<a@b.test>", NULL);
		add(&list, true, "<c@b.test>", NULL);
		add(&list, true, other[i].typed, NULL);
		add(&list, true, other[i].typed, NULL);
		assert_settled(&list, other[i].wanted);
		/* nothing is changed when one of them may bounce */
		add(&list, false, other[i].typed, NULL);
		add(&list, true, "<a@b.test>", NULL);
		assert_settled(&list, "");
	}
}

static void test_case_may_tell_mailboxes_apart(void **state)
{
	struct no_bounce list = { .count = 0 };

	(void)state;
	exact = true;
	add(&list, true, "<a@b.test>", NULL);
	add(&list, true, "<A@B.test>", NULL);
	exact = false;
	assert_settled(&list, "<a@b.test> <A@B.test>");
}

static void test_source_routes_are_left_out(void **state)
{
	static const char *const typed[] = { "<@relay.test:a@b.test>",
					     " <@[IPv6:::1],@c.test:a@b.test>", "<a@b.test>" };
	struct no_bounce list = { .count = 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(typed) / sizeof(typed[0]); i++)
		add(&list, true, typed[i], NULL);
	assert_settled(&list, "<a@b.test>");
	add(&list, true, "@relay.test:a@b.test", NULL);
	assert_settled(&list, "a@b.test");
	add(&list, true, "<@nonsense", NULL);
	assert_settled(&list, "<@nonsense");
}

/* A deletion would take both. */
static void test_the_client_asks_for_one_of_two(void **state)
{
	static const char *const notify[] = { "NOTIFY=FAILURE", NULL };
	struct no_bounce list = { .count = 0 };

	(void)state;
	add(&list, true, "<a@b.test>", NULL);
	add(&list, true, "<a@b.test>", notify);
	assert_settled(&list, "");
	add(&list, true, "<a@b.test>", notify);
	add(&list, true, "<a@b.test>", NULL);
	assert_settled(&list, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_no_parameters_at_all),
		cmocka_unit_test(test_an_overlong_orcpt_is_not_cut),
		cmocka_unit_test(test_only_those_that_want_it),
		cmocka_unit_test(test_the_same_twice_is_added_once),
		cmocka_unit_test(test_two_spellings_of_one_are_one),
		cmocka_unit_test(test_case_may_tell_mailboxes_apart),
		cmocka_unit_test(test_source_routes_are_left_out),
		cmocka_unit_test(test_the_client_asks_for_one_of_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
