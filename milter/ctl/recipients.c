/* SPDX-License-Identifier: BSD-2-Clause */
/* "recipients show", "list", "export", "forget"; "import" is in import.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl.h"
#include "ctl/terminal.h"

#define LABEL_WIDTH 12

/* ---- show ---- */

/* What expires does so when the domain stays up. */
static const char *ahead(const json_t *object, const char *key, char *buffer, size_t size)
{
	long long then = ctl_time(object, key);

	return then == 0 ? "-" : ctl_span(then - (long long)time(NULL), buffer, size);
}

static void print_recipient(const json_t *result)
{
	const char *status = ctl_string(result, "status");
	struct terminal terminal;
	char line[1024];
	char span[48];

	terminal_init(&terminal, stdout);
	snprintf(line, sizeof(line), "%s: %s", ctl_string(result, "recipient"), status);
	terminal_paragraph(&terminal, "", line);
	if (strcmp(status, "unknown") == 0)
		return;
	terminal_field(&terminal, LABEL_WIDTH, "source", TERMINAL_PLAIN,
		       ctl_string(result, "source"));
	terminal_field(&terminal, LABEL_WIDTH, "verified", TERMINAL_PLAIN,
		       ctl_ago(result, "verified", span, sizeof(span)));
	if (ctl_time(result, "expires") == 0)
		return;
	snprintf(line, sizeof(line), "%s (in %s, if the domain stays up)",
		 ctl_string(result, "expires"), ahead(result, "expires", span, sizeof(span)));
	terminal_field(&terminal, LABEL_WIDTH, "expires", TERMINAL_PLAIN, line);
}

int ctl_recipients_show(struct ctl *ctl, int argc, char **argv)
{
	json_t *result;
	int code;

	(void)argc;
	code = ctl_ask(ctl,
		       json_pack("{s:s, s:s}", "command", "recipients-show", "recipient", argv[1]),
		       &result);
	if (result != NULL && !ctl_print_json(ctl, result))
		print_recipient(result);
	json_decref(result);
	return code;
}

/* ---- pages ---- */

struct listing {
	const struct ctl *ctl;
	struct terminal terminal;
	unsigned name_width; /* of the first column */
	bool begun;
	unsigned long count;
};

/* Pages come and go, so the columns have their widths beforehand. On a terminal names that are too
 * long are shortened; who reads from a pipe wants them whole. */
#define ROW	   "%-*s  %-9s  %-7s  %-13s  %s\n"
#define ROW_REST   (2 + 9 + 2 + 7 + 2 + 13 + 2 + 9)
#define NAME_WIDTH 400

static void listing_init(struct listing *listing, const struct ctl *ctl)
{
	*listing = (struct listing){ .ctl = ctl };
	terminal_init(&listing->terminal, stdout);
	listing->name_width =
		listing->terminal.width > ROW_REST + 16 ? listing->terminal.width - ROW_REST : 16;
}

static void print_row(const struct listing *listing, const json_t *item)
{
	unsigned most = listing->terminal.is_terminal ? listing->name_width : NAME_WIDTH;
	char name[NAME_WIDTH + 1];
	char ago[48], span[48];

	printf(ROW, (int)listing->name_width,
	       terminal_shorten(ctl_string(item, "recipient"), most, name, sizeof(name)),
	       ctl_string(item, "status"), ctl_string(item, "source"),
	       ctl_ago(item, "verified", ago, sizeof(ago)),
	       ahead(item, "expires", span, sizeof(span)));
}

static void list_page(void *arg, const json_t *page)
{
	struct listing *listing = arg;
	json_t *item;
	size_t i;

	if (!listing->begun && listing->ctl->json)
		putchar('[');
	else if (!listing->begun)
		printf(ROW, (int)listing->name_width, "RECIPIENT", "STATUS", "SOURCE", "VERIFIED",
		       "EXPIRES");
	listing->begun = true;
	json_array_foreach(json_object_get(page, "recipients"), i, item) {
		if (listing->ctl->json && listing->count > 0)
			putchar(',');
		if (listing->ctl->json)
			json_dumpf(item, stdout, JSON_COMPACT);
		else
			print_row(listing, item);
		listing->count++;
	}
}

static bool is_status(const char *word)
{
	return strcmp(word, "valid") == 0 || strcmp(word, "invalid") == 0 ||
	       strcmp(word, "catch-all") == 0;
}

/* A listing that breaks off stays open in JSON: what is not whole must not look so. */
static int end_listing(const struct listing *listing, int code)
{
	if (code == CTL_EXIT_OK && listing->ctl->json && listing->begun)
		puts("]");
	return code;
}

int ctl_recipients_list(struct ctl *ctl, int argc, char **argv)
{
	struct listing listing;
	const char *status = ctl_option(ctl, "status");

	if (status != NULL && !is_status(status))
		return ctl_misused(ctl, "--status: \"%s\" is none of valid, invalid, catch-all",
				   status);
	listing_init(&listing, ctl);
	return end_listing(&listing,
			   ctl_ask_pages(ctl,
					 json_pack("{s:s, s:s, s:s}", "command", "recipients-list",
						   "domain", argc > 1 ? argv[1] : "", "status",
						   status != NULL ? status : ""),
					 list_page, &listing));
}

/* ---- export ---- */

/* "@example.org" for a catch-all, as import and recipients_file read it. A name that would not be
 * read again as it is isn't written. */
static void export_page(void *arg, const json_t *page)
{
	struct listing *listing = arg;
	json_t *item;
	size_t i;

	if (listing->ctl->json) {
		list_page(arg, page);
		return;
	}
	json_array_foreach(json_object_get(page, "recipients"), i, item) {
		const char *name = ctl_string(item, "recipient");

		if (strpbrk(name, "\r\n") == NULL && name[0] != '#')
			puts(name);
	}
}

int ctl_recipients_export(struct ctl *ctl, int argc, char **argv)
{
	struct listing listing;

	listing_init(&listing, ctl);
	return end_listing(&listing,
			   ctl_ask_pages(ctl,
					 json_pack("{s:s, s:s, s:b}", "command", "recipients-list",
						   "domain", argc == 2 ? argv[1] : "", "export", 1),
					 export_page, &listing));
}

/* ---- forget ---- */

struct forgetting {
	long long count;
	bool answered;
};

static void forget_page(void *arg, const json_t *page)
{
	struct forgetting *forgetting = arg;

	forgetting->answered = true;
	forgetting->count += ctl_number(page, "forgotten");
}

int ctl_recipients_forget(struct ctl *ctl, int argc, char **argv)
{
	struct forgetting forgetting = { .count = 0 };
	json_t *result;
	int code;

	(void)argc;
	code = ctl_ask_pages(
		ctl, json_pack("{s:s, s:s}", "command", "recipients-forget", "recipient", argv[1]),
		forget_page, &forgetting);
	if (!forgetting.answered || code > CTL_EXIT_NO)
		return code;
	result = json_pack("{s:I}", "forgotten", (json_int_t)forgetting.count);
	if (!ctl_print_json(ctl, result))
		printf("%lld forgotten\n", forgetting.count);
	json_decref(result);
	return forgetting.count > 0 ? code : CTL_EXIT_NO;
}
