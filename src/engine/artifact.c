#include "engine/artifact.h"

#include "base/clock.h"
#include "build/build.h"
#include "codec/record.h"
#include "doc/diag.h"
#include "model/release.h"
#include "model/seen_tag.h"
#include "project/deployhq.h"
#include "project/ignore.h"

#include <stdio.h>

/* --- the recipe -------------------------------------------------------------------- */

struct recipe {
	struct build_recipe build;
	struct ignore_rules deployignore, exclude;
	bool has_deployignore;
};

static bool stays_out(void *context, struct slice path, bool is_dir)
{
	struct recipe *recipe = context;

	return (recipe->has_deployignore && ignore_match(&recipe->deployignore, path, is_dir)) ||
	       ignore_match(&recipe->exclude, path, is_dir);
}

/* A small file of the commit; NULL text when it has none. */
static int read_file(struct source *source, const char *commit, const char *path, struct arena *arena,
		     struct slice *out, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(4 << 20);

	*out = slice_make(NULL, 0);
	if (source_read_file(source, commit, path, &text, err) == 0) {
		*out = arena_slice(arena, buf_slice(&text));
		return 0;
	}
	if (err->code != ERR_NOT_FOUND)
		return err_wrap(err, "reading %s", path);
	err_clear(err);
	return 0;
}

static int diagnose(struct diags *diags, const char *what, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(64 << 10);

	if (!diags->errors)
		return err->code ? err_wrap(err, "%s", what) : 0;
	diags_print(diags, &text);
	struct slice shown = slice_trim(buf_slice(&text));
	return err_set(err, ERR_USER, "%s:\n%.*s", what, SLICE_ARG(shown));
}

/* Hooks around the build are commands of the build, in the same sandbox. */
static void add_build_hooks(struct arena *arena, const struct project *project, struct project_build *build)
{
	const struct hook_list *before = &project->deploy.hooks.points[HOOK_BEFORE_BUILD];
	const struct hook_list *after = &project->deploy.hooks.points[HOOK_AFTER_BUILD];
	size_t count = before->count + build->run.count + after->count, at = 0;
	const char **commands = ARENA_NEW_ARRAY(arena, count, const char *);

	for (size_t i = 0; i < before->count; i++)
		commands[at++] = before->items[i].run;
	for (size_t i = 0; i < build->run.count; i++)
		commands[at++] = build->run.items[i];
	for (size_t i = 0; i < after->count; i++)
		commands[at++] = after->items[i].run;
	build->run.items = commands;
	build->run.count = count;
}

/* Templates of the repository are those of the commit, not those of the folder at hand. */
struct commit_files {
	struct source *source;
	const char *commit;
};

static int read_of_commit(void *context, const char *path, struct buf *out, struct err *err)
{
	struct commit_files *files = context;
	return source_read_file(files->source, files->commit, path, out, err);
}

/* The build of a commit is the one its own lockstep.yml describes, so that the same
 * commit always gives the same release; the file at hand serves when the commit has
 * none. Everything else (servers, values, hooks) is always the file at hand. */
static int build_section(struct engine *engine, struct source *source, const struct commit *commit,
			 struct project_build *out, struct err *err)
{
	struct arena *arena = &engine->arena;
	struct diags diags = DIAGS_INIT(arena);
	struct project *project = engine->project;
	struct slice text;

	if (read_file(source, commit->hash, PROJECT_FILE, arena, &text, err))
		return -1;
	const char *name = arena_printf(arena, "%.12s:%s", commit->hash, PROJECT_FILE);
	struct commit_files files = { source, commit->hash };
	const struct project_reading reading = {
		.home = engine->home.path,
		.dir = engine->project->dir,
		.read = read_of_commit,
		.context = &files,
	};
	if (text.ptr && project_parse_with(arena, name, text, &reading, &project, &diags, err))
		return diagnose(&diags, "the lockstep.yml of this commit", err);
	*out = project->build;
	add_build_hooks(arena, project, out);
	if (read_file(source, commit->hash, ".deploybuild.yaml", arena, &text, err))
		return -1;
	if (text.ptr) {
		struct deployhq_build theirs;
		struct diags their_diags = DIAGS_INIT(arena);
		if (deployhq_parse(arena, ".deploybuild.yaml", text, &theirs, &their_diags, err))
			return diagnose(&their_diags, "the .deploybuild.yaml of this commit", err);
		deployhq_apply(arena, &theirs, out);
	}
	return 0;
}

