/* Requests that only look, driven side by side by one curl multi handle. Not here: what an
 * answer means. */
#include "net/look.h"

#include "base/clock.h"
#include "base/stop.h"
#include "net/internal.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum {
	VALUE_MAX = 16 << 10,
	NAMES_MAX = 500,
	PEM_MAX = 64 << 10,
};

/* One request under way. */
struct sight {
	struct arena *arena;
	const struct look_spec *spec;
	struct look *out;
	CURL *easy;
	struct curl_slist *headers;
	struct look_header *list; /* LOOK_HEADERS_MAX of them */
	size_t header_bytes;
	bool too_long;
	bool body;	 /* some of it came: all there is to see was seen */
	bool unverified; /* the second time, without trust */
	int64_t until_ms;
	char curl_error[CURL_ERROR_SIZE];
};

const char *look_result_words(enum look_result result)
{
	switch (result) {
	case LOOK_ANSWERED:
		return "it answered";
	case LOOK_NO_NAME:
		return "the name does not exist";
	case LOOK_NAME_FAILED:
		return "the name could not be resolved from here";
	case LOOK_REFUSED:
		return "the connection was refused";
	case LOOK_UNREACHABLE:
		return "there is no way there from here";
	case LOOK_TIMED_OUT:
		return "no answer in time";
	case LOOK_TLS_FAILED:
		return "the TLS handshake failed";
	case LOOK_CLOSED:
		return "the connection was closed before the answer";
	case LOOK_TOO_LONG:
		return "its headers are longer than what is read of them";
	case LOOK_MALFORMED:
		return "the address or the answer is malformed";
	}
	return "it failed";
}

/* --- what curl calls ------------------------------------------------------------- */

/* What the body says is nobody's business here. */
static size_t body_take(char *bytes, size_t size, size_t count, void *context)
{
	struct sight *sight = context;

	(void)bytes;
	if (size * count == 0)
		return 0;
	sight->body = true;
	return CURL_WRITEFUNC_ERROR;
}

static struct slice lower_copy(struct arena *arena, struct slice text)
{
	char *copy = arena_str(arena, text);

	for (size_t i = 0; i < text.len; i++)
		copy[i] = (char)tolower((unsigned char)copy[i]);
	return slice_make(copy, text.len);
}

static bool is_header_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= ' ' || name.ptr[i] > '~')
			return false;
	return name.len > 0 && name.len <= 256;
}

static size_t header_take(char *bytes, size_t size, size_t count, void *context)
{
	struct sight *sight = context;
	struct slice value = slice_make(bytes, size * count);

	sight->header_bytes += value.len;
	/* An answer before the answer (100, 103) has headers of its own. */
	if (slice_starts_with(value, "HTTP/")) {
		sight->out->header_count = 0;
		return size * count;
	}
	struct slice name = slice_cut(&value, ':');
	if (sight->header_bytes > LOOK_HEADERS_BYTES_MAX || sight->out->header_count == LOOK_HEADERS_MAX) {
		sight->too_long = slice_trim(name).len > 0;
		return sight->too_long ? 0 : size * count;
	}
	if (!value.ptr || !is_header_name(name))
		return size * count;
	value = slice_trim(value);
	value.len = MIN(value.len, (size_t)VALUE_MAX);
	sight->list[sight->out->header_count++] =
		(struct look_header){lower_copy(sight->arena, name), arena_slice(sight->arena, value)};
	return size * count;
}

/* The version of TLS is told here and nowhere else: "SSL connection using TLSv1.3 / …". */
static int debug_take(CURL *easy, curl_infotype type, char *bytes, size_t size, void *context)
{
	struct sight *sight = context;
	struct slice text = slice_make(bytes, size);
	static const char start[] = "SSL connection using ";

	(void)easy;
	if (type != CURLINFO_TEXT || !slice_starts_with(text, start))
		return 0;
	text = slice_skip(text, sizeof(start) - 1);
	struct slice version = slice_trim(slice_cut(&text, '/'));
	if (version.len && version.len <= 32)
		sight->out->tls_version = arena_str(sight->arena, version);
	return 0;
}

/* --- certificates ------------------------------------------------------------------ */

