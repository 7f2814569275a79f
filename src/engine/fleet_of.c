#include "engine/fleet_of.h"

#include "model/seen_place.h"

/* What hooks print, masked also where a value is cut in two. */
struct relay_stream {
	struct relay_context *relay;
	const char *server;
	bool is_stderr;
	struct mask_stream mask;
	struct buf line; /* masked, up to the end of its line */
};

enum { OUTPUT_LINE_MAX = 64 << 10 };

struct relay_context {
	struct engine *engine;
	const struct environment *environment;
	struct relay_stream *streams; /* two a server */
	struct relay_context *next;
};

static void emit_lines(struct relay_stream *stream, struct slice bytes)
{
	event_emit(&stream->relay->engine->events, "output",
		   json_pack("{s:s, s:s, s:o}", "server", stream->server, "stream", stream->is_stderr ? "err" : "out",
			     "text", json_text(bytes)));
}

/* The mask hands out pieces; people get whole lines. */
static int take_masked(void *context, struct slice bytes, struct err *err)
{
	struct relay_stream *stream = context;
	size_t whole;

	(void)err;
	if (stream->line.len + bytes.len > OUTPUT_LINE_MAX) {
		emit_lines(stream, buf_slice(&stream->line));
		buf_clear(&stream->line);
	}
	if (bytes.len > OUTPUT_LINE_MAX) {
		emit_lines(stream, bytes);
		return 0;
	}
	buf_put_slice(&stream->line, bytes);
	for (whole = stream->line.len; whole > 0 && stream->line.ptr[whole - 1] != '\n'; whole--)
		;
	if (whole) {
		emit_lines(stream, slice_make(stream->line.ptr, whole));
		buf_consume(&stream->line, whole);
	}
	return 0;
}

static void pass_output(struct relay_context *relay, const struct target_event *event)
{
	struct relay_stream *stream = &relay->streams[event->server * 2 + event->is_stderr];
	struct err unheard = ERR_INIT;

	stream->mask.mask = relay->engine->events.mask;
	if (!stream->mask.mask)
		emit_lines(stream, event->text);
	else if (mask_stream_put(&stream->mask, event->text, &unheard))
		event_note(&relay->engine->events, "warn", "%s: some output was left out", stream->server);
}

/* A command has ended: what was held back is whole now. */
static void end_output(struct relay_context *relay, size_t server)
{
	struct err unheard = ERR_INIT;

	for (size_t i = server * 2; i < server * 2 + 2; i++) {
		struct relay_stream *stream = &relay->streams[i];
		if (!stream->mask.mask)
			continue;
		(void)!mask_stream_flush(&stream->mask, &unheard);
		if (stream->line.len)
			emit_lines(stream, buf_slice(&stream->line));
		buf_clear(&stream->line);
	}
}

/* Target events become events for people; see event.h. */
static void pass_event(void *context, const struct target_event *event)
{
	struct relay_context *relay = context;
	struct events *events = &relay->engine->events;
	const char *server = relay->environment->servers.items[event->server].place.text;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *text = arena_str(&arena, event->text);

	/* A look at a server's health is one of many; verify.c tells when it passed. */
	if (strcmp(event->step, "verify") == 0 && event->kind != TARGET_EVENT_OUTPUT && event->kind != TARGET_EVENT_WARNING)
		return;
	if (event->kind != TARGET_EVENT_OUTPUT && event->kind != TARGET_EVENT_PROGRESS)
		end_output(relay, event->server);
	switch (event->kind) {
	case TARGET_EVENT_STEP:
		event_server(events, server, event->step, "begun", NULL);
		break;
	case TARGET_EVENT_DONE:
		event_server(events, server, event->step, "done", NULL);
		break;
	case TARGET_EVENT_FAILED:
		event_server(events, server, event->step, "failed", text);
		break;
	case TARGET_EVENT_WAITING:
		event_server(events, server, event->step, "waiting", text);
		break;
	case TARGET_EVENT_WARNING:
		event_server(events, server, event->step, "warning", text);
		break;
	case TARGET_EVENT_OUTPUT:
		pass_output(relay, event);
		break;
	case TARGET_EVENT_PROGRESS:
		event_emit(events, "progress",
			   json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "server", server, "step", event->step,
				     "phase", event->phase ? event->phase : "", "files", (json_int_t)event->files,
				     "files_total", (json_int_t)event->files_total, "bytes", (json_int_t)event->bytes,
				     "bytes_total", (json_int_t)event->bytes_total));
		break;
	}
}

