/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plans by their table (data/plan.table, which tells its own language), and what is written of them
 * for name servers.
 */
#include "core/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/plan_forms.h"
#include "table.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define TABLE_ROWS_MIN 70
#define LIST_MAX       16

/* ---- the hosts ---- */

static const struct {
	const char *word, *name, *canonical, *address;
	enum plan_known known;
} hosts[] = {
	{ "p1", "p1", "", "192.0.2.11", PLAN_FOUND },
	{ "p2", "p2", "", "192.0.2.12", PLAN_FOUND },
	{ "p3", "p3", "", "192.0.2.13", PLAN_FOUND },
	{ "b1", "b1", "", "192.0.2.21", PLAN_FOUND },
	{ "b2", "b2", "", "192.0.2.22", PLAN_FOUND },
	{ "b3", "b3", "", "192.0.2.23", PLAN_FOUND },
	{ "x1", "x1", "", "192.0.2.21", PLAN_FOUND },
	{ "ap", "ap", "p1", "192.0.2.11", PLAN_FOUND },
	{ "ab", "ab", "b1", "192.0.2.21", PLAN_FOUND },
	{ "n1", "n1", "", NULL, PLAN_NONE },
	{ "u1", "u1", "", NULL, PLAN_CANT_TELL },
	{ "l1", "192.0.2.99", "", NULL, PLAN_NONE },
	{ "null", "", "", NULL, PLAN_NONE },
};

static void address_of(const char *text, struct ip *ip)
{
	assert_true(ip_parse(text, ip));
}

static struct plan_host host_of(const char *word)
{
	struct plan_host host = { .known = PLAN_NONE };

	for (size_t i = 0; i < COUNT(hosts); i++) {
		if (strcmp(hosts[i].word, word) != 0)
			continue;
		text_copy(host.name, sizeof(host.name), hosts[i].name);
		text_copy(host.canonical, sizeof(host.canonical), hosts[i].canonical);
		host.known = hosts[i].known;
		if (hosts[i].address != NULL)
			address_of(hosts[i].address, &host.addresses[host.address_count++]);
		return host;
	}
	fail_msg("there is no host %s", word);
	return host;
}

static const char *word_of(const char *name)
{
	for (size_t i = 0; i < COUNT(hosts); i++)
		if (strcmp(hosts[i].name, name) == 0)
			return hosts[i].word;
	return name;
}

/* ---- facts in words ---- */

struct row {
	struct plan_facts facts;
	struct plan_mx mx[LIST_MAX];
	struct plan_backup backups[LIST_MAX];
	struct plan_host primary;
	struct plan_reverse reverse;
	struct ip own[2]; /* the first backup's */
};

static void take_mx(struct row *row, char *list)
{
	char *word;

	if (strcmp(list, "-") == 0)
		return;
	while ((word = strtok_r(list, ", ", &list)) != NULL) {
		struct plan_mx *mx = &row->mx[row->facts.mx_count++];

		mx->preference = (uint16_t)strtoul(word, NULL, 10);
		mx->host = host_of(strtok_r(list, ", ", &list));
	}
}

static void take_backups(struct row *row, char *list)
{
	char *word;

	row->facts.backup_count = 0;
	while ((word = strtok_r(list, ",", &list)) != NULL) {
		struct plan_backup *backup = &row->backups[row->facts.backup_count++];

		backup->host = host_of(word);
		text_copy(backup->zone, sizeof(backup->zone), "other");
	}
}

static void want(struct row *row, const char *families)
{
	struct plan_backup *first = &row->backups[0];

	if (strchr(families, '4') != NULL)
		address_of("192.0.2.29", &first->wanted[first->wanted_count++]);
	if (strchr(families, '6') != NULL)
		address_of("2001:db8::29", &first->wanted[first->wanted_count++]);
}

static void take_bare(struct row *row, const char *families)
{
	struct plan_backup *first = &row->backups[0];

	first->host.known = PLAN_NONE;
	first->host.address_count = 0;
	want(row, families);
}

