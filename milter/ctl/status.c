/* SPDX-License-Identifier: BSD-2-Clause */
/* "status": a table of all domains, or one domain's page. */
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"

static unsigned endpoints_up(const json_t *domain, unsigned *total)
{
	json_t *endpoint;
	unsigned up = 0;
	size_t i;

	*total = 0;
	json_array_foreach(json_object_get(domain, "endpoints"), i, endpoint) {
		++*total;
		if (strcmp(ctl_string(endpoint, "state"), "up") == 0)
			up++;
	}
	return up;
}

static const char *state_shown(const json_t *domain)
{
	return ctl_flag(domain, "recovering") ? "up (recovering)" : ctl_string(domain, "state");
}

static void print_table(const json_t *domains)
{
	json_t *domain;
	size_t i;

	printf("%-32s %-15s %-13s %-9s %s\n", "DOMAIN", "STATE", "SINCE", "ENDPOINTS", "REASON");
	json_array_foreach(domains, i, domain) {
		char ago[32];
		char up[32];
		unsigned total;
		unsigned count = endpoints_up(domain, &total);

		snprintf(up, sizeof(up), "%u/%u up", count, total);
		printf("%-32s %-15s %-13s %-9s %s\n", ctl_string(domain, "domain"),
		       state_shown(domain), ctl_ago(domain, "since", ago, sizeof(ago)), up,
		       ctl_string(domain, "reason"));
	}
	if (json_array_size(domains) == 0)
		puts("no domain yet: one is learned when mail for it comes (domains_from_mta), or "
		     "write [domain \"example.org\"] into the configuration");
}

static void print_list(const char *label, const json_t *array)
{
	json_t *item;
	size_t i;

	printf("  %-15s", label);
	json_array_foreach(array, i, item)
		printf("%s%s", i > 0 ? ", " : "", json_string_value(item));
	puts(json_array_size(array) == 0 ? "none" : "");
}

static void print_endpoints(const json_t *endpoints)
{
	json_t *endpoint;
	size_t i;

	json_array_foreach(endpoints, i, endpoint) {
		char since[32];
		char probed[32];

		printf("  %-28s %-8s since %-13s probed %-11s %s\n",
		       ctl_string(endpoint, "endpoint"), ctl_string(endpoint, "state"),
		       ctl_ago(endpoint, "since", since, sizeof(since)),
		       ctl_ago(endpoint, "last_probe", probed, sizeof(probed)),
		       ctl_string(endpoint, "reason"));
	}
}

/* The one state that its word doesn't explain. */
static void print_sickness(const json_t *domain)
{
	if (strcmp(ctl_string(domain, "state"), "sick") != 0)
		return;
	if (strcmp(ctl_string(domain, "reason"), "canary-refused") == 0)
		puts("  the primary refuses people it accepted lately (the log's \"canary:\" lines "
		     "say what it said):\n"
		     "  senders are told to come again, until it accepts them");
	else
		puts("  the primary answers, but refuses EHLO and HELO: senders are told to come "
		     "again, until it\n  doesn't");
}

static void print_page(const json_t *domain)
{
	const json_t *recipients = json_object_get(domain, "recipients");
	const json_t *counters = json_object_get(domain, "counters");
	char ago[32];

	printf("%s is %s since %s (%s), reason %s\n", ctl_string(domain, "domain"),
	       state_shown(domain), ctl_string(domain, "since"),
	       ctl_ago(domain, "since", ago, sizeof(ago)), ctl_string(domain, "reason"));
	print_sickness(domain);
	printf("  %-15s%s%s\n", "source", ctl_string(domain, "source"),
	       ctl_flag(domain, "asleep") ? ", asleep: nobody has asked for it in a day" : "");
	printf("  %-15s%s\n", "our MX place", ctl_string(domain, "mx"));
	print_list("senders' set", json_object_get(domain, "senders_set"));
	print_list("forwarding set", json_object_get(domain, "forwarding_set"));
	print_endpoints(json_object_get(domain, "endpoints"));
	printf("  %-15s%lld valid, %lld invalid%s\n", "recipients", ctl_number(recipients, "valid"),
	       ctl_number(recipients, "invalid"),
	       ctl_flag(recipients, "catch_all") ? ", catch-all" : "");
	printf("  %-15s%lld accepted, %lld deferred, %lld rejected; %lld mails since it went "
	       "down\n",
	       "decisions", ctl_number(counters, "accept"), ctl_number(counters, "defer"),
	       ctl_number(counters, "reject"), ctl_number(counters, "mails_since_down"));
}

int ctl_status(struct ctl *ctl, int argc, char **argv)
{
	json_t *request;
	json_t *result;
	const json_t *domains;
	int code;

	if (argc > 2)
		return ctl_wrong_usage(ctl, argv[0]);
	request = json_pack("{s:s}", "command", "status");
	if (argc == 2)
		json_object_set_new(request, "domain", json_string(argv[1]));
	code = ctl_ask(ctl, request, &result);
	if (result == NULL || ctl_print_json(ctl, result))
		goto out;
	domains = json_object_get(result, "domains");
	if (ctl_flag(result, "isolated"))
		puts("this host is isolated: neither primaries nor references answer, states stay "
		     "as they were");
	if (argc == 2)
		print_page(json_array_get(domains, 0));
	else
		print_table(domains);
out:
	json_decref(result);
	return code;
}
