/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who we are: the names and addresses by which an MX entry is this host. Loop thread only.
 */
#ifndef BACKUPMX_WATCH_IDENTITY_H
#define BACKUPMX_WATCH_IDENTITY_H

#include "conf/config.h"
#include "core/mxset.h"

struct identity {
	struct mx_identity self; /* points into what follows */
	char **names;		 /* the host's name first, then my_names */
	struct ip *addresses;	 /* of the interfaces, then my_addresses */
	char host_name[MAIL_DOMAIN_MAX + 1];
};

/* Looks up the host's name once (it may ask the resolver), and fills in the rest. */
void identity_init(struct identity *identity, const struct config *config);
/* Takes my_names and my_addresses of a new configuration and looks at the interfaces again. True
 * when something differs from before. */
bool identity_refresh(struct identity *identity, const struct config *config);
/* The name that we give to people: the first of my_names, else the host's. */
const char *identity_name(const struct identity *identity);
void identity_fini(struct identity *identity);

#endif
