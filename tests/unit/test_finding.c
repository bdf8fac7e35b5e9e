/* SPDX-License-Identifier: BSD-2-Clause */
/* What mends a finding (check/finding.h): lines to be pasted, whole or not at all. */
#include "check/finding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static const struct check_rule rule = { "some-id", "a title", "why" };

static const char *last_mend(struct check_findings *findings)
{
	const struct check_finding *finding = check_finding_get(findings, 0);

	return finding->mend[finding->mend_count - 1];
}

/* A command with that many bytes in all. */
static const char *mend_of(struct check_findings *findings, const char *begin, size_t length)
{
	char rest[2 * CHECK_LINE_MAX];

	memset(rest, 'a', sizeof(rest));
	rest[length - strlen(begin)] = '\0';
	check_mend(findings, "%s%s", begin, rest);
	return last_mend(findings);
}

static void test_whole_or_not_at_all(void **state)
{
	struct check_findings *findings = check_findings_new();

	(void)state;
	check_add(findings, &rule, CHECK_ERROR, "example.test", "a fact");
	assert_int_equal(strlen(mend_of(findings, "postconf -e ", CHECK_LINE_MAX - 2)),
			 CHECK_LINE_MAX - 2);
	for (size_t more = 0; more < 3; more++)
		assert_memory_equal(mend_of(findings, "postconf -e ", CHECK_LINE_MAX - 1 + more),
				    "# (", 3);
	assert_memory_equal(mend_of(findings, "postconf -e ", 2 * CHECK_LINE_MAX - 1), "# (", 3);
	/* advice is for people: they see where it ends */
	assert_memory_equal(mend_of(findings, "# read aa", CHECK_LINE_MAX + 1), "# read aaaa", 11);
	check_findings_free(findings);
}

/* A value that was cut before has the size of its buffer: with anything beside it, it is seen. */
static void test_a_value_that_was_cut(void **state)
{
	struct check_findings *findings = check_findings_new();
	char value[CHECK_LINE_MAX];
	TEXT_ON(text, value);

	(void)state;
	check_add(findings, &rule, CHECK_ERROR, "example.test", "a fact");
	while (!text.cut)
		text_add(&text, "example.test, ");
	check_mend(findings, "%s", value);
	assert_memory_equal(last_mend(findings), "# (", 3);
	check_findings_free(findings);
}

static void test_what_cannot_be_shown(void **state)
{
	static const char *const values[] = { "a\nb", "a\033[31m", "\303\274", "a\177", "\t" };
	struct check_findings *findings = check_findings_new();

	(void)state;
	check_add(findings, &rule, CHECK_ERROR, "example.test", "a fact");
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		check_mend(findings, "echo '%s'", values[i]);
		assert_memory_equal(last_mend(findings), "# (", 3);
	}
	check_mend(findings, "# the name is %s", values[0]);
	assert_string_equal(last_mend(findings), "# the name is a\nb");
	check_findings_free(findings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_or_not_at_all),
		cmocka_unit_test(test_a_value_that_was_cut),
		cmocka_unit_test(test_what_cannot_be_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
