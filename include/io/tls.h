/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS for outgoing SMTP sessions (OpenSSL, RFC 3207). Loop thread only, after tls_new(). */
#ifndef BACKUPMX_IO_TLS_H
#define BACKUPMX_IO_TLS_H

#include <stdbool.h>

struct tls;
struct ssl_st;

/* NULL when OpenSSL can't start. */
struct tls *tls_new(void);
void tls_free(struct tls *tls);

/* A session towards `host` (a name for SNI and, with `verify`, for the certificate check against
 * the system's trusted ones; NULL or "" for neither). SSL_free() it. NULL on failure. */
struct ssl_st *tls_session(struct tls *tls, const char *host, bool verify);

#endif
