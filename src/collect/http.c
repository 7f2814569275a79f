/* What listed URLs answer: status, protocol, redirects, the headers that say something of
 * the configuration. Volatile headers and cookies' values never become facts. */
#include "collect/internal.h"

struct answer {
	const struct collect_request *request;
	struct arena *arena;
	const char *url; /* comparable */
	struct fact_list *out;
	struct err *err;
};

static struct slice key_of(const struct answer *answer, const char *attribute)
{
	return fact_key(answer->arena, "http/%s/%s", answer->url, attribute);
}

static const char *comparable_url(const struct answer *answer, const char *url)
{
	AUTO(buf_free) struct buf out = BUF_INIT(COLLECT_URL_MAX);

	put_url(&out, answer->request, slice_of(url));
	return arena_strdup(answer->arena, buf_str(&out));
}

/* Seen before in this answer: several headers of one name are one value (RFC 9110, 5.3). */
static bool seen_before(const struct look *look, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (slice_equal(look->headers[i].name, look->headers[at].name))
			return true;
	return false;
}

static int header_tell(const struct answer *answer, const struct look *look, size_t at)
{
	struct slice name = look->headers[at].name;
	AUTO(buf_free) struct buf joined = BUF_INIT(COLLECT_TEXT_MAX);
	enum header_form form;

	if (!header_matters(name, &form) || seen_before(look, at))
		return 0;
	for (size_t i = at; i < look->header_count; i++) {
		if (!slice_equal(look->headers[i].name, name))
			continue;
		buf_puts(&joined, joined.len == 0 ? "" : form == HEADER_POLICY ? "; " : ", ");
		buf_put_slice(&joined, look->headers[i].value);
	}
	return fact_add(answer->out,
			fact_key(answer->arena, "http/%s/header/%.*s", answer->url, SLICE_ARG(name)),
			form == HEADER_TEXT ? FACT_TEXT : FACT_SET,
			header_value(answer->arena, answer->request, form, buf_slice(&joined)), answer->err);
}

static int cookie_tell(const struct answer *answer, struct slice header)
{
	struct slice name, attributes;

	if (!cookie_read(answer->arena, answer->request, header, &name, &attributes))
		return 0;
	return tell_text(answer->out,
			 fact_key(answer->arena, "http/%s/cookie/%.*s", answer->url, SLICE_ARG(name)),
			 attributes, answer->err);
}

static int headers_tell(const struct answer *answer, const struct look *look)
{
	for (size_t i = 0; i < look->header_count; i++) {
		bool cookie = slice_is(look->headers[i].name, "set-cookie");
		if (cookie ? cookie_tell(answer, look->headers[i].value) : header_tell(answer, look, i))
			return -1;
	}
	struct slice server = look_header(look, "server");
	if (!server.ptr)
		return 0;
	return tell_text(answer->out, key_of(answer, "server"),
			 header_value(answer->arena, answer->request, HEADER_TEXT, server), answer->err);
}

static int front_tell(const struct answer *answer, const struct look *look)
{
	struct slice cdn = front_names(answer->arena, look, FRONT_CDN);
	struct slice balancer = front_names(answer->arena, look, FRONT_BALANCER);
	struct slice cache = front_names(answer->arena, look, FRONT_CACHE);

	if (fact_add(answer->out, key_of(answer, "cdn"), FACT_SET, cdn, answer->err))
		return -1;
	if (balancer.len && fact_add(answer->out, key_of(answer, "proxy"), FACT_SET, balancer, answer->err))
		return -1;
	return cache.len ? fact_add(answer->out, key_of(answer, "cache"), FACT_SET, cache, answer->err) : 0;
}

