/* Where a database is, as a URL or as an application's own variables say. Texts hold
 * passwords: no error quotes any of them. */
#include "introspect/introspect.h"

#include <ctype.h>
#include <strings.h>

enum { URL_MAX = 4096 };

static const struct database_kind *kind_of(struct slice scheme)
{
	for (const struct database_kind *const *kind = database_kinds; *kind; kind++)
		for (const char *const *name = (*kind)->schemes; *name; name++)
			if (scheme.len == strlen(*name) && strncasecmp(scheme.ptr, *name, scheme.len) == 0)
				return *kind;
	return NULL;
}

/* --- URLs ------------------------------------------------------------------------- */

static int digit_of(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10 : -1;
}

/* Percent-decoded; NULL: malformed, or with bytes no part of an address has. */
static char *decode(struct arena *arena, struct slice text)
{
	char *out = arena_alloc(arena, text.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		int byte = (unsigned char)text.ptr[i];
		if (byte == '%') {
			int high = i + 2 < text.len ? digit_of(text.ptr[i + 1]) : -1;
			int low = i + 2 < text.len ? digit_of(text.ptr[i + 2]) : -1;
			if (high < 0 || low < 0)
				return NULL;
			byte = high * 16 + low;
			i += 2;
		}
		if (byte < ' ' || byte == 0x7f)
			return NULL;
		out[len++] = (char)byte;
	}
	return out;
}

static int take(struct arena *arena, struct slice text, const char *what, const char **out, struct err *err)
{
	if (!text.len)
		return 0;
	*out = decode(arena, text);
	if (!*out)
		return err_set(err, ERR_USER, "the %s in the database's address is not well formed", what);
	return 0;
}

static int take_port(struct slice text, struct database_address *out, struct err *err)
{
	uint64_t port = 0;

	if (!slice_to_u64(text, &port) || port == 0 || port > UINT16_MAX)
		return err_set(err, ERR_USER,
			       "the port in the database's address is not a number from 1 to 65535");
	out->port = (uint16_t)port;
	return 0;
}

/* A host that is a path is a socket. */
static void set_host(struct database_address *out, const char *host)
{
	out->host = host && *host && host[0] != '/' ? host : NULL;
	if (host && host[0] == '/')
		out->socket = host;
}

/* "host:5432", "[::1]:5432", "%2Frun%2Fpostgresql" */
static int take_host(struct arena *arena, struct slice text, struct database_address *out, struct err *err)
{
	struct slice host = text, port = {0};
	const char *name = NULL;

	if (slice_find(text, ',') >= 0)
		return err_set(err, ERR_USER, "the database's address names more than one host");
	if (text.len && text.ptr[0] == '[') {
		ptrdiff_t end = slice_find(text, ']');
		if (end < 0)
			return err_set(err, ERR_USER, "the host in the database's address lacks its ']'");
		host = slice_make(text.ptr + 1, (size_t)end - 1);
		port = slice_skip(text, (size_t)end + 1);
		if (port.len && port.ptr[0] != ':')
			return err_set(err, ERR_USER,
				       "the host in the database's address is not well formed");
		if (port.len)
			port = slice_skip(port, 1);
	} else if (slice_find(text, ':') >= 0) {
		port = text;
		host = slice_cut(&port, ':');
	}
	if (take(arena, host, "host", &name, err))
		return -1;
	for (const char *c = name; c && *c; c++)
		if (*c == ' ')
			return err_set(err, ERR_USER, "the host in the database's address has a space in it");
	set_host(out, name);
	return port.len ? take_port(port, out, err) : 0;
}

static bool is_one_of(struct slice name, const char *const *names)
{
	for (; *names; names++)
		if (slice_is(name, *names))
			return true;
	return false;
}

static int take_parameter(struct arena *arena, struct slice name, struct slice value,
			  struct database_address *out, struct err *err)
{
	static const char *const tls[] = {"sslmode", "ssl-mode", "ssl_mode", "sslMode", "tls", NULL};
	static const char *const sockets[] = {"socket", "unix_socket", "unixSocket", NULL};
	const char *host = NULL;

