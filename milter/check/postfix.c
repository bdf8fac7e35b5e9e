/* SPDX-License-Identifier: BSD-2-Clause */
/* Postfix: asks postconf for its settings and services, and has them judged. */
#include "check/postfix.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"
#include "io/tool.h"

#define ARGUMENTS_MAX 8
#define FIELDS	      8 /* name type private unpriv chroot wakeup max command */
#define OUTPUT_MAX    (4 << 20)

/* ---- settings ---- */

static void settings_add(struct postfix_settings *settings, const char *name, const char *value)
{
	settings->items =
		memory_resize(settings->items, settings->count + 1, sizeof(*settings->items));
	settings->items[settings->count++] =
		(struct postfix_setting){ memory_string(name), memory_string(value) };
}

static void settings_fini(struct postfix_settings *settings)
{
	for (size_t i = 0; i < settings->count; i++) {
		free(settings->items[i].name);
		free(settings->items[i].value);
	}
	free(settings->items);
}

static const char *settings_find(const struct postfix_settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->count; i++)
		if (strcmp(settings->items[i].name, name) == 0)
			return settings->items[i].value;
	return NULL;
}

const char *postfix_value(const struct postfix *postfix, const struct postfix_service *service,
			  const char *name)
{
	const char *value = service != NULL ? settings_find(&service->own, name) : NULL;

	if (value == NULL)
		value = settings_find(&postfix->values, name);
	return value != NULL ? value : "";
}

bool postfix_is_overridden(const struct postfix_service *service, const char *name)
{
	return service != NULL && settings_find(&service->own, name) != NULL;
}

const char *postfix_written(const struct postfix *postfix, const struct postfix_service *service,
			    const char *name)
{
	const char *written = settings_find(&postfix->written, name);

	if (written == NULL || postfix_is_overridden(service, name))
		return postfix_value(postfix, service, name);
	return written;
}

bool postfix_value_is_yes(const struct postfix *postfix, const struct postfix_service *service,
			  const char *name)
{
	return strcmp(postfix_value(postfix, service, name), "yes") == 0;
}

int64_t postfix_seconds(const char *value, char unit)
{
	char *rest;
	int64_t count = strtoll(value, &rest, 10);

	switch (*rest != '\0' ? *rest : unit) {
	case 'w':
		return count * 7 * 86400;
	case 'd':
		return count * 86400;
	case 'h':
		return count * 3600;
	case 'm':
		return count * 60;
	default:
		return count;
	}
}

/* ---- services ---- */

const struct postfix_service *postfix_service_find(const struct postfix *postfix, const char *name,
						   const char *type)
{
	for (size_t i = 0; i < postfix->service_count; i++)
		if (strcmp(postfix->services[i].name, name) == 0 &&
		    strcmp(postfix->services[i].type, type) == 0)
			return &postfix->services[i];
	return NULL;
}

