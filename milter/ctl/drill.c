/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "drill": the fire drill's beginning, the run through its steps (ctl/drill.h), and its end, which
 * comes whatever happened: the token is withdrawn and no message is left behind. One thread.
 */
#include "ctl/drill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/memory.h"
#include "ctl/interrupt.h"
#include "ctl/terminal.h"
#include "io/clock.h"

#define PATIENCE     15	 /* seconds that the daemon may take for an answer */
#define WAIT_DEFAULT 120 /* seconds */
#define WAIT_MAX     3600
#define LOCK_MS	     600000 /* to wait for another drill */
#define LOCK_LOOK_MS 300

static const struct {
	const char *name;
	drill_step run;
	bool held_only;
} steps[] = {
	{ "accepted", drill_accepted, false },	 { "tagged", drill_tagged, false },
	{ "queue-id", drill_queue_id, false },	 { "held", drill_held, true },
	{ "released", drill_released, true },	 { "left-queue", drill_left_queue, false },
	{ "delivered", drill_delivered, false },
};

/* One run of the command. */
struct run {
	struct ctl *ctl;  /* as it was called */
	struct ctl quiet; /* the same, for what may fail without being an error of the command */
	char problem[CTL_PROBLEM_MAX];
	struct drill drill;
	struct terminal terminal;
	char *socket_path;
	char *log_path;
	json_t *steps, *notes;
	bool alone; /* no other drill of this host runs */
	bool failed;
};

/* ---- what is said ---- */

static json_t *text_or_null(const char *string)
{
	return string[0] != '\0' ? ctl_printable(string) : json_null();
}

static void __attribute__((format(printf, 2, 3))) note(struct run *run, const char *format, ...)
{
	char line[DRILL_WORDS_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	json_array_append_new(run->notes, text_or_null(line));
	if (run->ctl->json)
		return;
	terminal_paragraph(&run->terminal, "  note: ", line);
	fflush(stdout);
}

static void tell_step(struct run *run, const char *name, enum drill_result result, int64_t ms,
		      const struct drill_words *words)
{
	static const char *const names[] = { "PASS", "FAIL", "SKIP" };
	static const enum terminal_tone tones[] = { TERMINAL_GOOD, TERMINAL_BAD, TERMINAL_FAINT };
	char first[32];
	char line[DRILL_WORDS_MAX + 32];
	TEXT_ON(text, line);

	json_array_append_new(run->steps, json_pack("{s:s, s:s, s:I, s:o, s:o}", "step", name,
						    "result", names[result], "ms", (json_int_t)ms,
						    "seen", text_or_null(words->seen_bytes),
						    "advice", text_or_null(words->advice_bytes)));
	if (run->ctl->json)
		return;
	snprintf(first, sizeof(first), "  %s  %-11s ", names[result], name);
	if (result != DRILL_SKIP)
		text_add_format(&text, "%lld ms: ", (long long)ms);
	text_add(&text, words->seen_bytes);
	terminal_marked(&run->terminal, tones[result], first, line);
	if (words->advice_bytes[0] != '\0')
		terminal_paragraph(&run->terminal, "                    ", words->advice_bytes);
	fflush(stdout); /* as it happens */
}

enum drill_result drill_interrupted(struct drill_words *words)
{
	text_add_format(&words->seen, "interrupted by %s", interrupt_name());
	return DRILL_FAIL;
}

/* ---- asking ---- */

bool drill_ask(struct drill *drill)
{
	json_t *told;

	ctl_ask(drill->ctl,
		json_pack("{s:s, s:s}", "command", "drill_result", "token",
			  ctl_string(drill->order, "token")),
		&told);
	json_decref(drill->told);
	drill->told = told != NULL ? told : json_object();
	return told != NULL;
}

/* ---- leftovers ---- */

static bool has_mark(const char *header)
{
	static const char mark[] = "\n" DRILL_HEADER ":";

	return header != NULL &&
	       (strstr(header, mark) != NULL || strncmp(header, mark + 1, strlen(mark + 1)) == 0);
}

struct sweep {
	struct drill *drill;
	unsigned removed;
};

static void sweep_one(void *arg, const char *id, const char *reason)
{
	struct sweep *sweep = arg;
	struct queue *queue = &sweep->drill->queue;
	char *header = queue->kind->header(queue, id);
	bool is_ours = reason != NULL ? strcmp(reason, DRILL_HOLD_REASON) == 0 : has_mark(header);
	char why[256];

	if (is_ours && queue->kind->remove(queue, id, why, sizeof(why)))
		sweep->removed++;
	free(header);
}

/* Removes each held message that bears the mark; *removed says how many. False: the queue can't be
 * looked at, or we are not root. */
static bool sweep(struct drill *drill, unsigned *removed)
{
	struct sweep sweep = { .drill = drill };
	bool done = drill->has_queue && geteuid() == 0 &&
		    drill->queue.kind->each_held(&drill->queue, sweep_one, &sweep);

	*removed = sweep.removed;
	return done;
}

/* Held messages of drills that were killed: nobody else's drill runs, or they were its. False: the
 * queue can't be looked at. */
static bool sweep_killed(struct run *run)
{
	unsigned removed;
	bool done = sweep(&run->drill, &removed);

	if (removed > 0)
		note(run, "%u held message%s of a drill that was killed %s removed from the queue",
		     removed, removed > 1 ? "s" : "", removed > 1 ? "were" : "was");
	return done;
}

/* A message that is held where we can't see it could be neither released nor removed. */
static int sweep_before(struct run *run)
{
	if (!sweep_killed(run) && run->drill.hold)
		return ctl_fail(run->ctl, CTL_EXIT_NO,
				"--hold: the MTA's queue can't be looked at, so nothing was sent; "
				"--mta-config PATH says where the MTA has its configuration");
	return CTL_EXIT_OK;
}

/* ---- one drill at a time ---- */

/* Of the daemon's own user's drills. The file is new, so it is nobody else's. */
static void give_to_owner(int fd, const char *socket_path)
{
	struct stat socket;

	if (geteuid() == 0 && lstat(socket_path, &socket) == 0 && S_ISSOCK(socket.st_mode) &&
	    fchown(fd, socket.st_uid, (gid_t)-1) != 0)
		return; /* then root alone drills */
}

/* A file beside the control socket, which only those can open who may drill: root and the owner of
 * that folder. Anybody else's lock would hold up all drills. -1 and errno. */
static int open_lock(const char *socket_path)
{
	char *path = memory_format("%s.drill", socket_path);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0)
		give_to_owner(fd, socket_path);
	else if (errno == EEXIST)
		fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	free(path);
	return fd;
}

