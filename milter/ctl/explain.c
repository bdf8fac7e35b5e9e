/* SPDX-License-Identifier: BSD-2-Clause */
/* "explain": what would be said to a recipient, in words, and every input of that. */
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/terminal.h"

#define LABEL_WIDTH 23
#define SAY_SIZE    1024

static bool is(const json_t *object, const char *key, const char *word)
{
	return strcmp(ctl_string(object, key), word) == 0;
}

static const char *duration(const json_t *object, const char *key, char *buffer, size_t size)
{
	return duration_format(ctl_number(object, key), buffer, size);
}

/* ---- why: a sentence or two for each row of the decision table ---- */

static void say_not_ours(const json_t *inputs, struct text *say)
{
	const char *domain = ctl_string(inputs, "domain");

	if (domain[0] == '\0') {
		text_add(say, "a recipient without a domain name is this host's own: nothing is "
			      "said.");
		return;
	}
	text_add_format(say,
			"%s is no domain of ours, so nothing is said: no [domain] section and no "
			"line of domains_file names it, and %s",
			domain,
			ctl_flag(inputs, "learning")
				? "it was not learned. It is learned when the MTA relays mail for "
				  "it and its MX records list this host and a better one."
				: "none is learned ([domains] domains_from_mta = no).");
}

static void say_exempt(const json_t *inputs, struct text *say)
{
	if (ctl_flag(inputs, "authenticated"))
		text_add(say, "the client has authenticated itself: it is left alone.");
	else
		text_add(say, "the client's address is in exempt_clients: it is left alone.");
}

static void say_not_backup(const json_t *inputs, struct text *say)
{
	const char *standing = ctl_say_standing(ctl_string(inputs, "mx"));

	text_add(say, "we are configured for the domain, but there is nobody to be a backup for");
	if (standing != NULL && !is(inputs, "mx", "backup"))
		text_add_format(say, ": %s", standing);
	text_add(say, ". So nothing is said.");
}

static void say_invalid(const json_t *result, struct text *say)
{
	const json_t *inputs = json_object_get(result, "inputs");

	text_add_format(say, "%s, and that still counts: the mail is %s.",
			is(inputs, "source", "file")
				? "recipients_file is complete and doesn't list this recipient"
				: "the primary has said that there is no such user",
			is(result, "action", "reject") ? "refused"
						       : "put off (when_invalid = "
							 "defer)");
}

static void say_catch_all(const json_t *result, struct text *say)
{
	text_add(say, "the primary is down, and takes any address of this domain, so whether "
		      "this one exists isn't known: the mail is ");
	if (is(result, "action", "defer"))
		text_add(say, "put off until it is back (when_catch_all = defer).");
	else if (ctl_flag(result, "no_bounce"))
		text_add(say, "taken and tagged, and makes no bounce if the primary refuses it "
			      "later (when_catch_all = accept_no_bounce): it is lost then.");
	else
		text_add(say, "taken and tagged.");
}

static void say_unknown(const json_t *result, struct text *say)
{
	const json_t *policy = json_object_get(json_object_get(result, "inputs"), "policy");
	char lasts[32], patience[32];

	text_add(say, "the primary is down, and it isn't known whether this recipient exists: ");
	if (is(result, "reason", "persistent-sender"))
		text_add(say, "the outage lasts long and the sender keeps coming, so the mail is "
			      "taken and tagged.");
	else if (ctl_flag(result, "no_bounce"))
		text_add(say, "the mail is taken and tagged, and makes no bounce if the primary "
			      "refuses it later (when_unknown = accept_no_bounce): it is lost "
			      "then.");
	else if (is(result, "action", "accept"))
		text_add(say, "the mail is taken all the same (when_unknown = accept).");
	else if (is(policy, "when_unknown", "defer"))
		text_add(say, "the sender is told to come again until the primary is back "
			      "(when_unknown = defer).");
	else
		text_add_format(
			say,
			"the sender is told to come again. Once the domain has been down for %s "
			"(unknown_accept_after), a sender that has come %lld times over %s is "
			"let in.",
			duration(policy, "unknown_accept_after", lasts, sizeof(lasts)),
			ctl_number(policy, "persistent_attempts"),
			duration(policy, "persistent_after", patience, sizeof(patience)));
}

/* Why somebody isn't sent on to a primary that is up. */
static const char *keeping(const json_t *result)
{
	static const char *const words[][2] = {
		{ "persistent-sender", "this sender keeps coming: it seems to reach only us" },
		{ "recovering",
		  "it came back lately, and senders' back-off would keep them away for hours" },
		{ "peer-mx", "the client is one of the domain's own MX hosts" },
		{ "no-better-mx", "no public MX host better than us is up to send anybody to" },
		{ "policy", "all are let in ([policy] when_up = accept)" },
	};
	const json_t *inputs = json_object_get(result, "inputs");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (is(result, "reason", words[i][0]))
			return words[i][1];
	if (ctl_flag(inputs, "persistent"))
		return words[0][1];
	if (ctl_flag(inputs, "recovering"))
		return words[1][1];
	if (ctl_flag(inputs, "peer_mx"))
		return words[2][1];
	return ctl_flag(inputs, "senders_up") ? words[4][1] : words[3][1];
}