const struct postfix_service *postfix_service_next(const struct postfix *postfix,
						   enum postfix_role role,
						   const struct postfix_service *last)
{
	size_t i = last != NULL ? (size_t)(last - postfix->services) + 1 : 0;

	for (; i < postfix->service_count; i++)
		if (postfix->services[i].role == role)
			return &postfix->services[i];
	return NULL;
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

static bool is_mx_port(const struct postfix_service *service)
{
	static const char *const ports[] = { "smtp", "25", NULL };
	const char *colon = strrchr(service->name, ':');
	const char *port = colon != NULL ? colon + 1 : service->name;

	/* what listens on the loopback alone is behind a content filter */
	return strcmp(service->type, "inet") == 0 && is_one_of(port, ports) &&
	       strncmp(service->name, "127.", 4) != 0 &&
	       strncmp(service->name, "localhost:", 10) != 0 &&
	       strncmp(service->name, "[::1]:", 6) != 0;
}

static enum postfix_role role_of(const struct postfix_service *service, bool postscreen)
{
	static const char *const ports[] = { "submission", "587", "submissions",
					     "smtps",	   "465", NULL };
	const char *colon = strrchr(service->name, ':');

	if (strcmp(service->command, "smtpd") != 0)
		return POSTFIX_OTHER;
	if (strcmp(service->type, "pass") == 0)
		return postscreen ? POSTFIX_MX : POSTFIX_OTHER;
	if (is_mx_port(service))
		return POSTFIX_MX;
	return strcmp(service->type, "inet") == 0 &&
			       is_one_of(colon != NULL ? colon + 1 : service->name, ports)
		       ? POSTFIX_SUBMISSION
		       : POSTFIX_OTHER;
}

static void find_roles(struct postfix *postfix)
{
	bool postscreen = false;

	for (size_t i = 0; i < postfix->service_count; i++)
		postscreen =
			postscreen || (strcmp(postfix->services[i].command, "postscreen") == 0 &&
				       is_mx_port(&postfix->services[i]));
	for (size_t i = 0; i < postfix->service_count; i++)
		postfix->services[i].role = role_of(&postfix->services[i], postscreen);
}

static void service_fini(struct postfix_service *service)
{
	free(service->name);
	free(service->type);
	free(service->command);
	settings_fini(&service->own);
}

/* ---- what postconf says ---- */

/* "name = value" */
static void take_setting(char *line, struct postfix_settings *settings)
{
	char *value = strstr(line, " =");

	if (value == NULL)
		return;
	*value = '\0';
	value += 2;
	settings_add(settings, line, value + (*value == ' '));
}

static void take_value(struct postfix *postfix, char *line)
{
	take_setting(line, &postfix->values);
}

static void take_written(struct postfix *postfix, char *line)
{
	take_setting(line, &postfix->written);
}

/* "-" is the default, which was yes in old days. */
static bool is_chrooted(const struct postfix *postfix, const char *field)
{
	return field[0] == 'y' ||
	       (field[0] == '-' &&
		strtod(postfix_value(postfix, NULL, "compatibility_level"), NULL) < 1);
}

/* "smtp inet n - y - - smtpd -o ..." */
static void take_service(struct postfix *postfix, char *line)
{
	char *fields[FIELDS];
	char *rest = NULL;
	size_t count = 0;
	struct postfix_service *service;

	for (char *word = strtok_r(line, " \t", &rest); word != NULL && count < FIELDS;
	     word = strtok_r(NULL, " \t", &rest))
		fields[count++] = word;
	if (count < FIELDS)
		return;
	postfix->services = memory_resize(postfix->services, postfix->service_count + 1,
					  sizeof(*postfix->services));
	service = &postfix->services[postfix->service_count++];
	*service = (struct postfix_service){ .name = memory_string(fields[0]),
					     .type = memory_string(fields[1]),
					     .command = memory_string(fields[7]),
					     .chrooted = is_chrooted(postfix, fields[4]) };
}

/* "smtp/inet/smtpd_milters = value" */
static void take_override(struct postfix *postfix, char *line)
{
	for (size_t i = 0; i < postfix->service_count; i++) {
		struct postfix_service *service = &postfix->services[i];
		char prefix[256];
		TEXT_ON(text, prefix);

		text_add_format(&text, "%s/%s/", service->name, service->type);
		if (strncmp(line, prefix, text.length) == 0) {
			take_setting(line + text.length, &service->own);
			return;
		}
	}
}

struct question {
	const char *options;
	void (*take)(struct postfix *postfix, char *line);
};

static bool ask(struct postfix *postfix, const struct question *question, struct text *why)
{
	const char *arguments[ARGUMENTS_MAX] = { "postconf", question->options };
	struct tool tool = { .arguments = arguments, .output_max = OUTPUT_MAX };
	struct tool_result result;
	char said[256];
	char *rest = NULL;
	bool fine;

	if (postfix->folder != NULL) {
		arguments[1] = "-c";
		arguments[2] = postfix->folder;
		arguments[3] = question->options;
	}
	fine = tool_run(&tool, &result) && !result.cut;
	if (!fine)
		text_add_format(why, "postconf %s: %s", question->options,
				tool_say_why(&result, said, sizeof(said)));
	else
		for (char *line = strtok_r(result.output, "\n", &rest); line != NULL;
		     line = strtok_r(NULL, "\n", &rest))
			question->take(postfix, line);
	tool_result_fini(&result);
	return fine;
}

static void ask_status(struct postfix *postfix)
{
	const char *const given[] = { "postfix", "-c", postfix->folder, "status", NULL };
	const char *const plain[] = { "postfix", "status", NULL };
	struct tool tool = { .arguments = postfix->folder != NULL ? given : plain };
	struct tool_result result;

	if (geteuid() != 0)
		return;
	postfix->state = tool_run(&tool, &result) ? POSTFIX_RUNS : POSTFIX_STOPPED;
	tool_result_fini(&result);
}

static void forget(void *facts)
{
	struct postfix *postfix = facts;

	settings_fini(&postfix->values);
	settings_fini(&postfix->written);
	for (size_t i = 0; i < postfix->service_count; i++)
		service_fini(&postfix->services[i]);
	free(postfix->services);
	free(postfix);
}

static void add_option(struct postfix *postfix)
{
	TEXT_ON(text, postfix->option);

	if (postfix->folder == NULL)
		return;
	text_add(&text, " -c '");
	text_add_in_quotes(&text, postfix->folder);
	text_add(&text, "'");
}

static void *read_all(struct check *check, char *why, size_t size)
{
	/* overrides after services: they belong to them */
	static const struct question questions[] = {
		{ "-x", take_value },
		{ "-n", take_written },
		{ "-M", take_service },
		{ "-Px", take_override },
	};
	struct postfix *postfix = memory_alloc(sizeof(*postfix));
	struct text text;

	text_init(&text, why, size);
	postfix->folder = check->options.mta_config;
	add_option(postfix);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		if (!ask(postfix, &questions[i], &text)) {
			forget(postfix);
			return NULL;
		}
	}
	find_roles(postfix);
	ask_status(postfix);
	return postfix;
}

