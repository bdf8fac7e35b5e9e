/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions and their answers, by name and type. */
#include "check/resolve.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/memory.h"
#include "base/text.h"

struct question {
	UT_hash_handle hh;
	struct resolve *resolve;
	struct resolved resolved;
	struct dns_record *records; /* what resolved.records points to */
	char key[MAIL_DOMAIN_MAX + 16];
};

struct resolve {
	struct loop *loop;
	struct dns *dns;
	struct question *questions;
	size_t open; /* not answered yet */
};

struct resolve *resolve_new(struct loop *loop, struct dns *dns)
{
	struct resolve *resolve = memory_alloc(sizeof(*resolve));

	resolve->loop = loop;
	resolve->dns = dns;
	return resolve;
}

void resolve_free(struct resolve *resolve)
{
	struct question *question, *next;

	if (resolve == NULL)
		return;
	HASH_ITER(hh, resolve->questions, question, next) {
		HASH_DEL(resolve->questions, question);
		dns_records_free(question->records, question->resolved.count);
		free(question);
	}
	free(resolve);
}

static void records_keep(struct question *question, const struct dns_record *records, size_t count)
{
	question->records = memory_array(count + 1, sizeof(*records));
	for (size_t i = 0; i < count; i++) {
		struct dns_record *record = &question->records[i];

		*record = records[i];
		record->data = memory_alloc(record->length + 1);
		memcpy(record->data, records[i].data, record->length);
	}
	question->resolved.records = question->records;
	question->resolved.count = count;
}

static void answered(void *arg, enum dns_status status, const struct dns_record *records,
		     size_t count)
{
	struct question *question = arg;

	question->resolved.status = status;
	records_keep(question, records, count);
	if (--question->resolve->open == 0)
		loop_stop(question->resolve->loop);
}

const struct resolved *resolve_start(struct resolve *resolve, const char *name, enum dns_type type)
{
	struct question *question;
	char key[sizeof(question->key)];
	TEXT_ON(text, key);

	text_add_format(&text, "%d ", (int)type);
	text_add(&text, name);
	text_lower(key);
	HASH_FIND_STR(resolve->questions, key, question);
	if (question != NULL)
		return &question->resolved;
	question = memory_alloc(sizeof(*question));
	question->resolve = resolve;
	question->resolved.status = DNS_FAILED;
	text_copy(question->key, sizeof(question->key), key);
	HASH_ADD_STR(resolve->questions, key, question);
	resolve->open++;
	dns_ask_records(resolve->dns, name, type, answered, question);
	return &question->resolved;
}

void resolve_wait(struct resolve *resolve)
{
	/* a loop_stop() of an answer that came inside the question ends a run at once */
	while (resolve->open > 0)
		loop_run(resolve->loop);
}

const struct resolved *resolve_now(struct resolve *resolve, const char *name, enum dns_type type)
{
	const struct resolved *resolved = resolve_start(resolve, name, type);

	resolve_wait(resolve);
	return resolved;
}

size_t resolved_count(const struct resolved *resolved, enum dns_type type)
{
	size_t count = 0;

	for (size_t i = 0; i < resolved->count; i++)
		if (resolved->records[i].type == (int)type)
			count++;
	return count;
}

const struct dns_record *resolved_record(const struct resolved *resolved, enum dns_type type,
					 size_t n)
{
	for (size_t i = 0; i < resolved->count; i++)
		if (resolved->records[i].type == (int)type && n-- == 0)
			return &resolved->records[i];
	return NULL;
}

const char *resolved_problem(const struct resolved *resolved)
{
	switch (resolved->status) {
	case DNS_FOUND:
		return "it is an alias (CNAME) that leads to no such record";
	case DNS_NO_DATA:
		return "there is no such record";
	case DNS_NO_DOMAIN:
		return "there is no such name (NXDOMAIN)";
	default:
		return "the question failed (SERVFAIL, refused or no answer in time)";
	}
}
