/* The table of kinds, and what is the same for all: names of errors, ways of connecting. */
#include "introspect/introspect.h"

#include "introspect/gather.h"
#include "introspect/kinds.h"
#include "introspect/route.h"

enum { STATEMENTS_OF_TIME = 3 };

const struct database_kind *const database_kinds[] = {&database_postgresql, &database_mysql, &database_sqlite,
						      NULL};

int gather_connect(struct gather *gather, const struct catalog_engine *engine, struct err *err)
{
	const struct database_address *address = &gather->spec->address;
	int64_t time_ms = gather->spec->time_ms ? gather->spec->time_ms : DATABASE_TIME_MS;
	struct catalog_spec spec = {
		.host = address->host,
		.port = address->port ? address->port : address->kind->port,
		.socket = address->socket,
		.database = address->database,
		.user = address->user,
		.password = address->password,
		.tls = address->tls,
		.time_ms = time_ms,
		.statement_ms = MAX(time_ms / STATEMENTS_OF_TIME, (int64_t)1),
		.bytes_max = DATABASE_FACTS_BYTES_MAX,
		.carrier_fd = -1,
	};

	const struct place_address *via = gather->spec->via;
	if (!via || via->kind == PLACE_LOCAL)
		return catalog_open(engine, &spec, &gather->catalog, err);
	if (route_open(gather->spec, &gather->route, &spec, err))
		return -1;
	if (catalog_open(engine, &spec, &gather->catalog, err) == 0)
		return 0;
	return route_explain(gather->route, err);
}

/* "postgresql at db.acme.io:5432": never the whole address, which holds a password. */
static const char *place_of(struct arena *arena, const struct database_address *address)
{
	const char *where = address->path     ? address->path
			    : address->socket ? address->socket
			    : address->host   ? address->host
					      : "its usual socket";
	bool with_port = address->host && !address->socket && !address->path;

	return with_port ? arena_printf(arena, "%s at %s:%u", address->kind->name, where,
					address->port ? address->port : address->kind->port)
			 : arena_printf(arena, "%s at %s", address->kind->name, where);
}

int introspect_database(const struct database_spec *spec, struct fact_list *out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;

	ASSERT(spec->address.kind && *spec->name && !strchr(spec->name, '/'));
	if (spec->address.kind->facts(spec, out, err) == 0)
		return 0;
	return err_wrap(err, "database %s (%s%s%s)", spec->name, place_of(&arena, &spec->address),
			spec->via ? " through " : "", spec->via ? spec->via->text : "");
}
