/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and writing the recipient memory. What is known is in the store alone; any thread.
 */
#include "memory/recipients.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/mail_address.h"
#include "memory/drops.h"

#define COUNT_MAX	2000 /* status counts so many itself, a fraction of a millisecond */
#define RECENT_SCAN_MAX 1000
#define RECENT_MAX	8
#define BUSY_WRITES	10000	    /* far below what the writer drops */
#define RENEW_SECONDS	86400	    /* an import that says again what an import said */
#define HEARSAY		(1LL << 40) /* seconds by which a list counts as older than the primary */

/* What the sweep counted in a domain too large to be counted on the loop. */
struct counted {
	UT_hash_handle hh;
	struct recipient_counts counts;
	char domain[MAIL_DOMAIN_MAX + 1];
};

struct recipients {
	struct writer *writer;
	struct recipient_lists *lists;
	struct drops *drops;
	atomic_bool full;     /* said already */
	pthread_mutex_t lock; /* of what the sweep counted */
	struct counted *counted;
	struct recipient_totals totals;
	bool has_totals;
};

struct recipients *recipients_new(struct writer *writer, struct recipient_lists *lists)
{
	struct recipients *recipients = memory_alloc(sizeof(*recipients));

	recipients->writer = writer;
	recipients->lists = lists;
	recipients->drops = drops_new(writer);
	pthread_mutex_init(&recipients->lock, NULL);
	return recipients;
}

void recipients_free(struct recipients *recipients)
{
	struct counted *counted, *next;

	HASH_ITER(hh, recipients->counted, counted, next) {
		HASH_DEL(recipients->counted, counted);
		free(counted);
	}
	pthread_mutex_destroy(&recipients->lock);
	drops_free(recipients->drops);
	free(recipients);
}

struct recipient_rules recipients_rules(const struct config *config)
{
	return (struct recipient_rules){
		.valid_ttl = config->recipients.valid_ttl,
		.valid_refresh = config->recipients.valid_refresh,
		.valid_max_age = config->recipients.valid_max_age,
		.invalid_ttl = config->recipients.invalid_ttl,
		.catch_all_ttl = config->recipients.catch_all_ttl,
	};
}

void recipients_fold(const struct config *config, const char *local, char *out, size_t size)
{
	text_copy(out, size, local);
	if (config->recipients.local_part_case == CONFIG_CASE_FOLD)
		text_lower(out);
}

static enum store_result record_get(struct recipients *recipients, const char *domain,
				    const char *local, struct recipient_record *record)
{
	char key[RECIPIENT_KEY_MAX];
	unsigned char bytes[RECIPIENT_RECORD_MAX];
	size_t length = 0;
	size_t key_length = recipient_key(key, domain, local);
	enum store_result result = writer_get(recipients->writer, STORE_RECIPIENTS, key, key_length,
					      bytes, sizeof(bytes), &length);

	/* damaged bytes are no record: they may be written over */
	if (result == STORE_FOUND && !recipient_record_read(record, bytes, length))
		return STORE_ABSENT;
	return result;
}

static void record_put(struct recipients *recipients, const char *domain, const char *local,
		       const struct recipient_record *record)
{
	char key[RECIPIENT_KEY_MAX];
	unsigned char bytes[RECIPIENT_RECORD_MAX];
	size_t length = recipient_record_write(record, bytes);

	writer_put(recipients->writer, STORE_RECIPIENTS, key, recipient_key(key, domain, local),
		   bytes, length);
}

static void fill_from_record(const struct recipient_record *record,
			     const struct recipient_rules *rules,
			     const struct recipient_clock *clock, struct recipient_found *found)
{
	struct recipient_record settled;

	found->status = recipient_status_now(record, rules, clock);
	if (found->status == RECIPIENT_UNKNOWN || !recipient_record_settle(record, clock, &settled))
		return;
	found->source = settled.source;
	found->verified = settled.verified;
	found->age_up_seconds = recipient_age_up(&settled, clock);
	found->expires = recipient_expires(&settled, rules, clock);
	found->wants_refresh = recipient_wants_refresh(&settled, rules, clock);
}

