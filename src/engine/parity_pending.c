#include "engine/parity_pending.h"

#include "base/map.h"
#include "engine/fleet_of.h"
#include "model/seen_place.h"

#include <ctype.h>
#include <stdio.h>

enum {
	FILE_MAX = 1 << 20,
	TEXT_MAX = 64 << 20, /* of changed files that are read */
	WORDS_MAX = 2000000,
};

struct touched {
	struct map words; /* in changed files → the path of the first */
	struct map files; /* changed → itself */
	size_t bytes;
};

static bool release_of(struct engine *engine, const struct environment *environment, struct digest *out)
{
	struct seen_place seen;
	struct err unknown = ERR_INIT;
	bool found = false;

	return seen_place_find(engine->home.db, &engine->arena, engine->project->name, environment->name,
			       server_key(&engine->arena, &environment->servers.items[0]), &found, &seen,
			       &unknown) == 0 &&
	       found && seen.release && digest_from_hex(slice_of(seen.release), out);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* A binary file has no words anyone reads. */
static void add_words(struct engine *engine, struct touched *touched, struct slice text, const char *path)
{
	size_t begin = 0;

	if (memchr(text.ptr, 0, MIN(text.len, (size_t)8000)))
		return;
	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && is_word(text.ptr[i]))
			continue;
		struct slice word = slice_make(text.ptr + begin, i - begin);
		begin = i + 1;
		if (word.len < 3 || word.len > 128 || touched->words.count >= WORDS_MAX ||
		    map_get(&touched->words, word))
			continue;
		map_put(&touched->words, arena_slice(&engine->arena, word), (void *)(uintptr_t)path);
	}
}

static void add_change(struct engine *engine, struct touched *touched, const struct entry *entry,
		       struct arena *arena)
{
	const char *path = arena_str(&engine->arena, entry->path);
	struct err unreadable = ERR_INIT;
	struct slice text;

	map_put(&touched->files, slice_of(path), (void *)(uintptr_t)path);
	if (entry->type != ENTRY_FILE || entry->size > FILE_MAX || touched->bytes + entry->size > TEXT_MAX)
		return;
	touched->bytes += entry->size;
	if (store_load_object(engine->store, &entry->digest, FILE_MAX, arena, &text, &unreadable) == 0)
		add_words(engine, touched, text, path);
}

static const char *pin_files[][4] = {
	{"node", ".nvmrc", ".node-version", "package.json"},
	{"php", "composer.json", "composer.lock", NULL},
	{"ruby", ".ruby-version", "Gemfile", "Gemfile.lock"},
	{"python", ".python-version", "pyproject.toml", "poetry.lock"},
	{"go", "go.mod", NULL, NULL},
	{"java", "pom.xml", "build.gradle", NULL},
};

static bool touches_runtime(struct touched *touched, struct slice subject, const char **path_out)
{
	for (size_t i = 0; i < ARRAY_LEN(pin_files); i++) {
		if (!slice_starts_with(subject, pin_files[i][0]))
			continue;
		for (size_t k = 1; k < 4 && pin_files[i][k]; k++)
			if ((*path_out = map_get(&touched->files, slice_of(pin_files[i][k]))))
				return true;
		return (*path_out = map_get(&touched->files, SLICE(".tool-versions"))) != NULL;
	}
	return false;
}

/* "users" of db/main/table/users/column/email/type. */
static struct slice table_of(struct slice key)
{
	for (struct slice rest = key; rest.ptr;) {
		struct slice part = slice_cut(&rest, '/');
		if (slice_is(part, "table") && rest.ptr)
			return slice_cut(&rest, '/');
	}
	return (struct slice){0};
}

static bool touches(void *context, struct slice key, const char **why_out)
{
	static _Thread_local char why[512];
	struct touched *touched = context;
	struct slice dimension = fact_dimension(key), subject = fact_subject(key);
	const char *path = NULL, *verb = "uses it";

	if (slice_is(dimension, "env") || slice_is(dimension, "endpoint")) {
		path = map_get(&touched->words, subject.len ? subject : slice_skip(key, dimension.len + 1));
		verb = "reads it";
	} else if (slice_is(dimension, "runtime")) {
		if (!touches_runtime(touched, subject, &path))
			path = NULL;
		verb = "pins it";
	} else if (slice_is(dimension, "file")) {
		path = map_get(&touched->files, subject);
		verb = "is changed";
	} else if (slice_is(dimension, "db")) {
		struct slice table = table_of(key);
		path = table.len ? map_get(&touched->words, table) : NULL;
		verb = path && strstr(path, "igrat") ? "alters that table" : "uses that table";
	}
	if (!path)
		return false;
	snprintf(why, sizeof(why), "%.400s of the pending release %s", path, verb);
	*why_out = why;
	return true;
}

void parity_pending_open(struct engine *engine, const char *environment, struct pending *out)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const struct environment *to =
		engine->project ? project_environment(engine->project, environment) : NULL;
	struct digest old_release, new_release;
	struct manifest before, after;
	struct manifest_change *changes;
	struct err unknown = ERR_INIT;

	*out = (struct pending){0};
	if (!to || to->promote_from.count == 0)
		return;
	const struct environment *from = project_environment(engine->project, to->promote_from.items[0]);
	if (!from || !release_of(engine, from, &new_release) || !release_of(engine, to, &old_release) ||
	    digest_equal(&new_release, &old_release) ||
	    store_load_manifest(engine->store, &old_release, &arena, &before, &unknown) ||
	    store_load_manifest(engine->store, &new_release, &arena, &after, &unknown))
		return;
	struct touched *touched = ARENA_NEW(&engine->arena, struct touched);
	size_t count = manifest_diff(&arena, &before, &after, &changes);
	for (size_t i = 0; i < count; i++)
		if (changes[i].to)
			add_change(engine, touched, changes[i].to, &arena);
	*out = (struct pending){touches, touched};
}
