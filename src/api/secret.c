/* secret set, get, list, remove, rotate, key: the sealed values of an environment. No
 * value comes by a command line: OPERATION_VALUE is read from standard input. */
#include "api/list.h"

#include "base/clock.h"
#include "engine/sealed_values.h"
#include "values/contract.h"

static const char file_text[] = "another file than that of values_from (or deploy/ENV.sealed)";
#define ENVIRONMENT_KEY                                                                                      \
	{ "environment", OPERATION_STRING, .positional = true, .value = "ENV", .text = "the environment" }
#define NAME_KEY                                                                                             \
	{ "name", OPERATION_STRING, .positional = true, .value = "NAME", .text = "the variable" }
#define FILE_KEY                                                                                             \
	{ "sealed", OPERATION_STRING, .value = "PATH", .text = file_text }

static int open_place(struct engine *engine, const json_t *in, bool lock, struct sealed_place *place, struct err *err)
{
	return sealed_place_open(engine, input_str(in, "environment"), input_str(in, "sealed"), lock, place, err);
}

static json_t *describe(const struct sealed_place *place)
{
	return json_pack("{s:s, s:o, s:b}", "environment", place->environment->name, "file", json_text(slice_of(place->shown)),
			 "listed", place->listed);
}

static int no_such(const struct sealed_place *place, const char *name, struct err *err)
{
	const char *nearest = NULL;
	size_t best = 4;

	for (size_t i = 0; i < place->file.count; i++) {
		size_t distance = slice_edit_distance(slice_of(place->file.items[i].name), slice_of(name));
		if (distance < best) {
			best = distance;
			nearest = place->file.items[i].name;
		}
	}
	err_set(err, ERR_NOT_FOUND, "%s holds no %.100s", place->shown, name);
	return nearest ? err_hint(err, "did you mean %s?", nearest)
		       : err_hint(err, "`lockstep secret list %s` shows what it holds", place->environment->name);
}

/* ---- set ---- */

static bool same_value(const struct sealed_place *place, const struct seal_key *key, struct safe *safe,
		       const struct sealed_value *item, struct slice value)
{
	struct err ignored = ERR_INIT;
	struct secret now;

	return item && sealed_file_open_one(&place->file, place->shown, item, key, safe, &now, &ignored) == 0 &&
	       slice_equal(secret_reveal(now), value);
}

static int run_set(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	AUTO(sealed_place_close) struct sealed_place place = SEALED_PLACE_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	const json_t *value_json = json_object_get(in, "value");
	const char *name = input_str(in, "name");
	struct slice value = slice_make(json_string_value(value_json), json_string_length(value_json));
	struct seal_key key;
	bool made;

	if (!value.ptr || (value.len == 0 && !input_flag(in, "empty"))) {
		err_set(err, ERR_USER, "the value of %.100s is empty", name);
		return err_hint(err, "if that is meant: --empty");
	}
	if (!sealed_name_valid(slice_of(name)))
		return err_set(err, ERR_USER, "\"%.100s\" cannot be the name of a variable: letters, digits and `_`, no digit first",
			       name);
	if (open_place(engine, in, true, &place, err) || sealed_place_key(engine, &place, safe, &key, &made, err))
		return -1;
	bool unchanged = same_value(&place, &key, safe, sealed_file_find(&place.file, slice_of(name)), value);
	if (!unchanged && (sealed_file_put(&engine->arena, &place.file, &key, name, value, clock_wall_ms(), err) ||
			   sealed_place_save(engine, &place, err)))
		return -1;
	const struct contract_key *declared = contract_find(&engine->project->env, slice_of(name));
	char path[KEY_PATH_MAX];
	key_file_path(engine->home.path, engine->project->name, place.environment->name, path);
	*out = describe(&place);
	json_object_set_new(*out, "name", json_string(name));
	json_object_set_new(*out, "version",
			    json_integer((json_int_t)sealed_file_find(&place.file, slice_of(name))->version));
	json_object_set_new(*out, "changed", json_boolean(!unchanged));
	json_object_set_new(*out, "declared", json_boolean(declared));
	json_object_set_new(*out, "declared_secret", json_boolean(declared && declared->secret));
	if (made)
		json_object_set_new(*out, "key_made", json_text(slice_of(path)));
	return 0;
}

