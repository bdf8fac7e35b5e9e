/* SPDX-License-Identifier: BSD-2-Clause */
/* "force": an administrator's word on a domain's state. Loop thread only. */
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "control/control.h"
#include "core/force.h"
#include "io/idna.h"

#define LOOK_AGAIN_MS 20
#define PATIENCE_MS   2000

struct order {
	enum domain_state state; /* DOMAIN_NOT_OURS: auto */
	int64_t seconds;
	char domain[MAIL_DOMAIN_MAX + 1];
};

static bool read_state(const char *word, enum domain_state *state)
{
	if (strcmp(word, "up") == 0)
		*state = DOMAIN_FORCED_UP;
	else if (strcmp(word, "down") == 0)
		*state = DOMAIN_FORCED_DOWN;
	else if (strcmp(word, "auto") == 0)
		*state = DOMAIN_NOT_OURS;
	else
		return false;
	return true;
}

/* False after answering what is wrong. */
static bool read_order(struct control_call *call, struct order *order)
{
	const json_t *given = json_object_get(call->request, "for");
	const char *duration = control_string(call, "for", "");
	const char *state = control_string(call, "state", "");
	const char *domain = control_string(call, "domain", "");

	*order = (struct order){ .seconds = FORCE_DEFAULT_SECONDS };
	if (domain[0] == '\0')
		control_fail(call, CONTROL_USAGE, "force needs a domain");
	else if (!read_state(state, &order->state))
		control_fail(call, CONTROL_USAGE, "force takes up, down or auto, not \"%s\"",
			     state);
	else if (given != NULL && !json_is_string(given)) /* or it would be an hour */
		control_fail(call, CONTROL_USAGE, "\"for\" is a string, such as \"90s\" or \"2h\"");
	else if (duration[0] != '\0' && order->state == DOMAIN_NOT_OURS)
		control_fail(call, CONTROL_USAGE,
			     "auto has no time limit: leave --for away, or force up or down");
	else if (duration[0] != '\0' && (!duration_parse(duration, &order->seconds) ||
					 order->seconds < 1 || order->seconds > FORCE_MAX_SECONDS))
		control_fail(call, CONTROL_USAGE,
			     "--for takes a duration from 1s to %lldd, such as 90s, 30m, 2h or "
			     "1d, not \"%s\"",
			     FORCE_MAX_SECONDS / 86400, duration);
	else if (!idna_domain_to_ascii(domain, order->domain, sizeof(order->domain)))
		control_fail(call, CONTROL_USAGE, "%s is no domain name", domain);
	else
		return true;
	return false;
}

/* Told is what holds now, not what was asked for: the order may be over before the disk is ready.
 */
static void answer(struct control_call *call)
{
	const struct gate *gate = control_settings_of(call)->gate;
	const char *wanted = control_string(call, "domain", "");
	char name[MAIL_DOMAIN_MAX + 1];
	const struct domain *domain;
	struct domain_view view;

	/* a crash must not forget what the operator was told is in force */
	if (!recipients_is_settled(gate->recipients) &&
	    loop_now_ms() - call->begun_ms < PATIENCE_MS) {
		control_later(call, LOOK_AGAIN_MS, answer);
		return;
	}
	domain = idna_domain_to_ascii(wanted, name, sizeof(name))
			 ? domains_find(gate->domains, name)
			 : NULL;
	if (domain == NULL) {
		control_fail(call, CONTROL_NO, "%s is no domain of ours any more", wanted);
		return;
	}
	view = domain_view_now(domain, NULL);
	control_answer(call, CONTROL_OK,
		       json_pack("{s:s, s:s, s:s, s:s, s:o}", "domain", name, "state",
				 domain_state_name(view.state), "seen",
				 domain_state_name(view.seen), "reason",
				 health_reason_name(view.reason), "forced_until",
				 control_time(view.forced_until)));
}

static void carry_out(struct control_call *call, const struct order *order, struct domain *domain)
{
	char by[32];

	snprintf(by, sizeof(by), "uid:%lu", (unsigned long)call->uid);
	if (order->state == DOMAIN_NOT_OURS)
		domain_unforce(domain, by);
	else
		domain_force(domain, order->state, order->seconds, by);
	answer(call);
}

void control_force(struct control_call *call)
{
	struct domain *domain;
	struct order order;

	if (!read_order(call, &order))
		return;
	domain = domains_rouse(control_settings_of(call)->gate->domains, order.domain);
	if (domain == NULL)
		control_fail(call, CONTROL_NO, "%s is no domain of ours", order.domain);
	else if (order.state != DOMAIN_NOT_OURS && domain_seen(domain) == DOMAIN_NOT_BACKUP)
		control_fail(call, CONTROL_NO,
			     "%s is not-backup: its MX records give nobody better than this host, "
			     "and no primary is configured, so there is no primary to force",
			     order.domain);
	else
		carry_out(call, &order, domain);
}
