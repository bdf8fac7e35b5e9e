/* SPDX-License-Identifier: BSD-2-Clause */
/* "status": what we know of each domain. Loop thread only. */
#include "control/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "config.h"
#include "io/idna.h"

json_t *control_sets(unsigned sets)
{
	json_t *array = json_array();

	if (sets & DOMAIN_SET_SENDERS)
		json_array_append_new(array, json_string("senders"));
	if (sets & DOMAIN_SET_FORWARDING)
		json_array_append_new(array, json_string("forwarding"));
	return array;
}

static json_t *endpoint_to_json(const struct domain_member *member)
{
	const struct health *health = endpoint_health(member->endpoint);
	char label[IP_TEXT_MAX];
	const char *reason = health->no_route ? health_reason_name(HEALTH_NO_ROUTE)
					      : health_reason_name(health->reason);

	ip_port_format(endpoint_address(member->endpoint), label, sizeof(label));
	return json_pack("{s:s, s:s, s:o, s:o, s:s, s:o}", "endpoint", label, "state",
			 health_state_name(health->state), "since",
			 control_time(endpoint_since(member->endpoint)), "last_probe",
			 control_time(endpoint_last_probe(member->endpoint)), "reason", reason,
			 "sets", control_sets(member->sets));
}

static json_t *endpoints_to_json(const struct domain *domain)
{
	json_t *array = json_array();

	for (size_t i = 0; i < domain_member_count(domain); i++) {
		struct domain_member member = domain_member(domain, i);

		json_array_append_new(array, endpoint_to_json(&member));
	}
	return array;
}

static json_t *senders_to_json(const struct domain *domain)
{
	const struct mxset *set = domain_mxset(domain);
	json_t *array = json_array();

	for (size_t i = 0; i < set->count; i++)
		if (set->hosts[i].role == MX_BETTER)
			json_array_append_new(array, json_string(set->hosts[i].name));
	return array;
}

/* `primary = ...` as configured, else the senders' set. */
static json_t *forwarding_to_json(const struct domain *domain)
{
	const struct config_endpoints *primary = &domain_settings(domain)->primary;
	json_t *array;

	if (primary->count == 0)
		return senders_to_json(domain);
	array = json_array();
	for (size_t i = 0; i < primary->count; i++) {
		const struct config_endpoint *item = &primary->items[i];
		struct ip_port endpoint = { .ip = item->ip, .port = item->port };
		char name[MAIL_DOMAIN_MAX + IP_TEXT_MAX];
		TEXT_ON(text, name);

		if (item->ip.family == IP_NONE)
			text_add(&text, item->host);
		else if (item->port == 0)
			ip_format_literal(&item->ip, name, sizeof(name));
		else
			ip_port_format(&endpoint, name, sizeof(name));
		if (item->ip.family == IP_NONE && item->port != 0)
			text_add_format(&text, ":%u", item->port);
		json_array_append_new(array, json_string(name));
	}
	return array;
}

/* null: it has no recipients_file. */
static json_t *list_to_json(const struct control_settings *settings, const struct domain *domain)
{
	struct recipients *recipients = settings->gate->recipients;
	const char *name = domain_name(domain);

	if (domain_settings(domain)->recipients_file[0] == '\0')
		return json_null();
	return json_pack("{s:I, s:s?}", "entries",
			 (json_int_t)recipients_list_size(recipients, name), "refused",
			 recipients_list_refusal(recipients, name));
}

static json_t *recipients_to_json(const struct control_settings *settings, struct config *config,
				  const struct domain *domain, const struct domain_view *view)
{
	struct recipient_question question = {
		.config = config,
		.domain = domain_name(domain),
		.local = "",
		.clock = domain_view_clock(view, loop_wall_seconds()),
	};
	double coverage = history_coverage(settings->history, domain_name(domain));
	struct recipient_counts counts;

	recipients_count(settings->gate->recipients, &question, &counts);
	return json_pack("{s:I, s:I, s:b, s:o, s:o}", "valid", (json_int_t)counts.valid, "invalid",
			 (json_int_t)counts.invalid, "catch_all", counts.catch_all, "coverage",
			 control_share(coverage), "list", list_to_json(settings, domain));
}

static json_t *counters_to_json(const struct domain *domain)
{
	json_t *object = json_object();
	static const enum decision_action actions[] = { DECISION_CONTINUE, DECISION_ACCEPT,
							DECISION_DEFER, DECISION_REJECT };

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		json_object_set_new(object, decision_action_name(actions[i]),
				    json_integer((json_int_t)domain_verdicts(domain, actions[i])));
	json_object_set_new(object, "mails_since_down",
			    json_integer((json_int_t)domain_mails_waiting(domain)));
	return object;
}

static json_t *domain_to_json(const struct control_settings *settings, struct config *config,
			      const struct domain *domain)
{
	struct domain_view view = domain_view_now(domain, NULL);
	int64_t grace = domain_settings(domain)->policy.recovery_grace;
	bool recovering = domain_view_recovering(&view, grace, loop_wall_seconds());

	return json_pack("{s:s, s:s, s:o, s:s, s:b, s:b, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o}",
			 "domain", domain_name(domain), "state", domain_state_name(view.state),
			 "since", control_time(view.since), "reason",
			 health_reason_name(view.reason), "recovering", recovering, "asleep",
			 view.asleep, "forced_until", control_time(view.forced_until), "source",
			 domain_source(domain), "mx",
			 mx_standing_name(domain_mxset(domain)->standing), "senders_set",
			 senders_to_json(domain), "forwarding_set", forwarding_to_json(domain),
			 "endpoints", endpoints_to_json(domain), "recipients",
			 recipients_to_json(settings, config, domain, &view), "counters",
			 counters_to_json(domain));
}

