/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One OpenSSL context for all outgoing sessions. Opportunistic by nature: whether a failed
 * handshake or an unverified certificate matters is the caller's to say. Loop thread only.
 */
#include "io/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/memory.h"

struct tls {
	SSL_CTX *context;
};

struct tls *tls_new(void)
{
	struct tls *tls;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (context == NULL)
		return NULL;
	/* Many MTAs close without close_notify; after our QUIT that tells nothing. */
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_default_verify_paths(context);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	tls = memory_alloc(sizeof(*tls));
	tls->context = context;
	return tls;
}

void tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->context);
	free(tls);
}

struct ssl_st *tls_session(struct tls *tls, const char *host, bool verify)
{
	SSL *ssl = SSL_new(tls->context);
	bool named = host != NULL && host[0] != '\0';

	if (ssl == NULL)
		return NULL;
	if (named)
		SSL_set_tlsext_host_name(ssl, host);
	if (verify) {
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
		if (!named || SSL_set1_host(ssl, host) != 1) {
			SSL_free(ssl);
			return NULL;
		}
	}
	return ssl;
}
