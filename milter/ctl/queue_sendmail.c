/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sendmail's queue: sendmail(8) lists it, lifts a quarantine and runs one message; to throw one
 * away it has nothing, so its files are removed under Sendmail's own lock. One thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/lines.h"
#include "base/memory.h"
#include "base/text.h"
#include "ctl/queue.h"
#include "io/tool.h"

#define LISTING_MAX   (64UL << 20)
#define ARGUMENTS_MAX 8
#define CONFIG	      "/etc/mail/sendmail.cf"
#define FOLDER	      "/var/spool/mqueue"
#define LOCK_TRIES    120 /* half a minute: an attempt to deliver ends by then, mostly */
#define LOCK_MS	      250
#define QUARANTINE    "QUARANTINE: "
#define ID_CHARACTERS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* Runs "sendmail -C FILE ARGUMENTS...". */
static bool run(const struct queue *queue, const char *const *arguments, struct tool_result *result)
{
	const char *all[ARGUMENTS_MAX] = { "sendmail" };
	struct tool tool = { .arguments = all, .output_max = LISTING_MAX };
	size_t count = 1;

	if (queue->config != NULL) {
		all[count++] = "-C";
		all[count++] = queue->config;
	}
	for (size_t i = 0; arguments[i] != NULL && count + 1 < ARGUMENTS_MAX; i++)
		all[count++] = arguments[i];
	return tool_run(&tool, result);
}

static bool find(struct queue *queue)
{
	char path[256];

	(void)queue;
	return tool_find("sendmail", path, sizeof(path));
}

/* ---- the listing ---- */

/* "-qIID": messages whose id holds that. */
static void choose(const char *id, char *buffer, size_t size)
{
	snprintf(buffer, size, "-qI%s", id);
}

/* Is there a line "ID size time <sender>", or "ID* (...)"? */
static bool is_listed(const char *listing, const char *id)
{
	size_t length = strlen(id);

	for (const char *line = listing; *line != '\0'; line += strcspn(line, "\n")) {
		line += *line == '\n';
		if (strncmp(line, id, length) == 0 && strchr(" *X-?", line[length]) != NULL)
			return true;
	}
	return false;
}

/* False: `why` says why it can't be told. */
static bool list(struct queue *queue, const char *id, bool held, char *why, size_t size,
		 bool *found)
{
	char chosen[QUEUE_ID_MAX + 8];
	const char *const arguments[] = { "-bp", chosen, held ? "-qQ" : NULL, NULL };
	struct tool_result result;
	bool told;

	choose(id, chosen, sizeof(chosen));
	told = run(queue, arguments, &result);
	if (!told)
		tool_say_why(&result, why, size);
	*found = told && is_listed(result.output, id);
	tool_result_fini(&result);
	return told;
}

static enum queue_place look(struct queue *queue, const char *id, char *why, size_t size)
{
	bool found;

	why[0] = '\0';
	if (!list(queue, id, true, why, size, &found))
		return QUEUE_UNSEEN;
	if (found)
		return QUEUE_HELD;
	if (!list(queue, id, false, why, size, &found))
		return QUEUE_UNSEEN;
	return found ? QUEUE_WAITING : QUEUE_GONE;
}

/* What stands in brackets below the message's line. */
static void delay(struct queue *queue, const char *id, char *why, size_t size)
{
	char chosen[QUEUE_ID_MAX + 8];
	const char *const arguments[] = { "-bp", chosen, NULL };
	struct tool_result result;
	struct text text;
	const char *start;

	choose(id, chosen, sizeof(chosen));
	text_init(&text, why, size);
	run(queue, arguments, &result);
	start = strstr(result.output, "\n      ");
	start = start != NULL ? start + 1 + strspn(start + 1, " ") : NULL;
	if (start != NULL && *start == '(')
		text_add_printable(&text, start + 1, strcspn(start + 1, ")\n"));
	tool_result_fini(&result);
}

