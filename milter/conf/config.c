/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Snapshots: one load from the ini file to the sorted table of domains, and what is asked of it.
 *
 * Owns the snapshots until their last user puts them. Loading is for one thread at a time; the rest
 * is for any thread.
 */
#include "conf/config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "conf/check.h"
#include "conf/domains_file.h"
#include "conf/options.h"
#include "conf/reader.h"
#include "conf/values.h"

struct snapshot {
	struct config config; /* first: users hold its address */
	atomic_size_t references;
	struct pool pool;
};

/* ---- users ---- */

static struct snapshot *snapshot_of(struct config *config)
{
	return (struct snapshot *)config;
}

static void snapshot_free(struct snapshot *snapshot)
{
	free(snapshot->config.domain);
	pool_fini(&snapshot->pool);
	free(snapshot);
}

struct config *config_get(struct config *config)
{
	atomic_fetch_add_explicit(&snapshot_of(config)->references, 1, memory_order_relaxed);
	return config;
}

void config_put(struct config *config)
{
	struct snapshot *snapshot = snapshot_of(config);

	if (config != NULL &&
	    atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) == 1)
		snapshot_free(snapshot);
}

static int compare_name(const void *name, const void *domain)
{
	return strcmp(name, ((const struct config_domain *)domain)->name);
}

static const struct config_domain *find_exact(const struct config *config, const char *name)
{
	if (config->domain_count == 0)
		return NULL;
	return bsearch(name, config->domain, config->domain_count, sizeof(*config->domain),
		       compare_name);
}

const struct config_domain *config_domain_find(const struct config *config, const char *name)
{
	const struct config_domain *found = NULL;
	const char *parent = name;

	if (name[0] != '\0' && name[0] != '.')
		found = find_exact(config, name);
	while (found == NULL && (parent = strchr(parent, '.')) != NULL) {
		found = find_exact(config, parent);
		parent++;
	}
	return found;
}

const char *config_restart_keys(const struct config *old, const struct config *new, char *buffer,
				size_t size)
{
	struct text text;

	text_init(&text, buffer, size);
	for (size_t i = 0; i < options_count(); i++) {
		const struct option *option = options_at(i);

		if (option->reload != OPTION_RESTART || value_equal(option, old, new))
			continue;
		text_add_format(&text, "%s%s.%s", text.length > 0 ? ", " : "", option->section,
				option->key);
	}
	return buffer;
}

bool config_client_exempt(const struct config *config, const struct ip *client)
{
	const struct config_networks *exempt = &config->milter.exempt_clients;

	for (size_t i = 0; i < exempt->count; i++)
		if (ip_network_contains(&exempt->items[i], client))
			return true;
	return false;
}

/* ---- loading ---- */

/* What a section doesn't say, the plain sections do. */
static void inherit(struct reader_domain *domain, const struct config *config)
{
	struct config_domain given = domain->domain;

	domain->domain.policy = config->policy;
	domain->domain.probe = config->probe;
	for (const struct reader_given *key = domain->given; key != NULL; key = key->next)
		value_copy(key->option, reader_home(key->option, NULL, &domain->domain),
			   reader_home(key->option, NULL, &given));
}

static int compare_domains(const void *left, const void *right)
{
	const struct reader_domain *a = left;
	const struct reader_domain *b = right;
	int order = strcmp(a->domain.name, b->domain.name);

	if (order != 0)
		return order;
	return a->number < b->number ? -1 : a->number > b->number;
}

static void check_duplicates(const struct reader *reader)
{
	for (size_t i = 1; i < reader->domain_count; i++) {
		const struct reader_domain *first = &reader->domains[i - 1];
		const struct reader_domain *second = &reader->domains[i];

		if (second->domain.name[0] == '\0' ||
		    strcmp(first->domain.name, second->domain.name) != 0)
			continue;
		problems_add(reader->problems, second->place, NULL,
			     "[domain \"%s\"]: is given twice; put its keys into the section at "
			     "%s:%u",
			     second->domain.name,
			     problems_file(reader->problems, first->place.file), first->place.line);
	}
}

