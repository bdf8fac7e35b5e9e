/* SPDX-License-Identifier: BSD-2-Clause */
/* Chains of certificates, verified by OpenSSL's own rules for PKIX and DANE. Any thread. */
#include "io/tls_chain.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/text.h"

struct tls_chain {
	X509 *leaf;
	STACK_OF(X509) * others; /* as the peer sent them, the first one too */
};

struct tls_chain *tls_chain_new(struct ssl_st *ssl)
{
	X509 *leaf = SSL_get1_peer_certificate(ssl);
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(ssl);
	struct tls_chain *chain;

	if (leaf == NULL)
		return NULL;
	chain = memory_alloc(sizeof(*chain));
	chain->leaf = leaf;
	chain->others = sent != NULL ? X509_chain_up_ref(sent) : NULL;
	return chain;
}

void tls_chain_free(struct tls_chain *chain)
{
	if (chain == NULL)
		return;
	X509_free(chain->leaf);
	sk_X509_pop_free(chain->others, X509_free);
	free(chain);
}

/* A verification of the chain as senders do it; `ssl` gives the trusted authorities and, when it
 * has any, the TLSA records. NULL when there is no memory for it. */
static X509_STORE_CTX *verification_new(SSL *ssl, const struct tls_chain *chain, const char *host)
{
	X509_STORE_CTX *verification = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *rules;

	if (verification == NULL)
		return NULL;
	if (X509_STORE_CTX_init(verification, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)),
				chain->leaf, chain->others) != 1 ||
	    X509_STORE_CTX_set_default(verification, "ssl_server") != 1)
		goto fail;
	rules = X509_STORE_CTX_get0_param(verification);
	X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
						       X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_host(rules, host, 0) != 1)
		goto fail;
	return verification;
fail:
	X509_STORE_CTX_free(verification);
	return NULL;
}

const char *tls_chain_problem(struct tls *tls, const struct tls_chain *chain, const char *host,
			      char *buffer, size_t size)
{
	struct ssl_st *ssl = tls_session(tls, NULL, false);
	X509_STORE_CTX *verification = ssl != NULL ? verification_new(ssl, chain, host) : NULL;
	const char *problem = "OpenSSL has no memory to verify it";
	struct text text;

	if (verification != NULL && X509_verify_cert(verification) == 1)
		problem = NULL;
	else if (verification != NULL)
		problem = X509_verify_cert_error_string(X509_STORE_CTX_get_error(verification));
	if (problem != NULL) {
		text_init(&text, buffer, size);
		text_add(&text, problem);
		problem = buffer;
	}
	X509_STORE_CTX_free(verification);
	SSL_free(ssl);
	return problem;
}

void tls_chain_names(const struct tls_chain *chain, char *buffer, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(chain->leaf, NID_subject_alt_name, NULL, NULL);
	struct text text;

	text_init(&text, buffer, size);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_DNS)
			continue;
		text_add(&text, text.length > 0 ? ", " : "");
		text_add_printable(&text, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
				   (size_t)ASN1_STRING_length(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	if (text.length == 0)
		text_add(&text, "no name");
}

/* ---- DANE ---- */

/* Of the four usages SMTP has these two (RFC 7672 3.1): there are no authorities that all senders
 * trust. */
enum usage { USAGE_DANE_TA = 2, USAGE_DANE_EE = 3 };

/* Lets the session know one TLSA record; false when that is none to be used. */
static bool record_take(SSL *ssl, const char *host, const unsigned char *record, size_t length)
{
	return SSL_CTX_dane_enable(SSL_get_SSL_CTX(ssl)) == 1 && SSL_dane_enable(ssl, host) == 1 &&
	       SSL_dane_tlsa_add(ssl, record[0], record[1], record[2], record + 3, length - 3) == 1;
}

/* As libssl does at the end of a handshake. A DANE-EE record vouches for the key, whatever name and
 * dates are in the certificate (RFC 7672 3.1.1). */
static bool record_matches(SSL *ssl, const struct tls_chain *chain, const char *host)
{
	X509_STORE_CTX *verification = verification_new(ssl, chain, host);
	bool matches;

	if (verification == NULL)
		return false;
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	X509_STORE_CTX_set0_dane(verification, SSL_get0_dane(ssl));
	matches = X509_verify_cert(verification) == 1;
	X509_STORE_CTX_free(verification);
	return matches;
}

enum tls_dane tls_chain_dane(struct tls *tls, const struct tls_chain *chain, const char *host,
			     const unsigned char *record, size_t length)
{
	enum tls_dane result = TLS_DANE_UNUSABLE;
	SSL *ssl;

	if (length < 4 || (record[0] != USAGE_DANE_TA && record[0] != USAGE_DANE_EE))
		return TLS_DANE_UNUSABLE;
	ssl = tls_session(tls, NULL, false);
	if (ssl != NULL && record_take(ssl, host, record, length))
		result = record_matches(ssl, chain, host) ? TLS_DANE_MATCHES : TLS_DANE_DIFFERS;
	SSL_free(ssl);
	ERR_clear_error(); /* what a record couldn't be used for is no session's trouble */
	return result;
}

const char *tls_chain_key_digest(const struct tls_chain *chain, char buffer[TLS_KEY_DIGEST_MAX])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned char *key = NULL;
	unsigned length = 0;
	struct text text;
	int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(chain->leaf), &key);

	text_init(&text, buffer, TLS_KEY_DIGEST_MAX);
	if (size > 0 && EVP_Digest(key, (size_t)size, digest, &length, EVP_sha256(), NULL) == 1)
		for (unsigned i = 0; i < length; i++)
			text_add_format(&text, "%02x", digest[i]);
	OPENSSL_free(key);
	return buffer;
}
