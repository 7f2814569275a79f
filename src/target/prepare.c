/* PREPARE and RESTORE: offering what a server lacks until it has everything. */
#include "target/internal.h"

#include "base/clock.h"
#include "base/fault.h"

enum { PROGRESS_EVERY_MS = 100 };

static void put_list(struct buf *out, const char *key, struct text_list list)
{
	for (size_t i = 0; i < list.count; i++)
		record_put_str(out, key, list.items[i]);
}

static const struct server_activation *live_find(const struct link *link)
{
	for (size_t i = 0; i < link->state.activation_count; i++)
		if (strcmp(link->state.activations[i].name, link->state.hello.live) == 0)
			return &link->state.activations[i];
	return NULL;
}

void prepare_end(struct link *link)
{
	offer_detach(&link->reader);
	link->offers = NULL;
}

/* --- sending a stream ------------------------------------------------------------ */

static void progress_tell(struct link *link, bool force)
{
	int64_t now = clock_mono_ms();
	if (!force && now - link->progress_ms < PROGRESS_EVERY_MS)
		return;
	link->progress_ms = now;
	link_event(link, &(struct target_event){
				 .kind = TARGET_EVENT_PROGRESS,
				 .phase = "send",
				 .files_total = offer_object_count(link->reader.offer),
				 .bytes = link->reader.offset,
				 .bytes_total = offer_length(link->reader.offer),
			 });
}

/* Before the lease is granted, what it will be unless somebody else had one meanwhile:
 * then the server refuses. */
static uint64_t epoch_of(const struct link *link)
{
	return link->talk.leased ? link->results.lease.epoch : link->state.hello.epoch + 1;
}

static void offered_send(struct link *link)
{
	AUTO(buf_free) struct buf record = BUF_INIT(256);
	record_begin(&record, "offered");
	record_put_u64(&record, "epoch", epoch_of(link));
	link_send_record(link, MSG_OFFERED, &record);
}

/* The end of an offer that may be all the server lacks. */
static void offered_send_last(struct link *link)
{
	if (link->carry.len == 0) {
		offered_send(link);
		return;
	}
	link->carried = true;
	link->leaving = link->carry_records;
	link_begin_behind(link, MSG_ACTIVATE, "activate");
	if (link->carry_records)
		link_begin_behind(link, MSG_RECORD, "record");
	link_send_record(link, link->carry_records ? MSG_OFFERED_RECORD : MSG_OFFERED_SWITCH, &link->carry);
}

void prepare_carry_off(struct link *link)
{
	link->carried = link->leaving = false;
	link->behind_count = 0;
}

void prepare_pump(struct link *link)
{
	struct err err = ERR_INIT;
	char piece[LINK_SEND_PIECE];
	while (link->status == LINK_BUSY && link->reader.offer && link_queued(link) < LINK_QUEUE_HIGH) {
		size_t len;
		enum offer_piece kind;
		if (offer_read(&link->reader, piece, sizeof(piece), &len, &kind, &err) < 0) {
			/* A stream cannot be ended in its middle: the line is given up. */
			link_lose(link, &err);
			return;
		}
		if (kind == OFFER_WAIT)
			return;
		if (kind == OFFER_ENDED) {
			progress_tell(link, true);
			offer_detach(&link->reader);
			offered_send_last(link);
			return;
		}
		if (link_fault(link, "target.prepare.send"))
			return;
		link->objects_sent |= kind == OFFER_OBJECTS;
		link_send(link, kind == OFFER_MANIFEST ? MSG_MANIFEST_DATA : MSG_OBJECT_DATA,
			  slice_make(piece, len));
		if (link->reader.offer)
			progress_tell(link, false);
	}
}

void prepare_cut_short(struct link *link)
{
	if (!link->reader.offer)
		return;
	offer_detach(&link->reader);
	offered_send(link);
}

static void stream_begin(struct link *link, struct offer *offer)
{
	offer_attach(offer, &link->reader);
	link->results.prepare.rounds++;
	prepare_pump(link);
}

/* --- asking ------------------------------------------------------------------------ */

