/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS for outgoing SMTP sessions (OpenSSL, RFC 3207). Loop thread only, after tls_new(). */
#ifndef BACKUPMX_IO_TLS_H
#define BACKUPMX_IO_TLS_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_TEXT_MAX 512

struct tls;
struct ssl_st;

/* NULL when OpenSSL can't start. */
struct tls *tls_new(void);
void tls_free(struct tls *tls);

/* A session towards `host` (a name for SNI and, with `verify`, for the certificate check against
 * the system's trusted ones; NULL or "" for neither). SSL_free() it. NULL on failure. */
struct ssl_st *tls_session(struct tls *tls, const char *host, bool verify);

/* What a session that stands is like, in words: version, cipher, whose certificate and until when.
 * Holds bytes of the peer's. */
void tls_describe(struct ssl_st *ssl, char *buffer, size_t size);

#endif
