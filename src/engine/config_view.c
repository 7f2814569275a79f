#include "engine/config_view.h"

static json_t *shown_value(struct slice text, bool secret)
{
	return secret ? json_string("***") : json_text(text);
}

static void put_declaration(json_t *out, const struct contract_key *key)
{
	static const char *const types[] = {
		[VALUE_STRING] = "string", [VALUE_INT] = "int",	  [VALUE_BOOL] = "bool",
		[VALUE_URL] = "url",	   [VALUE_ENUM] = "enum", [VALUE_DURATION] = "duration",
		[VALUE_JSON] = "json",
	};

	json_object_set_new(out, "declared", json_boolean(key != NULL));
	if (!key)
		return;
	json_object_set_new(out, "type", json_string(types[key->type]));
	json_object_set_new(out, "secret", json_boolean(key->secret));
	json_object_set_new(out, "description", json_cstr(key->description));
	json_object_set_new(out, "unique", json_boolean(key->unique));
	json_object_set_new(out, "same", json_boolean(key->same));
}

/* --- explain ------------------------------------------------------------------------ */

/* The servers on which a candidate is the one that counts. */
static json_t *won_on(const struct configuration *configuration, const struct candidate *candidate)
{
	json_t *servers = json_array();

	for (size_t i = 0; i < configuration->set_count; i++) {
		const struct config_value *value =
			config_set_get(&configuration->sets[i], slice_of(candidate->name));
		if (value && value->level == candidate->level && strcmp(value->place, candidate->place) == 0)
			json_array_append_new(
				servers,
				json_string(configuration->environment->servers.items[i].place.text));
	}
	return servers;
}

static const char *why(struct arena *arena, const struct configuration *configuration,
		       const struct candidate *candidate, size_t won)
{
	const struct candidate *stronger = NULL;

	for (const struct candidate *other = candidate; other-- > configuration->candidates;) {
		if (strcmp(other->name, candidate->name) != 0)
			break;
		stronger = other;
	}
	if (won == configuration->set_count)
		return candidate->level == LEVEL_DEFAULT ? "nothing else gives it a value"
							 : "the strongest that gives it a value";
	if (won)
		return arena_printf(arena, "counts where no %s has a value of its own",
				    stronger && stronger->level == LEVEL_SERVER ? "server"
										: "group or server");
	if (!stronger)
		return "for other servers";
	return arena_printf(arena, "%s goes before %s", value_level_name(stronger->level),
			    value_level_name(candidate->level));
}

int config_explain(struct engine *engine, const char *environment_name, const char *name, json_t **out,
		   struct err *err)
{
	AUTO(configuration_close) struct configuration configuration = {0};
	const struct environment *environment;
	json_t *candidates;

	if (project_find_environment(engine->project, environment_name, &environment, err) ||
	    configuration_read(engine, environment, false, &configuration, err))
		return -1;
	candidates = json_array();
	const struct contract_key *key = contract_find(&engine->project->env, slice_of(name));
	for (size_t i = 0; i < configuration.candidate_count; i++) {
		const struct candidate *candidate = &configuration.candidates[i];
		if (strcmp(candidate->name, name) != 0)
			continue;
		json_t *servers = won_on(&configuration, candidate);
		size_t won = json_array_size(servers);
		json_array_append_new(
			candidates,
			json_pack("{s:s, s:o, s:s, s:o, s:o, s:b, s:o, s:s}", "level",
				  value_level_name(candidate->level), "scope", json_cstr(candidate->scope),
				  "place", candidate->place, "version", json_cstr(candidate->version),
				  "value", shown_value(secret_reveal(candidate->value), candidate->secret),
				  "won", won > 0, "servers", servers, "why",
				  why(&engine->arena, &configuration, candidate, won)));
	}
	if (!key && json_array_size(candidates) == 0) {
		const char **names =
			ARENA_NEW_ARRAY(&engine->arena, configuration.candidate_count + 1, const char *);
		for (size_t i = 0; i < configuration.candidate_count; i++)
			names[i] = configuration.candidates[i].name;
		const char *near = key_nearest(slice_of(name), names, configuration.candidate_count);
		json_decref(candidates);
		err_set(err, ERR_NOT_FOUND, "%s has no variable `%.100s`, and the contract declares none",
			environment_name, name);
		return near ? err_hint(err, "did you mean `%s`?", near) : -1;
	}
	*out = json_pack("{s:s, s:s, s:i}", "variable", name, "environment", environment_name, "server_count",
			 (int)configuration.set_count);
	put_declaration(*out, key);
	json_object_set_new(*out, "required", json_boolean(key && contract_requires(key, environment_name)));
	json_object_set_new(*out, "candidates", candidates);
	return 0;
}

