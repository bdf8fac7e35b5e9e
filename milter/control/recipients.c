/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "recipients-show", "-list", "-import", "-forget": the recipient memory. A request handles a page
 * or a batch that the loop has time for; backupmxctl asks until it has all. Loop thread only.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "control/control.h"
#include "core/recipient_list.h"
#include "io/idna.h"

#define BATCH_MAX	 500
#define LOOK_AGAIN_MS	 20
#define PATIENCE_MS	 20000 /* below the time after which an idle client is dropped */
#define PAGE_PATIENCE_MS 2000
#define ADDRESS_SIZE	 (MAIL_LOCAL_MAX + 1 + MAIL_DOMAIN_MAX + 1)
#define CURSOR_SIZE	 (2 * RECIPIENT_KEY_MAX + 1)
#define COUNT_OF(list)	 (sizeof(list) / sizeof((list)[0]))

static const struct gate *gate_of(const struct control_call *call)
{
	return control_settings_of(call)->gate;
}

static bool is_ours(const struct gate *gate, const struct config *config, const char *name)
{
	return config_domain_find(config, name) != NULL ||
	       domains_find(gate->domains, name) != NULL;
}

/* ---- one recipient as JSON ---- */

static json_t *found_to_json(const char *local, const char *domain,
			     const struct recipient_found *found)
{
	char name[ADDRESS_SIZE];
	TEXT_ON(text, name);
	json_t *shown;

	text_add(&text, local);
	text_add_char(&text, '@');
	text_add(&text, domain);
	shown = json_string(name);
	if (shown == NULL) { /* bytes that are no UTF-8, from before anybody looked */
		text_make_printable(name);
		shown = json_string(name);
	}
	return json_pack("{s:o, s:s, s:s, s:o, s:I, s:o}", "recipient", shown, "status",
			 recipient_status_name(found->status), "source",
			 recipient_source_name(found->source), "verified",
			 control_time(found->verified), "age_up_seconds",
			 (json_int_t)found->age_up_seconds, "expires",
			 control_time(found->expires));
}

/* Whom a request is about. */
struct subject {
	struct recipient_entry entry;
	char domain[MAIL_DOMAIN_MAX + 1];
};

static bool subject_read(const char *word, struct subject *subject)
{
	recipient_word_read(word, &subject->entry);
	return (subject->entry.kind == RECIPIENT_ENTRY_ADDRESS ||
		subject->entry.kind == RECIPIENT_ENTRY_CATCH_ALL) &&
	       idna_domain_to_ascii(subject->entry.domain, subject->domain,
				    sizeof(subject->domain));
}

static struct recipient_question question_of(const struct gate *gate, const struct config *config,
					     const struct subject *subject)
{
	return (struct recipient_question){
		.config = config,
		.domain = subject->domain,
		.local = subject->entry.local,
		.clock = domains_clock(gate->domains, subject->domain),
	};
}

/* ---- show ---- */

static void show(struct control_call *call, const struct config *config,
		 const struct subject *subject)
{
	const struct gate *gate = gate_of(call);
	struct recipient_question question = question_of(gate, config, subject);
	struct recipient_found found;

	recipients_find(gate->recipients, &question, &found);
	if (found.failed)
		control_fail(call, CONTROL_NO, "the recipient memory can't be read; see the log");
	else
		control_answer(call, found.status == RECIPIENT_UNKNOWN ? CONTROL_NO : CONTROL_OK,
			       found_to_json(question.local, question.domain, &found));
}

void control_recipients_show(struct control_call *call)
{
	struct gate *gate = control_settings_of(call)->gate;
	const char *word = control_string(call, "recipient", "");
	struct config *config = gate_config(gate);
	struct subject subject;

	if (!subject_read(word, &subject) || subject.entry.kind != RECIPIENT_ENTRY_ADDRESS)
		control_fail(call, CONTROL_USAGE,
			     "show takes an address, such as jane@example.org");
	else if (!is_ours(gate, config, subject.domain))
		control_fail(call, CONTROL_NO, "%s is no domain of ours", subject.domain);
	else
		show(call, config, &subject);
	config_put(config);
}

