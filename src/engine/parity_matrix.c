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

/* Where the servers run different releases their files differ because of that; what is
 * compared then is what somebody edited. */
static bool is_wanted(void *context, struct slice key)
{
	const struct matrix *matrix = context;

	if (matrix->with_release)
		return slice_is(key, "file/") || has_a_release(key);
	if (matrix->releases_differ && matrix_is_released_file(key))
		return map_get(&matrix->edited, fact_subject(key)) != NULL;
	return true;
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

static int find_releases(struct engine *engine, struct matrix *matrix, struct err *err)
{
	const struct observation *seen = &matrix->seen;

	for (size_t i = 0; i < seen->count; i++) {
		/* Of a place nobody deployed to nothing is known that would excuse a file. */
		if (!*seen->items[i].applied.release) {
			matrix->releases_differ = false;
			return 0;
		}
		matrix->releases_differ =
			matrix->releases_differ ||
			strcmp(seen->items[i].applied.release, seen->items[0].applied.release) != 0;
	}
	for (size_t i = 0; matrix->releases_differ && i < seen->count; i++)
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
	if (!release && find_releases(engine, matrix, err))
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
