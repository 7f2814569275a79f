/* Drafts: objects while they are written, in incoming/ under names of their own. */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void draft_name(const struct store *store, uint64_t number, char out[40])
{
	snprintf(out, 40, "%016" PRIx64 "-%" PRIu64, store->tag, number);
}

int draft_no_room(struct store *store, int system_error, struct err *err)
{
	err_wrap(err, "the store %s", store->path);
	if (system_error == ENOSPC || system_error == EDQUOT)
		err_hint(err, "make room there; `lockstep store gc` removes what no kept release needs");
	return -1;
}

bool draft_pays(struct slice sample, uint64_t size)
{
	AUTO(buf_free) struct buf packed = BUF_INIT(STORE_SAMPLE * 4);
	struct err ignored = ERR_INIT;

	sample.len = MIN(sample.len, (size_t)STORE_SAMPLE);
	if (size < STORE_RAW_BELOW || sample.len == 0)
		return false;
	if (compress_all(STORE_LEVEL, slice_make(NULL, 0), sample, &packed, &ignored))
		return false;
	return packed.len < sample.len - sample.len / 10;
}

int draft_open(struct store *store, bool compress, struct draft *draft, struct err *err)
{
	char name[40];

	pthread_mutex_lock(&store->mutex);
	draft->number = store->drafts++;
	pthread_mutex_unlock(&store->mutex);
	draft_name(store, draft->number, name);
	draft->fd = openat(store->incoming_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	if (draft->fd < 0) {
		int why = errno;
		err_errno(err, "incoming/%s", name);
		return draft_no_room(store, why, err);
	}
	draft->compressed = compress;
	draft->size = 0;
	digest_init(&draft->content);
	digest_init(&draft->frame);
	if (compress)
		draft->compressor = compressor_new(STORE_LEVEL, slice_make(NULL, 0));
	return 0;
}

static int write_out(struct store *store, struct draft *draft, struct slice bytes, struct err *err)
{
	errno = 0;
	if (fd_write_all(draft->fd, bytes.ptr, bytes.len, err))
		return draft_no_room(store, errno, err);
	return 0;
}

static int write_packed(struct store *store, struct draft *draft, struct err *err)
{
	digest_update(&draft->frame, draft->packed.ptr, draft->packed.len);
	int result = write_out(store, draft, buf_slice(&draft->packed), err);
	buf_clear(&draft->packed);
	return result;
}

int draft_put(struct store *store, struct draft *draft, struct slice bytes, struct err *err)
{
	digest_update(&draft->content, bytes.ptr, bytes.len);
	draft->size += bytes.len;
	if (!draft->compressed)
		return write_out(store, draft, bytes, err);
	while (bytes.len) {
		struct slice piece = slice_make(bytes.ptr, MIN(bytes.len, (size_t)STORE_PIECE));
		if (compressor_feed(draft->compressor, piece, &draft->packed, err) ||
		    write_packed(store, draft, err))
			return -1;
		bytes = slice_skip(bytes, piece.len);
	}
	return 0;
}

/* The file is complete: nothing but its name and its being on the disk is missing. */
static int seal(struct store *store, struct draft *draft, struct err *err)
{
#ifdef __linux__
	(void)store; /* store_publish syncs all drafts with one call */
	(void)err;
#else
	if (fsync(draft->fd) != 0) {
		int why = errno;
		err_errno(err, "sync");
		return draft_no_room(store, why, err);
	}
#endif
	close_fd(&draft->fd);
	return 0;
}

int draft_end(struct store *store, struct draft *draft, struct digest *digest, struct err *err)
{
	digest_finish(&draft->content, digest);
	if (draft->compressed) {
		struct digest frame;
		if (compressor_end(draft->compressor, &draft->packed, err) || write_packed(store, draft, err))
			return -1;
		digest_finish(&draft->frame, &frame);
		buf_put(&draft->packed, trailer_head, TRAILER_HEAD_LEN);
		buf_put(&draft->packed, &frame, sizeof(frame));
		if (write_out(store, draft, buf_slice(&draft->packed), err))
			return -1;
	}
	compressor_free(&draft->compressor);
	buf_free(&draft->packed);
	return seal(store, draft, err);
}

int draft_write(struct store *store, struct draft *draft, struct slice content, struct buf *scratch,
		struct err *err)
{
	struct slice stored = content;
	bool compress = content.len >= STORE_RAW_BELOW &&
			(content.len <= STORE_SAMPLE || draft_pays(content, content.len));

	/* One call for the whole: zstd sizes its tables for it, which for small files is
	 * most of the work. */
	if (compress) {
		struct digest frame;
		buf_clear(scratch);
		if (compress_all(STORE_LEVEL, slice_make(NULL, 0), content, scratch, err))
			return -1;
		digest_of(buf_slice(scratch), &frame);
		buf_put(scratch, trailer_head, TRAILER_HEAD_LEN);
		buf_put(scratch, &frame, sizeof(frame));
		compress = scratch->len < content.len - content.len / 10;
		if (compress)
			stored = buf_slice(scratch);
	}
	if (draft_open(store, false, draft, err))
		return -1;
	draft->compressed = compress;
	if (write_out(store, draft, stored, err))
		return -1;
	return seal(store, draft, err);
}

void draft_drop(struct store *store, struct draft *draft)
{
	char name[40];

	compressor_free(&draft->compressor);
	buf_free(&draft->packed);
	if (draft->number == 0)
		return;
	close_fd(&draft->fd);
	draft_name(store, draft->number, name);
	unlinkat(store->incoming_fd, name, 0);
	draft->number = 0;
}
