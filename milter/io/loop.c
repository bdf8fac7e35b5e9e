/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libevent's loop, with a queue for work from other threads and a measure of its own lag.
 * The main thread runs it; the queue has the only lock.
 */
#include "io/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "io/clock.h"

#define LAG_TICK_MS	    250
#define LAG_WORTH_NOTICE_MS 500
#define SIGNALS_MAX	    8

struct posted {
	struct posted *next;
	loop_task task;
	void *arg;
};

struct loop_signal {
	struct event *event;
	loop_task task;
	void *arg;
};

struct loop {
	struct event_base *base;
	struct event *wake;
	pthread_mutex_t lock; /* of first and last */
	struct posted *first;
	struct posted **last;
	struct loop_timer *lag_timer;
	int64_t lag_expected;
	int64_t lag_ms;
	int64_t lagged_at;
	struct loop_signal signals[SIGNALS_MAX];
	int signal_count;
};

struct loop_timer {
	struct event *event;
	loop_task task;
	void *arg;
};

int64_t loop_now_ms(void)
{
	return clock_now_ms();
}

int64_t loop_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int64_t loop_wall_seconds(void)
{
	return loop_wall_ms() / 1000;
}

static struct posted *take_posted(struct loop *loop)
{
	struct posted *all;

	pthread_mutex_lock(&loop->lock);
	all = loop->first;
	loop->first = NULL;
	loop->last = &loop->first;
	pthread_mutex_unlock(&loop->lock);
	return all;
}

static void run_posted(evutil_socket_t fd, short what, void *arg)
{
	struct posted *item = take_posted(arg);

	(void)fd;
	(void)what;
	while (item != NULL) {
		struct posted *next = item->next;

		item->task(item->arg);
		free(item);
		item = next;
	}
}

void loop_post(struct loop *loop, loop_task task, void *arg)
{
	struct posted *item = memory_alloc(sizeof(*item));
	bool first;

	item->task = task;
	item->arg = arg;
	pthread_mutex_lock(&loop->lock);
	first = loop->first == NULL;
	*loop->last = item;
	loop->last = &item->next;
	pthread_mutex_unlock(&loop->lock);
	if (first)
		event_active(loop->wake, EV_READ, 0);
}

static void tick_lag(void *arg)
{
	struct loop *loop = arg;
	int64_t now = loop_now_ms();

	loop->lag_ms = now > loop->lag_expected ? now - loop->lag_expected : 0;
	if (loop->lag_ms >= LAG_WORTH_NOTICE_MS)
		loop->lagged_at = now;
	loop->lag_expected = now + LAG_TICK_MS;
	loop_timer_start(loop->lag_timer, LAG_TICK_MS);
}

struct loop *loop_new(void)
{
	struct loop *loop = memory_alloc(sizeof(*loop));

	if (evthread_use_pthreads() != 0)
		abort();
	loop->base = event_base_new();
	assert(loop->base != NULL);
	pthread_mutex_init(&loop->lock, NULL);
	loop->last = &loop->first;
	loop->wake = event_new(loop->base, -1, EV_PERSIST, run_posted, loop);
	assert(loop->wake != NULL);
	event_add(loop->wake, NULL);
	loop->lagged_at = INT64_MIN / 2;
	loop->lag_timer = loop_timer_new(loop, tick_lag, loop);
	return loop;
}

void loop_run_posted(struct loop *loop)
{
	run_posted(-1, 0, loop);
}

void loop_free(struct loop *loop)
{
	assert(loop->first == NULL);
	for (int i = 0; i < loop->signal_count; i++)
		event_free(loop->signals[i].event);
	loop_timer_free(loop->lag_timer);
	event_free(loop->wake);
	event_base_free(loop->base);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

void loop_run(struct loop *loop)
{
	loop->lag_expected = loop_now_ms() + LAG_TICK_MS;
	loop_timer_start(loop->lag_timer, LAG_TICK_MS);
	event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

static void stop_now(void *arg)
{
	struct loop *loop = arg;

	event_base_loopbreak(loop->base);
}

void loop_stop(struct loop *loop)
{
	loop_post(loop, stop_now, loop);
}

int64_t loop_lag_ms(const struct loop *loop)
{
	return loop->lag_ms;
}

int64_t loop_lagged_at_ms(const struct loop *loop)
{
	/* a late tick that has not run yet tells as much as one that has */
	if (loop->lag_expected != 0 && loop_now_ms() - loop->lag_expected >= LAG_WORTH_NOTICE_MS)
		return loop_now_ms();
	return loop->lagged_at;
}

static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *timer = arg;

	(void)fd;
	(void)what;
	timer->task(timer->arg);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_task task, void *arg)
{
	struct loop_timer *timer = memory_alloc(sizeof(*timer));

	timer->task = task;
	timer->arg = arg;
	timer->event = evtimer_new(loop->base, timer_fired, timer);
	assert(timer->event != NULL);
	return timer;
}

void loop_timer_start(struct loop_timer *timer, int64_t milliseconds)
{
	struct timeval delay = { .tv_sec = (time_t)(milliseconds / 1000),
				 .tv_usec = (suseconds_t)(milliseconds % 1000 * 1000) };

	evtimer_add(timer->event, &delay);
}

void loop_timer_stop(struct loop_timer *timer)
{
	evtimer_del(timer->event);
}

void loop_timer_free(struct loop_timer *timer)
{
	if (timer == NULL)
		return;
	event_free(timer->event);
	free(timer);
}

static void signal_fired(evutil_socket_t number, short what, void *arg)
{
	struct loop_signal *handler = arg;

	(void)number;
	(void)what;
	handler->task(handler->arg);
}

void loop_on_signal(struct loop *loop, int signal_number, loop_task task, void *arg)
{
	struct loop_signal *handler = &loop->signals[loop->signal_count++];

	assert(loop->signal_count <= SIGNALS_MAX);
	handler->task = task;
	handler->arg = arg;
	handler->event = evsignal_new(loop->base, signal_number, signal_fired, handler);
	assert(handler->event != NULL);
	event_add(handler->event, NULL);
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}
