/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SMTP sessions of a check: one polite session to each endpoint, however many domains share it, and
 * one to our own MTA. They get as far as RCPT TO, as a callout does, and end with QUIT.
 *
 * An invented recipient of a domain is asked for once, at the best host of its forwarding set, and
 * only a few of them in a session: who watches for guessed addresses must not notice. One thread,
 * which runs the loop while it waits.
 */
#ifndef BACKUPMX_CHECK_TALK_H
#define BACKUPMX_CHECK_TALK_H

#include <stdbool.h>
#include <stddef.h>

#include "check/check.h"
#include "core/rcpt_answer.h"
#include "core/smtp_dialog.h"
#include "io/tls.h"

#define TALK_TEXT_MAX	 256
#define TALK_HOSTS_MAX	 8
#define TALK_ADDRESS_MAX (MAIL_LOCAL_MAX + 1 + MAIL_DOMAIN_MAX + 1)

/* What was answered to a command. */
struct talk_answer {
	int code; /* 0: there was no answer, or nothing was asked */
	struct smtp_enhanced enhanced;
	enum rcpt_answer meaning; /* of an answer to RCPT */
	char said[TALK_TEXT_MAX]; /* the last line as it came, printable */
};

/* A domain, and who of it is asked for. */
/* A zone may name thousands of addresses: those of its best hosts come first. */
#define TALK_ENDPOINTS_MAX 32 /* of one domain that are talked to */

struct talk_domain {
	const struct check_domain *domain;
	char canary[TALK_ADDRESS_MAX]; /* a recipient that should be accepted; "": none is known */
	const char *canary_source;     /* in words */
	const char *silent;	       /* why its recipients aren't asked for; NULL: they are */
	struct talk *invented_at; /* where the invented recipient is asked for; NULL: nowhere */
	struct talk_answer invented;
};

/* A domain's canary at one endpoint. */
struct talk_canary {
	struct talk_domain *domain;
	bool asked;
	struct talk_answer answer;
};

enum talk_kind {
	TALK_PRIMARY,
	TALK_REFERENCE, /* asked for its banner only */
	TALK_OWN,	/* our MTA: asked for what it offers */
};

enum talk_tls {
	TALK_TLS_NOT_OFFERED,
	TALK_TLS_FAILED, /* it was offered; the rest was said in plain */
	TALK_TLS_STANDS,
};

/* One endpoint, and what was seen there. */
struct talk {
	enum talk_kind kind;
	struct ip_port address;
	const struct config_probe *probe;  /* how to connect */
	const char *hosts[TALK_HOSTS_MAX]; /* the names by which mail goes there; none: "" */
	size_t host_count;
	char label[MAIL_DOMAIN_MAX + IP_TEXT_MAX]; /* "mx1.example.test [192.0.2.10]:25" */
	bool is_us;				   /* an address of ours: nobody was asked */
	bool connected;
	enum health_reason reason;    /* of the opening; HEALTH_OK: it stood */
	char greeting[TALK_TEXT_MAX]; /* the banner's last line, printable */
	char said[TALK_TEXT_MAX];     /* the last that was heard, printable */
	bool offers_8bitmime, offers_smtputf8, offers_size;
	unsigned long long size_limit; /* 0: none told */
	enum talk_tls tls;
	bool has_certificate;
	struct tls_certificate certificate;
	const char *not_named;	 /* a name of `hosts` that the certificate isn't for; NULL: none */
	struct talk_answer mail; /* a MAIL FROM:<> that was refused; code 0: none was */
	struct talk_canary *canaries; /* of the domains that it serves */
	size_t canary_count;
};

struct talks {
	struct talk *items; /* the endpoints, in order of the domains */
	size_t count;
	struct talk *references; /* those at port 25 */
	size_t reference_count;
	struct talk own; /* our MTA: [flush] mta */
	struct talk_domain *domains;
	size_t domain_count;
};

/* Runs one session for each (those at our own addresses are left out), some at once, until all have
 * ended: what was seen is filled in. */
void talk_sessions_run(struct check *check, struct talk **talks, size_t count);

/* Talks to all there are. */
struct talks *talks_gather(struct check *check);
void talks_free(struct talks *talks);

/* That of an endpoint of a domain; NULL: it was left out (TALK_ENDPOINTS_MAX). */
struct talk *talks_find(const struct talks *talks, const struct ip_port *address);

/* Finds somebody of the domain who should be accepted: by the configuration, the daemon's memory,
 * or the recipients_file. Asks the daemon; may block for as long. */
void talk_canary_choose(struct check *check, struct talk_domain *domain);

#endif
