/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sections, keys and includes of an ini file, rewritten as libconfuse's blocks. Owns the rewritten
 * text until ini_fini(); called by the thread that loads.
 */
#include "conf/ini.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "conf/file.h"
#include "io/idna.h"

#define INI_FILE_MAX   ((size_t)64 * 1024 * 1024)
#define NAME_MAX_SHOWN 64

enum block {
	BLOCK_NONE,    /* before the first section */
	BLOCK_SKIPPED, /* in an unknown section: its keys are nobody's */
	BLOCK_OPEN,
};

struct pass {
	struct ini *ini;
	const char *path;
	enum block block;
	char section[NAME_MAX_SHOWN];
	struct ini_lines lines;
	struct ini_text out;
	char word[INI_LINE_MAX + 1];
};

/* ---- lines ---- */

void ini_text_add(struct ini_text *text, const char *bytes, size_t length)
{
	if (text->length + length + 1 > text->room) {
		text->room = (text->length + length + 1) * 2;
		text->start = memory_resize(text->start, text->room, 1);
	}
	memcpy(text->start + text->length, bytes, length);
	text->length += length;
	text->start[text->length] = '\0';
}

void ini_text_cut(struct ini_text *text, size_t length)
{
	if (length < text->length) {
		text->length = length;
		text->start[length] = '\0';
	}
}

/* What no line may hold, comments included: a sign that this is no ini file. */
static const char *line_wrong(const char *line, size_t length)
{
	if (length > INI_LINE_MAX)
		return "the line is too long; write shorter ones, a list in braces may span lines";
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c == '\0')
			return "the line holds a NUL byte; write plain text";
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return "the line holds a control character; write plain text";
	}
	return NULL;
}

bool ini_lines_next(struct ini_lines *lines)
{
	const char *start = lines->bytes + lines->next;
	size_t left = lines->length - lines->next;
	const char *end;
	const char *wrong;
	size_t length;

	if (left == 0)
		return false;
	end = memchr(start, '\n', left);
	length = end != NULL ? (size_t)(end - start) : left;
	lines->current = lines->next;
	lines->next += length + (end != NULL);
	lines->place.line++;
	if (length > 0 && start[length - 1] == '\r')
		length--;
	wrong = line_wrong(start, length);
	if (wrong != NULL) {
		problems_add(lines->problems, lines->place, NULL, "%s", wrong);
		length = 0;
	}
	memcpy(lines->line, start, length);
	lines->line[length] = '\0';
	return true;
}

void ini_lines_unread(struct ini_lines *lines)
{
	lines->next = lines->current;
	lines->place.line--;
}

/* ---- sections ---- */

static void close_block(struct pass *pass)
{
	if (pass->block == BLOCK_OPEN)
		ini_text_add(&pass->out, "} ", 2);
	pass->block = BLOCK_SKIPPED;
}

static void open_block(struct pass *pass, const char *title)
{
	char header[NAME_MAX_SHOWN + IDNA_DOMAIN_MAX + 16];

	TEXT_ON(text, header);
	text_add(&text, pass->section);
	if (title != NULL)
		text_add_format(&text, " '%s'", title);
	text_add(&text, " {");
	ini_text_add(&pass->out, text.start, text.length);
	pass->block = BLOCK_OPEN;
}

static void remember_header(struct ini *ini, struct place place)
{
	size_t count = ini->header_count;

	if ((count & (count - 1)) == 0) /* grows at the powers of two */
		ini->headers = memory_resize(ini->headers, count > 0 ? count * 2 : 1,
					     sizeof(*ini->headers));
	ini->headers[ini->header_count++] = place;
}

/* [domain "name"]: the name as A-labels; one that is wrong becomes "", so that its keys are still
 * looked at. */
static void open_domain(struct pass *pass, const char *name)
{
	char title[IDNA_DOMAIN_MAX + 2];
	bool is_parent = name[0] == '.';

	title[0] = '.';
	if (!idna_domain_to_ascii(name + is_parent, title + 1, sizeof(title) - 1)) {
		problems_add(pass->ini->problems, pass->lines.place, NULL,
			     "[domain \"%.100s\"]: is no domain name; write one like example.test, "
			     "or .example.test for its subdomains",
			     name);
		is_parent = false;
	}
	memset(pass->ini->domain, 0, options_count() * sizeof(*pass->ini->domain));
	remember_header(pass->ini, pass->lines.place);
	open_block(pass, title + !is_parent);
}

