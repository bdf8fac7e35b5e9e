/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Canaries and observers: what those who ask from inside the program are told, by a real loop and
 * real sessions with a small primary on loopback.
 */
#include "core/stats.h"
#include "memory/callouts.h"
#include "watch/isolation.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT_MS 20000

/* ---- a primary: "RCPT TO:<say-550-5.1.1@...>" gets "550 5.1.1"; alice and bob get what `users`
 * says, others are unknown ---- */

struct primary {
	int listener;
	int port;
	pthread_t thread;
	_Atomic(const char *) mail;
	_Atomic(const char *) users;
	atomic_int mails; /* sessions' MAIL commands, over all */
	atomic_int rcpts;
};

struct connection {
	struct primary *primary;
	int fd;
};

static void say(int fd, const char *reply)
{
	char line[128];
	int length = snprintf(line, sizeof(line), "%s\r\n", reply);

	(void)!write(fd, line, (size_t)length);
}

static void answer_rcpt(struct connection *connection, const char *argument)
{
	char code[8], enhanced[16], reply[64];

	connection->primary->rcpts++;
	if (sscanf(argument, "TO:<say-%7[0-9]-%15[0-9.]@", code, enhanced) == 2)
		snprintf(reply, sizeof(reply), "%s %s", code, enhanced);
	else if (strncmp(argument, "TO:<alice@", 10) == 0 || strncmp(argument, "TO:<bob@", 8) == 0)
		snprintf(reply, sizeof(reply), "%s", connection->primary->users);
	else
		snprintf(reply, sizeof(reply), "550 5.1.1 unknown");
	say(connection->fd, reply);
}

static bool answer(struct connection *connection, const char *line)
{
	if (strncmp(line, "MAIL ", 5) == 0) {
		connection->primary->mails++;
		say(connection->fd, connection->primary->mail);
	} else if (strncmp(line, "RCPT ", 5) == 0) {
		answer_rcpt(connection, line + 5);
	} else if (strncmp(line, "QUIT", 4) == 0) {
		say(connection->fd, "221 bye");
		return false;
	} else {
		say(connection->fd, "250 ok");
	}
	return true;
}

static void *serve_one(void *arg)
{
	struct connection *connection = arg;
	FILE *in = fdopen(dup(connection->fd), "r");
	char line[600];

	say(connection->fd, "220 mx1.example.test");
	while (fgets(line, sizeof(line), in) != NULL && answer(connection, line))
		;
	fclose(in);
	close(connection->fd);
	free(connection);
	return NULL;
}

static void *serve(void *arg)
{
	struct primary *primary = arg;
	pthread_t thread;
	int fd;

	while ((fd = accept(primary->listener, NULL, NULL)) >= 0) {
		struct connection *connection = malloc(sizeof(*connection));

		*connection = (struct connection){ .primary = primary, .fd = fd };
		pthread_create(&thread, NULL, serve_one, connection);
		pthread_detach(thread);
	}
	return NULL;
}

static void primary_start(struct primary *primary)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1) };
	socklen_t length = sizeof(address);

	primary->mail = "250 ok";
	primary->users = "250 2.1.5 ok";
	primary->mails = 0;
	primary->rcpts = 0;
	primary->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(primary->listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(primary->listener, 16), 0);
	getsockname(primary->listener, (struct sockaddr *)&address, &length);
	primary->port = ntohs(address.sin_port);
	pthread_create(&primary->thread, NULL, serve, primary);
}

static void primary_stop(struct primary *primary)
{
	shutdown(primary->listener, SHUT_RDWR);
	close(primary->listener);
	pthread_join(primary->thread, NULL);
}

/* ---- the world ---- */

struct heard {
	char local[MAIL_LOCAL_MAX + 1];
	enum canary_answer answer;
	int64_t at_ms;
};

struct world {
	struct primary primary;
	struct config *config;
	struct services services;
	struct stats stats;
	struct tls *tls;
	struct store *store;
	struct recipient_lists *lists;
	struct recipients *recipients;
	struct domains *domains;
	struct callouts *callouts;
	bool inside; /* a call of ours into callouts */
	struct heard heard[16];
	size_t heard_count;
	char observed[1024];
	bool ask_when_observed;
};

