/* SPDX-License-Identifier: BSD-2-Clause */
/* "recipients show", "list", "export", "forget"; "import" is in import.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ctl/ctl.h"

/* Names are foreign: no control characters reach the terminal. */
static const char *shown(const char *name, char *buffer, size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	text_add_printable(&text, name, strlen(name));
	return buffer;
}

/* ---- show ---- */

int ctl_recipients_show(struct ctl *ctl, int argc, char **argv)
{
	char name[512];
	char ago[32];
	json_t *result;
	int code;

	(void)argc;
	code = ctl_ask(ctl,
		       json_pack("{s:s, s:s}", "command", "recipients-show", "recipient", argv[1]),
		       &result);
	if (result != NULL && !ctl_print_json(ctl, result)) {
		printf("%s: %s\n", shown(ctl_string(result, "recipient"), name, sizeof(name)),
		       ctl_string(result, "status"));
		if (strcmp(ctl_string(result, "status"), "unknown") != 0)
			printf("  source    %s\n  verified  %s\n  expires   %s\n",
			       ctl_string(result, "source"),
			       ctl_ago(result, "verified", ago, sizeof(ago)),
			       ctl_string(result, "expires"));
	}
	json_decref(result);
	return code;
}

/* ---- pages ---- */

/* Asks page after page until there is no more; `request` without "after" is taken over. */
typedef void (*page_taker)(void *arg, const json_t *page);

static int ask_pages(struct ctl *ctl, json_t *request, page_taker take, void *arg)
{
	char *path = ctl_socket_path(ctl);
	json_t *page, *after;
	bool more = path != NULL;
	int code = more ? CTL_EXIT_OK : CTL_EXIT_USAGE;

	ctl->socket_path = path;
	while (more) {
		code = ctl_ask(ctl, json_incref(request), &page);
		more = page != NULL;
		if (page == NULL)
			break;
		take(arg, page);
		after = json_object_get(page, "after");
		more = json_is_string(after);
		if (more)
			json_object_set(request, "after", after);
		json_decref(page);
	}
	ctl->socket_path = NULL;
	free(path);
	json_decref(request);
	return code;
}

struct listing {
	const struct ctl *ctl;
	bool begun;
	unsigned long count;
};

static void print_row(const json_t *item)
{
	char name[512];
	char ago[32];

	printf("%-40s %-9s %-8s %-13s %s\n",
	       shown(ctl_string(item, "recipient"), name, sizeof(name)), ctl_string(item, "status"),
	       ctl_string(item, "source"), ctl_ago(item, "verified", ago, sizeof(ago)),
	       ctl_string(item, "expires"));
}

static void list_page(void *arg, const json_t *page)
{
	struct listing *listing = arg;
	json_t *item;
	size_t i;

	if (!listing->begun && listing->ctl->json)
		putchar('[');
	else if (!listing->begun)
		printf("%-40s %-9s %-8s %-13s %s\n", "RECIPIENT", "STATUS", "SOURCE", "VERIFIED",
		       "EXPIRES");
	listing->begun = true;
	json_array_foreach(json_object_get(page, "recipients"), i, item) {
		if (listing->ctl->json && listing->count > 0)
			putchar(',');
		if (listing->ctl->json)
			json_dumpf(item, stdout, JSON_COMPACT);
		else
			print_row(item);
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
	struct listing listing = { .ctl = ctl };
	const char *status = ctl_option(ctl, "status");

	if (status != NULL && !is_status(status))
		return ctl_misused(ctl, "--status: \"%s\" is none of valid, invalid, catch-all",
				   status);
	return end_listing(&listing,
			   ask_pages(ctl,
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
	struct listing listing = { .ctl = ctl };

	return end_listing(&listing,
			   ask_pages(ctl,
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
	code = ask_pages(
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
