/* Any bytes are a snapshot or are refused with a text; the same from memory and from a
 * file. Every fact read is one fact_check takes, keys ascend, and what was read whole is
 * written again as the same bytes. */
#include "fact/snapshot.h"

#include <sys/mman.h>
#include <unistd.h>

static int put(void *context, struct slice bytes, struct err *err)
{
	buf_put_slice(context, bytes);
	return buf_check(context, "the snapshot", err);
}

/* How many facts, and whether to the end. */
static int read_all(struct fact_reader *reader, uint64_t *count_out, struct buf *again)
{
	AUTO(fact_writer_free) struct fact_writer writer = {0};
	AUTO(buf_free) struct buf before = BUF_INIT(FACT_KEY_MAX), shown = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;
	struct fact fact;
	int got;

	fact_writer_init(&writer, put, again);
	while ((got = fact_next(reader, &fact, &err)) > 0) {
		ASSERT(fact_check(&fact, &err) == 0);
		ASSERT(*count_out == 0 || slice_compare(buf_slice(&before), fact.key) < 0);
		ASSERT(fact_reader_shared(reader) <= fact.key.len);
		buf_clear(&before);
		buf_put_slice(&before, fact.key);
		buf_clear(&shown);
		fact_put_value(&shown, &fact);
		ASSERT(fact_write(&writer, &fact, &err) == 0);
		++*count_out;
	}
	if (got < 0)
		ASSERT(err.text[0]);
	else
		ASSERT(fact_writer_end(&writer, &err) == 0);
	return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_free) struct buf again = BUF_INIT(MIB(8)), once_more = BUF_INIT(MIB(8));
	uint64_t from_memory = 0, from_file = 0;
	struct slice bytes = slice_make(data, MIN(size, MIB(4)));

	AUTO(fact_reader_free) struct fact_reader *memory = fact_reader_of_bytes(bytes);
	int result = read_all(memory, &from_memory, &again);
	int fd = memfd_create("snapshot", MFD_CLOEXEC);
	ASSERT(fd >= 0 && (bytes.len == 0 || write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len));
	AUTO(fact_reader_free) struct fact_reader *file = fact_reader_of_fd(fd);
	ASSERT(read_all(file, &from_file, &once_more) == result && from_file == from_memory);
	close(fd);
	/* `shared` may be told shorter than it is, so only what was written by us is bytes for bytes. */
	if (result == 0) {
		uint64_t count = 0;
		AUTO(buf_free) struct buf third = BUF_INIT(MIB(8));
		AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_bytes(buf_slice(&again));
		ASSERT(read_all(reader, &count, &third) == 0 && count == from_memory);
		ASSERT(slice_equal(buf_slice(&again), buf_slice(&third)));
	}
	return 0;
}
