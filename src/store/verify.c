/* Finding damage: every byte of every object is read. */
#include "store/internal.h"

#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct verify {
	struct store *store;
	store_damage *damage;
	void *context;
	struct store_verify_result *result;
	const char *folder; /* the two digits under way */
};

static void report(struct verify *verify, const char *kind, const char *name, const char *why)
{
	verify->result->damaged++;
	if (verify->damage)
		verify->damage(verify->context, kind, name, why);
}

static int count_bytes(void *context, struct slice bytes, struct err *err)
{
	(void)err;
	*(uint64_t *)context += bytes.len;
	return 0;
}

static void verify_object(struct verify *verify, const struct digest *digest, const char *name)
{
	struct err err = ERR_INIT;

	verify->result->objects++;
	if (store_read_object(verify->store, digest, count_bytes, &verify->result->bytes, &err))
		report(verify, "object", name, err.text);
}

static int visit_object(void *context, const char *name, struct err *err)
{
	struct verify *verify = context;
	struct digest digest;
	char hex[DIGEST_HEX_LEN + 8];
	struct slice text;

	(void)err;
	snprintf(hex, sizeof(hex), "%.2s%.66s", verify->folder, name);
	text = slice_of(hex);
	if (slice_ends_with(text, ".zst"))
		text.len -= 4;
	if (strlen(name) + 2 >= sizeof(hex) || !digest_from_hex(text, &digest))
		report(verify, "object", name, "this file does not belong here");
	else
		verify_object(verify, &digest, hex);
	return 0;
}

static int visit_folder(void *context, const char *name, struct err *err)
{
	struct verify *verify = context;
	char path[300];

	snprintf(path, sizeof(path), "objects/%s", name);
	verify->folder = name;
	if (strlen(name) != 2) {
		report(verify, "object", name, "this folder does not belong here");
		return 0;
	}
	return dir_each_at(verify->store->dir_fd, path, visit_object, verify, err);
}

static int verify_manifest(struct verify *verify, const struct digest *release, const char *name, bool objects,
			   struct err *err)
{
	struct arena arena = ARENA_INIT;
	struct manifest manifest;
	struct err damage = ERR_INIT;
	struct map seen = MAP_INIT;

	(void)err;
	verify->result->manifests++;
	if (store_load_manifest(verify->store, release, &arena, &manifest, &damage)) {
		report(verify, "manifest", name, damage.text);
		arena_free(&arena);
		return 0;
	}
	for (size_t i = 0; i < manifest.count; i++) {
		const struct entry *entry = &manifest.entries[i];
		char hex[DIGEST_HEX_LEN + 1];
		if (entry->type == ENTRY_DIR ||
		    map_put(&seen, slice_make(entry->digest.bytes, DIGEST_LEN), verify))
			continue;
		digest_to_hex(&entry->digest, hex);
		if (objects)
			verify_object(verify, &entry->digest, hex);
		else if (!store_has_object(verify->store, &entry->digest))
			report(verify, "object", hex, "it is missing, and a release needs it");
	}
	map_free(&seen);
	arena_free(&arena);
	return 0;
}

static int visit_manifest(void *context, const char *name, struct err *err)
{
	struct verify *verify = context;
	struct digest release;

	if (!digest_from_hex(slice_of(name), &release)) {
		report(verify, "manifest", name, "this file does not belong here");
		return 0;
	}
	return verify_manifest(verify, &release, name, false, err);
}

int store_verify(struct store *store, const struct digest *release, store_damage *damage, void *context,
		 struct store_verify_result *result, struct err *err)
{
	struct verify verify = { store, damage, context, result, NULL };
	char hex[DIGEST_HEX_LEN + 1];

	*result = (struct store_verify_result){ 0 };
	if (release) {
		digest_to_hex(release, hex);
		return verify_manifest(&verify, release, hex, true, err);
	}
	if (dir_each_at(store->dir_fd, "objects", visit_folder, &verify, err) ||
	    dir_each_at(store->dir_fd, "manifests", visit_manifest, &verify, err))
		return err_wrap(err, "the store %s", store->path);
	return 0;
}
