/* Fetching a release back: its manifest, then every object the store lacks, each
 * verified as it is written; published only when whole. */
#include "target/internal.h"

#include "base/clock.h"
#include "base/map.h"
#include "codec/compress.h"

struct fetching {
	struct store *store;
	struct digest release;
	struct buf manifest_bytes;
	struct decompressor *decompressor;
	bool ended; /* of the zstd frame under way */
	bool has_manifest;
	struct arena arena; /* moves into the link's keeping as the result */
	struct manifest manifest;
	struct map wanted; /* digest → entry, not received yet */
	size_t next;	   /* entries of the manifest that were asked for or need not be */
	struct object_stream stream;
	struct store_writer *writer;
	uint64_t missing;
	char missing_path[256];
};

void fetch_end(struct link *link)
{
	struct fetching *fetching = link->fetching;
	if (!fetching)
		return;
	link->fetching = NULL;
	store_writer_abort(&fetching->writer);
	decompressor_free(&fetching->decompressor);
	buf_free(&fetching->manifest_bytes);
	map_free(&fetching->wanted);
	arena_free(&fetching->arena);
	mem_free_ptr(&fetching);
}

/* --- asking ---------------------------------------------------------------------- */

void link_fetch_release(struct link *link, const struct digest *release, struct store *store)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	char hex[DIGEST_HEX_LEN + 1];
	link_begin(link, MSG_MANIFEST_GET, "fetch");
	link->results.fetch = (struct fetch_result){0};
	if (link->status != LINK_BUSY)
		return;
	struct fetching *fetching = mem_alloc(sizeof(*fetching));
	fetching->store = store;
	fetching->release = *release;
	fetching->manifest_bytes = BUF_INIT(MANIFEST_BYTES_MAX);
	fetching->decompressor = decompressor_new(slice_make("", 0));
	link->fetching = fetching;
	digest_to_hex(release, hex);
	record_begin(&record, "manifest-get");
	record_put_str(&record, "release", hex);
	link_send_record(link, MSG_MANIFEST_GET, &record);
}

static void finish(struct link *link)
{
	struct fetching *fetching = link->fetching;
	struct err err = ERR_INIT;
	if (fetching->missing)
		err_set(&err, ERR_NOT_FOUND,
			"%llu files of the release are not on this server any more, such as %s",
			(unsigned long long)fetching->missing, fetching->missing_path);
	else if (store_publish(fetching->store, &fetching->manifest, &err) == 0)
		err.code = ERR_NONE;
	if (err.code != ERR_NONE) {
		link_refuse(link, &err);
		return;
	}
	/* The caller wants to read it: the bytes come to stay. */
	struct slice bytes = arena_slice(&link->arena, fetching->manifest.bytes);
	if (manifest_parse(&link->arena, bytes, &link->results.fetch.manifest, &err) < 0) {
		link_refuse(link, &err);
		return;
	}
	link_finish(link);
}

/* Asks for the next objects that are not in the store, or is done. */
static void ask_next(struct link *link)
{
	struct fetching *fetching = link->fetching;
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	size_t count = 0;
	record_begin(&record, "object-get");
	map_free(&fetching->wanted);
	fetching->wanted = MAP_INIT;
	for (; fetching->next < fetching->manifest.count && count < NEED_MAX; fetching->next++) {
		struct entry *entry = &fetching->manifest.entries[fetching->next];
		struct slice key = slice_make(entry->digest.bytes, DIGEST_LEN);
		if (entry->type == ENTRY_DIR || map_get(&fetching->wanted, key) ||
		    store_has_object(fetching->store, &entry->digest))
			continue;
		char hex[DIGEST_HEX_LEN + 1];
		digest_to_hex(&entry->digest, hex);
		record_put_str(&record, "digest", hex);
		map_put(&fetching->wanted, key, entry);
		count++;
	}
	if (count == 0) {
		finish(link);
		return;
	}
	decompressor_free(&fetching->decompressor);
	fetching->decompressor = decompressor_new(slice_make("", 0));
	fetching->ended = false;
	object_stream_init(&fetching->stream);
	link_send_record(link, MSG_OBJECT_GET, &record);
}

/* --- objects that come --------------------------------------------------------------- */