static int make_recipe(struct engine *engine, struct source *source, const struct commit *commit,
		       struct recipe *recipe, struct err *err)
{
	struct arena *arena = &engine->arena;
	struct project_build section;
	struct slice deployignore;

	*recipe = (struct recipe){ 0 };
	if (build_section(engine, source, commit, &section, err) ||
	    read_file(source, commit->hash, ".deployignore", arena, &deployignore, err) ||
	    ignore_from_list(arena, section.exclude.items, section.exclude.count, &recipe->exclude, err))
		return -1;
	if (deployignore.ptr) {
		if (ignore_parse(arena, deployignore, &recipe->deployignore, err))
			return err_wrap(err, ".deployignore");
		recipe->has_deployignore = true;
	}
	struct build_variable *env = ARENA_NEW_ARRAY(arena, section.env.count, struct build_variable);
	for (size_t i = 0; i < section.env.count; i++)
		env[i] = (struct build_variable){ section.env.items[i].name, section.env.items[i].text };
	AUTO(buf_free) struct buf exclude = BUF_INIT(IGNORE_TEXT_MAX);
	for (size_t i = 0; i < section.exclude.count; i++)
		buf_printf(&exclude, "%s\n", section.exclude.items[i]);
	struct build_text *texts = ARENA_NEW_ARRAY(arena, 2, struct build_text);
	size_t text_count = 0;
	if (exclude.len)
		texts[text_count++] = (struct build_text){ "exclude", arena_slice(arena, buf_slice(&exclude)) };
	if (deployignore.ptr)
		texts[text_count++] = (struct build_text){ ".deployignore", deployignore };
	bool whole = !section.output || strcmp(section.output, ".") == 0;
	recipe->build = (struct build_recipe){
		.commands = section.run.items,
		.command_count = section.run.count,
		.env = env,
		.env_count = section.env.count,
		.secrets = section.secrets.items,
		.secret_count = section.secrets.count,
		.caches = section.cache.items,
		.cache_count = section.cache.count,
		.image = section.image,
		.output = whole ? NULL : section.output,
		.texts = texts,
		.text_count = text_count,
		.skip = stays_out,
		.skip_context = recipe,
		.sandbox = section.sandbox == PROJECT_SANDBOX_NONE ? SANDBOX_NONE : SANDBOX_BWRAP,
		.offline = section.node && !section.network,
		.timeout_ms = section.timeout_ms,
		.memory_max = section.memory,
		.log_max = section.output_max,
	};
	return 0;
}

/* --- who has it already ---------------------------------------------------------------- */

struct lookup {
	struct engine *engine;
	struct fleet *const *fleets; /* NULL: those of all environments, once they are needed */
	size_t fleet_count;
	const struct commit *commit;
	bool told; /* that something is being built */
	bool here_only; /* nobody is asked and nothing is built */
	bool plain;	/* no commands: whoever takes the tree in gets the same */
	bool missed;	/* it would have been */
	bool unsure;	/* not everybody who may have it could be asked */
};

/* Only once there is something to do: what was built before is not built. */
static void tell_building(struct lookup *lookup)
{
	const struct commit *commit = lookup->commit;

	if (lookup->told)
		return;
	lookup->told = true;
	event_emit(&lookup->engine->events, "step",
		   json_pack("{s:s, s:s, s:s, s:o}", "step", "build", "commit", commit->hash, "ref", commit->ref, "text",
			     json_text(slice_of(commit->subject))));
}

/* The release a journal names for a build key. */
static bool find_in_journal(const struct journal_result *journal, const char *key_hex, struct digest *out)
{
	for (size_t i = journal->count; i > 0; i--) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct record record;
		struct err damage = ERR_INIT;
		struct slice line = slice_of(journal->lines[i - 1]);
		if (slice_starts_with(line, "prepared ") && record_parse_sealed(&arena, line, &record, &damage) == 0 &&
		    slice_is(record_get(&record, "build_key"), key_hex) &&
		    digest_from_hex(record_get(&record, "release"), out))
			return true;
	}
	return false;
}