static void nobody(void *arg, const char *domain)
{
	(void)arg;
	(void)domain;
}

static void nobody_recovered(void *arg, const char *domain, unsigned long mails)
{
	(void)mails;
	nobody(arg, domain);
}

static void canary_done(void *arg, const char *domain, const char *local, enum canary_answer answer)
{
	struct world *world = arg;
	struct heard *heard = &world->heard[world->heard_count];

	assert_false(world->inside);
	assert_string_equal(domain, "example.test");
	assert_true(world->heard_count < 16);
	snprintf(heard->local, sizeof(heard->local), "%s", local);
	heard->answer = answer;
	heard->at_ms = loop_now_ms();
	world->heard_count++;
}

static bool ask(struct world *world, const char *domain, const char *local)
{
	bool asked;

	world->inside = true;
	asked = callouts_ask_canary(world->callouts, domain, local, canary_done, world);
	world->inside = false;
	return asked;
}

static void observe(struct world *world, const char *what)
{
	strncat(world->observed, what, sizeof(world->observed) - strlen(world->observed) - 1);
	if (world->ask_when_observed)
		assert_true(ask(world, "example.test", "say-250-2.1.5"));
}

static void reasked(void *arg, const char *domain, bool turned_invalid)
{
	assert_string_equal(domain, "example.test");
	observe(arg, turned_invalid ? "turned " : "confirmed ");
}

static void control_failed(void *arg, const char *domain)
{
	assert_string_equal(domain, "example.test");
	observe(arg, "control ");
}

static void accepted(void *arg, const char *domain, const char *local)
{
	char what[MAIL_LOCAL_MAX + 16];

	assert_string_equal(domain, "example.test");
	snprintf(what, sizeof(what), "accepted:%s ", local);
	observe(arg, what);
}

static void load_config(struct world *world, const char *recipients)
{
	struct config_errors errors = { .lines = NULL };
	char ini[1024];

	snprintf(ini, sizeof(ini),
		 "[milter]\nsocket = inet:1@127.0.0.1\nmy_names = {mx2.example.net}\n"
		 "[dns]\nservers = {\"127.0.0.1:1\"}\ntimeout = 1s\n"
		 "[probe]\ninterval = 1s\nfast_interval = 1s\ndown_interval = 1s\n"
		 "helo_name = mx2.example.net\n"
		 "[recipients]\n%s\n"
		 "[domain \"example.test\"]\nprimary = {\"[127.0.0.2]:%d\"}\n",
		 recipients, world->primary.port);
	world->config = config_load_bytes("test", ini, strlen(ini), &errors);
	if (world->config == NULL)
		fail_msg("%s", errors.lines[0]);
}

static void world_start(struct world *world, const char *recipients)
{
	static const struct secret secret = { { 1, 2, 3 } };
	static const struct domains_listener listener = { nobody_recovered, nobody, nobody, NULL };
	struct dns_server server = { .port = 1 }; /* nobody there */
	struct dns_settings dns = { .servers = &server, .server_count = 1, .timeout_ms = 1000 };
	struct services *services = &world->services;

	memset(world, 0, sizeof(*world));
	primary_start(&world->primary);
	assert_true(ip_parse("127.0.0.1", &server.ip));
	load_config(world, recipients);
	services->stats = &world->stats;
	services->loop = loop_new();
	world->tls = tls_new();
	services->dns = dns_new(services->loop, &dns);
	services->clients = smtp_clients_new(services->loop, world->tls);
	world->store = store_memory_new();
	services->writer = writer_start(world->store);
	identity_init(&services->identity, world->config);
	world->lists = recipient_lists_new(services->loop, world->config);
	world->recipients = recipients_new(services->writer, world->lists);
	services->isolation = isolation_watch_new(services, world->config);
	world->domains = domains_new(services, world->config, &listener);
	world->callouts =
		callouts_new(services, world->domains, world->recipients, &secret, world->config);
}

