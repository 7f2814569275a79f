/* The HTTP client against a server on loopback that plays scripted answers, and TLS
 * against a real `openssl s_server`. */
#include "net/http_client.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/fd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../cmocka_base.h"

/* --- the server ----------------------------------------------------------------- */

enum { TURNS_MAX = 8, REQUEST_MAX = 8192 };

struct turn {
	const char *text; /* NULL: the connection is closed without an answer */
	size_t filler;	  /* bytes of body after the text */
	bool keep;	  /* the connection stays open for the next turn */
	bool hang;	  /* nothing more is said, and the connection stays until the peer leaves */
};

struct server {
	int listener;
	char url[64];
	const struct turn *turns;
	size_t turn_count;
	int connections;
	size_t requests;
	char seen[TURNS_MAX][REQUEST_MAX];
	int64_t at_ms[TURNS_MAX];
	pthread_t thread;
};

static void read_until(int fd, char *text, size_t *len, size_t wanted)
{
	while (*len < wanted && *len < REQUEST_MAX - 1) {
		ssize_t got = read(fd, text + *len, MIN(wanted, (size_t)REQUEST_MAX - 1) - *len);
		if (got <= 0)
			return;
		*len += (size_t)got;
	}
}

/* Head and body; false when the peer has left. */
static bool request_read(int fd, char *text)
{
	size_t len = 0;
	while (!strstr(text, "\r\n\r\n")) {
		size_t before = len;
		read_until(fd, text, &len, len + 1);
		if (len == before)
			return false;
	}
	const char *length = strcasestr(text, "\r\nContent-Length: ");
	if (length)
		read_until(fd, text, &len, len + (size_t)atoi(length + 18));
	return true;
}

static void filler_send(int fd, size_t count)
{
	static const char piece[4096];
	for (size_t sent = 0; sent < count; sent += sizeof(piece))
		if (send(fd, piece, MIN(sizeof(piece), count - sent), MSG_NOSIGNAL) < 0)
			return;
}

static void *serve(void *context)
{
	struct server *server = context;
	int fd = -1;
	for (size_t i = 0; i < server->turn_count; i++) {
		const struct turn *turn = &server->turns[i];
		if (fd < 0) {
			fd = accept(server->listener, NULL, NULL);
			if (fd < 0)
				return NULL;
			server->connections++;
		}
		if (!request_read(fd, server->seen[i]))
			break;
		server->at_ms[i] = clock_mono_ms();
		server->requests++;
		if (turn->text)
			send(fd, turn->text, strlen(turn->text), MSG_NOSIGNAL);
		filler_send(fd, turn->filler);
		char rest[16];
		while (turn->hang && read(fd, rest, sizeof(rest)) > 0)
			continue;
		if (!turn->keep)
			close_fd(&fd);
	}
	close_fd(&fd);
	return NULL;
}

static void server_start(struct server *server, const struct turn *turns, size_t count)
{
	memset(server, 0, sizeof(*server));
	server->turns = turns;
	server->turn_count = count;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(server->listener, 8), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
	snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d/v1/x?key=hidden-query",
		 ntohs(address.sin_port));
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
}

/* --- answers, and what is tried again ---------------------------------------------- */

#define OK_TEXT "HTTP/1.1 200 OK\r\nETag: \"7\"\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nup"
#define BUSY "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
#define LIMIT(seconds) "HTTP/1.1 429 Slow Down\r\nRetry-After: " seconds "\r\nContent-Length: 4\r\n\r\nslow"

static bool asks_again(void *context, int status, struct slice body)
{
	(void)context;
	return status == 400 && slice_is(body, "Throttled");
}

