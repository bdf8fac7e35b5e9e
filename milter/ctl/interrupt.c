/* SPDX-License-Identifier: BSD-2-Clause */
/* Signals as something to ask for: blocked, and taken by sigtimedwait(2). One thread. */
#include "ctl/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static sigset_t wanted;
static int came; /* the signal; 0: none so far */

void interrupt_catch(void)
{
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGHUP);
	sigaddset(&wanted, SIGPIPE);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
}

/* A peer that hangs up on us is no reason to stop; a reader of our output that has left is. */
static bool is_own_pipe(const siginfo_t *info)
{
	return info->si_signo == SIGPIPE && info->si_pid == getpid();
}

static void take(const struct timespec *limit)
{
	siginfo_t info;

	if (came == 0 && ferror(stdout) != 0)
		came = SIGPIPE;
	while (came == 0) {
		int number = sigtimedwait(&wanted, &info, limit);

		if (number < 0)
			return;
		if (!is_own_pipe(&info))
			came = number;
	}
}

bool interrupt_came(void)
{
	static const struct timespec now = { .tv_sec = 0 };

	take(&now);
	return came != 0;
}

bool interrupt_sleep(int64_t milliseconds)
{
	struct timespec limit = { .tv_sec = milliseconds / 1000,
				  .tv_nsec = milliseconds % 1000 * 1000000L };

	take(&limit);
	return came == 0;
}

const char *interrupt_name(void)
{
	switch (came) {
	case SIGINT:
		return "SIGINT";
	case SIGTERM:
		return "SIGTERM";
	case SIGHUP:
		return "SIGHUP";
	default:
		return "SIGPIPE";
	}
}
