/* Three sides of one environment: what the project declares, what was deployed last, what is
 * there now. Where the last two differ somebody changed a server; where the first two differ
 * something waits to be deployed. */
#include "base/clock.h"
#include "base/fd.h"
#include "base/map.h"
#include "engine/configuration.h"
#include "engine/parity.h"
#include "engine/parity_history.h"
#include "engine/parity_result.h"
#include "engine/parity_rules.h"
#include "engine/snapshot_file.h"
#include "probe/probe.h"

#include <stdlib.h>

enum { SIDE_BYTES_MAX = 256 << 20, FINGERPRINTED_MAX = 4 << 20 };

struct drift {
	struct engine *engine;
	const struct environment *environment;
	struct observation seen;
	struct parity_rules rules;
	struct findings all;
	size_t cap;
	int64_t now_ms;
	/* Of the server that is looked at. */
	bool tells_edits;    /* its agent knows what lockstep put there */
	bool knows_rendered; /* `rendered` are its config files, by path; else only what may be one is known
			      */
	struct map rendered;
};

static void drift_close(struct drift *drift)
{
	map_free(&drift->rendered);
	parity_rules_close(&drift->rules);
	observation_close(&drift->seen);
}

static struct finding *add_finding(struct drift *drift, const struct finding *finding)
{
	struct arena *arena = &drift->engine->arena;

	if (drift->all.count == drift->cap) {
		size_t cap = MAX(drift->cap * 2, (size_t)64);
		struct finding *items = ARENA_NEW_ARRAY(arena, cap, struct finding);
		if (drift->all.count)
			memcpy(items, drift->all.items, drift->all.count * sizeof(*items));
		drift->all.items = items;
		drift->cap = cap;
	}
	drift->all.items[drift->all.count] = *finding;
	return &drift->all.items[drift->all.count++];
}

static void add_totals(struct compare_totals *sum, const struct compare_totals *more)
{
	sum->rows += more->rows;
	sum->same += more->same;
	sum->allowed += more->allowed;
	sum->drift += more->drift;
	sum->missing += more->missing;
	sum->not_checked += more->not_checked;
	sum->stale += more->stale;
	sum->facts += more->facts;
}

/* --- two sides ------------------------------------------------------------------------- */

struct sides {
	const char *names[2]; /* "deployed", the environment's */
	int fds[2];	      /* borrowed */
	bool (*wanted)(void *context, struct slice key);
	enum finding_kind kind;
	const char *server; /* label */
	const char *cause;  /* for those without one; "" */
	/* Whatever `kind` says, what the server calls edited was changed there. */
	bool by_hand_where_edited;
};

static void copy_gaps(struct drift *drift, const struct findings *from, const char *server)
{
	struct arena *arena = &drift->engine->arena;
	struct gap *gaps = ARENA_NEW_ARRAY(arena, drift->all.gap_count + from->gap_count, struct gap);

	if (drift->all.gap_count)
		memcpy(gaps, drift->all.gaps, drift->all.gap_count * sizeof(*gaps));
	for (size_t i = 0; i < from->gap_count; i++) {
		gaps[drift->all.gap_count] = from->gaps[i];
		gaps[drift->all.gap_count].environment = drift->environment->name;
		gaps[drift->all.gap_count++].server = server;
	}
	drift->all.gaps = gaps;
}

/* A config file that a deployment wrote, and that is declared no more. */
static bool is_left_over(const struct drift *drift, const struct sides *sides, const struct finding *finding)
{
	struct slice key = slice_of(finding->key);

	return drift->tells_edits && sides->kind == FINDING_HAND_CHANGE && !*finding->cause &&
	       finding->direction == FINDING_REFERENCE_LACKS && slice_is(fact_dimension(key), "file") &&
	       (slice_ends_with(key, "/") || slice_is(fact_attribute(key), "content"));
}

