/* SPDX-License-Identifier: BSD-2-Clause */
/* Sendmail: finds its program, has it tell what it understood, and keeps that. */
#include "check/sendmail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "base/text.h"
#include "io/tool.h"

#define LIMIT_MS   30000 /* its rulesets may ask DNS */
#define OUTPUT_MAX (8 << 20)

/* ---- running it ---- */

/* Debian has it under the first name beside other MTAs, too. */
static const char *const programs[] = { "sendmail-mta", "sendmail",
					"/usr/libexec/sendmail/sendmail",
					"/usr/lib/sm.bin/sendmail" };

/* `program` in test mode: neither mail nor queue are touched. */
static bool run(const char *program, const char *cf, const char *debug, const char *input,
		struct tool_result *result)
{
	const char *arguments[8] = { program, "-Am", "-bt" };
	size_t count = 3;
	struct tool tool = { .arguments = arguments,
			     .input = input,
			     .output_max = OUTPUT_MAX,
			     .limit_ms = LIMIT_MS };

	if (debug != NULL)
		arguments[count++] = debug;
	if (cf != NULL) {
		arguments[count++] = "-C";
		arguments[count++] = cf;
	}
	return tool_run(&tool, result);
}

/* Is the program of that name a Sendmail? Others that call themselves so say no version. */
static bool is_sendmail(const char *name, char *path, size_t size)
{
	struct tool_result result;
	bool is_it;

	if (!tool_find(name, path, size))
		return false;
	run(path, NULL, "-d0.1", NULL, &result);
	is_it = strncmp(result.output, "Version 8.", 10) == 0;
	tool_result_fini(&result);
	return is_it;
}

static bool program_find(char *path, size_t size)
{
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (is_sendmail(programs[i], path, size))
			return true;
	return false;
}

static bool is_here(const struct check *check)
{
	const char *given = check->options.mta_config;
	char path[PATH_MAX];
	struct stat status;

	if (given != NULL)
		return stat(given, &status) == 0 && S_ISREG(status.st_mode);
	return program_find(path, sizeof(path));
}

/* ---- test mode ---- */