/* CTL_EXIT_OK once no other drill of this host runs; the lock ends with the process. */
static int take_turn(struct run *run)
{
	int64_t until = clock_now_ms() + LOCK_MS;
	int fd = open_lock(run->socket_path);
	bool said = false;

	if (fd < 0)
		return CTL_EXIT_OK; /* who may not drill, or where there is no daemon, hears soon */
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK || clock_now_ms() >= until)
			return ctl_fail(run->ctl, CTL_EXIT_NO,
					"another drill runs on this host, and doesn't end");
		if (!said)
			note(run, "another drill runs on this host: this one waits for its end");
		said = true;
		if (!interrupt_sleep(LOCK_LOOK_MS))
			return ctl_fail(run->ctl, CTL_EXIT_NO, "interrupted; nothing was sent");
	}
	run->alone = true;
	return CTL_EXIT_OK;
}

/* ---- the beginning ---- */

/* The recipient as it is sent: with the domain as the daemon writes it. */
static int read_recipient(struct run *run, const char *typed)
{
	struct mail_address address;

	mail_address_parse(typed, &address);
	if (address.kind != MAIL_ADDRESS_MAILBOX)
		return ctl_misused(run->ctl, "--to %s: that is no mail address", typed);
	if (!text_is_ascii(address.local))
		return ctl_misused(run->ctl, "--to %s: only an ASCII local part can be drilled",
				   typed);
	text_copy(run->drill.recipient, sizeof(run->drill.recipient), address.local);
	return CTL_EXIT_OK;
}

static int read_wait(struct run *run)
{
	const char *word = ctl_option(run->ctl, "wait");
	int64_t seconds = WAIT_DEFAULT;

	if (word != NULL && (!duration_parse(word, &seconds) || seconds < 1 || seconds > WAIT_MAX))
		return ctl_misused(run->ctl, "--wait %s: write 1s to 1h", word);
	run->drill.wait_ms = seconds * 1000;
	return CTL_EXIT_OK;
}

