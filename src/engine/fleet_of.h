/* The servers of an environment as the target module wants them. */
#pragma once

#include "engine/engine.h"
#include "target/fleet.h"

/* Connects to all servers of the environment; see fleet_open for what is returned
 * when some cannot be reached. Events of the fleet become events of the engine. */
int fleet_of_environment(struct engine *engine, const struct environment *environment, bool observe,
			 struct fleet **fleet_out, struct err *err) CHECKED;
/* Only begins to: fleet_connected waits. */
int fleet_begin_environment(struct engine *engine, const struct environment *environment, bool observe,
			    struct fleet **fleet_out, struct err *err) CHECKED;

/* Frees what passes events on; by engine_close. */
void fleet_relays_close(struct engine *engine);

/* Where a server is, as the target module wants it; borrows the server's texts. */
struct place_address server_address(const struct server *server);
/* "deploy@web1:/var/www/shop" and the canonical key of a server. */
const char *server_label(struct arena *arena, const struct server *server);
const char *server_key(struct arena *arena, const struct server *server);
/* This machine never saw a deployment there: nor will the agent be there. */
bool server_is_new(struct engine *engine, const struct environment *environment, const struct server *server);

/* The activation of that name in a server's state; NULL: none. */
const struct server_activation *state_activation(const struct server_state *state, const char *name);
/* The one that was live when the server greeted us; NULL: none of ours. */
const struct server_activation *state_live(const struct server_state *state);
/* Whether the place belongs to this environment of this project, or to nobody yet. */
bool state_is_ours(const struct server_state *state, const char *project, const char *environment);
/* "live" or "verified": an activation one may go back to. */
bool activation_is_good(const struct server_activation *activation);
/* Which servers belong to a group (NULL: all), with `once` only the first. */
bool *servers_of_group(struct arena *arena, const struct environment *environment, const char *group, bool once);
