/* CDNs, balancers and caches recognised by the headers they leave, one row each. Headers as
 * their makers document them. */
#include "collect/internal.h"

#include <strings.h>

static const struct {
	const char *header;
	const char *holds; /* NULL: that it is there says enough */
	const char *name;
	enum front_kind kind;
} signs[] = {
	{"cf-ray", NULL, "Cloudflare", FRONT_CDN},
	{"server", "cloudflare", "Cloudflare", FRONT_CDN},
	{"x-amz-cf-id", NULL, "CloudFront", FRONT_CDN},
	{"x-amz-cf-pop", NULL, "CloudFront", FRONT_CDN},
	{"via", "cloudfront", "CloudFront", FRONT_CDN},
	{"x-served-by", "cache-", "Fastly", FRONT_CDN},
	{"x-fastly-request-id", NULL, "Fastly", FRONT_CDN},
	{"x-vercel-id", NULL, "Vercel", FRONT_CDN},
	{"x-nf-request-id", NULL, "Netlify", FRONT_CDN},
	{"x-akamai-transformed", NULL, "Akamai", FRONT_CDN},
	{"x-akamai-request-id", NULL, "Akamai", FRONT_CDN},
	{"akamai-grn", NULL, "Akamai", FRONT_CDN},
	{"server", "akamai", "Akamai", FRONT_CDN},
	{"x-azure-ref", NULL, "Azure Front Door", FRONT_CDN},
	{"x-bunny-server", NULL, "bunny.net", FRONT_CDN},
	{"cdn-pullzone", NULL, "bunny.net", FRONT_CDN},
	{"server", "bunnycdn", "bunny.net", FRONT_CDN},
	{"server", "keycdn", "KeyCDN", FRONT_CDN},
	{"x-iinfo", NULL, "Imperva", FRONT_CDN},
	{"x-cdn", "incapsula", "Imperva", FRONT_CDN},
	{"x-sucuri-id", NULL, "Sucuri", FRONT_CDN},
	{"x-github-request-id", NULL, "GitHub", FRONT_CDN},
	{"server", "gcore", "Gcore", FRONT_CDN},
	{"server", "cdn77", "CDN77", FRONT_CDN},
	{"x-77-cache", NULL, "CDN77", FRONT_CDN},
	{"eagleid", NULL, "Alibaba Cloud CDN", FRONT_CDN},
	{"x-hw", NULL, "StackPath", FRONT_CDN},
	{"fly-request-id", NULL, "Fly.io", FRONT_BALANCER},
	{"via", "google", "Google Cloud", FRONT_BALANCER},
	{"via", "vegur", "Heroku", FRONT_BALANCER},
	{"via", "heroku", "Heroku", FRONT_BALANCER},
	{"server", "awselb", "AWS", FRONT_BALANCER},
	{"set-cookie", "AWSALB=", "AWS", FRONT_BALANCER},
	{"set-cookie", "AWSELB=", "AWS", FRONT_BALANCER},
	{"x-envoy-upstream-service-time", NULL, "Envoy", FRONT_BALANCER},
	{"server", "envoy", "Envoy", FRONT_BALANCER},
	{"x-kong-proxy-latency", NULL, "Kong", FRONT_BALANCER},
	{"via", "kong", "Kong", FRONT_BALANCER},
	{"via", "haproxy", "HAProxy", FRONT_BALANCER},
	{"set-cookie", "SERVERID=", "HAProxy", FRONT_BALANCER},
	{"via", "caddy", "Caddy", FRONT_BALANCER},
	{"x-traefik-router", NULL, "Traefik", FRONT_BALANCER},
	{"x-forwarded-for", NULL, "a proxy", FRONT_BALANCER},
	{"x-forwarded-server", NULL, "a proxy", FRONT_BALANCER},
	{"x-varnish", NULL, "Varnish", FRONT_CACHE},
	{"via", "varnish", "Varnish", FRONT_CACHE},
	{"via", "squid", "Squid", FRONT_CACHE},
	{"x-litespeed-cache", NULL, "LiteSpeed", FRONT_CACHE},
	{"x-proxy-cache", NULL, "nginx", FRONT_CACHE},
	{"x-cache-status", NULL, "nginx", FRONT_CACHE},
	{"x-cache", NULL, "a cache", FRONT_CACHE},
};

struct slice look_header(const struct look *look, const char *name)
{
	for (size_t i = 0; i < look->header_count; i++)
		if (slice_is(look->headers[i].name, name))
			return look->headers[i].value;
	return (struct slice){0};
}

static bool holds(struct slice value, const char *part)
{
	size_t len = strlen(part);

	for (size_t at = 0; at + len <= value.len; at++)
		if (strncasecmp(value.ptr + at, part, len) == 0)
			return true;
	return false;
}

static bool shows(const struct look *look, size_t sign)
{
	for (size_t i = 0; i < look->header_count; i++)
		if (slice_is(look->headers[i].name, signs[sign].header) &&
		    (!signs[sign].holds || holds(look->headers[i].value, signs[sign].holds)))
			return true;
	return false;
}

struct slice front_names(struct arena *arena, const struct look *look, enum front_kind kind)
{
	struct slice names[ARRAY_LEN(signs)];
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (signs[i].kind == kind && shows(look, i))
			names[count++] = slice_of(signs[i].name);
	return fact_set_value(arena, names, count);
}
