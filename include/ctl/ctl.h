/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands of backupmxctl share. One thread. */
#ifndef BACKUPMX_CTL_CTL_H
#define BACKUPMX_CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>

#define CTL_EXIT_OK	     0
#define CTL_EXIT_NO	     1
#define CTL_EXIT_USAGE	     2
#define CTL_EXIT_UNREACHABLE 3

struct ctl {
	const char *config_path; /* -c */
	const char *socket_path; /* -s; NULL: what the configuration says */
	bool json;
};

struct ctl_command {
	const char *name;
	const char *arguments;				    /* as in the usage line */
	const char *what;				    /* one line of help */
	int (*run)(struct ctl *ctl, int argc, char **argv); /* argv[0] is the command's name */
	const char *more;				    /* the rest of its help; or NULL */
};

/* Sends the request (taken over) and gets the answer. Prints errors itself. Returns the exit code
 * that the daemon gave, and the result in *result (NULL after an error); json_decref() it. */
int ctl_ask(const struct ctl *ctl, json_t *request, json_t **result);

/* Which socket that is; free() it. Put into ctl->socket_path it spares the next questions reading
 * the configuration. */
char *ctl_socket_path(const struct ctl *ctl);
/* Prints the error, as JSON or to stderr; returns the code. */
int ctl_fail(const struct ctl *ctl, int code, const char *message);

/* With --json: prints the result as it is, and returns true. */
bool ctl_print_json(const struct ctl *ctl, const json_t *result);

/* "usage: backupmxctl NAME ARGUMENTS" on stderr, or as a JSON error; returns CTL_EXIT_USAGE. */
int ctl_usage(const struct ctl *ctl, const char *name, const char *arguments);
int ctl_wrong_usage(const struct ctl *ctl, const char *name); /* of a command */

int ctl_status(struct ctl *ctl, int argc, char **argv);
int ctl_explain(struct ctl *ctl, int argc, char **argv);
int ctl_reload(struct ctl *ctl, int argc, char **argv);
int ctl_flush(struct ctl *ctl, int argc, char **argv);
int ctl_version(struct ctl *ctl, int argc, char **argv);
int ctl_report(struct ctl *ctl, int argc, char **argv);
int ctl_recipients(struct ctl *ctl, int argc, char **argv);
int ctl_recipients_import(struct ctl *ctl, int argc, char **argv); /* argv[0] is "import" */

/* Values of a result, with fallbacks for null and missing ones. */
const char *ctl_string(const json_t *object, const char *key);
long long ctl_number(const json_t *object, const char *key);
bool ctl_flag(const json_t *object, const char *key);
/* "2 h 5 min ago", for a RFC 3339 time in the result; "-" for null. */
const char *ctl_ago(const json_t *object, const char *key, char *buffer, size_t size);

#endif
