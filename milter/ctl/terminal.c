/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables, fields and paragraphs within a terminal's width, and its colours. One thread. */
#include "ctl/terminal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

#define GAP	   2	/* blanks between columns */
#define CELL_MAX   1024 /* longer ones are cut when they are made */
#define FIELD_MARK 2	/* indent of a field's label */

/* ---- the terminal ---- */

static unsigned width_of(FILE *out, bool is_terminal)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size = { .ws_col = 0 };
	long wanted = columns != NULL ? strtol(columns, NULL, 10) : 0;

	if (wanted <= 0 && is_terminal && ioctl(fileno(out), TIOCGWINSZ, &size) == 0)
		wanted = size.ws_col;
	if (wanted <= 0)
		return TERMINAL_WIDTH_DEFAULT;
	if (wanted < TERMINAL_WIDTH_MIN)
		return TERMINAL_WIDTH_MIN;
	return wanted > TERMINAL_WIDTH_MAX ? TERMINAL_WIDTH_MAX : (unsigned)wanted;
}

/* https://no-color.org: set and not empty. */
static bool colour_is_wanted(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return (no_color == NULL || no_color[0] == '\0') && term != NULL && term[0] != '\0' &&
	       strcmp(term, "dumb") != 0;
}

void terminal_init(struct terminal *terminal, FILE *out)
{
	bool is_terminal = isatty(fileno(out));

	*terminal = (struct terminal){
		.out = out,
		.width = width_of(out, is_terminal),
		.colour = is_terminal && colour_is_wanted(),
		.is_terminal = is_terminal,
	};
}

enum terminal_tone terminal_tone_of_state(const char *state)
{
	static const struct {
		const char *state;
		enum terminal_tone tone;
	} tones[] = {
		{ "up", TERMINAL_GOOD },	{ "forced-up", TERMINAL_UNSURE },
		{ "down", TERMINAL_BAD },	{ "forced-down", TERMINAL_BAD },
		{ "sick", TERMINAL_BAD },	{ "unknown", TERMINAL_UNSURE },
		{ "not-backup", TERMINAL_BAD },
	};

	for (size_t i = 0; i < sizeof(tones) / sizeof(tones[0]); i++)
		if (strcmp(state, tones[i].state) == 0)
			return tones[i].tone;
	return TERMINAL_PLAIN;
}

/* ---- text ---- */

static void tone_begin(const struct terminal *terminal, enum terminal_tone tone)
{
	static const char *const codes[] = {
		[TERMINAL_GOOD] = "\033[32m",	[TERMINAL_BAD] = "\033[1;31m",
		[TERMINAL_UNSURE] = "\033[33m", [TERMINAL_FAINT] = "\033[2m",
		[TERMINAL_STRONG] = "\033[1m",
	};

	if (terminal->colour && tone != TERMINAL_PLAIN)
		fputs(codes[tone], terminal->out);
}

static void tone_end(const struct terminal *terminal, enum terminal_tone tone)
{
	if (terminal->colour && tone != TERMINAL_PLAIN)
		fputs("\033[0m", terminal->out);
}

static void print_bytes(const struct terminal *terminal, const char *bytes, size_t length)
{
	char shown[CELL_MAX];

	while (length > 0) {
		size_t part = length < sizeof(shown) - 1 ? length : sizeof(shown) - 1;
		TEXT_ON(text, shown);

		text_add_printable(&text, bytes, part);
		fputs(shown, terminal->out);
		bytes += part;
		length -= part;
	}
}

void terminal_print(const struct terminal *terminal, enum terminal_tone tone, const char *text)
{
	tone_begin(terminal, tone);
	print_bytes(terminal, text, strlen(text));
	tone_end(terminal, tone);
}

static void print_blanks(const struct terminal *terminal, unsigned count)
{
	fprintf(terminal->out, "%*s", (int)count, "");
}

/* The words of one line of text, from column `indent` on, where the cursor stands. */
static void fill_line(const struct terminal *terminal, unsigned indent, const char *text,
		      size_t length)
{
	/* a label that leaves no room: better a long line than none */
	size_t room = terminal->width > indent + 8 ? terminal->width - indent : 8;
	const char *end = text + length;
	size_t column = 0;

	while (text < end) {
		size_t word = strcspn(text, " \n");
		size_t part = word > room ? room : word;

		if (column > 0 && column + 1 + part > room) {
			fputc('\n', terminal->out);
			print_blanks(terminal, indent);
			column = 0;
		} else if (column > 0 && part > 0) {
			fputc(' ', terminal->out);
			column++;
		}
		print_bytes(terminal, text, part);
		column += part;
		text += part == word ? word + 1 : part;
	}
}

static void fill(const struct terminal *terminal, unsigned indent, enum terminal_tone tone,
		 const char *text)
{
	tone_begin(terminal, tone);
	for (;;) {
		size_t length = strcspn(text, "\n");

		fill_line(terminal, indent, text, length);
		text += length;
		if (*text == '\0')
			break;
		text++;
		fputc('\n', terminal->out);
		print_blanks(terminal, indent);
	}
	tone_end(terminal, tone);
	fputc('\n', terminal->out);
}

void terminal_paragraph(const struct terminal *terminal, const char *first, const char *text)
{
	terminal_marked(terminal, TERMINAL_PLAIN, first, text);
}

void terminal_marked(const struct terminal *terminal, enum terminal_tone tone, const char *first,
		     const char *text)
{
	terminal_print(terminal, tone, first);
	fill(terminal, (unsigned)strlen(first), TERMINAL_PLAIN, text);
}

