/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Endpoints: the addresses and ports that are probed, each once for all domains that use it
 * (DESIGN section 3). Loop thread only.
 *
 * Users (domains) say which endpoints they need and by which rules; an endpoint without users is
 * forgotten. States survive restarts.
 */
#ifndef BACKUPMX_WATCH_ENDPOINTS_H
#define BACKUPMX_WATCH_ENDPOINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/config.h"
#include "core/health.h"
#include "core/ip.h"
#include "watch/services.h"

struct endpoints;
struct endpoint;

/* Told after each probe that counted. */
typedef void (*endpoint_listener)(void *user, struct endpoint *endpoint);

struct endpoints *endpoints_new(struct services *services, endpoint_listener listener);
void endpoints_free(struct endpoints *endpoints);

/* Registers `user` with the endpoint, or changes by which rules it uses it. A new endpoint takes up
 * what the store remembers of it; probing begins at once. */
struct endpoint *endpoints_use(struct endpoints *endpoints, const struct ip_port *address,
			       void *user, const struct config_probe *probe);
void endpoints_drop(struct endpoint *endpoint, void *user);

/* Whether the endpoint is the best one up of a set of this user's, or one of a set with none up:
 * such are probed at full rate. */
void endpoint_set_leading(struct endpoint *endpoint, void *user, bool leading);

/* Brings the next probe forward, at most one sample per fast_interval. */
void endpoint_probe_soon(struct endpoint *endpoint);
/* A session as the prober would begin it now; `helo` takes the name that we give, and must outlive
 * the session. */
struct smtp_client_settings endpoint_session_settings(struct endpoint *endpoint, char *helo,
						      size_t size);
/* A callout got an answer to RCPT from it: that is as good as a good probe. */
void endpoint_saw_answer(struct endpoint *endpoint);

const struct ip_port *endpoint_address(const struct endpoint *endpoint);
const struct health *endpoint_health(const struct endpoint *endpoint);
int64_t endpoint_since(const struct endpoint *endpoint); /* seconds since 1970 */
/* When the probe began that was the first of those in a row which made the state what it is, or
 * speak against it now; seconds since 1970, 0: not since this start. */
int64_t endpoint_turned(const struct endpoint *endpoint);
int64_t endpoint_last_probe(const struct endpoint *endpoint); /* seconds since 1970; 0: not yet */

#endif