static const struct {
	const char *name;
	struct turn turns[TURNS_MAX];
	size_t turn_count;
	int64_t timeout_ms;
	size_t answer_max;
	int attempts;
	int status; /* 0: an error */
	size_t requests;
	const char *body; /* of the answer, or a part of the error */
	enum err_code code;
	int64_t least_ms; /* between the first two requests */
} rows[] = {
	{"an answer", {{OK_TEXT}}, 1, 0, 0, 0, 200, 1, "up", 0, 0},
	{"503, then it is well", {{BUSY}, {OK_TEXT}}, 2, 0, 0, 0, 200, 2, "up", 0, 90},
	{"429 with a time to wait", {{LIMIT("1")}, {OK_TEXT}}, 2, 0, 0, 0, 200, 2, "up", 0, 990},
	{"429 with more time to wait than there is", {{LIMIT("60")}}, 1, 2000, 0, 0, 429, 1, "slow", 0, 0},
	{"busy to the last", {{BUSY}, {BUSY}}, 2, 0, 0, 2, 503, 2, "", 0, 90},
	{"no answer to some, then it is well", {{NULL}, {OK_TEXT}}, 2, 0, 0, 0, 200, 2, "up", 0, 90},
	{"what the caller knows as passing",
	 {{"HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\nThrottled"}, {OK_TEXT}},
	 2,
	 0,
	 0,
	 0,
	 200,
	 2,
	 "up",
	 0,
	 90},
	{"what is wrong stays wrong",
	 {{"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"}},
	 1,
	 0,
	 0,
	 0,
	 403,
	 1,
	 "no",
	 0,
	 0},
	{"a redirect is an answer",
	 {{"HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"}},
	 1,
	 0,
	 0,
	 0,
	 307,
	 1,
	 "",
	 0,
	 0},
	{"a cut body is asked for again",
	 {{"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nsecret-part"}, {OK_TEXT}},
	 2,
	 0,
	 0,
	 0,
	 200,
	 2,
	 "up",
	 0,
	 90},
	{"a body cut each time",
	 {{"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nsecret-part"},
	  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsec"}},
	 2,
	 0,
	 0,
	 2,
	 0,
	 2,
	 "the answer was cut off (2 attempts",
	 ERR_NETWORK,
	 90},
	{"a body that does not end",
	 {{"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nsecret-part", 0, false, true}},
	 1,
	 300,
	 0,
	 0,
	 0,
	 1,
	 "its answer did not end in time (1 attempt in ",
	 ERR_NETWORK,
	 0},
	{"a server that says nothing",
	 {{"", 0, false, true}},
	 1,
	 300,
	 0,
	 0,
	 0,
	 1,
	 "no answer in time",
	 ERR_NETWORK,
	 0},
	{"a body longer than said to be right",
	 {{"HTTP/1.1 200 OK\r\n\r\n", 70000}},
	 1,
	 0,
	 4096,
	 0,
	 0,
	 1,
	 "longer than 4096 bytes",
	 ERR_NETWORK,
	 0},
	{"a length longer than said to be right",
	 {{"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", 1000}},
	 1,
	 0,
	 4096,
	 0,
	 0,
	 1,
	 "longer than 4096 bytes",
	 ERR_NETWORK,
	 0},
	{"not HTTP at all",
	 {{"secret-greeting SSH-2.0\r\n\r\n"}},
	 1,
	 0,
	 0,
	 1,
	 0,
	 1,
	 "the store: ",
	 ERR_NETWORK,
	 0},
};

static void answers_are_taken_and_failures_tried_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct server server;
		server_start(&server, rows[i].turns, rows[i].turn_count);
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		AUTO(http_answer_free) struct http_answer answer = {0};
		struct err err = ERR_INIT;
		const struct http_header headers[] = {{"X-Token", "hidden-token"}};
		struct http_request_spec spec = {
			.method = "GET",
			.url = server.url,
			.headers = headers,
			.header_count = 1,
			.timeout_ms = rows[i].timeout_ms,
			.answer_max = rows[i].answer_max,
			.attempts = rows[i].attempts,
			.again = asks_again,
			.what = "the store",
		};
		int status = http_send(&arena, &spec, &answer, &err);
		server_stop(&server);
		if (status != (rows[i].status ? 0 : -1) || answer.status != rows[i].status ||
		    server.requests != rows[i].requests || err.code != rows[i].code)
			fail_msg("%s: status %d, %zu requests, error %d: %s", rows[i].name, answer.status,
				 server.requests, err.code, err.text);
		if (rows[i].status)
			assert_string_equal(buf_str(&answer.body), rows[i].body);
		else if (!strstr(err.text, rows[i].body))
			fail_msg("%s: %s", rows[i].name, err.text);
		assert_null(strstr(err.text, "hidden"));
		assert_null(strstr(err.text, "secret"));
		if (server.requests > 1)
			assert_true(server.at_ms[1] - server.at_ms[0] >= rows[i].least_ms);
		assert_non_null(strstr(server.seen[0], "GET /v1/x?key=hidden-query HTTP/1.1\r\n"));
		assert_non_null(strstr(server.seen[0], "\r\nX-Token: hidden-token\r\n"));
	}
}

