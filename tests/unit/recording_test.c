/* SPDX-License-Identifier: GPL-3.0-only
 *
 * The format of a recording: what is written is read again, what is hostile is refused.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../bpf/cpu.h"
#include "../../common/deepmon.h"
#include "../../common/kernel_copy.h"
#include "../../common/recording.h"

static const uint64_t numbers[] = {
    0, 1, 127, 128, 16383, 16384, UINT32_MAX, 1ull << 56, UINT64_MAX - 1, UINT64_MAX};
static const int64_t signed_numbers[] = {0, -1, 1, -64, 64, INT32_MIN, INT64_MIN, INT64_MAX};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

START_TEST(what_is_put_is_taken)
{
	struct recording_out out = {0};
	struct recording_in payload, record;
	char text[16];

	recording_begin(&out, RECORDING_CREATED);
	for (size_t i = 0; i < COUNT(numbers); i++)
		recording_put(&out, numbers[i]);
	for (size_t i = 0; i < COUNT(signed_numbers); i++)
		recording_put_signed(&out, signed_numbers[i]);
	recording_put_text(&out, "a name");
	recording_put_text(&out, "");
	recording_end(&out);
	recording_begin(&out, RECORDING_REMOVED);
	recording_put(&out, 5);
	recording_end(&out);
	recording_drop(&out);
	recording_begin(&out, RECORDING_FILES);
	recording_end(&out);

	payload = (struct recording_in){out.bytes, out.bytes + out.length, false};
	ck_assert_uint_eq(recording_next(&payload, &record), RECORDING_CREATED);
	for (size_t i = 0; i < COUNT(numbers); i++)
		ck_assert_uint_eq(recording_take(&record), numbers[i]);
	for (size_t i = 0; i < COUNT(signed_numbers); i++)
		ck_assert_int_eq(recording_take_signed(&record), signed_numbers[i]);
	recording_take_text(&record, text, sizeof(text));
	ck_assert_str_eq(text, "a name");
	recording_take_text(&record, text, sizeof(text));
	ck_assert_str_eq(text, "");
	ck_assert(!record.bad && record.at == record.end);
	ck_assert_uint_eq(recording_take(&record), 0);
	ck_assert(record.bad);
	ck_assert_uint_eq(recording_next(&payload, &record), RECORDING_FILES);
	ck_assert_uint_eq(recording_next(&payload, &record), 0);
	ck_assert(!payload.bad);
	free(out.bytes);
}
END_TEST

/* Every way to cut a payload is seen, and nothing past it is read (the memory is its own size). */
START_TEST(what_is_cut_is_bad)
{
	struct recording_out out = {0};

	recording_begin(&out, RECORDING_CREATED);
	recording_put(&out, UINT64_MAX);
	recording_put_text(&out, "/a/path");
	recording_end(&out);
	for (size_t length = 1; length < out.length; length++) {
		uint8_t *bytes = malloc(length);
		struct recording_in payload = {bytes, bytes + length, false}, record;

		memcpy(bytes, out.bytes, length);
		ck_assert_uint_eq(recording_next(&payload, &record), 0);
		ck_assert(payload.bad);
		free(bytes);
	}
	free(out.bytes);
}
END_TEST

START_TEST(texts_that_can_not_be_are_bad)
{
	static const char *const bytes[] = {"\7shorter", "\3a\0b", "\20sixteen and more",
					    "\377\377\377\377\377"
					    "\377\377\377\377\1x"};
	static const size_t lengths[] = {8, 4, 17, 11};
	char text[16];

	for (size_t i = 0; i < COUNT(bytes); i++) {
		struct recording_in in = {(const uint8_t *)bytes[i], (const uint8_t *)bytes[i] + lengths[i],
					  false};

		recording_take_text(&in, text, sizeof(text));
		ck_assert_msg(i == 0 ? !in.bad : in.bad, "text %zu", i);
	}
}
END_TEST

START_TEST(growth_is_added_up)
{
	struct recording_fields fields;
	struct recording_out out = {0};
	struct recording_in in;
	struct cpu_usage last = {.time_ns = 5, .counter = {7}},
			 now = {.time_ns = 9, .overlap_ns = 2, .counter = {3}};
	struct cpu_usage sums = {.time_ns = 100, .counter = {10}};

	recording_fields_own(RECORDING_OF_USAGE, &fields);
	ck_assert(recording_put_growth(&out, &fields, &last, &now));
	ck_assert(!memcmp(&last, &now, sizeof(now)));
	ck_assert(!recording_put_growth(&out, &fields, &last, &now));
	in = (struct recording_in){out.bytes, out.bytes + out.length, false};
	recording_take_growth(&in, &fields, &sums);
	ck_assert(!in.bad && in.at == in.end);
	ck_assert_uint_eq(sums.time_ns, 104);
	ck_assert_uint_eq(sums.overlap_ns, 2);
	/* What went back, too: the difference of 64 bits. */
	ck_assert_uint_eq(sums.counter[0], 6);
	free(out.bytes);
}
END_TEST

