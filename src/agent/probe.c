/* PROBE: what this server is like, as one compressed snapshot. What is looked at is the
 * probes' affair (probe/probe.h); here is only the way over the line. */
#include "agent/session.h"

#include "base/clock.h"
#include "base/fd.h"
#include "codec/compress.h"
#include "probe/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each look makes a compressor: what a higher level takes off 20 KB costs it more than the rest. */
enum { FACTS_LEVEL = 1 };

struct telling {
	struct session *session;
	struct compressor *compressor;
	struct buf out;
	uint64_t bytes;
};

/* --- what is asked ---------------------------------------------------------------- */

static int read_list(struct arena *arena, const struct record *request, const char *key,
		     const char *const **out, size_t *count_out, struct err *err)
{
	struct slice value = record_get(request, key);
	size_t count = 0;

	for (size_t i = 0; i < value.len; i++)
		count += value.ptr[i] == 0;
	if (count > PROBE_LISTED_MAX || (value.len && value.ptr[value.len - 1] != 0))
		return err_set(err, ERR_USER, "probe: %s= is no list of at most %d texts", key,
			       PROBE_LISTED_MAX);
	const char **items = ARENA_NEW_ARRAY(arena, count + 1, const char *);
	count = 0;
	for (struct slice rest = value; rest.len;)
		items[count++] = arena_str(arena, slice_cut(&rest, 0));
	*out = items;
	*count_out = count;
	return 0;
}

static const char *text_or_null(struct arena *arena, const struct record *request, const char *key)
{
	const char *text = record_get_str(arena, request, key);

	return *text ? text : NULL;
}

/* Lower-case hex, as digests are written. */
static bool read_key(const struct record *request, const char *name, uint8_t out[DIGEST_LEN])
{
	struct digest key;
	bool there = digest_from_hex(record_get(request, name), &key);

	if (there)
		memcpy(out, key.bytes, DIGEST_LEN);
	explicit_bzero(&key, sizeof(key));
	return there;
}

static int read_request(struct arena *arena, const struct record *record, struct probe_request *request,
			struct err *err)
{
	request->user = text_or_null(arena, record, "user");
	request->helper = text_or_null(arena, record, "helper");
	request->now_ms = record_get_i64(record, "now_ms", 0);
	if (!read_key(record, "run_key", request->run_key))
		return err_set(err, ERR_USER, "probe: run_key= is no key");
	request->has_kept_key = read_key(record, "kept_key", request->kept_key);
	return read_list(arena, record, "reloads", &request->reloads, &request->reload_count, err) ||
			       read_list(arena, record, "paths", &request->paths, &request->path_count,
					 err) ||
			       read_list(arena, record, "env_files", &request->env_files,
					 &request->env_file_count, err) ||
			       read_list(arena, record, "names", &request->names, &request->name_count,
					 err) ||
			       read_list(arena, record, "generated", &request->generated,
					 &request->generated_count, err) ||
			       read_list(arena, record, "rendered", &request->rendered,
					 &request->rendered_count, err)
		       ? -1
		       : 0;
}

/* One bool a probe; NULL: all. */
static int read_choice(struct arena *arena, const struct record *record, const bool **out, struct err *err)
{
	const char *const *only;
	size_t count, total = 0;

	*out = NULL;
	if (read_list(arena, record, "only", &only, &count, err))
		return -1;
	if (count == 0)
		return 0;
	while (probes[total])
		total++;
	bool *which = ARENA_NEW_ARRAY(arena, total + 1, bool);
	for (size_t i = 0; i < total; i++)
		for (size_t j = 0; j < count; j++)
			which[i] = which[i] || strcmp(probes[i]->dimension, only[j]) == 0;
	*out = which;
	return 0;
}

