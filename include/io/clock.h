/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock that never goes back, and waiting by it: a deadline must not move when somebody sets
 * the time of day. Any thread.
 */
#ifndef BACKUPMX_IO_CLOCK_H
#define BACKUPMX_IO_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

int64_t clock_now_ms(void);
int64_t clock_now_us(void);

/* A condition whose waits have deadlines of that clock. pthread_cond_destroy() ends it. */
void clock_cond_init(pthread_cond_t *cond);
/* Waits, as pthread_cond_timedwait() does, until `until_ms` (clock_now_ms). False when that time
 * has come. */
bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_ms);

#endif
