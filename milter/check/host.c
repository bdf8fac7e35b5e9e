/* SPDX-License-Identifier: BSD-2-Clause */
/* This host's name and addresses, as the primaries see them. */
#include <string.h>

#include "base/text.h"
#include "check/addresses.h"
#include "check/groups.h"

static const struct check_rule helo_rule = {
	"host-helo",
	"the name this host greets with is a name of it in DNS",
	"Mail servers refuse or distrust a client that greets with a name that is no full one, or "
	"leads elsewhere. By the same name this host is found in MX records.",
};

static const struct check_rule ptr_rule = {
	"host-ptr",
	"each public address has a PTR record that leads back to it",
	"Many mail servers refuse mail from an address without a name, or with a name that leads "
	"elsewhere; primaries do that to their own backup, too.",
};

/* ---- the name ---- */

static void mend_name(struct check *check)
{
	check_mend(check->findings, "# give the host its full name, that of its MX records, as:");
	check_mend(check->findings, "hostnamectl set-hostname mx2.example.org");
	check_mend(check->findings, "# or for this program alone, in section [probe]:");
	check_mend(check->findings, "helo_name = mx2.example.org");
}

static void name_without_address(struct check *check, const char *name)
{
	const struct resolved *v4 = resolve_now(check->resolve, name, DNS_TYPE_A);
	const struct ip *ip;
	char text[IP_TEXT_MAX];

	if (v4->status == DNS_FAILED) {
		check_unseen(check->findings, &helo_rule, name, "%s", resolved_problem(v4));
		return;
	}
	check_add(check->findings, &helo_rule, CHECK_WARNING, name, "%s has no address: %s", name,
		  resolved_problem(v4));
	for (size_t i = 0; (ip = check_own_public_address(check, i)) != NULL; i++)
		check_mend(check->findings, "%s. 3600 IN %s %s", name,
			   ip->family == IP_V4 ? "A" : "AAAA", ip_format(ip, text, sizeof(text)));
}

static void helo_judge(struct check *check, const char *name)
{
	struct ip addresses[MXSET_ADDRESSES_MAX];
	char text[IP_TEXT_MAX];
	size_t count;

	if (!check_name_is_full(name)) {
		check_add(check->findings, &helo_rule, CHECK_ERROR, name,
			  "\"%s\" is no full host name", name);
		mend_name(check);
		return;
	}
	count = check_host_addresses(check, name, addresses);
	if (count == 0) {
		name_without_address(check, name);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (!mx_identity_has_address(&check->identity.self, &addresses[i]))
			continue;
		check_add(check->findings, &helo_rule, CHECK_OK, name,
			  "%s leads to %s, an address of this host", name,
			  ip_format(&addresses[i], text, sizeof(text)));
		return;
	}
	check_add(check->findings, &helo_rule, CHECK_WARNING, name,
		  "%s leads to %s, which is no address of this host", name,
		  ip_format(&addresses[0], text, sizeof(text)));
	check_mend(check->findings, "# if this host is behind NAT, in section [milter]:");
	check_mend_my_addresses(check, &addresses[0]);
	check_mend(check->findings, "# else mend the address record of %s", name);
}

/* Each name once: it is the same for all domains but those with a setting of their own. */
static void names_judge(struct check *check)
{
	const char *first = check_helo_name(check, &check->config->probe);

	helo_judge(check, first);
	for (size_t i = 0; i < check->domain_count; i++) {
		const char *name = check_helo_name(check, &check->domains[i].config->probe);
		bool before = strcmp(name, first) == 0;

		for (size_t j = 0; j < i; j++)
			if (strcmp(name,
				   check_helo_name(check, &check->domains[j].config->probe)) == 0)
				before = true;
		if (!before)
			helo_judge(check, name);
	}
}

/* ---- the addresses ---- */

static bool leads_to(struct check *check, const char *name, const struct ip *ip)
{
	struct ip addresses[MXSET_ADDRESSES_MAX];
	size_t count = check_host_addresses(check, name, addresses);

	for (size_t i = 0; i < count; i++)
		if (ip_equal(&addresses[i], ip))
			return true;
	return false;
}

static void mend_ptr(struct check *check, const struct ip *ip)
{
	const char *helo = check_helo_name(check, &check->config->probe);
	char reverse[IP_REVERSE_MAX];

	ip_format_reverse(ip, reverse, sizeof(reverse));
	check_mend(check->findings,
		   "# ask the provider whose address it is (its zone holds the record) for:");
	if (check_name_is_full(helo))
		check_mend(check->findings, "%s. 3600 IN PTR %s.", reverse, helo);
	else
		check_mend(check->findings, "# a PTR record at %s with this host's full name",
			   reverse);
}

static void names_of_address_judge(struct check *check, const struct ip *ip, const char *subject,
				   const struct resolved *ptr)
{
	const char *helo = check_helo_name(check, &check->config->probe);
	const struct dns_record *record, *confirmed = NULL;

	for (size_t i = 0; (record = resolved_record(ptr, DNS_TYPE_PTR, i)) != NULL; i++)
		if (leads_to(check, record->target, ip) &&
		    (confirmed == NULL || strcmp(record->target, helo) == 0))
			confirmed = record;
	if (confirmed == NULL) {
		record = resolved_record(ptr, DNS_TYPE_PTR, 0);
		check_add(check->findings, &ptr_rule, CHECK_WARNING, subject,
			  "its name is %s, which doesn't lead back to it", record->target);
		check_mend(check->findings, "%s. 3600 IN %s %s", record->target,
			   ip->family == IP_V4 ? "A" : "AAAA", subject);
		check_mend(check->findings, "# or, if that name is another host's:");
		mend_ptr(check, ip);
	} else if (strcmp(confirmed->target, helo) != 0) {
		check_add(check->findings, &ptr_rule, CHECK_NOTE, subject,
			  "its name is %s, which leads back to it, but this host greets as %s",
			  confirmed->target, helo);
		mend_ptr(check, ip);
	} else {
		check_add(check->findings, &ptr_rule, CHECK_OK, subject,
			  "its name is %s, which leads back to it", confirmed->target);
	}
}

static void address_judge(struct check *check, const struct ip *ip)
{
	char subject[IP_TEXT_MAX], reverse[IP_REVERSE_MAX];
	const struct resolved *ptr;

	ip_format(ip, subject, sizeof(subject));
	ptr = resolve_now(check->resolve, ip_format_reverse(ip, reverse, sizeof(reverse)),
			  DNS_TYPE_PTR);
	if (ptr->status == DNS_FAILED) {
		check_unseen(check->findings, &ptr_rule, subject, "%s", resolved_problem(ptr));
	} else if (resolved_count(ptr, DNS_TYPE_PTR) == 0) {
		check_add(check->findings, &ptr_rule, CHECK_WARNING, subject,
			  "it has no PTR record");
		mend_ptr(check, ip);
	} else {
		names_of_address_judge(check, ip, subject, ptr);
	}
}

static void addresses_judge(struct check *check)
{
	const struct ip *ip;

	if (check_own_public_address(check, 0) == NULL) {
		check_unseen(check->findings, &ptr_rule, NULL,
			     "this host has no public address of its own; behind NAT name it in "
			     "my_addresses, section [milter]");
		return;
	}
	for (size_t i = 0; (ip = check_own_public_address(check, i)) != NULL; i++)
		address_judge(check, ip);
}

static const struct check_rule *const rules[] = { &helo_rule, &ptr_rule, NULL };

static void run(struct check *check)
{
	names_judge(check);
	addresses_judge(check);
}

const struct check_group check_group_host = { "This host's name and addresses", rules, run };
