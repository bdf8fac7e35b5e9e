/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Broken ini files, and the lines an administrator gets for each, to the letter. `{folder}` in a
 * text or a line is the folder of the test.
 */
#include "conf/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "conf/ini.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINES_MAX    8
#define F	     "backupmx.ini:"

static char folder[] = "/tmp/test_conf_errors.XXXXXX";

static const struct row {
	const char *text;
	const char *lines[LINES_MAX];
} rows[] = {
	/* ---- syntax ---- */
	{ "[probe]\nfall 3\n", { F "2: \"fall 3\" is no setting; write key = value" } },
	{ "[probe]\n= 3\n", { F "2: \"= 3\" is no setting; write key = value" } },
	{ "[probe\nfall = 3\nrise = x\n",
	  { F "1: [probe]: has no closing bracket; write [probe] and nothing else on this line",
	    F "3: rise: \"x\" is no number; write 1 to 2147483647" } },
	{ "[probe] fall = 3\n",
	  { F "1: [probe]: has text behind its bracket; write [probe] and nothing else on this "
	      "line" } },
	{ "[]\n",
	  { F "1: []: unknown section; write one of [milter], [domains], [policy], [probe], "
	      "[recipients], [flush], [notify], [dns], [http], [log], [domain \"NAME\"]" } },
	{ "[probe \"x\"]\n", { F "1: [probe]: takes no name; write [probe]" } },
	{ "[domain]\n",
	  { F "1: [domain]: has no name in quotes; write [domain \"example.test\"]" } },
	{ "[domain a.test]\n",
	  { F "1: [domain]: has no name in quotes; write [domain \"a.test\"]" } },
	{ "[domain \"a.test]\n",
	  { F
	    "1: the section's name has no closing quote; write \" at its end, on the same line" } },
	{ "[milter]\nstate_dir = \"/var\nmode = x\n",
	  { F "2: state_dir: has no closing quote; write \" at its end, on the same line",
	    F "3: mode: \"x\" is not one of its words; write enforce or shadow" } },
	{ "[milter]\nstate_dir = '/var\n",
	  { F "2: state_dir: has no closing quote; write ' at its end, on the same line" } },
	{ "[milter]\nstate_dir = \"/var\"lib\n",
	  { F
	    "2: state_dir: goes on behind its closing quote; put quotes around the whole value" } },
	{ "[milter]\nstate_dir = /var\"lib\"\n",
	  { F "2: state_dir: has a quote in its middle; put quotes around the whole value" } },
	{ "[milter]\nstate_dir = \"/var\\lib\"\n",
	  { F "2: state_dir: holds a lone backslash; write \\\\ for one, or use '...'" } },
	{ "[milter]\nstate_dir = /var lib\n",
	  { F "2: state_dir: holds blanks; put quotes around the value" } },
	{ "[milter]\nmy_names = {a.test,\n# more\n\n[probe]\nfall = x\n",
	  { F "2: my_names: has no closing brace; write } at the end of the list",
	    F "6: fall: \"x\" is no number; write 1 to 2147483647" } },
	{ "[milter]\nmy_names = {a.test,\nmode = x\n",
	  { F "2: my_names: has no closing brace; write } at the end of the list",
	    F "3: mode: \"x\" is not one of its words; write enforce or shadow" } },
	{ "[milter]\nmy_names = {\n",
	  { F "2: my_names: has no closing brace; write } at the end of the list" } },
	{ "[milter]\nmy_names = {a.test,\nb.test c.test,\nd.test} \nmode = x\n",
	  { F "3: my_names: has two words with a blank between; put a comma between two values, or "
	      "quotes around one",
	    F "5: mode: \"x\" is not one of its words; write enforce or shadow" } },
	{ "[milter]\nmy_names = {a.test\nb.test}\n",
	  { F "3: my_names: has no comma between two values; write {a, b}" } },
	{ "[milter]\nmy_names = {a.test,,b.test}\n",
	  { F "2: my_names: has a comma without a value; write {a, b}" } },
	{ "[milter]\nmy_names = {{a.test}\n",
	  { F "2: my_names: has a second opening brace; write {a, b}" } },
	{ "[milter]\nmy_names = {a.test} b.test\n",
	  { F "2: my_names: has text behind its closing brace; start a new line" } },
	{ "[milter]\nmy_names = a.test, , b.test\n",
	  { F "2: my_names: has a comma without a value; write a, b" } },
	{ "[milter]\nmy_names = a.test,\n",
	  { F "2: my_names: ends in a comma; put braces around a list that goes on in the next "
	      "line" } },
	{ "[milter]\nmode = {enforce}\n",
	  { F "2: mode: takes one value, no list; leave out the braces" } },
	{ "[milter]\nmode =\n", { F "2: mode: has no value; write enforce or shadow" } },
	{ "[milter]\nmy_names = # none\n",
	  { F
	    "2: my_names: has no value; write host names like mx2.example.net, or {} for none" } },
	{ "[milter]\nsocket_group =\n",
	  { F "2: socket_group: has no value; write one word without blanks, or \"\" for none" } },
	{ "[milter]\nmode = en\x01force\n",
	  { F "2: the line holds a control character; write plain text" } },
	{ "# \x1b[31m\n[milter]\n",
	  { F "1: the line holds a control character; write plain text" } },
	/* ---- names ---- */
	{ "fall = 3\n", { F "1: fall: stands before the first section; write it behind [probe]" } },
	{ "primary = {a,\nb}\n",
	  { F "1: primary: stands before the first section; write it behind [domain \"NAME\"]" } },
	{ "foo = 3\n",
	  { F
	    "1: foo: unknown key before the first section; write a section like [milter] first" } },
	{ "[notfy]\ncommand = \"x y\"\n[httq\nlisten = {\n[log]\nlevel = x\n",
	  { F "1: [notfy]: unknown section; write one of [milter], [domains], [policy], [probe], "
	      "[recipients], [flush], [notify], [dns], [http], [log], [domain \"NAME\"]",
	    F "3: [httq]: unknown section; write one of [milter], [domains], [policy], [probe], "
	      "[recipients], [flush], [notify], [dns], [http], [log], [domain \"NAME\"]",
	    F "6: level: \"x\" is not one of its words; write error, warning, notice, info or "
	      "debug" } },
	{ "[Probe]\n",
	  { F "1: [Probe]: unknown section; write one of [milter], [domains], [policy], [probe], "
	      "[recipients], [flush], [notify], [dns], [http], [log], [domain \"NAME\"]" } },
	{ "[flush]\ncomand = {a,\n b}\n",
	  { F "2: comand: unknown key in [flush]; did you mean command?" } },
	{ "[probe]\nintervall = 5\n",
	  { F "2: intervall: unknown key in [probe]; did you mean interval?" } },
	{ "[domain \"a.test\"]\nprimery = b.test\n",
	  { F "2: primery: unknown key in [domain \"NAME\"]; did you mean primary?" } },
	{ "[log]\nfall = 5\n", { F "2: fall: does not belong into [log]; write it in [probe]" } },
	{ "[domain \"a.test\"]\nmode = shadow\n",
	  { F "2: mode: does not belong into [domain \"NAME\"]; write it in [milter]" } },
	{ "[probe]\nprimary = a.test\n",
	  { F "2: primary: does not belong into [probe]; write it in [domain \"NAME\"]" } },
	{ "[probe]\ninclude = x\n",
	  { F "2: include: stands in a section; write it before the first section" } },
	{ "[probe]\nfall = 3\n[log]\n[probe]\nfall = 4\nfall = 5\n",
	  { F "5: fall: is given twice; remove one, the first is at " F "2",
	    F "6: fall: is given twice; remove one, the first is at " F "2" } },
	{ "[domain \"a.test\"]\nfall = 3\nfall = 4\n[domain \"b.test\"]\nfall = 3\n",
	  { F "3: fall: is given twice; remove one, the first is at " F "2" } },
	{ "[domain \"a.test\"]\n[domain \"b.test\"]\n[domain \"A.Test.\"]\n[domain \"a.test\"]\n",
	  { F "3: [domain \"a.test\"]: is given twice; put its keys into the section at " F "1",
	    F "4: [domain \"a.test\"]: is given twice; put its keys into the section at " F "3" } },
	{ "[domain \"a b.test\"]\nfall = x\n",
	  { F "1: [domain \"a b.test\"]: is no domain name; write one like example.test, or "
	      ".example.test for its subdomains",
	    F "2: fall: \"x\" is no number; write 1 to 2147483647" } },
	{ "[domain \"192.0.2.1\"]\n[domain \"\"]\n[domain \".\"]\n",
	  { F "1: [domain \"192.0.2.1\"]: is no domain name; write one like example.test, or "
	      ".example.test for its subdomains",
	    F "2: [domain \"\"]: is no domain name; write one like example.test, or "
	      ".example.test for its subdomains",
	    F "3: [domain \".\"]: is no domain name; write one like example.test, or "
	      ".example.test for its subdomains" } },
	/* ---- includes ---- */
	{ "include = nowhere.ini\n",
	  { F "1: include: cannot read \"nowhere.ini\": No such file or directory; write the path "
	      "of a "
	      "readable file" } },
	{ "include = .\n",
	  { F
	    "1: include: cannot read \".\": Is a directory; write the path of a readable file" } },
	{ "include = ./backupmx.ini\n",
	  { F
	    "1: include: \"./backupmx.ini\" is being read already; remove this line, includes may "
	    "not go in a circle" } },
	{ "include = circle.ini\n",
	  { "circle.ini:2: include: \"backupmx.ini\" is being read already; remove this line, "
	    "includes may not go in a circle" } },
	{ "include = once.ini\ninclude = ./once.ini\n",
	  { F "2: include: \"./once.ini\" is included at " F "1 already; remove one of the two" } },
	{ "include =\ninclude = a b\ninclude = \"a\n",
	  { F "1: include: has no value; write the path of a readable file",
	    F "2: include: holds blanks; put quotes around the value",
	    F "3: include: has no closing quote; write \" at its end, on the same line" } },
	{ "include = once.ini\n[probe]\nrise = 0\nfall = 4\n[domain \"once.test\"]\n",
	  { F "3: rise: \"0\" is out of range; write 1 to 2147483647",
	    F "4: fall: is given twice; remove one, the first is at once.ini:2",
	    F "5: [domain \"once.test\"]: is given twice; put its keys into the section at "
	      "once.ini:3" } },
	{ "include = broken.ini\n[probe]\nrise = 0\n",
	  { F "3: rise: \"0\" is out of range; write 1 to 2147483647",
	    "broken.ini:3: fall: \"-1\" is out of range; write 1 to 2147483647" } },
	/* ---- values ---- */
	{ "[probe]\nfall = three\nrise = 0\n",
	  { F "2: fall: \"three\" is no number; write 1 to 2147483647",
	    F "3: rise: \"0\" is out of range; write 1 to 2147483647" } },
	{ "[probe]\nfall = 2147483648\nrise = 99999999999999999999999999\nport = 0x19\n",
	  { F "2: fall: \"2147483648\" is out of range; write 1 to 2147483647",
	    F "3: rise: \"99999999999999999999999999\" is out of range; write 1 to 2147483647",
	    F "4: port: \"0x19\" is no number; write 1 to 65535" } },
	{ "[probe]\ninterval = 0\ntimeout = 3651d\nfast_interval = 5 min\ndown_interval = 5min\n",
	  { F "2: interval: \"0\" is out of range; write 1s to 3650d, like 90s, 5m, 2h or 7d",
	    F "3: timeout: \"3651d\" is out of range; write 1s to 3650d, like 90s, 5m, 2h or 7d",
	    F "4: fast_interval: holds blanks; put quotes around the value",
	    F "5: down_interval: \"5min\" is no duration; write 1s to 3650d, like 90s, 5m, 2h or "
	      "7d" } },
	{ "[recipients]\ncallout_wait = 26s\n",
	  { F "2: callout_wait: \"26s\" is out of range; write 1s to 25s" } },
	{ "[probe]\njitter = 51%\n[domain \"a.test\"]\njitter = 5\n",
	  { F "2: jitter: \"51%\" is out of range; write 0% to 50%",
	    F "4: jitter: \"5\" is no percentage; write 0% to 50%" } },
	{ "[policy]\ntag = maybe\nwhen_unknown = accept_nobounce\nwhen_catch_all = Accept\n",
	  { F "2: tag: \"maybe\" is neither yes nor no; write yes or no",
	    F "3: when_unknown: \"accept_nobounce\" is not one of its words; write "
	      "defer_then_accept, defer, accept or accept_no_bounce",
	    F "4: when_catch_all: \"Accept\" is not one of its words; write accept, "
	      "accept_no_bounce or "
	      "defer" } },
	{ "[probe]\ncanary = bob\nreference = {192.0.2.1, ns.test:53}\n[domain \"a.test\"]\n"
	  "canary = Postmaster@a.test\nreference = ns.test:53\n",
	  { F
	    "2: canary: \"bob\" is no address of a mailbox; write auto, none, or the address of a "
	    "mailbox at the primary",
	    F "3: reference: 192.0.2.1 has no port; write HOST:PORT",
	    F "5: canary: \"Postmaster@a.test\" proves nothing, it is accepted by hosts that know "
	      "nobody; write auto, none, or the address of a mailbox at the primary",
	    F "6: reference: does not belong into [domain \"NAME\"]; write it in [probe]" } },
	{ "[domain \"a.test\"]\ncanary = bob@b.test\n",
	  { F "2: canary: bob@b.test is of another domain; write an address of a.test, auto or "
	      "none" } },
	{ "[milter]\nsocket = 8899\n[log]\nfacility = foo\n",
	  { F "2: socket: \"8899\" is no milter socket; write inet:PORT@ADDRESS, "
	      "inet6:PORT@ADDRESS or unix:/path",
	    F "4: facility: \"foo\" is no syslog facility; write mail, daemon, user, or local0 to "
	      "local7" } },
	{ "[milter]\nsocket = inet:8899\n",
	  { F "2: socket: \"inet:8899\" has no \"@ADDRESS\"; write inet:PORT@ADDRESS, "
	      "inet6:PORT@ADDRESS or unix:/path" } },
	{ "[milter]\nsocket = inet:8899@::1\n",
	  { F "2: socket: \"inet:8899@::1\" has no IPv4 address behind its \"@\"; write "
	      "inet:PORT@ADDRESS, inet6:PORT@ADDRESS or unix:/path" } },
	{ "[milter]\nsocket = unix:run/x\nsocket_mode = 888\nstate_dir = var\ncontrol_socket = "
	  "\"\"\n",
	  { F "2: socket: \"unix:run/x\" is no absolute path; write inet:PORT@ADDRESS, "
	      "inet6:PORT@ADDRESS or unix:/path",
	    F
	    "3: socket_mode: \"888\" is no octal number; write an octal number from 0000 to 0777, "
	    "like 0660",
	    F "4: state_dir: \"var\" is no absolute path; write an absolute path",
	    F "5: control_socket: \"\" is no absolute path; write an absolute path" } },
	{ "[milter]\nmy_names = {mx1.test,\n mx_2.test,\n 192.0.2.1}\nmy_addresses = mx1.test\n",
	  { F "3: my_names: \"mx_2.test\" is no host name; write host names like mx2.example.net",
	    F "4: my_names: \"192.0.2.1\" is no host name; write host names like mx2.example.net",
	    F "5: my_addresses: \"mx1.test\" is no host's address; write addresses like 192.0.2.7 "
	      "or 2001:db8::7" } },
	{ "[milter]\nexempt_clients = 10.1.2.3/8, mx1.test\n",
	  { F
	    "2: exempt_clients: \"10.1.2.3/8\" is no network: the address has bits set behind the "
	    "network's length; write 10.0.0.0/8",
	    F
	    "2: exempt_clients: \"mx1.test\" is no network: not an IP address; write addresses or "
	    "networks like 192.0.2.0/24 or 2001:db8::/32" } },
	{ "[probe]\nsource_address = 192.0.2.1, 192.0.2.2\nhelo_name = -x\n",
	  { F "2: source_address: has two addresses of one family; write at most one IPv4 and one "
	      "IPv6 "
	      "address of this host",
	    F "3: helo_name: \"-x\" is no host name; write a host name like mx2.example.net" } },
	{ "[flush]\nmta = localhost\nmethod = command\n",
	  { F "2: mta: \"localhost\" has no port; write HOST:PORT or [ADDRESS]:PORT, like "
	      "127.0.0.1:25",
	    F "3: method: is command, and there is none; write command = /path/of/a/program %d as "
	      "well, or etrn" } },
	{ "[flush]\nmethod = by\n",
	  { F "2: method: \"by\" is not one of its words; write etrn, command or none" } },
	{ "[flush]\nmethod = command\ncommand = \"\"\n",
	  { F "2: method: is command, and there is none; write command = /path/of/a/program %d as "
	      "well, or etrn" } },
	{ "[flush]\ncommand = postqueue -s %d\n[notify]\ncommand = {\"\", x}\n",
	  { F "2: command: \"postqueue\" is no absolute path; write /path/of/the/program and its "
	      "arguments",
	    F "4: command: \"\" is no absolute path; write /path/of/the/program and its "
	      "arguments" } },
	{ "[flush]\ncommand = /no/such/program %d\n[notify]\ncommand = '/bin x'\n",
	  { F "2: command: cannot run \"/no/such/program\": No such file or directory; write the "
	      "path of a program that this host can run",
	    F "4: command: cannot run \"/bin\": Permission denied; write the path of a program "
	      "that this host can run" } },
	{ "[notify]\ncommand = /etc/passwd\n",
	  { F "2: command: cannot run \"/etc/passwd\": Permission denied; write the path of a "
	      "program that this host can run" } },
	{ "[notify]\ncommand =\n[flush]\ncommand = # none\n",
	  { F "2: command: has no value; write the absolute path of a program and its arguments, "
	      "or \"\" for none",
	    F "4: command: has no value; write the absolute path of a program and its arguments, "
	      "or \"\" for none" } },
	{ "[notify]\ncommand = /bin/sh -c \"x\n[flush]\ncommand = \"/bin/sh 'x\"\n",
	  { F "2: command: has no closing quote; write \" at its end, on the same line",
	    F "4: command: has no closing quote; write ' at its end, on the same line" } },
	{ "[notify]\ncommand = /bin/sh, x y\n",
	  { F "2: command: has two words with a blank between; put a comma between two values, or "
	      "quotes around one" } },
	{ "[notify]\ncommand = /bin/sh x\"y\"\n",
	  { F "2: command: has a quote in its middle; put quotes around the whole value" } },
	{ "[dns]\nservers = {ns.test, 192.0.2.1:0, [::1}\n",
	  { F "2: servers: \"ns.test\" is no address; write ADDRESS, 192.0.2.53:53 or "
	      "\"[2001:db8::53]:53\"",
	    F "2: servers: \"192.0.2.1:0\" is no host and port; write ADDRESS, 192.0.2.53:53 or "
	      "\"[2001:db8::53]:53\"",
	    F "2: servers: \"[::1\" is no host and port; write ADDRESS, 192.0.2.53:53 or "
	      "\"[2001:db8::53]:53\"" } },
	{ "[domain \"a.test\"]\nprimary = {mx_1.test, mx1.test:, 0.0.0.0, [mx1.test]:25}\n",
	  { F "2: primary: \"mx_1.test\" is no host; write NAME, NAME:PORT, ADDRESS or "
	      "\"[ADDRESS]:PORT\"",
	    F "2: primary: \"mx1.test:\" is no host and port; write NAME, NAME:PORT, ADDRESS or "
	      "\"[ADDRESS]:PORT\"",
	    F "2: primary: \"0.0.0.0\" is no host's address; write NAME, NAME:PORT, ADDRESS or "
	      "\"[ADDRESS]:PORT\"",
	    F "2: primary: \"[mx1.test]:25\" is no address; write NAME, NAME:PORT, ADDRESS or "
	      "\"[ADDRESS]:PORT\"" } },
	{ "[recipients]\nrecipient_delimiter = +a\n",
	  { F "2: recipient_delimiter: \"+a\" holds a sign that cannot part a local part; write up "
	      "to 8 "
	      "of the signs ! # $ % & ' * + - . / = ? ^ _ ` { | } ~" } },
	/* ---- contradictions ---- */
	{ "[recipients]\nvalid_refresh = 32d\n",
	  { F "2: valid_refresh: 32d is above valid_ttl, 31d; write 31d or less" } },
	{ "[recipients]\nvalid_ttl = 1d\n",
	  { F "2: valid_ttl: 1d is below valid_refresh, 7d; write 7d or more" } },
	{ "[recipients]\nvalid_refresh = 2d\nvalid_ttl = 1d\n",
	  { F "2: valid_refresh: 2d is above valid_ttl, 1d; write 1d or less" } },
	{ "[domain \"a.test\"]\n\nrecipients_complete = yes\n",
	  { F "3: recipients_complete: is yes without a recipients_file; write recipients_file = "
	      "/path "
	      "as well, or no" } },
	{ "[domain \"a.test\"]\nrecipients_complete = yes\nrecipients_file = list\n",
	  { F "3: recipients_file: \"list\" is no absolute path; write an absolute path" } },
	{ "[domain \".a.test\"]\nrecipients_file = /etc/passwd\n",
	  { F "2: recipients_file: is for one domain, and .a.test stands for many; write it into a "
	      "[domain] section of each subdomain" } },
	{ "[domain \"a.test\"]\nrecipients_file = /nowhere/list\n",
	  { F "2: recipients_file: cannot read \"/nowhere/list\": No such file or directory; write "
	      "the "
	      "path of a readable file" } },
	{ "[domain \"a.test\"]\nprimary = {192.0.2.1,\nLocalhost, 127.0.0.1:2525, \"[::1]:25\"}\n"
	  "[domain \"b.test\"]\nprimary = mx2.test, \"[192.0.2.77]:26\"\n"
	  "[milter]\nmy_names = MX2.test\nmy_addresses = 192.0.2.77, ::1\n",
	  { F "2: primary: localhost is a name of this host; write the domain's own mail hosts",
	    F "2: primary: 127.0.0.1 is an address of this host; write the domain's own mail hosts",
	    F "2: primary: ::1 is an address of this host; write the domain's own mail hosts",
	    F "5: primary: mx2.test is a name of this host; write the domain's own mail hosts",
	    F "5: primary: 192.0.2.77 is an address of this host; write the domain's own mail "
	      "hosts" } },
	/* ---- domains_file ---- */
	{ "[domains]\ndomains_file = domains\n",
	  { F "2: domains_file: \"domains\" is no absolute path; write an absolute path" } },
	{ "[domains]\ndomains_file = /nowhere/domains\n",
	  { F "2: domains_file: cannot read \"/nowhere/domains\": No such file or directory; write "
	      "the "
	      "path of a readable file" } },
	{ "[domains]\ndomains_file = {folder}/domains\n[probe]\nfall = 0\n",
	  { F "4: fall: \"0\" is out of range; write 1 to 2147483647",
	    "{folder}/domains:2: \"two words.test\" is no domain; write one like example.test, or "
	    ".example.test for its subdomains",
	    "{folder}/domains:4: \"a..test\" is no domain; write one like example.test, or "
	    ".example.test for its subdomains" } },
};

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

