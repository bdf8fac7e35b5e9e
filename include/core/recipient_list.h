/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of recipients as administrators keep them: one address per line, or the source of a Postfix
 * map, of which the first word of each entry counts (DESIGN section 4). Pure; any thread.
 */
#ifndef BACKUPMX_CORE_RECIPIENT_LIST_H
#define BACKUPMX_CORE_RECIPIENT_LIST_H

#include <stdbool.h>

#include "core/mail_address.h"

enum recipient_entry_kind {
	RECIPIENT_ENTRY_NONE,	   /* empty, a comment, or the continuation of an entry before */
	RECIPIENT_ENTRY_ADDRESS,   /* local and domain */
	RECIPIENT_ENTRY_LOCAL,	   /* a bare local part: the domain is the reader's */
	RECIPIENT_ENTRY_CATCH_ALL, /* "@domain" */
	RECIPIENT_ENTRY_MALFORMED,
};

struct recipient_entry {
	enum recipient_entry_kind kind;
	char local[MAIL_LOCAL_MAX + 1];	  /* case as typed */
	char domain[MAIL_DOMAIN_MAX + 1]; /* lower case; may hold UTF-8 */
};

/* What a reader keeps from line to line; begins zeroed. */
struct recipient_list_reader {
	bool has_value; /* the entry before has one: lines that begin with blanks add to it */
};

/* Reads one line (without its end). `cut`: it was longer than what is given; that does no harm
 * behind the first word.
 *
 * A line that begins with white space continues the entry before, as postmap(1) reads it, but only
 * where that entry has a value already: an indented word behind a bare address is taken for an
 * entry of its own. So a list that somebody indented loses nobody; at worst the target of an alias
 * whose value stands alone on the next line counts as a recipient. */
void recipient_list_read(struct recipient_list_reader *reader, const char *line, bool cut,
			 struct recipient_entry *entry);

enum recipient_file_form { RECIPIENT_FILE_TEXT, RECIPIENT_FILE_PACKED, RECIPIENT_FILE_BINARY };

/* What a file is by its first line, as lines_next() gives it: \x01 stands for each NUL. */
enum recipient_file_form recipient_file_form_of(const char *first_line);

/* Reads one word: what an entry begins with. */
void recipient_word_read(const char *word, struct recipient_entry *entry);

/* True when a bare word is no local part but the key by which a map names the domain (a
 * lower-case A-label) or one of its subdomains: "example.org", ".example.org", "a.example.org".
 * Other words with dots are local parts: "jane.doe" is somebody, and to take a foreign domain's
 * name for a local part welcomes nobody who exists. */
bool recipient_word_names_domain(const char *word, const char *domain);

/* True for an address that may be kept though nobody asked the primary: a local part by RFC 5321
 * and RFC 6531, dot-string or quoted, without control characters. */
bool recipient_entry_is_strict(const struct recipient_entry *entry);

#endif