/* What the journals of these servers name, or what a build gave before, from whoever
 * has it. */
static bool fetch_from(struct lookup *lookup, struct fleet *fleet, const char *key_hex, const struct digest *known,
		       struct digest *release_out)
{
	struct err unreachable = ERR_INIT;
	size_t count = fleet ? fleet_count(fleet) : 0;

	if (count && fleet_journal(fleet, NULL, 0, &unreachable)) {
		lookup->unsure = true;
		err_clear(&unreachable);
	}
	for (size_t i = 0; i < count; i++) {
		const struct link_results *results = fleet_results(fleet, i);
		struct digest release;
		bool has = results && find_in_journal(&results->journal, key_hex, &release);
		if (!has && known) {
			release = *known;
			has = true;
		}
		if (fleet_failure(fleet, i))
			lookup->unsure = true;
		if (!has)
			continue;
		if (fleet_fetch_release(fleet, i, &release, lookup->engine->store, &unreachable) == 0) {
			*release_out = release;
			return true;
		}
		lookup->unsure = lookup->unsure || unreachable.code != ERR_NOT_FOUND;
		err_clear(&unreachable);
	}
	return false;
}

static void tell_unasked(struct engine *engine, const struct environment *environment, struct fleet *fleet)
{
	for (size_t i = 0; i < fleet_count(fleet); i++) {
		const struct err *why = fleet_failure(fleet, i);
		if (why)
			event_note(&engine->events, "warn", "%s of %s was not asked whether it has this build: %s",
				   environment->servers.items[i].place.text, environment->name, why->text);
	}
}

/* A build for no environment in particular: whoever of the project's servers has it. */
static int ask_project(struct lookup *lookup, const char *key_hex, const struct digest *known,
		       struct digest *release_out, struct err *err)
{
	struct engine *engine = lookup->engine;
	size_t count = engine->project->environments.count;
	struct fleet **fleets = ARENA_NEW_ARRAY(&engine->arena, count, struct fleet *);
	bool found = false, interrupted = false;
	struct err away = ERR_INIT;

	/* While a fleet is open, the signals are its own. */
	engine_release_signals();
	for (size_t i = 0; i < count; i++)
		if (fleet_begin_environment(engine, &engine->project->environments.items[i], true, &fleets[i], &away)) {
			lookup->unsure = true;
			fleet_close(&fleets[i]);
		}
	for (size_t i = 0; i < count && !found && !interrupted; i++) {
		if (!fleets[i])
			continue;
		(void)!fleet_connected(fleets[i], &away);
		interrupted = fleet_interrupted(fleets[i]);
		tell_unasked(engine, &engine->project->environments.items[i], fleets[i]);
		found = !interrupted && fetch_from(lookup, fleets[i], key_hex, known, release_out);
		interrupted = interrupted || (!found && fleet_interrupted(fleets[i]));
	}
	for (size_t i = 0; i < count; i++)
		fleet_close(&fleets[i]);
	engine_watch_signals();
	return interrupted ? err_set(err, ERR_INTERRUPTED, "interrupted; nothing was built") : found;
}

static int ask_servers(void *context, const struct digest *key, const struct digest *known, struct digest *release_out,
		       struct err *err)
{
	struct lookup *lookup = context;
	char hex[DIGEST_HEX_LEN + 1];
	int found = 0;

