/* Making compressed streams once for many readers.
 *
 * One thread works the offers of a release off in order. What both threads touch is
 * under `lock`: how far a stream is (`produced`), how far its fastest reader is, and
 * how it ended. The store is only read here; its handles have no state that reading
 * changes. */
#include "target/offer.h"

#include "agent/protocol.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/map.h"
#include "codec/compress.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	AHEAD_MAX = 64 << 20, /* how far the thread runs ahead of the fastest reader */
	PUNCH_STEP = 16 << 20,
	PIECE = 128 << 10,
	SMALL_TOTAL = 24 << 20, /* below: spend time to save bytes */
	LEVEL_BULK = 3,
	LEVEL_SMALL = 7,
	DELTA_LEVEL_SMALL = 9,
	DELTA_LEVEL_LARGE = 3,
	DELTA_LARGE_FROM = 1 << 20,
	OFFERS_MAX = 4096,
	WINDOW = 8 << 20,
	WINDOW_OF_LARGE = 2 << 20,
	WIDE_COUNT_MAX = 20000, /* entries */
};

struct offer_item {
	const struct entry *entry;
	struct digest base;
	uint64_t base_size; /* 0: no base */
};

struct offer {
	struct offer *next; /* in the order of making */
	struct offers *owner;
	struct digest key;
	struct digest asked; /* of the question that offers_first answered with it */
	bool is_answer;
	struct offer_item *items;
	size_t item_count;
	uint64_t content_size;
	bool with_manifest;
	bool is_checked; /* objects are hashed while they are read: those that came wrong before */
	bool has_base;
	struct digest base; /* of the manifest */
	int fd;

	/* Under the lock. */
	uint64_t produced;
	uint64_t manifest_end; /* where objects begin, once `manifest_done` */
	bool manifest_done, ended, failed;
	struct err failure;
	uint64_t fastest;
	bool wanted;	  /* not only forecast */
	bool had_readers; /* since it was last wanted */
	size_t reader_count;

	/* The loop's thread only. */
	struct offer_reader *readers;
	uint64_t punched;
};

struct offers {
	struct store *store;
	char *temp_dir;
	void (*more)(void *context);
	void *context;
	struct loop_wake *wake;
	struct arena arena;
	struct manifest manifest;
	uint32_t *by_digest; /* files and links of the manifest, sorted by digest */
	size_t by_digest_count;
	struct offer *first, **last;

	pthread_t thread;
	bool thread_runs;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct offer *making; /* the first that is not finished; under the lock */
	bool stop;	      /* under the lock */
};

/* --- what a server lacks ------------------------------------------------------- */

static int digest_order(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

static int by_digest_order(const void *a, const void *b, void *context)
{
	const struct entry *entries = context;
	return digest_order(&entries[*(const uint32_t *)a].digest, &entries[*(const uint32_t *)b].digest);
}

/* Index into by_digest of the first entry with this digest, or -1. */
static ptrdiff_t digest_find(const struct offers *offers, const struct digest *digest)
{
	size_t low = 0, high = offers->by_digest_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct entry *entry = &offers->manifest.entries[offers->by_digest[middle]];
		if (digest_order(&entry->digest, digest) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == offers->by_digest_count ||
	    digest_order(&offers->manifest.entries[offers->by_digest[low]].digest, digest) != 0)
		return -1;
	return (ptrdiff_t)low;
}

static void digests_sort(struct offers *offers)
{
	const struct manifest *manifest = &offers->manifest;
	offers->by_digest = ARENA_NEW_ARRAY(&offers->arena, manifest->count + 1, uint32_t);
	for (size_t i = 0; i < manifest->count; i++)
		if (manifest->entries[i].type != ENTRY_DIR)
			offers->by_digest[offers->by_digest_count++] = (uint32_t)i;
	qsort_r(offers->by_digest, offers->by_digest_count, sizeof(uint32_t), by_digest_order,
		manifest->entries);
	/* One of each digest is enough. */
	size_t kept = 0;
	for (size_t i = 0; i < offers->by_digest_count; i++)
		if (kept == 0 || digest_order(&manifest->entries[offers->by_digest[kept - 1]].digest,
					      &manifest->entries[offers->by_digest[i]].digest) != 0)
			offers->by_digest[kept++] = offers->by_digest[i];
	offers->by_digest_count = kept;
}

/* Loads one manifest at a time, so that two whole trees are held at most. */
static bool manifest_try(struct offers *offers, const struct digest *release, struct arena *arena,
			 struct manifest *manifest)
{
	struct err err = ERR_INIT;
	if (!store_has_manifest(offers->store, release))
		return false;
	if (store_load_manifest(offers->store, release, arena, manifest, &err) == 0)
		return true;
	log_warn("%s", err.text);
	return false;
}

static void mark_known(struct offers *offers, const struct digest *release, uint8_t *known)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct manifest manifest;
	if (!manifest_try(offers, release, &arena, &manifest))
		return;
	for (size_t i = 0; i < manifest.count; i++) {
		ptrdiff_t at = manifest.entries[i].type == ENTRY_DIR
				       ? -1
				       : digest_find(offers, &manifest.entries[i].digest);
		if (at >= 0)
			known[at] = 1;
	}
}

