/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domain names as DNS wants them: the one place that knows IDNA. No state; any thread.
 */
#ifndef BACKUPMX_IO_IDNA_H
#define BACKUPMX_IO_IDNA_H

#include <stdbool.h>
#include <stddef.h>

#define IDNA_DOMAIN_MAX 253 /* RFC 1035 as text, without the final dot */

/* Turns a domain or host name (ASCII, A-labels, or U-labels in UTF-8; one final dot is dropped)
 * into its lower-case A-label form. Returns false, with "" in `out`, when it is no such name: an
 * empty or over-long label, a character other than letters, digits and inner hyphens, a last label
 * of digits alone (that is an address), invalid UTF-8, or when it does not fit. A single label is
 * fine. */
bool idna_domain_to_ascii(const char *domain, char *out, size_t size);

#endif
