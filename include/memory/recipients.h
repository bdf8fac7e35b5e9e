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
/* recipient_lists_refusal() of the lists it was made with. Loop thread. */
const char *recipients_list_refusal(struct recipients *recipients, const char *domain);
/* recipient_lists_size() of them. Any thread. */
size_t recipients_list_size(struct recipients *recipients, const char *domain);

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

/* A recipient of the question's domain that counts as valid (by a callout, if there is one), is not
 * postmaster and not the one asked about: a control. False when none is known. */
bool recipients_control(struct recipients *recipients, const struct recipient_question *question,
			char *local, size_t size);

/* Up to `max` (8 at most) such recipients, those accepted last first, imported ones behind them;
 * when there is none, some of the domain's list. Returns how many. */
size_t recipients_recent(struct recipients *recipients, const struct recipient_question *question,
			 char (*locals)[MAIL_LOCAL_MAX + 1], size_t max);

/* Takes what a list or a log of the primary says of the question's recipient; local part "": that
 * the domain is a catch-all. */
enum recipient_import {
	RECIPIENT_IMPORT_NEW,	 /* it wasn't known, or counted no more */
	RECIPIENT_IMPORT_KNOWN,	 /* what is there says the same */
	RECIPIENT_IMPORT_DENIED, /* the primary itself said otherwise, and that still counts */
	RECIPIENT_IMPORT_FULL,	 /* max_entries */
	RECIPIENT_IMPORT_FAILED, /* the memory can't be read */
};
enum recipient_import recipients_import(struct recipients *recipients,
					const struct recipient_question *question);
/* True when everything that was learned is on the disk. */
bool recipients_is_settled(struct recipients *recipients);
/* True when the queue to the disk has room for `count` more, and max_entries can be counted
 * exactly where it is near. */
bool recipients_has_room(struct recipients *recipients, const struct config *config, size_t count);
/* How often something that was learned could not be kept, since the start. */
uint64_t recipients_losses(struct recipients *recipients);

/* What the memory holds from behind the key `after` on (length 0: from the first), of one domain or
 * (NULL) of all, at most RECIPIENTS_PAGE_SCAN entries of the store. */
#define RECIPIENTS_PAGE_SCAN 500
struct recipients_page {
	const char *domain;
	char after[RECIPIENT_KEY_MAX]; /* in and out: where to go on */
	size_t after_length;
	bool more; /* out: the page ended before the entries did */
};
/* `local` is "" for the domain's own entry. The record is as it was stored, the clocks are the
 * visitor's. */
typedef void (*recipients_visitor)(void *arg, const char *domain, const char *local,
				   const struct recipient_record *record);
/* False when the store can't be read. */
bool recipients_list(struct recipients *recipients, struct recipients_page *page,
		     recipients_visitor visit, void *arg);
/* What of a record counts by these clocks, as recipients_find() fills it in. */
void recipients_judge(const struct config *config, const struct recipient_clock *clock,
		      const struct recipient_record *record, struct recipient_found *found);

/* Removes the question's recipient from the memory; false when it wasn't there. */
bool recipients_forget(struct recipients *recipients, const struct recipient_question *question);

/* Counts the domain's entries for status: one with some thousands as the sweep last counted them,
 * for the loop must not be held up. */
struct recipient_counts {
	unsigned long valid, invalid;
	bool catch_all;
};
void recipient_counts_add(struct recipient_counts *counts, enum recipient_status status);
void recipients_count(struct recipients *recipients, const struct recipient_question *question,
		      struct recipient_counts *counts);

/* By status (enum recipient_status). What the sweep counted in its last round; false, and nothing,
 * until it has been through once. */
struct recipient_totals {
	unsigned long of[RECIPIENT_STATUS_COUNT];
};
bool recipients_swept_totals(struct recipients *recipients, struct recipient_totals *totals);

/* ---- for the sweep ---- */

/* What it counted in a whole round. */
void recipients_note_totals(struct recipients *recipients, const struct recipient_totals *totals);

/* What it counted in the domain; replaces what it counted before. */
void recipients_note_counts(struct recipients *recipients, const char *domain,
			    const struct recipient_counts *counts);
/* drops_step() */
int64_t recipients_drop_step(struct recipients *recipients);
struct recipient_rules recipients_rules(const struct config *config);

#endif
