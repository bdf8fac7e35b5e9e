/* SPDX-License-Identifier: BSD-2-Clause */
/* "check": runs the groups of rules, and shows what they found. */
#include "check/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/terminal.h"
#include "io/idna.h"

static const enum terminal_tone tones[] = {
	[CHECK_OK] = TERMINAL_GOOD,
	[CHECK_NOTE] = TERMINAL_FAINT,
	[CHECK_WARNING] = TERMINAL_UNSURE,
	[CHECK_ERROR] = TERMINAL_BAD,
};

/* ---- JSON ---- */

static json_t *finding_json(const struct check_finding *finding)
{
	json_t *mend = json_array();

	for (size_t i = 0; i < finding->mend_count; i++)
		json_array_append_new(mend, ctl_printable(finding->mend[i]));
	return json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:b}", "id", finding->rule->id, "severity",
			 check_severity_name(finding->severity), "subject",
			 ctl_printable(finding->subject), "observed",
			 ctl_printable(finding->observed), "why", finding->rule->why, "mend", mend,
			 "unseen", finding->unseen);
}

static json_t *result_json(const struct check_findings *findings)
{
	json_int_t counts[CHECK_ERROR + 1] = { 0 };
	json_t *list = json_array();

	for (size_t i = 0; i < check_finding_count(findings); i++) {
		const struct check_finding *finding = check_finding_get(findings, i);

		counts[finding->severity]++;
		json_array_append_new(list, finding_json(finding));
	}
	return json_pack("{s:o, s:s, s:{s:I, s:I, s:I, s:I}}", "findings", list, "worst",
			 check_severity_name(check_findings_worst(findings)), "counts", "ok",
			 counts[CHECK_OK], "note", counts[CHECK_NOTE], "warning",
			 counts[CHECK_WARNING], "error", counts[CHECK_ERROR]);
}

/* ---- text ---- */

#define INDENT "           " /* below the severity */

static void print_mend(const struct terminal *terminal, const struct check_finding *finding)
{
	for (size_t i = 0; i < finding->mend_count; i++) {
		const char *line = finding->mend[i];

		if (strncmp(line, "# ", 2) == 0) {
			terminal_paragraph(terminal, INDENT, line + 2);
			continue;
		}
		/* to be pasted: never broken into lines */
		fputs("               ", terminal->out);
		terminal_print(terminal, TERMINAL_STRONG, line);
		fputc('\n', terminal->out);
	}
}

/* ---- what one group found ---- */

#define ALIKE_MAX 5 /* that are alike, each on a line of its own */

/* Findings of one group, [from, end). */
struct span {
	const struct check_findings *findings;
	size_t from, end;
	bool problems_only;
};

static bool is_shown(const struct span *span, const struct check_finding *finding)
{
	return !span->problems_only || finding->severity != CHECK_OK;
}

static bool is_to_mend(const struct check_finding *finding)
{
	return finding->severity != CHECK_OK && !finding->unseen;
}

static bool same_mend(const struct check_finding *a, const struct check_finding *b)
{
	if (a->mend_count != b->mend_count)
		return false;
	for (size_t i = 0; i < a->mend_count; i++)
		if (strcmp(a->mend[i], b->mend[i]) != 0)
			return false;
	return true;
}

/* What has been said of the same rule by the findings before the `at`th: is its reason there, and
 * is its mend? */
static void find_said(const struct span *span, size_t at, bool *why, bool *mend)
{
	const struct check_finding *finding = check_finding_get(span->findings, at);

	*why = *mend = false;
	for (size_t i = span->from; i < at && !*mend; i++) {
		const struct check_finding *other = check_finding_get(span->findings, i);

		if (other->rule != finding->rule || !is_to_mend(other))
			continue;
		*why = true;
		*mend = finding->mend_count > 0 && same_mend(finding, other);
	}
}

