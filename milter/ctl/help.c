/* SPDX-License-Identifier: BSD-2-Clause */
/* "help", and what --help and the usage lines print: all of it comes from the table of commands. */
#include <string.h>

#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/terminal.h"

#define LABEL_WIDTH 16

/* ---- for people ---- */

/* "--client IP"; one letter has one dash. */
static void option_label(const struct ctl_option *option, char *buffer, size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	text_add_format(&text, "%s%s", option->name[1] != '\0' ? "--" : "-", option->name);
	if (option->value != NULL)
		text_add_format(&text, " %s", option->value);
}

static void print_options(const struct terminal *terminal, const struct ctl_option *options)
{
	char label[64];
	unsigned width = LABEL_WIDTH;

	for (const struct ctl_option *option = options; option->name != NULL; option++) {
		option_label(option, label, sizeof(label));
		if (width < strlen(label) + 4)
			width = (unsigned)strlen(label) + 4;
	}
	for (; options->name != NULL; options++) {
		option_label(options, label, sizeof(label));
		terminal_field(terminal, width, label, TERMINAL_PLAIN, options->what);
	}
}

static void print_commands(const struct terminal *terminal, const struct ctl_command *commands)
{
	for (; commands->name != NULL; commands++)
		terminal_field(terminal, LABEL_WIDTH, commands->name, TERMINAL_PLAIN,
			       commands->what);
}

static void print_all(const struct ctl *ctl, const struct terminal *terminal)
{
	fputs("usage: backupmxctl [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:\n", terminal->out);
	print_commands(terminal, ctl->commands);
	fputs("\nOptions, before or after the command:\n", terminal->out);
	print_options(terminal, ctl_common_options);
	fputs("\nbackupmxctl help COMMAND tells more of one.\n\n", terminal->out);
	terminal_paragraph(terminal, "Exit codes: ",
			   "0 fine, 1 the answer is \"no\" (down, refused, an error was found), "
			   "2 wrong usage, 3 the daemon can't be reached.");
}

static void print_examples(const struct terminal *terminal, const char *examples)
{
	fputs("\nExample:\n", terminal->out);
	while (*examples != '\0') {
		size_t length = strcspn(examples, "\n");

		fprintf(terminal->out, "  backupmxctl %.*s\n", (int)length, examples);
		examples += length + (examples[length] == '\n');
	}
}

static void print_one(const struct terminal *terminal, const struct ctl_command *family,
		      const struct ctl_command *command)
{
	char first[128];
	TEXT_ON(text, first);

	text_add(&text, "usage: backupmxctl ");
	if (family != NULL)
		text_add_format(&text, "%s ", family->name);
	text_add_format(&text, "%s%s", command->name, command->arguments[0] != '\0' ? " " : "");
	terminal_paragraph(terminal, first, command->arguments);
	fputc('\n', terminal->out);
	terminal_paragraph(terminal, "  ", command->what);
	if (command->more != NULL)
		fprintf(terminal->out, "\n%s", command->more);
	if (command->commands != NULL) {
		fputc('\n', terminal->out);
		print_commands(terminal, command->commands);
		fprintf(terminal->out, "\nbackupmxctl help %s COMMAND tells more of one.\n",
			command->name);
	}
	if (command->options != NULL && command->options->name != NULL) {
		fputs("\nOptions:\n", terminal->out);
		print_options(terminal, command->options);
	}
	if (command->examples != NULL)
		print_examples(terminal, command->examples);
}

/* ---- for programs ---- */

static json_t *text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

static json_t *options_to_json(const struct ctl_option *options)
{
	json_t *array = json_array();
	char name[64];

	for (; options != NULL && options->name != NULL; options++) {
		struct ctl_option bare = { .name = options->name };

		option_label(&bare, name, sizeof(name));
		json_array_append_new(array, json_pack("{s:s, s:o, s:s}", "name", name, "value",
						       text_or_null(options->value), "what",
						       options->what));
	}
	return array;
}

static json_t *commands_to_json(const struct ctl_command *commands)
{
	json_t *array = json_array();

	for (; commands != NULL && commands->name != NULL; commands++)
		json_array_append_new(
			array, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "name",
					 commands->name, "arguments", commands->arguments, "what",
					 commands->what, "more", text_or_null(commands->more),
					 "examples", text_or_null(commands->examples), "options",
					 options_to_json(commands->options), "commands",
					 commands_to_json(commands->commands)));
	return array;
}

/* All there is, whatever was asked for. */
static void print_json(const struct ctl *ctl)
{
	json_t *all = json_pack("{s:o, s:o}", "options", options_to_json(ctl_common_options),
				"commands", commands_to_json(ctl->commands));

	ctl_print_json(ctl, all);
	json_decref(all);
}

/* ---- both ---- */

void ctl_print_help(const struct ctl *ctl, const struct ctl_command *family,
		    const struct ctl_command *command, FILE *out)
{
	struct terminal terminal;

	terminal_init(&terminal, out);
	if (command == NULL && family == NULL)
		print_all(ctl, &terminal);
	else if (command == NULL)
		print_one(&terminal, NULL, family);
	else
		print_one(&terminal, family, command);
}

int ctl_help(struct ctl *ctl, int argc, char **argv)
{
	const struct ctl_command *family = NULL;
	const struct ctl_command *command = NULL;
	const struct ctl_command *table = ctl->commands;

	for (int i = 1; i < argc; i++) {
		if (table == NULL)
			return ctl_misused(ctl, "%s has no commands of its own", argv[i - 1]);
		family = command;
		command = ctl_command_find(table, argv[i]);
		if (command == NULL)
			return ctl_unknown_command(ctl, table, argv[i]);
		table = command->commands;
	}
	if (ctl->json)
		print_json(ctl);
	else
		ctl_print_help(ctl, family, command, stdout);
	return CTL_EXIT_OK;
}
