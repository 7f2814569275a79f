#include "engine/event.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

enum { EVENT_LINE_MAX = 256 << 10 };

void event_mask(struct events *events, struct secret value)
{
	if (!events->mask)
		events->mask = mask_open();
	mask_add_secret(events->mask, value);
}

void events_close(struct events *events)
{
	close_fd(&events->fd);
	mask_close(&events->mask);
}

/* Every text of a value of JSON, keys apart: those are ours. */
static void mask_json(struct mask *mask, json_t *json)
{
	size_t index;
	const char *key;
	json_t *value;

	if (json_is_string(json)) {
		AUTO(buf_free) struct buf text = BUF_INIT(EVENT_LINE_MAX);
		struct slice plain = slice_make(json_string_value(json), json_string_length(json));
		mask_text(mask, plain, &text);
		/* What is too long to be masked is not shown. */
		if (text.overflow)
			json_string_set_nocheck(json, MASK_TEXT);
		else if (!slice_equal(buf_slice(&text), plain))
			json_string_setn_nocheck(json, buf_str(&text), text.len);
	}
	json_array_foreach(json, index, value)
		mask_json(mask, value);
	json_object_foreach(json, key, value)
		mask_json(mask, value);
}

void event_emit(struct events *events, const char *name, json_t *fields)
{
	json_t *event = json_object();

	json_object_set_new(event, "event", json_string(name));
	json_object_set_new(event, "at", json_integer(clock_wall_ms()));
	if (events->run)
		json_object_set_new(event, "run", json_string(events->run));
	if (fields)
		json_object_update(event, fields);
	json_decref(fields);
	if (events->mask)
		mask_json(events->mask, event);
	if (events->fd >= 0) {
		struct buf line = BUF_INIT(EVENT_LINE_MAX);
		struct err err = ERR_INIT;
		json_put(&line, event);
		buf_putc(&line, '\n');
		/* The file serves those who look later; a full disk must not stop a deployment. */
		if (!line.overflow && fd_write_all(events->fd, line.ptr, line.len, &err))
			log_warn("events: %s", err.text);
		buf_free(&line);
	}
	if (events->sink.handle)
		events->sink.handle(events->sink.context, event);
	json_decref(event);
}

void event_step(struct events *events, const char *step, const char *text)
{
	event_emit(events, "step", json_pack("{s:s, s:o}", "step", step, "text", json_cstr(text)));
}

void event_note(struct events *events, const char *level, const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	event_emit(events, "note", json_pack("{s:s, s:o}", "level", level, "text", json_text(slice_of(text))));
}

void event_server(struct events *events, const char *server, const char *step, const char *state, const char *text)
{
	json_t *fields = json_pack("{s:s, s:s, s:s}", "server", server, "step", step, "state", state);

	if (text)
		json_object_set_new(fields, "text", json_text(slice_of(text)));
	event_emit(events, "server", fields);
}
