/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One OpenSSL context for all outgoing sessions. Opportunistic by nature: whether a failed
 * handshake or an unverified certificate matters is the caller's to say. Loop thread only.
 */
#include "io/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

/* The first name that it is for: of the alternative ones, else the common name. */
static void certificate_name(X509 *certificate, char *buffer, int size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		found = name->type == GEN_DNS;
		if (found)
			snprintf(buffer, (size_t)size, "%.*s", ASN1_STRING_length(name->d.dNSName),
				 (const char *)ASN1_STRING_get0_data(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	if (!found && X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
						buffer, size) <= 0)
		snprintf(buffer, (size_t)size, "(no name)");
}

/* A time that can't be read is over. */
static int64_t days_until(const ASN1_TIME *end)
{
	int days = 0;
	int seconds = 0;

	if (ASN1_TIME_diff(&days, &seconds, NULL, end) != 1)
		return -1;
	return seconds < 0 ? days - 1 : days;
}

static void date_write(const ASN1_TIME *time, char *buffer, size_t size)
{
	struct tm date;

	snprintf(buffer, size, "-");
	if (ASN1_TIME_to_tm(time, &date) == 1)
		strftime(buffer, size, "%Y-%m-%d", &date);
}

bool tls_certificate_read(struct ssl_st *ssl, struct tls_certificate *certificate)
{
	X509 *x509 = SSL_get1_peer_certificate(ssl);
	long verdict = SSL_get_verify_result(ssl);

	*certificate = (struct tls_certificate){ .trusted = verdict == X509_V_OK };
	if (x509 == NULL)
		return false;
	certificate_name(x509, certificate->name, sizeof(certificate->name));
	if (!certificate->trusted)
		snprintf(certificate->distrust, sizeof(certificate->distrust), "%s",
			 X509_verify_cert_error_string(verdict));
	date_write(X509_get0_notAfter(x509), certificate->until, sizeof(certificate->until));
	certificate->days_left = days_until(X509_get0_notAfter(x509));
	X509_free(x509);
	return true;
}

bool tls_certificate_names(struct ssl_st *ssl, const char *host)
{
	X509 *x509 = SSL_get1_peer_certificate(ssl);
	bool names =
		x509 != NULL && host[0] != '\0' && X509_check_host(x509, host, 0, 0, NULL) == 1;

	X509_free(x509);
	return names;
}

void tls_describe(struct ssl_st *ssl, char *buffer, size_t size)
{
	X509 *certificate = SSL_get1_peer_certificate(ssl);
	char name[256] = "(none)";
	char until[32] = "-";

	if (certificate != NULL) {
		certificate_name(certificate, name, sizeof(name));
		date_write(X509_get0_notAfter(certificate), until, sizeof(until));
	}
	snprintf(buffer, size, "%s %s, certificate of %s until %s", SSL_get_version(ssl),
		 SSL_get_cipher_name(ssl), name, until);
	X509_free(certificate);
}
