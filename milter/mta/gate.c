/* SPDX-License-Identifier: BSD-2-Clause */
/* The current configuration and the waiting room, behind one lock. Any thread. */
#include "mta/gate.h"

#include "base/text.h"

void gate_init(struct gate *gate, struct config *config, const char *host_name)
{
	text_copy(gate->host_name, sizeof(gate->host_name), host_name);
	pthread_mutex_init(&gate->lock, NULL);
	gate->config = config_get(config);
	gate->waiting = 0;
}

void gate_fini(struct gate *gate)
{
	config_put(gate->config);
	pthread_mutex_destroy(&gate->lock);
}

struct config *gate_config(struct gate *gate)
{
	struct config *config;

	pthread_mutex_lock(&gate->lock);
	config = config_get(gate->config);
	pthread_mutex_unlock(&gate->lock);
	return config;
}

void gate_configure(struct gate *gate, struct config *config, const char *host_name)
{
	struct config *old;

	pthread_mutex_lock(&gate->lock);
	old = gate->config;
	gate->config = config_get(config);
	text_copy(gate->host_name, sizeof(gate->host_name), host_name);
	pthread_mutex_unlock(&gate->lock);
	config_put(old);
}

void gate_note_mta(struct gate *gate, bool is_sendmail)
{
	atomic_store_explicit(&gate->is_sendmail, is_sendmail, memory_order_relaxed);
}

bool gate_mta_is_sendmail(struct gate *gate)
{
	return atomic_load_explicit(&gate->is_sendmail, memory_order_relaxed);
}

bool gate_enter_wait(struct gate *gate, int64_t max_waiting)
{
	bool entered;

	pthread_mutex_lock(&gate->lock);
	entered = gate->waiting < max_waiting;
	if (entered)
		gate->waiting++;
	pthread_mutex_unlock(&gate->lock);
	return entered;
}

void gate_leave_wait(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->waiting--;
	pthread_mutex_unlock(&gate->lock);
}

int64_t gate_waiting(struct gate *gate)
{
	int64_t waiting;

	pthread_mutex_lock(&gate->lock);
	waiting = gate->waiting;
	pthread_mutex_unlock(&gate->lock);
	return waiting;
}

void gate_host_name(struct gate *gate, char *buffer, size_t size)
{
	pthread_mutex_lock(&gate->lock);
	text_copy(buffer, size, gate->host_name);
	pthread_mutex_unlock(&gate->lock);
}