static bool base64_decode(struct slice text, struct buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	int have = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (isspace((unsigned char)text.ptr[i]) || text.ptr[i] == '=')
			continue;
		const char *digit = text.ptr[i] ? strchr(digits, text.ptr[i]) : NULL;
		if (!digit)
			return false;
		bits = bits << 6 | (uint32_t)(digit - digits);
		if ((have += 6) >= 8)
			buf_putc(out, (char)(bits >> (have -= 8) & 0xff));
	}
	return !out->overflow && out->len > 0;
}

static void fingerprint_take(struct look_certificate *certificate, struct slice pem)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";
	const char *from = memmem(pem.ptr, pem.len, begin, sizeof(begin) - 1);
	const char *to = memmem(pem.ptr, pem.len, end, sizeof(end) - 1);
	AUTO(buf_free) struct buf der = BUF_INIT(PEM_MAX);

	if (!from || !to || to < from + sizeof(begin) - 1)
		return;
	from += sizeof(begin) - 1;
	if (!base64_decode(slice_make(from, (size_t)(to - from)), &der))
		return;
	digest_of(buf_slice(&der), &certificate->fingerprint);
	certificate->has_fingerprint = true;
}

/* "Nov 23 07:14:18 2026 GMT" */
static void date_take(struct arena *arena, struct look_certificate *certificate, const char *text)
{
	struct tm parts = {0};
	char iso[CLOCK_ISO_LEN + 1];
	const char *rest = strptime(text, "%b %d %H:%M:%S %Y", &parts);

	if (!rest)
		return;
	certificate->not_after_ms = (int64_t)timegm(&parts) * 1000;
	clock_format_iso(certificate->not_after_ms, iso);
	certificate->not_after = arena_strdup(arena, iso);
}

/* "DNS:shop.acme.io, DNS:*.acme.io, IP Address:127.0.0.1" */
static void names_take(struct arena *arena, struct look_certificate *certificate, struct slice rest)
{
	const char **names = ARENA_NEW_ARRAY(arena, NAMES_MAX, const char *);

	while (rest.ptr && certificate->name_count < NAMES_MAX) {
		struct slice name = slice_trim(slice_cut(&rest, ','));
		struct slice kind = slice_cut(&name, ':');
		if (name.ptr && name.len && (slice_is(kind, "DNS") || slice_is(kind, "IP Address")))
			names[certificate->name_count++] = arena_str(arena, name);
	}
	certificate->names = names;
}

static void certificate_take(struct arena *arena, struct look_certificate *certificate,
			     const struct curl_slist *lines)
{
	for (; lines; lines = lines->next) {
		struct slice value = slice_of(lines->data);
		struct slice name = slice_cut(&value, ':');
		if (!value.ptr || value.len > PEM_MAX)
			continue;
		if (slice_is(name, "Subject"))
			certificate->subject = arena_str(arena, value);
		else if (slice_is(name, "Issuer"))
			certificate->issuer = arena_str(arena, value);
		else if (slice_is(name, "X509v3 Subject Alternative Name"))
			names_take(arena, certificate, value);
		else if (slice_is(name, "Expire date"))
			date_take(arena, certificate, value.ptr);
		else if (slice_is(name, "Cert"))
			fingerprint_take(certificate, value);
	}
}

static void certificates_take(struct sight *sight)
{
	struct curl_certinfo *info = NULL;

	if (curl_easy_getinfo(sight->easy, CURLINFO_CERTINFO, &info) != CURLE_OK || !info ||
	    info->num_of_certs <= 0)
		return;
	size_t count = MIN((size_t)info->num_of_certs, (size_t)LOOK_CHAIN_MAX);
	struct look_certificate *list = ARENA_NEW_ARRAY(sight->arena, count, struct look_certificate);
	for (size_t i = 0; i < count; i++)
		certificate_take(sight->arena, &list[i], info->certinfo[i]);
	sight->out->certificates = list;
	sight->out->certificate_count = count;
}

/* --- one request --------------------------------------------------------------------- */

/* Without a user or password it may hold: they would be sent. */
static const char *url_bare(struct arena *arena, const char *url)
{
	const char *bare = NULL;
	char *text = NULL;
	CURLU *parts = curl_url();

	ASSERT(parts);
	if (curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
	    curl_url_set(parts, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
	    curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_URL, &text, 0) == CURLUE_OK)
		bare = arena_strdup(arena, text);
	curl_free(text);
	curl_url_cleanup(parts);
	return bare ? bare : "malformed:";
}

