/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Postfix's queue: postqueue(1) for all that anybody may see, postcat(1) and postsuper(1) for root.
 * One thread.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"
#include "ctl/queue.h"
#include "io/tool.h"

#define LISTING_MAX   (64UL << 20) /* bytes: some 200,000 messages */
#define HEADER_MAX    (256UL << 10)
#define ARGUMENTS_MAX 8
#define HELD_MAX      1000 /* messages of the null sender that are looked at */
#define ENVELOPE      "*** ENVELOPE RECORDS "

/* Runs "NAME -c FOLDER ARGUMENTS...". */
static bool run(const struct queue *queue, const char *const *arguments, size_t output_max,
		struct tool_result *result)
{
	const char *folder = queue->config != NULL ? queue->config : getenv("MAIL_CONFIG");
	const char *all[ARGUMENTS_MAX] = { arguments[0] };
	struct tool tool = { .arguments = all, .output_max = output_max };
	size_t count = 1;

	if (folder != NULL) {
		all[count++] = "-c";
		all[count++] = folder;
	}
	for (size_t i = 1; arguments[i] != NULL && count + 1 < ARGUMENTS_MAX; i++)
		all[count++] = arguments[i];
	return tool_run(&tool, result);
}

static bool find(struct queue *queue)
{
	char path[256];

	(void)queue;
	return tool_find("postqueue", path, sizeof(path));
}

/* ---- the listing ---- */

static bool is(const json_t *entry, const char *key, const char *value)
{
	const char *found = json_string_value(json_object_get(entry, key));

	return found != NULL && strcmp(found, value) == 0;
}

/* The next message of a listing; NULL at its end. */
static json_t *next_entry(char **rest)
{
	json_t *entry = NULL;

	while (entry == NULL && **rest != '\0') {
		char *line = *rest;
		size_t length = strcspn(line, "\n");

		entry = json_loadb(line, length, 0, NULL);
		*rest = line + length + (line[length] == '\n');
	}
	return entry;
}

/* In what is listed; NULL when it isn't there. json_decref() it. */
static json_t *find_entry(char *listing, const char *id)
{
	json_t *entry;

	while ((entry = next_entry(&listing)) != NULL && !is(entry, "queue_id", id))
		json_decref(entry);
	return entry;
}

static enum queue_place look_in_listing(struct queue *queue, const char *id, char *why, size_t size)
{
	static const char *const arguments[] = { "postqueue", "-j", NULL };
	enum queue_place place = QUEUE_UNSEEN;
	struct tool_result result;
	json_t *entry;

	if (!run(queue, arguments, LISTING_MAX, &result)) {
		tool_say_why(&result, why, size);
		tool_result_fini(&result);
		return QUEUE_UNSEEN;
	}
	entry = find_entry(result.output, id);
	if (entry != NULL)
		place = is(entry, "queue_name", "hold") ? QUEUE_HELD : QUEUE_WAITING;
	else if (!result.cut)
		place = QUEUE_GONE;
	else
		text_copy(why, size, "it is too long to be looked through");
	json_decref(entry);
	tool_result_fini(&result);
	return place;
}

static void delay(struct queue *queue, const char *id, char *why, size_t size)
{
	static const char *const arguments[] = { "postqueue", "-j", NULL };
	struct tool_result result;
	const json_t *recipient;
	const char *reason;
	struct text text;
	json_t *entry;

	run(queue, arguments, LISTING_MAX, &result);
	entry = find_entry(result.output, id);
	recipient = json_array_get(json_object_get(entry, "recipients"), 0);
	reason = json_string_value(json_object_get(recipient, "delay_reason"));
	text_init(&text, why, size);
	if (reason != NULL)
		text_add_printable(&text, reason, strlen(reason));
	json_decref(entry);
	tool_result_fini(&result);
}

