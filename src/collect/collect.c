/* Runs collectors side by side, each in a thread of its own: looking at one host after the
 * other would take as long as all time limits together. What several of them need is
 * looked at once. */
#include "collect/internal.h"

#include "base/clock.h"

#include <stdio.h>

enum { COLLECTORS_MAX = 16 };

struct job {
	const struct collector *collector;
	struct collect_sight *sight;
	struct fact_list facts;
	struct err err;
	int result;
	pthread_t thread;
	bool started;
};

/* --- what is looked at once --------------------------------------------------------- */

/* Only what belongs to the environment is followed: others are not ours to knock at. */
static bool hop_follows(const struct collect_sight *sight, const struct collect_view *view)
{
	const struct look *last = &view->hops[view->hop_count - 1];
	char host[256], first[256];
	struct slice rest, first_rest = slice_of(view->url);
	uint16_t port, first_port;

	if (!last->location || view->hop_count > COLLECT_HOPS_MAX || strlen(last->location) > COLLECT_URL_MAX)
		return false;
	rest = slice_of(last->location);
	uint16_t fallback = slice_starts_with(rest, "http:") ? 80 : 443;
	uint16_t first_fallback = slice_starts_with(first_rest, "http:") ? 80 : 443;
	const char *at = strstr(last->location, "://"), *first_at = strstr(view->url, "://");
	if (!at || !first_at)
		return false;
	rest = slice_make(at + 3, strcspn(at + 3, "/?#"));
	first_rest = slice_make(first_at + 3, strcspn(first_at + 3, "/?#"));
	if (!look_split(rest, fallback, host, &port) ||
	    !look_split(first_rest, first_fallback, first, &first_port))
		return false;
	return host_is_own(sight->request, host, port) || strcmp(host, first) == 0;
}

/* All next hops of all URLs together, until none leads on. */
static int views_look(struct collect_sight *sight, struct err *err)
{
	size_t count = sight->view_count;
	struct look_spec *specs = ARENA_NEW_ARRAY(&sight->arena, count, struct look_spec);
	struct look *looks = ARENA_NEW_ARRAY(&sight->arena, count, struct look);
	size_t *whose = ARENA_NEW_ARRAY(&sight->arena, count, size_t);
	int64_t until_ms = clock_mono_ms() + sight->time_ms;

	for (int round = 0; round <= COLLECT_HOPS_MAX; round++) {
		size_t some = 0;
		for (size_t i = 0; i < count; i++) {
			struct collect_view *view = &sight->views[i];
			if (round > 0 && ((int)view->hop_count != round || !hop_follows(sight, view)))
				continue;
			specs[some] = (struct look_spec){
				.url = round ? view->hops[round - 1].location : view->url,
				.how = LOOK_GET,
				.ca_file = sight->request->ca_file,
				.time_ms =
					round ? MAX(until_ms - clock_mono_ms(), (int64_t)1) : sight->time_ms};
			whose[some++] = i;
		}
		if (look_all(&sight->arena, specs, some, looks, err))
			return -1;
		for (size_t i = 0; i < some; i++) {
			struct collect_view *view = &sight->views[whose[i]];
			view->hops[view->hop_count++] = looks[i];
		}
	}
	return 0;
}

int sight_views(struct collect_sight *sight, const struct collect_view **views_out, size_t *count_out,
		struct err *err)
{
	pthread_mutex_lock(&sight->lock);
	if (!sight->looked) {
		const struct collect_request *request = sight->request;
		sight->looked = true;
		sight->view_count = MIN(request->url_count, (size_t)COLLECT_LISTED_MAX);
		sight->views = ARENA_NEW_ARRAY(&sight->arena, sight->view_count, struct collect_view);
		for (size_t i = 0; i < sight->view_count; i++)
			sight->views[i].url = request->urls[i];
		sight->looked_result = request->offline ? 0 : views_look(sight, &sight->looked_err);
	}
	int result = sight->looked_result;
	if (result)
		*err = sight->looked_err;
	pthread_mutex_unlock(&sight->lock);
	*views_out = sight->views;
	*count_out = sight->view_count;
	return result;
}

