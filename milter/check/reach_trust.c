/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does the primary trust us? What we forward comes from everywhere, by our address: to its filters
 * that looks like forgery. The lines that tell them otherwise are written out here with our
 * addresses, program by program.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "check/addresses.h"
#include "check/reach.h"

#define LIST_MAX_BYTES CHECK_LINE_MAX

const struct check_rule reach_trust = {
	"primary-trust",
	"the primaries trust this host",
	"Mail that we forward comes from our address, not from its sender's: SPF, DMARC, block "
	"lists, greylisting and fail2ban at the primary have to know that, or they refuse it, and "
	"it bounces.",
};

/* ---- what was seen ---- */

static bool says_grey(const char *said)
{
	char lower[TALK_TEXT_MAX];

	text_copy(lower, sizeof(lower), said);
	text_lower(lower);
	return strstr(lower, "greylist") != NULL || strstr(lower, "graylist") != NULL ||
	       strstr(lower, "grey list") != NULL;
}

/* 450 4.2.x and 4.7.x: "later", by policy. */
static bool is_put_off(const struct talk_answer *answer)
{
	if (answer->code < 400 || answer->code >= 500)
		return false;
	return (answer->enhanced.class == 4 &&
		(answer->enhanced.subject == 2 || answer->enhanced.subject == 7)) ||
	       says_grey(answer->said);
}

static bool is_refusal_of_us(const struct talk_answer *answer)
{
	return answer->code >= 500 && !rcpt_answer_is_refusal(answer->meaning);
}

/* What was seen of one primary; `said` is what it said to that. */
static enum check_severity seen_at(const struct talk *talk, const char **said)
{
	enum check_severity severity = CHECK_NOTE;

	if (talk->mail.code != 0) {
		*said = talk->mail.said;
		return talk->mail.code >= 500 ? CHECK_ERROR : CHECK_WARNING;
	}
	*said = talk->said;
	if (talk->reason == HEALTH_BANNER_5XX || talk->reason == HEALTH_EHLO_5XX)
		return CHECK_ERROR;
	for (size_t i = 0; i < talk->canary_count && severity < CHECK_ERROR; i++) {
		const struct talk_canary *canary = &talk->canaries[i];
		const struct talk_answer *invented = &canary->domain->invented;

		if (canary->asked && is_refusal_of_us(&canary->answer)) {
			*said = canary->answer.said;
			severity = CHECK_ERROR;
		} else if (canary->asked && is_put_off(&canary->answer)) {
			*said = canary->answer.said;
			severity = CHECK_WARNING;
		} else if (canary->domain->invented_at == talk &&
			   (is_refusal_of_us(invented) || is_put_off(invented))) {
			*said = invented->said;
			severity = CHECK_WARNING;
		}
	}
	return severity;
}

/* ---- our addresses ---- */

static size_t addresses_seen(const struct check *check, struct ip *out)
{
	const struct ip *ip;
	size_t count = 0;

	for (; (ip = check_own_public_address(check, count)) != NULL; count++)
		out[count] = *ip;
	return count;
}

/* The addresses in one line: each with `before` and `after` it, `between` them. */
struct style {
	const char *before, *after, *between;
	bool with_length; /* "/32" */
};

static void list_write(struct text *text, const struct ip *ips, size_t count,
		       const struct style *style)
{
	for (size_t i = 0; i < count; i++) {
		char word[IP_TEXT_MAX];

		text_add_format(text, "%s%s%s%s%s", i > 0 ? style->between : "", style->before,
				ip_format(&ips[i], word, sizeof(word)),
				style->with_length ? (ips[i].family == IP_V4 ? "/32" : "/128") : "",
				style->after);
	}
}

/* ---- the lines ---- */

static void mend_list(struct check *check, const struct ip *ips, size_t count,
		      const struct style *style, const char *begin, const char *end)
{
	char line[LIST_MAX_BYTES];
	TEXT_ON(text, line);

	text_add(&text, begin);
	list_write(&text, ips, count, style);
	text_add(&text, end);
	check_mend(check->findings, "%s", line);
}

static void mend_each(struct check *check, const struct ip *ips, size_t count, bool with_length,
		      const char *begin, const char *end)
{
	struct style style = { "", "", "", with_length };

	for (size_t i = 0; i < count; i++)
		mend_list(check, &ips[i], 1, &style, begin, end);
}

