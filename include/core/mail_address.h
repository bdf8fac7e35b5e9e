/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Envelope addresses as MTAs hand them to us: RFC 5321 4.1.2 paths, and what clients type instead.
 * Pure; any thread; knows no DNS and no IDNA (io/idna.h turns U-labels into A-labels).
 */
#ifndef BACKUPMX_CORE_MAIL_ADDRESS_H
#define BACKUPMX_CORE_MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define MAIL_LOCAL_MAX	64  /* RFC 5321 4.5.3.1.1 */
#define MAIL_DOMAIN_MAX 255 /* RFC 5321 4.5.3.1.2 */

enum mail_address_kind {
	MAIL_ADDRESS_MAILBOX,	 /* local and domain are filled in */
	MAIL_ADDRESS_NULL,	 /* <> */
	MAIL_ADDRESS_POSTMASTER, /* <postmaster> without a domain, any case */
	MAIL_ADDRESS_LOCAL_ONLY, /* another local part without a domain */
	MAIL_ADDRESS_MALFORMED, /* anything else: over-long, control characters, no closing bracket,
				   ... */
};

struct mail_address {
	enum mail_address_kind kind;
	char local[MAIL_LOCAL_MAX + 1]; /* case as typed; a quoted-string that needs no quotes is
					   unquoted, one that needs them keeps them */
	char domain[MAIL_DOMAIN_MAX +
		    1];		/* lower case (ASCII letters), no final dot; may hold UTF-8 */
	bool domain_is_literal; /* [192.0.2.1]; `domain` keeps the brackets */
	bool is_ascii;		/* local part and domain */
	bool askable; /* strict enough to be put into a callout: a Dot-string local part without
			 quotes,
			 `%` or `!`, an LDH or UTF-8 domain with at least two labels. Non-ASCII is
			 askable only of a host with SMTPUTF8: the caller looks at is_ascii. */
};

/* Reads a path as typed after "TO:" or "FROM:": with or without angle brackets, blanks around it,
 * a source route ("<@relay:user@host>") that is dropped as RFC 5321 appendix C says. Never reads
 * past `typed`'s NUL; any bytes are safe. */
void mail_address_parse(const char *typed, struct mail_address *out);

/* True for local parts that must always be taken (RFC 5321 4.5.1, RFC 2142): postmaster, abuse. */
bool mail_local_is_role(const char *local);

/* "user+detail" -> "user" for one of the characters in `delimiters` that is neither first in the
 * local part nor absent (Postfix's recipient_delimiter rules: the first that occurs; "owner-x" and
 * "x-request" are not taken apart when the delimiter is '-'). False when there is nothing to cut.
 */
bool mail_local_without_detail(const char *local, const char *delimiters, char *out, size_t size);

/* A sender's path, as typed, without what changes from message to message: SRS0=/SRS1= tag fields
 * and BATV's prvs=tag=, msprvs1=tag= and btv1==tag== are dropped; the result is lower case,
 * "local@domain"; "" for the null sender. What mail_address_parse() can't read, as a local part of
 * more than 64 characters (VERP makes such), is treated the same, so that one sender stays one. */
void mail_sender_normalise(const char *typed, char *out, size_t size);

#endif
