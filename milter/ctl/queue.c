/* SPDX-License-Identifier: BSD-2-Clause */
/* Which MTA is here. One thread. */
#include "ctl/queue.h"

#include <string.h>

static const struct queue_kind *const kinds[] = { &queue_postfix, &queue_sendmail };

bool queue_open(struct queue *queue, const char *config)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		*queue = (struct queue){ .kind = kinds[i], .config = config };
		if (kinds[i]->find(queue))
			return true;
	}
	return false;
}

bool queue_id_is_sane(const char *id)
{
	size_t length =
		strspn(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	return length > 0 && length <= QUEUE_ID_MAX && id[length] == '\0' &&
	       strcmp(id, "ALL") != 0; /* which is all of them to postsuper(1) */
}
