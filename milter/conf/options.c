/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The option table and the questions asked of it. Constant data; any thread.
 *
 * tests/lint/docs-match-options reads the table below with a pattern: keep the first four members
 * of each entry in this order and as plain strings.
 */
#include "conf/options.h"

#include <inttypes.h>
#include <string.h>

#include "base/duration.h"
#include "base/log.h"
#include "base/text.h"
#include "conf/config.h"

#define NUMBER_MAX	2147483647
#define UNIX_SOCKET_MAX 107 /* what fits into sockaddr_un */
#define PATH_LENGTH_MAX 4095

#define COUNTS		   .min = 1, .max = NUMBER_MAX
#define LASTS		   .min = 1, .max = DURATION_MAX_SECONDS, .unit = "seconds"
#define AT_CONFIG(field)   .home = OPTION_HOME_CONFIG, .offset = offsetof(struct config, field)
#define AT_POLICY(field)   .home = OPTION_HOME_POLICY, .offset = offsetof(struct config_policy, field)
#define AT_PROBE(field)	   .home = OPTION_HOME_PROBE, .offset = offsetof(struct config_probe, field)
#define AT_DOMAIN(field)   .home = OPTION_HOME_DOMAIN, .offset = offsetof(struct config_domain, field)
#define LIST_CONFIG(field) AT_CONFIG(field.items), .offset2 = offsetof(struct config, field.count)

