/* SPDX-License-Identifier: BSD-2-Clause */
/* What Sendmail says of its configuration, and the lines of its files, as facts. */
#include "check/sendmail.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/lines.h"
#include "base/memory.h"
#include "base/text.h"
#include "conf/file.h"

#define PID_FILE_MAX	     4096
#define REPLY_SECONDS	     10		       /* Sendmail's default of R: in T= */
#define QUEUE_RETURN_SECONDS (5 * 24 * 3600LL) /* and of Timeout.queuereturn */

/* ---- names ---- */

void sendmail_names_add(struct sendmail_names *names, const char *name)
{
	names->items = memory_resize(names->items, names->count + 1, sizeof(*names->items));
	names->items[names->count] = memory_string(name);
	text_make_printable(names->items[names->count++]);
}

bool sendmail_names_have(const struct sendmail_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcasecmp(names->items[i], name) == 0)
			return true;
	return false;
}

void sendmail_names_fini(struct sendmail_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	free(names->items);
}

/* ---- pieces of lines ---- */

static char *trim(char *word)
{
	size_t length;

	word += strspn(word, " \t");
	length = strlen(word);
	while (length > 0 && isspace((unsigned char)word[length - 1]))
		word[--length] = '\0';
	return word;
}

/* The next piece of a list, trimmed; NULL behind the last. */
static char *next_piece(char **rest, const char *separators)
{
	char *piece = strsep(rest, separators);

	return piece != NULL ? trim(piece) : NULL;
}

/* "Name=MTA": what is behind the '='; "" when there is none. Only the first letter of a name
 * counts for Sendmail. */
static char *value_of(char *piece)
{
	char *value = strchr(piece, '=');

	return value != NULL ? trim(value + 1) : piece + strlen(piece);
}

static void copy_printable(char *target, size_t size, const char *source)
{
	text_copy(target, size, source);
	text_make_printable(target);
}

static void names_split(struct sendmail_names *names, char *list, const char *separators)
{
	char *piece;

	while ((piece = next_piece(&list, separators)) != NULL)
		if (*piece != '\0')
			sendmail_names_add(names, piece);
}

int64_t sendmail_duration(const char *word)
{
	static const struct {
		char letter;
		int64_t seconds;
	} units[] = {
		{ 's', 1 },  { 'm', 60 }, { 'h', 3600 }, { 'd', 24 * 3600 }, { 'w', 7 * 24 * 3600 },
		{ '\0', 60 }
	};
	int64_t sum = 0;

	if (!isdigit((unsigned char)*word))
		return -1;
	while (isdigit((unsigned char)*word)) {
		char *end;
		long number = strtol(word, &end, 10);
		size_t i = 0;

		while (units[i].letter != '\0' && units[i].letter != tolower((unsigned char)*end))
			i++;
		if (number > INT32_MAX || (units[i].letter == '\0' && *end != '\0'))
			return -1;
		sum += number * units[i].seconds;
		word = end + (*end != '\0');
	}
	return *word == '\0' ? sum : -1;
}

/* ---- options, as -d37.1 shows them: "setoption Timeout (r).queuereturn=5d" ---- */

static void daemon_add(struct sendmail *sendmail, char *value)
{
	struct sendmail_daemon daemon = { .name = "" };
	char *piece;

	text_copy(daemon.port, sizeof(daemon.port), "smtp");
	while ((piece = next_piece(&value, ",")) != NULL) {
		char *its = value_of(piece);

		switch (toupper((unsigned char)*piece)) {
		case 'N':
			copy_printable(daemon.name, sizeof(daemon.name), its);
			break;
		case 'P':
			copy_printable(daemon.port, sizeof(daemon.port), its);
			break;
		case 'A':
			copy_printable(daemon.address, sizeof(daemon.address), its);
			break;
		case 'F':
			daemon.is_inet6 = strcasecmp(its, "inet6") == 0;
			break;
		case 'M':
			copy_printable(daemon.modifiers, sizeof(daemon.modifiers), its);
			break;
		case 'I':
			daemon.has_filters = true;
			names_split(&daemon.filters, its, ";");
			break;
		default:
			break;
		}
	}
	sendmail->daemons = memory_resize(sendmail->daemons, sendmail->daemon_count + 1,
					  sizeof(*sendmail->daemons));
	sendmail->daemons[sendmail->daemon_count++] = daemon;
}

static void privacy_add(struct sendmail *sendmail, char *value)
{
	struct text text;
	char *piece;

	text_init(&text, sendmail->privacy, sizeof(sendmail->privacy));
	text_add(&text, ",");
	while ((piece = next_piece(&value, ",")) != NULL) {
		text_add_printable(&text, piece, strlen(piece));
		text_add(&text, ",");
	}
	text_lower(sendmail->privacy);
}