/* Another version has other figures, in another order: those that are known are found by name. */
START_TEST(figures_go_by_their_names)
{
	struct recording_out out = {0};
	struct recording_in in;
	struct recording_fields theirs;
	struct deepmon_memory memory = {0};
	uint64_t valid;

	recording_put(&out, 3);
	recording_put_text(&out, "of_tomorrow");
	recording_put_text(&out, recording_field_name(RECORDING_OF_MEMORY, 1));
	recording_put_text(&out, recording_field_name(RECORDING_OF_MEMORY, 0));
	recording_put(&out, 7);
	for (uint64_t value = 11; value < 14; value++)
		recording_put(&out, value);
	in = (struct recording_in){out.bytes, out.bytes + out.length, false};
	recording_take_fields(&in, RECORDING_OF_MEMORY, &theirs);
	valid = recording_take_figures(&in, &theirs, &memory);
	ck_assert(!in.bad && in.at == in.end);
	ck_assert(recording_fields_have(&theirs, offsetof(struct deepmon_memory, usage_bytes)));
	ck_assert(!recording_fields_have(&theirs, offsetof(struct deepmon_memory, swap_bytes)));

	size_t count;
	const struct deepmon_metric *metrics = deepmon_metrics_of(DEEPMON_SUBJECT_MEMORY, &count);

	ck_assert_uint_eq(valid, metrics[0].valid | metrics[1].valid);
	ck_assert_uint_eq(*(uint64_t *)((char *)&memory + metrics[1].offset), 12);
	ck_assert_uint_eq(*(uint64_t *)((char *)&memory + metrics[0].offset), 13);
	free(out.bytes);
}
END_TEST

