/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration as its users see it: defaults, every kind of value, includes, inheritance, the
 * table of domains, restart keys. The files are written to a folder of their own.
 */
#include "conf/config.h"
#include "conf/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/memory.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char folder[] = "/tmp/test_conf.XXXXXX";

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static struct config *load_file(const char *name)
{
	struct config_errors errors;
	struct config *config = config_load(name, &errors);

	for (size_t i = 0; i < errors.count; i++)
		print_error("%s\n", errors.lines[i]);
	assert_int_equal(errors.count, 0);
	assert_non_null(config);
	config_errors_fini(&errors);
	return config;
}

static struct config *load(const char *text)
{
	write_file("backupmx.ini", text);
	return load_file("backupmx.ini");
}

static void assert_ip(const struct ip *ip, const char *expected)
{
	char text[IP_TEXT_MAX];

	assert_string_equal(ip_format(ip, text, sizeof(text)), expected);
}

static void assert_endpoint(const struct config_endpoint *endpoint, const char *host, unsigned port)
{
	char text[IP_TEXT_MAX];

	if (endpoint->ip.family == IP_NONE)
		assert_string_equal(endpoint->host, host);
	else
		assert_string_equal(ip_format(&endpoint->ip, text, sizeof(text)), host);
	assert_int_equal(endpoint->port, port);
}

/* ---- defaults ---- */

static void assert_default_milter(const struct config *config)
{
	struct ip ip;

	assert_string_equal(config->milter.socket, "inet:8899@127.0.0.1");
	assert_int_equal(config->milter.socket_mode, 0660);
	assert_string_equal(config->milter.socket_group, "");
	assert_int_equal(config->milter.mode, CONFIG_MODE_ENFORCE);
	assert_int_equal(config->milter.my_names.count, 0);
	assert_int_equal(config->milter.my_address_count, 0);
	assert_int_equal(config->milter.exempt_clients.count, 2);
	assert_true(ip_parse("127.9.9.9", &ip) && config_client_exempt(config, &ip));
	assert_true(ip_parse("::1", &ip) && config_client_exempt(config, &ip));
	assert_true(ip_parse("::2", &ip) && !config_client_exempt(config, &ip));
	assert_true(ip_parse("128.0.0.1", &ip) && !config_client_exempt(config, &ip));
	assert_string_equal(config->milter.state_dir, "/var/lib/backupmx-milter");
	assert_string_equal(config->milter.control_socket, "/run/backupmx-milter/control.sock");
	assert_int_equal(config->milter.max_waiting, 4);
	assert_string_equal(config->domains.domains_file, "");
}

static void assert_default_policy(const struct config_policy *policy)
{
	assert_int_equal(policy->decision.when_up, WHEN_UP_DEFER);
	assert_int_equal(policy->decision.when_invalid, WHEN_INVALID_REJECT);
	assert_int_equal(policy->decision.when_unknown, WHEN_UNKNOWN_DEFER_THEN_ACCEPT);
	assert_int_equal(policy->decision.when_catch_all, WHEN_CATCH_ALL_ACCEPT);
	assert_int_equal(policy->unknown_accept_after, 12 * 3600);
	assert_int_equal(policy->recovery_grace, 30 * 60);
	assert_int_equal(policy->persistent_attempts, 3);
	assert_int_equal(policy->persistent_after, 20 * 60);
	assert_true(policy->tag);
}

static void assert_default_probe(const struct config_probe *probe)
{
	assert_int_equal(probe->rules.interval, 30);
	assert_int_equal(probe->rules.fast_interval, 10);
	assert_int_equal(probe->rules.down_interval, 15);
	assert_int_equal(probe->rules.rise, 2);
	assert_int_equal(probe->rules.fall, 3);
	assert_int_equal(probe->connect_timeout, 10);
	assert_int_equal(probe->timeout, 30);
	assert_int_equal(probe->jitter, 10);
	assert_int_equal(probe->level, HEALTH_LEVEL_EHLO);
	assert_int_equal(probe->port, 25);
	assert_string_equal(probe->helo_name, "");
	assert_int_equal(probe->source_v4.family, IP_NONE);
	assert_int_equal(probe->source_v6.family, IP_NONE);
}

