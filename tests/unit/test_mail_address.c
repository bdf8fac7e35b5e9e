/* SPDX-License-Identifier: BSD-2-Clause */
/* Envelope addresses: what is read, what is only tolerated, what is refused. */
#include "core/mail_address.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define FIFTY	 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
#define LOCAL_64 FIFTY "01234567890123"
#define LABEL_63 FIFTY "0123456789abc"

enum ask { ASK, DONT }; /* askable or not */

struct mailbox_row {
	const char *typed;
	const char *local;
	const char *domain;
	enum ask ask;
};

static struct mail_address parsed(const char *typed)
{
	struct mail_address address;

	memset(&address, 0x5a, sizeof(address));
	mail_address_parse(typed, &address);
	return address;
}

static void check_mailbox(const struct mailbox_row *row)
{
	struct mail_address got = parsed(row->typed);

	if (got.kind != MAIL_ADDRESS_MAILBOX || got.askable != (row->ask == ASK))
		print_error("row: %s\n", row->typed);
	assert_int_equal(got.kind, MAIL_ADDRESS_MAILBOX);
	assert_string_equal(got.local, row->local);
	assert_string_equal(got.domain, row->domain);
	assert_int_equal(got.askable, row->ask == ASK);
	assert_int_equal(got.is_ascii, text_is_ascii(row->local) && text_is_ascii(row->domain));
	assert_int_equal(got.domain_is_literal, row->domain[0] == '[');
}

static void check_mailboxes(const struct mailbox_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_mailbox(&rows[i]);
}

static void check_kind(const char *typed, enum mail_address_kind kind)
{
	struct mail_address got = parsed(typed);

	if (got.kind != kind)
		print_error("row: %s\n", typed);
	assert_int_equal(got.kind, kind);
	assert_string_equal(got.domain, "");
	assert_false(got.askable);
	assert_false(got.domain_is_literal);
	if (kind == MAIL_ADDRESS_MALFORMED || kind == MAIL_ADDRESS_NULL)
		assert_string_equal(got.local, "");
}

static void test_plain(void **state)
{
	static const struct mailbox_row rows[] = {
		{ "<anna@example.test>", "anna", "example.test", ASK },
		{ "anna@example.test", "anna", "example.test", ASK },
		{ "  <anna@example.test> \t", "anna", "example.test", ASK },
		{ "< anna@example.test >", "anna", "example.test", ASK },
		{ " anna@example.test ", "anna", "example.test", ASK },
		{ "<Anna.Lena+Tag@EXAMPLE.Test>", "Anna.Lena+Tag", "example.test", ASK },
		{ "<anna@example.test.>", "anna", "example.test", ASK },
		{ "<a@b.c>", "a", "b.c", ASK },
		{ "<!#$&'*+-/=?^_`{|}~@example.test>", "!#$&'*+-/=?^_`{|}~", "example.test", DONT },
		{ "<#$&'*+-/=?^_`{|}~@example.test>", "#$&'*+-/=?^_`{|}~", "example.test", ASK },
		{ "<-x@example.test>", "-x", "example.test", ASK },
		{ "<anna@1.2.3.test>", "anna", "1.2.3.test", ASK },
		{ "<anna@xn--bcher-kva.test>", "anna", "xn--bcher-kva.test", ASK },
		{ "<anna@a-b.test>", "anna", "a-b.test", ASK },
	};

	(void)state;
	check_mailboxes(rows, COUNT(rows));
}

