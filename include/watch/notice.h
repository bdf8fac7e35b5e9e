/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One notice: what has happened, as the environment of [notify] command (etc/backupmx.ini lists the
 * variables), and the run of that program. Loop thread only.
 */
#ifndef BACKUPMX_WATCH_NOTICE_H
#define BACKUPMX_WATCH_NOTICE_H

#include "conf/config.h"
#include "io/child.h"

#define NOTICE_EVENT_MAX  16
#define NOTICE_DOMAIN_MAX 253

/* What is empty or 0 is told so: a program finds all variables in each notice. */
struct notice {
	const char *event;
	const char *domain; /* "" where it is of this host, or of many */
	const char *state, *was, *reason;
	int64_t since; /* seconds since 1970 */
	int64_t after; /* seconds */
	const char *host;
	unsigned changes;
	size_t count;
	const char *domains; /* with blanks between */
};

/* A program that runs, or none. Zeroed it is free. */
struct notice_run {
	struct child *child; /* NULL: free */
	char event[NOTICE_EVENT_MAX + 1];
	char domain[NOTICE_DOMAIN_MAX + 1];
	size_t count;
	void (*over)(void *arg, struct notice_run *run); /* it is free again */
	void *arg;
};

/* Runs the command in a free `run`, whose `over` and `arg` are set; its end is logged. */
void notice_start(struct notice_run *run, struct children *children,
		  const struct config_strings *command, const struct notice *notice);

#endif
