/* What is right in each row but wrong together, and what follows from several
 * rows: inherited keys, places, interpolated texts. */
#include "project/keys.h"
#include "project/path.h"

#include "base/map.h"
#include "values/interpolate.h"

#include <stdlib.h>

struct resolver {
	struct arena *arena;
	struct diags *diags;
	struct project *project;
	struct map groups; /* every group any environment names → a name */
	struct map places; /* place_key → struct known_place */
	size_t grouped;	   /* environments with groups */
};

struct known_place {
	const struct place *place;
	const char *environment;
};

/* Where a delivery key stands that an environment has or took over. */
static const struct node *delivery_value(const struct resolver *resolver,
					 const struct environment *environment, const char *key)
{
	const struct node *own = node_get(environment->node, key);
	return own ? own : node_get(resolver->project->deploy.node, key);
}

/* Hands an err on as a diagnostic. */
static void report(struct resolver *resolver, struct origin origin, const struct err *err,
		   const char *context)
{
	diags_error(resolver->diags, origin, "%s%s", err->text, context);
	if (*err->hint)
		diags_hint(resolver->diags, "%s", err->hint);
}

static const char *in_environment(struct resolver *resolver, const struct environment *environment)
{
	return arena_printf(resolver->arena, ", in environment `%s`", environment->name);
}

/* Element of a list, or the value that stands for a list of one. */
static const struct node *element(const struct node *node, size_t index)
{
	return node->kind == NODE_LIST ? node->items[index].value : node;
}

/* ---- servers ---- */

static void claim_place(struct resolver *resolver, const struct environment *environment,
			const struct place *place)
{
	const char *key = place_key(resolver->arena, place);
	struct known_place *known = map_get(&resolver->places, slice_of(key));
	if (known) {
		diags_error(resolver->diags, place->origin,
			    "`%s` is the same place as `%s` at %s (environment `%s`)", place->text,
			    known->place->text, origin_text(resolver->arena, known->place->origin),
			    known->environment);
		diags_hint(resolver->diags, "give each its own path");
		return;
	}
	known = ARENA_NEW(resolver->arena, struct known_place);
	*known = (struct known_place){place, environment->name};
	map_put(&resolver->places, slice_of(key), known);
}

static void resolve_server(struct resolver *resolver, const struct environment *environment,
			   const struct node *node, struct server *server)
{
	struct err err = ERR_INIT;
	if (place_parse(resolver->arena, node->text, node->origin, &server->place, &err)) {
		report(resolver, node->origin, &err, "");
		return;
	}
	const char *path = environment->delivery.path;
	if (!server->place.path && !path) {
		if (delivery_value(resolver, environment, "path"))
			return; /* refused, and told of */
		diags_error(resolver->diags, node->origin,
			    "`%s` has no path, and neither has its environment or `deploy`",
			    server->place.text);
		diags_hint(resolver->diags, "add `path` to `deploy`, or write %s",
			   server->place.port ? arena_printf(resolver->arena, "%s/PATH", server->place.text)
					      : arena_printf(resolver->arena, "%s:PATH", server->place.text));
		return;
	}
	/* A faulty path was told of where it stands. */
	if (!server->place.path && place_set_path(resolver->arena, path, &server->place, &err))
		return;
	claim_place(resolver, environment, &server->place);
}

static void resolve_servers(struct resolver *resolver, struct environment *environment)
{
	const struct node *written = node_get(environment->node, "servers");
	size_t count = 0, groups = environment->written_servers.count;
	for (size_t i = 0; i < groups; i++)
		count += environment->written_servers.items[i].servers.count;
	environment->servers.items = ARENA_NEW_ARRAY(resolver->arena, count, struct server);
	environment->groups.items = ARENA_NEW_ARRAY(resolver->arena, groups, const char *);
	for (size_t i = 0; i < groups; i++) {
		const struct server_group *group = &environment->written_servers.items[i];
		bool all = strcmp(group->name, GROUP_ALL) == 0;
		if (!all) {
			environment->groups.items[environment->groups.count++] = group->name;
			map_put(&resolver->groups, slice_of(group->name), (void *)(uintptr_t)group->name);
		}
		const struct node *list =
			written->kind == NODE_MAP ? node_get(written, group->name) : written;
		for (size_t j = 0; j < group->servers.count; j++) {
			if (!group->servers.items[j])
				continue; /* refused, and told of */
			struct server *server = &environment->servers.items[environment->servers.count++];
			server->group = all ? NULL : group->name;
			resolve_server(resolver, environment, element(list, j), server);
		}
	}
	if (environment->groups.count)
		resolver->grouped++;
}