static void test_source_routes(void **state)
{
	static const struct mailbox_row rows[] = {
		{ "<@relay.test:anna@example.test>", "anna", "example.test", ASK },
		{ "<@one.test,@two.test:anna@example.test>", "anna", "example.test", ASK },
		{ "@relay.test:anna@example.test", "anna", "example.test", ASK },
		{ "<@relay.test: anna@example.test>", "anna", "example.test", ASK },
		{ "<@[192.0.2.1]:anna@example.test>", "anna", "example.test", ASK },
		{ "<@[IPv6:2001:db8::1]:anna@example.test>", "anna", "example.test", ASK },
		{ "<@relay.test:\"a:b\"@example.test>", "\"a:b\"", "example.test", DONT },
	};

	(void)state;
	check_mailboxes(rows, COUNT(rows));
	check_kind("<@relay.test:postmaster>", MAIL_ADDRESS_POSTMASTER);
	check_kind("<@relay.test:anna>", MAIL_ADDRESS_LOCAL_ONLY);
	check_kind("<@relay.test:>", MAIL_ADDRESS_MALFORMED);
	check_kind("<@relay.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<@>", MAIL_ADDRESS_MALFORMED);
	check_kind("<@:anna@example.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<@one.test:@two.test:anna@example.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<@[IPv6:2001:db8::1:anna@example.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<@\"relay:x\":anna@example.test>", MAIL_ADDRESS_MALFORMED);
}

static void test_quotes(void **state)
{
	static const struct mailbox_row rows[] = {
		{ "<\"anna\"@example.test>", "anna", "example.test", ASK },
		{ "<\"an.na\"@example.test>", "an.na", "example.test", ASK },
		{ "<\"an\\na\"@example.test>", "anna", "example.test", ASK },
		{ "<\"anna lena\"@example.test>", "\"anna lena\"", "example.test", DONT },
		{ "<\"anna\\ lena\"@example.test>", "\"anna lena\"", "example.test", DONT },
		{ "<\"a\\\"b\"@example.test>", "\"a\\\"b\"", "example.test", DONT },
		{ "<\"a\\\\b\"@example.test>", "\"a\\\\b\"", "example.test", DONT },
		{ "<\"a@b\"@example.test>", "\"a@b\"", "example.test", DONT },
		{ "<\"a>b\"@example.test>", "\"a>b\"", "example.test", DONT },
		{ "<\".anna\"@example.test>", "\".anna\"", "example.test", DONT },
		{ "<\"an..na\"@example.test>", "\"an..na\"", "example.test", DONT },
		{ "<\"\"@example.test>", "\"\"", "example.test", DONT },
		{ "<\" \"@example.test>", "\" \"", "example.test", DONT },
		{ "<\"a%b\"@example.test>", "a%b", "example.test", DONT },
	};

	(void)state;
	check_mailboxes(rows, COUNT(rows));
	check_kind("<\"anna@example.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<\"anna\\\"@example.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<\"an\"na@example.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<an\"na\"@example.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<\"an\".\"na\"@example.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<an\\na@example.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<\"a@b\"@\"example.test\">", MAIL_ADDRESS_MALFORMED);
	check_kind("<\"a@b\">", MAIL_ADDRESS_LOCAL_ONLY);
	check_kind("\"", MAIL_ADDRESS_MALFORMED);
	check_kind("\"\\", MAIL_ADDRESS_MALFORMED);
	check_kind("<\"\\>", MAIL_ADDRESS_MALFORMED);
}

/* An MTA may let these pass; nobody is asked about them. */
static void test_not_askable(void **state)
{
	static const struct mailbox_row rows[] = {
		{ "<user%elsewhere.test@example.test>", "user%elsewhere.test", "example.test",
		  DONT },
		{ "<elsewhere.test!user@example.test>", "elsewhere.test!user", "example.test",
		  DONT },
		{ "<user@elsewhere.test@example.test>", "user@elsewhere.test", "example.test",
		  DONT },
		{ "<.anna@example.test>", ".anna", "example.test", DONT },
		{ "<anna.@example.test>", "anna.", "example.test", DONT },
		{ "<an..na@example.test>", "an..na", "example.test", DONT },
		{ "<.@example.test>", ".", "example.test", DONT },
		{ "<anna lena@example.test>", "anna lena", "example.test", DONT },
		{ "<an,na@example.test>", "an,na", "example.test", DONT },
		{ "<user:x@example.test>", "user:x", "example.test", DONT },
		{ "<a(b)@example.test>", "a(b)", "example.test", DONT },
		{ "<anna@localhost>", "anna", "localhost", DONT },
		{ "<anna@my_host.test>", "anna", "my_host.test", DONT },
		{ "<anna@-a.test>", "anna", "-a.test", DONT },
		{ "<anna@a-.test>", "anna", "a-.test", DONT },
		{ "<anna@a.test->", "anna", "a.test-", DONT },
	};

	(void)state;
	check_mailboxes(rows, COUNT(rows));
}

