/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all mail sessions share: the current configuration, the sources of facts, and the waiting
 * room. Any thread, but for gate_configure() (loop).
 */
#ifndef BACKUPMX_MTA_GATE_H
#define BACKUPMX_MTA_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "conf/config.h"
#include "core/stats.h"
#include "memory/callouts.h"
#include "memory/recipients.h"
#include "memory/senders.h"
#include "mta/defer_log.h"
#include "mta/drills.h"
#include "watch/domains.h"

struct gate {
	struct domains *domains;
	struct recipients *recipients;
	struct callouts *callouts;
	struct senders *senders;
	struct stats *stats;
	struct defer_log *defers;
	struct drills *drills;
	atomic_bool is_sendmail; /* the MTA that asked last */
	pthread_mutex_t lock;	 /* of what follows */
	struct config *config;
	char host_name[MAIL_DOMAIN_MAX + 1]; /* ours, for the tag */
	int64_t waiting; /* callbacks that wait for a callout or a first probe */
};

void gate_init(struct gate *gate, struct config *config, const char *host_name);
void gate_fini(struct gate *gate);

/* The current configuration with a reference of the caller's own. */
struct config *gate_config(struct gate *gate);
void gate_configure(struct gate *gate, struct config *config, const char *host_name);
/* Copies our name. */
void gate_host_name(struct gate *gate, char *buffer, size_t size);

/* What the MTA is, as its mail sessions show; before the first of them, not Sendmail. */
void gate_note_mta(struct gate *gate, bool is_sendmail);
bool gate_mta_is_sendmail(struct gate *gate);

/* A place in the waiting room, of which there are max_waiting; false when all are taken. */
bool gate_enter_wait(struct gate *gate, int64_t max_waiting);
void gate_leave_wait(struct gate *gate);
/* How many there are taken. */
int64_t gate_waiting(struct gate *gate);

#endif
