/* Services outside, as the configuration names them: which host, live or test, whether
 * it can be reached, what rate it allows. Knocks without credentials. A secret gives
 * away its service, its mode and its host, and nothing else of itself. */
#include "collect/internal.h"
#include "values/contract.h"

#include <ctype.h>
#include <strings.h>

enum { ENDPOINT_VALUE_MAX = 8 << 10, RATE_VALUE_MAX = 256 };

/* How an address is spoken to. */
enum speech { SPEECH_NONE, SPEECH_HTTP, SPEECH_TLS, SPEECH_TCP };

static const struct {
	const char *name;
	uint16_t port; /* 0: none is usual */
	enum speech speech;
} schemes[] = {
	{"https", 443, SPEECH_HTTP},	 {"http", 80, SPEECH_HTTP},
	{"wss", 443, SPEECH_TLS},	 {"ws", 80, SPEECH_TCP},
	{"postgres", 5432, SPEECH_TCP},	 {"postgresql", 5432, SPEECH_TCP},
	{"pgsql", 5432, SPEECH_TCP},	 {"mysql", 3306, SPEECH_TCP},
	{"mysql2", 3306, SPEECH_TCP},	 {"mariadb", 3306, SPEECH_TCP},
	{"sqlserver", 1433, SPEECH_TCP}, {"mongodb", 27017, SPEECH_TCP},
	{"mongodb+srv", 0, SPEECH_NONE}, {"redis", 6379, SPEECH_TCP},
	{"rediss", 6379, SPEECH_TLS},	 {"memcached", 11211, SPEECH_TCP},
	{"amqp", 5672, SPEECH_TCP},	 {"amqps", 5671, SPEECH_TLS},
	{"nats", 4222, SPEECH_TCP},	 {"kafka", 9092, SPEECH_TCP},
	{"mqtt", 1883, SPEECH_TCP},	 {"mqtts", 8883, SPEECH_TLS},
	{"smtp", 25, SPEECH_TCP},	 {"smtps", 465, SPEECH_TLS},
	{"imap", 143, SPEECH_TCP},	 {"imaps", 993, SPEECH_TLS},
	{"ldap", 389, SPEECH_TCP},	 {"ldaps", 636, SPEECH_TLS},
	{"ftp", 21, SPEECH_TCP},	 {"ftps", 990, SPEECH_TLS},
	{"sftp", 22, SPEECH_TCP},	 {"ssh", 22, SPEECH_TCP},
	{"tcp", 0, SPEECH_TCP},		 {"tls", 0, SPEECH_TLS},
	{"udp", 0, SPEECH_NONE},	 {"grpc", 0, SPEECH_TCP},
	{"grpcs", 443, SPEECH_TLS},	 {"elasticsearch", 9200, SPEECH_TCP},
};

/* One variable that names a service. */
struct target {
	const char *variable;
	const char *service, *mode; /* NULL */
	const char *host;	    /* NULL: not known */
	uint16_t port;		    /* 0: not known */
	bool plain_http;
	enum speech speech;
	struct look look;
	struct look_port tcp;
};

struct endpoints {
	struct collect_sight *sight;
	struct arena *arena;
	struct target *targets;
	size_t count;
	struct fact_list *out;
	struct err *err;
};

/* --- what a value says of itself ----------------------------------------------------- */

static struct slice without_prefix(struct slice text, const char *prefix)
{
	return slice_starts_with(text, prefix) ? slice_skip(text, strlen(prefix)) : text;
}

/* scheme://user:password@host:port/…; the first host where several are listed. False when
 * a part of a password could be taken for the host. */
