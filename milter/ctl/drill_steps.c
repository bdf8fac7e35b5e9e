/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps behind the acceptance: the message is followed through the queue and the mail log. One
 * thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/memory.h"
#include "core/tag.h"
#include "ctl/drill.h"
#include "ctl/interrupt.h"
#include "io/clock.h"

#define LOOK_MS 300   /* between two looks at the queue or the log */
#define HOLD_MS 10000 /* to be seen held, and no more held */
#define LOG_MS	10000 /* to be told of in the log, once it has left the queue */

/* ---- tagged ---- */

/* "Backup-MX-Status: ..." of a message's header, unfolded and with single blanks, as the daemon
 * tells it; how often it is there. */
static unsigned find_tag(const char *header, struct text *tag)
{
	static const char name[] = TAG_HEADER ":";
	unsigned count = 0;
	bool inside = false;

	while (*header != '\0') {
		size_t length = strcspn(header, "\n");
		size_t blanks = strspn(header, " \t");

		if (blanks == 0) {
			inside = strncasecmp(header, name, sizeof(name) - 1) == 0;
			count += inside;
		}
		if (inside && count == 1) {
			if (blanks > 0)
				text_add_char(tag, ' ');
			text_add_printable(tag, header + blanks, length - blanks);
		}
		header += length + (header[length] == '\n');
	}
	return count;
}

/* By the message itself, while it can be read. */
static enum drill_result check_header(const char *header, const char *told,
				      struct drill_words *words)
{
	char found[2 * TAG_VALUE_MAX];
	TEXT_ON(tag, found);
	unsigned count = find_tag(header, &tag);

	if (count == 1 && strcmp(found, told) == 0) {
		text_add_format(&words->seen, "%s (in the queued message)", found);
		return DRILL_PASS;
	}
	text_add_format(&words->seen, "the queued message has %u of the milter's %s headers", count,
			TAG_HEADER);
	if (count > 0)
		text_add_format(&words->seen, ", not as it was given: %s", found);
	text_add(&words->advice, "the MTA, or another filter behind the milter, changes headers: "
				 "see its configuration");
	return DRILL_FAIL;
}

enum drill_result drill_tagged(struct drill *drill, struct drill_words *words)
{
	const json_t *tag;
	enum drill_result result = DRILL_PASS;
	char *header = NULL;

	drill_ask(drill);
	tag = json_object_get(drill->told, "tag");
	if (!ctl_flag(drill->order, "tag")) {
		text_add(&words->seen, "tag = no for this domain");
		return DRILL_SKIP;
	}
	if (!json_is_string(tag)) {
		text_add(&words->seen, "the milter gave the message no tag");
		text_add(&words->advice, "the log of backupmx-milter says why");
		return DRILL_FAIL;
	}
	if (drill->has_queue && geteuid() == 0 && drill->queue_id[0] != '\0')
		header = drill->queue.kind->header(&drill->queue, drill->queue_id);
	if (header != NULL)
		result = check_header(header, json_string_value(tag), words);
	else
		text_add_format(&words->seen, "%s (by the milter's word)", json_string_value(tag));
	free(header);
	return result;
}

/* ---- queue-id ---- */

enum drill_result drill_queue_id(struct drill *drill, struct drill_words *words)
{
	const char *told = ctl_string(drill->told, "queue_id");

	if (drill->queue_id[0] == '\0' && queue_id_is_sane(told))
		text_copy(drill->queue_id, sizeof(drill->queue_id), told);
	if (drill->queue_id[0] == '\0') {
		text_add(&words->seen, "neither the MTA's reply nor the milter told one");
		text_add(&words->advice, "without it the message can't be followed: the MTA should "
					 "give the macro i to milters");
		return DRILL_FAIL;
	}
	text_add(&words->seen, drill->queue_id);
	text_copy(drill->followed, sizeof(drill->followed), drill->queue_id);
	return DRILL_PASS;
}

/* ---- the queue ---- */

