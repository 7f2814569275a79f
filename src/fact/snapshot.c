/* The form of a snapshot: writing, lists, reading, merging. What facts mean is fact.c's. */
#include "fact/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char header[] = "lockstep-facts 1\n";
enum {
	PIECE = 64 << 10,
	ENTRY_MAX = FACT_KEY_MAX + FACT_VALUE_MAX + 64,
	KIND_MASK = 31,
	EVIDENCE = 32,
	WEAK = 64
};

/* --- writing ------------------------------------------------------------------------ */

void fact_writer_init(struct fact_writer *writer, int (*sink)(void *, struct slice, struct err *),
		      void *context)
{
	*writer = (struct fact_writer){
		.sink = sink,
		.context = context,
		.previous = BUF_INIT(FACT_KEY_MAX),
		.pending = BUF_INIT(PIECE + ENTRY_MAX),
	};
	digest_init(&writer->digest);
	buf_puts(&writer->pending, header);
}

static int hand_on(struct fact_writer *writer, struct err *err)
{
	int result =
		writer->pending.len ? writer->sink(writer->context, buf_slice(&writer->pending), err) : 0;

	buf_clear(&writer->pending);
	return result;
}

/* LEB128; ten bytes hold any number. */
static size_t put_number(char *at, uint64_t number)
{
	size_t len = 0;

	do {
		at[len++] = (char)((number & 127) | (number > 127 ? 128 : 0));
		number >>= 7;
	} while (number);
	return len;
}

static size_t shared_length(struct slice a, struct slice b)
{
	size_t most = MIN(a.len, b.len), len = 0;

	while (len < most && a.ptr[len] == b.ptr[len])
		len++;
	return len;
}

int fact_write(struct fact_writer *writer, const struct fact *fact, struct err *err)
{
	struct slice before = buf_slice(&writer->previous);
	size_t shared = shared_length(before, fact->key);
	char numbers[32];
	size_t len = 0;

	if (fact_check(fact, err))
		return err_wrap(err, "%.*s", (int)MIN(fact->key.len, (size_t)200),
				fact->key.ptr ? fact->key.ptr : "");
	if (writer->begun && slice_compare(before, fact->key) >= 0)
		return err_set(err, ERR_INTERNAL, "facts out of order: %.200s, then %.*s",
			       buf_str(&writer->previous), (int)MIN(fact->key.len, (size_t)200),
			       fact->key.ptr);
	writer->begun = true;
	writer->count++;
	len += put_number(numbers, shared);
	len += put_number(numbers + len, fact->key.len - shared);
	buf_put(&writer->pending, numbers, len);
	buf_put(&writer->pending, fact->key.ptr + shared, fact->key.len - shared);
	numbers[0] = (char)((int)fact->kind | (fact->evidence ? EVIDENCE : 0) | (fact->weak ? WEAK : 0));
	len = 1 + put_number(numbers + 1, fact->value.len);
	buf_put(&writer->pending, numbers, len);
	buf_put_slice(&writer->pending, fact->value);
	writer->previous.len = shared;
	buf_put(&writer->previous, fact->key.ptr + shared, fact->key.len - shared);
	if (writer->pending.len < PIECE)
		return 0;
	digest_update(&writer->digest, writer->pending.ptr, writer->pending.len);
	return hand_on(writer, err);
}

int fact_writer_end(struct fact_writer *writer, struct err *err)
{
	struct digest digest;
	char numbers[16] = {0};
	size_t len = 3;

	len += put_number(numbers + len, writer->count);
	digest_update(&writer->digest, writer->pending.ptr, writer->pending.len);
	digest_finish(&writer->digest, &digest);
	buf_put(&writer->pending, numbers, len);
	buf_put(&writer->pending, digest.bytes, DIGEST_LEN);
	return hand_on(writer, err);
}

void fact_writer_free(struct fact_writer *writer)
{
	buf_free(&writer->previous);
	buf_free(&writer->pending);
}

int fact_add_fact(struct fact_list *list, const struct fact *fact, struct err *err)
{
	if (fact_check(fact, err))
		return err_wrap(err, "%.*s", (int)MIN(fact->key.len, (size_t)200),
				fact->key.ptr ? fact->key.ptr : "");
	size_t bytes = fact->key.len + fact->value.len + sizeof(*fact);
	if (bytes > list->bytes_max - MIN(list->bytes, list->bytes_max))
		return err_set(err, ERR_INTERNAL, "more facts than fit into %zu MB", list->bytes_max >> 20);
	list->bytes += bytes;
	if (list->count == list->cap) {
		list->cap = MAX(list->cap * 2, (size_t)256);
		list->items = mem_grow(list->items, list->cap, sizeof(*list->items));
	}
	list->items[list->count] = *fact;
	list->items[list->count].key = arena_slice(&list->arena, fact->key);
	list->items[list->count].value = arena_slice(&list->arena, fact->value);
	list->count++;
	return 0;
}