static void sight_set_up(struct sight *sight, CURLM *multi)
{
	const struct look_spec *spec = sight->spec;
	bool plain = strncasecmp(spec->url, "http:", 5) == 0;
	int64_t left_ms = MAX(sight->until_ms - clock_mono_ms(), (int64_t)1);
	CURL *easy = sight->easy = curl_easy_init();

	ASSERT(easy);
	sight->curl_error[0] = '\0';
	sight->header_bytes = 0;
	sight->too_long = sight->body = false;
	curl_easy_setopt(easy, CURLOPT_URL, url_bare(sight->arena, spec->url));
	curl_easy_setopt(easy, CURLOPT_PRIVATE, sight);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "lockstep");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, sight->curl_error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_take);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, sight);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_take);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, sight);
	curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, debug_take);
	curl_easy_setopt(easy, CURLOPT_DEBUGDATA, sight);
	curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
	curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	/* A proxy would answer in the server's place; through TLS it sees only the name. */
	if (plain)
		curl_easy_setopt(easy, CURLOPT_PROXY, "");
	const char *ca_file = spec->ca_file ? spec->ca_file : getenv("SSL_CERT_FILE");
	if (ca_file && ca_file[0])
		curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	if (sight->unverified) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (spec->how == LOOK_HEAD)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	if (spec->how == LOOK_TLS) {
		curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
		curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
	}
	/* Asked for by hand, so that it is told and not undone. */
	sight->headers = curl_slist_append(NULL, "Accept-Encoding: gzip, deflate, br");
	ASSERT(sight->headers);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, sight->headers);
	ASSERT(curl_multi_add_handle(multi, easy) == CURLM_OK);
}

static void sight_tear_down(struct sight *sight, CURLM *multi)
{
	curl_multi_remove_handle(multi, sight->easy);
	curl_easy_cleanup(sight->easy);
	curl_slist_free_all(sight->headers);
	sight->easy = NULL;
	sight->headers = NULL;
}

static enum look_result connect_result(struct sight *sight)
{
	long number = 0;

	curl_easy_getinfo(sight->easy, CURLINFO_OS_ERRNO, &number);
	return number == ECONNREFUSED ? LOOK_REFUSED : LOOK_UNREACHABLE;
}

static enum look_result code_result(struct sight *sight, CURLcode code)
{
	if (sight->too_long)
		return LOOK_TOO_LONG;
	if (sight->body && code == CURLE_WRITE_ERROR)
		return LOOK_ANSWERED;
	switch (code) {
	case CURLE_OK:
		return LOOK_ANSWERED;
	case CURLE_COULDNT_RESOLVE_HOST: /* which may mean either */
	case CURLE_COULDNT_RESOLVE_PROXY:
		return LOOK_NAME_FAILED;
	case CURLE_COULDNT_CONNECT:
		return connect_result(sight);
	case CURLE_OPERATION_TIMEDOUT:
		return LOOK_TIMED_OUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_USE_SSL_FAILED:
		return LOOK_TLS_FAILED;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		return LOOK_MALFORMED;
	default:
		return LOOK_CLOSED;
	}
}

static const char *protocol_name(long version)
{
	switch (version) {
	case CURL_HTTP_VERSION_1_0:
		return "HTTP/1.0";
	case CURL_HTTP_VERSION_1_1:
		return "HTTP/1.1";
	case CURL_HTTP_VERSION_2_0:
		return "HTTP/2";
	case CURL_HTTP_VERSION_3:
		return "HTTP/3";
	default:
		return NULL;
	}
}

/* curl itself tells it only where the body was read to its end. */
static const char *location_of(struct sight *sight)
{
	const struct look *look = sight->out;
	const char *location = NULL;
	char *whole = NULL;

	if (look->status < 300 || look->status > 399)
		return NULL;
	for (size_t i = 0; i < look->header_count && !location; i++)
		if (slice_is(look->headers[i].name, "location"))
			location = arena_str(sight->arena, look->headers[i].value);
	CURLU *parts = location ? curl_url() : NULL;
	if (parts && curl_url_set(parts, CURLUPART_URL, sight->spec->url, 0) == CURLUE_OK &&
	    curl_url_set(parts, CURLUPART_URL, location, CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE) ==
		    CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_URL, &whole, 0) == CURLUE_OK)
		location = arena_strdup(sight->arena, whole);
	curl_free(whole);
	curl_url_cleanup(parts);
	return location;
}