/* Gives the items that have a file of the same path in the base their delta base. */
static void bases_find(struct offers *offers, const struct digest *base, struct offer_item *items,
		       size_t count)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct manifest manifest;
	if (count == 0 || !manifest_try(offers, base, &arena, &manifest))
		return;
	for (size_t i = 0; i < count; i++) {
		const struct entry *entry = items[i].entry;
		const struct entry *old = manifest_find(&manifest, entry->path);
		if (entry->type != ENTRY_FILE || !old || old->type != ENTRY_FILE || old->size == 0 ||
		    old->size > COMPRESS_PREFIX_MAX || entry->size > COMPRESS_PREFIX_MAX || entry->size < 64)
			continue;
		items[i].base = old->digest;
		items[i].base_size = old->size;
	}
}

/* The last component of a path, and in it what follows the last dot. */
static struct slice name_of(struct slice path, struct slice *extension_out)
{
	const char *slash = memrchr(path.ptr, '/', path.len);
	struct slice name = slash ? slice_skip(path, (size_t)(slash + 1 - path.ptr)) : path;
	const char *dot = memrchr(name.ptr, '.', name.len);

	*extension_out = dot ? slice_skip(name, (size_t)(dot - name.ptr)) : slice_make("", 0);
	return name;
}

/* Like beside like: first by kind, then by name, so that the variants of one file that
 * lie in several folders are neighbours. Of `next` 11 MB were sent like this where it
 * were 13 in the order of paths. */
static int item_order(const void *a, const void *b)
{
	const struct entry *left = ((const struct offer_item *)a)->entry;
	const struct entry *right = ((const struct offer_item *)b)->entry;
	struct slice left_kind, right_kind;
	struct slice left_name = name_of(left->path, &left_kind);
	struct slice right_name = name_of(right->path, &right_kind);
	int order = slice_compare(left_kind, right_kind);

	if (order == 0)
		order = slice_compare(left_name, right_name);
	/* Entries lie in path order in one array. */
	return order ? order : left < right ? -1 : left > right;
}

/* --- making a stream -------------------------------------------------------------- */

struct making {
	struct offer *offer;
	struct compressor *compressor;
	struct buf out;
};

/* A forecast that was wrong, or a stream whose readers are all gone, does not keep
 * the next one waiting. Under the lock. */
static bool is_given_up(const struct offer *offer)
{
	return offer->owner->stop ||
	       (offer->next && (!offer->wanted || (offer->had_readers && offer->reader_count == 0)));
}

/* Hands what is compressed to the readers; waits when they are far behind. */
static int making_write(struct making *making, bool force, struct err *err)
{
	struct offer *offer = making->offer;
	struct offers *offers = offer->owner;
	if (making->out.len == 0 || (!force && making->out.len < PIECE))
		return 0;
	if (fault_point("target.offer.write", err) < 0 ||
	    fd_write_all(offer->fd, making->out.ptr, making->out.len, err) < 0) {
		err_wrap(err, "the temporary file for what is sent, in %s", offers->temp_dir);
		return err_hint(err, "free some space there, or set TMPDIR");
	}
	pthread_mutex_lock(&offers->lock);
	offer->produced += making->out.len;
	while (!is_given_up(offer) && offer->produced > offer->fastest + AHEAD_MAX)
		pthread_cond_wait(&offers->changed, &offers->lock);
	/* In the same breath, so that nobody attaches to it any more. */
	bool given_up = is_given_up(offer);
	offer->failed = given_up;
	pthread_mutex_unlock(&offers->lock);
	buf_clear(&making->out);
	loop_wake_now(offers->wake);
	return given_up ? err_set(err, ERR_INTERRUPTED, "no longer wanted") : 0;
}

