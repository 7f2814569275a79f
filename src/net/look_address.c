/* Where names point and which ports take a connection, with libc alone. Not here: HTTP and
 * TLS (look.c). */
#include "net/look.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/stop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

/* --- names -------------------------------------------------------------------------- */

/* getaddrinfo cannot be told to stop: who waits and who looks each hold one of two
 * references, and the last to leave frees it. */
struct look_up {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int references;
	bool done;
	int status;
	struct addrinfo *list;
	char name[256];
};

static void look_up_release(struct look_up *look_up)
{
	pthread_mutex_lock(&look_up->lock);
	bool last = --look_up->references == 0;
	pthread_mutex_unlock(&look_up->lock);
	if (!last)
		return;
	if (look_up->list)
		freeaddrinfo(look_up->list);
	pthread_cond_destroy(&look_up->changed);
	pthread_mutex_destroy(&look_up->lock);
	free(look_up);
}

static void *look_up_run(void *context)
{
	struct look_up *look_up = context;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME}, *list = NULL;
	int status = getaddrinfo(look_up->name, NULL, &hints, &list);

	pthread_mutex_lock(&look_up->lock);
	look_up->status = status;
	look_up->list = status == 0 ? list : NULL;
	look_up->done = true;
	pthread_cond_signal(&look_up->changed);
	pthread_mutex_unlock(&look_up->lock);
	look_up_release(look_up);
	return NULL;
}

static struct look_up *look_up_start(const char *name)
{
	struct look_up *look_up = mem_alloc(sizeof(*look_up));
	pthread_condattr_t attributes;
	pthread_attr_t detached;
	pthread_t thread;

	pthread_mutex_init(&look_up->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&look_up->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	memcpy(look_up->name, name, MIN(strlen(name), sizeof(look_up->name) - 1));
	look_up->references = 2;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &detached, look_up_run, look_up) != 0) {
		look_up->done = true;
		look_up->status = EAI_SYSTEM;
		look_up->references = 1;
	}
	pthread_attr_destroy(&detached);
	return look_up;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void addresses_take(struct arena *arena, const struct addrinfo *list, struct look_name *out)
{
	const char **found = ARENA_NEW_ARRAY(arena, LOOK_ADDRESSES_MAX, const char *);

	for (; list && out->address_count < LOOK_ADDRESSES_MAX; list = list->ai_next) {
		char text[NI_MAXHOST];
		if (getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof(text), NULL, 0,
				NI_NUMERICHOST) == 0)
			found[out->address_count++] = arena_strdup(arena, text);
	}
	qsort(found, out->address_count, sizeof(*found), compare_texts);
	out->addresses = found;
}

static enum look_result status_result(int status)
{
	switch (status) {
	case 0:
		return LOOK_ANSWERED;
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return LOOK_NO_NAME;
	default:
		return LOOK_NAME_FAILED;
	}
}

static void look_up_wait(struct arena *arena, struct look_up *look_up, int64_t until_ms,
			 struct look_name *out)
{

	*out = (struct look_name){.result = LOOK_TIMED_OUT};
	pthread_mutex_lock(&look_up->lock);
	for (int64_t now; !look_up->done && (now = clock_mono_ms()) < until_ms && !stop_asked();) {
		int64_t next_ms = MIN(until_ms, now + STOP_LOOK_MS);
		struct timespec next = {.tv_sec = next_ms / 1000, .tv_nsec = next_ms % 1000 * 1000000};
		pthread_cond_timedwait(&look_up->changed, &look_up->lock, &next);
	}
	if (look_up->done) {
		out->result = status_result(look_up->status);
		addresses_take(arena, look_up->list, out);
		const char *canonical = look_up->list ? look_up->list->ai_canonname : NULL;
		if (canonical && strcasecmp(canonical, look_up->name) != 0)
			out->canonical = arena_strdup(arena, canonical);
	}
	pthread_mutex_unlock(&look_up->lock);
	look_up_release(look_up);
}

void look_names(struct arena *arena, const char *const *names, size_t count, int64_t time_ms,
		struct look_name *outs)
{
	struct look_up *running[LOOK_SIDE_BY_SIDE];

	for (size_t from = 0; from < count; from += LOOK_SIDE_BY_SIDE) {
		size_t some = MIN(count - from, (size_t)LOOK_SIDE_BY_SIDE);
		int64_t until_ms = clock_mono_ms() + time_ms;
		for (size_t i = 0; i < some; i++)
			running[i] = look_up_start(names[from + i]);
		for (size_t i = 0; i < some; i++)
			look_up_wait(arena, running[i], until_ms, &outs[from + i]);
	}
}

/* --- ports -------------------------------------------------------------------------- */

/* One address of one port. */
struct attempt {
	struct look_port *port;
	struct sockaddr_storage address;
	socklen_t len;
	int fd;
};

static enum look_result errno_result(int number)
{
	switch (number) {
	case ECONNREFUSED:
	case ECONNRESET:
		return LOOK_REFUSED;
	case ETIMEDOUT:
	/* What a rule on this machine or a gateway says no to. */
	case EPERM:
	case EACCES:
		return LOOK_TIMED_OUT;
	default:
		return LOOK_UNREACHABLE;
	}
}

/* One open address is enough; a refusal says more than silence. */
static void attempt_tell(struct attempt *attempt, enum look_result result)
{
	static const int rank[] = {
		[LOOK_UNREACHABLE] = 1, [LOOK_TIMED_OUT] = 2, [LOOK_REFUSED] = 3, [LOOK_ANSWERED] = 4};
	int had = attempt->port->result && attempt->port->result < (int)ARRAY_LEN(rank)
			  ? rank[attempt->port->result]
			  : 0;

	if (rank[result] > had)
		attempt->port->result = result;
	close_fd(&attempt->fd);
	attempt->fd = -1;
}

