/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rounds of flushes: a list of jobs with due times, and one under way at a time, at most one a
 * second. By ETRN it is one SMTP session to the MTA while something is due; by command a program
 * for each. Loop thread only.
 */
#include "mta/flush.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/command.h"
#include "core/smtp_reply.h"
#include "core/stats.h"
#include "io/spawn.h"
#include "watch/lookup.h"

#define SPACING_MS 1000
#define LINGER_MS  2500 /* a session stays open when the next job is due this soon */
#define CONNECT_MS 10000
#define REPLY_MS   30000
#define COMMAND_MS 30000

static const int64_t rounds_ms[] = { 0, 10000, 120000, 600000 }; /* after the recovery */
#define ROUNDS (sizeof(rounds_ms) / sizeof(rounds_ms[0]))

struct job {
	struct job *prev, *next;
	char domain[MAIL_DOMAIN_MAX + 1];
	unsigned long mails;
	int64_t begun_ms;
	size_t round; /* ROUNDS: the last one; an operator's has only that */
	int64_t due_ms;
	flush_done done;
	void *arg;
};

struct flush {
	struct services *services;
	struct domains *domains;
	struct config *config;
	struct loop_timer *timer;
	struct job *jobs;
	struct job *current; /* sent or started, waiting for its end; still in `jobs` */
	struct children *children;
	struct child *child; /* the command of `current` */
	struct smtp_client *session;
	bool open;
	struct lookup *lookup; /* of the MTA's name */
	struct ip mta_ip;
	int64_t last_sent_ms;
	char helo[MAIL_DOMAIN_MAX + 1];
};

static void run(void *arg);

/* Of those that are due, domains with mail come first: one a second is little after an outage of
 * all. */
static bool goes_before(const struct job *a, const struct job *b)
{
	int64_t now = loop_now_ms();

	if (a->due_ms <= now && b->due_ms <= now && (a->mails > 0) != (b->mails > 0))
		return a->mails > 0;
	return a->due_ms < b->due_ms;
}

static struct job *earliest(struct flush *flush)
{
	struct job *best = NULL;
	struct job *job;

	DL_FOREACH(flush->jobs, job)
		if (best == NULL || goes_before(job, best))
			best = job;
	return best;
}

static void close_session(struct flush *flush)
{
	if (flush->session != NULL)
		smtp_client_quit(flush->session);
	flush->session = NULL;
	flush->open = false;
}

static void schedule(struct flush *flush)
{
	struct job *job = earliest(flush);
	int64_t wait;

	if (job == NULL || flush->current != NULL || flush->lookup != NULL)
		return;
	wait = job->due_ms - loop_now_ms();
	if (flush->open && wait > LINGER_MS)
		close_session(flush);
	if (flush->last_sent_ms + SPACING_MS > loop_now_ms() + wait)
		wait = flush->last_sent_ms + SPACING_MS - loop_now_ms();
	loop_timer_start(flush->timer, wait > 0 ? wait : 0);
}

static void close_if_idle(struct flush *flush)
{
	if (flush->jobs == NULL)
		close_session(flush);
}

/* The job has had its turn: it waits for the next round, or goes. */
static void job_next_round(struct flush *flush, struct job *job)
{
	job->round++;
	if (job->round < ROUNDS) {
		job->due_ms = job->begun_ms + rounds_ms[job->round];
		return;
	}
	DL_DELETE(flush->jobs, job);
	free(job);
}

static void log_result(const struct job *job, const struct flush_result *result)
{
	bool by_command = strcmp(result->method, "command") == 0;
	char line[1024];
	TEXT_ON(text, line);

	text_add(&text, "flush: ");
	text_add_pair(&text, "domain", job->domain);
	text_add_pair(&text, "method", result->method);
	if (result->why != NULL)
		text_add_pair(&text, "reason", result->why);
	else
		text_add_format(&text, " %s=%d", by_command ? "status" : "reply", result->code);
	text_add_format(&text, " mails=%lu", job->mails);
	if (!result->taken && result->text[0] != '\0')
		text_add_pair(&text, "text", result->text);
	log_line(result->taken ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, "%s", line);
}

/* What waits has been flushed, unless its primary has gone again meanwhile. */
static void note_flushed(const struct flush *flush, const char *name)
{
	struct domain *domain = domains_find(flush->domains, name);

	if (domain != NULL && domain_delivers(domain))
		domain_flushed(domain);
}

static enum stats_flush outcome(const struct flush_result *result)
{
	if (result->why != NULL)
		return STATS_FLUSH_FAILED;
	return result->taken ? STATS_FLUSH_OK : STATS_FLUSH_REFUSED;
}

/* A job has had its turn. */
static void job_take(struct flush *flush, struct job *job, const struct flush_result *result)
{
	log_result(job, result);
	stats_count_flush(flush->services->stats, outcome(result));
	if (result->taken)
		note_flushed(flush, job->domain);
	if (job->done != NULL)
		job->done(job->arg, result);
	job_next_round(flush, job);
}

