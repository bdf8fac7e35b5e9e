/* SPDX-License-Identifier: BSD-2-Clause */
/* A recipient that the primary should accept: of the configuration, the memory, or a list. */
#include <stdio.h>
#include <string.h>

#include "base/lines.h"
#include "base/text.h"
#include "check/talk.h"
#include "core/recipient_list.h"

#define PAGES_MAX      20    /* of the memory; refused ones may come first */
#define LINES_MAX      10000 /* of a list */
#define LINE_MAX_BYTES 1024

/* postmaster and abuse prove nothing: many MTAs accept them before they look. */
static bool take(struct talk_domain *domain, const char *address, const char *source)
{
	struct mail_address parsed;
	TEXT_ON(text, domain->canary);

	mail_address_parse(address, &parsed);
	if (!parsed.askable || !parsed.is_ascii || mail_local_is_role(parsed.local) ||
	    strcmp(parsed.domain, domain->domain->name) != 0)
		return false;
	text_add_format(&text, "%s@%s", parsed.local, parsed.domain);
	domain->canary_source = source;
	return true;
}

/* ---- the daemon's memory ---- */

static bool take_of_page(struct talk_domain *domain, const json_t *page)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(page, "recipients"), i, item) {
		const char *address = json_string_value(json_object_get(item, "recipient"));

		if (address != NULL && take(domain, address, "remembered as valid"))
			return true;
	}
	return false;
}

static bool of_memory(struct check *check, struct talk_domain *domain)
{
	json_t *after = json_string("");
	bool found = false;

	for (int i = 0; i < PAGES_MAX && !found && json_is_string(after); i++) {
		json_t *page = check->options.ask(
			check->options.ask_arg,
			json_pack("{s:s, s:s, s:s, s:o}", "command", "recipients-list", "domain",
				  domain->domain->name, "status", "valid", "after", after));

		found = take_of_page(domain, page);
		after = json_incref(json_object_get(page, "after"));
		json_decref(page);
	}
	json_decref(after);
	return found;
}

/* ---- the recipients_file ---- */

static bool take_entry(struct talk_domain *domain, const struct recipient_entry *entry)
{
	char address[TALK_ADDRESS_MAX];
	TEXT_ON(text, address);

	if (entry->kind != RECIPIENT_ENTRY_ADDRESS && entry->kind != RECIPIENT_ENTRY_LOCAL)
		return false;
	if (entry->kind == RECIPIENT_ENTRY_LOCAL &&
	    recipient_word_names_domain(entry->local, domain->domain->name))
		return false;
	text_add_format(&text, "%s@%s", entry->local,
			entry->kind == RECIPIENT_ENTRY_ADDRESS ? entry->domain
							       : domain->domain->name);
	return take(domain, address, "in the recipients_file");
}

static bool of_file(struct talk_domain *domain)
{
	struct recipient_list_reader reader = { .has_value = false };
	struct recipient_entry entry;
	const char *path = domain->domain->config->recipients_file;
	FILE *file = path[0] != '\0' ? fopen(path, "re") : NULL;
	char line[LINE_MAX_BYTES];
	bool found = false;
	bool cut;

	if (file == NULL)
		return false;
	for (int i = 0; i < LINES_MAX && !found && lines_next(file, line, sizeof(line), &cut);
	     i++) {
		recipient_list_read(&reader, line, cut, &entry);
		found = take_entry(domain, &entry);
	}
	fclose(file);
	return found;
}

void talk_canary_choose(struct check *check, struct talk_domain *domain)
{
	const char *wanted = domain->domain->config->probe.canary;

	domain->canary_source = "no valid recipient of it is known";
	if (strcmp(wanted, "none") == 0) {
		domain->canary_source = "canary = none";
		return;
	}
	if (strcmp(wanted, "auto") != 0 && take(domain, wanted, "canary of the configuration"))
		return;
	if (check->options.ask != NULL && domain->domain->status != NULL &&
	    of_memory(check, domain))
		return;
	of_file(domain);
}
