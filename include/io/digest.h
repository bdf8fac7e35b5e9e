/* SPDX-License-Identifier: BSD-2-Clause */
/* Digests as the web writes them (OpenSSL). Any thread. */
#ifndef BACKUPMX_IO_DIGEST_H
#define BACKUPMX_IO_DIGEST_H

#include <stddef.h>

#define DIGEST_BASE64_MAX 48

/* SHA-256 in base 64. Aborts when there is no memory for it. */
void digest_sha256(const void *bytes, size_t length, char text[DIGEST_BASE64_MAX]);

#endif
