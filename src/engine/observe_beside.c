#include "engine/observe_beside.h"

#include "base/clock.h"
#include "collect/collect.h"
#include "engine/dimension.h"
#include "engine/fleet_of.h"
#include "introspect/introspect.h"
#include "secret/dotenv_parse.h"
#include "target/read_file.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { DATABASES_MAX = 16, NOTES_MAX = 16 };

/* One database, looked at by a thread of its own. */
struct look {
	struct beside *beside;
	struct database_spec spec;
	struct place_address via;
	struct fact_list facts;
	pthread_t thread;
	bool started;
};

struct beside {
	struct engine *engine;
	const struct observe_request *request;
	const struct environment *environment;
	struct arena arena; /* secrets of addresses live in it: wiped */
	struct safe *safe;
	struct place_address place;
	const struct configuration *configuration;
	struct look looks[DATABASES_MAX];
	size_t look_count;
	struct collect_request collect;
	struct fact_list facts;
	pthread_t thread;
	bool started;
	atomic_bool done;
	const char *notes[NOTES_MAX]; /* for people, told once the thread has ended */
	size_t note_count;
};

static void note(struct beside *beside, const char *text)
{
	if (beside->note_count < NOTES_MAX)
		beside->notes[beside->note_count++] =
			arena_printf(&beside->arena, "%s: %s", beside->environment->name, text);
}

static void skip(struct beside *beside, const char *key, const char *why)
{
	struct err full = ERR_INIT;

	(void)!fact_add(&beside->facts, slice_of(key), FACT_NOT_CHECKED, slice_of(why), &full);
}

/* --- databases ------------------------------------------------------------------------ */

static void *look_at(void *context)
{
	struct look *look = context;
	struct err err = ERR_INIT;

	if (introspect_database(&look->spec, &look->facts, &err)) {
		struct err full = ERR_INIT;
		char key[160];
		snprintf(key, sizeof(key), "db/%.128s/", look->spec.name);
		(void)!fact_add(&look->facts, slice_of(key), FACT_NOT_CHECKED, slice_of(err.text), &full);
	}
	return NULL;
}

static void begin_look(struct beside *beside, const char *name, const struct database_address *address)
{
	struct look *look = &beside->looks[beside->look_count];

	if (beside->look_count == DATABASES_MAX) {
		skip(beside, "db/", "more databases than one run looks at");
		return;
	}
	beside->look_count++;
	*look = (struct look){.beside = beside, .facts = FACT_LIST_INIT(DATABASE_FACTS_BYTES_MAX)};
	look->via = beside->place;
	look->spec = (struct database_spec){.name = name, .address = *address};
	/* From the server, as the application reaches it: its localhost is the database's. */
	if (beside->place.kind == PLACE_SSH)
		look->spec.via = &look->via;
	look->started = pthread_create(&look->thread, NULL, look_at, look) == 0;
	if (!look->started)
		look_at(look);
}

static struct slice value_of(void *context, const char *name)
{
	const struct config_value *value = config_set_get(context, slice_of(name));

	return value && secret_present(value->value) ? secret_reveal(value->value) : (struct slice){0};
}

static struct slice entry_of(void *context, const char *name)
{
	const struct dotenv_file *file = context;

	for (size_t i = 0; i < file->count; i++)
		if (strcmp(file->items[i].name, name) == 0)
			return secret_reveal(file->items[i].value);
	return (struct slice){0};
}

/* A text of the parity block with this environment's values, which stay in this arena. */
static int fill(struct beside *beside, enum parity_text_kind kind, const struct parity_text *text,
		const char **out, struct err *err)
{
	const struct config_set *set = beside->configuration ? &beside->configuration->sets[0] : NULL;

	if (!text->late) {
		*out = text->text;
		return 0;
	}
	if (!set)
		return err_set(err, ERR_NOT_FOUND,
			       "its value stands in the configuration, which cannot be read");
	return parity_text_fill(&beside->arena, kind, text, set, out, err);
}

