/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounded text building on the caller's buffer. No state; any thread. */
#include "base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void text_init(struct text *text, char *buffer, size_t size)
{
	assert(size > 0);
	*text = (struct text){ .start = buffer, .size = size };
	buffer[0] = '\0';
}

void text_add_char(struct text *text, char c)
{
	if (text->length + 1 >= text->size) {
		text->cut = true;
		return;
	}
	text->start[text->length++] = c;
	text->start[text->length] = '\0';
}

void text_add(struct text *text, const char *string)
{
	while (*string != '\0')
		text_add_char(text, *string++);
}

void text_add_format(struct text *text, const char *format, ...)
{
	size_t room = text->size - text->length;
	va_list args;
	int wanted;

	va_start(args, format);
	wanted = vsnprintf(text->start + text->length, room, format, args);
	va_end(args);
	if (wanted < 0)
		return;
	if ((size_t)wanted >= room) {
		text->cut = true;
		text->length = text->size - 1;
		return;
	}
	text->length += (size_t)wanted;
}

char text_printable(char c)
{
	unsigned char byte = (unsigned char)c;

	return byte >= 0x20 && byte < 0x7f ? c : '?';
}

void text_add_printable(struct text *text, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		text_add_char(text, text_printable(bytes[i]));
}

void text_make_printable(char *string)
{
	for (; *string != '\0'; string++)
		*string = text_printable(*string);
}

static void add_quoted(struct text *text, const char *value)
{
	text_add_char(text, '"');
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			text_add_char(text, '\\');
		text_add_char(text, text_printable(*value));
	}
	text_add_char(text, '"');
}

void text_add_in_quotes(struct text *text, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '\'')
			text_add(text, "'\\''");
		else
			text_add_char(text, *value);
	}
}

void text_add_shell(struct text *text, const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789@%+=:,./_-";

	if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
		text_add(text, word);
		return;
	}
	text_add_char(text, '\'');
	text_add_in_quotes(text, word);
	text_add_char(text, '\'');
}

void text_add_pair(struct text *text, const char *key, const char *value)
{
	if (text->length > 0 && text->start[text->length - 1] != ' ')
		text_add_char(text, ' ');
	text_add(text, key);
	text_add_char(text, '=');
	if (*value == '\0' || strpbrk(value, " \t\"\\") != NULL)
		add_quoted(text, value);
	else
		text_add_printable(text, value, strlen(value));
}

bool text_copy(char *target, size_t size, const char *source)
{
	size_t length = strlen(source);
	bool fits = length < size;

	if (!fits)
		length = size - 1;
	memcpy(target, source, length);
	target[length] = '\0';
	return fits;
}

void text_lower(char *string)
{
	for (; *string != '\0'; string++)
		if (*string >= 'A' && *string <= 'Z')
			*string = (char)(*string - 'A' + 'a');
}

bool text_is_ascii(const char *string)
{
	for (; *string != '\0'; string++)
		if ((unsigned char)*string >= 0x80)
			return false;
	return true;
}