static enum queue_place look(struct drill *drill, char *why, size_t size)
{
	return drill->queue.kind->look(&drill->queue, drill->queue_id, why, size);
}

/* Looks until it is seen held, or not; `why` of the last look. */
static enum queue_place wait_for_hold(struct drill *drill, bool held, char *why, size_t size)
{
	int64_t until = clock_now_ms() + HOLD_MS;
	enum queue_place place;

	do
		place = look(drill, why, size);
	while ((place == QUEUE_HELD) != held && place != QUEUE_GONE && clock_now_ms() < until &&
	       interrupt_sleep(LOOK_MS));
	return place;
}

enum drill_result drill_held(struct drill *drill, struct drill_words *words)
{
	char why[256];
	enum queue_place place = wait_for_hold(drill, true, why, sizeof(why));

	if (place == QUEUE_HELD) {
		text_add_format(&words->seen, "in the queue of %s, held", drill->queue.kind->mta);
		return DRILL_PASS;
	}
	if (interrupt_came())
		return drill_interrupted(words);
	if (place == QUEUE_UNSEEN)
		text_add_format(&words->seen, "the queue can't be looked at: %s", why);
	else
		text_add(&words->seen, place == QUEUE_GONE ? "it isn't in the queue (any more)"
							   : "it is in the queue, but not held");
	drill->gone = place == QUEUE_GONE;
	text_add(&words->advice, ctl_flag(drill->told, "held")
					 ? "the MTA was told to hold it: see its log, and that its "
					   "queue is the one looked at (--mta-config)"
					 : "the milter could not have it held: its log says why");
	return DRILL_FAIL;
}

enum drill_result drill_released(struct drill *drill, struct drill_words *words)
{
	char why[256];

	if (!drill->queue.kind->release(&drill->queue, drill->queue_id, why, sizeof(why))) {
		text_add(&words->seen, why);
		text_add(&words->advice, "see the MTA's log");
		return DRILL_FAIL;
	}
	if (wait_for_hold(drill, false, why, sizeof(why)) == QUEUE_HELD) {
		if (interrupt_came())
			return drill_interrupted(words);
		text_add(&words->seen, "it is held still");
		text_add(&words->advice, "see the MTA's log");
		return DRILL_FAIL;
	}
	text_add_format(&words->seen, "%s may deliver it now", drill->queue.kind->mta);
	return DRILL_PASS;
}

/* ---- the log ---- */

static void keep_outcome(struct drill *drill, enum mail_log_outcome outcome,
			 const struct mail_log_delivery *delivery)
{
	TEXT_ON(text, drill->outcome_text);

	drill->outcome = outcome;
	text_add_printable(&text, delivery->status.start, delivery->status.length);
	if (delivery->relay.length > 0) {
		text_add(&text, ", relay=");
		text_add_printable(&text, delivery->relay.start, delivery->relay.length);
	}
}

static void read_log(struct drill *drill)
{
	struct mail_log_delivery delivery;
	const char *line;

	while (drill->log_problem == NULL && (line = log_tail_next(&drill->log)) != NULL) {
		enum mail_log_outcome outcome =
			mail_log_outcome_of(line, drill->followed, &delivery);

		if (outcome != MAIL_LOG_NOTHING)
			keep_outcome(drill, outcome, &delivery);
		/* a filter beside the MTA has it now, and gives it back under another id */
		if (outcome == MAIL_LOG_PASSED_ON)
			queue_id_told(delivery.status.start, drill->followed);
	}
}

/* ---- left-queue ---- */

static enum drill_result fail_in_queue(struct drill *drill, struct drill_words *words)
{
	char why[512] = "";

