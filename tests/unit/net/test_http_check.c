/* Health checks against a server that plays its answer over the other end of the
 * stream; TLS against a real `openssl s_server`. */
#include "net/http_check.h"

#include "base/child.h"
#include "base/fd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct answer {
	int fd;
	const char *text;
	size_t filler; /* bytes of body after the text */
	char request[2048];
};

static void *play(void *context)
{
	struct answer *answer = context;
	size_t len = 0;
	while (len < sizeof(answer->request) - 1 && !strstr(answer->request, "\r\n\r\n")) {
		ssize_t got = read(answer->fd, answer->request + len, sizeof(answer->request) - 1 - len);
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	if (answer->text) {
		send(answer->fd, answer->text, strlen(answer->text), MSG_NOSIGNAL);
		static const char piece[4096];
		for (size_t sent = 0; sent < answer->filler; sent += sizeof(piece))
			if (send(answer->fd, piece, sizeof(piece), MSG_NOSIGNAL) < 0)
				break;
		close(answer->fd);
		return NULL;
	}
	char rest[16];
	while (read(answer->fd, rest, sizeof(rest)) > 0)
		continue;
	close(answer->fd);
	return NULL;
}

struct result {
	bool done;
	struct http_check_outcome outcome;
};

static void take(void *context, const struct http_check_outcome *outcome)
{
	struct result *result = context;
	assert_false(result->done);
	result->done = true;
	result->outcome = *outcome;
}

static void begin(const struct http_check_spec *spec, struct result *result, struct loop **loop,
		  struct http_check **check, int *stream)
{
	struct err err = ERR_INIT;
	assert_int_equal(loop_open(loop, &err), 0);
	assert_int_equal(http_check_start(*loop, spec, take, result, check, stream, &err), 0);
}

static void finish(struct result *result, struct loop **loop, struct http_check **check)
{
	while (!result->done)
		loop_turn(*loop, true);
	http_check_stop(check);
	loop_close(loop);
}

static const struct {
	const char *name;
	const char *answer;
	size_t filler;
	struct http_check_spec spec;
	bool passed;
	int status;
	const char *why;
} cases[] = {
	{"a plain answer",
	 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup",
	 0,
	 {.url = "http://shop.example/up"},
	 true,
	 200,
	 ""},
	{"any 2xx will do",
	 "HTTP/1.1 204 No Content\r\n\r\n",
	 0,
	 {.url = "http://shop.example/up"},
	 true,
	 204,
	 ""},
	{"an error answer",
	 "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
	 0,
	 {.url = "http://shop.example/up"},
	 false,
	 503,
	 "status 503"},
	{"another status than the one asked",
	 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	 0,
	 {.url = "http://shop.example/up", .status = 204},
	 false,
	 200,
	 "not 204"},
	{"a redirect is not followed",
	 "HTTP/1.1 302 Found\r\nLocation: http://other.example/\r\nContent-Length: 0\r\n\r\n",
	 0,
	 {.url = "http://shop.example/up"},
	 false,
	 302,
	 "302"},
	{"a redirect can be what is asked",
	 "HTTP/1.1 301 Moved\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n",
	 0,
	 {.url = "http://shop.example/up", .status = 301},
	 true,
	 301,
	 ""},
	{"the body is looked into",
	 "HTTP/1.1 200 OK\r\n\r\nall is well",
	 0,
	 {.url = "http://shop.example/up", .body_contains = "is well"},
	 true,
	 200,
	 ""},
	{"another body",
	 "HTTP/1.1 200 OK\r\n\r\nall is lost",
	 0,
	 {.url = "http://shop.example/up", .body_contains = "is well"},
	 false,
	 200,
	 "does not contain"},
	{"the header is looked for",
	 "HTTP/1.1 200 OK\r\nx-release:  42 \r\nContent-Length: 0\r\n\r\n",
	 0,
	 {.url = "http://shop.example/up", .header_name = "X-Release", .header_value = "42"},
	 true,
	 200,
	 ""},
	{"another header",
	 "HTTP/1.1 200 OK\r\nX-Release: 41\r\nContent-Length: 0\r\n\r\n",
	 0,
	 {.url = "http://shop.example/up", .header_name = "X-Release", .header_value = "42"},
	 false,
	 200,
	 "no header X-Release: 42"},
	{"a body beyond the limit",
	 "HTTP/1.1 200 OK\r\n\r\n",
	 MIB(2),
	 {.url = "http://shop.example/up"},
	 false,
	 200,
	 "longer than 1 MB"},
	{"not HTTP at all", "SSH-2.0-OpenSSH\r\n\r\n", 0, {.url = "http://shop.example/up"}, false, 0, ""},
	{"a peer that hangs up", "", 0, {.url = "http://shop.example/up"}, false, 0, "Empty reply"},
	{"a peer that says nothing",
	 NULL,
	 0,
	 {.url = "http://shop.example/up", .timeout_ms = 100},
	 false,
	 0,
	 "timed out"},
};

static void answers_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_check_spec spec = cases[i].spec;
		if (!spec.timeout_ms)
			spec.timeout_ms = 20000;
		struct answer answer = {.text = cases[i].answer, .filler = cases[i].filler};
		struct result result = {0};
		struct loop *loop;
		struct http_check *check;
		begin(&spec, &result, &loop, &check, &answer.fd);
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, play, &answer), 0);
		finish(&result, &loop, &check);
		pthread_join(thread, NULL);
		struct http_check_outcome outcome = result.outcome;
		if (outcome.passed != cases[i].passed || outcome.status != cases[i].status ||
		    !strstr(outcome.why, cases[i].why))
			fail_msg("%s: passed %d, status %d, why: %s", cases[i].name, outcome.passed,
				 outcome.status, outcome.why);
		assert_non_null(strstr(answer.request, "GET /up HTTP/1.1\r\nHost: shop.example\r\n"));
	}
}