static int take_content(void *context, struct slice bytes, struct err *err)
{
	struct making *making = context;
	/* A large file may compress to so little that nothing is written for long. */
	if (__atomic_load_n(&making->offer->owner->stop, __ATOMIC_RELAXED))
		return err_set(err, ERR_INTERRUPTED, "no longer wanted");
	if (compressor_feed(making->compressor, bytes, &making->out, err) < 0)
		return -1;
	return making_write(making, false, err);
}

static int put_header(struct making *making, const struct object_header *header, struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(OBJECT_HEADER_MAX);
	object_header_put(&bytes, header);
	return compressor_feed(making->compressor, buf_slice(&bytes), &making->out, err);
}

/* The server hashes all that comes, and asks again for what was wrong. One of another length
 * would be taken for part of the next. */
static int object_read(const struct offer *offer, const struct digest *digest, uint64_t size, store_sink *sink,
		       void *context, struct err *err)
{
	struct store *store = offer->owner->store;

	return offer->is_checked ? store_read_object(store, digest, sink, context, err)
				 : store_read_object_unchecked(store, digest, size, sink, context, err);
}

static int put_plain(struct making *making, const struct entry *entry, struct err *err)
{
	struct object_header header = {.kind = OBJECT_PLAIN, .digest = entry->digest, .length = entry->size};
	if (put_header(making, &header, err) < 0)
		return -1;
	return object_read(making->offer, &entry->digest, entry->size, take_content, making, err);
}

static int collect(void *context, struct slice bytes, struct err *err)
{
	buf_put_slice(context, bytes);
	return buf_check(context, "an object", err);
}

/* What the content would cost without a base, judged by its first megabyte. */
static size_t plain_estimate(struct slice content)
{
	struct err ignored = ERR_INIT;
	AUTO(buf_free) struct buf packed = BUF_INIT(MIB(2));
	struct slice sample = slice_make(content.ptr, MIN(content.len, MIB(1)));
	if (compress_all(LEVEL_BULK, slice_make("", 0), sample, &packed, &ignored) < 0)
		return content.len;
	return (size_t)((double)packed.len * (double)content.len / (double)MAX(sample.len, (size_t)1));
}

/* 1: it went as a delta; 0: plain would be as small. */
static int put_delta(struct making *making, const struct offer_item *item, struct buf *old, struct buf *fresh,
		     struct err *err)
{
	const struct entry *entry = item->entry;
	const struct offer *offer = making->offer;
	struct err ignored = ERR_INIT;
	buf_clear(old);
	buf_clear(fresh);
	/* Sizes are known, so nothing is grown by doubling. */
	if (!buf_reserve(old, item->base_size) || !buf_reserve(fresh, entry->size))
		return 0;
	/* A base that cannot be read costs bytes, not the deployment. */
	if (object_read(offer, &item->base, item->base_size, collect, old, &ignored) < 0)
		return 0;
	if (object_read(offer, &entry->digest, entry->size, collect, fresh, err) < 0)
		return -1;
	bool large = fresh->len + old->len > DELTA_LARGE_FROM;
	AUTO(buf_free) struct buf delta = BUF_INIT(COMPRESS_PREFIX_MAX + KIB(256));
	if (compress_all(large ? DELTA_LEVEL_LARGE : DELTA_LEVEL_SMALL, buf_slice(old), buf_slice(fresh),
			 &delta, err) < 0)
		return -1;
	/* Text compresses to about a quarter by itself; a delta much below that needs no proof. */
	if (delta.len > fresh->len / 8 && delta.len >= plain_estimate(buf_slice(fresh)))
		return 0;
	struct object_header header = {
		.kind = OBJECT_DELTA,
		.digest = entry->digest,
		.base = item->base,
		.length = delta.len,
	};
	if (put_header(making, &header, err) < 0 || take_content(making, buf_slice(&delta), err) < 0)
		return -1;
	return 1;
}

