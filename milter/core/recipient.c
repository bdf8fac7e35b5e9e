/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of the recipient memory and how they age. Pure; any thread. */
#include "core/recipient.h"

#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

#define RECORD_VERSION 1
#define BRIEF_SECONDS  600 /* an invalid one that no control confirmed */
#define INVALID_WHILE_UP_SECONDS                                                                   \
	600 /* an older refusal is asked again: new mailboxes must not bounce */
#define FORMER_SECONDS                                                                             \
	3600 /* a sickness is found within an hour: what was refused before that, was refused */

#define SHORT_SIZE   12
#define FLAG_BRIEF   1
#define FLAG_FORMER  2
#define FORMER_SHIFT 2 /* of the former's source in the flags */

size_t recipient_key(char *buffer, const char *domain, const char *local)
{
	size_t domain_length = strlen(domain);
	size_t local_length = strlen(local);

	if (domain_length > MAIL_DOMAIN_MAX)
		domain_length = MAIL_DOMAIN_MAX;
	if (local_length > MAIL_LOCAL_MAX)
		local_length = MAIL_LOCAL_MAX;
	memcpy(buffer, domain, domain_length);
	buffer[domain_length] = '\0';
	memcpy(buffer + domain_length + 1, local, local_length);
	return domain_length + 1 + local_length;
}

static void put_u32(unsigned char *bytes, int64_t value)
{
	uint32_t number = value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;

	bytes_put(bytes, 4, number);
}

/* version, kind, source, flags, verified (4), verified_up (4); and the same two of the former */
size_t recipient_record_write(const struct recipient_record *record,
			      unsigned char bytes[RECIPIENT_RECORD_MAX])
{
	bytes[0] = RECORD_VERSION;
	bytes[1] = (unsigned char)record->kind;
	bytes[2] = (unsigned char)record->source;
	bytes[3] = record->brief ? FLAG_BRIEF : 0;
	put_u32(bytes + 4, record->verified);
	put_u32(bytes + 8, record->verified_up);
	if (!record->has_former)
		return SHORT_SIZE;
	bytes[3] |= (unsigned char)(FLAG_FORMER | record->former_source << FORMER_SHIFT);
	put_u32(bytes + 12, record->former_verified);
	put_u32(bytes + 16, record->former_verified_up);
	return RECIPIENT_RECORD_MAX;
}

bool recipient_record_read(struct recipient_record *record, const unsigned char *bytes,
			   size_t length)
{
	bool has_former;

	if ((length != SHORT_SIZE && length != RECIPIENT_RECORD_MAX) || bytes[0] != RECORD_VERSION)
		return false;
	has_former = (bytes[3] & FLAG_FORMER) != 0;
	if (bytes[1] < RECIPIENT_KIND_VALID || bytes[1] > RECIPIENT_KIND_NO_CATCH_ALL)
		return false;
	if (bytes[2] > RECIPIENT_SOURCE_IMPORT ||
	    bytes[3] >> FORMER_SHIFT > (has_former ? RECIPIENT_SOURCE_IMPORT : 0) ||
	    has_former != (length == RECIPIENT_RECORD_MAX) ||
	    (has_former && bytes[1] != RECIPIENT_KIND_INVALID))
		return false;
	*record = (struct recipient_record){
		.kind = (enum recipient_kind)bytes[1],
		.source = (enum recipient_source)bytes[2],
		.brief = (bytes[3] & FLAG_BRIEF) != 0,
		.verified = (int64_t)bytes_get(bytes + 4, 4),
		.verified_up = (int64_t)bytes_get(bytes + 8, 4),
		.has_former = has_former,
	};
	if (has_former) {
		record->former_source = (enum recipient_source)(bytes[3] >> FORMER_SHIFT);
		record->former_verified = (int64_t)bytes_get(bytes + 12, 4);
		record->former_verified_up = (int64_t)bytes_get(bytes + 16, 4);
	}
	return true;
}

int64_t recipient_age_up(const struct recipient_record *record, const struct recipient_clock *clock)
{
	/* A clock that is behind the record lost its last minutes in a crash: then the entry is
	 * new. */
	return clock->up > record->verified_up ? clock->up - record->verified_up : 0;
}

static bool valid_counts(const struct recipient_record *record, const struct recipient_rules *rules,
			 const struct recipient_clock *clock, int64_t ttl)
{
	return recipient_age_up(record, clock) < ttl &&
	       clock->now - record->verified < rules->valid_max_age;
}