static struct config_domain from_file(char *name, const struct config *config, char *empty)
{
	return (struct config_domain){
		.name = name,
		.recipients_file = empty,
		.policy = config->policy,
		.probe = config->probe,
	};
}

/* Merges the sections and the file's names, both sorted, into the table. A section wins. */
static void build_table(struct reader *reader, const struct domains_file *file)
{
	struct config *config = reader->config;
	char *empty = pool_string(reader->pool, "");
	size_t i = 0, j = 0, count = 0;

	config->domain = memory_array(reader->domain_count + file->count, sizeof(*config->domain));
	while (i < reader->domain_count || j < file->count) {
		int order = i == reader->domain_count ? 1
			    : j == file->count
				    ? -1
				    : strcmp(reader->domains[i].domain.name, file->names[j]);

		if (order > 0) {
			config->domain[count++] = from_file(file->names[j++], config, empty);
			continue;
		}
		config->domain[count++] = reader->domains[i++].domain;
		j += order == 0;
	}
	config->domain_count = count;
	config->unlisted = from_file(empty, config, empty);
}

static void finish(struct reader *reader)
{
	struct place place =
		reader->ini->plain[option_index(options_find("domains", "domains_file"))];
	const char *path = reader->config->domains.domains_file;
	struct domains_file file = { .names = NULL };

	if (reader->domain_count > 0)
		qsort(reader->domains, reader->domain_count, sizeof(*reader->domains),
		      compare_domains);
	check_duplicates(reader);
	check_all(reader);
	if (path != NULL && path[0] != '\0')
		domains_file_read(&file, path, place, reader->pool, reader->problems);
	if (reader->problems->count == 0) {
		for (size_t i = 0; i < reader->domain_count; i++)
			inherit(&reader->domains[i], reader->config);
		build_table(reader, &file);
	}
	domains_file_fini(&file);
}

/* From a read ini file to a snapshot. Ends `ini` and its problems. */
static struct config *build(struct ini *ini, bool was_read, struct config_errors *errors)
{
	struct snapshot *snapshot = memory_alloc(sizeof(*snapshot));
	struct problems *problems = ini->problems;
	struct reader reader = {
		.problems = problems,
		.pool = &snapshot->pool,
		.config = &snapshot->config,
		.ini = ini,
	};

	atomic_init(&snapshot->references, 1);
	if (was_read) {
		reader_run(&reader);
		finish(&reader);
	}
	free(reader.domains);
	ini_fini(ini);
	if (problems_finish(problems, errors))
		return &snapshot->config;
	snapshot_free(snapshot);
	return NULL;
}

struct config *config_load(const char *path, struct config_errors *errors)
{
	struct problems problems = { .files = NULL };
	struct ini ini = { .problems = &problems };
	bool was_read = ini_read(&ini, path);

	return build(&ini, was_read, errors);
}

struct config *config_load_bytes(const char *name, const char *bytes, size_t length,
				 struct config_errors *errors)
{
	struct problems problems = { .files = NULL };
	struct ini ini = { .problems = &problems };

	ini_read_bytes(&ini, name, bytes, length);
	return build(&ini, true, errors);
}

char *config_control_socket(const char *path, struct config_errors *errors)
{
	struct problems problems = { .files = NULL };
	struct ini ini = { .problems = &problems };
	struct pool pool = { .chunks = NULL };
	struct config config = { .domain_count = 0 };
	struct reader reader = {
		.problems = &problems, .pool = &pool, .config = &config, .ini = &ini
	};
	bool was_read = ini_read(&ini, path);
	char *socket = NULL;

	if (was_read) {
		const char *standard = options_find("milter", "control_socket")->standard;

		reader_run(&reader);
		socket = memory_string(config.milter.control_socket != NULL
					       ? config.milter.control_socket
					       : standard);
	}
	free(reader.domains);
	ini_fini(&ini);
	problems_finish(&problems, errors);
	if (was_read)
		config_errors_fini(errors);
	pool_fini(&pool);
	return socket;
}

void config_errors_fini(struct config_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		free(errors->lines[i]);
	free(errors->lines);
	*errors = (struct config_errors){ .lines = NULL };
}
