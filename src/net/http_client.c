/* One blocking request with its retries. What a service means by its answers is its
 * caller's to know; what curl's errors mean for a retry is known here. */
#include "net/http_client.h"

#include "base/clock.h"
#include "base/random.h"
#include "net/internal.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum {
	TIMEOUT_MS = 20000,
	ATTEMPTS = 4,
	FIRST_WAIT_MS = 200,
	CONNECT_MS = 5000, /* so that an address that swallows packets leaves time for another attempt */
	HEADER_VALUE_MAX = 1024,
};

struct http_client {
	CURL *easy;
};

/* One attempt. */
struct exchange {
	struct arena *arena;
	struct http_answer *answer;
	size_t answer_max;
	bool too_long;
	char curl_error[CURL_ERROR_SIZE];
};

struct http_client *http_client_open(void)
{
	return mem_alloc(sizeof(struct http_client));
}

void http_client_close(struct http_client **client)
{
	if (!*client)
		return;
	/* Where nothing was asked, the library was not even loaded. */
	if ((*client)->easy)
		curl_easy_cleanup((*client)->easy);
	mem_free_ptr(client);
}

void http_answer_free(struct http_answer *answer)
{
	buf_free(&answer->body);
	*answer = (struct http_answer){0};
}

void http_put_escaped(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			     c == '-' || c == '.' || c == '_' || c == '~';
		if (plain)
			buf_putc(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

/* --- the address --------------------------------------------------------------- */

static void url_part_free(char **part)
{
	curl_free(*part);
}

static bool host_is_loopback(const char *host)
{
	struct in_addr four;
	struct in6_addr six;
	char bare[64] = "";
	size_t len = strlen(host);
	if (host[0] == '[' && len < sizeof(bare)) {
		memcpy(bare, host + 1, len - 2);
		return inet_pton(AF_INET6, bare, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
	}
	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	/* curl takes this name for the loopback whatever the resolver says. */
	return strcasecmp(host, "localhost") == 0;
}

/* Parsed by the one who will connect, so that both mean the same host. */
static CURLUcode url_look(const char *url, bool *plain_out, bool *loopback_out)
{
	CURLU *parts = curl_url();
	ASSERT(parts);
	AUTO(url_part_free) char *scheme = NULL;
	AUTO(url_part_free) char *host = NULL;
	CURLUcode code = curl_url_set(parts, CURLUPART_URL, url, CURLU_DISALLOW_USER);
	if (code == CURLUE_OK)
		code = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(parts, CURLUPART_HOST, &host, 0);
	curl_url_cleanup(parts);
	if (code != CURLUE_OK)
		return code;
	*plain_out = strcmp(scheme, "http") == 0;
	*loopback_out = host_is_loopback(host);
	return *plain_out || strcmp(scheme, "https") == 0 ? CURLUE_OK : CURLUE_UNSUPPORTED_SCHEME;
}

bool http_url_is_loopback(const char *url)
{
	struct err err = ERR_INIT;
	bool plain, loopback;

	return curl_start(&err) == 0 && url_look(url, &plain, &loopback) == CURLUE_OK && loopback;
}

static int url_check(const struct http_request_spec *spec, bool *plain_out, struct err *err)
{
	bool loopback = false;
	CURLUcode code = url_look(spec->url, plain_out, &loopback);
	if (code == CURLUE_USER_NOT_ALLOWED)
		return err_set(err, ERR_USER, "%s: an address must not hold a user or a password",
			       spec->what);
	if (code != CURLUE_OK)
		return err_set(err, ERR_USER, "%s: not an http or https address: %s", spec->what,
			       curl_url_strerror(code));
	if (*plain_out && !loopback && !spec->allow_plain) {
		err_set(err, ERR_USER, "%s: http: would send credentials in clear over the network",
			spec->what);
		return err_hint(err, "use https:, or a tunnel that ends on this machine");
	}
	return 0;
}

/* --- what curl calls ------------------------------------------------------------ */

static size_t body_take(char *bytes, size_t size, size_t count, void *context)
{
	struct exchange *exchange = context;
	buf_put(&exchange->answer->body, bytes, size * count);
	exchange->too_long = exchange->answer->body.overflow;
	return exchange->too_long ? 0 : size * count;
}

static size_t header_take(char *bytes, size_t size, size_t count, void *context)
{
	struct exchange *exchange = context;
	struct slice value = slice_make(bytes, size * count);
	struct slice name = slice_cut(&value, ':');
	value = slice_trim(value);
	if (!value.ptr || value.len > HEADER_VALUE_MAX)
		return size * count;
	if (name.len == 4 && strncasecmp(name.ptr, "etag", 4) == 0)
		exchange->answer->etag = arena_str(exchange->arena, value);
	else if (name.len == 12 && strncasecmp(name.ptr, "content-type", 12) == 0)
		exchange->answer->content_type = arena_str(exchange->arena, value);
	return size * count;
}

/* --- one attempt ---------------------------------------------------------------- */

static void slist_free(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

/* The joined text is written into a buffer that wipes; curl's copy is wiped too. */
static int header_list_make(const struct http_request_spec *spec, const struct http_header *headers,
			    size_t count, struct curl_slist **list, struct err *err)
{
	ASSERT(count <= HTTP_HEADERS_MAX);
	*list = curl_slist_append(NULL, "Expect:");
	for (size_t i = 0; i < count; i++) {
		AUTO(buf_free) struct buf line = BUF_SECRET(64 << 10);
		buf_puts(&line, headers[i].name);
		buf_puts(&line, headers[i].value[0] ? ": " : ";");
		buf_puts(&line, headers[i].value);
		for (const char *c = headers[i].value; *c; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				return err_set(err, ERR_USER,
					       "%s: what should go into the header %s has a control "
					       "character (a line break at its end?)",
					       spec->what, headers[i].name);
		if (buf_check(&line, "a header", err) < 0)
			return -1;
		*list = curl_slist_append(*list, buf_str(&line));
		ASSERT(*list);
	}
	return 0;
}

static void easy_set_up(CURL *easy, const struct http_request_spec *spec, struct exchange *exchange,
			bool plain, int64_t left_ms)
{
	curl_easy_setopt(easy, CURLOPT_URL, spec->url);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* a signature is over the path as written */
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, spec->method);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "lockstep");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)MIN(left_ms, (int64_t)CONNECT_MS));
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)exchange->answer_max);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->curl_error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_take);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_take);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
	/* A proxy would see a plain request; through TLS it sees only the name. */
	if (plain)
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
	/* The curl program looks at this variable, the library does not. */
	const char *ca_file = spec->ca_file ? spec->ca_file : getenv("SSL_CERT_FILE");
	if (ca_file && ca_file[0])
		curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	if (spec->body.len || strcmp(spec->method, "POST") == 0) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)spec->body.len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, spec->body.len ? spec->body.ptr : "");
	}
}

