/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fire drill (DESIGN section 10) from this side: one marked message through the own MTA, step by
 * step. milter/ctl/drill.c has its beginning and its end, drill_mail.c sends, drill_steps.c follows
 * the message. One thread.
 */
#ifndef BACKUPMX_CTL_DRILL_H
#define BACKUPMX_CTL_DRILL_H

#include <stdint.h>

#include "base/text.h"
#include "core/drill_marks.h"
#include "core/mail_address.h"
#include "core/mail_log.h"
#include "ctl/ctl.h"
#include "ctl/log_tail.h"
#include "ctl/queue.h"

#define DRILL_WORDS_MAX 1024

enum drill_result { DRILL_PASS, DRILL_FAIL, DRILL_SKIP };

/* What a step says: what was seen, and, of FAIL and SKIP, what to do about it. */
struct drill_words {
	struct text seen, advice;
	char seen_bytes[DRILL_WORDS_MAX], advice_bytes[DRILL_WORDS_MAX];
};

struct drill {
	struct ctl *ctl; /* its errors are not printed */
	char domain[MAIL_DOMAIN_MAX + 1];
	char recipient[DRILL_RECIPIENT_MAX + 1];
	bool hold;
	int64_t wait_ms; /* until the message has left the queue */
	json_t *order;	 /* the daemon's answer to "drill" */
	json_t *told;	 /* its last one to "drill_result", an object */
	struct queue queue;
	bool has_queue;
	struct log_tail log;
	const char *log_problem; /* why it can't be read; NULL: it is read */
	char queue_id[QUEUE_ID_MAX + 1];
	bool sent; /* the message was sent whole: the MTA has it, unless it said no */
	bool gone; /* it has left the queue */
	enum mail_log_outcome outcome; /* by the log, so far */
	char outcome_text[512];
	char followed[QUEUE_ID_MAX + 1]; /* the queue id that the log is read by */
};

/* A step: looks, and says what it saw. */
typedef enum drill_result (*drill_step)(struct drill *drill, struct drill_words *words);

enum drill_result drill_accepted(struct drill *drill, struct drill_words *words);
enum drill_result drill_tagged(struct drill *drill, struct drill_words *words);
enum drill_result drill_queue_id(struct drill *drill, struct drill_words *words);
enum drill_result drill_held(struct drill *drill, struct drill_words *words);
enum drill_result drill_released(struct drill *drill, struct drill_words *words);
enum drill_result drill_left_queue(struct drill *drill, struct drill_words *words);
enum drill_result drill_delivered(struct drill *drill, struct drill_words *words);

/* Asks the daemon anew how it goes: drill->told. False: it doesn't answer; `told` is empty then. */
bool drill_ask(struct drill *drill);

/* DRILL_FAIL, after "interrupted by SIGINT". */
enum drill_result drill_interrupted(struct drill_words *words);

#endif
