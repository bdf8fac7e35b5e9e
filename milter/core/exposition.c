/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of the text format. Owns nothing; any thread, but a stream is one thread's: its lock would
 * cost more than all the rest. */
#include "core/exposition.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

void exposition_begin(struct exposition *family, const char *name, const char *type,
		      const char *help)
{
	family->name = name;
	fprintf(family->out,
		"# HELP " EXPOSITION_PREFIX "%s %s\n# TYPE " EXPOSITION_PREFIX "%s %s\n", name,
		help, name, type);
}

/* The format knows \\, \" and \n; what else isn't printable ASCII could break a reader of UTF-8, or
 * a terminal. */
static void write_value(FILE *out, const char *value)
{
	for (const char *at = value; *at != '\0'; at++) {
		if (*at == '\n')
			fputs("\\n", out);
		else {
			if (*at == '\\' || *at == '"')
				putc_unlocked('\\', out);
			putc_unlocked(text_printable(*at), out);
		}
	}
}

static void write_name(const struct exposition *family, const char *suffix,
		       const struct exposition_labels *labels)
{
	char before = '{';

	fprintf(family->out, EXPOSITION_PREFIX "%s%s", family->name, suffix);
	for (size_t i = 0; labels != NULL && i < EXPOSITION_LABELS_MAX; i++) {
		if (labels->label[i].name == NULL)
			break;
		fprintf(family->out, "%c%s=\"", before, labels->label[i].name);
		write_value(family->out, labels->label[i].value);
		putc_unlocked('"', family->out);
		before = ',';
	}
	fputs(before == ',' ? "} " : " ", family->out);
}

static void write_seconds(FILE *out, int64_t us)
{
	fprintf(out, "%" PRId64 ".%06" PRId64 "\n", us / 1000000, us % 1000000);
}

void exposition_add(struct exposition *family, const struct exposition_labels *labels,
		    uint64_t value)
{
	write_name(family, "", labels);
	fprintf(family->out, "%" PRIu64 "\n", value);
}

void exposition_add_seconds(struct exposition *family, const struct exposition_labels *labels,
			    int64_t us)
{
	write_name(family, "", labels);
	write_seconds(family->out, us);
}

void exposition_add_histogram(struct exposition *family, const struct stats *stats,
			      enum stats_time time)
{
	uint64_t count = 0;
	char bound[32];
	struct exposition_labels labels = { { { "le", bound } } };

	/* summed up here: the buckets rise and the last is the count, whoever counts meanwhile */
	for (size_t i = 0; i <= STATS_BUCKETS; i++) {
		count += stats_read(&stats->times[time].counts[i]);
		if (i < STATS_BUCKETS)
			snprintf(bound, sizeof(bound), "%g", (double)stats_bound_us(i) / 1e6);
		else
			snprintf(bound, sizeof(bound), "+Inf");
		write_name(family, "_bucket", &labels);
		fprintf(family->out, "%" PRIu64 "\n", count);
	}
	write_name(family, "_sum", NULL);
	write_seconds(family->out, (int64_t)stats_read(&stats->times[time].sum_us));
	write_name(family, "_count", NULL);
	fprintf(family->out, "%" PRIu64 "\n", count);
}