static void request_put(struct link *link, struct buf *record, const struct prepare_request *request,
			uint64_t manifest_bytes)
{
	char hex[DIGEST_HEX_LEN + 1];
	record_begin(record, request->from ? "restore" : "prepare");
	record_put_u64(record, "epoch", epoch_of(link));
	record_put_opt(record, "deployment", request->deployment);
	record_put_opt(record, "plan", request->plan);
	record_put_opt(record, "kind", request->kind);
	digest_to_hex(&request->release, hex);
	record_put_str(record, "release", hex);
	if (link->has_base) {
		digest_to_hex(&link->base, hex);
		record_put_str(record, "base", hex);
	}
	record_put_opt(record, "config", request->config);
	record_put_opt(record, "own_config", request->own_config);
	record_put_opt(record, "commit", request->commit);
	record_put_opt(record, "subject", request->subject);
	record_put_opt(record, "by", request->by);
	record_put_opt(record, "reason", request->reason);
	record_put_i64(record, "commit_time", request->commit_time);
	record_put_str(record, "expect", request->expect ? request->expect : "");
	record_put_opt(record, "decision_place", request->decision_place);
	record_put_opt(record, "decision_server", request->decision_server);
	put_list(record, "servers", request->servers);
	record_put_opt(record, "link", request->link_mode);
	put_list(record, "shared_dir", request->shared_dirs);
	put_list(record, "shared_file", request->shared_files);
	put_list(record, "generated", request->generated);
	record_put_opt(record, "tree", request->tree);
	record_put_opt(record, "recipe", request->recipe);
	record_put_opt(record, "build_key", request->build_key);
	record_put_opt(record, "platform", request->platform);
	record_put_opt(record, "shape", request->shape);
	if (manifest_bytes)
		record_put_u64(record, "manifest_bytes", manifest_bytes);
	record_put_opt(record, "from", request->from);
	if (request->rendered_count || request->no_rendered)
		record_put_u64(record, "rendered", request->rendered_count);
	else
		record_put_opt(record, "config_from", request->config_from);
	record_put_opt(record, "config_key", request->config_key);
	if (request->trust_signatures)
		record_put_str(record, "hash", "signature");
}

/* Directly behind the request: they are small, and the answer is not waited for. */
static void rendered_send(struct link *link, const struct rendered_file *file)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	record_begin(&record, "render");
	record_put_str(&record, "path", file->path);
	record_put_u64(&record, "mode", file->mode ? file->mode : RENDERED_MODE);
	record_put_opt(&record, "owner", file->owner);
	record_put_opt(&record, "group", file->group);
	record_put_u64(&record, "size", file->content.len);
	if (!link_send_record(link, MSG_RENDER, &record))
		return;
	for (struct slice rest = file->content; rest.len && link->status == LINK_BUSY;) {
		size_t piece = MIN(rest.len, (size_t)LINK_SEND_PIECE);
		if (link_fault(link, "target.render.send"))
			return;
		link_send(link, MSG_RENDER_DATA, slice_make(rest.ptr, piece));
		rest = slice_skip(rest, piece);
	}
}

/* What the server would refuse too, but only after everything was sent. */
static int rendered_check(const struct prepare_request *request, struct err *err)
{
	uint64_t bytes = 0;
	if (request->rendered_count > RENDERED_FILES_MAX)
		return err_set(err, ERR_USER, "%zu rendered files: the limit is %d", request->rendered_count,
			       RENDERED_FILES_MAX);
	for (size_t i = 0; i < request->rendered_count; i++)
		bytes += request->rendered[i].content.len;
	if (bytes > RENDERED_BYTES_MAX)
		return err_set(err, ERR_USER, "rendered files of %llu bytes: the limit is %d MB",
			       (unsigned long long)bytes, RENDERED_BYTES_MAX >> 20);
	return 0;
}

/* What the server is thought to lack goes out at once, without being asked for; but
 * where the live release is one nobody here knows, asking first costs a round trip
 * and saves the bytes. */
