/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon as a whole: its parts, started in order and stopped in reverse. Main thread only.
 */
#ifndef BACKUPMX_DAEMON_DAEMON_H
#define BACKUPMX_DAEMON_DAEMON_H

#include <stdbool.h>

#include "base/log.h"
#include "conf/config.h"

struct daemon_options {
	const char *config_path;
	bool log_level_given; /* by -d: it wins over [log] level */
	enum log_level log_level;
};

struct daemon;

/* Starts everything up to a listening milter socket. `config` is taken over. NULL after logging why
 * not; *exit_code says with what to exit then. */
struct daemon *daemon_start(const struct daemon_options *options, struct config *config,
			    int *exit_code);
/* Runs until SIGTERM or SIGINT (0), or until libmilter gives up (EX_SOFTWARE). */
int daemon_run(struct daemon *daemon);
void daemon_stop(struct daemon *daemon);

/* Takes the configuration file anew: false, and nothing changes, when it has errors. */
bool daemon_reload(struct daemon *daemon, bool force, struct config_errors *errors,
		   char *restart_keys, size_t size);

#endif