static int read_arguments(struct run *run)
{
	struct drill *drill = &run->drill;
	const char *to = ctl_option(run->ctl, "to");
	int code;

	if (to == NULL)
		return ctl_misused(run->ctl, "--to ADDR is missing: a recipient who exists, and "
					     "doesn't mind a small test mail");
	code = read_recipient(run, to);
	if (code == CTL_EXIT_OK)
		code = read_wait(run);
	if (code != CTL_EXIT_OK)
		return code;
	drill->hold = ctl_option(run->ctl, "hold") != NULL;
	drill->has_queue = queue_open(&drill->queue, ctl_option(run->ctl, "mta-config"));
	if (drill->hold && geteuid() != 0)
		return ctl_fail(run->ctl, CTL_EXIT_NO,
				"--hold needs root: a held message has to be released");
	if (drill->hold && !drill->has_queue)
		return ctl_fail(run->ctl, CTL_EXIT_NO,
				"--hold needs the MTA's queue programs: neither postqueue nor "
				"sendmail is here");
	return CTL_EXIT_OK;
}

/* The first of those that are there; where there is none, the problem is the first's. */
static void open_log(struct run *run)
{
	static const char *const usual[] = { "/var/log/mail.log", "/var/log/maillog" };
	struct drill *drill = &run->drill;
	const char *given = ctl_option(run->ctl, "mail-log");
	int error;

	if (given != NULL)
		run->log_path = memory_string(given);
	else if (drill->has_queue)
		run->log_path = drill->queue.kind->mail_log(&drill->queue);
	for (size_t i = 0; run->log_path == NULL && i < sizeof(usual) / sizeof(usual[0]); i++)
		if (access(usual[i], F_OK) == 0)
			run->log_path = memory_string(usual[i]);
	if (run->log_path == NULL) {
		drill->log_problem = "there is neither /var/log/mail.log nor /var/log/maillog";
		return;
	}
	error = log_tail_open(&drill->log, run->log_path);
	if (error != 0)
		drill->log_problem = strerror(error);
}

static int ask_for_token(struct run *run, const char *domain)
{
	struct drill *drill = &run->drill;
	size_t length = strlen(drill->recipient);
	int code = ctl_ask(run->ctl,
			   json_pack("{s:s, s:s, s:s, s:b, s:b}", "command", "drill", "domain",
				     domain, "recipient", ctl_option(run->ctl, "to"), "hold",
				     drill->hold, "alone", run->alone),
			   &drill->order);

	if (drill->order == NULL)
		return code != CTL_EXIT_OK ? code : CTL_EXIT_NO;
	text_copy(drill->domain, sizeof(drill->domain), ctl_string(drill->order, "domain"));
	snprintf(drill->recipient + length, sizeof(drill->recipient) - length, "@%s",
		 drill->domain);
	return CTL_EXIT_OK;
}

/* ---- the run ---- */

static void run_step(struct run *run, size_t i)
{
	struct drill_words words;
	int64_t since = clock_now_ms();
	enum drill_result result = DRILL_SKIP;

	text_init(&words.seen, words.seen_bytes, sizeof(words.seen_bytes));
	text_init(&words.advice, words.advice_bytes, sizeof(words.advice_bytes));
	if (run->failed)
		text_add(&words.seen, "not reached");
	else if (interrupt_came())
		result = drill_interrupted(&words);
	else
		result = steps[i].run(&run->drill, &words);
	run->failed = run->failed || result == DRILL_FAIL;
	tell_step(run, steps[i].name, result,
		  run->failed && result == DRILL_SKIP ? 0 : clock_now_ms() - since, &words);
}

static void run_steps(struct run *run)
{
	const char *state = ctl_string(run->drill.order, "state");

	if (!run->ctl->json) {
		printf("drill of %s by a mail to %s\n", run->drill.domain, run->drill.recipient);
		fflush(stdout);
	}
	if (strstr(state, "up") == NULL)
		note(run, "%s is %s just now: the drill can't end well before it is up",
		     run->drill.domain, state);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (run->drill.hold || !steps[i].held_only)
			run_step(run, i);
}

/* ---- the end ---- */