static void option_read(struct sendmail *sendmail, char *name)
{
	char *value = strchr(name, '=');
	char *code = strstr(name, " (");
	char *unsafe;

	if (value == NULL || code == NULL || code > value)
		return;
	/* said to who isn't root: its rights are dropped for this */
	unsafe = strstr(value, " (unsafe)");
	if (unsafe != NULL)
		*unsafe = '\0';
	*code = '\0';
	*value++ = '\0';
	code = strchr(code + 1, ')');
	if (strcmp(name, "DaemonPortOptions") == 0)
		daemon_add(sendmail, value);
	else if (strcmp(name, "PrivacyOptions") == 0)
		privacy_add(sendmail, value);
	else if (strcmp(name, "InputMailFilters") == 0)
		names_split(&sendmail->input_filters, value, ",;");
	else if (strcmp(name, "Timeout") == 0 && code != NULL &&
		 (strcasecmp(code, ").queuereturn") == 0 ||
		  strcasecmp(code, ").queuereturn.normal") == 0))
		sendmail->queue_return = sendmail_duration(trim(value));
}

struct sendmail_filter *sendmail_filter_find(const struct sendmail *sendmail, const char *name)
{
	for (size_t i = 0; i < sendmail->filter_count; i++)
		if (strcmp(sendmail->filters[i].name, name) == 0)
			return &sendmail->filters[i];
	return NULL;
}

static struct sendmail_filter *filter_get(struct sendmail *sendmail, const char *name)
{
	struct sendmail_filter *filter = sendmail_filter_find(sendmail, name);

	if (filter != NULL)
		return filter;
	sendmail->filters = memory_resize(sendmail->filters, sendmail->filter_count + 1,
					  sizeof(*sendmail->filters));
	filter = &sendmail->filters[sendmail->filter_count++];
	*filter = (struct sendmail_filter){ .reply_seconds = REPLY_SECONDS };
	copy_printable(filter->name, sizeof(filter->name), name);
	return filter;
}

/* "backupmx: R=30" */
static void filter_timeout_read(struct sendmail *sendmail, char *line)
{
	char *value = strstr(line, ": R=");

	if (value == NULL)
		return;
	*value = '\0';
	filter_get(sendmail, line)->reply_seconds = strtol(value + 4, NULL, 10);
}

/* "     Conf file:	/etc/mail/sendmail.cf (selected)" */
static void selected_file_read(const char *line, const char *what, char *path)
{
	const char *start = strstr(line, what);
	char copy[PATH_MAX];
	char *end;

	if (start == NULL)
		return;
	text_copy(copy, sizeof(copy), start + strlen(what));
	end = strstr(copy, " (selected)");
	if (end == NULL)
		return;
	*end = '\0';
	copy_printable(path, PATH_MAX, trim(copy));
}

/* "/etc/mail/sendmail.cf: line 99: fileclass: cannot open '/etc/mail/x': Permission denied" */
static void complaint_read(struct sendmail *sendmail, const char *line)
{
	if (line[0] == '/' && strstr(line, ": line ") != NULL && sendmail->complaint[0] == '\0')
		copy_printable(sendmail->complaint, sizeof(sendmail->complaint), line);
}

void sendmail_read_debug(struct sendmail *sendmail, char *output)
{
	char *line;

	sendmail->queue_return = QUEUE_RETURN_SECONDS;
	while ((line = strsep(&output, "\n")) != NULL) {
		if (strncmp(line, "Version ", 8) == 0)
			copy_printable(sendmail->version, sizeof(sendmail->version), line + 8);
		else if (strncmp(line, "setoption ", 10) == 0)
			option_read(sendmail, line + 10);
		else if (line[0] == 'X')
			filter_timeout_read(sendmail, line + 1);
		complaint_read(sendmail, line);
		/* one word of the list behind "Compiled with:" */
		if (strstr(line, " MILTER") != NULL || strstr(line, "\tMILTER") != NULL)
			sendmail->knows_milters = true;
		selected_file_read(line, "Conf file:", sendmail->cf);
		selected_file_read(line, "Pid file:", sendmail->pid_file);
	}
	if (sendmail->daemon_count == 0) {
		char only[] = "Name=MTA";

		daemon_add(sendmail, only);
	}
}

/* ---- the cf file ---- */

/* "backupmx, S=inet:8899@127.0.0.1, F=T, T=R:30s" */
static void filter_line_read(struct sendmail *sendmail, char *line)
{
	char *piece = next_piece(&line, ",");
	struct sendmail_filter *filter = filter_get(sendmail, piece);

	while ((piece = next_piece(&line, ",")) != NULL) {
		char *value = value_of(piece);

		if (*piece == 'S')
			copy_printable(filter->socket, sizeof(filter->socket), value);
		else if (*piece == 'F')
			filter->action = *value != '\0' ? *value : 0;
	}
}

/* "FR-o /etc/mail/relay-domains %[^\#]": the file's name */
static void class_file_read(const char *line, char *path)
{
	char copy[PATH_MAX];
	char *name;

	text_copy(copy, sizeof(copy), line);
	name = strchr(copy, '/');
	if (name == NULL)
		return;
	name[strcspn(name, " \t")] = '\0';
	copy_printable(path, PATH_MAX, name);
}