static bool is_here(const struct check *check)
{
	const char *given = check->options.mta_config;
	struct stat about;
	char path[4096];

	if (given != NULL)
		return stat(given, &about) == 0 && S_ISDIR(about.st_mode);
	return tool_find("postconf", path, sizeof(path)) &&
	       access("/etc/postfix/main.cf", F_OK) == 0;
}

/* ---- domains, findings ---- */

static void add_domain(void *arg, const char *name)
{
	check_domain_add(arg, name);
}

static void add_domains(struct check *check, const void *facts)
{
	const struct postfix *postfix = facts;

	/* by default, and only in old compatibility, they are those that are local */
	if (settings_find(&postfix->written, "relay_domains") != NULL)
		postfix_names_each(postfix, postfix_value(postfix, NULL, "relay_domains"),
				   add_domain, check);
}

static void judge_running(struct check *check, const struct postfix *postfix)
{
	const char *version = postfix_value(postfix, NULL, "mail_version");
	const char *folder = postfix_value(postfix, NULL, "config_directory");

	if (postfix->state == POSTFIX_UNSEEN) {
		mta_add(check, MTA_RULE_MTA, CHECK_OK, NULL,
			"Postfix %s, set up in %s; whether it runs is told only to root", version,
			folder);
	} else if (postfix->state == POSTFIX_RUNS) {
		mta_add(check, MTA_RULE_MTA, CHECK_OK, NULL, "Postfix %s, set up in %s, runs",
			version, folder);
	} else {
		mta_add(check, MTA_RULE_MTA, CHECK_ERROR, NULL,
			"Postfix %s, set up in %s, doesn't run", version, folder);
		mta_mend(check, "postfix%s start", postfix->option);
	}
}

static void judge(struct check *check, const void *facts)
{
	const struct postfix *postfix = facts;

	judge_running(check, postfix);
	postfix_judge_chroot(check, postfix);
	postfix_judge_network(check, postfix);
	postfix_judge_domains(check, postfix);
	postfix_judge_restrictions(check, postfix);
	postfix_judge_milter(check, postfix);
	postfix_judge_flush(check, postfix);
	postfix_judge_queue(check, postfix);
	postfix_judge_addresses(check, postfix);
}

const struct mta_kind mta_postfix = {
	.name = "Postfix",
	.is_here = is_here,
	.read = read_all,
	.forget = forget,
	.add_domains = add_domains,
	.judge = judge,
	.mend_tls = postfix_mend_tls,
};
