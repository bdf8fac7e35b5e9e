/* SPDX-License-Identifier: BSD-2-Clause */
/* When an episode begins, and when it is over. Pure. */
#include "core/episode.h"

bool episode_hit(struct episode *episode, int64_t now_ms)
{
	if (episode->hits == 0)
		episode->began_ms = now_ms;
	episode->last_ms = now_ms;
	return episode->hits++ == 0;
}

bool episode_end(struct episode *episode, int64_t now_ms, struct episode *ended)
{
	if (episode->hits == 0 || now_ms - episode->last_ms < EPISODE_QUIET_MS)
		return false;
	*ended = *episode;
	*episode = (struct episode){ 0 };
	return true;
}
