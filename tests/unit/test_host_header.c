/* SPDX-License-Identifier: BSD-2-Clause */
/* Whom a Host header names. */
#include "core/host_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_hosts(void **state)
{
	static const struct {
		const char *value;
		enum host_header is;
		const char *name;
	} cases[] = {
		{ "localhost", HOST_HEADER_NAME, "localhost" },
		{ "LocalHost:9726", HOST_HEADER_NAME, "localhost" },
		{ "mx2.example.net.", HOST_HEADER_NAME, "mx2.example.net" },
		{ "mx2.example.net.:80", HOST_HEADER_NAME, "mx2.example.net" },
		{ "mx2.example.net:", HOST_HEADER_NAME, "mx2.example.net" },
		{ "127.0.0.1.evil.test", HOST_HEADER_NAME, "127.0.0.1.evil.test" },
		{ "0x7f000001", HOST_HEADER_NAME, "0x7f000001" },
		{ "127.1", HOST_HEADER_NAME, "127.1" },
		{ "127.0.0.1", HOST_HEADER_ADDRESS, NULL },
		{ "192.0.2.7:80", HOST_HEADER_ADDRESS, NULL },
		{ "[::1]", HOST_HEADER_ADDRESS, NULL },
		{ "[2001:db8::7]:9726", HOST_HEADER_ADDRESS, NULL },
		{ "", HOST_HEADER_BAD, NULL },
		{ ".", HOST_HEADER_BAD, NULL },
		{ ":80", HOST_HEADER_BAD, NULL },
		{ "a b", HOST_HEADER_BAD, NULL },
		{ "a:b", HOST_HEADER_BAD, NULL },
		{ "a:1:2", HOST_HEADER_BAD, NULL },
		{ "::1", HOST_HEADER_BAD, NULL },
		{ "user@127.0.0.1", HOST_HEADER_BAD, NULL },
		{ "127.0.0.1/", HOST_HEADER_BAD, NULL },
		{ "[::1", HOST_HEADER_BAD, NULL },
		{ "[::1]x", HOST_HEADER_BAD, NULL },
		{ "[]", HOST_HEADER_BAD, NULL },
		{ "[127.0.0.1]", HOST_HEADER_BAD, NULL },
		{ "[fe80::1%25eth0]", HOST_HEADER_BAD, NULL },
		{ "b\xc3\xbc.test", HOST_HEADER_BAD, NULL },
	};
	char name[MAIL_DOMAIN_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(host_header_read(cases[i].value, name), cases[i].is);
		if (cases[i].name != NULL)
			assert_string_equal(name, cases[i].name);
	}
}

static void test_long_ones(void **state)
{
	char value[MAIL_DOMAIN_MAX + 2];
	char name[MAIL_DOMAIN_MAX + 1];

	(void)state;
	memset(value, 'a', sizeof(value));
	value[MAIL_DOMAIN_MAX + 1] = '\0';
	assert_int_equal(host_header_read(value, name), HOST_HEADER_BAD);
	value[MAIL_DOMAIN_MAX] = '\0';
	assert_int_equal(host_header_read(value, name), HOST_HEADER_NAME);
	value[0] = '[';
	assert_int_equal(host_header_read(value, name), HOST_HEADER_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_long_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
