/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any JSON as the page's documents, and any bytes as each string in them: what comes out is a
 * document of only our own tags and attributes.
 */
#include "control/page.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../unit/html.h"
#include "../unit/page_documents.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(json_t *documents)
{
	struct page_facts facts = { .status = json_object_get(documents, "status"),
				    .report = json_object_get(documents, "report"),
				    .about = json_object_get(documents, "about") };
	size_t length;
	char *page = page_render(&facts, &length);
	const char *at;
	const char *problem = html_problem(page, length, &at);

	if (problem != NULL) {
		fprintf(stderr, "%s: %.200s\n", problem, at);
		abort();
	}
	free(page);
	json_decref(documents);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	json_t *documents = json_loadb((const char *)bytes, size, JSON_ALLOW_NUL, NULL);

	if (documents != NULL)
		check(documents);
	check(page_documents_full_of((const char *)bytes, size));
	return 0;
}