static void an_answer_says_its_kind_and_how_long_to_wait(void **state)
{
	(void)state;
	const struct turn turns[] = {{OK_TEXT}, {LIMIT("60")}};
	struct server server;
	server_start(&server, turns, 2);
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(http_answer_free) struct http_answer answer = {0};
	struct err err = ERR_INIT;
	struct http_request_spec spec = {.method = "GET", .url = server.url, .what = "the store"};
	assert_int_equal(http_send(&arena, &spec, &answer, &err), 0);
	assert_string_equal(answer.etag, "\"7\"");
	assert_string_equal(answer.content_type, "text/plain");
	assert_int_equal(answer.retry_after_ms, 0);
	http_answer_free(&answer);
	assert_int_equal(http_send(&arena, &spec, &answer, &err), 0);
	assert_int_equal(answer.retry_after_ms, 60000);
	assert_int_equal(answer.attempts, 1);
	assert_null(answer.etag);
	server_stop(&server);
}

static void bodies_and_methods_are_sent_as_they_are(void **state)
{
	(void)state;
	const struct turn turns[] = {{OK_TEXT}, {OK_TEXT}, {OK_TEXT}};
	struct server server;
	server_start(&server, turns, 3);
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	const struct {
		const char *method;
		struct slice body;
		const char *wanted;
	} sent[] = {
		{"POST", SLICE("{\"a\": 1}"), "{\"a\": 1}"},
		{"POST", SLICE(""), "\r\nContent-Length: 0\r\n"},
		{"LIST", SLICE(""), "LIST /v1/x"},
	};
	for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
		AUTO(http_answer_free) struct http_answer answer = {0};
		struct http_request_spec spec = {.method = sent[i].method,
						 .url = server.url,
						 .body = sent[i].body,
						 .what = "the store"};
		assert_int_equal(http_send(&arena, &spec, &answer, &err), 0);
	}
	server_stop(&server);
	for (size_t i = 0; i < ARRAY_LEN(sent); i++)
		assert_non_null(strstr(server.seen[i], sent[i].wanted));
	assert_null(strstr(server.seen[2], "Content-Length"));
}

static int signed_each_time(void *context, const struct http_request_spec *spec, struct arena *arena,
			    const struct http_header **headers_out, size_t *count_out, struct err *err)
{
	(void)spec;
	(void)err;
	int *times = context;
	struct http_header *headers = ARENA_NEW_ARRAY(arena, 1, struct http_header);
	headers[0] = (struct http_header){"X-Signed", arena_printf(arena, "time %d", ++*times)};
	*headers_out = headers;
	*count_out = 1;
	return 0;
}

