/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of the recipient memory, and the observed-up clock by which they age (promise P1). */
#include "core/recipient.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE 60LL
#define HOUR   3600LL
#define DAY    (24 * HOUR)
#define START  1700000000LL

static const struct recipient_rules rules = { .valid_ttl = 31 * DAY,
					      .valid_refresh = 7 * DAY,
					      .valid_max_age = 400 * DAY,
					      .invalid_ttl = 2 * HOUR,
					      .catch_all_ttl = 7 * DAY };

/* A world in which time passes with the primary up or down. */
struct world {
	struct recipient_clock clock;
};

static struct world world_new(void)
{
	return (struct world){ .clock = { .now = START, .up = 0, .primary_up = true } };
}

static void pass(struct world *world, int64_t seconds, bool up)
{
	world->clock.now += seconds;
	world->clock.primary_up = up;
	if (up)
		world->clock.up += seconds;
}

static struct recipient_record learn(const struct world *world, enum rcpt_verdict verdict)
{
	struct recipient_record record;

	assert_true(recipient_learn(NULL, verdict, &rules, &world->clock, &record));
	return record;
}

static void assert_status(const struct world *world, const struct recipient_record *record,
			  enum recipient_status status)
{
	assert_string_equal(
		recipient_status_name(recipient_status_now(record, &rules, &world->clock)),
		recipient_status_name(status));
}

static void test_p1_an_outage_takes_no_time(void **state)
{
	struct world world = world_new();
	struct recipient_record record = learn(&world, RCPT_VERDICT_VALID);

	(void)state;
	pass(&world, 30 * DAY, true);
	assert_status(&world, &record, RECIPIENT_VALID);
	pass(&world, 300 * DAY, false);
	assert_status(&world, &record, RECIPIENT_VALID);
	pass(&world, DAY - 1, true);
	assert_status(&world, &record, RECIPIENT_VALID);
	pass(&world, 1, true);
	assert_status(&world, &record, RECIPIENT_UNKNOWN);
}

static void test_p1_flaps_add_up(void **state)
{
	struct world world = world_new();
	struct recipient_record record = learn(&world, RCPT_VERDICT_VALID);

	(void)state;
	for (int i = 0; i < 30; i++) {
		pass(&world, DAY, true);
		pass(&world, 10 * DAY, false);
		assert_status(&world, &record, RECIPIENT_VALID);
	}
	pass(&world, DAY, true);
	assert_status(&world, &record, RECIPIENT_UNKNOWN);
}

static void test_max_age_ends_even_an_outage(void **state)
{
	struct world world = world_new();
	struct recipient_record record = learn(&world, RCPT_VERDICT_VALID);

	(void)state;
	pass(&world, 400 * DAY - 1, false);
	assert_status(&world, &record, RECIPIENT_VALID);
	pass(&world, 1, false);
	assert_status(&world, &record, RECIPIENT_UNKNOWN);
}

/* A crash loses the last minute of the clock: records from that minute are new, not ancient. */
static void test_a_clock_behind_the_record(void **state)
{
	struct world world = world_new();
	struct recipient_record record;

	(void)state;
	pass(&world, 5 * DAY, true);
	record = learn(&world, RCPT_VERDICT_VALID);
	world.clock.up -= 60;
	assert_status(&world, &record, RECIPIENT_VALID);
	assert_int_equal(recipient_age_up(&record, &world.clock), 0);
}

static void test_invalid_while_down(void **state)
{
	struct world world = world_new();
	struct recipient_record record = learn(&world, RCPT_VERDICT_INVALID);

	(void)state;
	pass(&world, 2 * HOUR - 1, false);
	assert_status(&world, &record, RECIPIENT_INVALID);
	pass(&world, 1, false);
	assert_status(&world, &record, RECIPIENT_UNKNOWN);
}

/* A mailbox that was made meanwhile must not bounce: while the primary can be asked, it is. */
static void test_invalid_while_up(void **state)
{
	struct world world = world_new();
	struct recipient_record record = learn(&world, RCPT_VERDICT_INVALID);

	(void)state;
	pass(&world, 10 * MINUTE - 1, true);
	assert_status(&world, &record, RECIPIENT_INVALID);
	pass(&world, 1, true);
	assert_status(&world, &record, RECIPIENT_UNKNOWN);
	pass(&world, 1, false);
	assert_status(&world, &record, RECIPIENT_INVALID);
}

