/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains learned from the MTA (DESIGN section 2): the rules by which one is learned, dropped, and
 * left alone while nobody asks for it. Pure; any thread.
 */
#ifndef BACKUPMX_CORE_LEARNED_H
#define BACKUPMX_CORE_LEARNED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/decision.h"
#include "core/mxset.h"

/* False for a recipient that the MTA delivers itself: its domain is none that we relay for. NULL:
 * the MTA didn't say. */
bool learned_mailer_relays(const char *mailer);

enum learned_proof {
	LEARNED_PROVED,	   /* the MX records list us, and somebody better who can be found */
	LEARNED_DISPROVED, /* they clearly don't */
	LEARNED_UNTOLD,	   /* something could not be looked up */
};

/* What the answer to the MX question proves. `set` has its roles (mxset_find_ourselves);
 * `complete`: nothing in it failed to be looked up. */
enum learned_proof learned_proof_of(const struct mxset *set, bool complete);

/* How long a domain stays turned down, in seconds; `ttl` is the answer's. */
int64_t learned_refusal_seconds(enum learned_proof proof, int64_t ttl);

/* True when a domain that nobody asked for during `idle` seconds needs no probes and no look-ups.
 * Never while something of it is to be seen through: an outage, mail that waits. */
bool learned_may_sleep(enum domain_state state, bool mail_waits, int64_t idle);

#endif