static int make_manifest(struct making *making, struct err *err)
{
	struct offer *offer = making->offer;
	struct offers *offers = offer->owner;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct slice prefix = {"", 0};
	if (offer->has_base) {
		struct manifest base;
		if (store_load_manifest(offers->store, &offer->base, &arena, &base, err) < 0)
			return -1;
		prefix = base.bytes;
	}
	making->compressor = compressor_new(LEVEL_BULK, prefix);
	struct slice rest = offers->manifest.bytes;
	while (rest.len) {
		size_t piece = MIN(rest.len, (size_t)PIECE);
		if (take_content(making, slice_make(rest.ptr, piece), err) < 0)
			return -1;
		rest = slice_skip(rest, piece);
	}
	if (compressor_end(making->compressor, &making->out, err) < 0)
		return -1;
	compressor_free(&making->compressor);
	return 0;
}

/* How far back a stream may refer, which the agent has to hold: less where a large
 * manifest takes its memory already. */
static uint64_t window_for(const struct offers *offers)
{
	return offers->manifest.count > WIDE_COUNT_MAX ? WINDOW_OF_LARGE : WINDOW;
}

static int make_objects(struct making *making, struct err *err)
{
	struct offer *offer = making->offer;
	if (offer->item_count == 0)
		return 0;
	AUTO(buf_free) struct buf old = BUF_INIT(COMPRESS_PREFIX_MAX + 1);
	AUTO(buf_free) struct buf fresh = BUF_INIT(COMPRESS_PREFIX_MAX + 1);
	making->compressor = compressor_new_wide(offer->content_size < SMALL_TOTAL ? LEVEL_SMALL : LEVEL_BULK,
						 MIN(offer->content_size, window_for(offer->owner)));
	for (size_t i = 0; i < offer->item_count; i++) {
		const struct offer_item *item = &offer->items[i];
		int went = item->base_size ? put_delta(making, item, &old, &fresh, err) : 0;
		if (went < 0 || (went == 0 && put_plain(making, item->entry, err) < 0))
			return -1;
	}
	if (put_header(making, &(struct object_header){.kind = OBJECT_END}, err) < 0 ||
	    compressor_end(making->compressor, &making->out, err) < 0)
		return -1;
	return making_write(making, true, err);
}

static int make_stream(struct making *making, struct err *err)
{
	struct offer *offer = making->offer;
	if (offer->with_manifest && (make_manifest(making, err) < 0 || making_write(making, true, err) < 0))
		return -1;
	pthread_mutex_lock(&offer->owner->lock);
	offer->manifest_end = offer->produced;
	offer->manifest_done = true;
	pthread_mutex_unlock(&offer->owner->lock);
	return make_objects(making, err);
}

static void *thread_run(void *context)
{
	struct offers *offers = context;
	pthread_mutex_lock(&offers->lock);
	while (!offers->stop) {
		struct offer *offer = offers->making;
		if (!offer) {
			pthread_cond_wait(&offers->changed, &offers->lock);
			continue;
		}
		pthread_mutex_unlock(&offers->lock);
		struct err err = ERR_INIT;
		struct making making = {.offer = offer, .out = BUF_INIT(MIB(24))};
		int result = make_stream(&making, &err);
		compressor_free(&making.compressor);
		buf_free(&making.out);
		pthread_mutex_lock(&offers->lock);
		offer->ended = true;
		offer->failed = result < 0;
		offer->failure = err;
		offers->making = offer->next;
		loop_wake_now(offers->wake);
	}
	pthread_mutex_unlock(&offers->lock);
	return NULL;
}

/* --- offers ------------------------------------------------------------------------- */

static void wake_fired(void *context)
{
	struct offers *offers = context;
	if (offers->more)
		offers->more(offers->context);
}