static bool url_parse(struct arena *arena, struct slice value, struct target *target)
{
	const char *at = memmem(value.ptr, value.len, "://", 3);
	char host[256];
	size_t len = 0, i = 0;

	if (!at || at == value.ptr)
		return false;
	struct slice scheme = slice_make(value.ptr, (size_t)(at - value.ptr));
	while (i < ARRAY_LEN(schemes) && (strlen(schemes[i].name) != scheme.len ||
					  strncasecmp(schemes[i].name, scheme.ptr, scheme.len) != 0))
		i++;
	if (i == ARRAY_LEN(schemes))
		return false;
	struct slice rest = slice_skip(value, scheme.len + 3);
	while (len < rest.len && !strchr("/?#", rest.ptr[len]))
		len++;
	struct slice authority = slice_make(rest.ptr, len), behind = slice_skip(rest, len);
	const char *user = len ? memrchr(rest.ptr, '@', len) : NULL;
	if (!user && slice_find(behind, '@') >= 0)
		return false;
	if (user)
		authority = slice_skip(authority, (size_t)(user - rest.ptr) + 1);
	authority = slice_cut(&authority, ',');
	/* A port that is not known is told by 1, which nobody uses. */
	if (!look_split(authority, schemes[i].port ? schemes[i].port : 1, host, &target->port))
		return false;
	if (target->port == 1)
		target->port = 0;
	target->host = arena_strdup(arena, host);
	target->plain_http = slice_is(scheme, "http");
	target->speech = target->port ? schemes[i].speech : SPEECH_NONE;
	return true;
}

/* "user:password@tcp(host:port)/name", as Go's drivers have it. */
static bool go_parse(struct arena *arena, struct slice value, struct target *target)
{
	const char *at = memmem(value.ptr, value.len, "@tcp(", 5);
	char host[256];

	if (!at)
		return false;
	struct slice rest = slice_skip(value, (size_t)(at - value.ptr) + 5);
	struct slice inner = slice_cut(&rest, ')');
	if (!rest.ptr || !look_split(inner, 3306, host, &target->port))
		return false;
	target->host = arena_strdup(arena, host);
	target->speech = SPEECH_TCP;
	return true;
}

/* "host=db.acme.io port=5432 password=…", as libpq has it; also with semicolons. */
static bool pairs_parse(struct arena *arena, struct slice value, struct target *target)
{
	char separator = slice_find(value, ';') >= 0 ? ';' : ' ';
	uint64_t port = 5432;
	char host[256];
	struct slice rest = value, found = {0};
	bool second = false;

	while (rest.ptr) {
		struct slice pair = slice_trim(slice_cut(&rest, separator)), name = slice_cut(&pair, '=');
		if (!pair.ptr)
			continue;
		second = second || slice_is(name, "dbname") || slice_is(name, "user");
		if (slice_is(name, "host"))
			found = pair;
		else if (slice_is(name, "port") && !slice_to_u64(pair, &port))
			return false;
	}
	if (!found.ptr || !second || port == 0 || port > UINT16_MAX || slice_find(found, ':') >= 0 ||
	    !look_split(found, (uint16_t)port, host, &target->port))
		return false;
	target->host = arena_strdup(arena, host);
	target->speech = SPEECH_TCP;
	return true;
}

static bool name_is_host(const char *name, size_t *stem_out)
{
	static const char *const ends[] = {"_HOST", "_HOSTNAME", "_SERVER", "_ENDPOINT", "_ADDR", "_ADDRESS"};
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t end = strlen(ends[i]);
		if (len <= end || strcasecmp(name + len - end, ends[i]) != 0)
			continue;
		*stem_out = len - end;
		return true;
	}
	return false;
}

static uint16_t paired_port(const struct collect_request *request, const char *name, size_t stem)
{
	for (size_t i = 0; i < request->endpoint_count; i++) {
		const char *other = request->endpoints[i].variable;
		uint64_t port;
		if (strncasecmp(other, name, stem) == 0 && strcasecmp(other + stem, "_PORT") == 0 &&
		    slice_to_u64(slice_trim(request->endpoints[i].value), &port) && port &&
		    port <= UINT16_MAX)
			return (uint16_t)port;
	}
	return 0;
}

/* MAIL_HOST=smtp.acme.io, with MAIL_PORT beside it. */
static bool host_parse(struct endpoints *endpoints, const struct collect_endpoint *endpoint,
		       struct slice value, struct target *target)
{
	size_t stem;
	char host[256];

	if (endpoint->secret || !name_is_host(endpoint->variable, &stem))
		return false;
	uint16_t paired = paired_port(endpoints->sight->request, endpoint->variable, stem);
	if (!look_split(value, paired ? paired : 1, host, &target->port))
		return false;
	for (const char *c = host; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr(".-_:", *c))
			return false;
	target->port = target->port == 1 ? 0 : target->port;
	target->host = arena_strdup(endpoints->arena, host);
	target->speech = target->port ? SPEECH_TCP : SPEECH_NONE;
	return true;
}

