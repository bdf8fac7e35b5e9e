/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * c-ares on libevent: one event per socket it opens, one timer for all its timeouts.
 * Loop thread only.
 */
#define CARES_NO_DEPRECATED /* ares_query() is the one call that 1.18 and 1.34 both have */
#include "io/dns.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <assert.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <uthash.h>

#include "base/memory.h"
#include "base/text.h"

#define TRIES	      3
#define ADDRESSES_MAX 64
#define HEADER_SIZE   12
#define RR_FIXED_SIZE 10 /* type, class, TTL, length */

struct watch {
	UT_hash_handle hh;
	ares_socket_t fd;
	struct event *event;
	struct dns *dns;
};

struct dns {
	struct loop *loop;
	ares_channel channel;
	struct watch *watches;
	struct event *timeout;
};

struct question {
	enum ip_family family; /* IP_NONE: MX */
	dns_done done;
	dns_records_done records_done; /* instead of `done` */
	void *arg;
};

static void rearm_timeout(struct dns *dns)
{
	struct timeval buffer;
	struct timeval *next = ares_timeout(dns->channel, NULL, &buffer);

	if (next != NULL)
		event_add(dns->timeout, next);
	else
		event_del(dns->timeout);
}

static void timeout_fired(evutil_socket_t fd, short what, void *arg)
{
	struct dns *dns = arg;

	(void)fd;
	(void)what;
	ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	rearm_timeout(dns);
}

static void socket_ready(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;
	struct dns *dns = watch->dns; /* the watch may go while c-ares works */

	ares_process_fd(dns->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
			what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	rearm_timeout(dns);
}

static void watch_free(struct watch *watch)
{
	HASH_DEL(watch->dns->watches, watch);
	event_free(watch->event);
	free(watch);
}

static void socket_wanted(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct dns *dns = arg;
	struct watch *watch;
	short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));

	HASH_FIND(hh, dns->watches, &fd, sizeof(fd), watch);
	if (watch != NULL)
		watch_free(watch);
	if (!readable && !writable)
		return;
	watch = memory_alloc(sizeof(*watch));
	watch->fd = fd;
	watch->dns = dns;
	watch->event = event_new(loop_base(dns->loop), fd, what, socket_ready, watch);
	assert(watch->event != NULL);
	event_add(watch->event, NULL);
	HASH_ADD(hh, dns->watches, fd, sizeof(watch->fd), watch);
}

static int set_servers(ares_channel channel, const struct dns_settings *settings)
{
	char list[4096];
	TEXT_ON(text, list);

	for (size_t i = 0; i < settings->server_count; i++) {
		const struct dns_server *server = &settings->servers[i];
		char ip[IP_TEXT_MAX];

		ip_format(&server->ip, ip, sizeof(ip));
		/* c-ares takes brackets around IPv6 only */
		text_add_format(&text, server->ip.family == IP_V6 ? "%s[%s]:%u" : "%s%s:%u",
				i > 0 ? "," : "", ip, server->port != 0 ? server->port : 53u);
	}
	return ares_set_servers_ports_csv(channel, list);
}

struct dns *dns_new(struct loop *loop, const struct dns_settings *settings)
{
	struct dns *dns = memory_alloc(sizeof(*dns));
	/* c-ares doubles the wait at each try: 1 + 2 + 4 parts make the whole */
	struct ares_options options = {
		.timeout = (int)(settings->timeout_ms / ((1 << TRIES) - 1)),
		.tries = TRIES,
		.sock_state_cb = socket_wanted,
		.sock_state_cb_data = dns,
	};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;

	dns->loop = loop;
	dns->timeout = evtimer_new(loop_base(loop), timeout_fired, dns);
	assert(dns->timeout != NULL);
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		goto fail;
	if (ares_init_options(&dns->channel, &options, mask) != ARES_SUCCESS)
		goto fail_library;
	if (settings->server_count == 0 || set_servers(dns->channel, settings) == ARES_SUCCESS)
		return dns;
	ares_destroy(dns->channel);
fail_library:
	ares_library_cleanup();
fail:
	event_free(dns->timeout);
	free(dns);
	return NULL;
}

void dns_free(struct dns *dns)
{
	struct watch *watch, *next;

	if (dns == NULL)
		return;
	ares_destroy(dns->channel);
	HASH_ITER(hh, dns->watches, watch, next)
		watch_free(watch);
	event_free(dns->timeout);
	ares_library_cleanup();
	free(dns);
}

static int64_t ttl_bounded(int64_t ttl)
{
	if (ttl < DNS_TTL_FLOOR)
		return DNS_TTL_FLOOR;
	return ttl > DNS_TTL_CEILING ? DNS_TTL_CEILING : ttl;
}

/* Steps over a name in the message; -1 when it is malformed. */
static long name_length(const unsigned char *at, const unsigned char *message, int length)
{
	char *name;
	long used;

	if (ares_expand_name(at, message, length, &name, &used) != ARES_SUCCESS)
		return -1;
	ares_free_string(name);
	return used;
}

/* The lowest TTL of the answer section: ares_parse_mx_reply() of c-ares 1.18 keeps it to itself. */
static int64_t lowest_ttl(const unsigned char *message, int length)
{
	const unsigned char *at = message + HEADER_SIZE;
	const unsigned char *end = message + length;
	int64_t lowest = DNS_TTL_CEILING;
	unsigned answers;
	long used;

	if (length < HEADER_SIZE)
		return DNS_TTL_FLOOR;
	answers = (unsigned)message[6] << 8 | message[7];
	used = name_length(at, message, length);
	if (used < 0 || end - at < used + 4)
		return DNS_TTL_FLOOR;
	at += used + 4; /* the question: type and class */
	while (answers-- > 0) {
		int64_t ttl;

		used = name_length(at, message, length);
		if (used < 0 || end - at < used + RR_FIXED_SIZE)
			break;
		at += used;
		ttl = (int64_t)at[4] << 24 | (int64_t)at[5] << 16 | (int64_t)at[6] << 8 | at[7];
		if (ttl < lowest)
			lowest = ttl;
		used = RR_FIXED_SIZE + ((long)at[8] << 8 | at[9]);
		if (end - at < used)
			break;
		at += used;
	}
	return ttl_bounded(lowest);
}

