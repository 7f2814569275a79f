/* PREPARE and RESTORE: the order of effects of building an activation. See place.h
 * for what is true after a crash at each line. */
#include "agent/preparation.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What is pending is written again with more fields, and sent: it must always fit. */
enum { PENDING_LEN_MAX = 64 << 10, PENDING_FIELDS_MAX = 400, SIGNATURES_KEPT_MAX = 20000 };

void preparation_free(struct preparation **preparation)
{
	struct preparation *p = *preparation;

	if (!p)
		return;
	receive_free(p);
	render_free(p);
	obtain_close_sources(p);
	tree_cursor_close(&p->cursor);
	close_fd(&p->tree_fd);
	decompressor_free(&p->manifest_decoder);
	buf_free(&p->manifest_bytes);
	buf_free(&p->line);
	map_free(&p->wanted);
	free(p->next);
	arena_free(&p->base_arena);
	arena_free(&p->arena);
	free(p);
	*preparation = NULL;
}

/* --- the request -------------------------------------------------------------- */

int preparation_check_path(const char *key, struct slice path, struct err *err)
{
	bool good = path.len > 0 && path.len <= MANIFEST_PATH_MAX && slice_find(path, '\0') < 0 &&
		    path.ptr[0] != '/' && !slice_starts_with(path, ".lockstep");

	/* The same rules as for a path of a release: relative, clean, inside. */
	for (struct slice rest = path; rest.ptr && good;) {
		struct slice part = slice_cut(&rest, '/');
		good = part.len > 0 && !slice_is(part, ".") && !slice_is(part, "..");
	}
	return good ? 0
		    : err_set(err, ERR_USER, "%s: \"%.*s\" is no path inside a release", key, SLICE_ARG(path));
}

static int copy_paths(struct preparation *p, const struct record *request, const char *key, struct slice *out,
		      size_t max, size_t *count, struct err *err)
{
	size_t cursor = 0;
	struct slice value;

	while (record_next(request, key, &cursor, &value)) {
		if (preparation_check_path(key, value, err))
			return -1;
		if (*count == max)
			return err_set(err, ERR_USER, "more than %zu paths under %s", max, key);
		out[(*count)++] = arena_slice(&p->arena, value);
	}
	return 0;
}

/* What of the request the pending record and the journal line keep. */
static void copy_fields(struct preparation *p, const struct record *request)
{
	static const char *const keys[] = {"plan",	 "kind",	   "release",	      "config",
					   "own_config", "commit",	   "subject",	      "by",
					   "reason",	 "tree",	   "recipe",	      "build_key",
					   "platform",	 "decision_place", "decision_server", "shape"};
	struct slice value;
	size_t cursor = 0;

	record_put_str(&p->line, "deployment", p->deployment);
	record_put_u64(&p->line, "number", p->number);
	record_put_str(&p->line, "name", p->name);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		value = record_get(request, keys[i]);
		/* A fleet of one decides where it stands, also before anybody knew the place's id. */
		if (!value.len && strcmp(keys[i], "decision_place") == 0)
			value = slice_of(p->session->state.place_id);
		if (value.len)
			record_put(&p->line, keys[i], value);
	}
	while (record_next(request, "servers", &cursor, &value))
		record_put(&p->line, "servers", value);
}

/* Which config files the activation gets. */
static int read_rendered(struct preparation *p, const struct record *request, struct err *err)
{
	struct slice kept = record_get(request, "config_from"), key = record_get(request, "config_key");
	uint64_t expected = record_get_u64(request, "rendered", 0), number;

	if (expected > RENDERED_FILES_MAX)
		return err_set(err, ERR_USER, "more than %d rendered files", RENDERED_FILES_MAX);
	if (kept.len && !place_parse_name(kept, &number))
		return err_set(err, ERR_USER, "\"%.*s\" is no name of an activation", SLICE_ARG(kept));
	if (key.len > CONFIG_KEY_HEX_LEN)
		return err_set(err, ERR_USER, "the config key is not %d hex digits", CONFIG_KEY_HEX_LEN);
	p->rendered_expected = expected;
	p->config_from_asked = kept.len > 0;
	if (!kept.len && place_parse_name(slice_of(p->from), &number))
		kept = slice_of(p->from);
	if (!record_get(request, "rendered").ptr && kept.len)
		memcpy(p->config_from, kept.ptr, kept.len);
	if (key.len)
		memcpy(p->config_key, key.ptr, key.len);
	return 0;
}

static int check_expectation(struct session *session, const struct record *request, struct live *live,
			     struct err *err)
{
	struct slice expect = record_get(request, "expect");

