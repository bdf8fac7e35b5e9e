/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One function per family or kind of families, in the order of the text. What is counted comes from
 * core/stats.h, the rest is looked up now. Loop thread only.
 */
#include "control/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/memory.h"
#include "config.h"
#include "core/exposition.h"
#include "memory/recipient_totals.h"

/* The domains that have series of their own, in the order of the text. */
struct shown_domains {
	const struct domain **items;
	size_t count;
	size_t left_out; /* for want of room */
};

struct metrics {
	const struct control_settings *settings;
	struct config *config;
	struct exposition family;
	struct shown_domains domains;
};

/* A counter whose one label takes the words from `first` to before `end`. */
struct words {
	const char *name, *help, *label;
	const atomic_ullong *counters;
	size_t first, end;
	const char *(*word)(size_t i);
};

static void add_words(struct metrics *metrics, const struct words *words)
{
	exposition_begin(&metrics->family, words->name, "counter", words->help);
	for (size_t i = words->first; i < words->end; i++) {
		struct exposition_labels labels = { { { words->label, words->word(i) } } };

		exposition_add(&metrics->family, &labels, stats_read(&words->counters[i]));
	}
}

static void add_gauge(struct metrics *metrics, const char *name, const char *help, uint64_t value)
{
	exposition_begin(&metrics->family, name, "gauge", help);
	exposition_add(&metrics->family, NULL, value);
}

static void add_histogram(struct metrics *metrics, const char *name, const char *help,
			  enum stats_time time)
{
	exposition_begin(&metrics->family, name, "histogram", help);
	exposition_add_histogram(&metrics->family, metrics->settings->services->stats, time);
}

/* ---- what is counted ---- */

static void add_decisions(struct metrics *metrics)
{
	const struct stats *stats = metrics->settings->services->stats;

	exposition_begin(&metrics->family, "decisions_total", "counter",
			 "Recipients decided, by action and reason; in shadow mode what would have "
			 "been done.");
	for (enum decision_action action = 0; action < DECISION_ASK; action++) {
		for (enum decision_reason reason = 0; reason < DECISION_REASON_COUNT; reason++) {
			struct exposition_labels labels = {
				{ { "action", decision_action_name(action) },
				  { "reason", decision_reason_name(reason) } }
			};

			if (decision_may_end(action, reason))
				exposition_add(&metrics->family, &labels,
					       stats_read(&stats->decisions[action][reason]));
		}
	}
	add_histogram(metrics, "decision_seconds",
		      "Time a decision took, waiting for a primary included.", STATS_TIME_DECISION);
}

static const char *reason_word(size_t i)
{
	return health_reason_name((enum health_reason)i);
}

static const char *callout_word(size_t i)
{
	return stats_callout_name((enum stats_callout)i);
}

static const char *state_word(size_t i)
{
	return domain_state_name((enum domain_state)i);
}

static const char *flush_word(size_t i)
{
	return stats_flush_name((enum stats_flush)i);
}

static void add_memory(struct metrics *metrics)
{
	const struct stats *stats = metrics->settings->services->stats;
	const struct words lookups = { .name = "recipient_lookups_total",
				       .help = "Recipients looked up for decisions, by what is "
					       "known of them.",
				       .label = "result",
				       .counters = stats->lookups,
				       .end = STATS_LOOKUP_COUNT,
				       .word = stats_lookup_name };
	const struct words callouts = { .name = "callouts_total",
					.help = "Recipients asked about at their primary, by "
						"verdict.",
					.label = "result",
					.counters = stats->callouts,
					.end = STATS_CALLOUT_COUNT,
					.word = callout_word };

	add_words(metrics, &lookups);
	add_words(metrics, &callouts);
	add_histogram(metrics, "callout_seconds",
		      "Time from a question about a recipient to its answer, waiting for its turn "
		      "included.",
		      STATS_TIME_CALLOUT);
}

static void add_health(struct metrics *metrics)
{
	const struct stats *stats = metrics->settings->services->stats;
	const struct words probes = { .name = "probes_total",
				      .help = "Probes of endpoints, by result.",
				      .label = "result",
				      .counters = stats->probes,
				      .end = HEALTH_REASON_COUNT,
				      .word = reason_word };
	const struct words transitions = { .name = "transitions_total",
					   .help = "Changes of domains' states, by the new state.",
					   .label = "to",
					   .counters = stats->transitions,
					   .first = DOMAIN_NOT_OURS + 1,
					   .end = DOMAIN_STATE_COUNT,
					   .word = state_word };
	const struct words flushes = { .name = "flushes_total",
				       .help = "Flushes asked of the MTA, by result.",
				       .label = "result",
				       .counters = stats->flushes,
				       .end = STATS_FLUSH_COUNT,
				       .word = flush_word };

	add_words(metrics, &probes);
	add_histogram(metrics, "probe_duration_seconds", "Time a probe took.", STATS_TIME_PROBE);
	add_words(metrics, &transitions);
	add_words(metrics, &flushes);
}

