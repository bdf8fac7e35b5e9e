/* SPDX-License-Identifier: BSD-2-Clause */
/* Contradictions between settings. Owns nothing; called by the thread that loads. */
#include "conf/check.h"

#include <errno.h>
#include <ifaddrs.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/text.h"
#include "conf/file.h"

#define HOST_NAME_MAX_SIZE 256

struct self {
	const struct config *config;
	struct ifaddrs *interfaces;
	char host_name[HOST_NAME_MAX_SIZE];
};

/* ---- is that us? ---- */

static void self_init(struct self *self, const struct config *config)
{
	*self = (struct self){ .config = config };
	if (getifaddrs(&self->interfaces) != 0)
		self->interfaces = NULL;
	if (gethostname(self->host_name, sizeof(self->host_name) - 1) != 0)
		self->host_name[0] = '\0';
	text_lower(self->host_name);
}

static void self_fini(struct self *self)
{
	if (self->interfaces != NULL)
		freeifaddrs(self->interfaces);
}

static bool is_own_address(const struct self *self, const struct ip *ip)
{
	struct ip_port own;

	for (size_t i = 0; i < self->config->milter.my_address_count; i++)
		if (ip_equal(&self->config->milter.my_addresses[i], ip))
			return true;
	for (const struct ifaddrs *entry = self->interfaces; entry != NULL; entry = entry->ifa_next)
		if (entry->ifa_addr != NULL && ip_from_sockaddr(entry->ifa_addr, &own) &&
		    ip_equal(&own.ip, ip))
			return true;
	return false;
}

static bool is_own_name(const struct self *self, const char *name)
{
	const struct config_strings *names = &self->config->milter.my_names;

	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->items[i], name) == 0)
			return true;
	return strcmp(name, "localhost") == 0 ||
	       (self->host_name[0] != '\0' && strcmp(name, self->host_name) == 0);
}

static void check_primary(const struct reader *reader, const struct self *self,
			  const struct reader_domain *domain, struct place place)
{
	const struct config_endpoints *primary = &domain->domain.primary;
	char shown[IP_TEXT_MAX];

	for (size_t i = 0; i < primary->count; i++) {
		const struct config_endpoint *endpoint = &primary->items[i];

		if (endpoint->ip.family != IP_NONE && is_own_address(self, &endpoint->ip))
			problems_add(reader->problems, place, "primary",
				     "%s is an address of this host; write the domain's own mail "
				     "hosts",
				     ip_format(&endpoint->ip, shown, sizeof(shown)));
		else if (endpoint->ip.family == IP_NONE && is_own_name(self, endpoint->host))
			problems_add(reader->problems, place, "primary",
				     "%s is a name of this host; write the domain's own mail hosts",
				     endpoint->host);
	}
}

/* ---- files ---- */

static void check_file(const struct reader *reader, const char *path, const char *key,
		       struct place place)
{
	int error;

	if (path == NULL || path[0] == '\0')
		return;
	error = file_check(path);
	if (error != 0)
		problems_add(reader->problems, place, key,
			     "cannot read \"%.200s\": %s; write the path of a readable file", path,
			     strerror(-error));
}

static struct place place_of_key(const struct reader *reader, const char *section, const char *key)
{
	return reader->ini->plain[option_index(options_find(section, key))];
}

/* ---- commands ---- */

static int program_check(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EACCES;
	return access(path, X_OK) != 0 ? -errno : 0;
}

static void check_command(const struct reader *reader, const char *section,
			  const struct config_strings *command)
{
	struct place place = place_of_key(reader, section, "command");
	const char *program = command->count > 0 ? command->items[0] : NULL;
	int error;

	if (program == NULL)
		return;
	if (program[0] != '/') {
		problems_add(reader->problems, place, "command",
			     "\"%.200s\" is no absolute path; write /path/of/the/program and its "
			     "arguments",
			     program);
		return;
	}
	error = program_check(program);
	if (error != 0)
		problems_add(
			reader->problems, place, "command",
			"cannot run \"%.200s\": %s; write the path of a program that this host "
			"can run",
			program, strerror(-error));
}

static void check_flush(const struct reader *reader)
{
	const struct config *config = reader->config;

	check_command(reader, "flush", &config->flush.command);
	if (config->flush.method == CONFIG_FLUSH_COMMAND && config->flush.command.count == 0)
		problems_add(reader->problems, place_of_key(reader, "flush", "method"), "method",
			     "is command, and there is none; write command = "
			     "/path/of/a/program %%d as well, or etrn");
}

