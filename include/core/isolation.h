/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is it them or is it us? When all endpoints and all references (foreign hosts that are always
 * there) fail together, this host's own uplink is gone, and their failures mean nothing (DESIGN
 * section 3: isolated).
 *
 * Each failing probe is judged before it counts: fed to the endpoint's health, ignored, or held
 * until the references have been looked at. So `fall` failures in a row can't take an endpoint down
 * before anybody has asked whose fault they are; and with something answering, nothing is held.
 *
 * Pure: times are arguments, in milliseconds of a clock that never goes back, above 0. One owner at
 * a time.
 */
#ifndef BACKUPMX_CORE_ISOLATION_H
#define BACKUPMX_CORE_ISOLATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* States are frozen for so long at most; then they follow the probes, though the flag stays. */
#define ISOLATION_FREEZE_MS (30 * 60 * 1000)

enum isolation_verdict {
	ISOLATION_FEED,	  /* it counts */
	ISOLATION_HOLD,	  /* judge it again when something has answered, or a round is over */
	ISOLATION_IGNORE, /* it counts for nothing */
};

struct isolation {
	size_t references;   /* configured; with none there is no isolation, and nothing is held */
	int64_t hold_max_ms; /* a probe's result is held for so long at most */
	bool on;
	int64_t since_ms;   /* of the flag */
	int64_t ended_ms;   /* when it was taken down last; 0: never */
	int64_t settled_ms; /* doubts that began until then are settled: something answered, or it
			       was waited for long enough */
	int64_t trouble_ms; /* since then nothing has answered and something failed; 0: no trouble
			     */
	int64_t held_ms;    /* when the first result of this trouble was held */
	int64_t looked_ms;  /* the beginning of the last round in which all references failed */
};

/* One probe that got no answer. */
struct isolation_sample {
	int64_t began_ms, ended_ms;
};

/* Takes how many references there are now. Without any the flag is down. */
void isolation_configure(struct isolation *isolation, size_t references, int64_t hold_max_ms);

/* `all_failing`: no endpoint answered when it was probed last. Can raise the flag. */
enum isolation_verdict isolation_judge(struct isolation *isolation,
				       const struct isolation_sample *sample, bool all_failing,
				       int64_t now_ms);

/* An endpoint or a reference has answered: takes the flag down. */
void isolation_answered(struct isolation *isolation, int64_t now_ms);
/* A round that looked at all references got no answer. */
void isolation_references_failed(struct isolation *isolation, int64_t round_began_ms);

/* The references have to be looked at to judge what is held. */
bool isolation_wants_look(const struct isolation *isolation);
/* The flag is up, and states stay as they are. */
bool isolation_freezes(const struct isolation *isolation, int64_t now_ms);

#endif