	if (place_live(&session->place, live, err))
		return -1;
	if (live->blocked) {
		err_set(err, ERR_CONFLICT, "%s/current is a folder or file, not a symlink",
			session->place.path);
		return err_hint(
			err,
			"move it away (or make it the first release by hand): lockstep switches releases by "
			"renaming a symlink over `current`");
	}
	if (!slice_is(expect, live->name)) {
		err_set(err, ERR_CONFLICT, "%s shows %s, the plan expected %.*s", session->place.path,
			live->name[0] ? live->name : "nothing of ours",
			SLICE_ARG(expect.len ? expect : SLICE("nothing")));
		return err_hint(err, "somebody deployed or changed `current` meanwhile; plan again");
	}
	return 0;
}

/* Reserves number and name, and says durably what is about to happen. */
static int begin_pending(struct preparation *p, const struct record *request, const struct live *live,
			 struct err *err)
{
	struct session *session = p->session;
	struct state *state = &session->state;
	AUTO(buf_free) struct buf pending = BUF_INIT(PENDING_LEN_MAX);

	if (state_has_pending(state)) {
		err_set(err, ERR_CONFLICT, "deployment %s is not finished here",
			state_pending(state, "deployment"));
		return err_hint(err, "the next `lockstep deploy` finishes it or goes back first");
	}
	p->number = state->next;
	place_make_name(p->number, p->release_hex, p->name);
	copy_fields(p, request);
	record_begin(&pending, "pending");
	buf_put_slice(&pending, buf_slice(&p->line));
	record_put_i64(&pending, "at", clock_wall_ms());
	record_put_str(&pending, "previous", live->target);
	record_put_str(&pending, "phase", "begun");
	if (buf_check(&pending, "the pending deployment", err) ||
	    state_set_pending(state, buf_slice(&pending), err))
		return -1;
	if (state->pending.field_count > PENDING_FIELDS_MAX) {
		state_clear_pending(state);
		return err_set(err, ERR_USER, "a deployment to more than %d servers", PENDING_FIELDS_MAX);
	}
	state->next++;
	if (state_save(&session->place, state, err) == 0)
		return 0;
	/* Nothing has begun; should the disk know better, the next conversation will say so. */
	state_clear_pending(state);
	return -1;
}

static int open_tree(struct preparation *p, struct err *err)
{
	char path[PLACE_NAME_MAX + 16];

	snprintf(path, sizeof(path), "prepare/%s", p->name);
	if (tree_remove_at(p->session->place.private_fd, path, err) ||
	    dir_make_at(p->session->place.private_fd, path, 0755, err) ||
	    dir_open_at(p->session->place.private_fd, path, &p->tree_fd, err))
		return -1;
	tree_cursor_init(&p->cursor, p->tree_fd);
	return 0;
}

static int begin(struct session *session, const struct record *request, bool restoring, struct err *err)
{
	struct slice deployment, release;
	struct live live;

	if (session_check_lease(session, request, err) ||
	    record_need(request, "deployment", &deployment, err) ||
	    record_need(request, "release", &release, err) || check_expectation(session, request, &live, err))
		return -1;
	struct preparation *p = mem_alloc(sizeof(*p));
	*p = (struct preparation){
		.session = session,
		.line = BUF_INIT(RECORD_LEN_MAX),
		.manifest_bytes = BUF_INIT(MANIFEST_BYTES_MAX),
		.tree_fd = -1,
		.cursor = {.dir_fd = -1},
		.commit_time = record_get_i64(request, "commit_time", 0),
		.copy = slice_is(record_get(request, "link"), "copy"),
		.user = geteuid(),
		.restoring = restoring,
		.trust_signatures = slice_is(record_get(request, "hash"), "signature"),
	};
	preparation_free(&session->preparation);
	session->preparation = p;
	if (deployment.len == 0 || deployment.len >= sizeof(p->deployment) ||
	    slice_find(deployment, '/') >= 0 || deployment.ptr[0] == '.')
		return err_set(err, ERR_USER, "\"%.*s\" is no name of a deployment", SLICE_ARG(deployment));
	memcpy(p->deployment, deployment.ptr, deployment.len);
	if (!digest_from_hex(release, &p->release))
		return err_set(err, ERR_USER, "\"%.*s\" is no release", SLICE_ARG(release));
	digest_to_hex(&p->release, p->release_hex);
	struct slice from = record_get(request, "from");
	if (from.len < sizeof(p->from) && from.len)
		memcpy(p->from, from.ptr, from.len);
	if (read_rendered(p, request, err) ||
	    copy_paths(p, request, "shared_dir", p->shared_dirs, ARRAY_LEN(p->shared_dirs),
		       &p->shared_dir_count, err) ||
	    copy_paths(p, request, "shared_file", p->shared_files, ARRAY_LEN(p->shared_files),
		       &p->shared_file_count, err) ||
	    copy_paths(p, request, "generated", p->generated, ARRAY_LEN(p->generated), &p->generated_count,
		       err))
		return -1;
	if (begin_pending(p, request, &live, err) || fault_point("agent.prepare.begun", err))
		return -1;
	return open_tree(p, err);
}

