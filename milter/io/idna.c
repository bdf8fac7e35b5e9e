/* SPDX-License-Identifier: BSD-2-Clause */
/* Domain names to A-labels with libidn2. Owns nothing; any thread. */
#include "io/idna.h"

#include <idn2.h>
#include <string.h>

#include "base/text.h"

#define LABEL_MAX 63

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_ldh(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-';
}

static bool label_is_good(const char *label, size_t length)
{
	if (length == 0 || length > LABEL_MAX || label[0] == '-' || label[length - 1] == '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!is_ldh(label[i]))
			return false;
	return true;
}

/* RFC 3696 section 2: the last label is never all digits, so that "192.0.2.300" is no name. */
static bool is_all_digits(const char *label)
{
	for (; *label != '\0'; label++)
		if (!is_digit(*label))
			return false;
	return true;
}

static bool name_is_good(const char *name)
{
	const char *label = name;

	if (strlen(name) > IDNA_DOMAIN_MAX)
		return false;
	for (;;) {
		size_t length = strcspn(label, ".");

		if (!label_is_good(label, length))
			return false;
		if (label[length] == '\0')
			return !is_all_digits(label);
		label += length + 1;
	}
}

/* Most names are plain ASCII: those never need the library. */
static bool copy_as_ascii(const char *domain, char *out, size_t size)
{
	char *ascii = NULL;
	bool fits;

	if (text_is_ascii(domain))
		return text_copy(out, size, domain);
	if (idn2_to_ascii_8z(domain, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK)
		return false;
	fits = text_copy(out, size, ascii);
	idn2_free(ascii);
	return fits;
}

bool idna_domain_to_ascii(const char *domain, char *out, size_t size)
{
	size_t length;

	out[0] = '\0';
	if (!copy_as_ascii(domain, out, size))
		goto bad;
	length = strlen(out);
	if (length > 0 && out[length - 1] == '.')
		out[length - 1] = '\0';
	text_lower(out);
	if (name_is_good(out))
		return true;
bad:
	out[0] = '\0';
	return false;
}
