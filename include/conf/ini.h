/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pass before libconfuse: real ini files become, line for line, what libconfuse reads.
 *
 * libconfuse 3.3 knows no [section] and no `;`, counts lines wrongly behind comments, drops or
 * rewrites some unquoted characters, expands ${VAR} and takes unclosed braces. So this pass finds
 * what is wrong with the syntax and the names, and hands on blocks of quoted values only; each
 * stands on the line it came from. Owned by one load; one thread.
 */
#ifndef BACKUPMX_CONF_INI_H
#define BACKUPMX_CONF_INI_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "conf/options.h"
#include "conf/problems.h"

#define INI_LINE_MAX 16384 /* bytes, without its end */

/* One file, rewritten. Included files come before the file that includes them. */
struct ini_unit {
	char *text;
	unsigned file; /* for problems */
};

struct ini {
	struct problems *problems; /* set it before ini_read() */
	struct ini_unit *units;
	size_t unit_count;
	struct place
		*plain; /* by option index: where a plain section gives the key; line 0: nowhere */
	struct place *domain;  /* the same for the [domain "x"] being read */
	struct place *headers; /* of the [domain "x"] sections, in the order of the units */
	size_t header_count;
	struct ini_seen {
		dev_t device;
		ino_t inode;
		struct place place; /* of the include line */
	} * seen;
	size_t seen_count;
};

/* Reads `path` and what it includes. Returns false when `path` itself cannot be read; everything
 * wrong, that too, is in the problems. */
bool ini_read(struct ini *ini, const char *path);

/* The same for bytes that are in memory already; `name` stands in messages, and its folder is where
 * relative includes start. */
void ini_read_bytes(struct ini *ini, const char *name, const char *bytes, size_t length);

void ini_fini(struct ini *ini);

/* Growing text, always NUL-terminated once something was added. */
struct ini_text {
	char *start;
	size_t length, room;
};

void ini_text_add(struct ini_text *text, const char *bytes, size_t length);
void ini_text_cut(struct ini_text *text, size_t length);

/* One file, line by line. */
struct ini_lines {
	struct problems *problems;
	struct place place;	     /* of the current line */
	const char *bytes;	     /* of the whole file */
	size_t length, next;	     /* where the next line starts */
	size_t current;		     /* where the current one does */
	char line[INI_LINE_MAX + 1]; /* the current one, "" when it holds what no line may hold */
};

/* Moves to the next line. False at the end of the file. */
bool ini_lines_next(struct ini_lines *lines);
/* Goes back, so that the next call finds the current line again. */
void ini_lines_unread(struct ini_lines *lines);

const char *ini_skip_blanks(const char *at);
/* True at the end of a line or before a comment. */
bool ini_is_rest(const char *at);

/* Reads the value of `key` that starts at `at` in the current line, over further lines if it is a
 * list in braces, and adds it to `out` as libconfuse wants it, with its line ends but the last.
 * `option` NULL: an unknown key, of which nothing is told or added but line ends. Returns false
 * when nothing but line ends was added. */
bool ini_value_read(struct ini_lines *lines, const struct option *option, const char *key,
		    const char *at, struct ini_text *out);

/* Reads one quoted or bare word at *at into `word` (INI_LINE_MAX + 1 bytes) and moves behind it. A
 * bare word ends before a blank, or one of `stops`. NULL when it is fine, else what is wrong. */
const char *ini_word_read(const char **at, const char *stops, char *word);

#endif