/* --- the tree ------------------------------------------------------------------ */

static int check_space(struct preparation *p, struct err *err)
{
	struct statvfs fs;

	if (fstatvfs(p->tree_fd, &fs) != 0)
		return err_errno(err, "%s", p->session->place.path);
	uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (p->wanted_bytes > free_bytes) {
		err_set(err, ERR_INTERNAL, "%s: %" PRIu64 " MB are free, %" PRIu64 " MB are needed",
			p->session->place.path, free_bytes >> 20, (p->wanted_bytes >> 20) + 1);
		return err_hint(err, "make room on the server, or keep fewer releases (`keep`)");
	}
	/* File systems without a fixed number of inodes say 0. */
	if (fs.f_files && p->manifest.count > (uint64_t)fs.f_favail)
		return err_set(err, ERR_INTERNAL, "%s: %ju inodes are free, %zu are needed",
			       p->session->place.path, (uintmax_t)fs.f_favail, p->manifest.count);
	return 0;
}

static int make_dir(struct preparation *p, const struct entry *entry, struct err *err)
{
	const char *name;
	int dir_fd;

	if (tree_parent(&p->cursor, entry->path, &dir_fd, &name, err))
		return -1;
	return mkdirat(dir_fd, name, 0755) == 0 || errno == EEXIST ? 0
								   : err_errno(err, "%s", entry->path.ptr);
}

static void want(struct preparation *p, size_t index)
{
	const struct entry *entry = &p->manifest.entries[index];
	struct slice key = slice_make(entry->digest.bytes, DIGEST_LEN);
	uintptr_t first = (uintptr_t)map_get(&p->wanted, key);

	if (!first) {
		map_put(&p->wanted, key, (void *)(uintptr_t)(index + 1));
		p->wanted_bytes += entry->size;
		return;
	}
	p->next[index] = p->next[first - 1];
	p->next[first - 1] = (uint32_t)index + 1;
}

static int make_dirs(struct preparation *p, struct err *err)
{
	for (size_t i = 0; i < p->manifest.count; i++) {
		const struct entry *entry = &p->manifest.entries[i];
		if (entry->type != ENTRY_DIR || preparation_is_covered(p, entry->path))
			continue;
		if (session_breathe(p->session, "link", 0, p->manifest.count, 0, 0, err) || make_dir(p, entry, err))
			return -1;
	}
	return 0;
}

/* Folders, and every file that is here already; what is not goes into `wanted`. */
static int fill_tree(struct preparation *p, struct err *err)
{
	AUTO(ahead_free) struct ahead ahead = { .p = p };

	if (obtain_open_sources(p, err) || make_dirs(p, err))
		return -1;
	p->next = mem_array(p->manifest.count, sizeof(*p->next));
	if (p->manifest.count <= SIGNATURES_KEPT_MAX)
		p->taken = ARENA_NEW_ARRAY(&p->arena, p->manifest.count, struct signature);
	for (size_t i = 0; i < p->manifest.count; i++) {
		if (p->manifest.entries[i].type == ENTRY_DIR)
			continue;
		p->files++;
		ahead_begin(&ahead, i);
		if (session_breathe(p->session, "link", i, p->manifest.count, 0, 0, err) || ahead_await(&ahead, i, err))
			return -1;
		bool got = ahead_took(&ahead, i);
		if (!got && obtain_entry(p, i, &got, err))
			return -1;
		if (!got)
			want(p, i);
	}
	return check_space(p, err);
}

/* Of the manifest's text only the paths are needed from now on: of a large release it
 * would take as much memory as everything else. */
static int put_manifest_away(struct preparation *p, struct err *err)
{
	size_t len = 0;

	if (release_manifest_save(&p->session->place, &p->manifest, err))
		return -1;
	for (size_t i = 0; i < p->manifest.count; i++)
		len += p->manifest.entries[i].path.len + 1;
	char *paths = arena_alloc(&p->arena, len);
	for (size_t i = 0; i < p->manifest.count; i++) {
		struct slice *path = &p->manifest.entries[i].path;
		memcpy(paths, path->ptr, path->len);
		path->ptr = paths;
		paths += path->len + 1;
	}
	p->manifest.bytes = slice_make(NULL, 0);
	buf_free(&p->manifest_bytes);
	arena_free(&p->base_arena);
	return 0;
}

