/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of plans. Pure; any thread. */
#include "core/plan.h"

#include "base/text.h"

static const char *const action_names[] = {
	[PLAN_KEEP] = "keep",
	[PLAN_ADD] = "add",
	[PLAN_CHANGE] = "change",
	[PLAN_REMOVE] = "remove",
};

static const char *const type_names[] = {
	[PLAN_MX] = "MX",
	[PLAN_A] = "A",
	[PLAN_AAAA] = "AAAA",
};

static const char *const why_names[PLAN_WHYS] = {
	[PLAN_WHY_OTHER] = "other",
	[PLAN_WHY_BACKUP] = "backup",
	[PLAN_WHY_BACKUP_NEW] = "backup-new",
	[PLAN_WHY_EQUAL] = "equal",
	[PLAN_WHY_BEST] = "best",
	[PLAN_WHY_NO_ROOM] = "no-room",
	[PLAN_WHY_PRIMARY] = "primary",
	[PLAN_WHY_IMPLICIT] = "implicit",
	[PLAN_WHY_NULL] = "null",
	[PLAN_WHY_ALIAS] = "alias",
	[PLAN_WHY_DUPLICATE] = "duplicate",
	[PLAN_WHY_TTL] = "ttl",
	[PLAN_WHY_ADDRESS] = "address",
	[PLAN_WHY_ADDRESS_NEW] = "address-new",
};

static const char *const obstacle_names[PLAN_OBSTACLES] = {
	[PLAN_NO_OBSTACLE] = "none",
	[PLAN_DOMAIN_IS_ALIAS] = "domain-is-alias",
	[PLAN_DOMAIN_IS_NULL] = "domain-is-null",
	[PLAN_NO_PRIMARY] = "no-primary",
	[PLAN_ONLY_BACKUPS] = "only-backups",
	[PLAN_DOMAIN_IS_BACKUP] = "domain-is-backup",
	[PLAN_PRIMARY_IS_BACKUP] = "primary-is-backup",
	[PLAN_PRIMARY_UNREACHABLE] = "primary-unreachable",
	[PLAN_PRIMARY_NOT_LISTED] = "primary-not-listed",
	[PLAN_BACKUP_UNREACHABLE] = "backup-unreachable",
	[PLAN_BACKUP_UNKNOWN] = "backup-unknown",
};

static const char *const advice_names[PLAN_ADVICES] = {
	[PLAN_ADVICE_ELSEWHERE] = "elsewhere",
	[PLAN_ADVICE_LISTED_AS] = "listed-as",
	[PLAN_ADVICE_OTHER_ADDRESS] = "other-address",
	[PLAN_ADVICE_FAMILY] = "family",
	[PLAN_ADVICE_REVERSE_NONE] = "reverse-none",
	[PLAN_ADVICE_REVERSE_OTHER] = "reverse-other",
	[PLAN_ADVICE_NO_ADDRESS] = "no-address",
	[PLAN_ADVICE_UNSEEN_ADDRESS] = "unseen-address",
	[PLAN_ADVICE_LITERAL] = "literal",
	[PLAN_ADVICE_ALIAS] = "alias",
	[PLAN_ADVICE_TTL_UNKNOWN] = "ttl-unknown",
	[PLAN_ADVICE_TTL_LONG] = "ttl-long",
};

const char *plan_action_name(enum plan_action action)
{
	return action_names[action];
}

const char *plan_type_name(enum plan_type type)
{
	return type_names[type];
}

const char *plan_why_name(enum plan_why why)
{
	return why_names[why];
}

const char *plan_obstacle_name(enum plan_obstacle obstacle)
{
	return obstacle_names[obstacle];
}

const char *plan_advice_name(enum plan_advice advice)
{
	return advice_names[advice];
}

/* ---- for people ---- */

const char *plan_why_text(enum plan_why why)
{
	static const char *const texts[PLAN_WHYS] = {
		[PLAN_WHY_OTHER] = "stays as it is",
		[PLAN_WHY_BACKUP] = "stays: the backup is where it should be",
		[PLAN_WHY_BACKUP_NEW] = "the backup, behind all hosts that are better; the gap "
					"leaves room for others",
		[PLAN_WHY_EQUAL] = "of hosts with equal preference senders choose one at random: "
				   "the backup would get mail while the primary is up",
		[PLAN_WHY_BEST] =
			"no primary is better than the backup: it would get all the mail, "
			"all the time",
		[PLAN_WHY_NO_ROOM] = "preferences end at 65535: there is no room behind it",
		[PLAN_WHY_PRIMARY] = "the primary, as it was named",
		[PLAN_WHY_IMPLICIT] = "without MX records senders use the domain's own address; "
				      "the first MX record ends that, and without this one the "
				      "backup would get all the mail",
		[PLAN_WHY_NULL] = "it says that the domain takes no mail (RFC 7505)",
		[PLAN_WHY_ALIAS] = "MX records must not name an alias (RFC 2181 10.3): some "
				   "senders refuse it; so the real name",
		[PLAN_WHY_DUPLICATE] = "the host is listed twice, and its better record counts",
		[PLAN_WHY_TTL] = "a TTL that fits, or the one you want",
		[PLAN_WHY_ADDRESS] = "stays as it is",
		[PLAN_WHY_ADDRESS_NEW] = "senders need an address for the backup's name",
	};

	return texts[why];
}