static bool invalid_counts(const struct recipient_record *record,
			   const struct recipient_rules *rules, const struct recipient_clock *clock)
{
	int64_t age = clock->now - record->verified;

	if (age < 0) /* the wall clock went back: nobody knows how old this is */
		return false;
	if (record->brief && age >= BRIEF_SECONDS)
		return false;
	if (clock->primary_up && age >= INVALID_WHILE_UP_SECONDS)
		return false;
	return age < rules->invalid_ttl;
}

static size_t doubts_count(const struct recipient_doubts *doubts)
{
	size_t count = 0;

	while (count < RECIPIENT_DOUBTS && doubts->spells[count].to != 0)
		count++;
	return count;
}

void recipient_doubts_add(struct recipient_doubts *doubts, int64_t from, int64_t to)
{
	struct recipient_doubt *spells = doubts->spells;
	size_t count = doubts_count(doubts);

	while (count > 0 && spells[count - 1].to >= from) {
		count--;
		if (spells[count].from < from)
			from = spells[count].from;
	}
	for (size_t i = count; i < RECIPIENT_DOUBTS; i++)
		spells[i] = (struct recipient_doubt){ 0, 0 };
	if (count == RECIPIENT_DOUBTS) {
		spells[0].to = spells[1].to;
		memmove(&spells[1], &spells[2], (RECIPIENT_DOUBTS - 2) * sizeof(spells[0]));
		count--;
	}
	spells[count] = (struct recipient_doubt){ from, to };
}

int64_t recipient_doubts_latest(const struct recipient_doubts *doubts)
{
	size_t count = doubts_count(doubts);

	return count > 0 ? doubts->spells[count - 1].from : 0;
}

static bool in_doubt(const struct recipient_record *record, const struct recipient_doubts *doubts)
{
	for (size_t i = 0; record->kind == RECIPIENT_KIND_INVALID && i < RECIPIENT_DOUBTS; i++)
		if (doubts->spells[i].to != 0 && record->verified >= doubts->spells[i].from &&
		    record->verified <= doubts->spells[i].to)
			return true;
	return false;
}

bool recipient_record_settle(const struct recipient_record *record,
			     const struct recipient_clock *clock, struct recipient_record *settled)
{
	*settled = *record;
	if (!in_doubt(record, &clock->doubts))
		return true;
	*settled = (struct recipient_record){
		.kind = RECIPIENT_KIND_VALID,
		.source = record->former_source,
		.verified = record->former_verified,
		.verified_up = record->former_verified_up,
	};
	return record->has_former;
}

static enum recipient_status status_of(const struct recipient_record *record,
				       const struct recipient_rules *rules,
				       const struct recipient_clock *clock)
{
	switch (record->kind) {
	case RECIPIENT_KIND_VALID:
		if (valid_counts(record, rules, clock, rules->valid_ttl))
			return RECIPIENT_VALID;
		break;
	case RECIPIENT_KIND_INVALID:
		if (invalid_counts(record, rules, clock))
			return RECIPIENT_INVALID;
		break;
	case RECIPIENT_KIND_CATCH_ALL:
		if (valid_counts(record, rules, clock, rules->catch_all_ttl))
			return RECIPIENT_CATCH_ALL;
		break;
	case RECIPIENT_KIND_NO_CATCH_ALL:
		break;
	}
	return RECIPIENT_UNKNOWN;
}

enum recipient_status recipient_status_now(const struct recipient_record *record,
					   const struct recipient_rules *rules,
					   const struct recipient_clock *clock)
{
	struct recipient_record settled;

	if (!recipient_record_settle(record, clock, &settled))
		return RECIPIENT_UNKNOWN;
	return status_of(&settled, rules, clock);
}

bool recipient_wants_refresh(const struct recipient_record *record,
			     const struct recipient_rules *rules,
			     const struct recipient_clock *clock)
{
	if (record->kind != RECIPIENT_KIND_VALID)
		return false;
	/* a list may be old or wrong: the primary itself is to say so once */
	return record->source == RECIPIENT_SOURCE_IMPORT ||
	       recipient_age_up(record, clock) >= rules->valid_refresh;
}

int64_t recipient_expires(const struct recipient_record *record,
			  const struct recipient_rules *rules, const struct recipient_clock *clock)
{
	int64_t ttl =
		record->kind == RECIPIENT_KIND_VALID ? rules->valid_ttl : rules->catch_all_ttl;
	int64_t by_up, by_age;

	if (record->kind == RECIPIENT_KIND_INVALID) {
		ttl = rules->invalid_ttl;
		if ((record->brief || clock->primary_up) && ttl > BRIEF_SECONDS)
			ttl = BRIEF_SECONDS;
		return record->verified + ttl;
	}
	by_up = clock->now + ttl - recipient_age_up(record, clock);
	by_age = record->verified + rules->valid_max_age;
	return by_up < by_age ? by_up : by_age;
}