static int begin_tree(struct preparation *p, struct err *err)
{
	if (render_settle(p, err) || fault_point("agent.prepare.before_tree", err) || put_manifest_away(p, err) ||
	    fill_tree(p, err))
		return -1;
	p->has_manifest = true;
	return 0;
}

static int collect(void *context, struct slice bytes, struct err *err)
{
	struct buf *out = context;

	buf_put_slice(out, bytes);
	return buf_check(out, "the manifest", err);
}

/* A failure during an offer waits for OFFERED: until then the controller is still
 * sending, and what it sends is only read away. */
static int refuse_offer(struct session *session, int result, const struct err *err)
{
	if (result == 0)
		return 0;
	session->offer_failed = true;
	session->offer_failure = *err;
	preparation_free(&session->preparation);
	return session->lost ? -1 : 0;
}

static int manifest_data(struct preparation *p, struct slice bytes, struct err *err)
{
	bool ended = false;

	if (p->has_manifest)
		return err_set(err, ERR_INTERNAL, "manifest data behind the manifest");
	if (!render_complete(p))
		return err_set(err, ERR_INTERNAL, "the manifest came before all rendered files");
	if (!p->manifest_decoder)
		p->manifest_decoder = decompressor_new(p->base);
	if (decompressor_feed(p->manifest_decoder, bytes, collect, &p->manifest_bytes, &ended, err))
		return err_wrap(err, "the manifest");
	if (!ended)
		return 0;
	decompressor_free(&p->manifest_decoder);
	arena_free(&p->base_arena);
	p->base = slice_make(NULL, 0);
	if (manifest_parse(&p->arena, buf_slice(&p->manifest_bytes), &p->manifest, err))
		return -1;
	if (!digest_equal(&p->manifest.digest, &p->release))
		return err_set(err, ERR_INTERNAL, "the manifest that came is not that of the release");
	return begin_tree(p, err);
}

int prepare_manifest_data(struct session *session, struct slice bytes, struct err *err)
{
	if (session->offer_failed)
		return 0;
	return refuse_offer(session, manifest_data(session->preparation, bytes, err), err);
}

static int render_message(struct preparation *p, const struct record *record, struct slice bytes,
			  struct err *err)
{
	if (record ? render_announce(p, record, err) : render_content(p, bytes, err))
		return -1;
	/* A manifest that is here already has waited for them; RESTORE waits for OFFERED. */
	return p->manifest_known && !p->restoring && render_complete(p) ? begin_tree(p, err) : 0;
}

int prepare_render(struct session *session, const struct record *record, struct err *err)
{
	if (session->offer_failed)
		return 0;
	return refuse_offer(session, render_message(session->preparation, record, (struct slice){0}, err),
			    err);
}

int prepare_render_data(struct session *session, struct slice bytes, struct err *err)
{
	if (session->offer_failed)
		return 0;
	return refuse_offer(session, render_message(session->preparation, NULL, bytes, err), err);
}

int prepare_object_data(struct session *session, struct slice bytes, struct err *err)
{
	struct preparation *p = session->preparation;

	if (session->offer_failed)
		return 0;
	if (!p->has_manifest)
		return refuse_offer(session, err_set(err, ERR_INTERNAL, "objects before the manifest"), err);
	return refuse_offer(session, receive_object_data(p, bytes, err), err);
}

/* --- the end --------------------------------------------------------------------- */

static void shared_target(struct slice path, struct buf *out)
{
	for (size_t i = 0; i < path.len; i++)
		if (path.ptr[i] == '/')
			buf_puts(out, "../");
	buf_puts(out, "../../shared/");
	buf_put_slice(out, path);
}

int preparation_make_parents(struct preparation *p, struct slice path, struct err *err)
{
	for (size_t at = 0; at < path.len; at++) {
		if (path.ptr[at] != '/')
			continue;
		struct entry folder = {.path = slice_of(arena_str(&p->arena, slice_make(path.ptr, at)))};
		if (make_dir(p, &folder, err))
			return -1;
	}
	return 0;
}

/* The folder of shared/ that `path` lies in, made where it is not there. */
static int open_shared_parent(struct preparation *p, struct slice path, int *fd_out, const char **name_out,
			      struct err *err)
{
	AUTO(close_fd) int at = -1;
	const struct place *place = &p->session->place;
	struct slice rest = path;

	if (open_beneath(place->dir_fd, "shared", O_RDONLY | O_DIRECTORY, 0, false, &at, err))
		return err_wrap(err, "%s", place->path);
	for (;;) {
		const char *name = arena_str(&p->arena, slice_cut(&rest, '/'));
		int next;
		if (!rest.ptr) {
			*fd_out = steal_fd(&at);
			*name_out = name;
			return 0;
		}
		if (mkdirat(at, name, 0755) != 0 && errno != EEXIST)
			return err_errno(err, "shared/%s", path.ptr);
		if (open_beneath(at, name, O_RDONLY | O_DIRECTORY, 0, true, &next, err))
			return err_wrap(err, "shared/%s", path.ptr);
		close_fd(&at);
		at = next;
	}
}

