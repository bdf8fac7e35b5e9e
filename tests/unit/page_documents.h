/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Documents for the page in which one foreign string stands wherever a string can stand. Shared by
 * the page's unit test and its fuzz harness.
 */
#ifndef BACKUPMX_TESTS_PAGE_DOCUMENTS_H
#define BACKUPMX_TESTS_PAGE_DOCUMENTS_H

#include <jansson.h>
#include <stddef.h>
#include <string.h>

static const char page_documents[] =
	"{\"status\": {\"version\": \"$\", \"mode\": \"$\", \"domains\": ["
	"{\"domain\": \"$\", \"state\": \"down\", \"since\": \"$\", \"reason\": \"$\","
	" \"forced_until\": \"$\", \"endpoints\": ["
	"  {\"endpoint\": \"$\", \"state\": \"$\", \"reason\": \"$\"}]},"
	"{\"domain\": \"$\", \"state\": \"$\"}]},"
	"\"report\": {\"domains\": [{\"domain\": \"$\", \"availability\": \"$\","
	" \"outages\": [{\"start\": \"2026-11-22T10:00:00Z\", \"end\": \"$\", \"state\": \"$\","
	"   \"cause\": \"$\"}, {\"start\": \"$\"}], \"days\": [{\"date\": \"$\"}]}],"
	" \"totals\": {\"availability\": \"$\"}},"
	"\"about\": {\"host\": \"$\", \"time\": \"2026-11-23T22:49:12Z\", \"started\": \"$\","
	" \"decisions\": [{\"action\": \"accept\", \"reason\": \"$\", \"count\": 1},"
	"  {\"action\": \"$\", \"reason\": \"$\", \"count\": 1}]}}";

static inline int page_is_place(const json_t *node)
{
	const char *string = json_string_value(node);

	return string != NULL && strcmp(string, "$") == 0;
}

static inline void page_documents_fill(json_t *node, json_t *value)
{
	const char *key;
	json_t *child;
	size_t i;

	json_object_foreach(node, key, child)
		if (page_is_place(child))
			json_object_set(node, key, value);
		else
			page_documents_fill(child, value);
	json_array_foreach(node, i, child)
		page_documents_fill(child, value);
}

/* {"status", "report", "about"}; the string need not be UTF-8. */
static inline json_t *page_documents_full_of(const char *string, size_t length)
{
	json_t *documents = json_loads(page_documents, 0, NULL);
	json_t *value = json_stringn_nocheck(string, length);

	page_documents_fill(documents, value);
	json_decref(value);
	return documents;
}

#endif
