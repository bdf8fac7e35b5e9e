/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One value of an ini file: a word, or a list with or without braces, rewritten in single quotes,
 * in which libconfuse expands nothing. Owns nothing; called by the thread that loads.
 */
#include "conf/ini.h"

#include <string.h>

#include "base/text.h"
#include "conf/values.h"

struct parse {
	struct ini_lines *lines;
	const struct option *option; /* NULL: of an unknown key */
	const char *key;
	struct place place; /* of the key */
	const char *at;
	struct ini_text *out;
	bool is_bad;
	char word[INI_LINE_MAX + 1];
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

const char *ini_skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

bool ini_is_rest(const char *at)
{
	at = ini_skip_blanks(at);
	return *at == '\0' || *at == '#' || *at == ';';
}

static bool is_key_letter(char c)
{
	return (c >= 'a' && c <= 'z') || c == '_';
}

/* True for a line that looks like a [section] header or like "key =": where a list that was never
 * closed has to end. */
static bool is_header_or_key(const char *line)
{
	bool is_header;

	line = ini_skip_blanks(line);
	is_header = *line == '[';
	if (!is_header && !is_key_letter(*line))
		return false;
	if (is_header)
		line = ini_skip_blanks(line + 1);
	if (!is_key_letter(*line))
		return false;
	while (is_key_letter(*line))
		line++;
	line = ini_skip_blanks(line);
	return is_header ? *line == ']' || *line == '"' : *line == '=';
}

/* ---- words ---- */

static const char *read_double_quoted(const char **at, char *word)
{
	const char *c = *at + 1;

	while (*c != '"') {
		if (*c == '\0')
			return "has no closing quote; write \" at its end, on the same line";
		if (*c == '\\') {
			c++;
			if (*c != '"' && *c != '\\')
				return "holds a lone backslash; write \\\\ for one, or use '...'";
		}
		*word++ = *c++;
	}
	*word = '\0';
	*at = c + 1;
	return NULL;
}

static const char *read_single_quoted(const char **at, char *word)
{
	size_t length = strcspn(*at + 1, "'");

	if ((*at)[1 + length] == '\0')
		return "has no closing quote; write ' at its end, on the same line";
	memcpy(word, *at + 1, length);
	word[length] = '\0';
	*at += length + 2;
	return NULL;
}

static const char *read_bare(const char **at, const char *stops, char *word)
{
	const char *c = *at;

	while (*c != '\0' && !is_blank(*c) && strchr(stops, *c) == NULL) {
		if (*c == '"' || *c == '\'')
			return "has a quote in its middle; put quotes around the whole value";
		*word++ = *c++;
	}
	*word = '\0';
	*at = c;
	return NULL;
}

const char *ini_word_read(const char **at, const char *stops, char *word)
{
	bool is_quoted = **at == '"' || **at == '\'';
	const char *wrong;

	if (**at == '"')
		wrong = read_double_quoted(at, word);
	else if (**at == '\'')
		wrong = read_single_quoted(at, word);
	else
		wrong = read_bare(at, stops, word);
	if (wrong == NULL && is_quoted && !ini_is_rest(*at) && !is_blank(**at) &&
	    strchr(stops, **at) == NULL)
		return "goes on behind its closing quote; put quotes around the whole value";
	return wrong;
}

/* ---- what libconfuse gets ---- */

static void emit(struct parse *parse, const char *text)
{
	ini_text_add(parse->out, text, strlen(text));
}

static void emit_word(struct parse *parse)
{
	emit(parse, "'");
	for (const char *c = parse->word; *c != '\0'; c++) {
		if (*c == '\'' || *c == '\\')
			emit(parse, "\\");
		ini_text_add(parse->out, c, 1);
	}
	emit(parse, "'");
}

/* Tells the first thing that is wrong with a value; what follows from it would only confuse. */
static bool complain(struct parse *parse, struct place place, const char *what)
{
	if (!parse->is_bad && parse->option != NULL)
		problems_add(parse->lines->problems, place, parse->key, "%s", what);
	parse->is_bad = true;
	return false;
}

static bool complain_here(struct parse *parse, const char *what)
{
	return complain(parse, parse->lines->place, what);
}

/* Reads a word and writes it out. Behind it stands one of `stops`, a comment or the line's end. */
static bool read_word(struct parse *parse, const char *stops)
{
	const char *wrong = ini_word_read(&parse->at, stops, parse->word);

	if (wrong != NULL)
		return complain_here(parse, wrong);
	if (!ini_is_rest(parse->at)) {
		parse->at = ini_skip_blanks(parse->at);
		if (*stops == '\0')
			return complain_here(parse, "holds blanks; put quotes around the value");
		if (strchr(stops, *parse->at) == NULL)
			return complain_here(parse,
					     "has two words with a blank between; put a "
					     "comma between two values, or quotes around one");
	}
	emit_word(parse);
	return true;
}

/* ---- lists ---- */

/* Moves to the next line inside braces. False when the list ends without its brace. */
static bool next_line(struct parse *parse)
{
	if (ini_lines_next(parse->lines)) {
		if (!is_header_or_key(parse->lines->line)) {
			emit(parse, "\n");
			parse->at = parse->lines->line;
			return true;
		}
		ini_lines_unread(parse->lines);
	}
	parse->at = "";
	return complain(parse, parse->place,
			"has no closing brace; write } at the end of the list");
}

/* After a mistake: on behind the closing brace, wherever it is. */
static void skip_list(struct parse *parse)
{
	for (;;) {
		const char *brace = strchr(parse->at, '}');

		if (brace != NULL) {
			parse->at = brace + 1;
			return;
		}
		if (!next_line(parse))
			return;
	}
}

/* One step inside braces: a line's end, a comma, or a word. */
static bool read_item(struct parse *parse, bool *has_word)
{
	if (ini_is_rest(parse->at))
		return next_line(parse);
	if (*parse->at == ',') {
		if (!*has_word)
			return complain_here(parse, "has a comma without a value; write {a, b}");
		*has_word = false;
		parse->at++;
		emit(parse, ", ");
		return true;
	}
	if (*has_word)
		return complain_here(parse, "has no comma between two values; write {a, b}");
	if (*parse->at == '{')
		return complain_here(parse, "has a second opening brace; write {a, b}");
	*has_word = true;
	return read_word(parse, ",}");
}

static bool read_braces(struct parse *parse)
{
	bool has_word = false;

	emit(parse, "{");
	for (parse->at++;;) {
		parse->at = ini_skip_blanks(parse->at);
		if (*parse->at == '}')
			break;
		if (!read_item(parse, &has_word)) {
			skip_list(parse);
			return false;
		}
	}
	parse->at++;
	emit(parse, "}");
	if (!ini_is_rest(parse->at))
		return complain_here(parse, "has text behind its closing brace; start a new line");
	return true;
}

static bool read_bare_list(struct parse *parse)
{
	emit(parse, "{");
	for (;;) {
		if (ini_is_rest(parse->at))
			return complain_here(parse,
					     "ends in a comma; put braces around a list that "
					     "goes on in the next line");
		if (*parse->at == ',')
			return complain_here(parse, "has a comma without a value; write a, b");
		if (!read_word(parse, ","))
			return false;
		if (ini_is_rest(parse->at))
			break;
		emit(parse, ", ");
		parse->at = ini_skip_blanks(parse->at + 1);
	}
	emit(parse, "}");
	return true;
}

/* ---- commands ---- */

/* Words with blanks between, up to the line's end or a comment; inside quotes there is none. */
static bool read_words(struct parse *parse, bool in_quotes)
{
	bool is_first = true;

	for (;;) {
		const char *wrong;

		parse->at = ini_skip_blanks(parse->at);
		if (in_quotes ? *parse->at == '\0' : ini_is_rest(parse->at))
			return true;
		wrong = ini_word_read(&parse->at, "", parse->word);
		if (wrong != NULL)
			return complain_here(parse, wrong);
		emit(parse, is_first ? "" : ", ");
		emit_word(parse);
		is_first = false;
	}
}

/* A command line, which may stand in quotes as a whole; or a list by commas. */
static bool read_command(struct parse *parse)
{
	const char *start = parse->at;
	const char *wrong = ini_word_read(&parse->at, ",", parse->word);
	bool is_whole = (*start == '"' || *start == '\'') && ini_is_rest(parse->at);
	char line[INI_LINE_MAX + 1];
	bool is_good;

	if (wrong != NULL)
		return complain_here(parse, wrong);
	if (*ini_skip_blanks(parse->at) == ',') {
		parse->at = start;
		return read_bare_list(parse);
	}
	if (is_whole)
		text_copy(line, sizeof(line), parse->word);
	parse->at = is_whole ? line : start;
	emit(parse, "{");
	is_good = read_words(parse, is_whole);
	emit(parse, "}");
	parse->at = "";
	return is_good;
}

/* ---- all of it ---- */

static bool read_nothing(struct parse *parse)
{
	char what[512], say[256];
	struct text text;

	if (parse->option == NULL)
		return false;
	text_init(&text, what, sizeof(what));
	text_add_format(&text, "has no value; %s%s",
			value_say_right(parse->option, say, sizeof(say)),
			parse->option->standard[0] == '\0' ? ", or \"\" for none"
			: option_is_list(parse->option)	   ? ", or {} for none"
							   : "");
	return complain_here(parse, what);
}

static bool read_any(struct parse *parse)
{
	bool is_list = parse->option == NULL || option_is_list(parse->option);

	if (ini_is_rest(parse->at))
		return read_nothing(parse);
	if (*parse->at == '{') {
		if (!is_list)
			complain_here(parse, "takes one value, no list; leave out the braces");
		return read_braces(parse);
	}
	if (is_list && parse->option != NULL && parse->option->type == OPTION_COMMAND)
		return read_command(parse);
	return is_list ? read_bare_list(parse) : read_word(parse, "");
}

bool ini_value_read(struct ini_lines *lines, const struct option *option, const char *key,
		    const char *at, struct ini_text *out)
{
	size_t start = out->length;
	struct parse parse = {
		.lines = lines,
		.option = option,
		.key = key,
		.place = lines->place,
		.at = ini_skip_blanks(at),
		.out = out,
	};

	if (read_any(&parse) && !parse.is_bad && option != NULL)
		return true;
	ini_text_cut(out, start);
	for (unsigned line = parse.place.line; line < lines->place.line; line++)
		ini_text_add(out, "\n", 1);
	return false;
}
