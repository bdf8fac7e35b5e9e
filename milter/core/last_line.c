/* SPDX-License-Identifier: BSD-2-Clause */
/* The last line of a program's output, byte by byte. Pure. */
#include "core/last_line.h"

#include "base/text.h"

static void add_byte(struct last_line *line, char c)
{
	if (c == '\n' || c == '\r') {
		line->ended = true;
		return;
	}
	/* blanks in front say nothing, and don't put an earlier line out of its place */
	if ((line->ended || line->length == 0) && (c == ' ' || c == '\t' || c == '\0'))
		return;
	if (line->ended)
		line->length = 0;
	line->ended = false;
	if (line->length < LAST_LINE_MAX)
		line->text[line->length++] = text_printable(c);
	line->text[line->length] = '\0';
}

void last_line_add(struct last_line *line, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_byte(line, bytes[i]);
}