static void print_head(const struct terminal *terminal, enum check_severity severity,
		       const char *line)
{
	char first[16];

	snprintf(first, sizeof(first), "  %-9s", check_severity_name(severity));
	terminal_marked(terminal, tones[severity], first, line);
}

/* Reason and mend, where there is something to mend. */
static void print_advice(const struct terminal *terminal, const struct span *span, size_t at)
{
	const struct check_finding *finding = check_finding_get(span->findings, at);
	bool why, mend;

	if (!is_to_mend(finding))
		return;
	find_said(span, at, &why, &mend);
	if (!why)
		terminal_paragraph(terminal, INDENT, finding->rule->why);
	if (mend)
		terminal_paragraph(terminal, INDENT, "what to do: as above");
	else
		print_mend(terminal, finding);
}

/* What is to be mended is alike when one mend serves all of it. */
static bool is_alike(const struct check_finding *a, const struct check_finding *b)
{
	if (a->rule != b->rule || a->severity != b->severity || a->unseen != b->unseen)
		return false;
	return !is_to_mend(a) ||
	       (a->mend_count > 0 && same_mend(a, b) && strcmp(a->observed, b->observed) == 0);
}

/* How many are like the `at`th, itself included; *before: of those before it. */
static size_t count_alike(const struct span *span, size_t at, size_t *before)
{
	const struct check_finding *finding = check_finding_get(span->findings, at);
	size_t count = 0;

	*before = 0;
	for (size_t i = span->from; i < span->end; i++) {
		if (!is_alike(check_finding_get(span->findings, i), finding))
			continue;
		count++;
		*before += i < at;
	}
	return count;
}

static const char *words_for_many(const struct check_finding *finding)
{
	if (is_to_mend(finding))
		return "alike";
	return finding->unseen ? "not looked at" : "in order";
}

/* Of many that are alike the first stands for all. */
static void print_finding(const struct terminal *terminal, const struct span *span, size_t at)
{
	const struct check_finding *finding = check_finding_get(span->findings, at);
	size_t before, count = count_alike(span, at, &before);
	char line[8192];
	TEXT_ON(say, line);

	if (count > ALIKE_MAX && before > 0)
		return;
	if (count > ALIKE_MAX)
		text_add_format(&say, "%s: %zu %s, as %s: %s", finding->rule->id, count,
				words_for_many(finding), finding->subject, finding->observed);
	else
		text_add_format(&say, "%s%s%s: %s%s", finding->rule->id,
				finding->subject[0] != '\0' ? " " : "", finding->subject,
				finding->unseen ? "not looked at: " : "", finding->observed);
	print_head(terminal, finding->severity, line);
	print_advice(terminal, span, at);
}

/* The findings from the `from`th on, which are those of one group. */
static void print_group(const struct terminal *terminal, const struct check_group *group,
			const struct check_findings *findings, size_t from, bool problems_only)
{
	const struct span span = { findings, from, check_finding_count(findings), problems_only };
	bool titled = false;

	for (size_t i = from; i < span.end; i++) {
		if (!is_shown(&span, check_finding_get(findings, i)))
			continue;
		if (!titled) {
			terminal_print(terminal, TERMINAL_STRONG, group->title);
			fputc('\n', terminal->out);
		}
		titled = true;
		print_finding(terminal, &span, i);
	}
	if (titled)
		fputc('\n', terminal->out);
	fflush(terminal->out);
}

/* What comes next: the rest of the way, or its end. */
static void print_next(const struct terminal *terminal, const struct check *check, size_t to_mend)
{
	char line[2 * MAIL_DOMAIN_MAX + 128];
	TEXT_ON(say, line);

	if (to_mend > 1) {
		terminal_paragraph(terminal, "", "Mend them in this order, then check again.");
	} else if (to_mend == 0 && check->status != NULL && check->domain_count > 0) {
		const char *domain = check->domains[0].name;

		text_add_format(&say, "Now try it: backupmxctl drill %s --to SOMEBODY@%s --hold",
				domain, domain);
		terminal_paragraph(terminal, "", line);
	}
}

