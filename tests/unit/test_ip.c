/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses and networks: every notation that is read, every one that isn't, and back. */
#include "core/ip.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ip ip_of(const char *word)
{
	struct ip ip;

	assert_true(ip_parse(word, &ip));
	return ip;
}

static void test_parse(void **state)
{
	static const struct {
		const char *word;
		const char *written; /* NULL: no address */
	} rows[] = {
		{ "192.0.2.7", "192.0.2.7" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "2001:db8::7", "2001:db8::7" },
		{ "2001:0DB8:0:0:0:0:0:7", "2001:db8::7" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "fe80::1", "fe80::1" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "::ffff:192.0.2.7", "192.0.2.7" },
		{ "::FFFF:c000:207", "192.0.2.7" },
		{ "64:ff9b::192.0.2.7", "64:ff9b::c000:207" },
		{ "", NULL },
		{ " 192.0.2.7", NULL },
		{ "192.0.2.7 ", NULL },
		{ "192.0.2", NULL },
		{ "192.0.2.7.1", NULL },
		{ "192.0.2.256", NULL },
		{ "192.0.2.07", NULL },
		{ "3221225991", NULL },
		{ "0x7f.0.0.1", NULL },
		{ "192.0.2.7/32", NULL },
		{ "192.0.2.7:25", NULL },
		{ "[192.0.2.7]", NULL },
		{ "[::1]", NULL },
		{ "IPv6:::1", NULL },
		{ "fe80::1%eth0", NULL },
		{ "1::2::3", NULL },
		{ ":::", NULL },
		{ "12345::", NULL },
		{ "1:2:3:4:5:6:7", NULL },
		{ "1:2:3:4:5:6:7:8:9", NULL },
		{ "mx.example.test", NULL },
	};
	char text[IP_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ip ip;

		assert_int_equal(ip_parse(rows[i].word, &ip), rows[i].written != NULL);
		if (rows[i].written != NULL)
			assert_string_equal(ip_format(&ip, text, sizeof(text)), rows[i].written);
	}
}

static void test_literal(void **state)
{
	static const struct {
		const char *word;
		const char *written; /* NULL: no literal */
	} rows[] = {
		{ "192.0.2.7", "[192.0.2.7]" },
		{ "IPv6:2001:db8::7", "[IPv6:2001:db8::7]" },
		{ "ipv6:2001:DB8::7", "[IPv6:2001:db8::7]" },
		{ "2001:db8::7", "[IPv6:2001:db8::7]" },
		{ "IPv6:::ffff:192.0.2.7", "[192.0.2.7]" },
		{ "IPv6:192.0.2.7", NULL },
		{ "IPv6:", NULL },
		{ "IPv6", NULL },
		{ "IPv4:192.0.2.7", NULL },
		{ "[192.0.2.7]", NULL },
		{ "tag:content", NULL },
		{ "", NULL },
	};
	char text[IP_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ip ip;

		assert_int_equal(ip_parse_literal(rows[i].word, &ip), rows[i].written != NULL);
		if (rows[i].written != NULL)
			assert_string_equal(ip_format_literal(&ip, text, sizeof(text)),
					    rows[i].written);
	}
}

static void test_endpoint_format(void **state)
{
	struct ip_port v4 = { ip_of("192.0.2.10"), 25 };
	struct ip_port v6 = { ip_of("2001:db8::7"), 65535 };
	char text[IP_TEXT_MAX];

	(void)state;
	assert_string_equal(ip_port_format(&v4, text, sizeof(text)), "[192.0.2.10]:25");
	assert_string_equal(ip_port_format(&v6, text, sizeof(text)), "[2001:db8::7]:65535");
}