const char *plan_obstacle_text(enum plan_obstacle obstacle)
{
	static const char *const texts[PLAN_OBSTACLES] = {
		[PLAN_NO_OBSTACLE] = "",
		[PLAN_DOMAIN_IS_ALIAS] = "the domain is an alias (CNAME) of this name, and can't "
					 "have MX records of its own; plan for this name, or take "
					 "the CNAME away",
		[PLAN_DOMAIN_IS_NULL] = "its MX record says that it takes no mail (RFC 7505); if "
					"it should, name the host that does by --primary",
		[PLAN_NO_PRIMARY] = "it has neither MX records nor an address: nobody takes its "
				    "mail that this could be a backup for; name the host that "
				    "does by --primary",
		[PLAN_ONLY_BACKUPS] = "its MX records list nobody else: there is no primary; name "
				      "it by --primary, or the backups by --backup if this host "
				      "is the primary",
		[PLAN_DOMAIN_IS_BACKUP] = "it has no MX records, and its own address is the "
					  "backup's: there is no primary; name it by --primary, "
					  "or the backups by --backup if this host is the primary",
		[PLAN_PRIMARY_IS_BACKUP] = "the named primary is a backup as well, by name or "
					   "address",
		[PLAN_PRIMARY_UNREACHABLE] =
			"DNS has no address for the named primary; give it one first",
		[PLAN_PRIMARY_NOT_LISTED] = "the named primary isn't among the domain's MX "
					    "records, which list others; --primary is for a "
					    "domain that has none: leave it out, or change the "
					    "records first",
		[PLAN_BACKUP_UNREACHABLE] = "the backup's name has no address in DNS, and none "
					    "can be proposed: this host has no public one, or "
					    "several, or the name is an alias that leads nowhere; "
					    "give it by --backup NAME=ADDRESS, or my_addresses",
		[PLAN_BACKUP_UNKNOWN] = "DNS doesn't tell whether the backup's name has addresses; "
					"try again later",
	};

	return texts[obstacle];
}

static void say_reverse(const struct plan_note *note, struct text *text, const char *ip)
{
	if (note->detail != NULL)
		text_add_format(text, "%s is called %s in reverse DNS, not %s", ip, note->detail,
				note->subject);
	else
		text_add_format(text, "%s has no name in reverse DNS, and should be called %s", ip,
				note->subject);
	text_add(text, ": many receivers refuse mail from such a host; have whoever gave you the "
		       "address set its PTR record");
}

void plan_note_say(const struct plan_note *note, char *buffer, size_t size)
{
	const char *subject = note->subject;
	char ip[IP_TEXT_MAX];
	struct text text;

	text_init(&text, buffer, size);
	ip_format(&note->ip, ip, sizeof(ip));
	switch (note->advice) {
	case PLAN_ADVICE_ELSEWHERE:
		text_add_format(&text, "%s lies in another zone", subject);
		if (note->detail != NULL && note->detail[0] != '\0')
			text_add_format(&text, " (%s)", note->detail);
		text_add(&text, ": its address records must be there before the MX record is");
		break;
	case PLAN_ADVICE_LISTED_AS:
		text_add_format(&text, "%s is listed as %s, which has an address of it", subject,
				note->detail);
		break;
	case PLAN_ADVICE_OTHER_ADDRESS:
		text_add_format(&text,
				"%s has another address in DNS than %s; if that is NAT, say so by "
				"my_addresses, else correct the record",
				subject, ip);
		break;
	case PLAN_ADVICE_FAMILY:
		text_add_format(&text,
				"%s could have %s as well; once mail works over it, add it by "
				"--backup %s=%s",
				subject, ip, subject, ip);
		break;
	case PLAN_ADVICE_REVERSE_NONE:
	case PLAN_ADVICE_REVERSE_OTHER:
		say_reverse(note, &text, ip);
		break;
	case PLAN_ADVICE_NO_ADDRESS:
		text_add_format(&text, "%s has no address: senders can't use it", subject);
		break;
	case PLAN_ADVICE_UNSEEN_ADDRESS:
		text_add_format(&text, "DNS doesn't tell the addresses of %s", subject);
		break;
	case PLAN_ADVICE_LITERAL:
		text_add_format(&text,
				"%s is an address where a host name must be: senders can't use it; "
				"list the host by its name",
				subject);
		break;
	case PLAN_ADVICE_ALIAS:
		text_add_format(&text,
				"%s becomes %s in the MX record: its certificate, and an MTA-STS "
				"policy, must have that name, too",
				subject, note->detail);
		break;
	case PLAN_ADVICE_TTL_UNKNOWN:
		text_add_format(&text,
				"the zone's own servers don't answer from here, so the TTL of the "
				"MX records isn't known (%lld s are left in a cache); all records "
				"of %s get that of the new ones",
				(long long)note->seconds, subject);
		break;
	case PLAN_ADVICE_TTL_LONG:
		text_add_format(&text,
				"the MX records of %s had a TTL of %lld s: until then some senders "
				"may know the old ones only",
				subject, (long long)note->seconds);
		break;
	case PLAN_ADVICES:
		break;
	}
}
