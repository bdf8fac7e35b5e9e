/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "recipients import": reads a list, a map source or a mail log with the rights of whoever calls,
 * and sends what it finds to the daemon in batches. Takes the same memory for any size of file.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/lines.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/mail_log.h"
#include "core/recipient_list.h"
#include "ctl/ctl.h"

#define LINE_SIZE    8192
#define SAMPLE_LINES 50	   /* to tell the format by */
#define BATCH_COUNT  500   /* the daemon takes no more at once */
#define BATCH_BYTES  60000 /* nor a longer line than 65536 */
#define SEEN_SLOTS   65536 /* addresses remembered, to send them once */
#define EXAMPLES_MAX 10
#define ADDRESS_SIZE (MAIL_LOCAL_MAX + 1 + MAIL_DOMAIN_MAX + 1)
#define PROGRESS_MS  200

enum format { FORMAT_AUTO, FORMAT_LIST, FORMAT_LOG, FORMAT_POSTFIX, FORMAT_EXIM, FORMAT_SENDMAIL };

struct example {
	unsigned long line;
	const char *reason;
	char text[80];
};

struct import {
	struct ctl *ctl;
	const char *path;
	const char *domain; /* of bare local parts; NULL: none */
	enum format format;
	FILE *file;
	off_t size; /* 0: not known */
	bool show_progress;
	int64_t shown_ms;
	struct recipient_list_reader reader;

	unsigned long line; /* number of the one at hand */
	json_t *batch;
	size_t batch_bytes;
	unsigned long batch_lines[BATCH_COUNT];
	char **seen;

	unsigned long found, repeated;
	json_int_t new, known;
	json_t *refused; /* reason -> count */
	struct example examples[EXAMPLES_MAX];
	size_t example_count;
	bool answered;	   /* once at least */
	json_int_t losses; /* of the daemon, when that was */
	int code;	   /* of the first batch that went wrong */
};

/* ---- what is said at the end ---- */

static void refuse(struct import *import, const char *reason, json_int_t count)
{
	json_int_t before = json_integer_value(json_object_get(import->refused, reason));

	json_object_set_new(import->refused, reason, json_integer(before + count));
}

static void add_example(struct import *import, unsigned long line, const char *reason,
			const char *foreign)
{
	struct example *example = &import->examples[import->example_count];
	struct text text;

	if (import->example_count == EXAMPLES_MAX)
		return;
	import->example_count++;
	*example = (struct example){ .line = line, .reason = reason };
	text_init(&text, example->text, sizeof(example->text));
	text_add_printable(&text, foreign, strlen(foreign));
}

static json_t *summary_to_json(const struct import *import)
{
	json_t *examples = json_array();

	for (size_t i = 0; i < import->example_count; i++)
		json_array_append_new(examples, json_pack("{s:I, s:s, s:s}", "line",
							  (json_int_t)import->examples[i].line,
							  "reason", import->examples[i].reason,
							  "text", import->examples[i].text));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:O, s:o}", "lines", (json_int_t)import->line,
			 "found", (json_int_t)import->found, "repeated",
			 (json_int_t)import->repeated, "new", import->new, "known", import->known,
			 "refused", import->refused, "examples", examples);
}

static const char *meaning_of(const char *reason)
{
	static const char *const meanings[][2] = {
		{ "no-domain", " (give their domain by --domain DOMAIN)" },
		{ "not-ours", " (this host is no backup for their domains)" },
		{ "denied", " (the primary said otherwise when it was asked)" },
		{ "malformed", " (no address)" },
	};

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (strcmp(reason, meanings[i][0]) == 0)
			return meanings[i][1];
	return "";
}