static void assert_default_rest(const struct config *config)
{
	assert_true(config->recipients.callout);
	assert_int_equal(config->recipients.callout_wait, 5);
	assert_int_equal(config->recipients.callout_tls, CONFIG_TLS_MAY);
	assert_int_equal(config->recipients.callout_sessions, 4);
	assert_int_equal(config->recipients.callout_rate, 10);
	assert_int_equal(config->recipients.callout_refusals, 60);
	assert_int_equal(config->recipients.callouts_per_client, 30);
	assert_int_equal(config->recipients.valid_ttl, 31 * 86400);
	assert_int_equal(config->recipients.valid_refresh, 7 * 86400);
	assert_int_equal(config->recipients.valid_max_age, 400 * 86400);
	assert_int_equal(config->recipients.invalid_ttl, 7200);
	assert_int_equal(config->recipients.catch_all_ttl, 7 * 86400);
	assert_string_equal(config->recipients.recipient_delimiter, "");
	assert_int_equal(config->recipients.local_part_case, CONFIG_CASE_FOLD);
	assert_int_equal(config->recipients.max_entries, 10000000);
	assert_int_equal(config->flush.method, CONFIG_FLUSH_ETRN);
	assert_endpoint(&config->flush.mta, "127.0.0.1", 25);
	assert_int_equal(config->http.listen.ip.family, IP_NONE);
	assert_int_equal(config->http.domain_metrics, CONFIG_METRICS_CONFIGURED);
	assert_int_equal(config->dns.servers.count, 0);
	assert_int_equal(config->dns.timeout, 5);
	assert_int_equal(config->dns.dns_grace, 3600);
	assert_string_equal(config->log.facility, "mail");
	assert_int_equal(config->log.level, LOG_LEVEL_INFO);
	assert_int_equal(config->domain_count, 0);
	assert_null(config_domain_find(config, "example.test"));
}

static void assert_defaults(const char *text)
{
	struct config *config = load(text);

	assert_default_milter(config);
	assert_default_policy(&config->policy);
	assert_default_probe(&config->probe);
	assert_default_rest(config);
	config_put(config);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_defaults("");
	assert_defaults("\n");
	assert_defaults("# nothing");
	assert_defaults("\xef\xbb\xbf; nothing\r\n\r\n");
	assert_defaults("[milter]");
	assert_defaults("[ probe ] # nothing\n\t\n[milter]\n[probe]\n");
}

/* ---- values ---- */

static const char everything[] =
	"[milter]\n"
	"socket = unix:/run/backupmx/milter.sock   ;R and a comment\n"
	"socket_mode = 0600\n"
	"socket_group=postfix\n"
	"mode = 'shadow'# a comment right behind a quote\n"
	"my_names = {MX2.Example.NET., # first\n"
	"\n"
	"\t\"m\xc3\xbcnchen.example\" ; second\n"
	",xn--mnchen-3ya.example,\n"
	"}   \n"
	"my_addresses = 192.0.2.2, 2001:db8::2 # bare\n"
	"exempt_clients = {10.0.0.0/8\n,\n192.0.2.7}\n"
	"state_dir = \"/var/lib/with blank # and \\\"quotes\\\" \\\\\"\n"
	"max_waiting = 2147483647\n"
	"[policy]\n"
	"when_up = accept\n"
	"when_invalid = defer\n"
	"when_unknown = accept\n"
	"when_catch_all = defer\n"
	"unknown_accept_after = 90\n"
	"recovery_grace = 3650d\n"
	"tag = OFF\n"
	"[probe]\n"
	"jitter = 50%\n"
	"level = starttls\n"
	"port = 65535\n"
	"fall = 010\n"
	"helo_name = MX2.example.net\n"
	"source_address = {2001:db8::1, 192.0.2.1}\n"
	"[recipients]\n"
	"callout = no\n"
	"callout_wait = 25s\n"
	"recipient_delimiter = '+#'\n"
	"local_part_case = exact\n"
	"[flush]\n"
	"method = none\n"
	"mta = \"[2001:db8::25]:2525\"\n"
	"[http]\n"
	"listen = \"[::]:9726\"\n"
	"domain_metrics = all\n"
	"[dns]\n"
	"servers = {192.0.2.53, 192.0.2.54:5353, \"[2001:db8::53]:54\", 2001:db8::54, [::1]}\n"
	"[log]\n"
	"facility = local3\n"
	"level = debug\n";