/* ---- values and what uses them ---- */

struct known {
	const struct resolver *resolver;
	const struct environment *environment;
	bool late;
};

/* A variable that only its provider knows, or that a group or server has of its own, is
 * waited for. */
static int look_up(void *context, struct slice name, struct err *err)
{
	struct known *known = context;
	const struct project *project = known->resolver->project;
	const struct contract_key *key = contract_find(&project->env, name);
	if (key && key->secret) {
		err_set(err, ERR_USER, "`${%s}` is a secret, and what is asked stands in logs", key->name);
		return -1;
	}
	bool has_sources = project->values_from.count || known->environment->values_from.count;
	for (size_t i = 0; i < known->environment->values_for.count; i++)
		if (value_list_get(&known->environment->values_for.items[i].values, name))
			known->late = true;
	if (!value_list_get(&known->environment->values, name) && (key || has_sources))
		known->late = true;
	return 0;
}

static void resolve_text(struct resolver *resolver, const struct environment *environment, const char *key,
			 const char *(*fault_of)(struct slice), const char **text, bool *late)
{
	const struct node *node = node_get(environment->delivery.health.node, key);
	if (!*text || !node)
		return;
	struct err err = ERR_INIT;
	const char *context = in_environment(resolver, environment);
	struct known known = {.resolver = resolver, .environment = environment};
	if (interpolate_each(*text, look_up, &known, &err)) {
		report(resolver, node->origin, &err, context);
		return;
	}
	if (known.late) {
		*late = true;
		return;
	}
	if (interpolate(resolver->arena, *text, &environment->values, text, &err)) {
		report(resolver, node->origin, &err, context);
		return;
	}
	const char *fault = fault_of(slice_of(*text));
	/* Without a value in it, it was judged by its row. */
	if (fault && memmem(node->text.ptr, node->text.len, "${", 2))
		diags_error(resolver->diags, node->origin, "`%s` %s%s", *text, fault, context);
}

/* Both as they are or both interpolated, so that `late` speaks of both. */
static void resolve_health(struct resolver *resolver, const struct environment *environment,
			   struct health *health)
{
	const char *url = health->url, *address = health->address;
	resolve_text(resolver, environment, "url", url_fault, &url, &health->late);
	resolve_text(resolver, environment, "address", address_fault, &address, &health->late);
	if (health->late)
		return;
	health->url = url;
	health->address = address;
}

/* ---- paths in the release ---- */

struct listed_path {
	const char *path, *list;
	struct origin origin;
};

static size_t list_paths(const struct node *node, const struct str_list *list, const char *name,
			 struct listed_path *out)
{
	for (size_t i = 0; i < list->count; i++) {
		out[i] = (struct listed_path){list->items[i], name, element(node, i)->origin};
	}
	return list->count;
}

static void check_pair(struct resolver *resolver, const struct listed_path *a, const struct listed_path *b)
{
	const struct listed_path *inner = a, *outer = b;
	if (path_within(slice_of(b->path), slice_of(a->path))) {
		inner = b;
		outer = a;
	} else if (!path_within(slice_of(a->path), slice_of(b->path))) {
		return;
	}
	bool same = strcmp(a->path, b->path) == 0;
	if (same && inner->origin.line < outer->origin.line) {
		inner = a;
		outer = b;
	}
	diags_error(resolver->diags, inner->origin, "`%s` %s `%s` of `%s` at %s", inner->path,
		    same ? "is the same as" : "lies inside", outer->path, outer->list,
		    origin_text(resolver->arena, outer->origin));
	diags_hint(resolver->diags, "a path belongs to one of shared_dirs, shared_files and generated, once");
}

static int compare_paths(const void *a, const void *b)
{
	/* `/` sorts before everything else, so that what lies inside a folder
	 * follows it directly. */
	const char *x = ((const struct listed_path *)a)->path, *y = ((const struct listed_path *)b)->path;
	while (*x && *x == *y)
		x++, y++;
	int left = *x == '/' ? 1 : (unsigned char)*x + (*x != 0),
	    right = *y == '/' ? 1 : (unsigned char)*y + (*y != 0);
	return left - right;
}

