/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as an ini file, through the real reader and libconfuse.
 *
 * Beyond not crashing and not leaking: there is a snapshot or a complaint, never both; each
 * complaint is one printable line that starts with the file's name; what libconfuse gets never
 * makes it complain itself (the pass before it is to find everything first).
 */
#include "conf/config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(int holds, const char *what, const char *line)
{
	if (holds)
		return;
	fprintf(stderr, "%s: %s\n", what, line);
	abort();
}

static void check_line(const char *line)
{
	/* How the reader ends what libconfuse says; no other message ends so. */
	static const char own[] = "; write sections of key = value lines";

	require(strchr(line, '\n') == NULL, "two lines", line);
	for (const char *c = line; *c != '\0'; c++)
		require(*c >= 0x20 && *c < 0x7f, "not printable", line);
	/* Included files and domains_file are named by their own paths. */
	require(strchr(line, ':') != NULL, "names no file", line);
	require(strlen(line) < strlen(own) || strcmp(line + strlen(line) - strlen(own), own) != 0,
		"libconfuse had to complain", line);
}

static void check_config(struct config *config)
{
	char keys[64];

	for (size_t i = 1; i < config->domain_count; i++)
		require(strcmp(config->domain[i - 1].name, config->domain[i].name) < 0, "order",
			config->domain[i].name);
	for (size_t i = 0; i < config->domain_count; i++) {
		const struct config_domain *domain = &config->domain[i];

		require(config_domain_find(config, domain->name) == domain, "lookup", domain->name);
		require(domain->probe.rules.fall > 0 && domain->probe.rules.interval > 0, "range",
			domain->name);
	}
	require(config_restart_keys(config, config, keys, sizeof(keys))[0] == '\0', "keys", keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct config_errors errors;
	struct config *config =
		config_load_bytes("/nowhere/fuzz.ini", (const char *)bytes, size, &errors);

	require((config == NULL) == (errors.count > 0), "both or neither", "");
	for (size_t i = 0; i < errors.count; i++)
		check_line(errors.lines[i]);
	if (config != NULL)
		check_config(config);
	config_errors_fini(&errors);
	config_put(config);
	return 0;
}
