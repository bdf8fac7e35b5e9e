/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Postfix on this host, as its own tools describe it: postconf for settings and services, postmap
 * for tables. main.cf and master.cf are never read by us. One thread.
 */
#ifndef BACKUPMX_CHECK_POSTFIX_H
#define BACKUPMX_CHECK_POSTFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "check/mta.h"

struct postfix_setting {
	char *name;
	char *value;
};

struct postfix_settings {
	struct postfix_setting *items;
	size_t count;
};

enum postfix_role {
	POSTFIX_OTHER,
	POSTFIX_MX,	    /* an smtpd that serves port 25, perhaps behind postscreen */
	POSTFIX_SUBMISSION, /* an smtpd for this host's own users */
};

struct postfix_service {
	char *name; /* "smtp", "192.0.2.20:25" */
	char *type; /* "inet", "unix", "pass" */
	char *command;
	bool chrooted;
	enum postfix_role role;
	struct postfix_settings own; /* its -o options, expanded */
};

enum postfix_state {
	POSTFIX_UNSEEN, /* only root may ask */
	POSTFIX_STOPPED,
	POSTFIX_RUNS,
};

struct postfix {
	const char *folder;		 /* --mta-config; NULL: Postfix's own default */
	char option[1024];		 /* " -c 'FOLDER'" for commands to be pasted, or "" */
	struct postfix_settings values;	 /* all there are, expanded */
	struct postfix_settings written; /* those of main.cf, as they are written */
	struct postfix_service *services;
	size_t service_count;
	enum postfix_state state;
};

/* ---- settings ---- */

/* What holds for a service, or for all (NULL); "" when it is empty or not known. */
const char *postfix_value(const struct postfix *postfix, const struct postfix_service *service,
			  const char *name);
bool postfix_value_is_yes(const struct postfix *postfix, const struct postfix_service *service,
			  const char *name);
/* In seconds; `unit` is what a bare number counts: 's', 'm', 'h', 'd' or 'w'. */
int64_t postfix_seconds(const char *value, char unit);
/* The same to be edited: as it stands in main.cf, where it does. */
const char *postfix_written(const struct postfix *postfix, const struct postfix_service *service,
			    const char *name);
/* Does master.cf set it for the service? */
bool postfix_is_overridden(const struct postfix_service *service, const char *name);

const struct postfix_service *postfix_service_find(const struct postfix *postfix, const char *name,
						   const char *type);
/* The next service of a role after `last` (NULL: the first); NULL when there are no more. */
const struct postfix_service *postfix_service_next(const struct postfix *postfix,
						   enum postfix_role role,
						   const struct postfix_service *last);

/* ---- lists ---- */

/* "a, b {c, d}": what stands in braces is one item. */
struct postfix_list {
	char **items;
	size_t count;
};

void postfix_list_split(const char *value, struct postfix_list *list);
void postfix_list_fini(struct postfix_list *list);
/* Does a list value have the item? */
bool postfix_value_lists(const char *value, const char *item);

enum postfix_match {
	POSTFIX_NO,
	POSTFIX_YES,
	POSTFIX_UNKNOWN, /* a table couldn't be asked */
};

struct postfix_matched {
	char by[512]; /* the item that matched, or the table that couldn't be asked and why */
	size_t index; /* of the item */
};

/* Is the domain in the list of domains that a setting holds? As Postfix would see it: tables,
 * files, "!", and subdomains where they are meant. */
enum postfix_match postfix_domain_match(const struct postfix *postfix, const char *setting,
					const char *domain, struct postfix_matched *matched);
/* Asks tables ("hash:/a, cdb:/b") in turn for a key. `value` is what the first that has it said, or
 * why one couldn't be asked. */
enum postfix_match postfix_tables_lookup(const struct postfix *postfix, const char *tables,
					 const char *key, char *value, size_t size);
/* Calls for each key of a table that can be listed, and each plain name of the list. */
typedef void (*postfix_name_seen)(void *arg, const char *name);
void postfix_names_each(const struct postfix *postfix, const char *list, postfix_name_seen seen,
			void *arg);

/* ---- addresses ---- */

/* "192.0.2.1", "[2001:db8::1]" */
bool postfix_address_parse(const char *word, struct ip *ip);
/* Does Postfix listen at that address of this host, by inet_interfaces? Names in there are taken
 * for a yes. */
bool postfix_listens_at(const struct postfix *postfix, const struct ip *ip);

/* ---- mends ---- */

/* The command that sets it: in main.cf, or for the service where master.cf sets it for that. */
void postfix_mend_set(struct check *check, const struct postfix *postfix,
		      const struct postfix_service *service, const char *name, const char *value);
/* One item of a list taken out of its setting, or put in front of it. */
void postfix_mend_without(struct check *check, const struct postfix *postfix,
			  const struct postfix_service *service, const char *name,
			  const char *item);
void postfix_mend_with(struct check *check, const struct postfix *postfix,
		       const struct postfix_service *service, const char *name, const char *item);
void postfix_mend_reload(struct check *check, const struct postfix *postfix);
/* As mta_mend_tls(). */
void postfix_mend_tls(struct check *check, const void *facts, const char *host);
/* For what is looked at only when it starts. */
void postfix_mend_restart(struct check *check, const struct postfix *postfix);

/* ---- the judges, in the order of their findings ---- */

void postfix_judge_chroot(struct check *check, const struct postfix *postfix);
void postfix_judge_network(struct check *check, const struct postfix *postfix);
void postfix_judge_domains(struct check *check, const struct postfix *postfix);
void postfix_judge_restrictions(struct check *check, const struct postfix *postfix);
void postfix_judge_milter(struct check *check, const struct postfix *postfix);
void postfix_judge_flush(struct check *check, const struct postfix *postfix);
void postfix_judge_queue(struct check *check, const struct postfix *postfix);
void postfix_judge_addresses(struct check *check, const struct postfix *postfix);

#endif