static void test_format_bounds(void **state)
{
	struct ip longest = ip_of("2001:1111:2222:3333:4444:5555:6666:7777");
	struct ip none = { .family = IP_NONE };
	struct ip_port endpoint = { longest, 65535 };
	char text[IP_TEXT_MAX];
	char small[8];

	(void)state;
	assert_string_equal(ip_format_literal(&longest, text, sizeof(text)),
			    "[IPv6:2001:1111:2222:3333:4444:5555:6666:7777]");
	assert_string_equal(ip_port_format(&endpoint, text, sizeof(text)),
			    "[2001:1111:2222:3333:4444:5555:6666:7777]:65535");
	assert_string_equal(ip_format(&longest, small, sizeof(small)), "2001:11");
	assert_string_equal(ip_format(&none, text, sizeof(text)), "unknown");
	assert_string_equal(ip_format_literal(&none, text, sizeof(text)), "[unknown]");
}

static void test_sockaddr(void **state)
{
	static const char *const words[] = { "192.0.2.7", "2001:db8::7", "::" };

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		struct ip_port there = { ip_of(words[i]), 2525 };
		struct ip_port back;
		struct sockaddr_storage storage;
		size_t length = ip_to_sockaddr(&there, &storage);

		assert_int_equal(length, there.ip.family == IP_V4 ? sizeof(struct sockaddr_in)
								  : sizeof(struct sockaddr_in6));
		assert_true(ip_from_sockaddr((const struct sockaddr *)&storage, &back));
		assert_true(ip_port_equal(&there, &back));
	}
}

static void test_sockaddr_mapped(void **state)
{
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(25) };
	struct ip_port wanted = { ip_of("192.0.2.7"), 25 };
	struct ip_port got;

	(void)state;
	memcpy(mapped.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7", 16);
	assert_true(ip_from_sockaddr((const struct sockaddr *)&mapped, &got));
	assert_true(ip_port_equal(&got, &wanted));
}

static void test_sockaddr_others(void **state)
{
	struct sockaddr_storage storage = { .ss_family = AF_UNIX };
	struct ip_port endpoint = { .port = 25 };

	(void)state;
	assert_false(ip_from_sockaddr((const struct sockaddr *)&storage, &endpoint));
	assert_int_equal(endpoint.ip.family, IP_NONE);
	assert_int_equal(ip_to_sockaddr(&endpoint, &storage), 0);
}

static void test_equal(void **state)
{
	struct ip v4 = ip_of("32.1.13.184");
	struct ip v6 = ip_of("2001:db8::"); /* begins with the same bytes */
	struct ip mapped = ip_of("::ffff:32.1.13.184");
	struct ip none = { .family = IP_NONE };
	struct ip_port a = { v4, 25 };
	struct ip_port b = { mapped, 25 };
	struct ip_port c = { v4, 26 };

	(void)state;
	assert_true(ip_equal(&v4, &mapped));
	assert_false(ip_equal(&v4, &v6));
	assert_false(ip_equal(&v4, &none));
	assert_true(ip_equal(&none, &none));
	assert_true(ip_port_equal(&a, &b));
	assert_false(ip_port_equal(&a, &c));
}

