/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line by the table of commands: options may stand anywhere, and what is wrong is told
 * with what would be right.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ctl/ctl.h"

#define WORD_MAX     64 /* longer words are no misspelt ones */
#define MESSAGE_SIZE 1024

const struct ctl_option ctl_common_options[] = {
	{ "c", "FILE", "the daemon's configuration, which says where its socket is" },
	{ "s", "SOCKET", "the daemon's control socket itself" },
	{ "json", NULL, "print JSON, errors as well" },
	{ "help", NULL, "this help; also -h" },
	{ "version", NULL, "the version of this program; also -V" },
	{ .name = NULL },
};

/* ---- the nearest word ---- */

static unsigned least_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters must be added, left out, changed or swapped with their neighbour. */
static unsigned word_distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	size_t width = strlen(b);

	if (strlen(a) > WORD_MAX || width > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= width; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i - 1) % 3];
		const unsigned *before = rows[(i + 1) % 3]; /* two above */

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= width; j++) {
			row[j] = least_of(least_of(row[j - 1], above[j]) + 1,
					  above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least_of(row[j], before[j - 2] + 1);
		}
	}
	return rows[strlen(a) % 3][width];
}

struct nearest {
	const char *word; /* what was typed */
	const char *name; /* the nearest so far; NULL: none */
	unsigned distance;
};

static void nearest_try(struct nearest *nearest, const char *name)
{
	size_t length = strlen(nearest->word);
	unsigned distance = word_distance(nearest->word, name);

	/* the beginning of a word is as good as a slip */
	if (length > 1 && strncmp(name, nearest->word, length) == 0)
		distance = 1;
	if (distance > 2 || distance >= length)
		return;
	if (nearest->name == NULL || distance < nearest->distance) {
		nearest->name = name;
		nearest->distance = distance;
	}
}

/* ---- what is wrong ---- */

/* "NAME ARGUMENTS" of the command that runs. */
static void add_usage(const struct ctl *ctl, struct text *text)
{
	if (ctl->family != NULL) {
		text_add(text, ctl->family->name);
		text_add_char(text, ' ');
	}
	text_add(text, ctl->command->name);
	if (ctl->command->arguments[0] != '\0')
		text_add_char(text, ' ');
	text_add(text, ctl->command->arguments);
}