/* One entry of the release becomes `name` in a folder of shared/. */
static int seed_entry(struct preparation *p, const struct entry *entry, int parent, const char *name,
		      struct err *err)
{
	AUTO(close_fd) int from = -1;
	AUTO(close_fd) int to = -1;
	char target[MANIFEST_LINK_MAX + 1] = {0}, piece[64 << 10];
	size_t got;

	if (fault_point("agent.seed.entry", err))
		return -1;
	if (entry->type == ENTRY_DIR)
		return mkdirat(parent, name, 0755) == 0 ? 0 : err_errno(err, "shared/%s", entry->path.ptr);
	if (obtain_open_put(p, entry, &from, err))
		return -1;
	if (entry->type == ENTRY_LINK) {
		if (fd_read_full(from, target, MANIFEST_LINK_MAX, &got, err))
			return -1;
		return symlinkat(target, parent, name) == 0 ? 0
							    : err_errno(err, "shared/%s", entry->path.ptr);
	}
	to = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, entry->mode);
	if (to < 0)
		return err_errno(err, "shared/%s", entry->path.ptr);
	do {
		if (fd_read_full(from, piece, sizeof(piece), &got, err) || fd_write_all(to, piece, got, err))
			return err_wrap(err, "shared/%s", entry->path.ptr);
	} while (got == sizeof(piece));
	return 0;
}

static bool is_below(struct slice path, struct slice top)
{
	return path.len > top.len && memcmp(path.ptr, top.ptr, top.len) == 0 && path.ptr[top.len] == '/';
}

/* Everything the release has below `path`, in shared/ under a name of ours. */
static int seed_folder(struct preparation *p, struct slice path, int parent, const char *fresh,
		       struct err *err)
{
	AUTO(close_fd) int root = -1;
	AUTO(tree_cursor_close) struct tree_cursor cursor;
	const char *name;
	int dir_fd;

	tree_cursor_init(&cursor, -1);
	if (mkdirat(parent, fresh, 0755) != 0)
		return err_errno(err, "shared/%s", path.ptr);
	if (open_beneath(parent, fresh, O_RDONLY | O_DIRECTORY, 0, false, &root, err))
		return -1;
	cursor.root_fd = root;
	for (size_t i = 0; i < p->manifest.count; i++) {
		const struct entry *entry = &p->manifest.entries[i];
		if (!is_below(entry->path, path))
			continue;
		if (tree_parent(&cursor, slice_skip(entry->path, path.len + 1), &dir_fd, &name, err) ||
		    seed_entry(p, entry, dir_fd, name, err))
			return -1;
	}
	return 0;
}

/* What is shared begins with what the release has there, and later releases leave it
 * alone. It gets its name last: after a crash it is there whole or not at all. */
static int seed_shared(struct preparation *p, struct slice path, const struct entry *file, struct err *err)
{
	AUTO(close_fd) int parent = -1;
	const char *name = "";

	if (open_shared_parent(p, path, &parent, &name, err))
		return -1;
	const char *fresh = arena_printf(&p->arena, ".%.200s.lockstep-new", name);
	if (tree_remove_at(parent, fresh, err) ||
	    (file ? seed_entry(p, file, parent, fresh, err) : seed_folder(p, path, parent, fresh, err)))
		return -1;
	return renameat(parent, fresh, parent, name) == 0 ? 0 : err_errno(err, "shared/%s", path.ptr);
}

static int prepare_shared_dir(struct preparation *p, struct slice path, struct err *err)
{
	char shared[MANIFEST_PATH_MAX + 16];
	struct stat st;

	snprintf(shared, sizeof(shared), "shared/%s", path.ptr);
	if (fstatat(p->session->place.dir_fd, shared, &st, 0) == 0)
		return S_ISDIR(st.st_mode)
			       ? 0
			       : err_set(err, ERR_CONFLICT, "%s/%s is in the way: it should be a folder",
					 p->session->place.path, shared);
	return seed_shared(p, path, NULL, err);
}

static int prepare_shared_file(struct preparation *p, struct slice path, struct err *err)
{
	char shared[MANIFEST_PATH_MAX + 16];
	struct stat st;

	snprintf(shared, sizeof(shared), "shared/%s", path.ptr);
	if (fstatat(p->session->place.dir_fd, shared, &st, 0) == 0)
		return 0;
	const struct entry *entry = manifest_find(&p->manifest, path);
	if (entry && entry->type == ENTRY_FILE)
		return seed_shared(p, path, entry, err);
	err_set(err, ERR_NOT_FOUND, "%s/%s does not exist, and neither does the release have that file",
		p->session->place.path, shared);
	return err_hint(err,
			"put the file there once (it outlives releases), or take it out of shared_files");
}