static void check_paths(struct resolver *resolver, const struct environment *environment)
{
	const struct delivery *delivery = &environment->delivery;
	size_t total = delivery->shared_dirs.count + delivery->shared_files.count + delivery->generated.count;
	struct listed_path *paths = ARENA_NEW_ARRAY(resolver->arena, total, struct listed_path);
	size_t count = 0;
	count += list_paths(delivery_value(resolver, environment, "shared_dirs"), &delivery->shared_dirs,
			    "shared_dirs", paths + count);
	count += list_paths(delivery_value(resolver, environment, "shared_files"), &delivery->shared_files,
			    "shared_files", paths + count);
	count += list_paths(delivery_value(resolver, environment, "generated"), &delivery->generated,
			    "generated", paths + count);
	/* Rows that were refused left no path. */
	for (size_t i = 0; i < count; i++)
		if (!paths[i].path || path_fault(slice_of(paths[i].path)))
			return;
	if (count)
		qsort(paths, count, sizeof(*paths), compare_paths);
	size_t outer = 0;
	for (size_t i = 1; i < count; i++) {
		if (path_within(slice_of(paths[i].path), slice_of(paths[outer].path)))
			check_pair(resolver, &paths[i], &paths[outer]);
		else
			outer = i;
	}
}

/* ---- groups ---- */

static void check_group(struct resolver *resolver, const struct environment *environment, const char *group,
			struct origin origin)
{
	if (!group || strcmp(group, GROUP_ALL) == 0 || !origin.line || !resolver->grouped)
		return; /* servers in flat lists belong to every group */
	const char *names[100];
	size_t count = 0;
	if (environment && environment->groups.count) {
		for (size_t i = 0; i < environment->groups.count && count < ARRAY_LEN(names); i++)
			names[count++] = environment->groups.items[i];
	} else {
		for (size_t i = 0; i < resolver->groups.entries_used && count < ARRAY_LEN(names); i++)
			if (resolver->groups.entries[i].key.ptr)
				names[count++] = resolver->groups.entries[i].value;
	}
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], group) == 0)
			return;
	if (environment)
		diags_error(resolver->diags, origin, "environment `%s` has no server group `%s`",
			    environment->name, group);
	else
		diags_error(resolver->diags, origin, "no environment has a server group `%s`", group);
	const char *near = key_nearest(slice_of(group), names, count);
	if (near)
		diags_hint(resolver->diags, "did you mean `%s`?", near);
}

/* environment: NULL for the project's own. `written` is the map they stand in. */
static void check_groups(struct resolver *resolver, const struct environment *environment,
			 const struct delivery *delivery, const struct node *written)
{
	if (node_find(written, "reload"))
		for (size_t i = 0; i < delivery->reload.count; i++) {
			const struct reload *reload = &delivery->reload.items[i];
			check_group(resolver, environment, reload->group, reload->origin);
		}
	if (!node_find(written, "hooks"))
		return;
	for (size_t point = 0; point < HOOK_POINTS; point++)
		for (size_t i = 0; i < delivery->hooks.points[point].count; i++) {
			const struct hook *hook = &delivery->hooks.points[point].items[i];
			check_group(resolver, environment, hook->group, node_key_origin(hook->node, "group"));
		}
}

/* A build happens once for all environments; one of them cannot shape it. */
static void check_own_hooks(struct resolver *resolver, const struct environment *environment)
{
	static const char *const build_points[] = {"before_build", "after_build"};
	const struct node *hooks = node_get(environment->node, "hooks");
	for (size_t i = 0; i < ARRAY_LEN(build_points); i++) {
		if (!node_find(hooks, build_points[i]))
			continue;
		diags_error(resolver->diags, node_key_origin(hooks, build_points[i]),
			    "`%s` cannot be set for one environment: all of them share one build",
			    build_points[i]);
		diags_hint(resolver->diags, "put it under `deploy`");
	}
}

/* An environment's `hooks` replace the project's as a whole, but those of the
 * build belong to all. */
static void keep_build_hooks(const struct project *project, struct environment *environment)
{
	environment->delivery.hooks.points[HOOK_BEFORE_BUILD] =
		project->deploy.hooks.points[HOOK_BEFORE_BUILD];
	environment->delivery.hooks.points[HOOK_AFTER_BUILD] = project->deploy.hooks.points[HOOK_AFTER_BUILD];
}

/* ---- promotion ---- */

static const struct environment *named(const struct project *project, const char *name)
{
	for (size_t i = 0; i < project->environments.count; i++)
		if (strcmp(project->environments.items[i].name, name) == 0)
			return &project->environments.items[i];
	return NULL;
}

static struct origin upstream_origin(const struct environment *environment, size_t index)
{
	return element(node_get(environment->node, "promote_from"), index)->origin;
}

