/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "probe": a dialogue with each endpoint of a domain, answered when all are over. It goes nowhere
 * that the prober doesn't go, and counts for nothing: one that speaks against what is believed
 * brings the prober's own next probe forward. Loop thread only.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/memory.h"
#include "base/text.h"
#include "control/control.h"
#include "io/idna.h"
#include "watch/dialogue.h"

#define ENDPOINTS_MAX 16
#define RUNS_MAX      4
#define LOOK_AGAIN_MS 100
#define PATIENCE_MS   10000 /* for the names of a domain that was taken up just now */

struct item {
	struct probe_run *run;
	struct dialogue *dialogue;
	struct ip_port address;
	char host[MAIL_DOMAIN_MAX + 1];
	unsigned sets;
};

struct probe_run {
	struct probe_run *prev, *next;
	struct control_call *call;
	char domain[MAIL_DOMAIN_MAX + 1];
	struct item items[ENDPOINTS_MAX];
	size_t count, open, left_out;
};

static void run_free(struct probe_run *run)
{
	for (size_t i = 0; i < run->count; i++)
		dialogue_free(run->items[i].dialogue);
	free(run);
}

/* ---- what is told ---- */

static json_t *steps_to_json(const struct dialogue *dialogue)
{
	json_t *array = json_array();

	for (size_t i = 0; i < dialogue_step_count(dialogue); i++) {
		const struct dialogue_step *step = dialogue_step(dialogue, i);

		json_array_append_new(
			array, json_pack("{s:I, s:s, s:s}", "ms", (json_int_t)step->ms, "what",
					 dialogue_what_name(step->what), "text", step->text));
	}
	return array;
}

static json_t *item_to_json(const struct item *item)
{
	char label[IP_TEXT_MAX];

	ip_port_format(&item->address, label, sizeof(label));
	return json_pack("{s:s, s:s, s:o, s:s, s:I, s:o}", "endpoint", label, "host", item->host,
			 "sets", control_sets(item->sets), "result",
			 health_reason_name(dialogue_result(item->dialogue)), "ms",
			 (json_int_t)dialogue_ms(item->dialogue), "steps",
			 steps_to_json(item->dialogue));
}

static bool is_ok(const struct item *item)
{
	return (item->sets & DOMAIN_SET_FORWARDING) && dialogue_result(item->dialogue) == HEALTH_OK;
}

/* ---- what follows ---- */

static bool disagrees(const struct health *health, enum health_reason result)
{
	if (result == HEALTH_OWN_FAULT || result == HEALTH_NO_ROUTE)
		return false;
	return (result == HEALTH_OK) != (health->state == HEALTH_UP);
}

/* Endpoints may have come and gone meanwhile. */
static void probe_doubtful(const struct domain *domain, const struct item *item)
{
	for (size_t i = 0; i < domain_member_count(domain); i++) {
		struct endpoint *endpoint = domain_member(domain, i).endpoint;

		if (ip_port_equal(endpoint_address(endpoint), &item->address) &&
		    disagrees(endpoint_health(endpoint), dialogue_result(item->dialogue)))
			endpoint_probe_soon(endpoint);
	}
}

static void conclude(struct probe_run *run)
{
	struct domains *domains = control_settings_of(run->call)->gate->domains;
	const struct domain *domain = domains_find(domains, run->domain);
	const char *state = domain_state_name(domain != NULL ? domain_view_now(domain, NULL).state
							     : DOMAIN_NOT_OURS);
	json_t *endpoints = json_array();
	bool ok = false;

	for (size_t i = 0; i < run->count; i++) {
		ok |= is_ok(&run->items[i]);
		json_array_append_new(endpoints, item_to_json(&run->items[i]));
		if (domain != NULL)
			probe_doubtful(domain, &run->items[i]);
	}
	control_answer(run->call, ok ? CONTROL_OK : CONTROL_NO,
		       json_pack("{s:s, s:s, s:b, s:o, s:I}", "domain", run->domain, "state", state,
				 "ok", ok, "endpoints", endpoints, "left_out",
				 (json_int_t)run->left_out));
}