static bool host_says_sandbox(struct slice text)
{
	const char *at = text.len ? memmem(text.ptr, text.len, "://", 3) : NULL;
	struct slice host = at ? slice_skip(text, (size_t)(at - text.ptr) + 3) : (struct slice){0};
	size_t len = 0;

	while (len < host.len && !strchr("/?#", host.ptr[len]))
		len++;
	host.len = len;
	const char *user = len ? memrchr(host.ptr, '@', len) : NULL;
	if (user)
		host = slice_skip(host, (size_t)(user - host.ptr) + 1);
	return host.len && memmem(host.ptr, host.len, "sandbox", 7);
}

const char *endpoint_mode(struct slice value, const char **service_out)
{
	const char *service = NULL;
	struct slice text = slice_trim(value);
	enum key_mode mode = value_key_mode(text, &service);
	bool sandbox = host_says_sandbox(text) || slice_starts_with(text, "access-sandbox-");

	*service_out = service;
	if (mode == KEY_MODE_LIVE)
		return "live";
	if (mode == KEY_MODE_TEST)
		return sandbox ? "sandbox" : "test";
	if (sandbox)
		return "sandbox";
	return service ? "unknown" : NULL;
}

static bool target_parse(struct endpoints *endpoints, const struct collect_endpoint *endpoint,
			 struct target *target)
{
	struct slice value = slice_trim(endpoint->value);

	*target = (struct target){.variable = endpoint->variable};
	if (value.len == 0 || value.len > ENDPOINT_VALUE_MAX || memchr(value.ptr, 0, value.len))
		return false;
	target->mode = endpoint_mode(value, &target->service);
	value = without_prefix(value, "jdbc:");
	if (url_parse(endpoints->arena, value, target) || go_parse(endpoints->arena, value, target) ||
	    pairs_parse(endpoints->arena, value, target) || host_parse(endpoints, endpoint, value, target))
		return true;
	if (!target->mode)
		return false;
	if (target->service) {
		enum key_mode mode = strcmp(target->mode, "live") == 0 ? KEY_MODE_LIVE : KEY_MODE_TEST;
		target->host = service_host(target->service, mode);
		target->port = 443;
		target->speech = target->host ? SPEECH_HTTP : SPEECH_NONE;
	}
	return true;
}

/* --- knocking ------------------------------------------------------------------------- */

/* localhost means each server itself; here it means something only where the servers are here too. */
static bool is_elsewhere(const struct endpoints *endpoints, const char *host)
{
	const struct collect_request *request = endpoints->sight->request;

	if (!look_is_local(host, false))
		return false;
	for (size_t i = 0; i < request->server_host_count; i++)
		if (look_is_local(request->server_hosts[i], false))
			return false;
	return true;
}

static int knock(struct endpoints *endpoints)
{
	struct look_spec *specs = ARENA_NEW_ARRAY(endpoints->arena, endpoints->count, struct look_spec);
	struct look *looks = ARENA_NEW_ARRAY(endpoints->arena, endpoints->count, struct look);
	struct look_port *ports = ARENA_NEW_ARRAY(endpoints->arena, endpoints->count, struct look_port);
	size_t *spec_of = ARENA_NEW_ARRAY(endpoints->arena, endpoints->count, size_t);
	size_t *port_of = ARENA_NEW_ARRAY(endpoints->arena, endpoints->count, size_t);
	size_t spec_count = 0, port_count = 0;

	for (size_t i = 0; i < endpoints->count; i++) {
		const struct target *target = &endpoints->targets[i];
		if (!target->host || target->speech == SPEECH_NONE || is_elsewhere(endpoints, target->host))
			continue;
		if (target->speech == SPEECH_TCP) {
			port_of[port_count] = i;
			ports[port_count++] = (struct look_port){.host = target->host, .port = target->port};
			continue;
		}
		bool six = strchr(target->host, ':') != NULL;
		spec_of[spec_count] = i;
		specs[spec_count++] = (struct look_spec){
			.url = arena_printf(endpoints->arena, "%s://%s%s%s:%u/",
					    target->plain_http ? "http" : "https", six ? "[" : "",
					    target->host, six ? "]" : "", target->port),
			.how = target->speech == SPEECH_HTTP ? LOOK_HEAD : LOOK_TLS,
			.ca_file = endpoints->sight->request->ca_file,
			.time_ms = endpoints->sight->time_ms};
	}
	if (look_all(endpoints->arena, specs, spec_count, looks, endpoints->err))
		return -1;
	look_ports(ports, port_count, endpoints->sight->time_ms);
	for (size_t i = 0; i < spec_count; i++)
		endpoints->targets[spec_of[i]].look = looks[i];
	for (size_t i = 0; i < port_count; i++)
		endpoints->targets[port_of[i]].tcp = ports[i];
	return 0;
}

