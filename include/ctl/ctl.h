/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands of backupmxctl share. One thread. */
#ifndef BACKUPMX_CTL_CTL_H
#define BACKUPMX_CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define CTL_EXIT_OK	     0
#define CTL_EXIT_NO	     1
#define CTL_EXIT_USAGE	     2
#define CTL_EXIT_UNREACHABLE 3

#define CTL_OPTIONS_MAX 8  /* of one command */
#define CTL_SEVERAL_MAX 16 /* values of an option that may be given so often */
#define CTL_PROBLEM_MAX 1024

/* "--name VALUE" or "--name=VALUE". */
struct ctl_option {
	const char *name;  /* without its dashes; NULL ends a table */
	const char *value; /* what it takes, as in the help: "IP"; NULL: nothing. "IP...": it may be
			      given more than once (at most one option of a command) */
	const char *what;  /* one line of help */
};

struct ctl;

struct ctl_command {
	const char *name;				    /* NULL ends a table */
	const char *arguments;				    /* as in the usage line */
	const char *what;				    /* one line of help */
	int (*run)(struct ctl *ctl, int argc, char **argv); /* argv[0] is the command's name */
	const char *more;				    /* the rest of its help; or NULL */
	/* what follows may be left out */
	const char *examples; /* command lines, without "backupmxctl "; each ends with a newline */
	/* Its options; with them argv holds the other arguments only, and at least `least` and at
	 * most `most` of these. NULL: argv is as it was typed, but for what all commands take. */
	const struct ctl_option *options;
	int least, most;
	const struct ctl_command *commands; /* of a family: its first argument is one of these */
};

struct ctl {
	const char *config_path; /* -c; NULL: the default, which need not be there */
	const char *socket_path; /* -s; NULL: what the configuration says */
	bool json;
	char *problem; /* where ctl_fail() puts what is wrong (CTL_PROBLEM_MAX bytes) instead of
			  printing it; NULL: it prints */
	int patience;  /* seconds until an answer; 0: as long as usual */
	const struct ctl_command *commands;   /* all there are */
	const struct ctl_command *family;     /* of `command`; NULL: it is none's */
	const struct ctl_command *command;    /* the one that runs */
	const char *values[CTL_OPTIONS_MAX];  /* of its options; NULL: not given */
	const char *several[CTL_SEVERAL_MAX]; /* of the one that may be given more than once */
	size_t several_count;
};

/* What all commands take, for the help. */
extern const struct ctl_option ctl_common_options[];

/* An option of the running command: its value, "" when it takes none; NULL when it isn't given. */
const char *ctl_option(const struct ctl *ctl, const char *name);

/* Reads the command line (argv without the program's name) by the table in ctl->commands: fills in
 * `ctl` and leaves in argv what the command's run() gets. Returns CTL_EXIT_OK, or CTL_EXIT_USAGE
 * after saying what is wrong. ctl->command is NULL when no command was given. */
enum ctl_wish { CTL_WISH_RUN, CTL_WISH_HELP, CTL_WISH_VERSION };
int ctl_arguments_read(struct ctl *ctl, int *argc, char **argv, enum ctl_wish *wish);

/* The one of a table by that name; NULL when there is none. */
const struct ctl_command *ctl_command_find(const struct ctl_command *table, const char *name);
/* "no such command" and the nearest one; returns CTL_EXIT_USAGE. */
int ctl_unknown_command(const struct ctl *ctl, const struct ctl_command *table, const char *name);

/* The help on `command` of `family`; on all there are when both are NULL. */
void ctl_print_help(const struct ctl *ctl, const struct ctl_command *family,
		    const struct ctl_command *command, FILE *out);

/* Sends the request (taken over) and gets the answer. Prints errors itself. Returns the exit code
 * that the daemon gave, and the result in *result (NULL after an error); json_decref() it. */
int ctl_ask(const struct ctl *ctl, json_t *request, json_t **result);

/* Asks page after page, each with the "after" of the one before, until there is no more; `request`
 * without "after" is taken over. Returns the exit code of the last one; when that failed, those
 * before were taken all the same. */
typedef void (*ctl_page_taker)(void *arg, const json_t *page);
int ctl_ask_pages(struct ctl *ctl, json_t *request, ctl_page_taker take, void *arg);

/* Which socket that is; free() it. Put into ctl->socket_path it spares the next questions reading
 * the configuration. NULL, after saying so, when the file given by -c can't be read. */
char *ctl_socket_path(const struct ctl *ctl);
/* Prints the error (see ctl->problem), made printable, as JSON or to stderr; returns the code. */
int ctl_fail(const struct ctl *ctl, int code, const char *message);

/* With --json: prints the result as it is, and returns true. */
bool ctl_print_json(const struct ctl *ctl, const json_t *result);

/* What is wrong with the command line, then how the running command is used; returns
 * CTL_EXIT_USAGE. */
int ctl_misused(const struct ctl *ctl, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

int ctl_status(struct ctl *ctl, int argc, char **argv);
int ctl_metrics(struct ctl *ctl, int argc, char **argv);
int ctl_drill(struct ctl *ctl, int argc, char **argv);
int ctl_explain(struct ctl *ctl, int argc, char **argv);
int ctl_reload(struct ctl *ctl, int argc, char **argv);
int ctl_flush(struct ctl *ctl, int argc, char **argv);
int ctl_force(struct ctl *ctl, int argc, char **argv);
int ctl_probe(struct ctl *ctl, int argc, char **argv);
int ctl_version(struct ctl *ctl, int argc, char **argv);
int ctl_check(struct ctl *ctl, int argc, char **argv);
int ctl_plan(struct ctl *ctl, int argc, char **argv);
int ctl_report(struct ctl *ctl, int argc, char **argv);
int ctl_help(struct ctl *ctl, int argc, char **argv);
int ctl_recipients_list(struct ctl *ctl, int argc, char **argv); /* argv[0] is "list", ... */
int ctl_recipients_show(struct ctl *ctl, int argc, char **argv);
int ctl_recipients_export(struct ctl *ctl, int argc, char **argv);
int ctl_recipients_forget(struct ctl *ctl, int argc, char **argv);
int ctl_recipients_import(struct ctl *ctl, int argc, char **argv);

/* What the daemon's words mean, in words; NULL: they need no explanation. */
const char *ctl_say_standing(const char *mx);	/* ours among the MX records, "mx" of status */
const char *ctl_say_reason(const char *reason); /* of a probe */
const char *ctl_say_standing_briefly(const char *mx); /* for a table */

/* One domain of a status result. */
struct terminal;
void ctl_print_domain(const struct terminal *terminal, const json_t *domain);
/* "up (recovering)", "down". */
const char *ctl_domain_state(const json_t *domain);

/* A JSON string of what may hold foreign bytes, which need not be UTF-8; cut at 4 kB. */
json_t *ctl_printable(const char *string);

/* Values of a result, with fallbacks for null and missing ones. */
const char *ctl_string(const json_t *object, const char *key);
long long ctl_number(const json_t *object, const char *key);
bool ctl_flag(const json_t *object, const char *key);
/* A RFC 3339 time of the result as seconds since 1970; 0 for null and for what is none. */
long long ctl_time(const json_t *object, const char *key);
/* "5 min", the greatest unit that tells it well; negative counts as 0. */
const char *ctl_span(long long seconds, char *buffer, size_t size);
/* "5 min ago", for a RFC 3339 time in the result; "-" for null. */
const char *ctl_ago(const json_t *object, const char *key, char *buffer, size_t size);

#endif
