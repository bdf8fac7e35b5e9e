/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a domain's primary was up, down, sick or out of our sight, day by day (UTC), and how
 * many of the questions for its recipients could be answered. Pure; any thread.
 *
 * Days are counted since 1970-01-01, lengths in milliseconds of a clock that never goes back.
 */
#ifndef BACKUPMX_CORE_AVAILABILITY_H
#define BACKUPMX_CORE_AVAILABILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/decision.h"

enum availability {
	AVAILABILITY_UP,
	AVAILABILITY_DOWN,
	AVAILABILITY_SICK,
	AVAILABILITY_ISOLATED, /* we were cut off ourselves: counted for nobody */
	AVAILABILITY_COUNT,
	AVAILABILITY_UNOBSERVED = AVAILABILITY_COUNT /* kept nowhere */
};

struct availability_day {
	int64_t day;
	int64_t ms[AVAILABILITY_COUNT];
	uint64_t asked; /* recipients that clients named */
	uint64_t known; /* of these: of whom we knew by a list or the memory, at the first look */
	bool anew;	/* the days before say nothing of what is known now */
};

/* As what a moment counts. */
enum availability availability_of(enum domain_state seen, bool isolated);

#define AVAILABILITY_DAY_SECONDS 86400
int64_t availability_day_of(int64_t wall); /* `wall`: seconds since 1970 */

/* Of `ms` that end at `wall_ms` (milliseconds since 1970): how much of it is of that day. The rest
 * is of the day before. */
int64_t availability_ms_of_day(int64_t wall_ms, int64_t ms);

/* What counted as `from` was `to`; not more than there is. */
void availability_move(struct availability_day *day, enum availability from, enum availability to,
		       int64_t ms);

/* Adds up lengths and questions; `day` and `anew` stay. */
void availability_add(struct availability_day *sum, const struct availability_day *day);

/* up / (up + down + sick), rounded down to six decimals, so that 1 means 1; -1: never observed. */
double availability_share(const struct availability_day *sum);
/* known / asked, 1 at most, with three decimals; -1: nothing was asked. */
double availability_coverage(const struct availability_day *sum);

/* As kept in the store; the day itself is in the key. */
#define AVAILABILITY_RECORD_SIZE (2 + 8 * (AVAILABILITY_COUNT + 2))
void availability_write(const struct availability_day *day,
			unsigned char bytes[AVAILABILITY_RECORD_SIZE]);
/* False, and nothing is changed, for what no availability_write() wrote. */
bool availability_read(struct availability_day *day, const unsigned char *bytes, size_t length);

#endif