/* ---- all of it ---- */

static void check_valid_times(const struct reader *reader)
{
	struct place refresh = place_of_key(reader, "recipients", "valid_refresh");
	struct place ttl = place_of_key(reader, "recipients", "valid_ttl");
	int64_t valid_refresh = reader->config->recipients.valid_refresh;
	int64_t valid_ttl = reader->config->recipients.valid_ttl;
	char a[32], b[32];

	if (valid_refresh <= valid_ttl)
		return;
	duration_format(valid_refresh, a, sizeof(a));
	duration_format(valid_ttl, b, sizeof(b));
	if (refresh.line > 0)
		problems_add(reader->problems, refresh, "valid_refresh",
			     "%s is above valid_ttl, %s; write %s or less", a, b, b);
	else
		problems_add(reader->problems, ttl, "valid_ttl",
			     "%s is below valid_refresh, %s; write %s or more", b, a, a);
}

static const struct reader_given *find_given(const struct reader_domain *domain, const char *key)
{
	const struct reader_given *given = domain->given;

	while (given != NULL && strcmp(given->option->key, key) != 0)
		given = given->next;
	return given;
}

static struct place given_place(const struct reader_domain *domain, const char *key)
{
	const struct reader_given *given = find_given(domain, key);

	return given != NULL ? given->place : domain->place;
}

/* A section's canary is a mailbox of that domain; in [probe] it is meant for its own domain only.
 */
static void check_canary(const struct reader *reader, const struct reader_domain *domain)
{
	const struct reader_given *given = find_given(domain, "canary");
	const char *canary = domain->domain.probe.canary;
	const char *at;

	if (given == NULL || !given->is_good || domain->domain.name[0] == '.')
		return;
	at = strrchr(canary, '@');
	if (at != NULL && strcmp(at + 1, domain->domain.name) != 0)
		problems_add(reader->problems, given->place, "canary",
			     "%s is of another domain; write an address of %s, auto or none",
			     canary, domain->domain.name);
}

static void check_domain(const struct reader *reader, const struct self *self,
			 const struct reader_domain *domain)
{
	const struct config_domain *settings = &domain->domain;
	const struct reader_given *file = find_given(domain, "recipients_file");

	check_canary(reader, domain);
	check_primary(reader, self, domain, given_place(domain, "primary"));
	check_file(reader, settings->recipients_file, "recipients_file",
		   given_place(domain, "recipients_file"));
	if (settings->recipients_file[0] != '\0' && settings->name[0] == '.')
		problems_add(reader->problems, given_place(domain, "recipients_file"),
			     "recipients_file",
			     "is for one domain, and %s stands for many; write it into a [domain] "
			     "section of each subdomain",
			     settings->name);
	/* One that was refused has its own complaint, and is not kept. */
	if (settings->recipients_complete && settings->recipients_file[0] == '\0' &&
	    (file == NULL || file->is_good))
		problems_add(reader->problems, given_place(domain, "recipients_complete"),
			     "recipients_complete",
			     "is yes without a recipients_file; write recipients_file = /path as "
			     "well, or no");
}

/* There is no port by which foreign hosts could be guessed to answer. */
static void check_references(const struct reader *reader)
{
	const struct config_endpoints *references = &reader->config->reference;
	char shown[IP_TEXT_MAX];

	for (size_t i = 0; i < references->count; i++) {
		const struct config_endpoint *item = &references->items[i];

		if (item->port != 0)
			continue;
		problems_add(reader->problems, place_of_key(reader, "probe", "reference"),
			     "reference", "%s has no port; write HOST:PORT",
			     item->ip.family == IP_NONE
				     ? item->host
				     : ip_format(&item->ip, shown, sizeof(shown)));
	}
}

void check_all(const struct reader *reader)
{
	struct self self;

	self_init(&self, reader->config);
	/* A value that was refused has left nothing to compare. */
	if (reader->config->recipients.valid_ttl > 0)
		check_valid_times(reader);
	check_references(reader);
	check_flush(reader);
	check_command(reader, "notify", &reader->config->notify.command);
	for (size_t i = 0; i < reader->domain_count; i++)
		check_domain(reader, &self, &reader->domains[i]);
	self_fini(&self);
}