static void print_summary(const struct import *import)
{
	const char *reason;
	json_t *count;

	printf("%lu lines read, %lu recipients found, %lu of them repeated\n", import->line,
	       import->found, import->repeated);
	printf("new %lld, known %lld\n", (long long)import->new, (long long)import->known);
	json_object_foreach(import->refused, reason, count)
		printf("refused as %s: %lld%s\n", reason, (long long)json_integer_value(count),
		       meaning_of(reason));
	for (size_t i = 0; i < import->example_count; i++)
		printf("  line %lu: %s: %s\n", import->examples[i].line, import->examples[i].reason,
		       import->examples[i].text);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void show_progress(struct import *import, bool last)
{
	off_t place;

	if (!import->show_progress)
		return;
	if (last) {
		fputs("\r\033[K", stderr);
		return;
	}
	if (now_ms() - import->shown_ms < PROGRESS_MS)
		return;
	import->shown_ms = now_ms();
	place = import->size > 0 ? ftello(import->file) : 0;
	if (place > 0) {
		int tenths = (int)(place * 40 / import->size);

		tenths = tenths > 40 ? 40 : tenths;
		fprintf(stderr, "\r[%.*s%*s] %3d %%  %lu lines ", tenths,
			"########################################", 40 - tenths, "",
			(int)(place * 100 / import->size), import->line);
	} else {
		fprintf(stderr, "\r%lu lines ", import->line);
	}
}

/* ---- batches ---- */

static void take_answer(struct import *import, const json_t *answer)
{
	const char *reason;
	json_t *item;
	size_t i;

	if (!import->answered)
		import->losses = ctl_number(answer, "losses");
	import->answered = true;
	import->new += ctl_number(answer, "new");
	import->known += ctl_number(answer, "known");
	json_object_foreach(json_object_get(answer, "refused"), reason, item)
		refuse(import, reason, json_integer_value(item));
	json_array_foreach(json_object_get(answer, "malformed_at"), i, item) {
		size_t place = (size_t)json_integer_value(item);
		const char *word = json_string_value(json_array_get(import->batch, place));

		if (word != NULL)
			add_example(import, import->batch_lines[place], "malformed", word);
	}
}

static void batch_send(struct import *import)
{
	json_t *answer;
	int code;

	code = ctl_ask(
		import->ctl,
		json_pack("{s:s, s:O}", "command", "recipients-import", "addresses", import->batch),
		&answer);
	if (answer != NULL)
		take_answer(import, answer);
	if (answer != NULL && ctl_number(answer, "losses") != import->losses)
		import->code = ctl_fail(import->ctl, CTL_EXIT_NO,
					"not everything could be written (the daemon's log says "
					"why): mend that and import again");
	else if (answer == NULL)
		import->code = code != CTL_EXIT_OK ? code : CTL_EXIT_NO;
	json_decref(answer);
	json_array_clear(import->batch);
	import->batch_bytes = 0;
}

static size_t hash(const char *word)
{
	uint32_t sum = 2166136261u;

	for (; *word != '\0'; word++)
		sum = (sum ^ (unsigned char)*word) * 16777619u;
	return sum % SEEN_SLOTS;
}

/* True when the address came up lately: each slot remembers the last one that fell into it. */
static bool was_seen(struct import *import, const char *word)
{
	char **slot = &import->seen[hash(word)];

	if (*slot != NULL && strcmp(*slot, word) == 0)
		return true;
	free(*slot);
	*slot = memory_string(word);
	return false;
}

static void batch_add(struct import *import, const char *word)
{
	size_t bytes = 2 * strlen(word) + 3; /* the worst that JSON makes of it */
	json_t *item;

	import->found++;
	if (was_seen(import, word)) {
		import->repeated++;
		return;
	}
	item = json_string(word);
	if (item == NULL) { /* no UTF-8 */
		refuse(import, "malformed", 1);
		add_example(import, import->line, "malformed", word);
		return;
	}
	if (json_array_size(import->batch) == BATCH_COUNT ||
	    import->batch_bytes + bytes > BATCH_BYTES)
		batch_send(import);
	import->batch_lines[json_array_size(import->batch)] = import->line;
	import->batch_bytes += bytes;
	json_array_append_new(import->batch, item);
}

/* ---- lines ---- */

static void add_address(struct import *import, const char *local, const char *domain)
{
	char word[ADDRESS_SIZE];
	TEXT_ON(text, word);

	text_add(&text, local);
	text_add_char(&text, '@');
	text_add(&text, domain);
	batch_add(import, word);
}

static void take_local(struct import *import, const char *local)
{
	if (import->domain == NULL) {
		refuse(import, "no-domain", 1);
		add_example(import, import->line, "no-domain", local);
	} else if (!recipient_word_names_domain(local, import->domain)) {
		add_address(import, local, import->domain);
	}
}

static void take_list_line(struct import *import, const char *line, bool cut)
{
	struct recipient_entry entry;

	recipient_list_read(&import->reader, line, cut, &entry);
	switch (entry.kind) {
	case RECIPIENT_ENTRY_ADDRESS:
	case RECIPIENT_ENTRY_CATCH_ALL:
		add_address(import, entry.local, entry.domain);
		break;
	case RECIPIENT_ENTRY_LOCAL:
		take_local(import, entry.local);
		break;
	case RECIPIENT_ENTRY_MALFORMED:
		refuse(import, "malformed", 1);
		add_example(import, import->line, "malformed", line);
		break;
	case RECIPIENT_ENTRY_NONE:
		break;
	}
}

static void take_log_line(struct import *import, const char *line)
{
	static const enum mail_log_format formats[] = { [FORMAT_POSTFIX] = MAIL_LOG_POSTFIX,
							[FORMAT_EXIM] = MAIL_LOG_EXIM,
							[FORMAT_SENDMAIL] = MAIL_LOG_SENDMAIL };
	struct mail_log_line found;

	mail_log_read(line,
		      import->format < FORMAT_POSTFIX ? MAIL_LOG_NONE : formats[import->format],
		      &found);
	for (size_t i = 0; i < found.count; i++) {
		struct recipient_entry entry;
		char word[ADDRESS_SIZE];

		if (found.recipients[i].length >= sizeof(word))
			continue;
		memcpy(word, found.recipients[i].start, found.recipients[i].length);
		word[found.recipients[i].length] = '\0';
		recipient_word_read(word, &entry);
		/* what has no domain in a log belongs to the host, not to the domain */
		if (entry.kind == RECIPIENT_ENTRY_ADDRESS)
			add_address(import, entry.local, entry.domain);
	}
}

static void take_line(struct import *import, const char *line, bool cut)
{
	import->line++;
	if (import->format == FORMAT_LIST)
		take_list_line(import, line, cut);
	else
		take_log_line(import, line);
	if (import->line % 1024 == 0)
		show_progress(import, false);
}

/* ---- the file ---- */

struct sample {
	char *lines[SAMPLE_LINES];
	bool cut[SAMPLE_LINES];
	size_t count;
};

static void sample_fill(struct import *import, struct sample *sample)
{
	char line[LINE_SIZE];

	while (sample->count < SAMPLE_LINES &&
	       lines_next(import->file, line, sizeof(line), &sample->cut[sample->count]))
		sample->lines[sample->count++] = memory_string(line);
}

/* Half of its lines look like a log's: it is one, with what the system's logger added. */
static enum format sample_format(const struct sample *sample)
{
	size_t lines = 0, of_log = 0;

	for (size_t i = 0; i < sample->count; i++) {
		const char *line = sample->lines[i];

		if (line[0] == '\0' || line[0] == '#')
			continue;
		lines++;
		of_log += mail_log_format_of(line) != MAIL_LOG_NONE;
	}
	return lines > 0 && of_log * 2 >= lines ? FORMAT_LOG : FORMAT_LIST;
}

/* What is wrong with a file that is no text; NULL when it may be one. */
static const char *unfit(const struct sample *sample)
{
	switch (recipient_file_form_of(sample->count > 0 ? sample->lines[0] : "")) {
	case RECIPIENT_FILE_PACKED:
		return "is compressed; try: zcat FILE | backupmxctl recipients import - (or bzcat, "
		       "xzcat, zstdcat)";
	case RECIPIENT_FILE_BINARY:
		return "is no text; give a map's source, not what postmap(1) made of it";
	case RECIPIENT_FILE_TEXT:
		break;
	}
	return NULL;
}

static int fail_about(const struct import *import, const char *what)
{
	char message[1024];
	TEXT_ON(text, message);

	text_add_printable(&text, import->path, strlen(import->path));
	text_add(&text, ": ");
	text_add(&text, what);
	return ctl_fail(import->ctl, CTL_EXIT_NO, message);
}

static void read_rest(struct import *import)
{
	char line[LINE_SIZE];
	bool cut;

	while (import->code == CTL_EXIT_OK && lines_next(import->file, line, sizeof(line), &cut))
		take_line(import, line, cut);
}

static int read_file(struct import *import)
{
	struct sample sample = { .count = 0 };
	const char *wrong;

	sample_fill(import, &sample);
	wrong = unfit(&sample);
	if (import->format == FORMAT_AUTO)
		import->format = sample_format(&sample);
	for (size_t i = 0; i < sample.count; i++) {
		if (wrong == NULL && import->code == CTL_EXIT_OK)
			take_line(import, sample.lines[i], sample.cut[i]);
		free(sample.lines[i]);
	}
	if (wrong != NULL)
		return fail_about(import, wrong);
	read_rest(import);
	if (import->code == CTL_EXIT_OK && json_array_size(import->batch) > 0)
		batch_send(import);
	/* an empty one waits until all is on the disk */
	if (import->code == CTL_EXIT_OK)
		batch_send(import);
	show_progress(import, true);
	if (import->code == CTL_EXIT_OK && ferror(import->file))
		return fail_about(import, "cannot be read to its end");
	return import->code;
}

/* What is wrong with the outcome; NULL when nothing is. */
static const char *complaint(const struct import *import)
{
	if (json_object_get(import->refused, "full") != NULL)
		return "the memory is full: raise [recipients] max_entries";
	if (json_object_get(import->refused, "memory-failed") != NULL)
		return "the memory can't be read or written; see the daemon's log";
	if (import->found == 0)
		return "no recipient was found in it; a list has an address a line, a log is the "
		       "primary's";
	if (import->new + import->known > 0)
		return NULL;
	if (json_object_get(import->refused, "not-ours") != NULL)
		return "nobody in it is of a domain that this host is a backup for; for which it "
		       "is: backupmxctl status";
	return "nothing of it was taken";
}

/* Everything was sent. The answer is "no" when something that should be known now isn't. */
static int finish(const struct import *import)
{
	json_t *summary = summary_to_json(import);
	const char *wrong = complaint(import);

	if (wrong != NULL)
		json_object_set_new(summary, "error", json_string(wrong));
	if (!ctl_print_json(import->ctl, summary)) {
		print_summary(import);
		if (wrong != NULL)
			fprintf(stderr, "backupmxctl: %s\n", wrong);
	}
	json_decref(summary);
	return wrong != NULL ? CTL_EXIT_NO : CTL_EXIT_OK;
}

static int run(struct import *import)
{
	struct stat status;
	int code;

	import->file = strcmp(import->path, "-") == 0 ? stdin : fopen(import->path, "re");
	if (import->file == NULL || fstat(fileno(import->file), &status) != 0)
		return fail_about(import, strerror(errno));
	import->show_progress = !import->ctl->json && isatty(STDERR_FILENO);
	if (S_ISREG(status.st_mode))
		import->size = status.st_size;
	if (S_ISDIR(status.st_mode))
		code = fail_about(import, "is a directory; give a list or a log");
	else
		code = read_file(import);
	if (import->file != stdin)
		fclose(import->file);
	if (code == CTL_EXIT_OK)
		return finish(import);
	if (import->new + import->known > 0)
		fprintf(stderr, "backupmxctl: before that, new %lld, known %lld\n",
			(long long)import->new, (long long)import->known);
	return code;
}

/* ---- the command line ---- */

static bool format_parse(const char *word, enum format *format)
{
	static const struct {
		const char *name;
		enum format format;
	} formats[] = {
		{ "auto", FORMAT_AUTO },	 { "list", FORMAT_LIST },
		{ "map", FORMAT_LIST },		 { "log", FORMAT_LOG },
		{ "postfix", FORMAT_POSTFIX },	 { "exim", FORMAT_EXIM },
		{ "sendmail", FORMAT_SENDMAIL },
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(word, formats[i].name) == 0) {
			*format = formats[i].format;
			return true;
		}
	}
	return false;
}

