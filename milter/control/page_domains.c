/* SPDX-License-Identifier: BSD-2-Clause */
/* One card per domain, those in trouble first. No state; any thread. */
#include <string.h>

#include "control/page_parts.h"

#define ENDPOINTS_MAX 12

static bool is_state(const json_t *object, const char *state)
{
	return strcmp(page_get_string(object, "state"), state) == 0;
}

/* "refuses connections", or the word itself where it isn't one of ours. */
static void put_reason(const struct page *page, const char *reason)
{
	const char *words = page_health_words(reason);

	if (words != NULL)
		fputs(words, page->out);
	else
		page_foreign(page, reason);
}

static bool is_trouble(const char *reason)
{
	return reason[0] != '\0' && strcmp(reason, "ok") != 0;
}

static void put_why(const struct page *page, const struct page_domain *domain)
{
	const char *reason = page_get_string(domain->status, "reason");

	if (page_get_flag(domain->status, "asleep")) {
		fputs("Nobody asked for it in a day.", page->out);
	} else if (is_state(domain->status, "not-backup")) {
		fputs("Its MX records give senders no better host than this one, and no primary is "
		      "configured.",
		      page->out);
	} else if (domain->tone != PAGE_GOOD && is_trouble(reason)) {
		fputs("The primary ", page->out);
		put_reason(page, reason);
		fputs(".", page->out);
	}
}

static void put_since(const struct page *page, const struct page_domain *domain)
{
	int64_t forced = page_get_time(domain->status, "forced_until");

	fputs("<p class='since'>", page->out);
	if (domain->since != 0) {
		fputs("Since ", page->out);
		page_time(page, domain->since);
		fputs(", ", page->out);
		page_ago(page, domain->since);
		fputs(". ", page->out);
	}
	if (forced != 0) {
		fputs("Forced by the administrator until ", page->out);
		page_time(page, forced);
		fputs(". ", page->out);
	}
	put_why(page, domain);
	fputs("</p>", page->out);
}

static void put_endpoint(const struct page *page, const json_t *endpoint)
{
	const char *reason = page_get_string(endpoint, "reason");
	bool up = is_state(endpoint, "up");
	/* what this host has no way to says nothing of the primary */
	bool counts = is_state(endpoint, "down") && strcmp(reason, "no-route") != 0;

	fputs("<li>", page->out);
	page_icon(page, up ? PAGE_GOOD : counts ? PAGE_BAD : PAGE_IDLE);
	fputs("<span><b class='address'>", page->out);
	page_name(page, page_get_string(endpoint, "endpoint"));
	fputs("</b> ", page->out);
	page_foreign(page, page_get_string(endpoint, "state"));
	if (!up && is_trouble(reason)) {
		fputs(", ", page->out);
		put_reason(page, reason);
	}
	fputs("</span></li>", page->out);
}

static void put_endpoints(const struct page *page, const struct page_domain *domain)
{
	const json_t *endpoints = json_object_get(domain->status, "endpoints");
	size_t count = json_array_size(endpoints);

	fputs("<div><dt>Endpoints</dt><dd>", page->out);
	if (count == 0)
		fputs("none", page->out);
	else
		fputs("<ul>", page->out);
	for (size_t i = 0; i < count && i < ENDPOINTS_MAX; i++)
		put_endpoint(page, json_array_get(endpoints, i));
	if (count > ENDPOINTS_MAX) {
		fputs("<li>and ", page->out);
		page_number(page, (int64_t)(count - ENDPOINTS_MAX));
		fputs(" more</li>", page->out);
	}
	fputs(count == 0 ? "</dd></div>" : "</ul></dd></div>", page->out);
}

static void put_recipients(const struct page *page, const struct page_domain *domain)
{
	const json_t *recipients = json_object_get(domain->status, "recipients");
	const json_t *coverage = json_object_get(recipients, "coverage");

	fputs("<div><dt>Recipients</dt><dd>", page->out);
	if (page_get_flag(recipients, "catch_all"))
		fputs("any: the domain is a catch-all", page->out);
	else {
		page_number(page, page_get_number(recipients, "valid"));
		fputs(" known", page->out);
	}
	if (json_is_number(coverage)) {
		fputs(", covering ", page->out);
		page_percent(page, json_number_value(coverage));
		fputs(" of those asked for", page->out);
	}
	fputs("</dd></div>", page->out);
}

static void put_waiting(const struct page *page, const struct page_domain *domain)
{
	const json_t *counters = json_object_get(domain->status, "counters");
	int64_t mails = page_get_number(counters, "mails_since_down");

	if (mails == 0)
		return;
	fputs("<div><dt>Kept here</dt><dd>", page->out);
	page_plural(page, mails, "mail", "mails");
	fputs(" taken since it went down</dd></div>", page->out);
}

static void put_card(const struct page *page, const struct page_domain *domain)
{
	const char *tone = page_tone_name(domain->tone);

	fprintf(page->out, "<li class='card %s'><div class='top'><h3>", tone);
	page_name(page, domain->name);
	fprintf(page->out, "</h3><p class='state %s'>", tone);
	page_icon(page, domain->tone);
	fprintf(page->out, "%s</p></div>", domain->word);
	put_since(page, domain);
	page_days(page, domain);
	fputs("<dl class='facts'>", page->out);
	put_endpoints(page, domain);
	put_recipients(page, domain);
	put_waiting(page, domain);
	fputs("</dl></li>\n", page->out);
}

void page_domains(const struct page *page)
{
	if (page->shown == 0)
		return;
	fputs("<section><h2>Domains</h2><ul class='cards'>\n", page->out);
	for (size_t i = 0; i < page->shown; i++)
		put_card(page, &page->domains[i]);
	fputs("</ul>", page->out);
	if (page->shown < page->domain_count) {
		fputs("<p class='more'>", page->out);
		page_number(page, (int64_t)(page->domain_count - page->shown));
		fputs(" more domains are not shown here; those in trouble come first. "
		      "<code>backupmxctl status</code> lists them all.</p>",
		      page->out);
	}
	fputs("</section>\n", page->out);
}
