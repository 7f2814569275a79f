/* The command line: reads the words, runs the operation, shows events and the
 * result. Data go to standard output, messages to standard error. */
#include "cli/args.h"
#include "cli/help.h"
#include "cli/progress.h"
#include "cli/render.h"
#include "cli/report.h"
#include "cli/value.h"

#include "api/format.h"
#include "base/arena.h"
#include "base/log.h"
#include "seal/key_file.h"
#include "seal/mask.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { OUTPUT_MAX = 256 << 20 };

static void print(struct buf *text)
{
	if (text->len)
		fwrite(text->ptr, 1, text->len, stdout);
	fflush(stdout);
}

/* Foreign text in a message cannot draw on the terminal, but lines stay lines. */
static void put_lines(struct buf *out, const char *text, const char *indent)
{
	struct slice rest = slice_of(text);

	for (bool first = true; rest.ptr; first = false) {
		struct slice line = slice_cut(&rest, '\n');
		if (!first)
			buf_printf(out, "\n%s", indent);
		buf_put_visible(out, line);
	}
	buf_putc(out, '\n');
}

static void print_error(const struct err *err, const struct terminal *terminal)
{
	AUTO(buf_free) struct buf out = BUF_INIT(1 << 20);

	buf_printf(&out, "%slockstep: %s", style_begin(terminal->colour_err, STYLE_BAD),
		   style_end(terminal->colour_err, STYLE_BAD));
	put_lines(&out, err->text, "  ");
	if (*err->hint) {
		buf_puts(&out, "  ");
		put_lines(&out, err->hint, "  ");
	}
	fputs(buf_str(&out), stderr);
}

static void print_json_end(int code, const struct err *err, const json_t *result)
{
	AUTO(buf_wipe_free) struct buf out = BUF_SECRET(OUTPUT_MAX);
	json_t *end = json_pack("{s:s, s:b, s:i}", "event", "result", "ok", err == NULL, "exit", code);

	if (err)
		json_object_set_new(end, "error",
				    json_pack("{s:s, s:o, s:o}", "code", err_code_name(err->code), "text",
					      json_text(slice_of(err->text)), "hint", json_text(slice_of(err->hint))));
	if (result)
		json_object_update_missing(end, (json_t *)(uintptr_t)result);
	json_put(&out, end);
	buf_putc(&out, '\n');
	print(&out);
	json_decref(end);
}

static int show_help(const struct args *args, const struct terminal *terminal, struct err *err)
{
	AUTO(buf_free) struct buf out = BUF_INIT(4 << 20);

	if (!args->help_topic) {
		help_overview(&out, terminal->colour);
	} else if (strcmp(args->help_topic, "reference") == 0) {
		help_reference(&out);
	} else if (strcmp(args->help_topic, "exit-codes") == 0) {
		help_exit_codes(&out);
	} else {
		const struct operation *operation = operation_find(slice_of(args->help_topic));
		if (!operation) {
			const struct operation *nearest = operation_nearest(slice_of(args->help_topic));
			err_set(err, ERR_USER, "there is no verb \"%s\"", args->help_topic);
			return nearest ? err_hint(err, "did you mean `lockstep help %s`?", nearest->name)
				       : err_hint(err, "`lockstep help` lists all verbs");
		}
		help_operation(&out, operation, terminal->colour);
	}
	print(&out);
	return 0;
}

/* --format of operations that have it: refused before the work begins. `json` is --json. */
static int choose_format(struct args *args, const struct report_format **out, struct err *err)
{
	const char *name = args->operation ? input_str(args->input, "format") : NULL;
	bool json = name && strcmp(name, "json") == 0;

	*out = NULL;
	if (!name || json || (strcmp(name, "table") == 0 && !args->json)) {
		args->json |= json;
		return 0;
	}
	if (args->json)
		return err_set(err, ERR_USER, "--json and --format %s say two things", name);
	*out = report_format_find(name);
	if (*out)
		return 0;
	err_set(err, ERR_USER, "--format: there is no format \"%s\"", name);
	return err_hint(err, "there are " PARITY_FORMATS);
}

static int open_engine(struct engine *engine, enum operation_need need, struct err *err)
{
	if (need == NEED_NOTHING)
		return 0;
	if (need != NEED_PROJECT_IF_THERE)
		return engine_open(engine, need == NEED_PROJECT, err);
	if (engine_open(engine, true, err) == 0)
		return 0;
	/* One that is named, or is wrong, is told of. */
	if (err->code != ERR_NOT_FOUND || engine->project_file)
		return -1;
	err_clear(err);
	return engine_open(engine, false, err);
}

/* 0 or the exit code. */
static int run(const struct args *args, const struct report_format *format, struct progress *progress,
	       const struct terminal *terminal)
{
	const struct operation *operation = args->operation;
	struct err err = ERR_INIT;
	json_t *result = NULL;
	struct engine engine = { .directory = args->directory,
				 .project_file = args->project_file,
				 .home = HOME_INIT,
				 .events = { .sink = progress_sink(progress), .fd = -1 } };

	int failed = open_engine(&engine, operation->need, &err);
	if (!failed)
		failed = value_read_input(operation, args->input, &err);
	if (!failed)
		failed = operation->run(&engine, args->input, &result, &err);
	if (failed)
		mask_err(engine.events.mask, &err);
	progress_finish(progress);
	int64_t wanted = 0;
	int code = failed ? (err.code ? (int)err.code : ERR_INTERNAL)
		   : result && json_get_int(result, "exit", &wanted) ? (int)wanted
								     : 0;
	if (args->json) {
		print_json_end(code, failed ? &err : NULL, result);
	} else {
		AUTO(buf_wipe_free) struct buf out = BUF_INIT(OUTPUT_MAX);
		out.wipes = operation->shows_secret;
		if (result && format && !failed)
			format->write(result, &out);
		else if (result && !format)
			render_result(operation, args->input, result, terminal, &out);
		print(&out);
		if (out.wipes && out.len && isatty(STDOUT_FILENO))
			value_shown(operation, result);
		if (failed)
			print_error(&err, terminal);
	}
	json_decref(result);
	engine_close(&engine);
	return code;
}

int main(int argc, char **argv)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(args_free) struct args args = { 0 };
	struct terminal terminal;
	struct err err = ERR_INIT;

	mem_return_large();
	secret_harden_process();
	key_file_take_variables();
	log_setup("lockstep");
	signal(SIGPIPE, SIG_IGN);
	int failed = args_parse(&arena, argc, argv, &args, &err);
	terminal_probe(&terminal, args.no_colour);
	if (!failed && args.directory && chdir(args.directory) != 0)
		failed = err_errno(&err, "%s", args.directory);
	args.directory = NULL;
	if (!failed && args.help)
		failed = show_help(&args, &terminal, &err);
	const struct report_format *format = NULL;
	if (!failed && !args.help)
		failed = choose_format(&args, &format, &err);
	if (!failed && !args.help) {
		enum progress_mode mode = args.json	     ? PROGRESS_JSON
					  : args.quiet	     ? PROGRESS_QUIET
					  : terminal.is_tty ? PROGRESS_BARS
							     : PROGRESS_LINES;
		bool plan = args.operation && (strcmp(args.operation->name, "plan") == 0 ||
					       json_is_true(json_object_get(args.input, "dry_run")));
		AUTO(progress_free) struct progress *progress = progress_new(mode, &terminal, plan);
		return run(&args, format, progress, &terminal);
	}
	if (!failed)
		return 0;
	if (args.json)
		print_json_end((int)err.code, &err, NULL);
	else
		print_error(&err, &terminal);
	return (int)err.code;
}