static void test_literals(void **state)
{
	static const struct mailbox_row rows[] = {
		{ "<anna@[192.0.2.1]>", "anna", "[192.0.2.1]", DONT },
		{ "<anna@[IPv6:2001:DB8::1]>", "anna", "[ipv6:2001:db8::1]", DONT },
		{ "<anna@[tag:content]>", "anna", "[tag:content]", DONT },
	};

	(void)state;
	check_mailboxes(rows, COUNT(rows));
	check_kind("<anna@[]>", MAIL_ADDRESS_MALFORMED);
	check_kind("<anna@[192.0.2.1>", MAIL_ADDRESS_MALFORMED);
	check_kind("<anna@192.0.2.1]>", MAIL_ADDRESS_MALFORMED);
	check_kind("<anna@[192.0.2.1].test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<anna@[192.0.2.1].>", MAIL_ADDRESS_MALFORMED);
	check_kind("<anna@[[192.0.2.1]]>", MAIL_ADDRESS_MALFORMED);
	check_kind("<anna@[192.0.2.1 ]>", MAIL_ADDRESS_MALFORMED);
	check_kind("<anna@[a@b]>", MAIL_ADDRESS_MALFORMED);
	check_kind("<anna@[\xc3\xa4]>", MAIL_ADDRESS_MALFORMED);
}

static void test_8bit(void **state)
{
	static const struct mailbox_row rows[] = {
		{ "<\xc3\xa4nna@example.test>", "\xc3\xa4nna", "example.test", ASK },
		{ "<anna@b\xc3\xbc"
		  "cher.test>",
		  "anna",
		  "b\xc3\xbc"
		  "cher.test",
		  ASK },
		{ "<\"\xc3\xa4nna\"@example.test>", "\xc3\xa4nna", "example.test", ASK },
		{ "<\xe6\x97\xa5@example.test>", "\xe6\x97\xa5", "example.test", ASK },
		{ "<\xf0\x9f\x93\xae@example.test>", "\xf0\x9f\x93\xae", "example.test", ASK },
		/* no UTF-8: Latin-1, cut short, over-long form, surrogate, beyond Unicode */
		{ "<\xe4nna@example.test>", "\xe4nna", "example.test", DONT },
		{ "<anna\xc3@example.test>", "anna\xc3", "example.test", DONT },
		{ "<\xc0\xaf@example.test>", "\xc0\xaf", "example.test", DONT },
		{ "<\xe0\x80\xaf@example.test>", "\xe0\x80\xaf", "example.test", DONT },
		{ "<\xed\xa0\x80@example.test>", "\xed\xa0\x80", "example.test", DONT },
		{ "<\xf4\x90\x80\x80@example.test>", "\xf4\x90\x80\x80", "example.test", DONT },
		{ "<\xff@example.test>", "\xff", "example.test", DONT },
		/* a C1 control character */
		{ "<a\xc2\x85"
		  "b@example.test>",
		  "a\xc2\x85"
		  "b",
		  "example.test", DONT },
	};

	(void)state;
	check_mailboxes(rows, COUNT(rows));
	check_kind("<anna@\xe4.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<anna@b\xc3.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<\xc3\xa4>", MAIL_ADDRESS_LOCAL_ONLY);
	assert_false(parsed("<\xc3\xa4>").is_ascii);
}