static void databases_of_project(struct beside *beside)
{
	const struct parity_texts *named = &beside->environment->parity.databases;
	struct database_address address;

	for (size_t i = 0; i < named->count; i++) {
		const char *url;
		struct err err = ERR_INIT;
		if (fill(beside, PARITY_DATABASE, &named->items[i], &url, &err) ||
		    database_address_parse(&beside->arena, slice_of(url), &address, &err))
			skip(beside, arena_printf(&beside->arena, "db/%s/", named->items[i].name), err.text);
		else
			begin_look(beside, named->items[i].name, &address);
	}
	if (named->count)
		return;
	if (!beside->configuration) {
		skip(beside, "db/",
		     "where the database is stands in the configuration, which cannot be read");
		return;
	}
	struct config_set *set = &beside->configuration->sets[0];
	if (database_address_from_variables(&beside->arena, value_of, set, &address))
		begin_look(beside, "main", &address);
	else
		skip(beside, "db/",
		     "no variable says where a database is; name it under `parity: databases:`");
}

/* Of a place without a project: what its own .env says. */
static void databases_of_place(struct beside *beside)
{
	struct buf text = BUF_SECRET(READ_FILE_MAX);
	struct diags diags = DIAGS_INIT(&beside->arena);
	const struct dotenv_options options = {0};
	struct dotenv_file file = {0};
	struct database_address address;
	struct err err = ERR_INIT;
	const char *found = NULL;

	if (target_read_file(&beside->arena, &beside->place, ".env", &found, &text, &err))
		skip(beside, "db/", err.text);
	else if (!found)
		skip(beside, "db/", "there is no .env on it that says where a database is");
	else if (dotenv_parse(&beside->arena, beside->safe, found, buf_slice(&text), &options, &file,
			      &diags) &&
		 file.count == 0)
		skip(beside, "db/", "its .env cannot be understood");
	else if (database_address_from_variables(&beside->arena, entry_of, &file, &address))
		begin_look(beside, "main", &address);
	else
		skip(beside, "db/", "no variable of its .env says where a database is");
	buf_wipe_free(&text);
}

/* --- seen from beside --------------------------------------------------------------------- */

struct texts {
	const char **items;
	size_t count;
};

static void add_filled(struct beside *beside, struct texts *out, enum parity_text_kind kind,
		       const struct parity_texts *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *text;
		struct err err = ERR_INIT;
		if (fill(beside, kind, &list->items[i], &text, &err) == 0)
			out->items[out->count++] = text;
		else
			note(beside, err.text);
	}
}

/* "shop.acme.io:8443" */
static const char *authority_of(struct arena *arena, const char *url)
{
	const char *scheme = strstr(url, "://");
	if (!scheme)
		return NULL;
	struct slice rest = slice_of(scheme + 3);
	size_t len = 0;
	while (len < rest.len && !strchr("/?#", rest.ptr[len]))
		len++;
	rest.len = len;
	ptrdiff_t at = slice_find(rest, '@');
	return arena_str(arena, at >= 0 ? slice_skip(rest, (size_t)at + 1) : rest);
}

static const char *host_of(struct arena *arena, const char *url)
{
	const char *authority = authority_of(arena, url);
	if (!authority)
		return NULL;
	struct slice rest = slice_of(authority);
	if (rest.len && rest.ptr[0] == '[')
		return arena_str(arena, slice_make(rest.ptr, (size_t)MAX(slice_find(rest, ']'), 0) + 1));
	ptrdiff_t colon = slice_find(rest, ':');
	return arena_str(arena, colon >= 0 ? slice_make(rest.ptr, (size_t)colon) : rest);
}

static void add_own_host(struct beside *beside, struct texts *hosts, const char *host)
{
	if (!host || !*host)
		return;
	for (size_t i = 0; i < hosts->count; i++)
		if (strcmp(hosts->items[i], host) == 0)
			return;
	hosts->items[hosts->count++] = arena_strdup(&beside->arena, host);
}

