/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads domains_file. Owns the array of names; called by the thread that loads. */
#include "conf/domains_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "conf/file.h"
#include "io/idna.h"

#define FILE_MAX	((size_t)1024 * 1024 * 1024)
#define WORD_MAX_LENGTH 1024
#define BAD_LINES_MAX	100 /* a wrong file altogether: a million lines of complaint help nobody */

struct pass {
	struct domains_file *file;
	size_t room;
	struct pool *pool;
	struct problems *problems;
	struct place place;
	unsigned bad;
};

static void add_name(struct pass *pass, const char *name)
{
	struct domains_file *file = pass->file;

	if (file->count == pass->room) {
		pass->room = pass->room > 0 ? pass->room * 2 : 1024;
		file->names = memory_resize(file->names, pass->room, sizeof(*file->names));
	}
	file->names[file->count++] = pool_string(pass->pool, name);
}

static void complain(struct pass *pass, const char *text, size_t length)
{
	if (++pass->bad < BAD_LINES_MAX)
		problems_add(pass->problems, pass->place, NULL,
			     "\"%.*s\" is no domain; write one like example.test, or .example.test "
			     "for its subdomains",
			     length > 100 ? 100 : (int)length, text);
	else if (pass->bad == BAD_LINES_MAX)
		problems_add(pass->problems, pass->place, NULL,
			     "the 100th bad line, the rest is not looked at; write one domain per "
			     "line");
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void read_line(struct pass *pass, const char *line, size_t length)
{
	const char *comment = memchr(line, '#', length);
	char word[WORD_MAX_LENGTH];
	char name[IDNA_DOMAIN_MAX + 2] = ".";
	bool is_parent;

	if (comment != NULL)
		length = (size_t)(comment - line);
	while (length > 0 && is_blank(line[length - 1]))
		length--;
	for (; length > 0 && is_blank(*line); length--)
		line++;
	if (length == 0)
		return;
	is_parent = line[0] == '.';
	if (length >= sizeof(word) || memchr(line, '\0', length) != NULL) {
		complain(pass, line, length);
		return;
	}
	memcpy(word, line, length);
	word[length] = '\0';
	if (idna_domain_to_ascii(word + is_parent, name + 1, sizeof(name) - 1))
		add_name(pass, name + !is_parent);
	else
		complain(pass, line, length);
}

static void read_lines(struct pass *pass, const char *bytes, size_t length)
{
	static const char bom[] = "\xef\xbb\xbf";
	const char *end = bytes + length;

	if (length >= strlen(bom) && memcmp(bytes, bom, strlen(bom)) == 0)
		bytes += strlen(bom);
	while (bytes < end && pass->bad < BAD_LINES_MAX) {
		const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));

		if (newline == NULL)
			newline = end;
		pass->place.line++;
		read_line(pass, bytes, (size_t)(newline - bytes));
		bytes = newline < end ? newline + 1 : end;
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_once_each(struct domains_file *file)
{
	size_t kept = 0;

	if (file->count == 0)
		return;
	qsort(file->names, file->count, sizeof(*file->names), compare_names);
	for (size_t i = 1; i < file->count; i++)
		if (strcmp(file->names[kept], file->names[i]) != 0)
			file->names[++kept] = file->names[i];
	file->count = kept + 1;
}

void domains_file_read(struct domains_file *file, const char *path, struct place place,
		       struct pool *pool, struct problems *problems)
{
	struct pass pass = { .file = file, .pool = pool, .problems = problems };
	struct file_bytes bytes;
	int error = file_read(path, FILE_MAX, true, &bytes);

	if (error != 0) {
		problems_add(problems, place, "domains_file",
			     "cannot read \"%.200s\": %s; write the path of a readable file", path,
			     strerror(-error));
		return;
	}
	pass.place.file = problems_add_file(problems, path);
	read_lines(&pass, bytes.bytes, bytes.length);
	sort_once_each(file);
	free(bytes.bytes);
}

void domains_file_fini(struct domains_file *file)
{
	free(file->names);
	*file = (struct domains_file){ .names = NULL };
}
