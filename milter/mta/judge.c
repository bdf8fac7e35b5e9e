/* SPDX-License-Identifier: BSD-2-Clause */
/* Gathering facts for the decision. No state; any thread. */
#include "mta/judge.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "core/learned.h"
#include "io/idna.h"
#include "io/log_valve.h"
#include "io/loop.h"

/* Of a sender's or recipient's address, for the table of persistent senders: longer than what can
 * be read, because mail is taken for others too. */
#define KEY_ADDRESS_MAX 1024

/* What stands behind the last "@", for a recipient that can't be read otherwise: however odd its
 * local part is, the mail is for that domain, and the MTA may take it. */
static void domain_of_malformed(const char *typed, char *domain, size_t size)
{
	const char *at = strrchr(typed, '@');

	domain[0] = '\0';
	if (at == NULL || !text_copy(domain, size, at + 1))
		return;
	domain[strcspn(domain, "> \t")] = '\0';
	for (size_t end = strlen(domain); end > 0 && domain[end - 1] == '.'; end--)
		domain[end - 1] = '\0';
}

static void read_recipient(const char *typed, struct judgement *judgement)
{
	struct mail_address *recipient = &judgement->recipient;

	mail_address_parse(typed, recipient);
	if (recipient->kind == MAIL_ADDRESS_MALFORMED)
		domain_of_malformed(typed, recipient->domain, sizeof(recipient->domain));
	else if (recipient->kind != MAIL_ADDRESS_MAILBOX || recipient->domain_is_literal)
		return;
	if (!idna_domain_to_ascii(recipient->domain, judgement->domain, sizeof(judgement->domain)))
		judgement->domain[0] = '\0';
}

/* Runs `wait` inside the waiting room and inside what the message may still wait. */
typedef void (*waiting)(struct gate *gate, const struct judge_request *request,
			struct judgement *judgement, int64_t until_ms);

static bool wait_in_room(struct gate *gate, const struct judge_request *request,
			 struct judgement *judgement, waiting wait, int64_t room)
{
	int64_t start = loop_now_ms();

	if (request->wait_left_ms == NULL || *request->wait_left_ms <= 0)
		return false;
	if (!gate_enter_wait(gate, room)) {
		log_limit_reached(LOG_LIMIT_MAX_WAITING, NULL, NULL);
		return false;
	}
	log_debug("wait: domain=%s at_most_ms=%lld", judgement->domain,
		  (long long)*request->wait_left_ms);
	wait(gate, request, judgement, start + *request->wait_left_ms);
	gate_leave_wait(gate);
	*request->wait_left_ms -= loop_now_ms() - start;
	return true;
}

static bool wait_bounded(struct gate *gate, const struct judge_request *request,
			 struct judgement *judgement, waiting wait)
{
	return wait_in_room(gate, request, judgement, wait, request->config->milter.max_waiting);
}

static void wait_for_proof(struct gate *gate, const struct judge_request *request,
			   struct judgement *judgement, int64_t until_ms)
{
	(void)request;
	domains_wait_learned(gate->domains, judgement->domain, until_ms);
}

/* Where the MTA goes with it, if that is to count. */
static const char *next_hop_of(const struct judge_request *request)
{
	if (!request->config->domains.primary_from_mta || request->next_hop == NULL)
		return "";
	return request->next_hop;
}

/* Whether a domain that isn't configured is one of ours: learned before, or now. */
static bool is_learned(struct gate *gate, const struct judge_request *request,
		       struct judgement *judgement)
{
	/* names of strangers leave half of the room to the domains that we know */
	int64_t room = (request->config->milter.max_waiting + 1) / 2;
	struct domain_view view;

	if (!request->config->domains.from_mta || !learned_mailer_relays(request->mailer))
		return false;
	if (domains_view(gate->domains, judgement->domain, NULL, &view))
		return true;
	if (request->wait_left_ms == NULL || judgement->recipient.kind != MAIL_ADDRESS_MAILBOX ||
	    !domains_learn_later(gate->domains, judgement->domain, next_hop_of(request)))
		return false;
	wait_in_room(gate, request, judgement, wait_for_proof, room);
	return domains_view(gate->domains, judgement->domain, NULL, &view);
}

/* NULL: none of ours. */
static const struct config_domain *
settings_of(struct gate *gate, const struct judge_request *request, struct judgement *judgement)
{
	const struct config_domain *settings = NULL;

	if (judgement->domain[0] != '\0')
		settings = config_domain_find(request->config, judgement->domain);
	if (settings == NULL && judgement->domain[0] != '\0' && !judgement->facts.exempt &&
	    is_learned(gate, request, judgement))
		settings = &request->config->unlisted;
	return settings;
}

