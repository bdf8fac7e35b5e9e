/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of the daemon: a list of starts, and the same list of stops in reverse. Reload.
 * Signals. Main thread only, which is the loop's.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"
#include "control/control.h"
#include "control/web.h"
#include "daemon/process.h"
#include "daemon/watchdog.h"
#include "io/child.h"
#include "io/log_valve.h"
#include "io/loop.h"
#include "io/secret.h"
#include "io/store.h"
#include "io/tls.h"
#include "memory/canaries.h"
#include "memory/sweep.h"
#include "mta/filter.h"
#include "mta/flush.h"
#include "mta/gate.h"
#include "watch/history.h"
#include "watch/isolation.h"
#include "watch/notices.h"

#define STOP_SECONDS	     7
#define LOOK_AT_OURSELVES_MS 60000
#define BYTES_PER_ENTRY                                                                            \
	256 /* of the store's map: twice what an entry needs, and room for the rest */
#define MAP_MIN (256UL << 20)

struct daemon {
	struct daemon_options options;
	struct config *config;
	struct config *started; /* as it was at the start: what "restart" keys are in force */
	int lock;
	bool crashed; /* the instance before did */
	struct services services;
	struct stats stats;
	struct tls *tls;
	struct store *store;
	struct secret secret;
	struct recipient_lists *lists;
	struct canaries *canaries;
	struct sweep *sweep;
	struct children *children;
	struct notices *notices;
	struct flush *flush;
	struct history *history;
	struct gate gate;
	struct control *control;
	struct web *web;
	struct loop_timer *identity_timer;
	struct loop_timer *valves_timer;
	int exit_code;
};

/* ---- small starts ---- */

static int start_lock(struct daemon *daemon)
{
	const char *socket = daemon->config->milter.socket;
	const char *colon = strchr(socket, ':');

	daemon->lock = process_lock(daemon->config->milter.state_dir, &daemon->crashed);
	if (daemon->lock < 0 && errno == EWOULDBLOCK) {
		log_error("daemon: another instance holds the lock in %s",
			  daemon->config->milter.state_dir);
		return EX_TEMPFAIL;
	}
	if (daemon->lock < 0) {
		log_error("daemon: cannot use state_dir %s: %s", daemon->config->milter.state_dir,
			  strerror(errno));
		return EX_CANTCREAT;
	}
	/* libmilter would remove the socket of a live filter that has another state_dir */
	if (colon != NULL && colon[1] == '/' && process_socket_is_live(colon + 1)) {
		log_error("daemon: another filter listens on %s", socket);
		return EX_TEMPFAIL;
	}
	return EX_OK;
}

static struct dns *dns_start(struct loop *loop, const struct config *config)
{
	struct dns_server *servers = memory_array(config->dns.servers.count, sizeof(*servers));
	struct dns_settings settings = { .servers = servers,
					 .server_count = config->dns.servers.count,
					 .timeout_ms = config->dns.timeout * 1000 };
	struct dns *dns;

	for (size_t i = 0; i < config->dns.servers.count; i++) {
		servers[i].ip = config->dns.servers.items[i].ip;
		servers[i].port = config->dns.servers.items[i].port;
	}
	dns = dns_new(loop, &settings);
	free(servers);
	return dns;
}

/* The file on disk; or, where that can't be had, memory that is gone at exit: we go on answering.
 */
static struct store *store_start(const struct config *config, bool check)
{
	char *path = memory_format("%s/backupmx.mdb", config->milter.state_dir);
	size_t map = (size_t)config->recipients.max_entries * BYTES_PER_ENTRY;
	const char *why = "";
	bool set_aside;
	struct store *store =
		store_lmdb_open(path, map > MAP_MIN ? map : MAP_MIN, check, &set_aside, &why);

	if (store == NULL) {
		log_error("store: cannot open %s: %s; what is learned now is lost at the next stop",
			  path, why);
		store = store_memory_new();
	}
	free(path);
	return store;
}

static void secret_start(struct daemon *daemon)
{
	static const char key[] = "secret";
	struct writer *writer = daemon->services.writer;
	size_t length = 0;

	if (writer_get(writer, STORE_META, key, sizeof(key), &daemon->secret,
		       sizeof(daemon->secret), &length) == STORE_FOUND &&
	    length == sizeof(daemon->secret))
		return;
	secret_random(&daemon->secret);
	writer_put(writer, STORE_META, key, sizeof(key), &daemon->secret, sizeof(daemon->secret));
}

static void use_log_settings(const struct daemon *daemon)
{
	const struct config *config = daemon->config;

	log_set_facility(config->log.facility);
	log_set_level(daemon->options.log_level_given ? daemon->options.log_level
						      : (enum log_level)config->log.level);
}

