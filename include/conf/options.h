/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The option table: every key there is, once (DESIGN section 6).
 *
 * What libconfuse is told, defaults, range checks, the texts that say what would be right, the keys
 * that need a restart and the test that holds the documentation against the program all come from
 * it. To add a key: a field in conf/config.h, a line in milter/conf/options.c, a line in
 * etc/backupmx.ini and the man page. Constant; any thread.
 */
#ifndef BACKUPMX_CONF_OPTIONS_H
#define BACKUPMX_CONF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What a value looks like, and by that what C type its field has. */
enum option_type {
	OPTION_BOOLEAN,	  /* bool */
	OPTION_WORD,	  /* an enum or int: one of `words` */
	OPTION_NUMBER,	  /* int64_t */
	OPTION_DURATION,  /* int64_t, seconds */
	OPTION_PERCENT,	  /* int64_t */
	OPTION_MODE,	  /* int64_t, written in octal */
	OPTION_STRING,	  /* char *: a word without blanks, or "" */
	OPTION_FACILITY,  /* char *: a syslog facility */
	OPTION_DELIMITER, /* char *: characters between a local part and its detail, or "" */
	OPTION_HOST,	  /* char *: a host name as lower-case A-labels, or "" */
	OPTION_CANARY,	  /* char *: auto, none, or a mailbox as local@domain */
	OPTION_PATH,	  /* char *: an absolute path, or "" where that is the default */
	OPTION_SOCKET,	  /* char *: a milter socket */
	OPTION_ENDPOINT,  /* struct config_endpoint: host:port */
	OPTION_LISTEN,	  /* struct config_endpoint: address:port, or "" */
	OPTION_HOSTS,	  /* struct config_strings: a list of host names */
	OPTION_ADDRESSES, /* struct ip * and a count: a list of addresses */
	OPTION_NETWORKS,  /* struct config_networks: a list of networks */
	OPTION_ENDPOINTS, /* struct config_endpoints: a list of hosts, the port may be left out */
	OPTION_SERVERS, /* struct config_endpoints: a list of addresses, the port may be left out */
	OPTION_SOURCES, /* struct ip, twice: a list of at most one address per family */
	OPTION_COMMAND, /* struct config_strings: a program's absolute path and its arguments; as a
			   list, or as words with blanks between */
	OPTION_TYPE_COUNT
};

enum option_reload {
	OPTION_LIVE,	/* taken over by a reload */
	OPTION_RESTART, /* needs a restart */
};

/* Which structure `offset` is in. All but the first may stand in [domain "x"] too. */
enum option_home {
	OPTION_HOME_CONFIG, /* struct config */
	OPTION_HOME_POLICY, /* struct config_policy */
	OPTION_HOME_PROBE,  /* struct config_probe */
	OPTION_HOME_DOMAIN, /* struct config_domain: stands only in [domain "x"] */
};

struct option_word {
	const char *name; /* NULL ends the list */
	int value;
};

struct option {
	const char *section; /* "domain" for keys that only [domain "x"] has */
	const char *key;
	enum option_type type;
	const char *standard; /* the default as it stands in an ini file, without quotes */
	enum option_reload reload;
	const char *about; /* one line for people */
	int64_t min, max;  /* numbers, durations, percentages, modes; of a path: its length */
	const char *unit;  /* what a number counts; NULL: nothing worth saying */
	const struct option_word *words;
	enum option_home home;
	size_t offset;
	size_t offset2; /* a list's count; of OPTION_SOURCES: the IPv6 address */
};

size_t options_count(void);
const struct option *options_at(size_t index);
size_t option_index(const struct option *option);

/* Finds a key where it may stand; `section` "domain" takes policy and probe keys as well. */
const struct option *options_find(const char *section, const char *key);
bool options_section_known(const char *section);
bool option_stands_in(const struct option *option, const char *section);
bool option_is_list(const struct option *option);
bool option_in_domain(const struct option *option);

/* The section of that key, wherever it is; NULL when there is no such key at all. */
const char *options_section_of(const char *key);
/* The key of `section` that a mistyped one most likely means; NULL when none is close. */
const char *options_nearest(const char *section, const char *key);

/* "[milter], [domains], ..." and "socket, socket_mode, ...": for messages. */
const char *options_list_sections(char *buffer, size_t size);
const char *options_list_keys(const char *section, char *buffer, size_t size);

const char *option_type_name(enum option_type type);

/* One line per option, for tests and for writing documentation: section, key, type, reload class,
 * default, words or range with unit, what it is for; separated by tabs. */
void options_print(FILE *out);

#endif
