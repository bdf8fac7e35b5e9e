/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Canaries: recipients of each domain that its primary accepted lately are asked for again, as part
 * of its health (core/canary.h has the rules). Loop thread only.
 *
 * It hears of the domains as their prover and of callouts as their observer, keeps over restarts
 * who the canaries are, and tells the domains who is sick.
 */
#ifndef BACKUPMX_MEMORY_CANARIES_H
#define BACKUPMX_MEMORY_CANARIES_H

#include "conf/config.h"
#include "memory/callouts.h"
#include "memory/recipients.h"
#include "watch/domains.h"

struct canaries;

struct canaries_settings {
	struct services *services;
	struct domains *domains;
	struct recipients *recipients;
	struct callouts *callouts;
};

struct canaries *canaries_new(const struct canaries_settings *settings, struct config *config);
/* After the callouts, which may be asking for one, and before the domains. */
void canaries_free(struct canaries *canaries);
/* The domains tell what changed for each of them; this is for the rest. */
void canaries_configure(struct canaries *canaries, struct config *config);

#endif