static int link_shared(struct preparation *p, struct slice path, struct err *err)
{
	AUTO(buf_free) struct buf target = BUF_INIT(MANIFEST_PATH_MAX * 4);
	const char *name;
	int dir_fd;

	shared_target(path, &target);
	if (preparation_make_parents(p, path, err) || tree_parent(&p->cursor, path, &dir_fd, &name, err))
		return -1;
	return symlinkat(buf_str(&target), dir_fd, name) == 0 ? 0 : err_errno(err, "%s", path.ptr);
}

static int put_shared(struct preparation *p, struct err *err)
{
	for (size_t i = 0; i < p->shared_dir_count; i++)
		if (prepare_shared_dir(p, p->shared_dirs[i], err) || link_shared(p, p->shared_dirs[i], err))
			return -1;
	for (size_t i = 0; i < p->shared_file_count; i++)
		if (prepare_shared_file(p, p->shared_files[i], err) ||
		    link_shared(p, p->shared_files[i], err))
			return -1;
	return 0;
}

static int compare_own(const void *a, const void *b)
{
	return slice_compare(((const struct own_entry *)a)->entry.path,
			     ((const struct own_entry *)b)->entry.path);
}

/* Folders that only exist because a shared, generated or rendered path lies in them. */
static void add_parent_entries(struct preparation *p, struct own_manifest *own, struct slice path)
{
	for (size_t at = 0; at < path.len; at++) {
		struct slice parent = slice_make(path.ptr, at);
		bool known = path.ptr[at] != '/' || manifest_find(&p->manifest, parent) != NULL;
		for (size_t i = p->manifest.count; i < own->count && !known; i++)
			known = slice_equal(own->entries[i].entry.path, parent);
		if (!known)
			own->entries[own->count++] = (struct own_entry){
				.show = SHOW_SHARED,
				.entry = {.type = ENTRY_DIR,
					  .mode = 0755,
					  .path = arena_slice(&p->arena, parent)},
			};
	}
}

/* Our link into shared/ shows at `path`, in place of what the release has there. */
static void add_shared_entry(struct preparation *p, struct own_manifest *own, struct slice path)
{
	AUTO(buf_free) struct buf target = BUF_INIT(MANIFEST_PATH_MAX * 4);
	const struct entry *there = manifest_find(&p->manifest, path);

	add_parent_entries(p, own, path);
	shared_target(path, &target);
	struct own_entry *entry =
		there ? &own->entries[there - p->manifest.entries] : &own->entries[own->count++];
	*entry = (struct own_entry){
		.show = SHOW_SHARED,
		.entry = {.type = ENTRY_LINK, .mode = 0777, .size = target.len, .path = path},
	};
	digest_of(buf_slice(&target), &entry->entry.digest);
}

/* A config file shows at its path, in place of what the release has there. */
static int add_rendered_entry(struct preparation *p, struct own_manifest *own, const struct rendered *file,
			      struct err *err)
{
	const struct entry *there = manifest_find(&p->manifest, file->path);
	const char *name;
	struct stat st;
	int dir_fd;

	if (!there)
		add_parent_entries(p, own, file->path);
	if (tree_parent(&p->cursor, file->path, &dir_fd, &name, err))
		return -1;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(err, "%s", file->path.ptr);
	struct own_entry *entry =
		there ? &own->entries[there - p->manifest.entries] : &own->entries[own->count++];
	*entry = (struct own_entry){
		.show = SHOW_RENDERED,
		.entry = {.type = ENTRY_FILE,
			  .mode = file->mode,
			  .size = file->size,
			  .digest = file->digest,
			  .path = file->path},
	};
	signature_take(entry, &st);
	return 0;
}

/* An entry of its own, and one for each folder above. */
static size_t entries_for(struct slice path)
{
	size_t count = 1;

	for (size_t i = 0; i < path.len; i++)
		count += path.ptr[i] == '/';
	return count;
}

/* What was looked at behind its link need not be looked at again. A file that was linked
 * twice has a newer ctime by now, which costs a hash one day, never a wrong verdict. */
static bool recall_signature(const struct preparation *p, size_t index, struct own_entry *entry)
{
	const struct signature *taken = p->taken ? &p->taken[index] : NULL;

	if (!taken || !taken->dev)
		return false;
	entry->dev = taken->dev;
	entry->ino = taken->ino;
	entry->st_mode = entry->entry.mode;
	entry->mtime_ns = taken->mtime_ns;
	entry->ctime_ns = taken->ctime_ns;
	return true;
}

