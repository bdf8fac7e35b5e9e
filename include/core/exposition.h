/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text format in which Prometheus reads metrics, version 0.0.4: families of samples, label
 * values escaped whatever is in them. Writes to the caller's stream; pure else; any thread.
 */
#ifndef BACKUPMX_CORE_EXPOSITION_H
#define BACKUPMX_CORE_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/stats.h"

#define EXPOSITION_PREFIX "backupmx_"

struct exposition {
	FILE *out;
	const char *name; /* of the family, without the prefix */
};

struct exposition_label {
	const char *name;
	const char *value; /* foreign bytes */
};
#define EXPOSITION_LABELS_MAX 2
struct exposition_labels {
	struct exposition_label label[EXPOSITION_LABELS_MAX]; /* a name NULL ends them */
};

/* Begins a family: its HELP and TYPE lines. `type` is counter, gauge or histogram. */
void exposition_begin(struct exposition *family, const char *name, const char *type,
		      const char *help);
/* One sample of it. `labels` NULL: none. */
void exposition_add(struct exposition *family, const struct exposition_labels *labels,
		    uint64_t value);
/* The same, in seconds, of microseconds. */
void exposition_add_seconds(struct exposition *family, const struct exposition_labels *labels,
			    int64_t us);
/* All samples of a histogram. */
void exposition_add_histogram(struct exposition *family, const struct stats *stats,
			      enum stats_time time);

#endif
