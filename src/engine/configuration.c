#include "engine/configuration.h"

#include "base/fd.h"
#include "secret/provider.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>

struct configuration_reading {
	struct source {
		const struct value_source *from;
		enum value_level level;
		struct arena arena;
		struct safe *safe;
	} * sources;
	struct provider_call *calls;
	struct provider_entries *results;
	size_t count;
	struct safe *safe;  /* plain values, and what was put together */
	struct arena arena; /* texts that hold secrets nowhere else */
	struct buf *files;  /* rendered; wiped at the end */
	size_t file_count, file_room;
	struct beside {
		const char *from;
		struct buf text;
	} * besides; /* files beside lockstep.yml, each as it was when it was read first */
	size_t beside_count;
	pthread_t thread;
	bool running, finished;
	int result;
	struct err err;
};

/* --- asking ------------------------------------------------------------------------- */

static enum value_level level_of(const struct environment *environment, const char *scope,
				 enum value_level otherwise)
{
	if (!scope)
		return otherwise;
	for (size_t i = 0; i < environment->groups.count; i++)
		if (strcmp(environment->groups.items[i], scope) == 0)
			return LEVEL_GROUP;
	return LEVEL_SERVER;
}

static bool scope_is_here(const struct environment *environment, const char *scope)
{
	if (!scope || level_of(environment, scope, LEVEL_SERVER) == LEVEL_GROUP)
		return true;
	for (size_t i = 0; i < environment->servers.count; i++)
		if (strcmp(environment->servers.items[i].place.text, scope) == 0)
			return true;
	return false;
}

static void add_source(struct configuration *configuration, const struct value_source *from,
		       enum value_level level)
{
	struct configuration_reading *reading = configuration->reading;
	struct engine *engine = configuration->engine;
	struct source *source = &reading->sources[reading->count];
	struct provider_call *call = &reading->calls[reading->count];

	/* What is for a group or a server of other environments only. */
	if (!scope_is_here(configuration->environment, from->scope))
		return;
	reading->count++;
	*source = (struct source){
		.from = from,
		.level = level_of(configuration->environment, from->scope, level),
		.safe = safe_open(),
	};
	struct provider_mapping *mappings =
		ARENA_NEW_ARRAY(&engine->arena, from->keys.count, struct provider_mapping);
	for (size_t i = 0; i < from->keys.count; i++)
		mappings[i] = (struct provider_mapping){from->keys.items[i].name, from->keys.items[i].path};
	*call = (struct provider_call){
		.arena = &source->arena,
		.safe = source->safe,
		.url = from->from,
		.endpoint = from->endpoint,
		.folder = engine->project->dir,
		.project = engine->project->name,
		.environment = configuration->environment->name,
		.names_only = configuration->names_only,
		.mappings = mappings,
		.mapping_count = from->keys.count,
	};
}

static void *ask(void *context)
{
	struct configuration_reading *reading = context;

	reading->result = providers_read(reading->calls, reading->count, reading->results, &reading->err);
	return NULL;
}

void configuration_begin(struct engine *engine, const struct environment *environment, bool names_only,
			 struct configuration *out)
{
	const struct project *project = engine->project;
	size_t most = project->values_from.count + environment->values_from.count;
	struct configuration_reading *reading = ARENA_NEW(&engine->arena, struct configuration_reading);

	*out = (struct configuration){
		.engine = engine,
		.environment = environment,
		.names_only = names_only,
		.reading = reading,
	};
	reading->err = ERR_INIT;
	reading->safe = safe_open();
	reading->sources = ARENA_NEW_ARRAY(&engine->arena, most, struct source);
	reading->calls = ARENA_NEW_ARRAY(&engine->arena, most, struct provider_call);
	reading->results = ARENA_NEW_ARRAY(&engine->arena, most, struct provider_entries);
	for (size_t i = 0; i < project->values_from.count; i++)
		add_source(out, &project->values_from.items[i], LEVEL_PROJECT);
	for (size_t i = 0; i < environment->values_from.count; i++)
		add_source(out, &environment->values_from.items[i], LEVEL_ENVIRONMENT);
	if (reading->count == 0)
		reading->finished = true;
	else if (pthread_create(&reading->thread, NULL, ask, reading) == 0)
		reading->running = true;
}

