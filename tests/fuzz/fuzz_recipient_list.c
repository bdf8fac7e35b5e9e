/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a recipient list and as a mail log: bounds, and what must hold of what was read. */
#include "core/mail_log.h"
#include "core/recipient_list.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_entry(const struct recipient_entry *entry)
{
	must(strnlen(entry->local, sizeof(entry->local)) <= MAIL_LOCAL_MAX);
	must(strnlen(entry->domain, sizeof(entry->domain)) <= MAIL_DOMAIN_MAX);
	switch (entry->kind) {
	case RECIPIENT_ENTRY_ADDRESS:
		must(entry->local[0] != '\0' && entry->domain[0] != '\0');
		break;
	case RECIPIENT_ENTRY_LOCAL:
		must(entry->local[0] != '\0' && entry->domain[0] == '\0');
		break;
	case RECIPIENT_ENTRY_CATCH_ALL:
		must(entry->local[0] == '\0' && entry->domain[0] != '\0');
		break;
	case RECIPIENT_ENTRY_NONE:
	case RECIPIENT_ENTRY_MALFORMED:
		must(entry->local[0] == '\0' && entry->domain[0] == '\0');
		break;
	}
	recipient_entry_is_strict(entry);
	recipient_word_names_domain(entry->local, "example.test");
}

static void check_log(const char *line)
{
	size_t length = strlen(line);

	for (int format = MAIL_LOG_NONE; format <= MAIL_LOG_EXIM; format++) {
		struct mail_log_line found;

		mail_log_read(line, (enum mail_log_format)format, &found);
		must(found.count <= MAIL_LOG_RECIPIENTS_MAX);
		for (size_t i = 0; i < found.count; i++) {
			must(found.recipients[i].start >= line);
			must(found.recipients[i].length > 0);
			must(found.recipients[i].start + found.recipients[i].length <=
			     line + length);
		}
	}
	mail_log_format_of(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recipient_list_reader reader = { .has_value = false };
	struct recipient_entry entry;
	char *text = malloc(size + 1);
	char *rest = text;
	char *line;

	must(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL) {
		char *exact = strdup(line); /* so that a sanitizer sees its end */

		must(exact != NULL);
		recipient_list_read(&reader, exact, (strlen(exact) & 1) != 0, &entry);
		check_entry(&entry);
		check_log(exact);
		free(exact);
	}
	free(text);
	return 0;
}