/* Who would seal our mail (ARC): the domain of our name. */
static const char *sealer(const struct check *check)
{
	const char *name = check_host_name(check);
	const char *dot = strchr(name, '.');

	return dot != NULL && strchr(dot + 1, '.') != NULL ? dot + 1 : name;
}

static void filter_lines(struct check *check, const struct ip *ips, size_t count)
{
	static const struct style quoted = { "\"", "\"", ", ", false };
	static const struct style plain = { "", "", " ", false };
	static const struct style networks = { "", "", ",", true };
	struct check_findings *findings = check->findings;

	check_mend(findings, "# rspamd (3.6 and later) takes the sender from our Received header; "
			     "in local.d/external_relay.conf:");
	mend_list(check, ips, count, &quoted,
		  "rules { BACKUP_MX { strategy = \"ip_map\"; ip_map = [", "]; } }");
	check_mend(findings, "# rspamd, if this host seals by ARC; in local.d/arc.conf:");
	check_mend(findings, "whitelisted_signers_map = [\"%s\"];", sealer(check));
	check_mend(findings, "# rspamd's greylisting; in local.d/greylist.conf:");
	mend_list(check, ips, count, &quoted, "whitelisted_ip = [", "];");
	check_mend(findings, "# SpamAssassin, in local.cf:");
	mend_list(check, ips, count, &plain, "trusted_networks ", "");
	mend_list(check, ips, count, &plain, "internal_networks ", "");
	check_mend(findings, "# OpenDMARC, in opendmarc.conf, then in that file:");
	check_mend(findings, "IgnoreHosts /etc/opendmarc/ignore.hosts");
	mend_each(check, ips, count, false, "", "");
	check_mend(findings, "# policyd-spf, in policyd-spf.conf:");
	mend_list(check, ips, count, &networks, "Whitelist = ", "");
}

static void door_lines(struct check *check, const struct ip *ips, size_t count)
{
	static const struct style plain = { "", "", " ", false };
	struct check_findings *findings = check->findings;

	check_mend(findings, "# postscreen, in main.cf, then in that file:");
	check_mend(findings, "postscreen_access_list = permit_mynetworks, "
			     "cidr:/etc/postfix/postscreen_access.cidr");
	mend_each(check, ips, count, true, "", " permit");
	check_mend(findings, "# fail2ban, in jail.local, section [DEFAULT]:");
	mend_list(check, ips, count, &plain, "ignoreip = 127.0.0.1/8 ::1 ", "");
	check_mend(findings, "# postgrey, in /etc/postgrey/whitelist_clients.local:");
	mend_each(check, ips, count, false, "", "");
	check_mend(findings, "# milter-greylist, in greylist.conf:");
	mend_each(check, ips, count, false, "racl whitelist addr ", "");
}

static void lines_add(struct check *check)
{
	struct ip *ips = memory_array(check->identity.self.address_count + 1, sizeof(*ips));
	size_t count = addresses_seen(check, ips);

	check_mend(check->findings, "# for the administrator of the primary; take those lines "
				    "whose program runs there:");
	if (count == 0) { /* a private network, or NAT and no my_addresses */
		check_mend(check->findings, "# with this host's address, as the primary sees it, "
					    "instead of 192.0.2.1");
		count = ip_parse("192.0.2.1", &ips[0]) ? 1 : 0;
	}
	filter_lines(check, ips, count);
	door_lines(check, ips, count);
	free(ips);
}

/* The lines are the same for all: they stand once. */
void reach_trust_judge(struct check *check, const struct talks *talks)
{
	size_t problems = 0;
	size_t asked = 0;
	const char *said;

	for (size_t i = 0; i < talks->count; i++) {
		const struct talk *talk = &talks->items[i];
		enum check_severity severity = seen_at(talk, &said);

		asked += talk->reason == HEALTH_OK;
		if (severity == CHECK_NOTE)
			continue;
		check_add(check->findings, &reach_trust, severity, talk->label, "it says: %s",
			  said);
		if (problems++ == 0)
			lines_add(check);
		else
			check_mend(check->findings, "# the lines are with the first of these");
	}
	if (problems > 0)
		return;
	if (asked == 0) {
		check_unseen(check->findings, &reach_trust, NULL, "no primary answered");
		return;
	}
	check_add(check->findings, &reach_trust, CHECK_NOTE, NULL,
		  "nothing was refused or put off; what the primaries' filters do to forwarded "
		  "mail (SPF, DMARC) can't be seen from here");
	lines_add(check);
}
