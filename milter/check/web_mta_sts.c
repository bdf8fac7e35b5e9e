/* SPDX-License-Identifier: BSD-2-Clause */
/* MTA-STS (RFC 8461): does the domain's policy let senders come to us? */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "check/mta.h"
#include "check/web.h"
#include "core/mta_sts.h"
#include "io/https.h"

#define FETCH_TIMEOUT_MS 20000
#define PATH		 "/.well-known/mta-sts.txt"

const struct check_rule web_mta_sts_rule = {
	"mta-sts",
	"the domain's MTA-STS policy names every MX host, and our certificate is good for it",
	"Senders that keep MTA-STS, Google and Microsoft among them, deliver to no host that an "
	"enforced policy doesn't name or whose certificate no public authority vouches for: in an "
	"outage their mail waits although the backup is there.",
};

/* One domain that is judged. */
struct sts {
	struct check *check;
	const struct own_mx_list *own;
	const struct check_domain *domain;
	char record[sizeof("_mta-sts.") + MAIL_DOMAIN_MAX];
	char host[sizeof("mta-sts.") + MAIL_DOMAIN_MAX];
	struct mta_sts_policy policy;
	enum check_severity severity; /* of what keeps senders away, by the policy's mode */
};

/* ---- the record ---- */

static void record_mend(const struct sts *sts)
{
	check_mend(sts->check->findings, "%s. IN TXT \"v=STSv1; id=%lld\"", sts->record,
		   (long long)loop_wall_seconds());
}

static void records_judge(const struct sts *sts, size_t count, const char *last)
{
	struct check_findings *findings = sts->check->findings;

	if (count > 1) {
		check_add(findings, &web_mta_sts_rule, CHECK_WARNING, sts->domain->name,
			  "%s has %zu records that begin with v=STSv1: senders take none of them",
			  sts->record, count);
		check_mend(findings, "# keep one of them:");
	} else {
		check_add(findings, &web_mta_sts_rule, CHECK_WARNING, sts->domain->name,
			  "the record of %s is malformed, senders see no policy: \"%s\"",
			  sts->record, last);
	}
	record_mend(sts);
}

/* True when there is one record, as it should be; else it has said what there is. */
static bool record_is_there(const struct sts *sts, const struct resolved *resolved)
{
	const struct dns_record *record;
	struct check_findings *findings = sts->check->findings;
	enum mta_sts_txt what = MTA_STS_TXT_OTHER;
	const char *last = "";
	size_t count = 0;

	if (resolved->status == DNS_FAILED) {
		check_unseen(findings, &web_mta_sts_rule, sts->domain->name, "%s: %s", sts->record,
			     resolved_problem(resolved));
		return false;
	}
	for (size_t i = 0; (record = resolved_record(resolved, DNS_TYPE_TXT, i)) != NULL; i++) {
		const char *bytes = (const char *)record->data;
		enum mta_sts_txt its = mta_sts_txt_read(bytes, record->length);

		if (its == MTA_STS_TXT_OTHER)
			continue;
		what = its;
		last = bytes;
		count++;
	}
	if (count == 0)
		check_add(findings, &web_mta_sts_rule, CHECK_OK, sts->domain->name,
			  "there is no policy: %s has no record \"v=STSv1; ...\"", sts->record);
	else if (count > 1 || what == MTA_STS_TXT_MALFORMED)
		records_judge(sts, count, last);
	return count == 1 && what == MTA_STS_TXT_VALID;
}

/* ---- the policy ---- */