static int compare_sides(struct drift *drift, const struct sides *sides, struct err *err)
{
	struct arena *arena = &drift->engine->arena;
	struct compare_column columns[2];
	struct findings found = {0};

	for (size_t i = 0; i < 2; i++)
		columns[i] = (struct compare_column){
			.environment = i,
			.server = sides->server,
			.reader = fact_reader_of_fd(sides->fds[i]),
		};
	const struct compare_input input = {
		.environments = sides->names,
		.environment_count = 2,
		.reference = 0,
		.columns = columns,
		.column_count = 2,
		.rules = drift->rules.book,
		.partial = true,
		.sides = true,
		.now_ms = drift->now_ms,
		.wanted = sides->wanted,
		.context = drift,
	};
	int result = findings_gather(arena, &input, &found, err);
	for (size_t i = 0; i < 2; i++)
		fact_reader_free(&columns[i].reader);
	if (result)
		return -1;
	add_totals(&drift->all.totals, &found.totals);
	copy_gaps(drift, &found, sides->server);
	for (size_t i = 0; i < found.count; i++) {
		/* Rules speak of environments; here one is held against itself. */
		if (found.items[i].kind != FINDING_DRIFT && found.items[i].kind != FINDING_WITHIN)
			continue;
		struct finding *finding = add_finding(drift, &found.items[i]);
		finding->kind = sides->by_hand_where_edited && *finding->cause ? FINDING_HAND_CHANGE
				: is_left_over(drift, sides, finding)	       ? FINDING_NOT_DEPLOYED
									       : sides->kind;
		struct finding_cell *cells = ARENA_NEW_ARRAY(arena, finding->cell_count, struct finding_cell);
		for (size_t c = 0; c < finding->cell_count; c++) {
			cells[c] = finding->cells[c];
			cells[c].server = sides->server;
		}
		finding->cells = cells;
		if (!*finding->cause)
			finding->cause = sides->cause;
		finding->text = arena_printf(arena, "%s: %s", sides->server,
					     *finding->cause ? finding->cause
					     : finding->kind == FINDING_HAND_CHANGE
						     ? "somebody changed it after the last deployment"
						     : "it was changed in the project and not deployed yet");
		finding->advice = finding->kind == FINDING_HAND_CHANGE
					  ? NULL
					  : arena_printf(arena, "`lockstep deploy %s` brings it there",
							 drift->environment->name);
		finding_name(finding, sides->server);
		if (!finding->advice)
			finding->advice = arena_printf(
				arena,
				"`lockstep revert %s` puts it back; `lockstep accept %s` shows how the "
				"project would say it",
				finding->id, finding->id);
	}
	return 0;
}

static bool is_rendered(const struct drift *drift, struct slice path)
{
	return drift->knows_rendered ? map_get(&drift->rendered, path) != NULL
				     : environment_renders(drift->environment, path);
}

/* --- files: deployed, now --------------------------------------------------------------- */

static bool lies_in(struct slice path, const struct str_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		size_t len = strlen(list->items[i]);
		if (slice_starts_with(path, list->items[i]) && (path.len == len || path.ptr[len] == '/'))
			return true;
	}
	return false;
}

static bool leads_to(struct slice folder, const char *path)
{
	return strlen(path) > folder.len && memcmp(path, folder.ptr, folder.len) == 0 &&
	       path[folder.len] == '/';
}

static bool leads_to_any(struct slice folder, const struct str_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (leads_to(folder, list->items[i]))
			return true;
	return false;
}

/* Shown by the activation in place of the release's own: shared, or written by the
 * application. */
static bool is_covered(const struct environment *environment, struct slice path)
{
	return lies_in(path, &environment->delivery.shared_dirs) ||
	       lies_in(path, &environment->delivery.shared_files) ||
	       lies_in(path, &environment->delivery.generated);
}

/* A folder that need not be the release's: what lies below it is not. */
static bool leads_to_others(const struct environment *environment, struct slice path)
{
	const struct delivery *delivery = &environment->delivery;

	for (size_t i = 0; i < environment->files.count; i++)
		if (environment->files.items[i].path && leads_to(path, environment->files.items[i].path))
			return true;
	return leads_to_any(path, &delivery->shared_dirs) || leads_to_any(path, &delivery->shared_files) ||
	       leads_to_any(path, &delivery->generated);
}

/* What a release says of its files, and who looked when. */
static bool is_of_files(void *context, struct slice key)
{
	static const char *const wanted[] = {"content", "mode", "modified", "edited", "edited_by"};
	const struct drift *drift = context;
	struct slice attribute = fact_attribute(key);

	if (slice_is(key, "file/./put_by"))
		return true;
	if (key.len && key.ptr[key.len - 1] == '/')
		return slice_is(fact_dimension(key), "file");
	if (!slice_is(fact_dimension(key), "file") || slice_starts_with(key, "file//") ||
	    slice_starts_with(key, "file/shared/") || slice_starts_with(key, "file/./"))
		return false;
	if (is_rendered(drift, fact_subject(key)) || is_covered(drift->environment, fact_subject(key)) ||
	    leads_to_others(drift->environment, fact_subject(key)))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (slice_is(attribute, wanted[i]))
			return true;
	return false;
}

