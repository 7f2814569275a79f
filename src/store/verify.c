/* Finding damage: every byte of every object is read. Nothing is mended here. */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One object to look at. */
struct check {
	struct digest digest;
	uint64_t size; /* UINT64_MAX: not known */
	bool compressed;
	bool either; /* whichever form is there */
	bool counted;
	uint64_t bytes;
	char *why; /* NULL: whole */
};

struct verify {
	struct store *store;
	store_damage *damage;
	void *context;
	struct store_verify_result *result;
	struct check *checks;
	size_t count, cap;
	struct digest_set known; /* objects that some manifest was asked for already */
	const char *folder;	 /* the two digits under way */
};

static void report(struct verify *verify, const char *kind, const char *name, const char *why)
{
	verify->result->damaged++;
	if (verify->damage)
		verify->damage(verify->context, kind, name, why);
}

static void add_check(struct verify *verify, struct check check)
{
	if (verify->count == verify->cap) {
		verify->cap = MAX(verify->cap * 2, (size_t)256);
		verify->checks = mem_grow(verify->checks, verify->cap, sizeof(*verify->checks));
	}
	verify->checks[verify->count++] = check;
}

static int count_bytes(void *context, struct slice bytes, struct err *err)
{
	(void)err;
	*(uint64_t *)context += bytes.len;
	return 0;
}

static int open_check(struct store *store, struct check *check, int *fd_out, struct err *err)
{
	char path[OBJECT_PATH_LEN];

	if (check->either)
		return object_file_open(store, &check->digest, fd_out, &check->compressed, err);
	object_path(&check->digest, check->compressed, path);
	*fd_out = openat(store->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return *fd_out >= 0 ? 0 : err_errno(err, "%s", path);
}

/* Never fails: what is wrong with an object is a finding, and the others follow. */
static int run_check(void *context, int worker, size_t index, struct err *ignored)
{
	struct verify *verify = context;
	struct check *check = &verify->checks[index];
	struct err err = ERR_INIT;
	AUTO(close_fd) int fd = -1;

	(void)worker;
	(void)ignored;
	if (open_check(verify->store, check, &fd, &err) ||
	    object_file_read(fd, check->compressed, READ_STRICTLY, &check->digest, 0, count_bytes, &check->bytes, &err))
		check->why = mem_strdup(err.text);
	else if (check->size != UINT64_MAX && check->size != check->bytes)
		check->why = mem_strdup("the manifest gives another size");
	return 0;
}

static int run_checks(struct verify *verify, struct err *err)
{
	char hex[DIGEST_HEX_LEN + 1];
	int result = pool_run(verify->count, run_check, verify, err);

	/* In the order of the names, whichever thread was first. */
	for (size_t i = 0; i < verify->count; i++) {
		struct check *check = &verify->checks[i];
		verify->result->objects++;
		verify->result->bytes += check->bytes;
		digest_to_hex(&check->digest, hex);
		if (check->why)
			report(verify, "object", hex, check->why);
		free(check->why);
	}
	return result;
}

static int visit_object(void *context, const char *name, struct err *err)
{
	struct verify *verify = context;
	struct check check = {.size = UINT64_MAX};

	(void)err;
	if (object_name_parse(verify->folder, name, &check.digest, &check.compressed))
		add_check(verify, check);
	else
		report(verify, "object", name, "this file does not belong here");
	return 0;
}

static int visit_folder(void *context, const char *name, struct err *err)
{
	struct verify *verify = context;
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "objects/%s", name);
	verify->folder = name;
	if (strlen(name) != 2 || fstatat(verify->store->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISDIR(st.st_mode)) {
		report(verify, "object", name, "this does not belong here");
		return 0;
	}
	return dir_each_at(verify->store->dir_fd, path, visit_object, verify, err);
}

/* `read`: the objects are to be read; otherwise they were, and only must be there. */
static void verify_manifest(struct verify *verify, const struct digest *release, const char *name, bool read)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct manifest manifest;
	struct err err = ERR_INIT;
	char hex[DIGEST_HEX_LEN + 1];

	verify->result->manifests++;
	if (store_load_manifest(verify->store, release, &arena, &manifest, &err)) {
		report(verify, "manifest", name, err.text);
		return;
	}
	for (size_t i = 0; i < manifest.count; i++) {
		const struct entry *entry = &manifest.entries[i];
		if (entry->type == ENTRY_DIR || !digest_set_add(&verify->known, &entry->digest))
			continue;
		if (read) {
			add_check(verify, (struct check){entry->digest, entry->size, .either = true});
		} else {
			int fd = -1;
			bool compressed;
			digest_to_hex(&entry->digest, hex);
			if (object_file_open(verify->store, &entry->digest, &fd, &compressed, &err))
				report(verify, "object", hex, "it is missing, and a release needs it");
			close_fd(&fd);
		}
	}
}

static int visit_manifest(void *context, const char *name, struct err *err)
{
	struct digest release;

	(void)err;
	if (digest_from_hex(slice_of(name), &release))
		verify_manifest(context, &release, name, false);
	else
		report(context, "manifest", name, "this file does not belong here");
	return 0;
}

static int verify_all(struct verify *verify, struct err *err)
{
	int fd = verify->store->dir_fd;

	if (dir_each_at(fd, "objects", visit_folder, verify, err) || run_checks(verify, err) ||
	    dir_each_at(fd, "manifests", visit_manifest, verify, err))
		return err_wrap(err, "the store %s", verify->store->path);
	return 0;
}

int store_verify(struct store *store, const struct digest *release, store_damage *damage, void *context,
		 struct store_verify_result *result, struct err *err)
{
	struct verify verify = {.store = store, .damage = damage, .context = context, .result = result};
	char hex[DIGEST_HEX_LEN + 1];
	int done;

	*result = (struct store_verify_result){0};
	if (release && !store_has_manifest(store, release)) {
		digest_to_hex(release, hex);
		return err_set(err, ERR_NOT_FOUND, "release %.12s is not in the store %s", hex, store->path);
	}
	if (release) {
		digest_to_hex(release, hex);
		verify_manifest(&verify, release, hex, true);
		done = run_checks(&verify, err);
	} else {
		done = verify_all(&verify, err);
	}
	digest_set_free(&verify.known);
	free(verify.checks);
	return done;
}