static void print_summary(const struct terminal *terminal, const struct check *check)
{
	const struct check_findings *findings = check->findings;
	size_t counts[CHECK_ERROR + 1] = { 0 };
	char line[256];

	for (size_t i = 0; i < check_finding_count(findings); i++)
		counts[check_finding_get(findings, i)->severity]++;
	snprintf(line, sizeof(line), "%zu error%s, %zu warning%s, %zu note%s, %zu in order",
		 counts[CHECK_ERROR], counts[CHECK_ERROR] == 1 ? "" : "s", counts[CHECK_WARNING],
		 counts[CHECK_WARNING] == 1 ? "" : "s", counts[CHECK_NOTE],
		 counts[CHECK_NOTE] == 1 ? "" : "s", counts[CHECK_OK]);
	terminal_print(terminal, tones[check_findings_worst(findings)], line);
	fputc('\n', terminal->out);
	print_next(terminal, check, counts[CHECK_ERROR] + counts[CHECK_WARNING]);
}

static int print_ids(const struct ctl *ctl)
{
	json_t *list = json_array();

	for (size_t i = 0; check_groups[i] != NULL; i++)
		for (size_t j = 0; check_groups[i]->rules[j] != NULL; j++) {
			const struct check_rule *rule = check_groups[i]->rules[j];

			json_array_append_new(list,
					      json_pack("{s:s, s:s, s:s, s:s}", "id", rule->id,
							"group", check_groups[i]->title, "title",
							rule->title, "why", rule->why));
			if (!ctl->json)
				printf("%-22s %s\n", rule->id, rule->title);
		}
	ctl_print_json(ctl, list);
	json_decref(list);
	return CTL_EXIT_OK;
}

/* ---- the run ---- */

/* Which group is being looked at, where somebody waits for it. */
static void print_progress(const struct ctl *ctl, const char *title)
{
	if (!ctl->json && isatty(STDERR_FILENO) == 1)
		fprintf(stderr, "\r\033[K%s%s", title, title[0] != '\0' ? " ..." : "");
}

static void run_group(const struct ctl *ctl, struct check *check, const struct check_group *group)
{
	size_t before = check_finding_count(check->findings);
	struct terminal terminal;

	terminal_init(&terminal, stdout);
	print_progress(ctl, group->title);
	group->run(check);
	print_progress(ctl, "");
	if (!ctl->json)
		print_group(&terminal, group, check->findings, before,
			    ctl_option(ctl, "problems") != NULL);
}

static void run_groups(const struct ctl *ctl, struct check *check)
{
	bool outside = check->options.server != NULL;
	struct terminal terminal;

	/* no further when nobody reads on */
	for (size_t i = 0; check_groups[i] != NULL && ferror(stdout) == 0; i++)
		if (check_group_is_outside(check_groups[i]) == outside)
			run_group(ctl, check, check_groups[i]);
	terminal_init(&terminal, stdout);
	if (!ctl->json)
		print_summary(&terminal, check);
}

/* False, after saying so, when an argument is no domain. */
static bool take_domains(const struct ctl *ctl, struct check *check, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!check_domain_add(check, argv[i])) {
			ctl_misused(ctl, "\"%s\" is no domain name", argv[i]);
			return false;
		}
	}
	if (argc == 1)
		check_domains_known(check);
	return true;
}

/* What --server and --to name; false, after saying so, when they are wrong. `server` is for the
 * name (MAIL_DOMAIN_MAX + 1 bytes). */