const char *recipients_list_refusal(struct recipients *recipients, const char *domain)
{
	return recipient_lists_refusal(recipients->lists, domain);
}

size_t recipients_list_size(struct recipients *recipients, const char *domain)
{
	return recipient_lists_size(recipients->lists, domain);
}

/* What the lists say; false when they leave it open. */
static bool find_in_lists(struct recipients *recipients, const struct recipient_question *question,
			  const char *typed, struct recipient_found *found)
{
	found->source = RECIPIENT_SOURCE_FILE;
	switch (recipient_lists_find(recipients->lists, question->domain, typed)) {
	case RECIPIENT_LIST_PRESENT:
		found->status = RECIPIENT_VALID;
		return true;
	case RECIPIENT_LIST_CATCH_ALL:
		found->status = RECIPIENT_CATCH_ALL;
		return true;
	case RECIPIENT_LIST_MISSING:
		if (!mail_local_is_role(typed)) {
			found->status = RECIPIENT_INVALID;
			return true;
		}
		break;
	case RECIPIENT_LIST_ABSENT:
	case RECIPIENT_LIST_NONE:
		break;
	}
	found->source = RECIPIENT_SOURCE_NONE;
	return false;
}

/* The recipient's own entry against the domain's: a refusal from before the domain turned catch-all
 * means nothing any more. */
static void find_in_memory(struct recipients *recipients, const struct recipient_question *question,
			   const char *local, struct recipient_found *found)
{
	struct recipient_rules rules = recipients_rules(question->config);
	struct recipient_record own, domain;
	enum store_result has_own = record_get(recipients, question->domain, local, &own);
	enum store_result has_domain;

	if (has_own == STORE_FOUND && drops_cover(recipients->drops, question->domain, &own))
		has_own = STORE_ABSENT;
	if (has_own == STORE_FOUND)
		fill_from_record(&own, &rules, &question->clock, found);
	if (found->status == RECIPIENT_VALID)
		return;
	has_domain = record_get(recipients, question->domain, "", &domain);
	if (has_domain == STORE_FOUND &&
	    recipient_status_now(&domain, &rules, &question->clock) == RECIPIENT_CATCH_ALL &&
	    (found->status == RECIPIENT_UNKNOWN || domain.verified >= own.verified))
		fill_from_record(&domain, &rules, &question->clock, found);
	if (found->status == RECIPIENT_UNKNOWN)
		found->failed = has_own == STORE_FAILED || has_domain == STORE_FAILED;
}

static void find_one(struct recipients *recipients, const struct recipient_question *question,
		     const char *typed, struct recipient_found *found)
{
	char local[MAIL_LOCAL_MAX + 1];

	memset(found, 0, sizeof(*found));
	if (find_in_lists(recipients, question, typed, found))
		return;
	recipients_fold(question->config, typed, local, sizeof(local));
	find_in_memory(recipients, question, local, found);
}

void recipients_find(struct recipients *recipients, const struct recipient_question *question,
		     struct recipient_found *found)
{
	const char *delimiters = question->config->recipients.recipient_delimiter;
	char base[MAIL_LOCAL_MAX + 1];
	struct recipient_found of_base;

	find_one(recipients, question, question->local, found);
	if (found->status != RECIPIENT_UNKNOWN && found->status != RECIPIENT_INVALID)
		return;
	if (delimiters[0] == '\0' ||
	    !mail_local_without_detail(question->local, delimiters, base, sizeof(base)))
		return;
	/* a list that is complete knows "user", not "user+detail" */
	if (found->status == RECIPIENT_INVALID && found->source != RECIPIENT_SOURCE_FILE)
		return;
	find_one(recipients, question, base, &of_base);
	if (of_base.status != RECIPIENT_UNKNOWN)
		*found = of_base;
}

static int64_t entry_count(struct recipients *recipients)
{
	return store_entries(writer_store(recipients->writer), STORE_RECIPIENTS);
}

/* No more than max_entries: what is new then isn't kept, what is there stays. It is over when the
 * sweep has made some room. `coming`: so many may be on their way to the store. */
