/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The opening of an SMTP session: for each stage, what entering it sends and what a reply means.
 * Pure; the owner's thread.
 */
#include "core/smtp_dialog.h"

#include <string.h>

#include "base/text.h"

void smtp_dialog_init(struct smtp_dialog *dialog, const struct smtp_dialog_plan *plan)
{
	*dialog = (struct smtp_dialog){ .plan = *plan, .reason = HEALTH_LOST };
	if (plan->level == HEALTH_LEVEL_STARTTLS)
		dialog->plan.tls = SMTP_DIALOG_TLS_MUST;
}

static enum smtp_dialog_action fail(struct smtp_dialog *dialog, enum health_reason reason)
{
	dialog->reason = reason;
	return SMTP_DIALOG_FAILED;
}

static enum smtp_dialog_action enter_open(struct smtp_dialog *dialog)
{
	dialog->stage = SMTP_DIALOG_AT_OPEN;
	dialog->reason = HEALTH_OK;
	return SMTP_DIALOG_OPEN;
}

static enum smtp_dialog_action enter_command(struct smtp_dialog *dialog,
					     enum smtp_dialog_stage stage, const char *verb,
					     const char *argument)
{
	TEXT_ON(line, dialog->command);

	dialog->stage = stage;
	text_add(&line, verb);
	if (argument != NULL) {
		text_add_char(&line, ' ');
		text_add_printable(&line, argument, strlen(argument));
	}
	text_add(&line, "\r\n");
	return SMTP_DIALOG_SEND;
}

enum smtp_dialog_action smtp_dialog_connected(struct smtp_dialog *dialog)
{
	dialog->stage = SMTP_DIALOG_AT_BANNER;
	if (dialog->plan.level == HEALTH_LEVEL_CONNECT)
		return enter_open(dialog);
	return SMTP_DIALOG_WAIT;
}

/* An answer that is no 2xx at a stage where nothing else lets us go on. */
static enum health_reason refusal(const struct smtp_reply *reply, enum health_reason on_4xx,
				  enum health_reason on_5xx)
{
	if (reply->code >= 500)
		return on_5xx;
	if (reply->code >= 400)
		return on_4xx;
	return HEALTH_PROTOCOL;
}

static bool is_2xx(const struct smtp_reply *reply)
{
	return reply->code >= 200 && reply->code < 300;
}

static enum smtp_dialog_action reply_at_banner(struct smtp_dialog *dialog,
					       const struct smtp_reply *reply)
{
	if (!is_2xx(reply))
		return fail(dialog, refusal(reply, HEALTH_BANNER_4XX, HEALTH_BANNER_5XX));
	smtp_reply_host(reply, dialog->host, sizeof(dialog->host));
	if (dialog->plan.self != NULL && mx_identity_has_name(dialog->plan.self, dialog->host))
		return fail(dialog, HEALTH_LOOP);
	if (dialog->plan.level == HEALTH_LEVEL_BANNER)
		return enter_open(dialog);
	return enter_command(dialog, SMTP_DIALOG_AT_EHLO, "EHLO", dialog->plan.helo);
}

/* After EHLO or HELO was accepted: TLS next, or done. */
static enum smtp_dialog_action greeted(struct smtp_dialog *dialog, const struct smtp_reply *reply)
{
	/* what was offered before TLS counts no more behind it (RFC 3207 4.2) */
	dialog->offers_starttls = reply->has_starttls && !dialog->ehlo_refused;
	dialog->offers_pipelining = reply->has_pipelining && !dialog->ehlo_refused;
	dialog->offers_smtputf8 = reply->has_smtputf8 && !dialog->ehlo_refused;
	dialog->offers_dsn = reply->has_dsn && !dialog->ehlo_refused;
	dialog->offers_8bitmime = reply->has_8bitmime && !dialog->ehlo_refused;
	dialog->offers_size = reply->has_size && !dialog->ehlo_refused;
	dialog->size_limit = dialog->offers_size ? reply->size_limit : 0;
	if (dialog->secure || dialog->plan.tls == SMTP_DIALOG_TLS_NONE)
		return enter_open(dialog);
	if (dialog->offers_starttls)
		return enter_command(dialog, SMTP_DIALOG_AT_STARTTLS, "STARTTLS", NULL);
	if (dialog->plan.tls == SMTP_DIALOG_TLS_MUST)
		return fail(dialog, HEALTH_TLS_FAIL);
	return enter_open(dialog);
}

static enum smtp_dialog_action reply_at_ehlo(struct smtp_dialog *dialog,
					     const struct smtp_reply *reply)
{
	if (is_2xx(reply))
		return greeted(dialog, reply);
	if (reply->code >= 500 && !dialog->ehlo_refused) {
		dialog->ehlo_refused = true;
		return enter_command(dialog, SMTP_DIALOG_AT_HELO, "HELO", dialog->plan.helo);
	}
	return fail(dialog, refusal(reply, HEALTH_EHLO_4XX, HEALTH_EHLO_5XX));
}

static enum smtp_dialog_action reply_at_starttls(struct smtp_dialog *dialog,
						 const struct smtp_reply *reply)
{
	if (reply->code == 220) {
		dialog->stage = SMTP_DIALOG_AT_HANDSHAKE;
		return SMTP_DIALOG_START_TLS;
	}
	if (dialog->plan.tls == SMTP_DIALOG_TLS_MUST)
		return fail(dialog, HEALTH_TLS_FAIL);
	return enter_open(dialog);
}

enum smtp_dialog_action smtp_dialog_tls_done(struct smtp_dialog *dialog)
{
	dialog->secure = true;
	return enter_command(dialog, SMTP_DIALOG_AT_EHLO, "EHLO", dialog->plan.helo);
}

enum smtp_dialog_action smtp_dialog_reply(struct smtp_dialog *dialog,
					  const struct smtp_reply *reply)
{
	switch (dialog->stage) {
	case SMTP_DIALOG_AT_BANNER:
		return reply_at_banner(dialog, reply);
	case SMTP_DIALOG_AT_EHLO:
	case SMTP_DIALOG_AT_HELO:
		return reply_at_ehlo(dialog, reply);
	case SMTP_DIALOG_AT_STARTTLS:
		return reply_at_starttls(dialog, reply);
	case SMTP_DIALOG_AT_HANDSHAKE:
	case SMTP_DIALOG_AT_OPEN:
		break;
	}
	return fail(dialog, HEALTH_PROTOCOL); /* it speaks out of turn */
}
