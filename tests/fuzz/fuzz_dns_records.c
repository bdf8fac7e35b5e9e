/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a DNS message: bounds, and what must hold of each record that was read. */
#include "io/dns_records.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_name(const char *name)
{
	must(strnlen(name, MAIL_DOMAIN_MAX + 1) <= MAIL_DOMAIN_MAX);
	must(strpbrk(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL);
}

static void check_record(const struct dns_record *record)
{
	check_name(record->owner);
	check_name(record->target);
	must(record->ttl >= 0 && record->ttl <= UINT32_MAX);
	must(record->preference <= UINT16_MAX);
	must(record->data != NULL && record->length <= DNS_DATA_MAX);
	must(record->data[record->length] == '\0');
	for (size_t i = 0; i < record->length; i++) /* so that a sanitizer sees it is all there */
		must(record->data[i] <= 0xff);
	if (record->type == DNS_TYPE_A)
		must(record->ip.family == IP_V4);
	else if (record->type == DNS_TYPE_AAAA)
		must(record->ip.family == IP_V6);
	else
		must(record->ip.family == IP_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *message = malloc(size > 0 ? size : 1); /* so that a sanitizer sees its end */
	struct dns_record *records;
	int count;

	must(message != NULL);
	if (size > 0)
		memcpy(message, data, size);
	count = dns_records_read(message, size, &records);
	free(message); /* nothing of it is kept */
	must(count >= -1 && count <= DNS_RECORDS_MAX);
	must((count == -1) == (records == NULL));
	for (int i = 0; i < count; i++)
		check_record(&records[i]);
	dns_records_free(records, count > 0 ? (size_t)count : 0);
	return 0;
}
