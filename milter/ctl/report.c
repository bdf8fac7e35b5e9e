/* SPDX-License-Identifier: BSD-2-Clause */
/* "report": the SLA review as text, as JSON, or its outages as CSV (RFC 4180). */
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "ctl/ctl.h"

struct options {
	const char *domain; /* NULL: all */
	int64_t since;	    /* seconds; 0: not given */
	bool csv;
};

/* ---- asking ---- */

/* The totals of the pages together. */
static void merge_page(json_t *report, const json_t *page)
{
	json_t *totals = json_object_get(report, "totals");
	const json_t *more = json_object_get(page, "totals");
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)more, key, value)
		if (json_is_integer(value))
			json_object_set_new(
				totals, key,
				json_integer(ctl_number(totals, key) + json_integer_value(value)));
	json_array_extend(json_object_get(report, "domains"), json_object_get(page, "domains"));
	json_object_set(report, "after", json_object_get(page, "after"));
	json_object_set(report, "to", json_object_get(page, "to"));
}

static void total_availability(json_t *report)
{
	double up = 0, all = 0;
	json_t *domain;
	size_t i;

	json_array_foreach(json_object_get(report, "domains"), i, domain) {
		up += (double)ctl_number(domain, "up_seconds");
		all += (double)ctl_number(domain, "observed_seconds");
	}
	if (all > 0)
		json_object_set_new(json_object_get(report, "totals"), "availability",
				    json_real((double)(int64_t)(up / all * 1e6) / 1e6));
}

struct pages {
	json_t *report; /* of all that have come; NULL: none has */
	bool several;
};

static void take_page(void *arg, const json_t *page)
{
	struct pages *pages = arg;

	if (pages->report == NULL) {
		pages->report = json_deep_copy(page);
		return;
	}
	merge_page(pages->report, page);
	pages->several = true;
}

/* All pages as one report; one that breaks off is none. */
static int ask(struct ctl *ctl, const struct options *options, json_t **report)
{
	struct pages pages = { .report = NULL };
	json_t *request = json_pack("{s:s, s:s*}", "command", "report", "domain", options->domain);
	int code;

	if (options->since > 0)
		json_object_set_new(request, "since_seconds", json_integer(options->since));
	code = ctl_ask_pages(ctl, request, take_page, &pages);
	if (pages.report != NULL && json_is_string(json_object_get(pages.report, "after"))) {
		json_decref(pages.report);
		pages.report = NULL;
	}
	if (pages.several && pages.report != NULL)
		total_availability(pages.report);
	*report = pages.report;
	return code;
}

/* ---- words ---- */

#define WORDS 48

/* "3 d 4 h", "5 min 3 s": the two largest units. */
static const char *say_seconds(long long seconds, char *buffer)
{
	static const struct {
		const char *name;
		long long seconds;
	} units[] = { { "d", 86400 }, { "h", 3600 }, { "min", 60 }, { "s", 1 } };
	size_t i = 0;
	long long rest;

	while (i < 3 && seconds < units[i].seconds)
		i++;
	rest = i < 3 ? seconds % units[i].seconds / units[i + 1].seconds : 0;
	if (rest > 0)
		snprintf(buffer, WORDS, "%lld %s %lld %s", seconds / units[i].seconds,
			 units[i].name, rest, units[i + 1].name);
	else
		snprintf(buffer, WORDS, "%lld %s", seconds / units[i].seconds, units[i].name);
	return buffer;
}

/* Of a length that may be null. */
static const char *say_length(const json_t *object, const char *key, char *buffer)
{
	if (!json_is_integer(json_object_get(object, key)))
		return "unknown";
	return say_seconds(ctl_number(object, key), buffer);
}

/* As many digits as it takes to tell it from 100 %, three at most. */
static const char *say_share(const json_t *object, char *buffer)
{
	const json_t *share = json_object_get(object, "availability");

	if (!json_is_number(share))
		return "not observed";
	snprintf(buffer, WORDS, "%.3f %%",
		 (double)(int64_t)(json_number_value(share) * 1e5 + 1e-6) / 1e3);
	return buffer;
}

