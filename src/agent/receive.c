/* Objects as they come: decoded, written straight to where they belong, hashed on
 * the way, and only then counted as there. */
#include "agent/preparation.h"

#include "base/fault.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SYNC_STEP = 24 << 20 };

struct receiving {
	bool skip; /* not wanted, or its base is unusable */
	struct object_header header;
	size_t index; /* of the first entry that wants it */
	int fd;
	bool covered;
	struct buf link; /* the target, when the entry is a link */
	struct digest_stream hash;
	uint64_t size; /* of the decoded content so far */
	struct slice base;
	struct decompressor *delta;
	bool delta_ended;
};

static struct slice key_of(const struct digest *digest)
{
	return slice_make(digest->bytes, DIGEST_LEN);
}

static void temporary_name(const struct digest *digest, char out[DIGEST_HEX_LEN + 24])
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(digest, hex);
	snprintf(out, DIGEST_HEX_LEN + 24, "objects/%s.new", hex);
}

static void close_receiving(struct receiving *r)
{
	close_fd(&r->fd);
	decompressor_free(&r->delta);
	if (r->base.ptr)
		munmap((void *)(uintptr_t)r->base.ptr, r->base.len);
	buf_free(&r->link);
	*r = (struct receiving){.fd = -1, .skip = true};
}

/* Takes back a file that was begun: it stays wanted. */
static void drop_partial(struct preparation *p, struct receiving *r)
{
	const struct entry *entry = &p->manifest.entries[r->index];
	char temporary[DIGEST_HEX_LEN + 24];
	struct err err = ERR_INIT;
	const char *name;
	int dir_fd;

	if (r->skip || r->fd < 0)
		return;
	if (r->covered) {
		temporary_name(&entry->digest, temporary);
		unlinkat(p->session->place.private_fd, temporary, 0);
	} else if (tree_parent(&p->cursor, entry->path, &dir_fd, &name, &err) == 0) {
		unlinkat(dir_fd, name, 0);
	}
}

