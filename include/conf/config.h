/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration as the program uses it: an immutable snapshot, counted by its users.
 *
 * The loop thread builds a new one at reload, swaps the current pointer and puts the old one; a
 * message keeps the one it began with (config_get/config_put, any thread). All strings are owned by
 * the snapshot. All times are seconds. What each key means is in DESIGN section 6 and
 * backupmx.ini(5); the option table in conf/options.h gives types, ranges and defaults.
 */
#ifndef BACKUPMX_CONF_CONFIG_H
#define BACKUPMX_CONF_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/decision.h"
#include "core/health.h"
#include "core/ip.h"

#define CONFIG_DEFAULT_PATH "/etc/backupmx-milter/backupmx.ini"

struct config_strings {
	char **items;
	size_t count;
};

struct config_networks {
	struct ip_network *items;
	size_t count;
};

/* "host", "host:port", "192.0.2.1:25", "[2001:db8::1]:25" */
struct config_endpoint {
	char *host; /* a lower-case name, or "" when `ip` is set */
	struct ip ip;
	uint16_t port; /* 0: none given */
};

struct config_endpoints {
	struct config_endpoint *items;
	size_t count;
};

enum config_mode { CONFIG_MODE_ENFORCE, CONFIG_MODE_SHADOW };
enum config_tls { CONFIG_TLS_MAY, CONFIG_TLS_ENCRYPT, CONFIG_TLS_VERIFY, CONFIG_TLS_NONE };
enum config_flush { CONFIG_FLUSH_ETRN, CONFIG_FLUSH_COMMAND, CONFIG_FLUSH_NONE };
enum config_domain_metrics { CONFIG_METRICS_CONFIGURED, CONFIG_METRICS_ALL };
enum config_case { CONFIG_CASE_FOLD, CONFIG_CASE_EXACT };

struct config_policy {
	struct decision_policy decision; /* when_up, when_invalid, when_unknown, when_catch_all */
	int64_t unknown_accept_after;
	int64_t recovery_grace;
	int64_t persistent_attempts; /* a count */
	int64_t persistent_after;
	bool tag;
};

struct config_probe {
	struct health_rules
		rules; /* rise, fall, interval, fast_interval, down_interval (seconds) */
	int64_t connect_timeout;
	int64_t timeout;
	int64_t jitter; /* percent of the interval */
	enum health_level level;
	int64_t port;
	char *canary; /* "auto", "none", or "local@domain" (lower-case domain) */
	int64_t canary_interval;
	char *helo_name;		/* "": the host's FQDN */
	struct ip source_v4, source_v6; /* IP_NONE: the system's choice */
};

struct config_domain {
	char *name; /* lower-case A-label; ".x" stands for the subdomains of x */
	struct config_endpoints primary;
	char *recipients_file; /* "": none */
	bool recipients_complete;
	struct config_policy policy;
	struct config_probe probe;
};

struct config {
	struct {
		char *socket;
		int64_t socket_mode;
		char *socket_group;
		enum config_mode mode;
		struct config_strings
			my_names; /* lower case; the host's FQDN is added by the user of it */
		struct ip *my_addresses;
		size_t my_address_count;
		struct config_networks exempt_clients;
		char *state_dir;
		char *control_socket;
		int64_t max_waiting;
	} milter;
	struct {
		bool from_mta, primary_from_mta;
		char *domains_file; /* "": none */
		int64_t max_learned_domains;
	} domains;
	struct config_policy policy; /* for domains without a section of their own */
	struct config_probe probe;
	struct config_endpoints reference; /* hosts that tell our own isolation; ports are given */
	struct {
		bool callout;
		int64_t callout_wait;
		enum config_tls callout_tls;
		int64_t callout_sessions;
		int64_t callout_rate;
		int64_t callout_refusals;
		int64_t callouts_per_client;
		int64_t valid_ttl, valid_refresh, valid_max_age;
		int64_t invalid_ttl;
		int64_t catch_all_ttl;
		char *recipient_delimiter;
		enum config_case local_part_case;
		int64_t max_entries;
	} recipients;
	struct {
		enum config_flush method;
		struct config_endpoint mta;
		struct config_strings command; /* the program and its arguments; %d is the domain */
	} flush;
	struct {
		struct config_strings command; /* the program and its arguments; count 0: none */
	} notify;
	struct {
		struct config_endpoints servers;
		int64_t timeout;
		int64_t dns_grace;
	} dns;
	struct {
		struct config_endpoint listen; /* an address and a port; IP_NONE: none */
		enum config_domain_metrics domain_metrics;
	} http;
	struct {
		char *facility;
		int level; /* enum log_level */
	} log;
	struct config_domain *domain; /* the [domain "x"] sections and the lines of domains_file, by
					 name (strcmp order), each name once */
	size_t domain_count;
	struct config_domain unlisted; /* the settings of a learned domain; its name is "" */
};

/* One problem of a configuration: "FILE:LINE: key: what is wrong; what would be right". */
struct config_errors {
	char **lines; /* in order of file and line */
	size_t count;
};

/* Reads `path` and everything it includes, checks all of it, and looks at the files it names
 * (domains_file). Returns a new snapshot with one reference, or NULL with at least one line in
 * *errors. Looks nothing up in DNS; opens no socket. One load at a time (the parser is global). */
struct config *config_load(const char *path, struct config_errors *errors);

/* The same for an ini file that is in memory; `name` stands for it in messages, and relative
 * includes start in its folder. */
struct config *config_load_bytes(const char *name, const char *bytes, size_t length,
				 struct config_errors *errors);

/* Where the daemon of that configuration listens for backupmxctl; free() it. What else is wrong in
 * the file is no matter, nor are the files it names: NULL, with a line in *errors, only when `path`
 * itself can't be read. */
char *config_control_socket(const char *path, struct config_errors *errors);

void config_errors_fini(struct config_errors *errors);

struct config *config_get(struct config *config); /* any thread */
void config_put(struct config *config);		  /* any thread; NULL is fine */

/* The settings for a domain name (lower-case A-label): its own section, else the longest ".parent"
 * section. NULL when it is configured nowhere. */
const struct config_domain *config_domain_find(const struct config *config, const char *name);

/* Compares two snapshots and returns the names ("milter.socket", ...) of keys of reload class
 * "restart" that differ, as a comma-separated list in `buffer` ("" when none do). */
const char *config_restart_keys(const struct config *old, const struct config *new, char *buffer,
				size_t size);

/* True when `client` is inside exempt_clients. */
bool config_client_exempt(const struct config *config, const struct ip *client);

#endif