/* As an agent fingerprints the content of a file. */
static void fingerprint_of(const struct drift *drift, struct slice content, struct digest *out)
{
	const struct slice key = slice_make(drift->seen.run_key, DIGEST_LEN);
	char hex[DIGEST_HEX_LEN + 1];

	if (content.len > PROBE_SECRET_FILE_MAX) {
		digest_of(content, out);
		digest_to_hex(out, hex);
		content = slice_of(hex);
	}
	digest_hmac(key, content, out);
}

/* The content of keys and the like is fingerprinted by its agent: so is the release's. */
static int add_fingerprints(struct drift *drift, const struct manifest *manifest, int seen_fd,
			    struct fact_list *list, struct err *err)
{
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_fd(seen_fd);
	struct fact fact;
	int got;

	while ((got = fact_next(reader, &fact, err)) > 0) {
		if (fact.kind != FACT_HMAC || fact.evidence || !is_of_files(drift, fact.key))
			continue;
		AUTO(arena_wipe_free) struct arena arena = ARENA_INIT;
		const struct entry *entry = manifest_find(manifest, fact_subject(fact.key));
		struct err unreadable = ERR_INIT;
		struct digest digest;
		struct slice content;
		if (!entry || entry->type != ENTRY_FILE)
			continue;
		if (store_load_object(drift->engine->store, &entry->digest, FINGERPRINTED_MAX, &arena,
				      &content, &unreadable)) {
			if (fact_add(list, fact.key, FACT_NOT_CHECKED, slice_of(unreadable.text), err))
				return -1;
			continue;
		}
		fingerprint_of(drift, content, &digest);
		if (fact_add(list, fact.key, FACT_HMAC, slice_make(digest.bytes, DIGEST_LEN), err))
			return -1;
	}
	return got;
}

static int compare_files(struct drift *drift, const struct observed *item, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(SIDE_BYTES_MAX);
	AUTO(close_fd) int fd = -1;
	struct manifest manifest;
	struct digest release;
	struct err missing = ERR_INIT;

	if (!digest_from_hex(slice_of(item->applied.release), &release)) {
		drift->all.totals.not_checked++;
		drift->all.totals.rows++;
		event_note(&drift->engine->events, "warn", "%s: nothing that lockstep deployed is live there",
			   item->label);
		return 0;
	}
	if (store_load_manifest(drift->engine->store, &release, &arena, &manifest, &missing)) {
		if (fact_add(&list, SLICE("file/"), FACT_NOT_CHECKED,
			     slice_of("its release is not in this machine's store; `lockstep promote` or "
				      "`deploy` fetches it"),
			     err))
			return -1;
	} else if (manifest_facts(&manifest, &list, err) ||
		   add_fingerprints(drift, &manifest, item->fd, &list, err)) {
		return -1;
	}
	if (snapshot_file_of_list(&list, &fd, err))
		return -1;
	const struct sides sides = {
		.names = {"deployed", drift->environment->name},
		.fds = {fd, item->fd},
		.wanted = is_of_files,
		.kind = FINDING_HAND_CHANGE,
		.server = item->label,
		.cause = "",
	};
	return compare_sides(drift, &sides, err);
}

/* --- config files: declared, deployed, now ------------------------------------------------ */

/* What a file of variables says is compared variable by variable. */
static bool holds_variables(const struct drift *drift, struct slice path)
{
	for (size_t i = 0; i < drift->environment->files.count; i++)
		if (drift->environment->files.items[i].kind == FILE_ENV &&
		    slice_is(path, drift->environment->files.items[i].path))
			return true;
	return false;
}

static bool is_of_config_files(void *context, struct slice key)
{
	const struct drift *drift = context;
	struct slice attribute = fact_attribute(key);

	if (slice_is(key, "file/./put_by"))
		return true;
	if (!slice_is(fact_dimension(key), "file") || slice_starts_with(key, "file//") ||
	    !is_rendered(drift, fact_subject(key)))
		return false;
	return slice_is(attribute, "mode") || slice_is(attribute, "edited") ||
	       (slice_is(attribute, "content") && !holds_variables(drift, fact_subject(key)));
}