static void assert_every_list(const struct config *config)
{
	assert_int_equal(config->milter.my_names.count, 3);
	assert_string_equal(config->milter.my_names.items[0], "mx2.example.net");
	assert_string_equal(config->milter.my_names.items[1], "xn--mnchen-3ya.example");
	assert_string_equal(config->milter.my_names.items[2], "xn--mnchen-3ya.example");
	assert_int_equal(config->milter.my_address_count, 2);
	assert_ip(&config->milter.my_addresses[0], "192.0.2.2");
	assert_ip(&config->milter.my_addresses[1], "2001:db8::2");
	assert_int_equal(config->milter.exempt_clients.count, 2);
	assert_int_equal(config->milter.exempt_clients.items[0].prefix, 8);
	assert_int_equal(config->milter.exempt_clients.items[1].prefix, 32);
	assert_int_equal(config->dns.servers.count, 5);
	assert_endpoint(&config->dns.servers.items[0], "192.0.2.53", 0);
	assert_endpoint(&config->dns.servers.items[1], "192.0.2.54", 5353);
	assert_endpoint(&config->dns.servers.items[2], "2001:db8::53", 54);
	assert_endpoint(&config->dns.servers.items[3], "2001:db8::54", 0);
	assert_endpoint(&config->dns.servers.items[4], "::1", 0);
	assert_ip(&config->probe.source_v4, "192.0.2.1");
	assert_ip(&config->probe.source_v6, "2001:db8::1");
}

static void test_every_kind_of_value(void **state)
{
	struct config *config = load(everything);

	(void)state;
	assert_string_equal(config->milter.socket, "unix:/run/backupmx/milter.sock");
	assert_int_equal(config->milter.socket_mode, 0600);
	assert_string_equal(config->milter.socket_group, "postfix");
	assert_int_equal(config->milter.mode, CONFIG_MODE_SHADOW);
	assert_string_equal(config->milter.state_dir, "/var/lib/with blank # and \"quotes\" \\");
	assert_int_equal(config->milter.max_waiting, INT32_MAX);
	assert_every_list(config);
	assert_int_equal(config->policy.decision.when_up, WHEN_UP_ACCEPT);
	assert_int_equal(config->policy.decision.when_invalid, WHEN_INVALID_DEFER);
	assert_int_equal(config->policy.decision.when_unknown, WHEN_UNKNOWN_ACCEPT);
	assert_int_equal(config->policy.decision.when_catch_all, WHEN_CATCH_ALL_DEFER);
	assert_int_equal(config->policy.unknown_accept_after, 90);
	assert_int_equal(config->policy.recovery_grace, 3650LL * 86400);
	assert_false(config->policy.tag);
	assert_int_equal(config->probe.jitter, 50);
	assert_int_equal(config->probe.level, HEALTH_LEVEL_STARTTLS);
	assert_int_equal(config->probe.port, 65535);
	assert_int_equal(config->probe.rules.fall, 10); /* decimal, whatever libconfuse thinks */
	assert_string_equal(config->probe.helo_name, "mx2.example.net");
	assert_false(config->recipients.callout);
	assert_int_equal(config->recipients.callout_wait, 25);
	assert_string_equal(config->recipients.recipient_delimiter, "+#");
	assert_int_equal(config->recipients.local_part_case, CONFIG_CASE_EXACT);
	assert_int_equal(config->flush.method, CONFIG_FLUSH_NONE);
	assert_endpoint(&config->flush.mta, "2001:db8::25", 2525);
	assert_endpoint(&config->http.listen, "::", 9726);
	assert_int_equal(config->http.domain_metrics, CONFIG_METRICS_ALL);
	assert_string_equal(config->log.facility, "local3");
	assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
	config_put(config);
}