static int begin_object(void *context, const struct object_header *header, struct err *err)
{
	struct preparation *p = context;
	struct receiving *r = p->receiving;
	uintptr_t slot = (uintptr_t)map_get(&p->wanted, key_of(&header->digest));
	char temporary[DIGEST_HEX_LEN + 24];
	const char *name;
	int dir_fd;

	close_receiving(r);
	r->header = *header;
	if (!slot)
		return 0;
	r->index = slot - 1;
	const struct entry *entry = &p->manifest.entries[r->index];
	if (header->kind == OBJECT_PLAIN && header->length != entry->size)
		return err_set(err, ERR_INTERNAL, "%s was sent with another size", entry->path.ptr);
	if (header->kind == OBJECT_DELTA) {
		if (header->length > entry->size + KIB(1))
			return err_set(err, ERR_INTERNAL, "a delta is larger than its file");
		if (obtain_map_base(p, &header->base, &r->base, err))
			return -1;
		if (!r->base.ptr)
			return 0;
		r->delta = decompressor_new(r->base);
	}
	if (fault_point("agent.receive.object", err))
		return -1;
	r->skip = false;
	digest_init(&r->hash);
	r->covered = preparation_is_covered(p, entry->path);
	if (r->covered) {
		temporary_name(&entry->digest, temporary);
		r->fd = openat(p->session->place.private_fd, temporary,
			       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		return r->fd >= 0 ? 0 : err_errno(err, "%s", temporary);
	}
	if (entry->type == ENTRY_LINK) {
		r->link = BUF_INIT(MANIFEST_LINK_MAX);
		return 0;
	}
	return obtain_create(p, entry, &r->fd, &dir_fd, &name, err);
}

int receive_end_sync(struct preparation *p, struct err *err)
{
	if (!p->is_syncing)
		return 0;
	p->is_syncing = false;
	return session_apart_end(p->session, "sync", &p->syncing, err);
}

/* One after the other: where the disk is slower than the line, the line waits. */
static int sync_ahead(struct preparation *p, size_t len, struct err *err)
{
	p->unsynced += len;
	if (p->unsynced < SYNC_STEP)
		return 0;
	p->unsynced = 0;
	if (receive_end_sync(p, err) || session_sync_begin(p->session, p->tree_fd, &p->syncing, err))
		return -1;
	p->is_syncing = true;
	return 0;
}

static int write_content(void *context, struct slice bytes, struct err *err)
{
	struct preparation *p = context;
	struct receiving *r = p->receiving;
	const struct entry *entry = &p->manifest.entries[r->index];

	r->size += bytes.len;
	p->done_bytes += bytes.len;
	if (r->size > entry->size)
		return err_set(err, ERR_INTERNAL, "%s was sent with another size", entry->path.ptr);
	digest_update(&r->hash, bytes.ptr, bytes.len);
	if (entry->type == ENTRY_LINK && !r->covered)
		buf_put_slice(&r->link, bytes);
	else if (fd_write_all(r->fd, bytes.ptr, bytes.len, err))
		return err_wrap(err, "%s", entry->path.ptr);
	if (sync_ahead(p, bytes.len, err))
		return -1;
	return session_breathe(p->session, "receive", p->received, 0, p->done_bytes, p->wanted_bytes, err);
}

static int object_content(void *context, struct slice bytes, struct err *err)
{
	struct preparation *p = context;
	struct receiving *r = p->receiving;

	if (r->skip)
		return 0;
	if (r->delta)
		return decompressor_feed(r->delta, bytes, write_content, p, &r->delta_ended, err);
	return write_content(p, bytes, err);
}

static int put_link(struct preparation *p, const struct entry *entry, const char *target, struct err *err)
{
	const char *name;
	int dir_fd;

	if (tree_parent(&p->cursor, entry->path, &dir_fd, &name, err))
		return -1;
	return symlinkat(target, dir_fd, name) == 0 ? 0 : err_errno(err, "%s", entry->path.ptr);
}

/* Where the content of the first entry lies now, for those that want it as well:
 * text when it is short enough to be a link's target, and a file in objects/ or in
 * the tree unless the first is a link. */
static int read_target(struct preparation *p, struct receiving *r, char target[MANIFEST_LINK_MAX + 1],
		       struct err *err)
{
	const struct entry *first = &p->manifest.entries[r->index];
	AUTO(close_fd) int fd = -1;
	size_t got = 0;

	if (first->type == ENTRY_LINK && !r->covered) {
		snprintf(target, MANIFEST_LINK_MAX + 1, "%s", buf_str(&r->link));
		return 0;
	}
	if (obtain_open_put(p, first, &fd, err) || fd_read_full(fd, target, MANIFEST_LINK_MAX, &got, err))
		return err_wrap(err, "%s", first->path.ptr);
	target[got] = '\0';
	return 0;
}

/* The content is in place for the first entry; `entry` wants it too. */
static int settle_other(struct preparation *p, struct receiving *r, size_t index, struct err *err)
{
	const struct entry *first = &p->manifest.entries[r->index], *entry = &p->manifest.entries[index];
	char target[MANIFEST_LINK_MAX + 1];
	bool text = first->type == ENTRY_LINK && !r->covered;

	if (preparation_is_covered(p, entry->path)) {
		if (r->covered)
			return 0;
		return text ? obtain_keep_text(p, &entry->digest, buf_slice(&r->link), err)
			    : obtain_keep_object(p, first, err);
	}
	if (entry->type == ENTRY_LINK)
		return read_target(p, r, target, err) || put_link(p, entry, target, err) ? -1 : 0;
	if (text)
		return obtain_put_text(p, entry, buf_slice(&r->link), err);
	if (!r->covered)
		return obtain_twin(p, r->index, index, err);
	bool got = false;
	if (obtain_entry(p, index, &got, err))
		return -1;
	return got ? 0 : err_set(err, ERR_INTERNAL, "%s cannot be put in place", entry->path.ptr);
}

/* The content is right: every entry that wanted it gets it. */
static int settle(struct preparation *p, struct receiving *r, struct err *err)
{
	const struct entry *first = &p->manifest.entries[r->index];
	char temporary[DIGEST_HEX_LEN + 24], final[DIGEST_HEX_LEN + 24];

	if (r->covered) {
		temporary_name(&first->digest, temporary);
		snprintf(final, sizeof(final), "%.*s", (int)(strlen(temporary) - 4), temporary);
		if (renameat(p->session->place.private_fd, temporary, p->session->place.private_fd, final) !=
		    0)
			return err_errno(err, "%s", final);
	} else if (first->type == ENTRY_LINK) {
		if (put_link(p, first, buf_str(&r->link), err))
			return -1;
	} else {
		struct timespec times[2] = {{.tv_sec = p->commit_time}, {.tv_sec = p->commit_time}};
		(void)!futimens(r->fd, times);
		if (preparation_is_generated(p, first->path) && obtain_keep_object(p, first, err))
			return -1;
	}
	map_remove(&p->wanted, key_of(&first->digest));
	for (uint32_t next = p->next[r->index]; next; next = p->next[next - 1])
		if (settle_other(p, r, next - 1, err))
			return -1;
	return 0;
}

static int end_object(void *context, struct err *err)
{
	struct preparation *p = context;
	struct receiving *r = p->receiving;
	struct digest found;

	if (r->skip)
		return 0;
	const struct entry *entry = &p->manifest.entries[r->index];
	digest_finish(&r->hash, &found);
	if (r->size != entry->size || !digest_equal(&found, &entry->digest) ||
	    (r->delta && !r->delta_ended)) {
		/* A base that changed, or a damaged object: it stays wanted. */
		drop_partial(p, r);
		close_receiving(r);
		return 0;
	}
	p->received++;
	p->healed += p->restoring;
	p->received_bytes += r->header.length;
	int result = settle(p, r, err);
	close_receiving(r);
	return result;
}

static int stream_bytes(void *context, struct slice bytes, struct err *err)
{
	struct preparation *p = context;
	const struct object_sink sink = {begin_object, object_content, end_object, p};

	return object_stream_feed(&p->stream, bytes, &sink, err);
}

int receive_object_data(struct preparation *p, struct slice bytes, struct err *err)
{
	bool ended;

	if (!p->receiving) {
		p->receiving = mem_alloc(sizeof(*p->receiving));
		p->receiving->fd = -1;
		p->receiving->skip = true;
	}
	if (!p->stream_decoder) {
		p->stream_decoder = decompressor_new(slice_make(NULL, 0));
		object_stream_init(&p->stream);
	}
	return decompressor_feed(p->stream_decoder, bytes, stream_bytes, p, &ended, err);
}

void receive_end_offer(struct preparation *p)
{
	decompressor_free(&p->stream_decoder);
	if (p->receiving) {
		drop_partial(p, p->receiving);
		close_receiving(p->receiving);
	}
}

void receive_free(struct preparation *p)
{
	struct err ignored = ERR_INIT;

	(void)!receive_end_sync(p, &ignored);
	receive_end_offer(p);
	free(p->receiving);
	p->receiving = NULL;
}
