/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands by which Postfix is mended: to be pasted into root's shell as they are. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "check/postfix.h"

/* master.cf's values have no blanks: postconf -P refuses them. Commas separate as well. */
static void add_without_blanks(struct text *text, const char *value)
{
	while (*value != '\0') {
		size_t blanks = strspn(value, " \t");
		char before = text->length > 0 ? text->start[text->length - 1] : ',';

		value += blanks;
		if (blanks > 0 && *value != '\0' && strchr(",{=:", before) == NULL &&
		    strchr(",}=", *value) == NULL)
			text_add_char(text, ',');
		if (*value != '\0')
			text_add_char(text, *value++);
	}
}

void postfix_mend_set(struct check *check, const struct postfix *postfix,
		      const struct postfix_service *service, const char *name, const char *value)
{
	char plain[CHECK_LINE_MAX], quoted[CHECK_LINE_MAX];
	TEXT_ON(blankless, plain);
	TEXT_ON(text, quoted);

	if (service == NULL) {
		text_add_in_quotes(&text, value);
		mta_mend(check, "postconf%s -e '%s = %s'", postfix->option, name, quoted);
		return;
	}
	add_without_blanks(&blankless, value);
	text_add_in_quotes(&text, plain);
	mta_mend(check, "postconf%s -P '%s/%s/%s=%s'", postfix->option, service->name,
		 service->type, name, quoted);
}

/* Where the setting that holds for the service is. */
static const struct postfix_service *place_of(const struct postfix_service *service,
					      const char *name)
{
	return postfix_is_overridden(service, name) ? service : NULL;
}

void postfix_mend_without(struct check *check, const struct postfix *postfix,
			  const struct postfix_service *service, const char *name, const char *item)
{
	char value[CHECK_LINE_MAX];
	TEXT_ON(text, value);
	struct postfix_list list;

	postfix_list_split(postfix_written(postfix, service, name), &list);
	for (size_t i = 0; i < list.count; i++)
		if (strcmp(list.items[i], item) != 0)
			text_add_format(&text, "%s%s", text.length > 0 ? ", " : "", list.items[i]);
	postfix_mend_set(check, postfix, place_of(service, name), name, value);
	postfix_list_fini(&list);
}

void postfix_mend_with(struct check *check, const struct postfix *postfix,
		       const struct postfix_service *service, const char *name, const char *item)
{
	const char *there = postfix_written(postfix, service, name);
	char value[CHECK_LINE_MAX];
	TEXT_ON(text, value);

	text_add_format(&text, "%s%s%s", item, there[0] != '\0' ? ", " : "", there);
	postfix_mend_set(check, postfix, place_of(service, name), name, value);
}

void postfix_mend_tls(struct check *check, const void *facts, const char *host)
{
	const struct postfix *postfix = facts;
	char files[2 * MAIL_DOMAIN_MAX + 128];
	TEXT_ON(text, files);

	if (host != NULL) {
		text_add_format(&text,
				"/etc/letsencrypt/live/%s/privkey.pem, "
				"/etc/letsencrypt/live/%s/fullchain.pem",
				host, host);
		postfix_mend_set(check, postfix, NULL, "smtpd_tls_chain_files", files);
	} else {
		postfix_mend_set(check, postfix, NULL, "smtpd_tls_security_level", "may");
	}
	postfix_mend_reload(check, postfix);
}

void postfix_mend_reload(struct check *check, const struct postfix *postfix)
{
	mta_mend(check, "postfix%s reload", postfix->option);
}

void postfix_mend_restart(struct check *check, const struct postfix *postfix)
{
	mta_mend(check, "postfix%s stop", postfix->option);
	mta_mend(check, "postfix%s start", postfix->option);
}
