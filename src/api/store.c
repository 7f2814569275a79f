/* store verify, store gc: the releases on this machine. */
#include "api/list.h"

#include "base/clock.h"
#include "base/map.h"
#include "model/deployment.h"
#include "model/release.h"
#include "model/seen_place.h"

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

enum { KEEP_DEPLOYMENTS = 200 };
static const int64_t default_age_ms = INT64_C(30) * 86400000;

struct keeping {
	struct map kept; /* hex names */
};

static void keep_release(struct keeping *keeping, const char *hex)
{
	if (hex && *hex)
		map_put(&keeping->kept, slice_of(hex), keeping);
}

/* What an environment runs or could go back to, as far as this machine knows, and
 * what is young. */
static int collect(struct engine *engine, int64_t age_ms, struct keeping *keeping, struct err *err)
{
	struct seen_place_list places;
	struct deployment_list deployments;
	struct release_list releases;
	struct page page = { .limit = KEEP_DEPLOYMENTS };
	int64_t oldest = clock_wall_ms() - age_ms;

	if (seen_place_list(engine->home.db, &engine->arena, NULL, NULL, &places, err) ||
	    deployment_list(engine->home.db, &engine->arena, NULL, NULL, &page, &deployments, err))
		return -1;
	for (size_t i = 0; i < places.count; i++)
		keep_release(keeping, places.items[i].release);
	for (size_t i = 0; i < deployments.count; i++)
		if (deployments.items[i].outcome == OUTCOME_LIVE || deployments.items[i].outcome == OUTCOME_RUNNING ||
		    deployments.items[i].outcome == OUTCOME_UNKNOWN || deployments.items[i].outcome == OUTCOME_MIXED)
			keep_release(keeping, deployments.items[i].release);
	page = (struct page){ .limit = PAGE_LIMIT_MAX };
	for (;;) {
		if (release_list(engine->home.db, &engine->arena, NULL, &page, &releases, err))
			return -1;
		for (size_t i = 0; i < releases.count; i++)
			if (releases.items[i].created_ms >= oldest)
				keep_release(keeping, releases.items[i].digest);
		if (releases.count < PAGE_LIMIT_MAX || releases.items[releases.count - 1].created_ms < oldest)
			return 0;
		page.before_ms = releases.items[releases.count - 1].created_ms;
		page.before_id = releases.items[releases.count - 1].digest;
	}
}

static bool keep(void *context, const struct digest *release)
{
	struct keeping *keeping = context;
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(release, hex);
	return map_get(&keeping->kept, slice_of(hex)) != NULL;
}

static int run_gc(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	AUTO(map_free) struct map kept = MAP_INIT;
	struct keeping keeping = { kept };
	struct store_gc_result result;
	bool dry_run = input_flag(in, "dry_run");

	int collected = collect(engine, input_int(in, "older_than", default_age_ms), &keeping, err);
	kept = keeping.kept;
	if (collected)
		return -1;
	/* The exclusive lock is ours only when this command's own handle is gone. */
	store_close(&engine->store);
	if (store_gc(engine->home.store, keep, &keeping, dry_run, 5000, &result, err))
		return -1;
	*out = json_pack("{s:b, s:I, s:I, s:I, s:I}", "dry_run", dry_run, "manifests_kept",
			 (json_int_t)result.manifests_kept, "manifests_removed", (json_int_t)result.manifests_removed,
			 "objects_removed", (json_int_t)result.objects_removed, "bytes_removed",
			 (json_int_t)result.bytes_removed);
	return 0;
}

static const struct operation_key gc_keys[] = {
	{ "older_than", OPERATION_DURATION, .value = "TIME", .text = "keep every release younger than this (30d)" },
	{ "dry_run", OPERATION_FLAG, .text = "only count" },
};

const struct operation operation_store_gc = {
	.name = "store gc",
	.summary = "remove releases nothing needs any more",
	.details = "Kept are releases that are live somewhere or went live in the last 200 deployments, and young ones.\n"
		   "A release that is removed here can still be fetched back from a server that has it.",
	.keys = gc_keys,
	.key_count = ARRAY_LEN(gc_keys),
	.permission = PERMISSION_ADMIN,
	.need = NEED_HOME,
	.run = run_gc,
};
