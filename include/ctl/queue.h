/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MTA's queue, message by message, by the MTA's own programs (io/tool.h): what a fire drill has
 * to see and to do. Each MTA is one struct queue_kind. One thread; each call takes as long as the
 * program does, ten seconds at most.
 *
 * Queue ids come from the MTA: queue_id_is_sane() before one is used.
 */
#ifndef BACKUPMX_CTL_QUEUE_H
#define BACKUPMX_CTL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#define QUEUE_ID_MAX 64

enum queue_place {
	QUEUE_UNSEEN, /* it can't be told; `why` says why */
	QUEUE_GONE,
	QUEUE_WAITING, /* for its delivery, or that is under way */
	QUEUE_HELD,
};

struct queue;

/* A held message, and why it is held; NULL: the MTA doesn't tell. */
typedef void (*queue_taker)(void *arg, const char *id, const char *reason);

struct queue_kind {
	const char *mta; /* its name */
	/* False when this MTA isn't here. */
	bool (*find)(struct queue *queue);
	/* `why` gets one printable line. */
	enum queue_place (*look)(struct queue *queue, const char *id, char *why, size_t size);
	/* Why a waiting message could not be delivered so far; "" when that isn't told. */
	void (*delay)(struct queue *queue, const char *id, char *why, size_t size);
	/* The message's header, for root; free() it. NULL: it can't be read (any more), or with
	 * this MTA never. */
	char *(*header)(struct queue *queue, const char *id);
	/* Has a held message delivered now; and has one thrown away, wherever it waits. False:
	 * `why` says why. For root. */
	bool (*release)(struct queue *queue, const char *id, char *why, size_t size);
	bool (*remove)(struct queue *queue, const char *id, char *why, size_t size);
	/* Held messages of the null sender. False: the queue can't be looked at. */
	bool (*each_held)(struct queue *queue, queue_taker take, void *arg);
	/* Where the MTA says that it logs; free() it. NULL: it doesn't. */
	char *(*mail_log)(struct queue *queue);
	/* The command line by which a human removes the message. */
	void (*say_remove)(const char *id, char *buffer, size_t size);
};

struct queue {
	const struct queue_kind *kind;
	const char *config; /* as --mta-config gives it; NULL: the usual one */
};

extern const struct queue_kind queue_postfix, queue_sendmail;

/* Finds the MTA that is here; `config` must outlive the queue. False: none that we know. */
bool queue_open(struct queue *queue, const char *config);

/* True for what may be a program's argument and names one message: letters and digits. */
bool queue_id_is_sane(const char *id);
/* Takes the id out of what an MTA says of a message that it took, "queued as ID"; false, and `id`
 * is as it was, when there is none. */
bool queue_id_told(const char *words, char id[QUEUE_ID_MAX + 1]);

#endif