static bool section_is_domain(const struct pass *pass)
{
	return strcmp(pass->section, "domain") == 0;
}

/* Reads `domain "x"` or `milter` behind the bracket; the title goes to pass->word. Returns the end
 * of what it read, NULL after a complaint. */
static const char *read_section_name(struct pass *pass, const char *at, bool *has_title)
{
	size_t length = strcspn(at, " \t\"'[]#;");
	const char *wrong;

	if (length >= sizeof(pass->section))
		length = sizeof(pass->section) - 1;
	memcpy(pass->section, at, length);
	pass->section[length] = '\0';
	at = ini_skip_blanks(at + length);
	*has_title = *at == '"' || *at == '\'';
	if (!*has_title)
		return at;
	wrong = ini_word_read(&at, "]", pass->word);
	if (wrong == NULL)
		return ini_skip_blanks(at);
	problems_add(pass->ini->problems, pass->lines.place, NULL, "the section's name %s", wrong);
	return NULL;
}

static bool header_is_good(struct pass *pass, const char *end, bool has_title)
{
	char list[512];

	if (!options_section_known(pass->section)) {
		problems_add(pass->ini->problems, pass->lines.place, NULL,
			     "[%s]: unknown section; write one of %s", pass->section,
			     options_list_sections(list, sizeof(list)));
		return false;
	}
	if (section_is_domain(pass) && !has_title) {
		size_t bare = strcspn(end, " \t]#;");

		problems_add(pass->ini->problems, pass->lines.place, NULL,
			     "[domain]: has no name in quotes; write [domain \"%.*s\"]",
			     bare > 0 && bare < 100 ? (int)bare : 12,
			     bare > 0 && bare < 100 ? end : "example.test");
		return false;
	}
	if (*end != ']' || !ini_is_rest(end + 1))
		problems_add(pass->ini->problems, pass->lines.place, NULL,
			     "[%s]: %s; write [%s%s] and nothing else on this line", pass->section,
			     *end == ']' ? "has text behind its bracket" : "has no closing bracket",
			     pass->section, section_is_domain(pass) ? " \"NAME\"" : "");
	else if (has_title && !section_is_domain(pass))
		problems_add(pass->ini->problems, pass->lines.place, NULL,
			     "[%s]: takes no name; write [%s]", pass->section, pass->section);
	return true;
}

static void read_section(struct pass *pass, const char *at)
{
	bool has_title = false;
	const char *end;

	close_block(pass);
	end = read_section_name(pass, ini_skip_blanks(at + 1), &has_title);
	if (end == NULL || !header_is_good(pass, end, has_title))
		return;
	if (section_is_domain(pass))
		open_domain(pass, pass->word);
	else
		open_block(pass, NULL);
}

/* ---- keys ---- */

static void complain_unknown(struct pass *pass, const char *key)
{
	char keys[768];
	const char *nearest = options_nearest(pass->section, key);
	const char *elsewhere = options_section_of(key);
	const char *title = section_is_domain(pass) ? " \"NAME\"" : "";
	struct problems *problems = pass->ini->problems;
	struct place place = pass->lines.place;

	if (strcmp(key, "include") == 0)
		problems_add(problems, place, key,
			     "stands in a section; write it before the first section");
	else if (elsewhere != NULL)
		problems_add(problems, place, key,
			     "does not belong into [%s%s]; write it in [%s%s]", pass->section,
			     title, elsewhere, strcmp(elsewhere, "domain") == 0 ? " \"NAME\"" : "");
	else if (nearest != NULL)
		problems_add(problems, place, key, "unknown key in [%s%s]; did you mean %s?",
			     pass->section, title, nearest);
	else
		problems_add(problems, place, key, "unknown key in [%s%s]; write one of %s",
			     pass->section, title,
			     options_list_keys(pass->section, keys, sizeof(keys)));
}