static bool is_domain(const char *name)
{
	struct recipient_entry entry;
	char word[MAIL_DOMAIN_MAX + 2];
	TEXT_ON(text, word);

	text_add_char(&text, '@');
	text_add(&text, name);
	recipient_word_read(word, &entry);
	return !text.cut && entry.kind == RECIPIENT_ENTRY_CATCH_ALL;
}

static int check_arguments(struct ctl *ctl, struct import *import)
{
	const char *format = ctl_option(ctl, "format");

	if (format != NULL && !format_parse(format, &import->format))
		return ctl_misused(
			ctl,
			"--format: \"%s\" is none of auto, list, map, log, postfix, exim, "
			"sendmail",
			format);
	if (import->domain != NULL && !is_domain(import->domain))
		return ctl_misused(ctl, "--domain: \"%s\" is no domain name, such as example.org",
				   import->domain);
	return CTL_EXIT_OK;
}

int ctl_recipients_import(struct ctl *ctl, int argc, char **argv)
{
	struct import import = { .ctl = ctl, .domain = ctl_option(ctl, "domain"), .path = argv[1] };
	char *path;
	int code = check_arguments(ctl, &import);

	(void)argc;
	if (code != CTL_EXIT_OK)
		return code;
	ctl->socket_path = path = ctl_socket_path(ctl);
	if (path == NULL)
		return CTL_EXIT_USAGE;
	import.batch = json_array();
	import.refused = json_object();
	import.seen = memory_array(SEEN_SLOTS, sizeof(*import.seen));
	code = run(&import);
	for (size_t i = 0; i < SEEN_SLOTS; i++)
		free(import.seen[i]);
	free(import.seen);
	json_decref(import.refused);
	json_decref(import.batch);
	ctl->socket_path = NULL;
	free(path);
	return code;
}