/* "301 https://{host}/ > 302 https://{host}/login > 200" */
static int redirects_tell(const struct answer *answer, const struct collect_view *view)
{
	AUTO(buf_free) struct buf chain = BUF_INIT(COLLECT_TEXT_MAX);
	const struct look *first = &view->hops[0];

	if (!first->location)
		return 0;
	for (size_t i = 0; i < view->hop_count; i++) {
		const struct look *hop = &view->hops[i];
		buf_puts(&chain, i ? " > " : "");
		if (hop->status)
			buf_printf(&chain, "%d", hop->status);
		else
			buf_puts(&chain, look_result_words(hop->result));
		if (hop->location)
			buf_printf(&chain, " %s", comparable_url(answer, hop->location));
	}
	if (view->hop_count > COLLECT_HOPS_MAX && view->hops[COLLECT_HOPS_MAX].location)
		buf_puts(&chain, " > …");
	if (tell_text(answer->out, key_of(answer, "location"),
		      slice_of(comparable_url(answer, first->location)), answer->err))
		return -1;
	return tell_text(answer->out, key_of(answer, "redirects"), buf_slice(&chain), answer->err);
}

/* A refusal is an observation. Silence may be ours as well as theirs. */
static bool result_is_seen(enum look_result result)
{
	return result == LOOK_REFUSED || result == LOOK_TLS_FAILED || result == LOOK_CLOSED ||
	       result == LOOK_MALFORMED;
}

static int view_tell(const struct answer *answer, const struct collect_view *view)
{
	const struct look *look = &view->hops[0];

	if (look->result != LOOK_ANSWERED && result_is_seen(look->result))
		return tell_text(answer->out, key_of(answer, "status"),
				 slice_of(look_result_words(look->result)), answer->err);
	if (look->result != LOOK_ANSWERED)
		return tell_skip(answer->out, key_of(answer, ""), look_result_words(look->result),
				 answer->err);
	if (tell_number(answer->out, key_of(answer, "status"), look->status, NULL, answer->err) ||
	    (look->protocol &&
	     tell_text(answer->out, key_of(answer, "protocol"), slice_of(look->protocol), answer->err)) ||
	    tell_evidence(answer->out, key_of(answer, "address"), look->address, answer->err))
		return -1;
	return front_tell(answer, look) || redirects_tell(answer, view) || headers_tell(answer, look) ? -1
												      : 0;
}

static int run(struct collect_sight *sight, struct fact_list *out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct answer answer = {.request = sight->request, .arena = &arena, .out = out, .err = err};
	const struct collect_view *views;
	size_t count;

	if (sight_views(sight, &views, &count, err) ||
	    sight_limit("http", sight->request->url_count, &count, out, err))
		return -1;
	for (size_t i = 0; i < count; i++) {
		answer.url = comparable_url(&answer, views[i].url);
		if (sight->request->offline ? tell_skip(out, key_of(&answer, ""), "offline", err)
					    : view_tell(&answer, &views[i]))
			return -1;
	}
	return 0;
}

static const struct collect_fact facts[] = {
	{"http/URL/status", "number",
	 "of the answer; as text where there is none: \"the connection was refused\""},
	{"http/URL/protocol", "text", "HTTP/1.1 or HTTP/2"},
	{"http/URL/server", "text", "what the server calls itself"},
	{"http/URL/cdn", "set", "content delivery networks recognised by their headers; empty: none"},
	{"http/URL/proxy", "set", "balancers and proxies recognised by their headers"},
	{"http/URL/cache", "set", "caches recognised by their headers"},
	{"http/URL/location", "text", "where it redirects to"},
	{"http/URL/redirects", "text", "the whole chain, up to five, as long as it stays in the environment"},
	{"http/URL/header/NAME", "text or set", "headers that browsers and caches act on; nonces left out"},
	{"http/URL/cookie/NAME", "text", "attributes of a cookie that is set; never its value"},
	{"http/URL/address", "text", "that answered (evidence)"},
	{NULL, NULL, NULL},
};

const struct collector collector_http = {
	.dimension = "http",
	.text = "what listed URLs answer, seen from beside the servers",
	.facts = facts,
	.run = run,
};