static void test_invalid_without_a_control_is_brief(void **state)
{
	struct world world = world_new();
	struct recipient_record record = learn(&world, RCPT_VERDICT_INVALID_BRIEFLY);

	(void)state;
	pass(&world, 10 * MINUTE - 1, false);
	assert_status(&world, &record, RECIPIENT_INVALID);
	pass(&world, 1, false);
	assert_status(&world, &record, RECIPIENT_UNKNOWN);
}

/* P2: nobody knows how old a refusal from the future is. */
static void test_wall_clock_that_went_back(void **state)
{
	struct world world = world_new();
	struct recipient_record invalid = learn(&world, RCPT_VERDICT_INVALID);
	struct recipient_record valid = learn(&world, RCPT_VERDICT_VALID);

	(void)state;
	pass(&world, -1, false);
	assert_status(&world, &invalid, RECIPIENT_UNKNOWN);
	assert_status(&world, &valid, RECIPIENT_VALID);
	pass(&world, -5 * 365 * DAY, false);
	assert_status(&world, &invalid, RECIPIENT_UNKNOWN);
	assert_status(&world, &valid, RECIPIENT_VALID);
}

static void test_catch_all(void **state)
{
	struct world world = world_new();
	struct recipient_record record = { .kind = RECIPIENT_KIND_CATCH_ALL, .verified = START };
	struct recipient_record refused = { .kind = RECIPIENT_KIND_NO_CATCH_ALL,
					    .verified = START };

	(void)state;
	assert_status(&world, &record, RECIPIENT_CATCH_ALL);
	assert_status(&world, &refused, RECIPIENT_UNKNOWN);
	pass(&world, 30 * DAY, false);
	assert_status(&world, &record, RECIPIENT_CATCH_ALL);
	pass(&world, 7 * DAY, true);
	assert_status(&world, &record, RECIPIENT_UNKNOWN);
}

static void test_refresh(void **state)
{
	struct world world = world_new();
	struct recipient_record record = learn(&world, RCPT_VERDICT_VALID);

	(void)state;
	pass(&world, 7 * DAY - 1, true);
	assert_false(recipient_wants_refresh(&record, &rules, &world.clock));
	pass(&world, 20 * DAY, false);
	assert_false(recipient_wants_refresh(&record, &rules, &world.clock));
	pass(&world, 1, true);
	assert_true(recipient_wants_refresh(&record, &rules, &world.clock));
}

/* What a list or a log says is to be confirmed by the primary, whatever its age. */
static void test_an_import_wants_to_be_confirmed(void **state)
{
	struct world world = world_new();
	struct recipient_record record = learn(&world, RCPT_VERDICT_VALID);

	(void)state;
	assert_false(recipient_wants_refresh(&record, &rules, &world.clock));
	record.source = RECIPIENT_SOURCE_IMPORT;
	assert_true(recipient_wants_refresh(&record, &rules, &world.clock));
	record.kind = RECIPIENT_KIND_CATCH_ALL;
	assert_false(recipient_wants_refresh(&record, &rules, &world.clock));
}

static void test_what_may_replace_what(void **state)
{
	struct world world = world_new();
	struct recipient_record valid = learn(&world, RCPT_VERDICT_VALID);
	struct recipient_record learned;

	(void)state;
	assert_false(recipient_learn(&valid, RCPT_VERDICT_NONE, &rules, &world.clock, &learned));
	assert_false(recipient_learn(&valid, RCPT_VERDICT_LATER, &rules, &world.clock, &learned));
	assert_false(recipient_learn(NULL, RCPT_VERDICT_NONE, &rules, &world.clock, &learned));
	assert_false(recipient_learn(&valid, RCPT_VERDICT_INVALID_BRIEFLY, &rules, &world.clock,
				     &learned));
	assert_true(recipient_learn(&valid, RCPT_VERDICT_INVALID, &rules, &world.clock, &learned));
	assert_int_equal(learned.kind, RECIPIENT_KIND_INVALID);
	pass(&world, 32 * DAY,
	     true); /* it doesn't count any more: then there is nothing to protect */
	assert_true(recipient_learn(&valid, RCPT_VERDICT_INVALID_BRIEFLY, &rules, &world.clock,
				    &learned));
	assert_true(learned.brief);
}

