/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of routes, who is answered, and the listener's comings and goings. Loop thread only. */
#include "control/web.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "control/metrics.h"
#include "control/web_page.h"
#include "control/web_status.h"
#include "core/host_header.h"
#include "io/http.h"

#define TRY_AGAIN_MS 60000
#define PLAIN	     "text/plain; charset=utf-8"

struct web {
	struct control_settings settings;
	struct ip_port wanted; /* family IP_NONE: none */
	struct ip_port open;   /* what `server` listens on */
	struct http_server *server;
	struct web_page *page;
	struct web_status *status;
	struct loop_timer *again;
	char problem[256];
};

/* ---- answers ---- */

static void answer_text(struct http_request *request, int status, const char *text)
{
	struct http_reply reply = {
		.status = status, .type = PLAIN, .body = text, .length = strlen(text)
	};

	http_answer(request, &reply);
}

static void serve_metrics(const struct web *web, struct http_request *request)
{
	struct http_reply reply = { .status = 200, .type = METRICS_TYPE };
	char *text = metrics_render(&web->settings, &reply.length);

	reply.body = text;
	http_answer(request, &reply);
	free(text);
}

/* That it is answered at all shows that the loop turns. */
static void serve_health(const struct web *web, struct http_request *request)
{
	struct store *store = writer_store(web->settings.services->writer);

	if (store_entries(store, STORE_RECIPIENTS) < 0)
		answer_text(request, 503, "the recipient memory can't be read\n");
	else
		answer_text(request, 200, "ok\n");
}

static void serve_status(const struct web *web, struct http_request *request)
{
	web_status_serve(web->status, request);
}

static void serve_page(const struct web *web, struct http_request *request)
{
	web_page_serve(web->page, request);
}

/* ---- routes ---- */

static const struct route {
	const char *path;
	void (*serve)(const struct web *web, struct http_request *request);
} routes[] = {
	{ "/", serve_page },
	{ "/metrics", serve_metrics },
	{ "/healthz", serve_health },
	{ "/status.json", serve_status },
};

/* By an address nobody is fooled, and who gives no name at all is no browser. */
static bool is_for_us(const struct web *web, const struct http_request *request)
{
	const char *host = http_request_host(request);
	char name[MAIL_DOMAIN_MAX + 1];

	if (host == NULL)
		return true;
	switch (host_header_read(host, name)) {
	case HOST_HEADER_ADDRESS:
		return true;
	case HOST_HEADER_NAME:
		return strcmp(name, "localhost") == 0 ||
		       mx_identity_has_name(&web->settings.services->identity.self, name);
	case HOST_HEADER_BAD:
		break;
	}
	return false;
}

static void take_request(void *arg, struct http_request *request)
{
	const struct web *web = arg;
	const char *path = http_request_path(request);

	if (!is_for_us(web, request)) {
		answer_text(request, 403,
			    "This is not the host that you asked for: use its address, localhost "
			    "or one of its names ([milter] my_names).\n");
		return;
	}
	if (!http_request_is_read(request)) {
		answer_text(request, 405, "Only GET and HEAD.\n");
		return;
	}
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (strcmp(path, routes[i].path) == 0) {
			routes[i].serve(web, request);
			return;
		}
	}
	answer_text(request, 404, "There is no such page.\n");
}

/* ---- the listener ---- */

static bool is_loopback(const struct ip *ip)
{
	static const struct ip v6 = { .family = IP_V6, .bytes = { [15] = 1 } };

	return ip->family == IP_V4 ? ip->bytes[0] == 127 : ip_equal(ip, &v6);
}

static bool is_open(const struct web *web)
{
	return web->server != NULL && ip_port_equal(&web->open, &web->wanted);
}

static void close_server(struct web *web)
{
	web_status_stop(web->status);
	http_server_free(web->server);
	web->server = NULL;
}

static bool open_server(struct web *web, const struct ip_port *address)
{
	web->server = http_server_new(web->settings.services->loop, address, take_request, web);
	web->open = *address;
	return web->server != NULL;
}

static void say_open(const struct web *web)
{
	char shown[IP_TEXT_MAX];

	ip_port_format(&web->open, shown, sizeof(shown));
	log_notice("http: state=listening address=%s", shown);
	if (!is_loopback(&web->open.ip))
		log_warning("http: address=%s is open to other hosts: whoever reaches it reads the "
			    "names and states of all domains; there is no password",
			    shown);
}

static void note_problem(struct web *web, int error)
{
	char shown[IP_TEXT_MAX];
	TEXT_ON(problem, web->problem);

	ip_port_format(&web->wanted, shown, sizeof(shown));
	text_add_format(&problem, "cannot listen on %s: %s", shown, strerror(error));
}

/* The old address goes first: the new one may be the same port of all addresses. */
static bool open_wanted(struct web *web)
{
	bool had = web->server != NULL;
	struct ip_port before = web->open;
	int error;

	close_server(web);
	if (open_server(web, &web->wanted)) {
		web->problem[0] = '\0';
		say_open(web);
		return true;
	}
	error = errno;
	if (had)
		open_server(web, &before);
	note_problem(web, error);
	loop_timer_start(web->again, TRY_AGAIN_MS);
	return false;
}

static void try_again(void *arg)
{
	open_wanted(arg);
}

void web_configure(struct web *web, const struct config *config)
{
	web->wanted.ip = config->http.listen.ip;
	web->wanted.port = config->http.listen.port;
	web->problem[0] = '\0';
	loop_timer_stop(web->again);
	if (web->wanted.ip.family == IP_NONE && web->server != NULL) {
		close_server(web);
		log_notice("http: state=off");
	} else if (web->wanted.ip.family != IP_NONE && !is_open(web) && !open_wanted(web)) {
		log_error("http: %s; %s, and it is tried again each minute", web->problem,
			  web->server != NULL ? "the old address stays in use"
					      : "nothing is served");
	}
}

const char *web_problem(const struct web *web)
{
	return web->problem[0] != '\0' ? web->problem : NULL;
}

struct web *web_new(const struct control_settings *settings, const struct config *config)
{
	struct web *web = memory_alloc(sizeof(*web));

	web->settings = *settings;
	web->page = web_page_new(&web->settings);
	web->status = web_status_new(&web->settings);
	web->again = loop_timer_new(settings->services->loop, try_again, web);
	web_configure(web, config);
	return web;
}

void web_free(struct web *web)
{
	if (web == NULL)
		return;
	close_server(web);
	web_page_free(web->page);
	web_status_free(web->status);
	loop_timer_free(web->again);
	free(web);
}