static void sight_read(struct sight *sight, CURLcode code)
{
	struct look *out = sight->out;
	long status = 0, version = 0;
	char *address = NULL;

	out->result = code_result(sight, code);
	if (out->result != LOOK_ANSWERED)
		out->why = out->result == LOOK_TLS_FAILED && sight->curl_error[0]
				   ? arena_strdup(sight->arena, sight->curl_error)
				   : look_result_words(out->result);
	curl_easy_getinfo(sight->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(sight->easy, CURLINFO_HTTP_VERSION, &version);
	curl_easy_getinfo(sight->easy, CURLINFO_PRIMARY_IP, &address);
	out->headers = sight->list;
	out->address = address && address[0] ? arena_strdup(sight->arena, address) : NULL;
	if (out->result == LOOK_ANSWERED && sight->spec->how != LOOK_TLS) {
		out->status = (int)status;
		out->protocol = protocol_name(version);
		out->location = location_of(sight);
	}
	out->tls = strncasecmp(sight->spec->url, "https:", 6) == 0;
	out->trusted =
		out->tls && !sight->unverified && out->tls_version != NULL && out->result != LOOK_TLS_FAILED;
	if (out->tls)
		certificates_take(sight);
}

/* False when it has to be made once more, without trust. */
static bool sight_finish(struct sight *sight, CURLcode code)
{
	struct look *out = sight->out;
	const char *why = out->untrusted_why;

	if (!sight->unverified &&
	    (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)) {
		why = sight->curl_error[0] ? sight->curl_error : curl_easy_strerror(code);
		*out = (struct look){.untrusted_why = arena_strdup(sight->arena, why)};
		sight->unverified = true;
		return false;
	}
	sight_read(sight, code);
	return true;
}

/* --- all of them ---------------------------------------------------------------------- */

static void multi_free(CURLM **multi)
{
	curl_multi_cleanup(*multi);
}

struct looking {
	struct arena *arena;
	CURLM *multi;
	const struct look_spec *specs;
	struct look *outs;
	struct sight *sights;
	size_t count, next, running;
};

static void begin_next(struct looking *looking)
{
	while (looking->running < LOOK_SIDE_BY_SIDE && looking->next < looking->count) {
		size_t i = looking->next++;
		struct sight *sight = &looking->sights[i];
		*sight = (struct sight){
			.arena = looking->arena, .spec = &looking->specs[i], .out = &looking->outs[i]};
		sight->list = ARENA_NEW_ARRAY(looking->arena, LOOK_HEADERS_MAX, struct look_header);
		sight->until_ms = clock_mono_ms() + looking->specs[i].time_ms;
		*sight->out = (struct look){0};
		sight_set_up(sight, looking->multi);
		looking->running++;
	}
}

static void finish_done(struct looking *looking)
{
	int left;

	for (CURLMsg *message; (message = curl_multi_info_read(looking->multi, &left));) {
		struct sight *sight = NULL;
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &sight);
		bool finished = sight_finish(sight, code);
		sight_tear_down(sight, looking->multi);
		if (finished)
			looking->running--;
		else
			sight_set_up(sight, looking->multi);
	}
}

int look_all(struct arena *arena, const struct look_spec *specs, size_t count, struct look *outs,
	     struct err *err)
{
	if (count == 0)
		return 0;
	if (curl_start(err) < 0)
		return -1;
	AUTO(multi_free) CURLM *multi = curl_multi_init();
	ASSERT(multi);
	struct looking looking = {
		.arena = arena, .multi = multi, .specs = specs, .outs = outs, .count = count};
	looking.sights = ARENA_NEW_ARRAY(arena, count, struct sight);
	begin_next(&looking);
	while (looking.running && !stop_asked()) {
		int active;
		ASSERT(curl_multi_perform(multi, &active) == CURLM_OK);
		finish_done(&looking);
		begin_next(&looking);
		if (looking.running)
			ASSERT(curl_multi_poll(multi, NULL, 0, STOP_LOOK_MS, NULL) == CURLM_OK);
	}
	for (size_t i = 0; looking.running && i < count; i++) {
		if (looking.sights[i].easy)
			sight_tear_down(&looking.sights[i], multi);
		if (!outs[i].result)
			outs[i] = (struct look){.result = LOOK_TIMED_OUT, .why = "interrupted"};
	}
	return 0;
}
