/* One HTTP request over a stream the caller carries, driven by the loop. Each check
 * has a curl multi handle of its own: a few dozen at once cost little, and none can
 * disturb another.
 *
 * curl 7.88 cannot be handed a connected socket (it connects it once more, in
 * spite of CURL_SOCKOPT_ALREADY_CONNECTED), so it connects to a socket in a private
 * folder that exists only for that moment. */
#include "net/http_check.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/fd.h"
#include "net/internal.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct http_check {
	struct loop *loop;
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	struct loop_watch *watch;
	int watched_fd;
	struct loop_timer *timer;
	struct loop_timer *finish; /* tells the outcome from a clean stack */
	char *body_contains, *header_name, *header_value;
	int status_wanted;
	bool header_matched;
	struct buf body;
	char curl_error[CURL_ERROR_SIZE];
	int64_t started_ms;
	void (*done)(void *context, const struct http_check_outcome *outcome);
	void *context;
	struct http_check_outcome outcome;
};

int http_url_split(const char *url, char *host, size_t host_size, uint16_t *port_out, struct err *err)
{
	if (curl_start(err) < 0)
		return -1;
	CURLU *parts = curl_url();
	ASSERT(parts);
	char *scheme = NULL, *name = NULL, *port = NULL;
	CURLUcode code = curl_url_set(parts, CURLUPART_URL, url, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(parts, CURLUPART_HOST, &name, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	int result = 0;
	uint64_t number = 0;
	if (code != CURLUE_OK)
		result = err_set(err, ERR_USER, "not a URL: %s (%s)", url, curl_url_strerror(code));
	else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		result = err_set(err, ERR_USER, "not an http or https URL: %s", url);
	else if (!slice_to_u64(slice_of(port), &number) || number == 0 || number > UINT16_MAX ||
		 strlen(name) >= host_size)
		result = err_set(err, ERR_USER, "not a usable URL: %s", url);
	if (result == 0) {
		memcpy(host, name, strlen(name) + 1);
		*port_out = (uint16_t)number;
	}
	curl_free(scheme);
	curl_free(name);
	curl_free(port);
	curl_url_cleanup(parts);
	return result;
}

/* --- what curl calls ----------------------------------------------------------- */

static size_t body_take(char *bytes, size_t size, size_t count, void *context)
{
	struct http_check *check = context;
	if (count > HTTP_BODY_MAX - check->body.len / (size ? size : 1))
		return 0;
	buf_put(&check->body, bytes, size * count);
	return check->body.overflow ? 0 : size * count;
}

static size_t header_take(char *bytes, size_t size, size_t count, void *context)
{
	struct http_check *check = context;
	struct slice rest = slice_make(bytes, size * count);
	struct slice name = slice_cut(&rest, ':');
	if (check->header_name && rest.ptr && name.len == strlen(check->header_name) &&
	    strncasecmp(name.ptr, check->header_name, name.len) == 0)
		check->header_matched =
			!check->header_value || slice_is(slice_trim(rest), check->header_value);
	return size * count;
}

static void check_drive(struct http_check *check, curl_socket_t fd, int events);

static void watch_fired(void *context, bool readable, bool writable)
{
	struct http_check *check = context;
	check_drive(check, check->watched_fd,
		    (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0));
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *context, void *per_socket)
{
	(void)easy;
	(void)per_socket;
	struct http_check *check = context;
	bool in = what == CURL_POLL_IN || what == CURL_POLL_INOUT;
	bool out = what == CURL_POLL_OUT || what == CURL_POLL_INOUT;
	if (check->watch && (check->watched_fd != fd || what == CURL_POLL_REMOVE))
		loop_watch_stop(&check->watch);
	if (what == CURL_POLL_REMOVE)
		return 0;
	if (check->watch) {
		loop_watch_change(check->watch, in, out);
	} else {
		check->watched_fd = fd;
		check->watch = loop_watch_start(check->loop, fd, in, out, watch_fired, check);
	}
	return 0;
}

static void timer_fired(void *context)
{
	struct http_check *check = context;
	loop_timer_stop(&check->timer);
	check_drive(check, CURL_SOCKET_TIMEOUT, 0);
}

static int timer_wanted(CURLM *multi, long timeout_ms, void *context)
{
	(void)multi;
	struct http_check *check = context;
	loop_timer_stop(&check->timer);
	if (timeout_ms >= 0)
		check->timer = loop_timer_start(check->loop, timeout_ms, 0, timer_fired, check);
	return 0;
}

/* --- the outcome ---------------------------------------------------------------- */

static void outcome_judge(struct http_check *check, CURLcode code)
{
	struct http_check_outcome *outcome = &check->outcome;
	long status = 0;
	curl_easy_getinfo(check->easy, CURLINFO_RESPONSE_CODE, &status);
	outcome->status = (int)status;
	outcome->duration_ms = clock_mono_ms() - check->started_ms;
	if (code == CURLE_WRITE_ERROR && check->body.len > 0)
		snprintf(outcome->why, sizeof(outcome->why), "the answer is longer than 1 MB");
	else if (code != CURLE_OK)
		snprintf(outcome->why, sizeof(outcome->why), "%s",
			 check->curl_error[0] ? check->curl_error : curl_easy_strerror(code));
	else if (check->status_wanted && status != check->status_wanted)
		snprintf(outcome->why, sizeof(outcome->why), "it answered with status %ld, not %d", status,
			 check->status_wanted);
	else if (!check->status_wanted && (status < 200 || status > 299))
		snprintf(outcome->why, sizeof(outcome->why), "it answered with status %ld", status);
	else if (check->header_name && !check->header_matched)
		snprintf(outcome->why, sizeof(outcome->why), "the answer has no header %s: %s",
			 check->header_name, check->header_value ? check->header_value : "");
	else if (check->body_contains && !memmem(buf_str(&check->body), check->body.len, check->body_contains,
						 strlen(check->body_contains)))
		snprintf(outcome->why, sizeof(outcome->why), "the answer does not contain \"%s\"",
			 check->body_contains);
	else
		outcome->passed = true;
}

static void outcome_tell(void *context)
{
	struct http_check *check = context;
	loop_timer_stop(&check->finish);
	check->done(check->context, &check->outcome);
}

static void check_drive(struct http_check *check, curl_socket_t fd, int events)
{
	int running = 0;
	curl_multi_socket_action(check->multi, fd, events, &running);
	int left = 0;
	for (CURLMsg *message; (message = curl_multi_info_read(check->multi, &left));) {
		if (message->msg != CURLMSG_DONE || check->finish)
			continue;
		outcome_judge(check, message->data.result);
		check->finish = loop_timer_start(check->loop, 0, 0, outcome_tell, check);
	}
}

static void easy_set_up(struct http_check *check, const struct http_check_spec *spec, const char *socket_path)
{
	check->headers = curl_slist_append(NULL, "Accept: */*");
	CURL *easy = check->easy;
	curl_easy_setopt(easy, CURLOPT_URL, spec->url);
	curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, check->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "lockstep-health");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)spec->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, check->curl_error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_take);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, check);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_take);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, check);
	if (spec->insecure) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (spec->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, spec->ca_file);
}