/* Every file as it stands now: the signatures the next deployment relies on. */
static int take_signatures(struct preparation *p, struct own_manifest *own, struct err *err)
{
	size_t extra = 0;

	for (size_t i = 0; i < p->shared_dir_count; i++)
		extra += entries_for(p->shared_dirs[i]);
	for (size_t i = 0; i < p->shared_file_count; i++)
		extra += entries_for(p->shared_files[i]);
	for (size_t i = 0; i < p->generated_count; i++)
		extra += entries_for(p->generated[i]);
	for (size_t i = 0; i < p->rendered_count; i++)
		extra += entries_for(p->rendered[i].path);
	*own = (struct own_manifest){.release = p->release};
	own->entries = ARENA_NEW_ARRAY(&p->arena, p->manifest.count + extra, struct own_entry);
	for (size_t i = 0; i < p->manifest.count; i++) {
		struct own_entry *entry = &own->entries[own->count++];
		const char *name;
		struct stat st;
		int dir_fd;
		*entry = (struct own_entry){.show = SHOW_TREE, .entry = p->manifest.entries[i]};
		if (preparation_is_covered(p, entry->entry.path)) {
			entry->show = SHOW_COVERED;
			continue;
		}
		if (preparation_is_generated(p, entry->entry.path))
			entry->show = SHOW_GENERATED;
		if (recall_signature(p, i, entry))
			continue;
		if (tree_parent(&p->cursor, entry->entry.path, &dir_fd, &name, err))
			return -1;
		if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return err_errno(err, "%s", entry->entry.path.ptr);
		signature_take(entry, &st);
	}
	for (size_t i = 0; i < p->shared_dir_count; i++)
		add_shared_entry(p, own, p->shared_dirs[i]);
	for (size_t i = 0; i < p->shared_file_count; i++)
		add_shared_entry(p, own, p->shared_files[i]);
	for (size_t i = 0; i < p->rendered_count; i++)
		if (add_rendered_entry(p, own, &p->rendered[i], err))
			return -1;
	for (size_t i = 0; i < p->generated_count; i++) {
		if (manifest_find(&p->manifest, p->generated[i]))
			continue;
		add_parent_entries(p, own, p->generated[i]);
		own->entries[own->count++] = (struct own_entry){
			.show = SHOW_GENERATED,
			.entry = {.type = ENTRY_DIR, .mode = 0755, .path = p->generated[i]},
		};
	}
	qsort(own->entries, own->count, sizeof(*own->entries), compare_own);
	return 0;
}

/* Lines 3 to 5 of the order of durability. */
static int settle_activation(struct preparation *p, struct err *err)
{
	struct session *session = p->session;
	struct place *place = &session->place;
	AUTO(buf_free) struct buf line = BUF_INIT(RECORD_LEN_MAX);
	AUTO(close_fd) int releases = -1;
	AUTO(close_fd) int prepare = -1;
	struct own_manifest own;

	/* All content is in place: what it came from is not needed any more. */
	obtain_close_sources(p);
	map_free(&p->wanted);
	mem_free_ptr(&p->next);
	if (put_shared(p, err) || render_put(p, err) || take_signatures(p, &own, err) ||
	    own_save(place, p->name, &own, err))
		return -1;
	tree_cursor_close(&p->cursor);
	if (fault_point("agent.prepare.before_sync", err) || receive_end_sync(p, err) ||
	    session_sync_fs(session, p->tree_fd, err) ||
	    fault_point("agent.prepare.before_rename", err))
		return -1;
	if (place_open_releases(place, &releases, err) ||
	    dir_open_at(place->private_fd, "prepare", &prepare, err))
		return -1;
	if (renameat(prepare, p->name, releases, p->name) != 0)
		return err_errno(err, "%s/releases/%s", place->path, p->name);
	if (dir_sync(releases, err) || dir_sync(prepare, err) ||
	    fault_point("agent.prepare.after_rename", err))
		return -1;
	record_begin(&line, "prepared");
	record_put_i64(&line, "at", clock_wall_ms());
	buf_put_slice(&line, buf_slice(&p->line));
	if (journal_append(place, &line, err) || state_set_phase(&session->state, "prepared", err) ||
	    state_save(place, &session->state, err))
		return -1;
	fault_mark("agent.prepare.done");
	return 0;
}

