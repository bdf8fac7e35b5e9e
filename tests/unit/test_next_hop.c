/* SPDX-License-Identifier: BSD-2-Clause */
/* What {rcpt_host} means. */
#include "watch/next_hop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char *names[] = { "mx2.example.net" };
static struct ip own_address;
static struct mx_identity self = { .names = names, .name_count = 1, .addresses = &own_address };

static bool parse(const char *text, struct next_hop *hop)
{
	return next_hop_parse(text, "example.test", &self, hop);
}

static void test_meaningful(void **state)
{
	static const struct {
		const char *text, *host, *ip;
		uint16_t port;
	} rows[] = {
		{ "[192.0.2.10]", "", "192.0.2.10", 0 },
		{ "[192.0.2.10]:2525", "", "192.0.2.10", 2525 },
		{ "192.0.2.10", "", "192.0.2.10", 0 },
		{ "[2001:db8::1]:25", "", "2001:db8::1", 25 },
		{ "[IPv6:2001:db8::1]", "", "2001:db8::1", 0 },
		{ "mail.internal.test", "mail.internal.test", NULL, 0 },
		{ "Mail.Internal.TEST.", "mail.internal.test", NULL, 0 },
		{ "mail.internal.test:2525", "mail.internal.test", NULL, 2525 },
		{ "[mail.internal.test]:2525", "mail.internal.test", NULL, 2525 },
		{ "[example.test]", "example.test", NULL,
		  0 }, /* the host of that name, not its MX */
	};
	struct next_hop hop;
	struct ip ip;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(parse(rows[i].text, &hop));
		assert_string_equal(hop.host, rows[i].host);
		assert_int_equal(hop.port, rows[i].port);
		memset(&ip, 0, sizeof(ip));
		if (rows[i].ip != NULL)
			assert_true(ip_parse(rows[i].ip, &ip));
		assert_true(ip_equal(&hop.ip, &ip));
	}
}

static void test_meaningless(void **state)
{
	static const char *const texts[] = {
		"",
		"example.test", /* by its MX records */
		"Example.TEST.",
		"example.test:2525",
		"mx2.example.net", /* ourselves */
		"[127.0.0.1]:10024",
		"localhost",
		"[]",
		"[192.0.2.10",
		"[192.0.2.10]25",
		"[192.0.2.10]:",
		"[192.0.2.10]:0",
		"[192.0.2.10]:65536",
		"[192.0.2.10]:25x",
		"mail.internal.test:smtp",
		"mail.internal.test, other.test",
		"mail internal",
		":25",
		"/var/run/socket",
		"a\tb",
	};
	struct next_hop hop;
	char long_name[2 * NEXT_HOP_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (parse(texts[i], &hop))
			fail_msg("\"%s\" was taken", texts[i]);
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_false(parse(long_name, &hop));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meaningful),
		cmocka_unit_test(test_meaningless),
	};

	ip_parse("127.0.0.1", &own_address);
	self.address_count = 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