static bool is_full(struct recipients *recipients, const struct recipient_question *question,
		    size_t coming)
{
	int64_t max = question->config->recipients.max_entries;
	int64_t entries = entry_count(recipients) + (int64_t)coming;

	if (entries >= max && !atomic_exchange(&recipients->full, true))
		log_warning("recipients: max_entries=%lld are remembered, no new ones are until "
			    "some expire; raise it if your domains have more recipients",
			    (long long)max);
	else if (entries < max - max / 100 && atomic_exchange(&recipients->full, false))
		log_notice("recipients: new ones are remembered again");
	return entries >= max;
}

void recipients_learn(struct recipients *recipients, const struct recipient_question *question,
		      enum rcpt_verdict verdict)
{
	struct recipient_rules rules = recipients_rules(question->config);
	struct recipient_record old, learned;
	char local[MAIL_LOCAL_MAX + 1];
	enum store_result has_old;

	recipients_fold(question->config, question->local, local, sizeof(local));
	has_old = record_get(recipients, question->domain, local, &old);
	/* what could not be read must not be written over */
	if (has_old == STORE_FAILED ||
	    (has_old == STORE_ABSENT && is_full(recipients, question, 0)))
		return;
	if (has_old == STORE_FOUND && drops_cover(recipients->drops, question->domain, &old))
		has_old = STORE_ABSENT; /* room there is: its own */
	if (recipient_learn(has_old == STORE_FOUND ? &old : NULL, verdict, &rules, &question->clock,
			    &learned))
		record_put(recipients, question->domain, local, &learned);
}

/* ---- import ---- */

/* A domain that lately refused an invented local part is no catch-all, whatever a list says. */
static bool import_is_denied(const struct recipient_record *old,
			     const struct recipient_rules *rules,
			     const struct recipient_clock *clock)
{
	if (old->kind == RECIPIENT_KIND_NO_CATCH_ALL)
		return recipient_age_up(old, clock) < rules->catch_all_ttl;
	return recipient_status_now(old, rules, clock) == RECIPIENT_INVALID;
}

/* What the primary said itself stays; an import of lately as well, so that the same list every
 * night costs no writes. */
static bool import_is_known(const struct recipient_record *old, const struct recipient_rules *rules,
			    const struct recipient_clock *clock)
{
	enum recipient_status status = recipient_status_now(old, rules, clock);

	return status == RECIPIENT_VALID || status == RECIPIENT_CATCH_ALL;
}

static bool import_renews(const struct recipient_record *old, const struct recipient_clock *clock)
{
	return old->source == RECIPIENT_SOURCE_IMPORT && old->kind != RECIPIENT_KIND_INVALID &&
	       (clock->now - old->verified >= RENEW_SECONDS ||
		recipient_age_up(old, clock) >= RENEW_SECONDS);
}

enum recipient_import recipients_import(struct recipients *recipients,
					const struct recipient_question *question)
{
	const struct recipient_clock *clock = &question->clock;
	struct recipient_rules rules = recipients_rules(question->config);
	struct recipient_record old, fresh = {
		.kind = question->local[0] != '\0' ? RECIPIENT_KIND_VALID
						   : RECIPIENT_KIND_CATCH_ALL,
		.source = RECIPIENT_SOURCE_IMPORT,
		.verified = clock->now,
		.verified_up = clock->up,
	};
	char local[MAIL_LOCAL_MAX + 1];
	enum store_result has_old;
	bool known;

	recipients_fold(question->config, question->local, local, sizeof(local));
	has_old = record_get(recipients, question->domain, local, &old);
	if (has_old == STORE_FAILED)
		return RECIPIENT_IMPORT_FAILED;
	if (has_old == STORE_ABSENT &&
	    is_full(recipients, question, writer_backlog(recipients->writer)))
		return RECIPIENT_IMPORT_FULL;
	if (has_old == STORE_FOUND && drops_cover(recipients->drops, question->domain, &old))
		has_old = STORE_ABSENT;
	if (has_old == STORE_FOUND && import_is_denied(&old, &rules, clock))
		return RECIPIENT_IMPORT_DENIED;
	known = has_old == STORE_FOUND && import_is_known(&old, &rules, clock);
	if (!known || import_renews(&old, clock))
		record_put(recipients, question->domain, local, &fresh);
	return known ? RECIPIENT_IMPORT_KNOWN : RECIPIENT_IMPORT_NEW;
}

