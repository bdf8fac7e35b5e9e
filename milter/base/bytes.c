/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers in records and keys. No state; any thread. */
#include "base/bytes.h"

void bytes_put(unsigned char *bytes, size_t size, uint64_t number)
{
	for (size_t i = size; i-- > 0; number >>= 8)
		bytes[i] = (unsigned char)number;
}

uint64_t bytes_get(const unsigned char *bytes, size_t size)
{
	uint64_t number = 0;

	for (size_t i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	return number;
}