int offers_open(struct loop *loop, const struct offers_spec *spec, struct offers **offers_out,
		struct err *err)
{
	struct offers *offers = mem_alloc(sizeof(*offers));
	offers->store = spec->store;
	if (store_load_manifest(spec->store, &spec->release, &offers->arena, &offers->manifest, err) < 0) {
		arena_free(&offers->arena);
		mem_free_ptr(&offers);
		return -1;
	}
	const char *temp_dir = spec->temp_dir ? spec->temp_dir : getenv("TMPDIR");
	offers->temp_dir = mem_strdup(temp_dir && *temp_dir ? temp_dir : "/var/tmp");
	offers->more = spec->more;
	offers->context = spec->context;
	offers->last = &offers->first;
	digests_sort(offers);
	offers->wake = loop_wake_start(loop, wake_fired, offers);
	pthread_mutex_init(&offers->lock, NULL);
	pthread_cond_init(&offers->changed, NULL);
	*offers_out = offers;
	return 0;
}

void offers_close(struct offers **offers)
{
	struct offers *old = *offers;
	if (!old)
		return;
	*offers = NULL;
	pthread_mutex_lock(&old->lock);
	__atomic_store_n(&old->stop, true, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&old->changed);
	pthread_mutex_unlock(&old->lock);
	if (old->thread_runs)
		pthread_join(old->thread, NULL);
	loop_wake_stop(&old->wake);
	for (struct offer *offer = old->first, *next; offer; offer = next) {
		ASSERT(!offer->readers);
		next = offer->next;
		close_fd(&offer->fd);
		mem_free_ptr(&offer->items);
		mem_free_ptr(&offer);
	}
	pthread_mutex_destroy(&old->lock);
	pthread_cond_destroy(&old->changed);
	arena_free(&old->arena);
	mem_free_ptr(&old->temp_dir);
	mem_free_ptr(&old);
}

const struct manifest *offers_manifest(const struct offers *offers)
{
	return &offers->manifest;
}

bool offers_knows(const struct offers *offers, const struct digest *release)
{
	return store_has_manifest(offers->store, release);
}

/* What makes two streams the same bytes. */
static void key_make(const struct offer *offer, struct digest *key)
{
	struct digest_stream stream;
	digest_init(&stream);
	uint8_t flags[3] = {offer->with_manifest, offer->has_base, offer->is_checked};
	digest_update(&stream, flags, sizeof(flags));
	digest_update(&stream, offer->base.bytes, DIGEST_LEN);
	for (size_t i = 0; i < offer->item_count; i++) {
		digest_update(&stream, offer->items[i].entry->digest.bytes, DIGEST_LEN);
		digest_update(&stream, offer->items[i].base.bytes, DIGEST_LEN);
	}
	digest_finish(&stream, key);
}

/* A stream that a reader may still begin with. */
static bool is_usable(struct offers *offers, struct offer *offer, bool wanted)
{
	pthread_mutex_lock(&offers->lock);
	bool usable = offer->punched == 0 && !offer->failed;
	if (usable && wanted) {
		offer->wanted = true;
		offer->had_readers = false;
	}
	pthread_mutex_unlock(&offers->lock);
	return usable;
}

/* Takes `fresh` over: it is begun, or given up for one that is the same. */
static struct offer *offer_enter(struct offers *offers, struct offer *fresh, bool wanted, struct err *err)
{
	size_t count = 0;
	qsort(fresh->items, fresh->item_count, sizeof(*fresh->items), item_order);
	for (size_t i = 0; i < fresh->item_count; i++)
		fresh->content_size += fresh->items[i].entry->size;
	key_make(fresh, &fresh->key);
	for (struct offer *offer = offers->first; offer; offer = offer->next, count++) {
		if (!digest_equal(&offer->key, &fresh->key) || !is_usable(offers, offer, wanted))
			continue;
		mem_free_ptr(&fresh->items);
		mem_free_ptr(&fresh);
		return offer;
	}
	fresh->owner = offers;
	fresh->wanted = wanted;
	fresh->fd = -1;
	if (count >= OFFERS_MAX || file_nameless_open(offers->temp_dir, &fresh->fd, err) < 0) {
		if (count >= OFFERS_MAX)
			err_set(err, ERR_INTERNAL, "the servers ask again and again for what was sent");
		mem_free_ptr(&fresh->items);
		mem_free_ptr(&fresh);
		return NULL;
	}
	pthread_mutex_lock(&offers->lock);
	*offers->last = fresh;
	offers->last = &fresh->next;
	if (!offers->making)
		offers->making = fresh;
	pthread_cond_broadcast(&offers->changed);
	pthread_mutex_unlock(&offers->lock);
	if (!offers->thread_runs) {
		int status = pthread_create(&offers->thread, NULL, thread_run, offers);
		ASSERT(status == 0);
		offers->thread_runs = true;
	}
	return fresh;
}