static struct place *option_place(struct pass *pass, const struct option *option)
{
	struct place *places = section_is_domain(pass) ? pass->ini->domain : pass->ini->plain;

	return &places[option_index(option)];
}

/* The option a key stands for here, or NULL when its value is to be skipped. */
static const struct option *key_option(struct pass *pass, const char *key)
{
	const struct option *option;
	struct place *place;

	if (pass->block == BLOCK_SKIPPED)
		return NULL;
	option = options_find(pass->section, key);
	if (option == NULL) {
		complain_unknown(pass, key);
		return NULL;
	}
	place = option_place(pass, option);
	if (place->line > 0) {
		problems_add(pass->ini->problems, pass->lines.place, key,
			     "is given twice; remove one, the first is at %s:%u",
			     problems_file(pass->ini->problems, place->file), place->line);
		return NULL;
	}
	*place = pass->lines.place;
	return option;
}

static void read_include(struct pass *pass, const char *at);

static void read_key_before_section(struct pass *pass, const char *key, const char *at)
{
	const char *section = options_section_of(key);
	struct ini_text unused = { .start = NULL };

	if (strcmp(key, "include") == 0) {
		read_include(pass, at);
		return;
	}
	if (section != NULL)
		problems_add(pass->ini->problems, pass->lines.place, key,
			     "stands before the first section; write it behind [%s%s]", section,
			     strcmp(section, "domain") == 0 ? " \"NAME\"" : "");
	else
		problems_add(pass->ini->problems, pass->lines.place, key,
			     "unknown key before the first section; write a section like [milter] "
			     "first");
	ini_value_read(&pass->lines, NULL, key, at, &unused);
	ini_text_add(&pass->out, unused.start != NULL ? unused.start : "", unused.length);
	free(unused.start);
}

static void read_key(struct pass *pass, const char *at)
{
	size_t length = strcspn(at, " \t=#;\"'{}[],");
	const char *equals = ini_skip_blanks(at + length);
	size_t start = pass->out.length;
	const struct option *option;
	char key[NAME_MAX_SHOWN];

	if (length == 0 || *equals != '=') {
		if (pass->block != BLOCK_SKIPPED)
			problems_add(pass->ini->problems, pass->lines.place, NULL,
				     "\"%.60s\" is no setting; write key = value", at);
		return;
	}
	if (length >= sizeof(key))
		length = sizeof(key) - 1;
	memcpy(key, at, length);
	key[length] = '\0';
	if (pass->block == BLOCK_NONE) {
		read_key_before_section(pass, key, equals + 1);
		return;
	}
	option = key_option(pass, key);
	if (option != NULL) {
		ini_text_add(&pass->out, key, length);
		ini_text_add(&pass->out, " = ", 3);
	}
	if (ini_value_read(&pass->lines, option, key, equals + 1, &pass->out) || option == NULL)
		return;
	/* The key goes too, the line ends behind it stay. */
	length += 3;
	memmove(pass->out.start + start, pass->out.start + start + length,
		pass->out.length - start - length);
	ini_text_cut(&pass->out, pass->out.length - length);
}

/* ---- files ---- */

static void read_lines(struct pass *pass)
{
	while (ini_lines_next(&pass->lines)) {
		const char *at = ini_skip_blanks(pass->lines.line);

		if (*at == '[')
			read_section(pass, at);
		else if (!ini_is_rest(at))
			read_key(pass, at);
		ini_text_add(&pass->out, "\n", 1);
	}
	close_block(pass);
}

static void read_bytes(struct ini *ini, const char *path, unsigned file, const char *bytes,
		       size_t length)
{
	static const char bom[] = "\xef\xbb\xbf";
	struct pass *pass = memory_alloc(sizeof(*pass));

	pass->ini = ini;
	pass->path = path;
	pass->lines.problems = ini->problems;
	pass->lines.place.file = file;
	pass->lines.bytes = bytes;
	pass->lines.length = length;
	if (length >= strlen(bom) && memcmp(bytes, bom, strlen(bom)) == 0)
		pass->lines.next = strlen(bom);
	read_lines(pass);
	ini->units = memory_resize(ini->units, ini->unit_count + 1, sizeof(*ini->units));
	ini->units[ini->unit_count++] = (struct ini_unit){
		.text = pass->out.start != NULL ? pass->out.start : memory_string(""),
		.file = file,
	};
	free(pass);
}

