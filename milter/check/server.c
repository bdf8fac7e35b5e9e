/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A backup MX that somebody else runs, seen from outside (--server): is it listed, does it answer,
 * and whom does it take mail for?
 */
#include "check/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "check/groups.h"
#include "check/mx.h"
#include "io/secret.h"

#define SMTP_PORT	25
#define INVENTED_LENGTH 16

static const struct check_rule listed_rule = {
	"server-listed",
	"the server is in the domain's MX set, and is not its best host",
	"Senders know a backup by its MX record only, and it must come behind the primary.",
};

static const struct check_rule answers_rule = {
	"server-answers",
	"the server answers at each of its addresses, and offers STARTTLS",
	"A backup that doesn't answer is noticed on the day the primary fails. Without STARTTLS "
	"mail goes there in clear, and senders that insist on TLS don't go there at all.",
};

static const struct check_rule invented_rule = {
	"server-invented",
	"the server takes no mail for recipients that don't exist",
	"Mail for invented recipients is returned later to senders who are forged most often: "
	"backscatter, which brings the server, and in the end the domain, onto block lists.",
};

static const struct check_rule defers_rule = {
	"server-defers",
	"the server is a backup for the domain, and sends senders to the primary while that is up",
	"A server that refuses the domain's mail is no backup. One that takes it at any time is a "
	"way round the primary's filters, and spammers prefer it.",
};

/* One of the server's addresses, and the session there. */
struct server {
	struct check *check;
	const char *name; /* as given: a name, or an address */
	struct ip addresses[MXSET_ADDRESSES_MAX];
	struct server_session *sessions; /* one for each address */
	size_t address_count;
	struct server_question *questions;
	size_t question_count;
	bool answers; /* at one address at least */
};

/* ---- its place in the MX set ---- */

/* The domain's set as the server would see it. */
static void set_of_server(const struct server *server, const struct check_domain *domain,
			  struct mxset *set)
{
	char *names[] = { memory_string(server->name) };
	struct mx_identity identity = { .names = names,
					.name_count = 1,
					.addresses = server->addresses,
					.address_count = server->address_count };

	mxset_copy(set, &domain->set);
	mxset_find_ourselves(set, &identity);
	free(names[0]);
}

static void unlisted(struct server *server, const struct check_domain *domain,
		     const struct mxset *set)
{
	struct check *check = server->check;
	struct ip ip;

	if (set->count > 0)
		check_add(check->findings, &listed_rule, CHECK_ERROR, domain->name,
			  "%s is none of the MX hosts, by name or address", server->name);
	else
		check_add(check->findings, &listed_rule, CHECK_ERROR, domain->name,
			  "the domain has no MX records: %s", resolved_problem(domain->mx));
	if (ip_parse(server->name, &ip))
		check_mend(check->findings, "# add an MX record of its name, behind the primary's");
	else
		check_mend_mx(check, domain->name, check_mx_preference_behind(set), server->name);
}

static void listed_judge(struct server *server, const struct check_domain *domain,
			 const struct mxset *set)
{
	struct check *check = server->check;
	unsigned preference;

	if (domain->mx->status == DNS_FAILED) {
		check_unseen(check->findings, &listed_rule, domain->name, "%s",
			     resolved_problem(domain->mx));
	} else if (!check_mx_preference(set, &preference)) {
		unlisted(server, domain, set);
	} else if (set->standing == MX_STANDING_BEST) {
		check_add(check->findings, &listed_rule, CHECK_ERROR, domain->name,
			  "%s (%u) is the best MX host itself: all mail goes there first",
			  server->name, preference);
		check_mend(check->findings,
			   "# give the primary a number below %u, or this one:", preference);
		check_mend_mx(check, domain->name, check_mx_preference_behind(set), server->name);
	} else {
		check_add(check->findings, &listed_rule, CHECK_OK, domain->name,
			  "%s is listed (%u), behind %s (%u)", server->name, preference,
			  set->hosts[0].name, (unsigned)set->hosts[0].preference);
	}
}

/* ---- does it answer? ---- */

static bool addresses_find(struct server *server)
{
	const struct resolved *v4;

	if (ip_parse(server->name, &server->addresses[0])) {
		server->address_count = 1;
		return true;
	}
	server->address_count =
		check_host_addresses(server->check, server->name, server->addresses);
	if (server->address_count > 0)
		return true;
	v4 = resolve_now(server->check->resolve, server->name, DNS_TYPE_A);
	check_add(server->check->findings, &answers_rule, CHECK_ERROR, server->name,
		  "%s has no address: %s", server->name, resolved_problem(v4));
	check_mend(server->check->findings, "# add the A and AAAA records of %s", server->name);
	return false;
}