static int send_needs(struct preparation *p, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(RECORD_LEN_MAX);
	size_t in_message = 0;

	for (size_t i = 0; i < p->wanted.entries_used; i++) {
		char hex[DIGEST_HEX_LEN + 1];
		if (!p->wanted.entries[i].key.ptr)
			continue;
		if (in_message == 0) {
			buf_clear(&text);
			record_begin(&text, "need");
		}
		hex_encode(p->wanted.entries[i].key.ptr, DIGEST_LEN, hex);
		record_put_str(&text, "digest", hex);
		if (++in_message == NEED_MAX) {
			if (session_send_record(p->session, MSG_NEED, &text, err))
				return -1;
			in_message = 0;
		}
	}
	if (in_message && session_send_record(p->session, MSG_NEED, &text, err))
		return -1;
	buf_clear(&text);
	record_begin(&text, "lacking");
	record_put_u64(&text, "count", p->wanted.count);
	record_put_u64(&text, "bytes", p->wanted_bytes);
	return session_send_record(p->session, MSG_LACKING, &text, err);
}

static int send_prepared(struct preparation *p, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(RECORD_LEN_MAX);

	record_begin(&text, "prepared");
	record_put_str(&text, "name", p->name);
	record_put_u64(&text, "number", p->number);
	record_put_u64(&text, "files", p->files);
	record_put_u64(&text, "linked", p->linked);
	record_put_u64(&text, "copied", p->copied);
	record_put_u64(&text, "received", p->received);
	record_put_u64(&text, "received_bytes", p->received_bytes);
	record_put_u64(&text, "healed", p->healed);
	record_put_u64(&text, "edits", p->edits);
	record_put_u64(&text, "rendered", p->rendered_count);
	return session_send_record(p->session, MSG_PREPARED, &text, err);
}

/* Everything offered has come: ask for the rest, or finish. */
static int conclude(struct preparation *p, struct err *err)
{
	receive_end_offer(p);
	if (!render_complete(p))
		return err_set(err, ERR_INTERNAL, "the rendered files did not come whole");
	if (p->restoring && !p->has_manifest && begin_tree(p, err))
		return -1;
	if (!p->has_manifest)
		return err_set(err, ERR_INTERNAL, "the manifest did not come whole");
	if (p->wanted.count == 0) {
		if (settle_activation(p, err))
			return -1;
		return send_prepared(p, err);
	}
	if (++p->rounds > OFFER_ROUNDS_MAX)
		return err_set(err, ERR_INTERNAL, "%zu files did not arrive intact in %d offers",
			       p->wanted.count, OFFER_ROUNDS_MAX);
	return send_needs(p, err);
}

/* The preparation lives on only while content is lacking. */
static int end_if_settled(struct session *session, int result)
{
	if (result || session->preparation->wanted.count == 0)
		preparation_free(&session->preparation);
	return result;
}

int prepare_offered(struct session *session, struct err *err)
{
	if (session->offer_failed) {
		*err = session->offer_failure;
		session->offer_failed = false;
		return -1;
	}
	return end_if_settled(session, conclude(session->preparation, err));
}

/* The place has it already. */
static int load_manifest(struct preparation *p, struct err *err)
{
	struct slice bytes;

	if (release_manifest_read(&p->session->place, p->release_hex, &p->base_arena, &bytes, err))
		return -1;
	return manifest_parse(&p->arena, bytes, &p->manifest, err) ? err_wrap(err, "release %.12s", p->release_hex) : 0;
}

/* What the manifest will be decoded against. */
static int expect_manifest(struct preparation *p, const struct record *request, struct err *err)
{
	struct place *place = &p->session->place;
	struct slice base = record_get(request, "base");
	char hex[DIGEST_HEX_LEN + 1];

	/* No bytes to come: the place has this manifest. */
	if (record_get_u64(request, "manifest_bytes", 0) == 0) {
		if (load_manifest(p, err))
			return -1;
		p->manifest_known = true;
		return render_complete(p) ? begin_tree(p, err) : 0;
	}
	if (base.len == 0)
		return 0;
	snprintf(hex, sizeof(hex), "%.*s", SLICE_ARG(base));
	if (release_manifest_read(place, hex, &p->base_arena, &p->base, err))
		return -1;
	if (p->base.len > COMPRESS_PREFIX_MAX)
		return err_set(err, ERR_INTERNAL, "the base manifest is too long to be a prefix");
	return 0;
}

int handle_prepare(struct session *session, const struct record *request, struct err *err)
{
	int result = begin(session, request, false, err);

	session->offer_failed = false;
	if (result == 0)
		result = expect_manifest(session->preparation, request, err);
	return refuse_offer(session, result, err);
}

int handle_restore(struct session *session, const struct record *request, struct err *err)
{
	int result = begin(session, request, true, err);

	session->offer_failed = false;
	if (result == 0)
		result = load_manifest(session->preparation, err);
	/* The rest waits for OFFERED: rendered files may come before. */
	return refuse_offer(session, result, err);
}