/* What the project would write on one server now. */
struct config_files {
	struct rendered_file *items;
	size_t count;
};

static void render(struct drift *drift, const struct observed *item, size_t server,
		   struct configuration *configuration, struct config_files *out)
{
	struct digest release;
	struct err err = ERR_INIT;

	*out = (struct config_files){0};
	map_free(&drift->rendered);
	drift->rendered = MAP_INIT;
	drift->knows_rendered = false;
	if (!configuration || !digest_from_hex(slice_of(item->applied.release), &release))
		return;
	if (configuration_render(configuration, server, &release, &out->items, &out->count, &err)) {
		event_note(&drift->engine->events, "warn", "config files were not compared: %s", err.text);
		drift->all.totals.rows++;
		drift->all.totals.not_checked++;
		out->count = 0;
		return;
	}
	drift->knows_rendered = true;
	for (size_t i = 0; i < out->count; i++)
		map_put(&drift->rendered, slice_of(out->items[i].path), &out->items[i]);
}

/* Whether the agent can tell what was edited since lockstep put it there. */
static int find_manifest(struct drift *drift, const struct observed *item, struct err *err)
{
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_fd(item->fd);
	struct fact fact;
	int got;

	drift->tells_edits = false;
	while ((got = fact_next(reader, &fact, err)) > 0)
		if (slice_is(fact.key, "file/./put_by"))
			drift->tells_edits = slice_is(fact.value, "lockstep");
	return got;
}

/* Fingerprinted as the agent did it. */
static int add_config_file(struct drift *drift, const struct rendered_file *file, struct fact_list *list,
			   struct err *err)
{
	AUTO(buf_free) struct buf key = BUF_INIT(FACT_KEY_MAX);
	struct digest digest;
	char mode[8];

	buf_printf(&key, "file/%s/content", file->path);
	fingerprint_of(drift, file->content, &digest);
	if (fact_add(list, buf_slice(&key), FACT_HMAC, slice_make(digest.bytes, DIGEST_LEN), err))
		return -1;
	buf_clear(&key);
	buf_printf(&key, "file/%s/mode", file->path);
	snprintf(mode, sizeof(mode), "%04o", (file->mode ? file->mode : 0640) & 07777);
	return fact_add(list, buf_slice(&key), FACT_TEXT, slice_of(mode), err);
}

static int compare_config_files(struct drift *drift, const struct observed *item,
				const struct config_files *files, struct err *err)
{
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(SIDE_BYTES_MAX);
	AUTO(close_fd) int fd = -1;

	for (size_t i = 0; i < files->count; i++)
		if (add_config_file(drift, &files->items[i], &list, err))
			return -1;
	if (snapshot_file_of_list(&list, &fd, err))
		return -1;
	const struct sides sides = {
		.names = {"declared", drift->environment->name},
		.fds = {fd, item->fd},
		.wanted = is_of_config_files,
		.kind = FINDING_NOT_DEPLOYED,
		.by_hand_where_edited = true,
		.server = item->label,
		.cause = "",
	};
	return compare_sides(drift, &sides, err);
}

/* --- variables: declared, now ------------------------------------------------------------ */

static bool is_of_variables(void *context, struct slice key)
{
	struct slice attribute = fact_attribute(key);

	(void)context;
	return slice_is(fact_dimension(key), "env") &&
	       (slice_is(attribute, "present") || slice_is(attribute, "value") ||
		key.ptr[key.len - 1] == '/');
}

/* Whether a rendered file of variables was edited on the server, or taken away. */
static int env_edited(struct drift *drift, const struct observed *item, bool *out, struct err *err)
{
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_fd(item->fd);
	struct fact fact;
	int got;

	*out = false;
	while ((got = fact_next(reader, &fact, err)) > 0)
		if (fact.evidence && is_rendered(drift, fact_subject(fact.key)) &&
		    ((slice_is(fact_dimension(fact.key), "file") &&
		      slice_is(fact_attribute(fact.key), "edited")) ||
		     (slice_is(fact_dimension(fact.key), "env") &&
		      slice_is(fact_attribute(fact.key), "file"))))
			*out = true;
	return got;
}