static void take_reverse(struct row *row, const char *name)
{
	row->facts.reverse = &row->reverse;
	row->facts.reverse_count = 1;
	row->reverse.ip = row->backups[0].host.addresses[0];
	row->reverse.known = strcmp(name, "none") == 0 ? PLAN_NONE : PLAN_FOUND;
	text_copy(row->reverse.name, sizeof(row->reverse.name), name);
}

static void take_domain(struct row *row, const char *like)
{
	row->facts.domain = host_of(like);
	text_copy(row->facts.domain.name, sizeof(row->facts.domain.name), "domain");
}

static void take_flag(struct row *row, const char *word)
{
	struct plan_backup *first = &row->backups[0];

	if (strcmp(word, "chosen") == 0)
		first->chosen = true;
	else if (strcmp(word, "unseen") == 0)
		first->host.known = PLAN_CANT_TELL;
	else if (strcmp(word, "zone") == 0)
		text_copy(first->zone, sizeof(first->zone), "domain");
	else
		fail_msg("what is \"%s\"?", word);
}

static void take_fact(struct row *row, char *word)
{
	char *value = strchr(word, '=');

	if (strcmp(word, "-") == 0)
		return;
	if (value == NULL) {
		take_flag(row, word);
		return;
	}
	*value++ = '\0';
	if (strcmp(word, "ttl") == 0) {
		row->facts.mx_ttl = strtol(value, NULL, 10);
	} else if (strcmp(word, "wanted") == 0) {
		row->facts.ttl = strtol(value, NULL, 10);
	} else if (strcmp(word, "backups") == 0) {
		take_backups(row, value);
	} else if (strcmp(word, "domain") == 0) {
		take_domain(row, value);
	} else if (strcmp(word, "bare") == 0) {
		take_bare(row, value);
	} else if (strcmp(word, "more") == 0) {
		want(row, value);
	} else if (strcmp(word, "reverse") == 0) {
		take_reverse(row, value);
	} else if (strcmp(word, "primary") == 0) {
		row->primary = host_of(value);
		row->facts.primary = &row->primary;
	} else {
		fail_msg("what is \"%s\"?", word);
	}
}

static void read_row(struct row *row, char *mx, char *facts)
{
	char backups[] = "b1";
	char *word;

	memset(row, 0, sizeof(*row));
	text_copy(row->facts.domain.name, sizeof(row->facts.domain.name), "domain");
	text_copy(row->facts.zone, sizeof(row->facts.zone), "domain");
	row->facts.zone_known = true;
	row->facts.domain.known = PLAN_NONE;
	row->facts.mx = row->mx;
	row->facts.mx_ttl = 3600;
	row->facts.backups = row->backups;
	take_mx(row, mx);
	take_backups(row, backups);
	while ((word = strtok_r(facts, " ", &facts)) != NULL)
		take_fact(row, word);
	address_of("192.0.2.21", &row->own[0]);
	address_of("192.0.2.29", &row->own[1]);
	row->backups[0].own = row->own;
	row->backups[0].own_count = 2;
}

/* ---- plans in words ---- */

static void describe_whys(struct text *text, uint32_t whys)
{
	char mark = '(';

	for (int why = 0; why < PLAN_WHYS; why++) {
		if ((whys >> why & 1) == 0)
			continue;
		text_add_char(text, mark);
		text_add(text, plan_why_name((enum plan_why)why));
		mark = ',';
	}
	text_add_char(text, ')');
}

static void describe_mx(struct text *text, const struct plan_record *record)
{
	const struct plan_value *now = &record->now;
	const struct plan_value *then = &record->then;

	if (record->action == PLAN_CHANGE && strcmp(now->target, then->target) != 0)
		text_add_format(text, "%s>", word_of(now->target));
	text_add(text, word_of(record->action == PLAN_REMOVE ? now->target : then->target));
	text_add_char(text, ':');
	if (record->action == PLAN_CHANGE && now->preference != then->preference)
		text_add_format(text, "%d>", (int)now->preference);
	text_add_format(text, "%d",
			(int)(record->action == PLAN_REMOVE ? now->preference : then->preference));
}