/* What holds for all of them. */
static json_t *host_to_json(const struct control_settings *settings, const struct config *config)
{
	const char *mode = config->milter.mode == CONFIG_MODE_SHADOW ? "shadow" : "enforce";

	return json_pack("{s:b, s:s, s:s}", "isolated",
			 isolation_watch_is_on(settings->services->isolation), "mode", mode,
			 "version", PACKAGE_VERSION);
}

static json_t *envelope(const struct control_settings *settings, struct config *config,
			json_t *domains)
{
	json_t *document = json_pack("{s:o}", "domains", domains);
	json_t *host = host_to_json(settings, config);

	json_object_update(document, host);
	json_decref(host);
	return document;
}

json_t *control_status_of(const struct control_settings *settings,
			  const struct domain *const *domains, size_t count)
{
	struct config *config = gate_config(settings->gate);
	json_t *array = json_array();
	json_t *document;

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, domain_to_json(settings, config, domains[i]));
	document = envelope(settings, config, array);
	config_put(config);
	return document;
}

/* ---- all domains: a step at a time, for the loop has more to do ---- */

struct status_text {
	const struct control_settings *settings;
	json_t *names; /* as they were when it began */
	size_t next;
	const char *between; /* before the next domain */
	FILE *out;	     /* NULL: it is whole */
	char *text;
	size_t length;
};

struct status_text *status_text_begin(const struct control_settings *settings)
{
	struct status_text *status = memory_alloc(sizeof(*status));

	status->settings = settings;
	status->names = json_array();
	for (struct domain *domain = domains_first(settings->gate->domains); domain != NULL;
	     domain = domain_next(domain))
		json_array_append_new(status->names, json_string(domain_name(domain)));
	status->between = "";
	status->out = open_memstream(&status->text, &status->length);
	if (status->out == NULL)
		abort();
	fputs("{\"domains\":[", status->out);
	return status;
}

/* Written at once, not kept as JSON: of very many domains that would take ten times the memory. */
static void write_next(struct status_text *status, struct config *config)
{
	const char *name = json_string_value(json_array_get(status->names, status->next++));
	const struct domain *domain = domains_find(status->settings->gate->domains, name);
	json_t *object;

	if (domain == NULL) /* gone meanwhile */
		return;
	object = domain_to_json(status->settings, config, domain);
	fputs(status->between, status->out);
	json_dumpf(object, status->out, CONTROL_JSON);
	status->between = ",";
	json_decref(object);
}

static void write_end(struct status_text *status, const struct config *config)
{
	json_t *host = host_to_json(status->settings, config);
	char *text = json_dumps(host, CONTROL_JSON);

	fprintf(status->out, "],%s", text + 1); /* it goes on within the same braces */
	free(text);
	json_decref(host);
	if (fclose(status->out) != 0) /* out of memory */
		abort();
	status->out = NULL;
}

bool status_text_step(struct status_text *status)
{
	struct config *config = gate_config(status->settings->gate);
	int64_t until_ms = loop_now_ms() + CONTROL_STEP_MS;
	size_t count = json_array_size(status->names);

	while (status->next < count && loop_now_ms() < until_ms)
		write_next(status, config);
	if (status->next == count)
		write_end(status, config);
	config_put(config);
	return status->out == NULL;
}

const char *status_text_get(const struct status_text *status, size_t *length)
{
	*length = status->length;
	return status->text;
}

void status_text_free(struct status_text *status)
{
	if (status == NULL)
		return;
	if (status->out != NULL)
		fclose(status->out);
	json_decref(status->names);
	free(status->text);
	free(status);
}

/* ---- the command ---- */

static void status_of_one(struct control_call *call, const char *wanted)
{
	const struct control_settings *settings = control_settings_of(call);
	struct config *config = gate_config(settings->gate);
	char name[MAIL_DOMAIN_MAX + 1];
	struct domain *domain = NULL;
	bool up;

	if (idna_domain_to_ascii(wanted, name, sizeof(name)))
		domain = domains_find(settings->gate->domains, name);
	if (domain != NULL) {
		up = domain_state_is_up(domain_view_now(domain, NULL).state);
		control_answer(
			call, up ? CONTROL_OK : CONTROL_NO,
			envelope(settings, config,
				 json_pack("[o]", domain_to_json(settings, config, domain))));
	} else {
		control_fail(call, CONTROL_NO,
			     "%s is no domain of ours: it is neither configured nor learned; those "
			     "that are: backupmxctl status",
			     wanted);
	}
	config_put(config);
}

static void go_on(struct control_call *call)
{
	size_t length;

	if (status_text_step(call->status))
		control_answer_text(call, CONTROL_OK, status_text_get(call->status, &length));
	else
		control_later(call, CONTROL_PAUSE_MS, go_on);
}

void control_status(struct control_call *call)
{
	const char *wanted = control_string(call, "domain", "");

	if (wanted[0] != '\0') {
		status_of_one(call, wanted);
		return;
	}
	call->status = status_text_begin(control_settings_of(call));
	go_on(call);
}

void control_version(struct control_call *call)
{
	control_answer(call, CONTROL_OK, json_pack("{s:s}", "version", PACKAGE_VERSION));
}