static void test_control_bytes(void **state)
{
	static const char *const shapes[] = {
		"<an%cna@example.test>",	"<anna@exam%cple.test>",
		"<\"an%cna\"@example.test>",	"<anna@[192.0%c2.1]>",
		"<@rel%cay:anna@example.test>", "<an%cna>",
	};

	(void)state;
	for (int byte = 1; byte <= 0x7f; byte++) {
		if (byte == 0x20)
			byte = 0x7f;
		for (size_t i = 0; i < COUNT(shapes); i++) {
			char typed[64];

			TEXT_ON(text, typed);
			for (const char *c = shapes[i]; *c != '\0'; c++) {
				bool is_place = c[0] == '%' && c[1] == 'c';

				text_add_char(&text, is_place ? (char)byte : *c);
				c += is_place ? 1 : 0;
			}
			check_kind(typed, MAIL_ADDRESS_MALFORMED);
		}
	}
	check_kind("<anna@example.test>\r\n", MAIL_ADDRESS_MALFORMED);
	check_kind("anna@example.test\n", MAIL_ADDRESS_MALFORMED);
}

static void test_lengths(void **state)
{
	static const struct mailbox_row rows[] = {
		{ "<" LOCAL_64 "@example.test>", LOCAL_64, "example.test", ASK },
		{ "<\"" LOCAL_64 "\"@example.test>", LOCAL_64, "example.test", ASK },
		{ "<anna@0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopq.test>",
		  "anna", "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopq.test",
		  ASK },
	};
	char typed[1024];
	char quoted[MAIL_LOCAL_MAX + 1];

	(void)state;
	check_mailboxes(rows, COUNT(rows));
	check_kind("<" LOCAL_64 "5@example.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<" LOCAL_64 "5>", MAIL_ADDRESS_MALFORMED);
	check_kind("<\"" LOCAL_64 "5\"@example.test>", MAIL_ADDRESS_MALFORMED);
	check_kind("<anna@" LABEL_63 "x.test>", MAIL_ADDRESS_MALFORMED);

	/* A quoted-string that needs its quotes counts with them. */
	memset(quoted, ' ', sizeof(quoted));
	snprintf(typed, sizeof(typed), "<\"%.62s\"@example.test>", quoted);
	assert_int_equal(parsed(typed).kind, MAIL_ADDRESS_MAILBOX);
	snprintf(typed, sizeof(typed), "<\"%.63s\"@example.test>", quoted);
	assert_int_equal(parsed(typed).kind, MAIL_ADDRESS_MALFORMED);
}

static void test_domain_length(void **state)
{
	char typed[512];
	size_t start;

	(void)state;
	TEXT_ON(text, typed);
	text_add(&text, "<a@");
	start = text.length;
	while (text.length - start < MAIL_DOMAIN_MAX - 1)
		text_add(&text, "b.");
	text_add(&text, "c>");
	assert_int_equal(strlen(parsed(typed).domain), MAIL_DOMAIN_MAX);
	typed[text.length - 1] = '.'; /* a final dot isn't counted */
	text_add(&text, ">");
	assert_int_equal(strlen(parsed(typed).domain), MAIL_DOMAIN_MAX);
	typed[text.length - 2] = 'd';
	check_kind(typed, MAIL_ADDRESS_MALFORMED);
}

/* Far beyond any limit, in every part. */
static void test_enormous(void **state)
{
	static char typed[100000];
	static const char fillers[] = "a@\".\\<>:[ ,%\xc3";

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(fillers); i++) {
		memset(typed, fillers[i], sizeof(typed) - 1);
		check_kind(typed, MAIL_ADDRESS_MALFORMED);
		typed[0] = '<';
		typed[sizeof(typed) - 2] = '>';
		check_kind(typed, fillers[i] == ' ' ? MAIL_ADDRESS_NULL : MAIL_ADDRESS_MALFORMED);
	}
}

