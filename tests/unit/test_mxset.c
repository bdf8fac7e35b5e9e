/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who we are in an MX set. A set is written as "preference name address,address ..."; our names are
 * mx2.example.net and backup.example.net, our addresses 192.0.2.20 and 2001:db8::20.
 */
#include "core/mxset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *our_names[] = { (char *)(uintptr_t) "mx2.example.net",
			     (char *)(uintptr_t) "backup.example.net" };

static void identity(struct mx_identity *self, struct ip addresses[2])
{
	assert_true(ip_parse("192.0.2.20", &addresses[0]));
	assert_true(ip_parse("2001:db8::20", &addresses[1]));
	*self = (struct mx_identity){ our_names, 2, addresses, 2 };
}

static void add_host(struct mxset *set, char *entry)
{
	char *rest = entry;
	const char *preference = strtok_r(rest, " ", &rest);
	const char *name = strtok_r(rest, " ", &rest);
	char *word;
	struct ip ip;

	assert_true(mxset_add_host(set, strcmp(name, "-") == 0 ? "." : name,
				   (uint16_t)strtoul(preference, NULL, 10)));
	while ((word = strtok_r(rest, ", ", &rest)) != NULL) {
		assert_true(ip_parse(word, &ip));
		assert_true(mx_host_add_address(&set->hosts[set->count - 1], &ip));
	}
}

static void read_set(struct mxset *set, const char *text)
{
	char copy[1024];
	char *rest = copy;
	char *entry;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((entry = strtok_r(rest, "|", &rest)) != NULL)
		add_host(set, entry + strspn(entry, " "));
	mxset_sort(set);
}

/* The better hosts' names, and the standing in front. */
static void describe(const struct mxset *set, char *out, size_t size)
{
	int length = snprintf(out, size, "%s", mx_standing_name(set->standing));

	for (size_t i = 0; i < set->count; i++)
		if (set->hosts[i].role == MX_BETTER)
			length += snprintf(out + length, size - (size_t)length, " %s",
					   set->hosts[i].name);
}

static void test_standing(void **state)
{
	static const struct {
		const char *what, *set, *seen;
	} cases[] = {
		{ "the usual", "10 mx1.test 192.0.2.10 | 20 mx2.example.net 192.0.2.20",
		  "backup mx1.test" },
		{ "by name, with an address that isn't ours",
		  "10 mx1.test 192.0.2.10 | 20 mx2.example.net 203.0.113.1", "backup mx1.test" },
		{ "by name in other case and with a final dot",
		  "10 mx1.test 192.0.2.10 | 20 MX2.Example.NET. 203.0.113.1", "backup mx1.test" },
		{ "by address under another name",
		  "10 mx1.test 192.0.2.10 | 20 other.test 192.0.2.20", "backup mx1.test" },
		{ "by IPv6 address", "10 mx1.test 192.0.2.10 | 20 other.test 2001:db8::20",
		  "backup mx1.test" },
		{ "by our second name", "10 mx1.test 192.0.2.10 | 20 backup.example.net",
		  "backup mx1.test" },
		{ "two better ones",
		  "20 mx2.example.net | 5 a.test 192.0.2.1 | 10 b.test 192.0.2.2",
		  "backup a.test b.test" },
		{ "one better, one equal, one worse",
		  "20 mx2.example.net | 20 equal.test 192.0.2.1 | 30 worse.test 192.0.2.2 | 10 "
		  "mx1.test 192.0.2.10",
		  "backup mx1.test" },
		{ "equal only", "20 mx2.example.net | 20 equal.test 192.0.2.1", "best" },
		{ "we are the best", "10 mx2.example.net | 20 mx1.test 192.0.2.10", "best" },
		{ "we are the only one", "10 mx2.example.net", "best" },
		{ "listed twice: the lower preference counts",
		  "10 mx2.example.net | 15 mx1.test 192.0.2.10 | 20 backup.example.net", "best" },
		{ "listed twice, both behind",
		  "10 mx1.test 192.0.2.10 | 15 mx2.example.net | 20 backup.example.net",
		  "backup mx1.test" },
		{ "the better one is ourselves by address",
		  "10 mx1.test 192.0.2.20 | 20 mx2.example.net", "best" },
		{ "one of the better one's addresses is ours",
		  "10 mx1.test 192.0.2.10,192.0.2.20 | 20 mx2.example.net", "best" },
		{ "we are not listed", "10 mx1.test 192.0.2.10 | 20 other.test 192.0.2.30",
		  "unlisted" },
		{ "null MX", "0 -", "null" },
		{ "a better one without an address", "10 mx1.test | 20 mx2.example.net",
		  "backup mx1.test" },
		{ "preference 0 is a preference", "0 mx1.test 192.0.2.10 | 1 mx2.example.net",
		  "backup mx1.test" },
		{ "preference 65535", "65534 mx1.test 192.0.2.10 | 65535 mx2.example.net",
		  "backup mx1.test" },
	};
	struct mx_identity self;
	struct ip addresses[2];

	(void)state;
	identity(&self, addresses);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mxset set = { .hosts = NULL };
		char seen[512];

		read_set(&set, cases[i].set);
		mxset_find_ourselves(&set, &self);
		describe(&set, seen, sizeof(seen));
		if (strcmp(seen, cases[i].seen) != 0)
			fail_msg("%s: %s, not %s", cases[i].what, seen, cases[i].seen);
		assert_int_equal(mxset_has_better(&set), strncmp(cases[i].seen, "backup", 6) == 0);
		mxset_fini(&set);
	}
}