static struct offer *first_offer(struct link *link, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const struct server_state *state = &link->state;
	const struct server_activation *live = live_find(link);
	struct digest *kept = ARENA_NEW_ARRAY(&arena, state->activation_count + 1, struct digest);
	size_t kept_count = 0;
	for (size_t i = 0; i < state->activation_count; i++)
		if (state->activations[i].release_hex[0])
			kept[kept_count++] = state->activations[i].release;
	const struct digest *base = live && live->release_hex[0] ? &live->release
				    : kept_count		 ? &kept[0]
								 : NULL;
	bool known = !base || offers_knows(link->offers, base);
	struct offer *offer = offers_first(link->offers, kept, kept_count, known ? base : NULL,
					   known ? OFFER_LACKING : OFFER_NOTHING, err);
	if (!offer)
		return NULL;
	const struct digest *chosen = offer_base(offer);
	link->has_base = chosen != NULL;
	if (chosen)
		link->base = *chosen;
	return offer;
}

/* What goes out with the request, found out before anything is sent. */
static int prepare_plan(struct link *link, const struct prepare_request *request, struct offers *offers,
			struct offer **offer, struct buf *record, struct err *err)
{
	ASSERT(offers || request->from);
	link->offers = offers;
	link->has_base = link->objects_sent = link->lacking = link->carried = false;
	link->needed_count = 0;
	link->release = request->release;
	link->deployment = arena_strdup(&link->arena, request->deployment ? request->deployment : "");
	link->results.prepare = (struct prepare_result){0};
	link->results.activate = (struct activate_result){0};
	buf_clear(&link->carry);
	*offer = NULL;
	if (rendered_check(request, err) < 0 || (!request->from && !(*offer = first_offer(link, err))))
		return -1;
	request_put(link, record, request, offers ? offers_manifest(offers)->bytes.len : 0);
	return buf_check(record, "a request to a server", err);
}

static int carry_plan(struct link *link, const struct carry_request *carry, struct err *err)
{
	if (!carry)
		return 0;
	carry_put(&link->carry, carry, epoch_of(link));
	link->carry_records = carry->record != NULL;
	return buf_check(&link->carry, "a request to a server", err);
}

static void prepare_send(struct link *link, const struct prepare_request *request, struct offer *offer,
			 struct buf *record)
{
	bool sent = link_send_record(link, request->from ? MSG_RESTORE : MSG_PREPARE, record);
	for (size_t i = 0; i < request->rendered_count && sent; i++) {
		rendered_send(link, &request->rendered[i]);
		sent = link->status == LINK_BUSY;
	}
	if (sent && offer)
		stream_begin(link, offer);
	else if (sent)
		offered_send_last(link);
}

static const char *step_of(const struct prepare_request *request)
{
	return request->from ? "restore" : "prepare";
}

void link_prepare(struct link *link, const struct prepare_request *request, struct offers *offers)
{
	AUTO(buf_free) struct buf record = BUF_SECRET(RECORD_LEN_MAX);
	struct err err = ERR_INIT;
	struct offer *offer;
	if (prepare_plan(link, request, offers, &offer, &record, &err) < 0) {
		link_refuse_idle(link, step_of(request), &err);
		return;
	}
	link_begin(link, request->from ? MSG_RESTORE : MSG_PREPARE, step_of(request));
	if (link->status == LINK_BUSY)
		prepare_send(link, request, offer, &record);
}

void link_lease_prepare(struct link *link, const struct lease_request *lease,
			const struct prepare_request *request, const struct carry_request *carry,
			struct offers *offers)
{
	AUTO(buf_free) struct buf record = BUF_SECRET(RECORD_LEN_MAX);
	struct err err = ERR_INIT;
	struct offer *offer;
	if (prepare_plan(link, request, offers, &offer, &record, &err) < 0 || carry_plan(link, carry, &err) < 0) {
		link_refuse_idle(link, step_of(request), &err);
		return;
	}
	link_begin_early(link, MSG_LEASE, "lease");
	if (link->status == LINK_BUSY)
		lease_send(link, lease);
	if (link->status != LINK_BUSY)
		return;
	link_begin_behind(link, request->from ? MSG_RESTORE : MSG_PREPARE, step_of(request));
	prepare_send(link, request, offer, &record);
}