static void base_choose(struct offers *offers, struct offer *offer, const struct digest *base)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct manifest manifest;
	if (!base || !manifest_try(offers, base, &arena, &manifest) ||
	    manifest.bytes.len > COMPRESS_PREFIX_MAX)
		return;
	offer->has_base = true;
	offer->base = *base;
}

/* Twenty servers that show the same mostly ask the same, and so did the forecast: what lies
 * in whole manifests is compared once. */
static void question_name(const struct digest *kept, size_t kept_count, const struct digest *base,
			  enum offer_first_kind kind, struct digest *out)
{
	struct digest_stream stream;
	uint8_t flags[2] = {kind == OFFER_NOTHING, base != NULL};

	digest_init(&stream);
	digest_update(&stream, flags, sizeof(flags));
	if (base)
		digest_update(&stream, base->bytes, DIGEST_LEN);
	for (size_t i = 0; i < kept_count; i++) {
		bool again = false;
		for (size_t k = 0; k < i && !again; k++)
			again = digest_equal(&kept[k], &kept[i]);
		if (!again)
			digest_update(&stream, kept[i].bytes, DIGEST_LEN);
	}
	digest_finish(&stream, out);
}

struct offer *offers_first(struct offers *offers, const struct digest *kept, size_t kept_count,
			   const struct digest *base, enum offer_first_kind kind, struct err *err)
{
	struct digest asked;

	question_name(kept, kept_count, base, kind, &asked);
	for (struct offer *known = offers->first; known; known = known->next)
		if (known->is_answer && digest_equal(&known->asked, &asked) &&
		    is_usable(offers, known, kind != OFFER_FORECAST))
			return known;
	struct offer *offer = mem_alloc(sizeof(*offer));
	offer->with_manifest = true;
	base_choose(offers, offer, base);
	offer->items = mem_array(offers->by_digest_count + 1, sizeof(*offer->items));
	if (kind != OFFER_NOTHING) {
		uint8_t *known = mem_alloc(offers->by_digest_count + 1);
		for (size_t i = 0; i < kept_count; i++)
			mark_known(offers, &kept[i], known);
		for (size_t i = 0; i < offers->by_digest_count; i++) {
			const struct entry *entry = &offers->manifest.entries[offers->by_digest[i]];
			if (!known[i])
				offer->items[offer->item_count++].entry = entry;
		}
		mem_free_ptr(&known);
		if (base)
			bases_find(offers, base, offer->items, offer->item_count);
	}
	offer = offer_enter(offers, offer, kind != OFFER_FORECAST, err);
	if (offer && !offer->is_answer) {
		offer->is_answer = true;
		offer->asked = asked;
	}
	return offer;
}

struct offer *offers_exactly(struct offers *offers, const struct digest *wanted, size_t count,
			     const struct digest *base, bool plain, struct err *err)
{
	struct offer *offer = mem_alloc(sizeof(*offer));
	offer->items = mem_array(count + 1, sizeof(*offer->items));
	size_t lost = 0;
	for (size_t i = 0; i < count; i++) {
		ptrdiff_t at = digest_find(offers, &wanted[i]);
		const struct entry *entry = at < 0 ? NULL : &offers->manifest.entries[offers->by_digest[at]];
		if (entry && store_has_object(offers->store, &entry->digest)) {
			offer->items[offer->item_count++].entry = entry;
			continue;
		}
		char hex[DIGEST_HEX_LEN + 1];
		digest_to_hex(&wanted[i], hex);
		if (lost++ == 0 && !entry)
			err_set(err, ERR_INTERNAL, "the server asks for %s, which the release does not hold",
				hex);
		else if (lost == 1)
			err_set(err, ERR_NOT_FOUND, "%.*s (%s) is neither on the server nor in the store",
				SLICE_ARG(entry->path), hex);
	}
	if (lost) {
		if (lost > 1)
			err_wrap(err, "%zu objects cannot be found, among them", lost);
		mem_free_ptr(&offer->items);
		mem_free_ptr(&offer);
		return NULL;
	}
	offer->is_checked = plain;
	if (base && !plain)
		bases_find(offers, base, offer->items, offer->item_count);
	return offer_enter(offers, offer, true, err);
}