	if (lookup->here_only) {
		lookup->missed = true;
		return err_set(err, ERR_NOT_FOUND, "not built on this machine");
	}
	digest_to_hex(key, hex);
	if (!lookup->fleets && !lookup->plain)
		found = ask_project(lookup, hex, known, release_out, err);
	for (size_t f = 0; f < lookup->fleet_count && !found; f++)
		found = fetch_from(lookup, lookup->fleets[f], hex, known, release_out);
	if (found == 0 && known && lookup->unsure && !lookup->plain) {
		digest_to_hex(known, hex);
		err_set(err, ERR_CONFLICT,
			"release %.12s was built of this tree before and is not in this store, and not everybody who may "
			"have it could be asked",
			hex);
		return err_hint(err, "build when those servers can be reached; where one is gone for good, take it out of %s: "
				     "then the tree is built again",
				lookup->engine->project->file);
	}
	/* What survives nowhere may be built again, and give something else. */
	if (found == 0 && known && release_forget_build(lookup->engine->home.db, lookup->engine->project->name, hex, err))
		return -1;
	return found;
}

static void tell_step(void *context, const char *line)
{
	struct lookup *lookup = context;

	tell_building(lookup);
	event_emit(&lookup->engine->events, "build", json_pack("{s:o}", "text", json_text(slice_of(line))));
}

static void tell_output(void *context, struct slice bytes)
{
	struct lookup *lookup = context;

	tell_building(lookup);
	event_emit(&lookup->engine->events, "output",
		   json_pack("{s:s, s:o}", "stream", "build", "text", json_text(bytes)));
}

static bool build_stopped(void *context)
{
	(void)context;
	return engine_stopped();
}

static const char *or_empty(const char *text) { return text ? text : ""; }

static int remember(struct engine *engine, const struct artifact *artifact, struct err *err)
{
	const struct release row = {
		.digest = artifact->hex,
		.project = engine->project->name,
		.tree = artifact->tree,
		.recipe = artifact->recipe,
		.platform = artifact->platform,
		.build_key = artifact->build_key,
		.commit = artifact->commit,
		.ref = artifact->ref,
		.subject = artifact->subject,
		.author = artifact->author,
		.log = artifact->log,
		.builder = engine->who,
		.committed_ms = artifact->committed_ms,
		.created_ms = clock_wall_ms(),
		.file_count = (int64_t)artifact->files,
		.total_size = (int64_t)artifact->bytes,
	};
	return release_insert(engine->home.db, &row, err);
}

static int get_of_ref(struct lookup *lookup, const struct environment *environment, const char *ref,
		      struct artifact *out, struct err *err)
{
	struct engine *engine = lookup->engine;
	struct arena *arena = &engine->arena;
	struct source *source;
	struct commit *commit = ARENA_NEW(arena, struct commit);
	struct recipe *recipe = ARENA_NEW(arena, struct recipe);
	struct build_result result;
	char hex[DIGEST_HEX_LEN + 1];

	lookup->commit = commit;
	if (engine_source(engine, true, &source, err))
		return -1;
	if (!ref)
		ref = environment && environment->deploy_on.kind == TRIGGER_TAG && !environment->ref
			      ? environment->deploy_on.tag
			      : environment ? environment_default_ref(environment) : "HEAD";
	if (source_resolve(source, ref, arena, commit, err))
		return strstr(err->text, source_url(source)) ? -1 : err_wrap(err, "%s", source_url(source));
	if ((commit->ref_kind == REF_TAG || commit->ref_kind == REF_PATTERN) &&
	    seen_tag_check(engine->home.db, engine->project->source, commit->ref, commit->hash, clock_wall_ms(), err))
		return -1;
	if (make_recipe(engine, source, commit, recipe, err))
		return -1;
	lookup->plain = recipe->build.command_count == 0;
	engine_watch_signals();
	const struct build_request request = {
		.home = engine->home.path,
		.project = engine->project->name,
		.store = engine->store,
		.source = source,
		.commit = commit,
		.recipe = &recipe->build,
		.protected_ref = commit->ref_kind == REF_TAG || commit->ref_kind == REF_PATTERN,
		.lookup = ask_servers,
		.step = tell_step,
		.output = tell_output,
		.stop = build_stopped,
		.context = lookup,
	};
	if (build_run(&request, arena, &result, err))
		return -1;
	if (result.lost)
		event_note(&engine->events, "warn",
			   "an earlier release of the same tree survives nowhere any more; it was built again");
	*out = (struct artifact){
		.release = result.record.release,
		.commit = commit->hash,
		.ref = commit->ref,
		.subject = commit->subject,
		.author = commit->author_name,
		.committed_ms = commit->committed_ms,
		.tree = commit->tree,
		.platform = or_empty(result.record.platform),
		.log = or_empty(result.record.log),
		.built = result.built,
		.from = result.built ? "built" : result.found ? "fetched back from a server" : "built before",
		.files = result.files,
		.bytes = result.bytes,
	};
	digest_to_hex(&out->release, out->hex);
	digest_to_hex(&result.record.key, hex);
	out->build_key = arena_strdup(arena, hex);
	digest_to_hex(&result.record.recipe, hex);
	out->recipe = arena_strdup(arena, hex);
	if (remember(engine, out, err))
		return -1;
	event_emit(&engine->events, "release",
		   json_pack("{s:s, s:s, s:b, s:s, s:I, s:I}", "release", out->hex, "commit", out->commit, "built",
			     out->built, "from", out->from, "files", (json_int_t)out->files, "bytes",
			     (json_int_t)out->bytes));
	return 0;
}

