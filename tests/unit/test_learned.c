/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules of learned domains. */
#include "core/learned.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DAY 86400

static void test_mailers(void **state)
{
	(void)state;
	assert_true(learned_mailer_relays("relay"));
	assert_true(learned_mailer_relays("smtp"));
	assert_true(learned_mailer_relays("esmtp"));
	assert_true(learned_mailer_relays(NULL));
	assert_false(learned_mailer_relays("local"));
	assert_false(learned_mailer_relays("Local"));
	assert_false(learned_mailer_relays("virtual"));
	assert_false(learned_mailer_relays("LMTP"));
	assert_false(learned_mailer_relays("error"));
	assert_false(learned_mailer_relays("discard"));
	assert_true(learned_mailer_relays("locals"));
}

static struct mxset set_of(bool with_us, bool with_address)
{
	static char *names[] = { "mx2.example.net" };
	static const struct mx_identity self = { .names = names, .name_count = 1 };
	struct mxset set = { .hosts = NULL };
	struct ip ip;

	ip_parse("192.0.2.10", &ip);
	mxset_add_host(&set, "mx1.example.test", 10);
	if (with_address)
		mx_host_add_address(&set.hosts[0], &ip);
	if (with_us)
		mxset_add_host(&set, "mx2.example.net", 20);
	mxset_find_ourselves(&set, &self);
	return set;
}

static void expect(bool with_us, bool with_address, bool complete, enum learned_proof wanted)
{
	struct mxset set = set_of(with_us, with_address);

	assert_int_equal(learned_proof_of(&set, complete), wanted);
	mxset_fini(&set);
}

static void test_proof(void **state)
{
	(void)state;
	expect(true, true, true, LEARNED_PROVED);
	/* somebody else's address could not be looked up: that takes nothing away */
	expect(true, true, false, LEARNED_PROVED);
	expect(true, false, true, LEARNED_DISPROVED);
	expect(true, false, false, LEARNED_UNTOLD);
	expect(false, true, true, LEARNED_DISPROVED);
	/* one of them may be us by its address */
	expect(false, true, false, LEARNED_UNTOLD);
}

static void test_proof_without_hosts(void **state)
{
	static const struct {
		enum mx_standing standing;
		enum learned_proof wanted;
	} rows[] = {
		{ MX_STANDING_UNKNOWN, LEARNED_UNTOLD },
		{ MX_STANDING_IMPLICIT, LEARNED_DISPROVED },
		{ MX_STANDING_NULL, LEARNED_DISPROVED },
		{ MX_STANDING_GONE, LEARNED_DISPROVED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mxset set = { .standing = rows[i].standing };

		assert_int_equal(learned_proof_of(&set, true), rows[i].wanted);
		assert_int_equal(learned_proof_of(&set, false), rows[i].wanted);
	}
}

static void test_refusals(void **state)
{
	(void)state;
	assert_int_equal(learned_refusal_seconds(LEARNED_UNTOLD, 3600), 60);
	assert_int_equal(learned_refusal_seconds(LEARNED_DISPROVED, 60), 600);
	assert_int_equal(learned_refusal_seconds(LEARNED_DISPROVED, 1800), 1800);
	assert_int_equal(learned_refusal_seconds(LEARNED_DISPROVED, 86400), 3600);
}

static void test_sleep(void **state)
{
	(void)state;
	assert_true(learned_may_sleep(DOMAIN_UP, false, DAY));
	assert_true(learned_may_sleep(DOMAIN_UNKNOWN, false, DAY));
	assert_true(learned_may_sleep(DOMAIN_NOT_BACKUP, false, DAY));
	assert_false(learned_may_sleep(DOMAIN_UP, false, DAY - 1));
	/* an outage is seen through, however long nobody asks */
	assert_false(learned_may_sleep(DOMAIN_DOWN, false, 100 * DAY));
	assert_false(learned_may_sleep(DOMAIN_SICK, false, 100 * DAY));
	assert_false(learned_may_sleep(DOMAIN_UP, true, 100 * DAY));
	/* what an administrator forced is watched while it holds */
	assert_false(learned_may_sleep(DOMAIN_FORCED_UP, false, DAY));
	assert_false(learned_may_sleep(DOMAIN_FORCED_DOWN, false, DAY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mailers),
		cmocka_unit_test(test_proof),
		cmocka_unit_test(test_proof_without_hosts),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
