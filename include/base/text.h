/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bounded text builder, and the one way foreign bytes become printable.
 *
 * A builder writes into the caller's buffer, always leaves it NUL-terminated, and remembers whether
 * something did not fit. No allocation; any thread.
 */
#ifndef BACKUPMX_BASE_TEXT_H
#define BACKUPMX_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *start;
	size_t size;   /* of the buffer, the final NUL included */
	size_t length; /* so far, without the NUL */
	bool cut;      /* something was left out */
};

void text_init(struct text *text, char *buffer, size_t size);
#define TEXT_ON(name, buffer)                                                                      \
	struct text name;                                                                          \
	text_init(&(name), (buffer), sizeof(buffer))

void text_add(struct text *text, const char *string);
void text_add_char(struct text *text, char c);
void text_add_format(struct text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The rule for foreign bytes: each control character, DEL and non-ASCII byte becomes '?'. */
char text_printable(char c);
/* Adds foreign bytes by that rule. */
void text_add_printable(struct text *text, const char *bytes, size_t length);

/* Adds " key=value" (without the blank at the very start, and after ": "). The value is made
 * printable and, when it is empty or holds blanks or quotes, quoted with `"` and `\` escaped by
 * `\`. */
void text_add_pair(struct text *text, const char *key, const char *value);

/* Adds a string as one word of a shell's command line: in single quotes, unless it is plain. */
void text_add_shell(struct text *text, const char *word);
/* The same without the outer quotes, to stand within single quotes. */
void text_add_in_quotes(struct text *text, const char *value);

/* Makes a string printable in place. */
void text_make_printable(char *string);

/* Copies at most size - 1 bytes and terminates. Returns false when `source` did not fit whole. */
bool text_copy(char *target, size_t size, const char *source);

/* ASCII lower case, in place and locale-free. */
void text_lower(char *string);
bool text_is_ascii(const char *string);

#endif