static const struct operation_key set_keys[] = {
	ENVIRONMENT_KEY,
	NAME_KEY,
	{ "value", OPERATION_VALUE, .value = "VALUE", .text = "read from standard input, or asked for without showing it" },
	{ "empty", OPERATION_FLAG, .text = "the value is the empty text" },
	FILE_KEY,
};

const struct operation operation_secret_set = {
	.name = "secret set",
	.summary = "seal a value into the repository",
	.details = "The value comes from standard input (`lockstep secret set production DB_PASSWORD < file`), or is asked for\n"
		   "on a terminal; never from the command line, where others can read it. One newline at the end of a single\n"
		   "line is not part of it. The first value of an environment makes its key.",
	.keys = set_keys,
	.key_count = ARRAY_LEN(set_keys),
	.permission = PERMISSION_SECRET,
	.need = NEED_PROJECT,
	.run = run_set,
};

/* ---- get ---- */

static int run_get(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	AUTO(sealed_place_close) struct sealed_place place = SEALED_PLACE_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	const char *name = input_str(in, "name");
	struct secret value;
	struct seal_key key;

	if (open_place(engine, in, false, &place, err) || sealed_place_must_exist(&place, err))
		return -1;
	const struct sealed_value *item = sealed_file_find(&place.file, slice_of(name));
	if (!item)
		return no_such(&place, name, err);
	if (sealed_place_key(engine, &place, safe, &key, NULL, err) ||
	    sealed_file_open_one(&place.file, place.shown, item, &key, safe, &value, err))
		return -1;
	*out = describe(&place);
	json_object_set_new(*out, "name", json_string(item->name));
	json_object_set_new(*out, "version", json_integer((json_int_t)item->version));
	json_object_set_new(*out, "value", json_text(secret_reveal(value)));
	return 0;
}

static const struct operation_key get_keys[] = { ENVIRONMENT_KEY, NAME_KEY, FILE_KEY };

const struct operation operation_secret_get = {
	.name = "secret get",
	.summary = "print one sealed value",
	.details = "Exactly its bytes, without a newline of ours unless they go to a terminal.",
	.keys = get_keys,
	.key_count = ARRAY_LEN(get_keys),
	.permission = PERMISSION_SECRET,
	.need = NEED_PROJECT,
	.shows_secret = true,
	.run = run_get,
};

/* ---- list ---- */

static int run_list(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	AUTO(sealed_place_close) struct sealed_place place = SEALED_PLACE_INIT;
	json_t *values = json_array();

	if (open_place(engine, in, false, &place, err) || sealed_place_must_exist(&place, err)) {
		json_decref(values);
		return -1;
	}
	for (size_t i = 0; i < place.file.count; i++) {
		const struct sealed_value *item = &place.file.items[i];
		json_array_append_new(values, json_pack("{s:s, s:I, s:I, s:i, s:b}", "name", item->name, "version",
							(json_int_t)item->version, "changed_at", (json_int_t)item->changed_ms,
							"line", (int)item->line, "declared",
							contract_find(&engine->project->env, slice_of(item->name)) != NULL));
	}
	*out = describe(&place);
	json_object_set_new(*out, "key", json_string(place.file.key_id));
	json_object_set_new(*out, "values", values);
	return 0;
}

static const struct operation_key list_keys[] = { ENVIRONMENT_KEY, FILE_KEY };