static void describe_record(struct text *text, const struct plan_record *record)
{
	static const char marks[] = {
		[PLAN_KEEP] = '=', [PLAN_ADD] = '+', [PLAN_CHANGE] = '~', [PLAN_REMOVE] = '-'
	};

	text_add_char(text, marks[record->action]);
	if (record->type == PLAN_MX)
		describe_mx(text, record);
	else
		text_add_format(text, "%s:%s", plan_type_name(record->type), word_of(record->name));
	if (record->action == PLAN_ADD || record->action == PLAN_CHANGE)
		text_add_format(text, "@%lld", (long long)record->then.ttl);
	describe_whys(text, record->whys);
	if (record->elsewhere && record->action != PLAN_KEEP)
		text_add_char(text, '*');
}

static void describe(const struct plan *plan, struct text *text)
{
	if (plan->obstacle != PLAN_NO_OBSTACLE) {
		text_add_format(text, "%s %s", plan_obstacle_name(plan->obstacle), plan->hindering);
		assert_false(plan_has_changes(plan));
		assert_int_equal(plan->note_count, 0);
		return;
	}
	for (size_t i = 0; i < plan->count; i++) {
		if (i > 0)
			text_add_char(text, ' ');
		describe_record(text, &plan->records[i]);
	}
	for (size_t i = 0; i < plan->note_count; i++)
		text_add_format(text, " !%s", plan_advice_name(plan->notes[i].advice));
}

static char *trimmed(char *field)
{
	size_t length;

	field += strspn(field, " ");
	length = strlen(field);
	while (length > 0 && field[length - 1] == ' ')
		field[--length] = '\0';
	return field;
}

static void check_row(char *line)
{
	char seen[2048];
	TEXT_ON(text, seen);
	struct row row;
	struct plan plan;
	char *rest = line;
	char *what = trimmed(table_field(&rest));
	char *mx = table_field(&rest);
	char *facts = table_field(&rest);
	const char *wanted = trimmed(rest);

	read_row(&row, mx, facts);
	plan_make(&plan, &row.facts);
	describe(&plan, &text);
	if (strcmp(seen, wanted) != 0)
		fail_msg("%s:\n  %s\nnot\n  %s", what, seen, wanted);
	plan_fini(&plan);
}

static void test_table(void **state)
{
	FILE *table = table_open("plan.table");
	char line[1024];
	int rows = 0;

	(void)state;
	assert_non_null(table);
	while (fgets(line, sizeof(line), table) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		check_row(line);
		rows++;
	}
	fclose(table);
	assert_true(rows >= TABLE_ROWS_MIN);
}

/* What a plan makes of a set needs no plan any more. */
static void take_result(struct row *row, const struct plan *plan)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_record *record = &plan->records[i];
		struct plan_mx *mx = &row->mx[count];

		if (record->type != PLAN_MX || record->action == PLAN_REMOVE)
			continue;
		mx->preference = (uint16_t)record->then.preference;
		if (strcmp(record->then.target, "domain") == 0)
			mx->host = row->facts.domain;
		else
			mx->host = host_of(word_of(record->then.target));
		count++;
	}
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_record *record = &plan->records[i];
		struct plan_host *host = &row->backups[0].host;

		if (record->type == PLAN_MX || record->action != PLAN_ADD)
			continue;
		host->known = PLAN_FOUND;
		host->addresses[host->address_count++] = record->then.address;
	}
	row->facts.mx_count = count;
	row->facts.mx_ttl = row->facts.ttl > 0 ? row->facts.ttl : PLAN_TTL_GOOD;
}

