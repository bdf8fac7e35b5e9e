/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One small file from a web server, as an MTA fetches an MTA-STS policy (RFC 8461 3.3): by https
 * with a certificate that the system's authorities vouch for, without redirects, proxies or names
 * of its own resolving. It blocks: for programs that may wait, never for the daemon.
 */
#ifndef BACKUPMX_IO_HTTPS_H
#define BACKUPMX_IO_HTTPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ip.h"

#define HTTPS_TEXT_MAX 256

struct https_request {
	const char *host;	    /* the certificate must be for it */
	const char *path;	    /* begins with "/" */
	const struct ip *addresses; /* where the host is, in order of preference */
	size_t address_count;	    /* at least one */
	size_t limit;		    /* bytes; a longer file is an error */
	int64_t timeout_ms;	    /* for all of it */
};

enum https_result {
	HTTPS_ANSWERED,	   /* by `code`; the file is whole */
	HTTPS_UNREACHABLE, /* no connection or no TLS, or it didn't last */
	HTTPS_DISTRUSTED,  /* its certificate isn't valid */
	HTTPS_TOO_LONG,
};

struct https_answer {
	enum https_result result;
	int code;		   /* of HTTP, when answered */
	char type[HTTPS_TEXT_MAX]; /* its media type without parameters, lower case; foreign bytes
				    */
	char *body;		   /* foreign bytes, with a NUL behind them; https_answer_fini() */
	size_t length;
	char problem[HTTPS_TEXT_MAX]; /* unless answered: why, in words; may hold foreign bytes */
};

void https_get(const struct https_request *request, struct https_answer *answer);
void https_answer_fini(struct https_answer *answer);

#endif