static bool take_server(const struct ctl *ctl, struct check_options *options, char *server,
			int argc)
{
	const char *name = ctl_option(ctl, "server");
	const char *to = ctl_option(ctl, "to");
	struct ip ip;

	if (name == NULL && to == NULL)
		return true;
	if (name == NULL) {
		ctl_misused(ctl, "--to is of use with --server only");
		return false;
	}
	if (ip_parse(name, &ip)) {
		text_copy(server, MAIL_DOMAIN_MAX + 1, name);
	} else if (!idna_domain_to_ascii(name, server, MAIL_DOMAIN_MAX + 1)) {
		ctl_misused(ctl, "\"%s\" is no host name and no address", name);
		return false;
	}
	if (argc == 1) {
		ctl_misused(ctl, "--server needs the domains that it should be a backup for");
		return false;
	}
	options->server = server;
	options->recipient = to;
	return true;
}

/* Is the recipient of --to somebody of one of the domains? */
static bool recipient_fits(const struct ctl *ctl, const struct check *check)
{
	struct mail_address to;

	if (check->options.recipient == NULL)
		return true;
	mail_address_parse(check->options.recipient, &to);
	if (!to.askable || !to.is_ascii) {
		ctl_misused(ctl, "\"%s\" is no address that can be asked about",
			    check->options.recipient);
		return false;
	}
	for (size_t i = 0; i < check->domain_count; i++)
		if (strcmp(check->domains[i].name, to.domain) == 0)
			return true;
	ctl_misused(ctl, "<%s> is in none of the domains", check->options.recipient);
	return false;
}

static int check_run(const struct ctl *ctl, struct check *check, int argc, char **argv)
{
	json_t *result;

	if (!take_domains(ctl, check, argc, argv) || !recipient_fits(ctl, check))
		return CTL_EXIT_USAGE;
	print_progress(ctl, "MX records");
	check_domains_gather(check);
	run_groups(ctl, check);
	result = result_json(check->findings);
	ctl_print_json(ctl, result);
	json_decref(result);
	return check_findings_worst(check->findings) == CHECK_ERROR ? CTL_EXIT_NO : CTL_EXIT_OK;
}

/* The daemon's answer, without a word when there is none. */
static json_t *ask_quietly(struct ctl *ctl, json_t *request, char *problem)
{
	json_t *answer;

	ctl->problem = problem;
	ctl_ask(ctl, request, &answer);
	ctl->problem = NULL;
	return answer;
}

/* Is it only that this user may not use the control socket? Then nothing is known of the daemon. */
static bool may_not_ask(struct ctl *ctl)
{
	char problem[CTL_PROBLEM_MAX] = "";
	char *path;
	bool forbidden;

	ctl->problem = problem;
	path = ctl_socket_path(ctl);
	ctl->problem = NULL;
	forbidden = path != NULL && access(path, W_OK) != 0 && errno == EACCES;
	free(path);
	return forbidden;
}

static json_t *ask_for_check(void *arg, json_t *request)
{
	char problem[CTL_PROBLEM_MAX] = "";

	return ask_quietly(arg, request, problem);
}

int ctl_check(struct ctl *ctl, int argc, char **argv)
{
	struct check_options options = { .config_path = ctl->config_path,
					 .mta_config = ctl_option(ctl, "mta-config") };
	char problem[CTL_PROBLEM_MAX] = "";
	char server[MAIL_DOMAIN_MAX + 1];
	struct check *check;
	json_t *status = NULL;
	int code;

	if (ctl_option(ctl, "ids") != NULL)
		return print_ids(ctl);
	if (!take_server(ctl, &options, server, argc))
		return CTL_EXIT_USAGE;
	if (options.server == NULL)
		status = ask_quietly(ctl, json_pack("{s:s}", "command", "status"), problem);
	options.daemon_problem = status == NULL ? problem : NULL;
	options.daemon_forbidden = status == NULL && may_not_ask(ctl);
	if (status != NULL) {
		options.ask = ask_for_check;
		options.ask_arg = ctl;
	}
	check = check_new(&options, status);
	if (check != NULL) {
		code = check_run(ctl, check, argc, argv);
		check_free(check);
	} else {
		code = ctl_fail(ctl, CTL_EXIT_NO, "the resolver or TLS could not be started");
	}
	json_decref(status);
	return code;
}