bool recipients_is_settled(struct recipients *recipients)
{
	return writer_backlog(recipients->writer) == 0;
}

bool recipients_has_room(struct recipients *recipients, const struct config *config, size_t count)
{
	size_t waiting = writer_backlog(recipients->writer);
	int64_t all = entry_count(recipients) + (int64_t)(waiting + count);

	return waiting <= (all > config->recipients.max_entries ? 0 : BUSY_WRITES);
}

uint64_t recipients_losses(struct recipients *recipients)
{
	return writer_losses(recipients->writer);
}

/* ---- all of it, page by page ---- */

struct page_scan {
	struct recipients *recipients;
	struct recipients_page *page;
	recipients_visitor visit;
	void *arg;
	size_t seen;
};

static bool visit_key(void *arg, const void *key, size_t key_length, const void *value,
		      size_t value_length)
{
	struct page_scan *scan = arg;
	struct recipients_page *page = scan->page;
	const char *nul = memchr(key, '\0', key_length);
	struct recipient_record record;
	char local[MAIL_LOCAL_MAX + 1];
	size_t local_length;

	if (scan->seen++ == RECIPIENTS_PAGE_SCAN) {
		page->more = true;
		return false;
	}
	if (key_length > sizeof(page->after))
		return true;
	memcpy(page->after, key, key_length);
	page->after_length = key_length;
	if (nul == NULL || !recipient_record_read(&record, value, value_length))
		return true;
	local_length = key_length - (size_t)(nul - (const char *)key) - 1;
	if (local_length >= sizeof(local))
		return true;
	memcpy(local, nul + 1, local_length);
	local[local_length] = '\0';
	if (!drops_cover(scan->recipients->drops, page->after, &record))
		scan->visit(scan->arg, page->after, local, &record);
	return true;
}

bool recipients_list(struct recipients *recipients, struct recipients_page *page,
		     recipients_visitor visit, void *arg)
{
	struct page_scan scan = {
		.recipients = recipients, .page = page, .visit = visit, .arg = arg
	};
	char prefix[RECIPIENT_KEY_MAX];
	char after[RECIPIENT_KEY_MAX];
	struct store_range range = { .table = STORE_RECIPIENTS,
				     .prefix = prefix,
				     .after = after,
				     .after_length = page->after_length };

	if (page->domain != NULL)
		range.prefix_length = recipient_key(prefix, page->domain, "");
	memcpy(after, page->after, page->after_length);
	page->more = false;
	return store_scan(writer_store(recipients->writer), &range, visit_key, &scan) == 0;
}

void recipients_judge(const struct config *config, const struct recipient_clock *clock,
		      const struct recipient_record *record, struct recipient_found *found)
{
	struct recipient_rules rules = recipients_rules(config);

	memset(found, 0, sizeof(*found));
	fill_from_record(record, &rules, clock, found);
}

bool recipients_forget(struct recipients *recipients, const struct recipient_question *question)
{
	struct recipient_record record;
	char local[MAIL_LOCAL_MAX + 1];
	char key[RECIPIENT_KEY_MAX];

	recipients_fold(question->config, question->local, local, sizeof(local));
	if (record_get(recipients, question->domain, local, &record) != STORE_FOUND)
		return false;
	writer_delete(recipients->writer, STORE_RECIPIENTS, key,
		      recipient_key(key, question->domain, local));
	return true;
}

/* ---- catch-all ---- */

struct scan {
	struct recipients *recipients;
	const struct recipient_question *question;
	struct recipient_rules rules;
	size_t prefix_length;
	size_t seen;
	/* of recipients_recent(): those found so far, the best first */
	char asked[MAIL_LOCAL_MAX + 1];
	char (*locals)[MAIL_LOCAL_MAX + 1];
	int64_t ranks[RECENT_MAX];
	size_t count, max;
	/* of recipients_count() */
	struct recipient_counts *counts;
};