/* --- compare --------------------------------------------------------------------------- */

/* One column: an environment now, or a version it ran with. */
struct column {
	const char *label, *environment;
	struct configuration configuration;
	const struct config_entry *entries; /* of a version; else NULL */
	size_t entry_count;
};

struct cell {
	bool present, secret;
	bool unread; /* only its name was asked for */
	const char *fingerprint; /* comparable within one run */
	struct slice text;	 /* of what is no secret */
	size_t scoped;		 /* groups and servers with a value of their own */
};

static struct cell cell_of(struct engine *engine, const struct column *column, const char *name,
			   struct slice key)
{
	struct cell cell = {0};
	char hex[DIGEST_HEX_LEN + 1];

	for (size_t i = 0; i < column->entry_count; i++) {
		const struct config_entry *entry = &column->entries[i];
		if (strcmp(entry->name, name) != 0)
			continue;
		if (entry->scope) {
			cell.scoped++;
			continue;
		}
		cell.present = true;
		cell.secret = entry->secret;
		cell.fingerprint = entry->fingerprint;
		cell.text = slice_of(entry->text);
	}
	if (column->entries)
		return cell;
	for (size_t i = 0; i < column->configuration.candidate_count; i++) {
		const struct candidate *candidate = &column->configuration.candidates[i];
		cell.scoped += candidate->level >= LEVEL_GROUP && strcmp(candidate->name, name) == 0;
	}
	const struct config_value *value = config_set_get(&column->configuration.whole, slice_of(name));
	if (!value)
		return cell;
	struct digest fingerprint;
	config_fingerprint(value, key, &fingerprint);
	digest_to_hex(&fingerprint, hex);
	cell.present = true;
	cell.secret = value->secret;
	cell.fingerprint = arena_strdup(&engine->arena, hex);
	cell.unread = !secret_present(value->value);
	cell.text = value->secret ? slice_make(NULL, 0) : secret_reveal(value->value);
	return cell;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every name any column or the contract has, once, sorted. */
static const char **all_names(struct engine *engine, const struct column *columns, size_t count,
			      size_t *count_out)
{
	const struct contract *contract = &engine->project->env;
	size_t most = contract->keys.count, used = 0, kept = 0;

	for (size_t i = 0; i < count; i++)
		most += columns[i].entry_count + columns[i].configuration.candidate_count;
	const char **names = ARENA_NEW_ARRAY(&engine->arena, most, const char *);
	for (size_t i = 0; i < contract->keys.count; i++)
		names[used++] = contract->keys.items[i].name;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < columns[i].entry_count; j++)
			names[used++] = columns[i].entries[j].name;
		for (size_t j = 0; j < columns[i].configuration.candidate_count; j++)
			names[used++] = columns[i].configuration.candidates[j].name;
	}
	if (used)
		qsort(names, used, sizeof(*names), compare_names);
	for (size_t i = 0; i < used; i++)
		if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
			names[kept++] = names[i];
	*count_out = kept;
	return names;
}

/* same | present (only names were asked for) | expected | different | missing: how one row stands, and whether a person has
 * to look at it. */
static const char *judge(const struct contract_key *key, const struct column *columns,
			 const struct cell *cells, size_t count, bool versions, bool *bad_out)
{
	size_t present = 0;
	bool equal = true, required_but_missing = false, scoped = false, unread = false;
	const struct cell *first = NULL;

	for (size_t i = 0; i < count; i++) {
		scoped = scoped || cells[i].scoped;
		unread = unread || cells[i].unread;
		if (!cells[i].present) {
			required_but_missing = required_but_missing || !key ||
					       contract_requires(key, columns[i].environment);
			continue;
		}
		present++;
		if (first && strcmp(first->fingerprint, cells[i].fingerprint) != 0)
			equal = false;
		first = first ? first : &cells[i];
	}
	*bad_out = false;
	if (present < count) {
		if (present == 0 && (!required_but_missing || scoped))
			return "expected";
		/* Not asked for where it is missing. */
		*bad_out = required_but_missing && !scoped && (!versions || present == 0);
		return *bad_out || versions ? "missing" : "expected";
	}
	if (unread)
		return "present";
	if (versions)
		return equal ? "same" : "different";
	if (key && key->unique) {
		*bad_out = equal && count > 1;
		return equal && count > 1 ? "same" : "expected";
	}
	if (equal)
		return "same";
	*bad_out = key && key->same;
	/* Plain and declared without `same`: that is what environments have values for. */
	return key && !key->same ? "expected" : "different";
}