int fact_add(struct fact_list *list, struct slice key, enum fact_kind kind, struct slice value,
	     struct err *err)
{
	struct fact fact = {.key = key, .value = value, .kind = kind};

	return fact_add_fact(list, &fact, err);
}

/* Items stand in one array, so an address tells which was added later. */
static int by_key(const void *a, const void *b)
{
	const struct fact *const *x = a, *const *y = b;
	int order = slice_compare((*x)->key, (*y)->key);

	return order ? order : *x < *y ? -1 : 1;
}

void fact_list_sort(struct fact_list *list)
{
	bool sorted = true;

	for (size_t i = 1; i < list->count && sorted; i++)
		sorted = slice_compare(list->items[i - 1].key, list->items[i].key) < 0;
	if (sorted)
		return;
	struct fact **order = mem_array(list->count, sizeof(struct fact *));
	struct fact *items = mem_array(list->count, sizeof(struct fact));
	size_t kept = 0;
	for (size_t i = 0; i < list->count; i++)
		order[i] = &list->items[i];
	qsort(order, list->count, sizeof(struct fact *), by_key);
	for (size_t i = 0; i < list->count; i++) {
		if (kept && slice_equal(items[kept - 1].key, order[i]->key))
			kept--;
		items[kept++] = *order[i];
	}
	free(order);
	free(list->items);
	list->items = items;
	list->cap = list->count;
	list->count = kept;
}

int fact_list_write(struct fact_list *list, struct fact_writer *writer, struct err *err)
{
	fact_list_sort(list);
	for (size_t i = 0; i < list->count; i++)
		if (fact_write(writer, &list->items[i], err))
			return -1;
	return 0;
}

void fact_list_free(struct fact_list *list)
{
	arena_free(&list->arena);
	free(list->items);
	*list = FACT_LIST_INIT(list->bytes_max);
}

/* --- reading -------------------------------------------------------------------------- */

struct fact_reader {
	int fd;		 /* -1: all of it is in `bytes` */
	uint64_t offset; /* of what is read next from fd */
	char *block;	 /* of fd; grows to hold the longest entry */
	size_t block_cap;
	const char *bytes;
	size_t at, len;	 /* in bytes */
	size_t hashed;	 /* up to here, of bytes */
	size_t entry;	 /* where the last fact begins, in bytes */
	uint64_t before; /* bytes of earlier blocks, for messages */
	bool source_ended, begun, ended;
	struct digest_stream digest;
	/* Two keys take turns, so that the one before stays readable. */
	struct key_room {
		char *ptr;
		size_t len, cap;
	} keys[2];
	int now; /* which of them is the last fact's */
	size_t shared;
	uint64_t count;
};

static struct fact_reader *new_reader(int fd)
{
	struct fact_reader *reader = mem_alloc(sizeof(*reader));

	reader->fd = fd;
	digest_init(&reader->digest);
	return reader;
}

struct fact_reader *fact_reader_of_bytes(struct slice snapshot)
{
	struct fact_reader *reader = new_reader(-1);

	reader->bytes = snapshot.ptr;
	reader->len = snapshot.len;
	reader->source_ended = true;
	return reader;
}

struct fact_reader *fact_reader_of_fd(int fd)
{
	return new_reader(fd);
}

void fact_reader_free(struct fact_reader **reader)
{
	if (*reader) {
		free((*reader)->block);
		free((*reader)->keys[0].ptr);
		free((*reader)->keys[1].ptr);
		free(*reader);
	}
	*reader = NULL;
}

static int bad(const struct fact_reader *reader, struct err *err, const char *why)
{
	return err_set(err, ERR_USER, "a snapshot of facts is damaged at byte %llu: %s",
		       (unsigned long long)(reader->before + reader->at), why);
}

static void hash_to(struct fact_reader *reader, size_t to)
{
	if (to > reader->hashed) /* before the first block there are no bytes at all */
		digest_update(&reader->digest, reader->bytes + reader->hashed, to - reader->hashed);
	reader->hashed = to;
}

/* Reads on behind what is there, at least until `least` bytes from `at` on are there or
 * the file ends. */