static void wait_for_probe(struct gate *gate, const struct judge_request *request,
			   struct judgement *judgement, int64_t until_ms)
{
	int64_t patience = request->config->recipients.callout_wait * 1000;
	int64_t begun_ms = judgement->view.begun_ms;

	/* the first ones wait for the first probe; when it is late, nobody waits for it any more */
	if (begun_ms != 0 && begun_ms + patience < until_ms)
		until_ms = begun_ms + patience;
	domains_wait(gate->domains, judgement->domain, until_ms);
}

/* The domain's state; a first probe is awaited. */
static void look_at_domain(struct gate *gate, const struct judge_request *request,
			   struct judgement *judgement)
{
	struct domain_view *view = &judgement->view;
	bool live = request->wait_left_ms != NULL;
	bool learned = judgement->settings == &request->config->unlisted;
	bool there = domains_view(gate->domains, judgement->domain, &request->client, view);
	bool coming = !there && live && domains_want(gate->domains, judgement->domain);

	if (there && live)
		domains_note_asked(gate->domains, judgement->domain,
				   learned ? next_hop_of(request) : "");
	if (!there)
		*view = (struct domain_view){ .state = DOMAIN_UNKNOWN, .seen = DOMAIN_UNKNOWN };
	if (view->state == DOMAIN_UNKNOWN && (there || coming) &&
	    wait_bounded(gate, request, judgement, wait_for_probe))
		domains_view(gate->domains, judgement->domain, &request->client, view);
	/* mail from a primary that we take for dead */
	if (live && view->is_endpoint && domain_state_is_down(view->state))
		domains_heard_from(gate->domains, judgement->domain, &request->client);
}

/* What is only looked at and what is only tried leaves no trace. */
static bool counts(const struct judge_request *request, const struct judgement *judgement)
{
	return request->wait_left_ms != NULL && !judgement->drill;
}

static void look_at_recipient(struct gate *gate, const struct judge_request *request,
			      struct judgement *judgement, int64_t now)
{
	struct recipient_question question = {
		.config = request->config,
		.domain = judgement->domain,
		.local = judgement->recipient.local,
		.clock = domain_view_clock(&judgement->view, now),
	};

	/* nobody ever asked about what can't be read: it is unknown, whatever the memory holds */
	if (judgement->recipient.kind != MAIL_ADDRESS_MAILBOX)
		return;
	recipients_find(gate->recipients, &question, &judgement->found);
	if (counts(request, judgement))
		stats_count_lookup(gate->stats, judgement->found.status, judgement->found.failed);
}

static void look_at_sender(struct gate *gate, const struct judge_request *request,
			   struct judgement *judgement, int64_t now)
{
	const struct config_policy *policy = &judgement->settings->policy;
	struct persistent_rules rules = { .attempts = policy->persistent_attempts,
					  .after = policy->persistent_after };
	char sender[KEY_ADDRESS_MAX];
	char recipient[KEY_ADDRESS_MAX];
	struct sender_attempt attempt = { .client_name = request->client_name,
					  .client = &request->client,
					  .sender = sender,
					  .recipient = recipient };

	mail_sender_normalise(request->sender, sender, sizeof(sender));
	if (judgement->recipient.kind == MAIL_ADDRESS_MAILBOX)
		snprintf(recipient, sizeof(recipient), "%s@%s", judgement->recipient.local,
			 judgement->domain);
	else
		text_copy(recipient, sizeof(recipient), request->recipient);
	text_lower(recipient);
	if (counts(request, judgement))
		judgement->standing = senders_attempt(gate->senders, &attempt, &rules, now);
	else
		judgement->standing = senders_look(gate->senders, &attempt, now);
}

/* A drill sees an outage; whose backup we aren't, it can't make so. */
static enum domain_state state_for(const struct judgement *judgement)
{
	enum domain_state state = judgement->view.state;

	return judgement->drill && state != DOMAIN_NOT_BACKUP ? DOMAIN_DOWN : state;
}

/* Postfix waits for a better day when it is greeted with 5xx; Sendmail sends a bounce at once. */
static bool would_bounce(const struct judge_request *request, const struct judgement *judgement)
{
	return request->from_sendmail && judgement->view.turns_away && !judgement->drill;
}

