/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SMTP replies (RFC 5321 4.2), read from foreign bytes with bounds. Pure; one reader at a time.
 */
#ifndef BACKUPMX_CORE_SMTP_REPLY_H
#define BACKUPMX_CORE_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#define SMTP_REPLY_LINE_MAX  2048 /* RFC 5321 4.5.3.1.5 says 512; real hosts send more */
#define SMTP_REPLY_LINES_MAX 128
#define SMTP_REPLY_TEXT_MAX  512

struct smtp_enhanced { /* RFC 3463; class 0: there is none */
	unsigned char class;
	unsigned short subject;
	unsigned short detail;
};

struct smtp_reply {
	int code;			 /* 200 to 599 */
	struct smtp_enhanced enhanced;	 /* of the last line: leading, or as "(#x.y.z)" in its text;
					    its class may contradict the code */
	char text[SMTP_REPLY_TEXT_MAX];	 /* of the last line, after code and enhanced code; cut to
					    fit,  printable (base/text.h) */
	char first[SMTP_REPLY_TEXT_MAX]; /* of the first line: a banner's host name is in it */
	char between[SMTP_REPLY_TEXT_MAX]; /* of the lines between those two, as many as fit */
	unsigned lines;
	/* From an EHLO reply's keyword lines (RFC 5321 4.1.1.1), any case; harmless elsewhere. */
	bool has_starttls, has_pipelining, has_smtputf8, has_8bitmime, has_size, has_enhanced;
	bool has_dsn;
	unsigned long long size_limit; /* 0: none told */
};

enum smtp_reply_status {
	SMTP_REPLY_MORE,     /* feed on */
	SMTP_REPLY_COMPLETE, /* reader->reply holds it */
	SMTP_REPLY_BAD,	     /* no SMTP: give the session up */
};

struct smtp_reply_reader {
	struct smtp_reply reply;
	char line[SMTP_REPLY_LINE_MAX];
	size_t line_length;
	bool started;
	bool finished; /* a complete reply is in `reply`; the next byte starts a new one */
};

void smtp_reply_reader_init(struct smtp_reply_reader *reader);

/* Eats up to `length` bytes, but stops behind the end of one reply. *used says how many it took;
 * call again with the rest after handling a complete one. Lines end in LF with or without CR before
 * it. BAD: a line that does not start with three digits 2..5 0..9 0..9 and '-', ' ' or its end,
 * codes that differ between the lines of one reply, an over-long line, too many lines, a NUL. */
enum smtp_reply_status smtp_reply_feed(struct smtp_reply_reader *reader, const char *bytes,
				       size_t length, size_t *used);

/* "5.1.1" or "" when there is none. */
const char *smtp_enhanced_format(const struct smtp_enhanced *enhanced, char *buffer, size_t size);

/* The host name that a 220 banner or a 250 EHLO reply gives as its first word (lower case, no final
 * dot), "" when that is no host name. */
void smtp_reply_host(const struct smtp_reply *reply, char *buffer, size_t size);

#endif