static void take_current(struct flush *flush, const struct flush_result *result)
{
	struct job *job = flush->current;

	flush->current = NULL;
	job_take(flush, job, result);
	close_if_idle(flush);
	schedule(flush);
}

/* ---- by ETRN ---- */

static void take_reply(void *arg, const struct smtp_reply *reply)
{
	struct flush_result result = { .taken = reply->code >= 200 && reply->code < 300,
				       .method = "etrn",
				       .code = reply->code,
				       .text = reply->text };

	take_current(arg, &result);
}

/* The MTA can't be talked to: what is due now waits for its next round. */
static void fail_due(struct flush *flush, enum health_reason reason)
{
	struct flush_result result = { .method = "etrn",
				       .why = health_reason_name(reason),
				       .text = "" };
	int64_t now = loop_now_ms();
	struct job *job, *next;

	flush->current = NULL;
	DL_FOREACH_SAFE(flush->jobs, job, next)
		if (job->due_ms <= now)
			job_take(flush, job, &result);
	schedule(flush);
}

static void session_ended(void *arg, enum health_reason reason)
{
	struct flush *flush = arg;

	flush->session = NULL;
	flush->open = false;
	fail_due(flush, reason);
}

static void session_open(void *arg)
{
	struct flush *flush = arg;

	flush->open = true;
	run(flush);
}

static void session_start(struct flush *flush)
{
	static const struct smtp_client_handlers handlers = { session_open, take_reply,
							      session_ended };
	const struct config_endpoint *mta = &flush->config->flush.mta;
	struct smtp_client_settings settings = {
		.endpoint = { .ip = flush->mta_ip, .port = mta->port != 0 ? mta->port : 25 },
		.plan = { .helo = flush->helo, .level = HEALTH_LEVEL_EHLO },
		.connect_timeout_ms = CONNECT_MS,
		.reply_timeout_ms = REPLY_MS,
	};

	text_copy(flush->helo, sizeof(flush->helo), flush->services->identity.host_name);
	flush->session = smtp_client_start(flush->services->clients, &settings, &handlers, flush);
}

static void mta_found(void *arg, struct lookup_result *result)
{
	struct flush *flush = arg;

	flush->lookup = NULL;
	if (result->set.count == 0 || result->set.hosts[0].address_count == 0) {
		fail_due(flush, HEALTH_DNS_FAIL);
		return;
	}
	flush->mta_ip = result->set.hosts[0].addresses[0];
	session_start(flush);
}

/* The MTA's address: given as such, "localhost", or to be looked up. */
static void find_mta(struct flush *flush)
{
	const struct config_endpoint *mta = &flush->config->flush.mta;
	struct mxset hosts = { .hosts = NULL };
	struct mxset none = { .hosts = NULL };

	flush->mta_ip = mta->ip;
	if (mta->ip.family != IP_NONE ||
	    (strcmp(mta->host, "localhost") == 0 && ip_parse("127.0.0.1", &flush->mta_ip))) {
		session_start(flush);
		return;
	}
	mxset_add_host(&hosts, mta->host, 0);
	flush->lookup = lookup_hosts(flush->services->dns, flush->services->loop, &hosts, &none,
				     mta_found, flush);
	mxset_fini(&hosts);
}

/* ---- by command ---- */

static void command_ended(void *arg, const struct child_result *child)
{
	struct flush *flush = arg;
	char word[32];
	struct flush_result result = { .taken = child_succeeded(child),
				       .method = "command",
				       .code = child->code,
				       .text = child->last };

	if (child->end != CHILD_EXITED)
		result.why = child_result_name(child, word, sizeof(word));
	flush->child = NULL;
	take_current(flush, &result);
}

static void run_command(struct flush *flush, const char *domain)
{
	const struct config_strings *command = &flush->config->flush.command;
	char **arguments = memory_array(command->count + 1, sizeof(*arguments));
	struct child_settings settings = { .arguments = arguments,
					   .environment = spawn_environment,
					   .limit_ms = COMMAND_MS };

	/* which program it is, no domain has a say in; and none begins with a hyphen (io/idna.h) */
	for (size_t i = 0; i < command->count; i++)
		arguments[i] = i == 0 ? memory_string(command->items[i])
				      : command_argument(command->items[i], domain);
	flush->child = child_start(flush->children, &settings, command_ended, flush);
	for (size_t i = 0; i < command->count; i++)
		free(arguments[i]);
	free(arguments);
}

/* ---- what is due ---- */

static bool by_command(const struct flush *flush)
{
	return flush->config->flush.method == CONFIG_FLUSH_COMMAND;
}