/* --- telling --------------------------------------------------------------------------- */

static struct slice key_of(const struct endpoints *endpoints, const struct target *target,
			   const char *attribute)
{
	return fact_key(endpoints->arena, "endpoint/%s/%s", target->variable, attribute);
}

/* NULL: it was not knocked at, and why. */
static const char *reachable_word(const struct endpoints *endpoints, const struct target *target,
				  const char **why)
{
	bool http = target->speech == SPEECH_HTTP;
	enum look_result result = target->speech == SPEECH_TCP ? target->tcp.result : target->look.result;

	*why = NULL;
	if (endpoints->sight->request->offline)
		*why = "offline";
	else if (target->port == 0)
		*why = "its port is not known";
	else if (target->speech == SPEECH_NONE)
		*why = "how it is spoken to is not known";
	else if (is_elsewhere(endpoints, target->host))
		*why = "each server means itself by it";
	if (*why)
		return NULL;
	*why = look_result_words(result);
	switch (result) {
	case LOOK_ANSWERED:
	case LOOK_TOO_LONG:
		return "yes";
	case LOOK_CLOSED:
	case LOOK_MALFORMED:
		return target->look.address ? "yes" : "no";
	case LOOK_REFUSED:
	case LOOK_TLS_FAILED:
		return "no";
	default:
		/* Databases and the like are often reached from the servers alone, names of private
		 * networks too: silence towards us says nothing there. */
		return http && result == LOOK_TIMED_OUT && !look_is_local(target->host, true) ? "no" : NULL;
	}
}

static bool is_rate_header(struct slice name, bool *evidence)
{
	*evidence = slice_is(name, "retry-after") || slice_starts_with(name, "x-ratelimit-remaining") ||
		    slice_is(name, "ratelimit-remaining") || slice_is(name, "x-rate-limit-remaining");
	return *evidence || slice_starts_with(name, "x-ratelimit-limit") ||
	       slice_is(name, "x-rate-limit-limit") || slice_is(name, "ratelimit-limit") ||
	       slice_is(name, "ratelimit-policy") || slice_is(name, "ratelimit");
}

/* "limit=100, remaining=50, reset=5" and "default;r=50;t=30" without what counts down. */
static struct slice rate_value(const struct endpoints *endpoints, struct slice rest)
{
	static const char *const falling[] = {"remaining", "reset", "r", "t"};
	AUTO(buf_free) struct buf out = BUF_INIT(RATE_VALUE_MAX * 8);

	rest.len = MIN(rest.len, (size_t)RATE_VALUE_MAX);
	while (rest.len) {
		size_t len = 0;
		while (len < rest.len && rest.ptr[len] != ',' && rest.ptr[len] != ';')
			len++;
		struct slice part = slice_trim(slice_make(rest.ptr, len)), value = part,
			     name = slice_cut(&value, '=');
		bool falls = false;
		for (size_t i = 0; i < ARRAY_LEN(falling) && value.ptr; i++)
			falls = falls || slice_is(name, falling[i]);
		if (!falls && part.len) {
			buf_puts(&out, out.len ? "; " : "");
			put_comparable(&out, endpoints->sight->request, part);
		}
		rest = slice_skip(rest, MIN(len + 1, rest.len));
	}
	return arena_slice(endpoints->arena, buf_slice(&out));
}

