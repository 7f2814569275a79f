#include "engine/impact.h"

#include "base/clock.h"
#include "model/template_use.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum { SHOWN_MAX = 60, TEXT_MAX_BYTES = 8 << 10, KEYS_MAX = 200 };

/* ---- remembering ---- */

static json_t *settings_json(const struct project *project, const struct setting_list *settings)
{
	json_t *out = json_object();

	for (size_t i = 0; i < settings->count; i++) {
		const struct setting_value *item = &settings->items[i];
		const struct project_template *from = project_template_of(project, item->node);
		json_object_set_new(out, item->path,
				    json_pack("[o, o]", json_text(slice_of(item->text)), json_cstr(from ? from->address : NULL)));
	}
	return out;
}

static const char *file_of(struct arena *arena, const struct project *project)
{
	const char *slash = strrchr(project->file, '/');
	return arena_printf(arena, "%s/%s", project->dir, slash ? slash + 1 : project->file);
}

static int record(struct engine *engine, const struct environment *environment, const char *deployment,
		  struct err *err)
{
	const struct project *project = engine->project;
	struct setting_list settings;
	char digest[DIGEST_HEX_LEN + 1];
	AUTO(buf_free) struct buf text = BUF_INIT(DELIVERED_SETTINGS_MAX);

	project_settings(&engine->arena, project, environment, &settings);
	project_settings_digest(&settings, digest);
	AUTO(json_free) json_t *json = settings_json(project, &settings);
	json_put(&text, json);
	if (buf_check(&text, "the settings", err))
		return -1;
	struct template_use *uses = ARENA_NEW_ARRAY(&engine->arena, project->templates.count, struct template_use);
	for (size_t i = 0; i < project->templates.count; i++)
		uses[i] = (struct template_use){ project->templates.items[i].address, project->templates.items[i].digest };
	const struct delivered row = {
		.project = project->name,
		.environment = environment->name,
		.file = file_of(&engine->arena, project),
		.digest = digest,
		.settings = buf_str(&text),
		.deployment = deployment,
		.used_ms = clock_wall_ms(),
		.templates = uses,
		.template_count = project->templates.count,
	};
	return delivered_put(engine->home.db, &row, err);
}

void impact_record(struct engine *engine, const struct environment *environment, const char *deployment)
{
	struct err err = ERR_INIT;

	if (record(engine, environment, deployment, &err))
		event_note(&engine->events, "warn", "this machine's history was not written: %s", err.text);
}

/* ---- comparing ---- */

/* "git+URL//PATH" of "git+URL//PATH@COMMIT": the same template at another commit. */
static struct slice base_of(const char *address)
{
	const char *pin = strncmp(address, "git+", 4) == 0 ? strrchr(address, '@') : NULL;
	return pin ? slice_make(address, (size_t)(pin - address)) : slice_of(address);
}

static bool same_template(const char *a, const char *b)
{
	return slice_equal(base_of(a), base_of(b));
}

static const char *digest_now(const struct project *project, const char *address)
{
	for (size_t i = 0; i < project->templates.count; i++)
		if (same_template(project->templates.items[i].address, address))
			return project->templates.items[i].digest;
	return NULL;
}

static const char *digest_then(const struct delivered *row, const char *address)
{
	for (size_t i = 0; i < row->template_count; i++)
		if (same_template(row->templates[i].address, address))
			return row->templates[i].digest;
	return NULL;
}

static bool is_from(const json_t *pair, const char *address)
{
	const char *from = json_string_value(json_array_get(pair, 1));
	return from && same_template(from, address);
}

static void add_key(json_t *keys, const char *key, const json_t *then, const json_t *now)
{
	const char *from = json_string_value(json_array_get(then, 0)), *to = json_string_value(json_array_get(now, 0));

	if (json_array_size(keys) < KEYS_MAX)
		json_array_append_new(keys, json_pack("{s:s, s:o, s:o}", "key", key, "from", json_cstr(from), "to",
						      json_cstr(to)));
}

/* How a release gets to a server, not what is there then. (Hooks of the build made it.) */
static bool says_how(const char *key)
{
	static const char *const hows[] = {"hooks", "reload", "health", "keep"};
	struct slice first = slice_of(key);

	first = slice_cut(&first, '.');
	if (strcmp(key, "hooks.before_build") == 0 || strcmp(key, "hooks.after_build") == 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(hows); i++)
		if (slice_is(first, hows[i]))
			return true;
	return false;
}

static bool matters(const char *key, const json_t *then, const json_t *now, const char *address)
{
	return address ? is_from(now, address) || is_from(then, address) : says_how(key);
}

/* The keys that differ: those this template has or had a say in; without an address, those
 * that say how something is delivered. */
static json_t *differing_keys(const json_t *then, const json_t *now, const char *address)
{
	json_t *keys = json_array();
	const char *key;
	json_t *pair;

	json_object_foreach((json_t *)(uintptr_t)now, key, pair) {
		const json_t *old = json_object_get(then, key);
		if ((!old || !json_equal(json_array_get(old, 0), json_array_get(pair, 0))) &&
		    matters(key, old, pair, address))
			add_key(keys, key, old, pair);
	}
	json_object_foreach((json_t *)(uintptr_t)then, key, pair)
		if (!json_object_get(now, key) && matters(key, pair, NULL, address))
			add_key(keys, key, pair, NULL);
	return keys;
}

