/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Backup-MX-Status header that accepted messages carry (DESIGN section 5, "Tag").
 * Pure; any thread. Nothing in it names a recipient or a domain: there may be a Bcc.
 */
#ifndef BACKUPMX_CORE_TAG_H
#define BACKUPMX_CORE_TAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/decision.h"
#include "core/ip.h"

#define TAG_HEADER    "Backup-MX-Status"
#define TAG_VALUE_MAX 1024
#define TAG_ID_SIZE   9 /* eight characters a-z 0-9 and the NUL */

/* What is told of a message, gathered recipient by recipient. */
struct tag {
	unsigned recipients;
	enum domain_state state; /* of the first accepted recipient's domain */
	bool states_differ;
	int64_t since; /* seconds since 1970 */
	bool since_differs;
	enum recipient_status recipient;
	bool recipients_differ;
	enum decision_reason reason; /* of the first accepted recipient */
	char id[TAG_ID_SIZE];	     /* likewise: it leads to the log line */
};

void tag_add_recipient(struct tag *tag, const struct verdict *verdict, enum domain_state state,
		       int64_t since, enum recipient_status recipient, const char *id);

/* Writes the header's value, folded with "\n\t" so that no line, the header's name included, has
 * more than 77 columns. `by` is this host's name. */
void tag_format(const struct tag *tag, const char *by, const struct ip *client, char *buffer,
		size_t size);

/* "2026-11-23T13:05:00Z" */
const char *tag_format_time(int64_t seconds, char *buffer, size_t size);

#endif