static void say_unverified(const json_t *result, struct text *say)
{
	const json_t *inputs = json_object_get(result, "inputs");
	char patience[32];

	text_add_format(say, "the primary is up, but the sender isn't sent there: %s. ",
			is(result, "action", "accept") ? "this sender keeps coming"
						       : keeping(result));
	text_add_format(say,
			"Whether the recipient exists isn't known, so the primary is asked while "
			"the client waits, %s at most (callout_wait); an answer decides as row 3 "
			"or 8 do. Without one ",
			duration(json_object_get(inputs, "policy"), "callout_wait", patience,
				 sizeof(patience)));
	text_add(say, is(result, "action", "accept")
			      ? "the mail is taken: the sender has come for four hours."
			      : "this is what is said.");
}

static void say_why(const json_t *result, struct text *say)
{
	const json_t *inputs = json_object_get(result, "inputs");

	switch (ctl_number(result, "row")) {
	case 1:
		say_exempt(inputs, say);
		break;
	case 2:
		(is(result, "reason", "not-ours") ? say_not_ours : say_not_backup)(inputs, say);
		break;
	case 3:
		say_invalid(result, say);
		break;
	case 4:
		text_add(say,
			 ctl_flag(inputs, "would_bounce")
				 ? "the primary is down, but greets with 5xx, and Sendmail would "
				   "bounce at once what it has for it: the sender is told to "
				   "come again."
				 : "the primary answers, but is not in order: mail for it "
				   "would be bounced, so the sender is told to come again.");
		break;
	case 5:
		text_add(say, "the primary is down and the recipient is known: the mail is taken "
			      "and tagged, and delivered when the primary is back.");
		break;
	case 6:
		say_catch_all(result, say);
		break;
	case 7:
		say_unknown(result, say);
		break;
	case 8:
		text_add_format(say,
				"the primary is up, but the sender isn't sent there: %s. The "
				"recipient is known, so the mail is taken and tagged.",
				keeping(result));
		break;
	case 9:
		say_unverified(result, say);
		break;
	case 10:
		text_add(say, "the primary is up, so the sender is told to go there.");
		break;
	default:
		break;
	}
}

/* What else would happen, were it a real client. */
static void say_next(const json_t *result, struct text *say)
{
	const json_t *inputs = json_object_get(result, "inputs");

	if (is(result, "mode", "shadow"))
		text_add(say, "Shadow mode: this is only logged, and the mail is left alone. ");
	if (is(result, "state", "unknown") && ctl_number(result, "row") > 2)
		text_add(say, "The domain's state isn't known yet: a real client would wait for "
			      "the first probe, as long as callout_wait allows. ");
	if (strncmp(ctl_string(inputs, "state"), "forced-", strlen("forced-")) == 0)
		text_add(say, "That the primary is up or down is an administrator's word here "
			      "(backupmxctl force); the probes may say otherwise. ");
	if (ctl_flag(inputs, "learns"))
		text_add(say, is(result, "recipient", "unknown")
				      ? "The primary is asked in the background whether the "
					"recipient exists, to know it in an outage. "
				      : "What is known of the recipient is some days old: the "
					"primary is asked again in the background. ");
	if (ctl_flag(inputs, "memory_failed"))
		text_add(say, "The recipient memory can't be read (see the daemon's log): all "
			      "recipients count as unknown. ");
}

/* ---- the inputs ---- */

static void field(const struct terminal *terminal, const char *label, const char *value)
{
	terminal_field(terminal, LABEL_WIDTH, label, TERMINAL_PLAIN, value);
}

static void flag(const struct terminal *terminal, const json_t *inputs, const char *key,
		 const char *label)
{
	field(terminal, label, ctl_flag(inputs, key) ? "yes" : "no");
}

static void heading(const struct terminal *terminal, const char *title)
{
	fputc('\n', terminal->out);
	terminal_print(terminal, TERMINAL_STRONG, title);
	fputc('\n', terminal->out);
}

static void print_client(const struct terminal *terminal, const json_t *inputs,
			 const json_t *policy, bool looked_at)
{
	char value[SAY_SIZE];
	char span[32];

	heading(terminal, "Client");
	field(terminal, "address",
	      ctl_flag(inputs, "client_given") ? ctl_string(inputs, "client")
					       : "none given: taken for a stranger's");
	field(terminal, "verified name",
	      ctl_string(inputs, "client_name")[0] != '\0' ? ctl_string(inputs, "client_name")
							   : "none");
	field(terminal, "sender",
	      ctl_string(inputs, "sender")[0] != '\0' ? ctl_string(inputs, "sender") : "<>");
	flag(terminal, inputs, "authenticated", "authenticated");
	flag(terminal, inputs, "exempt", "exempt");
	if (!looked_at)
		return;
	flag(terminal, inputs, "peer_mx", "an MX of the domain");
	snprintf(value, sizeof(value), "%lld of %lld over %s%s", ctl_number(inputs, "attempts"),
		 ctl_number(policy, "persistent_attempts"),
		 duration(policy, "persistent_after", span, sizeof(span)),
		 ctl_flag(inputs, "persistent_long") ? ": persistent, for four hours"
		 : ctl_flag(inputs, "persistent")    ? ": persistent"
						     : "");
	field(terminal, "attempts so far", value);
}