/* ---- pages ---- */

static void cursor_write(const struct recipients_page *page, char *text, size_t size)
{
	struct text out;

	text_init(&out, text, size);
	for (size_t i = 0; i < page->after_length; i++)
		text_add_format(&out, "%02x", (unsigned)(unsigned char)page->after[i]);
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *place = c != '\0' ? strchr(digits, c) : NULL;

	return place != NULL ? (int)(place - digits) : -1;
}

/* False for what no cursor_write() wrote. */
static bool cursor_read(const char *text, struct recipients_page *page)
{
	size_t length = strlen(text);

	if (length % 2 != 0 || length / 2 > sizeof(page->after))
		return false;
	for (size_t i = 0; i < length; i += 2) {
		int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		page->after[i / 2] = (char)(high * 16 + low);
	}
	page->after_length = length / 2;
	return true;
}

static json_t *cursor_to_json(const struct recipients_page *page)
{
	char text[CURSOR_SIZE];

	if (!page->more)
		return json_null();
	cursor_write(page, text, sizeof(text));
	return json_string(text);
}

/* What waits to be written isn't in the pages yet. True: the call comes again. */
static bool wait_for_writes(struct control_call *call, void (*again)(struct control_call *call))
{
	if (recipients_is_settled(gate_of(call)->recipients) ||
	    loop_now_ms() - call->begun_ms >= PAGE_PATIENCE_MS)
		return false;
	control_later(call, LOOK_AGAIN_MS, again);
	return true;
}

/* The page that a request asks for; false after answering what is wrong. An empty `domain` stands
 * for all of them. */
static bool page_of(struct control_call *call, struct recipients_page *page, char *domain,
		    size_t size)
{
	const char *wanted = control_string(call, "domain", "");

	*page = (struct recipients_page){ .domain = NULL };
	domain[0] = '\0';
	if (wanted[0] != '\0' && !idna_domain_to_ascii(wanted, domain, size)) {
		control_fail(call, CONTROL_USAGE, "%s is no domain name", wanted);
		return false;
	}
	if (!cursor_read(control_string(call, "after", ""), page)) {
		control_fail(call, CONTROL_USAGE, "\"after\" is not what a page before it gave");
		return false;
	}
	if (domain[0] != '\0')
		page->domain = domain;
	return true;
}

struct listing {
	const struct gate *gate;
	struct config *config;
	const char *status; /* NULL: what counts, whatever it says */
	bool good_only;	    /* valid and catch-all: for an export */
	json_t *array;
	struct domains_clock_last clock;
};

static void list_one(void *arg, const char *domain, const char *local,
		     const struct recipient_record *record)
{
	struct listing *listing = arg;
	struct recipient_found found;

	recipients_judge(listing->config,
			 domains_clock_next(listing->gate->domains, &listing->clock, domain),
			 record, &found);
	if (found.status == RECIPIENT_UNKNOWN ||
	    (listing->good_only && found.status == RECIPIENT_INVALID) ||
	    (listing->status[0] != '\0' &&
	     strcmp(listing->status, recipient_status_name(found.status)) != 0))
		return;
	json_array_append_new(listing->array, found_to_json(local, domain, &found));
}

void control_recipients_list(struct control_call *call)
{
	struct gate *gate = control_settings_of(call)->gate;
	struct listing listing = { .gate = gate,
				   .status = control_string(call, "status", ""),
				   .good_only = control_flag(call, "export") };
	struct recipients_page page;
	char domain[MAIL_DOMAIN_MAX + 1];

	if (wait_for_writes(call, control_recipients_list) ||
	    !page_of(call, &page, domain, sizeof(domain)))
		return;
	listing.config = gate_config(gate);
	if (domain[0] != '\0' && !is_ours(gate, listing.config, domain)) {
		control_fail(call, CONTROL_NO, "%s is no domain of ours", domain);
		config_put(listing.config);
		return;
	}
	listing.array = json_array();
	if (recipients_list(gate->recipients, &page, list_one, &listing)) {
		control_answer(call, CONTROL_OK,
			       json_pack("{s:o, s:o}", "recipients", listing.array, "after",
					 cursor_to_json(&page)));
	} else {
		json_decref(listing.array);
		control_fail(call, CONTROL_NO, "the recipient memory can't be read; see the log");
	}
	config_put(listing.config);
}

