/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of senders who came back (core/persistent.h): bounded, kept over restarts. Any thread.
 */
#ifndef BACKUPMX_MEMORY_SENDERS_H
#define BACKUPMX_MEMORY_SENDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ip.h"
#include "core/persistent.h"
#include "io/secret.h"
#include "io/writer.h"

struct senders;

/* Takes up what the store remembers. `secret` is copied. */
struct senders *senders_new(struct writer *writer, const struct secret *secret);
void senders_free(struct senders *senders);

/* Who sends what to whom: the key. */
struct sender_attempt {
	const char *client_name; /* verified, or "" */
	const struct ip *client;
	const char *sender;    /* normalised (mail_sender_normalise) */
	const char *recipient; /* "local@domain", lower case */
};

struct sender_standing {
	bool persistent;
	bool persistent_long; /* and for four hours */
	uint32_t attempts;
};

/* Counts an attempt and says where the sender stands with it. */
struct sender_standing senders_attempt(struct senders *senders,
				       const struct sender_attempt *attempt,
				       const struct persistent_rules *rules, int64_t now);
/* The same without counting it. */
struct sender_standing senders_look(struct senders *senders, const struct sender_attempt *attempt,
				    int64_t now);
size_t senders_count(struct senders *senders);

#endif
