/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a host's replies: at once and byte by byte must come to the same, within bounds. */
#include "core/rcpt_answer.h"
#include "core/smtp_reply.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_printable(const char *string, size_t limit)
{
	must(strnlen(string, limit + 1) <= limit);
	for (; *string != '\0'; string++)
		must(*string >= 0x20 && *string < 0x7f);
}

static void check_answer(const struct smtp_reply *reply)
{
	enum rcpt_answer answer = rcpt_answer_read(reply, "x.mail.protection.outlook.com");
	enum rcpt_answer elsewhere = rcpt_answer_read(reply, "");

	must(answer == elsewhere || (answer == RCPT_ANSWER_REFUSED_WORDS && reply->code == 550));
	if (reply->code < 300)
		must(answer == RCPT_ANSWER_VALID);
	if (rcpt_answer_is_refusal(answer)) {
		must(reply->code == 550 || reply->code == 551 || reply->code == 553 ||
		     reply->code == 554);
		/* a class that contradicts the code is kept, and means nothing */
		must(reply->enhanced.class == 0 || reply->enhanced.class == 5);
	}
	must(rcpt_verdict_of(answer, RCPT_CONTROL_FAILED) != RCPT_VERDICT_INVALID);
	must(rcpt_verdict_name(rcpt_verdict_of(answer, RCPT_CONTROL_NONE)) != NULL);
}

static void check_reply(const struct smtp_reply *reply)
{
	char host[256];
	char enhanced[16];

	must(reply->code >= 200 && reply->code <= 599);
	must(reply->lines >= 1 && reply->lines <= SMTP_REPLY_LINES_MAX);
	must(reply->enhanced.class == 0 || reply->enhanced.class == 2 ||
	     reply->enhanced.class == 4 || reply->enhanced.class == 5);
	must(reply->enhanced.subject <= 999 && reply->enhanced.detail <= 999);
	check_printable(reply->text, SMTP_REPLY_TEXT_MAX - 1);
	check_printable(reply->first, SMTP_REPLY_TEXT_MAX - 1);
	check_printable(reply->between, SMTP_REPLY_TEXT_MAX - 1);
	smtp_reply_host(reply, host, sizeof(host));
	check_printable(host, sizeof(host) - 1);
	must(strpbrk(host, " ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL);
	smtp_enhanced_format(&reply->enhanced, enhanced, sizeof(enhanced));
	must((enhanced[0] != '\0') == (reply->enhanced.class != 0));
	check_answer(reply);
}

/* Field by field: what is between the fields is nobody's. */
static bool is_same(const struct smtp_reply *a, const struct smtp_reply *b)
{
	return a->code == b->code && a->lines == b->lines &&
	       a->enhanced.class == b->enhanced.class &&
	       a->enhanced.subject == b->enhanced.subject &&
	       a->enhanced.detail == b->enhanced.detail && strcmp(a->text, b->text) == 0 &&
	       strcmp(a->first, b->first) == 0 && strcmp(a->between, b->between) == 0 &&
	       a->has_starttls == b->has_starttls && a->has_pipelining == b->has_pipelining &&
	       a->has_smtputf8 == b->has_smtputf8 && a->has_8bitmime == b->has_8bitmime &&
	       a->has_size == b->has_size && a->has_enhanced == b->has_enhanced &&
	       a->has_dsn == b->has_dsn && a->size_limit == b->size_limit;
}

/* Feeds one reply byte by byte; returns how many bytes it took. */
static size_t feed_slowly(struct smtp_reply_reader *reader, const char *bytes, size_t length,
			  enum smtp_reply_status *status)
{
	size_t at = 0;

	*status = SMTP_REPLY_MORE;
	while (at < length && *status == SMTP_REPLY_MORE) {
		size_t used;

		*status = smtp_reply_feed(reader, bytes + at, 1, &used);
		must(used == 1);
		at++;
	}
	return at;
}

static void read_all(const char *bytes, size_t length)
{
	struct smtp_reply_reader quick;
	struct smtp_reply_reader slow;
	enum smtp_reply_status status = SMTP_REPLY_COMPLETE;

	smtp_reply_reader_init(&quick);
	smtp_reply_reader_init(&slow);
	while (length > 0 && status == SMTP_REPLY_COMPLETE) {
		enum smtp_reply_status slow_status;
		size_t used;

		status = smtp_reply_feed(&quick, bytes, length, &used);
		must(feed_slowly(&slow, bytes, length, &slow_status) == used);
		must(slow_status == status && used > 0 && used <= length);
		must(quick.finished == slow.finished && quick.line_length == slow.line_length);
		must(is_same(&quick.reply, &slow.reply));
		if (status == SMTP_REPLY_COMPLETE)
			check_reply(&quick.reply);
		bytes += used;
		length -= used;
	}
	/* a session that goes on after a bad reply is the caller's mistake, and still within bounds
	 */
	if (status == SMTP_REPLY_BAD)
		(void)feed_slowly(&quick, bytes, length, &status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size > 0 ? size : 1);

	must(bytes != NULL);
	if (size > 0)
		memcpy(bytes, data, size);
	read_all(bytes, size);
	free(bytes);
	return 0;
}
