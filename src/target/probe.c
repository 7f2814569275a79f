/* Asking a server what it is like: the order as one record, its answer as a snapshot in a
 * file without a name, read through once before anybody gets it. What facts mean is not
 * known here. */
#include "target/internal.h"

#include "base/clock.h"
#include "base/fd.h"
#include "codec/compress.h"
#include "fact/snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct probing {
	struct decompressor *decompressor;
	bool ended; /* of the zstd stream */
	int fd;
	uint64_t bytes;
	int64_t asked_ms; /* wall clock */
	struct buf only;  /* the dimensions asked for, each ending in NUL; empty: all */
};

void probe_end(struct link *link)
{
	struct probing *probing = link->probing;
	if (!probing)
		return;
	link->probing = NULL;
	decompressor_free(&probing->decompressor);
	close_fd(&probing->fd);
	buf_free(&probing->only);
	mem_free_ptr(&probing);
}

/* --- asking ---------------------------------------------------------------------- */

/* One value: texts that end in NUL. */
static int put_list(struct buf *record, const char *key, struct text_list list, struct err *err)
{
	AUTO(buf_free) struct buf joined = BUF_INIT(RECORD_LEN_MAX);
	if (list.count > PROBE_ORDER_LISTED_MAX)
		return err_set(err, ERR_USER, "%zu %s are more than one server is asked about (%d)",
			       list.count, key, PROBE_ORDER_LISTED_MAX);
	for (size_t i = 0; i < list.count; i++)
		buf_put(&joined, list.items[i], strlen(list.items[i]) + 1);
	record->overflow = record->overflow || joined.overflow;
	if (list.count)
		record_put(record, key, buf_slice(&joined));
	return 0;
}

static void put_key(struct buf *record, const char *name, const uint8_t key[DIGEST_LEN])
{
	struct digest digest;
	char hex[DIGEST_HEX_LEN + 1];
	memcpy(digest.bytes, key, DIGEST_LEN);
	digest_to_hex(&digest, hex);
	record_put_str(record, name, hex);
	explicit_bzero(&digest, sizeof(digest));
	explicit_bzero(hex, sizeof(hex));
}

static int put_order(struct buf *record, const struct probe_order *order, int64_t now_ms, struct err *err)
{
	record_begin(record, "probe");
	record_put_opt(record, "user", order->user);
	record_put_opt(record, "helper", order->helper);
	record_put_i64(record, "now_ms", now_ms);
	put_key(record, "run_key", order->run_key);
	if (order->has_kept_key)
		put_key(record, "kept_key", order->kept_key);
	return put_list(record, "only", order->only, err) ||
			       put_list(record, "reloads", order->reloads, err) ||
			       put_list(record, "paths", order->paths, err) ||
			       put_list(record, "env_files", order->env_files, err) ||
			       put_list(record, "names", order->names, err) ||
			       put_list(record, "generated", order->generated, err) ||
			       put_list(record, "rendered", order->rendered, err)
		       ? -1
		       : 0;
}

void link_probe(struct link *link, const struct probe_order *order, const char *temp_dir)
{
	AUTO(buf_free) struct buf record = BUF_SECRET(RECORD_LEN_MAX);
	struct err err = ERR_INIT;
	int fd = -1;
	link_begin(link, MSG_PROBE, "probe");
	close_fd(&link->results.probe.fd);
	link->results.probe = (struct probe_result){.fd = -1};
	if (link->status != LINK_BUSY)
		return;
	int64_t now_ms = clock_wall_ms();
	if (put_order(&record, order, now_ms, &err) || file_nameless_open(temp_dir, &fd, &err)) {
		link_refuse(link, &err);
		return;
	}
	struct probing *probing = mem_alloc(sizeof(*probing));
	*probing = (struct probing){
		decompressor_new(slice_make("", 0)), false, fd, 0, now_ms, BUF_INIT(RECORD_LEN_MAX)};
	for (size_t i = 0; i < order->only.count; i++)
		buf_put(&probing->only, order->only.items[i], strlen(order->only.items[i]) + 1);
	link->probing = probing;
	link_send_record(link, MSG_PROBE, &record);
}

/* --- what comes -------------------------------------------------------------------- */

static int facts_sink(void *context, struct slice bytes, struct err *err)
{
	struct probing *probing = context;
	probing->bytes += bytes.len;
	if (probing->bytes > SNAPSHOT_BYTES_MAX)
		return err_set(err, ERR_INTERNAL, "the server sent more than %d MB of facts",
			       SNAPSHOT_BYTES_MAX >> 20);
	return fd_write_all(probing->fd, bytes.ptr, bytes.len, err);
}

static bool was_asked(const struct probing *probing, struct slice dimension)
{
	for (struct slice rest = buf_slice(&probing->only); rest.len;)
		if (slice_equal(slice_cut(&rest, 0), dimension))
			return true;
	return probing->only.len == 0;
}

/* Once to its end: whoever reads it later trusts that it is whole, and that a server speaks of
 * nothing but what it was asked: databases and what is seen from beside it are not its to tell. */
static int snapshot_check(const struct probing *probing, uint64_t *count_out, struct err *err)
{
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_fd(probing->fd);
	struct fact fact;
	int got;
	*count_out = 0;
	while ((got = fact_next(reader, &fact, err)) > 0) {
		struct slice dimension = fact_dimension(fact.key);
		if (!was_asked(probing, dimension))
			return err_set(err, ERR_INTERNAL, "%.*s was not asked for", SLICE_ARG(dimension));
		++*count_out;
	}
	return got;
}

/* As NTP does: the time of the look itself is the server's, the rest is split evenly. */
static int64_t clock_offset(const struct probing *probing, const struct probe_result *result,
			    int64_t server_now_ms)
{
	int64_t heard_ms = clock_wall_ms();
	int64_t at_start = server_now_ms - result->duration_ms - probing->asked_ms;
	return (at_start + (server_now_ms - heard_ms)) / 2;
}

static int probed_take(struct link *link, const struct record *record, struct err *err)
{
	struct probing *probing = link->probing;
	struct probe_result *result = &link->results.probe;
	enum { LONG_AGO_MS = 1 << 30 };
	uint64_t count;
	if (!probing->ended)
		return err_set(err, ERR_INTERNAL, "the server's facts are not whole");
	if (snapshot_check(probing, &count, err))
		return err_wrap(err, "the server's facts cannot be read");
	if (count != record_get_u64(record, "facts", 0) ||
	    probing->bytes != record_get_u64(record, "bytes", 0))
		return err_set(err, ERR_INTERNAL, "the server sent other facts than it says");
	result->duration_ms = record_get_i64(record, "duration_ms", 0);
	int64_t server_now_ms = record_get_i64(record, "now_ms", 0);
	if (result->duration_ms < 0 || result->duration_ms > LONG_AGO_MS || server_now_ms < 0 ||
	    server_now_ms > INT64_MAX / 4)
		return err_set(err, ERR_INTERNAL, "the server's clock makes no sense");
	result->clock_offset_ms = clock_offset(probing, result, server_now_ms);
	result->facts = count;
	result->bytes = probing->bytes;
	result->fd = steal_fd(&probing->fd);
	link_finish(link);
	return 0;
}

int probe_take(struct link *link, uint8_t type, const struct record *record, struct slice payload,
	       struct err *err)
{
	struct probing *probing = link->probing;
	switch (type) {
	case MSG_FACT_DATA:
		return decompressor_feed(probing->decompressor, payload, facts_sink, probing, &probing->ended,
					 err);
	case MSG_PROBED:
		return probed_take(link, record, err);
	default:
		return link_take_answer(link, type, record, err);
	}
}