const struct operation operation_secret_list = {
	.name = "secret list",
	.summary = "the names of an environment's sealed values, their versions and dates",
	.details = "Needs no key.",
	.keys = list_keys,
	.key_count = ARRAY_LEN(list_keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_list,
};

/* ---- remove ---- */

static int run_remove(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	AUTO(sealed_place_close) struct sealed_place place = SEALED_PLACE_INIT;
	const char *name = input_str(in, "name");

	if (open_place(engine, in, true, &place, err) || sealed_place_must_exist(&place, err))
		return -1;
	if (!sealed_file_remove(&place.file, slice_of(name)))
		return no_such(&place, name, err);
	if (sealed_place_save(engine, &place, err))
		return -1;
	*out = describe(&place);
	json_object_set_new(*out, "name", json_string(name));
	return 0;
}

const struct operation operation_secret_remove = {
	.name = "secret remove",
	.summary = "take a value out of the sealed file",
	.details = "The repository's history keeps it: whoever has the key can still read it there.",
	.keys = get_keys,
	.key_count = ARRAY_LEN(get_keys),
	.permission = PERMISSION_SECRET,
	.need = NEED_PROJECT,
	.run = run_remove,
};

/* ---- rotate ---- */

/* All sealed files of the environment hang on the one key. */
static int other_files(struct engine *engine, const struct sealed_place *first, struct sealed_place *places,
		       size_t max, size_t *count_out, struct err *err)
{
	const struct environment *environment = first->environment;

	*count_out = 0;
	for (size_t i = 0; i < environment->values_from.count; i++) {
		const char *from = environment->values_from.items[i].from;
		if (!slice_starts_with(slice_of(from), "sealed:") || strcmp(from + strlen("sealed:"), first->shown) == 0)
			continue;
		if (*count_out == max)
			return err_set(err, ERR_USER, "more than %zu sealed files in one environment", max + 1);
		struct sealed_place *place = &places[(*count_out)++];
		if (sealed_place_open(engine, environment->name, from + strlen("sealed:"), false, place, err) ||
		    sealed_place_must_exist(place, err))
			return -1;
	}
	return 0;
}

static json_t *names_of(const struct sealed_place *place)
{
	json_t *list = json_array();

	for (size_t i = 0; i < place->file.count; i++) {
		const struct sealed_value *item = &place->file.items[i];
		json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "name", item->name, "version",
						      (json_int_t)item->version, "changed_at", (json_int_t)item->changed_ms));
	}
	return list;
}