static int attempt_make(CURL *easy, const struct http_request_spec *spec, struct exchange *exchange,
			bool plain, int64_t left_ms, CURLcode *code, struct err *err)
{
	const struct http_header *headers = spec->headers;
	size_t count = spec->header_count;
	if (spec->sign && spec->sign(spec->context, spec, exchange->arena, &headers, &count, err) < 0)
		return -1;
	AUTO(slist_free) struct curl_slist *list = NULL;
	if (header_list_make(spec, headers, count, &list, err) < 0)
		return -1;

	struct http_answer *answer = exchange->answer;
	http_answer_free(answer);
	answer->body = BUF_SECRET(exchange->answer_max);
	exchange->too_long = false;
	exchange->curl_error[0] = '\0';
	curl_easy_reset(easy); /* which keeps the connections */
	easy_set_up(easy, spec, exchange, plain, left_ms);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
	*code = curl_easy_perform(easy);

	long status = 0;
	curl_off_t retry_after_s = 0;
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	answer->status = (int)status;
	answer->retry_after_ms = MIN(MAX(retry_after_s, (curl_off_t)0), (curl_off_t)86400) * 1000;
	/* Neither the list nor the caller's bytes may be thought of once they are gone. */
	curl_easy_reset(easy);
	return 0;
}

/* --- what an attempt's outcome means ---------------------------------------------- */

static bool code_may_pass(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

static bool status_may_pass(const struct http_request_spec *spec, const struct http_answer *answer)
{
	static const int passing[] = {408, 429, 500, 502, 503, 504};
	for (size_t i = 0; i < ARRAY_LEN(passing); i++)
		if (answer->status == passing[i])
			return true;
	return spec->again && spec->again(spec->context, answer->status, buf_slice(&answer->body));
}

/* curl's own words where they cannot quote what the server or we said. */
static const char *code_words(CURLcode code, const struct exchange *exchange)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return exchange->curl_error[0] ? exchange->curl_error : curl_easy_strerror(code);
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_HTTP2_STREAM:
		return "the answer was cut off";
	default:
		return curl_easy_strerror(code);
	}
}