	if (is_one_of(name, tls))
		return take(arena, value, "TLS mode", &out->tls, err);
	if (is_one_of(name, sockets))
		return take(arena, value, "socket", &out->socket, err);
	if (slice_is(name, "user"))
		return take(arena, value, "user", &out->user, err);
	if (slice_is(name, "password"))
		return take(arena, value, "password", &out->password, err);
	if (slice_is(name, "dbname"))
		return take(arena, value, "database", &out->database, err);
	if (slice_is(name, "port"))
		return take_port(value, out, err);
	if (!slice_is(name, "host"))
		return 0; /* of the application's own library */
	if (take(arena, value, "host", &host, err))
		return -1;
	set_host(out, host);
	return 0;
}

static int take_parameters(struct arena *arena, struct slice rest, struct database_address *out,
			   struct err *err)
{
	while (rest.ptr) {
		struct slice value = slice_cut(&rest, '&');
		struct slice name = slice_cut(&value, '=');
		if (value.ptr && take_parameter(arena, name, value, out, err))
			return -1;
	}
	return 0;
}

/* "sqlite:///abs", "sqlite:relative", "sqlite3:db/x.sqlite3", "file:x" */
static int parse_file(struct arena *arena, struct slice rest, struct database_address *out, struct err *err)
{
	if (slice_starts_with(rest, "//"))
		rest = slice_skip(rest, 2);
	struct slice path = slice_cut(&rest, '?');
	if (take(arena, path, "path", &out->path, err))
		return -1;
	if (!out->path || strcmp(out->path, ":memory:") == 0)
		return err_set(err, ERR_USER, "the database's address names no file");
	return 0;
}

static int parse_server(struct arena *arena, struct slice rest, struct database_address *out, struct err *err)
{
	if (!slice_starts_with(rest, "//"))
		return err_set(err, ERR_USER, "the database's address lacks its \"//\"");
	struct slice query = slice_skip(rest, 2);
	struct slice path = slice_cut(&query, '?');
	struct slice authority = slice_cut(&path, '/');
	ptrdiff_t at = -1;

	for (size_t i = 0; i < authority.len; i++)
		if (authority.ptr[i] == '@')
			at = (ptrdiff_t)i;
	if (at >= 0) {
		struct slice password = slice_make(authority.ptr, (size_t)at);
		struct slice user = slice_cut(&password, ':');
		authority = slice_skip(authority, (size_t)at + 1);
		if (take(arena, user, "user", &out->user, err) ||
		    take(arena, password, "password", &out->password, err))
			return -1;
	}
	if (take_host(arena, authority, out, err) || take(arena, path, "database", &out->database, err))
		return -1;
	return take_parameters(arena, query, out, err);
}

int database_address_parse(struct arena *arena, struct slice url, struct database_address *out,
			   struct err *err)
{
	*out = (struct database_address){0};
	if (url.len > URL_MAX)
		return err_set(err, ERR_USER, "the database's address is longer than %d bytes", URL_MAX);
	if (slice_starts_with(url, "jdbc:"))
		url = slice_skip(url, 5);
	struct slice rest = url, scheme = slice_cut(&rest, ':');
	scheme = slice_cut(&scheme, '+'); /* SQLAlchemy's "postgresql+psycopg2" */
	out->kind = rest.ptr ? kind_of(scheme) : NULL;
	if (!out->kind) {
		err_set(err, ERR_USER, "the database's address does not say what kind it is");
		return err_hint(err, "it begins with postgresql://, mysql://, mariadb:// or sqlite:");
	}
	return out->kind->port ? parse_server(arena, rest, out, err) : parse_file(arena, rest, out, err);
}

/* --- variables ------------------------------------------------------------------------ */

struct lookup {
	struct arena *arena;
	struct slice (*get)(void *context, const char *name);
	void *context;
};

/* The first of the names (separated by spaces) that has a value; NULL: none. */
static const char *look(const struct lookup *lookup, const char *names)
{
	struct slice rest = slice_of(names);

	while (rest.ptr) {
		const char *name = arena_str(lookup->arena, slice_cut(&rest, ' '));
		struct slice value = *name ? lookup->get(lookup->context, name) : slice_make(NULL, 0);
		if (value.len && value.len <= URL_MAX && !memchr(value.ptr, '\0', value.len))
			return arena_str(lookup->arena, value);
	}
	return NULL;
}

