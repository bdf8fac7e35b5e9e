/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of an outage, and its record. No state; any thread. */
#include "core/outage.h"

#include <string.h>

#include "base/bytes.h"

#define RECORD_VERSION 1
#define CAUSE_SIZE     16
#define NUMBERS	       12
#define NUMBER_MAX     (1LL << 53) /* far from where sums of them overflow */

static int64_t seconds_between(int64_t from, int64_t to)
{
	return to > from ? to - from : 0;
}

void outage_begin(struct outage *outage, const struct outage_news *news)
{
	bool known = news->began != 0 && news->began <= news->at;

	*outage = (struct outage){
		.start = known ? news->began : news->at,
		.detected = news->at,
		.as_of = news->at,
		.state = news->state,
		.cause = news->reason,
		.detect_seconds = known ? news->at - news->began : OUTAGE_UNKNOWN,
		.recover_seconds = OUTAGE_UNKNOWN,
		.longest_delay = OUTAGE_UNKNOWN,
	};
	outage->passed_ms = seconds_between(outage->start, news->at) * 1000;
}

void outage_pass(struct outage *outage, int64_t ms, bool isolated, int64_t wall)
{
	if (isolated)
		outage->isolated_ms += ms;
	else
		outage->passed_ms += ms;
	outage->as_of = wall;
}

void outage_resume(struct outage *outage, int64_t wall)
{
	outage->passed_ms += seconds_between(outage->as_of, wall) * 1000;
	outage->as_of = wall;
}

void outage_end(struct outage *outage, const struct outage_news *news)
{
	outage->end = news->at > outage->detected ? news->at : outage->detected;
	if (news->began != 0)
		outage->recover_seconds = seconds_between(news->began, news->at);
}

bool outage_is_near(const struct outage *outage, int64_t wall, int64_t seconds)
{
	return outage->end == 0 || (wall >= outage->end && wall - outage->end < seconds);
}

void outage_take_mail(struct outage *outage, int64_t wall)
{
	outage->mails_taken++;
	if (outage->waiting_since == 0)
		outage->waiting_since = wall;
}

bool outage_flush(struct outage *outage, int64_t wall)
{
	int64_t delay = seconds_between(outage->waiting_since, wall);

	if (outage->waiting_since == 0)
		return false;
	outage->waiting_since = 0;
	outage->mails_flushed = outage->mails_taken;
	if (delay > outage->longest_delay)
		outage->longest_delay = delay;
	return true;
}

int64_t outage_seconds(const struct outage *outage)
{
	return (outage->passed_ms + 500) / 1000;
}

/* ---- the record: version, state, the cause's word, the numbers ---- */

static void numbers_of(struct outage *outage, int64_t *numbers[NUMBERS])
{
	int64_t *all[NUMBERS] = {
		&outage->start,		&outage->detected,	 &outage->end,
		&outage->as_of,		&outage->detect_seconds, &outage->recover_seconds,
		&outage->passed_ms,	&outage->isolated_ms,	 &outage->mails_taken,
		&outage->mails_flushed, &outage->waiting_since,	 &outage->longest_delay,
	};

	memcpy(numbers, all, sizeof(all));
}

void outage_write(const struct outage *outage, unsigned char bytes[OUTAGE_RECORD_SIZE])
{
	struct outage copy = *outage;
	int64_t *numbers[NUMBERS];
	unsigned char *rest = bytes + 2 + CAUSE_SIZE;
	const char *cause = health_reason_name(outage->cause);

	memset(bytes, 0, OUTAGE_RECORD_SIZE);
	bytes[0] = RECORD_VERSION;
	bytes[1] = outage->state == DOMAIN_SICK;
	memcpy(bytes + 2, cause, strnlen(cause, CAUSE_SIZE - 1));
	numbers_of(&copy, numbers);
	for (int i = 0; i < NUMBERS; i++, rest += 8)
		bytes_put(rest, 8, (uint64_t)*numbers[i]);
}

static bool is_sane(const struct outage *outage)
{
	return outage->start > 0 && outage->detected >= outage->start &&
	       (outage->end == 0 || outage->end >= outage->start) && outage->as_of > 0 &&
	       outage->passed_ms >= 0 && outage->isolated_ms >= 0 &&
	       outage->detect_seconds >= OUTAGE_UNKNOWN &&
	       outage->recover_seconds >= OUTAGE_UNKNOWN && outage->mails_flushed >= 0 &&
	       outage->mails_taken >= outage->mails_flushed && outage->waiting_since >= 0 &&
	       outage->longest_delay >= OUTAGE_UNKNOWN;
}

bool outage_read(struct outage *outage, const unsigned char *bytes, size_t length)
{
	struct outage read = { .start = 0 };
	int64_t *numbers[NUMBERS];
	const unsigned char *rest = bytes + 2 + CAUSE_SIZE;
	char cause[CAUSE_SIZE];

	if (length != OUTAGE_RECORD_SIZE || bytes[0] != RECORD_VERSION || bytes[1] > 1)
		return false;
	read.state = bytes[1] ? DOMAIN_SICK : DOMAIN_DOWN;
	memcpy(cause, bytes + 2, sizeof(cause));
	if (cause[CAUSE_SIZE - 1] != '\0' || !health_reason_parse(cause, &read.cause))
		return false;
	numbers_of(&read, numbers);
	for (int i = 0; i < NUMBERS; i++, rest += 8) {
		*numbers[i] = (int64_t)bytes_get(rest, 8);
		if (*numbers[i] > NUMBER_MAX)
			return false;
	}
	if (!is_sane(&read))
		return false;
	*outage = read;
	return true;
}