static int read_on(struct fact_reader *reader, size_t least, struct err *err)
{
	hash_to(reader, reader->at);
	if (reader->at)
		memmove(reader->block, reader->block + reader->at, reader->len - reader->at);
	reader->before += reader->at;
	reader->len -= reader->at;
	reader->at = reader->hashed = 0;
	if (reader->block_cap < MAX((size_t)PIECE, least)) {
		reader->block_cap = least > PIECE ? PIECE + ENTRY_MAX : PIECE;
		reader->block = mem_grow(reader->block, reader->block_cap, 1);
	}
	reader->bytes = reader->block;
	while (reader->len < least) {
		ssize_t got = pread(reader->fd, reader->block + reader->len, reader->block_cap - reader->len,
				    (off_t)reader->offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(err, "reading facts");
		if (got == 0) {
			reader->source_ended = true;
			break;
		}
		reader->len += (size_t)got;
		reader->offset += (uint64_t)got;
	}
	return 0;
}

/* `count` bytes from `at` on, or all that is left. Moves the bytes: what the last fact
 * pointed to is given up. `count` is at most ENTRY_MAX. */
static int have(struct fact_reader *reader, size_t count, struct err *err)
{
	if (reader->len - reader->at >= count || reader->source_ended)
		return 0;
	return read_on(reader, count, err);
}

/* At `*at`, which then is behind it. */
static bool take_number(const struct fact_reader *reader, size_t *at, uint64_t *out)
{
	uint64_t number = 0;

	if (*at < reader->len && (uint8_t)reader->bytes[*at] < 128) {
		*out = (uint8_t)reader->bytes[(*at)++];
		return true;
	}
	for (int shift = 0; shift < 64 && *at < reader->len; shift += 7) {
		uint8_t byte = (uint8_t)reader->bytes[(*at)++];
		if (shift == 63 && byte > 1)
			return false;
		number |= (uint64_t)(byte & 127) << shift;
		if (byte < 128) {
			*out = number;
			return byte != 0; /* one way to write each */
		}
	}
	return false;
}

static int read_end(struct fact_reader *reader, size_t at, struct err *err)
{
	struct digest digest, said;
	uint64_t count;

	/* What was read of the end itself is not part of the digest. */
	hash_to(reader, reader->at);
	if (!take_number(reader, &at, &count) || count != reader->count)
		return bad(reader, err, "it ends with another count");
	if (reader->len - at < DIGEST_LEN)
		return bad(reader, err, "it is cut off");
	memcpy(said.bytes, reader->bytes + at, DIGEST_LEN);
	reader->at = reader->hashed = at + DIGEST_LEN;
	digest_finish(&reader->digest, &digest);
	if (!digest_equal(&digest, &said))
		return bad(reader, err, "its digest is another");
	digest_init(&reader->digest);
	if (have(reader, 1, err))
		return -1;
	if (reader->at != reader->len)
		return bad(reader, err, "something follows its end");
	reader->ended = true;
	return 0;
}

static int begin(struct fact_reader *reader, struct err *err)
{
	size_t len = sizeof(header) - 1;

	if (have(reader, len, err))
		return -1;
	if (reader->len - reader->at < len || memcmp(reader->bytes + reader->at, header, len) != 0)
		return bad(reader, err, "it does not begin as one");
	reader->at += len;
	reader->begun = true;
	return 0;
}

static void set_key(struct fact_reader *reader, size_t shared, struct slice rest)
{
	struct key_room *old = &reader->keys[reader->now], *key = &reader->keys[!reader->now];
	size_t len = shared + rest.len;

	if (key->cap < len) {
		key->cap = MIN(MAX(len * 2, (size_t)256), (size_t)FACT_KEY_MAX);
		key->ptr = mem_grow(key->ptr, key->cap, 1);
	}
	if (shared)
		memcpy(key->ptr, old->ptr, shared);
	memcpy(key->ptr + shared, rest.ptr, rest.len);
	key->len = len;
	reader->shared = shared;
	reader->now = !reader->now;
}

int fact_next(struct fact_reader *reader, struct fact *fact_out, struct err *err)
{
	enum { NUMBERS_MAX = 24 }; /* the lengths and the kind of an entry */
	uint64_t shared, rest, value;
	size_t at, old_len = reader->keys[reader->now].len;

	if (reader->ended)
		return 0;
	if (!reader->begun && begin(reader, err))
		return -1;
	if (have(reader, NUMBERS_MAX + DIGEST_LEN, err))
		return -1;
	at = reader->at;
	if (!take_number(reader, &at, &shared) || !take_number(reader, &at, &rest))
		return bad(reader, err, "a length is malformed, or it is cut off");
	if (shared > old_len || rest > FACT_KEY_MAX - shared)
		return bad(reader, err, "a key is longer than it may be");
	size_t suffix = at - reader->at;
	if (have(reader, suffix + rest + NUMBERS_MAX, err))
		return -1;
	at = reader->at + suffix;
	if (rest >= reader->len - at)
		return bad(reader, err, "it is cut off");
	at += rest;
	uint8_t kind = (uint8_t)reader->bytes[at++];
	if (kind == 0)
		return shared || rest ? bad(reader, err, "its end has a key") : read_end(reader, at, err);
	if (!take_number(reader, &at, &value) || value > FACT_VALUE_MAX)
		return bad(reader, err, "a value is longer than it may be, or it is cut off");
	size_t from = at - reader->at;
	if (have(reader, from + value, err))
		return -1;
	at = reader->at + from;
	if (value > reader->len - at)
		return bad(reader, err, "it is cut off");
	/* Ascending: what differs first is greater, or the old key is a beginning of the new. */
	const char *text = reader->bytes + reader->at + suffix;
	if (rest == 0 ||
	    (shared < old_len && (uint8_t)text[0] <= (uint8_t)reader->keys[reader->now].ptr[shared]))
		return bad(reader, err, "keys are out of order");
	set_key(reader, shared, slice_make(text, rest));
	*fact_out = (struct fact){
		.key = fact_reader_key(reader),
		.value = slice_make(reader->bytes + at, value),
		.kind = kind & KIND_MASK,
		.evidence = kind & EVIDENCE,
		.weak = kind & WEAK,
	};
	if (kind & 128)
		return bad(reader, err, "there is no such kind");
	if (fact_check(fact_out, err)) {
		struct err wrong = *err;
		return bad(reader, err, wrong.text);
	}
	reader->entry = reader->at;
	reader->at = at + value;
	reader->count++;
	return 1;
}

size_t fact_reader_shared(const struct fact_reader *reader)
{
	return reader->shared;
}

struct slice fact_reader_key(const struct fact_reader *reader)
{
	const struct key_room *key = &reader->keys[reader->now];

	return slice_make(key->ptr, key->len);
}

struct slice fact_reader_key_before(const struct fact_reader *reader)
{
	const struct key_room *key = &reader->keys[!reader->now];

	return slice_make(key->ptr, key->len);
}

struct slice fact_reader_entry(const struct fact_reader *reader)
{
	return slice_make(reader->bytes + reader->entry, reader->at - reader->entry);
}

int fact_reader_pass(struct fact_reader *reader, struct slice entry, struct err *err)
{
	if (reader->ended || !reader->begun)
		return 0;
	if (reader->len - reader->at < entry.len && !reader->source_ended && read_on(reader, entry.len, err))
		return -1;
	if (reader->len - reader->at < entry.len ||
	    memcmp(reader->bytes + reader->at, entry.ptr, entry.len) != 0)
		return 0;
	reader->entry = reader->at;
	reader->at += entry.len;
	reader->count++;
	return 1;
}

void fact_reader_take_key(struct fact_reader *reader, struct slice key)
{
	set_key(reader, 0, key);
}

/* --- merging --------------------------------------------------------------------------- */

struct head {
	struct fact_reader *reader;
	struct fact fact;
	bool there;
};

static int advance(struct head *head, struct err *err)
{
	int got = fact_next(head->reader, &head->fact, err);

	head->there = got > 0;
	return got < 0 ? -1 : 0;
}

int fact_merge(struct fact_reader *const *readers, size_t count, struct fact_writer *out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct head *heads = ARENA_NEW_ARRAY(&arena, count, struct head);

	for (size_t i = 0; i < count; i++) {
		heads[i].reader = readers[i];
		if (advance(&heads[i], err))
			return -1;
	}
	for (;;) {
		struct head *first = NULL;
		for (size_t i = 0; i < count; i++) {
			if (!heads[i].there)
				continue;
			int order = first ? slice_compare(heads[i].fact.key, first->fact.key) : -1;
			if (order < 0 || (order == 0 && first->fact.kind == FACT_NOT_CHECKED &&
					  heads[i].fact.kind != FACT_NOT_CHECKED))
				first = &heads[i];
		}
		if (!first)
			return 0;
		if (fact_write(out, &first->fact, err))
			return -1;
		/* Those with the same key are told by this one; its own key is given up last. */
		for (size_t i = 0; i < count; i++)
			if (&heads[i] != first && heads[i].there &&
			    slice_equal(heads[i].fact.key, first->fact.key) && advance(&heads[i], err))
				return -1;
		if (advance(first, err))
			return -1;
	}
}
