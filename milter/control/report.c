/* SPDX-License-Identifier: BSD-2-Clause */
/* "report": what the history says of a span of time, as JSON. Loop thread only. */
#include "control/report.h"

#include <string.h>

#include "control/control.h"
#include "core/tag.h"
#include "io/idna.h"

#define SECONDS_MAX (10LL * 365 * 86400) /* as the longest duration of the configuration */
#define DATE_LENGTH 10			 /* of "2026-11-23" */

static json_t *length_or_null(int64_t seconds)
{
	return seconds == OUTAGE_UNKNOWN ? json_null() : json_integer(seconds);
}

static json_int_t seconds_of(int64_t ms)
{
	return (ms + 500) / 1000;
}

static void set_sums(json_t *object, const struct availability_day *sum)
{
	static const char *const keys[AVAILABILITY_COUNT] = {
		[AVAILABILITY_UP] = "up_seconds",
		[AVAILABILITY_DOWN] = "down_seconds",
		[AVAILABILITY_SICK] = "sick_seconds",
		[AVAILABILITY_ISOLATED] = "isolated_seconds",
	};

	for (int kind = 0; kind < AVAILABILITY_COUNT; kind++)
		json_object_set_new(object, keys[kind], json_integer(seconds_of(sum->ms[kind])));
}

static int64_t observed_ms(const struct availability_day *sum)
{
	return sum->ms[AVAILABILITY_UP] + sum->ms[AVAILABILITY_DOWN] + sum->ms[AVAILABILITY_SICK];
}

static json_t *day_to_json(const struct availability_day *day)
{
	char date[32];
	json_t *object;

	tag_format_time(day->day * AVAILABILITY_DAY_SECONDS, date, sizeof(date));
	date[DATE_LENGTH] = '\0';
	object = json_pack("{s:s}", "date", date);
	set_sums(object, day);
	return object;
}

static json_t *outage_to_json(const struct outage *outage)
{
	return json_pack(
		"{s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:o}", "start",
		control_time(outage->start), "detected", control_time(outage->detected), "end",
		control_time(outage->end), "state", domain_state_name(outage->state), "cause",
		health_reason_name(outage->cause), "detect_seconds",
		length_or_null(outage->detect_seconds), "recover_seconds",
		length_or_null(outage->recover_seconds), "duration_seconds",
		(json_int_t)outage_seconds(outage), "isolated_seconds",
		seconds_of(outage->isolated_ms), "mails_taken", (json_int_t)outage->mails_taken,
		"mails_flushed", (json_int_t)outage->mails_flushed, "longest_delay_seconds",
		length_or_null(outage->longest_delay));
}

/* ---- totals: sums while it is being made, shares at the end ---- */

static void add_to(json_t *object, const char *key, json_int_t more)
{
	json_object_set_new(object, key,
			    json_integer(json_integer_value(json_object_get(object, key)) + more));
}

static void add_outage(json_t *totals, const struct outage *outage)
{
	add_to(totals, "outages", 1);
	add_to(totals, "outage_seconds", outage_seconds(outage));
	add_to(totals, "mails_taken", outage->mails_taken);
	add_to(totals, "mails_flushed", outage->mails_flushed);
}

static void finish_totals(json_t *totals)
{
	struct availability_day sum = {
		.ms = { [AVAILABILITY_UP] = json_integer_value(json_object_get(totals, "up_ms")),
			[AVAILABILITY_DOWN] =
				json_integer_value(json_object_get(totals, "away_ms")) }
	};

	json_object_set_new(totals, "availability", control_share(availability_share(&sum)));
	json_object_del(totals, "up_ms");
	json_object_del(totals, "away_ms");
}

/* ---- one domain ---- */

static json_t *domain_to_json(const char *name, const struct history_of_domain *known,
			      json_t *totals)
{
	struct availability_day sum = { .day = 0 };
	json_t *object = json_pack("{s:s}", "domain", name);
	json_t *outages = json_array();
	json_t *days = json_array();

	for (size_t i = 0; i < known->day_count; i++) {
		const struct availability_day *day = &known->days[i];

		availability_add(&sum, day);
		if (observed_ms(day) + day->ms[AVAILABILITY_ISOLATED] > 0)
			json_array_append_new(days, day_to_json(day));
	}
	for (size_t i = 0; i < known->outage_count; i++) {
		json_array_append_new(outages, outage_to_json(&known->outages[i]));
		add_outage(totals, &known->outages[i]);
	}
	add_to(totals, "up_ms", sum.ms[AVAILABILITY_UP]);
	add_to(totals, "away_ms", observed_ms(&sum) - sum.ms[AVAILABILITY_UP]);
	json_object_set_new(object, "availability", control_share(availability_share(&sum)));
	json_object_set_new(object, "observed_seconds",
			    json_integer(seconds_of(observed_ms(&sum))));
	set_sums(object, &sum);
	json_object_set_new(object, "outages", outages);
	json_object_set_new(object, "days", days);
	return object;
}