static void fill_facts(const struct judge_request *request, struct judgement *judgement,
		       int64_t now)
{
	const struct config_policy *policy = &judgement->settings->policy;
	const struct domain_view *view = &judgement->view;
	struct decision_facts *facts = &judgement->facts;

	facts->peer_mx = view->peer_mx;
	facts->persistent = judgement->standing.persistent;
	facts->persistent_long = judgement->standing.persistent_long;
	facts->state = state_for(judgement);
	facts->recovering = domain_view_recovering(view, policy->recovery_grace, now);
	facts->senders_up = view->senders_up;
	facts->down_long =
		view->down_since != 0 && now - view->down_since >= policy->unknown_accept_after;
	facts->would_bounce = would_bounce(request, judgement);
	facts->recipient = judgement->found.status;
	facts->policy = policy->decision;
}

static struct callout_request callout_of(const struct judge_request *request,
					 const struct judgement *judgement)
{
	return (struct callout_request){ .domain = judgement->domain,
					 .local = judgement->recipient.local,
					 .is_ascii = text_is_ascii(judgement->recipient.local),
					 .client = &request->client };
}

static void ask_and_wait(struct gate *gate, const struct judge_request *request,
			 struct judgement *judgement, int64_t until_ms)
{
	struct callout_request callout = callout_of(request, judgement);

	judgement->facts.recipient = callouts_wait(gate->callouts, &callout, until_ms);
	if (loop_now_ms() >= until_ms)
		domains_note_hanging(gate->domains, judgement->domain);
}

/* While the primary is up is the time to learn what must be known when it is not. A sick one is
 * asked for strangers as well: whom it accepts is known then, and shows that it recovers. */
bool judgement_learns(const struct judgement *judgement)
{
	const struct domain_view *view = &judgement->view;
	bool said_down = view->state == DOMAIN_FORCED_DOWN;
	bool up = view->seen == DOMAIN_UP && !said_down;
	bool sick = view->seen == DOMAIN_SICK && !said_down;
	bool unknown = judgement->facts.recipient == RECIPIENT_UNKNOWN;

	if (judgement->verdict.row < 3 || !judgement->recipient.askable)
		return false;
	return (unknown && (up || sick)) || (up && judgement->found.wants_refresh);
}

static void learn_in_background(struct gate *gate, const struct judge_request *request,
				const struct judgement *judgement)
{
	struct callout_request callout = callout_of(request, judgement);

	if (judgement_learns(judgement))
		callouts_learn(gate->callouts, &callout);
}

/* Row 9: the answer, or that there is none, goes back into the table. */
static void ask_in_line(struct gate *gate, const struct judge_request *request,
			struct judgement *judgement)
{
	/* A primary that hangs is waited for once: libmilter may queue one session behind another's
	 * wait, and waits in a row would add up to more than an MTA is patient for. */
	bool hangs = loop_now_ms() < judgement->view.hangs_until_ms;
	/* said to be up while it is seen down or sick: nobody is there who could be asked */
	bool up = judgement->view.seen == DOMAIN_UP;
	bool waited = up && judgement->recipient.askable && !hangs &&
		      wait_bounded(gate, request, judgement, ask_and_wait);

	judgement->facts.asked = true;
	if (waited) {
		look_at_recipient(gate, request, judgement, loop_wall_seconds());
		judgement->found.status = judgement->facts.recipient;
	} else {
		learn_in_background(gate, request, judgement);
	}
	judgement->verdict = decision_make(&judgement->facts);
}

void judge(struct gate *gate, const struct judge_request *request, struct judgement *judgement)
{
	int64_t now = loop_wall_seconds();

	memset(judgement, 0, sizeof(*judgement));
	read_recipient(request->recipient, judgement);
	judgement->drill =
		request->drill != 0 && drills_admit(gate->drills, request->drill, &request->client,
						    judgement->domain, judgement->recipient.local);
	judgement->facts.exempt =
		!judgement->drill &&
		(request->authenticated || config_client_exempt(request->config, &request->client));
	judgement->facts.state = DOMAIN_NOT_OURS;
	judgement->settings = settings_of(gate, request, judgement);
	if (judgement->settings != NULL && !judgement->facts.exempt) {
		look_at_domain(gate, request, judgement);
		look_at_recipient(gate, request, judgement, now);
		if (judgement->view.state != DOMAIN_NOT_BACKUP)
			look_at_sender(gate, request, judgement, now);
		fill_facts(request, judgement, now);
	}
	judgement->verdict = decision_make(&judgement->facts);
	if (request->wait_left_ms == NULL)
		return;
	if (judgement->verdict.row >= 3 && counts(request, judgement))
		domains_count_question(gate->domains, judgement->domain,
				       judgement->found.status != RECIPIENT_UNKNOWN);
	if (judgement->verdict.action == DECISION_ASK)
		ask_in_line(gate, request, judgement);
	if (!judgement->facts.asked)
		learn_in_background(gate, request, judgement);
}
