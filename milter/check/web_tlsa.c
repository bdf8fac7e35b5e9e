/* SPDX-License-Identifier: BSD-2-Clause */
/* DANE (RFC 7672): TLSA records of the MX hosts, and whether ours fit what our MTA shows. */
#include <stdio.h>

#include "base/text.h"
#include "check/mta.h"
#include "check/web.h"

#define NAME_MAX_BYTES	(sizeof("_25._tcp.") + MAIL_DOMAIN_MAX)
#define RECORD_TEXT_MAX 64
#define RECORD_SHOWN	8 /* bytes of its data */

const struct check_rule web_tlsa_rule = {
	"tlsa",
	"TLSA records of the MX hosts, and whether ours fit our certificate",
	"Senders that keep DANE deliver to no host whose certificate differs from its TLSA "
	"records. A host without records gets mail unverified: who attacks a domain's mail goes "
	"for the weakest of its MX hosts. Senders heed these records in zones signed by DNSSEC "
	"only, which is not looked at here.",
};

/* Asked once: started for all hosts, then the answer is at hand. */
static const struct resolved *records_of(struct check *check, const char *host)
{
	char name[NAME_MAX_BYTES];

	snprintf(name, sizeof(name), "_25._tcp.%s", host);
	return resolve_start(check->resolve, name, DNS_TYPE_TLSA);
}

static void records_ask(struct check *check)
{
	for (size_t i = 0; i < check->domain_count; i++)
		for (size_t j = 0; j < check->domains[i].set.count; j++)
			records_of(check, check->domains[i].set.hosts[j].name);
	resolve_wait(check->resolve);
}

/* The record for the key that our MTA shows now, to be published. */
static void mend_record(struct check *check, const struct own_mx *own)
{
	char digest[TLS_KEY_DIGEST_MAX];

	if (own->tls != OWN_MX_SHOWN) {
		check_mend(check->findings, "# first STARTTLS has to work at %s", own->where);
		return;
	}
	check_mend(check->findings, "_25._tcp.%s. IN TLSA 3 1 1 %s", own->host->name,
		   tls_chain_key_digest(own->chain, digest));
	check_mend(check->findings, "# it lasts as long as the key: renew certificates with the "
				    "same one (certbot: --reuse-key)");
}

/* ---- ours ---- */

/* "3 1 1 0123456789abcdef..." */
static const char *record_format(const struct dns_record *record, char *buffer, size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	for (size_t i = 0; i < record->length && i < 3 + RECORD_SHOWN; i++)
		text_add_format(&text, i < 3 ? "%u " : "%02x", record->data[i]);
	if (record->length > 3 + RECORD_SHOWN)
		text_add(&text, "...");
	return buffer;
}

/* What came of the records of one of our names. */
struct fit {
	size_t matching, differing, unusable;
	char match[RECORD_TEXT_MAX]; /* one of each kind */
	char difference[RECORD_TEXT_MAX];
	char misfit[RECORD_TEXT_MAX];
};

static void fit_add(struct fit *fit, enum tls_dane dane, const struct dns_record *record)
{
	switch (dane) {
	case TLS_DANE_MATCHES:
		fit->matching++;
		record_format(record, fit->match, sizeof(fit->match));
		break;
	case TLS_DANE_DIFFERS:
		fit->differing++;
		record_format(record, fit->difference, sizeof(fit->difference));
		break;
	case TLS_DANE_UNUSABLE:
		fit->unusable++;
		record_format(record, fit->misfit, sizeof(fit->misfit));
		break;
	}
}

static void unusable_judge(struct check *check, const struct own_mx *own, const struct fit *fit)
{
	check_add(check->findings, &web_tlsa_rule, CHECK_WARNING, own->host->name,
		  "senders can't use %zu of its %zu TLSA records, as \"%s\"%s", fit->unusable,
		  fit->unusable + fit->matching + fit->differing, fit->misfit,
		  fit->matching + fit->differing == 0 ? ": they verify nothing" : "");
	check_mend(check->findings, "# for SMTP the usage is 3 or 2, the selector 0 or 1, the "
				    "matching type 0, 1 or 2, and the data as long as that says:");
	mend_record(check, own);
}

static void fit_judge(struct check *check, const struct own_mx *own, const struct fit *fit)
{
	struct check_findings *findings = check->findings;

	if (fit->unusable > 0)
		unusable_judge(check, own, fit);
	if (fit->matching == 0 && fit->differing > 0) {
		check_add(findings, &web_tlsa_rule, CHECK_ERROR, own->host->name,
			  "the certificate shown at %s fits none of its TLSA records, as \"%s\"",
			  own->where, fit->difference);
		mend_record(check, own);
		check_mend(findings,
			   "# or let the MTA show the certificate that the records are for");
	} else if (fit->matching > 0 && fit->unusable == 0) {
		check_add(findings, &web_tlsa_rule, CHECK_OK, own->host->name,
			  "its TLSA record \"%s\" fits the certificate shown at %s%s", fit->match,
			  own->where,
			  fit->differing > 0 ? "; others don't, as while keys are changed" : "");
	}
}