int sight_limit(const char *dimension, size_t count, size_t *limited_out, struct fact_list *out,
		struct err *err)
{
	char key[64], why[128];

	*limited_out = MIN(count, (size_t)COLLECT_LISTED_MAX);
	if (count <= COLLECT_LISTED_MAX)
		return 0;
	snprintf(key, sizeof(key), "%s/", dimension);
	snprintf(why, sizeof(why), "%zu are listed, %d are looked at", count, COLLECT_LISTED_MAX);
	return tell_skip(out, slice_of(key), why, err);
}

/* --- facts ---------------------------------------------------------------------------- */

int tell_text(struct fact_list *out, struct slice key, struct slice value, struct err *err)
{
	return fact_add(out, key, FACT_TEXT, value, err);
}

int tell_number(struct fact_list *out, struct slice key, int64_t number, const char *unit, struct err *err)
{
	char text[64];

	snprintf(text, sizeof(text), "%lld%s%s", (long long)number, unit ? " " : "", unit ? unit : "");
	return fact_add(out, key, FACT_NUMBER, slice_of(text), err);
}

int tell_evidence(struct fact_list *out, struct slice key, const char *value, struct err *err)
{
	struct fact fact = {.key = key, .value = slice_of(value), .kind = FACT_TEXT, .evidence = true};

	return value ? fact_add_fact(out, &fact, err) : 0;
}

int tell_skip(struct fact_list *out, struct slice key, const char *why, struct err *err)
{
	return fact_add(out, key, FACT_NOT_CHECKED, slice_of(why), err);
}

/* --- all of them ------------------------------------------------------------------------ */

static void *work(void *context)
{
	struct job *job = context;

	job->result = job->collector->run(job->sight, &job->facts, &job->err);
	return NULL;
}

static int take(struct job *job, struct fact_list *out, struct err *err)
{
	char key[64];

	snprintf(key, sizeof(key), "%s/", job->collector->dimension);
	if (job->result)
		return fact_add(out, slice_of(key), FACT_NOT_CHECKED, slice_of(job->err.text), err);
	for (size_t i = 0; i < job->facts.count; i++)
		if (fact_add_fact(out, &job->facts.items[i], err))
			return -1;
	return 0;
}

int collect_all(const struct collect_request *request, struct fact_list *out, struct err *err)
{
	struct collect_sight sight = {.request = request,
				      .now_ms = request->now_ms ? request->now_ms : clock_wall_ms(),
				      .time_ms = request->time_ms > 0 ? request->time_ms : COLLECT_TIME_MS,
				      .lock = PTHREAD_MUTEX_INITIALIZER};
	struct job jobs[COLLECTORS_MAX];
	size_t count = 0;
	int result = 0;

	for (; collectors[count]; count++) {
		ASSERT(count < COLLECTORS_MAX);
		struct job *job = &jobs[count];
		*job = (struct job){.collector = collectors[count],
				    .sight = &sight,
				    .facts = FACT_LIST_INIT(COLLECT_FACTS_BYTES_MAX),
				    .err = ERR_INIT};
		job->started = pthread_create(&job->thread, NULL, work, job) == 0;
		if (!job->started)
			work(job);
	}
	for (size_t i = 0; i < count; i++) {
		if (jobs[i].started)
			pthread_join(jobs[i].thread, NULL);
		if (result == 0)
			result = take(&jobs[i], out, err);
		fact_list_free(&jobs[i].facts);
	}
	pthread_mutex_destroy(&sight.lock);
	arena_free(&sight.arena);
	return result;
}

void collect_print_reference(struct buf *out)
{
	for (size_t i = 0; collectors[i]; i++) {
		buf_printf(out, "## %s\n\n%s\n\n| fact | kind | |\n| --- | --- | --- |\n",
			   collectors[i]->dimension, collectors[i]->text);
		for (const struct collect_fact *fact = collectors[i]->facts; fact->key; fact++)
			buf_printf(out, "| `%s` | %s | %s |\n", fact->key, fact->kind, fact->text);
		buf_puts(out, collectors[i + 1] ? "\n" : "");
	}
}