/* An address of the application itself, whatever the variable is called. */
static bool names_itself(const char *name)
{
	static const char *const usual[] = {"APP_URL",	  "SITE_URL", "BASE_URL",
					    "PUBLIC_URL", "APP_HOST", "URL"};

	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		if (strcmp(name, usual[i]) == 0)
			return true;
	return false;
}

/* A server that is this machine means itself by localhost. */
static const char *servers_host(const struct server *server)
{
	return server->place.host ? server->place.host : "localhost";
}

static void plan_collect(struct beside *beside)
{
	const struct environment *environment = beside->environment;
	const struct environment_parity *parity = &environment->parity;
	const struct config_set *set = beside->configuration ? &beside->configuration->sets[0] : NULL;
	struct arena *arena = &beside->arena;
	size_t most = parity->urls.count + 2;
	struct texts urls = {ARENA_NEW_ARRAY(arena, most, const char *), 0};
	struct texts hosts = {ARENA_NEW_ARRAY(arena, most + environment->servers.count + 16, const char *),
			      0};
	struct texts names = {ARENA_NEW_ARRAY(arena, parity->names.count, const char *), 0};
	struct texts ports = {ARENA_NEW_ARRAY(arena, parity->ports.count, const char *), 0};
	size_t endpoint_count = 0;
	struct collect_endpoint *endpoints =
		ARENA_NEW_ARRAY(arena, set ? set->count : 0, struct collect_endpoint);

	add_filled(beside, &urls, PARITY_URL, &parity->urls);
	for (size_t i = 0; set && i < set->count; i++) {
		const struct config_value *value = &set->values[i];
		struct slice text = secret_reveal(value->value);
		if (names_itself(value->name) && !value->secret) {
			const char *url = arena_str(arena, text);
			/* With its port first: staging.acme.io:8443 is to staging what acme.io is to
			 * production. */
			if (strstr(url, "://"))
				add_own_host(beside, &hosts, authority_of(arena, url));
			add_own_host(beside, &hosts, strstr(url, "://") ? host_of(arena, url) : url);
			if (urls.count == 0 && slice_starts_with(text, "http"))
				urls.items[urls.count++] = url;
			continue;
		}
		endpoints[endpoint_count++] = (struct collect_endpoint){
			.variable = value->name,
			.value = arena_slice(arena, text),
			.secret = value->secret,
		};
	}
	for (size_t i = 0; i < urls.count; i++)
		add_own_host(beside, &hosts, host_of(arena, urls.items[i]));
	struct texts servers = {ARENA_NEW_ARRAY(arena, environment->servers.count, const char *), 0};
	for (size_t i = 0; i < environment->servers.count; i++)
		add_own_host(beside, &servers, servers_host(&environment->servers.items[i]));
	add_filled(beside, &names, PARITY_NAME, &parity->names);
	add_filled(beside, &ports, PARITY_PORT, &parity->ports);
	struct collect_group *groups =
		ARENA_NEW_ARRAY(arena, environment->groups.count + 1, struct collect_group);
	size_t group_count = 0;
	for (size_t g = 0; g < environment->groups.count; g++) {
		groups[group_count] = (struct collect_group){environment->groups.items[g], 0};
		for (size_t i = 0; i < environment->servers.count; i++)
			groups[group_count].servers +=
				environment->servers.items[i].group &&
				strcmp(environment->servers.items[i].group, groups[group_count].name) == 0;
		group_count++;
	}
	if (group_count == 0)
		groups[group_count++] = (struct collect_group){"all", environment->servers.count};
	beside->collect = (struct collect_request){
		.urls = urls.items,
		.url_count = urls.count,
		.own_hosts = hosts.items,
		.own_host_count = hosts.count,
		.server_hosts = servers.items,
		.server_host_count = servers.count,
		.names = names.items,
		.name_count = names.count,
		.endpoints = endpoints,
		.endpoint_count = endpoint_count,
		.groups = groups,
		.group_count = group_count,
		.ports = ports.items,
		.port_count = ports.count,
		.now_ms = clock_wall_ms(),
		.offline = beside->request->offline,
	};
}

