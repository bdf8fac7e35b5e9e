/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What people read: tables, fields and paragraphs that fit the terminal, and colours where there is
 * one. One thread.
 *
 * Everything printed goes through the rule of text_add_printable(), so that a character takes one
 * column and no foreign byte reaches the terminal. Write errors are looked for once, at the end of
 * the program: no function here fails.
 */
#ifndef BACKUPMX_CTL_TERMINAL_H
#define BACKUPMX_CTL_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TERMINAL_WIDTH_DEFAULT 80
#define TERMINAL_WIDTH_MIN     40
#define TERMINAL_WIDTH_MAX     240

enum terminal_tone {
	TERMINAL_PLAIN,
	TERMINAL_GOOD,	 /* green */
	TERMINAL_BAD,	 /* red, bold */
	TERMINAL_UNSURE, /* yellow */
	TERMINAL_FAINT,
	TERMINAL_STRONG, /* bold */
};

struct terminal {
	FILE *out;
	unsigned width; /* columns that a line may take */
	bool colour;
	bool is_terminal; /* else what is printed goes on to a file or a program */
};

/* A terminal has its own width, and colours unless NO_COLOR is set or TERM is "dumb"; a pipe or a
 * file has TERMINAL_WIDTH_DEFAULT columns and no colour. COLUMNS overrides either width. */
void terminal_init(struct terminal *terminal, FILE *out);

/* The tone of a domain's, an endpoint's or a force's state: "up", "down", "sick", ... */
enum terminal_tone terminal_tone_of_state(const char *state);

/* Prints the text as it is (made printable), in a tone. */
void terminal_print(const struct terminal *terminal, enum terminal_tone tone, const char *text);

/* Prints words, filled to the width; the first line begins with `first`, the others are indented as
 * far. A word longer than a line is broken. A newline in `text` begins a new line. */
void terminal_paragraph(const struct terminal *terminal, const char *first, const char *text);
/* The same with `first` in a tone. */
void terminal_marked(const struct terminal *terminal, enum terminal_tone tone, const char *first,
		     const char *text);

/* "  label          value", the value in a tone and filled like a paragraph. The labels of a page
 * take `label_width` columns, the indent of two included. */
void terminal_field(const struct terminal *terminal, unsigned label_width, const char *label,
		    enum terminal_tone tone, const char *value);

/* Makes `text` printable and at most `width` columns wide: what is too long loses its middle
 * ("a-very-long...example.org"). `size` is more than `width`. Returns `buffer`. */
const char *terminal_shorten(const char *text, unsigned width, char *buffer, size_t size);

/* ---- tables ---- */

struct terminal_column {
	const char *title; /* NULL: no column of the table has one, and no title line is printed */
	unsigned least;	   /* may be shortened to so many columns when the table is too wide, those
			      of the widest first; 0: never */
	bool right;	   /* numbers */
};

struct terminal_table;

/* `columns` must stay until the table is freed. */
struct terminal_table *terminal_table_new(const struct terminal_column *columns, size_t count);
/* The next cell of the row; a row is complete when it has a cell for each column. */
void terminal_table_add(struct terminal_table *table, enum terminal_tone tone, const char *text);
void terminal_table_add_format(struct terminal_table *table, enum terminal_tone tone,
			       const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Each line begins with `indent` blanks; two blanks are between the columns. */
void terminal_table_print(const struct terminal_table *table, const struct terminal *terminal,
			  unsigned indent);
void terminal_table_free(struct terminal_table *table); /* NULL is fine */

#endif
