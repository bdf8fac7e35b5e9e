/* SPDX-License-Identifier: BSD-2-Clause */
/* What the watching half of the program stands on. Filled in by main(); loop thread only. */
#ifndef BACKUPMX_WATCH_SERVICES_H
#define BACKUPMX_WATCH_SERVICES_H

#include "io/dns.h"
#include "io/loop.h"
#include "io/smtp_client.h"
#include "io/writer.h"
#include "watch/identity.h"

struct isolation_watch;
struct stats;

struct services {
	struct loop *loop;
	struct dns *dns; /* replaced when [dns] changes */
	struct smtp_clients *clients;
	struct writer *writer;
	struct isolation_watch *isolation;
	struct stats *stats; /* core/stats.h: any thread */
	struct identity identity;
};

#endif