static void drop_unwanted(struct beside *beside)
{
	size_t kept = 0;

	for (size_t i = 0; i < beside->facts.count; i++) {
		struct slice name = fact_dimension(beside->facts.items[i].key);
		char text[64];
		snprintf(text, sizeof(text), "%.*s", SLICE_ARG(name));
		if (observe_wants(beside->request, text) && !observe_skips(beside->environment, text))
			beside->facts.items[kept++] = beside->facts.items[i];
	}
	beside->facts.count = kept;
}

static bool wants_collectors(const struct observe_request *request)
{
	for (size_t i = 0; collectors[i]; i++)
		if (observe_wants(request, collectors[i]->dimension))
			return true;
	return false;
}

static void *work(void *context)
{
	struct beside *beside = context;
	struct err err = ERR_INIT;

	if (observe_wants(beside->request, "db") && !observe_skips(beside->environment, "db")) {
		if (beside->request->no_databases)
			skip(beside, "db/", "left out by --no-databases");
		else if (beside->environment)
			databases_of_project(beside);
		else
			databases_of_place(beside);
	}
	if (wants_collectors(beside->request)) {
		if (beside->environment && beside->configuration) {
			plan_collect(beside);
			if (collect_all(&beside->collect, &beside->facts, &err))
				note(beside, err.text);
			drop_unwanted(beside);
		} else {
			for (size_t i = 0; collectors[i]; i++)
				if (observe_wants(beside->request, collectors[i]->dimension))
					skip(beside,
					     arena_printf(&beside->arena, "%s/", collectors[i]->dimension),
					     beside->environment
						     ? "its configuration cannot be read"
						     : "no URL is known of it; a lockstep.yml says which");
		}
	}
	for (size_t i = 0; i < beside->look_count; i++) {
		struct look *look = &beside->looks[i];
		if (look->started)
			pthread_join(look->thread, NULL);
		look->started = false;
		for (size_t k = 0; k < look->facts.count; k++)
			if (fact_add_fact(&beside->facts, &look->facts.items[k], &err))
				break;
		fact_list_free(&look->facts);
	}
	atomic_store(&beside->done, true);
	return NULL;
}

bool beside_done(const struct beside *beside)
{
	return atomic_load(&beside->done);
}

void beside_begin(struct engine *engine, const struct observe_request *request,
		  const struct environment *environment, const struct place *place,
		  const struct configuration *configuration, struct beside **out)
{
	struct beside *beside = mem_alloc(sizeof(*beside));

	*beside = (struct beside){
		.engine = engine,
		.request = request,
		.environment = environment,
		.configuration = configuration,
		.safe = safe_open(),
		.facts = FACT_LIST_INIT(DATABASE_FACTS_BYTES_MAX),
	};
	if (environment)
		beside->place = server_address(&environment->servers.items[0]);
	else
		beside->place = (struct place_address){place->kind,
						       place->user,
						       place->host,
						       (uint16_t)place->port,
						       place->path ? place->path : ".",
						       place->text};
	beside->started = pthread_create(&beside->thread, NULL, work, beside) == 0;
	if (!beside->started)
		work(beside);
	*out = beside;
}

void beside_wait(struct beside *beside)
{
	if (!beside)
		return;
	if (beside->started)
		pthread_join(beside->thread, NULL);
	beside->started = false;
	for (size_t i = 0; i < beside->note_count; i++)
		event_note(&beside->engine->events, "warn", "%s", beside->notes[i]);
	beside->note_count = 0;
}

struct fact_list *beside_facts(struct beside *beside)
{
	return &beside->facts;
}

void beside_close(struct beside **beside)
{
	if (!*beside)
		return;
	beside_wait(*beside);
	fact_list_free(&(*beside)->facts);
	arena_wipe_free(&(*beside)->arena);
	safe_close(&(*beside)->safe);
	free(*beside);
	*beside = NULL;
}
