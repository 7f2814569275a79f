/* Certificates and handshakes: of listed https: URLs, and of hosts that speak TLS without
 * HTTP. Not here: those of services outside (endpoint.c). */
#include "collect/internal.h"

#include <stdlib.h>

enum { DAY_MS = 86400000, SOON_DAYS = 14 };

struct handshake {
	const struct collect_sight *sight;
	struct arena *arena;
	const char *place; /* "{host}:443" */
	struct fact_list *out;
	struct err *err;
};

static struct slice key_of(const struct handshake *handshake, const char *attribute)
{
	return fact_key(handshake->arena, "tls/%s/%s", handshake->place, attribute);
}

static int text_tell(const struct handshake *handshake, const char *attribute, const char *text)
{
	AUTO(buf_free) struct buf out = BUF_INIT(COLLECT_TEXT_MAX);

	if (!text)
		return 0;
	put_comparable(&out, handshake->sight->request, slice_of(text));
	return tell_text(handshake->out, key_of(handshake, attribute), buf_slice(&out), handshake->err);
}

/* The verdict of the one who would have to trust it, in a word. */
static const char *chain_word(const struct look *look)
{
	static const struct {
		const char *part, *word;
	} causes[] = {
		{"expired", "expired"},
		{"not yet valid", "not yet valid"},
		{"self-signed certificate in certificate chain", "unknown authority"},
		{"self signed certificate in certificate chain", "unknown authority"},
		{"self-signed", "self-signed"},
		{"self signed", "self-signed"},
		{"local issuer", "incomplete or unknown authority"},
		{"subject name", "complete"},
		{"does not match", "complete"},
	};

	if (look->trusted)
		return "complete";
	for (size_t i = 0; i < ARRAY_LEN(causes) && look->untrusted_why; i++)
		if (strstr(look->untrusted_why, causes[i].part))
			return causes[i].word;
	return "not trusted";
}

static int names_tell(const struct handshake *handshake, const struct look_certificate *certificate)
{
	struct slice *names = ARENA_NEW_ARRAY(handshake->arena, certificate->name_count, struct slice);
	size_t bytes = 0, count = 0;

	for (size_t i = 0; i < certificate->name_count; i++) {
		AUTO(buf_free) struct buf name = BUF_INIT(COLLECT_TEXT_MAX);
		put_comparable(&name, handshake->sight->request, slice_of(certificate->names[i]));
		bytes += name.len + 1;
		if (bytes < COLLECT_TEXT_MAX)
			names[count++] = arena_slice(handshake->arena, buf_slice(&name));
	}
	return fact_add(handshake->out, key_of(handshake, "names"), FACT_SET,
			fact_set_value(handshake->arena, names, count), handshake->err);
}

/* Floor, so that a certificate that ended an hour ago has -1 days left. */
static int64_t days_between(int64_t from_ms, int64_t to_ms)
{
	int64_t left = to_ms - from_ms;

	return left >= 0 ? left / DAY_MS : -((-left + DAY_MS - 1) / DAY_MS);
}

static int dates_tell(const struct handshake *handshake, const struct look_certificate *certificate)
{
	if (!certificate->not_after)
		return 0;
	int64_t days = days_between(handshake->sight->now_ms, certificate->not_after_ms);
	if (tell_number(handshake->out, key_of(handshake, "days_left"), days, "d", handshake->err) ||
	    text_tell(handshake, "expires_soon", days < SOON_DAYS ? "yes" : "no"))
		return -1;
	return tell_evidence(handshake->out, key_of(handshake, "not_after"), certificate->not_after,
			     handshake->err);
}

static int issuers_tell(const struct handshake *handshake, const struct look *look)
{
	AUTO(buf_free) struct buf issuers = BUF_INIT(COLLECT_TEXT_MAX);

	for (size_t i = 0; i < look->certificate_count; i++) {
		const char *issuer = look->certificates[i].issuer;
		buf_printf(&issuers, "%s%s", i ? " > " : "", issuer ? issuer : "?");
	}
	return text_tell(handshake, "issuers", buf_str(&issuers));
}

static int certificates_tell(const struct handshake *handshake, const struct look *look)
{
	const struct look_certificate *own = look->certificates;

	if (look->certificate_count == 0)
		return 0;
	if (text_tell(handshake, "subject", own->subject) || text_tell(handshake, "issuer", own->issuer) ||
	    issuers_tell(handshake, look) || names_tell(handshake, own) || dates_tell(handshake, own))
		return -1;
	if (!own->has_fingerprint)
		return 0;
	return fact_add(handshake->out, key_of(handshake, "fingerprint"), FACT_DIGEST,
			slice_make(own->fingerprint.bytes, DIGEST_LEN), handshake->err);
}

