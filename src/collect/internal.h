/* What the files of this module share. */
#pragma once

#include "collect/collect.h"
#include "net/look.h"

#include <pthread.h>

extern const struct collector collector_dns, collector_endpoint, collector_http, collector_shape,
	collector_tls;

enum { COLLECT_HOPS_MAX = 5, COLLECT_TEXT_MAX = 60 << 10, COLLECT_URL_MAX = 4 << 10 };

/* One listed URL, and where it leads as long as that is the environment's own. */
struct collect_view {
	const char *url;
	struct look hops[COLLECT_HOPS_MAX + 1]; /* the first is the URL's own answer */
	size_t hop_count;
};

struct collect_sight {
	const struct collect_request *request;
	int64_t now_ms, time_ms;
	pthread_mutex_t lock;
	struct arena arena; /* what views point into */
	bool looked;
	int looked_result;
	struct err looked_err;
	struct collect_view *views;
	size_t view_count;
};

/* The listed URLs, looked at by whoever asks first; the others wait for it. */
int sight_views(struct collect_sight *sight, const struct collect_view **views_out, size_t *count_out,
		struct err *err) CHECKED;
/* min(count, COLLECT_LISTED_MAX); says of the others, in `out`, that they were not looked at. */
int sight_limit(const char *dimension, size_t count, size_t *limited_out, struct fact_list *out,
		struct err *err) CHECKED;

/* --- facts (fact_add, and what it does not have) --------------------------------------- */

int tell_text(struct fact_list *out, struct slice key, struct slice value, struct err *err) CHECKED;
int tell_number(struct fact_list *out, struct slice key, int64_t number, const char *unit,
		struct err *err) CHECKED;
int tell_evidence(struct fact_list *out, struct slice key, const char *value, struct err *err) CHECKED;
int tell_skip(struct fact_list *out, struct slice key, const char *why, struct err *err) CHECKED;

/* --- comparable texts (comparable.c) ------------------------------------------------------ */

/* Own hosts and servers as "{host}" and "{server}", long random parts as "{id}", bytes that
 * are not ASCII as \xNN. */
void put_comparable(struct buf *out, const struct collect_request *request, struct slice text);
/* A URL with neither user, password, values of its query nor fragment. */
void put_url(struct buf *out, const struct collect_request *request, struct slice url);
void put_authority(struct buf *out, const struct collect_request *request, const char *host, uint16_t port);
/* Whether it is one of own_hosts or server_hosts; port 0: whatever the port. */
bool host_is_own(const struct collect_request *request, const char *host, uint16_t port);
bool host_is_server(const struct collect_request *request, const char *host);

enum header_form { HEADER_TEXT = 1, HEADER_LIST, HEADER_POLICY };
/* A header whose value says something of the configuration; false: volatile or of no interest. */
bool header_matters(struct slice name, enum header_form *form_out);
/* Its value as it is compared: the bytes of a set for LIST and POLICY. */
struct slice header_value(struct arena *arena, const struct collect_request *request, enum header_form form,
			  struct slice value);
/* Name and attributes of a Set-Cookie header: "httponly; path=/; secure". False: malformed.
 * The cookie's value goes nowhere. */
bool cookie_read(struct arena *arena, const struct collect_request *request, struct slice header,
		 struct slice *name_out, struct slice *attributes_out);

/* --- what stands in front (front.c) -------------------------------------------------------- */

enum front_kind { FRONT_CDN = 1, FRONT_BALANCER, FRONT_CACHE };
/* The names of what is recognised in an answer's headers, as the bytes of a set. */
struct slice front_names(struct arena *arena, const struct look *look, enum front_kind kind);
/* A header's first value; ptr NULL: it is not there. */
struct slice look_header(const struct look *look, const char *name);
