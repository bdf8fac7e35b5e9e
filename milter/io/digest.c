/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 in base 64. No state; any thread. */
#include "io/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

void digest_sha256(const void *bytes, size_t length, char text[DIGEST_BASE64_MAX])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned int size = 0;

	if (EVP_Digest(bytes, length, hash, &size, EVP_sha256(), NULL) != 1)
		abort();
	EVP_EncodeBlock((unsigned char *)text, hash, (int)size);
}
