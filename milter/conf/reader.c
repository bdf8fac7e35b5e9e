/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells libconfuse the option table, lets it parse, and stores what it found.
 *
 * Every value is a string to libconfuse; conf/values.c reads it when libconfuse hands it over (then
 * the line is known) and once more when it is stored. A [domain "x"] section is stored and dropped
 * as soon as it ends: libconfuse compares each new title with all those it keeps, and keeps 5 KB
 * each. Called by the thread that loads.
 */
#include "conf/reader.h"

#include <confuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "conf/values.h"

/* libconfuse's callbacks take no context: this is the load that is under way. */
static struct {
	struct reader *reader;
	unsigned file;
	struct reader_given *given; /* of the [domain "x"] section being read */
	bool failed;		    /* libconfuse itself found something wrong */
} running;

static struct place place_of(const cfg_t *section)
{
	return (struct place){ .file = running.file, .line = (unsigned)section->line };
}

/* ---- what libconfuse calls ---- */

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *section, const char *format,
							   va_list args)
{
	char what[256];

	running.failed = true;
	vsnprintf(what, sizeof(what), format, args);
	problems_add(running.reader->problems, place_of(section), NULL,
		     "%s; write sections of key = value lines", what);
}

static void note_given(const struct option *option, struct place place)
{
	struct reader_given *given = running.given;

	if (given != NULL && given->option == option)
		return; /* a further item of the same list */
	given = pool_alloc(running.reader->pool, sizeof(*given));
	*given = (struct reader_given){ .option = option, .place = place, .next = running.given };
	running.given = given;
}

/* A value, while its line is known. It is kept even when it is bad: so all mistakes are found. */
static int on_value(cfg_t *section, cfg_opt_t *opt, const char *text, void *result)
{
	const struct option *option = options_find(section->name, opt->name);
	char wrong[VALUE_WRONG_MAX];
	struct value value;

	memcpy(result, &text, sizeof(text));
	if (!value_read(option, text, &value, wrong, sizeof(wrong)))
		problems_add(running.reader->problems, place_of(section), opt->name, "%s", wrong);
	else if (section->title != NULL)
		note_given(option, place_of(section));
	return 0;
}

static void store_domain(cfg_t *section);

/* The end of a [domain "x"] section. */
static int on_domain(cfg_t *root, cfg_opt_t *opt)
{
	(void)root;
	store_domain(cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1));
	return cfg_opt_rmnsec(opt, cfg_opt_size(opt) - 1);
}

/* ---- the option table, as libconfuse wants it ---- */

/* An empty list is no default to libconfuse, and `{` would start one only in lists. */
static cfg_opt_t describe(const struct option *option, bool in_domain)
{
	cfg_flag_t flags = in_domain ? CFGF_NODEFAULT : CFGF_NONE;
	cfg_opt_t list = CFG_STR_LIST_CB(option->key, (char *)option->standard, flags, on_value);
	cfg_opt_t scalar = CFG_STR_CB(option->key, option->standard, flags, on_value);

	return option_is_list(option) ? list : scalar;
}

/* The keys of one section, ended as libconfuse wants it. free() it. */
static cfg_opt_t *describe_section(const char *section)
{
	cfg_opt_t end = CFG_END();
	cfg_opt_t *opts = memory_array(options_count() + 1, sizeof(*opts));
	bool in_domain = strcmp(section, "domain") == 0;
	size_t count = 0;

	for (size_t i = 0; i < options_count(); i++)
		if (option_stands_in(options_at(i), section))
			opts[count++] = describe(options_at(i), in_domain);
	opts[count] = end;
	return opts;
}

static cfg_t *describe_all(void)
{
	cfg_opt_t end = CFG_END();
	cfg_opt_t *opts = memory_array(options_count() + 1, sizeof(*opts));
	const char *last = "";
	size_t count = 0;
	cfg_t *root;

	for (size_t i = 0; i < options_count(); i++) {
		const char *name = options_at(i)->section;
		bool is_domain = strcmp(name, "domain") == 0;
		cfg_opt_t opt =
			CFG_SEC(name, NULL, is_domain ? CFGF_MULTI | CFGF_TITLE : CFGF_NONE);

		if (strcmp(name, last) == 0)
			continue;
		last = name;
		opt.subopts = describe_section(name);
		opt.validcb = is_domain ? on_domain : NULL;
		opts[count++] = opt;
	}
	opts[count] = end;
	root = cfg_init(opts, CFGF_NONE); /* copies all of it */
	for (size_t i = 0; i < count; i++)
		free(opts[i].subopts);
	free(opts);
	return root;
}

/* ---- storing ---- */