static const struct variables {
	const char *scheme; /* NULL: `kind` says */
	const char *kind, *host, *port, *database, *user, *password, *socket, *tls;
} sets[] = {
	/* Laravel; Django and Rails as they are usually set up. */
	{NULL, "DB_CONNECTION DB_ENGINE DB_ADAPTER DB_DIALECT DB_TYPE DB_CLIENT DB_DRIVER TYPEORM_CONNECTION",
	 "DB_HOST DB_HOSTNAME TYPEORM_HOST", "DB_PORT TYPEORM_PORT", "DB_DATABASE DB_NAME TYPEORM_DATABASE",
	 "DB_USERNAME DB_USER TYPEORM_USERNAME", "DB_PASSWORD DB_PASS TYPEORM_PASSWORD", "DB_SOCKET",
	 "DB_SSLMODE"},
	{NULL, "DATABASE_ADAPTER DATABASE_ENGINE DATABASE_CLIENT DATABASE_TYPE", "DATABASE_HOST",
	 "DATABASE_PORT", "DATABASE_NAME", "DATABASE_USERNAME DATABASE_USER", "DATABASE_PASSWORD",
	 "DATABASE_SOCKET", "DATABASE_SSLMODE"},
	{"postgresql", NULL, "PGHOST POSTGRES_HOST POSTGRES_SERVER", "PGPORT POSTGRES_PORT",
	 "PGDATABASE POSTGRES_DB POSTGRES_DATABASE", "PGUSER POSTGRES_USER", "PGPASSWORD POSTGRES_PASSWORD",
	 "", "PGSSLMODE"},
	{"mysql", NULL, "MYSQL_HOST MARIADB_HOST MYSQLHOST", "MYSQL_PORT MYSQL_TCP_PORT MYSQLPORT",
	 "MYSQL_DATABASE MARIADB_DATABASE MYSQLDATABASE", "MYSQL_USER MARIADB_USER MYSQLUSER",
	 "MYSQL_PASSWORD MARIADB_PASSWORD MYSQLPASSWORD", "MYSQL_UNIX_PORT MYSQL_SOCKET", ""},
};

/* "pgsql", "django.db.backends.postgresql", "mysql2", by the last word; else by the port. */
static const struct database_kind *kind_of_set(const struct lookup *lookup, const struct variables *set)
{
	const char *text = set->scheme ? set->scheme : look(lookup, set->kind);
	const char *port = look(lookup, set->port);
	struct slice name = slice_of(text ? text : "");

	for (ptrdiff_t at; (at = slice_find(name, '.')) >= 0;)
		name = slice_skip(name, (size_t)at + 1);
	const struct database_kind *kind = kind_of(name);
	for (const struct database_kind *const *row = database_kinds; !kind && !text && port && *row; row++) {
		uint64_t number = 0;
		if (slice_to_u64(slice_of(port), &number) && (*row)->port && number == (*row)->port)
			kind = *row;
	}
	return kind;
}

static bool take_set(const struct lookup *lookup, const struct variables *set, struct database_address *out)
{
	struct err ignored = ERR_INIT;

	*out = (struct database_address){.kind = kind_of_set(lookup, set)};
	out->database = look(lookup, set->database);
	if (!out->kind || !out->database)
		return false;
	if (!out->kind->port) {
		out->path = out->database;
		out->database = NULL;
		return true;
	}
	set_host(out, look(lookup, set->host));
	const char *port = look(lookup, set->port), *socket = look(lookup, set->socket);
	if (port && take_port(slice_of(port), out, &ignored))
		return false;
	if (socket)
		out->socket = socket;
	out->user = look(lookup, set->user);
	out->password = look(lookup, set->password);
	out->tls = look(lookup, set->tls);
	return true;
}

bool database_address_from_variables(struct arena *arena,
				     struct slice (*get)(void *context, const char *name), void *context,
				     struct database_address *out)
{
	const struct lookup lookup = {arena, get, context};
	const char *url =
		look(&lookup, "DATABASE_URL DB_URL POSTGRES_URL POSTGRESQL_URL MYSQL_URL MARIADB_URL "
			      "DATABASE_PRIVATE_URL JAWSDB_URL CLEARDB_DATABASE_URL");
	struct err ignored = ERR_INIT;

	if (url && database_address_parse(arena, slice_of(url), out, &ignored) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		if (take_set(&lookup, &sets[i], out))
			return true;
	*out = (struct database_address){0};
	return false;
}
