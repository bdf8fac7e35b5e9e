/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file that `domains_file` names: a domain per line, `.x` for the subdomains of x, `#`
 * comments. It may hold a million. Owned by one load; one thread.
 */
#ifndef BACKUPMX_CONF_DOMAINS_FILE_H
#define BACKUPMX_CONF_DOMAINS_FILE_H

#include <stddef.h>

#include "conf/pool.h"
#include "conf/problems.h"

struct domains_file {
	char **names; /* A-labels in strcmp order, each once; the strings are the pool's */
	size_t count;
};

/* Reads `path`, which the key at `place` names. What is wrong goes to the problems. */
void domains_file_read(struct domains_file *file, const char *path, struct place place,
		       struct pool *pool, struct problems *problems);
void domains_file_fini(struct domains_file *file);

#endif
