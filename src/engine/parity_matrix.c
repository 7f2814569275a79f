#include "engine/parity_matrix.h"

#include "base/clock.h"
#include "engine/parity_history.h"

void matrix_close(struct matrix *matrix)
{
	for (size_t i = 0; i < matrix->input.column_count; i++)
		fact_reader_free(&matrix->columns[i].reader);
	map_free(&matrix->edited);
	parity_rules_close(&matrix->rules);
	observation_close(&matrix->seen);
}

static int find_reference(struct engine *engine, const struct parity_request *request, struct matrix *matrix,
			  struct err *err)
{
	const struct observation *seen = &matrix->seen;
	const char *wanted = request->reference;

	matrix->input.reference = seen->environment_count - 1;
	if (!wanted && engine->project)
		wanted = engine->project->parity.reference;
	for (size_t i = 0; wanted && i < seen->environment_count; i++)
		if (strcmp(seen->environments[i], wanted) == 0) {
			matrix->input.reference = i;
			return 0;
		}
	return request->reference
		       ? err_set(err, ERR_USER, "--reference %s is none of what is compared", wanted)
		       : 0;
}

void matrix_rewind(struct matrix *matrix)
{
	size_t column = 0;

	for (size_t i = 0; i < matrix->seen.count; i++) {
		const struct observed *item = &matrix->seen.items[i];
		size_t environment = 0;
		while (strcmp(matrix->seen.environments[environment], item->environment) != 0)
			environment++;
		fact_reader_free(&matrix->columns[column].reader);
		matrix->columns[column++] = (struct compare_column){
			.environment = environment,
			.server = item->label,
			.group = item->group,
			.reader = fact_reader_of_fd(item->fd),
			.stale = item->stale,
		};
	}
	matrix->input.columns = matrix->columns;
	matrix->input.column_count = column;
}

bool matrix_is_released_file(struct slice key)
{
	return slice_is(fact_dimension(key), "file") && !slice_starts_with(key, "file//") &&
	       !slice_starts_with(key, "file/shared/") && !slice_is(key, "file/");
}

/* With a release beside places only what a release has is compared. */
static bool has_a_release(struct slice key)
{
	struct slice attribute = fact_attribute(key);

	return matrix_is_released_file(key) && !slice_starts_with(key, "file/./") &&
	       (slice_is(attribute, "content") || slice_is(attribute, "mode") ||
		slice_is(attribute, "modified") || slice_is(attribute, "edited"));
}

bool matrix_comes_with_release(struct slice key)
{
	return matrix_is_released_file(key) || slice_glob_match(SLICE("runtime/*/pin/*"), key) ||
	       slice_glob_match(SLICE("runtime/*/lock/*"), key) ||
	       slice_starts_with(key, "container/compose:");
}

/* Each environment's config files hold its own values. That they are there, with their modes, is
 * compared all the same. */
static bool is_config_content(const struct matrix *matrix, struct slice key)
{
	if (!matrix->writes_config || !slice_is(fact_attribute(key), "content") ||
	    !matrix_is_released_file(key))
		return false;
	for (size_t i = 0; i < matrix->seen.count; i++)
		if (matrix->seen.items[i].of &&
		    environment_renders(matrix->seen.items[i].of, fact_subject(key)))
			return true;
	return false;
}

/* Where the servers run different releases their files differ because of that; what is
 * compared then is what somebody edited. */
static bool is_wanted(void *context, struct slice key)
{
	const struct matrix *matrix = context;

	if (slice_is(key, "file/./put_by") || slice_is(key, "file/./times") || slice_is(key, "file/./live"))
		return true;
	if (slice_is(key, "file/./unjudged"))
		return matrix->releases_differ;
	if (slice_is(key, "file/./commit"))
		return matrix->commits_known;
	if (matrix->with_release)
		return slice_is(key, "file/") || has_a_release(key);
	if ((matrix->releases_differ && matrix_comes_with_release(key)) || is_config_content(matrix, key))
		return map_get(&matrix->edited, fact_subject(key)) != NULL;
	return true;
}

/* What nobody deployed yet is not missing: it was not looked at. */
static const char *why_unseen(void *context, size_t column, struct slice key)
{
	const struct matrix *matrix = context;

	return matrix->not_live && matrix_comes_with_release(key) ? matrix->not_live[column] : NULL;
}

static int note_edited(struct engine *engine, struct matrix *matrix, const struct observed *item,
		       struct err *err)
{
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_fd(item->fd);
	struct fact fact;
	int got;

	while ((got = fact_next(reader, &fact, err)) > 0)
		if (fact.evidence && slice_is(fact_dimension(fact.key), "file") &&
		    slice_is(fact_attribute(fact.key), "edited"))
			map_put(&matrix->edited, arena_slice(&engine->arena, fact_subject(fact.key)), matrix);
	return got;
}

/* What a server shows of its release. */
struct shown {
	const char *commit;   /* of a checkout, or of Capistrano's REVISION; NULL: not known */
	const char *by;	      /* who can say what its files should be: "git", "lockstep"; NULL: nobody */
	const char *not_live; /* it was looked at, and this is why nothing is live; NULL: something is */
	bool nothing;	      /* nothing was put there yet */
};