static void every_attempt_is_signed_anew(void **state)
{
	(void)state;
	const struct turn turns[] = {{BUSY}, {OK_TEXT}};
	struct server server;
	server_start(&server, turns, 2);
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(http_answer_free) struct http_answer answer = {0};
	struct err err = ERR_INIT;
	int times = 0;
	struct http_request_spec spec = {.method = "GET",
					 .url = server.url,
					 .sign = signed_each_time,
					 .context = &times,
					 .what = "it"};
	assert_int_equal(http_send(&arena, &spec, &answer, &err), 0);
	server_stop(&server);
	assert_non_null(strstr(server.seen[0], "\r\nX-Signed: time 1\r\n"));
	assert_non_null(strstr(server.seen[1], "\r\nX-Signed: time 2\r\n"));
}

static void a_client_keeps_its_connection(void **state)
{
	(void)state;
	const struct turn turns[] = {{OK_TEXT, .keep = true}, {OK_TEXT, .keep = true}, {OK_TEXT}};
	struct server server;
	server_start(&server, turns, 3);
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(http_client_close) struct http_client *client = http_client_open();
	struct err err = ERR_INIT;
	for (size_t i = 0; i < 3; i++) {
		AUTO(http_answer_free) struct http_answer answer = {0};
		struct http_request_spec spec = {
			.client = client, .method = "GET", .url = server.url, .what = "it"};
		assert_int_equal(http_send(&arena, &spec, &answer, &err), 0);
		assert_int_equal(answer.status, 200);
	}
	server_stop(&server);
	assert_int_equal(server.requests, 3);
	assert_int_equal(server.connections, 1);
}

