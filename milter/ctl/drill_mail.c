/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The drill's message, sent to [flush] mta as any client would: the step "accepted". It goes no
 * further than RCPT when the milter hasn't recognised it: else an ordinary mail would be sent. One
 * thread.
 */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "conf/options.h"
#include "conf/values.h"
#include "core/smtp_dialog.h"
#include "ctl/drill.h"
#include "ctl/interrupt.h"
#include "ctl/mail_session.h"
#include "io/netif.h"

#define SMTP_PORT    25
#define MESSAGE_SIZE 4096

/* ---- where to ---- */

static bool look_up(const char *host, struct ip_port *endpoint)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	struct ip_port first;
	bool is;

	if (getaddrinfo(host, NULL, &hints, &found) != 0)
		return false;
	is = ip_from_sockaddr(found->ai_addr, &first);
	endpoint->ip = first.ip;
	freeaddrinfo(found);
	return is;
}

/* The daemon's own [flush] mta. */
static bool find_mta(const char *mta, struct ip_port *endpoint)
{
	char wrong[VALUE_WRONG_MAX];
	struct value value;

	if (!value_read(options_find("flush", "mta"), mta, &value, wrong, sizeof(wrong)))
		return false;
	*endpoint = (struct ip_port){ .ip = value.ip,
				      .port = value.port != 0 ? value.port : SMTP_PORT };
	if (endpoint->ip.family != IP_NONE)
		return true;
	if (strcmp(value.name, "localhost") == 0)
		return ip_parse("127.0.0.1", &endpoint->ip);
	return look_up(value.name, endpoint);
}

/* ---- what is sent ---- */

static void write_message(const struct drill *drill, const char *host, struct text *out)
{
	char date[64];
	time_t now = time(NULL);
	struct tm utc;

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&now, &utc));
	text_add_format(out, "From: Backup MX drill <postmaster@%s>\r\n", host);
	text_add_format(out, "To: <%s>\r\n", drill->recipient);
	text_add_format(out, "Date: %s\r\n", date);
	text_add_format(out, "Message-ID: <drill.%lld.%ld@%s>\r\n", (long long)now, (long)getpid(),
			host);
	text_add_format(out, "Subject: Fire drill of the backup MX %s\r\n", host);
	text_add(out, "Auto-Submitted: auto-generated\r\n");
	text_add_format(out, DRILL_HEADER ": %s\r\n", drill->domain);
	text_add(out, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n");
	text_add_format(out,
			"This is a test, made by \"backupmxctl drill\" on\r\n"
			"  %s,\r\n"
			"which is a backup MX of\r\n"
			"  %s.\r\n\r\n"
			"It went the way that mail goes while the primary mail server is away:\r\n"
			"taken by the backup%s and passed on to the primary. That it\r\n"
			"has arrived says that this works. Nothing else was changed for it, and\r\n"
			"no other mail was delayed.\r\n\r\n"
			"You can delete it.\r\n",
			host, drill->domain, drill->hold ? ", held in its queue," : "");
}

/* ---- what went wrong ---- */

static void say_reply(struct text *text, const struct smtp_reply *reply)
{
	char enhanced[24];

	smtp_enhanced_format(&reply->enhanced, enhanced, sizeof(enhanced));
	text_add_format(text, "%d%s%s %s", reply->code, enhanced[0] != '\0' ? " " : "", enhanced,
			reply->text);
}

/* The milter's own words of why. */
static const char *advice_by_reason(const char *reason)
{
	static const char *const advices[][2] = {
		{ "invalid-recipient",
		  "the primary said that there is no such user: drill with somebody who exists; if "
		  "it is wrong, backupmxctl recipients forget ADDRESS" },
		{ "unknown-recipient",
		  "this recipient wasn't known here, so in an outage mail for it has to wait; the "
		  "primary is asked about it now: drill again in some seconds. If it stays so: "
		  "backupmxctl recipients import FILE, or drill with one that is known "
		  "(backupmxctl recipients list)" },
		{ "catch-all", "when_catch_all = defer: in an outage no mail of this catch-all "
			       "domain is taken" },
		{ "primary-sick", "the primary answers, but refuses its own users: see backupmxctl "
				  "status, and mend "
				  "it there" },
		{ "unverified", "this recipient isn't known here, and the primary gave no answer "
				"in time: backupmxctl recipients import FILE" },
		{ "not-ours", "the domain isn't one of ours (any more): see backupmxctl status" },
		{ "not-backup", "by its MX records this host is no backup for the domain: "
				"backupmxctl check says more" },
	};

	for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (strcmp(reason, advices[i][0]) == 0)
			return advices[i][1];
	return "backupmxctl explain tells how it was decided";
}

static bool was_decided(const struct drill *drill)
{
	return json_is_string(json_object_get(drill->told, "action"));
}

static bool was_seen(const struct drill *drill)
{
	const char *state = ctl_string(drill->told, "state");

	return strcmp(state, "waiting") != 0 && strcmp(state, "expired") != 0 &&
	       strcmp(state, "-") != 0;
}