/* Whether releases go below it, so that itself it is none. */
static bool holds_releases(const struct place *place)
{
	struct stat st;

	return place->private_fd >= 0 ||
	       (fstatat(place->dir_fd, "releases", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
		fstatat(place->dir_fd, "shared", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode));
}

/* The folder the application runs from: what `current` shows, else the place itself. */
static void find_live(const struct place *place, struct arena *arena, struct probe_request *request)
{
	char *real = NULL;
	struct stat st;

	request->place = place->path;
	request->place_fd = place->dir_fd;
	if (place->dir_fd < 0)
		return;
	request->live_fd = openat(place->dir_fd, "current", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int why = errno;
	if (request->live_fd >= 0)
		real = realpath(arena_printf(arena, "%s/current", place->path), NULL);
	if (real)
		request->live = arena_strdup(arena, real);
	free(real);
	if (request->live)
		return;
	if (holds_releases(place)) {
		/* A link that leads nowhere is no place where nothing was deployed yet. */
		if (fstatat(place->dir_fd, "current", &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
			request->live_why =
				arena_printf(arena, "current cannot be opened: %s", strerror(why));
		return;
	}
	close_fd(&request->live_fd);
	request->live_fd = fcntl(place->dir_fd, F_DUPFD_CLOEXEC, 3);
	request->live = place->path;
}

/* --- what is answered -------------------------------------------------------------- */

static int send_pieces(struct telling *telling, bool all, struct err *err)
{
	size_t sent = 0;

	while (telling->out.len - sent >= (all ? (size_t)1 : (size_t)FRAME_PAYLOAD_MAX)) {
		size_t piece = MIN(telling->out.len - sent, (size_t)FRAME_PAYLOAD_MAX);
		if (session_send(telling->session, MSG_FACT_DATA, slice_make(telling->out.ptr + sent, piece),
				 err))
			return -1;
		sent += piece;
	}
	buf_consume(&telling->out, sent);
	return 0;
}

/* The compressor comes only now: what the probes' processes inherit stays small. */
static int tell(void *context, struct slice bytes, struct err *err)
{
	struct telling *telling = context;

	if (!telling->compressor)
		telling->compressor = compressor_new(FACTS_LEVEL, slice_make(NULL, 0));
	telling->bytes += bytes.len;
	if (telling->bytes > SNAPSHOT_BYTES_MAX)
		return err_set(err, ERR_INTERNAL, "the facts of this server are more than %d MB",
			       SNAPSHOT_BYTES_MAX >> 20);
	return compressor_feed(telling->compressor, bytes, &telling->out, err) ||
			       send_pieces(telling, false, err)
		       ? -1
		       : 0;
}

static int breathe(void *context, struct err *err)
{
	return session_breathe(context, "probe", 0, 0, 0, 0, err);
}

static int probe_and_tell(struct telling *telling, const struct probe_request *request, const bool *which,
			  uint64_t *count_out, struct err *err)
{
	AUTO(fact_writer_free) struct fact_writer writer;

	fact_writer_init(&writer, tell, telling);
	if (probe_all(request, which, &writer, breathe, telling->session, err) ||
	    fact_writer_end(&writer, err) || compressor_end(telling->compressor, &telling->out, err) ||
	    send_pieces(telling, true, err))
		return -1;
	*count_out = writer.count;
	return 0;
}

int handle_probe(struct session *session, const struct record *record, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf text = BUF_INIT(512);
	struct probe_request request = {.place_fd = -1, .live_fd = -1};
	struct telling telling = {session, NULL, BUF_INIT(MIB(4)), 0};
	int64_t began_ms = clock_mono_ms();
	const bool *which;
	uint64_t count = 0;

	int result = read_request(&arena, record, &request, err) || read_choice(&arena, record, &which, err);
	if (!result) {
		find_live(&session->place, &arena, &request);
		result = probe_and_tell(&telling, &request, which, &count, err);
	}
	close_fd(&request.live_fd);
	explicit_bzero(request.run_key, sizeof(request.run_key));
	explicit_bzero(request.kept_key, sizeof(request.kept_key));
	compressor_free(&telling.compressor);
	buf_free(&telling.out);
	if (result)
		return -1;
	record_begin(&text, "probed");
	record_put_u64(&text, "facts", count);
	record_put_u64(&text, "bytes", telling.bytes);
	record_put_i64(&text, "now_ms", clock_wall_ms());
	record_put_i64(&text, "duration_ms", clock_mono_ms() - began_ms);
	return session_send_record(session, MSG_PROBED, &text, err);
}
