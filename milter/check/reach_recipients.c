/* SPDX-License-Identifier: BSD-2-Clause */
/* Does the primary know its recipients: does it take one that exists, and refuse one that doesn't?
 */
#include <string.h>

#include "base/text.h"
#include "check/reach.h"

const struct check_rule reach_canary = {
	"canary",
	"the primary accepts a recipient that exists",
	"A primary that refuses its own recipients, or us, makes what we forward bounce.",
};

const struct check_rule reach_catch_all = {
	"catch-all",
	"the primary refuses a recipient that doesn't exist",
	"If it takes anybody at first, so must we in an outage, spam for invented names as well; "
	"what it refuses or bounces later goes to senders who are likely forged.",
};

/* ---- canary ---- */

/* A full mailbox is one that is there. */
static int badness(const struct talk_answer *answer)
{
	return answer->meaning == RCPT_ANSWER_VALID ? 0 : answer->code;
}

/* The worst of what the domain's endpoints answered; NULL: none did. `good` counts those that took
 * it, `talk` is where that was. */
static const struct talk_answer *worst_answer(const struct talks *talks,
					      const struct talk_domain *domain, size_t *good,
					      const struct talk **where)
{
	const struct talk_answer *worst = NULL;

	*good = 0;
	for (size_t i = 0; i < talks->count; i++) {
		const struct talk *talk = &talks->items[i];

		for (size_t j = 0; j < talk->canary_count; j++) {
			const struct talk_canary *canary = &talk->canaries[j];

			if (canary->domain != domain || !canary->asked)
				continue;
			if (badness(&canary->answer) == 0)
				++*good;
			if (worst == NULL || badness(&canary->answer) > badness(worst)) {
				worst = &canary->answer;
				*where = talk;
			}
		}
	}
	return worst;
}

static void canary_name_one(struct check *check, const struct talk_domain *domain)
{
	const char *name = domain->domain->name;

	check_unseen(check->findings, &reach_canary, name,
		     "%s; name one: canary = somebody@%s in section [domain \"%s\"]",
		     domain->canary_source, name, name);
}

/* Whoever wrote to the primary has chosen the local part. */
static void mend_by_forgetting(struct check *check, const char *recipient)
{
	char word[CHECK_LINE_MAX];
	TEXT_ON(text, word);

	text_add_shell(&text, recipient);
	check_mend(check->findings, "backupmxctl recipients forget %s%s",
		   recipient[0] == '-' ? "-- " : "", word);
}

static void canary_say(struct check *check, const struct talk_domain *domain,
		       const struct talk_answer *worst, size_t good, const struct talk *where)
{
	const char *name = domain->domain->name;

	if (badness(worst) == 0) {
		check_add(check->findings, &reach_canary, CHECK_OK, name,
			  "%s (%s) is accepted, at %zu address%s", domain->canary,
			  domain->canary_source, good, good == 1 ? "" : "es");
		return;
	}
	check_add(check->findings, &reach_canary, worst->code >= 500 ? CHECK_ERROR : CHECK_WARNING,
		  name, "%s (%s) at %s: %s", domain->canary, domain->canary_source, where->label,
		  worst->said);
	if (worst->code < 500)
		check_mend(check->findings,
			   "# it may be greylisting: see primary-trust below. Else "
			   "the primary's log says what it lacks");
	else if (rcpt_answer_is_refusal(worst->meaning))
		check_mend(check->findings,
			   "# if that mailbox has gone, forget it; if it is there, "
			   "the primary has lost its users: mend it there");
	else
		check_mend(check->findings, "# it is not the mailbox that is refused, but us: see "
					    "primary-trust below");
	if (rcpt_answer_is_refusal(worst->meaning) && strncmp(domain->canary_source, "rem", 3) == 0)
		mend_by_forgetting(check, domain->canary);
}

static void canary_judge(struct check *check, const struct talks *talks,
			 const struct talk_domain *domain)
{
	const struct talk *where = NULL;
	const struct talk_answer *worst;
	size_t good;

	if (domain->silent != NULL) {
		check_unseen(check->findings, &reach_canary, domain->domain->name, "%s",
			     domain->silent);
		return;
	}
	if (domain->canary[0] == '\0') {
		canary_name_one(check, domain);
		return;
	}
	worst = worst_answer(talks, domain, &good, &where);
	if (worst == NULL)
		check_unseen(check->findings, &reach_canary, domain->domain->name,
			     "%s (%s) could not be asked for", domain->canary,
			     domain->canary_source);
	else
		canary_say(check, domain, worst, good, where);
}