static void assert_command(const char *value, const char *const *words)
{
	char *text = memory_format("[notify]\ncommand = %s\n", value);
	struct config *config = load(text);
	const struct config_strings *command = &config->notify.command;
	size_t count = 0;

	for (; words[count] != NULL; count++) {
		assert_true(count < command->count);
		assert_string_equal(command->items[count], words[count]);
	}
	assert_int_equal(command->count, count);
	config_put(config);
	free(text);
}

/* A line of words, a list, or a line in quotes: all the same, and nobody expands anything. */
static void test_commands(void **state)
{
	static const struct {
		const char *value;
		const char *words[8];
	} rows[] = {
		{ "\"\"", { NULL } },
		{ "{}", { NULL } },
		{ "''  # none", { NULL } },
		{ "/bin/sh", { "/bin/sh" } },
		{ "/bin/sh -c x,y  ; a comment", { "/bin/sh", "-c", "x,y" } },
		{ "/bin/sh -c \"echo $HOME; rm *\" '' \"\\\"\"",
		  { "/bin/sh", "-c", "echo $HOME; rm *", "", "\"" } },
		{ "\"/bin/sh -c %d --for=%d\"", { "/bin/sh", "-c", "%d", "--for=%d" } },
		{ "\"/bin/sh #1 'a b' ;2\" # a comment", { "/bin/sh", "#1", "a b", ";2" } },
		{ "{/bin/sh, \"a b\", %d}", { "/bin/sh", "a b", "%d" } },
		{ "{/bin/sh,\n \"a b\",\n %d}", { "/bin/sh", "a b", "%d" } },
		{ "/bin/sh, \"a b\", ${HOME}", { "/bin/sh", "a b", "${HOME}" } },
		{ "\"/bin/sh\" a\\b '\\' {x}", { "/bin/sh", "a\\b", "\\", "{x}" } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_command(rows[i].value, rows[i].words);
}

static void test_listeners(void **state)
{
	static const char *const sockets[] = {
		"inet:1@0.0.0.0",   "inet:65535@localhost", "inet6:8899@::1",
		"inet6:8899@[::1]", "local:/run/x",	    "unix:/x",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(sockets); i++) {
		char *text = memory_format("[milter]\nsocket = %s\n", sockets[i]);
		struct config *config = load(text);

		assert_string_equal(config->milter.socket, sockets[i]);
		config_put(config);
		free(text);
	}
}

/* libconfuse would fill in ${...}, stop at signs, or take escapes for more than they are. */
static void test_nothing_is_expanded(void **state)
{
	static const char *const words[] = {
		"/${HOME}",   "/$HOME",	   "/${X:-y}",	    "/a*b+c",
		"/a//b/*c*/", "/(a)={b},", "/\xc3\xbc\xff", "/~",
	};

	(void)state;
	setenv("HOME", "expanded", 1);
	for (size_t i = 0; i < COUNT(words); i++) {
		char *text = memory_format("[milter]\nstate_dir = %s\ncontrol_socket = \"%s\"\n",
					   words[i], words[i]);
		struct config *config = load(text);

		assert_string_equal(config->milter.state_dir, words[i]);
		assert_string_equal(config->milter.control_socket, words[i]);
		config_put(config);
		free(text);
	}
}

static void test_quotes(void **state)
{
	struct config *config = load("[milter]\n"
				     "state_dir = '/\\n\\x41 \"$\\'\n"
				     "control_socket = \"/it's \\\"\\\\n\"\n");

	(void)state;
	assert_string_equal(config->milter.state_dir, "/\\n\\x41 \"$\\");
	assert_string_equal(config->milter.control_socket, "/it's \"\\n");
	config_put(config);
}

/* ---- sections ---- */

static void test_sections_may_be_continued(void **state)
{
	struct config *config = load("[probe]\nfall = 7\n[milter]\nmode = shadow\n"
				     "[probe]\nrise = 8\n[milter]\nmax_waiting = 9\n");

	(void)state;
	assert_int_equal(config->probe.rules.fall, 7);
	assert_int_equal(config->probe.rules.rise, 8);
	assert_int_equal(config->milter.mode, CONFIG_MODE_SHADOW);
	assert_int_equal(config->milter.max_waiting, 9);
	config_put(config);
}

/* A domain takes what its section says and the rest from [policy] and [probe], wherever those are.
 */
static void test_domains_inherit(void **state)
{
	const struct config_domain *domain;
	struct config *config;

	(void)state;
	config = load(
		"[domain \"Own.Example\"]\n"
		"fall = 9\nwhen_up = accept\nsource_address = {}\nhelo_name = \"\"\n"
		"primary = {MX1.own.example, mx2.own.example:2525, 192.0.2.10,\n"
		"  \"[192.0.2.11]:26\", \"[2001:db8::1]:27\", 2001:db8::2}\n"
		"[domain \"bare.example\"]\n"
		"[probe]\nfall = 5\nrise = 4\nsource_address = 192.0.2.9\nhelo_name = me.example\n"
		"[policy]\ntag = no\n");
	domain = config_domain_find(config, "own.example");
	assert_non_null(domain);
	assert_int_equal(domain->probe.rules.fall, 9);
	assert_int_equal(domain->probe.rules.rise, 4);
	assert_int_equal(domain->probe.source_v4.family, IP_NONE);
	assert_string_equal(domain->probe.helo_name, "");
	assert_int_equal(domain->policy.decision.when_up, WHEN_UP_ACCEPT);
	assert_int_equal(domain->policy.decision.when_invalid, WHEN_INVALID_REJECT);
	assert_false(domain->policy.tag);
	assert_int_equal(domain->primary.count, 6);
	assert_endpoint(&domain->primary.items[0], "mx1.own.example", 0);
	assert_endpoint(&domain->primary.items[1], "mx2.own.example", 2525);
	assert_endpoint(&domain->primary.items[2], "192.0.2.10", 0);
	assert_endpoint(&domain->primary.items[3], "192.0.2.11", 26);
	assert_endpoint(&domain->primary.items[4], "2001:db8::1", 27);
	assert_endpoint(&domain->primary.items[5], "2001:db8::2", 0);
	assert_string_equal(domain->primary.items[2].host, "");
	domain = config_domain_find(config, "bare.example");
	assert_int_equal(domain->probe.rules.fall, 5);
	assert_ip(&domain->probe.source_v4, "192.0.2.9");
	assert_string_equal(domain->probe.helo_name, "me.example");
	assert_string_equal(domain->recipients_file, "");
	assert_false(domain->recipients_complete);
	config_put(config);
}

/* ---- includes ---- */

static void test_includes_are_relative_to_their_file(void **state)
{
	struct config *config;
	char *path;

	(void)state;
	assert_int_equal(mkdir("sub", 0700), 0);
	write_file("sub/a.ini",
		   "include = 'b c.ini'\n[probe]\nfall = 11\n[domain \"a.example\"]\n");
	write_file("sub/b c.ini", "[probe]\nrise = 12\n[domain \"b.example\"]\nfall = 13\n");
	config = load("# first\ninclude = sub/a.ini # here\n\n[probe]\njitter = 7%\n");
	assert_int_equal(config->probe.rules.fall, 11);
	assert_int_equal(config->probe.rules.rise, 12);
	assert_int_equal(config->probe.jitter, 7);
	assert_int_equal(config_domain_find(config, "b.example")->probe.rules.fall, 13);
	assert_int_equal(config_domain_find(config, "a.example")->probe.rules.fall, 11);
	config_put(config);
	path = memory_format("%s/backupmx.ini", folder);
	config = load_file(path);
	assert_int_equal(config->probe.rules.fall, 11);
	config_put(config);
	free(path);
}

/* ---- the table of domains ---- */

static const char *found(const struct config *config, const char *name)
{
	const struct config_domain *domain = config_domain_find(config, name);

	return domain != NULL ? domain->name : "";
}

static void test_lookup(void **state)
{
	struct config *config =
		load("[domain \"example.test\"]\n[domain \".example.test\"]\n"
		     "[domain \".deep.sub.example.test\"]\n[domain \".test\"]\n"
		     "[domain \"M\xc3\xbcnchen.example\"]\n[domain \"a-b.example\"]\n"
		     "[domain \"a.example\"]\n[domain \".a.example\"]\n");

	(void)state;
	assert_string_equal(found(config, "example.test"), "example.test");
	assert_string_equal(found(config, "sub.example.test"), ".example.test");
	assert_string_equal(found(config, "deep.sub.example.test"), ".example.test");
	assert_string_equal(found(config, "x.deep.sub.example.test"), ".deep.sub.example.test");
	assert_string_equal(found(config, "y.x.deep.sub.example.test"), ".deep.sub.example.test");
	assert_string_equal(found(config, "other.test"), ".test");
	assert_string_equal(found(config, "test"), "");
	assert_string_equal(found(config, "xn--mnchen-3ya.example"), "xn--mnchen-3ya.example");
	assert_string_equal(found(config, "a.example"), "a.example");
	assert_string_equal(found(config, "a-b.example"), "a-b.example");
	assert_string_equal(found(config, "b.example"), "");
	assert_string_equal(found(config, "xa.example"), "");
	assert_string_equal(found(config, "x.a.example"), ".a.example");
	assert_string_equal(found(config, ""), "");
	assert_string_equal(found(config, "."), "");
	assert_string_equal(found(config, ".."), "");
	assert_string_equal(found(config, "test."), "");
	config_put(config);
}

#define MANY 20000

/* Every name that is in the file is found, every one that isn't is not, and a section beats a line.
 */
static void test_domains_file(void **state)
{
	FILE *file = fopen("domains", "w");
	struct config *config;
	char *text;

	(void)state;
	assert_non_null(file);
	fputs("\xef\xbb\xbf# ours\r\n\r\n  D\xc3\xb6rfer.example  # "
	      "one\n.Wild.Example\nown.example\n",
	      file);
	for (unsigned i = 0; i < MANY; i++)
		fprintf(file, "d%u.Example\n", (i * 7919u) % MANY * 2);
	fputs("d0.example\nlast.example", file);
	assert_int_equal(fclose(file), 0);
	text = memory_format("[domains]\ndomains_file = %s/domains\n"
			     "[domain \"own.example\"]\nfall = 77\n[probe]\nrise = 6\n",
			     folder);
	config = load(text);
	free(text);
	assert_int_equal(config->domain_count, MANY + 4);
	for (size_t i = 1; i < config->domain_count; i++)
		assert_true(strcmp(config->domain[i - 1].name, config->domain[i].name) < 0);
	for (unsigned i = 0; i < MANY * 2; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d%u.example", i);
		assert_string_equal(found(config, name), i % 2 == 0 ? name : "");
	}
	assert_string_equal(found(config, "xn--drfer-jua.example"), "xn--drfer-jua.example");
	assert_string_equal(found(config, "x.wild.example"), ".wild.example");
	assert_string_equal(found(config, "last.example"), "last.example");
	assert_int_equal(config_domain_find(config, "own.example")->probe.rules.fall, 77);
	assert_int_equal(config_domain_find(config, "d0.example")->probe.rules.fall, 3);
	assert_int_equal(config_domain_find(config, "d0.example")->probe.rules.rise, 6);
	assert_string_equal(config_domain_find(config, "d0.example")->recipients_file, "");
	config_put(config);
}

/* ---- snapshots ---- */

static void test_references(void **state)
{
	struct config *config = load("[probe]\nfall = 5\n");
	struct config *other = config_get(config);

	(void)state;
	assert_ptr_equal(config, other);
	config_put(config);
	assert_int_equal(other->probe.rules.fall, 5);
	config_put(other);
	config_put(NULL);
}

static void test_restart_keys(void **state)
{
	struct config *old = load("");
	struct config *new = load(everything);
	char keys[256];
	char small[20];

	(void)state;
	assert_string_equal(config_restart_keys(old, old, keys, sizeof(keys)), "");
	assert_string_equal(config_restart_keys(old, new, keys, sizeof(keys)),
			    "milter.socket, milter.socket_mode, milter.socket_group, "
			    "milter.state_dir");
	assert_string_equal(config_restart_keys(new, old, small, sizeof(small)),
			    "milter.socket, milt");
	config_put(new);
	new = load("[milter]\ncontrol_socket = /run/other\n[probe]\nfall = 9\n");
	assert_string_equal(config_restart_keys(old, new, keys, sizeof(keys)),
			    "milter.control_socket");
	config_put(old);
	config_put(new);
}

/* A file cut off anywhere, as by a full disk, is read or refused, never worse. */
static void test_any_prefix(void **state)
{
	size_t good = 0;

	(void)state;
	for (size_t length = 0; length < sizeof(everything); length++) {
		struct config_errors errors;
		struct config *config =
			config_load_bytes("backupmx.ini", everything, length, &errors);

		assert_true((config != NULL) == (errors.count == 0));
		good += config != NULL;
		config_errors_fini(&errors);
		config_put(config);
	}
	assert_true(good > 20);
}

/* ---- the option table ---- */

static void test_table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < options_count(); i++) {
		const struct option *option = options_at(i);

		assert_ptr_equal(options_find(option->section, option->key), option);
		assert_int_equal(option_index(option), i);
		assert_true(option->about != NULL && option->about[0] != '\0');
		assert_true(option->min <= option->max);
		assert_int_equal(option->words != NULL, option->type == OPTION_WORD);
		assert_int_equal(option->offset2 != 0, option_is_list(option));
		if (option_in_domain(option))
			assert_ptr_equal(options_find("domain", option->key), option);
		/* config_restart_keys() compares scalars only */
		assert_false(option->reload == OPTION_RESTART && option_is_list(option));
	}
}