/* `text` with each {folder} filled in. free() it. */
static char *fill_in(const char *text)
{
	static const char mark[] = "{folder}";
	const char *at = strstr(text, mark);

	if (at == NULL)
		return memory_string(text);
	return memory_format("%.*s%s%s", (int)(at - text), text, folder, at + strlen(mark));
}

static void check_lines(const struct config_errors *errors, const struct row *row)
{
	size_t expected = 0;

	while (expected < LINES_MAX && row->lines[expected] != NULL)
		expected++;
	if (errors->count != expected)
		for (size_t i = 0; i < errors->count; i++)
			print_error("%s\n", errors->lines[i]);
	assert_int_equal(errors->count, expected);
	for (size_t i = 0; i < expected; i++) {
		char *line = fill_in(row->lines[i]);

		assert_string_equal(errors->lines[i], line);
		free(line);
	}
}

static void test_every_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct config_errors errors;
		char *text = fill_in(rows[i].text);

		write_file("backupmx.ini", text);
		assert_null(config_load("backupmx.ini", &errors));
		check_lines(&errors, &rows[i]);
		config_errors_fini(&errors);
		free(text);
	}
}

static void check_bytes(const char *bytes, size_t length, const char *line)
{
	struct config_errors errors;

	assert_null(config_load_bytes("backupmx.ini", bytes, length, &errors));
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.lines[0], line);
	config_errors_fini(&errors);
}

