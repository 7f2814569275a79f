#include "engine/secret_scan.h"

#include "base/clock.h"
#include "base/map.h"
#include "model/release_scan.h"

enum { SHOWN_MAX = 8, WEEKS_AHEAD_MS = 14 * 86400000 };

/* --- exceptions ------------------------------------------------------------------------ */

void scan_allow(struct engine *engine, struct scan_findings *findings)
{
	const struct project *project = engine->project;
	size_t count = project->secret_scan.allow.count;
	struct scan_allowed *allowed = ARENA_NEW_ARRAY(&engine->arena, count, struct scan_allowed);
	bool *lapsed = ARENA_NEW_ARRAY(&engine->arena, count, bool);
	int64_t now = clock_wall_ms();

	for (size_t i = 0; i < count; i++) {
		const struct allowed_secret *one = &project->secret_scan.allow.items[i];
		allowed[i] = (struct scan_allowed){
			.path = one->path,
			.rule = one->rule,
			.owner = one->owner,
			.reason = one->reason,
			.until_ms = one->until_ms,
		};
	}
	scan_apply_allowed(findings, allowed, count, now, lapsed);
	for (size_t i = 0; i < count; i++) {
		const struct allowed_secret *one = &project->secret_scan.allow.items[i];
		if (lapsed[i])
			event_note(&engine->events, "warn", "%s: the exception for %s (%s) lapsed on %s",
				   origin_text(&engine->arena, one->node->origin), one->path, one->owner, one->until);
		else if (one->until_ms < now + WEEKS_AHEAD_MS && one->until_ms > now)
			event_note(&engine->events, "warn", "%s: the exception for %s (%s) lapses on %s",
				   origin_text(&engine->arena, one->node->origin), one->path, one->owner, one->until);
	}
}

/* --- as JSON, also in the database -------------------------------------------------------- */

static const char *const environments[] = {[SCAN_ANY] = NULL, [SCAN_LIVE] = "live", [SCAN_TEST] = "test"};

json_t *scan_findings_json(const struct scan_findings *findings)
{
	json_t *list = json_array();

	for (size_t i = 0; i < findings->count; i++) {
		const struct scan_finding *finding = &findings->items[i];
		json_array_append_new(list, json_pack("{s:o, s:I, s:s, s:s, s:o, s:o}", "path",
						      json_text(slice_of(finding->path)), "line", (json_int_t)finding->line,
						      "rule", finding->rule, "service", finding->service, "shown",
						      json_text(slice_of(finding->shown)), "environment",
						      json_cstr(environments[finding->environment])));
	}
	return list;
}

static const char *copied(struct arena *arena, const json_t *row, const char *key)
{
	const char *text;

	return json_get_str(row, key, &text) ? arena_strdup(arena, text) : "";
}

/* Findings of an earlier release in files this one holds unchanged; without a manifest
 * it is the same release. */
static void take_over(struct scan_findings *findings, const json_t *rows, const struct manifest *manifest,
		      const bool *unchanged)
{
	size_t index;
	json_t *row;

	json_array_foreach(rows, index, row) {
		const char *path = copied(findings->arena, row, "path"), *environment = copied(findings->arena, row, "environment");
		const struct entry *entry = manifest ? manifest_find(manifest, slice_of(path)) : NULL;
		if (manifest && (!entry || !unchanged[entry - manifest->entries]))
			continue;
		if (findings->count == SCAN_FINDINGS_MAX) {
			findings->dropped++;
			continue;
		}
		findings->items[findings->count++] = (struct scan_finding){
			.path = path,
			.line = (uint32_t)json_integer_value(json_object_get(row, "line")),
			.rule = copied(findings->arena, row, "rule"),
			.service = copied(findings->arena, row, "service"),
			.shown = copied(findings->arena, row, "shown"),
			.environment = strcmp(environment, "live") == 0	  ? SCAN_LIVE
				       : strcmp(environment, "test") == 0 ? SCAN_TEST
									  : SCAN_ANY,
		};
	}
}

/* --- releases ------------------------------------------------------------------------------ */

/* Other rules find other things: then nothing remembered counts. */
static const char *rules_digest(struct arena *arena)
{
	AUTO(buf_free) struct buf text = BUF_INIT(64 << 10);
	struct digest digest;
	char hex[DIGEST_HEX_LEN + 1];

	buf_printf(&text, "scan 1 %d\n", SCAN_FILE_MAX);
	for (size_t i = 0; i < scan_rule_count; i++)
		buf_printf(&text, "%s %s %zu %zu\n", scan_rules[i].name, scan_rules[i].prefix, scan_rules[i].least,
			   scan_rules[i].most);
	digest_of(buf_slice(&text), &digest);
	digest_to_hex(&digest, hex);
	return arena_strdup(arena, hex);
}

