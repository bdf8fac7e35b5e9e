/* SPDX-License-Identifier: BSD-2-Clause */
/* The page "/": what it says of given documents, and that no document gets anything past it. */
#include "control/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "html.h"
#include "page_documents.h"

/* JSON with ' for ". */
static json_t *json_of(const char *text)
{
	char *copy = memory_string(text);
	json_error_t error;
	json_t *json;

	for (char *c = copy; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	json = json_loads(copy, JSON_DECODE_ANY, &error);
	if (json == NULL)
		fail_msg("%s: %s", text, error.text);
	free(copy);
	return json;
}

/* The three documents; `report` may be NULL. free() the page. */
static char *page_of(json_t *status, json_t *report, json_t *about)
{
	struct page_facts facts = { .status = status, .report = report, .about = about };
	size_t length;
	char *page = page_render(&facts, &length);
	const char *at;
	const char *problem = html_problem(page, length, &at);

	if (problem != NULL)
		fail_msg("%s: %.200s", problem, at);
	json_decref(status);
	json_decref(report);
	json_decref(about);
	return page;
}

static json_t *about(void)
{
	return json_of("{'host': 'mx2.example.net', 'time': '2026-11-23T22:49:12Z',"
		       " 'started': '2026-11-23T20:49:12Z'}");
}

static void assert_says(const char *page, const char *words)
{
	if (strstr(page, words) == NULL)
		fail_msg("the page does not say \"%s\": %s", words, strstr(page, "<main>"));
}

static void assert_silent(const char *page, const char *words)
{
	if (strstr(page, words) != NULL)
		fail_msg("the page says \"%s\": %.200s", words, strstr(page, words));
}

#define DOMAIN(name, state)                                                                        \
	"{'domain': '" name "', 'state': '" state                                                  \
	"', 'since': '2026-11-23T22:10:00Z', 'reason': 'refused'}"
#define UP(name) DOMAIN(name, "up")

static void test_headlines(void **state)
{
	static const struct {
		const char *domains, *more, *title;
	} cases[] = {
		{ "", "", "<h1>No domains yet</h1>" },
		{ UP("a.test"), "", "<h1>All primaries are up</h1>" },
		{ UP("a.test") "," UP("b.test"), "", "<h1>All primaries are up</h1>" },
		{ UP("a.test") "," DOMAIN("b.test", "down"), "", "<h1>b.test is down</h1>" },
		{ UP("a.test") "," DOMAIN("b.test", "sick"), "", "<h1>b.test is sick</h1>" },
		{ DOMAIN("b.test", "forced-down"), "", "<h1>b.test is forced down</h1>" },
		{ DOMAIN("b.test", "forced-up"), "", "<h1>All primaries are up</h1>" },
		{ DOMAIN("a.test", "sick") "," DOMAIN("b.test", "sick"), "",
		  "<h1>2 primaries are sick</h1>" },
		{ DOMAIN("a.test", "down") "," DOMAIN("b.test", "down"), "",
		  "<h1>2 primaries are down</h1>" },
		{ DOMAIN("a.test", "down") "," DOMAIN("b.test", "sick"), "",
		  "<h1>1 primary is down, 1 is sick</h1>" },
		{ UP("a.test") "," DOMAIN("b.test", "unknown"), "",
		  "<h1>1 primary is not known yet</h1>" },
		{ UP("a.test") "," DOMAIN("b.test", "not-backup"), "",
		  "<h1>All primaries are up</h1>" },
		{ DOMAIN("b.test", "not-backup"), "", "<h1>No primary is watched now</h1>" },
		{ DOMAIN("a.test", "down"), ", 'isolated': true", "<h1>This host is cut off</h1>" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = memory_format("{'domains': [%s]%s}", cases[i].domains, cases[i].more);
		char *page = page_of(json_of(text), NULL, about());

		assert_says(page, cases[i].title);
		free(page);
		free(text);
	}
}

static void test_shadow_mode_is_said(void **state)
{
	char *page = page_of(json_of("{'domains': [], 'mode': 'shadow'}"), NULL, about());

	(void)state;
	assert_says(page, "Shadow mode.");
	free(page);
	page = page_of(json_of("{'domains': [], 'mode': 'enforce'}"), NULL, about());
	assert_silent(page, "Shadow mode.");
	free(page);
}

static void test_a_card(void **state)
{
	char *page = page_of(
		json_of("{'domains': [{'domain': 'example.org', 'state': 'down', 'since': "
			"'2026-11-22T20:49:12Z', 'reason': 'refused', 'endpoints': [{'endpoint': "
			"'[192.0.2.1]:25', 'state': 'down', 'reason': 'timeout'}, {'endpoint': "
			"'[2001:db8::1]:25', 'state': 'down', 'reason': 'no-route'}], "
			"'recipients': {'valid': 12345, 'coverage': 0.8799}, 'counters': "
			"{'mails_since_down': 1}}]}"),
		NULL, about());

	(void)state;
	assert_says(page, "<title>example.org is down");
	assert_says(page, "<time datetime='2026-11-22T20:49:12Z'>22\u00a0Nov, 20:49\u00a0UTC"
			  "</time>, 1\u00a0d 2\u00a0h ago. The primary refuses connections.");
	assert_says(page, "<use href='#bad'/></svg>down</p>");
	assert_says(page, "[192.<wbr>0.<wbr>2.<wbr>1]:25</b> down, doesn\u2019t answer in time");
	assert_says(page, "<use href='#idle'/></svg><span><b class='address'>[2001:db8::1]:25");
	assert_says(page, "12,345 known, covering 87\u00a0% of those asked for");
	assert_says(page, "1 mail taken since it went down");
	free(page);
}

static void test_not_looked_at_yet(void **state)
{
	char *page =
		page_of(json_of("{'domains': [{'domain': 'a.test', 'state': 'unknown', "
				"'reason': 'ok', 'endpoints': [{'endpoint': 'x', 'state': "
				"'unknown', 'reason': 'ok'}]},"
				"{'domain': 'b.test', 'state': 'not-backup', 'reason': 'ok'}]}"),
			NULL, about());

	(void)state;
	assert_says(page, "x</b> unknown</span>");
	assert_silent(page, "answers as it should");
	assert_says(page, "no better host than this one");
	free(page);
}

static size_t count_of(const char *text, const char *words)
{
	size_t count = 0;

	while ((text = strstr(text, words)) != NULL) {
		count++;
		text++;
	}
	return count;
}

#define REPORT                                                                                     \
	"{'domains': [{'domain': 'example.org', 'availability': 0.999999, 'days': ["               \
	"{'date': '2026-08-25', 'up_seconds': 86400},"                                             \
	"{'date': '2026-08-26', 'up_seconds': 86400},"                                             \
	"{'date': '2026-11-20', 'isolated_seconds': 5},"                                           \
	"{'date': '2026-11-21', 'up_seconds': 86280, 'down_seconds': 120},"                        \
	"{'date': '2026-11-22', 'up_seconds': 80000, 'sick_seconds': 6400},"                       \
	"{'date': '2026-11-23', 'up_seconds': 80000},"                                             \
	"{'date': '2026-11-24', 'up_seconds': 80000}], 'outages': ["                               \
	"{'start': '2026-11-21T10:00:00Z', 'end': '2026-11-21T10:02:00Z', 'state': 'down',"        \
	" 'cause': 'timeout', 'detect_seconds': 34, 'mails_taken': 7, 'mails_flushed': 6,"         \
	" 'longest_delay_seconds': null},"                                                         \
	"{'start': '2026-11-22T10:00:00Z', 'end': null, 'state': 'sick',"                          \
	" 'cause': 'canary-refused'}]}],"                                                          \
	"'totals': {'outages': 2, 'outage_seconds': 6520, 'availability': 0.999999}}"

static void test_the_bar_of_days(void **state)
{
	char *page =
		page_of(json_of("{'domains': [" UP("example.org") "]}"), json_of(REPORT), about());
	char *end = strstr(page, "class='scale'");

	(void)state;
	*end = '\0';
	assert_int_equal(count_of(page, "</title></rect>"), 90);
	assert_int_equal(count_of(page, ": up</title>"), 2);
	assert_int_equal(count_of(page, ": not observed</title>"), 90 - 5);
	assert_says(page, "26\u00a0Aug: up</title>");
	assert_silent(page, "25\u00a0Aug");
	assert_silent(page, "24\u00a0Nov");
	assert_says(page, "20\u00a0Nov: this host was cut off</title>");
	assert_says(page, "<rect class='warn' x='870' y='4' width='7' height='32'>"
			  "<title>21\u00a0Nov: away for 2\u00a0min</title>");
	assert_says(page, "<rect class='bad' x='880' y='0' width='7' height='40'>"
			  "<title>22\u00a0Nov: away for 1\u00a0h 46\u00a0min</title>");
	assert_says(page, "<dt>available in the last 90 days</dt><dd>99.99\u00a0%");
	assert_says(page, "aria-label='The last 90 days: 99.99\u00a0% up, 2 outages'");
	free(page);
}

static void test_outages(void **state)
{
	char *page =
		page_of(json_of("{'domains': [" UP("example.org") "]}"), json_of(REPORT), about());
	char *table = strstr(page, "<tbody>");

	(void)state;
	assert_says(page, "aria-label='2 outages in the last 7 days'");
	assert_says(page, "<title>sick from 22\u00a0Nov, 10:00 UTC, for 1\u00a0d 12\u00a0h until "
			  "now</title>");
	/* the latest comes first */
	assert_true(strstr(table, "refuses recipients") < strstr(table, "doesn\u2019t answer"));
	assert_says(table, "1\u00a0d 12\u00a0h, <b>not over</b>");
	assert_says(table, "'Noticed after'>34\u00a0s<");
	assert_says(table, "'Mail taken'>7<");
	assert_says(table, "'Passed on'>6<");
	assert_says(table, "'Longest delay'>\u2013<");
	free(page);
}

static void test_decisions(void **state)
{
	json_t *facts = about();
	char *page;

	(void)state;
	json_object_set_new(
		facts, "decisions",
		json_of("[{'action': 'accept', 'reason': 'primary-down', 'count': 1200},"
			" {'action': 'accept', 'reason': 'odd<one>', 'count': 34},"
			" {'action': 'reject', 'reason': 'invalid-recipient', 'count': 0}]"));
	page = page_of(json_of("{'domains': []}"), NULL, facts);
	assert_says(page, "since the start, 2\u00a0h ago");
	assert_says(page, "<b>1,234</b> Taken");
	assert_says(page, "primary is down, recipient is known</span> <b>1,200</b>");
	assert_says(page, "odd&lt;one&gt;</span> <b>34</b>");
	assert_says(page, "<b>0</b> Refused");
	free(page);
}

/* Those in trouble are shown however many others there are, and all are counted. */
static void test_many_domains(void **state)
{
	json_t *status = json_object();
	json_t *domains = json_array();
	char *page;

	(void)state;
	for (int i = 0; i < 1300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d%04d.test", i);
		json_array_append_new(domains, json_pack("{s:s, s:s}", "domain", name, "state",
							 i % 433 == 432 ? "down" : "up"));
	}
	json_object_set_new(status, "domains", domains);
	page = page_of(status, NULL, about());
	assert_says(page, "<h1>3 primaries are down</h1>");
	assert_int_equal(count_of(page, "<li class='card bad'>"), 3);
	assert_int_equal(count_of(page, "<li class='card "), PAGE_DOMAINS_MAX);
	assert_says(page, "1,200 more domains are not shown here");
	assert_true(strstr(page, "<h3>d1298.") < strstr(page, "<h3>d0000."));
	free(page);
}

static void test_domains_that_are_only_counted(void **state)
{
	json_t *facts = about();
	char *page;

	(void)state;
	json_object_set_new(facts, "others", json_of("[2, 0, 0, 0, 0, 0, 0, 4000, 5]"));
	page = page_of(json_of("{'domains': [" DOMAIN("a.test", "down") "]}"), NULL, facts);
	assert_says(page, "<h1>3 primaries are down</h1>");
	assert_says(page, "<p>a.<wbr>test is down, and 2 more.</p>");
	assert_says(page, "4,007 more domains are not shown here");
	free(page);
}

static void test_ranks(void **state)
{
	(void)state;
	assert_true(page_rank("down", false, false) < page_rank("sick", false, false));
	assert_true(page_rank("sick", false, false) < page_rank("unknown", false, false));
	assert_int_equal(page_rank("unknown", false, false), page_rank("odd", true, false));
	assert_true(page_rank("not-backup", false, false) < page_rank("up", true, false));
	assert_true(page_rank("up", true, false) < page_rank("up", false, false));
	assert_int_equal(page_rank("down", false, true), PAGE_RANKS - 1);
}

/* ---- foreign strings ---- */

static const char *const hostile[] = {
	"<script>alert(1)</script>",
	"'><img src=x onerror=alert(1)>",
	"\"><svg onload=alert(1)>",
	"' onmouseover='alert(1)",
	"</title><script>alert(1)</script>",
	"</style><b>",
	"-->]]><!--",
	"&lt;b&gt;&amp;&#x3c;script&#x3e;",
	"a\r\nb\tc\033[2J\177",
	"\u202egro.elpmaxe\u202c\u2066x\u2069\u200f",
	"ex\u0430mple.org",
	"\xff\xfe\x80 \xc0\xbc",
	"%s%n%d%1000000s",
	"",
};

static char *page_full_of(const char *string)
{
	json_t *all = page_documents_full_of(string, strlen(string));
	char *page = page_of(json_incref(json_object_get(all, "status")),
			     json_incref(json_object_get(all, "report")),
			     json_incref(json_object_get(all, "about")));

	json_decref(all);
	return page;
}

/* page_of() looks for everything else: tags, attributes, bytes. */
static void test_foreign_strings_stay_strings(void **state)
{
	char *page = page_full_of(hostile[0]);

	(void)state;
	assert_true(count_of(page, "&lt;script&gt;alert(1)&lt;/script&gt;") >= 12);
	free(page);
	/* as in an attribute, wherever it stands */
	page = page_full_of(hostile[3]);
	assert_silent(page, "' onmouse");
	assert_says(page, "&#39; onmouseover=&#39;alert(1)");
	free(page);
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
		free(page_full_of(hostile[i]));
}

static void test_foreign_strings_are_cut(void **state)
{
	char *string = memory_alloc(100001);
	char *page;

	(void)state;
	memset(string, '<', 100000);
	page = page_full_of(string);
	assert_says(page, "&lt;\u2026");
	assert_true(strlen(page) < 100000);
	free(page);
	free(string);
}

static void test_other_documents(void **state)
{
	static const char *const odd[] = {
		"null",
		"[]",
		"{}",
		"7",
		"'x'",
		"{'domains': {}}",
		"{'domains': [1, null, [], 'x']}",
		"{'domains': [{'domain': 7, 'endpoints': 7, 'recipients': [], 'counters': 'x'}]}",
		"{'domains': [{'outages': {}, 'days': [7, {'date': '9999999-99-99'}]}]}",
		"{'domains': [{'outages': [7, {'start': '2400-01-01T00:00:00Z'}]}]}",
		("{'domains': [{'availability': -1e300, 'days': [{'date': '2026-11-23',"
		 " 'up_seconds': 9223372036854775807, 'down_seconds': -9223372036854775808}]}],"
		 " 'totals': {'outage_seconds': -9223372036854775808, 'availability': 1e300}}"),
		("{'decisions': [{'action': 'accept', 'count': 9223372036854775807},"
		 " {'action': 'accept', 'count': 9223372036854775807}], 'time': 'x'}"),
	};
	size_t count = sizeof(odd) / sizeof(odd[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		free(page_of(json_of(odd[i]), json_of(odd[i]), json_of(odd[i])));
		free(page_of(json_of(odd[i]), json_of(odd[i]), about()));
	}
	free(page_of(NULL, NULL, NULL));
}

/* The browser applies the style sheet only if this is its digest (tests/daemon/test_page.py). */
static void test_policy(void **state)
{
	char policy[PAGE_POLICY_MAX];

	(void)state;
	page_policy(policy, sizeof(policy));
	assert_true(strlen(policy) < sizeof(policy) - 1);
	assert_ptr_equal(strstr(policy, "default-src 'none'; style-src 'sha256-"), policy);
	assert_non_null(strstr(policy, "frame-ancestors 'none'"));
	assert_null(strstr(policy, "unsafe"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headlines),
		cmocka_unit_test(test_shadow_mode_is_said),
		cmocka_unit_test(test_a_card),
		cmocka_unit_test(test_not_looked_at_yet),
		cmocka_unit_test(test_the_bar_of_days),
		cmocka_unit_test(test_outages),
		cmocka_unit_test(test_decisions),
		cmocka_unit_test(test_many_domains),
		cmocka_unit_test(test_domains_that_are_only_counted),
		cmocka_unit_test(test_ranks),
		cmocka_unit_test(test_foreign_strings_stay_strings),
		cmocka_unit_test(test_foreign_strings_are_cut),
		cmocka_unit_test(test_other_documents),
		cmocka_unit_test(test_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