static void test_expires(void **state)
{
	struct world world = world_new();
	struct recipient_record valid = learn(&world, RCPT_VERDICT_VALID);
	struct recipient_record invalid = learn(&world, RCPT_VERDICT_INVALID);

	(void)state;
	assert_int_equal(recipient_expires(&valid, &rules, &world.clock), START + 31 * DAY);
	assert_int_equal(recipient_expires(&invalid, &rules, &world.clock), START + 10 * MINUTE);
	pass(&world, 390 * DAY, false);
	assert_int_equal(recipient_expires(&valid, &rules, &world.clock), START + 400 * DAY);
	assert_int_equal(recipient_expires(&invalid, &rules, &world.clock), START + 2 * HOUR);
}

static void test_record_round_trip(void **state)
{
	unsigned char bytes[RECIPIENT_RECORD_MAX];
	struct recipient_record in = { .kind = RECIPIENT_KIND_INVALID,
				       .source = RECIPIENT_SOURCE_IMPORT,
				       .brief = true,
				       .verified = START,
				       .verified_up = 123456 };
	struct recipient_record out;

	(void)state;
	assert_true(recipient_record_read(&out, bytes, recipient_record_write(&in, bytes)));
	assert_int_equal(out.kind, in.kind);
	assert_int_equal(out.source, in.source);
	assert_true(out.brief);
	assert_int_equal(out.verified, in.verified);
	assert_int_equal(out.verified_up, in.verified_up);
	assert_false(out.has_former);

	in.has_former = true;
	in.former_source = RECIPIENT_SOURCE_CALLOUT;
	in.former_verified = START - DAY;
	in.former_verified_up = 1234;
	assert_true(recipient_record_read(&out, bytes, recipient_record_write(&in, bytes)));
	assert_true(out.brief && out.has_former);
	assert_int_equal(out.former_source, in.former_source);
	assert_int_equal(out.former_verified, in.former_verified);
	assert_int_equal(out.former_verified_up, in.former_verified_up);
}

/* What a sick primary said of somebody is taken back, as if it had not been said. */
static void test_refusals_in_doubt(void **state)
{
	struct world world = world_new();
	struct recipient_record valid = learn(&world, RCPT_VERDICT_VALID);
	struct recipient_record refused, again, settled, stranger;

	(void)state;
	pass(&world, DAY, true);
	assert_true(recipient_learn(&valid, RCPT_VERDICT_INVALID, &rules, &world.clock, &refused));
	stranger = learn(&world, RCPT_VERDICT_INVALID);
	assert_status(&world, &refused, RECIPIENT_INVALID);
	pass(&world, 30 * MINUTE, true);
	assert_true(recipient_learn(&refused, RCPT_VERDICT_INVALID, &rules, &world.clock, &again));

	recipient_doubts_add(&world.clock.doubts, START + DAY, world.clock.now);
	assert_status(&world, &refused, RECIPIENT_VALID);
	assert_status(&world, &again, RECIPIENT_VALID);
	assert_status(&world, &stranger, RECIPIENT_UNKNOWN);
	assert_true(recipient_record_settle(&again, &world.clock, &settled));
	assert_int_equal(settled.verified, START);
	assert_int_equal(settled.source, RECIPIENT_SOURCE_CALLOUT);
	/* it ages as if nothing had happened */
	pass(&world, 30 * DAY, true);
	assert_status(&world, &again, RECIPIENT_UNKNOWN);
}

static void test_refusals_out_of_doubt(void **state)
{
	struct world world = world_new();
	struct recipient_record valid = learn(&world, RCPT_VERDICT_VALID);
	struct recipient_record refused, again;

	(void)state;
	assert_true(recipient_learn(&valid, RCPT_VERDICT_INVALID, &rules, &world.clock, &refused));
	pass(&world, 2 * HOUR, true);
	recipient_doubts_add(&world.clock.doubts, START + 1, world.clock.now);
	world.clock.primary_up = false;
	assert_status(&world, &refused, RECIPIENT_UNKNOWN); /* too old to count at all */
	/* refused long before the sickness and in it: what was before all that doesn't come back */
	assert_true(recipient_learn(&refused, RCPT_VERDICT_INVALID, &rules, &world.clock, &again));
	assert_status(&world, &again, RECIPIENT_UNKNOWN);
	world.clock.doubts = (struct recipient_doubts){ 0 };
	assert_status(&world, &again, RECIPIENT_INVALID);
}

