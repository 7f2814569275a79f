#include "engine/engine.h"

#include "engine/fleet_of.h"

#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signals;

static void on_signal(int number)
{
	(void)number;
	if (++stop_signals > 1)
		_exit(ERR_INTERRUPTED);
}

static struct sigaction earlier_int, earlier_term;
static bool watching;

void engine_watch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	if (watching)
		return;
	watching = true;
	sigaction(SIGINT, &action, &earlier_int);
	sigaction(SIGTERM, &action, &earlier_term);
}

void engine_release_signals(void)
{
	if (!watching)
		return;
	watching = false;
	sigaction(SIGINT, &earlier_int, NULL);
	sigaction(SIGTERM, &earlier_term, NULL);
}

bool engine_stopped(void) { return stop_signals > 0; }

static const char *who_are_we(struct arena *arena)
{
	char host[256] = "unknown";
	const char *user = getenv("USER");

	if (!user || !*user)
		user = getenv("LOGNAME");
	gethostname(host, sizeof(host) - 1);
	return user && *user ? arena_printf(arena, "%s@%s", user, host)
			     : arena_printf(arena, "uid%ju@%s", (uintmax_t)geteuid(), host);
}

static int load_project(struct engine *engine, struct err *err)
{
	struct diags diags = DIAGS_INIT(&engine->arena);
	const char *path = engine->project_file ? engine->project_file : engine->directory;
	struct project_reading reading = { 0 };

	if (home_locate(&engine->arena, &reading.home, err))
		return -1;
	if (project_load_with(&engine->arena, path, &reading, &engine->project, &diags, err) == 0)
		return 0;
	if (diags.errors) {
		AUTO(buf_free) struct buf text = BUF_INIT(256 << 10);
		diags_print(&diags, &text);
		struct slice shown = slice_trim(buf_slice(&text));
		char hint[ERR_HINT_MAX];
		snprintf(hint, sizeof(hint), "%s", err->hint);
		err_set(err, ERR_USER, "%.*s", SLICE_ARG(shown));
		if (*hint)
			err_hint(err, "%s", hint);
	}
	return -1;
}

int engine_open(struct engine *engine, bool with_project, struct err *err)
{
	engine->who = who_are_we(&engine->arena);
	engine->events.fd = -1;
	if (with_project && load_project(engine, err))
		return -1;
	if (home_open(&engine->arena, NULL, &engine->home, err))
		return -1;
	return store_open(engine->home.store, &engine->store, err);
}

void engine_fetch_ahead(struct engine *engine)
{
	struct err err = ERR_INIT;
	int ends[2];

	if (engine->fetch_pid || pipe2(ends, O_CLOEXEC) != 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		struct source *source = NULL;
		close(ends[0]);
		/* A first fetch may take long and has progress to show: silence leaves it to us. */
		if (source_open(engine->home.path, engine->project->source, engine->project->dir, &source, &err) ||
		    !source_has_mirror(source))
			_exit(0);
		(void)!source_fetch(source, NULL, &err);
		(void)!write(ends[1], &err, sizeof(err));
		_exit(0);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return;
	}
	engine->fetch_pid = pid;
	engine->fetch_fd = ends[0];
}

/* 0: fetched; 1: failed, err says why; -1: nothing was begun, or it was cut off. */
static int fetched_ahead(struct engine *engine, struct err *err)
{
	size_t got = 0;
	struct err said;

	if (!engine->fetch_pid)
		return -1;
	int result = fd_read_full(engine->fetch_fd, &said, sizeof(said), &got, err);
	close_fd(&engine->fetch_fd);
	while (waitpid(engine->fetch_pid, NULL, 0) < 0 && errno == EINTR)
		;
	engine->fetch_pid = 0;
	if (result || got != sizeof(said))
		return -1;
	*err = said;
	return said.code ? 1 : 0;
}

void engine_close(struct engine *engine)
{
	struct err unheard = ERR_INIT;

	if (engine->fetch_pid && fetched_ahead(engine, &unheard) > 0)
		log_info("fetch: %s", unheard.text);
	source_close(&engine->source);
	store_close(&engine->store);
	home_close(&engine->home);
	fleet_relays_close(engine);
	events_close(&engine->events);
	arena_free(&engine->arena);
}

static bool stopped(void *context)
{
	(void)context;
	return engine_stopped();
}

static void tell_progress(void *context, const char *line)
{
	struct engine *engine = context;

	event_emit(&engine->events, "progress", json_pack("{s:s, s:s}", "step", "fetch", "text", line));
}

int engine_source(struct engine *engine, bool fetch, struct source **out, struct err *err)
{
	const struct source_watch watch = { tell_progress, stopped, engine };

	if (!engine->source &&
	    source_open(engine->home.path, engine->project->source, engine->project->dir, &engine->source, err))
		return -1;
	*out = engine->source;
	if (!fetch || engine->fetched)
		return 0;
	engine->fetched = true;
	engine_watch_signals();
	event_step(&engine->events, "fetch", source_url(engine->source));
	int fetched = fetched_ahead(engine, err);
	if (fetched < 0)
		fetched = source_fetch(engine->source, &watch, err) ? 1 : 0;
	if (fetched == 0)
		return 0;
	if (err->code == ERR_NETWORK && source_has_mirror(engine->source)) {
		event_note(&engine->events, "warn", "the source cannot be reached; going on with what was fetched before (%s)",
			   err->text);
		err_clear(err);
		return 0;
	}
	return err_wrap(err, "fetching %s", source_url(engine->source));
}