/* The daemon's last word; *told is empty when there is none. */
static void end_token(struct run *run)
{
	struct drill *drill = &run->drill;
	json_t *answer;

	ctl_ask(&run->quiet,
		json_pack("{s:s, s:s, s:s}", "command", "drill_end", "token",
			  ctl_string(drill->order, "token"), "result",
			  run->failed ? "fail" : "pass"),
		&answer);
	if (answer == NULL)
		note(run, "%s; %s", run->problem,
		     run->failed ? "the token ends by itself, in five minutes at most"
				 : "so this isn't counted as the last drill that passed");
	json_decref(drill->told);
	drill->told = answer != NULL ? answer : json_object();
}

static void remove_message(struct run *run)
{
	struct drill *drill = &run->drill;
	unsigned removed;
	char why[256];
	char command[128];

	if (drill->queue_id[0] == '\0' && queue_id_is_sane(ctl_string(drill->told, "queue_id")))
		text_copy(drill->queue_id, sizeof(drill->queue_id),
			  ctl_string(drill->told, "queue_id"));
	if (!drill->has_queue || drill->queue_id[0] == '\0') {
		sweep(drill, &removed);
		note(run, removed > 0 ? "its held message was removed"
				      : "its message may still be in the MTA's queue, as any "
					"other mail");
		return;
	}
	drill->queue.kind->say_remove(drill->queue_id, command, sizeof(command));
	if (geteuid() == 0 &&
	    drill->queue.kind->remove(&drill->queue, drill->queue_id, why, sizeof(why)))
		note(run, "message %s was removed from the queue", drill->queue_id);
	else if (drill->queue.kind->look(&drill->queue, drill->queue_id, why, sizeof(why)) !=
		 QUEUE_GONE)
		note(run, "message %s stays in the queue, %s; to remove it, as root: %s",
		     drill->queue_id,
		     ctl_flag(drill->told, "held") ? "held or about to be delivered"
						   : "and is delivered like any other",
		     command);
}

/* From the moment that there is a token, every way out leads through here. */
static int finish(struct run *run)
{
	struct drill *drill = &run->drill;
	const char *result = run->failed ? "FAIL" : "PASS";
	json_t *document;

	end_token(run);
	if (run->failed && !drill->gone && (drill->sent || ctl_flag(drill->told, "held")))
		remove_message(run);
	if (run->alone) /* the MTA may have been at work on one when we began */
		sweep_killed(run);
	document = json_pack("{s:s, s:s, s:s, s:O, s:o, s:O}", "domain", drill->domain, "recipient",
			     drill->recipient, "result", result, "steps", run->steps, "queue_id",
			     text_or_null(drill->queue_id), "notes", run->notes);
	if (!ctl_print_json(run->ctl, document)) {
		fputs("result: ", stdout);
		terminal_print(&run->terminal, run->failed ? TERMINAL_BAD : TERMINAL_GOOD, result);
		putchar('\n');
	}
	json_decref(document);
	return run->failed ? CTL_EXIT_NO : CTL_EXIT_OK;
}

static int drill_domain(struct run *run, const char *domain)
{
	int code = read_arguments(run);

	if (code != CTL_EXIT_OK)
		return code;
	run->socket_path = ctl_socket_path(run->ctl);
	if (run->socket_path == NULL)
		return CTL_EXIT_USAGE;
	run->ctl->socket_path = run->quiet.socket_path = run->socket_path;
	interrupt_catch();
	code = take_turn(run);
	if (code == CTL_EXIT_OK)
		code = sweep_before(run);
	if (code == CTL_EXIT_OK)
		code = ask_for_token(run, domain);
	if (code != CTL_EXIT_OK)
		return code;
	open_log(run);
	run_steps(run);
	return finish(run);
}

int ctl_drill(struct ctl *ctl, int argc, char **argv)
{
	struct run run = { .ctl = ctl, .steps = json_array(), .notes = json_array() };
	int code;

	(void)argc;
	ctl->patience = PATIENCE;
	run.quiet = *ctl;
	run.quiet.problem = run.problem;
	run.drill.ctl = &run.quiet;
	run.drill.told = json_object();
	run.drill.log.fd = -1;
	terminal_init(&run.terminal, stdout);
	code = drill_domain(&run, argv[1]);
	ctl->socket_path = NULL;
	log_tail_close(&run.drill.log);
	json_decref(run.drill.told);
	json_decref(run.drill.order);
	json_decref(run.steps);
	json_decref(run.notes);
	free(run.log_path);
	free(run.socket_path);
	return code;
}
