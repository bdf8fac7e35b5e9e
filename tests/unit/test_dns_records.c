/* SPDX-License-Identifier: BSD-2-Clause */
/* DNS messages and their records: tests/unit/data/dns_records.table, and the bounds. */
#include "io/dns_records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "table.h"

static int digit(char c)
{
	return c >= 'a' ? c - 'a' + 10 : c - '0';
}

/* In memory of exactly their size, so that a sanitizer sees who reads over the end. */
static unsigned char *message_of(const char *hex, size_t *length)
{
	unsigned char *message;

	*length = strlen(hex) / 2;
	message = malloc(*length > 0 ? *length : 1);
	assert_non_null(message);
	for (size_t i = 0; i < *length; i++)
		message[i] = (unsigned char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
	return message;
}

static void add_name(struct text *text, const char *name)
{
	text_add(text, name[0] != '\0' ? name : ".");
}

static void add_record(struct text *text, const struct dns_record *record)
{
	char ip[IP_TEXT_MAX];

	add_name(text, record->owner);
	text_add_format(text, " %lld ", (long long)record->ttl);
	switch (record->type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		text_add(text, record->type == DNS_TYPE_A ? "A " : "AAAA ");
		text_add(text, ip_format(&record->ip, ip, sizeof(ip)));
		break;
	case DNS_TYPE_MX:
		text_add_format(text, "MX %u ", record->preference);
		add_name(text, record->target);
		break;
	case DNS_TYPE_CNAME:
	case DNS_TYPE_NS:
	case DNS_TYPE_PTR:
	case DNS_TYPE_SOA:
		text_add(text, record->type == DNS_TYPE_CNAME ? "CNAME "
			       : record->type == DNS_TYPE_NS  ? "NS "
			       : record->type == DNS_TYPE_PTR ? "PTR "
							      : "SOA ");
		add_name(text, record->target);
		break;
	case DNS_TYPE_TXT:
		assert_int_equal(record->data[record->length], '\0');
		text_add(text, "TXT \"");
		text_add_printable(text, (const char *)record->data, record->length);
		text_add_char(text, '"');
		break;
	default:
		text_add_format(text, "%d ", record->type);
		for (size_t i = 0; i < record->length; i++)
			text_add_format(text, "%02x", record->data[i]);
	}
}

static void message_holds(const char *hex, const char *expected)
{
	size_t length;
	unsigned char *message = message_of(hex, &length);
	struct dns_record *records;
	char found[2048];
	TEXT_ON(text, found);
	int count = dns_records_read(message, length, &records);

	free(message);
	if (count < 0) {
		assert_null(records);
		text_add(&text, "malformed");
	}
	for (int i = 0; i < count; i++) {
		text_add(&text, i > 0 ? "; " : "");
		add_record(&text, &records[i]);
	}
	dns_records_free(records, count > 0 ? (size_t)count : 0);
	if (strcmp(found, expected) != 0)
		fail_msg("%s:\n%s, not\n%s", hex, found, expected);
}

static void test_table(void **state)
{
	FILE *table = table_open("dns_records.table");
	char line[4096];
	size_t rows = 0;

	(void)state;
	assert_non_null(table);
	while (fgets(line, sizeof(line), table) != NULL) {
		char *rest = line;
		const char *hex;

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		rows++;
		hex = table_field(&rest);
		message_holds(hex, rest);
	}
	fclose(table);
	assert_true(rows > 35);
}

/* A message of `count` TXT records at ".", each with `strings` strings of 255 letters. */
static unsigned char *texts(size_t count, size_t strings, size_t *length)
{
	size_t data = strings * 256;
	unsigned char *message, *at;

	*length = 12 + count * (11 + data);
	message = calloc(1, *length);
	assert_non_null(message);
	message[6] = (unsigned char)(count >> 8);
	message[7] = (unsigned char)count;
	at = message + 12;
	for (size_t i = 0; i < count; i++) {
		memset(at, 0, 11);
		at[2] = DNS_TYPE_TXT;
		at[4] = 1; /* IN */
		at[9] = (unsigned char)(data >> 8);
		at[10] = (unsigned char)data;
		memset(at + 11, 'a', data);
		for (size_t j = 0; j < strings; j++)
			at[11 + j * 256] = 255;
		at += 11 + data;
	}
	return message;
}

static void test_bounds(void **state)
{
	struct dns_record *records;
	size_t length;
	unsigned char *message = texts(DNS_RECORDS_MAX + 5, 0, &length);

	(void)state;
	assert_int_equal(dns_records_read(message, length, &records), DNS_RECORDS_MAX);
	dns_records_free(records, DNS_RECORDS_MAX);
	free(message);

	message = texts(2, DNS_DATA_MAX / 256, &length);
	assert_int_equal(dns_records_read(message, length, &records), 2);
	assert_int_equal(records[1].length, DNS_DATA_MAX / 256 * 255);
	dns_records_free(records, 2);
	free(message);

	message = texts(2, DNS_DATA_MAX / 256 + 1, &length);
	assert_int_equal(dns_records_read(message, length, &records), -1);
	assert_null(records);
	free(message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
