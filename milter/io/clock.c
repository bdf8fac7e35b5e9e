/* SPDX-License-Identifier: BSD-2-Clause */
/* The monotonic clock of POSIX, in milli- and microseconds. No state; any thread. */
#include "io/clock.h"

#include <time.h>

int64_t clock_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_now_ms(void)
{
	return clock_now_us() / 1000;
}

void clock_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms)
{
	struct timespec deadline = { .tv_sec = (time_t)(until_ms / 1000),
				     .tv_nsec = (long)(until_ms % 1000) * 1000000 };

	return pthread_cond_timedwait(cond, lock, &deadline) == 0;
}