int artifact_of_ref(struct engine *engine, const struct environment *environment, const char *ref,
		    struct fleet *const *fleets, size_t fleet_count_, struct artifact *out, struct err *err)
{
	struct lookup lookup = { .engine = engine, .fleets = fleets, .fleet_count = fleet_count_ };

	return get_of_ref(&lookup, environment, ref, out, err);
}

int artifact_at_hand(struct engine *engine, const struct environment *environment, const char *ref,
		     struct artifact *out, bool *found_out, struct err *err)
{
	struct lookup lookup = { .engine = engine, .here_only = true };

	*found_out = get_of_ref(&lookup, environment, ref, out, err) == 0;
	if (*found_out || !lookup.missed)
		return *found_out ? 0 : -1;
	err_clear(err);
	return 0;
}

/* --- releases that exist ------------------------------------------------------------------ */

static void from_model(struct artifact *out, const struct release *row)
{
	*out = (struct artifact){
		.commit = or_empty(row->commit),
		.ref = or_empty(row->ref),
		.subject = or_empty(row->subject),
		.author = or_empty(row->author),
		.committed_ms = row->committed_ms,
		.tree = or_empty(row->tree),
		.recipe = or_empty(row->recipe),
		.build_key = or_empty(row->build_key),
		.platform = or_empty(row->platform),
		.log = or_empty(row->log),
		.from = "built before",
		.files = (uint64_t)row->file_count,
		.bytes = (uint64_t)row->total_size,
	};
	if (!digest_from_hex(slice_of(row->digest), &out->release))
		memset(&out->release, 0, sizeof(out->release));
	snprintf(out->hex, sizeof(out->hex), "%.64s", row->digest);
}

static void from_activation(struct artifact *out, const struct server_activation *activation)
{
	*out = (struct artifact){
		.release = activation->release,
		.commit = activation->commit,
		.ref = "",
		.subject = activation->subject,
		.author = "",
		.tree = "",
		.recipe = "",
		.build_key = "",
		.platform = "",
		.log = "",
		.from = "live on a server",
	};
	snprintf(out->hex, sizeof(out->hex), "%s", activation->release_hex);
}

/* What this machine knows about where a release came from, and when it was committed. */
static void add_provenance(struct engine *engine, struct artifact *artifact)
{
	struct err unknown = ERR_INIT;
	struct release row;
	struct source *source;
	struct commit commit;

	if (release_find(engine->home.db, &engine->arena, engine->project->name, slice_of(artifact->hex), &row,
			 &unknown) == 0) {
		const char *from = artifact->from;
		from_model(artifact, &row);
		artifact->from = from;
	}
	err_clear(&unknown);
	if (*artifact->commit && !artifact->committed_ms && engine_source(engine, false, &source, &unknown) == 0 &&
	    source_has_mirror(source) &&
	    source_load_commit(source, artifact->commit, &engine->arena, &commit, &unknown) == 0)
		artifact->committed_ms = commit.committed_ms;
}

int artifact_of_release(struct engine *engine, const char *digest, struct fleet *const *fleets, size_t fleet_count_,
			struct artifact *out, struct err *err)
{
	struct slice wanted = slice_of(digest);
	struct release row;