static int answers(struct configuration_reading *reading, struct err *err)
{
	if (reading->running)
		pthread_join(reading->thread, NULL);
	else if (!reading->finished)
		ask(reading);
	reading->running = false;
	reading->finished = true;
	if (reading->result)
		*err = reading->err;
	return reading->result;
}

/* --- candidates ------------------------------------------------------------------------ */

static struct candidate *next_candidate(struct configuration *configuration)
{
	return &configuration->candidates[configuration->candidate_count++];
}

static bool is_secret(const struct configuration *configuration, const char *name, bool plain)
{
	const struct contract_key *key = contract_find(&configuration->engine->project->env, slice_of(name));

	return key ? key->secret : !plain;
}

static int add_plain(struct configuration *configuration, const struct value_list *values,
		     const struct node *written, enum value_level level, const char *scope, struct err *err)
{
	for (size_t i = 0; i < values->count; i++) {
		struct candidate *candidate = next_candidate(configuration);
		*candidate = (struct candidate){
			.name = values->items[i].name,
			.level = level,
			.scope = scope,
			.place = origin_text(&configuration->engine->arena,
					     node_key_origin(written, values->items[i].name)),
		};
		if (safe_put(configuration->reading->safe, slice_of(values->items[i].text), &candidate->value,
			     err))
			return -1;
	}
	return 0;
}

static int add_defaults(struct configuration *configuration, struct err *err)
{
	const struct contract *contract = &configuration->engine->project->env;

	for (size_t i = 0; i < contract->keys.count; i++) {
		const struct contract_key *key = &contract->keys.items[i];
		if (!key->fallback)
			continue;
		struct candidate *candidate = next_candidate(configuration);
		*candidate = (struct candidate){
			.name = key->name,
			.level = LEVEL_DEFAULT,
			.place = origin_text(&configuration->engine->arena,
					     node_key_origin(key->node, "default")),
		};
		if (safe_put(configuration->reading->safe, slice_of(key->fallback), &candidate->value, err))
			return -1;
	}
	return 0;
}

static void add_entries(struct configuration *configuration, const struct source *source,
			const struct provider_entries *entries)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct provider_entry *entry = &entries->items[i];
		*next_candidate(configuration) = (struct candidate){
			.name = entry->name,
			.value = entry->value,
			.secret = is_secret(configuration, entry->name, entry->plain),
			.level = source->level,
			.scope = source->from->scope,
			.place = entry->place,
			.version = entry->version ? entry->version : entries->version,
		};
	}
}

static int gather(struct configuration *configuration, struct err *err)
{
	const struct environment *environment = configuration->environment;
	const struct configuration_reading *reading = configuration->reading;
	const struct node *scoped_node = node_get(environment->node, "values_for");
	size_t count = configuration->engine->project->env.keys.count + environment->values.count;

	for (size_t i = 0; i < environment->values_for.count; i++)
		count += environment->values_for.items[i].values.count;
	for (size_t i = 0; i < reading->count; i++)
		count += reading->results[i].count;
	configuration->candidates = ARENA_NEW_ARRAY(&configuration->engine->arena, count, struct candidate);
	if (add_defaults(configuration, err) ||
	    add_plain(configuration, &environment->values, node_get(environment->node, "values"),
		      LEVEL_ENVIRONMENT, NULL, err))
		return -1;
	for (size_t i = 0; i < environment->values_for.count; i++) {
		const struct scoped_values *scoped = &environment->values_for.items[i];
		if (add_plain(configuration, &scoped->values, node_get(scoped_node, scoped->scope),
			      level_of(environment, scoped->scope, LEVEL_GROUP), scoped->scope, err))
			return -1;
	}
	for (size_t i = 0; i < reading->count; i++)
		add_entries(configuration, &reading->sources[i], &reading->results[i]);
	candidates_sort(configuration->candidates, configuration->candidate_count);
	return 0;
}

/* --- resolving --------------------------------------------------------------------------- */

