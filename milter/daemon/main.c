/* SPDX-License-Identifier: BSD-2-Clause */
/* backupmx-milter: reads its arguments and its configuration, then runs the daemon. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "conf/config.h"
#include "config.h"
#include "daemon/daemon.h"
#include "daemon/process.h"

struct arguments {
	struct daemon_options daemon;
	const char *pid_path;
	bool test, foreground, log_to_stderr;
};

static void print_help(FILE *out)
{
	fputs("usage: backupmx-milter [-c FILE] [-d LEVEL] [-f] [-l] [-P FILE] [-t]\n"
	      "       backupmx-milter -h | -V\n"
	      "\n"
	      "A milter for Postfix and Sendmail that makes this host a good backup MX: it sends\n"
	      "clients to the primary MX while that is up, takes mail for known recipients while "
	      "it\n"
	      "is down, and refuses mail for recipients that don't exist.\n"
	      "\n"
	      "  -c FILE   configuration (" CONFIG_DEFAULT_PATH ")\n"
	      "  -d LEVEL  log level: error, warning, notice, info or debug; wins over the file\n"
	      "  -f        stay in the foreground (the default under systemd)\n"
	      "  -l        log to stderr as well as to syslog\n"
	      "  -P FILE   write the process id there\n"
	      "  -t        test the configuration and exit: 0 it is good, 78 it is not\n"
	      "  -h        this help\n"
	      "  -V        version\n"
	      "\n"
	      "Signals: HUP reloads the configuration, TERM and INT stop.\n"
	      "Exit codes: 0 stopped, 64 wrong usage, 75 another instance runs, 78 "
	      "configuration.\n",
	      out);
}

static _Noreturn void usage_error(void)
{
	fputs("backupmx-milter: try: backupmx-milter -h\n", stderr);
	exit(EX_USAGE);
}

/* A daemon changes to "/": a relative path is made whole before. */
static const char *absolute(const char *path)
{
	char folder[4096];

	if (path[0] == '/' || getcwd(folder, sizeof(folder)) == NULL)
		return path;
	return memory_format("%s/%s", folder, path);
}

static void read_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option long_options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:d:flP:thV", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			arguments->daemon.config_path = optarg;
			break;
		case 'd':
			if (!log_level_parse(optarg, &arguments->daemon.log_level)) {
				fprintf(stderr,
					"backupmx-milter: -d %s: no such level; write error, "
					"warning, notice, info or debug\n",
					optarg);
				usage_error();
			}
			arguments->daemon.log_level_given = true;
			break;
		case 'f':
			arguments->foreground = true;
			break;
		case 'l':
			arguments->log_to_stderr = true;
			break;
		case 'P':
			arguments->pid_path = absolute(optarg);
			break;
		case 't':
			arguments->test = true;
			break;
		case 'h':
			print_help(stdout);
			exit(EX_OK);
		case 'V':
			puts("backupmx-milter " PACKAGE_VERSION);
			exit(EX_OK);
		default:
			usage_error();
		}
	}
	if (optind < argc) {
		fprintf(stderr, "backupmx-milter: %s: takes options only\n", argv[optind]);
		usage_error();
	}
}

static struct config *load_or_exit(const char *path)
{
	struct config_errors errors = { .lines = NULL };
	struct config *config = config_load(path, &errors);

	for (size_t i = 0; i < errors.count; i++)
		fprintf(stderr, "%s\n", errors.lines[i]);
	config_errors_fini(&errors);
	if (config == NULL)
		exit(EX_CONFIG);
	return config;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .daemon = { .config_path = CONFIG_DEFAULT_PATH } };
	struct config *config;
	struct daemon *daemon;
	char *config_path;
	int exit_code = 0;

	read_arguments(argc, argv, &arguments);
	config = load_or_exit(arguments.daemon.config_path);
	if (arguments.test) {
		config_put(config);
		return EX_OK;
	}
	/* a daemon changes to "/", and must find the file again at reload */
	config_path = realpath(arguments.daemon.config_path, NULL);
	if (config_path != NULL)
		arguments.daemon.config_path = config_path;
	if (getenv("NOTIFY_SOCKET") != NULL)
		arguments.foreground = true;
	if (!arguments.foreground && process_detach() != 0) {
		perror("backupmx-milter: cannot go into the background");
		return EX_OSERR;
	}
	log_open("backupmx-milter", true);
	daemon = daemon_start(&arguments.daemon, config, &exit_code);
	if (daemon == NULL)
		_exit(exit_code);
	if (arguments.pid_path != NULL && !process_write_pid(arguments.pid_path))
		log_error("daemon: cannot write the pid file %s", arguments.pid_path);
	if (!arguments.log_to_stderr)
		log_forget_stderr();
	process_detached();
	exit_code = daemon_run(daemon);
	daemon_stop(daemon);
	if (arguments.pid_path != NULL)
		unlink(arguments.pid_path);
	free(config_path);
	/* libmilter's own threads may still be around: no destructors under them */
	fflush(NULL);
	_exit(exit_code);
}
