/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The certificates that a peer showed, kept behind its session, and the questions that senders ask
 * of them: does a public authority vouch for that name (RFC 5280, RFC 8461 4.2), does a TLSA record
 * fit (RFC 6698, RFC 7672)? Nothing here ends a session. Any thread, one at a time.
 */
#ifndef BACKUPMX_IO_TLS_CHAIN_H
#define BACKUPMX_IO_TLS_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/tls.h"

#define TLS_CHAIN_TEXT_MAX 256
#define TLS_KEY_DIGEST_MAX 65 /* SHA-256 in hexadecimal, with the NUL */

struct tls_chain;

/* Of a session that stands (smtp_client_tls()); NULL when there is none. tls_chain_free() it. */
struct tls_chain *tls_chain_new(struct ssl_st *ssl);
void tls_chain_free(struct tls_chain *chain); /* NULL is fine */

/* Would a sender that verifies by the system's trusted authorities take it for `host`, by a name of
 * its subjectAltName? NULL then; else why not, in words in `buffer` (may hold bytes of the peer's).
 */
const char *tls_chain_problem(struct tls *tls, const struct tls_chain *chain, const char *host,
			      char *buffer, size_t size);

/* The names it is for, as "mx.example.test, *.example.test". Holds bytes of the peer's. */
void tls_chain_names(const struct tls_chain *chain, char *buffer, size_t size);

enum tls_dane {
	TLS_DANE_MATCHES,
	TLS_DANE_DIFFERS,  /* it could match, and doesn't */
	TLS_DANE_UNUSABLE, /* SMTP senders pass it over: PKIX-TA(0), PKIX-EE(1), unknown parameters,
			      malformed data */
};

/* Does this one TLSA record (its data as they are in DNS) fit the chain of `host`? */
enum tls_dane tls_chain_dane(struct tls *tls, const struct tls_chain *chain, const char *host,
			     const unsigned char *record, size_t length);

/* SHA-256 of its public key: what a record "3 1 1" holds. */
const char *tls_chain_key_digest(const struct tls_chain *chain, char buffer[TLS_KEY_DIGEST_MAX]);

#endif
