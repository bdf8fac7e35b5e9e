/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop: timers, signals, and work handed over from other threads (libevent).
 *
 * There is one loop, run by the main thread. Everything here is for that thread alone, except
 * loop_post(), loop_now_ms() and loop_stop(). Nothing that runs on it may block: its lag is
 * measured.
 */
#ifndef BACKUPMX_IO_LOOP_H
#define BACKUPMX_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_timer;
struct event_base;

typedef void (*loop_task)(void *arg);

struct loop *loop_new(void);
void loop_free(struct loop *loop);

/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
/* Any thread. */
void loop_stop(struct loop *loop);
/* Runs task(arg) on the loop soon, in the order of the calls. Any thread; never blocks for long. */
void loop_post(struct loop *loop, loop_task task, void *arg);

/* Runs what was posted and not yet run, after loop_run() has returned: the last words of other
 * threads, heard while those they are for are still there. */
void loop_run_posted(struct loop *loop);

/* Milliseconds of a clock that never goes back; any thread. */
int64_t loop_now_ms(void);
/* Seconds, and milliseconds, since 1970; any thread. */
int64_t loop_wall_seconds(void);
int64_t loop_wall_ms(void);

/* The lag seen last, in milliseconds, and when (loop_now_ms) it was last over half a second: what
 * was timed across that moment proves nothing about others. */
int64_t loop_lag_ms(const struct loop *loop);
int64_t loop_lagged_at_ms(const struct loop *loop);

/* A timer fires once per loop_timer_start(). */
struct loop_timer *loop_timer_new(struct loop *loop, loop_task task, void *arg);
void loop_timer_start(struct loop_timer *timer, int64_t milliseconds);
void loop_timer_stop(struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer); /* NULL is fine */

/* Calls task(arg) on the loop for each delivery of the signal, until loop_free(). */
void loop_on_signal(struct loop *loop, int signal_number, loop_task task, void *arg);

/* For the other files of io/ only. */
struct event_base *loop_base(struct loop *loop);

#endif