static void world_stop(struct world *world)
{
	struct services *services = &world->services;

	if (world->callouts != NULL)
		callouts_free(world->callouts);
	domains_free(world->domains);
	isolation_watch_free(services->isolation);
	recipients_free(world->recipients);
	recipient_lists_free(world->lists);
	smtp_clients_free(services->clients);
	dns_free(services->dns);
	tls_free(world->tls);
	writer_stop(services->writer);
	store_close(world->store);
	identity_fini(&services->identity);
	loop_free(services->loop);
	config_put(world->config);
	primary_stop(&world->primary);
}

/* ---- running the loop until something is so ---- */

struct wait {
	struct world *world;
	bool (*is_so)(struct world *world);
	int64_t until_ms;
	struct loop_timer *timer;
};

static void look(void *arg)
{
	struct wait *wait = arg;

	if (wait->is_so(wait->world) || loop_now_ms() > wait->until_ms)
		loop_stop(wait->world->services.loop);
	else
		loop_timer_start(wait->timer, 5);
}

static void run_until(struct world *world, bool (*is_so)(struct world *world), int64_t limit_ms)
{
	struct wait wait = { world, is_so, loop_now_ms() + limit_ms, NULL };

	wait.timer = loop_timer_new(world->services.loop, look, &wait);
	loop_timer_start(wait.timer, 0);
	loop_run(world->services.loop);
	loop_timer_free(wait.timer);
}

static bool is_up(struct world *world)
{
	const struct domain *domain = domains_find(world->domains, "example.test");

	return domain != NULL && domain_endpoint_up(domain) != NULL;
}

static bool heard_5(struct world *world)
{
	return world->heard_count >= 5;
}

static bool heard_2(struct world *world)
{
	return world->heard_count >= 2;
}

static bool heard_1(struct world *world)
{
	return world->heard_count >= 1;
}

static bool never(struct world *world)
{
	(void)world;
	return false;
}

static enum recipient_status status_of(struct world *world, const char *local)
{
	struct recipient_found found;
	struct recipient_question question = {
		.config = world->config,
		.domain = "example.test",
		.local = local,
		.clock = { .now = loop_wall_seconds(), .primary_up = true },
	};

	recipients_find(world->recipients, &question, &found);
	return found.status;
}

/* ---- canaries ---- */

/* No callouts at all and a single refusal in ten minutes: canaries go out all the same. */
#define STINGY "callout = no\ncallout_refusals = 1\ncallout_rate = 1\ncallouts_per_client = 1"

static void test_answers(void **state)
{
	static const struct {
		const char *local;
		enum canary_answer answer;
		enum recipient_status kept;
	} table[] = {
		{ "say-550-5.1.1", CANARY_REFUSED, RECIPIENT_UNKNOWN },
		{ "say-554-5.7.1", CANARY_REFUSED, RECIPIENT_UNKNOWN },
		{ "say-451-4.7.1", CANARY_LATER, RECIPIENT_UNKNOWN },
		{ "say-552-5.2.2", CANARY_NO_ANSWER, RECIPIENT_UNKNOWN },
		{ "say-250-2.1.5", CANARY_ACCEPTED, RECIPIENT_VALID },
	};
	struct world world;

	(void)state;
	world_start(&world, STINGY);
	assert_false(ask(&world, "example.test", "early")); /* nothing was probed yet */
	assert_false(ask(&world, "elsewhere.test", "alice"));
	run_until(&world, is_up, LIMIT_MS);
	for (size_t i = 0; i < 5; i++)
		assert_true(ask(&world, "example.test", table[i].local));
	run_until(&world, heard_5, LIMIT_MS);
	assert_int_equal(world.heard_count, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_string_equal(world.heard[i].local, table[i].local);
		assert_int_equal(world.heard[i].answer, table[i].answer);
		assert_int_equal(status_of(&world, table[i].local), table[i].kept);
	}
	/* one a second, and nothing besides: no invented name, no control */
	assert_true(world.heard[4].at_ms - world.heard[0].at_ms >= 3500);
	assert_int_equal(world.primary.rcpts, 5);
	world_stop(&world);
}

