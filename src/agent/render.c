#include "agent/render.h"

#include "agent/preparation.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DEPTH_MAX = 100 };

/* --- what comes ----------------------------------------------------------------- */

static int check_path(struct slice path, struct err *err)
{
	size_t depth = 0;

	if (preparation_check_path("path", path, err))
		return -1;
	for (size_t i = 0; i < path.len; i++)
		depth += path.ptr[i] == '/';
	return depth <= DEPTH_MAX ? 0
				  : err_set(err, ERR_USER, "%.*s: more than %d folders deep", SLICE_ARG(path),
					    DEPTH_MAX);
}

static int add(struct preparation *p, struct slice path, uint64_t mode, uint64_t size,
	       const struct ownership *ownership, struct err *err)
{
	if (p->rendered_count == RENDERED_FILES_MAX)
		return err_set(err, ERR_USER, "more than %d rendered files", RENDERED_FILES_MAX);
	if (mode & ~0777ull)
		return err_set(err, ERR_USER, "%.*s: permissions %llo are not possible", SLICE_ARG(path),
			       (unsigned long long)mode);
	/* Or it could be neither checked nor kept aside. */
	if (!(mode & 0400) && geteuid() != 0)
		return err_set(err, ERR_USER, "%.*s: with permissions %04llo its owner could not read it",
			       SLICE_ARG(path), (unsigned long long)mode);
	if (size > RENDERED_BYTES_MAX || p->rendered_bytes + size > RENDERED_BYTES_MAX)
		return err_set(err, ERR_USER, "%.*s: rendered files of more than %d MB", SLICE_ARG(path),
			       RENDERED_BYTES_MAX >> 20);
	p->rendered_bytes += size;
	if (!p->rendered)
		p->rendered = mem_array(RENDERED_FILES_MAX, sizeof(*p->rendered));
	struct rendered *file = &p->rendered[p->rendered_count++];
	*file = (struct rendered){
		.path = slice_make(arena_str(&p->arena, path), path.len),
		.mode = (uint16_t)mode,
		.size = size,
		.ownership = *ownership,
		.content = BUF_SECRET(size),
	};
	/* At once, or growing would leave copies to be wiped. */
	buf_reserve(&file->content, size);
	return 0;
}

bool render_complete(const struct preparation *p)
{
	const struct rendered *last = p->rendered_count ? &p->rendered[p->rendered_count - 1] : NULL;

	return p->rendered_count == p->rendered_expected && (!last || last->content.len == last->size);
}

int render_announce(struct preparation *p, const struct record *record, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct slice path;
	struct ownership ownership;
	uint64_t size;
	const struct rendered *last = p->rendered_count ? &p->rendered[p->rendered_count - 1] : NULL;

	if (render_complete(p))
		return err_set(err, ERR_INTERNAL, "more rendered files came than were announced");
	if (last && last->content.len != last->size)
		return err_set(err, ERR_INTERNAL, "%s did not come whole", last->path.ptr);
	if (record_need(record, "path", &path, err) || check_path(path, err) ||
	    record_need_u64(record, "size", &size, err))
		return -1;
	if (ownership_find(record_get_str(&arena, record, "owner"), record_get_str(&arena, record, "group"),
			   &ownership, err))
		return err_wrap(err, "%.*s", SLICE_ARG(path));
	return add(p, path, record_get_u64(record, "mode", RENDERED_MODE), size, &ownership, err);
}

int render_content(struct preparation *p, struct slice bytes, struct err *err)
{
	struct rendered *file = p->rendered_count ? &p->rendered[p->rendered_count - 1] : NULL;

	if (!file || p->has_manifest || bytes.len > file->size - file->content.len)
		return err_set(err, ERR_INTERNAL, "more of a rendered file came than was announced");
	buf_put_slice(&file->content, bytes);
	return session_breathe(p->session, "receive", p->rendered_count, p->rendered_expected, 0, 0, err);
}

void render_free(struct preparation *p)
{
	for (size_t i = 0; i < p->rendered_count; i++)
		buf_free(&p->rendered[i].content);
	p->rendered_count = 0;
	mem_free_ptr(&p->rendered);
	explicit_bzero(p->config_key, sizeof(p->config_key));
}

/* --- those of a kept activation ------------------------------------------------------ */

static void kept_name(const char *activation, const struct digest *digest, char out[PLACE_NAME_MAX + 80])
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(digest, hex);
	snprintf(out, PLACE_NAME_MAX + 80, "rendered/%s/%s", activation, hex);
}