void terminal_field(const struct terminal *terminal, unsigned label_width, const char *label,
		    enum terminal_tone tone, const char *value)
{
	unsigned taken = FIELD_MARK + (unsigned)strlen(label);

	print_blanks(terminal, FIELD_MARK);
	terminal_print(terminal, TERMINAL_PLAIN, label);
	if (taken < label_width)
		print_blanks(terminal, label_width - taken);
	else
		print_blanks(terminal, 1);
	fill(terminal, label_width, tone, value);
}

const char *terminal_shorten(const char *string, unsigned width, char *buffer, size_t size)
{
	size_t length = strlen(string);
	struct text text;

	assert(size > width);
	text_init(&text, buffer, size);
	if (length <= width) {
		text_add_printable(&text, string, length);
	} else if (width < 8) {
		text_add_printable(&text, string, width);
	} else {
		/* the end of a name tells more than its beginning */
		size_t tail = (width - 3 + 1) / 2;

		text_add_printable(&text, string, width - 3 - tail);
		text_add(&text, "...");
		text_add_printable(&text, string + length - tail, tail);
	}
	return buffer;
}

/* ---- tables ---- */

struct cell {
	char *text; /* printable */
	enum terminal_tone tone;
};

struct terminal_table {
	const struct terminal_column *columns;
	size_t column_count;
	struct cell *cells;
	size_t cell_count, room;
};

struct terminal_table *terminal_table_new(const struct terminal_column *columns, size_t count)
{
	struct terminal_table *table = memory_alloc(sizeof(*table));

	table->columns = columns;
	table->column_count = count;
	return table;
}

void terminal_table_add(struct terminal_table *table, enum terminal_tone tone, const char *string)
{
	char shown[CELL_MAX];
	TEXT_ON(text, shown);

	text_add_printable(&text, string, strlen(string));
	if (table->cell_count == table->room) {
		table->room = table->room == 0 ? 64 : table->room * 2;
		table->cells = memory_resize(table->cells, table->room, sizeof(*table->cells));
	}
	table->cells[table->cell_count++] =
		(struct cell){ .text = memory_string(shown), .tone = tone };
}

void terminal_table_add_format(struct terminal_table *table, enum terminal_tone tone,
			       const char *format, ...)
{
	char string[CELL_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(string, sizeof(string), format, args);
	va_end(args);
	terminal_table_add(table, tone, string);
}

static void widths_wanted(const struct terminal_table *table, unsigned *widths)
{
	for (size_t i = 0; i < table->column_count; i++) {
		const char *title = table->columns[i].title;

		widths[i] = title != NULL ? (unsigned)strlen(title) : 0;
	}
	for (size_t i = 0; i < table->cell_count; i++) {
		unsigned *width = &widths[i % table->column_count];
		unsigned length = (unsigned)strlen(table->cells[i].text);

		if (*width < length)
			*width = length;
	}
}

/* The widest of those that may give way; NULL when none may. */
static unsigned *widest(const struct terminal_table *table, unsigned *widths)
{
	unsigned *found = NULL;

	for (size_t i = 0; i < table->column_count; i++) {
		unsigned least = table->columns[i].least;

		if (least > 0 && widths[i] > least && (found == NULL || widths[i] > *found))
			found = &widths[i];
	}
	return found;
}

static void widths_fit(const struct terminal_table *table, unsigned *widths, unsigned room)
{
	unsigned total = GAP * (unsigned)(table->column_count - 1);
	unsigned *width;

	for (size_t i = 0; i < table->column_count; i++)
		total += widths[i];
	for (; total > room && (width = widest(table, widths)) != NULL; total--)
		--*width;
}

/* One line; blanks at its end aren't printed. */
static void print_line(const struct terminal_table *table, const struct terminal *terminal,
		       const struct cell *cells, const unsigned *widths)
{
	unsigned owed = 0;
	char shown[CELL_MAX];

	for (size_t i = 0; i < table->column_count; i++) {
		unsigned width = widths[i] < CELL_MAX ? widths[i] : CELL_MAX - 1;
		const char *text = terminal_shorten(cells[i].text, width, shown, sizeof(shown));
		unsigned rest = width - (unsigned)strlen(text);

		owed += table->columns[i].right ? rest : 0;
		if (text[0] != '\0') {
			print_blanks(terminal, owed);
			owed = 0;
			terminal_print(terminal, cells[i].tone, text);
		}
		owed += GAP + (table->columns[i].right ? 0 : rest);
	}
	fputc('\n', terminal->out);
}

static void print_titles(const struct terminal_table *table, const struct terminal *terminal,
			 const unsigned *widths)
{
	struct cell *cells = memory_array(table->column_count, sizeof(*cells));

	for (size_t i = 0; i < table->column_count; i++)
		cells[i] = (struct cell){ .text = (char *)(uintptr_t)table->columns[i].title,
					  .tone = TERMINAL_STRONG };
	print_line(table, terminal, cells, widths);
	free(cells);
}

void terminal_table_print(const struct terminal_table *table, const struct terminal *terminal,
			  unsigned indent)
{
	unsigned *widths = memory_array(table->column_count, sizeof(*widths));

	assert(table->cell_count % table->column_count == 0);
	widths_wanted(table, widths);
	widths_fit(table, widths, terminal->width > indent ? terminal->width - indent : 0);
	if (table->columns[0].title != NULL) {
		print_blanks(terminal, indent);
		print_titles(table, terminal, widths);
	}
	for (size_t i = 0; i < table->cell_count; i += table->column_count) {
		print_blanks(terminal, indent);
		print_line(table, terminal, &table->cells[i], widths);
	}
	free(widths);
}

void terminal_table_free(struct terminal_table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
}