static void test_mail_refused(void **state)
{
	struct world world;

	(void)state;
	world_start(&world, STINGY);
	run_until(&world, is_up, LIMIT_MS);
	world.primary.mail = "550 5.7.1 not you";
	assert_true(ask(&world, "example.test", "alice"));
	run_until(&world, heard_1, LIMIT_MS);
	world.primary.mail = "451 4.3.0 not now";
	assert_true(ask(&world, "example.test", "alice"));
	run_until(&world, heard_2, LIMIT_MS);
	assert_int_equal(world.heard[0].answer, CANARY_REFUSED);
	assert_int_equal(world.heard[1].answer, CANARY_LATER);
	assert_int_equal(status_of(&world, "alice"), RECIPIENT_UNKNOWN);
	world_stop(&world);
}

static void test_primary_gone(void **state)
{
	struct world world;

	(void)state;
	world_start(&world, STINGY);
	run_until(&world, is_up, LIMIT_MS);
	primary_stop(&world.primary);
	assert_true(ask(&world, "example.test", "alice"));
	assert_true(ask(&world, "example.test", "bob"));
	run_until(&world, heard_2, LIMIT_MS);
	assert_int_equal(world.heard_count, 2);
	assert_int_equal(world.heard[0].answer, CANARY_NO_ANSWER);
	assert_int_equal(world.heard[1].answer, CANARY_NO_ANSWER);
	primary_start(&world.primary);
	world_stop(&world);
}

/* Some wait in line, one is perhaps being asked: nobody hears of them any more. */
static void test_freed_while_asking(void **state)
{
	struct world world;

	(void)state;
	world_start(&world, STINGY);
	run_until(&world, is_up, LIMIT_MS);
	for (int i = 0; i < 5; i++)
		assert_true(ask(&world, "example.test", "alice"));
	run_until(&world, heard_1, LIMIT_MS);
	callouts_free(world.callouts);
	world.callouts = NULL;
	run_until(&world, never, 1500);
	assert_true(world.heard_count < 5);
	world_stop(&world);
}

/* ---- observers ---- */

static const char *awaited; /* in world->observed */

static bool is_observed(struct world *world)
{
	return strstr(world->observed, awaited) != NULL;
}

static void learn(struct world *world, const char *local, const char *until)
{
	struct ip client = { .family = IP_NONE };
	struct callout_request request = {
		.domain = "example.test", .local = local, .is_ascii = true, .client = &client
	};

	world->observed[0] = '\0';
	callouts_learn(world->callouts, &request);
	awaited = until;
	run_until(world, is_observed, LIMIT_MS);
}

static void test_observers(void **state)
{
	struct world world;
	struct callouts_observer observer = { reasked, control_failed, accepted, &world };

	(void)state;
	world_start(&world, "callout_rate = 1000\ncallouts_per_client = 1000");
	callouts_observe(world.callouts, &observer);
	run_until(&world, is_up, LIMIT_MS);
	world.ask_when_observed = true; /* whoever hears something may ask at once */
	learn(&world, "alice", "accepted:alice ");
	assert_string_equal(world.observed, "accepted:alice ");
	learn(&world, "alice", "accepted:alice ");
	assert_string_equal(world.observed, "confirmed accepted:alice ");
	/* the only one known: no control, the refusal is held against it */
	world.primary.users = "550 5.1.1 no such user";
	learn(&world, "alice", "turned ");
	assert_string_equal(world.observed, "turned ");
	world.primary.users = "250 2.1.5 ok";
	learn(&world, "bob", "accepted:bob ");
	assert_string_equal(world.observed, "accepted:bob ");
	/* both refused: the control fails, and nothing is said of the one asked about */
	world.primary.users = "550 5.1.1 no such user";
	learn(&world, "alice", "control ");
	assert_string_equal(world.observed, "control ");
	/* a full mailbox proves nothing */
	world.primary.users = "552 5.2.2 full";
	learn(&world, "bob", "confirmed ");
	assert_string_equal(world.observed, "confirmed ");
	run_until(&world, heard_5, LIMIT_MS);
	assert_true(world.heard_count >= 5);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),	     cmocka_unit_test(test_mail_refused),
		cmocka_unit_test(test_primary_gone), cmocka_unit_test(test_freed_while_asking),
		cmocka_unit_test(test_observers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
