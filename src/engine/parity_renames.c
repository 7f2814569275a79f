#include "engine/parity_renames.h"

#include "introspect/introspect.h"

enum { DATABASES_MAX = 16 };

/* "main" of "db/main/table/orders/column/vat/"; ptr NULL: it is about no table. */
static struct slice database_of(const struct finding *finding)
{
	struct slice rest = slice_of(finding->key);

	if (finding->direction == FINDING_DIFFERS || !slice_is(slice_cut(&rest, '/'), "db"))
		return slice_make(NULL, 0);
	struct slice name = slice_cut(&rest, '/');
	return rest.ptr && slice_starts_with(rest, "table/") ? name : slice_make(NULL, 0);
}

static size_t find_databases(const struct findings *findings, struct slice *out)
{
	size_t count = 0;

	for (size_t i = 0; i < findings->count; i++) {
		struct slice name = database_of(&findings->items[i]);
		bool known = !name.ptr;
		for (size_t k = 0; k < count && !known; k++)
			known = slice_equal(out[k], name);
		if (!known && count < DATABASES_MAX)
			out[count++] = name;
	}
	return count;
}

/* Whether the finding is about "table/orders/column/vat" of the database. */
static bool is_about(const struct finding *finding, struct slice database, const char *thing)
{
	struct slice rest = slice_of(finding->key);

	slice_cut(&rest, '/');
	if (!slice_equal(slice_cut(&rest, '/'), database) || !rest.ptr || !slice_starts_with(rest, thing))
		return false;
	rest = slice_skip(rest, strlen(thing));
	/* The thing as a whole: behind it stands no further name. */
	return rest.len && rest.ptr[0] == '/' && slice_find(slice_skip(rest, 1), '/') < 0;
}

static const char *last_part(const char *thing)
{
	const char *slash = strrchr(thing, '/');

	return slash ? slash + 1 : thing;
}

static void say(struct engine *engine, struct findings *findings, struct slice database, const char *thing,
		const char *other, const char *environment)
{
	struct arena *arena = &engine->arena;

	for (size_t i = 0; i < findings->count; i++) {
		struct finding *finding = &findings->items[i];
		if (!database_of(finding).ptr || !is_about(finding, database, thing))
			continue;
		AUTO(buf_free) struct buf name = BUF_INIT(FACT_KEY_MAX * 4);
		buf_put_visible(&name, slice_of(last_part(other)));
		finding->cause = arena_printf(arena, "probably called %s in %s", buf_str(&name), environment);
		finding->advice =
			"rename it in a migration: to drop the one and add the other loses its data";
	}
}

static const struct observed *first_of(const struct matrix *matrix, size_t environment)
{
	for (size_t i = 0; i < matrix->seen.count; i++)
		if (strcmp(matrix->seen.items[i].environment, matrix->input.environments[environment]) == 0)
			return &matrix->seen.items[i];
	return NULL;
}

static void compare_two(struct engine *engine, const struct matrix *matrix, size_t environment,
			struct slice database, struct findings *findings)
{
	const struct observed *here = first_of(matrix, environment);
	const struct observed *there = first_of(matrix, matrix->input.reference);
	struct rename_pair *pairs;
	struct err err = ERR_INIT;
	size_t count = 0;

	if (!here || !there || here->fd < 0 || there->fd < 0)
		return;
	AUTO(fact_reader_free) struct fact_reader *a = fact_reader_of_fd(here->fd);
	AUTO(fact_reader_free) struct fact_reader *b = fact_reader_of_fd(there->fd);
	if (introspect_renames(&engine->arena, a, b, arena_str(&engine->arena, database), &pairs, &count,
			       &err))
		return;
	for (size_t i = 0; i < count; i++) {
		say(engine, findings, database, pairs[i].from, pairs[i].to, there->environment);
		say(engine, findings, database, pairs[i].to, pairs[i].from, here->environment);
	}
}

void parity_renames(struct engine *engine, const struct matrix *matrix, struct findings *findings)
{
	struct slice databases[DATABASES_MAX];
	size_t count = find_databases(findings, databases);

	for (size_t d = 0; d < count; d++)
		for (size_t e = 0; e < matrix->input.environment_count; e++)
			if (e != matrix->input.reference)
				compare_two(engine, matrix, e, databases[d], findings);
}