static int take_kept(struct preparation *p, const struct own_entry *entry, struct err *err)
{
	char path[PLACE_NAME_MAX + 80];
	struct ownership ownership = {(int64_t)(entry->dev >> 32), (int64_t)(entry->dev & UINT32_MAX)};
	struct digest digest;
	int private_fd = p->session->place.private_fd;

	if (check_path(entry->entry.path, err) ||
	    add(p, entry->entry.path, entry->entry.mode, entry->entry.size, &ownership, err))
		return -1;
	struct rendered *file = &p->rendered[p->rendered_count - 1];
	kept_name(p->config_from, &entry->entry.digest, path);
	if (file_read_at(private_fd, path, &file->content, err)) {
		if (err->code == ERR_NOT_FOUND)
			return err_set(err, ERR_NOT_FOUND, "%s: .lockstep/%s is gone", file->path.ptr, path);
		return err_wrap(err, "%s", file->path.ptr);
	}
	digest_of(buf_slice(&file->content), &digest);
	if (!digest_equal(&digest, &entry->entry.digest))
		return err_set(err, ERR_NOT_FOUND, "%s: what was kept of it is damaged", file->path.ptr);
	return 0;
}

static int take_all_kept(struct preparation *p, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const struct place *place = &p->session->place;
	char path[PLACE_NAME_MAX + 16];
	struct own_manifest own;
	struct stat st;

	snprintf(path, sizeof(path), "manifests/%s", p->config_from);
	/* A rollback to an activation that is gone heals from others. */
	if (fstatat(place->private_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return p->config_from_asked ? err_set(err, ERR_NOT_FOUND, "there is no such activation") : 0;
	/* Its manifest says what it had, whether that was kept or not. */
	if (own_load(place, p->config_from, &arena, &p->manifest, &own, err))
		return -1;
	for (size_t i = 0; i < own.count; i++)
		if (own.entries[i].show == SHOW_RENDERED && take_kept(p, &own.entries[i], err))
			return -1;
	p->rendered_expected = p->rendered_count;
	return 0;
}

/* --- in whose way ---------------------------------------------------------------------- */

static int compare_paths(const void *a, const void *b)
{
	return slice_compare(((const struct rendered *)a)->path, ((const struct rendered *)b)->path);
}

const struct rendered *render_find(const struct preparation *p, struct slice path)
{
	struct rendered key = {.path = path};

	return p->rendered_count ? bsearch(&key, p->rendered, p->rendered_count, sizeof(key), compare_paths)
				 : NULL;
}

static int check_list(const struct rendered *file, const char *what, const struct slice *paths, size_t count,
		      struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (path_is_same_or_below(file->path, paths[i]) ||
		    path_is_same_or_below(paths[i], file->path))
			return err_set(err, ERR_USER, "%s is a rendered file, and %s is one of the %s",
				       file->path.ptr, paths[i].ptr, what);
	return 0;
}

static int check_release(const struct preparation *p, const struct rendered *file, struct err *err)
{
	const struct entry *there = manifest_find(&p->manifest, file->path);

	if (there && there->type == ENTRY_DIR)
		return err_set(err, ERR_USER, "%s is a rendered file, and a folder in the release",
			       file->path.ptr);
	for (size_t at = 0; at < file->path.len; at++) {
		struct slice above = slice_make(file->path.ptr, at);
		if (file->path.ptr[at] != '/')
			continue;
		const struct entry *folder = manifest_find(&p->manifest, above);
		if (folder && folder->type != ENTRY_DIR)
			return err_set(err, ERR_USER,
				       "%s is a rendered file, and %.*s is a %s in the release",
				       file->path.ptr, SLICE_ARG(above),
				       folder->type == ENTRY_LINK ? "symlink" : "file");
		if (render_find(p, above))
			return err_set(err, ERR_USER, "%s and %.*s are both rendered files", file->path.ptr,
				       SLICE_ARG(above));
	}
	return 0;
}

int render_settle(struct preparation *p, struct err *err)
{
	if (p->config_from[0] && take_all_kept(p, err)) {
		err_wrap(err, "the configuration of %s", p->config_from);
		return err_hint(err, "deploy with the configuration of now instead");
	}
	if (p->rendered_count)
		qsort(p->rendered, p->rendered_count, sizeof(*p->rendered), compare_paths);
	for (size_t i = 0; i < p->rendered_count; i++) {
		struct rendered *file = &p->rendered[i];
		if (i > 0 && slice_equal(file->path, p->rendered[i - 1].path))
			return err_set(err, ERR_USER, "%s is rendered twice", file->path.ptr);
		if (check_list(file, "shared_dirs", p->shared_dirs, p->shared_dir_count, err) ||
		    check_list(file, "shared_files", p->shared_files, p->shared_file_count, err) ||
		    check_list(file, "generated", p->generated, p->generated_count, err) ||
		    check_release(p, file, err))
			return -1;
		digest_of(buf_slice(&file->content), &file->digest);
	}
	return 0;
}

/* --- into the tree ----------------------------------------------------------------------- */

static int keep(struct preparation *p, const struct rendered *file, struct err *err)
{
	AUTO(close_fd) int fd = -1;
	char path[PLACE_NAME_MAX + 80];

	kept_name(p->name, &file->digest, path);
	fd = openat(p->session->place.private_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	/* Two files with the same content are kept once. */
	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0)
		return err_errno(err, "keeping %s", file->path.ptr);
	if (fd_write_all(fd, file->content.ptr, file->content.len, err))
		return err_wrap(err, "keeping %s", file->path.ptr);
	return 0;
}

/* Nobody may read it before it belongs to whom it should. */
static int put(struct preparation *p, const struct rendered *file, struct err *err)
{
	AUTO(close_fd) int fd = -1;
	const char *name;
	int dir_fd;

	if (fault_point("agent.render.file", err) || preparation_make_parents(p, file->path, err) ||
	    tree_parent(&p->cursor, file->path, &dir_fd, &name, err))
		return -1;
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "%s", file->path.ptr);
	if (fd_write_all(fd, file->content.ptr, file->content.len, err) ||
	    ownership_give(&file->ownership, fd, err))
		return err_wrap(err, "%s", file->path.ptr);
	return fchmod(fd, file->mode) == 0 ? 0 : err_errno(err, "%s", file->path.ptr);
}

int render_put(struct preparation *p, struct err *err)
{
	const struct place *place = &p->session->place;
	char path[PLACE_NAME_MAX + 16];

	if (render_forget(place, p->name, err))
		return -1;
	if (p->config_key[0] && config_key_save(place, p->config_key, err))
		return -1;
	if (p->rendered_count == 0)
		return 0;
	snprintf(path, sizeof(path), "rendered/%s", p->name);
	if (fault_point("agent.render.before", err) || dir_make_at(place->private_fd, path, 0700, err))
		return -1;
	for (size_t i = 0; i < p->rendered_count; i++)
		if (keep(p, &p->rendered[i], err))
			return -1;
	if (fault_point("agent.render.kept", err))
		return -1;
	for (size_t i = 0; i < p->rendered_count; i++)
		if (put(p, &p->rendered[i], err))
			return -1;
	return 0;
}

/* --- what is kept --------------------------------------------------------------------------- */

int render_forget(const struct place *place, const char *name, struct err *err)
{
	char path[PLACE_NAME_MAX + 16];

	snprintf(path, sizeof(path), "rendered/%s", name);
	return tree_remove_at(place->private_fd, path, err);
}

struct sweep {
	const struct place *place;
	const char *pending;
};

static int sweep_one(void *context, const char *name, struct err *err)
{
	const struct sweep *sweep = context;
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "releases/%s", name);
	if (strcmp(name, sweep->pending) == 0 ||
	    fstatat(sweep->place->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	snprintf(path, sizeof(path), "rendered/%s", name);
	return tree_remove_at(sweep->place->private_fd, path, err);
}

int render_sweep(const struct place *place, const char *pending, struct err *err)
{
	struct sweep sweep = {place, pending};

	return dir_each_at(place->private_fd, "rendered", sweep_one, &sweep, err);
}

/* --- the key --------------------------------------------------------------------------------- */

static bool is_key(struct slice text)
{
	uint8_t bytes[CONFIG_KEY_HEX_LEN / 2];
	bool good = text.len == CONFIG_KEY_HEX_LEN && hex_decode(text, bytes, sizeof(bytes));

	explicit_bzero(bytes, sizeof(bytes));
	return good;
}

void config_key_load(const struct place *place, char out[CONFIG_KEY_HEX_LEN + 1])
{
	AUTO(buf_free) struct buf text = BUF_SECRET(CONFIG_KEY_HEX_LEN + 16);
	struct err none = ERR_INIT;

	memset(out, 0, CONFIG_KEY_HEX_LEN + 1);
	if (place->private_fd < 0 || file_read_at(place->private_fd, "config-key", &text, &none))
		return;
	struct slice hex = slice_trim(buf_slice(&text));
	if (is_key(hex))
		memcpy(out, hex.ptr, CONFIG_KEY_HEX_LEN);
}

int config_key_save(const struct place *place, const char *hex, struct err *err)
{
	char kept[CONFIG_KEY_HEX_LEN + 1], line[CONFIG_KEY_HEX_LEN + 2];

	if (!is_key(slice_of(hex)))
		return err_set(err, ERR_USER, "the config key is not %d hex digits", CONFIG_KEY_HEX_LEN);
	config_key_load(place, kept);
	bool same = strcmp(kept, hex) == 0;
	explicit_bzero(kept, sizeof(kept));
	if (same)
		return 0;
	if (fault_point("agent.config_key.before", err))
		return -1;
	snprintf(line, sizeof(line), "%s\n", hex);
	int result = file_replace_at(place->private_fd, "config-key", slice_of(line), 0600, err);
	explicit_bzero(line, sizeof(line));
	return result;
}