static int run_rotate(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	enum { OTHERS_MAX = 16 };
	AUTO(sealed_place_close) struct sealed_place place = SEALED_PLACE_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	struct sealed_place others[OTHERS_MAX];
	struct seal_key earlier, key;
	size_t count;
	char path[KEY_PATH_MAX], variable[KEY_PATH_MAX];

	if (open_place(engine, in, true, &place, err) || sealed_place_must_exist(&place, err) ||
	    other_files(engine, &place, others, OTHERS_MAX, &count, err) ||
	    sealed_place_key(engine, &place, safe, &earlier, NULL, err))
		return -1;
	seal_key_generate(safe, &key);
	if (sealed_file_reseal(&engine->arena, &place.file, place.shown, &earlier, &key, err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		struct seal_key its;
		if (sealed_place_key(engine, &others[i], safe, &its, NULL, err) ||
		    sealed_file_reseal(&engine->arena, &others[i].file, others[i].shown, &its, &key, err))
			return -1;
	}
	/* The key first: after a crash between the two, the file's own key is found by its id. */
	if (key_file_save(engine->home.path, engine->project->name, place.environment->name, &key, err) ||
	    sealed_place_save(engine, &place, err))
		return -1;
	json_t *values = names_of(&place);
	for (size_t i = 0; i < count; i++) {
		if (sealed_place_save(engine, &others[i], err)) {
			json_decref(values);
			return -1;
		}
		json_t *more = names_of(&others[i]);
		json_array_extend(values, more);
		json_decref(more);
	}
	key_file_path(engine->home.path, engine->project->name, place.environment->name, path);
	key_file_variable(place.environment->name, variable);
	*out = describe(&place);
	json_object_set_new(*out, "key", json_string(key.id));
	json_object_set_new(*out, "earlier_key", json_string(earlier.id));
	json_object_set_new(*out, "key_file", json_text(slice_of(path)));
	json_object_set_new(*out, "variable", json_string(variable));
	json_object_set_new(*out, "change", values);
	return 0;
}

const struct operation operation_secret_rotate = {
	.name = "secret rotate",
	.summary = "make a new key and seal every value anew",
	.details = "The repository's history keeps the values under the earlier key. When somebody has it who should not, the\n"
		   "values themselves have to be changed where they come from; the result names them.",
	.keys = list_keys,
	.key_count = ARRAY_LEN(list_keys),
	.permission = PERMISSION_SECRET,
	.need = NEED_PROJECT,
	.run = run_rotate,
};

/* ---- key ---- */

static int import_key(struct engine *engine, const json_t *in, const struct sealed_place *place, struct safe *safe,
		      struct seal_key *out, struct err *err)
{
	const json_t *value = json_object_get(in, "key");

	if (seal_key_parse(safe, slice_make(json_string_value(value), json_string_length(value)), out, err))
		return -1;
	if (place->exists && strcmp(place->file.key_id, out->id) != 0) {
		err_set(err, ERR_USER, "that is the key %s; %s is sealed with %s", out->id, place->shown, place->file.key_id);
		return err_hint(err, "is it of another environment, or from before a rotation?");
	}
	return key_file_save(engine->home.path, engine->project->name, place->environment->name, out, err);
}

static int run_key(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	AUTO(sealed_place_close) struct sealed_place place = SEALED_PLACE_INIT;
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(1024);
	AUTO(safe_close) struct safe *safe = safe_open();
	bool exports = input_flag(in, "export"), imports = input_flag(in, "import");
	char path[KEY_PATH_MAX];
	struct seal_key key;

	if (exports && imports)
		return err_set(err, ERR_USER, "--export and --import exclude one another");
	if (open_place(engine, in, imports, &place, err))
		return -1;
	if (imports ? import_key(engine, in, &place, safe, &key, err)
		    : key_file_load(engine->home.path, engine->project->name, place.environment->name,
				    place.exists ? place.file.key_id : NULL, safe, &key, err))
		return -1;
	key_file_path(engine->home.path, engine->project->name, place.environment->name, path);
	*out = describe(&place);
	json_object_set_new(*out, "key", json_string(key.id));
	json_object_set_new(*out, "key_file", json_text(slice_of(path)));
	json_object_set_new(*out, "imported", json_boolean(imports));
	if (exports) {
		seal_key_put(&text, &key);
		json_object_set_new(*out, "export", json_text(buf_slice(&text)));
	}
	return 0;
}

static const struct operation_key key_keys[] = {
	ENVIRONMENT_KEY,
	{ "export", OPERATION_FLAG, .text = "print the key itself, for a team mate or CI" },
	{ "import", OPERATION_FLAG, .text = "take a key from standard input" },
	{ "key", OPERATION_VALUE, .only_with = "import", .value = "KEY", .text = "with --import: the key, from standard input" },
	FILE_KEY,
};

const struct operation operation_secret_key = {
	.name = "secret key",
	.summary = "the key of an environment's sealed values: which, where; hand it on, take it in",
	.details = "Hand it on over a channel you trust: whoever has it reads every sealed value of the environment, those of\n"
		   "earlier commits included. For CI see docs/secrets.md.",
	.keys = key_keys,
	.key_count = ARRAY_LEN(key_keys),
	.permission = PERMISSION_SECRET,
	.need = NEED_PROJECT,
	.shows_secret = true,
	.run = run_key,
};
