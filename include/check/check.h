/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A check: the facts that are gathered once, and the groups of rules that judge them.
 *
 * The daemon need not be there, nor its configuration, nor root: what can't be seen is said to be
 * so (check_unseen()). Nothing is changed anywhere. One thread; it runs the loop whenever it waits,
 * and each wait is for a condition of its own, as another's end may stop the loop early.
 */
#ifndef BACKUPMX_CHECK_CHECK_H
#define BACKUPMX_CHECK_CHECK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "check/finding.h"
#include "check/resolve.h"
#include "conf/config.h"
#include "core/ip.h"
#include "core/mxset.h"
#include "io/loop.h"
#include "io/smtp_client.h"
#include "io/tls.h"
#include "watch/identity.h"

/* Where mail to a domain is forwarded: one address of one host. */
struct check_endpoint {
	char host[MAIL_DOMAIN_MAX + 1]; /* "" when the configuration gives an address */
	struct ip_port address;
};

struct check_domain {
	char name[MAIL_DOMAIN_MAX + 1];	    /* lower case, A-labels */
	const struct config_domain *config; /* its section, or what holds for those without one */
	const struct resolved *mx;	    /* its MX records as they were answered */
	struct mxset set;		    /* the same with addresses and roles, and who we are */
	/* The forwarding set: `primary`, else the MX hosts better than us; as long as we are not
	 * listed, all that are not us. Empty when there are none, or they have no addresses. */
	struct check_endpoint *endpoints;
	size_t endpoint_count;
	const json_t *status; /* the daemon's word ("domains" of status --json); NULL: none */
};

struct check_options {
	const char *config_path;    /* -c; NULL: the default, which need not be there */
	const char *mta_config;	    /* the MTA's configuration: a folder of Postfix, a file of
				       Sendmail; NULL: where it is by default */
	const char *server;	    /* the host to look at from outside: a name in lower case, or
				       an address; NULL: this one */
	const char *recipient;	    /* somebody whom that host's primary takes, local@domain;
				       NULL: nobody is known */
	const char *daemon_problem; /* why there is no status; NULL when there is one */
	bool daemon_forbidden;	    /* this user may not ask it: nothing is known of it */
	/* Asks the daemon (the request is taken over): json_decref() the answer; NULL: there is
	 * none. May block. NULL: there is no daemon. */
	json_t *(*ask)(void *arg, json_t *request);
	void *ask_arg;
};

struct check {
	struct check_options options;
	struct config *config; /* of the file; the defaults when there is none or it has errors */
	struct config_errors config_errors; /* why they are the defaults */
	bool config_found;
	struct identity identity; /* our names and addresses */
	struct loop *loop;
	struct dns *dns;
	struct resolve *resolve;
	struct tls *tls;
	struct smtp_clients *smtp;
	struct check_domain *domains; /* by name */
	size_t domain_count;
	const json_t *status; /* the daemon's answer to "status"; NULL: it doesn't answer */
	struct check_findings *findings;
	struct mta *mta;	     /* this host's MTA; NULL until mta_get() */
	struct authority *authority; /* NULL until check_mx_authority() */
};

/* Rules that belong together: they share facts, and a heading. */
struct check_group {
	const char *title;
	const struct check_rule *const *rules; /* ended by NULL */
	/* Gathers what it needs, once, and adds its findings. */
	void (*run)(struct check *check);
};

/* All there are, in the order of the page; ended by NULL. */
extern const struct check_group *const check_groups[];
/* Does it look at options.server? Such a group is run when that is set, all others when it isn't.
 */
bool check_group_is_outside(const struct check_group *group);

/* Reads the configuration and finds out who we are. `status` must outlive the check; NULL: the
 * daemon doesn't answer. NULL when the resolver or TLS can't start. From then on the program
 * ignores SIGPIPE: a peer that hangs up is a finding, and not our end. */
struct check *check_new(const struct check_options *options, const json_t *status);
void check_free(struct check *check);

/* The configuration's file, which need not be there. */
const char *check_config_path(const struct check *check);

/* Adds a domain (any case, A-labels, each once); false when that is no domain name. */
bool check_domain_add(struct check *check, const char *name);
/* Adds those of the configuration, of the daemon and of the MTA. */
void check_domains_known(struct check *check);
/* Looks up the MX sets and addresses of all domains, all at once. Call it once, before the groups.
 */
void check_domains_gather(struct check *check);

/* The name by which we are in MX records; see identity_name(). */
const char *check_host_name(const struct check *check);

/* What is said in EHLO to who is probed by these settings. */
const char *check_helo_name(const struct check *check, const struct config_probe *probe);

/* The addresses of a host as DNS gives them, all families; from the cache after
 * check_domains_gather(). Returns how many; at most MXSET_ADDRESSES_MAX. */
size_t check_host_addresses(struct check *check, const char *host, struct ip *addresses);
/* The same of a host of the configuration, which may be an address, or "localhost". */
size_t check_configured_addresses(struct check *check, const struct config_endpoint *endpoint,
				  struct ip *addresses);

#endif
