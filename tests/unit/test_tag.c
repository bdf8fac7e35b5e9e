/* SPDX-License-Identifier: BSD-2-Clause */
/* The tag header: its fields, its folding, and what it says of several recipients. */
#include "core/tag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SINCE 1795439100LL /* 2026-11-23T13:05:00Z */

static const struct verdict down = { .row = 5,
				     .action = DECISION_ACCEPT,
				     .reason = REASON_PRIMARY_DOWN };
static const struct verdict catch_all = { .row = 6,
					  .action = DECISION_ACCEPT,
					  .reason = REASON_CATCH_ALL };

/* Takes the folds out, as a reader of the message does (RFC 5322 2.2.3). */
static void unfold(char *value)
{
	char *out = value;

	for (const char *in = value; *in != '\0'; in++) {
		if (in[0] == '\n' && in[1] == '\t') {
			*out++ = ' ';
			in++;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
}

static void assert_columns(const char *value)
{
	size_t column = strlen(TAG_HEADER ": ");

	for (; *value != '\0'; value++) {
		column = *value == '\n' ? 0 : *value == '\t' ? 8 : column + 1;
		assert_true(column <= 77);
	}
}

static void test_to_the_letter(void **state)
{
	struct tag tag = { .recipients = 0 };
	char value[TAG_VALUE_MAX];
	struct ip client;

	(void)state;
	assert_true(ip_parse("192.0.2.7", &client));
	tag_add_recipient(&tag, &down, DOMAIN_DOWN, SINCE, RECIPIENT_VALID, "k3f9x2aa");
	tag_format(&tag, "mx2.example.net", &client, value, sizeof(value));
	assert_columns(value);
	unfold(value);
	assert_string_equal(value, "accepted; by=mx2.example.net; primary=down; "
				   "since=2026-11-23T13:05:00Z; recipients=valid; "
				   "reason=primary-down; client=[192.0.2.7]; id=k3f9x2aa");
}

static void test_mixed(void **state)
{
	struct tag tag = { .recipients = 0 };
	char value[TAG_VALUE_MAX];
	struct ip client;

	(void)state;
	assert_true(ip_parse("2001:db8::1", &client));
	tag_add_recipient(&tag, &down, DOMAIN_DOWN, SINCE, RECIPIENT_VALID, "aaaaaaaa");
	tag_add_recipient(&tag, &catch_all, DOMAIN_FORCED_DOWN, SINCE, RECIPIENT_CATCH_ALL,
			  "bbbbbbbb");
	tag_format(&tag, "mx2.example.net", &client, value, sizeof(value));
	unfold(value);
	assert_string_equal(value, "accepted; by=mx2.example.net; primary=mixed; "
				   "recipients=mixed; reason=primary-down; "
				   "client=[IPv6:2001:db8::1]; id=aaaaaaaa");
}

static void test_since_only_where_shared(void **state)
{
	struct tag tag = { .recipients = 0 };
	char value[TAG_VALUE_MAX];
	struct ip nobody = { .family = IP_NONE };

	(void)state;
	tag_add_recipient(&tag, &down, DOMAIN_DOWN, SINCE, RECIPIENT_VALID, "aaaaaaaa");
	tag_add_recipient(&tag, &down, DOMAIN_DOWN, SINCE + 1, RECIPIENT_VALID, "bbbbbbbb");
	tag_format(&tag, "mx2.example.net", &nobody, value, sizeof(value));
	unfold(value);
	assert_string_equal(value, "accepted; by=mx2.example.net; primary=down; recipients=valid; "
				   "reason=primary-down; id=aaaaaaaa");
}

/* Each length of our name moves the folds; none may pass the margin. */
static void test_folding(void **state)
{
	struct tag tag = { .recipients = 0 };
	char value[TAG_VALUE_MAX];
	char by[64];
	struct ip client;

	(void)state;
	assert_true(ip_parse("2001:db8:1111:2222:3333:4444:5555:6666", &client));
	tag_add_recipient(&tag, &down, DOMAIN_FORCED_DOWN, SINCE, RECIPIENT_CATCH_ALL, "k3f9x2aa");
	for (size_t length = 1; length < 60; length++) {
		memset(by, 'x', length);
		by[length] = '\0';
		tag_format(&tag, by, &client, value, sizeof(value));
		assert_columns(value);
	}
}

static void test_foreign_bytes(void **state)
{
	struct tag tag = { .recipients = 0 };
	char value[TAG_VALUE_MAX];
	struct ip nobody = { .family = IP_NONE };

	(void)state;
	tag_add_recipient(&tag, &down, DOMAIN_DOWN, SINCE, RECIPIENT_VALID, "k3f9x2aa");
	tag_format(&tag, "mx\r\nEvil: yes\x80", &nobody, value, sizeof(value));
	assert_null(strstr(value, "\nEvil"));
	assert_null(strchr(value, '\r'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_to_the_letter),		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_since_only_where_shared), cmocka_unit_test(test_folding),
		cmocka_unit_test(test_foreign_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