static int find_shown(struct engine *engine, const struct observed *item, struct shown *out, struct err *err)
{
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_fd(item->fd);
	struct fact fact;
	int got;

	*out = (struct shown){0};
	bool in_vain = false;
	while ((got = fact_next(reader, &fact, err)) > 0 && slice_compare(fact.key, SLICE("file/./q")) < 0) {
		if (slice_is(fact.key, "file/"))
			in_vain = fact.kind == FACT_NOT_CHECKED;
		else if (slice_is(fact.key, "file/./live") && !item->why && !item->stale)
			out->not_live = arena_str(&engine->arena, fact.value);
		else if (slice_is(fact.key, "file/./commit") && fact.kind == FACT_TEXT)
			out->commit = arena_str(&engine->arena, fact.value);
		else if (slice_is(fact.key, "file/./put_by") && fact.kind == FACT_TEXT)
			out->by = arena_str(&engine->arena, fact.value);
	}
	out->nothing = out->not_live && !in_vain;
	return got < 0 ? -1 : 0;
}

/* Whether two servers show different releases, each of which can tell its hand edits. Of a
 * place somebody copied files to nothing is known that would excuse one. */
static bool differ(const struct observed *a, const struct shown *x, const struct observed *b,
		   const struct shown *y)
{
	if (*a->applied.release && *b->applied.release)
		return strcmp(a->applied.release, b->applied.release) != 0;
	return x->by && y->by && strcmp(x->by, "git") == 0 && strcmp(y->by, "git") == 0 && x->commit &&
	       y->commit && strcmp(x->commit, y->commit) != 0;
}

/* The last that has something to hold the others against. */
static void find_live_reference(struct matrix *matrix)
{
	for (size_t i = 0; i < matrix->seen.count; i++)
		for (size_t e = 0; e < matrix->seen.environment_count && !matrix->not_live[i]; e++)
			if (strcmp(matrix->seen.items[i].environment, matrix->seen.environments[e]) == 0)
				matrix->input.reference = e;
}

/* `chosen`: somebody said which is the reference. */
static int find_releases(struct engine *engine, bool chosen, struct matrix *matrix, struct err *err)
{
	const struct observation *seen = &matrix->seen;
	struct shown *shown = ARENA_NEW_ARRAY(&engine->arena, seen->count, struct shown);
	bool differs = false, known = true, live_known = true, all_live = true;
	size_t live = 0;

	matrix->commits_known = true;
	matrix->not_live = ARENA_NEW_ARRAY(&engine->arena, seen->count, const char *);
	for (size_t i = 0; i < seen->count; i++) {
		const struct observed *item = &seen->items[i], *first = &seen->items[0];
		if (find_shown(engine, item, &shown[i], err))
			return -1;
		matrix->writes_config = matrix->writes_config || (item->of && item->of->files.count);
		matrix->not_live[i] = shown[i].not_live;
		all_live = all_live && !shown[i].not_live;
		live += !shown[i].nothing;
		differs = differs || differ(item, &shown[i], first, &shown[0]);
		bool tells = *item->applied.release || shown[i].by;
		known = known && tells;
		live_known = live_known && (tells || shown[i].nothing);
		matrix->commits_known = matrix->commits_known && shown[i].commit;
	}
	/* With one release alone there is nothing to hold it against; among several that each can
	 * tell its hand edits, these say all. */
	matrix->releases_differ = (live < seen->count && (live < 2 || live_known)) || (differs && known);
	if (!all_live && !matrix->releases_differ && !chosen)
		find_live_reference(matrix);
	for (size_t i = 0; (matrix->releases_differ || matrix->writes_config) && i < seen->count; i++)
		if (note_edited(engine, matrix, &seen->items[i], err))
			return -1;
	return 0;
}

int matrix_open(struct engine *engine, const struct parity_request *request, struct matrix *matrix,
		struct err *err)
{
	struct observe_request look = {
		.subjects = request->subjects,
		.count = request->count,
		.only = request->only,
		.only_count = request->only_count,
		.no_databases = request->no_databases,
		.offline = request->offline,
	};
	static const char *const files[] = {"file"};
	bool release = false;

	for (size_t i = 0; i < request->count; i++)
		release = release || strncmp(request->subjects[i], "release:", 8) == 0;
	if (release && !request->only_count) {
		look.only = files;
		look.only_count = 1;
	}
	if (observe(engine, &look, &matrix->seen, err))
		return -1;
	parity_history_stale(engine, &matrix->seen);
	if (find_reference(engine, request, matrix, err) || parity_rules_open(engine, &matrix->rules, err))
		return -1;
	matrix->columns = ARENA_NEW_ARRAY(&engine->arena, matrix->seen.count, struct compare_column);
	matrix->input.environments = matrix->seen.environments;
	matrix->input.environment_count = matrix->seen.environment_count;
	matrix->input.rules = matrix->rules.book;
	matrix->input.partial = !engine->project || request->only_count ||
				matrix->seen.environment_count < engine->project->environments.count;
	matrix->input.now_ms = clock_wall_ms();
	matrix->with_release = release;
	matrix->input.wanted = is_wanted;
	matrix->input.context = matrix;
	matrix->input.unseen = why_unseen;
	bool chosen = request->reference || (engine->project && engine->project->parity.reference);
	if (!release && find_releases(engine, chosen, matrix, err))
		return -1;
	matrix_rewind(matrix);
	return 0;
}

int matrix_all(struct engine *engine, const struct parity_request *request, struct parity_request *out,
	       struct err *err)
{
	*out = *request;
	if (request->count == 0) {
		const struct environment **order = project_order(&engine->arena, engine->project);
		const char **names =
			ARENA_NEW_ARRAY(&engine->arena, engine->project->environments.count, const char *);
		for (size_t i = 0; i < engine->project->environments.count; i++)
			names[i] = order[i]->name;
		out->subjects = names;
		out->count = engine->project->environments.count;
	}
	if (out->count < 2)
		return err_set(err, ERR_USER,
			       "there is nothing to hold %s against: it is the only environment",
			       out->subjects[0]);
	return 0;
}