START_TEST(every_bit_of_a_frame_is_checked)
{
	static const char payload[] = "what was heard";
	uint8_t bytes[RECORDING_FRAME_HEAD_SIZE + sizeof(payload)];
	struct recording_frame_head head;

	memcpy(bytes + RECORDING_FRAME_HEAD_SIZE, payload, sizeof(payload));
	recording_put_frame_head(bytes, RECORDING_REPORT, 1234567890123456789u, payload, sizeof(payload));
	recording_take_frame_head(bytes, &head);
	ck_assert_uint_eq(head.length, sizeof(payload));
	ck_assert_uint_eq(head.kind, RECORDING_REPORT);
	ck_assert_uint_eq(head.time_ns, 1234567890123456789u);
	ck_assert(recording_frame_is_whole(bytes, bytes + RECORDING_FRAME_HEAD_SIZE));
	/* The length is checked against the file before. */
	for (size_t bit = 32; bit < sizeof(bytes) * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_msg(!recording_frame_is_whole(bytes, bytes + RECORDING_FRAME_HEAD_SIZE), "bit %zu",
			      bit);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}
END_TEST

START_TEST(heads)
{
	uint8_t bytes[RECORDING_HEAD_SIZE];

	recording_put_head(bytes);
	ck_assert_int_eq(recording_check_head(bytes), 0);
	bytes[8]++;
	ck_assert_int_eq(recording_check_head(bytes), -EPROTONOSUPPORT);
	bytes[0]++;
	ck_assert_int_eq(recording_check_head(bytes), -EBADMSG);
}
END_TEST

static int play(struct kernel_copy *copy, enum recording_tag tag, const uint64_t *fields, size_t count)
{
	struct recording_out out = {0};
	struct recording_in in;
	int r;

	for (size_t i = 0; i < count; i++)
		recording_put(&out, fields[i]);
	in = (struct recording_in){out.bytes, out.bytes + out.length, false};
	r = kernel_copy_play(copy, tag, &in);
	free(out.bytes);
	return r;
}

#define PLAY(copy, tag, ...) \
	play(copy, tag, (const uint64_t[]){__VA_ARGS__}, \
	     sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

START_TEST(a_kernel_is_played_to)
{
	struct kernel_copy copy;

	ck_assert_int_eq(kernel_copy_init(&copy, 2, 8, 4), 0);
	ck_assert_int_eq(PLAY(&copy, RECORDING_OWNERS, 1, 2, 3, 4, /* slot 5 */ 6, 77, 0), 0);
	ck_assert_uint_eq(copy.slots, 6);
	ck_assert_uint_eq(copy.owners[5], 77);
	ck_assert_uint_eq(copy.losses.counters_failed, 2);
	ck_assert_int_eq(PLAY(&copy, RECORDING_USAGE, /* slot 5, CPU 1 */ 6, 1, 1, 1000, 0), 0);
	ck_assert_int_eq(PLAY(&copy, RECORDING_USAGE, 6, 1, 1, 500, 0), 0);
	ck_assert_uint_eq(kernel_copy_usage(&copy, 1, 5)->time_ns, 1500);
	ck_assert_uint_eq(kernel_copy_usage(&copy, 0, 5)->time_ns, 0);
	ck_assert_uint_eq(kernel_copy_usage(&copy, 0, 7)->time_ns, 0);
	ck_assert_int_eq(PLAY(&copy, RECORDING_NETWORK, 6, 1, 64, 0), 0);
	ck_assert_uint_eq(copy.network[5].tcp_sent_bytes, 64);
	ck_assert_int_eq(PLAY(&copy, RECORDING_TELL, 0), -ENOENT);

	ck_assert_int_eq(PLAY(&copy, RECORDING_OWNERS, 0, 0, 0, 0, 9, 1, 0), -EBADMSG);
	ck_assert_int_eq(PLAY(&copy, RECORDING_USAGE, 6, 2, 1, 1, 0), -EBADMSG);
	ck_assert_int_eq(PLAY(&copy, RECORDING_USAGE, 6, 0, 1ull << 40, 1, 0), -EBADMSG);
	ck_assert_int_eq(PLAY(&copy, RECORDING_PROCESS, 1, 1, 8, 1, 'x', 0), -EBADMSG);
	kernel_copy_clear(&copy);
}
END_TEST

START_TEST(processes_past_the_most_are_left_out)
{
	struct kernel_copy copy;
	struct process_key key = {.slot = 3};

	ck_assert_int_eq(kernel_copy_init(&copy, 2, 8, 3), 0);
	for (uint64_t process = 0; process < 5; process++)
		ck_assert_int_eq(
		    PLAY(&copy, RECORDING_PROCESS, 9, process, 3, 1, 'x', /* CPU 0 */ 1, 1, 50, 0), 0);
	ck_assert_uint_eq(copy.process_count, 3);
	key.start_ns = 9;
	key.tgid = 1;
	ck_assert_str_eq(kernel_copy_process(&copy, &key, false)->name, "x");
	ck_assert_uint_eq(kernel_copy_process(&copy, &key, false)->by_cpu[0].time_ns, 50);
	kernel_copy_forget_process(&copy, &key);
	ck_assert_ptr_null(kernel_copy_process(&copy, &key, false));
	kernel_copy_clear(&copy);
}
END_TEST

START_TEST(a_host_too_large_is_refused)
{
	struct kernel_copy copy;

	ck_assert_int_eq(kernel_copy_init(&copy, 8192, 1 << 18, 0), 0);
	ck_assert_int_eq(kernel_copy_reach(&copy, 1 << 18), -E2BIG);
	ck_assert_int_eq(kernel_copy_reach(&copy, (1 << 18) + 1), -E2BIG);
	kernel_copy_clear(&copy);
}
END_TEST

/* As the setup of a recording keeps them. */
START_TEST(options_are_texts)
{
	static const char *const set[][2] = {
	    {"SampleInterval", "0.1"}, {"IdlePolicy", "equal"},	   {"Container", "/a,{1,2}/"},
	    {"Container", "b"},	       {"ReportCPU", "false"},	   {"MaxCgroups", "77"},
	    {"HostRoot", "/host, or"}, {"SmtOverlapRatio", "0.3"},
	};
	struct deepmon_options options, again;
	char text[DEEPMON_LIST_MAX], why[256];

	deepmon_options_init(&options);
	deepmon_options_init(&again);
	for (size_t i = 0; i < COUNT(set); i++)
		ck_assert_int_eq(deepmon_options_set(&options, set[i][0], set[i][1], why, sizeof(why)), 0);
	for (size_t i = 0; i < deepmon_option_count; i++) {
		const struct deepmon_option *option = &deepmon_option_table[i];

		for (uint32_t n = 0; deepmon_option_text(&options, option, n, text, sizeof(text)); n++)
			ck_assert_msg(deepmon_options_set(&again, option->name, text, why, sizeof(why)) == 0,
				      "%s", why);
	}
	ck_assert(!memcmp(&options, &again, sizeof(options)));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recording");
	TCase *format = tcase_create("format"), *copy = tcase_create("copy of the kernel's books");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(format, what_is_put_is_taken);
	tcase_add_test(format, what_is_cut_is_bad);
	tcase_add_test(format, texts_that_can_not_be_are_bad);
	tcase_add_test(format, growth_is_added_up);
	tcase_add_test(format, figures_go_by_their_names);
	tcase_add_test(format, every_bit_of_a_frame_is_checked);
	tcase_add_test(format, heads);
	tcase_add_test(format, options_are_texts);
	tcase_add_test(copy, a_kernel_is_played_to);
	tcase_add_test(copy, processes_past_the_most_are_left_out);
	tcase_add_test(copy, a_host_too_large_is_refused);
	suite_add_tcase(suite, format);
	suite_add_tcase(suite, copy);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
