/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recipients_file of each domain, as a set in memory (DESIGN section 4).
 *
 * A list is read at start, at reload, and when its file has changed. A list that can't be read, is
 * no text, is empty, or has over 20 % fewer lines than the one in use is refused: the old one
 * stays, and an error is logged. Reading is for the loop thread; looking up is for any thread.
 */
#ifndef BACKUPMX_MEMORY_RECIPIENT_LISTS_H
#define BACKUPMX_MEMORY_RECIPIENT_LISTS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/config.h"
#include "core/mail_address.h"
#include "io/loop.h"

struct recipient_lists;

enum recipient_listed {
	RECIPIENT_LIST_NONE,	/* the domain has no list */
	RECIPIENT_LIST_ABSENT,	/* it has one, and this recipient isn't in it */
	RECIPIENT_LIST_MISSING, /* likewise, and the list is complete (recipients_complete) */
	RECIPIENT_LIST_PRESENT,
	RECIPIENT_LIST_CATCH_ALL, /* the list says @domain */
};

struct recipient_lists *recipient_lists_new(struct loop *loop, struct config *config);
void recipient_lists_free(struct recipient_lists *lists);
/* Who hears, on the loop, of each domain whose list is another from now on, or is gone. One. */
typedef void (*recipient_lists_changed)(void *arg, const char *domain);
void recipient_lists_watch(struct recipient_lists *lists, recipient_lists_changed changed,
			   void *arg);
/* Takes a new configuration. `force`: a list that shrank much is taken all the same. */
void recipient_lists_configure(struct recipient_lists *lists, struct config *config, bool force);
/* Why the file of a configured domain, as it is now, was not taken; NULL when it was, or there is
 * none. Loop thread; good until the next reload. */
const char *recipient_lists_refusal(struct recipient_lists *lists, const char *domain);

/* `local` as typed; the list knows whether it folds, and whether it is complete. Any thread. */
enum recipient_listed recipient_lists_find(struct recipient_lists *lists, const char *domain,
					   const char *local);
/* Some of the domain's entries, `max` at most, that a primary can be asked about: no roles, nothing
 * that isn't ASCII, not `except`. Returns how many. Any thread. */
size_t recipient_lists_sample(struct recipient_lists *lists, const char *domain, const char *except,
			      char (*locals)[MAIL_LOCAL_MAX + 1], size_t max);
/* How many entries the domain's list has; 0 without one. Any thread. */
size_t recipient_lists_size(struct recipient_lists *lists, const char *domain);

#endif
