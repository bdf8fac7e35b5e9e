/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `backupmxctl check` has to say: a list of findings, each by a rule with a stable id.
 *
 * A rule says something of every subject it looks at, that all is well too: who reads a check wants
 * to see what was looked at. One thread.
 */
#ifndef BACKUPMX_CHECK_FINDING_H
#define BACKUPMX_CHECK_FINDING_H

#include <stdbool.h>
#include <stddef.h>

enum check_severity {
	CHECK_OK,
	CHECK_NOTE,    /* good to know; nothing need be done */
	CHECK_WARNING, /* works today, hurts some day or some senders */
	CHECK_ERROR,   /* mail is lost, refused or taken wrongly, or nothing works yet */
};

/* Ids, titles and reasons are an interface: scripts compare ids, backupmxctl-check(7) has a section
 * for each. */
struct check_rule {
	const char *id;	   /* "mx-ttl" */
	const char *title; /* what is looked at: "TTL of the MX and address records" */
	const char *why;   /* why a postmaster should care, a sentence or two */
};

struct check_finding {
	const struct check_rule *rule;
	enum check_severity severity;
	bool unseen;	/* it could not be looked at; severity is CHECK_NOTE */
	char *subject;	/* a domain, an endpoint, ...; "" is this host. May hold foreign bytes */
	char *observed; /* the fact; may hold foreign bytes */
	char **mend;	/* what to do: lines of commands, of a file or of advice. May hold foreign
			   bytes */
	size_t mend_count;
};

#define CHECK_LINE_MAX 4096 /* bytes of an observed fact or a mend; a longer fact is cut */

struct check_findings;

struct check_findings *check_findings_new(void);
void check_findings_free(struct check_findings *findings);

/* `subject` is copied; NULL or "" is this host. */
void check_add(struct check_findings *findings, const struct check_rule *rule,
	       enum check_severity severity, const char *subject, const char *observed, ...)
	__attribute__((format(printf, 5, 6)));

/* What couldn't be looked at, and why. */
void check_unseen(struct check_findings *findings, const struct check_rule *rule,
		  const char *subject, const char *why, ...) __attribute__((format(printf, 4, 5)));

/* Adds a line to what mends the finding that was added last. A line that begins with "# " is
 * advice, any other is a command or a line of a file, to be pasted: whole and as it is, so one
 * that is too long, or has bytes that can't be shown, is left out with a word of why. What is put
 * together before wants a buffer of CHECK_LINE_MAX, so that it is seen here. Foreign bytes in a
 * command are quoted (text_add_shell()). */
void check_mend(struct check_findings *findings, const char *line, ...)
	__attribute__((format(printf, 2, 3)));

size_t check_finding_count(const struct check_findings *findings);
const struct check_finding *check_finding_get(const struct check_findings *findings, size_t i);
/* CHECK_OK when there are none. */
enum check_severity check_findings_worst(const struct check_findings *findings);

/* "ok", "note", "warning", "error" */
const char *check_severity_name(enum check_severity severity);

#endif
