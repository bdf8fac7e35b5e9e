/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers as bytes, most significant first: so keys of a store sort as their numbers. Any thread.
 */
#ifndef BACKUPMX_BASE_BYTES_H
#define BACKUPMX_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Writes the lowest `size` bytes of the number; `size` is 8 at most. */
void bytes_put(unsigned char *bytes, size_t size, uint64_t number);
uint64_t bytes_get(const unsigned char *bytes, size_t size);

#endif