static json_t *keys_of(struct arena *arena, const struct project *project, const struct environment *environment,
		       const struct delivered *row, const char *address)
{
	struct setting_list settings;
	struct err damaged = ERR_INIT;
	AUTO(json_free) json_t *then = NULL;

	project_settings(arena, project, environment, &settings);
	AUTO(json_free) json_t *now = settings_json(project, &settings);
	if (json_parse(slice_of(row->settings), "settings", DELIVERED_SETTINGS_MAX, &then, &damaged))
		return json_array();
	return differing_keys(then, now, address);
}

/* ---- one project ---- */

static void put_shown(struct buf *out, const json_t *value)
{
	const char *text = json_string_value(value);
	if (!text)
		buf_puts(out, "nothing");
	else if (strlen(text) <= SHOWN_MAX)
		buf_puts(out, text);
	else {
		int len = SHOWN_MAX;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
		buf_printf(out, "%.*s…", len, text);
	}
}

static void put_keys(struct buf *out, const json_t *keys)
{
	enum { KEYS_SHOWN = 5 };
	size_t index;
	json_t *key;

	json_array_foreach(keys, index, key) {
		if (index == KEYS_SHOWN) {
			buf_printf(out, ", and %zu more", json_array_size(keys) - KEYS_SHOWN);
			break;
		}
		buf_printf(out, "%s%s ", index ? ", " : "", json_string_value(json_object_get(key, "key")));
		put_shown(out, json_object_get(key, "from"));
		buf_puts(out, " -> ");
		put_shown(out, json_object_get(key, "to"));
	}
}

/* "deploy/common.yml changed since the last deployment: alters staging (keep 5 -> 7)" */
static json_t *line_of(const char *address, const char *change, const json_t *alters)
{
	AUTO(buf_free) struct buf text = BUF_INIT(TEXT_MAX_BYTES);
	size_t index;
	json_t *row;

	buf_printf(&text, "%.*s %s since the last deployment: alters ", SLICE_ARG(base_of(address)), change);
	json_array_foreach(alters, index, row) {
		buf_printf(&text, "%s%s (", index ? ", " : "", json_string_value(json_object_get(row, "environment")));
		put_keys(&text, json_object_get(row, "keys"));
		buf_putc(&text, ')');
	}
	if (json_array_size(alters) == 0)
		buf_puts(&text, "no build and no delivery");
	return json_text(buf_slice(&text));
}

static void compare_template(struct engine *engine, const struct delivered_list *rows, const char *address, json_t *out)
{
	const struct project *project = engine->project;
	const char *change = NULL;
	json_t *alters = json_array();

	for (size_t i = 0; i < rows->count; i++) {
		const struct delivered *row = &rows->items[i];
		const struct environment *environment = project_environment(project, row->environment);
		const char *then = digest_then(row, address), *now = digest_now(project, address);
		if (!environment || (then && now && strcmp(then, now) == 0) || (!then && !now))
			continue;
		if (!change || then)
			change = !then ? "is new" : !now ? "is gone" : "changed";
		json_t *keys = keys_of(&engine->arena, project, environment, row, address);
		if (json_array_size(keys))
			json_array_append_new(alters, json_pack("{s:s, s:o}", "environment", row->environment, "keys", keys));
		else
			json_decref(keys);
	}
	if (change)
		json_array_append_new(out, json_pack("{s:s%, s:s, s:o, s:o}", "template", base_of(address).ptr,
						     base_of(address).len, "change", change, "text",
						     line_of(address, change, alters), "alters", json_incref(alters)));
	json_decref(alters);
}

static bool is_listed(const json_t *list, const char *address)
{
	size_t index;
	json_t *row;

	json_array_foreach(list, index, row)
		if (slice_is(base_of(address), json_string_value(json_object_get(row, "template"))))
			return true;
	return false;
}

json_t *impact_of_project(struct engine *engine)
{
	json_t *out = json_array();
	struct delivered_list rows;
	struct err unknown = ERR_INIT;

	if (delivered_list(engine->home.db, &engine->arena, engine->project->name, &rows, &unknown))
		return out;
	for (size_t i = 0; i < engine->project->templates.count; i++)
		compare_template(engine, &rows, engine->project->templates.items[i].address, out);
	for (size_t i = 0; i < rows.count; i++)
		for (size_t t = 0; t < rows.items[i].template_count; t++) {
			const char *address = rows.items[i].templates[t].address;
			if (!digest_now(engine->project, address) && !is_listed(out, address))
				compare_template(engine, &rows, address, out);
		}
	return out;
}

