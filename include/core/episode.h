/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Something that happens again and again for a while is one episode: it is worth a word when it
 * begins and one when it is over. Pure; one owner at a time.
 */
#ifndef BACKUPMX_CORE_EPISODE_H
#define BACKUPMX_CORE_EPISODE_H

#include <stdbool.h>
#include <stdint.h>

/* It is over when nothing happened for so long. */
#define EPISODE_QUIET_MS 600000

struct episode {
	unsigned long hits; /* 0: there is none */
	int64_t began_ms;
	int64_t last_ms;
};

/* It happened. True when that begins an episode. `now_ms` never goes back. */
bool episode_hit(struct episode *episode, int64_t now_ms);

/* True when an episode is over: it goes to *ended, and the next hit begins another. */
bool episode_end(struct episode *episode, int64_t now_ms, struct episode *ended);

#endif