static bool each_held(struct queue *queue, queue_taker take, void *arg)
{
	static const char *const arguments[] = { "postqueue", "-j", NULL };
	struct tool_result result;
	unsigned seen = 0;
	json_t *entry;
	char *rest;
	bool told = run(queue, arguments, LISTING_MAX, &result);

	rest = result.output;
	while (seen < HELD_MAX && (entry = next_entry(&rest)) != NULL) {
		const char *id = json_string_value(json_object_get(entry, "queue_id"));

		if (is(entry, "queue_name", "hold") && is(entry, "sender", "MAILER-DAEMON") &&
		    id != NULL && queue_id_is_sane(id)) {
			take(arg, id, NULL);
			seen++;
		}
		json_decref(entry);
	}
	tool_result_fini(&result);
	return told;
}

/* ---- one message ---- */

/* For root: however long the queue is, this is one file. postcat(1) tries again for a second before
 * it says that there is none: a message may be moving. */
static enum queue_place look_at_file(struct queue *queue, const char *id, char *why, size_t size)
{
	const char *const arguments[] = { "postcat", "-e", "-q", id, NULL };
	enum queue_place place = QUEUE_UNSEEN;
	struct tool_result result;

	if (run(queue, arguments, HEADER_MAX, &result)) {
		const char *name = strstr(result.output, ENVELOPE);

		place = name != NULL && strncmp(name + strlen(ENVELOPE), "hold/", 5) == 0
				? QUEUE_HELD
				: QUEUE_WAITING;
	} else if (result.end == TOOL_EXITED &&
		   strstr(result.errors, "No such file or directory") != NULL) {
		place = QUEUE_GONE;
	} else {
		tool_say_why(&result, why, size);
	}
	tool_result_fini(&result);
	return place;
}

static enum queue_place look(struct queue *queue, const char *id, char *why, size_t size)
{
	enum queue_place place;

	why[0] = '\0';
	if (geteuid() == 0)
		return look_at_file(queue, id, why, size);
	place = look_in_listing(queue, id, why, size);
	/* a listing misses what moves from one folder to the other meanwhile */
	if (place == QUEUE_GONE)
		place = look_in_listing(queue, id, why, size);
	return place;
}

static char *header(struct queue *queue, const char *id)
{
	const char *const arguments[] = { "postcat", "-h", "-q", id, NULL };
	struct tool_result result;
	char *header = NULL;

	if (run(queue, arguments, HEADER_MAX, &result))
		header = memory_string(result.output);
	tool_result_fini(&result);
	return header;
}

static bool run_change(struct queue *queue, const char *const *arguments, char *why, size_t size)
{
	struct tool_result result;
	bool done = run(queue, arguments, 0, &result);

	/* of a message that it doesn't find postsuper(1) says "0 messages", and is content */
	if (!done || strstr(result.errors, ": 0 messages") != NULL) {
		tool_say_why(&result, why, size);
		done = false;
	}
	tool_result_fini(&result);
	return done;
}

static bool release(struct queue *queue, const char *id, char *why, size_t size)
{
	const char *const free_it[] = { "postsuper", "-H", id, NULL };
	const char *const deliver[] = { "postqueue", "-i", id, NULL };
	struct tool_result result;

	if (!run_change(queue, free_it, why, size))
		return false;
	/* else it would wait for the next look at the deferred queue; then it comes late, that's
	 * all */
	run(queue, deliver, 0, &result);
	tool_result_fini(&result);
	return true;
}

static bool remove_message(struct queue *queue, const char *id, char *why, size_t size)
{
	const char *const arguments[] = { "postsuper", "-d", id, NULL };

	return run_change(queue, arguments, why, size);
}

static void say_remove(const char *id, char *buffer, size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	text_add_format(&text, "postsuper -d %s", id);
}

/* ---- its log ---- */

static char *mail_log(struct queue *queue)
{
	static const char *const arguments[] = { "postconf", "-h", "maillog_file", NULL };
	struct tool_result result;
	char *path = NULL;

	if (run(queue, arguments, 0, &result)) {
		result.output[strcspn(result.output, "\n")] = '\0';
		if (result.output[0] == '/')
			path = memory_string(result.output);
	}
	tool_result_fini(&result);
	return path;
}

const struct queue_kind queue_postfix = {
	.mta = "Postfix",
	.find = find,
	.look = look,
	.delay = delay,
	.header = header,
	.release = release,
	.remove = remove_message,
	.each_held = each_held,
	.mail_log = mail_log,
	.say_remove = say_remove,
};