static void one_done(void *arg)
{
	struct probe_run *run = ((struct item *)arg)->run;

	if (--run->open > 0)
		return;
	DL_DELETE(*control_probes_of(run->call), run);
	conclude(run);
	run_free(run);
}

/* ---- the beginning ---- */

static void add_item(struct probe_run *run, const struct domain *domain,
		     const struct domain_member *member)
{
	struct item *item = &run->items[run->count++];

	item->run = run;
	item->address = *endpoint_address(member->endpoint);
	item->sets = member->sets;
	text_copy(item->host, sizeof(item->host), domain_endpoint_host(domain, member->endpoint));
	item->dialogue = dialogue_start(control_settings_of(run->call)->services, member->endpoint,
					one_done, item);
}

static void begin(struct control_call *call, const struct domain *domain)
{
	struct probe_run *run = memory_alloc(sizeof(*run));
	size_t members = domain_member_count(domain);

	run->call = call;
	text_copy(run->domain, sizeof(run->domain), domain_name(domain));
	run->open = members < ENDPOINTS_MAX ? members : ENDPOINTS_MAX;
	run->left_out = members - run->open;
	DL_APPEND(*control_probes_of(call), run);
	for (size_t i = 0; i < run->open; i++) {
		struct domain_member member = domain_member(domain, i);

		add_item(run, domain, &member);
	}
}

static bool may_begin(struct control_call *call, const char *domain)
{
	const struct probe_run *run;
	size_t count = 0;

	DL_FOREACH(*control_probes_of(call), run) {
		count++;
		if (strcmp(run->domain, domain) == 0) {
			control_fail(call, CONTROL_NO,
				     "%s is being probed already: wait for that answer", domain);
			return false;
		}
	}
	if (count >= RUNS_MAX)
		control_fail(call, CONTROL_NO,
			     "%d domains are being probed already: try again soon", RUNS_MAX);
	return count < RUNS_MAX;
}

/* Its hosts may still be looked up. */
static void begin_or_wait(struct control_call *call, const struct domain *domain)
{
	if (domain_member_count(domain) > 0)
		begin(call, domain);
	else if (domain_seen(domain) == DOMAIN_UNKNOWN &&
		 loop_now_ms() - call->begun_ms < PATIENCE_MS)
		control_later(call, LOOK_AGAIN_MS, control_probe);
	else if (domain_seen(domain) == DOMAIN_NOT_BACKUP)
		control_fail(call, CONTROL_NO, "%s is not-backup: it has no primary to probe",
			     domain_name(domain));
	else
		control_fail(call, CONTROL_NO,
			     "nothing to probe: no address of a primary of %s is known; are its MX "
			     "records right, and does this host's resolver answer?",
			     domain_name(domain));
}

void control_probe(struct control_call *call)
{
	struct domains *domains = control_settings_of(call)->gate->domains;
	const char *wanted = control_string(call, "domain", "");
	char name[MAIL_DOMAIN_MAX + 1];
	const struct domain *domain;

	if (wanted[0] == '\0') {
		control_fail(call, CONTROL_USAGE, "probe needs a domain");
		return;
	}
	domain = idna_domain_to_ascii(wanted, name, sizeof(name)) ? domains_rouse(domains, name)
								  : NULL;
	if (domain == NULL)
		control_fail(call, CONTROL_NO, "%s is no domain of ours", wanted);
	else if (may_begin(call, name))
		begin_or_wait(call, domain);
}

void control_probes_stop(struct probe_run **runs)
{
	struct probe_run *run, *next;

	DL_FOREACH_SAFE(*runs, run, next) {
		DL_DELETE(*runs, run);
		control_fail(run->call, CONTROL_NO, "the daemon stops");
		run_free(run);
	}
}