int configuration_resolve_sets(struct configuration *configuration, struct err *err)
{
	const struct environment *environment = configuration->environment;
	struct arena *arena = &configuration->engine->arena;

	configuration->set_count = environment->servers.count;
	configuration->sets = ARENA_NEW_ARRAY(arena, configuration->set_count, struct config_set);
	if (config_resolve(arena, configuration->candidates, configuration->candidate_count,
			   &(struct resolve_scope){0}, &configuration->whole, err))
		return err_wrap(err, "%s", environment->name);
	for (size_t i = 0; i < configuration->set_count; i++) {
		const struct resolve_scope scope = {
			.server = environment->servers.items[i].place.text,
			.group = environment->servers.items[i].group,
		};
		if (config_resolve(arena, configuration->candidates, configuration->candidate_count, &scope,
				   &configuration->sets[i], err))
			return err_wrap(err, "%s, %s", environment->name, scope.server);
	}
	return 0;
}

int configuration_finish(struct configuration *configuration, struct err *err)
{
	if (answers(configuration->reading, err))
		return err_wrap(err, "the values of %s", configuration->environment->name);
	if (gather(configuration, err) || configuration_resolve_sets(configuration, err))
		return -1;
	for (size_t i = 0; i < configuration->candidate_count; i++) {
		const struct candidate *candidate = &configuration->candidates[i];
		if (candidate->secret && secret_present(candidate->value))
			event_mask(&configuration->engine->events, candidate->value);
	}
	return 0;
}

int configuration_read(struct engine *engine, const struct environment *environment, bool names_only,
		       struct configuration *out, struct err *err)
{
	configuration_begin(engine, environment, names_only, out);
	return configuration_finish(out, err);
}

void configuration_close(struct configuration *configuration)
{
	struct configuration_reading *reading = configuration->reading;
	struct err unheard = ERR_INIT;

	if (!reading)
		return;
	(void)!answers(reading, &unheard);
	for (size_t i = 0; i < reading->count; i++) {
		safe_close(&reading->sources[i].safe);
		arena_free(&reading->sources[i].arena);
	}
	for (size_t i = 0; i < reading->file_count; i++)
		buf_wipe_free(&reading->files[i]);
	free(reading->files);
	for (size_t i = 0; i < reading->beside_count; i++)
		buf_wipe_free(&reading->besides[i].text);
	free(reading->besides);
	safe_close(&configuration->pinned);
	safe_close(&reading->safe);
	arena_free(&reading->arena);
	*configuration = (struct configuration){0};
}

/* --- the contract -------------------------------------------------------------------------- */

static bool speaks_of_others(const struct contract *contract)
{
	for (size_t i = 0; i < contract->keys.count; i++)
		if (contract->keys.items[i].same || contract->keys.items[i].unique)
			return true;
	return false;
}

int configuration_check(struct configuration *configuration, struct err *err)
{
	struct engine *engine = configuration->engine;
	const struct project *project = engine->project;
	const struct environment *environment = configuration->environment;
	size_t most = speaks_of_others(&project->env) ? project->environments.count : 0;
	struct configuration *others = ARENA_NEW_ARRAY(&engine->arena, most, struct configuration);
	const struct environment_values subject = {environment->name, configuration->sets,
						   configuration->set_count};

	for (size_t i = 0; i < most; i++)
		if (strcmp(project->environments.items[i].name, environment->name) != 0)
			configuration_begin(engine, &project->environments.items[i], false, &others[i]);
	contract_check(&engine->arena, &project->env, &subject, NULL, 0, &configuration->problems);
	for (size_t i = 0; i < most; i++) {
		struct err unread = ERR_INIT;
		if (!others[i].environment)
			continue;
		if (configuration_finish(&others[i], &unread)) {
			event_note(&engine->events, "warn",
				   "not checked against %s, whose values cannot be read: %s",
				   others[i].environment->name, unread.text);
		} else {
			const struct environment_values read = {others[i].environment->name, others[i].sets,
								others[i].set_count};
			contract_check_against(&engine->arena, &project->env, &subject, &read,
					       &configuration->problems);
		}
		configuration_close(&others[i]);
	}
	for (size_t i = 0; i < configuration->problems.count; i++)
		if (!configuration->problems.items[i].refuses)
			event_note(&engine->events, "warn", "%s", configuration->problems.items[i].text);
	return contract_problems_check(&configuration->problems, environment->name, err);
}

/* "deploy/staging.sealed" of "deploy/staging.sealed:7". */
static struct slice without_line(const char *place)
{
	struct slice text = slice_of(place);
	size_t len = text.len;

	while (len && text.ptr[len - 1] >= '0' && text.ptr[len - 1] <= '9')
		len--;
	return len && len < text.len && text.ptr[len - 1] == ':' ? slice_make(text.ptr, len - 1) : text;
}