/* ---- forget ---- */

struct forgetting {
	const struct gate *gate;
	struct config *config;
	json_int_t count;
};

static void forget_one(void *arg, const char *domain, const char *local,
		       const struct recipient_record *record)
{
	struct forgetting *forgetting = arg;
	struct recipient_question question = { .config = forgetting->config,
					       .domain = domain,
					       .local = local };

	(void)record;
	forgetting->count += recipients_forget(forgetting->gate->recipients, &question);
}

static void forget_page(struct control_call *call, const struct subject *subject)
{
	struct gate *gate = control_settings_of(call)->gate;
	struct forgetting forgetting = { .gate = gate };
	struct recipients_page page = { .domain = subject->domain };

	if (wait_for_writes(call, control_recipients_forget))
		return;
	if (!cursor_read(control_string(call, "after", ""), &page)) {
		control_fail(call, CONTROL_USAGE, "\"after\" is not what a page before it gave");
		return;
	}
	forgetting.config = gate_config(gate);
	if (recipients_list(gate->recipients, &page, forget_one, &forgetting))
		control_answer(call, CONTROL_OK,
			       json_pack("{s:I, s:o}", "forgotten", forgetting.count, "after",
					 cursor_to_json(&page)));
	else
		control_fail(call, CONTROL_NO, "the recipient memory can't be read; see the log");
	config_put(forgetting.config);
}

/* Of a domain that isn't ours any more there may be entries, too: everybody can be forgotten. */
void control_recipients_forget(struct control_call *call)
{
	struct gate *gate = control_settings_of(call)->gate;
	struct recipient_question question;
	struct subject subject;
	struct config *config;
	int forgotten;

	if (!subject_read(control_string(call, "recipient", ""), &subject)) {
		control_fail(call, CONTROL_USAGE,
			     "forget takes an address or @domain, such as jane@example.org");
		return;
	}
	callouts_forget_silences(gate->callouts, subject.domain);
	if (subject.entry.kind == RECIPIENT_ENTRY_CATCH_ALL) {
		forget_page(call, &subject);
		return;
	}
	config = gate_config(gate);
	question = question_of(gate, config, &subject);
	forgotten = recipients_forget(gate->recipients, &question);
	config_put(config);
	control_answer(call, forgotten > 0 ? CONTROL_OK : CONTROL_NO,
		       json_pack("{s:i, s:n}", "forgotten", forgotten, "after"));
}

/* ---- import ---- */

enum outcome { TAKEN_NEW, TAKEN_KNOWN, NOT_OURS, MALFORMED, DENIED, FULL, FAILED };

static const char *const outcome_names[] = {
	[TAKEN_NEW] = "new",	    [TAKEN_KNOWN] = "known", [NOT_OURS] = "not-ours",
	[MALFORMED] = "malformed",  [DENIED] = "denied",     [FULL] = "full",
	[FAILED] = "memory-failed",
};

struct import {
	const struct gate *gate;
	struct config *config;
	char domain[MAIL_DOMAIN_MAX + 1]; /* the last one: lists go by domain, mostly */
	bool ours;
	struct recipient_clock clock;
	json_t *filled; /* the domains that got somebody new */
};

static enum outcome import_one(struct import *import, const char *word)
{
	static const enum outcome outcomes[] = {
		[RECIPIENT_IMPORT_NEW] = TAKEN_NEW, [RECIPIENT_IMPORT_KNOWN] = TAKEN_KNOWN,
		[RECIPIENT_IMPORT_DENIED] = DENIED, [RECIPIENT_IMPORT_FULL] = FULL,
		[RECIPIENT_IMPORT_FAILED] = FAILED,
	};
	struct recipient_question question = { .config = import->config };
	struct subject subject;
	enum outcome outcome;