static void attempt_start(struct attempt *attempt)
{
	attempt->fd = socket(attempt->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (attempt->fd < 0)
		attempt_tell(attempt, LOOK_UNREACHABLE);
	else if (connect(attempt->fd, (struct sockaddr *)&attempt->address, attempt->len) == 0)
		attempt_tell(attempt, LOOK_ANSWERED);
	else if (errno != EINPROGRESS)
		attempt_tell(attempt, errno_result(errno));
}

static void attempts_run(struct attempt *attempts, size_t count, int64_t time_ms)
{
	struct pollfd watched[LOOK_SIDE_BY_SIDE];
	int64_t until_ms = clock_mono_ms() + time_ms;
	size_t open = 0;

	for (size_t i = 0; i < count; i++) {
		attempt_start(&attempts[i]);
		watched[i] = (struct pollfd){.fd = attempts[i].fd, .events = POLLOUT};
		open += attempts[i].fd >= 0;
	}
	for (int64_t now; open && (now = clock_mono_ms()) < until_ms && !stop_asked();) {
		if (poll(watched, count, (int)MIN(until_ms - now, (int64_t)STOP_LOOK_MS)) < 0 &&
		    errno != EINTR)
			break;
		for (size_t i = 0; i < count; i++) {
			int number = 0;
			socklen_t len = sizeof(number);
			if (watched[i].fd < 0 || !watched[i].revents)
				continue;
			getsockopt(watched[i].fd, SOL_SOCKET, SO_ERROR, &number, &len);
			attempt_tell(&attempts[i], number ? errno_result(number) : LOOK_ANSWERED);
			watched[i].fd = -1;
			open--;
		}
	}
	for (size_t i = 0; i < count; i++)
		if (attempts[i].fd >= 0)
			attempt_tell(&attempts[i], LOOK_TIMED_OUT);
}

static bool address_of(const char *text, uint16_t port, struct attempt *attempt)
{
	char number[8];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *list = NULL;

	snprintf(number, sizeof(number), "%u", port);
	if (getaddrinfo(text, number, &hints, &list) != 0)
		return false;
	memcpy(&attempt->address, list->ai_addr, list->ai_addrlen);
	attempt->len = list->ai_addrlen;
	freeaddrinfo(list);
	return true;
}

void look_ports(struct look_port *ports, size_t count, int64_t time_ms)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char **hosts = ARENA_NEW_ARRAY(&arena, count, const char *);
	struct look_name *names = ARENA_NEW_ARRAY(&arena, count, struct look_name);
	struct attempt attempts[LOOK_SIDE_BY_SIDE];
	size_t pending = 0;

	for (size_t i = 0; i < count; i++)
		hosts[i] = ports[i].host;
	look_names(&arena, hosts, count, time_ms, names);
	for (size_t i = 0; i < count; i++) {
		ports[i].result = names[i].result == LOOK_ANSWERED ? 0 : names[i].result;
		for (size_t a = 0; a < names[i].address_count; a++) {
			attempts[pending] = (struct attempt){.port = &ports[i], .fd = -1};
			pending += address_of(names[i].addresses[a], ports[i].port, &attempts[pending]);
			if (pending == LOOK_SIDE_BY_SIDE) {
				attempts_run(attempts, pending, time_ms);
				pending = 0;
			}
		}
	}
	attempts_run(attempts, pending, time_ms);
	for (size_t i = 0; i < count; i++)
		if (!ports[i].result)
			ports[i].result = LOOK_NAME_FAILED;
}

/* --- texts -------------------------------------------------------------------------- */

bool look_split(struct slice text, uint16_t fallback, char host[256], uint16_t *port_out)
{
	struct slice name = text, port = {0};
	uint64_t number = fallback;

	if (text.len && text.ptr[0] == '[') {
		name = slice_skip(text, 1);
		port = name;
		name = slice_cut(&port, ']');
		if (!port.ptr || (port.len && port.ptr[0] != ':'))
			return false;
		port = port.len ? slice_skip(port, 1) : (struct slice){0};
	} else if (slice_find(text, ':') >= 0) {
		port = text;
		name = slice_cut(&port, ':');
	}
	if (name.len == 0 || name.len > 255 || (port.ptr && !slice_to_u64(port, &number)) || number == 0 ||
	    number > UINT16_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= ' ' || name.ptr[i] > '~' || strchr("/@?#\\\"'<>(){},;", name.ptr[i]))
			return false;
	memcpy(host, name.ptr, name.len);
	host[name.len] = '\0';
	*port_out = (uint16_t)number;
	return true;
}

bool look_is_local(const char *host, bool private)
{
	struct in_addr four;
	struct in6_addr six;

	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &four) == 1) {
		uint32_t address = ntohl(four.s_addr);
		return address >> 24 == 127 || address == 0 ||
		       (private && (address >> 24 == 10 || address >> 20 == 0xac1 ||
				    address >> 16 == 0xc0a8 || address >> 16 == 0xa9fe));
	}
	if (inet_pton(AF_INET6, host, &six) == 1)
		return IN6_IS_ADDR_LOOPBACK(&six) ||
		       (private && (IN6_IS_ADDR_LINKLOCAL(&six) || (six.s6_addr[0] & 0xfe) == 0xfc));
	return false;
}