static int compare_variables(struct drift *drift, const struct observed *item, size_t server,
			     const struct configuration *configuration, struct err *err)
{
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(SIDE_BYTES_MAX);
	AUTO(close_fd) int fd = -1;
	const struct config_set *set = &configuration->sets[server];
	bool edited, renders = false;

	for (size_t i = 0; i < drift->environment->files.count; i++)
		renders = renders || drift->environment->files.items[i].kind == FILE_ENV;
	/* Only where all variables stand in a file lockstep writes is a missing one drift. */
	if (!renders)
		return 0;
	for (size_t i = 0; i < set->count; i++) {
		AUTO(buf_free) struct buf key = BUF_INIT(1024);
		struct digest digest;
		buf_printf(&key, "env/%s/present", set->values[i].name);
		if (fact_add(&list, buf_slice(&key), FACT_TEXT, SLICE("yes"), err))
			return -1;
		buf_clear(&key);
		buf_printf(&key, "env/%s/value", set->values[i].name);
		digest_hmac(slice_make(drift->seen.run_key, DIGEST_LEN), secret_reveal(set->values[i].value),
			    &digest);
		if (fact_add(&list, buf_slice(&key), FACT_HMAC, slice_make(digest.bytes, DIGEST_LEN), err))
			return -1;
	}
	if (snapshot_file_of_list(&list, &fd, err) || env_edited(drift, item, &edited, err))
		return -1;
	const struct sides sides = {
		.names = {"declared", drift->environment->name},
		.fds = {fd, item->fd},
		.wanted = is_of_variables,
		.kind = edited ? FINDING_HAND_CHANGE : FINDING_NOT_DEPLOYED,
		.server = item->label,
		.cause = edited ? "the file it stands in was edited on the server" : "",
	};
	return compare_sides(drift, &sides, err);
}

/* --- schema: seen first after the deployment, now
 * ---------------------------------------------------------------- */

static bool is_of_databases(void *context, struct slice key)
{
	(void)context;
	return slice_is(fact_dimension(key), "db");
}

static int compare_schema(struct drift *drift, const struct observed *item, struct err *err)
{
	AUTO(close_fd) int fd = -1;
	struct err unknown = ERR_INIT;
	int64_t taken = 0;
	char when[CLOCK_ISO_LEN + 1];

	/* Held against the first look after the last deployment, which may have moved it. */
	if (parity_history_first(drift->engine, item->environment, item->key, "db", item->applied.at_ms, &fd,
				 &taken, &unknown) ||
	    fd < 0)
		return 0;
	clock_format_iso(taken, when);
	const struct sides sides = {
		.names = {"seen first", drift->environment->name},
		.fds = {fd, item->fd},
		.wanted = is_of_databases,
		.kind = FINDING_HAND_CHANGE,
		.server = item->label,
		.cause = arena_printf(&drift->engine->arena, "changed after %s, with no deployment since",
				      when),
	};
	return compare_sides(drift, &sides, err);
}

/* --- code ------------------------------------------------------------------------------------ */

static int compare_code(struct drift *drift, const struct observed *item, struct err *err)
{
	struct arena *arena = &drift->engine->arena;
	const char *ref = environment_default_ref(drift->environment);
	struct commit resolved;
	struct source *source;
	struct err unknown = ERR_INIT;
	uint64_t ahead = 0, behind = 0;

	(void)err;
	drift->all.totals.rows++;
	if (!*item->applied.commit || engine_source(drift->engine, true, &source, &unknown) ||
	    source_resolve(source, ref, arena, &resolved, &unknown) ||
	    source_compare(source, resolved.hash, item->applied.commit, &ahead, &behind, &unknown)) {
		drift->all.totals.not_checked++;
		return 0;
	}
	if (behind == 0) {
		drift->all.totals.same++;
		return 0;
	}
	drift->all.totals.drift++;
	struct finding_cell *cells = ARENA_NEW_ARRAY(arena, 2, struct finding_cell);
	cells[0] = (struct finding_cell){"declared", item->label,
					 arena_printf(arena, "%.12s (%s)", resolved.hash, ref), CELL_SAME};
	cells[1] = (struct finding_cell){drift->environment->name, item->label,
					 arena_printf(arena, "%.12s", item->applied.commit), CELL_DRIFT};
	struct finding *finding = add_finding(
		drift, &(struct finding){
			       .kind = FINDING_NOT_DEPLOYED,
			       .key = "release/code/commit",
			       .severity = SEVERITY_LOW,
			       .direction = FINDING_DIFFERS,
			       .cells = cells,
			       .cell_count = 2,
			       .text = arena_printf(arena, "%s: %llu commit%s of %s %s not deployed",
						    item->label, (unsigned long long)behind,
						    behind == 1 ? "" : "s", ref, behind == 1 ? "is" : "are"),
			       .cause = "",
			       .advice = drift->environment->promote_from.count
						 ? arena_printf(arena, "`lockstep promote %s %s`",
								drift->environment->promote_from.items[0],
								drift->environment->name)
						 : arena_printf(arena, "`lockstep deploy %s`",
								drift->environment->name),
		       });
	finding_name(finding, item->label);
	return 0;
}