static void test_a_plan_leaves_nothing_to_plan(void **state)
{
	FILE *table = table_open("plan.table");
	char line[1024];

	(void)state;
	while (fgets(line, sizeof(line), table) != NULL) {
		char *rest = line;
		struct row row;
		struct plan plan;
		const char *what = table_field(&rest);
		char *mx = table_field(&rest);

		if (line[0] == '\n' || line[0] == '#')
			continue;
		read_row(&row, mx, table_field(&rest));
		plan_make(&plan, &row.facts);
		if (plan_has_changes(&plan)) {
			take_result(&row, &plan);
			plan_fini(&plan);
			plan_make(&plan, &row.facts);
			if (plan_has_changes(&plan) || plan.obstacle != PLAN_NO_OBSTACLE)
				fail_msg("%s: a second plan changes more", what);
		}
		plan_fini(&plan);
	}
	fclose(table);
}

/* ---- names ---- */

static void test_names_hold_no_surprise(void **state)
{
	static const struct {
		const char *name, *written;
	} rows[] = {
		{ "mx1.example.org", "mx1.example.org." },
		{ "_dmarc.example-1.org", "_dmarc.example-1.org." },
		{ "", "." },
		{ "a b.org", "a\\032b.org." },
		{ "a\nsend.org", "a\\010send.org." },
		{ "a;b.org", "a\\059b.org." },
		{ "\"a\".org", "\\034a\\034.org." },
		{ "a\\.b.org", "a\\046b.org." }, /* a dot inside of a label, as c-ares has it */
		{ "a\\\\b.org", "a\\092b.org." },
		{ "a\\010b.org", "a\\010b.org." },
		{ "a\\097b.org", "aab.org." },
		{ "a\\999b.org", "a999b.org." }, /* no byte: an escaped nine */
		{ "a\\", "a\\092." },
		{ "\xc3\xa9.org", "\\195\\169.org." },
		{ "$ORIGIN", "\\036ORIGIN." },
		{ "@", "\\064." },
		{ "*.org", "\\042.org." },
		{ "(a)", "\\040a\\041." },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char written[256];
		TEXT_ON(text, written);

		plan_add_name(&text, rows[i].name);
		assert_string_equal(written, rows[i].written);
	}
}

