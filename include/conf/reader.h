/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libconfuse at work: the rewritten units become fields of a snapshot. Owned by one load;
 * libconfuse's scanner is global, so one load at a time in the whole process.
 */
#ifndef BACKUPMX_CONF_READER_H
#define BACKUPMX_CONF_READER_H

#include <stddef.h>

#include "conf/config.h"
#include "conf/ini.h"
#include "conf/pool.h"

/* A key that a [domain "x"] section gives. */
struct reader_given {
	const struct option *option;
	struct place place;
	bool is_good; /* it was stored: no value of it was refused */
	struct reader_given *next;
};

struct reader_domain {
	struct config_domain domain; /* only the given keys and the name are set */
	struct reader_given *given;
	struct place place; /* of the section */
	size_t number;	    /* in the order they were read */
};

struct reader {
	struct problems *problems;
	struct pool *pool;     /* what the fields point to; `given` too */
	struct config *config; /* gets the plain sections, defaults included */
	const struct ini *ini;
	struct reader_domain *domains; /* in the order of the files; free() it */
	size_t domain_count, domain_room;
};

/* Reads all units of reader->ini. What is wrong goes to the problems; a field with a bad value gets
 * nothing. */
void reader_run(struct reader *reader);

/* The structure an option's offset counts in; `domain` may be NULL for plain sections. */
void *reader_home(const struct option *option, struct config *config, struct config_domain *domain);

#endif
