/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as an envelope address: bounds, and what must hold of whatever was read. */
#include "core/mail_address.h"
#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_bytes(const char *string, size_t limit)
{
	must(strnlen(string, limit + 1) <= limit);
	for (; *string != '\0'; string++)
		must((unsigned char)*string >= 0x20 && *string != 0x7f);
}

static void check_askable(const struct mail_address *address)
{
	if (!address->askable)
		return;
	must(address->kind == MAIL_ADDRESS_MAILBOX && !address->domain_is_literal);
	must(strpbrk(address->local, " \"\\<>()[]@,;:%!") == NULL);
	must(strpbrk(address->domain, " \"\\<>()[]@,;:%!_") == NULL);
	must(strchr(address->domain, '.') != NULL);
	must(address->local[0] != '\0' && address->local[0] != '.');
}

/* Written out and read again, an address is the same. */
static void check_again(const struct mail_address *once)
{
	struct mail_address twice;
	char written[MAIL_LOCAL_MAX + MAIL_DOMAIN_MAX + 4];

	if (once->kind == MAIL_ADDRESS_MALFORMED)
		return;
	snprintf(written, sizeof(written), "<%s%s%s>", once->local,
		 once->domain[0] != '\0' ? "@" : "", once->domain);
	mail_address_parse(written, &twice);
	must(memcmp(once, &twice, sizeof(twice)) == 0);
}

static void check_sender(const char *typed, const struct mail_address *address)
{
	char sender[MAIL_LOCAL_MAX + MAIL_DOMAIN_MAX + 2];
	char small[7];

	mail_sender_normalise(typed, sender, sizeof(sender));
	mail_sender_normalise(typed, small, sizeof(small));
	must(strnlen(sender, sizeof(sender)) < sizeof(sender));
	must(strnlen(small, sizeof(small)) < sizeof(small));
	must(strncmp(sender, small, strlen(small)) == 0);
	if (address->kind != MAIL_ADDRESS_MALFORMED)
		check_bytes(sender, sizeof(sender) - 1);
}

static void check_uses(const struct mail_address *address)
{
	char base[MAIL_LOCAL_MAX + 1];
	char small[7];

	if (mail_local_without_detail(address->local, "+-=", base, sizeof(base))) {
		must(base[0] != '\0' && strpbrk(base, "+-=") == NULL);
		must(strncmp(address->local, base, strlen(base)) == 0);
	}
	if (mail_local_without_detail(address->local, "+", small, sizeof(small)))
		check_bytes(small, sizeof(small) - 1);
	if (mail_local_is_role(address->local))
		must(strlen(address->local) == 5 || strlen(address->local) == 10);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail_address address;
	char *typed = malloc(size + 1);

	must(typed != NULL);
	if (size > 0)
		memcpy(typed, data, size);
	typed[size] = '\0';
	mail_address_parse(typed, &address);
	check_sender(typed, &address);
	free(typed);

	check_bytes(address.local, MAIL_LOCAL_MAX);
	check_bytes(address.domain, MAIL_DOMAIN_MAX);
	must((address.kind == MAIL_ADDRESS_MAILBOX) == (address.domain[0] != '\0'));
	must(address.kind == MAIL_ADDRESS_MALFORMED ||
	     address.is_ascii == (text_is_ascii(address.local) && text_is_ascii(address.domain)));
	check_askable(&address);
	check_again(&address);
	check_uses(&address);
	return 0;
}