static const struct ini_seen *seen_before(const struct ini *ini, const struct file_bytes *file)
{
	for (size_t i = 0; i < ini->seen_count; i++)
		if (ini->seen[i].device == file->device && ini->seen[i].inode == file->inode)
			return &ini->seen[i];
	return NULL;
}

static void remember(struct ini *ini, const struct file_bytes *file, struct place place)
{
	ini->seen = memory_resize(ini->seen, ini->seen_count + 1, sizeof(*ini->seen));
	ini->seen[ini->seen_count++] = (struct ini_seen){ file->device, file->inode, place };
}

/* A relative name starts in the folder of the including file. */
static char *include_path(const char *from, const char *name)
{
	const char *slash = strrchr(from, '/');

	if (name[0] == '/' || slash == NULL)
		return memory_string(name);
	return memory_format("%.*s/%s", (int)(slash - from), from, name);
}

static void include_file(struct pass *pass, const char *path)
{
	struct problems *problems = pass->ini->problems;
	struct place place = pass->lines.place;
	const struct ini_seen *seen;
	struct file_bytes file;
	int error = file_read(path, INI_FILE_MAX, true, &file);

	if (error != 0) {
		problems_add(problems, place, "include",
			     "cannot read \"%.200s\": %s; write the path of a readable file", path,
			     strerror(-error));
		return;
	}
	seen = seen_before(pass->ini, &file);
	if (seen == NULL) {
		remember(pass->ini, &file, place);
		read_bytes(pass->ini, path, problems_add_file(problems, path), file.bytes,
			   file.length);
	} else if (seen->place.line == 0) {
		problems_add(problems, place, "include",
			     "\"%.200s\" is being read already; remove this line, includes may not "
			     "go in a circle",
			     path);
	} else {
		problems_add(problems, place, "include",
			     "\"%.200s\" is included at %s:%u already; remove one of the two", path,
			     problems_file(problems, seen->place.file), seen->place.line);
	}
	free(file.bytes);
}

static void read_include(struct pass *pass, const char *at)
{
	const char *wrong = NULL;
	char *path;

	at = ini_skip_blanks(at);
	if (ini_is_rest(at))
		wrong = "has no value; write the path of a readable file";
	else
		wrong = ini_word_read(&at, "", pass->word);
	if (wrong == NULL && !ini_is_rest(at))
		wrong = "holds blanks; put quotes around the value";
	if (wrong != NULL) {
		problems_add(pass->ini->problems, pass->lines.place, "include", "%s", wrong);
		return;
	}
	path = include_path(pass->path, pass->word);
	include_file(pass, path);
	free(path);
}

static void prepare(struct ini *ini)
{
	ini->plain = memory_array(options_count(), sizeof(*ini->plain));
	ini->domain = memory_array(options_count(), sizeof(*ini->domain));
}

bool ini_read(struct ini *ini, const char *path)
{
	struct place place = { .file = problems_add_file(ini->problems, path) };
	struct file_bytes file;
	int error = file_read(path, INI_FILE_MAX, false, &file);

	prepare(ini);
	if (error != 0) {
		problems_add(ini->problems, place, NULL, "cannot read: %s", strerror(-error));
		return false;
	}
	remember(ini, &file, place);
	read_bytes(ini, path, place.file, file.bytes, file.length);
	free(file.bytes);
	return true;
}

void ini_read_bytes(struct ini *ini, const char *name, const char *bytes, size_t length)
{
	unsigned file = problems_add_file(ini->problems, name);

	prepare(ini);
	read_bytes(ini, name, file, bytes, length);
}

void ini_fini(struct ini *ini)
{
	for (size_t i = 0; i < ini->unit_count; i++)
		free(ini->units[i].text);
	free(ini->units);
	free(ini->plain);
	free(ini->domain);
	free(ini->headers);
	free(ini->seen);
	*ini = (struct ini){ .problems = ini->problems };
}
