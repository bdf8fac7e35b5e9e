/* SPDX-License-Identifier: BSD-2-Clause */
/* backupmxctl: the table of commands, and one of them run. */
#include <stdio.h>

#include "config.h"
#include "ctl/ctl.h"

/* ---- commands ---- */

static const struct ctl_option no_options[] = { { .name = NULL } };

#define MTA_CONFIG_OPTION                                                                          \
	{                                                                                          \
		"mta-config", "PATH",                                                              \
			"the folder of Postfix's main.cf, or Sendmail's sendmail.cf, where it "    \
			"isn't the usual "                                                         \
			"one"                                                                      \
	}

static const struct ctl_option check_options[] = {
	MTA_CONFIG_OPTION,
	{ "problems", NULL, "leave out what is in order" },
	{ "server", "HOST",
	  "look at a backup that somebody else runs, a host name or an address, from outside" },
	{ "to", "ADDR", "with --server: a recipient who exists, to see whether it is put off" },
	{ "ids", NULL, "only list what is looked at, with the id of each" },
	{ .name = NULL },
};

static const struct ctl_option drill_options[] = {
	{ "to", "ADDR",
	  "the recipient: of that domain, known here, who may get a small test mail" },
	{ "hold", NULL, "have the MTA hold the message in its queue, and release it: needs root" },
	{ "wait", "DURATION", "how long the delivery may take: 1s to 1h; without it: 2m" },
	{ "mail-log", "FILE",
	  "the MTA's log; without it: what Postfix's maillog_file says, /var/log/mail.log or "
	  "/var/log/maillog" },
	MTA_CONFIG_OPTION,
	{ .name = NULL },
};

static const struct ctl_option plan_options[] = {
	{ "backup", "NAME[=ADDR,...]...",
	  "a backup, in order of preference, and the addresses that its name should have; may be "
	  "given several times; without it: this host" },
	{ "primary", "NAME",
	  "the host that takes the domain's mail now, where the MX records don't say so" },
	{ "ttl", "DURATION",
	  "of the MX records and of new addresses: 300s to 1d; without it: that "
	  "of the MX records there are when it is one of these, else 1h" },
	{ "format", "FORMAT", "print only that: zone, nsupdate or table" },
	{ .name = NULL },
};

static const struct ctl_option explain_options[] = {
	{ "client", "IP", "the client's address; without it: a stranger's" },
	{ "name", "HOST", "the client's verified name" },
	{ "from", "ADDR", "the envelope sender; without it: <>" },
	{ "auth", NULL, "the client has authenticated itself" },
	{ .name = NULL },
};

static const struct ctl_option force_options[] = {
	{ "for", "DURATION", "for how long: 90s, 30m, 2h, up to 30d; without it: 1h" },
	{ .name = NULL },
};

static const struct ctl_option reload_options[] = {
	{ "force", NULL, "take a recipients_file that has shrunk, too" },
	{ .name = NULL },
};

static const struct ctl_option report_options[] = {
	{ "since", "TIME", "how far back: 12h, 7d, 90d ...; without it: 30d" },
	{ "csv", NULL, "one line per outage, after a line of titles" },
	{ .name = NULL },
};

static const struct ctl_option list_options[] = {
	{ "status", "STATUS", "only these: valid, invalid or catch-all" },
	{ .name = NULL },
};

static const struct ctl_option import_options[] = {
	{ "domain", "DOMAIN", "the domain of local parts without one" },
	{ "format", "FORMAT",
	  "auto (the default), list, map, log, postfix, exim or sendmail; map is the source of a "
	  "Postfix map, log any of the three logs" },
	{ .name = NULL },
};

static const struct ctl_command recipients_commands[] = {
	{ "list", "[DOMAIN] [--status STATUS]", "what the memory holds and what counts now",
	  ctl_recipients_list, NULL, "recipients list example.org --status invalid\n", list_options,
	  0, 1, NULL },
	{ "show", "ADDRESS", "what is known of a recipient, by recipients_file or the memory",
	  ctl_recipients_show, NULL, "recipients show someone@example.org\n", no_options, 1, 1,
	  NULL },
	{ "import", "FILE [--domain DOMAIN] [--format FORMAT]",
	  "take a list, the source of a Postfix map, or a mail log of the primary",
	  ctl_recipients_import,
	  "  A list has an address or @domain per line; a log is Postfix's, Exim's or\n"
	  "  Sendmail's. FILE - is the standard input. Nobody becomes invalid by an import.\n"
	  "  Needs root or the daemon's own user.\n",
	  "recipients import /root/users.txt --domain example.org\n"
	  "recipients import - < /var/log/mail.log.1\n",
	  import_options, 1, 1, NULL },
	{ "export", "[DOMAIN]", "what the memory holds, as lines that import reads",
	  ctl_recipients_export, NULL, "recipients export example.org > users.txt\n", no_options, 0,
	  1, NULL },
	{ "forget", "ADDRESS|@DOMAIN",
	  "remove a recipient, or all that is known of a domain, from the memory",
	  ctl_recipients_forget, "  Needs root or the daemon's own user.\n",
	  "recipients forget someone@example.org\n", no_options, 1, 1, NULL },
	{ .name = NULL },
};