static bool is_earlier(const struct candidate *now, const struct config_entry *then)
{
	const char *scope = now->level >= LEVEL_GROUP ? now->scope : NULL;
	uint64_t version, deployed;

	return strcmp(scope ? scope : "", then->scope ? then->scope : "") == 0 && now->version && then->version &&
	       slice_equal(without_line(now->place), without_line(then->place)) &&
	       slice_to_u64(slice_of(now->version), &version) &&
	       slice_to_u64(slice_of(then->version), &deployed) && version < deployed;
}

void configuration_warn_earlier(struct configuration *configuration)
{
	struct engine *engine = configuration->engine;
	struct config_entry_list entries;
	struct config_version version;
	struct err ignored = ERR_INIT;
	size_t first = 0;
	bool found;

	if (config_version_find(engine->home.db, &engine->arena, engine->project->name,
				configuration->environment->name, NULL, &found, &version, &ignored) ||
	    !found || config_entry_list(engine->home.db, &engine->arena, &version, &entries, &ignored))
		return;
	/* Both are sorted by name. */
	for (size_t i = 0; i < configuration->candidate_count; i++) {
		const struct candidate *now = &configuration->candidates[i];
		while (first < entries.count && strcmp(entries.items[first].name, now->name) < 0)
			first++;
		for (size_t j = first; j < entries.count && strcmp(entries.items[j].name, now->name) == 0; j++)
			if (is_earlier(now, &entries.items[j]))
				event_note(&engine->events, "warn",
					   "%s is version %s at %s, and version %s was deployed before: did "
					   "somebody put an earlier value back?",
					   now->name, now->version, now->place, entries.items[j].version);
	}
}

/* --- files ----------------------------------------------------------------------------------- */

/* A buffer that is wiped at the end; its address changes when another is added. */
static struct buf *new_file(struct configuration_reading *reading, size_t max)
{
	if (reading->file_count == reading->file_room) {
		reading->file_room = MAX(reading->file_room * 2, (size_t)16);
		reading->files = mem_grow(reading->files, reading->file_room, sizeof(*reading->files));
	}
	struct buf *file = &reading->files[reading->file_count++];
	*file = BUF_SECRET(max);
	return file;
}

static int read_file(struct configuration *configuration, const struct config_file *file, struct buf *out,
		     struct err *err)
{
	const char *folder = configuration->engine->project->dir;
	AUTO(close_fd) int dir_fd = -1;
	AUTO(close_fd) int fd = -1;

	if (dir_open_at(AT_FDCWD, folder ? folder : ".", &dir_fd, err) ||
	    open_beneath(dir_fd, file->from, O_RDONLY | O_NONBLOCK, 0, true, &fd, err) ||
	    fd_read_all(fd, out, err)) {
		err_wrap(err, "%s", file->from);
		return err_hint(err, "`files` names it at %s",
				origin_text(&configuration->engine->arena, file->node->origin));
	}
	return 0;
}

/* Read once: what is named, sent and written down is the same, whoever saves the file meanwhile. */
static int read_beside(struct configuration *configuration, const struct config_file *file, size_t max, struct buf *out,
		       struct err *err)
{
	struct configuration_reading *reading = configuration->reading;
	struct beside *found = NULL;

	for (size_t i = 0; i < reading->beside_count && !found; i++)
		if (strcmp(reading->besides[i].from, file->from) == 0)
			found = &reading->besides[i];
	if (!found) {
		struct buf text = BUF_SECRET(max);
		if (read_file(configuration, file, &text, err)) {
			buf_wipe_free(&text);
			return -1;
		}
		reading->besides = mem_grow(reading->besides, reading->beside_count + 1, sizeof(*reading->besides));
		found = &reading->besides[reading->beside_count++];
		*found = (struct beside){ file->from, text };
	}
	buf_put_slice(out, buf_slice(&found->text));
	return buf_check(out, file->from, err);
}

static int render_template(struct configuration *configuration, const struct config_file *file,
			   const struct config_set *set, struct buf *out, struct err *err)
{
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(TEMPLATE_MAX);
	const struct template_spec spec = {
		.name = file->from,
		.syntax = file->syntax,
		.quote = file->quote,
	};
	struct template_spec with_text = spec;

	if (read_beside(configuration, file, TEMPLATE_MAX, &text, err))
		return -1;
	with_text.text = buf_slice(&text);
	return template_render(&with_text, set, out, err);
}

