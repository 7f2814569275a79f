/* Objects that come one by one, from a server. */
#include "store/internal.h"

#include <stdlib.h>

struct store_writer {
	struct store *store;
	struct digest digest;
	uint64_t size, put;
	struct buf sample; /* held back until it suffices to decide about compressing */
	struct draft draft;
	bool open;
};

int store_writer_open(struct store *store, const struct digest *digest, uint64_t size,
		      struct store_writer **writer_out, struct err *err)
{
	(void)err;
	struct store_writer *writer = mem_alloc(sizeof(*writer));

	*writer = (struct store_writer){
		.store = store,
		.digest = *digest,
		.size = size,
		.sample = BUF_INIT(STORE_SAMPLE),
		.draft = DRAFT_INIT,
	};
	*writer_out = writer;
	return 0;
}

static int begin(struct store_writer *writer, struct err *err)
{
	struct slice sample = buf_slice(&writer->sample);

	writer->open = true;
	if (draft_open(writer->store, draft_pays(sample, writer->size), &writer->draft, err) ||
	    draft_put(writer->store, &writer->draft, sample, err))
		return -1;
	buf_free(&writer->sample);
	return 0;
}

static int refuse(const struct store_writer *writer, const char *why, struct err *err)
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(&writer->digest, hex);
	return err_set(err, ERR_INTERNAL, "object %s arrived %s", hex, why);
}

int store_writer_put(struct store_writer *writer, struct slice bytes, struct err *err)
{
	if (bytes.len > writer->size - writer->put)
		return refuse(writer, "longer than announced", err);
	writer->put += bytes.len;
	if (!writer->open) {
		size_t fits = MIN(bytes.len, (size_t)STORE_SAMPLE - writer->sample.len);
		buf_put(&writer->sample, bytes.ptr, fits);
		bytes = slice_skip(bytes, fits);
		if (writer->sample.len < STORE_SAMPLE)
			return 0;
		if (begin(writer, err))
			return -1;
	}
	return bytes.len ? draft_put(writer->store, &writer->draft, bytes, err) : 0;
}

int store_writer_finish(struct store_writer **writer_slot, struct err *err)
{
	struct store_writer *writer = *writer_slot;
	struct digest found;

	if (writer->put != writer->size)
		return refuse(writer, "shorter than announced", err);
	if (!writer->open && begin(writer, err))
		return -1;
	if (draft_end(writer->store, &writer->draft, &found, err))
		return -1;
	if (!digest_equal(&found, &writer->digest))
		return refuse(writer, "with other content", err);
	if (!object_present(writer->store, &writer->digest, writer->size))
		pending_add(writer->store, &writer->draft, &writer->digest, writer->store);
	store_writer_abort(writer_slot);
	return 0;
}

void store_writer_abort(struct store_writer **writer)
{
	if (!*writer)
		return;
	draft_drop((*writer)->store, &(*writer)->draft);
	buf_free(&(*writer)->sample);
	free(*writer);
	*writer = NULL;
}
