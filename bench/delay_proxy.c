/* Carries TCP connections as if the other end were far away: every byte arrives
 * half a round trip after it was sent, in both directions, and opening a
 * connection costs what TCP's handshake costs. Counts the bytes.
 *
 * Not here: loss, reordering, limits of bandwidth. The kernel may lack netem, and
 * using it needs root; this needs neither.
 *
 *	delay_proxy RTT_MS LISTEN=TARGET...     127.0.0.1:0=127.0.0.1:22
 *
 * It prints one line per route, "listening ADDRESS:PORT", then obeys lines on its
 * standard input and ends with it:
 *
 *	reset           → "ok"
 *	rtt MS          → "ok", for connections opened from now on
 *	stats           → "connections N up BYTES down BYTES"   (up: towards the target)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	CHUNK_SIZE = 64 << 10,
	IN_FLIGHT_MAX = 64 << 20, /* 1.2 GB/s at 50 ms: more than loopback and ssh carry */
	CONNECTIONS_MAX = 512,
	ROUTES_MAX = 64,
};

struct chunk {
	struct chunk *next;
	int64_t due_ns;
	size_t len; /* 0: the end of the stream */
	size_t written;
	unsigned char bytes[];
};

/* One direction of a connection. */
struct flow {
	struct chunk *first, *last;
	size_t in_flight;
	bool read_over;	 /* the end was read, and queued */
	bool write_over; /* the end was handed on */
};

struct connection {
	int client, target; /* target is -1 until the handshake's time is over */
	const struct sockaddr_in *address;
	int64_t delay_ns;
	int64_t readable_ns; /* when the client's connect() would have returned */
	int64_t connect_ns;  /* when the target sees the connection */
	struct flow up, down;
};

struct route {
	int listener;
	struct sockaddr_in target;
};

static struct route routes[ROUTES_MAX];
static size_t route_count;
static struct connection connections[CONNECTIONS_MAX];
static size_t connection_count;
static int64_t rtt_ns;
static struct {
	uint64_t connections, up, down;
} totals;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("delay_proxy: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static struct sockaddr_in parse_address(const char *text, const char *end)
{
	char host[64];
	const char *colon = memchr(text, ':', (size_t)(end - text));
	struct sockaddr_in address = {.sin_family = AF_INET};

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		die("\"%s\" is not ADDRESS:PORT", text);
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	char *after;
	unsigned long port = strtoul(colon + 1, &after, 10);
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || after != end || port > UINT16_MAX)
		die("\"%s\" is not ADDRESS:PORT", text);
	address.sin_port = htons((uint16_t)port);
	return address;
}

static int64_t parse_ms(const char *text)
{
	char *after;
	double ms = strtod(text, &after);

	if (after == text || (*after && *after != '\n') || !(ms >= 0 && ms <= 60000))
		die("\"%s\" is not a time in milliseconds", text);
	return (int64_t)(ms * 1e6);
}