void sendmail_dialog_add(struct sendmail_dialog *dialog, const char *format, ...)
{
	char line[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	dialog->questions =
		memory_resize(dialog->questions, dialog->count + 1, sizeof(*dialog->questions));
	dialog->questions[dialog->count++] = memory_string(line);
}

/* Before each question it is made to print a mark: "@0", "@1", ... */
static char *dialog_input(const struct sendmail_dialog *dialog, bool as_ourselves)
{
	const char *address = as_ourselves ? "127.0.0.1" : "198.51.100.1";
	const char *name = as_ourselves ? "localhost" : "stranger.invalid";
	char *input = NULL;
	size_t length = 0;
	FILE *stream = open_memstream(&input, &length);

	if (stream == NULL)
		abort(); /* no memory */
	fprintf(stream, ".D{client_addr}%s\n.D{client_name}%s\n.D{client_resolve}OK\n", address,
		name);
	/* with delay_checks the sender is looked at with the recipient: a bounce always may come */
	fprintf(stream, ".D{client_ptr}%s\n.D{mail_from}<>\n.Df<>\n", name);
	for (size_t i = 0; i < dialog->count; i++)
		fprintf(stream, ".D{backupmx_mark}@%zu\n${backupmx_mark}\n%s\n", i,
			dialog->questions[i]);
	fprintf(stream, ".D{backupmx_mark}@%zu\n${backupmx_mark}\n", dialog->count);
	fclose(stream);
	return input;
}

/* Each prompt is "> ", and what doesn't print anything leaves it standing. */
static char *skip_prompts(char *line)
{
	while (strncmp(line, "> ", 2) == 0)
		line += 2;
	return line;
}

/* Cuts the output at the marks: answers begin behind theirs and end at the next one's line. False
 * when a mark didn't come. */
static bool dialog_split(struct sendmail_dialog *dialog)
{
	char *rest = dialog->output;
	char *line;
	size_t next = 0;

	while (next <= dialog->count && (line = rest) != NULL && *rest != '\0') {
		char *end = strchr(line, '\n');
		char mark[32];
		TEXT_ON(text, mark);

		text_add_format(&text, "@%zu\n", next);
		rest = end != NULL ? end + 1 : NULL;
		if (strncmp(skip_prompts(line), mark, text.length) != 0)
			continue;
		*line = '\0';
		if (next < dialog->count)
			dialog->answers[next] = rest;
		next++;
	}
	return next > dialog->count;
}

bool sendmail_dialog_run(struct sendmail_dialog *dialog, bool as_ourselves)
{
	char *input = dialog_input(dialog, as_ourselves);
	struct tool_result result;
	bool done;

	run(dialog->sendmail->program, dialog->sendmail->cf, NULL, input, &result);
	free(input);
	dialog->answers = memory_array(dialog->count + 1, sizeof(*dialog->answers));
	dialog->output = memory_string(result.output);
	/* its status tells of any trouble, with one map of many as well: what counts is the answers
	 */
	done = result.end == TOOL_EXITED && dialog_split(dialog);
	if (!done)
		tool_say_why(&result, dialog->problem, sizeof(dialog->problem));
	tool_result_fini(&result);
	return done;
}

void sendmail_dialog_fini(struct sendmail_dialog *dialog)
{
	for (size_t i = 0; i < dialog->count; i++)
		free(dialog->questions[i]);
	free(dialog->questions);
	free(dialog->answers);
	free(dialog->output);
}

/* ---- facts ---- */

static void class_take(struct sendmail_names *names, const char *answer)
{
	char *copy = memory_string(answer);
	char *rest = copy;
	char *line;

	while ((line = strsep(&rest, "\n")) != NULL) {
		line = skip_prompts(line);
		/* a prompt without anything behind it is the end */
		if (*line != '\0' && strcmp(line, ">") != 0)
			sendmail_names_add(names, line);
	}
	free(copy);
}

static bool classes_read(struct sendmail *sendmail, char *why, size_t size)
{
	struct sendmail_dialog dialog = { .sendmail = sendmail };
	bool done;

	sendmail_dialog_add(&dialog, "$=w");
	sendmail_dialog_add(&dialog, "$=R");
	done = sendmail_dialog_run(&dialog, false);
	if (done) {
		class_take(&sendmail->local, dialog.answers[0]);
		class_take(&sendmail->relay, dialog.answers[1]);
	} else {
		text_copy(why, size, dialog.problem);
	}
	sendmail_dialog_fini(&dialog);
	return done;
}

static bool settings_read(struct sendmail *sendmail, const char *cf, char *why, size_t size)
{
	struct tool_result result;
	bool done;

	run(sendmail->program, cf, "-d0.10,37.1,64.5", NULL, &result);
	done = strstr(result.output, "\nADDRESS TEST MODE") != NULL;
	if (done) {
		sendmail_read_debug(sendmail, result.output);
	} else {
		tool_say_why(&result, why, size);
	}
	tool_result_fini(&result);
	return done;
}

static void forget(void *facts)
{
	struct sendmail *sendmail = facts;

	for (size_t i = 0; i < sendmail->daemon_count; i++)
		sendmail_names_fini(&sendmail->daemons[i].filters);
	free(sendmail->daemons);
	free(sendmail->filters);
	sendmail_names_fini(&sendmail->input_filters);
	sendmail_names_fini(&sendmail->relay);
	sendmail_names_fini(&sendmail->local);
	free(sendmail);
}

static void *read_facts(struct check *check, char *why, size_t size)
{
	struct sendmail *sendmail = memory_alloc(sizeof(*sendmail));

	if (!program_find(sendmail->program, sizeof(sendmail->program))) {
		text_copy(why, size, "there is no sendmail of version 8 that could read it");
		forget(sendmail);
		return NULL;
	}
	if (!settings_read(sendmail, check->options.mta_config, why, size) ||
	    !classes_read(sendmail, why, size)) {
		forget(sendmail);
		return NULL;
	}
	sendmail_read_cf(sendmail);
	sendmail_read_pid(sendmail);
	return sendmail;
}

/* Class R holds addresses as well. */
static void add_domains(struct check *check, const void *facts)
{
	const struct sendmail *sendmail = facts;
	struct ip ip;

	for (size_t i = 0; i < sendmail->relay.count; i++) {
		const char *name = sendmail->relay.items[i];

		if (strchr(name, '.') != NULL && strchr(name, ':') == NULL &&
		    name[strspn(name, "0123456789.")] != '\0' && !ip_parse(name, &ip))
			check_domain_add(check, name);
	}
}

/* Only advice: which files there have to be depends on how it was built and packaged. */
static void mend_tls(struct check *check, const void *facts, const char *host)
{
	(void)facts;
	(void)host;
	mta_mend(check, "# its certificate and key go by confSERVER_CERT and confSERVER_KEY in "
			"/etc/mail/sendmail.mc "
			"(Debian: include(`/etc/mail/tls/starttls.m4')dnl), then:");
	mta_mend(check, "m4 /etc/mail/sendmail.mc >/etc/mail/sendmail.cf");
	sendmail_mend_restart(check);
}

const struct mta_kind mta_sendmail = {
	.name = "Sendmail",
	.is_here = is_here,
	.read = read_facts,
	.forget = forget,
	.add_domains = add_domains,
	.judge = sendmail_judge,
	.mend_tls = mend_tls,
};