/* ---- the report; "todo" holds the names that are still to come ---- */

static void list_names(const struct report_request *request, json_t *report, json_t *todo)
{
	struct domain *domain;
	const char *last = "";

	if (request->domain != NULL) {
		json_array_append_new(todo, json_string(request->domain));
		return;
	}
	if (request->names != NULL) {
		json_array_extend(todo, request->names);
		return;
	}
	for (domain = domains_first(request->domains); domain != NULL;
	     domain = domain_next(domain)) {
		if (strcmp(domain_name(domain), request->after) <= 0)
			continue;
		if (json_array_size(todo) == REPORT_PAGE) {
			json_object_set_new(report, "after", json_string(last));
			return;
		}
		last = domain_name(domain);
		json_array_append_new(todo, json_string(last));
	}
}

json_t *report_begin(const struct report_request *request)
{
	int64_t to = loop_wall_seconds();
	int64_t from = to > request->seconds ? to - request->seconds : 1;
	json_t *todo = json_array();
	json_t *report = json_pack(
		"{s:o, s:o, s:[], s:{s:i, s:i, s:i, s:i, s:i, s:i}, s:n, s:o, s:I}", "from",
		control_time(from), "to", control_time(to), "domains", "totals", "outages", 0,
		"outage_seconds", 0, "mails_taken", 0, "mails_flushed", 0, "up_ms", 0, "away_ms", 0,
		"after", "todo", todo, "since", (json_int_t)from);

	list_names(request, report, todo);
	return report;
}

bool report_step(struct history *history, json_t *report)
{
	int64_t began_ms = loop_now_ms();
	int64_t from = json_integer_value(json_object_get(report, "since"));
	json_t *domains = json_object_get(report, "domains");
	json_t *totals = json_object_get(report, "totals");
	json_t *todo = json_object_get(report, "todo");
	size_t done = json_array_size(domains);

	for (; done < json_array_size(todo); done++) {
		const char *name = json_string_value(json_array_get(todo, done));
		struct history_of_domain known;

		if (loop_now_ms() - began_ms >= CONTROL_STEP_MS)
			return false;
		history_read(history, name, from, &known);
		json_array_append_new(domains, domain_to_json(name, &known, totals));
		history_of_domain_fini(&known);
	}
	finish_totals(totals);
	json_object_del(report, "todo");
	json_object_del(report, "since");
	return true;
}

/* ---- the command ---- */

static void go_on(struct control_call *call)
{
	json_t *report = call->kept;

	if (!report_step(control_settings_of(call)->history, report)) {
		control_later(call, CONTROL_PAUSE_MS, go_on);
		return;
	}
	call->kept = NULL;
	control_answer(call, CONTROL_OK, report);
}

/* False after answering what is wrong. */
static bool span_of(struct control_call *call, int64_t *seconds)
{
	const json_t *wanted = json_object_get(call->request, "since_seconds");

	*seconds = wanted != NULL ? json_integer_value(wanted) : REPORT_SPAN_DEFAULT;
	if (*seconds >= 1 && *seconds <= SECONDS_MAX)
		return true;
	control_fail(call, CONTROL_USAGE, "\"since_seconds\" is a number from 1 to %lld",
		     SECONDS_MAX);
	return false;
}

void control_report(struct control_call *call)
{
	const struct control_settings *settings = control_settings_of(call);
	const char *wanted = control_string(call, "domain", "");
	char name[MAIL_DOMAIN_MAX + 1];
	struct report_request request = { .history = settings->history,
					  .domains = settings->gate->domains,
					  .after = control_string(call, "after", "") };

	if (!span_of(call, &request.seconds))
		return;
	if (wanted[0] != '\0') {
		if (!idna_domain_to_ascii(wanted, name, sizeof(name)) ||
		    domains_find(settings->gate->domains, name) == NULL) {
			control_fail(call, CONTROL_NO, "%s is no domain of ours", wanted);
			return;
		}
		request.domain = name;
	}
	call->kept = report_begin(&request);
	go_on(call);
}
