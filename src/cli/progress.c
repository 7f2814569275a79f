#include "cli/progress.h"

#include "base/arena.h"
#include "base/clock.h"
#include "cli/render.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SERVERS_MAX = 64, REDRAW_MS = 80 };

struct bar {
	char server[64];
	char step[24];
	char state[16];
	int64_t files, files_total, bytes, bytes_total;
	int64_t begun_ms;
};

struct progress {
	enum progress_mode mode;
	bool plan; /* what is shown is a plan, which names the release itself */
	struct terminal terminal;
	struct bar bars[SERVERS_MAX];
	size_t bar_count;
	size_t drawn; /* lines on the screen that are ours */
	int64_t drawn_ms;
};

static const char *str(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static int64_t num(const json_t *object, const char *key) { return json_integer_value(json_object_get(object, key)); }

static void erase(struct progress *p)
{
	for (; p->drawn; p->drawn--)
		fputs("\033[1A\033[2K", stderr);
}

static struct bar *bar_of(struct progress *p, const char *server)
{
	for (size_t i = 0; i < p->bar_count; i++)
		if (strcmp(p->bars[i].server, server) == 0)
			return &p->bars[i];
	if (p->bar_count == SERVERS_MAX)
		return NULL;
	struct bar *bar = &p->bars[p->bar_count++];
	*bar = (struct bar){ 0 };
	snprintf(bar->server, sizeof(bar->server), "%s", server);
	return bar;
}

static void draw_bar(struct progress *p, const struct bar *bar)
{
	enum { WIDTH = 24 };
	AUTO(buf_free) struct buf line = BUF_INIT(4096);
	int64_t done = bar->bytes_total ? bar->bytes : bar->files;
	int64_t total = bar->bytes_total ? bar->bytes_total : bar->files_total;

	buf_puts(&line, "  ");
	size_t before = line.len;
	buf_put_visible(&line, slice_of(bar->server));
	while (line.len - before < 20)
		buf_putc(&line, ' ');
	buf_printf(&line, " %-10.10s ", bar->step);
	if (strcmp(bar->state, "done") == 0) {
		buf_printf(&line, "%sdone%s", style_begin(p->terminal.colour_err, STYLE_GOOD),
			   style_end(p->terminal.colour_err, STYLE_GOOD));
	} else if (strcmp(bar->state, "failed") == 0) {
		buf_printf(&line, "%sfailed%s", style_begin(p->terminal.colour_err, STYLE_BAD),
			   style_end(p->terminal.colour_err, STYLE_BAD));
	} else if (total > 0) {
		int64_t filled = MIN(done * WIDTH / total, (int64_t)WIDTH);
		for (int i = 0; i < WIDTH; i++)
			buf_putc(&line, i < filled ? '#' : '.');
		buf_printf(&line, " %3lld%%", (long long)MIN(done * 100 / total, (int64_t)100));
		if (bar->bytes_total) {
			buf_putc(&line, ' ');
			render_bytes(&line, bar->bytes);
		} else {
			buf_printf(&line, " %lld files", (long long)bar->files);
		}
		int64_t spent = clock_mono_ms() - bar->begun_ms;
		if (done > 0 && done < total && spent > 1000) {
			buf_puts(&line, ", ");
			clock_put_duration(&line, spent * (total - done) / done);
			buf_puts(&line, " left");
		}
	}
	fprintf(stderr, "%s\n", buf_str(&line));
	p->drawn++;
}

static void draw(struct progress *p, bool now)
{
	if (!now && clock_mono_ms() - p->drawn_ms < REDRAW_MS)
		return;
	p->drawn_ms = clock_mono_ms();
	erase(p);
	for (size_t i = 0; i < p->bar_count; i++)
		draw_bar(p, &p->bars[i]);
	fflush(stderr);
}

/* One line above the bars. */
static void say(struct progress *p, enum style style, const char *head, const char *server, const char *text)
{
	AUTO(buf_free) struct buf line = BUF_INIT(64 << 10);

	buf_puts(&line, style_begin(p->terminal.colour_err, style));
	buf_puts(&line, head);
	buf_puts(&line, style_end(p->terminal.colour_err, style));
	if (*server) {
		buf_put_visible(&line, slice_of(server));
		buf_puts(&line, *text ? ": " : "");
	}
	/* Lines of a text stay lines. */
	struct slice rest = slice_trim(slice_of(text));
	for (bool first = true; rest.ptr; first = false) {
		struct slice part = slice_cut(&rest, '\n');
		if (!first)
			buf_puts(&line, "\n  ");
		buf_put_visible(&line, part);
	}
	erase(p);
	fprintf(stderr, "%s\n", buf_str(&line));
}

static void on_server(struct progress *p, const json_t *event)
{
	const char *server = str(event, "server"), *step = str(event, "step"), *state = str(event, "state");

	if (strcmp(state, "waiting") == 0)
		say(p, STYLE_WARN, "waiting   ", server, str(event, "text"));
	else if (strcmp(state, "warning") == 0)
		say(p, STYLE_WARN, "warning   ", server, str(event, "text"));
	if (p->mode == PROGRESS_LINES) {
		/* Failures are told once, in the error at the end. */
		if (strcmp(state, "done") == 0 && (strcmp(step, "prepare") == 0 || strcmp(step, "activate") == 0 ||
						   strcmp(step, "verify") == 0 || strcmp(step, "revert") == 0)) {
			char text[64];
			snprintf(text, sizeof(text), "%s done", step);
			say(p, STYLE_DIM, "          ", server, text);
		}
		return;
	}
	struct bar *bar = bar_of(p, server);
	if (!bar || strcmp(state, "waiting") == 0 || strcmp(state, "warning") == 0)
		return;
	if (strcmp(bar->step, step) != 0 || strcmp(state, "begun") == 0) {
		*bar = (struct bar){ .begun_ms = clock_mono_ms() };
		snprintf(bar->server, sizeof(bar->server), "%s", server);
		snprintf(bar->step, sizeof(bar->step), "%s", step);
	}
	snprintf(bar->state, sizeof(bar->state), "%s", state);
}

static void on_progress(struct progress *p, const json_t *event)
{
	struct bar *bar = *str(event, "server") ? bar_of(p, str(event, "server")) : NULL;

	if (!bar)
		return;
	if (*str(event, "phase"))
		snprintf(bar->step, sizeof(bar->step), "%s", str(event, "phase"));
	bar->files = num(event, "files");
	bar->files_total = num(event, "files_total");
	bar->bytes = num(event, "bytes");
	bar->bytes_total = num(event, "bytes_total");
}

/* Steps are written as what is being done. */
static const struct {
	const char *step, *words;
} steps[] = {
	{ "connect", "connecting to" },	 { "fetch", "fetching" },     { "build", "building" },
	{ "lease", "taking the lease" }, { "parity", "comparing with" }, { "prepare", "preparing" },  { "activate", "activating" },
	{ "reload", "reloading" },	 { "verify", "verifying" },   { "go-back", "going back:" },
	{ "abandon", "taking back what was prepared" },
	{ "fetch-back", "fetching the release back from a server" },
};

static void on_step(struct progress *p, const json_t *event)
{
	const char *step = str(event, "step");
	char head[96];

	snprintf(head, sizeof(head), "hook %s", step);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		if (strcmp(steps[i].step, step) == 0)
			snprintf(head, sizeof(head), "%s", steps[i].words);
	bool back = strcmp(step, "go-back") == 0;
	if (*str(event, "text"))
		strncat(head, " ", sizeof(head) - strlen(head) - 1);
	say(p, back ? STYLE_BAD : STYLE_ACCENT, head, "", str(event, "text"));
	p->bar_count = 0;
}

static void on_note(struct progress *p, const json_t *event)
{
	const char *level = str(event, "level");

	say(p, *level == 'w' ? STYLE_WARN : *level == 'b' ? STYLE_BAD : *level == 'g' ? STYLE_GOOD : STYLE_DIM,
	    *level == 'w'   ? "warning   "
	    : *level == 'b' ? "problem   "
			    : "note      ",
	    "", str(event, "text"));
}

static void on_edit(struct progress *p, const json_t *event)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s was %s by hand", str(event, "path"), str(event, "kind"));
	say(p, STYLE_WARN, "edited    ", str(event, "server"), text);
}

