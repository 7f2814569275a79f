/* What this machine remembers of a configuration: fingerprints under a key of its own, and
 * sealed copies of what its provider does not keep. Of config files nothing but
 * fingerprints. */
#include "engine/configuration.h"

#include "seal/key_file.h"

#include <stdlib.h>

int configuration_history_keys(struct engine *engine, struct safe *safe, struct history_keys *out,
			       struct err *err)
{
	if (key_file_machine(engine->home.path, safe, &out->seal, err))
		return -1;
	seal_key_derive(safe, &out->seal, "fingerprints of configuration", &out->fingerprint);
	return 0;
}

static struct seal_context context_of(const char *project, const char *environment, const char *name)
{
	return (struct seal_context){.project = project, .environment = environment, .name = name};
}

int configuration_entries(const struct configuration *configuration, struct config_entry **entries_out,
			  size_t *count_out, struct err *err)
{
	struct engine *engine = configuration->engine;
	struct config_entry *entries =
		ARENA_NEW_ARRAY(&engine->arena, configuration->candidate_count, struct config_entry);
	AUTO(safe_close) struct safe *safe = safe_open();
	struct history_keys keys;
	size_t count = 0;

	if (configuration_history_keys(engine, safe, &keys, err))
		return -1;
	for (size_t i = 0; i < configuration->candidate_count; i++) {
		const struct candidate *candidate = &configuration->candidates[i];
		/* Only the strongest of each scope: the rest was never used. */
		if (i > 0 && strcmp(candidate[-1].name, candidate->name) == 0 &&
		    candidate->level < LEVEL_GROUP && candidate[-1].level < LEVEL_GROUP)
			continue;
		const struct config_value value = {.name = candidate->name, .value = candidate->value};
		struct digest fingerprint;
		char hex[DIGEST_HEX_LEN + 1];
		config_fingerprint(&value, secret_reveal(keys.fingerprint), &fingerprint);
		digest_to_hex(&fingerprint, hex);
		struct slice text = secret_reveal(candidate->value);
		AUTO(buf_free) struct buf sealed = BUF_INIT(SEALED_MAX);
		if (candidate->secret && !candidate->version) {
			const struct seal_context context = context_of(
				engine->project->name, configuration->environment->name, candidate->name);
			seal_value(&keys.seal, &context, text, &sealed);
		}
		entries[count++] = (struct config_entry){
			.name = candidate->name,
			.scope = candidate->scope,
			.level = value_level_name(candidate->level),
			.place = candidate->place,
			.version = candidate->version,
			.fingerprint = arena_strdup(&engine->arena, hex),
			.text = candidate->secret ? NULL : arena_str(&engine->arena, text),
			.sealed = sealed.len ? arena_str(&engine->arena, buf_slice(&sealed)) : NULL,
			.secret = candidate->secret,
		};
	}
	*entries_out = entries;
	*count_out = count;
	return 0;
}

struct file_seen {
	const char *path;
	size_t server;
	struct digest digest;
};

static int compare_seen(const void *a, const void *b)
{
	const struct file_seen *left = a, *right = b;
	int order = strcmp(left->path, right->path);

	return order ? order : (left->server > right->server) - (left->server < right->server);
}

/* Of one path, on all servers: a server without it counts, too. */
static const char *fingerprint_of(const struct configuration *configuration, const struct file_seen *seen,
				  size_t count, struct slice key)
{
	const struct environment *environment = configuration->environment;
	struct arena *arena = &configuration->engine->arena;
	struct config_share *shares = ARENA_NEW_ARRAY(arena, environment->servers.count, struct config_share);
	char hex[DIGEST_HEX_LEN + 1];
	struct digest digest;

	for (size_t i = 0; i < environment->servers.count; i++)
		shares[i] = (struct config_share){.server = environment->servers.items[i].place.text,
						  .group = environment->servers.items[i].group};
	for (size_t i = 0; i < count; i++)
		shares[seen[i].server].digest = seen[i].digest;
	config_digest(shares, environment->servers.count, key, &digest);
	digest_to_hex(&digest, hex);
	return arena_strdup(arena, hex);
}

int configuration_kept_files(struct configuration *configuration, struct slice key,
			     struct config_kept_file_list *out, struct err *err)
{
	struct arena *arena = &configuration->engine->arena;
	AUTO(mem_free_ptr) struct file_seen *seen = NULL;
	size_t seen_count = 0;

	*out = (struct config_kept_file_list){0};
	for (size_t server = 0; server < configuration->set_count; server++) {
		struct config_set_file *files;
		size_t count;
		if (configuration_files(configuration, server, &files, &count, err))
			return -1;
		seen = mem_grow(seen, seen_count + count + 1, sizeof(*seen));
		for (size_t i = 0; i < count; i++) {
			seen[seen_count] = (struct file_seen){.path = files[i].path, .server = server};
			config_file_fingerprint(&files[i], key, &seen[seen_count++].digest);
		}
		configuration_wipe_files(configuration);
	}
	if (seen_count)
		qsort(seen, seen_count, sizeof(*seen), compare_seen);
	out->items = ARENA_NEW_ARRAY(arena, seen_count, struct config_kept_file);
	for (size_t first = 0, next; first < seen_count; first = next) {
		for (next = first + 1; next < seen_count && strcmp(seen[first].path, seen[next].path) == 0;)
			next++;
		out->items[out->count++] = (struct config_kept_file){
			.path = seen[first].path,
			.fingerprint = fingerprint_of(configuration, &seen[first], next - first, key),
		};
	}
	return 0;
}

enum { MASKED_VERSIONS = 50 };

void configuration_mask_earlier(struct engine *engine, const struct environment *environment)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	struct history_keys keys;
	struct config_version_list versions;
	struct err err = ERR_INIT;

	if (config_version_list(engine->home.db, &engine->arena, engine->project->name, environment->name,
				MASKED_VERSIONS, &versions, &err) ||
	    versions.count == 0 || configuration_history_keys(engine, safe, &keys, &err))
		return;
	for (size_t v = 0; v < versions.count; v++) {
		struct config_entry_list entries;
		if (config_entry_list(engine->home.db, &engine->arena, &versions.items[v], &entries, &err))
			return;
		for (size_t i = 0; i < entries.count; i++) {
			const struct config_entry *entry = &entries.items[i];
			const struct seal_context context =
				context_of(engine->project->name, environment->name, entry->name);
			struct secret value;
			if (entry->sealed &&
			    seal_open(&keys.seal, &context, slice_of(entry->sealed), safe, &value, &err) == 0)
				event_mask(&engine->events, value);
		}
	}
}