/* Marks the files whose content the earlier release had under the same path. */
static int mark_unchanged(struct engine *engine, const struct release_scan *earlier, const struct manifest *manifest,
			  bool *unchanged, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct manifest before;
	struct digest digest;

	if (!digest_from_hex(slice_of(earlier->release), &digest) || !store_has_manifest(engine->store, &digest))
		return 0;
	if (store_load_manifest(engine->store, &digest, &arena, &before, err))
		return -1;
	/* Both are sorted by path. */
	for (size_t i = 0, j = 0; i < manifest->count && j < before.count;) {
		int order = slice_compare(manifest->entries[i].path, before.entries[j].path);
		if (order == 0)
			unchanged[i] = manifest->entries[i].type == ENTRY_FILE &&
				       digest_equal(&manifest->entries[i].digest, &before.entries[j].digest);
		i += order <= 0;
		j += order >= 0;
	}
	return 0;
}

static int read_new(struct engine *engine, const struct manifest *manifest, const bool *unchanged,
		    struct scan_findings *findings, struct err *err)
{
	AUTO(map_free) struct map seen = MAP_INIT;

	for (size_t i = 0; i < manifest->count; i++) {
		const struct entry *entry = &manifest->entries[i];
		AUTO(arena_free) struct arena content = ARENA_INIT;
		struct slice bytes;
		if (entry->type != ENTRY_FILE || entry->size > SCAN_FILE_MAX || unchanged[i] ||
		    map_put(&seen, slice_make((const char *)entry->digest.bytes, DIGEST_LEN), engine))
			continue;
		if (store_load_object(engine->store, &entry->digest, SCAN_FILE_MAX, &content, &bytes, err))
			return err_wrap(err, "looking for secrets in %.*s", SLICE_ARG(entry->path));
		scan_bytes(findings, entry->path, bytes);
	}
	return 0;
}

static int look_through(struct engine *engine, const struct digest *release, const struct release_scan *earlier,
			struct scan_findings *findings, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(json_free) json_t *rows = NULL;
	struct manifest manifest;

	if (store_load_manifest(engine->store, release, &arena, &manifest, err))
		return -1;
	bool *unchanged = ARENA_NEW_ARRAY(&arena, manifest.count, bool);
	if (earlier && mark_unchanged(engine, earlier, &manifest, unchanged, err))
		return -1;
	if (earlier && json_parse(slice_of(earlier->findings), "findings", DB_TEXT_MAX, &rows, err) == 0)
		take_over(findings, rows, &manifest, unchanged);
	return read_new(engine, &manifest, unchanged, findings, err);
}

static int remember(struct engine *engine, const char *hex, const char *rules, const struct scan_findings *findings,
		    struct err *err)
{
	AUTO(json_free) json_t *rows = scan_findings_json(findings);
	AUTO(buf_free) struct buf text = BUF_INIT(DB_TEXT_MAX);
	const struct release_scan row = {
		.release = hex,
		.project = engine->project->name,
		.rules = rules,
		.scanned_ms = clock_wall_ms(),
	};
	struct release_scan full = row;

	json_put(&text, rows);
	/* So many findings are found again next time rather than remembered in part. */
	if (text.overflow || findings->dropped)
		return 0;
	full.findings = buf_str(&text);
	return release_scan_put(engine->home.db, &full, err);
}

int scan_of_release(struct engine *engine, const struct digest *release, struct scan_findings *findings, struct err *err)
{
	const char *rules = rules_digest(&engine->arena);
	struct release_scan known;
	char hex[DIGEST_HEX_LEN + 1];
	bool found;

	digest_to_hex(release, hex);
	findings->arena = &engine->arena;
	if (release_scan_find(engine->home.db, &engine->arena, hex, rules, &found, &known, err))
		return -1;
	if (found) {
		AUTO(json_free) json_t *rows = NULL;
		if (json_parse(slice_of(known.findings), "findings", DB_TEXT_MAX, &rows, err))
			return -1;
		take_over(findings, rows, NULL, NULL);
		return 0;
	}
	if (release_scan_latest(engine->home.db, &engine->arena, engine->project->name, rules, &found, &known, err) ||
	    look_through(engine, release, found ? &known : NULL, findings, err))
		return -1;
	return remember(engine, hex, rules, findings, err);
}

int scan_check_release(struct engine *engine, const struct artifact *artifact, struct err *err)
{
	struct scan_findings *findings = ARENA_NEW(&engine->arena, struct scan_findings);
	AUTO(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX);

	/* Elsewhere than here it was looked through when it was built. */
	if (engine->project->secret_scan.off || !store_has_manifest(engine->store, &artifact->release))
		return 0;
	if (scan_of_release(engine, &artifact->release, findings, err))
		return -1;
	scan_allow(engine, findings);
	if (findings->count == 0)
		return 0;
	for (size_t i = 0; i < findings->count && i < SHOWN_MAX; i++)
		buf_printf(&text, "\n%s:%u: %s (%s)", findings->items[i].path, findings->items[i].line,
			   findings->items[i].service, findings->items[i].rule);
	if (findings->count > SHOWN_MAX)
		buf_printf(&text, "\nand %zu more: `lockstep secret scan`", findings->count - SHOWN_MAX);
	err_set(err, ERR_USER, "secrets would enter release %.12s:%s", artifact->hex, buf_str(&text));
	return err_hint(err, "take them out of the repository and make them new, since its history keeps them; or allow one under "
			     "`secret_scan` in lockstep.yml, with an owner, a reason and a date");
}
