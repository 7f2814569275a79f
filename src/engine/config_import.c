#include "engine/config_import.h"

#include "base/clock.h"
#include "base/fd.h"
#include "doc/yaml_write.h"
#include "engine/fleet_of.h"
#include "engine/sealed_values.h"
#include "secret/dotenv_parse.h"
#include "target/read_file.h"

#include <fcntl.h>
#include <stdlib.h>

struct found {
	const char *name;
	struct secret value;
	const char *place;  /* "web1: shared/.env:4" */
	const char *server; /* NULL: a file here */
	bool secret;
	int type;     /* enum value_type */
	size_t order; /* as read */
};

struct import {
	struct engine *engine;
	struct arena *arena;
	struct safe *safe;
	const struct environment *environment;
	struct found *items;
	size_t count, room;
	json_t *files; /* where something was read, and where there was nothing */
};

/* --- reading ------------------------------------------------------------------------ */

static const char *const secret_words[] = {"SECRET",  "PASSWORD",   "PASSWD",	  "PASSPHRASE", "TOKEN",
					   "PRIVATE", "CREDENTIAL", "API_KEY",	  "APIKEY",	"ACCESS_KEY",
					   "APP_KEY", "MASTER_KEY", "SIGNING",	  "SALT",	"DSN",
					   "WEBHOOK", "AUTH_KEY",   "ENCRYPTION", "PWD"};

static bool has_credentials(struct slice url)
{
	const char *scheme = url.len ? memmem(url.ptr, url.len, "://", 3) : NULL;
	if (!scheme)
		return false;
	struct slice rest = slice_skip(url, (size_t)(scheme - url.ptr) + 3);
	ptrdiff_t at = slice_find(rest, '@'), slash = slice_find(rest, '/'), colon = slice_find(rest, ':');
	return at > 0 && colon >= 0 && colon < at && (slash < 0 || at < slash);
}

/* One long word of letters and digits, as generators make them. */
static bool looks_random(struct slice value)
{
	enum { LEN = 24, DIGITS = 3, LETTERS = 6 };
	size_t digits = 0, letters = 0;

	if (slice_starts_with(value, "/")) /* a path */
		return false;
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		bool digit = c >= '0' && c <= '9', letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!digit && !letter && !memchr("+/=_-", c, 5))
			return false;
		digits += digit;
		letters += letter;
	}
	return value.len >= LEN && digits >= DIGITS && letters >= LETTERS;
}

/* When in doubt it is one: a value that was sealed without need can be unsealed, one
 * that was written down cannot be taken back. */
static bool looks_secret(const char *name, struct slice value)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_LEN(secret_words); i++)
		if (strcasestr(name, secret_words[i]))
			return value.len > 0;
	if ((len > 4 && strcasecmp(name + len - 4, "_KEY") == 0) ||
	    (len > 5 && strcasecmp(name + len - 5, "_PASS") == 0))
		return value.len > 0;
	return value_key_mode(value, NULL) != KEY_MODE_UNKNOWN || has_credentials(value) ||
	       looks_random(value);
}

static int type_of(struct slice value)
{
	const struct contract_key number = {.type = VALUE_INT}, url = {.type = VALUE_URL};

	if (slice_is(value, "true") || slice_is(value, "false"))
		return VALUE_BOOL;
	/* A number with a leading zero is text to whoever compares it. */
	if (!value_type_fault(&number, value) && (value.len == 1 || value.ptr[0] != '0'))
		return VALUE_INT;
	return value_type_fault(&url, value) ? VALUE_STRING : VALUE_URL;
}

static void add(struct import *import, const struct dotenv_entry *entry, const char *where,
		const char *server)
{
	if (import->count == import->room) {
		size_t room = MAX(import->room * 2, (size_t)64);
		struct found *items = ARENA_NEW_ARRAY(import->arena, room, struct found);
		if (import->count)
			memcpy(items, import->items, import->count * sizeof(*items));
		import->items = items;
		import->room = room;
	}
	const struct contract_key *declared =
		contract_find(&import->engine->project->env, slice_of(entry->name));
	struct slice value = secret_reveal(entry->value);
	import->items[import->count] = (struct found){
		.name = entry->name,
		.value = entry->value,
		.place = arena_printf(import->arena, "%s:%u", where, entry->line),
		.server = server,
		.secret = declared ? declared->secret : looks_secret(entry->name, value),
		.type = type_of(value),
		.order = import->count,
	};
	import->count++;
}

static int take_text(struct import *import, const char *where, const char *server, struct slice text,
		     struct err *err)
{
	struct diags diags = DIAGS_INIT(import->arena);
	const struct dotenv_options options = {0};
	struct dotenv_file file;

