/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks at a document of ours as a strict reader: only the tags and attributes that we write, each
 * closed in order, quotes in pairs, no control character, UTF-8 only where it is ours. Shared by
 * the page's unit test and its fuzz harness.
 */
#ifndef BACKUPMX_TESTS_HTML_H
#define BACKUPMX_TESTS_HTML_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define HTML_DEPTH_MAX 32

struct html {
	const char *at, *end;
	const char *open[HTML_DEPTH_MAX]; /* names of the elements we are in */
	size_t lengths[HTML_DEPTH_MAX];
	size_t depth;
	const char *problem; /* NULL: none yet */
};

/* `words` are separated and enclosed by blanks. */
static inline bool html_among(const char *words, const char *word, size_t length)
{
	for (const char *at = words; (at = strchr(at, ' ')) != NULL; at++)
		if (strncmp(at + 1, word, length) == 0 && at[1 + length] == ' ')
			return length > 0;
	return false;
}

static inline size_t html_name_length(const struct html *html)
{
	static const char name[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-1234567890";
	size_t length = 0;

	while (html->at + length < html->end && strchr(name, html->at[length]) != NULL &&
	       html->at[length] != '\0')
		length++;
	return length;
}

static inline void html_attribute(struct html *html)
{
	static const char known[] = " lang charset name content http-equiv rel href class id "
				    "aria-hidden aria-label role "
				    "width height viewBox preserveAspectRatio x y cx cy r rx d "
				    "scope data-label datetime ";
	size_t length = html_name_length(html);
	const char *close;

	if (!html_among(known, html->at, length)) {
		html->problem = "an attribute that isn't ours";
		return;
	}
	html->at += length;
	if (html->at[0] != '=' || strchr("'\"", html->at[1]) == NULL || html->at[1] == '\0') {
		html->problem = "a value without quotes";
		return;
	}
	close = strchr(html->at + 2, html->at[1]);
	if (close == NULL) {
		html->problem = "a value without an end";
		return;
	}
	if (html->at[1] == '\'' &&
	    memchr(html->at + 2, '<', (size_t)(close - html->at - 2)) != NULL)
		html->problem = "a tag within a value";
	html->at = close + 1;
}

static inline void html_close(struct html *html)
{
	size_t length = html_name_length(html);

	if (html->depth == 0 || html->lengths[html->depth - 1] != length ||
	    strncmp(html->open[html->depth - 1], html->at, length) != 0 ||
	    html->at[length] != '>') {
		html->problem = "an end tag that ends nothing";
		return;
	}
	html->depth--;
	html->at += length + 1;
}

static inline void html_open(struct html *html)
{
	static const char known[] =
		" html head meta title link style body svg symbol use circle path rect header main "
		"section footer h1 h2 h3 p div span b strong small code ul li dl dt dd table thead "
		"tbody tr th td time a wbr ";
	const char *name = html->at;
	size_t length = html_name_length(html);
	bool empty = html_among(" meta link wbr ", name, length);

	if (!html_among(known, name, length) || html->depth == HTML_DEPTH_MAX) {
		html->problem = "a tag that isn't ours";
		return;
	}
	html->at += length;
	while (html->problem == NULL && html->at[0] == ' ') {
		html->at++;
		html_attribute(html);
	}
	if (html->at[0] == '/') {
		empty = true;
		html->at++;
	}
	if (html->problem == NULL && html->at[0] != '>')
		html->problem = "a tag without an end";
	html->at++;
	if (empty)
		return;
	html->open[html->depth] = name;
	html->lengths[html->depth++] = length;
	if (html_among(" style ", name, length) && strstr(html->at, "</style>") != NULL)
		html->at = strstr(html->at, "</style>");
}

static inline void html_text(struct html *html)
{
	static const char ours[] = "\u2013\u2019\u2026\u00a0\u00b7";
	static const char references[] = " lt gt amp quot #39 ";
	unsigned char c = (unsigned char)*html->at;

	if (c == '>' || c == '"')
		html->problem = "a character that wasn't escaped";
	else if ((c < 0x20 && c != '\n') || c == 0x7f)
		html->problem = "a control character";
	else if (c >= 0x80 && strchr(ours, c) == NULL)
		html->problem = "a foreign byte";
	else if (c == '&') {
		const char *end = strchr(html->at, ';');

		if (end == NULL ||
		    !html_among(references, html->at + 1, (size_t)(end - html->at - 1)))
			html->problem = "an ampersand that wasn't escaped";
	}
	html->at++;
}

/* What is wrong with the document; NULL when nothing is. `*at` is where. */
static inline const char *html_problem(const char *text, size_t length, const char **at)
{
	static const char doctype[] = "<!DOCTYPE html>\n";
	struct html html = { .at = text, .end = text + length };

	*at = text;
	if (strlen(text) != length)
		return "a NUL";
	if (strncmp(text, doctype, strlen(doctype)) != 0)
		return "no doctype";
	html.at += strlen(doctype);
	while (html.problem == NULL && html.at < html.end) {
		*at = html.at;
		if (*html.at != '<')
			html_text(&html);
		else if (html.at++, *html.at == '/')
			html.at++, html_close(&html);
		else
			html_open(&html);
	}
	if (html.problem == NULL && html.depth != 0)
		html.problem = "an element without an end";
	return html.problem;
}

#endif