/* A listening socket that only this user can reach. */
static int listener_open(struct sockaddr_un *address, int *fd_out, struct err *err)
{
	char folder[] = "/tmp/lockstep-XXXXXX";
	if (!mkdtemp(folder))
		return err_errno(err, "cannot make a folder in /tmp");
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "%s/s", folder);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)address, sizeof(*address)) < 0 || listen(fd, 1) < 0 ||
	    fd_set_nonblocking(fd, true, err) < 0) {
		err_errno(err, "cannot make a socket at %s", address->sun_path);
		close_fd(&fd);
		rmdir(folder);
		return -1;
	}
	*fd_out = fd;
	return 0;
}

static void listener_remove(struct sockaddr_un *address)
{
	unlink(address->sun_path);
	*strrchr(address->sun_path, '/') = '\0';
	rmdir(address->sun_path);
}

int http_check_start(struct loop *loop, const struct http_check_spec *spec,
		     void (*done)(void *context, const struct http_check_outcome *outcome), void *context,
		     struct http_check **check_out, int *stream_out, struct err *err)
{
	char host[256];
	uint16_t port;
	if (http_url_split(spec->url, host, sizeof(host), &port, err) < 0)
		return -1;
	struct sockaddr_un address = {0};
	AUTO(close_fd) int listener = -1;
	if (listener_open(&address, &listener, err) < 0)
		return -1;

	struct http_check *check = mem_alloc(sizeof(*check));
	check->loop = loop;
	check->status_wanted = spec->status;
	check->body_contains = spec->body_contains ? mem_strdup(spec->body_contains) : NULL;
	check->header_name = spec->header_name ? mem_strdup(spec->header_name) : NULL;
	check->header_value = spec->header_value ? mem_strdup(spec->header_value) : NULL;
	check->body = BUF_INIT(HTTP_BODY_MAX);
	check->done = done;
	check->context = context;
	check->started_ms = clock_mono_ms();
	check->multi = curl_multi_init();
	check->easy = curl_easy_init();
	ASSERT(check->multi && check->easy);
	curl_multi_setopt(check->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
	curl_multi_setopt(check->multi, CURLMOPT_SOCKETDATA, check);
	curl_multi_setopt(check->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
	curl_multi_setopt(check->multi, CURLMOPT_TIMERDATA, check);
	easy_set_up(check, spec, address.sun_path);
	curl_multi_add_handle(check->multi, check->easy);
	/* There is no name to look up, so this connects at once. */
	check_drive(check, CURL_SOCKET_TIMEOUT, 0);
	int stream = accept(listener, NULL, NULL);
	listener_remove(&address);
	if (stream < 0) {
		err_set(err, ERR_INTERNAL, "libcurl did not connect: %s", check->outcome.why);
		http_check_stop(&check);
		return -1;
	}
	fcntl(stream, F_SETFD, FD_CLOEXEC);
	*check_out = check;
	*stream_out = stream;
	return 0;
}

void http_check_stop(struct http_check **check)
{
	struct http_check *old = *check;
	if (!old)
		return;
	*check = NULL;
	curl_multi_remove_handle(old->multi, old->easy);
	curl_easy_cleanup(old->easy);
	curl_multi_cleanup(old->multi);
	loop_watch_stop(&old->watch);
	loop_timer_stop(&old->timer);
	loop_timer_stop(&old->finish);
	curl_slist_free_all(old->headers);
	mem_free_ptr(&old->body_contains);
	mem_free_ptr(&old->header_name);
	mem_free_ptr(&old->header_value);
	buf_free(&old->body);
	mem_free_ptr(&old);
}