/* --- all of it ----------------------------------------------------------------------------------- */

static int compare_server(struct drift *drift, size_t server, struct configuration *configuration,
			  struct err *err)
{
	const struct observed *item = &drift->seen.items[server];

	if (item->why) {
		event_note(&drift->engine->events, "warn", "%s was not looked at: %s", item->label,
			   item->why);
		drift->all.totals.rows++;
		drift->all.totals.not_checked++;
		return 0;
	}
	struct config_files files;
	render(drift, item, server, configuration, &files);
	if (find_manifest(drift, item, err))
		return -1;
	/* What was to be looked at and is not told of is a gap: nothing of it is passed over. */
	if ((observation_looked(&drift->seen, drift->environment, "file") &&
	     compare_files(drift, item, err)) ||
	    (observation_looked(&drift->seen, drift->environment, "file") && drift->knows_rendered &&
	     compare_config_files(drift, item, &files, err)) ||
	    (observation_looked(&drift->seen, drift->environment, "env") && configuration &&
	     compare_variables(drift, item, server, configuration, err)))
		return -1;
	/* The environment's own sides are the same on each of its servers. */
	if (server > 0)
		return 0;
	return (observation_looked(&drift->seen, drift->environment, "db") &&
		compare_schema(drift, item, err)) ||
			       compare_code(drift, item, err)
		       ? -1
		       : 0;
}

int parity_drift(struct engine *engine, const char *environment, const struct parity_request *request,
		 json_t **out, struct err *err)
{
	AUTO(drift_close) struct drift drift = {.engine = engine, .now_ms = clock_wall_ms()};
	AUTO(configuration_close) struct configuration configuration = {0};
	struct err unread = ERR_INIT;
	const char *run = NULL;
	struct observe_request look = {
		.subjects = &environment,
		.count = 1,
		.only = request->only,
		.only_count = request->only_count,
		.no_databases = request->no_databases,
		.offline = request->offline,
	};

	if (project_find_environment(engine->project, environment, &drift.environment, err) ||
	    observe(engine, &look, &drift.seen, err) || parity_rules_open_same(engine, &drift.rules, err))
		return -1;
	bool configured = configuration_read(engine, drift.environment, false, &configuration, &unread) == 0;
	if (!configured)
		event_note(&engine->events, "warn", "variables and config files were not compared: %s",
			   unread.text);
	for (size_t i = 0; i < drift.seen.count; i++)
		if (compare_server(&drift, i, configured ? &configuration : NULL, err))
			return -1;
	drift.all.reference = "deployed";
	if (parity_history_keep(engine, PARITY_RUN_DRIFT, environment, request, &drift.seen, &drift.all, &run,
				err))
		return -1;
	findings_rank(&engine->arena, &drift.all, NULL, drift.now_ms);
	*out = parity_result(engine, "drift", drift.all.reference, drift.now_ms, &drift.seen, &drift.all);
	json_object_set_new(*out, "run", json_cstr(run));
	/* What waits to be deployed is no drift of a server. */
	bool by_hand = false;
	for (size_t i = 0; i < drift.all.count; i++)
		by_hand = by_hand || drift.all.items[i].kind == FINDING_HAND_CHANGE;
	json_object_set_new(*out, "exit", json_integer(by_hand ? ERR_DRIFT : observation_exit(&drift.seen)));
	return 0;
}