struct place_address server_address(const struct server *server)
{
	const struct place *place = &server->place;

	return (struct place_address){
		.kind = place->kind,
		.user = place->user,
		.host = place->host,
		.port = (uint16_t)place->port,
		.path = place->path,
		.text = place->text,
	};
}

bool server_is_new(struct engine *engine, const struct environment *environment, const struct server *server)
{
	struct seen_place seen;
	struct err unread = ERR_INIT;
	bool found = false;

	return seen_place_find(engine->home.db, &engine->arena, engine->project->name, environment->name,
			       server_key(&engine->arena, server), &found, &seen, &unread) == 0 &&
	       (!found || !seen.place_id);
}

int fleet_begin_environment(struct engine *engine, const struct environment *environment, bool observe,
			    struct fleet **fleet_out, struct err *err)
{
	struct arena *arena = &engine->arena;
	size_t count = environment->servers.count;
	struct place_address *addresses = ARENA_NEW_ARRAY(arena, count, struct place_address);
	struct relay_context *context = ARENA_NEW(arena, struct relay_context);

	*context = (struct relay_context){
		.engine = engine,
		.environment = environment,
		.streams = ARENA_NEW_ARRAY(arena, count * 2, struct relay_stream),
		.next = engine->relays,
	};
	engine->relays = context;
	for (size_t i = 0; i < count * 2; i++)
		context->streams[i] = (struct relay_stream){
			.relay = context,
			.server = environment->servers.items[i / 2].place.text,
			.is_stderr = i % 2,
			.mask = { .sink = take_masked, .context = &context->streams[i] },
			.line = BUF_INIT(2 * OUTPUT_LINE_MAX),
		};
	bool *is_new = ARENA_NEW_ARRAY(arena, count, bool);
	for (size_t i = 0; i < count; i++) {
		addresses[i] = server_address(&environment->servers.items[i]);
		is_new[i] = server_is_new(engine, environment, &environment->servers.items[i]);
	}
	struct fleet_options options = {
		.observe = observe,
		.handle_signals = true,
		/* Every use begins by looking at what is live: the look travels with the greeting. */
		.scan_at_once = true,
		.push_agent = is_new,
		.events = { pass_event, context },
	};
	event_step(&engine->events, "connect", environment->name);
	return fleet_begin(addresses, count, &options, fleet_out, err);
}

int fleet_of_environment(struct engine *engine, const struct environment *environment, bool observe,
			 struct fleet **fleet_out, struct err *err)
{
	return fleet_begin_environment(engine, environment, observe, fleet_out, err) ? -1
										     : fleet_connected(*fleet_out, err);
}

const char *server_label(struct arena *arena, const struct server *server)
{
	return place_label(arena, &server->place);
}

const char *server_key(struct arena *arena, const struct server *server) { return place_key(arena, &server->place); }

const struct server_activation *state_activation(const struct server_state *state, const char *name)
{
	for (size_t i = 0; state && i < state->activation_count; i++)
		if (strcmp(state->activations[i].name, name) == 0)
			return &state->activations[i];
	return NULL;
}

const struct server_activation *state_live(const struct server_state *state)
{
	return state ? state_activation(state, state->hello.live) : NULL;
}

bool state_is_ours(const struct server_state *state, const char *project, const char *environment)
{
	const struct server_hello *hello = &state->hello;

	return !*hello->project || (strcmp(hello->project, project) == 0 && strcmp(hello->environment, environment) == 0);
}

bool activation_is_good(const struct server_activation *activation)
{
	return activation &&
	       (strcmp(activation->verdict, "live") == 0 || strcmp(activation->verdict, "verified") == 0);
}

bool *servers_of_group(struct arena *arena, const struct environment *environment, const char *group, bool once)
{
	bool *which = ARENA_NEW_ARRAY(arena, environment->servers.count, bool);

	for (size_t i = 0; i < environment->servers.count; i++) {
		which[i] = server_in_group(&environment->servers.items[i], group);
		if (which[i] && once)
			break;
	}
	return which;
}

void fleet_relays_close(struct engine *engine)
{
	for (struct relay_context *relay = engine->relays; relay; relay = relay->next)
		for (size_t i = 0; i < relay->environment->servers.count * 2; i++) {
			mask_stream_free(&relay->streams[i].mask);
			buf_free(&relay->streams[i].line);
		}
	engine->relays = NULL;
}
