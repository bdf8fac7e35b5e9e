/* SPDX-License-Identifier: BSD-2-Clause */
/* EHLO and STARTTLS at our own MTA, to see the certificate that it shows. */
#include "check/own_mx.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* A session that is waited for. */
struct look {
	struct loop *loop;
	struct own_mx *own;
	struct smtp_client *client;
	bool done;
};

static void done(struct look *look)
{
	look->done = true;
	loop_stop(look->loop);
}

static void on_open(void *arg)
{
	struct look *look = arg;
	struct ssl_st *ssl = smtp_client_tls(look->client);
	bool offered = smtp_client_dialog(look->client)->offers_starttls;

	look->own->chain = ssl != NULL ? tls_chain_new(ssl) : NULL;
	if (look->own->chain != NULL)
		look->own->tls = OWN_MX_SHOWN;
	else
		look->own->tls = offered ? OWN_MX_FAILED : OWN_MX_NOT_OFFERED;
	smtp_client_send(look->client, "QUIT");
}

static void on_reply(void *arg, const struct smtp_reply *reply)
{
	struct look *look = arg;

	(void)reply; /* to QUIT */
	smtp_client_abort(look->client);
	done(look);
}

static void on_ended(void *arg, enum health_reason reason)
{
	struct look *look = arg;

	if (reason == HEALTH_TLS_FAIL)
		look->own->tls = OWN_MX_FAILED;
	look->own->problem = health_reason_name(reason);
	done(look);
}

/* True when somebody spoke SMTP there. */
static bool look_at(struct check *check, struct own_mx *own, const struct ip_port *address)
{
	static const struct smtp_client_handlers handlers = { on_open, on_reply, on_ended };
	struct smtp_client_settings settings = {
		.endpoint = *address,
		.plan = { .helo = check_helo_name(check, &check->config->probe),
			  .level = HEALTH_LEVEL_EHLO,
			  .tls = SMTP_DIALOG_TLS_MAY },
		.tls_host = own->host->name,
		.connect_timeout_ms = check->config->probe.connect_timeout * 1000,
		.reply_timeout_ms = check->config->probe.timeout * 1000,
	};
	struct look look = { .loop = check->loop, .own = own };

	ip_port_format(address, own->where, sizeof(own->where));
	look.client = smtp_client_start(check->smtp, &settings, &handlers, &look);
	while (!look.done)
		loop_run(check->loop);
	return own->tls != OWN_MX_UNSEEN;
}

static void look_at_flush_mta(struct check *check, struct own_mx *own)
{
	const struct config_endpoint *mta = &check->config->flush.mta;
	struct ip addresses[MXSET_ADDRESSES_MAX];
	size_t count = check_configured_addresses(check, mta, addresses);

	for (size_t i = 0; i < count; i++) {
		struct ip_port address = { addresses[i], mta->port != 0 ? mta->port : 25 };

		if (look_at(check, own, &address))
			return;
	}
}

void own_mx_look(const struct own_mx_list *list, struct own_mx *own)
{
	if (own->looked_at)
		return;
	own->looked_at = true;
	own->problem = "it has no address";
	for (size_t i = 0; i < own->host->address_count; i++) {
		struct ip_port address = { own->host->addresses[i], 25 };

		if (look_at(list->check, own, &address))
			return;
	}
	look_at_flush_mta(list->check, own);
}

struct own_mx *own_mx_find(const struct own_mx_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].host->name, name) == 0)
			return &list->items[i];
	return NULL;
}

void own_mx_list_init(struct own_mx_list *list, struct check *check)
{
	*list = (struct own_mx_list){ .check = check };
	for (size_t i = 0; i < check->domain_count; i++) {
		const struct mxset *set = &check->domains[i].set;

		for (size_t j = 0; j < set->count; j++) {
			const struct mx_host *host = &set->hosts[j];

			if (host->role != MX_SELF || own_mx_find(list, host->name) != NULL)
				continue;
			list->items =
				memory_resize(list->items, list->count + 1, sizeof(*list->items));
			list->items[list->count++] = (struct own_mx){ .host = host };
		}
	}
}

void own_mx_list_fini(struct own_mx_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		tls_chain_free(list->items[i].chain);
	free(list->items);
}