bool offer_holds(const struct offer *offer, const struct digest *digest)
{
	for (size_t i = 0; i < offer->item_count; i++)
		if (digest_order(&offer->items[i].entry->digest, digest) == 0)
			return true;
	return false;
}

const struct digest *offer_base(const struct offer *offer)
{
	return offer->has_base ? &offer->base : NULL;
}

size_t offer_object_count(const struct offer *offer)
{
	return offer->item_count;
}

/* --- reading ------------------------------------------------------------------------ */

void offer_attach(struct offer *offer, struct offer_reader *reader)
{
	ASSERT(!reader->offer);
	*reader = (struct offer_reader){.offer = offer, .next = offer->readers};
	offer->readers = reader;
	pthread_mutex_lock(&offer->owner->lock);
	offer->reader_count++;
	offer->had_readers = true;
	pthread_mutex_unlock(&offer->owner->lock);
}

void offer_detach(struct offer_reader *reader)
{
	if (!reader->offer)
		return;
	struct offer_reader **at = &reader->offer->readers;
	while (*at != reader)
		at = &(*at)->next;
	*at = reader->next;
	struct offers *offers = reader->offer->owner;
	pthread_mutex_lock(&offers->lock);
	reader->offer->reader_count--;
	pthread_cond_broadcast(&offers->changed);
	pthread_mutex_unlock(&offers->lock);
	*reader = (struct offer_reader){0};
}

/* What every reader has is given back to the disk, in large steps. A stream that
 * has lost its beginning gets no new readers. */
static void punch(struct offer *offer)
{
	uint64_t slowest = UINT64_MAX;
	for (struct offer_reader *reader = offer->readers; reader; reader = reader->next)
		slowest = MIN(slowest, reader->offset);
	if (slowest < (uint64_t)2 * AHEAD_MAX || slowest < offer->punched + PUNCH_STEP)
		return;
#ifdef FALLOC_FL_PUNCH_HOLE
	if (fallocate(offer->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offer->punched,
		      (off_t)(slowest - offer->punched)) == 0)
		offer->punched = slowest;
#endif
}

int offer_read(struct offer_reader *reader, char *bytes, size_t room, size_t *len_out,
	       enum offer_piece *piece_out, struct err *err)
{
	struct offer *offer = reader->offer;
	struct offers *offers = offer->owner;
	pthread_mutex_lock(&offers->lock);
	uint64_t end = offer->produced;
	bool in_manifest = !offer->manifest_done || reader->offset < offer->manifest_end;
	if (offer->manifest_done && in_manifest)
		end = offer->manifest_end;
	bool ended = offer->ended, failed = offer->failed;
	if (failed)
		*err = offer->failure;
	pthread_mutex_unlock(&offers->lock);

	*len_out = 0;
	if (failed)
		return -1;
	if (reader->offset == end) {
		*piece_out = ended ? OFFER_ENDED : OFFER_WAIT;
		return 0;
	}
	room = (size_t)MIN((uint64_t)room, end - reader->offset);
	ssize_t got = pread(offer->fd, bytes, room, (off_t)reader->offset);
	if (got <= 0)
		return err_errno(err, "the temporary file for what is sent");
	*piece_out = in_manifest ? OFFER_MANIFEST : OFFER_OBJECTS;
	*len_out = (size_t)got;
	reader->offset += (size_t)got;
	pthread_mutex_lock(&offers->lock);
	if (reader->offset > offer->fastest) {
		offer->fastest = reader->offset;
		pthread_cond_broadcast(&offers->changed);
	}
	pthread_mutex_unlock(&offers->lock);
	punch(offer);
	return 0;
}

uint64_t offer_length(const struct offer *offer)
{
	struct offers *offers = offer->owner;
	pthread_mutex_lock(&offers->lock);
	uint64_t length = offer->ended ? offer->produced : 0;
	pthread_mutex_unlock(&offers->lock);
	return length;
}