static void a_refused_connection_is_said_so(void **state)
{
	(void)state;
	struct server server;
	server_start(&server, NULL, 0);
	server_stop(&server); /* whose port is free now */
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(http_answer_free) struct http_answer answer = {0};
	struct err err = ERR_INIT;
	struct http_request_spec spec = {
		.method = "GET", .url = server.url, .attempts = 2, .what = "the store"};
	assert_int_equal(http_send(&arena, &spec, &answer, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_non_null(strstr(err.text, "the store: Failed to connect to 127.0.0.1 port"));
	assert_non_null(strstr(err.text, "(2 attempts in "));
	assert_null(strstr(err.text, "hidden"));
}

static void addresses_that_would_leak_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *url, *value, *why;
	} bad[] = {
		{"http://store.example/v1", "t", "http: would send credentials in clear"},
		{"http://127.0.0.1.example/v1", "t", "http: would send credentials in clear"},
		{"http://[::2]/v1", "t", "http: would send credentials in clear"},
		{"https://user:hidden@store.example/", "t", "must not hold a user or a password"},
		{"ftp://127.0.0.1/hidden", "t", "not an http or https address"},
		{"", "t", "not an http or https address"},
		{"http://127.0.0.1:1/", "hidden\r\nX-Other: 1", "the header X-Token has a control character"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		AUTO(http_answer_free) struct http_answer answer = {0};
		struct err err = ERR_INIT;
		const struct http_header headers[] = {{"X-Token", bad[i].value}};
		struct http_request_spec spec = {.method = "GET",
						 .url = bad[i].url,
						 .headers = headers,
						 .header_count = 1,
						 .what = "the store"};
		assert_int_equal(http_send(&arena, &spec, &answer, &err), -1);
		assert_int_equal(err.code, ERR_USER);
		if (!strstr(err.text, bad[i].why))
			fail_msg("%s: %s", bad[i].url, err.text);
		assert_null(strstr(err.text, "hidden"));
	}
	assert_true(http_url_is_loopback("http://localhost:8200/"));
	assert_true(http_url_is_loopback("http://[::1]:8200/"));
	assert_true(http_url_is_loopback("http://127.0.0.2/"));
	assert_false(http_url_is_loopback("http://10.0.0.1/"));
}

static void parts_of_an_address_are_escaped(void **state)
{
	(void)state;
	AUTO(buf_free) struct buf out = BUF_INIT(256);
	http_put_escaped(&out, slice_of("a/b c?d&e%f.g-h_i~j\xC3\xA9"));
	assert_string_equal(buf_str(&out), "a%2Fb%20c%3Fd%26e%25f.g-h_i~j%C3%A9");
}

/* --- TLS ------------------------------------------------------------------------ */

static char folder[] = "/tmp/lockstep-net-XXXXXX";

static void certificate_make(void)
{
	struct err err = ERR_INIT;
	struct child_spec spec = {
		.argv = (const char *[]){"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
					 "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem",
					 "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost",
					 "-addext", "subjectAltName=DNS:localhost", NULL},
		.dir = folder,
	};
	AUTO(buf_free) struct buf out = BUF_INIT(MIB(1));
	AUTO(buf_free) struct buf errors = BUF_INIT(MIB(1));
	int status = -1;
	if (child_run(&spec, slice_make("", 0), &out, &errors, 60000, &status, &err) < 0 || status != 0)
		fail_msg("openssl: %s %s", err.text, buf_str(&errors));
}

static int tls_server_start(struct child *server)
{
	struct err err = ERR_INIT;
	struct child_spec spec = {
		.argv = (const char *[]){"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem",
					 "-key", "key.pem", "-www", NULL},
		.dir = folder,
		.stdin_fd = -1,
		.stdout_fd = CHILD_PIPE,
		.stderr_fd = -1,
	};
	assert_int_equal(child_start(server, &spec, &err), 0);
	/* It prints "ACCEPT 127.0.0.1:PORT" when it is ready. */
	char line[256] = "";
	size_t len = 0;
	while (len < sizeof(line) - 1 && (!strstr(line, "ACCEPT") || line[len - 1] != '\n')) {
		assert_true(read(server->stdout_fd, line + len, 1) == 1);
		len++;
	}
	return atoi(strrchr(line, ':') + 1);
}

static void only_trusted_certificates_of_the_right_name_will_do(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	certificate_make();
	AUTO(child_close) struct child server = CHILD_INIT;
	int port = tls_server_start(&server);
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *ca = arena_printf(&arena, "%s/cert.pem", folder);
	const struct {
		const char *host, *ca_file, *why;
	} tries[] = {
		{"localhost", ca, NULL},
		{"localhost", NULL, "the store is not trusted: "},
		{"127.0.0.1", ca, "the store is not trusted: "},
		{"localhost", "/nowhere/ca.pem", "the store is not trusted: "},
	};
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		AUTO(http_answer_free) struct http_answer answer = {0};
		struct err err = ERR_INIT;
		struct http_request_spec spec = {
			.method = "GET",
			.url = arena_printf(&arena, "https://%s:%d/", tries[i].host, port),
			.ca_file = tries[i].ca_file,
			.attempts = 1,
			.what = "the store",
		};
		int status = http_send(&arena, &spec, &answer, &err);
		if (status != (tries[i].why ? -1 : 0))
			fail_msg("row %zu: %s", i, err.text);
		if (!tries[i].why) {
			assert_int_equal(answer.status, 200);
			continue;
		}
		assert_int_equal(err.code, ERR_DENIED);
		assert_non_null(strstr(err.text, tries[i].why));
	}
	child_stop(&server, 1000);
	struct err err = ERR_INIT;
	assert_int_equal(tree_remove_at(AT_FDCWD, folder, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_taken_and_failures_tried_again),
		cmocka_unit_test(an_answer_says_its_kind_and_how_long_to_wait),
		cmocka_unit_test(bodies_and_methods_are_sent_as_they_are),
		cmocka_unit_test(every_attempt_is_signed_anew),
		cmocka_unit_test(a_client_keeps_its_connection),
		cmocka_unit_test(a_refused_connection_is_said_so),
		cmocka_unit_test(addresses_that_would_leak_are_refused),
		cmocka_unit_test(parts_of_an_address_are_escaped),
		cmocka_unit_test(only_trusted_certificates_of_the_right_name_will_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