static void run(void *arg)
{
	struct flush *flush = arg;
	struct job *job = earliest(flush);
	char command[SMTP_COMMAND_MAX];

	if (job == NULL || flush->current != NULL || flush->lookup != NULL)
		return;
	if (by_command(flush)) {
		close_session(flush);
	} else if (flush->session == NULL) {
		find_mta(flush);
		return;
	} else if (!flush->open) {
		return;
	}
	if (job->due_ms > loop_now_ms() || flush->last_sent_ms + SPACING_MS > loop_now_ms()) {
		schedule(flush);
		return;
	}
	flush->current = job;
	flush->last_sent_ms = loop_now_ms();
	if (by_command(flush)) {
		run_command(flush, job->domain);
		return;
	}
	snprintf(command, sizeof(command), "ETRN %s", job->domain);
	smtp_client_send(flush->session, command);
}

static struct job *job_add(struct flush *flush, const char *domain, unsigned long mails,
			   size_t round)
{
	struct job *job = memory_alloc(sizeof(*job));

	text_copy(job->domain, sizeof(job->domain), domain);
	job->mails = mails;
	job->begun_ms = job->due_ms = loop_now_ms();
	job->round = round;
	DL_APPEND(flush->jobs, job);
	return job;
}

static struct job *rounds_of(struct flush *flush, const char *domain)
{
	struct job *job;

	DL_FOREACH(flush->jobs, job)
		if (job->round < ROUNDS && strcmp(job->domain, domain) == 0)
			return job;
	return NULL;
}

/* A job that won't have its turn any more. */
static void job_cancel(struct flush *flush, struct job *job, const char *why)
{
	struct flush_result result = { .method = "none", .why = why, .text = "" };

	if (job->done != NULL)
		job->done(job->arg, &result);
	job->done = NULL;
	if (job == flush->current) {
		job->round = ROUNDS;
		return;
	}
	DL_DELETE(flush->jobs, job);
	free(job);
}

/* No more rounds of the recovery before; one that is under way is its last. */
void flush_lost(void *arg, const char *domain)
{
	struct flush *flush = arg;
	struct job *job = rounds_of(flush, domain);

	if (job == NULL)
		return;
	job->round = ROUNDS;
	if (job == flush->current)
		return;
	DL_DELETE(flush->jobs, job);
	free(job);
	close_if_idle(flush);
}

void flush_recovered(void *arg, const char *domain, unsigned long mails)
{
	struct flush *flush = arg;

	if (flush->config->flush.method == CONFIG_FLUSH_NONE)
		return;
	flush_lost(flush, domain);
	job_add(flush, domain, mails, 0);
	schedule(flush);
}

void flush_latecomer(void *arg, const char *domain)
{
	struct flush *flush = arg;
	struct job *job = rounds_of(flush, domain);

	/* the round after ten seconds is soon enough while it is still to come */
	if (job != NULL && job->round <= 1)
		job->mails++;
	else
		flush_recovered(flush, domain, 1);
}

bool flush_now(struct flush *flush, const char *domain, flush_done done, void *arg)
{
	struct domain *known = domains_find(flush->domains, domain);
	struct job *job;

	if (flush->config->flush.method == CONFIG_FLUSH_NONE)
		return false;
	job = job_add(flush, domain, known != NULL ? domain_mails_waiting(known) : 0, ROUNDS);
	job->done = done;
	job->arg = arg;
	schedule(flush);
	return true;
}

struct flush *flush_new(struct services *services, struct children *children, struct config *config)
{
	struct flush *flush = memory_alloc(sizeof(*flush));

	flush->services = services;
	flush->children = children;
	flush->config = config_get(config);
	flush->last_sent_ms = -SPACING_MS;
	flush->timer = loop_timer_new(services->loop, run, flush);
	return flush;
}

void flush_set_domains(struct flush *flush, struct domains *domains)
{
	flush->domains = domains;
}

void flush_configure(struct flush *flush, struct config *config)
{
	struct config *old = flush->config;
	struct job *job, *next;

	flush->config = config_get(config);
	config_put(old);
	if (config->flush.method != CONFIG_FLUSH_NONE)
		return;
	DL_FOREACH_SAFE(flush->jobs, job, next)
		if (job != flush->current)
			job_cancel(flush, job, "flushing is off: [flush] method = none");
	close_if_idle(flush);
}

void flush_stop_waits(struct flush *flush)
{
	struct job *job, *next;

	DL_FOREACH_SAFE(flush->jobs, job, next)
		if (job->done != NULL)
			job_cancel(flush, job, "the daemon stops");
}

void flush_free(struct flush *flush)
{
	struct job *job, *next;

	if (flush->session != NULL)
		smtp_client_abort(flush->session);
	if (flush->child != NULL)
		child_abandon(flush->child);
	lookup_cancel(flush->lookup);
	DL_FOREACH_SAFE(flush->jobs, job, next) {
		DL_DELETE(flush->jobs, job);
		free(job);
	}
	loop_timer_free(flush->timer);
	config_put(flush->config);
	free(flush);
}
