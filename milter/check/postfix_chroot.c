/* SPDX-License-Identifier: BSD-2-Clause */
/* Can Postfix's chrooted processes look up names? They have a resolv.conf of their own. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "check/postfix.h"

#define SERVERS_MAX 1024
#define LINE_SIZE   512

/* The smtpd or smtp that is chrooted; NULL: none is. */
static const struct postfix_service *chrooted_service(const struct postfix *postfix)
{
	for (size_t i = 0; i < postfix->service_count; i++) {
		const struct postfix_service *service = &postfix->services[i];

		if (service->chrooted && (strcmp(service->command, "smtp") == 0 ||
					  strcmp(service->command, "smtpd") == 0))
			return service;
	}
	return NULL;
}

/* The name servers of a resolv.conf; false when it can't be read. */
static bool read_servers(const char *path, char *servers, size_t size)
{
	FILE *file = fopen(path, "re");
	char line[LINE_SIZE];
	struct text text;

	text_init(&text, servers, size);
	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL) {
		char address[64];

		if (sscanf(line, "nameserver %63s", address) == 1)
			text_add_format(&text, "%s%s", text.length > 0 ? ", " : "", address);
	}
	fclose(file);
	return true;
}

/* All that a resolver reads, as far as this host has it. */
static void mend(struct check *check, const struct postfix *postfix, const char *folder)
{
	static const char *const names[] = { "/etc/resolv.conf", "/etc/services", "/etc/hosts",
					     "/etc/nsswitch.conf" };
	char files[256], quoted[CHECK_LINE_MAX];
	TEXT_ON(list, files);
	TEXT_ON(text, quoted);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (access(names[i], R_OK) == 0)
			text_add_format(&list, "%s ", names[i]);
	text_add_in_quotes(&text, folder);
	mta_mend(check, "mkdir -p '%s'", quoted);
	mta_mend(check, "cp -L %s'%s'", files, quoted);
	postfix_mend_reload(check, postfix);
}

void postfix_judge_chroot(struct check *check, const struct postfix *postfix)
{
	const struct postfix_service *service = chrooted_service(postfix);
	char ours[SERVERS_MAX], its[SERVERS_MAX], folder[1024], path[1100];

	if (service == NULL) {
		mta_add(check, MTA_RULE_CHROOT, CHECK_OK, NULL, "no smtp and no smtpd is chrooted");
		return;
	}
	if (!read_servers("/etc/resolv.conf", ours, sizeof(ours))) {
		mta_unseen(check, MTA_RULE_CHROOT, NULL, "/etc/resolv.conf can't be read");
		return;
	}
	snprintf(folder, sizeof(folder), "%s/etc", postfix_value(postfix, NULL, "queue_directory"));
	snprintf(path, sizeof(path), "%s/resolv.conf", folder);
	if (!read_servers(path, its, sizeof(its))) {
		mta_add(check, MTA_RULE_CHROOT, CHECK_ERROR, NULL,
			"%s/%s is chrooted, and there is no %s", service->name, service->type,
			path);
		mend(check, postfix, folder);
	} else if (strcmp(ours, its) != 0) {
		mta_add(check, MTA_RULE_CHROOT, CHECK_WARNING, NULL,
			"%s has the name servers %s, /etc/resolv.conf has %s", path,
			its[0] != '\0' ? its : "(none)", ours[0] != '\0' ? ours : "(none)");
		mend(check, postfix, folder);
	} else {
		mta_add(check, MTA_RULE_CHROOT, CHECK_OK, NULL,
			"%s has the name servers of /etc/resolv.conf", path);
	}
}