/* What DNS itself said isn't changed by looking for ourselves. */
static void test_absences_stay(void **state)
{
	static const enum mx_standing kept[] = { MX_STANDING_UNKNOWN, MX_STANDING_IMPLICIT,
						 MX_STANDING_GONE };
	struct mx_identity self;
	struct ip addresses[2];

	(void)state;
	identity(&self, addresses);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		struct mxset set = { .standing = kept[i] };

		mxset_find_ourselves(&set, &self);
		assert_int_equal(set.standing, kept[i]);
		assert_false(mxset_has_better(&set));
	}
}

/* A second look with another identity forgets the first one's roles. */
static void test_roles_are_made_anew(void **state)
{
	struct mxset set = { .hosts = NULL };
	struct mx_identity nobody = { NULL, 0, NULL, 0 };
	struct mx_identity self;
	struct ip addresses[2];

	(void)state;
	identity(&self, addresses);
	read_set(&set, "10 mx1.test 192.0.2.10 | 20 mx2.example.net");
	mxset_find_ourselves(&set, &self);
	assert_true(mxset_has_better(&set));
	mxset_find_ourselves(&set, &nobody);
	assert_int_equal(set.standing, MX_STANDING_UNLISTED);
	assert_int_equal(set.hosts[0].role, MX_NOT_BETTER);
	mxset_fini(&set);
}

static void test_bounds(void **state)
{
	struct mxset set = { .hosts = NULL };
	struct mxset copy = { .hosts = NULL };
	char name[32];
	char small[4];
	struct ip ip;

	(void)state;
	for (int i = 0; i < MXSET_HOSTS_MAX; i++) {
		snprintf(name, sizeof(name), "mx%d.test", i);
		assert_true(mxset_add_host(&set, name, (uint16_t)i));
	}
	assert_false(mxset_add_host(&set, "one.more.test", 1));
	for (int i = 0; i < MXSET_ADDRESSES_MAX; i++) {
		snprintf(name, sizeof(name), "192.0.2.%d", i);
		assert_true(ip_parse(name, &ip));
		assert_true(mx_host_add_address(&set.hosts[0], &ip));
		assert_true(mx_host_add_address(&set.hosts[0], &ip));
	}
	assert_int_equal(set.hosts[0].address_count, MXSET_ADDRESSES_MAX);
	assert_true(ip_parse("192.0.2.99", &ip));
	assert_false(mx_host_add_address(&set.hosts[0], &ip));
	mxset_copy(&copy, &set);
	assert_int_equal(copy.count, MXSET_HOSTS_MAX);
	mxset_fini(&set);
	assert_string_equal(copy.hosts[1].name, "mx1.test");
	mxset_fini(&copy);
	assert_false(mxset_name_copy(small, sizeof(small), "long.test"));
}

static void test_names_within_a_zone(void **state)
{
	(void)state;
	assert_true(mxset_name_is_within("example.test", "example.test"));
	assert_true(mxset_name_is_within("mx1.example.test", "example.test"));
	assert_true(mxset_name_is_within("example.test", ""));
	assert_false(mxset_name_is_within("myexample.test", "example.test"));
	assert_false(mxset_name_is_within("test", "example.test"));
	assert_false(mxset_name_is_within("", "example.test"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_standing),
		cmocka_unit_test(test_absences_stay),
		cmocka_unit_test(test_roles_are_made_anew),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_names_within_a_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
