/* SPDX-License-Identifier: BSD-2-Clause */
/* The frame of a check: configuration, who we are, and the tools that gather. */
#include "check/check.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "check/authority.h"
#include "check/mta.h"
#include "conf/options.h"

/* The defaults, where the file isn't there or can't be used. */
static struct config *defaults(void)
{
	struct config_errors errors = { .lines = NULL };
	struct config *config = config_load_bytes("defaults", "", 0, &errors);

	config_errors_fini(&errors);
	return config;
}

const char *check_config_path(const struct check *check)
{
	return check->options.config_path != NULL ? check->options.config_path
						  : CONFIG_DEFAULT_PATH;
}

static void config_read(struct check *check)
{
	const char *path = check_config_path(check);

	check->config_found =
		check->options.config_path != NULL || access(path, F_OK) == 0 || errno != ENOENT;
	if (check->config_found)
		check->config = config_load(path, &check->config_errors);
	if (check->config == NULL)
		check->config = defaults();
}

static struct dns *resolver_start(const struct config *config, struct loop *loop)
{
	const struct config_endpoints *given = &config->dns.servers;
	struct dns_server *servers = memory_array(given->count + 1, sizeof(*servers));
	struct dns_settings settings = { .servers = servers,
					 .server_count = given->count,
					 .timeout_ms = config->dns.timeout * 1000 };
	struct dns *dns;

	for (size_t i = 0; i < given->count; i++)
		servers[i] = (struct dns_server){ .ip = given->items[i].ip,
						  .port = given->items[i].port };
	dns = dns_new(loop, &settings);
	free(servers);
	return dns;
}

struct check *check_new(const struct check_options *options, const json_t *status)
{
	struct check *check = memory_alloc(sizeof(*check));

	signal(SIGPIPE, SIG_IGN); /* libevent and libcurl write with plain write(2) */
	check->options = *options;
	check->status = status;
	check->findings = check_findings_new();
	config_read(check);
	identity_init(&check->identity, check->config);
	check->loop = loop_new();
	check->tls = tls_new();
	check->dns = resolver_start(check->config, check->loop);
	if (check->dns == NULL || check->tls == NULL) {
		check_free(check);
		return NULL;
	}
	check->resolve = resolve_new(check->loop, check->dns);
	check->smtp = smtp_clients_new(check->loop, check->tls);
	return check;
}

void check_free(struct check *check)
{
	for (size_t i = 0; i < check->domain_count; i++) {
		mxset_fini(&check->domains[i].set);
		free(check->domains[i].endpoints);
	}
	free(check->domains);
	mta_free(check->mta);
	if (check->authority != NULL)
		authority_free(check->authority);
	if (check->smtp != NULL)
		smtp_clients_free(check->smtp);
	dns_free(check->dns);
	resolve_free(check->resolve);
	if (check->tls != NULL)
		tls_free(check->tls);
	loop_run_posted(check->loop); /* stops for answers that came before there was a wait */
	loop_free(check->loop);
	identity_fini(&check->identity);
	config_errors_fini(&check->config_errors);
	config_put(check->config);
	check_findings_free(check->findings);
	free(check);
}

const char *check_host_name(const struct check *check)
{
	return identity_name(&check->identity);
}

const char *check_helo_name(const struct check *check, const struct config_probe *probe)
{
	return probe->helo_name[0] != '\0' ? probe->helo_name : check->identity.host_name;
}
