/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS for outgoing SMTP sessions (OpenSSL, RFC 3207). Loop thread only, after tls_new(). */
#ifndef BACKUPMX_IO_TLS_H
#define BACKUPMX_IO_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_TEXT_MAX 512
#define TLS_NAME_MAX 256

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

/* A peer's certificate, for who judges it. Holds bytes of the peer's. */
struct tls_certificate {
	char name[TLS_NAME_MAX];     /* the first one that it is for */
	bool trusted;		     /* by the system's authorities, and valid today */
	char distrust[TLS_NAME_MAX]; /* why not, in OpenSSL's words */
	char until[sizeof("yyyy-mm-dd")];
	int64_t days_left; /* whole days; negative: it has expired */
};

/* Of a session that stands, with or without `verify`. False when the peer showed none. */
bool tls_certificate_read(struct ssl_st *ssl, struct tls_certificate *certificate);
/* True when the certificate is for that host name (RFC 6125; a wildcard is for one label). */
bool tls_certificate_names(struct ssl_st *ssl, const char *host);

#endif