static bool wanted(const struct config_file *file, const char *name)
{
	for (size_t i = 0; i < file->only.count; i++)
		if (slice_glob_match(slice_of(file->only.items[i]), slice_of(name)))
			return true;
	return file->only.count == 0;
}

static int render_env(struct configuration *configuration, const struct config_file *file,
		      const struct config_set *set, struct buf *out, struct err *err)
{
	struct config_set some = {
		.values = ARENA_NEW_ARRAY(&configuration->engine->arena, set->count, struct config_value),
	};

	for (size_t i = 0; i < set->count; i++)
		if (wanted(file, set->values[i].name))
			some.values[some.count++] = set->values[i];
	return env_file_write(file->grammar, &some, out, err);
}

struct rendering {
	struct configuration *configuration;
	const struct config_set *set;
	struct rendered_file *files;
	size_t count, room;
};

/* The content is set once all files are there, since buffers move. */
static struct rendered_file *add_rendered(struct rendering *rendering)
{
	if (rendering->count == rendering->room) {
		size_t room = MAX(rendering->room * 2, (size_t)16);
		struct rendered_file *files =
			ARENA_NEW_ARRAY(&rendering->configuration->engine->arena, room, struct rendered_file);
		if (rendering->count)
			memcpy(files, rendering->files, rendering->count * sizeof(*files));
		rendering->files = files;
		rendering->room = room;
	}
	return &rendering->files[rendering->count++];
}

static int collect(void *context, struct slice bytes, struct err *err)
{
	struct buf *out = context;

	buf_put_slice(out, bytes);
	return buf_check(out, "the file", err);
}

/* Files of the release in which names stand that a build would have baked in. */
static int substitute(struct rendering *rendering, const struct config_file *file,
		      const struct digest *release, struct err *err)
{
	struct configuration *configuration = rendering->configuration;
	struct engine *engine = configuration->engine;
	struct manifest *manifest = ARENA_NEW(&engine->arena, struct manifest);

	if (!release)
		return 0;
	if (store_load_manifest(engine->store, release, &engine->arena, manifest, err))
		return err_wrap(err, "substitute %s", file->from);
	for (size_t i = 0; i < manifest->count; i++) {
		const struct entry *entry = &manifest->entries[i];
		AUTO(buf_wipe_free) struct buf content = BUF_SECRET(TEMPLATE_MAX);
		size_t replaced = 0;
		if (entry->type != ENTRY_FILE || !slice_glob_match(slice_of(file->from), entry->path))
			continue;
		if (store_read_object(engine->store, &entry->digest, collect, &content, err))
			return err_wrap(err, "%.*s", SLICE_ARG(entry->path));
		struct buf *out = new_file(configuration->reading, 2 * (size_t)TEMPLATE_MAX);
		if (template_substitute(arena_str(&engine->arena, entry->path), buf_slice(&content),
					rendering->set, out, &replaced, err))
			return -1;
		if (replaced == 0) {
			buf_wipe_free(out);
			configuration->reading->file_count--;
			continue;
		}
		*add_rendered(rendering) = (struct rendered_file){
			.path = arena_str(&engine->arena, entry->path),
			.mode = file->mode ? file->mode : entry->mode,
			.owner = file->owner,
			.group = file->group,
		};
	}
	return 0;
}

static int render_one(struct rendering *rendering, const struct config_file *file,
		      const struct digest *release, struct err *err)
{
	struct configuration *configuration = rendering->configuration;

	if (file->kind == FILE_SUBSTITUTE)
		return substitute(rendering, file, release, err);
	struct buf *out = new_file(configuration->reading, 2 * (size_t)TEMPLATE_MAX);
	int result = file->kind == FILE_TEMPLATE
			     ? render_template(configuration, file, rendering->set, out, err)
		     : file->kind == FILE_ENV ? render_env(configuration, file, rendering->set, out, err)
					      : read_beside(configuration, file, 2 * (size_t)TEMPLATE_MAX, out, err);
	if (result)
		return -1;
	*add_rendered(rendering) = (struct rendered_file){
		.path = file->path,
		.mode = file->mode ? file->mode : 0640,
		.owner = file->owner,
		.group = file->group,
	};
	return 0;
}