static void test_unfit_lines(void **state)
{
	static const char with_nul[] = "[probe]\nfall = 3\0\nrise = 2\n";
	char *text = memory_alloc(INI_LINE_MAX + 10);

	(void)state;
	check_bytes(with_nul, sizeof(with_nul) - 1,
		    F "2: the line holds a NUL byte; write plain text");
	memset(text, '#', INI_LINE_MAX + 1);
	check_bytes(text, INI_LINE_MAX + 1,
		    F
		    "1: the line is too long; write shorter ones, a list in braces may span lines");
	text[INI_LINE_MAX] = '\n'; /* a line of just the length is fine */
	memcpy(text + INI_LINE_MAX + 1, "[\r\n", 3);
	check_bytes(text, INI_LINE_MAX + 4,
		    F
		    "2: []: unknown section; write one of [milter], [domains], [policy], [probe], "
		    "[recipients], [flush], [notify], [dns], [http], [log], [domain \"NAME\"]");
	free(text);
}

/* A value may hold anything: the message stays one printable line of bounded length. */
static void test_messages_are_printable(void **state)
{
	char text[1200] = "[probe]\nfall = ";
	struct config_errors errors;
	size_t length = strlen(text);

	(void)state;
	memset(text + length, 0xc3, sizeof(text) - length);
	assert_null(config_load_bytes("b\xc3\xbc.ini", text, sizeof(text), &errors));
	assert_int_equal(errors.count, 1);
	assert_true(strlen(errors.lines[0]) < 300);
	assert_memory_equal(errors.lines[0], "b??.ini:2: fall: \"???", 21);
	assert_non_null(strstr(errors.lines[0], "???...\" is no number; write 1 to 2147483647"));
	config_errors_fini(&errors);
}

