/* SPDX-License-Identifier: BSD-2-Clause */
/* The page as a whole: head, sections in their order, foot. No state; any thread. */
#include "control/page.h"

#include <stdlib.h>

#include "control/page_parts.h"
#include "io/digest.h"

/* Text between <style> and </style>, made of page.css. */
static const char style[] =
#include "page_style.inc"
	;

/* Told apart by their shapes: a tick, an arrow back, a triangle, a square, a ring. */
static const char shapes[] =
	"<svg class='shapes' aria-hidden='true' width='0' height='0'>"
	"<symbol id='good' viewBox='0 0 16 16'><circle cx='8' cy='8' r='8'/>"
	"<path class='cut' d='M4.2 8.4l2.6 2.6 5-5.4'/></symbol>"
	"<symbol id='back' viewBox='0 0 16 16'><circle cx='8' cy='8' r='8'/>"
	"<path class='cut' d='M8 12V4.6M4.7 7.8L8 4.5l3.3 3.3'/></symbol>"
	"<symbol id='warn' viewBox='0 0 16 16'><path d='M8 .8L16 15H0z'/>"
	"<path class='cut' d='M8 6v4M8 12v.8'/></symbol>"
	"<symbol id='bad' viewBox='0 0 16 16'><rect x='.5' y='.5' width='15' height='15' rx='2'/>"
	"<path class='cut' d='M5 5l6 6M11 5l-6 6'/></symbol>"
	"<symbol id='idle' viewBox='0 0 16 16'><circle class='ring' cx='8' cy='8' r='6.8'/>"
	"<path class='dash' d='M5 8h6'/></symbol></svg>\n";

/* The same for the browser's tab, where no style sheet reaches. */
static const char *tab_shape(enum page_tone tone)
{
	switch (tone) {
	case PAGE_BAD:
		return "%3Crect width='16' height='16' rx='2' fill='%23cf3b32'/%3E";
	case PAGE_WARN:
		return "%3Cpath d='M8 1l8 14H0z' fill='%23b9800a'/%3E";
	case PAGE_IDLE:
		return "%3Ccircle cx='8' cy='8' r='6' fill='none' stroke='%23808894' "
		       "stroke-width='3'/%3E";
	case PAGE_GOOD:
	case PAGE_BACK:
		break;
	}
	return "%3Ccircle cx='8' cy='8' r='8' fill='%232f8f5b'/%3E";
}

static void put_head(const struct page *page)
{
	fputs("<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n<title>",
	      page->out);
	page_verdict_title(page);
	fputs(" \u00b7 ", page->out);
	page_foreign(page, page_get_string(page->about, "host"));
	fprintf(page->out,
		"</title>\n<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
		"<meta name='color-scheme' content='light dark'>\n"
		"<meta name='robots' content='noindex'>\n"
		"<meta http-equiv='refresh' content='60'>\n"
		"<link rel='icon' href=\"data:image/svg+xml,%%3Csvg "
		"xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%%3E%s%%3C/svg%%3E\">\n"
		"<style>%s</style>\n</head>\n<body>\n%s",
		tab_shape(page_verdict_tone(page)), style, shapes);
}

static void put_masthead(const struct page *page)
{
	fputs("<header><p class='host'><span>Backup MX</span> <b>", page->out);
	page_name(page, page_get_string(page->about, "host"));
	fputs("</b></p><p class='now'>", page->out);
	page_date(page, page->now);
	fputs(", ", page->out);
	page_time(page, page->now);
	fputs("</p></header>\n", page->out);
}

static void put_foot(const struct page *page)
{
	fputs("<footer><p>backupmx-milter ", page->out);
	page_foreign(page, page_get_string(page->status, "version"));
	fputs(". All times are UTC. This page loads itself again each minute.</p>"
	      "<p><a href='status.json'>status.json</a> <a href='metrics'>metrics</a> "
	      "<a href='healthz'>healthz</a></p></footer>\n</body>\n</html>\n",
	      page->out);
}

char *page_render(const struct page_facts *facts, size_t *length)
{
	struct page page = { .status = facts->status,
			     .report = facts->report,
			     .about = facts->about };
	char *text = NULL;

	page.out = open_memstream(&text, length);
	if (page.out == NULL)
		abort();
	page_facts_take(&page);
	put_head(&page);
	put_masthead(&page);
	fputs("<main>\n", page.out);
	page_verdict(&page);
	page_domains(&page);
	page_outages(&page);
	page_decisions(&page);
	fputs("</main>\n", page.out);
	put_foot(&page);
	page_facts_drop(&page);
	if (fclose(page.out) != 0)
		abort();
	return text;
}

const char *page_policy(char *buffer, size_t size)
{
	char digest[DIGEST_BASE64_MAX];

	digest_sha256(style, sizeof(style) - 1, digest);
	snprintf(buffer, size,
		 "default-src 'none'; style-src 'sha256-%s'; img-src data:; base-uri 'none'; "
		 "form-action 'none'; frame-ancestors 'none'",
		 digest);
	return buffer;
}
