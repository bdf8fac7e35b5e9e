/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sendmail as it describes itself: it reads its configuration and says what it understood
 * (`sendmail -bt` with debug flags), and in its test mode tells the members of a class, and what
 * its rulesets make of an address. Only the lines of its filters are read from the cf file, as it
 * doesn't say their sockets and flags. The queue's interval is in the pid file's command line.
 *
 * Shared by milter/check/sendmail*.c. All text is foreign and printable. One thread.
 */
#ifndef BACKUPMX_CHECK_SENDMAIL_H
#define BACKUPMX_CHECK_SENDMAIL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check/mta.h"

struct sendmail_names {
	char **items;
	size_t count;
};

/* One of DaemonPortOptions. */
struct sendmail_daemon {
	char name[64];
	char port[32];		       /* "smtp", "25", ...; never empty */
	char address[64];	       /* "": all */
	bool is_inet6;		       /* Family=inet6 */
	char modifiers[64];	       /* of M= */
	bool has_filters;	       /* it has a list of its own */
	struct sendmail_names filters; /* that list; may be empty */
};

/* Xname, S=..., F=..., T=... */
struct sendmail_filter {
	char name[64];
	char socket[256];
	char action; /* of F=: 'R', 'T', '4'; 0: mail is taken as if there were no filter */
	int64_t reply_seconds; /* R: of T= */
};

struct sendmail {
	char program[PATH_MAX];
	char version[64];
	char cf[PATH_MAX]; /* the file it reads */
	char pid_file[PATH_MAX];
	char cf_problem[128]; /* why the cf file could not be read by us; "": it was */
	char complaint[256];  /* what it found wrong with its configuration; "": nothing */
	bool knows_milters;   /* compiled in */
	char relay_file[PATH_MAX], local_file[PATH_MAX]; /* of classes R and w; "": none */
	char access_type[32], access_file[PATH_MAX];	 /* "hash", and the map's; "": none */
	struct sendmail_daemon *daemons;
	size_t daemon_count;
	struct sendmail_filter *filters;
	size_t filter_count;
	struct sendmail_names input_filters; /* of daemons without a list of their own */
	char privacy[512];		     /* PrivacyOptions, lower case, ",a,b," */
	int64_t queue_return;		     /* seconds */
	struct sendmail_names relay, local;  /* classes R and w */
	bool runs;
	char run_problem[128];	/* why it isn't known whether it runs; "": it is known */
	char command[1024];	/* by which it was started, when it runs; "": not known */
	int64_t queue_interval; /* seconds; 0: no queue runner, by that command */
};

/* ---- asking; milter/check/sendmail.c ---- */

/* Questions for its test mode, and the answers. */
struct sendmail_dialog {
	const struct sendmail *sendmail;
	char **questions; /* lines: "$=w", "3,0 x@y", "check_rcpt x@y"; they are owned */
	size_t count;
	const char **answers; /* as many: what it printed */
	char *output;
	char problem[256]; /* why there are no answers */
};

void sendmail_dialog_add(struct sendmail_dialog *dialog, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Asks as a stranger's SMTP session would, or with `as_ourselves` as one from this host. True when
 * all were answered. */
bool sendmail_dialog_run(struct sendmail_dialog *dialog, bool as_ourselves);
void sendmail_dialog_fini(struct sendmail_dialog *dialog);

/* ---- understanding; milter/check/sendmail_parse.c ---- */

void sendmail_names_add(struct sendmail_names *names, const char *name);
bool sendmail_names_have(const struct sendmail_names *names, const char *name);
void sendmail_names_fini(struct sendmail_names *names);

struct sendmail_filter *sendmail_filter_find(const struct sendmail *sendmail, const char *name);

/* Reads what it says at -d0.10,37.1,64.5, and the cf file's lines that it doesn't say. */
void sendmail_read_debug(struct sendmail *sendmail, char *output);
void sendmail_read_cf(struct sendmail *sendmail);
/* The pid file: its process, and how that was started. */
void sendmail_read_pid(struct sendmail *sendmail);

/* "1h30m"; a bare number is minutes. -1 when it is no such thing. */
int64_t sendmail_duration(const char *word);

/* What a ruleset makes of an address: "$# MAILER $@ HOST $: REST", or other words. */
struct sendmail_result {
	char words[512];   /* as it is; "" when the answer holds none */
	char mailer[64];   /* "" when it doesn't choose one */
	char host[256];	   /* without a final dot */
	char text[256];	   /* of an error; without quotes */
	char trouble[256]; /* a map that couldn't be read on the way; "": none */
};

void sendmail_result_read(const char *answer, struct sendmail_result *result);

/* ---- judging; milter/check/sendmail_{rules,filters,domains,networks}.c ---- */

void sendmail_judge(struct check *check, const void *facts);
void sendmail_judge_filters(struct check *check, const struct sendmail *sendmail);
void sendmail_judge_networks(struct check *check, const struct sendmail *sendmail);
void sendmail_judge_relaying(struct check *check, const struct sendmail *sendmail);

/* A line of the mc file that mends, and how it comes into force. */
void sendmail_mend_mc(struct check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void sendmail_mend_restart(struct check *check);

#endif