int ctl_misused(const struct ctl *ctl, const char *format, ...)
{
	char message[MESSAGE_SIZE];
	TEXT_ON(text, message);
	char what[MESSAGE_SIZE / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	text_add(&text, what);
	if (ctl->command != NULL) {
		text_add(&text, ctl->json ? "; usage: backupmxctl " : "\nusage: backupmxctl ");
		add_usage(ctl, &text);
	} else if (!ctl->json) {
		text_add(&text, "\ntry: backupmxctl help");
		if (ctl->family != NULL)
			text_add_format(&text, " %s", ctl->family->name);
	}
	return ctl_fail(ctl, CTL_EXIT_USAGE, message);
}

int ctl_unknown_command(const struct ctl *ctl, const struct ctl_command *table, const char *name)
{
	struct nearest nearest = { .word = name };

	for (const struct ctl_command *command = table; command->name != NULL; command++)
		nearest_try(&nearest, command->name);
	if (nearest.name == NULL)
		return ctl_misused(ctl, "there is no command \"%s\"", name);
	return ctl_misused(ctl, "there is no command \"%s\"; did you mean \"%s\"?", name,
			   nearest.name);
}

/* The command of the table that has such an option; NULL when none has. */
static const struct ctl_command *owner_of(const struct ctl_command *table, const char *name)
{
	const struct ctl_command *owner = NULL;

	for (; table->name != NULL && owner == NULL; table++) {
		const struct ctl_option *option = table->options;

		if (table->commands != NULL)
			owner = owner_of(table->commands, name);
		for (; option != NULL && option->name != NULL; option++)
			if (strcmp(option->name, name) == 0)
				owner = table;
	}
	return owner;
}

static int unknown_option(const struct ctl *ctl, const char *word)
{
	const struct ctl_option *options = ctl->command != NULL ? ctl->command->options : NULL;
	struct nearest nearest = { .word = word + strspn(word, "-") };
	const struct ctl_command *owner =
		ctl->command == NULL ? owner_of(ctl->commands, nearest.word) : NULL;

	if (owner != NULL)
		return ctl_misused(ctl, "%s is an option of \"%s\": write it behind that", word,
				   owner->name);
	for (; options != NULL && options->name != NULL; options++)
		nearest_try(&nearest, options->name);
	for (options = ctl_common_options; options->name != NULL; options++)
		nearest_try(&nearest, options->name);
	if (nearest.name == NULL || nearest.name[1] == '\0')
		return ctl_misused(ctl, "there is no option %s", word);
	return ctl_misused(ctl, "there is no option %s; did you mean --%s?", word, nearest.name);
}

/* ---- reading ---- */

struct reading {
	struct ctl *ctl;
	char **argv;
	int argc;
	int at;		 /* the word at hand */
	int kept;	 /* so many are left in argv */
	bool words_only; /* "--" was there */
	bool json, help, version;
};

const struct ctl_command *ctl_command_find(const struct ctl_command *table, const char *name)
{
	for (const struct ctl_command *command = table; command->name != NULL; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

const char *ctl_option(const struct ctl *ctl, const char *name)
{
	const struct ctl_option *options = ctl->command->options;

	for (size_t i = 0; options[i].name != NULL; i++)
		if (strcmp(options[i].name, name) == 0)
			return ctl->values[i];
	abort(); /* a command asks for an option that its table doesn't have */
}

/* The value of the option at hand: `inside` the same word, or the next word; NULL when there is
 * none. */
static const char *take_value(struct reading *reading, const char *inside)
{
	if (inside != NULL)
		return inside;
	if (reading->at + 1 >= reading->argc)
		return NULL;
	return reading->argv[++reading->at];
}

static int missing_value(const struct reading *reading, const char *dashes,
			 const struct ctl_option *option)
{
	return ctl_misused(reading->ctl, "%s%s: %s is missing", dashes, option->name,
			   option->value);
}

/* -cFILE or -c FILE. */
static int take_path(struct reading *reading, const char *word)
{
	const char *value = take_value(reading, word[2] != '\0' ? word + 2 : NULL);

	if (value == NULL)
		return missing_value(reading, "-", &ctl_common_options[word[1] == 's']);
	if (word[1] == 'c')
		reading->ctl->config_path = value;
	else
		reading->ctl->socket_path = value;
	return CTL_EXIT_OK;
}

static bool may_be_several(const struct ctl_option *option)
{
	size_t length = option->value != NULL ? strlen(option->value) : 0;

	return length > 3 && strcmp(option->value + length - 3, "...") == 0;
}

static int take_several(struct ctl *ctl, const struct ctl_option *option, const char *value)
{
	if (ctl->several_count == CTL_SEVERAL_MAX)
		return ctl_misused(ctl, "--%s can be given %d times at most", option->name,
				   CTL_SEVERAL_MAX);
	ctl->several[ctl->several_count++] = value;
	return CTL_EXIT_OK;
}

/* An option of the command's own. */
static int take_own(struct reading *reading, const char *word)
{
	struct ctl *ctl = reading->ctl;
	const struct ctl_option *options = ctl->command != NULL ? ctl->command->options : NULL;
	size_t length = strcspn(word + 2, "=");
	const char *inside = word[2 + length] == '=' ? word + 2 + length + 1 : NULL;

	for (size_t i = 0; options != NULL && options[i].name != NULL; i++) {
		if (strlen(options[i].name) != length ||
		    strncmp(options[i].name, word + 2, length) != 0)
			continue;
		if (options[i].value == NULL && inside != NULL)
			return ctl_misused(ctl, "--%s takes no value", options[i].name);
		ctl->values[i] = options[i].value == NULL ? "" : take_value(reading, inside);
		if (ctl->values[i] == NULL)
			return missing_value(reading, "--", &options[i]);
		return may_be_several(&options[i]) ? take_several(ctl, &options[i], ctl->values[i])
						   : CTL_EXIT_OK;
	}
	return unknown_option(ctl, word);
}

/* Its run() reads its arguments itself. */
static bool is_raw(const struct ctl *ctl)
{
	return ctl->command != NULL && ctl->command->options == NULL;
}

static int take_option(struct reading *reading, char *word)
{
	if (word[1] == 'c' || word[1] == 's')
		return take_path(reading, word);
	if (strcmp(word, "--json") == 0)
		reading->json = true;
	else if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0)
		reading->help = true;
	else if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0)
		reading->version = true;
	else if (is_raw(reading->ctl))
		reading->argv[reading->kept++] = word;
	else if (word[1] == '-')
		return take_own(reading, word);
	else
		return unknown_option(reading->ctl, word);
	return CTL_EXIT_OK;
}

/* A command, one of its family, or an argument. */
static int take_word(struct reading *reading, char *word)
{
	struct ctl *ctl = reading->ctl;
	const struct ctl_command *table = ctl->commands;

	if (ctl->command != NULL) {
		reading->argv[reading->kept++] = word;
		return CTL_EXIT_OK;
	}
	if (ctl->family != NULL)
		table = ctl->family->commands;
	ctl->command = ctl_command_find(table, word);
	if (ctl->command == NULL)
		return ctl_unknown_command(ctl, table, word);
	if (ctl->command->commands != NULL) {
		ctl->family = ctl->command;
		ctl->command = NULL;
	} else {
		reading->argv[reading->kept++] = word;
	}
	return CTL_EXIT_OK;
}

static int check_count(const struct reading *reading)
{
	const struct ctl *ctl = reading->ctl;
	const struct ctl_command *command = ctl->command;
	int count = reading->kept - 1;

	if (command == NULL || command->options == NULL || reading->help || reading->version)
		return CTL_EXIT_OK;
	if (count < command->least)
		return ctl_misused(ctl, "%s: an argument is missing", command->name);
	if (count > command->most)
		return ctl_misused(ctl, "%s: \"%s\" is one argument too many", command->name,
				   reading->argv[command->most + 1]);
	return CTL_EXIT_OK;
}

/* What is wrong with the command line is said in JSON as well, wherever --json stands in it. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

static int take(struct reading *reading, char *word)
{
	if (reading->words_only || word[0] != '-' || word[1] == '\0')
		return take_word(reading, word);
	if (strcmp(word, "--") != 0)
		return take_option(reading, word);
	reading->words_only = true;
	return is_raw(reading->ctl) ? take_word(reading, word) : CTL_EXIT_OK;
}

int ctl_arguments_read(struct ctl *ctl, int *argc, char **argv, enum ctl_wish *wish)
{
	struct reading reading = { .ctl = ctl, .argv = argv, .argc = *argc };
	int code = CTL_EXIT_OK;

	ctl->json = wants_json(*argc, argv);
	for (; reading.at < reading.argc && code == CTL_EXIT_OK; reading.at++)
		code = take(&reading, argv[reading.at]);
	if (code == CTL_EXIT_OK)
		code = check_count(&reading);
	if (code == CTL_EXIT_OK)
		ctl->json = reading.json;
	argv[reading.kept] = NULL;
	*argc = reading.kept;
	*wish = reading.help ? CTL_WISH_HELP : reading.version ? CTL_WISH_VERSION : CTL_WISH_RUN;
	return code;
}
