#include "agent/state.h"

#include "agent/journal.h"
#include "base/fault.h"
#include "base/fd.h"

#include <stdio.h>

enum { STATE_BYTES_MAX = 256 << 10 };

static int parse_line(struct state *state, struct slice line, struct err *err)
{
	struct record record;

	if (record_parse_sealed(&state->arena, line, &record, err))
		return -1;
	if (slice_is(record.kind, "pending")) {
		state->pending = record;
		return 0;
	}
	if (!slice_is(record.kind, "state"))
		return err_set(err, ERR_INTERNAL, "unknown record %.*s", SLICE_ARG(record.kind));
	if (record_need_u64(&record, "layout", &state->layout, err) ||
	    record_need_u64(&record, "epoch", &state->epoch, err) || record_need_u64(&record, "next", &state->next, err))
		return -1;
	state->place_id = record_get_str(&state->arena, &record, "place_id");
	state->project = record_get_str(&state->arena, &record, "project");
	state->environment = record_get_str(&state->arena, &record, "environment");
	return 0;
}

/* The file was lost, or moved away because it was damaged: the journal knows whose
 * place this is, and which numbers were given. */
static int rebuild(const struct place *place, struct state *state, struct err *err)
{
	struct journal_place known;

	if (journal_place(place, &state->arena, &known, err))
		return -1;
	state->place_id = known.place_id;
	state->project = known.project;
	state->environment = known.environment;
	state->next = known.number + 1;
	return 0;
}

int state_load(const struct place *place, struct state *state, struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(STATE_BYTES_MAX);

	*state = (struct state){ .next = 1, .place_id = "", .project = "", .environment = "" };
	if (place->private_fd < 0)
		return 0;
	if (file_read_at(place->private_fd, "state", &bytes, err)) {
		if (err->code != ERR_NOT_FOUND)
			return err_wrap(err, "%s/.lockstep/state", place->path);
		err_clear(err);
		return rebuild(place, state, err);
	}
	for (struct slice rest = buf_slice(&bytes); rest.len;) {
		if (parse_line(state, slice_cut(&rest, '\n'), err)) {
			err->code = ERR_INTERNAL;
			err_wrap(err, "%s/.lockstep/state is damaged", place->path);
			return err_hint(err, "`current` and the journal still say what is live; move the file away and "
					     "deploy again to begin a new one");
		}
	}
	if (state->layout > PLACE_LAYOUT) {
		err_set(err, ERR_CONFLICT, "%s was laid out by a newer lockstep (layout %llu, this one knows %d)",
			place->path, (unsigned long long)state->layout, PLACE_LAYOUT);
		return err_hint(err, "use that version, or a newer one");
	}
	return 0;
}

int state_follow_journal(const struct place *place, struct state *state, struct err *err)
{
	bool closed;

	if (!state_has_pending(state))
		return 0;
	if (journal_is_closed(place, state_pending(state, "name"), &closed, err))
		return -1;
	if (closed)
		state_clear_pending(state);
	return 0;
}

static void put_record(struct buf *out, const struct record *record, const char *skip_key, const char *value)
{
	char kind[64];

	snprintf(kind, sizeof(kind), "%.*s", SLICE_ARG(record->kind));
	record_begin(out, kind);
	for (size_t i = 0; i < record->field_count; i++) {
		char key[64];
		snprintf(key, sizeof(key), "%.*s", SLICE_ARG(record->fields[i].key));
		if (skip_key && strcmp(key, skip_key) == 0)
			continue;
		record_put(out, key, record->fields[i].value);
	}
	if (skip_key)
		record_put_str(out, skip_key, value);
}

int state_save(const struct place *place, const struct state *state, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(STATE_BYTES_MAX);

	record_begin(&text, "state");
	record_put_u64(&text, "layout", PLACE_LAYOUT);
	record_put_str(&text, "place_id", state->place_id);
	record_put_str(&text, "project", state->project);
	record_put_str(&text, "environment", state->environment);
	record_put_u64(&text, "epoch", state->epoch);
	record_put_u64(&text, "next", state->next);
	record_seal(&text, 0);
	if (state_has_pending(state)) {
		size_t start = text.len;
		put_record(&text, &state->pending, NULL, NULL);
		record_seal(&text, start);
	}
	if (buf_check(&text, "the state", err) || fault_point("agent.state.before_save", err))
		return -1;
	if (file_replace_at(place->private_fd, "state", buf_slice(&text), 0600, err))
		return err_wrap(err, "%s/.lockstep", place->path);
	fault_mark("agent.state.after_save");
	return 0;
}

void state_free(struct state *state)
{
	arena_free(&state->arena);
	*state = (struct state){ 0 };
}

bool state_has_pending(const struct state *state) { return state->pending.kind.len > 0; }

const char *state_pending(struct state *state, const char *key)
{
	return record_get_str(&state->arena, &state->pending, key);
}

int state_set_pending(struct state *state, struct slice text, struct err *err)
{
	return record_parse(&state->arena, text, &state->pending, err);
}

void state_clear_pending(struct state *state) { state->pending = (struct record){ 0 }; }

int state_set_phase(struct state *state, const char *phase, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(STATE_BYTES_MAX);

	put_record(&text, &state->pending, "phase", phase);
	return buf_check(&text, "the state", err) ? -1 : state_set_pending(state, buf_slice(&text), err);
}