/* ---- catch-all ---- */

static const struct config_domain *settings_of(const struct talk_domain *domain)
{
	return domain->domain->config;
}

/* True when nobody is taken because the primary takes anybody. */
static bool is_guarded(const struct config_domain *settings)
{
	return settings->recipients_complete ||
	       settings->policy.decision.when_catch_all == WHEN_CATCH_ALL_DEFER;
}

static void catch_all_say(struct check *check, const struct talk_domain *domain)
{
	const char *name = domain->domain->name;
	bool guarded = is_guarded(settings_of(domain));

	check_add(check->findings, &reach_catch_all, guarded ? CHECK_NOTE : CHECK_WARNING, name,
		  "an invented recipient is accepted at %s: %s%s", domain->invented_at->label,
		  domain->invented.said,
		  guarded ? "; by this host's settings nobody is taken for that" : "");
	if (guarded)
		return;
	check_mend(check->findings, "# best is a primary that knows its recipients. If it only "
				    "forwards to the host that does, and is a Postfix, give "
				    "it relay_recipient_maps");
	check_mend(check->findings,
		   "# or give this host the list, in section [domain \"%s\"]:", name);
	check_mend(check->findings, "recipients_file = /etc/backupmx-milter/%s.users", name);
	check_mend(check->findings, "recipients_complete = yes");
	check_mend(check->findings, "# or let senders wait for the primary:");
	check_mend(check->findings, "when_catch_all = defer");
}

static void catch_all_answered(struct check *check, const struct talk_domain *domain)
{
	const struct talk_answer *answer = &domain->invented;
	const char *name = domain->domain->name;

	if (answer->code < 300)
		catch_all_say(check, domain);
	else if (rcpt_answer_is_refusal(answer->meaning))
		check_add(check->findings, &reach_catch_all, CHECK_OK, name,
			  "an invented recipient is refused: %s", answer->said);
	else
		check_unseen(check->findings, &reach_catch_all, name,
			     "the answer to an invented recipient says neither yes nor no: %s",
			     answer->said);
}

/* The best primary was talked to, but this domain's turn didn't come. */
static bool is_left_out(const struct talks *talks, const struct talk_domain *domain)
{
	const struct check_domain *its = domain->domain;

	for (size_t i = 0; i < its->endpoint_count; i++) {
		const struct talk *talk = talks_find(talks, &its->endpoints[i].address);

		if (talk != NULL && strcmp(its->endpoints[i].host, its->endpoints[0].host) == 0 &&
		    talk->reason == HEALTH_OK && talk->mail.code == 0)
			return talks->domain_count > 1;
	}
	return false;
}

static void catch_all_judge(struct check *check, const struct talks *talks,
			    const struct talk_domain *domain)
{
	const char *name = domain->domain->name;

	if (domain->silent != NULL)
		check_unseen(check->findings, &reach_catch_all, name, "%s", domain->silent);
	else if (domain->invented.code != 0)
		catch_all_answered(check, domain);
	else if (domain->invented_at != NULL)
		check_unseen(check->findings, &reach_catch_all, name,
			     "%s gave no answer to an invented recipient",
			     domain->invented_at->label);
	else if (is_left_out(talks, domain))
		check_unseen(check->findings, &reach_catch_all, name,
			     "its primary was asked for enough invented recipients, of other "
			     "domains; for this one: backupmxctl check %s",
			     name);
	else
		check_unseen(check->findings, &reach_catch_all, name,
			     "its best primary could not be asked");
}

void reach_recipients_judge(struct check *check, const struct talks *talks)
{
	for (size_t i = 0; i < talks->domain_count; i++) {
		const struct talk_domain *domain = &talks->domains[i];

		if (domain->domain->endpoint_count == 0)
			continue;
		canary_judge(check, talks, domain);
		catch_all_judge(check, talks, domain);
	}
}