	if (!subject_read(word, &subject))
		return MALFORMED;
	if (strcmp(import->domain, subject.domain) != 0) {
		memcpy(import->domain, subject.domain, sizeof(import->domain));
		import->ours = is_ours(import->gate, import->config, import->domain);
		if (import->ours)
			import->clock = domains_clock(import->gate->domains, import->domain);
	}
	if (!import->ours)
		return NOT_OURS;
	if (subject.entry.kind == RECIPIENT_ENTRY_ADDRESS &&
	    !recipient_entry_is_strict(&subject.entry))
		return MALFORMED;
	question.domain = import->domain;
	question.local = subject.entry.local;
	question.clock = import->clock;
	outcome = outcomes[recipients_import(import->gate->recipients, &question)];
	if (outcome == TAKEN_NEW)
		json_object_set_new(import->filled, import->domain, json_true());
	return outcome;
}

/* Who was unknown before may be known now: how much is known is counted anew. */
static void count_anew(const struct control_call *call, const struct import *import)
{
	const char *domain;
	json_t *filled;

	json_object_foreach(import->filled, domain, filled)
		history_count_anew(control_settings_of(call)->history, domain);
	json_decref(import->filled);
}

static json_t *counts_to_json(const json_int_t *counts)
{
	json_t *refused = json_object();

	for (size_t i = NOT_OURS; i < COUNT_OF(outcome_names); i++)
		if (counts[i] > 0)
			json_object_set_new(refused, outcome_names[i], json_integer(counts[i]));
	return json_pack("{s:I, s:I, s:o}", "new", counts[TAKEN_NEW], "known", counts[TAKEN_KNOWN],
			 "refused", refused);
}

/* Takes the batch. "malformed_at": which of them were malformed, so that the client can show the
 * lines; "losses": a number that grows when something could not be written. */
static void import_batch(struct control_call *call, const json_t *addresses)
{
	struct gate *gate = control_settings_of(call)->gate;
	struct import import = { .gate = gate,
				 .config = gate_config(gate),
				 .filled = json_object() };
	json_int_t counts[COUNT_OF(outcome_names)] = { 0 };
	json_t *malformed = json_array();
	json_int_t losses = (json_int_t)recipients_losses(gate->recipients);
	json_t *result, *item;
	size_t i;

	json_array_foreach(addresses, i, item) {
		const char *word = json_string_value(item);
		enum outcome outcome = word != NULL ? import_one(&import, word) : MALFORMED;

		counts[outcome]++;
		if (outcome == MALFORMED)
			json_array_append_new(malformed, json_integer((json_int_t)i));
	}
	count_anew(call, &import);
	config_put(import.config);
	result = counts_to_json(counts);
	json_object_set_new(result, "malformed_at", malformed);
	json_object_set_new(result, "losses", json_integer(losses));
	control_answer(call, CONTROL_OK, result);
}

/* The queue to the disk is bounded, and what doesn't fit is dropped: a batch waits until there is
 * room for all of it. An empty batch, the last one, waits until everything is on the disk; near
 * max_entries only what is there can be counted. */
static bool may_begin(struct control_call *call, size_t count)
{
	struct gate *gate = control_settings_of(call)->gate;
	struct config *config = gate_config(gate);
	bool may = count == 0 ? recipients_is_settled(gate->recipients)
			      : recipients_has_room(gate->recipients, config, count);

	config_put(config);
	return may;
}

void control_recipients_import(struct control_call *call)
{
	const json_t *addresses = json_object_get(call->request, "addresses");

	if (!json_is_array(addresses) || json_array_size(addresses) > BATCH_MAX) {
		control_fail(call, CONTROL_USAGE, "an import takes up to %d addresses at a time",
			     BATCH_MAX);
		return;
	}
	if (may_begin(call, json_array_size(addresses)))
		import_batch(call, addresses);
	else if (loop_now_ms() - call->begun_ms < PATIENCE_MS)
		control_later(call, LOOK_AGAIN_MS, control_recipients_import);
	else
		control_fail(call, CONTROL_NO,
			     "the disk can't keep up, nothing more is taken: import again later");
}