static void assert_spells(const struct recipient_doubts *doubts, const char *expected)
{
	char text[200] = "";

	for (size_t i = 0; i < RECIPIENT_DOUBTS; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%lld-%lld ",
			 (long long)doubts->spells[i].from, (long long)doubts->spells[i].to);
	assert_string_equal(text, expected);
}

static void test_spells_of_doubt(void **state)
{
	struct recipient_doubts doubts = { 0 };

	(void)state;
	assert_int_equal(recipient_doubts_latest(&doubts), 0);
	recipient_doubts_add(&doubts, 10, 20);
	recipient_doubts_add(&doubts, 15, 30);
	recipient_doubts_add(&doubts, 40, 50);
	recipient_doubts_add(&doubts, 60, 70);
	assert_spells(&doubts, "10-30 40-50 60-70 0-0 ");
	assert_int_equal(recipient_doubts_latest(&doubts), 60);
	/* one that reaches back over others takes them in */
	recipient_doubts_add(&doubts, 45, 80);
	assert_spells(&doubts, "10-30 40-80 0-0 0-0 ");
	recipient_doubts_add(&doubts, 90, 91);
	recipient_doubts_add(&doubts, 100, 101);
	recipient_doubts_add(&doubts, 110, 111);
	assert_spells(&doubts, "10-80 90-91 100-101 110-111 ");
}

/* P7: a damaged record is no record, whatever byte is hit. */
static void test_damaged_records(void **state)
{
	unsigned char bytes[RECIPIENT_RECORD_MAX + 1] = { 0 };
	struct recipient_record record = { .kind = RECIPIENT_KIND_VALID };
	size_t size;
	struct recipient_record out;

	(void)state;
	size = recipient_record_write(&record, bytes);
	for (size_t length = 0; length <= sizeof(bytes); length++)
		assert_int_equal(recipient_record_read(&out, bytes, length), length == size);
	for (size_t i = 0; i < 4; i++) {
		unsigned char kept = bytes[i];

		bytes[i] = 0xff;
		assert_false(recipient_record_read(&out, bytes, size));
		bytes[i] = kept;
	}
	assert_true(recipient_record_read(&out, bytes, size));
	record.kind = RECIPIENT_KIND_INVALID;
	record.has_former = true;
	size = recipient_record_write(&record, bytes);
	assert_true(recipient_record_read(&out, bytes, size));
	assert_false(recipient_record_read(&out, bytes, 12));
	bytes[1] = RECIPIENT_KIND_VALID;
	assert_false(recipient_record_read(&out, bytes, size));
}

static void test_keys(void **state)
{
	char a[RECIPIENT_KEY_MAX], b[RECIPIENT_KEY_MAX];
	char longest[400];

	(void)state;
	assert_int_equal(recipient_key(a, "a.test", "user"), 11);
	assert_memory_equal(a, "a.test\0user", 11);
	assert_int_equal(recipient_key(b, "a.test", ""), 7);
	assert_memory_equal(a, b, 7); /* the domain's entry is the prefix of all its others */
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(recipient_key(a, longest, longest), RECIPIENT_KEY_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_p1_an_outage_takes_no_time),
		cmocka_unit_test(test_p1_flaps_add_up),
		cmocka_unit_test(test_max_age_ends_even_an_outage),
		cmocka_unit_test(test_a_clock_behind_the_record),
		cmocka_unit_test(test_spells_of_doubt),
		cmocka_unit_test(test_refusals_in_doubt),
		cmocka_unit_test(test_refusals_out_of_doubt),
		cmocka_unit_test(test_invalid_while_down),
		cmocka_unit_test(test_invalid_while_up),
		cmocka_unit_test(test_invalid_without_a_control_is_brief),
		cmocka_unit_test(test_wall_clock_that_went_back),
		cmocka_unit_test(test_catch_all),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_an_import_wants_to_be_confirmed),
		cmocka_unit_test(test_what_may_replace_what),
		cmocka_unit_test(test_expires),
		cmocka_unit_test(test_record_round_trip),
		cmocka_unit_test(test_damaged_records),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
