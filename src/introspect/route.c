#include "introspect/route.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/stop.h"
#include "target/ssh.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINES_MAX = 4, ERRORS_MAX = 16 << 10 };

struct route {
	struct arena arena;
	const struct database_spec *spec;
	const char *target; /* "db.internal:5432", "/run/mysqld/mysqld.sock": as the server sees it */
	const char *folder; /* of the near end; NULL: none */
	const char *socket;
	int listen_fd, errors_fd;
	bool is_tcp;
	struct child lines[LINES_MAX]; /* a library may connect again, without TLS */
	size_t line_count;
};

/* --- far end -------------------------------------------------------------------------- */

static uint16_t port_of(const struct database_address *address)
{
	return address->port ? address->port : address->kind->port;
}

static bool is_postgresql(const struct database_address *address)
{
	return strcmp(address->kind->name, "postgresql") == 0;
}

static const char *far_socket(struct arena *arena, const struct database_address *address)
{
	if (!is_postgresql(address))
		return address->socket;
	if (address->socket || !address->host)
		return arena_printf(arena, "%s/.s.PGSQL.%u",
				    address->socket ? address->socket : "/var/run/postgresql",
				    port_of(address));
	return NULL;
}

static int set_target(struct route *route, struct err *err)
{
	const struct database_address *address = &route->spec->address;
	const char *socket = far_socket(&route->arena, address);
	const char *host = address->host ? address->host : "127.0.0.1";

	if (socket)
		route->target = socket;
	else if (strchr(host, ':'))
		route->target = arena_printf(&route->arena, "[%s]:%u", host, port_of(address));
	else /* where "localhost" means another thing first, sshd may not try the second */
		route->target =
			arena_printf(&route->arena, "%s:%u",
				     strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port_of(address));
	for (const char *c = route->target; *c; c++)
		if ((unsigned char)*c <= ' ')
			return err_set(err, ERR_USER, "the database's host or socket has a space in it");
	return 0;
}

/* --- near end ----------------------------------------------------------------------------- */

static int make_folder(struct route *route, struct err *err)
{
	const char *base = getenv("TMPDIR");
	char *path =
		arena_printf(&route->arena, "%s/lockstep-db-XXXXXX", base && *base == '/' ? base : "/tmp");

	/* The name of a socket in it has a small limit. */
	if (strlen(path) > 70)
		path = arena_strdup(&route->arena, "/tmp/lockstep-db-XXXXXX");
	if (!mkdtemp(path)) /* mode 0700 */
		return err_errno(err, "cannot make a folder in %s", path);
	route->folder = path;
	return 0;
}

static void name_socket(struct route *route)
{
	route->socket =
		arena_printf(&route->arena, "%s/.s.PGSQL.%u", route->folder, port_of(&route->spec->address));
	ASSERT(strlen(route->socket) < sizeof(((struct sockaddr_un *)0)->sun_path));
}

static int listen_socket(struct route *route, struct err *err)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	name_socket(route);
	memcpy(name.sun_path, route->socket, strlen(route->socket));
	route->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (route->listen_fd < 0 || bind(route->listen_fd, (struct sockaddr *)&name, sizeof(name)) ||
	    listen(route->listen_fd, LINES_MAX))
		return err_errno(err, "cannot listen on %s", route->socket);
	return 0;
}

static int listen_tcp(struct route *route, uint16_t *port_out, struct err *err)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(name);

	route->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (route->listen_fd < 0 || bind(route->listen_fd, (struct sockaddr *)&name, sizeof(name)) ||
	    listen(route->listen_fd, LINES_MAX) ||
	    getsockname(route->listen_fd, (struct sockaddr *)&name, &len))
		return err_errno(err, "cannot listen on loopback");
	*port_out = ntohs(name.sin_port);
	return 0;
}

/* Whether TLS will be spoken inside: libpq does not through a local socket. */
static bool wants_tls(const struct database_address *address)
{
	const char *host = address->host ? address->host : "localhost";

	if (address->tls)
		return strcasecmp(address->tls, "disable") != 0 && strcasecmp(address->tls, "disabled") != 0;
	return is_postgresql(address) && strcmp(host, "localhost") != 0 && strcmp(host, "127.0.0.1") != 0 &&
	       strcmp(host, "::1") != 0;
}

/* --- lines ---------------------------------------------------------------------------------- */

/* Is the one that waits our own connection? In a private folder nobody else can be. */
static bool is_ours(const struct route *route, int fd, int client_fd)
{
	struct sockaddr_in theirs = {0}, ours = {0};
	socklen_t their_len = sizeof(theirs), our_len = sizeof(ours);

	if (!route->is_tcp)
		return true;
	return getpeername(fd, (struct sockaddr *)&theirs, &their_len) == 0 &&
	       getsockname(client_fd, (struct sockaddr *)&ours, &our_len) == 0 &&
	       theirs.sin_port == ours.sin_port && theirs.sin_addr.s_addr == ours.sin_addr.s_addr;
}

