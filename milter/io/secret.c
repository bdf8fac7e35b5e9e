/* SPDX-License-Identifier: BSD-2-Clause */
/* HMAC and random words. No state; any thread. */
#include "io/secret.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

void secret_random(struct secret *secret)
{
	if (RAND_bytes(secret->key, sizeof(secret->key)) != 1)
		abort();
}

static void digest(const struct secret *secret, const char *const parts[], size_t count,
		   unsigned char out[EVP_MAX_MD_SIZE])
{
	unsigned char message[2048];
	size_t length = 0;
	unsigned int size = 0;

	for (size_t i = 0; i < count; i++) {
		size_t part = strlen(parts[i]) + 1;

		if (part > sizeof(message) - length)
			part = sizeof(message) - length;
		memcpy(message + length, parts[i], part);
		length += part;
	}
	if (HMAC(EVP_sha256(), secret->key, sizeof(secret->key), message, length, out, &size) ==
	    NULL)
		abort();
}

uint64_t secret_hash(const struct secret *secret, const char *const parts[], size_t count)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	uint64_t number;

	digest(secret, parts, count, hash);
	memcpy(&number, hash, sizeof(number));
	return number;
}

void secret_word(const struct secret *secret, const char *const parts[], size_t count, char *word,
		 size_t length)
{
	unsigned char hash[EVP_MAX_MD_SIZE];

	digest(secret, parts, count, hash);
	for (size_t i = 0; i < length; i++)
		word[i] = letters[hash[i % 32] % (sizeof(letters) - 1)];
	word[length] = '\0';
}

void secret_random_id(char *word, size_t length)
{
	unsigned char bytes[32];

	if (length > sizeof(bytes))
		length = sizeof(bytes);
	if (RAND_bytes(bytes, (int)length) != 1)
		abort();
	for (size_t i = 0; i < length; i++)
		word[i] = letters[bytes[i] % (sizeof(letters) - 1)];
	word[length] = '\0';
}

void secret_random_hex(char *word, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[64];

	if (length > sizeof(bytes))
		length = sizeof(bytes);
	if (RAND_bytes(bytes, (int)length) != 1)
		abort();
	for (size_t i = 0; i < length; i++)
		word[i] = digits[bytes[i] % 16];
	word[length] = '\0';
}