static void test_kinds(void **state)
{
	static const struct {
		const char *typed;
		enum mail_address_kind kind;
	} rows[] = {
		{ "<>", MAIL_ADDRESS_NULL },
		{ " <> ", MAIL_ADDRESS_NULL },
		{ "< >", MAIL_ADDRESS_NULL },
		{ "<postmaster>", MAIL_ADDRESS_POSTMASTER },
		{ "<PostMaster>", MAIL_ADDRESS_POSTMASTER },
		{ "POSTMASTER", MAIL_ADDRESS_POSTMASTER },
		{ "<\"postmaster\">", MAIL_ADDRESS_POSTMASTER },
		{ "<anna>", MAIL_ADDRESS_LOCAL_ONLY },
		{ "anna", MAIL_ADDRESS_LOCAL_ONLY },
		{ "<postmaster2>", MAIL_ADDRESS_LOCAL_ONLY },
		{ "<host!user>", MAIL_ADDRESS_LOCAL_ONLY },
		{ "<user%host>", MAIL_ADDRESS_LOCAL_ONLY },
		{ "", MAIL_ADDRESS_MALFORMED },
		{ " ", MAIL_ADDRESS_MALFORMED },
		{ "<", MAIL_ADDRESS_MALFORMED },
		{ ">", MAIL_ADDRESS_MALFORMED },
		{ "><", MAIL_ADDRESS_MALFORMED },
		{ "<<>>", MAIL_ADDRESS_MALFORMED },
		{ "<> <>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@example.test", MAIL_ADDRESS_MALFORMED },
		{ "anna@example.test>", MAIL_ADDRESS_MALFORMED },
		{ "<<anna@example.test>>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@example.test> x", MAIL_ADDRESS_MALFORMED },
		{ "Anna <anna@example.test>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@example.test><b@example.test>", MAIL_ADDRESS_MALFORMED },
		{ "<@example.test>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@>", MAIL_ADDRESS_MALFORMED },
		{ "<@>", MAIL_ADDRESS_MALFORMED },
		{ "@", MAIL_ADDRESS_MALFORMED },
		{ "<anna@.>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@.example.test>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@example..test>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@example.test..>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@ example.test>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@exam ple.test>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@example.test,b@example.test>", MAIL_ADDRESS_MAILBOX },
		{ "<anna@exam(x)ple.test>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@exam%ple.test>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@exam/ple.test>", MAIL_ADDRESS_MALFORMED },
		{ "<anna@example.test:25>", MAIL_ADDRESS_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (rows[i].kind == MAIL_ADDRESS_MAILBOX)
			assert_false(parsed(rows[i].typed).askable);
		else
			check_kind(rows[i].typed, rows[i].kind);
	}
	assert_string_equal(parsed("<PostMaster>").local, "PostMaster");
	assert_string_equal(parsed("<anna>").local, "anna");
	assert_true(parsed("<>").is_ascii);
}

/* Written out and read again, an address stays what it is. */
static void test_again(void **state)
{
	static const char *const typed[] = {
		"<Anna@Example.Test.>",	    "<@r:anna@example.test>",
		"<\"an.na\"@example.test>", "<\"a \\b\\\"\\\\\"@example.test>",
		"<a@b@example.test>",	    "<anna@[IPv6:2001:DB8::1]>",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(typed); i++) {
		struct mail_address once = parsed(typed[i]);
		struct mail_address twice;
		char written[512];

		snprintf(written, sizeof(written), "<%s@%s>", once.local, once.domain);
		twice = parsed(written);
		assert_int_equal(once.kind, twice.kind);
		assert_string_equal(once.local, twice.local);
		assert_string_equal(once.domain, twice.domain);
		assert_int_equal(once.askable, twice.askable);
	}
}

static void test_roles(void **state)
{
	(void)state;
	assert_true(mail_local_is_role("postmaster"));
	assert_true(mail_local_is_role("PostMaster"));
	assert_true(mail_local_is_role("abuse"));
	assert_true(mail_local_is_role("ABUSE"));
	assert_false(mail_local_is_role(""));
	assert_false(mail_local_is_role("postmaster+x"));
	assert_false(mail_local_is_role("abuser"));
	assert_false(mail_local_is_role("webmaster"));
}

static void test_detail(void **state)
{
	static const struct {
		const char *local;
		const char *delimiters;
		const char *base; /* NULL: nothing to cut */
	} rows[] = {
		{ "anna+lists", "+", "anna" },
		{ "anna+lists+more", "+", "anna" },
		{ "anna+", "+", "anna" },
		{ "Anna-Lena+x", "+-", "Anna" },
		{ "anna-lena+x", "+", "anna-lena" },
		{ "anna=x", "+=", "anna" },
		{ "anna", "+", NULL },
		{ "", "+", NULL },
		{ "+lists", "+", NULL },
		{ "+anna+lists", "+", NULL },
		{ "-anna+lists", "+-", NULL },
		{ "-anna+lists", "+", "-anna" },
		{ "anna+lists", "", NULL },
		{ "anna+lists", "-", NULL },
		{ "owner-list", "-", NULL },
		{ "Owner-List", "-", NULL },
		{ "owner-list", "+-", NULL },
		{ "owner-list+x", "+-", NULL },
		{ "owner-list+x", "+", "owner-list" },
		{ "list-request", "-", NULL },
		{ "list-REQUEST", "-", NULL },
		{ "list-requests", "-", "list" },
		{ "owners-list", "-", "owners" },
		{ "mailer-daemon", "-", NULL },
		{ "MAILER-DAEMON", "+-", NULL },
		{ "\"anna lena+x\"", "+", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char base[MAIL_LOCAL_MAX + 1] = "untouched";
		bool cut = mail_local_without_detail(rows[i].local, rows[i].delimiters, base,
						     sizeof(base));

		if (cut != (rows[i].base != NULL))
			print_error("row: %s %s\n", rows[i].local, rows[i].delimiters);
		assert_int_equal(cut, rows[i].base != NULL);
		if (cut)
			assert_string_equal(base, rows[i].base);
	}
}

static void test_detail_bounds(void **state)
{
	char base[5];

	(void)state;
	assert_true(mail_local_without_detail("anna+x", "+", base, sizeof(base)));
	assert_string_equal(base, "anna");
	assert_false(mail_local_without_detail("annas+x", "+", base, sizeof(base)));
}

static void test_normalise(void **state)
{
	static const struct {
		const char *typed;
		const char *sender;
	} rows[] = {
		{ "<>", "" },
		{ "<Anna@Example.Test>", "anna@example.test" },
		{ "<postmaster>", "postmaster" },
		{ "<Anna>", "anna" },
		{ "<anna", "anna" },
		{ "<prvs=0123abcdef=anna@example.test>", "anna@example.test" },
		{ "<PRVS=9876543210=Anna@example.test>", "anna@example.test" },
		{ "<prvs=0123abcdef=a=b@example.test>", "a=b@example.test" },
		{ "<prvs=x@example.test>", "prvs=x@example.test" },
		{ "<prvs=x=@example.test>", "prvs=x=@example.test" },
		{ "<prvs@example.test>", "prvs@example.test" },
		/* fields swapped, Momentum, Barracuda */
		{ "<prvs=anna=0123abcdef@example.test>", "anna@example.test" },
		{ "<prvs=0123abcdef=0123abcdef@example.test>", "0123abcdef@example.test" },
		{ "<prvs=anna=0123abcdeg@example.test>", "0123abcdeg@example.test" },
		{ "<msprvs1=12020UU5ulBw=anna@example.test>", "anna@example.test" },
		{ "<btv1==068a4973b3a==Anna@example.test>", "anna@example.test" },
		{ "<btv1==068a4973b3a==@example.test>", "=@example.test" },
		{ "<btv1=068a4973b3a=anna@example.test>", "btv1=068a4973b3a=anna@example.test" },
		{ "<SRS0=AbCd=T7=home.test=anna@fwd.test>", "home.test=anna@fwd.test" },
		{ "<srs0=xYz9=T8=home.test=anna@fwd.test>", "home.test=anna@fwd.test" },
		{ "<SRS0+AbCd=T7=home.test=anna@fwd.test>", "home.test=anna@fwd.test" },
		{ "<SRS0-Ab+d=T7=home.test=anna@fwd.test>", "home.test=anna@fwd.test" },
		{ "<SRS0=AbCd=T7=home.test=a=b@fwd.test>", "home.test=a=b@fwd.test" },
		{ "<SRS1=ZzZz=fwd.test==AbCd=T7=home.test=anna@next.test>",
		  "fwd.test=home.test=anna@next.test" },
		{ "<SRS1=YyYy=fwd.test=+EfGh=T8=home.test=anna@next.test>",
		  "fwd.test=home.test=anna@next.test" },
		{ "<prvs=12ab=SRS0=AbCd=T7=home.test=anna@fwd.test>", "home.test=anna@fwd.test" },
		{ "<SRS0=AbCd@fwd.test>", "srs0=abcd@fwd.test" },
		{ "<SRS0=AbCd=T7=@fwd.test>", "srs0=abcd=t7=@fwd.test" },
		{ "<SRS0@fwd.test>", "srs0@fwd.test" },
		{ "<SRS0=@fwd.test>", "srs0=@fwd.test" },
		{ "<SRS1=ZzZz=fwd.test@next.test>", "srs1=zzzz=fwd.test@next.test" },
		{ "<SRS1=ZzZz=fwd.test=AbCd=T7=home.test=anna@next.test>",
		  "srs1=zzzz=fwd.test=abcd=t7=home.test=anna@next.test" },
		{ "<SRS2=AbCd=T7=home.test=anna@fwd.test>",
		  "srs2=abcd=t7=home.test=anna@fwd.test" },
		{ "<anna@[IPv6:2001:DB8::1]>", "anna@[ipv6:2001:db8::1]" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char got[MAIL_LOCAL_MAX + MAIL_DOMAIN_MAX + 2];

		mail_sender_normalise(rows[i].typed, got, sizeof(got));
		assert_string_equal(got, rows[i].sender);
	}
}

/* VERP and SRS make local parts that RFC 5321 doesn't allow: each is a sender of its own. */
static void test_normalise_what_cannot_be_read(void **state)
{
#define LONG "bounces-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789"
	static const struct {
		const char *typed;
		const char *sender;
	} rows[] = {
		{ "<" LONG "-A=home.test@news.test>", LONG "-a=home.test@news.test" },
		{ " < " LONG "-B=home.test@news.test > ", LONG "-b=home.test@news.test" },
		{ "<SRS0=AbCd=T7=home.test=" LONG "@fwd.test>", "home.test=" LONG "@fwd.test" },
		{ "<SRS1=ZzZz=fwd.test==AbCd=T7=home.test=" LONG "@next.test>",
		  "fwd.test=home.test=" LONG "@next.test" },
		{ "<prvs=0123abcdef=" LONG "@news.test>", LONG "@news.test" },
		{ "<prvs=" LONG "=0123abcdef@news.test>", LONG "@news.test" },
		{ "<btv1==068a4973b3a==" LONG "@news.test>", LONG "@news.test" },
		{ "<" LONG ">", LONG },
		{ "<a b\"c@news.test>", "a b\"c@news.test" },
		{ "<anna@x=y=z>", "anna@x=y=z" },
		{ "<prvs=x@x=y=z>", "prvs=x@x=y=z" },
		{ "", "" },
		{ "<", "" },
		{ "<@>", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char got[MAIL_LOCAL_MAX + MAIL_DOMAIN_MAX + 2];

		mail_sender_normalise(rows[i].typed, got, sizeof(got));
		assert_string_equal(got, rows[i].sender);
	}
#undef LONG
}

static void test_normalise_bounds(void **state)
{
	static const char sender[] = "<Anna@Example.Test>";
	char small[8];
	char smallest[1];

	(void)state;
	mail_sender_normalise(sender, small, sizeof(small));
	assert_string_equal(small, "anna@ex");
	mail_sender_normalise(sender, smallest, sizeof(smallest));
	assert_string_equal(smallest, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_source_routes),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_not_askable),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_8bit),
		cmocka_unit_test(test_control_bytes),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_domain_length),
		cmocka_unit_test(test_enormous),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_detail),
		cmocka_unit_test(test_detail_bounds),
		cmocka_unit_test(test_normalise),
		cmocka_unit_test(test_normalise_what_cannot_be_read),
		cmocka_unit_test(test_normalise_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