void *reader_home(const struct option *option, struct config *config, struct config_domain *domain)
{
	switch (option->home) {
	case OPTION_HOME_POLICY:
		return domain != NULL ? &domain->policy : &config->policy;
	case OPTION_HOME_PROBE:
		return domain != NULL ? &domain->probe : &config->probe;
	case OPTION_HOME_DOMAIN:
		return domain;
	default:
		return config;
	}
}

static void check_families(const struct option *option, const struct value *values, size_t count,
			   struct place place)
{
	size_t per_family[2] = { 0, 0 };
	char say[256];

	for (size_t i = 0; i < count; i++)
		per_family[values[i].ip.family == IP_V6]++;
	if (per_family[0] > 1 || per_family[1] > 1)
		problems_add(running.reader->problems, place, option->key,
			     "has two addresses of one family; %s",
			     value_say_right(option, say, sizeof(say)));
}

static bool store(const struct option *option, cfg_opt_t *opt, void *home, struct place place)
{
	size_t count = cfg_opt_size(opt);
	struct value *values = memory_array(count, sizeof(*values));
	char wrong[VALUE_WRONG_MAX];
	size_t good = 0;

	while (good < count && value_read(option, cfg_opt_getnstr(opt, (unsigned)good),
					  &values[good], wrong, sizeof(wrong)))
		good++;
	if (good == count && option->type == OPTION_SOURCES)
		check_families(option, values, count, place);
	if (good == count)
		value_store(option, home, values, count, running.reader->pool);
	free(values);
	return good == count;
}

static void store_plain(cfg_t *root)
{
	struct reader *reader = running.reader;

	for (size_t i = 0; i < options_count(); i++) {
		const struct option *option = options_at(i);
		cfg_t *section;

		if (option->home == OPTION_HOME_DOMAIN)
			continue;
		section = cfg_getsec(root, option->section);
		store(option, cfg_getopt(section, option->key),
		      reader_home(option, reader->config, NULL), reader->ini->plain[i]);
	}
}

static struct reader_domain *domain_add(struct reader *reader)
{
	if (reader->domain_count == reader->domain_room) {
		reader->domain_room = reader->domain_room > 0 ? reader->domain_room * 2 : 16;
		reader->domains = memory_resize(reader->domains, reader->domain_room,
						sizeof(*reader->domains));
	}
	reader->domains[reader->domain_count] = (struct reader_domain){
		.number = reader->domain_count,
	};
	return &reader->domains[reader->domain_count++];
}

static struct place given_place(const struct option *option, struct place otherwise)
{
	for (struct reader_given *given = running.given; given != NULL; given = given->next)
		if (given->option == option)
			return given->place;
	return otherwise;
}

static void store_given(struct reader_domain *domain, const struct option *option, cfg_opt_t *opt)
{
	struct reader_given *given = pool_alloc(running.reader->pool, sizeof(*given));

	/* An empty list has no value whose line libconfuse could have told. */
	given->option = option;
	given->place = given_place(option, domain->place);
	given->is_good =
		store(option, opt, reader_home(option, NULL, &domain->domain), given->place);
	given->next = domain->given;
	domain->given = given;
}

static void store_domain(cfg_t *section)
{
	struct reader *reader = running.reader;
	struct reader_domain *domain = domain_add(reader);

	domain->domain.name = pool_string(reader->pool, cfg_title(section));
	domain->domain.recipients_file = pool_string(reader->pool, "");
	domain->place = reader->ini->headers[domain->number];
	for (size_t i = 0; i < options_count(); i++) {
		const struct option *option = options_at(i);
		cfg_opt_t *opt;

		if (!option_in_domain(option))
			continue;
		opt = cfg_getopt(section, option->key);
		if ((opt->flags & CFGF_MODIFIED) != 0)
			store_given(domain, option, opt);
	}
	running.given = NULL;
}

/* ---- parsing ---- */

static void parse_unit(cfg_t *root, const struct ini_unit *unit)
{
	size_t before = running.reader->problems->count;

	running.file = unit->file;
	running.given = NULL;
	if (cfg_parse_buf(root, unit->text) == CFG_SUCCESS && !running.failed)
		return;
	if (running.reader->problems->count == before)
		problems_add(running.reader->problems, (struct place){ .file = unit->file }, NULL,
			     "cannot be parsed; write sections of key = value lines");
}

void reader_run(struct reader *reader)
{
	cfg_t *root;

	running.reader = reader;
	running.failed = false;
	running.given = NULL;
	root = describe_all();
	if (root == NULL)
		abort();
	cfg_set_error_function(root, on_error);
	for (size_t i = 0; i < reader->ini->unit_count; i++)
		parse_unit(root, &reader->ini->units[i]);
	store_plain(root);
	cfg_free(root);
	running.reader = NULL;
}
