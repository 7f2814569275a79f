#include "engine/needed.h"

#include "base/clock.h"
#include "engine/fleet_of.h"
#include "model/deployment.h"
#include "model/release.h"
#include "model/seen_place.h"

enum { RECENT_DEPLOYMENTS = 200 };

static void need(struct needed *needed, const char *hex)
{
	if (hex && *hex)
		map_put(&needed->releases, slice_of(hex), needed);
}

/* --- what this machine knows -------------------------------------------------------------- */

/* Not refused and not failed for certain: a server may show it or keep it. */
static bool may_be_there(enum deployment_outcome outcome)
{
	return outcome == OUTCOME_LIVE || outcome == OUTCOME_RUNNING || outcome == OUTCOME_UNKNOWN ||
	       outcome == OUTCOME_MIXED || outcome == OUTCOME_PARTIAL;
}

static int need_recent(struct engine *engine, const char *project, const char *environment,
		       struct needed *needed, struct err *err)
{
	const struct page page = {.limit = RECENT_DEPLOYMENTS};
	struct deployment_list list;

	if (deployment_list(engine->home.db, &engine->arena, project, environment, &page, &list, err))
		return -1;
	for (size_t i = 0; i < list.count; i++)
		if (may_be_there(list.items[i].outcome))
			need(needed, list.items[i].release);
	return 0;
}

/* Each environment by itself: a busy one pushes nothing of another out. */
static int need_seen(struct engine *engine, struct needed *needed, struct err *err)
{
	struct seen_place_list places;

	if (need_recent(engine, NULL, NULL, needed, err) ||
	    seen_place_list(engine->home.db, &engine->arena, NULL, NULL, &places, err))
		return -1;
	for (size_t i = 0; i < places.count; i++) {
		const struct seen_place *place = &places.items[i];
		need(needed, place->release);
		bool same = i > 0 && strcmp(place[-1].environment, place->environment) == 0 &&
			    strcmp(place[-1].project, place->project) == 0;
		if (!same && need_recent(engine, place->project, place->environment, needed, err))
			return -1;
	}
	return 0;
}

static int need_young(struct engine *engine, int64_t age_ms, struct needed *needed, struct err *err)
{
	struct page page = {.limit = PAGE_LIMIT_MAX};
	int64_t oldest = clock_wall_ms() - age_ms;
	struct release_list list;

	for (;;) {
		if (release_list(engine->home.db, &engine->arena, NULL, &page, &list, err))
			return -1;
		for (size_t i = 0; i < list.count; i++)
			if (list.items[i].created_ms >= oldest)
				need(needed, list.items[i].digest);
		if (list.count < PAGE_LIMIT_MAX || list.items[list.count - 1].created_ms < oldest)
			return 0;
		page.before_ms = list.items[list.count - 1].created_ms;
		page.before_id = list.items[list.count - 1].digest;
	}
}

/* --- what the servers say ------------------------------------------------------------------- */

static void need_of_server(struct engine *engine, const struct server_state *state, struct needed *needed)
{
	for (size_t i = 0; i < state->activation_count; i++)
		need(needed, arena_strdup(&engine->arena, state->activations[i].release_hex));
	if (state->pending)
		need(needed, arena_strdup(&engine->arena, state->pending->release));
}

static int ask_environment(struct engine *engine, const struct environment *environment,
			   struct needed *needed, struct err *err)
{
	AUTO(fleet_close) struct fleet *fleet = NULL;
	struct err away = ERR_INIT;

	if (fleet_of_environment(engine, environment, true, &fleet, &away) && !fleet) {
		*err = away;
		return -1;
	}
	if (fleet_interrupted(fleet))
		return err_set(err, ERR_INTERRUPTED, "interrupted; nothing was removed");
	for (size_t i = 0; i < fleet_count(fleet); i++) {
		const struct server_state *state = fleet_state(fleet, i);
		const struct err *why = fleet_failure(fleet, i);
		if (state) {
			needed->asked++;
			need_of_server(engine, state, needed);
			continue;
		}
		json_array_append_new(needed->not_asked,
				      json_pack("{s:s, s:s, s:o}", "environment", environment->name, "server",
						environment->servers.items[i].place.text, "why",
						json_text(slice_of(why ? why->text : "no connection"))));
	}
	return 0;
}

/* --- together --------------------------------------------------------------------------------- */

int needed_collect(struct engine *engine, int64_t age_ms, struct needed *out, struct err *err)
{
	*out = (struct needed){.releases = MAP_INIT, .not_asked = json_array()};
	if (need_seen(engine, out, err) || need_young(engine, age_ms, out, err))
		return -1;
	for (size_t i = 0; engine->project && i < engine->project->environments.count; i++)
		if (ask_environment(engine, &engine->project->environments.items[i], out, err))
			return -1;
	return 0;
}

bool needed_has(const struct needed *needed, const struct digest *release)
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_to_hex(release, hex);
	return map_get(&needed->releases, slice_of(hex)) != NULL;
}

void needed_free(struct needed *needed)
{
	map_free(&needed->releases);
	json_decref(needed->not_asked);
	needed->not_asked = NULL;
}
