/* Objects that come one by one, from a server. */
#include "store/internal.h"

#include <stdlib.h>

struct store_writer {
	struct store *store;
	struct digest digest;
	uint64_t size;
	struct object_file file;
	bool open; /* false until the first bytes are there, which decide about compression */
};

int store_writer_open(struct store *store, const struct digest *digest, uint64_t size,
		      struct store_writer **writer_out, struct err *err)
{
	(void)err;
	struct store_writer *writer = mem_alloc(sizeof(*writer));

	*writer = (struct store_writer){ .store = store, .digest = *digest, .size = size, .file = { .fd = -1 } };
	*writer_out = writer;
	return 0;
}

int store_writer_put(struct store_writer *writer, struct slice bytes, struct err *err)
{
	if (!writer->open) {
		if (object_file_open(writer->store, slice_make(bytes.ptr, MIN(bytes.len, (size_t)STORE_PIECE)),
				     writer->size, &writer->file, err))
			return -1;
		writer->open = true;
	}
	if (bytes.len > writer->size - MIN(writer->file.size, writer->size))
		return err_set(err, ERR_INTERNAL, "an object is longer than announced");
	return object_file_put(&writer->file, bytes, err);
}

int store_writer_finish(struct store_writer **writer_slot, struct err *err)
{
	struct store_writer *writer = *writer_slot;
	struct digest found;

	if (!writer->open && store_writer_put(writer, slice_make("", 0), err))
		return -1;
	if (object_file_end(&writer->file, &found, err))
		return -1;
	if (!digest_equal(&found, &writer->digest) || writer->file.size != writer->size) {
		char hex[DIGEST_HEX_LEN + 1];
		digest_to_hex(&writer->digest, hex);
		return err_set(err, ERR_INTERNAL, "object %s arrived with other content", hex);
	}
	if (object_file_publish(writer->store, &writer->file, &writer->digest, err))
		return -1;
	free(writer);
	*writer_slot = NULL;
	return 0;
}

void store_writer_abort(struct store_writer **writer)
{
	if (!*writer)
		return;
	object_file_drop((*writer)->store, &(*writer)->file);
	free(*writer);
	*writer = NULL;
}