static const struct option_word mode_words[] = {
	{ "enforce", CONFIG_MODE_ENFORCE },
	{ "shadow", CONFIG_MODE_SHADOW },
	{ NULL, 0 },
};
static const struct option_word when_up_words[] = {
	{ "defer", WHEN_UP_DEFER },
	{ "accept", WHEN_UP_ACCEPT },
	{ NULL, 0 },
};
static const struct option_word when_invalid_words[] = {
	{ "reject", WHEN_INVALID_REJECT },
	{ "defer", WHEN_INVALID_DEFER },
	{ NULL, 0 },
};
static const struct option_word when_unknown_words[] = {
	{ "defer_then_accept", WHEN_UNKNOWN_DEFER_THEN_ACCEPT },
	{ "defer", WHEN_UNKNOWN_DEFER },
	{ "accept", WHEN_UNKNOWN_ACCEPT },
	{ "accept_no_bounce", WHEN_UNKNOWN_ACCEPT_NO_BOUNCE },
	{ NULL, 0 },
};
static const struct option_word when_catch_all_words[] = {
	{ "accept", WHEN_CATCH_ALL_ACCEPT },
	{ "accept_no_bounce", WHEN_CATCH_ALL_ACCEPT_NO_BOUNCE },
	{ "defer", WHEN_CATCH_ALL_DEFER },
	{ NULL, 0 },
};
static const struct option_word probe_level_words[] = {
	{ "connect", HEALTH_LEVEL_CONNECT },
	{ "banner", HEALTH_LEVEL_BANNER },
	{ "ehlo", HEALTH_LEVEL_EHLO },
	{ "starttls", HEALTH_LEVEL_STARTTLS },
	{ NULL, 0 },
};
static const struct option_word tls_words[] = {
	{ "may", CONFIG_TLS_MAY },
	{ "encrypt", CONFIG_TLS_ENCRYPT },
	{ "verify", CONFIG_TLS_VERIFY },
	{ "none", CONFIG_TLS_NONE },
	{ NULL, 0 },
};
static const struct option_word case_words[] = {
	{ "fold", CONFIG_CASE_FOLD },
	{ "exact", CONFIG_CASE_EXACT },
	{ NULL, 0 },
};
static const struct option_word flush_words[] = {
	{ "etrn", CONFIG_FLUSH_ETRN },
	{ "command", CONFIG_FLUSH_COMMAND },
	{ "none", CONFIG_FLUSH_NONE },
	{ NULL, 0 },
};
static const struct option_word domain_metrics_words[] = {
	{ "configured", CONFIG_METRICS_CONFIGURED },
	{ "all", CONFIG_METRICS_ALL },
	{ NULL, 0 },
};
static const struct option_word log_level_words[] = {
	{ "error", LOG_LEVEL_ERROR },	{ "warning", LOG_LEVEL_WARNING },
	{ "notice", LOG_LEVEL_NOTICE }, { "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },	{ NULL, 0 },
};

static const struct option options[] = {
	{ "milter", "socket", OPTION_SOCKET, "inet:8899@127.0.0.1", OPTION_RESTART,
	  "where the MTA reaches the milter", AT_CONFIG(milter.socket) },
	{ "milter", "socket_mode", OPTION_MODE, "0660", OPTION_RESTART,
	  "file mode of a unix socket", .min = 0, .max = 0777, AT_CONFIG(milter.socket_mode) },
	{ "milter", "socket_group", OPTION_STRING, "", OPTION_RESTART,
	  "group of a unix socket, so that the MTA may connect", AT_CONFIG(milter.socket_group) },
	{ "milter", "mode", OPTION_WORD, "enforce", OPTION_LIVE,
	  "enforce the decisions, or only log them (shadow)", .words = mode_words,
	  AT_CONFIG(milter.mode) },
	{ "milter", "my_names", OPTION_HOSTS, "{}", OPTION_LIVE,
	  "further names of this host in MX records", LIST_CONFIG(milter.my_names) },
	{ "milter", "my_addresses", OPTION_ADDRESSES, "{}", OPTION_LIVE,
	  "further addresses of this host, as behind NAT", AT_CONFIG(milter.my_addresses),
	  .offset2 = offsetof(struct config, milter.my_address_count) },
	{ "milter", "exempt_clients", OPTION_NETWORKS, "{127.0.0.0/8, \"::1\"}", OPTION_LIVE,
	  "clients the milter never objects to", LIST_CONFIG(milter.exempt_clients) },
	{ "milter", "state_dir", OPTION_PATH, "/var/lib/backupmx-milter", OPTION_RESTART,
	  "directory of what is remembered", .max = PATH_LENGTH_MAX, AT_CONFIG(milter.state_dir) },
	{ "milter", "control_socket", OPTION_PATH, "/run/backupmx-milter/control.sock",
	  OPTION_RESTART, "where backupmxctl reaches the daemon", .max = UNIX_SOCKET_MAX,
	  AT_CONFIG(milter.control_socket) },
	{ "milter", "max_waiting", OPTION_NUMBER, "4", OPTION_LIVE,
	  "how many recipients may wait for a primary's answer at once", COUNTS,
	  .unit = "recipients", AT_CONFIG(milter.max_waiting) },

	{ "domains", "domains_from_mta", OPTION_BOOLEAN, "yes", OPTION_LIVE,
	  "learn domains from the recipients that the MTA lets pass", AT_CONFIG(domains.from_mta) },
	{ "domains", "primary_from_mta", OPTION_BOOLEAN, "no", OPTION_LIVE,
	  "take the MTA's next hop for the primary", AT_CONFIG(domains.primary_from_mta) },
	{ "domains", "domains_file", OPTION_PATH, "", OPTION_LIVE,
	  "a file of domains we are backup for, one per line", .max = PATH_LENGTH_MAX,
	  AT_CONFIG(domains.domains_file) },
	{ "domains", "max_learned_domains", OPTION_NUMBER, "100000", OPTION_LIVE,
	  "learned domains at most", COUNTS, .unit = "domains",
	  AT_CONFIG(domains.max_learned_domains) },

	{ "policy", "when_up", OPTION_WORD, "defer", OPTION_LIVE,
	  "what a sender hears while the primary is up", .words = when_up_words,
	  AT_POLICY(decision.when_up) },
	{ "policy", "when_invalid", OPTION_WORD, "reject", OPTION_LIVE,
	  "what a recipient gets who is known not to exist", .words = when_invalid_words,
	  AT_POLICY(decision.when_invalid) },
	{ "policy", "when_unknown", OPTION_WORD, "defer_then_accept", OPTION_LIVE,
	  "what an unknown recipient gets during an outage", .words = when_unknown_words,
	  AT_POLICY(decision.when_unknown) },
	{ "policy", "when_catch_all", OPTION_WORD, "accept", OPTION_LIVE,
	  "what a catch-all domain's recipients get during an outage",
	  .words = when_catch_all_words, AT_POLICY(decision.when_catch_all) },
	{ "policy", "unknown_accept_after", OPTION_DURATION, "12h", OPTION_LIVE,
	  "length of an outage after which defer_then_accept accepts", LASTS,
	  AT_POLICY(unknown_accept_after) },
	{ "policy", "recovery_grace", OPTION_DURATION, "30m", OPTION_LIVE,
	  "how long after an outage senders aren't sent to the primary", LASTS,
	  AT_POLICY(recovery_grace) },
	{ "policy", "persistent_attempts", OPTION_NUMBER, "3", OPTION_LIVE,
	  "attempts that make a sender persistent", COUNTS, .unit = "attempts",
	  AT_POLICY(persistent_attempts) },
	{ "policy", "persistent_after", OPTION_DURATION, "20m", OPTION_LIVE,
	  "time the attempts must span", LASTS, AT_POLICY(persistent_after) },
	{ "policy", "tag", OPTION_BOOLEAN, "yes", OPTION_LIVE,
	  "add the Backup-MX-Status header to mail taken", AT_POLICY(tag) },

	{ "probe", "interval", OPTION_DURATION, "30s", OPTION_LIVE,
	  "time between probes of a primary that is up", LASTS, AT_PROBE(rules.interval) },
	{ "probe", "fast_interval", OPTION_DURATION, "10s", OPTION_LIVE,
	  "the same while its state is changing", LASTS, AT_PROBE(rules.fast_interval) },
	{ "probe", "down_interval", OPTION_DURATION, "15s", OPTION_LIVE,
	  "the same while it is down", LASTS, AT_PROBE(rules.down_interval) },
	{ "probe", "connect_timeout", OPTION_DURATION, "10s", OPTION_LIVE,
	  "longest wait for a connection", LASTS, AT_PROBE(connect_timeout) },
	{ "probe", "timeout", OPTION_DURATION, "30s", OPTION_LIVE,
	  "longest wait for the banner and each reply", LASTS, AT_PROBE(timeout) },
	{ "probe", "rise", OPTION_NUMBER, "2", OPTION_LIVE, "good probes in a row to go up", COUNTS,
	  .unit = "probes", AT_PROBE(rules.rise) },
	{ "probe", "fall", OPTION_NUMBER, "3", OPTION_LIVE, "bad probes in a row to go down",
	  COUNTS, .unit = "probes", AT_PROBE(rules.fall) },
	{ "probe", "jitter", OPTION_PERCENT, "10%", OPTION_LIVE, "how much the intervals vary",
	  .min = 0, .max = 50, AT_PROBE(jitter) },
	{ "probe", "level", OPTION_WORD, "ehlo", OPTION_LIVE, "how far a probe goes",
	  .words = probe_level_words, AT_PROBE(level) },
	{ "probe", "canary", OPTION_CANARY, "auto", OPTION_LIVE,
	  "a mailbox asked for as part of health: auto, none or an address", AT_PROBE(canary) },
	{ "probe", "canary_interval", OPTION_DURATION, "10m", OPTION_LIVE,
	  "time between canaries of a domain that is up", LASTS, AT_PROBE(canary_interval) },
	{ "probe", "port", OPTION_NUMBER, "25", OPTION_LIVE, "port of the primaries", .min = 1,
	  .max = 65535, AT_PROBE(port) },
	{ "probe", "helo_name", OPTION_HOST, "", OPTION_LIVE,
	  "name given in EHLO; empty: the host's FQDN", AT_PROBE(helo_name) },
	{ "probe", "source_address", OPTION_SOURCES, "{}", OPTION_LIVE,
	  "own address to connect from, one per family", AT_PROBE(source_v4),
	  .offset2 = offsetof(struct config_probe, source_v6) },
	{ "probe", "reference", OPTION_ENDPOINTS, "{}", OPTION_LIVE,
	  "foreign hosts by which this host tells its own isolation", LIST_CONFIG(reference) },

	{ "recipients", "callout", OPTION_BOOLEAN, "yes", OPTION_LIVE,
	  "ask the primary whether a recipient exists", AT_CONFIG(recipients.callout) },
	{ "recipients", "callout_wait", OPTION_DURATION, "5s", OPTION_LIVE,
	  "longest time a recipient may wait for that answer", .min = 1, .max = 25,
	  .unit = "seconds", AT_CONFIG(recipients.callout_wait) },
	{ "recipients", "callout_tls", OPTION_WORD, "may", OPTION_LIVE, "STARTTLS in callouts",
	  .words = tls_words, AT_CONFIG(recipients.callout_tls) },
	{ "recipients", "callout_sessions", OPTION_NUMBER, "4", OPTION_LIVE,
	  "callout sessions per primary at once", COUNTS, .unit = "sessions",
	  AT_CONFIG(recipients.callout_sessions) },
	{ "recipients", "callout_rate", OPTION_NUMBER, "10", OPTION_LIVE,
	  "callouts a second and primary", COUNTS, .unit = "a second",
	  AT_CONFIG(recipients.callout_rate) },
	{ "recipients", "callout_refusals", OPTION_NUMBER, "60", OPTION_LIVE,
	  "refused callouts in 10 minutes and primary before a pause", COUNTS,
	  .unit = "in 10 minutes", AT_CONFIG(recipients.callout_refusals) },
	{ "recipients", "callouts_per_client", OPTION_NUMBER, "30", OPTION_LIVE,
	  "callouts a minute that one client network may cause", COUNTS, .unit = "a minute",
	  AT_CONFIG(recipients.callouts_per_client) },
	{ "recipients", "valid_ttl", OPTION_DURATION, "31d", OPTION_LIVE,
	  "life of a valid recipient, in time its domain was seen up", LASTS,
	  AT_CONFIG(recipients.valid_ttl) },
	{ "recipients", "valid_refresh", OPTION_DURATION, "7d", OPTION_LIVE,
	  "age at which a valid recipient is asked for again", LASTS,
	  AT_CONFIG(recipients.valid_refresh) },
	{ "recipients", "valid_max_age", OPTION_DURATION, "400d", OPTION_LIVE,
	  "life of a valid recipient by the wall clock", LASTS,
	  AT_CONFIG(recipients.valid_max_age) },
	{ "recipients", "invalid_ttl", OPTION_DURATION, "2h", OPTION_LIVE,
	  "life of an invalid recipient", LASTS, AT_CONFIG(recipients.invalid_ttl) },
	{ "recipients", "catch_all_ttl", OPTION_DURATION, "7d", OPTION_LIVE,
	  "life of a catch-all verdict", LASTS, AT_CONFIG(recipients.catch_all_ttl) },
	{ "recipients", "recipient_delimiter", OPTION_DELIMITER, "", OPTION_LIVE,
	  "characters that part user+detail", AT_CONFIG(recipients.recipient_delimiter) },
	{ "recipients", "local_part_case", OPTION_WORD, "fold", OPTION_LIVE,
	  "whether the case of local parts counts", .words = case_words,
	  AT_CONFIG(recipients.local_part_case) },
	{ "recipients", "max_entries", OPTION_NUMBER, "10000000", OPTION_LIVE,
	  "recipients remembered at most", COUNTS, .unit = "recipients",
	  AT_CONFIG(recipients.max_entries) },

	{ "flush", "method", OPTION_WORD, "etrn", OPTION_LIVE,
	  "how the MTA is told to send a domain's queue", .words = flush_words,
	  AT_CONFIG(flush.method) },
	{ "flush", "mta", OPTION_ENDPOINT, "127.0.0.1:25", OPTION_LIVE, "the own MTA, as host:port",
	  AT_CONFIG(flush.mta) },
	{ "flush", "command", OPTION_COMMAND, "", OPTION_LIVE,
	  "the program to flush by, and its arguments; %d is the domain",
	  LIST_CONFIG(flush.command) },

	{ "notify", "command", OPTION_COMMAND, "", OPTION_LIVE,
	  "a program to run when a primary or this host changes its state",
	  LIST_CONFIG(notify.command) },

	{ "dns", "servers", OPTION_SERVERS, "{}", OPTION_LIVE,
	  "DNS servers; empty: those of resolv.conf", LIST_CONFIG(dns.servers) },
	{ "dns", "timeout", OPTION_DURATION, "5s", OPTION_LIVE, "longest wait for a DNS answer",
	  LASTS, AT_CONFIG(dns.timeout) },
	{ "dns", "dns_grace", OPTION_DURATION, "1h", OPTION_LIVE,
	  "how long records must be gone before a working set is dropped", LASTS,
	  AT_CONFIG(dns.dns_grace) },

	{ "http", "listen", OPTION_LISTEN, "", OPTION_LIVE,
	  "where /metrics, /healthz, /status.json and / are served; empty: nowhere",
	  AT_CONFIG(http.listen) },
	{ "http", "domain_metrics", OPTION_WORD, "configured", OPTION_LIVE,
	  "which domains have metrics of their own", .words = domain_metrics_words,
	  AT_CONFIG(http.domain_metrics) },

	{ "log", "facility", OPTION_FACILITY, "mail", OPTION_LIVE, "syslog facility",
	  AT_CONFIG(log.facility) },
	{ "log", "level", OPTION_WORD, "info", OPTION_LIVE, "how much is logged",
	  .words = log_level_words, AT_CONFIG(log.level) },

	{ "domain", "primary", OPTION_ENDPOINTS, "{}", OPTION_LIVE,
	  "the hosts the MTA delivers to; empty: from DNS", AT_DOMAIN(primary.items),
	  .offset2 = offsetof(struct config_domain, primary.count) },
	{ "domain", "recipients_file", OPTION_PATH, "", OPTION_LIVE,
	  "a file of the domain's recipients", .max = PATH_LENGTH_MAX, AT_DOMAIN(recipients_file) },
	{ "domain", "recipients_complete", OPTION_BOOLEAN, "no", OPTION_LIVE,
	  "who isn't in recipients_file doesn't exist", AT_DOMAIN(recipients_complete) },
};

static const char *const type_names[] = {
	[OPTION_BOOLEAN] = "boolean",	  [OPTION_WORD] = "word",
	[OPTION_NUMBER] = "number",	  [OPTION_DURATION] = "duration",
	[OPTION_PERCENT] = "percent",	  [OPTION_MODE] = "mode",
	[OPTION_STRING] = "string",	  [OPTION_FACILITY] = "facility",
	[OPTION_DELIMITER] = "string",	  [OPTION_HOST] = "host",
	[OPTION_CANARY] = "canary",	  [OPTION_PATH] = "path",
	[OPTION_SOCKET] = "socket",	  [OPTION_ENDPOINT] = "endpoint",
	[OPTION_LISTEN] = "listener",	  [OPTION_HOSTS] = "hosts",
	[OPTION_ADDRESSES] = "addresses", [OPTION_NETWORKS] = "networks",
	[OPTION_ENDPOINTS] = "endpoints", [OPTION_SERVERS] = "servers",
	[OPTION_SOURCES] = "addresses",	  [OPTION_COMMAND] = "command",
};
_Static_assert(sizeof(type_names) / sizeof(type_names[0]) == OPTION_TYPE_COUNT, "a name per type");

size_t options_count(void)
{
	return sizeof(options) / sizeof(options[0]);
}

const struct option *options_at(size_t index)
{
	return &options[index];
}

size_t option_index(const struct option *option)
{
	return (size_t)(option - options);
}

bool option_is_list(const struct option *option)
{
	return option->type >= OPTION_HOSTS;
}

bool option_in_domain(const struct option *option)
{
	return option->home != OPTION_HOME_CONFIG;
}

bool option_stands_in(const struct option *option, const char *section)
{
	if (strcmp(section, "domain") == 0)
		return option_in_domain(option);
	return strcmp(option->section, section) == 0;
}

const struct option *options_find(const char *section, const char *key)
{
	for (size_t i = 0; i < options_count(); i++)
		if (strcmp(options[i].key, key) == 0 && option_stands_in(&options[i], section))
			return &options[i];
	return NULL;
}

bool options_section_known(const char *section)
{
	for (size_t i = 0; i < options_count(); i++)
		if (strcmp(options[i].section, section) == 0)
			return true;
	return false;
}

const char *options_section_of(const char *key)
{
	for (size_t i = 0; i < options_count(); i++)
		if (strcmp(options[i].key, key) == 0)
			return options[i].section;
	return NULL;
}

#define NEAREST_KEY_MAX 40

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance; keys are short. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NEAREST_KEY_MAX + 1];
	size_t width = strlen(b);

	if (strlen(a) > NEAREST_KEY_MAX || width > NEAREST_KEY_MAX)
		return NEAREST_KEY_MAX;
	for (size_t j = 0; j <= width; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= width; j++) {
			size_t above = row[j];
			size_t change = diagonal + (a[i - 1] != b[j - 1]);

			row[j] = least(change, least(above, row[j - 1]) + 1);
			diagonal = above;
		}
	}
	return row[width];
}