/* etc/backupmx.ini with every key uncommented says what an empty file says. */
static void test_shipped_file(void **state)
{
	char *path = *state;
	FILE *file = fopen(path, "r");
	char line[256];
	char text[16384] = "";
	struct config_errors errors;
	struct config *config;
	size_t length = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		const char *from = line + (line[0] == '#' && line[1] != ' ');

		assert_true(length + strlen(from) < sizeof(text));
		memcpy(text + length, from, strlen(from));
		length += strlen(from);
	}
	fclose(file);
	config = config_load_bytes("backupmx.ini", text, length, &errors);
	assert_int_equal(errors.count, 0);
	assert_default_milter(config);
	assert_default_policy(&config->policy);
	assert_default_probe(&config->probe);
	assert_int_equal(config->domain_count, 1);
	assert_default_probe(&config->domain[0].probe);
	config_put(config);
}

/* ---- set-up ---- */

static char *shipped_file(void)
{
	const char *srcdir = getenv("srcdir");
	char here[1024];

	assert_non_null(getcwd(here, sizeof(here)));
	if (srcdir != NULL && srcdir[0] == '/')
		return memory_format("%s/etc/backupmx.ini", srcdir);
	return memory_format("%s/%s/etc/backupmx.ini", here, srcdir != NULL ? srcdir : ".");
}

static int enter_folder(void **state)
{
	*state = shipped_file();
	return mkdtemp(folder) == NULL || chdir(folder) != 0;
}

static int leave_folder(void **state)
{
	free(*state);
	unlink("backupmx.ini");
	unlink("domains");
	unlink("sub/a.ini");
	unlink("sub/b c.ini");
	rmdir("sub");
	return chdir("/") != 0 || rmdir(folder) != 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_kind_of_value),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_nothing_is_expanded),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_sections_may_be_continued),
		cmocka_unit_test(test_domains_inherit),
		cmocka_unit_test(test_includes_are_relative_to_their_file),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_domains_file),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_restart_keys),
		cmocka_unit_test(test_any_prefix),
		cmocka_unit_test(test_table_is_sound),
		cmocka_unit_test(test_shipped_file),
	};

	if (argc == 2 && strcmp(argv[1], "--print") == 0) {
		options_print(stdout);
		return 0;
	}
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