static void test_network_parse(void **state)
{
	static const struct {
		const char *word;
		const char *address;
		unsigned prefix;
	} rows[] = {
		{ "10.0.0.0/8", "10.0.0.0", 8 },
		{ "192.0.2.0/24", "192.0.2.0", 24 },
		{ "192.0.2.128/25", "192.0.2.128", 25 },
		{ "192.0.2.7/32", "192.0.2.7", 32 },
		{ "192.0.2.7", "192.0.2.7", 32 },
		{ "0.0.0.0/0", "0.0.0.0", 0 },
		{ "::1", "::1", 128 },
		{ "::/0", "::", 0 },
		{ "2001:db8::/32", "2001:db8::", 32 },
		{ "2001:db8:8000::/33", "2001:db8:8000::", 33 },
		{ "2001:db8::7/128", "2001:db8::7", 128 },
		{ "::ffff:192.0.2.0/120", "192.0.2.0", 24 },
		{ "::ffff:0:0/96", "0.0.0.0", 0 },
		{ "::ffff:192.0.2.7", "192.0.2.7", 32 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ip_network network;
		struct ip wanted = ip_of(rows[i].address);
		const char *why = NULL;

		assert_true(ip_network_parse(rows[i].word, &network, &why));
		assert_non_null(why);
		assert_true(ip_equal(&network.ip, &wanted));
		assert_int_equal(network.prefix, rows[i].prefix);
	}
}

static void test_network_errors(void **state)
{
	static const char *const words[] = {
		"",
		"/",
		"/24",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/08",
		"10.0.0.0/-1",
		"10.0.0.0/+8",
		"10.0.0.0/8 ",
		" 10.0.0.0/8",
		"10.0.0.0/8/8",
		"10.0.0.0/255.0.0.0",
		"10/8",
		"10.0.0.0/4294967304",
		"::/129",
		"::/99999999999999999999",
		"[::1]/128",
		"localhost",
		"::ffff:0:0/95",
		"::ffff:192.0.2.0/24",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/64",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		struct ip_network network;
		const char *why = NULL;

		assert_false(ip_network_parse(words[i], &network, &why));
		assert_non_null(why);
		assert_int_equal(network.ip.family, IP_NONE);
	}
}

/* The error can name what was meant. */
static void test_network_host_bits(void **state)
{
	static const struct {
		const char *word;
		const char *meant;
		unsigned prefix;
	} rows[] = {
		{ "10.1.2.3/8", "10.0.0.0", 8 },
		{ "192.0.2.1/31", "192.0.2.0", 31 },
		{ "192.0.2.7/0", "0.0.0.0", 0 },
		{ "2001:db8::1/64", "2001:db8::", 64 },
		{ "2001:db8:c000::/33", "2001:db8:8000::", 33 },
		{ "::ffff:192.0.2.7/120", "192.0.2.0", 24 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ip_network network;
		const char *why = NULL;
		char text[IP_TEXT_MAX];

		assert_false(ip_network_parse(rows[i].word, &network, &why));
		assert_non_null(why);
		assert_string_equal(ip_format(&network.ip, text, sizeof(text)), rows[i].meant);
		assert_int_equal(network.prefix, rows[i].prefix);
	}
}

static void test_network_contains(void **state)
{
	static const struct {
		const char *network;
		const char *ip;
		bool inside;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.0.1", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.7", "192.0.2.7", true },
		{ "192.0.2.7", "192.0.2.6", false },
		{ "192.0.2.7", "::ffff:192.0.2.7", true },
		{ "0.0.0.0/0", "203.0.113.9", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "192.0.2.7", false },
		{ "2001:db8:8000::/33", "2001:db8:ffff::1", true },
		{ "2001:db8:8000::/33", "2001:db8:7fff::1", false },
		{ "::1", "::1", true },
		{ "::1", "::2", false },
	};
	struct ip_network nothing = { .prefix = 0 };
	struct ip none = { .family = IP_NONE };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ip_network network;
		struct ip ip = ip_of(rows[i].ip);
		const char *why;

		assert_true(ip_network_parse(rows[i].network, &network, &why));
		assert_int_equal(ip_network_contains(&network, &ip), rows[i].inside);
		assert_false(ip_network_contains(&network, &none));
	}
	assert_false(ip_network_contains(&nothing, &none));
}

static void test_client_network(void **state)
{
	static const struct {
		const char *ip;
		const char *network;
		unsigned prefix;
	} rows[] = {
		{ "192.0.2.7", "192.0.2.0", 24 },
		{ "::ffff:192.0.2.7", "192.0.2.0", 24 },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", 64 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ip ip = ip_of(rows[i].ip);
		struct ip wanted = ip_of(rows[i].network);
		struct ip_network network = ip_client_network(&ip);

		assert_true(ip_equal(&network.ip, &wanted));
		assert_int_equal(network.prefix, rows[i].prefix);
		assert_true(ip_network_contains(&network, &ip));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_literal),
		cmocka_unit_test(test_endpoint_format),
		cmocka_unit_test(test_format_bounds),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_sockaddr_mapped),
		cmocka_unit_test(test_sockaddr_others),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_network_parse),
		cmocka_unit_test(test_network_errors),
		cmocka_unit_test(test_network_host_bits),
		cmocka_unit_test(test_network_contains),
		cmocka_unit_test(test_client_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
