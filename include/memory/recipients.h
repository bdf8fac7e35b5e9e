/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of recipients: lists first, then the memory (DESIGN section 4). The third source, a
 * callout, is memory/callouts.h. Any thread; lookups never wait for a write or the network.
 */
#ifndef BACKUPMX_MEMORY_RECIPIENTS_H
#define BACKUPMX_MEMORY_RECIPIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/config.h"
#include "core/rcpt_answer.h"
#include "core/recipient.h"
#include "io/writer.h"
#include "memory/recipient_lists.h"

struct recipients;

struct recipients *recipients_new(struct writer *writer, struct recipient_lists *lists);
void recipients_free(struct recipients *recipients);

/* Which recipient, by which rules, at which time. */
struct recipient_question {
	const struct config *config;
	const char *domain; /* lower-case A-label */
	const char *local;  /* as typed */
	struct recipient_clock clock;
};

struct recipient_found {
	enum recipient_status status;
	enum recipient_source source;
	int64_t verified;	/* seconds since 1970; 0 when nothing is known */
	int64_t age_up_seconds; /* observed up */
	int64_t expires;	/* seconds since 1970; 0 when nothing is known */
	bool wants_refresh;	/* counts, but should be asked for again in the background */
	bool failed; /* the memory could not be read: `status` is unknown for that reason */
};

void recipients_find(struct recipients *recipients, const struct recipient_question *question,
		     struct recipient_found *found);

/* The form under which a local part is kept: folded to lower case, or as typed. */
void recipients_fold(const struct config *config, const char *local, char *out, size_t size);

/* Takes a verdict of the primary on one recipient. */
void recipients_learn(struct recipients *recipients, const struct recipient_question *question,
		      enum rcpt_verdict verdict);

/* The domain's catch-all verdict. A domain that turns catch-all loses the valid entries learned
 * since it last refused an invented local part: they prove nothing, count no more at once, and are
 * deleted by and by (memory/drops.h). */
enum catch_all { CATCH_ALL_UNKNOWN, CATCH_ALL_NO, CATCH_ALL_YES };
void recipients_learn_catch_all(struct recipients *recipients,
				const struct recipient_question *question, bool accepts_all);
/* *asked: when it was told, seconds since 1970. */
enum catch_all recipients_catch_all(struct recipients *recipients,
				    const struct recipient_question *question, int64_t *asked);

/* A recipient of the question's domain that counts as valid by a callout, is not postmaster and not
 * the one asked about: a control. False when none is known. */
bool recipients_control(struct recipients *recipients, const struct recipient_question *question,
			char *local, size_t size);

/* Up to `max` (8 at most) such recipients, those accepted last first. Returns how many. */
size_t recipients_recent(struct recipients *recipients, const struct recipient_question *question,
			 char (*locals)[MAIL_LOCAL_MAX + 1], size_t max);

/* Counts the domain's entries for status: one with some thousands as the sweep last counted them,
 * for the loop must not be held up. */
struct recipient_counts {
	unsigned long valid, invalid;
	bool catch_all;
};
void recipient_counts_add(struct recipient_counts *counts, enum recipient_status status);
void recipients_count(struct recipients *recipients, const struct recipient_question *question,
		      struct recipient_counts *counts);

/* ---- for the sweep ---- */

/* What it counted in the domain; replaces what it counted before. */
void recipients_note_counts(struct recipients *recipients, const char *domain,
			    const struct recipient_counts *counts);
/* drops_step() */
int64_t recipients_drop_step(struct recipients *recipients);
struct recipient_rules recipients_rules(const struct config *config);

#endif
