/* SPDX-License-Identifier: BSD-2-Clause */
/* A notice's environment, its program, and the line in the log. Loop thread only. */
#include "watch/notice.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/tag.h"
#include "io/spawn.h"

#define LIMIT_MS      30000
#define VARIABLES_MAX 16

/* ---- the environment ---- */

struct environment {
	char *items[VARIABLES_MAX + 1];
	size_t count;
};

/* Takes the string over. */
static void add(struct environment *environment, char *item)
{
	environment->items[environment->count++] = item;
}

static void add_text(struct environment *environment, const char *name, const char *value)
{
	add(environment, memory_format("BACKUPMX_%s=%s", name, value));
}

static void add_number(struct environment *environment, const char *name, int64_t value)
{
	add(environment, memory_format("BACKUPMX_%s=%" PRId64, name, value));
}

static void environment_fill(struct environment *environment, const struct notice *notice)
{
	char since[32];

	*environment = (struct environment){ .count = 0 };
	for (size_t i = 0; spawn_environment[i] != NULL; i++)
		add(environment, memory_string(spawn_environment[i]));
	add_text(environment, "EVENT", notice->event);
	add_text(environment, "DOMAIN", notice->domain);
	add_text(environment, "STATE", notice->state);
	add_text(environment, "WAS", notice->was);
	add_text(environment, "REASON", notice->reason);
	add_text(environment, "SINCE", tag_format_time(notice->since, since, sizeof(since)));
	add_number(environment, "AFTER", notice->after);
	add_text(environment, "HOST", notice->host);
	add_number(environment, "CHANGES", notice->changes);
	add_number(environment, "COUNT", (int64_t)notice->count);
	add_text(environment, "DOMAINS", notice->domains);
}

static void environment_free(struct environment *environment)
{
	for (size_t i = 0; i < environment->count; i++)
		free(environment->items[i]);
}

/* ---- the run ---- */

static void log_result(const struct notice_run *run, const struct child_result *result)
{
	char word[32];
	char line[1024];
	TEXT_ON(text, line);

	text_add(&text, "notify: ");
	text_add_pair(&text, "event", run->event);
	if (run->domain[0] != '\0')
		text_add_pair(&text, "domain", run->domain);
	else if (run->count > 0)
		text_add_format(&text, " domains=%zu", run->count);
	text_add_pair(&text, "result", child_result_name(result, word, sizeof(word)));
	text_add_format(&text, " ms=%" PRId64, result->ms);
	if (!child_succeeded(result) && result->last[0] != '\0')
		text_add_pair(&text, "text", result->last);
	log_line(child_succeeded(result) ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "%s", line);
}

static void ended(void *arg, const struct child_result *result)
{
	struct notice_run *run = arg;

	log_result(run, result);
	run->child = NULL;
	run->over(run->arg, run);
}

void notice_start(struct notice_run *run, struct children *children,
		  const struct config_strings *command, const struct notice *notice)
{
	char **arguments = memory_array(command->count + 1, sizeof(*arguments));
	struct environment environment;
	struct child_settings settings = { .arguments = arguments,
					   .environment = environment.items,
					   .limit_ms = LIMIT_MS };

	for (size_t i = 0; i < command->count; i++)
		arguments[i] = command->items[i];
	text_copy(run->event, sizeof(run->event), notice->event);
	text_copy(run->domain, sizeof(run->domain), notice->domain);
	run->count = notice->count;
	environment_fill(&environment, notice);
	run->child = child_start(children, &settings, ended, run);
	environment_free(&environment);
	free(arguments);
}