static void print_domain(const struct terminal *terminal, const json_t *result,
			 const json_t *inputs, bool looked_at)
{
	const char *standing = ctl_say_standing(ctl_string(inputs, "mx"));
	char value[SAY_SIZE];
	char ago[48];

	heading(terminal, "Domain");
	field(terminal, "name",
	      ctl_string(inputs, "domain")[0] != '\0' ? ctl_string(inputs, "domain") : "none");
	if (!looked_at) {
		field(terminal, "state",
		      is(result, "reason", "exempt") ? "not looked at"
						     : ctl_string(result, "state"));
		return;
	}
	snprintf(value, sizeof(value), "%s%s%s", ctl_string(inputs, "state"),
		 ctl_time(inputs, "since") != 0 ? ", since " : "",
		 ctl_time(inputs, "since") != 0 ? ctl_ago(inputs, "since", ago, sizeof(ago)) : "");
	terminal_field(terminal, LABEL_WIDTH, "state",
		       terminal_tone_of_state(ctl_string(inputs, "state")), value);
	field(terminal, "source", ctl_flag(inputs, "listed") ? "configured" : "learned");
	if (standing != NULL)
		field(terminal, "our MX place", standing);
	flag(terminal, inputs, "senders_up", "a better MX is up");
	flag(terminal, inputs, "recovering", "came back lately");
	flag(terminal, inputs, "down_long", "down for long");
	flag(terminal, inputs, "would_bounce", "our MTA would bounce");
}

static void print_recipient(const struct terminal *terminal, const json_t *inputs)
{
	static const char *const sources[][2] = {
		{ "callout", "the primary was asked" },
		{ "import", "backupmxctl recipients import" },
		{ "file", "recipients_file" },
	};
	const char *source = ctl_string(inputs, "source");
	char ago[48];

	heading(terminal, "Recipient");
	field(terminal, "status", ctl_string(inputs, "recipient"));
	if (is(inputs, "recipient", "unknown"))
		return;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		if (strcmp(source, sources[i][0]) == 0)
			source = sources[i][1];
	field(terminal, "known by", source);
	if (ctl_time(inputs, "verified") != 0)
		field(terminal, "verified", ctl_ago(inputs, "verified", ago, sizeof(ago)));
}

static void print_policy(const struct terminal *terminal, const json_t *policy)
{
	static const char *const words[] = { "when_up", "when_invalid", "when_unknown",
					     "when_catch_all" };

	heading(terminal, "Policy");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		field(terminal, words[i], ctl_string(policy, words[i]));
}

/* ---- the page ---- */

static void print_answer(const struct terminal *terminal, const json_t *result)
{
	const char *action = ctl_string(result, "action");
	char line[SAY_SIZE];
	TEXT_ON(text, line);

	text_add_format(&text, "%s: ", action);
	if (json_is_null(json_object_get(result, "code")))
		text_add(&text, strcmp(action, "accept") == 0 ? "the mail is taken and tagged"
							      : "nothing is said");
	else
		text_add_format(&text, "%lld %s %s", ctl_number(result, "code"),
				ctl_string(result, "xcode"), ctl_string(result, "text"));
	terminal_paragraph(terminal, "", line);
}

static void print_explanation(const json_t *result)
{
	const json_t *inputs = json_object_get(result, "inputs");
	const json_t *policy = json_object_get(inputs, "policy");
	bool looked_at = ctl_number(result, "row") > 2;
	struct terminal terminal;
	char line[4 * SAY_SIZE];
	TEXT_ON(say, line);

	terminal_init(&terminal, stdout);
	print_answer(&terminal, result);
	fputc('\n', terminal.out);
	text_add_format(&say, "Row %lld (%s): ", ctl_number(result, "row"),
			ctl_string(result, "reason"));
	say_why(result, &say);
	terminal_paragraph(&terminal, "", line);
	text_init(&say, line, sizeof(line));
	say_next(result, &say);
	if (line[0] != '\0')
		terminal_paragraph(&terminal, "", line);
	print_client(&terminal, inputs, policy, looked_at);
	print_domain(&terminal, result, inputs, looked_at);
	if (looked_at) {
		print_recipient(&terminal, inputs);
		print_policy(&terminal, policy);
	}
}

int ctl_explain(struct ctl *ctl, int argc, char **argv)
{
	json_t *result;
	int code;

	(void)argc;
	code = ctl_ask(ctl,
		       json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:b}", "command", "explain",
				 "recipient", argv[1], "client", ctl_option(ctl, "client"), "name",
				 ctl_option(ctl, "name"), "from", ctl_option(ctl, "from"), "auth",
				 ctl_option(ctl, "auth") != NULL),
		       &result);
	if (result != NULL && !ctl_print_json(ctl, result))
		print_explanation(result);
	json_decref(result);
	return code;
}