static json_t *row_json(const char *name, const struct contract_key *key, const struct column *columns,
			const struct cell *cells, size_t count, const char *state, bool bad)
{
	json_t *list = json_array();
	bool secret = key && key->secret;

	/* Also what was plain in an earlier version, or is elsewhere: it may still be in use. */
	for (size_t i = 0; i < count; i++)
		secret = secret || cells[i].secret;
	for (size_t i = 0; i < count; i++) {
		json_array_append_new(list, json_pack("{s:s, s:b, s:o, s:I}", "column", columns[i].label,
						      "present", cells[i].present, "value",
						      !cells[i].present
							      ? json_null()
						      : cells[i].unread ? json_string("(there)")
									: shown_value(cells[i].text, secret),
						      "scoped", (json_int_t)cells[i].scoped));
	}
	return json_pack("{s:s, s:s, s:b, s:b, s:b, s:o}", "variable", name, "state", state, "bad", bad,
			 "secret", secret, "declared", key != NULL, "cells", list);
}

static json_t *compare(struct engine *engine, const struct column *columns, size_t count, bool versions,
		       bool all, struct slice key)
{
	json_t *rows = json_array(), *labels = json_array();
	size_t name_count, same = 0, bad_count = 0;
	const char **names = all_names(engine, columns, count, &name_count);
	struct cell *cells = ARENA_NEW_ARRAY(&engine->arena, count, struct cell);

	for (size_t i = 0; i < count; i++)
		json_array_append_new(labels, json_string(columns[i].label));
	for (size_t n = 0; n < name_count; n++) {
		const struct contract_key *declared =
			contract_find(&engine->project->env, slice_of(names[n]));
		bool bad;
		for (size_t i = 0; i < count; i++)
			cells[i] = cell_of(engine, &columns[i], names[n], key);
		const char *state = judge(declared, columns, cells, count, versions, &bad);
		bad_count += bad;
		same += strcmp(state, "same") == 0 || strcmp(state, "present") == 0;
		if (all || bad || (strcmp(state, "same") != 0 && strcmp(state, "present") != 0))
			json_array_append_new(
				rows, row_json(names[n], declared, columns, cells, count, state, bad));
	}
	json_t *out =
		json_pack("{s:o, s:o, s:I, s:I, s:I}", "columns", labels, "rows", rows, "total",
			  (json_int_t)name_count, "same", (json_int_t)same, "bad", (json_int_t)bad_count);
	if (bad_count)
		json_object_set_new(out, "exit", json_integer(ERR_DRIFT));
	return out;
}

/* same | changed | new | gone: config files of a version beside those of now, both by path. */
static json_t *compare_files(const struct config_kept_file_list *then,
			     const struct config_kept_file_list *now, bool all)
{
	json_t *out = json_array();

	for (size_t t = 0, n = 0; t < then->count || n < now->count;) {
		int order = t == then->count  ? 1
			    : n == now->count ? -1
					      : strcmp(then->items[t].path, now->items[n].path);
		bool same = order == 0 && strcmp(then->items[t].fingerprint, now->items[n].fingerprint) == 0;
		if (all || !same)
			json_array_append_new(
				out, json_pack("{s:s, s:s}", "path",
					       order > 0 ? now->items[n].path : then->items[t].path, "state",
					       same	   ? "same"
					       : order > 0 ? "new"
					       : order < 0 ? "gone"
							   : "changed"));
		t += order <= 0;
		n += order >= 0;
	}
	return out;
}

/* Null where there is nothing to compare with, or a file cannot be rendered: that is told. */
static json_t *file_changes(struct configuration *configuration, const struct config_version *version,
			    bool all, struct slice key)
{
	struct engine *engine = configuration->engine;
	struct config_kept_file_list then, now;
	struct err err = ERR_INIT;

	if (version->file_count < 0)
		return json_null();
	if (config_kept_file_list(engine->home.db, &engine->arena, version, &then, &err) ||
	    configuration_kept_files(configuration, key, &now, &err)) {
		event_note(&engine->events, "warn", "config files were not compared: %s", err.text);
		return json_null();
	}
	return compare_files(&then, &now, all);
}