static void look_at_ourselves(void *arg)
{
	struct daemon *daemon = arg;

	if (identity_refresh(&daemon->services.identity, daemon->config)) {
		log_notice("daemon: this host's names or addresses have changed");
		domains_look_again(daemon->gate.domains);
	}
	loop_timer_start(daemon->identity_timer, LOOK_AT_OURSELVES_MS);
}

static void tell_of_valves(void *arg)
{
	struct daemon *daemon = arg;

	log_valves_tell();
	loop_timer_start(daemon->valves_timer, LOG_VALVES_TELL_MS);
}

/* ---- reload ---- */

static bool same_dns(const struct config *a, const struct config *b)
{
	if (a->dns.timeout != b->dns.timeout || a->dns.servers.count != b->dns.servers.count)
		return false;
	for (size_t i = 0; i < a->dns.servers.count; i++)
		if (!ip_equal(&a->dns.servers.items[i].ip, &b->dns.servers.items[i].ip) ||
		    a->dns.servers.items[i].port != b->dns.servers.items[i].port)
			return false;
	return true;
}

static void replace_dns(struct daemon *daemon, const struct config *config)
{
	struct dns *old = daemon->services.dns;
	struct dns *fresh = dns_start(daemon->services.loop, config);

	if (fresh == NULL) {
		log_error("dns: the resolver refuses the new [dns] settings, the old ones stay");
		return;
	}
	daemon->services.dns = fresh;
	dns_free(old); /* answers what is open with "can't tell": the last good sets stay */
}

/* The name that the tag gives when the MTA doesn't. */
static const char *our_name(const struct daemon *daemon)
{
	return identity_name(&daemon->services.identity);
}

static void apply(struct daemon *daemon, struct config *fresh, bool force)
{
	struct config *old = daemon->config;
	bool new_dns = !same_dns(old, fresh);

	/* what was left out so far is told at the level at which it would have been a line */
	if (old->log.level != fresh->log.level)
		defer_log_tell(daemon->gate.defers);
	daemon->config = fresh;
	use_log_settings(daemon);
	if (new_dns)
		replace_dns(daemon, fresh);
	identity_refresh(&daemon->services.identity, fresh);
	recipient_lists_configure(daemon->lists, fresh, force);
	isolation_watch_configure(daemon->services.isolation, fresh);
	notices_configure(daemon->notices, fresh);
	domains_configure(daemon->gate.domains, fresh);
	callouts_configure(daemon->gate.callouts, fresh);
	canaries_configure(daemon->canaries, fresh);
	sweep_configure(daemon->sweep, fresh);
	flush_configure(daemon->flush, fresh);
	gate_configure(&daemon->gate, fresh, our_name(daemon));
	web_configure(daemon->web, fresh);
	if (new_dns)
		domains_look_again(daemon->gate.domains);
	config_put(old);
}

bool daemon_reload(struct daemon *daemon, bool force, struct config_errors *errors,
		   char *restart_keys, size_t size)
{
	struct config *fresh;

	process_notify("RELOADING=1");
	fresh = config_load(daemon->options.config_path, errors);
	if (fresh == NULL) {
		for (size_t i = 0; i < errors->count; i++)
			log_error("reload: %s", errors->lines[i]);
		log_error("reload: result=refused errors=%zu the old settings stay", errors->count);
	} else {
		config_restart_keys(daemon->started, fresh, restart_keys, size);
		apply(daemon, fresh, force);
		if (restart_keys[0] != '\0')
			log_warning("reload: result=ok restart_needed=\"%s\"", restart_keys);
		else
			log_notice("reload: result=ok domains=%zu", fresh->domain_count);
	}
	stats_note_reload(&daemon->stats, fresh != NULL);
	process_notify("READY=1");
	return fresh != NULL;
}

static bool reload_by_control(void *arg, bool force, struct config_errors *errors,
			      char *restart_keys, size_t size)
{
	return daemon_reload(arg, force, errors, restart_keys, size);
}

static const char *http_problem(void *arg)
{
	struct daemon *daemon = arg;

	return web_problem(daemon->web);
}

static void reload_by_signal(void *arg)
{
	struct config_errors errors = { .lines = NULL };
	char restart_keys[1024] = "";

	daemon_reload(arg, false, &errors, restart_keys, sizeof(restart_keys));
	config_errors_fini(&errors);
}

/* ---- signals ---- */

static void stop_by_signal(void *arg)
{
	struct daemon *daemon = arg;

	log_notice("daemon: stopping");
	loop_stop(daemon->services.loop);
}

static void filter_failed(void *arg)
{
	struct daemon *daemon = arg;

	daemon->exit_code = EX_SOFTWARE;
	loop_stop(daemon->services.loop);
}

/* Only the main thread takes signals: threads inherit a mask that holds them all off. */
static void signals_block(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_BLOCK, &all, before);
}