static void urls_are_split(void **state)
{
	(void)state;
	static const struct {
		const char *url, *host;
		uint16_t port;
	} rows[] = {
		{"http://shop.example/up", "shop.example", 80},
		{"https://shop.example", "shop.example", 443},
		{"https://shop.example:8443/x?y", "shop.example", 8443},
		{"ftp://shop.example/", NULL, 0},
		{"shop", NULL, 0},
		{"", NULL, 0},
		{"http://", NULL, 0},
		{"http://x:99999/", NULL, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		char host[64] = "";
		uint16_t port = 0;
		int status = http_url_split(rows[i].url, host, sizeof(host), &port, &err);
		assert_int_equal(status, rows[i].host ? 0 : -1);
		if (rows[i].host) {
			assert_string_equal(host, rows[i].host);
			assert_int_equal(port, rows[i].port);
		} else {
			assert_int_equal(err.code, ERR_USER);
		}
	}
}

/* --- TLS ---------------------------------------------------------------------- */

static char folder[] = "/tmp/lockstep-net-XXXXXX";

static void run_tool(const char *const *argv)
{
	struct err err = ERR_INIT;
	struct child_spec spec = {.argv = argv,
				  .dir = folder,
				  .stdin_fd = -1,
				  .stdout_fd = CHILD_PIPE,
				  .stderr_fd = CHILD_PIPE};
	AUTO(buf_free) struct buf out = BUF_INIT(MIB(1));
	AUTO(buf_free) struct buf errors = BUF_INIT(MIB(1));
	int status = -1;
	if (child_run(&spec, slice_make("", 0), &out, &errors, 60000, &status, &err) < 0 || status != 0)
		fail_msg("%s: %s %s", argv[0], err.text, buf_str(&errors));
}

static int connect_port(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Bytes both ways between ends[0] and ends[1] until one of them is over. */
static void *carry(void *context)
{
	int *ends = context;
	struct pollfd polls[2] = {{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}};
	for (bool over = false; !over && poll(polls, 2, 20000) > 0;) {
		for (int i = 0; i < 2; i++) {
			char piece[4096];
			ssize_t got = polls[i].revents ? read(ends[i], piece, sizeof(piece)) : -1;
			if (polls[i].revents &&
			    (got <= 0 || send(ends[1 - i], piece, (size_t)got, MSG_NOSIGNAL) < 0))
				over = true;
		}
	}
	close(ends[0]);
	close(ends[1]);
	return NULL;
}

static void certificates_are_judged_by_name_and_authority(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	run_tool((const char *[]){"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
				  "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem", "-out",
				  "cert.pem", "-days", "2", "-subj", "/CN=shop.example", "-addext",
				  "subjectAltName=DNS:shop.example", NULL});
	struct child server = CHILD_INIT;
	struct err err = ERR_INIT;
	struct child_spec spec = {
		.argv = (const char *[]){"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem",
					 "-key", "key.pem", "-www", NULL},
		.dir = folder,
		.stdin_fd = -1,
		.stdout_fd = CHILD_PIPE,
		.stderr_fd = -1,
	};
	assert_int_equal(child_start(&server, &spec, &err), 0);
	/* It prints "ACCEPT 127.0.0.1:PORT" when it is ready. */
	char line[256] = "";
	size_t len = 0;
	while (len < sizeof(line) - 1 && (!strstr(line, "ACCEPT") || line[len - 1] != '\n')) {
		ssize_t got = read(server.stdout_fd, line + len, 1);
		assert_true(got == 1);
		len++;
	}
	uint16_t port = (uint16_t)atoi(strrchr(line, ':') + 1);
	assert_true(port > 0);

	AUTO(buf_free) struct buf ca = BUF_INIT(256);
	buf_printf(&ca, "%s/cert.pem", folder);
	const struct {
		const char *name;
		struct http_check_spec spec;
		bool passed;
		const char *why;
	} rows[] = {
		{"trusted and named", {.url = "https://shop.example/", .ca_file = buf_str(&ca)}, true, ""},
		{"another name",
		 {.url = "https://other.example/", .ca_file = buf_str(&ca)},
		 false,
		 "other.example"},
		{"nobody vouches for it", {.url = "https://shop.example/"}, false, "certificate"},
		{"told not to look", {.url = "https://other.example/", .insecure = true}, true, ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http_check_spec wanted = rows[i].spec;
		wanted.timeout_ms = 20000;
		struct result result = {0};
		struct loop *loop;
		struct http_check *check;
		int ends[2] = {-1, connect_port(port)};
		assert_true(ends[1] >= 0);
		begin(&wanted, &result, &loop, &check, &ends[0]);
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, carry, ends), 0);
		finish(&result, &loop, &check);
		pthread_join(thread, NULL);
		struct http_check_outcome outcome = result.outcome;
		if (outcome.passed != rows[i].passed || !strstr(outcome.why, rows[i].why))
			fail_msg("%s: passed %d, why: %s", rows[i].name, outcome.passed, outcome.why);
	}
	child_stop(&server, 1000);
	child_close(&server);
	assert_int_equal(tree_remove_at(AT_FDCWD, folder, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_judged),
		cmocka_unit_test(urls_are_split),
		cmocka_unit_test(certificates_are_judged_by_name_and_authority),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
