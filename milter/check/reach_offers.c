/* SPDX-License-Identifier: BSD-2-Clause */
/* Does our MTA promise senders more than the primaries keep? */
#include <string.h>

#include "check/reach.h"

const struct check_rule reach_offer_size = {
	"offer-size",
	"our MTA takes no greater mail than the primaries do",
	"A mail that is taken here and is too big for the primary bounces later; refused at once, "
	"its sender would have known.",
};

const struct check_rule reach_offer_smtputf8 = {
	"offer-smtputf8",
	"our MTA offers SMTPUTF8 only when the primaries do",
	"A mail with an internationalised address that is taken here bounces when the primary "
	"can't take such.",
};

const struct check_rule reach_offer_8bitmime = {
	"offer-8bitmime",
	"our MTA offers 8BITMIME only when the primaries do",
	"Our MTA rewrites 8-bit mail for a primary that can't take it, which breaks DKIM "
	"signatures.",
};

/* Of the endpoints of a domain that answered: who offers least. */
struct worst {
	const struct talk *any; /* NULL: none answered */
	const struct talk *size, *smtputf8, *eightbit;
};

static struct worst worst_of(const struct talks *talks, const struct check_domain *domain)
{
	struct worst worst = { .any = NULL };

	for (size_t i = 0; i < domain->endpoint_count; i++) {
		const struct talk *talk = talks_find(talks, &domain->endpoints[i].address);

		if (talk == NULL || talk->is_us || talk->reason != HEALTH_OK)
			continue;
		worst.any = talk;
		if (talk->size_limit != 0 &&
		    (worst.size == NULL || talk->size_limit < worst.size->size_limit))
			worst.size = talk;
		if (!talk->offers_smtputf8)
			worst.smtputf8 = talk;
		if (!talk->offers_8bitmime)
			worst.eightbit = talk;
	}
	return worst;
}

static bool own_is(const struct talk *own, const char *name)
{
	return strstr(own->greeting, name) != NULL;
}

static void size_mend(struct check *check, const struct talk *own, unsigned long long limit)
{
	check_mend(check->findings, "# for all mail to this host; or let the primary take more");
	if (!own_is(own, "Sendmail")) {
		check_mend(check->findings, "postconf -e 'message_size_limit = %llu'", limit);
		check_mend(check->findings, "postfix reload");
	}
	if (!own_is(own, "Postfix")) {
		check_mend(check->findings, "# Sendmail, in sendmail.mc:");
		check_mend(check->findings, "define(`confMAX_MESSAGE_SIZE', `%llu')dnl", limit);
		check_mend(check->findings, "# then make sendmail.cf of it, and restart it");
	}
}

static void size_judge(struct check *check, const struct talk *own, const struct worst *worst,
		       const char *domain)
{
	const struct talk *least = worst->size;

	if (least == NULL) {
		check_add(check->findings, &reach_offer_size, CHECK_OK, domain,
			  "its primaries tell no limit");
		return;
	}
	if (own->size_limit != 0 && own->size_limit <= least->size_limit) {
		check_add(check->findings, &reach_offer_size, CHECK_OK, domain,
			  "SIZE %llu here, %llu at %s", own->size_limit, least->size_limit,
			  least->label);
		return;
	}
	if (own->size_limit == 0)
		check_add(check->findings, &reach_offer_size, CHECK_WARNING, domain,
			  "no limit here, SIZE %llu at %s", least->size_limit, least->label);
	else
		check_add(check->findings, &reach_offer_size, CHECK_WARNING, domain,
			  "SIZE %llu here, only %llu at %s", own->size_limit, least->size_limit,
			  least->label);
	size_mend(check, own, least->size_limit);
}

static void smtputf8_judge(struct check *check, const struct talk *own, const struct worst *worst,
			   const char *domain)
{
	if (!own->offers_smtputf8 || worst->smtputf8 == NULL) {
		check_add(check->findings, &reach_offer_smtputf8, CHECK_OK, domain, "%s",
			  own->offers_smtputf8 ? "offered here and there" : "not offered here");
		return;
	}
	check_add(check->findings, &reach_offer_smtputf8, CHECK_WARNING, domain,
		  "offered here, not at %s", worst->smtputf8->label);
	check_mend(check->findings,
		   "# best the primary learns it: a Postfix does by "
		   "smtputf8_enable = yes. Until then%s",
		   own_is(own, "Sendmail") ? " such mail bounces" : " on this host:");
	if (own_is(own, "Sendmail"))
		return;
	check_mend(check->findings, "postconf -e 'smtputf8_enable = no'");
	check_mend(check->findings, "postfix reload");
}

static void eightbit_judge(struct check *check, const struct talk *own, const struct worst *worst,
			   const char *domain)
{
	if (!own->offers_8bitmime || worst->eightbit == NULL) {
		check_add(check->findings, &reach_offer_8bitmime, CHECK_OK, domain, "%s",
			  own->offers_8bitmime ? "offered here and there" : "not offered here");
		return;
	}
	check_add(check->findings, &reach_offer_8bitmime, CHECK_WARNING, domain,
		  "offered here, not at %s", worst->eightbit->label);
	if (own_is(own, "Sendmail"))
		return;
	check_mend(check->findings, "# Postfix; if that setting has a value already, add to it:");
	check_mend(check->findings, "postconf -e 'smtpd_discard_ehlo_keywords = 8bitmime'");
	check_mend(check->findings, "postfix reload");
}

static void unseen(struct check *check, const char *domain, const char *why)
{
	check_unseen(check->findings, &reach_offer_size, domain, "%s", why);
	check_unseen(check->findings, &reach_offer_smtputf8, domain, "%s", why);
	check_unseen(check->findings, &reach_offer_8bitmime, domain, "%s", why);
}

void reach_offers_judge(struct check *check, const struct talks *talks)
{
	const struct talk *own = &talks->own;

	if (own->reason != HEALTH_OK) {
		unseen(check, NULL,
		       "our own MTA doesn't answer at [flush] mta, so there is nothing to compare");
		return;
	}
	for (size_t i = 0; i < talks->domain_count; i++) {
		const struct check_domain *domain = talks->domains[i].domain;
		struct worst worst = worst_of(talks, domain);

		if (domain->endpoint_count == 0)
			continue;
		if (worst.any == NULL) {
			unseen(check, domain->name, "none of its primaries tells what it offers");
			continue;
		}
		size_judge(check, own, &worst, domain->name);
		smtputf8_judge(check, own, &worst, domain->name);
		eightbit_judge(check, own, &worst, domain->name);
	}
}