static void test_unreadable_file(void **state)
{
	struct config_errors errors;

	(void)state;
	assert_null(config_load("/nowhere/backupmx.ini", &errors));
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.lines[0],
			    "/nowhere/backupmx.ini: cannot read: No such file or directory");
	config_errors_fini(&errors);
	assert_null(config_load("/", &errors));
	assert_string_equal(errors.lines[0], "/: cannot read: Is a directory");
	config_errors_fini(&errors);
}

/* Given a wrong file, a million complaints help nobody. */
static void test_wrong_domains_file(void **state)
{
	char text[4096] = "";
	struct config_errors errors;
	char *ini = fill_in("[domains]\ndomains_file = {folder}/domains\n");
	char *line = fill_in("{folder}/domains:100: the 100th bad line, the rest is not looked at; "
			     "write one domain per line");

	(void)state;
	for (size_t i = 0; i + 4 < sizeof(text); i += 4)
		memcpy(text + i, "_ _\n", 4);
	write_file("domains", text);
	assert_null(config_load_bytes("backupmx.ini", ini, strlen(ini), &errors));
	assert_int_equal(errors.count, 100);
	assert_string_equal(errors.lines[99], line);
	config_errors_fini(&errors);
	free(line);
	free(ini);
}

/* One load leaves nothing behind that the next one trips over. */
static void test_good_after_bad(void **state)
{
	struct config_errors errors;
	struct config *config;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_null(config_load_bytes("backupmx.ini", rows[i].text, strlen(rows[i].text),
					      &errors));
		config_errors_fini(&errors);
		config = config_load_bytes("backupmx.ini", "[probe]\nfall = 4\n", 17, &errors);
		assert_non_null(config);
		assert_int_equal(config->probe.rules.fall, 4);
		assert_int_equal(errors.count, 0);
		config_put(config);
	}
}

static int enter_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL || chdir(folder) != 0)
		return -1;
	write_file("circle.ini", "# back\ninclude = backupmx.ini\n");
	write_file("once.ini", "[probe]\nfall = 3\n[domain \"once.test\"]\n");
	write_file("broken.ini", "\n[probe]\nfall = -1\n");
	write_file("domains", "one.test\ntwo words.test\n# three\na..test\n");
	return 0;
}

static int leave_folder(void **state)
{
	static const char *const files[] = { "backupmx.ini", "circle.ini", "once.ini", "broken.ini",
					     "domains" };

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++)
		unlink(files[i]);
	return chdir("/") != 0 || rmdir(folder) != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row),
		cmocka_unit_test(test_unfit_lines),
		cmocka_unit_test(test_messages_are_printable),
		cmocka_unit_test(test_unreadable_file),
		cmocka_unit_test(test_good_after_bad),
		cmocka_unit_test(test_wrong_domains_file),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
