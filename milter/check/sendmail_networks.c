/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose mail does Sendmail relay anywhere, and are these exempt clients of ours? They are the
 * addresses in class R, and in the access map, which makemap(8) lists. */
#include "check/sendmail.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/text.h"
#include "io/tool.h"

#define OUTPUT_MAX (8 << 20)

/* "192.0.2.31", "192.0.2", "IPv6:2001:db8": an address, or the whole groups that it begins with. */
static bool network_of(const char *name, struct ip_network *network)
{
	char written[IP_TEXT_MAX];
	const char *why;
	size_t groups = 1;
	TEXT_ON(text, written);

	if (strncasecmp(name, "IPv6:", 5) == 0) {
		name += 5;
		text_add(&text, name);
		for (const char *at = name; *at != '\0'; at++)
			groups += *at == ':';
		if (strstr(name, "::") == NULL && groups < 8)
			text_add_format(&text, "::/%zu", groups * 16);
		return ip_network_parse(written, network, &why);
	}
	if (name[strspn(name, "0123456789.")] != '\0')
		return false;
	text_add(&text, name);
	for (const char *at = name; *at != '\0'; at++)
		groups += *at == '.';
	for (size_t i = groups; i < 4; i++)
		text_add(&text, ".0");
	text_add_format(&text, "/%zu", groups * 8);
	return ip_network_parse(written, network, &why);
}

static void networks_add(struct mta_networks *networks, const char *name)
{
	struct ip_network network;

	if (!network_of(name, &network))
		return;
	networks->items =
		memory_resize(networks->items, networks->count + 1, sizeof(*networks->items));
	networks->items[networks->count++] = network;
}

/* "connect:10.1\tRELAY", "10.1\tRELAY" */
static void access_line_take(struct mta_networks *networks, char *line)
{
	char *value = strchr(line, '\t');

	if (value == NULL || strcasecmp(value + 1, "RELAY") != 0)
		return;
	*value = '\0';
	networks_add(networks, strncasecmp(line, "Connect:", 8) == 0 ? line + 8 : line);
}

static bool access_read(const struct sendmail *sendmail, struct mta_networks *networks, char *why,
			size_t size)
{
	const char *const arguments[] = { "makemap", "-u", sendmail->access_type,
					  sendmail->access_file, NULL };
	struct tool tool = { .arguments = arguments, .output_max = OUTPUT_MAX };
	struct tool_result result;
	bool done = tool_run(&tool, &result);
	char *rest = result.output;
	char *line;

	if (!done)
		tool_say_why(&result, why, size);
	while (done && (line = strsep(&rest, "\n")) != NULL)
		access_line_take(networks, line);
	tool_result_fini(&result);
	return done;
}

void sendmail_judge_networks(struct check *check, const struct sendmail *sendmail)
{
	struct mta_networks networks = { .setting = "class R" };
	char why[256];

	for (size_t i = 0; i < sendmail->relay.count; i++)
		networks_add(&networks, sendmail->relay.items[i]);
	if (sendmail->access_file[0] != '\0') {
		networks.setting = "class R or the access map";
		if (!access_read(sendmail, &networks, why, sizeof(why)))
			mta_unseen(check, MTA_RULE_EXEMPT_NETWORKS, NULL, "access map %s: %s",
				   sendmail->access_file, why);
	}
	mta_judge_networks(check, &networks);
	free(networks.items);
}
