/* Claims about snapshots: what is written is read, what was changed is refused. */
#include "fact/snapshot.h"

#include "../cmocka_base.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int put(void *context, struct slice bytes, struct err *err)
{
	buf_put_slice(context, bytes);
	return buf_check(context, "the snapshot", err);
}

static void write_all(struct fact_list *list, struct buf *out)
{
	AUTO(fact_writer_free) struct fact_writer writer = {0};
	struct err err = ERR_INIT;

	fact_writer_init(&writer, put, out);
	if (fact_list_write(list, &writer, &err) || fact_writer_end(&writer, &err))
		fail_msg("%s", err.text);
}

static void add_number(struct fact_list *list, int number)
{
	struct err err = ERR_INIT;
	char key[64], value[64];

	snprintf(key, sizeof(key), "file/app/Models/Model%05d.php/content", number * 7919 % 100000);
	snprintf(value, sizeof(value), "%d", number);
	assert_int_equal(fact_add(list, slice_of(key), FACT_TEXT, slice_of(value), &err), 0);
}

static void facts_come_back_sorted_from_memory_and_file(void **state)
{
	enum { COUNT = 20000 };
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(64 << 20);
	AUTO(buf_free) struct buf bytes = BUF_INIT(64 << 20);
	struct err err = ERR_INIT;
	char path[] = "/tmp/lockstep-test-XXXXXX";
	int fd = mkstemp(path);
	(void)state;
	unlink(path);
	for (int i = 0; i < COUNT; i++)
		add_number(&list, i);
	write_all(&list, &bytes);
	assert_int_equal(write(fd, bytes.ptr, bytes.len), bytes.len);
	assert_true(bytes.len / COUNT < 40);
	for (int from_file = 0; from_file < 2; from_file++) {
		AUTO(fact_reader_free)
		struct fact_reader *reader =
			from_file ? fact_reader_of_fd(fd) : fact_reader_of_bytes(buf_slice(&bytes));
		struct fact fact;
		int got, count = 0;
		while ((got = fact_next(reader, &fact, &err)) > 0) {
			assert_true(slice_starts_with(fact.key, "file/app/Models/Model"));
			assert_true(slice_equal(fact.key, list.items[count].key));
			assert_true(slice_equal(fact.value, list.items[count].value));
			count++;
		}
		assert_int_equal(got, 0);
		assert_int_equal(count, COUNT);
		assert_int_equal(fact_next(reader, &fact, &err), 0);
	}
	close(fd);
}

static void the_last_of_one_key_counts(void **state)
{
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(1 << 20);
	struct err err = ERR_INIT;
	(void)state;
	assert_int_equal(fact_add(&list, SLICE("os/b/x"), FACT_TEXT, SLICE("1"), &err), 0);
	assert_int_equal(fact_add(&list, SLICE("os/a/x"), FACT_TEXT, SLICE("2"), &err), 0);
	assert_int_equal(fact_add(&list, SLICE("os/b/x"), FACT_TEXT, SLICE("3"), &err), 0);
	fact_list_sort(&list);
	assert_int_equal(list.count, 2);
	assert_true(slice_is(list.items[1].value, "3"));
}

static void a_list_has_a_limit(void **state)
{
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(1000);
	struct err err = ERR_INIT;
	char key[32];
	int added = 0;
	(void)state;
	while (snprintf(key, sizeof(key), "os/%d/x", added),
	       fact_add(&list, slice_of(key), FACT_TEXT, SLICE("v"), &err) == 0)
		added++;
	assert_in_range(added, 1, 50);
	assert_int_equal(err.code, ERR_INTERNAL);
}

static int read_all(struct slice bytes)
{
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_bytes(bytes);
	struct fact fact;
	struct err err = ERR_INIT;
	int got;

	while ((got = fact_next(reader, &fact, &err)) > 0)
		;
	return got;
}

static void every_changed_byte_and_every_cut_is_noticed(void **state)
{
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(1 << 20);
	AUTO(buf_free) struct buf bytes = BUF_INIT(1 << 20);
	(void)state;
	for (int i = 0; i < 20; i++)
		add_number(&list, i);
	write_all(&list, &bytes);
	assert_int_equal(read_all(buf_slice(&bytes)), 0);
	for (size_t i = 0; i < bytes.len; i++) {
		assert_int_equal(read_all(slice_make(bytes.ptr, i)), -1);
		bytes.ptr[i] ^= 1;
		assert_int_equal(read_all(buf_slice(&bytes)), -1);
		bytes.ptr[i] ^= 1;
	}
	buf_putc(&bytes, 'x');
	assert_int_equal(read_all(buf_slice(&bytes)), -1);
}

static void keys_must_ascend(void **state)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(1 << 20);
	AUTO(fact_writer_free) struct fact_writer writer = {0};
	struct fact b = {.key = SLICE("os/b"), .kind = FACT_TEXT},
		    a = {.key = SLICE("os/a"), .kind = FACT_TEXT};
	struct err err = ERR_INIT;
	(void)state;
	fact_writer_init(&writer, put, &bytes);
	assert_int_equal(fact_write(&writer, &b, &err), 0);
	assert_int_equal(fact_write(&writer, &b, &err), -1);
	assert_int_equal(fact_write(&writer, &a, &err), -1);
}

static void what_was_seen_counts_over_what_was_not_looked_at(void **state)
{
	AUTO(fact_list_free) struct fact_list gaps = FACT_LIST_INIT(1 << 20), seen = FACT_LIST_INIT(1 << 20);
	AUTO(buf_free) struct buf x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20), merged = BUF_INIT(1 << 20);
	AUTO(fact_writer_free) struct fact_writer writer = {0};
	struct err err = ERR_INIT;
	struct fact fact;
	(void)state;
	assert_int_equal(fact_add(&gaps, SLICE("os/"), FACT_NOT_CHECKED, SLICE("why"), &err), 0);
	assert_int_equal(fact_add(&gaps, SLICE("os/a/x"), FACT_NOT_CHECKED, SLICE("why"), &err), 0);
	assert_int_equal(fact_add(&seen, SLICE("os/a/x"), FACT_TEXT, SLICE("there"), &err), 0);
	assert_int_equal(fact_add(&seen, SLICE("os/b/x"), FACT_TEXT, SLICE("too"), &err), 0);
	write_all(&gaps, &x);
	write_all(&seen, &y);
	struct fact_reader *readers[] = {fact_reader_of_bytes(buf_slice(&x)),
					 fact_reader_of_bytes(buf_slice(&y))};
	fact_writer_init(&writer, put, &merged);
	if (fact_merge(readers, 2, &writer, &err) || fact_writer_end(&writer, &err))
		fail_msg("%s", err.text);
	fact_reader_free(&readers[0]);
	fact_reader_free(&readers[1]);
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_bytes(buf_slice(&merged));
	assert_int_equal(fact_next(reader, &fact, &err), 1);
	assert_int_equal(fact.kind, FACT_NOT_CHECKED);
	assert_int_equal(fact_next(reader, &fact, &err), 1);
	assert_true(slice_is(fact.value, "there"));
	assert_int_equal(fact_next(reader, &fact, &err), 1);
	assert_true(slice_is(fact.key, "os/b/x"));
	assert_int_equal(fact_next(reader, &fact, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_come_back_sorted_from_memory_and_file),
		cmocka_unit_test(the_last_of_one_key_counts),
		cmocka_unit_test(a_list_has_a_limit),
		cmocka_unit_test(every_changed_byte_and_every_cut_is_noticed),
		cmocka_unit_test(keys_must_ascend),
		cmocka_unit_test(what_was_seen_counts_over_what_was_not_looked_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