static void question_add(struct server *server, const struct check_domain *domain,
			 const char *local, bool exists)
{
	struct server_question question = { .domain = domain, .exists = exists };
	TEXT_ON(text, question.recipient);

	text_add_format(&text, "%s@%s", local, domain->name);
	server->questions =
		memory_resize(server->questions, server->question_count + 1, sizeof(question));
	server->questions[server->question_count++] = question;
}

static void questions_make(struct server *server)
{
	const struct check *check = server->check;
	struct mail_address known = { .domain = "" };

	if (check->options.recipient != NULL)
		mail_address_parse(check->options.recipient, &known);
	for (size_t i = 0; i < check->domain_count; i++) {
		char invented[INVENTED_LENGTH + 1];

		secret_random_id(invented, INVENTED_LENGTH);
		question_add(server, &check->domains[i], invented, false);
		if (strcmp(known.domain, check->domains[i].name) == 0)
			question_add(server, &check->domains[i], known.local, true);
	}
}

/* Every address is tried; the first that answers is asked for the recipients. */
static void sessions_run(struct server *server)
{
	server->sessions = memory_array(server->address_count, sizeof(*server->sessions));
	for (size_t i = 0; i < server->address_count; i++) {
		struct server_session *session = &server->sessions[i];
		struct ip ip;

		*session = (struct server_session){
			.check = server->check,
			.address = { .ip = server->addresses[i], .port = SMTP_PORT },
			.host = ip_parse(server->name, &ip) ? "" : server->name,
			.questions = server->questions,
			.question_count = server->answers ? 0 : server->question_count,
		};
		server_session_run(session);
		if (session->reason == HEALTH_OK)
			server->answers = true;
	}
}

/* Advice, and no line to be pasted: it is another host's. */
static void mend_tls(struct check *check)
{
	check_mend(check->findings, "# on that server, when it is Postfix with a certificate: "
				    "postconf -e 'smtpd_tls_security_level = may'");
}

static void session_judge(struct server *server, const struct server_session *session)
{
	struct check_findings *findings = server->check->findings;
	char subject[IP_TEXT_MAX];

	ip_port_format(&session->address, subject, sizeof(subject));
	if (session->reason == HEALTH_NO_ROUTE || session->reason == HEALTH_OWN_FAULT) {
		check_unseen(findings, &answers_rule, subject, "this host can't get there (%s)",
			     health_reason_name(session->reason));
	} else if (session->reason != HEALTH_OK) {
		check_add(findings, &answers_rule, server->answers ? CHECK_WARNING : CHECK_ERROR,
			  subject, "no SMTP session: %s", health_reason_name(session->reason));
		check_mend(findings, "# is port %d open there, for everybody?", SMTP_PORT);
	} else if (session->tls_failed) {
		check_add(findings, &answers_rule, CHECK_WARNING, subject,
			  "%s answers and offers STARTTLS, which fails", session->greeting);
		mend_tls(server->check);
	} else if (!session->offers_starttls) {
		check_add(findings, &answers_rule, CHECK_WARNING, subject,
			  "%s answers, and doesn't offer STARTTLS", session->greeting);
		mend_tls(server->check);
	} else {
		check_add(findings, &answers_rule, CHECK_OK, subject, "%s answers; %s",
			  session->greeting, session->tls);
	}
}

/* ---- whom does it take? ---- */

/* True when there was no answer, after saying so. */
static bool is_unanswered(struct server *server, const struct check_rule *rule,
			  const struct server_question *question)
{
	struct check_findings *findings = server->check->findings;
	const char *domain = question->domain->name;

	if (question->code != 0)
		return false;
	if (!server->answers)
		check_unseen(findings, rule, domain, "the server doesn't answer");
	else if (question->mail_code != 0)
		check_unseen(findings, rule, domain, "MAIL FROM:<> was answered by %d %s",
			     question->mail_code, question->said);
	else
		check_unseen(
			findings, rule, domain,
			"the session ended before <%s> was asked; ask for fewer domains at once",
			question->recipient);
	return true;
}

/* "454 4.7.1 Relay access denied": that isn't about the recipient. By default Postfix gives it a
 * 4xx, which must not pass for a backup's. */
static bool is_relay_denied(const struct server_question *question)
{
	static const char *const words[] = { "denied", "not permitted", "not allowed",
					     "prohibited" };
	char said[sizeof(question->said)];

	text_copy(said, sizeof(said), question->said);
	text_lower(said);
	if (question->code / 100 == 2 || strstr(said, "relay") == NULL)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(said, words[i]) != NULL)
			return true;
	return false;
}