/* A refusal takes with it the acceptance it comes in place of, or the one that the refusal shortly
 * before it did. */
static void keep_former(const struct recipient_record *old, const struct recipient_rules *rules,
			const struct recipient_clock *clock, struct recipient_record *learned)
{
	struct recipient_record settled;

	if (old == NULL)
		return;
	if (recipient_record_settle(old, clock, &settled) &&
	    status_of(&settled, rules, clock) == RECIPIENT_VALID) {
		learned->has_former = true;
		learned->former_source = settled.source;
		learned->former_verified = settled.verified;
		learned->former_verified_up = settled.verified_up;
	} else if (old->has_former && clock->now - old->verified < FORMER_SECONDS) {
		learned->has_former = true;
		learned->former_source = old->former_source;
		learned->former_verified = old->former_verified;
		learned->former_verified_up = old->former_verified_up;
	}
}

bool recipient_learn(const struct recipient_record *old, enum rcpt_verdict verdict,
		     const struct recipient_rules *rules, const struct recipient_clock *clock,
		     struct recipient_record *learned)
{
	*learned = (struct recipient_record){
		.source = RECIPIENT_SOURCE_CALLOUT,
		.verified = clock->now,
		.verified_up = clock->up,
	};
	switch (verdict) {
	case RCPT_VERDICT_VALID:
		learned->kind = RECIPIENT_KIND_VALID;
		return true;
	case RCPT_VERDICT_INVALID:
		learned->kind = RECIPIENT_KIND_INVALID;
		keep_former(old, rules, clock, learned);
		return true;
	case RCPT_VERDICT_INVALID_BRIEFLY:
		learned->kind = RECIPIENT_KIND_INVALID;
		learned->brief = true;
		keep_former(old, rules, clock, learned);
		return old == NULL || recipient_status_now(old, rules, clock) != RECIPIENT_VALID;
	case RCPT_VERDICT_LATER:
	case RCPT_VERDICT_NONE:
		break;
	}
	return false;
}

static bool valid_is_over(const struct recipient_record *record,
			  const struct recipient_rules *rules, const struct recipient_era *era)
{
	if (era->is_ours && recipient_age_up(record, &era->clock) >= rules->valid_ttl)
		return true;
	return era->wall_is_steady && era->clock.now - record->verified >= rules->valid_max_age;
}

/* Seconds in either direction: what comes from the future was written under another clock. */
static int64_t distance(int64_t now, int64_t then)
{
	return now > then ? now - then : then - now;
}

/* A refusal goes with its own life, and takes the acceptance before it along only when that can't
 * come back. */
static bool invalid_is_over(const struct recipient_record *record,
			    const struct recipient_rules *rules, const struct recipient_era *era)
{
	int64_t age = distance(era->clock.now, record->verified);
	struct recipient_record former = {
		.kind = RECIPIENT_KIND_VALID,
		.verified = record->former_verified,
		.verified_up = record->former_verified_up,
	};

	if (age < (record->brief ? BRIEF_SECONDS : rules->invalid_ttl))
		return false;
	if (!record->has_former)
		return true;
	if (era->is_ours && !in_doubt(record, &era->clock.doubts))
		return age >= FORMER_SECONDS;
	return valid_is_over(&former, rules, era);
}

bool recipient_is_dead(const struct recipient_record *record, const struct recipient_rules *rules,
		       const struct recipient_era *era)
{
	switch (record->kind) {
	case RECIPIENT_KIND_VALID:
		return valid_is_over(record, rules, era);
	case RECIPIENT_KIND_INVALID:
		return invalid_is_over(record, rules, era);
	case RECIPIENT_KIND_CATCH_ALL:
	case RECIPIENT_KIND_NO_CATCH_ALL: /* the domain's state: there as long as the domain */
		return !era->is_ours && valid_is_over(record, rules, era);
	}
	return false;
}

const char *recipient_source_name(enum recipient_source source)
{
	static const char *const names[] = {
		[RECIPIENT_SOURCE_NONE] = "none",
		[RECIPIENT_SOURCE_CALLOUT] = "callout",
		[RECIPIENT_SOURCE_IMPORT] = "import",
		[RECIPIENT_SOURCE_FILE] = "file",
	};

	return names[source];
}