/* The session ended, or the MTA said no, at `what`. */
static enum drill_result fail_at(struct drill *drill, struct drill_words *words, const char *what,
				 const struct mail_answer *answer)
{
	if (answer->interrupted)
		return drill_interrupted(words);
	text_add_format(&words->seen, "%s: ", what);
	if (!answer->replied) {
		text_add(&words->seen, health_reason_name(answer->reason));
		text_add_format(&words->advice,
				"the MTA at %s has to answer: it is [flush] mta, which the flush "
				"after an outage goes to, as well",
				ctl_string(drill->order, "mta"));
		return DRILL_FAIL;
	}
	say_reply(&words->seen, &answer->reply);
	drill_ask(drill);
	if (was_decided(drill) && strcmp(ctl_string(drill->told, "state"), "refused") == 0)
		text_add(&words->advice, advice_by_reason(ctl_string(drill->told, "reason")));
	else if (strncmp(what, "MAIL", 4) == 0)
		text_add(&words->advice,
			 "the MTA refused it before the milter was asked, or can't reach the "
			 "milter: see the MTA's log");
	else if (strncmp(what, "RCPT", 4) == 0)
		text_add_format(&words->advice,
				"that is the MTA's own answer, the milter wasn't asked: it must "
				"relay %s (relay_domains in Postfix); backupmxctl check %s "
				"says more",
				drill->domain, drill->domain);
	else
		text_add(&words->advice, "something else in the MTA refuses the message, as it "
					 "would refuse others in an outage: see its log");
	return DRILL_FAIL;
}

/* RCPT was accepted; but by whom? */
static enum drill_result check_verdict(struct drill *drill, struct drill_words *words)
{
	const char *action;

	if (!drill_ask(drill)) {
		text_add(&words->seen, "the MTA took the recipient, but the daemon doesn't answer "
				       "any more");
		text_add(&words->advice, "see its log: systemctl status backupmx-milter");
		return DRILL_FAIL;
	}
	action = ctl_string(drill->told, "action");
	if (!was_seen(drill)) {
		text_add(&words->seen, "the MTA took the recipient, but the milter has not seen "
				       "the drill");
		text_add(&words->advice,
			 "the MTA asks no milter for clients of its own host (smtpd_milters in "
			 "Postfix), or another daemon's: backupmxctl check says more");
		return DRILL_FAIL;
	}
	if (!was_decided(drill)) {
		text_add(&words->seen, "the MTA took the recipient, but to the milter it was no "
				       "drill");
		text_add(&words->advice, "the log of backupmx-milter says why");
		return DRILL_FAIL;
	}
	if (strcmp(action, "accept") != 0) {
		text_add_format(&words->seen, "the milter says \"%s\" (%s)", action,
				ctl_string(drill->told, "reason"));
		text_add(&words->advice, advice_by_reason(ctl_string(drill->told, "reason")));
		return DRILL_FAIL;
	}
	return DRILL_PASS;
}

/* ---- the dialogue ---- */

static enum drill_result send_envelope(struct drill *drill, struct mail_session *session,
				       struct drill_words *words)
{
	struct mail_answer answer;
	char line[SMTP_COMMAND_MAX];

	if (!mail_session_offers_dsn(session)) {
		text_add(&words->seen, "the MTA doesn't offer DSN, by which the drill is marked");
		text_add(&words->advice, "let it offer DSN to its own host: see "
					 "smtpd_discard_ehlo_keywords in Postfix, PrivacyOptions "
					 "(noreceipts) in Sendmail");
		return DRILL_FAIL;
	}
	snprintf(line, sizeof(line), "MAIL FROM:<> ENVID=drill-%s",
		 ctl_string(drill->order, "token"));
	if (!mail_session_command(session, line, &answer))
		return fail_at(drill, words, "MAIL FROM", &answer);
	snprintf(line, sizeof(line), "RCPT TO:<%s>", drill->recipient);
	if (!mail_session_command(session, line, &answer))
		return fail_at(drill, words, "RCPT TO", &answer);
	return check_verdict(drill, words);
}

static enum drill_result send_message(struct drill *drill, struct mail_session *session,
				      const char *host, struct drill_words *words)
{
	char message[MESSAGE_SIZE];
	struct mail_answer answer;
	TEXT_ON(text, message);

	if (!mail_session_command(session, "DATA", &answer))
		return fail_at(drill, words, "DATA", &answer);
	write_message(drill, host, &text);
	drill->sent = true;
	if (!mail_session_message(session, message, &answer)) {
		drill->sent = !answer.replied;
		return fail_at(drill, words, "the message", &answer);
	}
	queue_id_told(answer.reply.text, drill->queue_id);
	say_reply(&words->seen, &answer.reply);
	text_add_format(&words->seen, "; row %lld (%s), recipient %s",
			ctl_number(drill->told, "row"), ctl_string(drill->told, "reason"),
			ctl_string(drill->told, "recipient_status"));
	return DRILL_PASS;
}

enum drill_result drill_accepted(struct drill *drill, struct drill_words *words)
{
	const char *mta = ctl_string(drill->order, "mta");
	struct mail_session *session;
	struct mail_answer answer;
	struct ip_port endpoint;
	char host[MAIL_DOMAIN_MAX + 1];
	enum drill_result result;

	if (strcmp(ctl_string(drill->order, "mode"), "shadow") == 0) {
		text_add(&words->seen, "nothing was sent: the milter is in shadow mode, in which "
				       "it says nothing to the MTA");
		text_add(&words->advice, "set mode = enforce in [milter], and backupmxctl reload");
		return DRILL_FAIL;
	}
	if (!find_mta(mta, &endpoint)) {
		text_add_format(&words->seen, "%s: no such host", mta);
		text_add(&words->advice, "see [flush] mta in the daemon's configuration");
		return DRILL_FAIL;
	}
	netif_host_name(host, sizeof(host));
	session = mail_session_open(&endpoint, host, &answer);
	if (answer.reason == HEALTH_OK && !answer.interrupted)
		result = send_envelope(drill, session, words);
	else
		result = fail_at(drill, words, mta, &answer);
	if (result == DRILL_PASS)
		result = send_message(drill, session, host, words);
	mail_session_close(session);
	return result;
}
