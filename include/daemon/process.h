/* SPDX-License-Identifier: BSD-2-Clause */
/* What a Unix daemon does with its process: lock, limits, detaching, telling systemd. Main thread.
 */
#ifndef BACKUPMX_DAEMON_PROCESS_H
#define BACKUPMX_DAEMON_PROCESS_H

#include <stdbool.h>

/* Takes the lock file in the state directory (made when missing). Returns a descriptor to keep
 * open, or -1 with errno: EWOULDBLOCK when another instance holds it. *crashed: the one before
 * didn't come to process_unlock(). */
int process_lock(const char *state_dir, bool *crashed);
void process_unlock(int lock);

/* Makes the directory that `path` is in, when it is missing (one level). */
void process_make_parent(const char *path);

/* True when something accepts connections on the unix socket `path`. */
bool process_socket_is_live(const char *path);

/* Raises the limit of open files as far as allowed: a milter that runs out of them spins. */
void process_raise_limits(void);

/* Goes into the background: the parent stays until process_detached() and exits 0 then, or 71 when
 * the child died before. Writes the pid file when `pid_path` isn't NULL. Before any thread. */
int process_detach(void);
bool process_write_pid(const char *pid_path);
void process_detached(void);

/* Tells systemd ("READY=1", ...) where it wants to know (sd_notify(3)); else nothing. */
void process_notify(const char *state);

#endif