	if (dotenv_parse(import->arena, import->safe, where, text, &options, &file, &diags))
		return diags_check(&diags, where, err) ? -1
						       : err_set(err, ERR_USER, "%s cannot be read", where);
	for (size_t i = 0; i < file.count; i++)
		if (value_name_valid(slice_of(file.items[i].name)))
			add(import, &file.items[i], where, server);
	json_array_append_new(import->files, json_pack("{s:o, s:b, s:I}", "file", json_text(slice_of(where)),
						       "found", true, "variables", (json_int_t)file.count));
	return 0;
}

static int read_here(struct import *import, const char *path, struct err *err)
{
	struct buf text = BUF_SECRET(READ_FILE_MAX);
	int result = file_read_at(AT_FDCWD, path, &text, err);

	if (result == 0)
		result = take_text(import, path, NULL, buf_slice(&text), err);
	buf_free(&text);
	return result;
}

static int read_server(struct import *import, const struct server *server, const char *name, struct err *err)
{
	struct buf text = BUF_SECRET(READ_FILE_MAX);
	const struct place *place = &server->place;
	const struct place_address address = server_address(server);
	const char *found = NULL;
	int result = target_read_file(import->arena, &address, name, &found, &text, err);

	if (result == 0 && found)
		result = take_text(import, arena_printf(import->arena, "%s: %s", place->text, found),
				   place->text, buf_slice(&text), err);
	else if (result == 0)
		json_array_append_new(import->files,
				      json_pack("{s:o, s:b}", "file",
						json_text(slice_of(arena_printf(import->arena, "%s: %s",
										place->text, name))),
						"found", false));
	buf_free(&text);
	return result;
}

static int read_all(struct import *import, const struct import_request *request, struct err *err)
{
	static const char *const usual[] = {".env"};
	const char *const *names = request->name_count ? request->names : usual;
	size_t count = request->name_count ? request->name_count : ARRAY_LEN(usual);

	if (request->file)
		return read_here(import, request->file, err);
	for (size_t s = 0; s < import->environment->servers.count; s++)
		for (size_t i = 0; i < count; i++)
			if (read_server(import, &import->environment->servers.items[s], names[i], err))
				return -1;
	if (import->count)
		return 0;
	err_set(err, ERR_NOT_FOUND, "no server of %s has %s with a variable in it", import->environment->name,
		names[0]);
	return err_hint(err,
			"say where it stands: `lockstep config import %s --from-server --path config/.env`",
			import->environment->name);
}

/* --- sorting out ------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->order > y->order) - (x->order < y->order);
}

static bool is_first(const struct import *import, size_t i)
{
	return i == 0 || strcmp(import->items[i - 1].name, import->items[i].name) != 0;
}

/* A variable with different values, and one that some servers lack. */
static json_t *differences(const struct import *import, size_t servers)
{
	json_t *list = json_array();

	for (size_t i = 0, end; i < import->count; i = end) {
		size_t has = 0;
		bool equal = true;
		for (end = i;
		     end < import->count && strcmp(import->items[end].name, import->items[i].name) == 0;
		     end++) {
			bool again = false;
			for (size_t j = i; j < end; j++)
				again = again ||
					(import->items[j].server && import->items[end].server &&
					 strcmp(import->items[j].server, import->items[end].server) == 0);
			has += !again;
			equal = equal && secret_equal(import->items[i].value, import->items[end].value);
		}
		if (!equal)
			json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "variable",
							      import->items[i].name, "what", "different",
							      "here", import->items[i].place, "there",
							      import->items[end - 1].place));
		else if (servers > 1 && has < servers)
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s, s:I}", "variable", import->items[i].name,
						"what", "not on every server", "here", import->items[i].place,
						"servers", (json_int_t)has));
	}
	return list;
}

/* Against the contract there is already. */
static json_t *against_contract(const struct import *import)
{
	const struct contract *contract = &import->engine->project->env;
	json_t *list = json_array();

	for (size_t i = 0; i < contract->keys.count; i++) {
		const struct contract_key *key = &contract->keys.items[i];
		bool found = false;
		for (size_t j = 0; j < import->count; j++)
			found = found || strcmp(import->items[j].name, key->name) == 0;
		if (!found && contract_requires(key, import->environment->name))
			json_array_append_new(list, json_pack("{s:s, s:s}", "variable", key->name, "what",
							      "required, not found"));
	}
	for (size_t i = 0; i < import->count && contract->keys.count; i++)
		if (is_first(import, i) && !contract_find(contract, slice_of(import->items[i].name)))
			json_array_append_new(list, json_pack("{s:s, s:s}", "variable", import->items[i].name,
							      "what", "not declared"));
	return list;
}