static int object_begin(void *context, const struct object_header *header, struct err *err)
{
	struct link *link = context;
	struct fetching *fetching = link->fetching;
	struct slice key = slice_make(header->digest.bytes, DIGEST_LEN);
	const struct entry *entry = map_get(&fetching->wanted, key);
	if (header->kind != OBJECT_PLAIN)
		return err_set(err, ERR_INTERNAL,
			       "the server sent a difference where the whole was asked for");
	if (!entry || entry->size != header->length)
		return err_set(err, ERR_INTERNAL, "the server sent an object that was not asked for");
	map_remove(&fetching->wanted, key);
	return store_writer_open(fetching->store, &entry->digest, entry->size, &fetching->writer, err);
}

static int object_content(void *context, struct slice bytes, struct err *err)
{
	struct link *link = context;
	link->results.fetch.bytes += bytes.len;
	return store_writer_put(link->fetching->writer, bytes, err);
}

static int object_end(void *context, struct err *err)
{
	struct link *link = context;
	link->results.fetch.objects++;
	return store_writer_finish(&link->fetching->writer, err);
}

static int objects_sink(void *context, struct slice bytes, struct err *err)
{
	struct link *link = context;
	struct object_sink sink = {object_begin, object_content, object_end, link};
	return object_stream_feed(&link->fetching->stream, bytes, &sink, err);
}

static int manifest_sink(void *context, struct slice bytes, struct err *err)
{
	struct link *link = context;
	buf_put_slice(&link->fetching->manifest_bytes, bytes);
	return buf_check(&link->fetching->manifest_bytes, "the manifest", err);
}

static int manifest_done(struct link *link, struct err *err)
{
	struct fetching *fetching = link->fetching;
	if (manifest_parse(&fetching->arena, buf_slice(&fetching->manifest_bytes), &fetching->manifest, err) <
	    0)
		return -1;
	if (!digest_equal(&fetching->manifest.digest, &fetching->release))
		return err_set(err, ERR_INTERNAL, "the server sent another manifest than the one asked for");
	fetching->has_manifest = true;
	ask_next(link);
	return 0;
}

static void missing_note(struct fetching *fetching)
{
	for (size_t i = 0; i < fetching->wanted.entries_used; i++) {
		const struct map_entry *slot = &fetching->wanted.entries[i];
		if (!slot->key.ptr)
			continue;
		const struct entry *entry = slot->value;
		if (fetching->missing++ == 0) {
			AUTO(buf_free) struct buf path = BUF_INIT(sizeof(fetching->missing_path) - 1);
			buf_put_printable(&path,
					  slice_make(entry->path.ptr, MIN(entry->path.len, (size_t)60)));
			memcpy(fetching->missing_path, buf_str(&path), path.len + 1);
		}
	}
}

static void progress_tell(struct link *link)
{
	int64_t now = clock_mono_ms();
	if (now - link->progress_ms < 100)
		return;
	link->progress_ms = now;
	link_event(link, &(struct target_event){
				 .kind = TARGET_EVENT_PROGRESS,
				 .phase = "receive",
				 .files = link->results.fetch.objects,
				 .files_total = link->fetching->manifest.file_count,
				 .bytes = link->results.fetch.bytes,
				 .bytes_total = link->fetching->manifest.total_size,
			 });
}

int fetch_take(struct link *link, uint8_t type, const struct record *record, struct slice payload,
	       struct err *err)
{
	struct fetching *fetching = link->fetching;
	struct err refusal = ERR_INIT;
	switch (type) {
	case MSG_MANIFEST_DATA:
		return decompressor_feed(fetching->decompressor, payload, manifest_sink, link,
					 &fetching->ended, err);
	case MSG_OBJECT_DATA:
		if (decompressor_feed(fetching->decompressor, payload, objects_sink, link, &fetching->ended,
				      err) < 0)
			return -1;
		progress_tell(link);
		return 0;
	case MSG_DONE:
		break;
	case MSG_REFUSED:
		link_refusal(record, &refusal);
		link_refuse(link, &refusal);
		return 0;
	default:
		return link_take_answer(link, type, record, err);
	}
	if (!fetching->has_manifest)
		return manifest_done(link, err);
	if (fetching->writer)
		return err_set(err, ERR_INTERNAL, "the server stopped in the middle of an object");
	missing_note(fetching);
	ask_next(link);
	return 0;
}
