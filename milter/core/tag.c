/* SPDX-License-Identifier: BSD-2-Clause */
/* The tag header: gathering and writing. Pure; any thread. */
#include "core/tag.h"

#include <string.h>
#include <time.h>

#include "base/text.h"

#define COLUMNS_MAX 77

void tag_add_recipient(struct tag *tag, const struct verdict *verdict, enum domain_state state,
		       int64_t since, enum recipient_status recipient, const char *id)
{
	if (tag->recipients++ == 0) {
		tag->state = state;
		tag->since = since;
		tag->recipient = recipient;
		tag->reason = verdict->reason;
		text_copy(tag->id, sizeof(tag->id), id);
		return;
	}
	tag->states_differ |= state != tag->state;
	tag->since_differs |= since != tag->since;
	tag->recipients_differ |= recipient != tag->recipient;
}

const char *tag_format_time(int64_t seconds, char *buffer, size_t size)
{
	time_t time = (time_t)seconds;
	struct tm utc;

	if (gmtime_r(&time, &utc) == NULL ||
	    strftime(buffer, size, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		text_copy(buffer, size, "1970-01-01T00:00:00Z");
	return buffer;
}

/* Adds "; key=value", on a new line where this one would get too long. One column is kept free for
 * the semicolon that may follow. */
static void add_field(struct text *text, size_t *column, const char *key, const char *value)
{
	size_t width = strlen(key) + 1 + strlen(value);

	text_add_char(text, ';');
	if (*column + 2 + width + 1 > COLUMNS_MAX) {
		text_add(text, "\n\t");
		*column = 8; /* a tab counts as eight */
	} else {
		text_add_char(text, ' ');
		*column += 2;
	}
	text_add(text, key);
	text_add_char(text, '=');
	text_add_printable(text, value, strlen(value));
	*column += width;
}

void tag_format(const struct tag *tag, const char *by, const struct ip *client, char *buffer,
		size_t size)
{
	char since[32];
	char address[IP_TEXT_MAX];
	size_t column;
	struct text text;

	text_init(&text, buffer, size);
	text_add(&text, "accepted");
	column = strlen(TAG_HEADER ": ") + text.length;
	add_field(&text, &column, "by", by);
	add_field(&text, &column, "primary",
		  tag->states_differ ? "mixed" : domain_state_name(tag->state));
	if (!tag->states_differ && !tag->since_differs && tag->since > 0)
		add_field(&text, &column, "since",
			  tag_format_time(tag->since, since, sizeof(since)));
	add_field(&text, &column, "recipients",
		  tag->recipients_differ ? "mixed" : recipient_status_name(tag->recipient));
	add_field(&text, &column, "reason", decision_reason_name(tag->reason));
	if (client->family != IP_NONE)
		add_field(&text, &column, "client",
			  ip_format_literal(client, address, sizeof(address)));
	add_field(&text, &column, "id", tag->id);
}