static void put_scalar(struct buf *out, struct slice text)
{
	const struct node node = {.kind = NODE_STR, .text = text};

	yaml_write_scalar(&node, out);
}

/* What goes into lockstep.yml, or into a file that `extends` names. */
static int write_yaml(const struct import *import, const char *sealed, struct buf *out, struct err *err)
{
	static const char *const types[] = {[VALUE_INT] = "int", [VALUE_BOOL] = "bool", [VALUE_URL] = "url"};
	const struct contract *contract = &import->engine->project->env;

	size_t declared = 0, plain = 0;
	for (size_t i = 0; i < import->count; i++) {
		const struct found *item = &import->items[i];
		if (!is_first(import, i) || contract_find(contract, slice_of(item->name)))
			continue;
		buf_printf(out, "%s  %s: {", declared++ ? "" : "env:\n", item->name);
		if (item->secret)
			buf_puts(out, " secret: true ");
		else if (item->type == VALUE_INT || item->type == VALUE_BOOL || item->type == VALUE_URL)
			buf_printf(out, " type: %s ", types[item->type]);
		buf_puts(out, "}\n");
	}
	const char *heading =
		arena_printf(import->arena, "environments:\n  %s:\n", import->environment->name);
	if (sealed)
		buf_printf(out, "%s    values_from: [\"sealed:%s\"]\n", heading, sealed);
	for (size_t i = 0; i < import->count; i++) {
		const struct found *item = &import->items[i];
		if (!is_first(import, i) || item->secret)
			continue;
		if (!plain++)
			buf_printf(out, "%s    values:\n", sealed ? "" : heading);
		buf_printf(out, "      %s: ", item->name);
		put_scalar(out, secret_reveal(item->value));
		buf_putc(out, '\n');
	}
	return buf_check(out, "the contract", err);
}

/* --- sealing ------------------------------------------------------------------------------ */

static int seal(const struct import *import, const struct import_request *request, json_t *result,
		struct err *err)
{
	AUTO(sealed_place_close) struct sealed_place place = SEALED_PLACE_INIT;
	struct engine *engine = import->engine;
	struct seal_key key;
	bool made = false;
	size_t count = 0;

	if (sealed_place_open(engine, request->environment, request->sealed, !request->dry_run, &place, err))
		return -1;
	for (size_t i = 0; i < import->count; i++)
		count += is_first(import, i) && import->items[i].secret;
	if (count && !request->dry_run) {
		if (sealed_place_key(engine, &place, import->safe, &key, &made, err))
			return -1;
		for (size_t i = 0; i < import->count; i++) {
			const struct found *item = &import->items[i];
			const struct sealed_value *there =
				sealed_file_find(&place.file, slice_of(item->name));
			struct secret now;
			if (!is_first(import, i) || !item->secret)
				continue;
			/* Importing twice makes no new versions. */
			if (there && sealed_file_open_one(&place.file, place.shown, there, &key, import->safe,
							  &now, err))
				return -1;
			if (there && secret_equal(now, item->value))
				continue;
			if (sealed_file_put(&engine->arena, &place.file, &key, item->name,
					    secret_reveal(item->value), clock_wall_ms(), err))
				return -1;
		}
		if (sealed_place_save(engine, &place, err))
			return -1;
	}
	AUTO(buf_free) struct buf yaml = BUF_INIT(8 << 20);
	if (write_yaml(import, place.listed || !count ? NULL : place.shown, &yaml, err))
		return -1;
	json_object_set_new(result, "sealed", json_integer((json_int_t)count));
	json_object_set_new(result, "sealed_file", json_string(place.shown));
	json_object_set_new(result, "key_made", json_boolean(made));
	json_object_set_new(result, "yaml", json_text(buf_slice(&yaml)));
	return 0;
}

int config_import(struct engine *engine, const struct import_request *request, json_t **out, struct err *err)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	struct import import = {.engine = engine, .arena = &engine->arena, .safe = safe};

	if (project_find_environment(engine->project, request->environment, &import.environment, err))
		return -1;
	import.files = json_array();
	*out = json_pack("{s:s, s:b, s:o}", "environment", request->environment, "dry_run", request->dry_run,
			 "files", import.files);
	if (read_all(&import, request, err))
		return -1;
	if (import.count)
		qsort(import.items, import.count, sizeof(*import.items), compare);
	size_t variables = 0;
	for (size_t i = 0; i < import.count; i++)
		variables += is_first(&import, i);
	json_object_set_new(*out, "variables", json_integer((json_int_t)variables));
	json_object_set_new(*out, "differences",
			    differences(&import, request->file ? 1 : import.environment->servers.count));
	json_object_set_new(*out, "contract", against_contract(&import));
	return seal(&import, request, *out, err);
}