/* There are TLSA records, so senders insist on TLS. */
static void own_records_judge(struct check *check, struct own_mx *own,
			      const struct resolved *resolved)
{
	const struct dns_record *record;
	struct fit fit = { .matching = 0 };

	if (own->tls == OWN_MX_UNSEEN) {
		check_unseen(check->findings, &web_tlsa_rule, own->host->name,
			     "its certificate: no session at %s, %s", own->where, own->problem);
		return;
	}
	if (own->tls != OWN_MX_SHOWN) {
		check_add(check->findings, &web_tlsa_rule, CHECK_ERROR, own->host->name,
			  "it has TLSA records, but STARTTLS %s at %s",
			  own->tls == OWN_MX_FAILED ? "fails" : "isn't offered", own->where);
		mta_mend_tls(check, NULL);
		return;
	}
	for (size_t i = 0; (record = resolved_record(resolved, DNS_TYPE_TLSA, i)) != NULL; i++)
		fit_add(&fit,
			tls_chain_dane(check->tls, own->chain, own->host->name, record->data,
				       record->length),
			record);
	fit_judge(check, own, &fit);
}

static void own_judge(struct check *check, const struct own_mx_list *list, struct own_mx *own)
{
	const struct resolved *resolved = records_of(check, own->host->name);

	if (resolved->status == DNS_FAILED) {
		check_add(check->findings, &web_tlsa_rule, CHECK_WARNING, own->host->name,
			  "_25._tcp.%s: %s; if its zone is signed, DANE senders don't deliver "
			  "meanwhile",
			  own->host->name, resolved_problem(resolved));
		check_mend(check->findings, "delv _25._tcp.%s TLSA", own->host->name);
	} else if (resolved_count(resolved, DNS_TYPE_TLSA) > 0) {
		own_mx_look(list, own);
		own_records_judge(check, own, resolved);
	}
}

/* ---- domains ---- */

/* The first of some hosts that has records, that has none, that can't be told; NULL: there is none
 * such. */
struct side {
	const struct mx_host *with, *without, *unknown;
};

/* Of those hosts of the domain that are us, or aren't. */
static struct side side_look(struct check *check, const struct check_domain *domain, bool is_us)
{
	struct side side = { .with = NULL };

	for (size_t i = 0; i < domain->set.count; i++) {
		const struct mx_host *host = &domain->set.hosts[i];
		const struct resolved *resolved = records_of(check, host->name);
		const struct mx_host **slot = &side.without;

		if ((host->role == MX_SELF) != is_us)
			continue;
		if (resolved->status == DNS_FAILED)
			slot = &side.unknown;
		else if (resolved_count(resolved, DNS_TYPE_TLSA) > 0)
			slot = &side.with;
		if (*slot == NULL)
			*slot = host;
	}
	return side;
}

/* The record for the key that our MTA shows by that name, wherever it is asked. */
static void mend_host(struct check *check, const struct own_mx_list *list, const char *host)
{
	struct own_mx *own = own_mx_find(list, host);

	own_mx_look(list, own);
	mend_record(check, own);
}

static void domain_judge(struct check *check, const struct own_mx_list *list,
			 const struct check_domain *domain)
{
	struct side others = side_look(check, domain, false);
	struct side we = side_look(check, domain, true);
	const struct mx_host *unknown = others.with == NULL ? others.unknown : we.unknown;

	if (others.with != NULL && we.without != NULL) {
		check_add(check->findings, &web_tlsa_rule, CHECK_WARNING, domain->name,
			  "%s has TLSA records, this host (%s) has none", others.with->name,
			  we.without->name);
		mend_host(check, list, we.without->name);
	} else if (unknown != NULL) {
		check_unseen(check->findings, &web_tlsa_rule, domain->name, "_25._tcp.%s: %s",
			     unknown->name, resolved_problem(records_of(check, unknown->name)));
	} else if (others.with != NULL) {
		check_add(check->findings, &web_tlsa_rule, CHECK_OK, domain->name,
			  "%s has TLSA records, and so has this host where it is listed",
			  others.with->name);
	} else {
		check_add(check->findings, &web_tlsa_rule, CHECK_OK, domain->name,
			  "no other MX host has TLSA records");
	}
}

void web_tlsa_judge(struct check *check, const struct own_mx_list *list)
{
	records_ask(check);
	for (size_t i = 0; i < list->count; i++)
		own_judge(check, list, &list->items[i]);
	for (size_t i = 0; i < check->domain_count; i++)
		domain_judge(check, list, &check->domains[i]);
}