/* --- answers -------------------------------------------------------------------------- */

static int need_take(struct link *link, const struct record *record, struct err *err)
{
	size_t most = link->offers ? offers_manifest(link->offers)->count : MANIFEST_ENTRIES_MAX;
	size_t cursor = 0;
	struct slice value;
	while (record_next(record, "digest", &cursor, &value)) {
		if (link->needed_count >= most)
			return err_set(err, ERR_INTERNAL, "the server asks for more than the release holds");
		if (link->needed_count == link->needed_cap) {
			link->needed_cap = link->needed_cap ? 2 * link->needed_cap : 256;
			link->needed = mem_grow(link->needed, link->needed_cap, sizeof(*link->needed));
		}
		if (!digest_from_hex(value, &link->needed[link->needed_count++]))
			return err_set(err, ERR_INTERNAL, "the server asks for what is not a digest");
	}
	return 0;
}

/* Nothing more can be offered. An empty offer says so, and the server refuses. */
static int give_up(struct link *link, const struct err *why)
{
	if (link->lacking) {
		link_lose(link, &link->lacking_failure);
		return 0;
	}
	link->lacking = true;
	link->lacking_failure = *why;
	offered_send(link);
	return 0;
}

static int lacking_take(struct link *link, struct err *err)
{
	struct err why = ERR_INIT;
	prepare_carry_off(link);
	if (link->results.prepare.rounds >= LINK_ROUNDS_MAX)
		return err_set(err, ERR_INTERNAL, "the server still lacks %zu objects after %d rounds",
			       link->needed_count, LINK_ROUNDS_MAX);
	if (link->lacking)
		return give_up(link, &link->lacking_failure);
	if (!link->offers) {
		char hex[DIGEST_HEX_LEN + 1] = "";
		if (link->needed_count)
			digest_to_hex(&link->needed[0], hex);
		err_set(&why, ERR_NOT_FOUND,
			"%zu objects are not on the server, and the release is not in the store: %s%s",
			link->needed_count, hex, link->needed_count > 1 ? ", ..." : "");
		return give_up(link, &why);
	}
	const struct server_activation *live = live_find(link);
	struct offer *offer = offers_exactly(link->offers, link->needed, link->needed_count,
					     live && live->release_hex[0] ? &live->release : NULL,
					     link->objects_sent, &why);
	link->needed_count = 0;
	if (!offer)
		return give_up(link, &why);
	stream_begin(link, offer);
	return 0;
}

static void prepared_take(struct link *link, const struct record *record)
{
	struct prepare_result *prepare = &link->results.prepare;
	prepare->name = link_text(link, record, "name");
	prepare->number = record_get_u64(record, "number", 0);
	prepare->files = record_get_u64(record, "files", 0);
	prepare->linked = record_get_u64(record, "linked", 0);
	prepare->copied = record_get_u64(record, "copied", 0);
	prepare->received = record_get_u64(record, "received", 0);
	prepare->received_bytes = record_get_u64(record, "received_bytes", 0);
	prepare->healed = record_get_u64(record, "healed", 0);
	prepare->edits = record_get_u64(record, "edits", 0);
	prepare->rendered = record_get_u64(record, "rendered", 0);
	prepare->sent_bytes = link->bytes_sent - link->bytes_sent_before;
}

int prepare_take(struct link *link, uint8_t type, const struct record *record, struct err *err)
{
	struct err refusal = ERR_INIT;
	switch (type) {
	case MSG_NEED:
		return need_take(link, record, err);
	case MSG_LACKING:
		return lacking_take(link, err);
	case MSG_PREPARED:
		prepared_take(link, record);
		link_note_prepared(link);
		link_finish(link);
		return 0;
	case MSG_REFUSED:
		link_refusal(record, &refusal);
		link_refuse(link, link->lacking ? &link->lacking_failure : &refusal);
		return 0;
	case MSG_EDIT:
		return 0; /* SCAN names them; here they are only counted */
	default:
		return link_take_answer(link, type, record, err);
	}
}