static int carry(void *context, int client_fd, struct err *err)
{
	struct route *route = context;
	const char *words = route->spec->ssh ? route->spec->ssh : getenv("LOCKSTEP_SSH");
	AUTO(close_fd) int fd = accept4(route->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 || !is_ours(route, fd, client_fd))
		return 0;
	if (route->line_count == LINES_MAX)
		return err_set(err, ERR_NETWORK, "the database hung up %d times", LINES_MAX);
	const struct child_spec spec = {
		.argv = ssh_arguments(&route->arena,
				      arena_printf(&route->arena, "%s -W %s", words && *words ? words : "ssh",
						   route->target),
				      route->spec->via, NULL),
		.stdin_fd = fd,
		.stdout_fd = fd,
		.stderr_fd = route->errors_fd,
		.die_with_us = true,
	};
	return child_start(&route->lines[route->line_count++], &spec, err);
}

/* A socket there: ssh -W carries to ports only, so ssh itself makes the near end. That it is
 * there shows by connecting; nothing is sent on that connection. */
static int forward_socket(struct route *route, int64_t until_ms, struct err *err)
{
	const char *words = route->spec->ssh ? route->spec->ssh : getenv("LOCKSTEP_SSH");
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct child *line = &route->lines[route->line_count++];
	const struct child_spec spec = {
		.argv = ssh_arguments(&route->arena,
				      arena_printf(&route->arena, "%s -N -o ClearAllForwardings=no -L %s:%s",
						   words && *words ? words : "ssh", route->socket,
						   route->target),
				      route->spec->via, NULL),
		.stdin_fd = -1,
		.stdout_fd = -1,
		.stderr_fd = route->errors_fd,
		.die_with_us = true,
	};

	memcpy(name.sun_path, route->socket, strlen(route->socket));
	if (child_start(line, &spec, err))
		return -1;
	for (;;) {
		AUTO(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		siginfo_t ended = {0};
		if (fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
			return 0;
		waitid(P_PID, (id_t)line->pid, &ended, WEXITED | WNOHANG | WNOWAIT);
		if (ended.si_pid || clock_mono_ms() >= until_ms || stop_asked()) {
			err_set(err, ERR_NETWORK, "%s cannot be reached", route->spec->via->text);
			return route_explain(route, err);
		}
		poll(NULL, 0, 10);
	}
}

int route_open(const struct database_spec *spec, struct route **out, struct catalog_spec *to, struct err *err)
{
	AUTO(route_close) struct route *route = mem_alloc(sizeof(*route));

	*out = NULL;
	route->spec = spec;
	route->listen_fd = route->errors_fd = -1;
	for (size_t i = 0; i < LINES_MAX; i++)
		route->lines[i] = CHILD_INIT;
	if (set_target(route, err) || make_folder(route, err))
		return -1;
	const char *errors = arena_printf(&route->arena, "%s/errors", route->folder);
	route->errors_fd = open(errors, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (route->errors_fd < 0 || unlink(errors))
		return err_errno(err, "%s", errors);
	route->is_tcp = route->target[0] != '/' && wants_tls(&spec->address);
	if (route->is_tcp) {
		if (listen_tcp(route, &to->port, err))
			return -1;
		to->address = "127.0.0.1";
		to->socket = NULL;
	} else if (route->target[0] == '/') {
		name_socket(route);
		if (forward_socket(route, clock_mono_ms() + to->time_ms, err))
			return -1;
	} else if (listen_socket(route, err)) {
		return -1;
	}
	if (!route->is_tcp) {
		to->socket = is_postgresql(&spec->address) ? route->folder : route->socket;
		to->port = port_of(&spec->address);
	}
	to->carrier_fd = route->listen_fd;
	to->carry = route->listen_fd >= 0 ? carry : NULL;
	to->carry_context = route;
	*out = route;
	route = NULL;
	return 0;
}

int route_explain(const struct route *route, struct err *err)
{
	AUTO(buf_free) struct buf said = BUF_INIT(ERRORS_MAX);
	char *room = buf_reserve(&said, ERRORS_MAX - 1);
	ssize_t len = pread(route->errors_fd, room, ERRORS_MAX - 1, 0);

	if (len <= 0 || err->code != ERR_NETWORK)
		return -1;
	room[len] = '\0';
	if (strstr(room, "administratively prohibited")) {
		err_set(err, ERR_DENIED, "%s does not let ssh carry connections to %s",
			route->spec->via->text, route->target);
		return err_hint(err,
				"AllowTcpForwarding (and AllowStreamLocalForwarding) in its sshd_config say "
				"who may; or give an address that can be reached from here");
	}
	if (strstr(room, "open failed") || strstr(room, "stdio forwarding failed")) {
		err_set(err, ERR_NETWORK, "nothing answers at %s as %s sees it%s", route->target,
			route->spec->via->text, strstr(room, "refused") ? " (connection refused)" : "");
		return err_hint(err, "is that where it listens, and may ssh carry connections there "
				     "(AllowTcpForwarding in sshd_config)?");
	}
	return ssh_explain(route->spec->via, 255, room, slice_make("", 0), err);
}

void route_close(struct route **route)
{
	struct route *it = *route;

	if (!it)
		return;
	*route = NULL;
	for (size_t i = 0; i < it->line_count; i++)
		child_close(&it->lines[i]);
	close_fd(&it->listen_fd);
	close_fd(&it->errors_fd);
	if (it->socket)
		unlink(it->socket);
	if (it->folder)
		rmdir(it->folder);
	arena_free(&it->arena);
	free(it);
}