	if (release_find(engine->home.db, &engine->arena, engine->project->name, wanted, &row, err) == 0) {
		from_model(out, &row);
		return 0;
	}
	if (err->code != ERR_NOT_FOUND)
		return -1;
	for (size_t f = 0; f < fleet_count_; f++)
		for (size_t i = 0; fleets[f] && i < fleet_count(fleets[f]); i++) {
			const struct server_state *state = fleet_state(fleets[f], i);
			for (size_t a = 0; state && a < state->activation_count; a++) {
				struct slice hex = slice_of(state->activations[a].release_hex);
				if (wanted.len < 6 || hex.len < wanted.len || memcmp(hex.ptr, wanted.ptr, wanted.len) != 0)
					continue;
				err_clear(err);
				from_activation(out, &state->activations[a]);
				add_provenance(engine, out);
				return 0;
			}
		}
	return -1;
}

int artifact_of_fleet(struct engine *engine, const struct environment *environment, struct fleet *fleet,
		      struct artifact *out, struct err *err)
{
	const struct server_activation *first = NULL;

	for (size_t i = 0; i < fleet_count(fleet); i++) {
		const struct server_state *state = fleet_state(fleet, i);
		const struct server_activation *live = state_live(state);
		const char *label = environment->servers.items[i].place.text;
		if (!state) {
			const struct err *why = fleet_failure(fleet, i);
			err_set(err, why ? why->code : ERR_NETWORK, "%s of %s cannot be asked what is live: %s", label,
				environment->name, why ? why->text : "no connection");
			return -1;
		}
		if (!live) {
			err_set(err, ERR_GATE, "nothing is live on %s of %s", label, environment->name);
			return err_hint(err, "deploy there first: `lockstep deploy %s`", environment->name);
		}
		if (first && !digest_equal(&first->release, &live->release)) {
			err_set(err, ERR_GATE, "the servers of %s do not run the same release: %.12s and %.12s (%s)",
				environment->name, first->release_hex, live->release_hex, label);
			return err_hint(err, "deploy to %s again first", environment->name);
		}
		if (!first)
			first = live;
	}
	from_activation(out, first);
	add_provenance(engine, out);
	return 0;
}

static bool server_has(struct fleet *fleet, size_t server, const struct digest *release)
{
	const struct server_state *state = fleet_state(fleet, server);

	for (size_t a = 0; state && a < state->activation_count; a++)
		if (digest_equal(&state->activations[a].release, release))
			return true;
	return false;
}

/* Whole: the manifest and every object it names. */
static bool store_has_all(struct engine *engine, const struct digest *release)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct manifest manifest;
	struct err err = ERR_INIT;

	if (!store_has_manifest(engine->store, release) ||
	    store_load_manifest(engine->store, release, &arena, &manifest, &err))
		return false;
	for (size_t i = 0; i < manifest.count; i++)
		if (manifest.entries[i].type != ENTRY_DIR && !store_has_object(engine->store, &manifest.entries[i].digest))
			return false;
	return true;
}

int artifact_fetch(struct engine *engine, const struct artifact *artifact, struct fleet *const *fleets,
		   size_t fleet_count_, struct err *err)
{
	if (store_has_all(engine, &artifact->release))
		return 0;
	err_set(err, ERR_NOT_FOUND, "release %.12s is neither in the store nor on a server that can be reached",
		artifact->hex);
	err_hint(err, "deploy the commit again (--ref %.12s): it is rebuilt when no copy survives anywhere",
		 *artifact->commit ? artifact->commit : "REF");
	for (size_t f = 0; f < fleet_count_; f++)
		for (size_t i = 0; fleets[f] && i < fleet_count(fleets[f]); i++) {
			if (!server_has(fleets[f], i, &artifact->release))
				continue;
			event_step(&engine->events, "fetch-back", artifact->hex);
			if (fleet_fetch_release(fleets[f], i, &artifact->release, engine->store, err) == 0) {
				err_clear(err);
				return 0;
			}
		}
	return -1;
}