/* "hash -T<TMPF> /etc/mail/access" */
static void access_read(struct sendmail *sendmail, char *line)
{
	char *type = next_piece(&line, " ");

	if (line == NULL)
		return;
	copy_printable(sendmail->access_type, sizeof(sendmail->access_type), type);
	class_file_read(line, sendmail->access_file);
}

void sendmail_read_cf(struct sendmail *sendmail)
{
	FILE *file = fopen(sendmail->cf, "re");
	char line[4096];
	bool cut;

	if (file == NULL) {
		text_copy(sendmail->cf_problem, sizeof(sendmail->cf_problem), strerror(errno));
		return;
	}
	while (lines_next(file, line, sizeof(line), &cut)) {
		if (line[0] == 'X')
			filter_line_read(sendmail, line + 1);
		else if (strncmp(line, "FR", 2) == 0)
			class_file_read(line + 2, sendmail->relay_file);
		else if (strncmp(line, "Fw", 2) == 0)
			class_file_read(line + 2, sendmail->local_file);
		else if (strncmp(line, "Kaccess ", 8) == 0)
			access_read(sendmail, line + 8);
	}
	fclose(file);
}

/* ---- the pid file: the number, and in the second line the command ---- */

/* "-q15m", "-qp15m" of a command line. */
static int64_t interval_of(const char *command)
{
	char copy[1024];
	char *rest = copy;
	char *word;

	text_copy(copy, sizeof(copy), command);
	while ((word = strsep(&rest, " ")) != NULL) {
		if (strncmp(word, "-q", 2) != 0)
			continue;
		word += 2 + (word[2] == 'p');
		if (isdigit((unsigned char)*word))
			return sendmail_duration(word);
	}
	return 0;
}

void sendmail_read_pid(struct sendmail *sendmail)
{
	struct file_bytes file;
	int failed = file_read(sendmail->pid_file, PID_FILE_MAX, true, &file);
	char *rest;
	long pid;

	if (failed == -ENOENT)
		return;
	if (failed != 0) {
		text_copy(sendmail->run_problem, sizeof(sendmail->run_problem), strerror(-failed));
		return;
	}
	rest = file.bytes;
	pid = strtol(rest, NULL, 10);
	sendmail->runs = pid > 1 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
	strsep(&rest, "\n");
	if (sendmail->runs && rest != NULL) {
		copy_printable(sendmail->command, sizeof(sendmail->command),
			       next_piece(&rest, "\n"));
		sendmail->queue_interval = interval_of(sendmail->command);
	}
	free(file.bytes);
}

/* ---- traces of rulesets ---- */

/* The last line of a trace is what its outermost ruleset returned. */
static void last_return(const char *answer, char *words, size_t size)
{
	static const char mark[] = " returns: ";
	const char *last = "";
	const char *found = answer;

	while ((found = strstr(found, mark)) != NULL)
		last = found += sizeof(mark) - 1;
	text_copy(words, size, last);
	words[strcspn(words, "\n")] = '\0';
	text_make_printable(words);
}

/* "example . test . " -> "example.test" */
static void join_tokens(char *target, size_t size, const char *tokens, size_t length)
{
	struct text text;

	text_init(&text, target, size);
	for (size_t i = 0; i < length; i++)
		if (tokens[i] != ' ')
			text_add_char(&text, tokens[i]);
	if (text.length > 0 && target[text.length - 1] == '.')
		target[text.length - 1] = '\0';
}

/* 'hash map "access": unsafe map file /etc/mail/access.db: Permission denied' */
static void trouble_read(const char *answer, struct sendmail_result *result)
{
	const char *found = strstr(answer, " map \"");

	if (found == NULL)
		return;
	while (found > answer && found[-1] != '\n')
		found--;
	text_copy(result->trouble, sizeof(result->trouble), found);
	result->trouble[strcspn(result->trouble, "\n")] = '\0';
	text_make_printable(result->trouble);
}

void sendmail_result_read(const char *answer, struct sendmail_result *result)
{
	const char *word, *host, *user;

	*result = (struct sendmail_result){ .words = "" };
	trouble_read(answer, result);
	last_return(answer, result->words, sizeof(result->words));
	if (strncmp(result->words, "$#", 2) != 0)
		return;
	word = result->words + 2 + strspn(result->words + 2, " ");
	host = strstr(word, "$@");
	user = strstr(word, "$:");
	join_tokens(result->mailer, sizeof(result->mailer), word, strcspn(word, " $"));
	if (host != NULL && user != NULL && user > host)
		join_tokens(result->host, sizeof(result->host), host + 2,
			    (size_t)(user - host) - 2);
	if (user == NULL)
		return;
	user += 2 + strspn(user + 2, " \"");
	text_copy(result->text, sizeof(result->text), user);
	result->text[strcspn(result->text, "\"")] = '\0';
}