/* The messages of a listing with a quarantine's reason below, one line after the other. */
static void take_held(const char *listing, queue_taker take, void *arg)
{
	char id[QUEUE_ID_MAX + 1] = "";
	bool from_null = false;

	for (const char *line = listing; *line != '\0';) {
		size_t length = strcspn(line, "\n");
		size_t blanks = strspn(line, " \t");
		char *text = memory_format("%.*s", (int)(length - blanks), line + blanks);

		if (blanks == 0) {
			snprintf(id, sizeof(id), "%.*s", (int)strspn(text, ID_CHARACTERS), text);
			from_null = length > 3 && strcmp(text + length - 3, " <>") == 0;
		} else if (strncmp(text, QUARANTINE, strlen(QUARANTINE)) == 0 && from_null &&
			   queue_id_is_sane(id)) {
			take(arg, id, text + strlen(QUARANTINE));
		}
		free(text);
		line += length + (line[length] == '\n');
	}
}

static bool each_held(struct queue *queue, queue_taker take, void *arg)
{
	static const char *const arguments[] = { "-bp", "-qQ", NULL };
	struct tool_result result;
	bool told = run(queue, arguments, &result);

	if (told)
		take_held(result.output, take, arg);
	tool_result_fini(&result);
	return told;
}

/* ---- one message ---- */

static char *header(struct queue *queue, const char *id)
{
	(void)queue;
	(void)id;
	return NULL;
}

static bool release(struct queue *queue, const char *id, char *why, size_t size)
{
	char chosen[QUEUE_ID_MAX + 8];
	const char *const free_it[] = { "-Q", "-qQ", chosen, NULL };
	const char *const deliver[] = { chosen, NULL };
	struct tool_result result;
	bool done;

	choose(id, chosen, sizeof(chosen));
	done = run(queue, free_it, &result);
	if (!done)
		tool_say_why(&result, why, size);
	tool_result_fini(&result);
	if (!done)
		return false;
	/* it goes on in the background; if it doesn't, the next run of the queue has it */
	run(queue, deliver, &result);
	tool_result_fini(&result);
	return true;
}

/* ---- its files ---- */

/* "O QueueDirectory=FOLDER", which may be a pattern. */
static char *read_folder(const struct queue *queue)
{
	static const char option[] = "O QueueDirectory=";
	FILE *file = fopen(queue->config != NULL ? queue->config : CONFIG, "re");
	char *folder = NULL;
	char line[1024];
	bool cut;

	while (file != NULL && folder == NULL && lines_next(file, line, sizeof(line), &cut))
		if (strncmp(line, option, strlen(option)) == 0 && !cut)
			folder = memory_string(line + strlen(option));
	if (file != NULL)
		fclose(file);
	return folder != NULL ? folder : memory_string(FOLDER);
}

/* Sendmail works on a message only under this lock. False: it still does. */
static bool lock(int fd)
{
	static const struct timespec pause = { .tv_nsec = LOCK_MS * 1000000L };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return false;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* The control file `path` (.../qfID or .../hfID), and the data file of the same id, which stands
 * beside it, or in a folder df beside the control file's own folder qf. 0 or an errno. */
static int remove_files(const char *path, const char *id)
{
	const char *slash = strrchr(path, '/');
	int folder = (int)(slash - path);
	char *beside = memory_format("%.*s/df%s", folder, path, id);
	char *apart = memory_format("%.*s/../df/df%s", folder, path, id);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int error = 0;

	/* the control file first: a data file alone is nobody's mail */
	if (fd < 0 || !lock(fd) || unlink(path) != 0)
		error = errno;
	else if (unlink(beside) != 0)
		unlink(apart);
	if (fd >= 0)
		close(fd); /* and the lock goes */
	free(beside);
	free(apart);
	return error;
}

static bool remove_message(struct queue *queue, const char *id, char *why, size_t size)
{
	static const char *const places[] = { "", "/qf" };
	char *folder = read_folder(queue);
	int error = ENOENT;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char *pattern = memory_format("%s%s/[qh]f%s", folder, places[i], id);
		glob_t found;

		if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
			for (size_t j = 0; j < found.gl_pathc; j++)
				error = remove_files(found.gl_pathv[j], id);
			globfree(&found);
		}
		free(pattern);
	}
	free(folder);
	if (error == 0)
		return true;
	text_copy(why, size, strerror(error));
	return false;
}

static void say_remove(const char *id, char *buffer, size_t size)
{
	snprintf(buffer, size, "rm " FOLDER "/[qhd]f%s", id);
}

static char *mail_log(struct queue *queue)
{
	(void)queue;
	return NULL;
}

const struct queue_kind queue_sendmail = {
	.mta = "Sendmail",
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