static void set_options(int fd)
{
	int on = 1;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void add_route(const char *text)
{
	const char *equals = strchr(text, '=');
	int on = 1;

	if (!equals || route_count == ROUTES_MAX)
		die("\"%s\" is not LISTEN=TARGET, or there are too many", text);
	struct route *route = &routes[route_count++];
	struct sockaddr_in address = parse_address(text, equals);
	socklen_t len = sizeof(address);
	route->target = parse_address(equals + 1, text + strlen(text));
	route->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(route->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(route->listener, (struct sockaddr *)&address, len) < 0 || listen(route->listener, 256) < 0 ||
	    getsockname(route->listener, (struct sockaddr *)&address, &len) < 0)
		die("%s: %s", text, strerror(errno));
	char host[INET_ADDRSTRLEN];
	inet_ntop(AF_INET, &address.sin_addr, host, sizeof(host));
	printf("listening %s:%u\n", host, ntohs(address.sin_port));
}

static void flow_free(struct flow *flow)
{
	while (flow->first) {
		struct chunk *next = flow->first->next;
		free(flow->first);
		flow->first = next;
	}
}

static void connection_end(struct connection *connection)
{
	close(connection->client);
	if (connection->target >= 0)
		close(connection->target);
	flow_free(&connection->up);
	flow_free(&connection->down);
	*connection = connections[--connection_count];
}

static void accept_all(struct route *route)
{
	int fd;

	while (connection_count < CONNECTIONS_MAX &&
	       (fd = accept4(route->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		int64_t now = now_ns();
		set_options(fd);
		/* SYN out and SYN-ACK back before the client may speak; its ACK reaches
		 * the target half a round trip later. The kernel finished the real
		 * handshake at once, so this time is waited here. */
		connections[connection_count++] = (struct connection){
			.client = fd,
			.target = -1,
			.address = &route->target,
			.delay_ns = rtt_ns / 2,
			.readable_ns = now + rtt_ns,
			.connect_ns = now + rtt_ns + rtt_ns / 2,
		};
		totals.connections++;
	}
}

/* False when the connection is broken. */
static bool flow_read(struct flow *flow, int fd, int64_t delay_ns, uint64_t *total)
{
	while (!flow->read_over && flow->in_flight < IN_FLIGHT_MAX) {
		struct chunk *chunk = malloc(sizeof(*chunk) + CHUNK_SIZE);
		if (!chunk)
			die("out of memory");
		ssize_t got = read(fd, chunk->bytes, CHUNK_SIZE);
		if (got < 0) {
			free(chunk);
			return errno == EAGAIN || errno == EINTR;
		}
		*chunk = (struct chunk){.due_ns = now_ns() + delay_ns, .len = (size_t)got};
		if (flow->first)
			flow->last->next = chunk;
		else
			flow->first = chunk;
		flow->last = chunk;
		flow->in_flight += (size_t)got;
		flow->read_over = got == 0;
		*total += (uint64_t)got;
	}
	return true;
}

static bool flow_write(struct flow *flow, int fd, int64_t now)
{
	while (flow->first && flow->first->due_ns <= now) {
		struct chunk *chunk = flow->first;
		if (chunk->len == 0) {
			shutdown(fd, SHUT_WR);
			flow->write_over = true;
		} else {
			ssize_t put = send(fd, chunk->bytes + chunk->written, chunk->len - chunk->written,
					   MSG_NOSIGNAL);
			if (put < 0)
				return errno == EAGAIN || errno == EINTR;
			chunk->written += (size_t)put;
			flow->in_flight -= (size_t)put;
			if (chunk->written < chunk->len)
				return true;
		}
		flow->first = chunk->next;
		free(chunk);
	}
	return true;
}

static bool connect_target(struct connection *connection)
{
	connection->target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->target < 0 ||
	    connect(connection->target, (const struct sockaddr *)connection->address,
		    sizeof(*connection->address)) < 0)
		return false;
	set_options(connection->target);
	return true;
}

/* False when it is over or broken. */
static bool connection_step(struct connection *connection, int64_t now)
{
	if (now >= connection->readable_ns &&
	    !flow_read(&connection->up, connection->client, connection->delay_ns, &totals.up))
		return false;
	if (connection->target < 0) {
		if (now < connection->connect_ns)
			return true;
		if (!connect_target(connection))
			return false;
	}
	if (!flow_read(&connection->down, connection->target, connection->delay_ns, &totals.down) ||
	    !flow_write(&connection->up, connection->target, now) ||
	    !flow_write(&connection->down, connection->client, now))
		return false;
	return !(connection->up.write_over && connection->down.write_over);
}

/* What to wait for: events into *client and *target, and the earliest time at
 * which something is due without any event. */
static int64_t connection_wants(const struct connection *connection, int64_t now, short *client,
				short *target)
{
	int64_t wake = INT64_MAX;

	*client = *target = 0;
	if (now < connection->readable_ns)
		wake = connection->readable_ns;
	else if (!connection->up.read_over && connection->up.in_flight < IN_FLIGHT_MAX)
		*client |= POLLIN;
	if (connection->target < 0)
		return connection->connect_ns < wake ? connection->connect_ns : wake;
	if (!connection->down.read_over && connection->down.in_flight < IN_FLIGHT_MAX)
		*target |= POLLIN;
	if (connection->up.first && connection->up.first->due_ns <= now)
		*target |= POLLOUT;
	else if (connection->up.first && connection->up.first->due_ns < wake)
		wake = connection->up.first->due_ns;
	if (connection->down.first && connection->down.first->due_ns <= now)
		*client |= POLLOUT;
	else if (connection->down.first && connection->down.first->due_ns < wake)
		wake = connection->down.first->due_ns;
	return wake;
}

static void obey(void)
{
	char line[128];

	if (!fgets(line, sizeof(line), stdin))
		exit(0);
	if (strcmp(line, "reset\n") == 0) {
		memset(&totals, 0, sizeof(totals));
		puts("ok");
	} else if (strncmp(line, "rtt ", 4) == 0) {
		rtt_ns = parse_ms(line + 4);
		puts("ok");
	} else if (strcmp(line, "stats\n") == 0) {
		printf("connections %llu up %llu down %llu\n", (unsigned long long)totals.connections,
		       (unsigned long long)totals.up, (unsigned long long)totals.down);
	} else {
		die("cannot obey \"%s\"", line);
	}
}

static void turn(void)
{
	static struct pollfd polls[1 + ROUTES_MAX + 2 * CONNECTIONS_MAX];
	size_t count = 0;
	int64_t now = now_ns(), wake = INT64_MAX;

	polls[count++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	for (size_t i = 0; i < route_count; i++)
		polls[count++] = (struct pollfd){.fd = routes[i].listener, .events = POLLIN};
	for (size_t i = 0; i < connection_count; i++) {
		short client, target;
		int64_t due = connection_wants(&connections[i], now, &client, &target);
		wake = due < wake ? due : wake;
		/* A descriptor nothing is wanted of is left out: POLLHUP would spin. */
		polls[count++] = (struct pollfd){.fd = client ? connections[i].client : -1, .events = client};
		polls[count++] = (struct pollfd){.fd = target ? connections[i].target : -1, .events = target};
	}
	int64_t wait = wake > now ? wake - now : 0;
	struct timespec timeout = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
	if (ppoll(polls, count, wake == INT64_MAX ? NULL : &timeout, NULL) < 0 && errno != EINTR)
		die("ppoll: %s", strerror(errno));
	if (polls[0].revents)
		obey();
	now = now_ns();
	for (size_t i = 0; i < connection_count;) {
		if (connection_step(&connections[i], now))
			i++;
		else
			connection_end(&connections[i]);
	}
	for (size_t i = 0; i < route_count; i++)
		accept_all(&routes[i]);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		die("usage: delay_proxy RTT_MS LISTEN=TARGET...");
	signal(SIGPIPE, SIG_IGN);
	/* poll sees the descriptor, not stdio's buffer. */
	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	rtt_ns = parse_ms(argv[1]);
	for (int i = 2; i < argc; i++)
		add_route(argv[i]);
	for (;;)
		turn();
}