static int failure_tell(const struct http_request_spec *spec, const struct exchange *exchange, CURLcode code,
			int attempts, int64_t took_ms, struct err *err)
{
	char took[64];
	snprintf(took, sizeof(took), "%d attempt%s in %.1f s", attempts, attempts == 1 ? "" : "s",
		 (double)took_ms / 1000);
	if (exchange->too_long || code == CURLE_FILESIZE_EXCEEDED)
		return err_set(err, ERR_NETWORK, "%s: the answer is longer than %zu bytes", spec->what,
			       exchange->answer_max);
	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
		err_set(err, ERR_DENIED, "%s is not trusted: %s", spec->what, code_words(code, exchange));
		return err_hint(err, "its certificate must be signed by an authority this machine knows; a "
				     "private one is added with SSL_CERT_FILE or the system's store");
	}
	if (code == CURLE_OPERATION_TIMEDOUT) {
		const char *why =
			exchange->answer->status ? "its answer did not end in time" : "no answer in time";
		return err_set(err, ERR_NETWORK, "%s: %s (%s)", spec->what, why, took);
	}
	return err_set(err, ERR_NETWORK, "%s: %s (%s)", spec->what, code_words(code, exchange), took);
}

/* Half of it is certain and half by chance, so that many of us do not knock at once. */
static int64_t wait_choose(int attempt, int64_t retry_after_ms)
{
	uint32_t dice;
	random_bytes(&dice, sizeof(dice));
	int64_t wait_ms = (int64_t)FIRST_WAIT_MS << MIN(attempt - 1, 8);
	if (retry_after_ms > 0)
		return retry_after_ms + dice % 100;
	return wait_ms / 2 + (int64_t)(dice % (uint32_t)wait_ms);
}

static void wait_for(int64_t wait_ms)
{
	struct timespec left = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		continue;
}

static int send_with(CURL *easy, struct arena *arena, const struct http_request_spec *spec, bool plain,
		     struct http_answer *answer, struct err *err)
{
	int64_t started_ms = clock_mono_ms();
	int64_t until_ms = started_ms + (spec->timeout_ms > 0 ? spec->timeout_ms : TIMEOUT_MS);
	int attempts_max = spec->attempts > 0 ? spec->attempts : ATTEMPTS;
	struct exchange exchange = {
		.arena = arena,
		.answer = answer,
		.answer_max = spec->answer_max ? spec->answer_max : HTTP_ANSWER_MAX,
	};
	for (int attempt = 1;; attempt++) {
		CURLcode code;
		int64_t left_ms = MAX(until_ms - clock_mono_ms(), (int64_t)1);
		if (attempt_make(easy, spec, &exchange, plain, left_ms, &code, err) < 0)
			return -1;
		answer->attempts = attempt;
		bool whole = code == CURLE_OK;
		bool passing =
			!exchange.too_long && (whole ? status_may_pass(spec, answer) : code_may_pass(code));
		int64_t wait_ms = wait_choose(attempt, whole ? answer->retry_after_ms : 0);
		if (passing && attempt < attempts_max && clock_mono_ms() + wait_ms < until_ms) {
			wait_for(wait_ms);
			continue;
		}
		if (whole)
			return 0;
		return failure_tell(spec, &exchange, code, attempt, clock_mono_ms() - started_ms, err);
	}
}

int http_send(struct arena *arena, const struct http_request_spec *spec, struct http_answer *answer,
	      struct err *err)
{
	*answer = (struct http_answer){0};
	bool plain = false;
	if (curl_start(err) < 0 || url_check(spec, &plain, err) < 0)
		return -1;
	struct http_client own = {0};
	struct http_client *client = spec->client ? spec->client : &own;
	if (!client->easy)
		client->easy = curl_easy_init();
	ASSERT(client->easy);
	int status = send_with(client->easy, arena, spec, plain, answer, err);
	curl_easy_cleanup(own.easy);
	if (status < 0)
		http_answer_free(answer);
	return status;
}
