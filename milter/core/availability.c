/* SPDX-License-Identifier: BSD-2-Clause */
/* The sums of a day, and their record. No state; any thread. */
#include "core/availability.h"

#include "base/bytes.h"

#define RECORD_VERSION 1
#define FLAG_ANEW      1
#define DAY_MS	       (AVAILABILITY_DAY_SECONDS * 1000LL)

enum availability availability_of(enum domain_state seen, bool isolated)
{
	switch (seen) {
	case DOMAIN_UP:
		return isolated ? AVAILABILITY_ISOLATED : AVAILABILITY_UP;
	case DOMAIN_DOWN:
		return isolated ? AVAILABILITY_ISOLATED : AVAILABILITY_DOWN;
	case DOMAIN_SICK:
		return isolated ? AVAILABILITY_ISOLATED : AVAILABILITY_SICK;
	default:
		return AVAILABILITY_UNOBSERVED;
	}
}

int64_t availability_day_of(int64_t wall)
{
	return wall / AVAILABILITY_DAY_SECONDS;
}

int64_t availability_ms_of_day(int64_t wall_ms, int64_t ms)
{
	int64_t today = wall_ms % DAY_MS;

	return ms < today ? ms : today;
}

void availability_move(struct availability_day *day, enum availability from, enum availability to,
		       int64_t ms)
{
	if (ms > day->ms[from])
		ms = day->ms[from];
	if (ms <= 0)
		return;
	day->ms[from] -= ms;
	day->ms[to] += ms;
}

void availability_add(struct availability_day *sum, const struct availability_day *day)
{
	for (int kind = 0; kind < AVAILABILITY_COUNT; kind++)
		sum->ms[kind] += day->ms[kind];
	sum->asked += day->asked;
	sum->known += day->known;
}

double availability_share(const struct availability_day *sum)
{
	int64_t up = sum->ms[AVAILABILITY_UP];
	int64_t all = up + sum->ms[AVAILABILITY_DOWN] + sum->ms[AVAILABILITY_SICK];

	if (all <= 0)
		return -1;
	return (double)(int64_t)((double)up / (double)all * 1e6) / 1e6;
}

double availability_coverage(const struct availability_day *sum)
{
	if (sum->asked == 0)
		return -1;
	if (sum->known > sum->asked) /* an answer may be late: the questions were begun anew */
		return 1;
	return (double)(int64_t)((double)sum->known / (double)sum->asked * 1000 + 0.5) / 1000;
}

/* ---- the record: version, flags, the lengths, asked, known ---- */

void availability_write(const struct availability_day *day,
			unsigned char bytes[AVAILABILITY_RECORD_SIZE])
{
	unsigned char *rest = bytes + 2;

	bytes[0] = RECORD_VERSION;
	bytes[1] = day->anew ? FLAG_ANEW : 0;
	for (int kind = 0; kind < AVAILABILITY_COUNT; kind++, rest += 8)
		bytes_put(rest, 8, (uint64_t)day->ms[kind]);
	bytes_put(rest, 8, day->asked);
	bytes_put(rest + 8, 8, day->known);
}

bool availability_read(struct availability_day *day, const unsigned char *bytes, size_t length)
{
	struct availability_day read = { .day = day->day };
	int64_t sum = 0;
	const unsigned char *rest = bytes + 2;

	if (length != AVAILABILITY_RECORD_SIZE || bytes[0] != RECORD_VERSION ||
	    bytes[1] > FLAG_ANEW)
		return false;
	read.anew = bytes[1] == FLAG_ANEW;
	for (int kind = 0; kind < AVAILABILITY_COUNT; kind++, rest += 8) {
		uint64_t ms = bytes_get(rest, 8);

		/* a day may be longer where the wall clock was set back, but not for ever */
		if (ms > 1000 * DAY_MS)
			return false;
		read.ms[kind] = (int64_t)ms;
		sum += read.ms[kind];
	}
	read.asked = bytes_get(rest, 8);
	read.known = bytes_get(rest + 8, 8);
	if (sum > 1000 * DAY_MS)
		return false;
	*day = read;
	return true;
}