	drill->queue.kind->delay(&drill->queue, drill->queue_id, why, sizeof(why));
	text_add_format(&words->seen, "still in the queue after %lld s",
			(long long)drill->wait_ms / 1000);
	if (drill->outcome == MAIL_LOG_DEFERRED)
		text_add_format(&words->seen, ": %s", drill->outcome_text);
	else if (why[0] != '\0')
		text_add_format(&words->seen, ": %s", why);
	text_add_format(&words->advice,
			"the MTA can't deliver to the primary, as it couldn't after an outage: "
			"backupmxctl probe %s, a firewall between, the MTA's transport and "
			"relayhost; or more time (--wait)",
			drill->domain);
	return DRILL_FAIL;
}

enum drill_result drill_left_queue(struct drill *drill, struct drill_words *words)
{
	int64_t until = clock_now_ms() + drill->wait_ms;
	enum queue_place place = QUEUE_UNSEEN;
	char why[256] = "there is no program to look at its queue";

	while (drill->has_queue) {
		place = look(drill, why, sizeof(why));
		read_log(drill);
		if (place == QUEUE_GONE || place == QUEUE_UNSEEN || clock_now_ms() >= until ||
		    !interrupt_sleep(LOOK_MS))
			break;
	}
	drill->gone = place == QUEUE_GONE;
	if (drill->gone) {
		text_add(&words->seen, "it is in the queue no more");
		return DRILL_PASS;
	}
	if (interrupt_came())
		return drill_interrupted(words);
	if (place != QUEUE_UNSEEN)
		return fail_in_queue(drill, words);
	text_add_format(&words->seen, "the queue can't be looked at: %s", why);
	text_add(&words->advice,
		 drill->has_queue
			 ? "be root; --mta-config PATH says where the MTA has its configuration"
			 : "neither postqueue nor sendmail is here");
	return DRILL_SKIP;
}

/* ---- delivered ---- */

static enum drill_result judge_log(struct drill *drill, struct drill_words *words)
{
	bool known = drill->outcome != MAIL_LOG_NOTHING;

	if (known)
		text_add_format(&words->seen, "status=%s", drill->outcome_text);
	else
		text_add_format(&words->seen, "nothing in %s says what became of it",
				drill->log.path);
	switch (drill->outcome) {
	case MAIL_LOG_SENT:
		return DRILL_PASS;
	case MAIL_LOG_BOUNCED:
		text_add(&words->advice,
			 "the primary refuses what this host passes on, so after an outage mail "
			 "would bounce: let it trust this host (backupmxctl check has the lines)");
		return DRILL_FAIL;
	case MAIL_LOG_DEFERRED:
		text_add(&words->advice, "the MTA could not deliver it yet: see its log");
		return DRILL_FAIL;
	case MAIL_LOG_PASSED_ON:
		text_add(&words->advice, "a filter of this host has it: its log tells the rest");
		return DRILL_SKIP;
	default:
		text_add(&words->advice, "is that the MTA's log? --mail-log FILE names another");
		return DRILL_SKIP;
	}
}

enum drill_result drill_delivered(struct drill *drill, struct drill_words *words)
{
	int64_t until = clock_now_ms() + (drill->gone ? LOG_MS : drill->wait_ms);

	if (drill->log_problem != NULL) {
		text_add_format(&words->seen, "the mail log can't be read: %s", drill->log_problem);
		text_add(&words->advice, "whether it was delivered or bounced only the log tells: "
					 "be root, or name the log by --mail-log FILE");
		/* a Debian or Fedora as it is installed today has no other log than the journal */
		if (drill->queue_id[0] != '\0')
			text_add_format(&words->advice,
					"; where only the journal has it: "
					"journalctl --since -1h --grep %s",
					drill->queue_id);
		return DRILL_SKIP;
	}
	do
		read_log(drill);
	while (drill->outcome != MAIL_LOG_SENT && drill->outcome != MAIL_LOG_BOUNCED &&
	       clock_now_ms() < until && interrupt_sleep(LOOK_MS));
	if (drill->outcome == MAIL_LOG_SENT)
		drill->gone = true;
	else if (interrupt_came())
		return drill_interrupted(words);
	return judge_log(drill, words);
}
