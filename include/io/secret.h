/* SPDX-License-Identifier: BSD-2-Clause */
/* Keyed hashes and random names (OpenSSL). Any thread. */
#ifndef BACKUPMX_IO_SECRET_H
#define BACKUPMX_IO_SECRET_H

#include <stddef.h>
#include <stdint.h>

#define SECRET_SIZE 32

struct secret {
	unsigned char key[SECRET_SIZE];
};

/* Fills it with random bytes; aborts when the system has none. */
void secret_random(struct secret *secret);

/* The first 8 bytes of HMAC-SHA256 over the parts, each followed by a NUL. */
uint64_t secret_hash(const struct secret *secret, const char *const parts[], size_t count);

/* `length` characters a-z 0-9 (that many + 1 bytes), derived from the parts: the same for the same.
 */
void secret_word(const struct secret *secret, const char *const parts[], size_t count, char *word,
		 size_t length);

/* `length` random characters a-z 0-9: the id of a log line. Fast; unpredictable enough for that
 * only. */
void secret_random_id(char *word, size_t length);

/* `length` random hex digits, four bits each, that nobody can guess; at most 64 digits. */
void secret_random_hex(char *word, size_t length);

#endif