/* ---- domains and endpoints ---- */

static void show_domain(struct shown_domains *shown, const struct domain *domain)
{
	if (shown->count < METRICS_DOMAINS_MAX)
		shown->items[shown->count++] = domain;
	else
		shown->left_out++;
}

static bool is_configured(const struct domain *domain)
{
	return strcmp(domain_source(domain), "configured") == 0;
}

/* Configured ones first, so that strangers who have domains learned can't push them out. Of those
 * that sleep nobody knows whether they are up; they would all look down. */
static void choose_domains(struct metrics *metrics)
{
	struct domains *domains = metrics->settings->gate->domains;
	struct shown_domains *shown = &metrics->domains;
	struct domain *domain;

	shown->items = memory_array(METRICS_DOMAINS_MAX, sizeof(*shown->items));
	for (size_t i = 0; i < metrics->config->domain_count; i++) {
		domain = domains_find(domains, metrics->config->domain[i].name);
		if (domain != NULL)
			show_domain(shown, domain);
	}
	if (metrics->config->http.domain_metrics != CONFIG_METRICS_ALL)
		return;
	for (domain = domains_any(domains); domain != NULL; domain = domain_next(domain))
		if (!is_configured(domain) && !domain_view_now(domain, NULL).asleep)
			show_domain(shown, domain);
}

/* Of a domain that isn't our business by its MX records neither "up" nor "down" is true. */
static void add_domain_up(struct metrics *metrics)
{
	exposition_begin(&metrics->family, "domain_up", "gauge",
			 "1 while the domain's primary counts as up, else 0.");
	for (size_t i = 0; i < metrics->domains.count; i++) {
		const struct domain *domain = metrics->domains.items[i];
		enum domain_state state = domain_view_now(domain, NULL).state;
		struct exposition_labels labels = { { { "domain", domain_name(domain) } } };

		if (state != DOMAIN_NOT_BACKUP)
			exposition_add(&metrics->family, &labels, domain_state_is_up(state));
	}
}

/* Tells down from sick and from forced, which domain_up can't. One series a domain, that of the
 * state it is in: there may be thousands of domains. */
static void add_domain_states(struct metrics *metrics)
{
	exposition_begin(&metrics->family, "domain_state", "gauge",
			 "Always 1; the label tells the state that decides.");
	for (size_t i = 0; i < metrics->domains.count; i++) {
		const struct domain *domain = metrics->domains.items[i];
		enum domain_state state = domain_view_now(domain, NULL).state;
		struct exposition_labels labels = { { { "domain", domain_name(domain) },
						      { "state", domain_state_name(state) } } };

		exposition_add(&metrics->family, &labels, 1);
	}
}

static void add_outages(struct metrics *metrics)
{
	exposition_begin(&metrics->family, "outage_seconds_total", "counter",
			 "Time the domain was in state down or sick by what probes saw, since the "
			 "start of this process; without the time in which this host was isolated. "
			 "The report begins earlier, with the first failed probe.");
	for (size_t i = 0; i < metrics->domains.count; i++) {
		const struct domain *domain = metrics->domains.items[i];
		struct exposition_labels labels = { { { "domain", domain_name(domain) } } };

		exposition_add_seconds(&metrics->family, &labels, domain_outage_ms(domain) * 1000);
	}
}

struct seen_endpoint {
	UT_hash_handle hh;
	const struct endpoint *endpoint;
};

/* Domains share endpoints; a series stands in the text once. */
static bool is_first_sight(struct seen_endpoint **seen, const struct endpoint *endpoint)
{
	struct seen_endpoint *item;

	HASH_FIND_PTR(*seen, &endpoint, item);
	if (item != NULL)
		return false;
	item = memory_alloc(sizeof(*item));
	item->endpoint = endpoint;
	HASH_ADD_PTR(*seen, endpoint, item);
	return true;
}

/* One that turned out to be ourselves, or that this host has no way to, is neither up nor down. */
static void add_endpoint(struct metrics *metrics, const struct domain_member *member)
{
	const struct health *health = endpoint_health(member->endpoint);
	char label[IP_TEXT_MAX];
	struct exposition_labels labels = { { { "endpoint", label } } };

	if (member->sets == 0 || health->no_route)
		return;
	ip_port_format(endpoint_address(member->endpoint), label, sizeof(label));
	exposition_add(&metrics->family, &labels, health->state == HEALTH_UP);
}