/* "2026-11-23T13:05:00Z" -> "2026-11-23 13:05:00" */
static const char *say_time(const json_t *object, const char *key, char *buffer)
{
	char *mark;

	snprintf(buffer, WORDS, "%s", ctl_string(object, key));
	mark = strchr(buffer, 'T');
	if (mark != NULL)
		*mark = ' ';
	buffer[strcspn(buffer, "Z")] = '\0';
	return buffer;
}

/* The mean of a length over those outages of which it is known; -1: of none. */
static long long mean_of(const json_t *outages, const char *key)
{
	long long sum = 0, count = 0;
	json_t *outage;
	size_t i;

	json_array_foreach(outages, i, outage) {
		if (!json_is_integer(json_object_get(outage, key)))
			continue;
		sum += ctl_number(outage, key);
		count++;
	}
	return count > 0 ? (sum + count / 2) / count : -1;
}

static const char *say_mean(const json_t *outages, const char *key, char *buffer)
{
	long long mean = mean_of(outages, key);

	return mean < 0 ? "unknown" : say_seconds(mean, buffer);
}

/* -1: none has it */
static long long longest_of(const json_t *outages, const char *key)
{
	long long longest = -1;
	json_t *outage;
	size_t i;

	json_array_foreach(outages, i, outage) {
		const json_t *value = json_object_get(outage, key);

		if (json_is_integer(value) && json_integer_value(value) > longest)
			longest = json_integer_value(value);
	}
	return longest;
}

static long long sum_of(const json_t *outages, const char *key)
{
	long long sum = 0;
	json_t *outage;
	size_t i;

	json_array_foreach(outages, i, outage)
		sum += ctl_number(outage, key);
	return sum;
}

/* ---- text ---- */

static void print_mail(const json_t *outages)
{
	long long delay = longest_of(outages, "longest_delay_seconds");
	long long taken = sum_of(outages, "mails_taken");
	char words[WORDS];

	printf("  mail          %lld taken, %lld flushed", taken, sum_of(outages, "mails_flushed"));
	if (delay >= 0)
		printf(", longest delay %s", say_seconds(delay, words));
	putchar('\n');
}

static void print_outage(const json_t *outage)
{
	bool open = json_is_null(json_object_get(outage, "end"));
	long long isolated = ctl_number(outage, "isolated_seconds");
	long long taken = ctl_number(outage, "mails_taken");
	char start[WORDS], lasted[WORDS], found[WORDS], back[WORDS], words[WORDS];

	printf("  %s  %-13s %-4s  %s%s\n", say_time(outage, "start", start),
	       say_length(outage, "duration_seconds", lasted), ctl_string(outage, "state"),
	       ctl_string(outage, "cause"), open ? ", goes on" : "");
	if (json_is_integer(json_object_get(outage, "detect_seconds")))
		printf("    detected after %s", say_length(outage, "detect_seconds", found));
	else
		printf("    time to detect unknown");
	if (!open)
		printf(json_is_integer(json_object_get(outage, "recover_seconds"))
			       ? ", recovered in %s"
			       : ", time to recover %s",
		       say_length(outage, "recover_seconds", back));
	if (isolated > 0)
		printf("; and %s isolated", say_seconds(isolated, words));
	putchar('\n');
	if (taken == 0)
		return;
	printf("    mail: %lld taken, %lld flushed", taken, ctl_number(outage, "mails_flushed"));
	if (json_is_integer(json_object_get(outage, "longest_delay_seconds")))
		printf(", longest delay %s", say_length(outage, "longest_delay_seconds", words));
	putchar('\n');
}

static void print_domain(const json_t *domain)
{
	const json_t *outages = json_object_get(domain, "outages");
	char share[WORDS], observed[WORDS], down[WORDS], sick[WORDS], words[WORDS];
	json_t *outage;
	size_t i;

	printf("\n%s\n", ctl_string(domain, "domain"));
	printf("  availability  %s\n", say_share(domain, share));
	printf("  observed      %s; down %s, sick %s\n",
	       say_length(domain, "observed_seconds", observed),
	       say_length(domain, "down_seconds", down), say_length(domain, "sick_seconds", sick));
	if (ctl_number(domain, "isolated_seconds") > 0)
		printf("  not counted   %s in which this host was isolated\n",
		       say_length(domain, "isolated_seconds", words));
	if (json_array_size(outages) == 0) {
		puts("  outages       none");
		return;
	}
	printf("  outages       %zu, longest %s\n", json_array_size(outages),
	       say_seconds(longest_of(outages, "duration_seconds"), words));
	printf("  mean time     to detect %s, to recover %s\n",
	       say_mean(outages, "detect_seconds", share),
	       say_mean(outages, "recover_seconds", words));
	print_mail(outages);
	puts("\n  START (UTC)          LASTED        STATE CAUSE");
	json_array_foreach(outages, i, outage)
		print_outage(outage);
}