static void scan_domain(struct scan *scan, store_visitor visit)
{
	char key[RECIPIENT_KEY_MAX];
	struct store_range range = { .table = STORE_RECIPIENTS, .prefix = key };

	scan->rules = recipients_rules(scan->question->config);
	scan->prefix_length = recipient_key(key, scan->question->domain, "");
	range.prefix_length = scan->prefix_length;
	store_scan(writer_store(scan->recipients->writer), &range, visit, scan);
}

void recipients_learn_catch_all(struct recipients *recipients,
				const struct recipient_question *question, bool accepts_all)
{
	struct recipient_record old;
	enum store_result has_old = record_get(recipients, question->domain, "", &old);
	bool had = has_old == STORE_FOUND;
	struct recipient_record record = {
		.kind = accepts_all ? RECIPIENT_KIND_CATCH_ALL : RECIPIENT_KIND_NO_CATCH_ALL,
		.source = RECIPIENT_SOURCE_CALLOUT,
		.verified = question->clock.now,
		.verified_up = question->clock.up,
	};

	if (has_old == STORE_FAILED)
		return;
	record_put(recipients, question->domain, "", &record);
	if (!accepts_all || (had && old.kind == RECIPIENT_KIND_CATCH_ALL))
		return;
	drops_add(recipients->drops, question->domain, had ? old.verified : 0, question->clock.now);
}

int64_t recipients_drop_step(struct recipients *recipients)
{
	return drops_step(recipients->drops);
}

enum catch_all recipients_catch_all(struct recipients *recipients,
				    const struct recipient_question *question, int64_t *asked)
{
	struct recipient_rules rules = recipients_rules(question->config);
	struct recipient_record record;

	*asked = 0;
	if (record_get(recipients, question->domain, "", &record) != STORE_FOUND)
		return CATCH_ALL_UNKNOWN;
	*asked = record.verified;
	if (record.kind == RECIPIENT_KIND_NO_CATCH_ALL)
		return CATCH_ALL_NO;
	if (recipient_status_now(&record, &rules, &question->clock) == RECIPIENT_CATCH_ALL)
		return CATCH_ALL_YES;
	return CATCH_ALL_UNKNOWN;
}

/* ---- controls ---- */

/* What the primary said itself comes before what a list says; then the latest. */
static int64_t rank_of(const struct recipient_record *record)
{
	return record->verified - (record->source == RECIPIENT_SOURCE_CALLOUT ? 0 : HEARSAY);
}

/* The local part of a key behind the domain's prefix; false when it doesn't fit. */
static bool key_local(const struct scan *scan, const void *key, size_t key_length, char *local,
		      size_t size)
{
	size_t length = key_length - scan->prefix_length;

	if (length >= size)
		return false;
	memcpy(local, (const char *)key + scan->prefix_length, length);
	local[length] = '\0';
	return true;
}

static void keep_recent(struct scan *scan, const char *local, int64_t rank)
{
	size_t at = scan->count;

	while (at > 0 && scan->ranks[at - 1] < rank)
		at--;
	if (at == scan->max)
		return;
	if (scan->count < scan->max)
		scan->count++;
	for (size_t i = scan->count - 1; i > at; i--) {
		scan->ranks[i] = scan->ranks[i - 1];
		memcpy(scan->locals[i], scan->locals[i - 1], sizeof(scan->locals[i]));
	}
	scan->ranks[at] = rank;
	text_copy(scan->locals[at], sizeof(scan->locals[at]), local);
}

static bool consider_recent(void *arg, const void *key, size_t key_length, const void *value,
			    size_t value_length)
{
	struct scan *scan = arg;
	struct recipient_record record;
	char local[MAIL_LOCAL_MAX + 1];

	if (++scan->seen > RECENT_SCAN_MAX)
		return false;
	if (!recipient_record_read(&record, value, value_length) ||
	    record.kind != RECIPIENT_KIND_VALID ||
	    recipient_status_now(&record, &scan->rules, &scan->question->clock) != RECIPIENT_VALID)
		return true;
	/* one with other characters than ASCII can't be asked about everywhere */
	if (!key_local(scan, key, key_length, local, sizeof(local)) || mail_local_is_role(local) ||
	    !text_is_ascii(local) || strcmp(local, scan->asked) == 0)
		return true;
	keep_recent(scan, local, rank_of(&record));
	return true;
}

