/* The shape of an environment: servers per group, what stands before them, and which ports
 * take a connection from here: the firewall, tried from beside it. */
#include "collect/internal.h"

#include <stdlib.h>

enum { PORT_TIME_MS = 3000, ADDRESSES_MAX = 1000 };

struct shape {
	struct collect_sight *sight;
	struct arena *arena;
	struct fact_list *out;
	struct err *err;
};

static int groups_tell(const struct shape *shape)
{
	const struct collect_request *request = shape->sight->request;

	for (size_t i = 0; i < request->group_count; i++)
		if (tell_number(shape->out,
				fact_key(shape->arena, "shape/%s/servers", request->groups[i].name),
				(int64_t)request->groups[i].servers, NULL, shape->err))
			return -1;
	return 0;
}

/* --- what stands before them --------------------------------------------------------- */

static const char *bare_host(struct arena *arena, const char *text, bool is_url)
{
	const char *at = is_url ? strstr(text, "://") : NULL;
	char host[256];
	uint16_t port;

	text = at ? at + 3 : text;
	struct slice authority = slice_make(text, strcspn(text, "/?#"));
	const char *user = authority.len ? memrchr(authority.ptr, '@', authority.len) : NULL;
	if (user)
		authority = slice_skip(authority, (size_t)(user - authority.ptr) + 1);
	return look_split(authority, 443, host, &port) ? arena_strdup(arena, host) : NULL;
}

/* Of all names together, each once, in order. */
static struct slice addresses_of(const struct shape *shape, const char *const *texts, size_t count, bool urls,
				 bool *whole)
{
	const char **hosts = ARENA_NEW_ARRAY(shape->arena, count, const char *);
	struct look_name *names = ARENA_NEW_ARRAY(shape->arena, count, struct look_name);
	struct slice *found = ARENA_NEW_ARRAY(shape->arena, ADDRESSES_MAX, struct slice);
	size_t host_count = 0, found_count = 0;

	for (size_t i = 0; i < count; i++) {
		const char *host = bare_host(shape->arena, texts[i], urls);
		if (host)
			hosts[host_count++] = host;
	}
	look_names(shape->arena, hosts, host_count, shape->sight->time_ms, names);
	*whole = host_count > 0;
	for (size_t i = 0; i < host_count; i++) {
		*whole = *whole && names[i].result == LOOK_ANSWERED;
		for (size_t a = 0; a < names[i].address_count && found_count < ADDRESSES_MAX; a++)
			found[found_count++] = slice_of(names[i].addresses[a]);
	}
	return fact_set_value(shape->arena, found, found_count);
}

static bool set_holds(struct slice set, struct slice wanted)
{
	for (struct slice element; fact_set_next(&set, &element);)
		if (slice_equal(element, wanted))
			return true;
	return false;
}

static bool set_within(struct slice set, struct slice other)
{
	for (struct slice element; fact_set_next(&set, &element);)
		if (!set_holds(other, element))
			return false;
	return true;
}

static size_t set_count(struct slice set)
{
	size_t count = 0;

	for (struct slice element; fact_set_next(&set, &element);)
		count++;
	return count;
}

static struct slice fronts_of(const struct shape *shape, const struct collect_view *views, size_t count,
			      enum front_kind kind, bool *answered)
{
	struct slice *found = ARENA_NEW_ARRAY(shape->arena, ADDRESSES_MAX, struct slice);
	size_t found_count = 0;

	for (size_t i = 0; i < count; i++) {
		struct slice set = front_names(shape->arena, &views[i].hops[0], kind), name;
		*answered = *answered || views[i].hops[0].status;
		while (fact_set_next(&set, &name) && found_count < ADDRESSES_MAX)
			found[found_count++] = name;
	}
	return fact_set_value(shape->arena, found, found_count);
}

/* Whether the names of the URLs lead to the servers themselves. */
static int direct_tell(const struct shape *shape, size_t url_count, struct slice *direct_out)
{
	const struct collect_request *request = shape->sight->request;
	bool urls_whole, servers_whole;
	struct slice urls = addresses_of(shape, request->urls, url_count, true, &urls_whole);
	struct slice servers = addresses_of(shape, request->server_hosts,
					    MIN(request->server_host_count, (size_t)COLLECT_LISTED_MAX),
					    false, &servers_whole);

	if (!urls_whole)
		return tell_skip(shape->out, SLICE("shape/front/addresses"),
				 "names of URLs do not resolve here", shape->err) ||
				       tell_skip(shape->out, SLICE("shape/front/direct"),
						 "names of URLs do not resolve here", shape->err)
			       ? -1
			       : 0;
	if (tell_number(shape->out, SLICE("shape/front/addresses"), (int64_t)set_count(urls), NULL,
			shape->err))
		return -1;
	if (!servers_whole)
		return tell_skip(shape->out, SLICE("shape/front/direct"),
				 "addresses of the servers are not known here", shape->err);
	*direct_out = set_within(urls, servers) ? SLICE("yes") : SLICE("no");
	return tell_text(shape->out, SLICE("shape/front/direct"), *direct_out, shape->err);
}