static enum dns_status status_of(int code)
{
	switch (code) {
	case ARES_SUCCESS:
		return DNS_FOUND;
	case ARES_ENODATA:
		return DNS_NO_DATA;
	case ARES_ENOTFOUND:
		return DNS_NO_DOMAIN;
	default:
		return DNS_FAILED;
	}
}

static void answer_empty(const struct question *question, enum dns_status status)
{
	struct dns_answer answer = { .status = status, .ttl = DNS_TTL_FLOOR };

	question->done(question->arg, &answer);
}

static void answer_mx(const struct question *question, const unsigned char *message, int length)
{
	struct dns_mx found[MXSET_HOSTS_MAX];
	struct dns_answer answer = { .status = DNS_FOUND, .mx = found };
	struct ares_mx_reply *list = NULL;
	int code = ares_parse_mx_reply(message, length, &list);

	if (code != ARES_SUCCESS) {
		answer_empty(question, status_of(code));
		return;
	}
	for (struct ares_mx_reply *mx = list; mx != NULL && answer.mx_count < MXSET_HOSTS_MAX;
	     mx = mx->next) {
		struct dns_mx *slot = &found[answer.mx_count];

		slot->preference = mx->priority;
		if (mxset_name_copy(slot->name, sizeof(slot->name), mx->host))
			answer.mx_count++;
	}
	ares_free_data(list);
	answer.ttl = lowest_ttl(message, length);
	question->done(question->arg, &answer);
}

static void add_v4(struct ip *found, size_t *count, const struct ares_addrttl *records, int n)
{
	for (int i = 0; i < n; i++) {
		struct ip *ip = &found[(*count)++];

		*ip = (struct ip){ .family = IP_V4 };
		memcpy(ip->bytes, &records[i].ipaddr, 4);
	}
}

static void add_v6(struct ip *found, size_t *count, const struct ares_addr6ttl *records, int n)
{
	for (int i = 0; i < n; i++) {
		struct ip *ip = &found[(*count)++];

		*ip = (struct ip){ .family = IP_V6 };
		memcpy(ip->bytes, &records[i].ip6addr, 16);
	}
}

static void answer_addresses(const struct question *question, const unsigned char *message,
			     int length)
{
	struct ip found[ADDRESSES_MAX];
	struct ares_addrttl v4[ADDRESSES_MAX];
	struct ares_addr6ttl v6[ADDRESSES_MAX];
	struct dns_answer answer = { .status = DNS_FOUND, .addresses = found };
	int n = ADDRESSES_MAX;
	int code;

	if (question->family == IP_V4)
		code = ares_parse_a_reply(message, length, NULL, v4, &n);
	else
		code = ares_parse_aaaa_reply(message, length, NULL, v6, &n);
	if (code != ARES_SUCCESS) {
		answer_empty(question, status_of(code));
		return;
	}
	if (question->family == IP_V4)
		add_v4(found, &answer.address_count, v4, n);
	else
		add_v6(found, &answer.address_count, v6, n);
	if (answer.address_count == 0)
		answer.status = DNS_NO_DATA;
	answer.ttl = lowest_ttl(message, length);
	question->done(question->arg, &answer);
}

/* c-ares gives the message of an answer without records, too. */
static void answer_records(const struct question *question, enum dns_status status,
			   const unsigned char *message, int length)
{
	struct dns_record *records = NULL;
	int count = 0;

	if (status != DNS_FAILED && message != NULL)
		count = dns_records_read(message, (size_t)length, &records);
	if (count < 0 && status == DNS_FOUND)
		status = DNS_FAILED;
	question->records_done(question->arg, status, records, count > 0 ? (size_t)count : 0);
	dns_records_free(records, count > 0 ? (size_t)count : 0);
}

static void question_answered(void *arg, int code, int timeouts, unsigned char *message, int length)
{
	struct question *question = arg;

	(void)timeouts;
	if (question->records_done != NULL)
		answer_records(question, status_of(code), message, length);
	else if (code != ARES_SUCCESS)
		answer_empty(question, status_of(code));
	else if (question->family == IP_NONE)
		answer_mx(question, message, length);
	else
		answer_addresses(question, message, length);
	free(question);
}

static void ask(struct dns *dns, const char *name, int type, struct question asked)
{
	struct question *question = memory_alloc(sizeof(*question));

	*question = asked;
	ares_query(dns->channel, name, ns_c_in, type, question_answered, question);
	rearm_timeout(dns);
}

void dns_ask_mx(struct dns *dns, const char *name, dns_done done, void *arg)
{
	ask(dns, name, ns_t_mx, (struct question){ .done = done, .arg = arg });
}

void dns_ask_addresses(struct dns *dns, const char *name, enum ip_family family, dns_done done,
		       void *arg)
{
	ask(dns, name, family == IP_V4 ? ns_t_a : ns_t_aaaa,
	    (struct question){ .family = family, .done = done, .arg = arg });
}

void dns_ask_records(struct dns *dns, const char *name, enum dns_type type, dns_records_done done,
		     void *arg)
{
	ask(dns, name, (int)type, (struct question){ .records_done = done, .arg = arg });
}