/* What is said when the policy can't be had or can't be used. */
__attribute__((format(printf, 2, 3))) static void policy_missing(const struct sts *sts,
								 const char *format, ...)
{
	struct check_findings *findings = sts->check->findings;
	char words[2 * HTTPS_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	check_add(findings, &web_mta_sts_rule, CHECK_WARNING, sts->domain->name, "https://%s%s %s",
		  sts->host, PATH, words);
	check_mend(findings, "# senders that know an older policy keep it until its max_age is "
			     "over; all others see none. See for yourself:");
	check_mend(findings, "curl -v https://%s%s", sts->host, PATH);
}

static bool policy_fetch(const struct sts *sts, struct https_answer *answer)
{
	struct ip addresses[MXSET_ADDRESSES_MAX];
	struct https_request request = {
		.host = sts->host,
		.path = PATH,
		.addresses = addresses,
		.address_count = check_host_addresses(sts->check, sts->host, addresses),
		.limit = MTA_STS_POLICY_MAX,
		.timeout_ms = FETCH_TIMEOUT_MS,
	};

	*answer = (struct https_answer){ .body = NULL };
	if (request.address_count == 0) {
		policy_missing(sts, "can't be fetched: %s has no address", sts->host);
		return false;
	}
	https_get(&request, answer);
	if (answer->result == HTTPS_DISTRUSTED)
		policy_missing(sts, "isn't believed, its certificate isn't valid: %s",
			       answer->problem);
	else if (answer->result == HTTPS_TOO_LONG)
		policy_missing(sts, "is longer than 64 KiB");
	else if (answer->result != HTTPS_ANSWERED)
		policy_missing(sts, "can't be fetched: %s", answer->problem);
	else if (answer->code >= 300 && answer->code < 400)
		policy_missing(sts, "answers HTTP %d, a redirection: senders don't follow it",
			       answer->code);
	else if (answer->code != 200)
		policy_missing(sts, "answers HTTP %d", answer->code);
	else
		return true;
	return false;
}

/* True when there is a policy to judge us by; else it has said why there is none. */
static bool policy_read(struct sts *sts)
{
	struct https_answer answer;
	const char *wrong = NULL;
	bool fetched = policy_fetch(sts, &answer);

	if (fetched)
		wrong = mta_sts_policy_read(answer.body, answer.length, &sts->policy);
	if (fetched && wrong != NULL)
		policy_missing(sts, "is no valid policy: %s", wrong);
	else if (fetched && strcmp(answer.type, "text/plain") != 0)
		policy_missing(sts,
			       "comes as \"%s\", which senders may refuse: it has to be text/plain",
			       answer.type);
	https_answer_fini(&answer);
	return fetched && wrong == NULL;
}

/* ---- the hosts ---- */

static void host_unnamed(const struct sts *sts, enum check_severity severity, const char *what,
			 const char *host)
{
	struct check_findings *findings = sts->check->findings;

	check_add(findings, &web_mta_sts_rule, severity, sts->domain->name,
		  "the policy (mode: %s) doesn't name %s %s", mta_sts_mode_name(sts->policy.mode),
		  what, host);
	check_mend(findings, "# in https://%s%s:", sts->host, PATH);
	check_mend(findings, "mx: %s", host);
	check_mend(findings, "# then a new id, so that senders fetch it again:");
	record_mend(sts);
}

static void certificate_invalid(const struct sts *sts, const struct own_mx *own,
				const char *problem)
{
	struct check_findings *findings = sts->check->findings;
	char names[TLS_CHAIN_TEXT_MAX];

	tls_chain_names(own->chain, names, sizeof(names));
	check_add(findings, &web_mta_sts_rule, sts->severity, sts->domain->name,
		  "the policy (mode: %s) wants a valid certificate; that for %s at %s isn't valid "
		  "for %s: %s",
		  mta_sts_mode_name(sts->policy.mode), names, own->where, own->host->name, problem);
	mta_mend_tls(sts->check, own->host->name);
}

/* True when our own TLS at that name is fit for the policy. */
static bool certificate_judge(const struct sts *sts, const struct own_mx *own)
{
	struct check_findings *findings = sts->check->findings;
	const char *mode = mta_sts_mode_name(sts->policy.mode);
	char words[TLS_CHAIN_TEXT_MAX];
	const char *problem;

	switch (own->tls) {
	case OWN_MX_UNSEEN:
		check_unseen(findings, &web_mta_sts_rule, sts->domain->name,
			     "the certificate of %s: no session at %s, %s", own->host->name,
			     own->where, own->problem);
		return false;
	case OWN_MX_NOT_OFFERED:
	case OWN_MX_FAILED:
		check_add(findings, &web_mta_sts_rule, sts->severity, sts->domain->name,
			  "the policy (mode: %s) wants TLS; STARTTLS %s at %s", mode,
			  own->tls == OWN_MX_FAILED ? "fails" : "isn't offered", own->where);
		mta_mend_tls(sts->check, NULL);
		return false;
	default:
		problem = tls_chain_problem(sts->check->tls, own->chain, own->host->name, words,
					    sizeof(words));
		if (problem != NULL)
			certificate_invalid(sts, own, problem);
		return problem == NULL;
	}
}

/* True when senders that go by the policy may deliver to that host, as far as can be seen here. */
static bool host_judge(const struct sts *sts, const struct mx_host *host, struct text *ours)
{
	const char *pattern = mta_sts_policy_match(&sts->policy, host->name);
	struct own_mx *own = own_mx_find(sts->own, host->name);

	if (pattern == NULL) {
		host_unnamed(sts, sts->severity, own != NULL ? "this host," : "the MX host",
			     host->name);
		return false;
	}
	if (own == NULL)
		return true;
	text_add_format(ours, "; %s by \"%s\"", host->name, pattern);
	own_mx_look(sts->own, own);
	return certificate_judge(sts, own);
}

/* A host that isn't listed yet is better named before it is. True when there is nothing to say. */
static bool unlisted_judge(const struct sts *sts)
{
	const char *name = check_host_name(sts->check);

	if (sts->domain->set.standing != MX_STANDING_UNLISTED ||
	    mta_sts_policy_match(&sts->policy, name) != NULL)
		return true;
	host_unnamed(sts, CHECK_WARNING, "this host, which is no MX host yet,", name);
	return false;
}

static void hosts_judge(const struct sts *sts)
{
	const struct mxset *set = &sts->domain->set;
	char ours[1024];
	TEXT_ON(text, ours);
	bool in_order = unlisted_judge(sts);

	for (size_t i = 0; i < set->count; i++)
		in_order = host_judge(sts, &set->hosts[i], &text) && in_order;
	if (in_order)
		check_add(sts->check->findings, &web_mta_sts_rule, CHECK_OK, sts->domain->name,
			  "the policy (mode: %s) names every MX host%s%s",
			  mta_sts_mode_name(sts->policy.mode), ours,
			  ours[0] != '\0' ? ", whose certificate is valid" : "");
}

static void policy_judge(struct sts *sts)
{
	if (sts->policy.mode == MTA_STS_NONE) {
		check_add(sts->check->findings, &web_mta_sts_rule, CHECK_NOTE, sts->domain->name,
			  "the policy says mode: none, senders verify nothing");
		return;
	}
	sts->severity = sts->policy.mode == MTA_STS_ENFORCE ? CHECK_ERROR : CHECK_WARNING;
	hosts_judge(sts);
}

static void domain_judge(struct sts *sts)
{
	if (!record_is_there(sts, resolve_now(sts->check->resolve, sts->record, DNS_TYPE_TXT)))
		return;
	if (policy_read(sts))
		policy_judge(sts);
	mta_sts_policy_fini(&sts->policy);
}

void web_mta_sts_judge(struct check *check, const struct own_mx_list *own)
{
	for (size_t i = 0; i < check->domain_count; i++) {
		char record[sizeof("_mta-sts.") + MAIL_DOMAIN_MAX];

		snprintf(record, sizeof(record), "_mta-sts.%s", check->domains[i].name);
		resolve_start(check->resolve, record, DNS_TYPE_TXT);
	}
	for (size_t i = 0; i < check->domain_count; i++) {
		struct sts sts = { .check = check, .own = own, .domain = &check->domains[i] };

		snprintf(sts.record, sizeof(sts.record), "_mta-sts.%s", sts.domain->name);
		snprintf(sts.host, sizeof(sts.host), "mta-sts.%s", sts.domain->name);
		domain_judge(&sts);
	}
}