size_t recipients_recent(struct recipients *recipients, const struct recipient_question *question,
			 char (*locals)[MAIL_LOCAL_MAX + 1], size_t max)
{
	struct scan scan = { .recipients = recipients,
			     .question = question,
			     .locals = locals,
			     .max = max < RECENT_MAX ? max : RECENT_MAX };

	recipients_fold(question->config, question->local, scan.asked, sizeof(scan.asked));
	scan_domain(&scan, consider_recent);
	/* whom the list names is never asked about, so where it is complete the memory is empty */
	if (scan.count == 0)
		return recipient_lists_sample(recipients->lists, question->domain, scan.asked,
					      locals, scan.max);
	return scan.count;
}

bool recipients_control(struct recipients *recipients, const struct recipient_question *question,
			char *local, size_t size)
{
	char locals[1][MAIL_LOCAL_MAX + 1];

	return recipients_recent(recipients, question, locals, 1) > 0 &&
	       text_copy(local, size, locals[0]);
}

/* ---- counting ---- */

static bool count_one(void *arg, const void *key, size_t key_length, const void *value,
		      size_t value_length)
{
	struct scan *scan = arg;
	struct recipient_record record;

	(void)key;
	(void)key_length;
	if (recipient_record_read(&record, value, value_length))
		recipient_counts_add(scan->counts, recipient_status_now(&record, &scan->rules,
									&scan->question->clock));
	return ++scan->seen < COUNT_MAX;
}

void recipient_counts_add(struct recipient_counts *counts, enum recipient_status status)
{
	if (status == RECIPIENT_VALID)
		counts->valid++;
	else if (status == RECIPIENT_INVALID)
		counts->invalid++;
	else if (status == RECIPIENT_CATCH_ALL)
		counts->catch_all = true;
}

/* The domain's own entry is the first one, so that `catch_all` is always counted now. */
static void take_counted(struct recipients *recipients, const char *domain,
			 struct recipient_counts *counts)
{
	struct counted *counted;

	pthread_mutex_lock(&recipients->lock);
	HASH_FIND_STR(recipients->counted, domain, counted);
	if (counted != NULL) {
		counts->valid = counted->counts.valid;
		counts->invalid = counted->counts.invalid;
	}
	pthread_mutex_unlock(&recipients->lock);
}

void recipients_count(struct recipients *recipients, const struct recipient_question *question,
		      struct recipient_counts *counts)
{
	struct scan scan = { .recipients = recipients, .question = question, .counts = counts };

	memset(counts, 0, sizeof(*counts));
	scan_domain(&scan, count_one);
	if (scan.seen >= COUNT_MAX)
		take_counted(recipients, question->domain, counts);
	counts->valid += recipient_lists_size(recipients->lists, question->domain);
}

void recipients_note_counts(struct recipients *recipients, const char *domain,
			    const struct recipient_counts *counts)
{
	struct counted *counted;

	pthread_mutex_lock(&recipients->lock);
	HASH_FIND_STR(recipients->counted, domain, counted);
	if (counts->valid + counts->invalid < COUNT_MAX / 2) { /* small: counted when asked */
		if (counted != NULL)
			HASH_DEL(recipients->counted, counted);
		free(counted);
	} else if (counted != NULL) {
		counted->counts = *counts;
	} else {
		counted = memory_alloc(sizeof(*counted));
		counted->counts = *counts;
		text_copy(counted->domain, sizeof(counted->domain), domain);
		HASH_ADD_STR(recipients->counted, domain, counted);
	}
	pthread_mutex_unlock(&recipients->lock);
}

void recipients_note_totals(struct recipients *recipients, const struct recipient_totals *totals)
{
	pthread_mutex_lock(&recipients->lock);
	recipients->totals = *totals;
	recipients->has_totals = true;
	pthread_mutex_unlock(&recipients->lock);
}

bool recipients_swept_totals(struct recipients *recipients, struct recipient_totals *totals)
{
	bool has;

	pthread_mutex_lock(&recipients->lock);
	has = recipients->has_totals;
	*totals = recipients->totals;
	pthread_mutex_unlock(&recipients->lock);
	return has;
}