static void on_release(struct progress *p, const json_t *event)
{
	char text[128];

	snprintf(text, sizeof(text), "%.12s, %s", str(event, "release"), str(event, "from"));
	say(p, STYLE_DIM, "release   ", "", text);
}

static void handle(void *context, const json_t *event)
{
	struct progress *p = context;
	const char *name = str(event, "event");

	if (p->mode == PROGRESS_JSON) {
		AUTO(buf_free) struct buf line = BUF_INIT(1 << 20);
		json_put(&line, event);
		printf("%s\n", buf_str(&line));
		fflush(stdout);
		return;
	}
	if (p->mode == PROGRESS_QUIET)
		return;
	bool important = true;
	if (strcmp(name, "step") == 0)
		on_step(p, event);
	else if (strcmp(name, "note") == 0)
		on_note(p, event);
	else if (strcmp(name, "edit") == 0)
		on_edit(p, event);
	else if (strcmp(name, "release") == 0 && !p->plan) /* a plan begins with it */
		on_release(p, event);
	else if (strcmp(name, "build") == 0)
		say(p, STYLE_DIM, "          ", "", str(event, "text"));
	else if (strcmp(name, "output") == 0)
		say(p, STYLE_DIM, "        | ", str(event, "server"), str(event, "text"));
	else if (strcmp(name, "server") == 0)
		on_server(p, event);
	else if (strcmp(name, "progress") == 0) {
		on_progress(p, event);
		important = false;
	}
	if (p->mode == PROGRESS_BARS)
		draw(p, important);
}

struct progress *progress_new(enum progress_mode mode, const struct terminal *terminal, bool plan)
{
	struct progress *p = mem_alloc(sizeof(*p));

	p->plan = plan;

	p->mode = mode;
	p->terminal = *terminal;
	return p;
}

struct event_sink progress_sink(struct progress *progress) { return (struct event_sink){ handle, progress }; }

void progress_finish(struct progress *progress)
{
	erase(progress);
	progress->bar_count = 0;
	fflush(stderr);
}

void progress_free(struct progress **progress)
{
	free(*progress);
	*progress = NULL;
}