static int look_tell(const struct handshake *handshake, const struct look *look)
{
	/* The handshake may have been whole though no answer followed. */
	if (look->tls_version == NULL && look->result != LOOK_TLS_FAILED && look->result != LOOK_REFUSED)
		return tell_skip(handshake->out, key_of(handshake, ""), look_result_words(look->result),
				 handshake->err);
	if (look->tls_version == NULL)
		return text_tell(handshake, "protocol", "none") ||
				       tell_evidence(handshake->out, key_of(handshake, "trusted_why"),
						     look->why, handshake->err)
			       ? -1
			       : 0;
	if (text_tell(handshake, "protocol", look->tls_version) ||
	    text_tell(handshake, "trusted", look->trusted ? "yes" : "no") ||
	    text_tell(handshake, "chain", chain_word(look)) ||
	    tell_evidence(handshake->out, key_of(handshake, "trusted_why"), look->untrusted_why,
			  handshake->err))
		return -1;
	return certificates_tell(handshake, look);
}

static int place_tell(struct handshake *handshake, struct slice authority, const struct look *look)
{
	AUTO(buf_free) struct buf place = BUF_INIT(COLLECT_URL_MAX);
	char host[256];
	uint16_t port;

	if (!look_split(authority, 443, host, &port))
		return 0; /* the http facts say that the address is malformed */
	put_authority(&place, handshake->sight->request, host, port);
	handshake->place = arena_strdup(handshake->arena, buf_str(&place));
	if (handshake->sight->request->offline)
		return tell_skip(handshake->out, key_of(handshake, ""), "offline", handshake->err);
	return look_tell(handshake, look);
}

static struct slice authority_of(const char *url)
{
	const char *at = strstr(url, "://");
	struct slice authority = at ? slice_make(at + 3, strcspn(at + 3, "/?#")) : SLICE("");
	const char *user = authority.len ? memrchr(authority.ptr, '@', authority.len) : NULL;

	return user ? slice_skip(authority, (size_t)(user - authority.ptr) + 1) : authority;
}

static int listed_tell(struct handshake *handshake)
{
	const struct collect_sight *sight = handshake->sight;
	size_t count;

	if (sight_limit("tls", sight->request->tls_count, &count, handshake->out, handshake->err))
		return -1;
	struct look_spec *specs = ARENA_NEW_ARRAY(handshake->arena, count, struct look_spec);
	struct look *looks = ARENA_NEW_ARRAY(handshake->arena, count, struct look);
	for (size_t i = 0; i < count; i++)
		specs[i] = (struct look_spec){
			.url = arena_printf(handshake->arena, "https://%s/", sight->request->tls[i]),
			.how = LOOK_TLS,
			.ca_file = sight->request->ca_file,
			.time_ms = sight->time_ms};
	if (!sight->request->offline && look_all(handshake->arena, specs, count, looks, handshake->err))
		return -1;
	for (size_t i = 0; i < count; i++)
		if (place_tell(handshake, slice_of(sight->request->tls[i]), &looks[i]))
			return -1;
	return 0;
}

static int run(struct collect_sight *sight, struct fact_list *out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct handshake handshake = {.sight = sight, .arena = &arena, .out = out, .err = err};
	const struct collect_view *views;
	size_t count;

	if (listed_tell(&handshake) || sight_views(sight, &views, &count, err))
		return -1;
	for (size_t i = 0; i < count; i++)
		if (strncasecmp(views[i].url, "https:", 6) == 0 &&
		    place_tell(&handshake, authority_of(views[i].url), &views[i].hops[0]))
			return -1;
	return 0;
}

static const struct collect_fact facts[] = {
	{"tls/HOST:PORT/protocol", "text", "the version agreed on: TLSv1.3; none: no handshake"},
	{"tls/HOST:PORT/trusted", "text", "yes or no: by the authorities this machine knows"},
	{"tls/HOST:PORT/trusted_why", "text", "why not (evidence)"},
	{"tls/HOST:PORT/chain", "text",
	 "complete, incomplete or unknown authority, unknown authority, self-signed, expired, not yet valid"},
	{"tls/HOST:PORT/subject", "text", "of the certificate"},
	{"tls/HOST:PORT/issuer", "text", "of the certificate"},
	{"tls/HOST:PORT/issuers", "text", "of all certificates that are served, the server's own first"},
	{"tls/HOST:PORT/names", "set", "the certificate is for"},
	{"tls/HOST:PORT/days_left", "number", "until it ends"},
	{"tls/HOST:PORT/expires_soon", "text", "yes: within 14 days"},
	{"tls/HOST:PORT/not_after", "text", "when it ends (evidence)"},
	{"tls/HOST:PORT/fingerprint", "digest", "SHA-256 of the certificate"},
	{NULL, NULL, NULL},
};

const struct collector collector_tls = {
	.dimension = "tls",
	.text = "certificates, and what the handshake agrees on",
	.facts = facts,
	.run = run,
};
