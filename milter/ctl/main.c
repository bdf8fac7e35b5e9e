/* SPDX-License-Identifier: BSD-2-Clause */
/* backupmxctl: reads its arguments and runs one command. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "ctl/ctl.h"

#define DEFAULT_CONFIG "/etc/backupmx-milter/backupmx.ini"

static const char recipients_help[] =
	"  show ADDRESS\n"
	"      what is known of a recipient, by recipients_file or the memory\n"
	"  list [DOMAIN] [--status valid|invalid|catch-all]\n"
	"      what the memory holds and what counts now\n"
	"  export [DOMAIN]\n"
	"      the same as lines that import and recipients_file read\n"
	"  import FILE [--domain DOMAIN] [--format FORMAT]\n"
	"      takes a list (an address or @domain per line), the source of a Postfix map, or a\n"
	"      mail log of the primary (Postfix, Exim, Sendmail); - is the standard input:\n"
	"      zcat mail.log.1.gz | backupmxctl recipients import -\n"
	"      DOMAIN is that of local parts without one. FORMAT is auto (the default), list,\n"
	"      map, log, postfix, exim or sendmail. Nobody becomes invalid by an import.\n"
	"  forget ADDRESS|@DOMAIN\n"
	"      removes a recipient, or all that is known of a domain, from the memory\n"
	"\n"
	"  import and forget need root or the daemon's own user.\n";

static const char report_help[] =
	"  Of the last 30 days, or of --since: 12h, 7d, 90d ... Availability and its sums are by\n"
	"  whole days (UTC); outages are those that were not over before.\n"
	"  What counts is what the probes saw: time in which this host was cut off itself, or the\n"
	"  daemon did not run, is counted for nobody, and a forced state is no outage.\n"
	"  --csv prints one line per outage, with a line of titles, for spreadsheets.\n";

static const struct ctl_command commands[] = {
	{ "status", "[DOMAIN]", "states, since when, endpoints, what the memory holds", ctl_status,
	  NULL },
	{ "explain", "[--client IP] [--name HOST] [--from ADDR] [--auth] RCPT",
	  "what would be said to a recipient, and why", ctl_explain, NULL },
	{ "flush", "DOMAIN", "have the MTA deliver its queue for the domain now", ctl_flush, NULL },
	{ "recipients", "list|show|import|export|forget ...",
	  "the recipient memory: see what it holds, fill it, forget", ctl_recipients,
	  recipients_help },
	{ "report", "[DOMAIN] [--since 30d] [--csv]",
	  "outages and availability, mail taken and flushed: the SLA review", ctl_report,
	  report_help },
	{ "reload", "[--force]", "read the configuration and recipient lists anew", ctl_reload,
	  NULL },
	{ "version", "", "of this program and of the daemon", ctl_version, NULL },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
	fputs("usage: backupmxctl [-c FILE] [-s SOCKET] [--json] COMMAND [ARGUMENT...]\n\n", out);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  %s %s\n      %s\n", commands[i].name, commands[i].arguments,
			commands[i].what);
	fputs("\n"
	      "  -c FILE    the daemon's configuration, for its control socket\n"
	      "             (" DEFAULT_CONFIG ")\n"
	      "  -s SOCKET  the control socket itself\n"
	      "  --json     print JSON, on every command\n"
	      "  -h         this help; after a command: that command's\n"
	      "\n"
	      "Exit codes: 0 fine, 1 the answer is \"no\" (down, refused, an error was found),\n"
	      "2 wrong usage, 3 the daemon can't be reached.\n",
	      out);
}

static const struct ctl_command *command_find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

int ctl_usage(const struct ctl *ctl, const char *name, const char *arguments)
{
	char message[256];

	snprintf(message, sizeof(message), "usage: backupmxctl %s %s", name, arguments);
	if (ctl->json)
		return ctl_fail(ctl, CTL_EXIT_USAGE, message);
	fprintf(stderr, "%s\n", message);
	return CTL_EXIT_USAGE;
}

int ctl_wrong_usage(const struct ctl *ctl, const char *name)
{
	return ctl_usage(ctl, name, command_find(name)->arguments);
}

/* --json may stand anywhere: takes it out of the arguments. */
static int take_json(struct ctl *ctl, int argc, char **argv)
{
	int kept = 0;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			ctl->json = true;
		else
			argv[kept++] = argv[i];
	}
	argv[kept] = NULL;
	return kept;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

static int run_command(struct ctl *ctl, int argc, char **argv)
{
	const struct ctl_command *command = command_find(argv[0]);

	if (command == NULL) {
		char message[256];

		snprintf(message, sizeof(message), "%s: no such command; try: backupmxctl -h",
			 argv[0]);
		return ctl_fail(ctl, CTL_EXIT_USAGE, message);
	}
	if (wants_help(argc, argv)) {
		printf("usage: backupmxctl %s %s\n\n  %s\n", command->name, command->arguments,
		       command->what);
		if (command->more != NULL)
			printf("\n%s", command->more);
		return CTL_EXIT_OK;
	}
	return command->run(ctl, argc, argv);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct ctl ctl = { .config_path = DEFAULT_CONFIG };
	int option;

	argc = take_json(&ctl, argc, argv);
	while ((option = getopt_long(argc, argv, "+c:s:hV", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			ctl.config_path = optarg;
			break;
		case 's':
			ctl.socket_path = optarg;
			break;
		case 'h':
			print_help(stdout);
			return CTL_EXIT_OK;
		case 'V':
			puts("backupmxctl " PACKAGE_VERSION);
			return CTL_EXIT_OK;
		default:
			fputs("backupmxctl: try: backupmxctl -h\n", stderr);
			return CTL_EXIT_USAGE;
		}
	}
	if (optind >= argc) {
		print_help(stderr);
		return CTL_EXIT_USAGE;
	}
	return run_command(&ctl, argc - optind, argv + optind);
}
