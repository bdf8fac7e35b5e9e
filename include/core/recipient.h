/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One entry of the recipient memory: its record, its age, what may replace it (DESIGN section 4).
 *
 * The age of what was accepted counts only time in which the domain was observed up, so that no
 * outage, however long, makes a known recipient a stranger (promise P1). Pure; any thread.
 */
#ifndef BACKUPMX_CORE_RECIPIENT_H
#define BACKUPMX_CORE_RECIPIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/decision.h"
#include "core/mail_address.h"
#include "core/rcpt_answer.h"

enum recipient_kind {
	RECIPIENT_KIND_VALID = 1,
	RECIPIENT_KIND_INVALID = 2,
	RECIPIENT_KIND_CATCH_ALL = 3, /* the domain's entry: any local part is accepted */
	RECIPIENT_KIND_NO_CATCH_ALL =
		4, /* the domain's entry: an invented local part was refused */
};

enum recipient_source {
	RECIPIENT_SOURCE_NONE,
	RECIPIENT_SOURCE_CALLOUT,
	RECIPIENT_SOURCE_IMPORT,
	RECIPIENT_SOURCE_FILE, /* recipients_file: never in a record */
};

struct recipient_record {
	enum recipient_kind kind;
	enum recipient_source source;
	bool brief;	     /* an invalid one without a control: 10 minutes at most */
	int64_t verified;    /* seconds since 1970 */
	int64_t verified_up; /* the domain's observed-up clock then, seconds */
	/* of a refusal: the acceptance it came in place of, for the day that it turns out to mean
	 * nothing */
	bool has_former;
	enum recipient_source former_source;
	int64_t former_verified, former_verified_up;
};

struct recipient_rules { /* seconds; keys of [recipients] */
	int64_t valid_ttl, valid_refresh, valid_max_age, invalid_ttl, catch_all_ttl;
};

/* Spells in which the primary was sick: refusals learned then mean nothing. In order; a free place
 * is {0, 0}. Seconds since 1970, both ends included. */
#define RECIPIENT_DOUBTS 4
struct recipient_doubts {
	struct recipient_doubt {
		int64_t from, to;
	} spells[RECIPIENT_DOUBTS];
};

struct recipient_clock {
	int64_t now;	 /* seconds since 1970 */
	int64_t up;	 /* the domain's observed-up clock, seconds */
	bool primary_up; /* the domain counts as up now */
	struct recipient_doubts doubts;
};

#define RECIPIENT_RECORD_MAX 20
#define RECIPIENT_KEY_MAX    (MAIL_DOMAIN_MAX + 1 + MAIL_LOCAL_MAX)

/* Keys sort by domain, so that one domain's entries are one run: "domain\0local". The domain's own
 * entry (catch-all or not) has an empty local part. Returns the length. */
size_t recipient_key(char *buffer, const char *domain, const char *local);

/* Returns how many bytes it takes. */
size_t recipient_record_write(const struct recipient_record *record,
			      unsigned char bytes[RECIPIENT_RECORD_MAX]);
/* False for foreign or damaged bytes: then there is no record, never a wrong one. */
bool recipient_record_read(struct recipient_record *record, const unsigned char *bytes,
			   size_t length);

/* Adds a spell, which is not older than those there are; one that it touches is prolonged. When
 * there is no place the two oldest become one, with the time between them: what was refused then
 * and was known before is taken for valid again. */
void recipient_doubts_add(struct recipient_doubts *doubts, int64_t from, int64_t to);
/* When the latest spell began; 0: there was none. */
int64_t recipient_doubts_latest(const struct recipient_doubts *doubts);

/* What is left of a record when refusals in doubt are taken away: itself, or the acceptance before
 * it. False when that is nothing. */
bool recipient_record_settle(const struct recipient_record *record,
			     const struct recipient_clock *clock, struct recipient_record *settled);

/* What the record says at this moment; RECIPIENT_UNKNOWN when it has expired or is in doubt. */
enum recipient_status recipient_status_now(const struct recipient_record *record,
					   const struct recipient_rules *rules,
					   const struct recipient_clock *clock);

/* The following take a settled record. */

/* True when the entry should be asked for again in the background although it still counts. */
bool recipient_wants_refresh(const struct recipient_record *record,
			     const struct recipient_rules *rules,
			     const struct recipient_clock *clock);

/* When the record stops to count by the wall clock if the domain stays up; seconds since 1970. */
int64_t recipient_expires(const struct recipient_record *record,
			  const struct recipient_rules *rules, const struct recipient_clock *clock);

/* Seconds of observed up time since it was verified. */
int64_t recipient_age_up(const struct recipient_record *record,
			 const struct recipient_clock *clock);

/* The record that a verdict makes, given the one there is (NULL: none). False when nothing is to be
 * written: no answer never clobbers an answer, and a refusal without a control doesn't clobber a
 * recipient that counts as valid. */
bool recipient_learn(const struct recipient_record *old, enum rcpt_verdict verdict,
		     const struct recipient_rules *rules, const struct recipient_clock *clock,
		     struct recipient_record *learned);

/* When the sweep looks at an entry. */
struct recipient_era {
	struct recipient_clock clock;
	bool is_ours;	     /* else the domain has no clock but `now`: it may come back */
	bool wall_is_steady; /* else no age by the wall clock takes away what was accepted */
};

/* The entry counts no more and never will: it may be removed. */
bool recipient_is_dead(const struct recipient_record *record, const struct recipient_rules *rules,
		       const struct recipient_era *era);

const char *recipient_source_name(enum recipient_source source);

#endif
