/* What a configuration is called: by variables and config files together, so that a change
 * of either is something to deploy. */
#include "engine/configuration.h"

static int share_of(struct configuration *configuration, size_t server, struct slice key,
		    struct config_share *out, struct err *err)
{
	const struct server *of = &configuration->environment->servers.items[server];
	struct config_set_file *files;
	size_t count;

	if (configuration_files(configuration, server, &files, &count, err))
		return -1;
	*out = (struct config_share){.server = of->place.text, .group = of->group};
	config_set_digest(&configuration->sets[server], files, count, key, &out->digest);
	configuration_wipe_files(configuration);
	return 0;
}

int configuration_name(struct configuration *configuration, struct slice key, struct err *err)
{
	struct arena *arena = &configuration->engine->arena;
	size_t count = configuration->set_count;
	struct config_share *shares = ARENA_NEW_ARRAY(arena, count, struct config_share);
	char hex[DIGEST_HEX_LEN + 1];
	struct digest digest;

	configuration->own_hex = ARENA_NEW_ARRAY(arena, count, const char *);
	for (size_t i = 0; i < count; i++) {
		if (share_of(configuration, i, key, &shares[i], err))
			return -1;
		digest_to_hex(&shares[i].digest, hex);
		configuration->own_hex[i] = arena_strdup(arena, hex);
	}
	config_digest(shares, count, key, &digest);
	digest_to_hex(&digest, configuration->digest_hex);
	return 0;
}