static void add_endpoints(struct metrics *metrics)
{
	struct seen_endpoint *seen = NULL;
	struct seen_endpoint *item, *next;

	exposition_begin(&metrics->family, "endpoint_up", "gauge",
			 "1 while the address of a primary is up, else 0.");
	for (size_t i = 0; i < metrics->domains.count; i++) {
		const struct domain *domain = metrics->domains.items[i];

		for (size_t m = 0; m < domain_member_count(domain); m++) {
			struct domain_member member = domain_member(domain, m);

			if (is_first_sight(&seen, member.endpoint))
				add_endpoint(metrics, &member);
		}
	}
	HASH_ITER(hh, seen, item, next) {
		HASH_DEL(seen, item);
		free(item);
	}
}

static void add_domains(struct metrics *metrics)
{
	choose_domains(metrics);
	add_domain_up(metrics);
	add_domain_states(metrics);
	add_outages(metrics);
	add_endpoints(metrics);
	add_gauge(metrics, "domains_left_out",
		  "Domains without series of their own, because there are too many.",
		  metrics->domains.left_out);
	free(metrics->domains.items);
}

/* ---- this process ---- */

/* Nothing, rather than something wrong, until it has been counted. */
static void add_entries(struct metrics *metrics)
{
	static const enum recipient_status statuses[] = { RECIPIENT_VALID, RECIPIENT_INVALID,
							  RECIPIENT_CATCH_ALL };
	const struct gate *gate = metrics->settings->gate;
	struct recipient_totals totals;

	exposition_begin(&metrics->family, "recipients_entries", "gauge",
			 "Entries of the recipient memory that count now; of a large memory as its "
			 "sweep counted them last. Without those of recipients_file.");
	if (!recipients_total(gate->recipients, metrics->config, gate->domains, &totals))
		return;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct exposition_labels labels = { { { "status",
							recipient_status_name(statuses[i]) } } };

		exposition_add(&metrics->family, &labels, totals.of[statuses[i]]);
	}
}

static void add_process(struct metrics *metrics)
{
	const struct control_settings *settings = metrics->settings;
	const struct stats *stats = settings->services->stats;
	struct exposition_labels version = { { { "version", PACKAGE_VERSION } } };

	add_gauge(metrics, "connections", "Connections of the MTA that are open now.",
		  (uint64_t)atomic_load(&stats->connections));
	add_gauge(metrics, "waiting", "Recipients that wait for a primary's answer now.",
		  (uint64_t)gate_waiting(settings->gate));
	exposition_begin(&metrics->family, "loop_lag_seconds", "gauge",
			 "By how much the event loop was late when it was looked at last.");
	exposition_add_seconds(&metrics->family, NULL,
			       loop_lag_ms(settings->services->loop) * 1000);
	add_gauge(metrics, "last_drill_timestamp_seconds",
		  "When a fire drill last passed, since 1970; 0: never, or not since the database "
		  "was made.",
		  (uint64_t)drills_last_passed(settings->gate->drills));
	add_gauge(metrics, "store_bytes", "Size of the database.",
		  (uint64_t)store_bytes(writer_store(settings->services->writer)));
	add_gauge(metrics, "isolated", "1 while this host itself is cut off, else 0.",
		  isolation_watch_is_on(settings->services->isolation));
	add_gauge(metrics, "config_reload_success",
		  "1 if the last reload was taken, or there was none; 0 if it was refused.",
		  !atomic_load(&stats->reload_failed));
	add_gauge(metrics, "start_time_seconds", "When this process started, since 1970.",
		  (uint64_t)stats->started);
	exposition_begin(&metrics->family, "build_info", "gauge",
			 "Always 1; the label tells the version.");
	exposition_add(&metrics->family, &version, 1);
}

char *metrics_render(const struct control_settings *settings, size_t *length)
{
	char *text = NULL;
	struct metrics metrics = { .settings = settings, .config = gate_config(settings->gate) };

	metrics.family.out = open_memstream(&text, length);
	if (metrics.family.out == NULL)
		abort();
	add_decisions(&metrics);
	add_memory(&metrics);
	add_entries(&metrics);
	add_health(&metrics);
	add_domains(&metrics);
	add_process(&metrics);
	if (fclose(metrics.family.out) != 0) /* out of memory */
		abort();
	config_put(metrics.config);
	return text;
}

void control_metrics(struct control_call *call)
{
	size_t length;
	char *text = metrics_render(control_settings_of(call), &length);

	control_answer(call, 0, json_pack("{s:s#}", "text", text, (int)length));
	free(text);
}
