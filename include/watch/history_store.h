/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The records of the history: for watch/history.c, and no one else. Loop thread only.
 *
 * A key is the domain's name, a NUL, 'd' and the day, or 'o' and the moment at which the outage
 * began, big-endian: a domain's records stand together, days first, each kind by time. The scans
 * (history_store_days, history_store_outages) see what is on the disk, the others what is queued
 * as well.
 *
 * Records that can't be read are left out, and the log says so.
 */
#ifndef BACKUPMX_WATCH_HISTORY_STORE_H
#define BACKUPMX_WATCH_HISTORY_STORE_H

#include "watch/history.h"

struct history_store;

/* Also sweeps the table, once a day, for what is too old or of nobody. */
struct history_store *history_store_new(struct services *services, struct domains *domains);
void history_store_free(struct history_store *store);

/* A day without a record is one of zeros. */
void history_store_get_day(struct history_store *store, const char *domain, int64_t day,
			   struct availability_day *out);
void history_store_put_day(struct history_store *store, const char *domain,
			   const struct availability_day *day);
/* How many days are kept. NULL: of one that is in the store alone. */
int64_t history_store_days_kept(const struct domain *domain);
void history_store_drop_day(struct history_store *store, const char *domain, int64_t day);
/* The days from `from` on, oldest first; free() them. False when the store can't be read. */
bool history_store_days(struct history_store *store, const char *domain, int64_t from,
			struct availability_day **days, size_t *count);

struct history_outage {
	struct history_outage *prev, *next; /* utlist.h */
	int64_t key;			    /* its start, or as close behind that as was free */
	struct outage outage;
};

/* A key that is free for an outage that began then. */
int64_t history_store_free_key(struct history_store *store, const char *domain, int64_t start);
void history_store_put_outage(struct history_store *store, const char *domain,
			      const struct history_outage *outage);
void history_store_drop_outage(struct history_store *store, const char *domain, int64_t key);
/* Appends the outages to the list, oldest first. False when the store can't be read. */
bool history_store_outages(struct history_store *store, const char *domain,
			   struct history_outage **list);

#endif
