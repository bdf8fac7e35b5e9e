/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Persistent senders: those who come back with the same mail although they were sent to the
 * primary, because they can't reach it (promise P4). Pure; any thread.
 */
#ifndef BACKUPMX_CORE_PERSISTENT_H
#define BACKUPMX_CORE_PERSISTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ip.h"

#define PERSISTENT_FORGET_SECONDS (36 * 3600)
#define PERSISTENT_LONG_SECONDS	  (4 * 3600)
#define PERSISTENT_IDENTITY_MAX	  256

struct persistent_rules {
	int64_t attempts; /* persistent_attempts */
	int64_t after;	  /* persistent_after, seconds */
};

/* One sender-recipient pair. Times are seconds since 1970, 32 bits until 2106. */
struct persistent_row {
	uint32_t first;	 /* first attempt; 0: none */
	uint32_t last;	 /* last one that counted */
	uint32_t became; /* when it became persistent; 0: it is not */
	uint32_t attempts;
};

/* Takes one attempt. Attempts closer together than after / (2 * attempts) count once; after 36
 * hours of silence, or when the clock went back, it starts anew. Returns true when the sender is
 * persistent now: the attempt that makes it so is the one that is let in. */
bool persistent_row_feed(struct persistent_row *row, const struct persistent_rules *rules,
			 int64_t now);

/* The same without taking it: what the row says. */
bool persistent_row_holds(const struct persistent_row *row, int64_t now);
/* Persistent, and for four hours. */
bool persistent_row_is_long(const struct persistent_row *row, int64_t now);
bool persistent_row_forgotten(const struct persistent_row *row, int64_t now);

/* Who the client is across the machines of its pool: the verified name without its first label if
 * two labels remain, else the /24 or /64 of its address. `name` is "" when it is not verified. */
void persistent_client_identity(const char *name, const struct ip *ip, char *buffer, size_t size);

#endif