static void signals_take(struct daemon *daemon, const sigset_t *before)
{
	struct loop *loop = daemon->services.loop;

	loop_on_signal(loop, SIGHUP, reload_by_signal, daemon);
	loop_on_signal(loop, SIGTERM, stop_by_signal, daemon);
	loop_on_signal(loop, SIGINT, stop_by_signal, daemon);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* ---- the list ---- */

static void start_knowledge(struct daemon *daemon)
{
	struct services *services = &daemon->services;

	services->writer = writer_start(daemon->store);
	secret_start(daemon);
	srandom((unsigned)time(NULL) ^ (unsigned)getpid()); /* of probes' jitter */
	daemon->lists = recipient_lists_new(services->loop, daemon->config);
	daemon->gate.recipients = recipients_new(services->writer, daemon->lists);
	daemon->gate.senders = senders_new(services->writer, &daemon->secret);
}

static bool clock_of(void *arg, const char *name, int64_t wall, struct recipient_clock *clock)
{
	struct domain_view view;

	if (!domains_view(arg, name, NULL, &view))
		return false;
	*clock = domain_view_clock(&view, wall);
	return true;
}

static void start_sweep(struct daemon *daemon)
{
	struct sweep_settings settings = { .writer = daemon->services.writer,
					   .recipients = daemon->gate.recipients,
					   .clock = clock_of,
					   .clock_arg = daemon->gate.domains };

	daemon->sweep = sweep_new(&settings, daemon->config);
	sweep_start(daemon->sweep);
}

static void count_transition(void *arg, const struct domain *domain,
			     const struct domain_change *change)
{
	(void)domain;
	if (change->state != change->was) /* else it is forced, and only what is seen changed */
		stats_count_transition(arg, change->state);
}

/* A list of recipients is another: what was unknown before says nothing of it. */
static void count_anew(void *arg, const char *domain)
{
	struct daemon *daemon = arg;

	history_count_anew(daemon->history, domain);
}

static void start_watching(struct daemon *daemon)
{
	struct services *services = &daemon->services;
	struct domains_listener listener = { .recovered = flush_recovered,
					     .latecomer = flush_latecomer,
					     .lost = flush_lost };
	struct domains_watcher counter = { .changed = count_transition, .arg = &daemon->stats };
	struct canaries_settings canaries = { .services = services,
					      .recipients = daemon->gate.recipients };

	identity_init(&services->identity, daemon->config);
	services->clients = smtp_clients_new(services->loop, daemon->tls);
	services->isolation = isolation_watch_new(services, daemon->config);
	daemon->children = children_new(services->loop);
	daemon->notices = notices_new(services, daemon->children, daemon->config);
	daemon->flush = flush_new(services, daemon->children, daemon->config);
	listener.arg = daemon->flush;
	daemon->gate.domains = domains_new(services, daemon->config, &listener);
	flush_set_domains(daemon->flush, daemon->gate.domains);
	domains_watch(daemon->gate.domains, &counter);
	daemon->history = history_new(services, daemon->gate.domains);
	recipient_lists_watch(daemon->lists, count_anew, daemon);
	notices_watch(daemon->notices, daemon->gate.domains);
	daemon->gate.callouts =
		callouts_new(services, daemon->gate.domains, daemon->gate.recipients,
			     &daemon->secret, daemon->config);
	canaries.callouts = daemon->gate.callouts;
	canaries.domains = daemon->gate.domains;
	daemon->canaries = canaries_new(&canaries, daemon->config);
	daemon->identity_timer = loop_timer_new(services->loop, look_at_ourselves, daemon);
	loop_timer_start(daemon->identity_timer, LOOK_AT_OURSELVES_MS);
	daemon->valves_timer = loop_timer_new(services->loop, tell_of_valves, daemon);
	loop_timer_start(daemon->valves_timer, LOG_VALVES_TELL_MS);
}

static int start_doors(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	struct filter_settings filter = { .socket = config->milter.socket,
					  .socket_mode = (int)config->milter.socket_mode,
					  .socket_group = config->milter.socket_group };
	struct control_settings control = { .services = &daemon->services,
					    .gate = &daemon->gate,
					    .flush = daemon->flush,
					    .history = daemon->history,
					    .path = config->milter.control_socket,
					    .reload = reload_by_control,
					    .http_problem = http_problem,
					    .reload_arg = daemon };
	int error;

	daemon->gate.defers = defer_log_new(daemon->services.loop);
	daemon->gate.drills = drills_new(&daemon->services);
	gate_init(&daemon->gate, daemon->config, our_name(daemon));
	process_make_parent(config->milter.control_socket);
	if (process_socket_is_live(config->milter.control_socket)) {
		log_error("control: another daemon listens on %s", config->milter.control_socket);
		return EX_TEMPFAIL;
	}
	daemon->control = control_new(&control);
	if (daemon->control == NULL)
		return EX_CANTCREAT;
	daemon->web = web_new(&control, config);
	error = filter_open(&daemon->gate, &filter);
	if (error != 0)
		return error == -EADDRINUSE ? EX_TEMPFAIL : EX_UNAVAILABLE;
	filter_start(filter_failed, daemon);
	return EX_OK;
}

static struct daemon *give_up(struct daemon *daemon)
{
	control_free(daemon->control); /* no socket that nobody listens at stays behind */
	if (daemon->lock >= 0)	       /* an orderly end, if an early one */
		process_unlock(daemon->lock);
	return NULL;
}

struct daemon *daemon_start(const struct daemon_options *options, struct config *config,
			    int *exit_code)
{
	struct daemon *daemon = memory_alloc(sizeof(*daemon));
	sigset_t before;

	daemon->options = *options;
	daemon->config = config;
	daemon->started = config_get(config);
	stats_init(&daemon->stats, loop_wall_seconds());
	daemon->services.stats = daemon->gate.stats = &daemon->stats;
	use_log_settings(daemon);
	process_raise_limits();
	*exit_code = start_lock(daemon);
	if (*exit_code != EX_OK)
		return give_up(daemon);
	signals_block(&before);
	daemon->services.loop = loop_new();
	daemon->tls = tls_new();
	daemon->services.dns = dns_start(daemon->services.loop, config);
	if (daemon->tls == NULL || daemon->services.dns == NULL) {
		log_error("daemon: OpenSSL or the resolver can't start");
		*exit_code = EX_OSERR;
		return give_up(daemon);
	}
	daemon->store = store_start(config, daemon->crashed);
	start_knowledge(daemon);
	start_watching(daemon);
	start_sweep(daemon);
	*exit_code = start_doors(daemon);
	if (*exit_code != EX_OK)
		return give_up(daemon);
	signals_take(daemon, &before);
	return daemon;
}

int daemon_run(struct daemon *daemon)
{
	struct watchdog *watchdog;

	log_notice("daemon: ready domains=%zu mode=%s", daemon->config->domain_count,
		   daemon->config->milter.mode == CONFIG_MODE_SHADOW ? "shadow" : "enforce");
	if (daemon->config->domain_count == 0 && daemon->config->domains.from_mta)
		log_info("daemon: no domain is configured: they are learned from the MTA");
	else if (daemon->config->domain_count == 0)
		log_warning("daemon: no domain is configured, all mail is left alone; write "
			    "[domain \"example.org\"] into %s",
			    daemon->options.config_path);
	watchdog = watchdog_start(daemon->services.loop);
	process_notify("READY=1");
	loop_run(daemon->services.loop);
	process_notify("STOPPING=1");
	watchdog_free(watchdog);
	return daemon->exit_code;
}

void daemon_stop(struct daemon *daemon)
{
	struct services *services = &daemon->services;
	bool quiet;

	children_stop(daemon->children);
	domains_stop_waits(daemon->gate.domains);
	callouts_stop_waits(daemon->gate.callouts);
	quiet = filter_stop(STOP_SECONDS);
	loop_run_posted(services->loop);
	web_free(daemon->web);
	log_valves_tell();
	flush_stop_waits(daemon->flush);
	control_free(daemon->control);
	history_free(daemon->history);
	if (!quiet) { /* a callback still runs: keep what it stands on, only save */
		log_warning("daemon: a mail session did not end in time");
		children_free(daemon->children);
		defer_log_tell(daemon->gate.defers);
		drills_stop(daemon->gate.drills);
		writer_settle(services->writer);
		process_unlock(daemon->lock);
		return;
	}
	defer_log_free(daemon->gate.defers);
	drills_free(daemon->gate.drills);
	sweep_stop(daemon->sweep);
	sweep_free(daemon->sweep);
	callouts_free(daemon->gate.callouts);
	canaries_free(daemon->canaries);
	flush_free(daemon->flush);
	loop_timer_free(daemon->identity_timer);
	loop_timer_free(daemon->valves_timer);
	domains_free(daemon->gate.domains);
	isolation_watch_free(services->isolation);
	notices_free(daemon->notices);
	children_free(daemon->children);
	recipients_free(daemon->gate.recipients);
	recipient_lists_free(daemon->lists);
	senders_free(daemon->gate.senders);
	gate_fini(&daemon->gate);
	smtp_clients_free(services->clients);
	dns_free(services->dns);
	tls_free(daemon->tls);
	writer_stop(services->writer);
	store_close(daemon->store);
	identity_fini(&services->identity);
	loop_free(services->loop);
	config_put(daemon->started);
	config_put(daemon->config);
	process_unlock(daemon->lock);
	free(daemon);
}
