/* SPDX-License-Identifier: BSD-2-Clause */
/* STARTTLS of the primaries, and their certificates. */
#include "base/text.h"
#include "check/reach.h"
#include "core/mta_sts.h"

#define DAYS_TO_RENEW 14

const struct check_rule reach_starttls = {
	"primary-starttls",
	"the primaries offer STARTTLS, and it works",
	"Without it mail between this host and the primary can be read on the way. A handshake "
	"that fails makes some MTAs put the mail off instead of sending it in plain.",
};

const struct check_rule reach_certificate = {
	"primary-certificate",
	"the primaries' certificates: name, issuer, days left",
	"Who verifies certificates, as senders do for domains with MTA-STS, delivers to no host "
	"whose certificate has another name, an unknown issuer, or has expired.",
};

/* What fails without TLS, or without a good certificate, by our own settings. */
static bool needs_tls(const struct check *check)
{
	enum config_tls wanted = check->config->recipients.callout_tls;

	return wanted == CONFIG_TLS_ENCRYPT || wanted == CONFIG_TLS_VERIFY;
}

static void handshake_mend(struct check *check, const struct talk *talk)
{
	char address[IP_TEXT_MAX];
	bool is_v6 = talk->address.ip.family == IP_V6;

	check_mend(check->findings, "# this shows how the handshake fails; then mend certificate "
				    "and protocols on the primary:");
	if (talk->hosts[0][0] != '\0')
		check_mend(check->findings, "openssl s_client -starttls smtp -connect %s:%u",
			   talk->hosts[0], (unsigned)talk->address.port);
	else
		check_mend(check->findings, "openssl s_client -starttls smtp -connect %s%s%s:%u",
			   is_v6 ? "[" : "", ip_format(&talk->address.ip, address, sizeof(address)),
			   is_v6 ? "]" : "", (unsigned)talk->address.port);
}

static void starttls_judge(struct check *check, const struct talk *talk)
{
	enum check_severity severity = needs_tls(check) ? CHECK_ERROR : CHECK_WARNING;

	switch (talk->tls) {
	case TALK_TLS_STANDS:
		check_add(check->findings, &reach_starttls, CHECK_OK, talk->label,
			  "STARTTLS works");
		break;
	case TALK_TLS_FAILED:
		check_add(check->findings, &reach_starttls, severity, talk->label,
			  "STARTTLS is offered, but the handshake fails");
		handshake_mend(check, talk);
		break;
	default:
		check_add(check->findings, &reach_starttls, severity, talk->label,
			  "STARTTLS is not offered");
		check_mend(check->findings,
			   "# on the primary, if it is a Postfix: smtpd_tls_security_level = may "
			   "and smtpd_tls_chain_files = its key and certificates, in main.cf");
		break;
	}
}

/* ---- certificates ---- */

static bool has_mta_sts(struct check *check, const struct check_domain *domain)
{
	char name[MAIL_DOMAIN_MAX + 16];
	TEXT_ON(text, name);
	const struct resolved *found;
	const struct dns_record *record;

	text_add_format(&text, "_mta-sts.%s", domain->name);
	found = resolve_now(check->resolve, name, DNS_TYPE_TXT);
	for (size_t i = 0; (record = resolved_record(found, DNS_TYPE_TXT, i)) != NULL; i++)
		if (mta_sts_txt_read((const char *)record->data, record->length) !=
		    MTA_STS_TXT_OTHER)
			return true;
	return false;
}

static bool any_has_mta_sts(struct check *check, const struct talk *talk)
{
	for (size_t i = 0; i < talk->canary_count; i++)
		if (has_mta_sts(check, talk->canaries[i].domain->domain))
			return true;
	return false;
}

/* Of a certificate that doesn't hold: it matters to who looks. */
static enum check_severity severity_of_doubt(struct check *check, const struct talk *talk)
{
	if (check->config->recipients.callout_tls == CONFIG_TLS_VERIFY)
		return CHECK_ERROR;
	return any_has_mta_sts(check, talk) ? CHECK_WARNING : CHECK_NOTE;
}

static void renew_mend(struct check *check, const struct talk *talk)
{
	check_mend(
		check->findings,
		"# on the primary: a certificate of a public authority with the name that is "
		"in the MX records, renewed by itself, as by certbot certonly --standalone -d %s",
		talk->hosts[0][0] != '\0' ? talk->hosts[0]
					  : talk->canaries[0].domain->domain->name);
}

static void doubt_say(struct check *check, const struct talk *talk)
{
	const struct tls_certificate *certificate = &talk->certificate;
	enum check_severity severity = severity_of_doubt(check, talk);

	if (certificate->days_left < 0 && severity < CHECK_WARNING)
		severity = CHECK_WARNING;
	if (certificate->days_left < 0)
		check_add(check->findings, &reach_certificate, severity, talk->label,
			  "the certificate of %s has expired on %s", certificate->name,
			  certificate->until);
	else if (talk->not_named != NULL)
		check_add(check->findings, &reach_certificate, severity, talk->label,
			  "the certificate is of %s, not of %s%s%s", certificate->name,
			  talk->not_named,
			  certificate->trusted ? "" : ", and not trusted: ", certificate->distrust);
	else
		check_add(check->findings, &reach_certificate, severity, talk->label,
			  "the certificate of %s is not trusted: %s", certificate->name,
			  certificate->distrust);
	renew_mend(check, talk);
}

static void certificate_judge(struct check *check, const struct talk *talk)
{
	const struct tls_certificate *certificate = &talk->certificate;
	long long days = certificate->days_left;

	if (!certificate->trusted || talk->not_named != NULL || days < 0)
		doubt_say(check, talk);
	if (days < 0)
		return;
	if (days < DAYS_TO_RENEW) {
		check_add(check->findings, &reach_certificate, CHECK_WARNING, talk->label,
			  "the certificate of %s ends on %s, in %lld day%s", certificate->name,
			  certificate->until, days, days == 1 ? "" : "s");
		renew_mend(check, talk);
	} else if (certificate->trusted && talk->not_named == NULL) {
		check_add(check->findings, &reach_certificate, CHECK_OK, talk->label,
			  "the certificate of %s is trusted, until %s", certificate->name,
			  certificate->until);
	}
}

void reach_tls_judge(struct check *check, const struct talks *talks)
{
	for (size_t i = 0; i < talks->count; i++) {
		const struct talk *talk = &talks->items[i];

		if (talk->reason == HEALTH_OK || talk->tls == TALK_TLS_FAILED)
			starttls_judge(check, talk);
		if (talk->has_certificate)
			certificate_judge(check, talk);
	}
}
