/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of the recipient memory and how they age. Pure; any thread. */
#include "core/recipient.h"

#include <string.h>

#include "base/text.h"

#define RECORD_VERSION 1
#define BRIEF_SECONDS  600 /* an invalid one that no control confirmed */
#define INVALID_WHILE_UP_SECONDS                                                                   \
	600 /* an older refusal is asked again: new mailboxes must not bounce */

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

	for (int i = 0; i < 4; i++)
		bytes[i] = (unsigned char)(number >> (24 - 8 * i));
}

static int64_t get_u32(const unsigned char *bytes)
{
	uint32_t number = 0;

	for (int i = 0; i < 4; i++)
		number = number << 8 | bytes[i];
	return number;
}

/* version, kind, source, flags, verified (4), verified_up (4) */
void recipient_record_write(const struct recipient_record *record,
			    unsigned char bytes[RECIPIENT_RECORD_SIZE])
{
	bytes[0] = RECORD_VERSION;
	bytes[1] = (unsigned char)record->kind;
	bytes[2] = (unsigned char)record->source;
	bytes[3] = record->brief ? 1 : 0;
	put_u32(bytes + 4, record->verified);
	put_u32(bytes + 8, record->verified_up);
}

bool recipient_record_read(struct recipient_record *record, const unsigned char *bytes,
			   size_t length)
{
	if (length != RECIPIENT_RECORD_SIZE || bytes[0] != RECORD_VERSION)
		return false;
	if (bytes[1] < RECIPIENT_KIND_VALID || bytes[1] > RECIPIENT_KIND_NO_CATCH_ALL)
		return false;
	if (bytes[2] > RECIPIENT_SOURCE_IMPORT || bytes[3] > 1)
		return false;
	*record = (struct recipient_record){
		.kind = (enum recipient_kind)bytes[1],
		.source = (enum recipient_source)bytes[2],
		.brief = bytes[3] == 1,
		.verified = get_u32(bytes + 4),
		.verified_up = get_u32(bytes + 8),
	};
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

enum recipient_status recipient_status_now(const struct recipient_record *record,
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

bool recipient_wants_refresh(const struct recipient_record *record,
			     const struct recipient_rules *rules,
			     const struct recipient_clock *clock)
{
	if (record->kind == RECIPIENT_KIND_VALID)
		return recipient_age_up(record, clock) >= rules->valid_refresh;
	return false;
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
		return true;
	case RCPT_VERDICT_INVALID_BRIEFLY:
		learned->kind = RECIPIENT_KIND_INVALID;
		learned->brief = true;
		return old == NULL || recipient_status_now(old, rules, clock) != RECIPIENT_VALID;
	case RCPT_VERDICT_LATER:
	case RCPT_VERDICT_NONE:
		break;
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
