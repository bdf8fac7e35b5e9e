/* SPDX-License-Identifier: BSD-2-Clause */
/* Which MTA is here. One thread. */
#include "ctl/queue.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

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

bool queue_id_told(const char *words, char id[QUEUE_ID_MAX + 1])
{
	static const char before[] = "queued as ";
	const char *start = strstr(words, before);
	char found[QUEUE_ID_MAX + 2]; /* one that is too long is not cut to one that isn't */

	if (start == NULL)
		return false;
	start += strlen(before);
	snprintf(found, sizeof(found), "%.*s", (int)strcspn(start, " ),;"), start);
	return queue_id_is_sane(found) && text_copy(id, QUEUE_ID_MAX + 1, found);
}