static int front_tell(const struct shape *shape)
{
	const struct collect_view *views;
	struct slice direct = {0};
	bool answered = false;
	size_t count;

	if (shape->sight->request->url_count == 0)
		return 0;
	if (shape->sight->request->offline)
		return tell_skip(shape->out, SLICE("shape/front/"), "offline", shape->err);
	if (sight_views(shape->sight, &views, &count, shape->err) || direct_tell(shape, count, &direct))
		return -1;
	struct slice cdn = fronts_of(shape, views, count, FRONT_CDN, &answered);
	struct slice balancer = fronts_of(shape, views, count, FRONT_BALANCER, &answered);
	if (!answered)
		return tell_skip(shape->out, SLICE("shape/front/cdn"), "no URL answers", shape->err) ||
				       tell_skip(shape->out, SLICE("shape/front/balancer"), "no URL answers",
						 shape->err)
			       ? -1
			       : 0;
	/* Somebody else's address who says nothing of himself. */
	if (balancer.len == 0 && cdn.len == 0 && slice_is(direct, "no")) {
		struct slice unknown = SLICE("unknown");
		balancer = fact_set_value(shape->arena, &unknown, 1);
	}
	return fact_add(shape->out, SLICE("shape/front/cdn"), FACT_SET, cdn, shape->err) ||
			       fact_add(shape->out, SLICE("shape/front/balancer"), FACT_SET, balancer,
					shape->err)
		       ? -1
		       : 0;
}

/* --- ports ---------------------------------------------------------------------------- */

struct port_place {
	const char *place;
	const char *text; /* as it was listed */
	struct look_port look;
};

static int compare_places(const void *a, const void *b)
{
	return strcmp(((const struct port_place *)a)->place, ((const struct port_place *)b)->place);
}

static const char *state_of(enum look_result result)
{
	switch (result) {
	case LOOK_ANSWERED:
		return "open";
	case LOOK_REFUSED:
		return "closed";
	case LOOK_TIMED_OUT:
		return "filtered";
	default:
		return NULL;
	}
}

/* All servers' ports of one number are one fact, as environments have different numbers of
 * servers; which ones differ is the evidence. */
static int place_tell(const struct shape *shape, const struct port_place *places, size_t count)
{
	struct slice key = fact_key(shape->arena, "shape/port/%s/open", places[0].place);
	AUTO(buf_free) struct buf each = BUF_INIT(COLLECT_TEXT_MAX);
	const char *all = NULL;

	for (size_t i = 0; i < count; i++) {
		const char *state = state_of(places[i].look.result);
		if (!state)
			return tell_skip(shape->out, key, look_result_words(places[i].look.result),
					 shape->err);
		buf_printf(&each, "%s%s %s", i ? ", " : "", places[i].text, state);
		all = all && strcmp(all, state) != 0 ? "mixed" : state;
	}
	if (tell_text(shape->out, key, slice_of(all), shape->err))
		return -1;
	return tell_evidence(shape->out, fact_key(shape->arena, "shape/port/%s/hosts", places[0].place),
			     buf_str(&each), shape->err);
}

static int ports_tell(const struct shape *shape)
{
	const struct collect_request *request = shape->sight->request;
	size_t listed, count = 0;

	if (sight_limit("shape/port", request->port_count, &listed, shape->out, shape->err))
		return -1;
	struct port_place *places = ARENA_NEW_ARRAY(shape->arena, listed, struct port_place);
	struct look_port *looks = ARENA_NEW_ARRAY(shape->arena, listed, struct look_port);
	for (size_t i = 0; i < listed; i++) {
		AUTO(buf_free) struct buf place = BUF_INIT(COLLECT_URL_MAX);
		struct port_place *next = &places[count];
		char host[256];
		if (!look_split(slice_of(request->ports[i]), 0, host, &next->look.port))
			continue;
		next->look.host = arena_strdup(shape->arena, host);
		next->text = request->ports[i];
		if (host_is_server(request, host))
			buf_printf(&place, "{server}:%u", next->look.port);
		else
			put_authority(&place, request, host, next->look.port);
		next->place = arena_strdup(shape->arena, buf_str(&place));
		count++;
	}
	qsort(places, count, sizeof(*places), compare_places);
	for (size_t i = 0; i < count; i++)
		looks[i] = places[i].look;
	if (!request->offline)
		look_ports(looks, count, MIN(shape->sight->time_ms, (int64_t)PORT_TIME_MS));
	for (size_t from = 0, to; from < count; from = to) {
		for (to = from; to < count && strcmp(places[from].place, places[to].place) == 0; to++)
			places[to].look = looks[to];
		struct slice key = fact_key(shape->arena, "shape/port/%s/open", places[from].place);
		if (request->offline ? tell_skip(shape->out, key, "offline", shape->err)
				     : place_tell(shape, &places[from], to - from))
			return -1;
	}
	return 0;
}

static int run(struct collect_sight *sight, struct fact_list *out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct shape shape = {.sight = sight, .arena = &arena, .out = out, .err = err};

	return groups_tell(&shape) || ports_tell(&shape) || front_tell(&shape) ? -1 : 0;
}

static const struct collect_fact facts[] = {
	{"shape/GROUP/servers", "number", "servers in this group"},
	{"shape/front/direct", "text", "yes: the names of the URLs lead to the servers themselves"},
	{"shape/front/addresses", "number", "addresses the names of the URLs stand for"},
	{"shape/front/cdn", "set", "content delivery networks recognised by their headers; empty: none"},
	{"shape/front/balancer", "set",
	 "balancers and proxies recognised by their headers; unknown: others' addresses; empty: none"},
	{"shape/port/HOST:PORT/open", "text",
	 "open, closed (refused), filtered (no answer), mixed; tried by connecting from here"},
	{"shape/port/HOST:PORT/hosts", "text", "each server's (evidence)"},
	{NULL, NULL, NULL},
};

const struct collector collector_shape = {
	.dimension = "shape",
	.text = "servers per group, what stands before them, and their ports",
	.facts = facts,
	.run = run,
};