static int rates_tell(const struct endpoints *endpoints, const struct target *target)
{
	for (size_t i = 0; i < target->look.header_count; i++) {
		const struct look_header *header = &target->look.headers[i];
		struct fact fact = {.kind = FACT_TEXT};
		if (!is_rate_header(header->name, &fact.evidence))
			continue;
		fact.key = fact_key(endpoints->arena, "endpoint/%s/rate_limit/%.*s", target->variable,
				    SLICE_ARG(header->name));
		fact.value = rate_value(endpoints, header->value);
		if (fact.value.len && fact_add_fact(endpoints->out, &fact, endpoints->err))
			return -1;
	}
	return 0;
}

static int reach_tell(const struct endpoints *endpoints, const struct target *target)
{
	const char *why, *word = reachable_word(endpoints, target, &why);

	if (!word)
		return tell_skip(endpoints->out, key_of(endpoints, target, "reachable"), why, endpoints->err);
	if (tell_text(endpoints->out, key_of(endpoints, target, "reachable"), slice_of(word),
		      endpoints->err) ||
	    tell_evidence(endpoints->out, key_of(endpoints, target, "reachable_why"), why, endpoints->err))
		return -1;
	if (target->look.tls_version &&
	    (tell_text(endpoints->out, key_of(endpoints, target, "tls"), slice_of(target->look.tls_version),
		       endpoints->err) ||
	     tell_text(endpoints->out, key_of(endpoints, target, "trusted"),
		       target->look.trusted ? SLICE("yes") : SLICE("no"), endpoints->err)))
		return -1;
	return rates_tell(endpoints, target);
}

static int target_tell(const struct endpoints *endpoints, const struct target *target)
{
	AUTO(buf_free) struct buf host = BUF_INIT(COLLECT_URL_MAX);

	if (target->service && tell_text(endpoints->out, key_of(endpoints, target, "service"),
					 slice_of(target->service), endpoints->err))
		return -1;
	if (target->mode && tell_text(endpoints->out, key_of(endpoints, target, "mode"),
				      slice_of(target->mode), endpoints->err))
		return -1;
	if (!target->host)
		return 0;
	put_authority(&host, endpoints->sight->request, target->host, target->port);
	if (tell_text(endpoints->out, key_of(endpoints, target, "host"), buf_slice(&host), endpoints->err))
		return -1;
	return reach_tell(endpoints, target);
}

static int run(struct collect_sight *sight, struct fact_list *out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct endpoints endpoints = {.sight = sight, .arena = &arena, .out = out, .err = err};
	const struct collect_request *request = sight->request;

	endpoints.targets = ARENA_NEW_ARRAY(&arena, COLLECT_LISTED_MAX, struct target);
	for (size_t i = 0; i < request->endpoint_count; i++) {
		struct target target;
		if (!target_parse(&endpoints, &request->endpoints[i], &target))
			continue;
		if (endpoints.count < COLLECT_LISTED_MAX)
			endpoints.targets[endpoints.count++] = target;
		else if (tell_skip(out, key_of(&endpoints, &target, ""), "too many endpoints are listed",
				   err))
			return -1;
	}
	if (!request->offline && knock(&endpoints))
		return -1;
	for (size_t i = 0; i < endpoints.count; i++)
		if (target_tell(&endpoints, &endpoints.targets[i]))
			return -1;
	return 0;
}

static const struct collect_fact facts[] = {
	{"endpoint/VARIABLE/host", "text", "with its port, of the service the variable names"},
	{"endpoint/VARIABLE/service", "text", "whose it is, by the form of the credential or the host"},
	{"endpoint/VARIABLE/mode", "text", "live, test, sandbox or unknown"},
	{"endpoint/VARIABLE/reachable", "text", "yes or no: connection and handshake, without credentials"},
	{"endpoint/VARIABLE/reachable_why", "text", "what happened (evidence)"},
	{"endpoint/VARIABLE/tls", "text", "the version agreed on"},
	{"endpoint/VARIABLE/trusted", "text",
	 "yes or no: its certificate, by the authorities this machine knows"},
	{"endpoint/VARIABLE/rate_limit/HEADER", "text",
	 "the limits it tells; what is left of them is evidence"},
	{NULL, NULL, NULL},
};

const struct collector collector_endpoint = {
	.dimension = "endpoint",
	.text = "third-party services, as the variables of the contract name them",
	.facts = facts,
	.run = run,
};