static const struct ctl_command commands[] = {
	{ "status", "[DOMAIN]", "the domains: states, since when, endpoints, what the memory holds",
	  ctl_status,
	  "  Those in trouble come first. Of one domain: all of it; the exit code is 1\n"
	  "  unless it is up.\n\n"
	  "  up           the primary takes mail: senders are told to deliver there\n"
	  "  recovering   up, but back only lately: mail is still taken\n"
	  "  down         mail for known recipients is taken\n"
	  "  sick         the primary answers, but refuses its own users, or every EHLO:\n"
	  "               all senders are told to come again\n"
	  "  forced-up, forced-down   by an administrator; see backupmxctl help force\n"
	  "  not-backup   the MX records name nobody to be a backup for: mail is left alone\n"
	  "  unknown      nothing was probed yet: counts as down\n",
	  "status\nstatus example.org\n", no_options, 0, 1, NULL },
	{ "explain", "[--client IP] [--name HOST] [--from ADDR] [--auth] RCPT",
	  "what would be said to a recipient, and why", ctl_explain,
	  "  Changes nothing, asks nobody and never waits.\n",
	  "explain --client 192.0.2.7 someone@example.org\n", explain_options, 1, 1, NULL },
	{ "flush", "DOMAIN", "have the MTA deliver its queue for the domain now", ctl_flush,
	  "  Tells the MTA as [flush] method says, by ETRN or by your command, in whatever\n"
	  "  state the domain is. When a primary comes back this happens by itself. While\n"
	  "  it is down the MTA tries in vain and keeps the mail; while it is sick, don't:\n"
	  "  what the primary refuses is bounced.\n"
	  "  Needs root or the daemon's own user.\n",
	  "flush example.org\n", no_options, 1, 1, NULL },
	{ "force", "DOMAIN up|down|auto [--for DURATION]",
	  "override what the probes say, for a limited time", ctl_force,
	  "  down: mail is taken as in an outage; nothing is flushed until it ends.\n"
	  "  up: senders are sent to the primary, if public MX records name a better host\n"
	  "  than this one; mail isn't flushed, and nobody is asked for, before the probes\n"
	  "  say so too.\n"
	  "  auto: the probes decide again.\n"
	  "  Saying it again begins a new time. Probes go on meanwhile; status shows what\n"
	  "  they say of each endpoint. It survives restarts of the daemon.\n"
	  "  Needs root or the daemon's own user.\n",
	  "force example.org down --for 2h\nforce example.org auto\n", force_options, 2, 2, NULL },
	{ "probe", "DOMAIN", "probe its primaries now, and show what is said", ctl_probe,
	  "  Connects to each endpoint as the prober does (same name, source address, level\n"
	  "  and time limits), shows what is said with the milliseconds since it began, and\n"
	  "  leaves by QUIT; no mail is begun. It counts for nothing: when it speaks\n"
	  "  against what status shows of an endpoint, the next real probe comes sooner.\n"
	  "  The exit code is 0 when an endpoint that mail is forwarded to is fit for it.\n"
	  "  Needs root or the daemon's own user.\n",
	  "probe example.org\n", no_options, 1, 1, NULL },
	{ "check", "[DOMAIN...] [--problems] [--mta-config PATH] [--server HOST [--to ADDR]]",
	  "the doctor: MX records, primaries, this host's MTA, and what mends them", ctl_check,
	  "  Without a domain: those of the configuration, of the daemon and of the MTA. It\n"
	  "  works before the daemon is installed and without root, and says what it could\n"
	  "  not see. Nothing is changed. Each finding has an id, which has a section in\n"
	  "  backupmxctl-check(7). The exit code is 1 when there is an error among them.\n"
	  "  With --server it looks at another host's work as a backup of the domains, from\n"
	  "  here: it is asked, in one session, for an invented recipient of each and for\n"
	  "  the one of --to, and gets no mail. Run that while the primary is up, and from\n"
	  "  a host that the other one doesn't trust.\n",
	  "check\ncheck example.org --problems\n"
	  "check example.org --server mx2.example.net --to jane@example.org\n",
	  check_options, 0, 1000, NULL },
	{ "plan",
	  "DOMAIN [--backup NAME[=ADDR,...]]... [--primary NAME] [--ttl DURATION] [--format "
	  "FORMAT]",
	  "the DNS records that make this host the domain's backup MX, and why", ctl_plan,
	  "  Says what is there, to add, to change and to remove: as lines of the zone\n"
	  "  file, as input for nsupdate, which does nothing when the zone has changed\n"
	  "  meanwhile, and as a table for a web form. Records that work are left alone. It\n"
	  "  works before the daemon is installed and without root; nothing is changed. See\n"
	  "  backupmxctl-plan(7). The exit code is 1 when there can't be a plan.\n",
	  "plan example.org\nplan example.org --format nsupdate | nsupdate -k Kupdate.key\n"
	  "plan example.org --backup mx2.example.net --backup mx3.example.com\n",
	  plan_options, 1, 1, NULL },
	{ "drill",
	  "DOMAIN --to ADDR [--hold] [--wait DURATION] [--mail-log FILE] [--mta-config PATH]",
	  "the fire drill: one marked mail goes as in an outage, step by step", ctl_drill,
	  "  The mail is sent to the own MTA, and for it alone the domain counts as down;\n"
	  "  all other mail gets the real state, and neither DNS nor the primary is\n"
	  "  touched. Is it accepted, tagged, does it leave the queue, is it delivered?\n"
	  "  With --hold it is seen waiting in the queue, too. A step that fails says what\n"
	  "  to do. However a drill ends, nothing is left behind. backupmxctl-drill(7) has\n"
	  "  more, and a timer for a monthly one. The exit code is 0 when no step failed.\n"
	  "  Needs root or the daemon's own user; --hold needs root.\n",
	  "drill example.org --to someone@example.org --hold\n", drill_options, 1, 1, NULL },
	{ "recipients", "list|show|import|export|forget ...",
	  "the recipient memory: see what it holds, fill it, forget", NULL, NULL, NULL, NULL, 0, 0,
	  recipients_commands },
	{ "report", "[DOMAIN] [--since TIME] [--csv]",
	  "outages and availability, mail taken and flushed: the SLA review", ctl_report,
	  "  Availability and its sums are by whole days (UTC); outages are those that were\n"
	  "  not over before. What counts is what the probes saw: time in which this host\n"
	  "  was cut off itself, or the daemon did not run, is counted for nobody, and a\n"
	  "  forced state is no outage. An outage begins with the first failed probe, so it\n"
	  "  is longer than the state \"down\" in status and log; \"goes on\": not over yet.\n",
	  "report --since 90d\nreport example.org --csv\n", report_options, 0, 1, NULL },
	{ "reload", "[--force]", "read the configuration and recipient lists anew", ctl_reload,
	  "  Needs root or the daemon's own user. Nothing changes when something is wrong\n"
	  "  with the configuration; it says what, with file and line.\n",
	  "reload\n", reload_options, 0, 0, NULL },
	{ "metrics", "", "what is counted and measured, as Prometheus text", ctl_metrics,
	  "  The same as /metrics of [http] listen, for scripts and for node_exporter's\n"
	  "  textfile collector.\n",
	  "metrics\n", no_options, 0, 0, NULL },
	{ "version", "", "of this program and of the daemon", ctl_version, NULL, "version\n",
	  no_options, 0, 0, NULL },
	{ "help", "[COMMAND [COMMAND]]", "this help, or a command's", ctl_help, NULL,
	  "help status\nhelp recipients import\n", no_options, 0, 2, NULL },
	{ .name = NULL },
};

/* ---- the program ---- */

static int run(struct ctl *ctl, int argc, char **argv)
{
	enum ctl_wish wish;
	int code = ctl_arguments_read(ctl, &argc, argv, &wish);

	if (code != CTL_EXIT_OK)
		return code;
	if (wish == CTL_WISH_HELP) {
		ctl_print_help(ctl, ctl->family, ctl->command, stdout);
		return CTL_EXIT_OK;
	}
	if (wish == CTL_WISH_VERSION) {
		puts("backupmxctl " PACKAGE_VERSION);
		return CTL_EXIT_OK;
	}
	if (ctl->command != NULL)
		return ctl->command->run(ctl, argc, argv);
	if (ctl->json)
		return ctl_misused(ctl, "a command is missing");
	ctl_print_help(ctl, ctl->family, NULL, stderr);
	return CTL_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .commands = commands };
	int code = run(&ctl, argc - 1, argv + 1);
	bool failed = ferror(stdout) != 0;

	/* a full disk, or a reader that left: what wasn't told wasn't told */
	if (fflush(stdout) != 0 || failed) {
		perror("backupmxctl: not all of the output could be written");
		return code != CTL_EXIT_OK ? code : CTL_EXIT_NO;
	}
	return code;
}
