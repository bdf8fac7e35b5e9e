/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of plans. Pure; any thread. */
#include "core/plan.h"

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
