/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon's fixed words mean, for people who see them for the first time. */
#include <string.h>

#include "ctl/ctl.h"

struct word {
	const char *word;
	const char *brief; /* for a table; NULL: none */
	const char *what;
};

static const struct word *word_find(const struct word *words, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i].word, word) == 0)
			return &words[i];
	return NULL;
}

/* Our place among a domain's MX records. */
static const struct word standings[] = {
	{ "unknown", "MX not known yet", "its MX records aren't known yet" },
	{ "backup", "we are its backup", "we are its backup: its MX records name a better host" },
	{ "best", "no better MX than us",
	  "no MX host is better than us: senders have nowhere else to go" },
	{ "unlisted", "not in its MX records", "none of its MX records names this host" },
	{ "implicit", "no MX records", "it has no MX records" },
	{ "null", "takes no mail", "it takes no mail (null MX)" },
	{ "gone", "no such domain", "by DNS there is no such domain (is it mistyped?)" },
};

static const struct word *standing_find(const char *mx)
{
	return word_find(standings, sizeof(standings) / sizeof(standings[0]), mx);
}

const char *ctl_say_standing(const char *mx)
{
	const struct word *word = standing_find(mx);

	return word != NULL ? word->what : NULL;
}

const char *ctl_say_standing_briefly(const char *mx)
{
	const struct word *word = standing_find(mx);

	return word != NULL ? word->brief : mx;
}

const char *ctl_say_reason(const char *reason)
{
	static const struct word reasons[] = {
		{ "dns-fail", NULL, "the names of its hosts can't be looked up" },
		{ "refused", NULL, "no mail server takes connections there" },
		{ "timeout", NULL, "no answer in time" },
		{ "unreachable", NULL, "its network or host can't be reached" },
		{ "no-route", NULL, "this host has no address of that family" },
		{ "reset", NULL, "connections are reset" },
		{ "lost", NULL, "connections are lost in the middle" },
		{ "tls-fail", NULL, "STARTTLS fails" },
		{ "banner-4xx", NULL, "it greets with 4xx: not now" },
		{ "banner-5xx", NULL, "it greets with 5xx: not here" },
		{ "ehlo-4xx", NULL, "it answers EHLO with 4xx: not now" },
		{ "ehlo-5xx", NULL, "it refuses EHLO and HELO" },
		{ "protocol", NULL, "what it says is no SMTP" },
		{ "loop", NULL, "it greets with our own name: that is this host" },
		{ "canary-refused", NULL, "it refuses people it accepted lately" },
	};
	const struct word *word = word_find(reasons, sizeof(reasons) / sizeof(reasons[0]), reason);

	return word != NULL ? word->what : NULL;
}