const char *options_nearest(const char *section, const char *key)
{
	const char *nearest = NULL;
	size_t best = 3;

	for (size_t i = 0; i < options_count(); i++) {
		size_t steps;

		if (!option_stands_in(&options[i], section))
			continue;
		steps = distance(key, options[i].key);
		if (steps < best && steps * 2 < strlen(options[i].key)) {
			best = steps;
			nearest = options[i].key;
		}
	}
	return nearest;
}

const char *options_list_sections(char *buffer, size_t size)
{
	struct text text;
	const char *last = "";

	text_init(&text, buffer, size);
	for (size_t i = 0; i < options_count(); i++) {
		if (strcmp(options[i].section, last) == 0)
			continue;
		last = options[i].section;
		text_add_format(&text, strcmp(last, "domain") == 0 ? "%s[%s \"NAME\"]" : "%s[%s]",
				text.length > 0 ? ", " : "", last);
	}
	return buffer;
}

const char *options_list_keys(const char *section, char *buffer, size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	for (size_t i = 0; i < options_count(); i++)
		if (option_stands_in(&options[i], section))
			text_add_format(&text, "%s%s", text.length > 0 ? ", " : "", options[i].key);
	return buffer;
}

const char *option_type_name(enum option_type type)
{
	return type_names[type];
}

static void print_range(const struct option *option, FILE *out)
{
	if (option->words != NULL) {
		for (const struct option_word *word = option->words; word->name != NULL; word++)
			fprintf(out, "%s%s", word > option->words ? "|" : "", word->name);
	} else if (option->max > 0) {
		fprintf(out, "%" PRId64 "..%" PRId64 "%s%s", option->min, option->max,
			option->unit != NULL ? " " : "", option->unit != NULL ? option->unit : "");
	}
}

void options_print(FILE *out)
{
	for (size_t i = 0; i < options_count(); i++) {
		const struct option *option = &options[i];

		fprintf(out, "%s\t%s\t%s\t%s\t%s\t", option->section, option->key,
			option_type_name(option->type),
			option->reload == OPTION_RESTART ? "restart" : "live", option->standard);
		print_range(option, out);
		fprintf(out, "\t%s\n", option->about);
	}
}