static void check_upstream(struct resolver *resolver, const struct environment *environment, size_t index)
{
	const struct project *project = resolver->project;
	const char *name = environment->promote_from.items[index];
	struct origin origin = upstream_origin(environment, index);
	for (size_t i = 0; i < index; i++)
		if (environment->promote_from.items[i] &&
		    strcmp(environment->promote_from.items[i], name) == 0)
			diags_error(resolver->diags, origin, "`%s` stands in `promote_from` twice", name);
	if (named(project, name))
		return;
	const char *names[100];
	size_t count = 0;
	for (size_t i = 0; i < project->environments.count && count < ARRAY_LEN(names); i++)
		if (&project->environments.items[i] != environment)
			names[count++] = project->environments.items[i].name;
	diags_error(resolver->diags, origin, "`promote_from` names the unknown environment `%s`", name);
	const char *near = key_nearest(slice_of(name), names, count);
	if (near)
		diags_hint(resolver->diags, "did you mean `%s`?", near);
}

enum visit { VISIT_NONE, VISIT_OPEN, VISIT_DONE };

/* Depth first; an environment met again while it is open closes a circle, which
 * is told once, as the way around it. At most 100 environments, so the depth is
 * bounded. */
static void find_circle(struct resolver *resolver, size_t at, enum visit *visits, size_t *way, size_t depth)
{
	const struct project *project = resolver->project;
	const struct environment *environment = &project->environments.items[at];
	visits[at] = VISIT_OPEN;
	way[depth] = at;
	for (size_t i = 0; i < environment->promote_from.count; i++) {
		const char *name = environment->promote_from.items[i];
		const struct environment *upstream = name ? named(project, name) : NULL;
		bool again = false;
		for (size_t j = 0; j < i && name; j++)
			again = again || (environment->promote_from.items[j] &&
					  strcmp(environment->promote_from.items[j], name) == 0);
		if (!upstream || again)
			continue;
		size_t next = (size_t)(upstream - project->environments.items);
		if (visits[next] == VISIT_NONE) {
			find_circle(resolver, next, visits, way, depth + 1);
		} else if (visits[next] == VISIT_OPEN) {
			AUTO(buf_free) struct buf circle = BUF_INIT(KIB(16));
			size_t first = depth;
			while (way[first] != next)
				first--;
			for (size_t j = first; j <= depth; j++)
				buf_printf(&circle, "%s from ", project->environments.items[way[j]].name);
			diags_error(resolver->diags, upstream_origin(environment, i),
				    "`promote_from` goes in a circle: %s%s", buf_str(&circle),
				    upstream->name);
		}
	}
	visits[at] = VISIT_DONE;
}

static void check_promotion(struct resolver *resolver)
{
	const struct project *project = resolver->project;
	size_t count = project->environments.count;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < project->environments.items[i].promote_from.count; j++)
			if (project->environments.items[i].promote_from.items[j])
				check_upstream(resolver, &project->environments.items[i], j);
	enum visit *visits = ARENA_NEW_ARRAY(resolver->arena, count, enum visit);
	size_t *way = ARENA_NEW_ARRAY(resolver->arena, count, size_t);
	for (size_t i = 0; i < count; i++)
		if (visits[i] == VISIT_NONE)
			find_circle(resolver, i, visits, way, 0);
}

/* ---- all of it ---- */

static void resolve_environment(struct resolver *resolver, struct environment *environment)
{
	const struct project *project = resolver->project;
	key_inherit(delivery_keys, &project->deploy, &environment->delivery, environment->node);
	keep_build_hooks(project, environment);
	if (!environment->deploy_on.kind)
		environment->deploy_on.kind = TRIGGER_MANUAL;
	configuration_values(resolver->arena, environment, resolver->diags);
	resolve_servers(resolver, environment);
	resolve_health(resolver, environment, &environment->delivery.health);
	check_paths(resolver, environment);
	check_own_hooks(resolver, environment);
}

void project_resolve(struct arena *arena, struct project *project, struct diags *diags)
{
	struct resolver resolver = {.arena = arena, .diags = diags, .project = project};
	contract_index(&project->env);
	for (size_t i = 0; i < project->environments.count; i++)
		resolve_environment(&resolver, &project->environments.items[i]);
	check_groups(&resolver, NULL, &project->deploy, project->deploy.node);
	for (size_t i = 0; i < project->environments.count; i++) {
		const struct environment *environment = &project->environments.items[i];
		check_groups(&resolver, environment, &environment->delivery, environment->node);
	}
	check_promotion(&resolver);
	configuration_resolve(arena, project, diags);
	parity_resolve(arena, project, diags);
	map_free(&resolver.groups);
	map_free(&resolver.places);
}