/* A server of no particular group belongs to every group. */
static bool is_for(const struct environment *environment, const struct config_file *file,
		   const struct server *server)
{
	if (!file->scope || strcmp(file->scope, server->place.text) == 0)
		return true;
	return level_of(environment, file->scope, LEVEL_ENVIRONMENT) == LEVEL_GROUP &&
	       server_in_group(server, file->scope);
}

int configuration_render(struct configuration *configuration, size_t server, const struct digest *release,
			 struct rendered_file **files_out, size_t *count_out, struct err *err)
{
	const struct environment *environment = configuration->environment;
	struct rendering rendering = {.configuration = configuration, .set = &configuration->sets[server]};
	size_t before = configuration->reading->file_count;

	for (size_t i = 0; i < environment->files.count; i++) {
		const struct config_file *file = &environment->files.items[i];
		if (is_for(environment, file, &environment->servers.items[server]) &&
		    render_one(&rendering, file, release, err))
			return err_wrap(err, "%s", environment->servers.items[server].place.text);
	}
	for (size_t i = 0; i < rendering.count; i++)
		rendering.files[i].content = buf_slice(&configuration->reading->files[before + i]);
	*files_out = rendering.files;
	*count_out = rendering.count;
	return 0;
}

static int compare_paths(const void *a, const void *b)
{
	const struct config_set_file *left = a, *right = b;
	int order = (int)left->pattern - (int)right->pattern;

	return order ? order : strcmp(left->path, right->path);
}

int configuration_files(struct configuration *configuration, size_t server,
			struct config_set_file **files_out, size_t *count_out, struct err *err)
{
	const struct environment *environment = configuration->environment;
	struct rendered_file *rendered;
	size_t count;

	if (configuration_render(configuration, server, NULL, &rendered, &count, err))
		return -1;
	struct config_set_file *files = ARENA_NEW_ARRAY(
		&configuration->engine->arena, count + environment->files.count, struct config_set_file);
	for (size_t i = 0; i < count; i++)
		files[i] = (struct config_set_file){
			.path = rendered[i].path,
			.mode = rendered[i].mode,
			.owner = rendered[i].owner,
			.group = rendered[i].group,
			.content = rendered[i].content,
		};
	for (size_t i = 0; i < environment->files.count; i++) {
		const struct config_file *file = &environment->files.items[i];
		if (file->kind == FILE_SUBSTITUTE &&
		    is_for(environment, file, &environment->servers.items[server]))
			files[count++] = (struct config_set_file){
				.path = file->from,
				.pattern = true,
				.mode = file->mode,
				.owner = file->owner,
				.group = file->group,
			};
	}
	if (count)
		qsort(files, count, sizeof(*files), compare_paths);
	*files_out = files;
	*count_out = count;
	return 0;
}

void configuration_wipe_files(struct configuration *configuration)
{
	struct configuration_reading *reading = configuration->reading;

	while (reading->file_count)
		buf_wipe_free(&reading->files[--reading->file_count]);
}

/* --- variables ----------------------------------------------------------------------------------- */

void configuration_variables(const struct configuration *configuration, size_t server, struct variables *out)
{
	const struct config_set *set = &configuration->sets[server];
	struct arena *arena = &configuration->engine->arena;
	const char **plain = ARENA_NEW_ARRAY(arena, set->count, const char *);
	struct secret_variable *secret = ARENA_NEW_ARRAY(arena, set->count, struct secret_variable);

	*out = (struct variables){.plain = {.items = plain}, .secret = secret};
	for (size_t i = 0; i < set->count; i++) {
		struct slice text = secret_reveal(set->values[i].value);
		/* A NUL cannot stand in a variable. */
		if (!secret_present(set->values[i].value) || slice_find(text, '\0') >= 0)
			continue;
		if (set->values[i].secret)
			secret[out->secret_count++] = (struct secret_variable){set->values[i].name, text};
		else
			plain[out->plain.count++] =
				arena_printf(arena, "%s=%.*s", set->values[i].name, SLICE_ARG(text));
	}
}

bool configuration_uniform(const struct configuration *configuration)
{
	for (size_t i = 0; i < configuration->candidate_count; i++)
		if (configuration->candidates[i].level >= LEVEL_GROUP)
			return false;
	return true;
}