static void test_relative_names(void **state)
{
	static const struct {
		const char *name, *zone, *written;
	} rows[] = {
		{ "example.org", "example.org", "@" },
		{ "mx2.example.org", "example.org", "mx2" },
		{ "a.b.example.org", "example.org", "a.b" },
		{ "mx2.example.net", "example.org", "mx2.example.net." },
		{ "mx2example.org", "example.org", "mx2example.org." },
		{ "mx2.example.org", "", "mx2.example.org." },
		{ "a b.example.org", "example.org", "a\\032b" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char written[256];
		TEXT_ON(text, written);

		plan_add_relative_name(&text, rows[i].name, rows[i].zone);
		assert_string_equal(written, rows[i].written);
	}
}

/* ---- lines ---- */

static void join(void *arg, const char *line)
{
	struct text *text = arg;

	assert_null(strchr(line, '\n'));
	text_add(text, line);
	text_add_char(text, '\n');
}

/* The lines of a row that looks like one of the table. */
static void check_lines(const char *mx, const char *facts, const char *zone, const char *nsupdate)
{
	char mx_copy[256], facts_copy[256], seen[4096];
	struct row row;
	struct plan plan;
	struct text text;

	text_copy(mx_copy, sizeof(mx_copy), mx);
	text_copy(facts_copy, sizeof(facts_copy), facts);
	read_row(&row, mx_copy, facts_copy);
	plan_make(&plan, &row.facts);
	text_init(&text, seen, sizeof(seen));
	plan_zone_lines(&plan, &row.facts, join, &text);
	assert_string_equal(seen, zone);
	text_init(&text, seen, sizeof(seen));
	plan_nsupdate_lines(&plan, &row.facts, "ns1.other", join, &text);
	assert_string_equal(seen, nsupdate);
	plan_fini(&plan);
}

static void test_lines(void **state)
{
	(void)state;
	check_lines("10 p1", "zone bare=46",
		    "domain. 3600 IN MX 20 b1.\n"
		    "b1. 3600 IN A 192.0.2.29\n"
		    "b1. 3600 IN AAAA 2001:db8::29\n",
		    "server ns1.other.\n"
		    "zone domain.\n"
		    "; only if the records are still those that this was made from:\n"
		    "prereq yxrrset domain. IN MX 10 p1.\n"
		    "prereq nxrrset b1. IN A\n"
		    "prereq nxrrset b1. IN CNAME\n"
		    "prereq nxrrset b1. IN AAAA\n"
		    "prereq nxrrset b1. IN CNAME\n"
		    "update add domain. 3600 IN MX 20 b1.\n"
		    "update add b1. 3600 IN A 192.0.2.29\n"
		    "update add b1. 3600 IN AAAA 2001:db8::29\n"
		    "send\n");
	check_lines("10 ap, 10 b1, 30 p1", "wanted=600 backups=b1,b2",
		    "; in place of: domain. IN MX 10 ap.\n"
		    "domain. 600 IN MX 10 p1.\n"
		    "; in place of: domain. IN MX 10 b1.\n"
		    "domain. 600 IN MX 20 b1.\n"
		    "domain. 600 IN MX 30 b2.\n"
		    "; take out: domain. IN MX 30 p1.\n",
		    "server ns1.other.\n"
		    "zone domain.\n"
		    "; only if the records are still those that this was made from:\n"
		    "prereq yxrrset domain. IN MX 10 ap.\n"
		    "prereq yxrrset domain. IN MX 10 b1.\n"
		    "prereq yxrrset domain. IN MX 30 p1.\n"
		    "update delete domain. IN MX 10 ap.\n"
		    "update delete domain. IN MX 10 b1.\n"
		    "update delete domain. IN MX 30 p1.\n"
		    "update add domain. 600 IN MX 10 p1.\n"
		    "update add domain. 600 IN MX 20 b1.\n"
		    "update add domain. 600 IN MX 30 b2.\n"
		    "send\n");
	check_lines("-", "domain=p1 bare=4",
		    "domain. 3600 IN MX 10 domain.\n"
		    "domain. 3600 IN MX 20 b1.\n"
		    "; this one belongs into the zone other.:\n"
		    "; b1. 3600 IN A 192.0.2.29\n",
		    "server ns1.other.\n"
		    "zone domain.\n"
		    "; only if the records are still those that this was made from:\n"
		    "prereq nxrrset domain. IN MX\n"
		    "prereq nxrrset domain. IN CNAME\n"
		    "update add domain. 3600 IN MX 10 domain.\n"
		    "update add domain. 3600 IN MX 20 b1.\n"
		    "; this one belongs into the zone other.:\n"
		    "; b1. 3600 IN A 192.0.2.29\n"
		    "send\n");
	check_lines("10 p1, 20 b1", "-", "; domain. has all it needs in its own zone\n",
		    "; domain. has all it needs in its own zone\n");
}

/* A host name that is a command to nsupdate stays a name. */
static void test_lines_hold_no_foreign_command(void **state)
{
	static const char evil[] = "mx1\nupdate delete domain. A\nsend\n;.test";
	char seen[4096];
	TEXT_ON(text, seen);
	char mx[] = "10 p1", nothing[] = "";
	struct row row;
	struct plan plan;

	(void)state;
	read_row(&row, mx, nothing);
	text_copy(row.mx[0].host.name, sizeof(row.mx[0].host.name), evil);
	plan_make(&plan, &row.facts);
	plan_nsupdate_lines(&plan, &row.facts, evil, join, &text);
	assert_non_null(strstr(seen, "zone domain.\n"));
	assert_non_null(strstr(seen, " 10 mx1\\010update\\032delete\\032domain.\\032A\\010send"
				     "\\010\\059.test.\n"));
	assert_null(strstr(seen, "\nupdate delete"));
	plan_fini(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_a_plan_leaves_nothing_to_plan),
		cmocka_unit_test(test_names_hold_no_surprise),
		cmocka_unit_test(test_relative_names),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_hold_no_foreign_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