static void no_backup(struct server *server, const struct server_question *question)
{
	struct check_findings *findings = server->check->findings;
	const char *domain = question->domain->name;

	check_add(findings, &defers_rule, CHECK_ERROR, domain, "<%s> is refused: %d %s",
		  question->recipient, question->code, question->said);
	check_mend(findings,
		   "# have its operator add %s to the domains it is backup for, and the "
		   "recipients to those it knows",
		   domain);
}

static void invented_judge(struct server *server, const struct server_question *question)
{
	struct check_findings *findings = server->check->findings;
	const char *domain = question->domain->name;

	if (is_unanswered(server, &invented_rule, question))
		return;
	if (question->code / 100 == 2) {
		check_add(findings, &invented_rule, CHECK_ERROR, domain, "<%s> is accepted: %d %s",
			  question->recipient, question->code, question->said);
		check_mend(findings, "# have its operator check recipients, or give them a list of "
				     "yours; with this milter in front of it that is done");
		return;
	}
	if (is_relay_denied(question)) {
		check_unseen(findings, &invented_rule, domain,
			     "the server takes no mail for the domain: %d %s", question->code,
			     question->said);
		return;
	}
	check_add(findings, &invented_rule, CHECK_OK, domain, "<%s> is %s: %d %s",
		  question->recipient, question->code / 100 == 4 ? "put off" : "refused",
		  question->code, question->said);
}

/* Does a host that is better than the server answer right now? */
static bool primary_is_up(struct server *server, const struct mxset *set)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct mx_host *host = &set->hosts[i];

		if (host->role == MX_SELF ||
		    (host->role != MX_BETTER && set->standing != MX_STANDING_UNLISTED))
			continue;
		for (size_t j = 0; j < host->address_count; j++) {
			struct server_session session = {
				.check = server->check,
				.address = { .ip = host->addresses[j], .port = SMTP_PORT },
				.host = host->name,
			};

			server_session_run(&session);
			if (session.reason == HEALTH_OK)
				return true;
		}
	}
	return false;
}

static void accepted_judge(struct server *server, const struct server_question *question,
			   const struct mxset *set)
{
	struct check_findings *findings = server->check->findings;
	const char *domain = question->domain->name;

	if (!primary_is_up(server, set)) {
		check_unseen(findings, &defers_rule, domain,
			     "<%s> is accepted (%d), which is right: no better host answers",
			     question->recipient, question->code);
		return;
	}
	check_add(findings, &defers_rule, CHECK_WARNING, domain,
		  "<%s> is accepted while a better host answers: %d %s", question->recipient,
		  question->code, question->said);
	check_mend(findings,
		   "# have its operator put senders off (451) while the primary is up, as "
		   "this milter does");
}

static void defers_judge(struct server *server, const struct server_question *question,
			 const struct mxset *set)
{
	if (is_unanswered(server, &defers_rule, question))
		return;
	if (question->code / 100 == 2)
		accepted_judge(server, question, set);
	else if (question->code / 100 == 5 || is_relay_denied(question))
		no_backup(server, question);
	else
		check_add(server->check->findings, &defers_rule, CHECK_OK, question->domain->name,
			  "<%s> is put off: %d %s", question->recipient, question->code,
			  question->said);
}

static const struct server_question *question_find(const struct server *server,
						   const struct check_domain *domain, bool exists)
{
	for (size_t i = 0; i < server->question_count; i++)
		if (server->questions[i].domain == domain && server->questions[i].exists == exists)
			return &server->questions[i];
	return NULL;
}

static void domain_judge(struct server *server, const struct check_domain *domain)
{
	const struct server_question *invented = question_find(server, domain, false);
	const struct server_question *known = question_find(server, domain, true);
	struct mxset set = { .hosts = NULL };

	set_of_server(server, domain, &set);
	listed_judge(server, domain, &set);
	invented_judge(server, invented);
	if (known != NULL)
		defers_judge(server, known, &set);
	else if (is_relay_denied(invented))
		no_backup(server, invented);
	else
		check_unseen(server->check->findings, &defers_rule, domain->name,
			     "name a recipient who exists, with --to ADDR");
	mxset_fini(&set);
}

static const struct check_rule *const rules[] = { &answers_rule, &listed_rule, &invented_rule,
						  &defers_rule, NULL };

static void run(struct check *check)
{
	struct server server = { .check = check, .name = check->options.server };

	questions_make(&server);
	if (addresses_find(&server))
		sessions_run(&server);
	for (size_t i = 0; i < server.address_count; i++)
		session_judge(&server, &server.sessions[i]);
	for (size_t i = 0; i < check->domain_count; i++)
		domain_judge(&server, &check->domains[i]);
	free(server.sessions);
	free(server.questions);
}

const struct check_group check_group_server = { "A backup MX seen from outside", rules, run };
