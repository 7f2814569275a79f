/* Values of an earlier version, for a rollback that must render anew. */
#include "engine/configuration.h"

static bool is_latest(const struct configuration *configuration, const char *name)
{
	const struct contract_key *key = contract_find(&configuration->engine->project->env, slice_of(name));

	return key && key->secret && key->on_rollback == ROLLBACK_LATEST;
}

static bool any_latest(const struct contract *contract)
{
	for (size_t i = 0; i < contract->keys.count; i++)
		if (contract->keys.items[i].on_rollback == ROLLBACK_LATEST)
			return true;
	return false;
}

static enum value_level level_of_name(const char *name)
{
	for (int level = LEVEL_DEFAULT; level <= LEVEL_SERVER; level++)
		if (strcmp(value_level_name((enum value_level)level), name) == 0)
			return (enum value_level)level;
	return LEVEL_ENVIRONMENT;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* What gives the variable its value today, where the entry gave it then. */
static const struct candidate *today(const struct configuration *configuration,
				     const struct config_entry *entry)
{
	for (size_t i = 0; i < configuration->candidate_count; i++) {
		const struct candidate *candidate = &configuration->candidates[i];
		bool scoped = candidate->level >= LEVEL_GROUP;
		if (strcmp(candidate->name, entry->name) == 0 &&
		    same_text(scoped ? candidate->scope : NULL, entry->scope))
			return candidate;
	}
	return NULL;
}

static bool is_same(const struct candidate *candidate, const struct config_entry *entry, struct slice key)
{
	const struct config_value value = {.name = entry->name, .value = candidate->value};
	struct digest fingerprint;
	char hex[DIGEST_HEX_LEN + 1];

	config_fingerprint(&value, key, &fingerprint);
	digest_to_hex(&fingerprint, hex);
	return strcmp(hex, entry->fingerprint) == 0;
}

/* The value an entry had: kept plain or sealed here, or the one of today. */
static int value_of(struct configuration *configuration, const struct config_entry *entry,
		    const struct history_keys *keys, struct secret *out, struct err *err)
{
	const struct candidate *now = today(configuration, entry);
	const struct seal_context context = {
		.project = configuration->engine->project->name,
		.environment = configuration->environment->name,
		.name = entry->name,
	};

	if (now && (is_latest(configuration, entry->name) ||
		    is_same(now, entry, secret_reveal(keys->fingerprint)))) {
		*out = now->value;
		return 0;
	}
	if (!entry->secret)
		return safe_put(configuration->pinned, slice_of(entry->text ? entry->text : ""), out, err);
	if (entry->sealed)
		return seal_open(&keys->seal, &context, slice_of(entry->sealed), configuration->pinned, out,
				 err);
	err_set(err, ERR_NOT_FOUND, "the value %s had then (%s%s%s) is not kept on this machine", entry->name,
		entry->place, entry->version ? ", version " : "", entry->version ? entry->version : "");
	return err_hint(err,
			"set it to that value where it comes from, then roll back; or deploy the earlier "
			"commit with the "
			"values of today: `lockstep deploy %s --ref REF`",
			configuration->environment->name);
}

static bool changed_since(const struct configuration *configuration, const struct config_entry_list *entries,
			  const struct history_keys *keys)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct config_entry *entry = &entries->items[i];
		const struct candidate *now = today(configuration, entry);
		if (is_latest(configuration, entry->name) && now &&
		    !is_same(now, entry, secret_reveal(keys->fingerprint)))
			return true;
	}
	return false;
}

static int pin(struct configuration *configuration, const struct config_entry_list *entries,
	       const struct history_keys *keys, struct err *err)
{
	struct candidate *candidates =
		ARENA_NEW_ARRAY(&configuration->engine->arena, entries->count, struct candidate);

	configuration->pinned = safe_open();
	for (size_t i = 0; i < entries->count; i++) {
		const struct config_entry *entry = &entries->items[i];
		const struct contract_key *key =
			contract_find(&configuration->engine->project->env, slice_of(entry->name));
		candidates[i] = (struct candidate){
			.name = entry->name,
			/* It may have become one since. */
			.secret = entry->secret || (key && key->secret),
			.level = level_of_name(entry->level),
			.scope = entry->scope,
			.place = entry->place,
			.version = entry->version,
		};
		if (value_of(configuration, entry, keys, &candidates[i].value, err))
			return -1;
		if (candidates[i].secret)
			event_mask(&configuration->engine->events, candidates[i].value);
	}
	candidates_sort(candidates, entries->count);
	configuration->candidates = candidates;
	configuration->candidate_count = entries->count;
	return configuration_resolve_sets(configuration, err);
}

int configuration_pin(struct configuration *configuration, const char *digest, bool *needed_out,
		      struct err *err)
{
	struct engine *engine = configuration->engine;
	AUTO(safe_close) struct safe *safe = NULL;
	struct config_version version;
	struct config_entry_list entries;
	struct history_keys keys;
	bool found;

	*needed_out = false;
	if (!any_latest(&engine->project->env) || strlen(digest) != DIGEST_HEX_LEN)
		return 0;
	if (config_version_find(engine->home.db, &engine->arena, engine->project->name,
				configuration->environment->name, digest, &found, &version, err))
		return -1;
	if (!found) {
		event_note(&engine->events, "warn",
			   "this machine does not know the configuration that goes back: secrets that say "
			   "`on_rollback: latest` "
			   "go back too");
		return 0;
	}
	safe = safe_open();
	if (config_entry_list(engine->home.db, &engine->arena, &version, &entries, err) ||
	    configuration_history_keys(engine, safe, &keys, err))
		return -1;
	if (!changed_since(configuration, &entries, &keys))
		return 0;
	*needed_out = true;
	return pin(configuration, &entries, &keys, err);
}