int config_compare(struct engine *engine, const char *const *names, size_t count,
		   const struct compare_options *options, json_t **out, struct err *err)
{
	struct column *columns = ARENA_NEW_ARRAY(&engine->arena, count, struct column);
	AUTO(safe_close) struct safe *safe = safe_open();
	struct history_keys keys;
	int result = 0;

	for (size_t i = 0; i < count && result == 0; i++) {
		const struct environment *environment;
		columns[i].label = columns[i].environment = names[i];
		result = project_find_environment(engine->project, names[i], &environment, err);
		if (result == 0)
			configuration_begin(engine, environment, options->names_only, &columns[i].configuration);
	}
	for (size_t i = 0; i < count && result == 0; i++)
		result = configuration_finish(&columns[i].configuration, err);
	if (result == 0 && configuration_history_keys(engine, safe, &keys, err))
		result = -1;
	if (result == 0)
		*out = compare(engine, columns, count, false, options->all, secret_reveal(keys.fingerprint));
	for (size_t i = 0; i < count; i++)
		configuration_close(&columns[i].configuration);
	return result;
}

int config_compare_version(struct engine *engine, const char *name, const char *version, bool all,
			   json_t **out, struct err *err)
{
	struct column columns[2] = {{.environment = name}, {.environment = name, .label = "now"}};
	const struct environment *environment;
	struct config_version row;
	struct config_entry_list entries;
	AUTO(safe_close) struct safe *safe = safe_open();
	struct history_keys keys;
	bool found;

	if (project_find_environment(engine->project, name, &environment, err) ||
	    config_version_find(engine->home.db, &engine->arena, engine->project->name, name, version, &found,
				&row, err))
		return -1;
	if (!found) {
		err_set(err, ERR_NOT_FOUND, "this machine knows no %s of %s",
			version ? "such version of the configuration" : "configuration", name);
		return err_hint(err, "`lockstep config history %s` lists what it knows", name);
	}
	if (config_entry_list(engine->home.db, &engine->arena, &row, &entries, err) ||
	    configuration_history_keys(engine, safe, &keys, err))
		return -1;
	columns[0].label = arena_printf(&engine->arena, "%.12s", row.digest);
	columns[0].entries = entries.items ? entries.items : (const struct config_entry[]){{0}};
	columns[0].entry_count = entries.count;
	int result = configuration_read(engine, environment, false, &columns[1].configuration, err);
	if (result == 0) {
		*out = compare(engine, columns, 2, true, all, secret_reveal(keys.fingerprint));
		json_object_set_new(
			*out, "files",
			file_changes(&columns[1].configuration, &row, all, secret_reveal(keys.fingerprint)));
	}
	configuration_close(&columns[1].configuration);
	return result;
}

void config_changes(struct engine *engine, struct configuration *configuration, json_t *out)
{
	const char *name = configuration->environment->name;
	struct column columns[2] = {{.environment = name, .label = "live"},
				    {.environment = name, .label = "now", .configuration = *configuration}};
	AUTO(safe_close) struct safe *safe = safe_open();
	struct history_keys keys;
	struct config_version row;
	struct config_entry_list entries;
	struct err unknown = ERR_INIT;
	bool found;

	json_object_set_new(out, "config_changes", json_array());
	json_object_set_new(out, "file_changes", json_null());
	if (config_version_find(engine->home.db, &engine->arena, engine->project->name, name, NULL, &found, &row,
				&unknown) ||
	    !found || config_entry_list(engine->home.db, &engine->arena, &row, &entries, &unknown) ||
	    configuration_history_keys(engine, safe, &keys, &unknown))
		return;
	columns[0].entries = entries.items ? entries.items : (const struct config_entry[]){{0}};
	columns[0].entry_count = entries.count;
	json_t *all = compare(engine, columns, 2, true, false, secret_reveal(keys.fingerprint));
	json_object_set(out, "config_changes", json_object_get(all, "rows"));
	json_decref(all);
	json_object_set_new(out, "file_changes",
			    file_changes(configuration, &row, false, secret_reveal(keys.fingerprint)));
}

/* --- history ------------------------------------------------------------------------------ */

int config_history(struct engine *engine, const char *name, size_t limit, json_t **out, struct err *err)
{
	const struct environment *environment;
	struct config_version_list list;
	json_t *rows;

	if (project_find_environment(engine->project, name, &environment, err) ||
	    config_version_list(engine->home.db, &engine->arena, engine->project->name, name, limit, &list,
				err))
		return -1;
	rows = json_array();
	for (size_t i = 0; i < list.count; i++)
		json_array_append_new(
			rows,
			json_pack("{s:s, s:o, s:o, s:I, s:I, s:o}", "config", list.items[i].digest,
				  "deployment", json_cstr(list.items[i].deployment), "by",
				  json_cstr(list.items[i].who), "at", (json_int_t)list.items[i].created_ms,
				  "variables", (json_int_t)list.items[i].entry_count, "files",
				  list.items[i].file_count < 0
					  ? json_null()
					  : json_integer((json_int_t)list.items[i].file_count)));
	*out = json_pack("{s:s, s:o}", "environment", environment->name, "versions", rows);
	return 0;
}