static bool has_history(const json_t *domain)
{
	return json_array_size(json_object_get(domain, "outages")) > 0 ||
	       json_array_size(json_object_get(domain, "days")) > 0;
}

static void print_totals(const json_t *totals)
{
	char share[WORDS], away[WORDS];

	printf("\nall domains together\n");
	printf("  availability  %s\n", say_share(totals, share));
	printf("  outages       %lld, %s in all\n", ctl_number(totals, "outages"),
	       say_length(totals, "outage_seconds", away));
	printf("  mail          %lld taken, %lld flushed\n", ctl_number(totals, "mails_taken"),
	       ctl_number(totals, "mails_flushed"));
}

static void print_text(const json_t *report)
{
	char from[WORDS], to[WORDS];
	size_t shown = 0;
	json_t *domain;
	size_t i;

	printf("Availability of the primaries, %s to %s UTC\n", say_time(report, "from", from),
	       say_time(report, "to", to));
	json_array_foreach(json_object_get(report, "domains"), i, domain) {
		if (!has_history(domain))
			continue;
		print_domain(domain);
		shown++;
	}
	if (shown == 0)
		puts("\nNothing has been observed in this time yet: there is no history to "
		     "report.");
	if (shown > 1)
		print_totals(json_object_get(report, "totals"));
}

/* ---- CSV ---- */

static const char *const columns[] = { "start",
				       "detected",
				       "end",
				       "state",
				       "cause",
				       "detect_seconds",
				       "recover_seconds",
				       "duration_seconds",
				       "isolated_seconds",
				       "mails_taken",
				       "mails_flushed",
				       "longest_delay_seconds" };
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* In quotes where it needs them. */
static void print_field(const char *text)
{
	if (text[strcspn(text, ",\"\r\n")] == '\0') {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

static void print_value(const json_t *value)
{
	putchar(',');
	if (json_is_integer(value))
		printf("%lld", (long long)json_integer_value(value));
	else if (json_is_string(value))
		print_field(json_string_value(value));
}

static void print_csv(const json_t *report)
{
	json_t *domain, *outage;
	size_t i, o;

	fputs("domain", stdout);
	for (size_t c = 0; c < COLUMNS; c++)
		printf(",%s", columns[c]);
	fputs("\r\n", stdout);
	json_array_foreach(json_object_get(report, "domains"), i, domain) {
		json_array_foreach(json_object_get(domain, "outages"), o, outage) {
			print_field(ctl_string(domain, "domain"));
			for (size_t c = 0; c < COLUMNS; c++)
				print_value(json_object_get(outage, columns[c]));
			fputs("\r\n", stdout);
		}
	}
}

/* ---- the command ---- */

int ctl_report(struct ctl *ctl, int argc, char **argv)
{
	struct options options = { .domain = argc > 1 ? argv[1] : NULL,
				   .csv = ctl_option(ctl, "csv") != NULL };
	const char *since = ctl_option(ctl, "since");
	json_t *report;
	int code;

	if (since != NULL && (!duration_parse(since, &options.since) || options.since < 1 ||
			      options.since > DURATION_MAX_SECONDS))
		return ctl_misused(ctl, "--since takes a duration from 1s to 3650d, such as 12h, "
					"30d or 90d");
	if (options.csv && ctl->json)
		return ctl_misused(ctl, "--csv and --json don't go together: choose one");
	code = ask(ctl, &options, &report);
	if (report == NULL)
		return code;
	if (options.csv)
		print_csv(report);
	else if (!ctl_print_json(ctl, report))
		print_text(report);
	json_decref(report);
	return code;
}
