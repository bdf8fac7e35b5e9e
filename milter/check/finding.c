/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of findings. */
#include "check/finding.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

struct check_findings {
	struct check_finding *items;
	size_t count;
};

struct check_findings *check_findings_new(void)
{
	return memory_alloc(sizeof(struct check_findings));
}

static void finding_fini(struct check_finding *finding)
{
	free(finding->subject);
	free(finding->observed);
	for (size_t i = 0; i < finding->mend_count; i++)
		free(finding->mend[i]);
	free(finding->mend);
}

void check_findings_free(struct check_findings *findings)
{
	if (findings == NULL)
		return;
	for (size_t i = 0; i < findings->count; i++)
		finding_fini(&findings->items[i]);
	free(findings->items);
	free(findings);
}

static char *format_line(const char *format, va_list arguments)
	__attribute__((format(printf, 1, 0)));
static char *format_line(const char *format, va_list arguments)
{
	char line[CHECK_LINE_MAX];

	vsnprintf(line, sizeof(line), format, arguments);
	return memory_string(line);
}

static void add(struct check_findings *findings, const struct check_finding *finding)
{
	findings->items =
		memory_resize(findings->items, findings->count + 1, sizeof(*findings->items));
	findings->items[findings->count++] = *finding;
}

void check_add(struct check_findings *findings, const struct check_rule *rule,
	       enum check_severity severity, const char *subject, const char *observed, ...)
{
	struct check_finding finding = { .rule = rule, .severity = severity };
	va_list arguments;

	va_start(arguments, observed);
	finding.observed = format_line(observed, arguments);
	va_end(arguments);
	finding.subject = memory_string(subject);
	add(findings, &finding);
}

void check_unseen(struct check_findings *findings, const struct check_rule *rule,
		  const char *subject, const char *why, ...)
{
	struct check_finding finding = { .rule = rule, .severity = CHECK_NOTE, .unseen = true };
	va_list arguments;

	va_start(arguments, why);
	finding.observed = format_line(why, arguments);
	va_end(arguments);
	finding.subject = memory_string(subject);
	add(findings, &finding);
}

static bool is_showable(const char *line)
{
	while (*line != '\0' && text_printable(*line) == *line)
		line++;
	return *line == '\0';
}

/* Half a command, or one for something else, does harm. */
static char *format_mend(const char *format, va_list arguments)
	__attribute__((format(printf, 1, 0)));
static char *format_mend(const char *format, va_list arguments)
{
	char line[CHECK_LINE_MAX];
	int length = vsnprintf(line, sizeof(line), format, arguments);

	if (strncmp(line, "# ", 2) == 0)
		return memory_string(line);
	/* one byte less than fits: what was put together before may be cut at that */
	if (length < 0 || (size_t)length >= sizeof(line) - 1)
		return memory_string("# (a line that is too long to be shown belongs here)");
	if (!is_showable(line))
		return memory_string("# (a line with bytes that can't be shown belongs here)");
	return memory_string(line);
}

void check_mend(struct check_findings *findings, const char *line, ...)
{
	struct check_finding *last;
	va_list arguments;

	assert(findings->count > 0);
	last = &findings->items[findings->count - 1];
	last->mend = memory_resize(last->mend, last->mend_count + 1, sizeof(*last->mend));
	va_start(arguments, line);
	last->mend[last->mend_count++] = format_mend(line, arguments);
	va_end(arguments);
}

size_t check_finding_count(const struct check_findings *findings)
{
	return findings->count;
}

const struct check_finding *check_finding_get(const struct check_findings *findings, size_t i)
{
	assert(i < findings->count);
	return &findings->items[i];
}

enum check_severity check_findings_worst(const struct check_findings *findings)
{
	enum check_severity worst = CHECK_OK;

	for (size_t i = 0; i < findings->count; i++)
		if (findings->items[i].severity > worst)
			worst = findings->items[i].severity;
	return worst;
}

const char *check_severity_name(enum check_severity severity)
{
	static const char *const names[] = { "ok", "note", "warning", "error" };

	return names[severity];
}