json_t *impact_of_delivery(struct engine *engine, const struct environment *environment)
{
	AUTO(buf_free) struct buf text = BUF_INIT(TEXT_MAX_BYTES);
	struct delivered_list rows;
	struct err unknown = ERR_INIT;
	json_t *keys = NULL;

	if (delivered_list(engine->home.db, &engine->arena, engine->project->name, &rows, &unknown))
		return json_null();
	for (size_t i = 0; i < rows.count && !keys; i++)
		if (strcmp(rows.items[i].environment, environment->name) == 0)
			keys = keys_of(&engine->arena, engine->project, environment, &rows.items[i], NULL);
	if (json_array_size(keys) == 0) {
		json_decref(keys);
		return json_null();
	}
	put_keys(&text, keys);
	return json_pack("{s:o, s:o}", "keys", keys, "text", json_text(buf_slice(&text)));
}

/* ---- all projects ---- */

struct question {
	struct engine *engine;
	const char *base;   /* "lockstep:node", "git+URL//PATH", or the absolute path of a local file */
	const char *commit; /* git: to be tried; NULL: as written */
	bool local;
};

static int understand(struct engine *engine, const char *template, struct question *out, struct err *err)
{
	struct arena *arena = &engine->arena;
	struct slice base = base_of(template);

	*out = (struct question){ .engine = engine, .base = arena_str(arena, base) };
	if (strncmp(template, "lockstep:", 9) == 0)
		return 0;
	if (strncmp(template, "git+", 4) == 0) {
		struct slice commit = slice_skip(slice_of(template), base.len);
		bool full = commit.len == 41 || commit.len == 65;
		/* An `@` of "git@host" is no pin. */
		if (commit.len && !full)
			out->base = template;
		else if (commit.len)
			out->commit = commit.ptr + 1;
		return 0;
	}
	AUTO(mem_free_ptr) char *path = realpath(template, NULL);
	if (!path)
		return err_errno(err, "%s", template);
	out->base = arena_strdup(arena, path);
	out->local = true;
	return 0;
}

static const char *folder_of(struct arena *arena, const char *file)
{
	const char *slash = strrchr(file, '/');
	return arena_str(arena, slice_make(file, slash ? (size_t)(slash - file) : 0));
}

/* The address under which the row uses the template; NULL: it does not. */
static const char *used_as(const struct question *question, const struct delivered *row)
{
	struct arena *arena = &question->engine->arena;
	const char *folder = folder_of(arena, row->file);

	for (size_t i = 0; i < row->template_count; i++) {
		const char *address = row->templates[i].address;
		bool is = question->local ? strcmp(arena_printf(arena, "%s/%s", folder, address), question->base) == 0
					  : slice_is(base_of(address), question->base);
		if (is)
			return address;
	}
	return NULL;
}

static int load(const struct question *question, const struct delivered *row, struct project **out, struct err *err)
{
	struct engine *engine = question->engine;
	struct diags *diags = ARENA_NEW(&engine->arena, struct diags);
	const struct project_reading reading = {
		.home = engine->home.path,
		.replace = question->commit ? question->base : NULL,
		.replace_commit = question->commit,
	};

	*diags = DIAGS_INIT(&engine->arena);
	if (project_load_with(&engine->arena, row->file, &reading, out, diags, err))
		return -1;
	if (strcmp((*out)->name, row->project) != 0)
		return err_set(err, ERR_CONFLICT, "%s is project %s by now", row->file, (*out)->name);
	if (!project_environment(*out, row->environment))
		return err_set(err, ERR_NOT_FOUND, "%s has no environment %s any more", row->file, row->environment);
	return 0;
}

static json_t *use_json(const struct question *question, const struct delivered *row, const char *address)
{
	struct project *project = NULL;
	struct err err = ERR_INIT;
	json_t *out = json_pack("{s:s, s:s, s:o, s:s, s:o, s:I}", "project", row->project, "environment", row->environment,
				"file", json_text(slice_of(row->file)), "template", address, "deployment",
				json_cstr(row->deployment), "at", (json_int_t)row->used_ms);

	if (load(question, row, &project, &err)) {
		json_object_set_new(out, "not_checked", json_text(slice_of(err.text)));
		return out;
	}
	const char *then = digest_then(row, address), *now = digest_now(project, address);
	AUTO(buf_free) struct buf text = BUF_INIT(TEXT_MAX_BYTES);
	json_t *keys = keys_of(&question->engine->arena, project, project_environment(project, row->environment), row,
			       address);
	put_keys(&text, keys);
	json_object_set_new(out, "change", json_string(!now ? "gone" : strcmp(then, now) == 0 ? "same" : "changed"));
	json_object_set_new(out, "keys", keys);
	json_object_set_new(out, "text", json_text(buf_slice(&text)));
	return out;
}

int impact_of_template(struct engine *engine, const char *template, json_t **out, struct err *err)
{
	struct question question;
	struct delivered_list rows;
	json_t *uses = json_array();

	if (understand(engine, template, &question, err) ||
	    delivered_list(engine->home.db, &engine->arena, NULL, &rows, err)) {
		json_decref(uses);
		return -1;
	}
	for (size_t i = 0; i < rows.count; i++) {
		const char *address = used_as(&question, &rows.items[i]);
		if (address)
			json_array_append_new(uses, use_json(&question, &rows.items[i], address));
	}
	*out = json_pack("{s:o, s:o}", "template", json_text(slice_of(template)), "uses", uses);
	return 0;
}
