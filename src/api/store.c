/* store verify, store gc: the releases on this machine. */
#include "api/list.h"

#include "engine/needed.h"
#include "model/release.h"

static void add_damage(void *context, const char *kind, const char *name, const char *why)
{
	json_t *list = context;

	if (json_array_size(list) < 1000)
		json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "kind", kind, "name", json_text(slice_of(name)), "why",
						      json_text(slice_of(why))));
}

static int run_verify(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const char *wanted = input_str(in, "release");
	struct store_verify_result result;
	struct digest digest;
	struct release row;

	if (wanted) {
		if (release_find(engine->home.db, &engine->arena, NULL, slice_of(wanted), &row, err))
			return -1;
		if (!digest_from_hex(slice_of(row.digest), &digest))
			return err_set(err, ERR_USER, "\"%s\" is no release", wanted);
	}
	json_t *damage = json_array();
	if (store_verify(engine->store, wanted ? &digest : NULL, add_damage, damage, &result, err)) {
		json_decref(damage);
		return -1;
	}
	*out = json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:i}", "store", engine->home.store, "objects",
			 (json_int_t)result.objects, "manifests", (json_int_t)result.manifests, "bytes",
			 (json_int_t)result.bytes, "damaged", (json_int_t)result.damaged, "damage", damage, "exit",
			 result.damaged ? ERR_INTERNAL : 0);
	return 0;
}

static const struct operation_key verify_keys[] = {
	{ "release", OPERATION_STRING, .positional = true, .optional = true, .value = "RELEASE", .text = "only this one" },
};

const struct operation operation_store_verify = {
	.name = "store verify",
	.summary = "read every byte of the store and name what is damaged",
	.details = "Exit code 2 when something is. A damaged release is fetched back from a server that has it, once its\n"
		   "files here are deleted.",
	.keys = verify_keys,
	.key_count = ARRAY_LEN(verify_keys),
	.permission = PERMISSION_ADMIN,
	.need = NEED_HOME,
	.run = run_verify,
};

/* --- gc ----------------------------------------------------------------------------- */

static const int64_t default_age_ms = INT64_C(30) * 86400000;

static bool keep(void *context, const struct digest *release) { return needed_has(context, release); }

static int run_gc(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	AUTO(needed_free) struct needed needed = { .releases = MAP_INIT };
	struct store_gc_result result;
	bool dry_run = input_flag(in, "dry_run");

	if (needed_collect(engine, input_int(in, "older_than", default_age_ms), &needed, err))
		return -1;
	/* The exclusive lock is ours only when this command's own handle is gone. */
	store_close(&engine->store);
	if (store_gc(engine->home.store, keep, &needed, dry_run, 5000, &result, err))
		return -1;
	*out = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:O}", "dry_run", dry_run, "manifests_kept",
			 (json_int_t)result.manifests_kept, "manifests_removed", (json_int_t)result.manifests_removed,
			 "objects_removed", (json_int_t)result.objects_removed, "bytes_removed",
			 (json_int_t)result.bytes_removed, "asked", (json_int_t)needed.asked, "not_asked", needed.not_asked);
	return 0;
}

static const struct operation_key gc_keys[] = {
	{ "older_than", OPERATION_DURATION, .value = "TIME", .text = "keep every release younger than this (30d)" },
	{ "dry_run", OPERATION_FLAG, .text = "only count" },
};

const struct operation operation_store_gc = {
	.name = "store gc",
	.summary = "remove releases nothing needs any more",
	.details = "Kept are releases that are live on a server or kept there to go back to, those that went live in the last\n"
		   "200 deployments of an environment, and young ones. With a lockstep.yml its servers are asked, and nothing\n"
		   "is changed there; for a server that cannot be asked, which is named, and for other projects it goes by what\n"
		   "this machine saw last. A release that is removed here can still be fetched back from a server that has it.",
	.keys = gc_keys,
	.key_count = ARRAY_LEN(gc_keys),
	.permission = PERMISSION_ADMIN,
	.need = NEED_PROJECT_IF_THERE,
	.run = run_gc,
};
