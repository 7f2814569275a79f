#include "cli/page.h"

#include "base/clock.h"

#include <unistd.h>

void render_digest(struct buf *out, const char *hex) { buf_printf(out, "%.12s", hex); }

void render_bytes(struct buf *out, int64_t bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	size_t unit = 0;
	double value = (double)bytes;

	while (value >= 1000 && unit + 1 < ARRAY_LEN(units)) {
		value /= 1000;
		unit++;
	}
	buf_printf(out, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void put_gates(struct page *page, const json_t *gates)
{
	size_t index;
	json_t *gate;

	json_array_foreach(gates, index, gate) {
		const char *state = str(gate, "state");
		bool open = strcmp(state, "open") == 0;
		bool overridden = flag(gate, "overridden");
		buf_puts(page->out, "gate      ");
		column(page, overridden ? STYLE_WARN : open ? STYLE_GOOD : STYLE_BAD, str(gate, "gate"), 8);
		buf_printf(page->out, "  %s", overridden ? "overridden" : state);
		if (*str(gate, "reason")) {
			buf_puts(page->out, ": ");
			plain(page, str(gate, "reason"));
		}
		buf_putc(page->out, '\n');
	}
}

/* "1 file", "2 files" */
static const char *plural(int64_t count) { return count == 1 ? "" : "s"; }

static void put_files(struct page *page, int64_t count)
{
	buf_printf(page->out, "%lld file%s", (long long)count, count == 1 ? "" : "s");
}

/* `deployment`: it went live and kept them aside; NULL: what a deployment would do. */
static void put_edits(struct page *page, const json_t *servers, const char *deployment)
{
	size_t index, e;
	json_t *server, *edit;

	json_array_foreach(servers, index, server) {
		const json_t *edits = json_object_get(server, "edits");
		json_array_foreach(edits, e, edit) {
			buf_puts(page->out, "edited    ");
			styled(page, STYLE_WARN, str(edit, "path"));
			buf_puts(page->out, " on ");
			plain(page, str(server, "server"));
			buf_printf(page->out, " (%s", str(edit, "kind"));
			if (num(edit, "modified")) {
				buf_puts(page->out, ", ");
				age(page, num(edit, "modified"));
			}
			if (deployment)
				buf_printf(page->out, "): by hand, kept in .lockstep/aside/%s\n", deployment);
			else
				buf_puts(page->out, "): by hand; a deployment keeps it aside\n");
		}
		int64_t more = num(server, "edit_count") - (int64_t)json_array_size(edits);
		if (more > 0)
			buf_printf(page->out, "          and %lld more\n", (long long)more);
	}
}

static void put_commits(struct page *page)
{
	const json_t *commits = json_object_get(page->result, "commits");
	size_t index;
	json_t *commit;

	json_array_foreach(commits, index, commit) {
		buf_puts(page->out, index == 0 ? "commits   " : "          ");
		styled(page, STYLE_ACCENT, "");
		buf_printf(page->out, "%.8s ", str(commit, "commit"));
		plain(page, str(commit, "subject"));
		buf_puts(page->out, " (");
		plain(page, str(commit, "author"));
		buf_puts(page->out, ")\n");
	}
	int64_t more = num(page->result, "commits_total") - (int64_t)json_array_size(commits);
	if (more > 0)
		buf_printf(page->out, "          and %lld more\n", (long long)more);
	if (num(page->result, "commits_back"))
		buf_printf(page->out, "          %lld commits that are live now are not in it\n",
			   (long long)num(page->result, "commits_back"));
}

static void put_changes(struct page *page)
{
	enum { SHOWN = 12 };
	const json_t *changes = json_object_get(page->result, "changes");
	size_t index;
	json_t *change;

	json_array_foreach(changes, index, change) {
		if (index == SHOWN) {
			buf_printf(page->out, "          and %zu more\n",
				   MAX(json_array_size(changes), (size_t)num(page->result, "changes_total")) - SHOWN);
			break;
		}
		const char *kind = str(change, "change");
		buf_puts(page->out, index == 0 ? "files     " : "          ");
		styled(page, *kind == 'a' ? STYLE_GOOD : *kind == 'r' ? STYLE_BAD : STYLE_PLAIN,
		       *kind == 'a' ? "+ " : *kind == 'r' ? "- " : "~ ");
		plain(page, str(change, "path"));
		buf_putc(page->out, '\n');
	}
}

static void put_heading(struct page *page)
{
	const json_t *r = page->result;

	buf_puts(page->out, "release   ");
	buf_puts(page->out, style_begin(page->colour, STYLE_BOLD));
	render_digest(page->out, str(r, "release"));
	buf_puts(page->out, style_end(page->colour, STYLE_BOLD));
	if (*str(r, "commit")) {
		buf_printf(page->out, "  %.8s ", str(r, "commit"));
		plain(page, str(r, "subject"));
	}
	if (*str(r, "ref") && strcmp(str(r, "ref"), str(r, "commit")) != 0) {
		buf_puts(page->out, " (");
		plain(page, str(r, "ref"));
		buf_putc(page->out, ')');
	}
	buf_printf(page->out, ", %s\n", str(r, "release_from"));
}

/* Against what was deployed last; a secret's value is never there. */
static void put_config_changes(struct page *page)
{
	const json_t *changes = json_object_get(page->result, "config_changes");
	size_t index;
	json_t *row;

	json_array_foreach(changes, index, row) {
		const json_t *cells = json_object_get(row, "cells");
		const json_t *before = json_array_get(cells, 0), *now = json_array_get(cells, 1);
		buf_puts(page->out, "config    ");
		column(page, STYLE_PLAIN, str(row, "variable"), 24);
		buf_puts(page->out, "  ");
		if (!flag(before, "present"))
			buf_puts(page->out, "new");
		else if (!flag(now, "present"))
			buf_puts(page->out, "gone");
		else if (flag(row, "secret"))
			buf_puts(page->out, "changed");
		else {
			one_line(page, str(before, "value"));
			buf_puts(page->out, " -> ");
			one_line(page, str(now, "value"));
		}
		buf_putc(page->out, '\n');
	}
	json_array_foreach(json_object_get(page->result, "file_changes"), index, row) {
		buf_puts(page->out, "config    ");
		column(page, STYLE_PLAIN, str(row, "path"), 24);
		buf_printf(page->out, "  %s\n", str(row, "state"));
	}
	if (strcmp(str(page->result, "kind"), "config") == 0)
		buf_puts(page->out, "config    only the configuration changes: nothing is built, and nothing of the release sent\n");
}

/* There is nothing to put on a server, and yet something was changed. */
static void put_next_time(struct page *page)
{
	const json_t *next = json_object_get(page->result, "next_time");

	if (!json_is_object(next))
		return;
	buf_puts(page->out, "note      ");
	one_line(page, str(next, "text"));
	buf_puts(page->out, ": counts from the next deployment on, or now with --again\n");
}

static void render_plan(struct page *page)
{
	const json_t *r = page->result;
	const json_t *servers = json_object_get(r, "servers");
	size_t index;
	json_t *server;

	put_heading(page);
	put_commits(page);
	put_changes(page);
	json_array_foreach(servers, index, server) {
		const char *live = str(server, "live");
		buf_puts(page->out, "server    ");
		column(page, STYLE_PLAIN, str(server, "server"), 24);
		if (flag(server, "current")) {
			buf_puts(page->out, "  has it live already\n");
			continue;
		}
		buf_puts(page->out, "  ");
		if (*live)
			render_digest(page->out, live);
		else
			buf_puts(page->out, "nothing");
		buf_puts(page->out, " -> ");
		render_digest(page->out, str(r, "release"));
		buf_puts(page->out, "  ");
		put_files(page, num(server, "files"));
		buf_puts(page->out, ", ");
		render_bytes(page->out, num(server, "bytes"));
		if (*live && !flag(server, "shape_same"))
			buf_puts(page->out, "; shared_dirs, shared_files, generated or link changed");
		if (strcmp(str(server, "config"), "changed") == 0)
			buf_puts(page->out, "; configuration changed");
		else if (strcmp(str(server, "config"), "unknown") == 0)
			buf_puts(page->out, "; which configuration it has was not written down");
		buf_putc(page->out, '\n');
	}
	put_edits(page, servers, NULL);
	put_config_changes(page);
	const json_t *hooks = json_object_get(r, "hooks");
	json_t *hook;
	json_array_foreach(hooks, index, hook) {
		buf_printf(page->out, "hook      %s: ", str(hook, "point"));
		plain(page, str(hook, "run"));
		buf_putc(page->out, '\n');
	}
	const json_t *templates = json_object_get(r, "templates");
	json_t *template;
	json_array_foreach(templates, index, template) {
		buf_puts(page->out, "template  ");
		plain(page, str(template, "text"));
		buf_putc(page->out, '\n');
	}
	put_gates(page, json_object_get(r, "gates"));
	buf_printf(page->out, "plan      %.12s\n", str(r, "plan"));
	if (flag(r, "foreign"))
		buf_puts(page->out, "note      `current` shows something lockstep did not put there; the deployment replaces the "
				    "link, a way back restores it\n");
	put_next_time(page);
	if (!flag(r, "gates_open"))
		buf_puts(page->out, "\nThis deployment would be refused.\n");
	else if (flag(r, "current"))
		buf_puts(page->out, "\nNothing to do.\n");
}

static void render_deploy(struct page *page)
{
	const json_t *r = page->result;
	const char *outcome = str(r, "outcome");
	const json_t *rows = json_object_get(r, "results");
	size_t index;
	json_t *row;

	if (flag(r, "dry_run")) {
		render_plan(page);
		return;
	}
	bool live = strcmp(outcome, "live") == 0, unchanged = strcmp(outcome, "unchanged") == 0;
	json_array_foreach(rows, index, row) {
		const char *verdict = str(row, "verdict");
		bool good = strcmp(verdict, "new") == 0 || strcmp(verdict, "not_checked") == 0;
		buf_puts(page->out, "server    ");
		column(page, STYLE_PLAIN, str(row, "server"), 24);
		buf_puts(page->out, "  ");
		styled(page, good ? STYLE_GOOD : strcmp(verdict, "unknown") == 0 ? STYLE_BAD : STYLE_WARN,
		       strcmp(verdict, "new") == 0	     ? "live and verified"
		       : strcmp(verdict, "not_checked") == 0 ? "live, not verified (no `health`)"
		       : strcmp(verdict, "restored") == 0    ? "back on what was live before"
		       : strcmp(verdict, "old") == 0	     ? "untouched"
							     : verdict);
		if (good) {
			buf_printf(page->out, "  %s, ", str(row, "activation"));
			put_files(page, num(row, "files"));
			buf_puts(page->out, " sent, ");
			render_bytes(page->out, num(row, "bytes"));
		}
		buf_putc(page->out, '\n');
	}
	if (live || unchanged)
		put_edits(page, json_object_get(r, "servers"), live ? str(r, "deployment") : NULL);
	if (!live && !unchanged)
		return;
	styled(page, STYLE_GOOD, unchanged ? "unchanged " : "live      ");
	plain(page, str(r, "environment"));
	buf_puts(page->out, unchanged ? " runs " : " now runs ");
	render_digest(page->out, str(r, "release"));
	if (!unchanged && strcmp(str(r, "kind"), "config") == 0)
		buf_puts(page->out, " with its new configuration");
	if (*str(r, "commit")) {
		buf_printf(page->out, " (%.8s ", str(r, "commit"));
		plain(page, str(r, "subject"));
		buf_putc(page->out, ')');
	}
	if (unchanged)
		buf_puts(page->out, " already (--again deploys it anew: hooks, reload)");
	buf_printf(page->out, "%s deployment %s\n", unchanged ? ";" : ",", str(r, "deployment"));
	put_next_time(page);
}

/* --- status ------------------------------------------------------------------------ */

static enum style state_style(const char *state)
{
	if (strcmp(state, "verified") == 0)
		return STYLE_GOOD;
	if (strcmp(state, "live") == 0 || strcmp(state, "empty") == 0 || strcmp(state, "foreign") == 0)
		return STYLE_WARN;
	return STYLE_BAD;
}

static void render_status_environment(struct page *page, const json_t *environment)
{
	const json_t *servers = json_object_get(environment, "servers");
	size_t index;
	json_t *server;
	const char *state = str(environment, "state");

	buf_puts(page->out, style_begin(page->colour, STYLE_BOLD));
	column(page, STYLE_PLAIN, str(environment, "environment"), 12);
	buf_puts(page->out, style_end(page->colour, STYLE_BOLD));
	buf_puts(page->out, "  ");
	column(page, state_style(state), state, 9);
	if (*str(environment, "release")) {
		buf_puts(page->out, " ");
		render_digest(page->out, str(environment, "release"));
		buf_printf(page->out, "  %.8s ", str(environment, "commit"));
		plain(page, str(environment, "subject"));
		buf_puts(page->out, ", ");
		age(page, num(environment, "at"));
		buf_puts(page->out, " by ");
		plain(page, str(environment, "by"));
	}
	const json_t *behind = json_object_get(environment, "behind");
	if (behind && json_integer_value(behind) == 0)
		buf_printf(page->out, ", level with %s", str(environment, "before"));
	else if (behind)
		buf_printf(page->out, ", %lld commit%s behind %s", (long long)json_integer_value(behind),
			   json_integer_value(behind) == 1 ? "" : "s", str(environment, "before"));
	buf_putc(page->out, '\n');
	json_array_foreach(servers, index, server) {
		const json_t *pending = json_object_get(server, "pending");
		const json_t *edits = json_object_get(server, "edits");
		size_t e;
		json_t *edit;
		if (!flag(server, "reachable")) {
			buf_puts(page->out, "    ");
			styled(page, STYLE_BAD, str(server, "server"));
			buf_puts(page->out, " cannot be reached");
			if (flag(server, "stale") && *str(server, "release")) {
				buf_puts(page->out, "; stale: it ran ");
				render_digest(page->out, str(server, "release"));
				buf_putc(page->out, ' ');
				age(page, num(server, "seen_at"));
			}
			buf_puts(page->out, ": ");
			plain(page, str(server, "error"));
			buf_putc(page->out, '\n');
			continue;
		}
		const json_t *owner = json_object_get(server, "owner");
		if (owner) {
			buf_puts(page->out, "    ");
			styled(page, STYLE_BAD, str(server, "server"));
			buf_puts(page->out, ": this place belongs to ");
			plain(page, str(owner, "environment"));
			buf_puts(page->out, " of ");
			plain(page, str(owner, "project"));
			buf_puts(page->out, "; a deployment refuses it without --take-over\n");
		}
		if (flag(server, "foreign")) {
			buf_puts(page->out, "    ");
			styled(page, STYLE_WARN, str(server, "server"));
			buf_puts(page->out, ": `current` ");
			if (*str(server, "shows")) {
				buf_puts(page->out, "shows ");
				plain(page, str(server, "shows"));
				buf_puts(page->out, ", which lockstep did not put there\n");
			} else {
				buf_puts(page->out, "is no link: lockstep did not put it there\n");
			}
		} else if (!*str(server, "release") && num(server, "kept")) {
			buf_puts(page->out, "    ");
			styled(page, STYLE_WARN, str(server, "server"));
			buf_printf(page->out, ": `current` is not there; %lld activation%s kept\n",
				   (long long)num(server, "kept"), num(server, "kept") == 1 ? " is" : "s are");
		}
		if (strcmp(state, "mixed") == 0) {
			buf_puts(page->out, "    ");
			column(page, STYLE_PLAIN, str(server, "server"), 24);
			buf_puts(page->out, "  ");
			if (*str(server, "release"))
				render_digest(page->out, str(server, "release"));
			else
				buf_puts(page->out, "nothing");
			buf_printf(page->out, "  %s", str(server, "verdict"));
			if (*str(server, "config"))
				buf_printf(page->out, ", configuration %.12s", str(server, "config"));
			buf_putc(page->out, '\n');
		}
		if (pending) {
			buf_puts(page->out, "    ");
			styled(page, STYLE_WARN, str(server, "server"));
			buf_printf(page->out, ": deployment %s by ", str(pending, "deployment"));
			plain(page, str(pending, "by"));
			buf_printf(page->out, " is under way or was interrupted (%s); the next deployment finishes it or takes it "
					      "back\n", str(pending, "phase"));
		}
		json_array_foreach(edits, e, edit) {
			buf_puts(page->out, "    ");
			styled(page, STYLE_WARN, str(edit, "path"));
			buf_printf(page->out, " %s by hand on ", str(edit, "kind"));
			plain(page, str(server, "server"));
			if (num(edit, "modified")) {
				buf_puts(page->out, ", ");
				age(page, num(edit, "modified"));
			}
			buf_putc(page->out, '\n');
		}
		if (json_object_get(server, "edits_not_checked"))
			buf_printf(page->out, "    %s: hand edits not checked: %s\n", str(server, "server"),
				   str(server, "edits_not_checked"));
	}
}

static void render_status(struct page *page)
{
	const json_t *environments = json_object_get(page->result, "environments");
	size_t index;
	json_t *environment;

	json_array_foreach(environments, index, environment)
		render_status_environment(page, environment);
}

/* --- lists --------------------------------------------------------------------------- */

static void put_deployment(struct page *page, const json_t *row)
{
	const char *outcome = str(row, "outcome");
	bool good = strcmp(outcome, "live") == 0 || strcmp(outcome, "unchanged") == 0;

	buf_printf(page->out, "%s  ", str(row, "deployment"));
	column(page, STYLE_PLAIN, str(row, "environment"), 12);
	buf_puts(page->out, " ");
	column(page, STYLE_PLAIN, str(row, "kind"), 9);
	column(page, good ? STYLE_GOOD : STYLE_BAD, outcome, 12);
	render_digest(page->out, *str(row, "release") ? str(row, "release") : "-           ");
	buf_puts(page->out, "  ");
	age(page, num(row, "started"));
	buf_puts(page->out, " by ");
	plain(page, str(row, "by"));
	if (*str(row, "subject")) {
		buf_puts(page->out, "  ");
		plain(page, str(row, "subject"));
	}
	if (flag(row, "hotfix")) {
		buf_puts(page->out, "  hotfix: ");
		plain(page, str(row, "reason"));
	}
	buf_putc(page->out, '\n');
}

static void render_log(struct page *page)
{
	const json_t *list = json_object_get(page->result, "deployments");
	size_t index;
	json_t *row;

	if (list) {
		json_array_foreach(list, index, row)
			put_deployment(page, row);
		if (json_array_size(list) == 0)
			buf_puts(page->out, "No deployment was begun on this machine yet.\n");
		return;
	}
	put_deployment(page, page->result);
	if (*str(page->result, "error")) {
		plain(page, str(page->result, "error"));
		buf_putc(page->out, '\n');
	}
	json_array_foreach(json_object_get(page->result, "events"), index, row) {
		char time[CLOCK_ISO_LEN + 1];
		const char *name = str(row, "event");
		if (strcmp(name, "progress") == 0)
			continue;
		clock_format_iso(num(row, "at"), time);
		buf_printf(page->out, "%.8s  %-7s ", time + 11, name);
		static const char *const keys[] = { "server", "step", "state", "path", "kind", "gate", "reason", "text", "outcome" };
		for (size_t k = 0; k < ARRAY_LEN(keys); k++)
			if (*str(row, keys[k])) {
				buf_putc(page->out, ' ');
				one_line(page, str(row, keys[k]));
			}
		if (*str(row, "release")) {
			buf_putc(page->out, ' ');
			render_digest(page->out, str(row, "release"));
		}
		buf_putc(page->out, '\n');
	}
}

static void render_releases(struct page *page)
{
	const json_t *list = json_object_get(page->result, "releases");
	size_t index;
	json_t *row;

	json_array_foreach(list, index, row) {
		render_digest(page->out, str(row, "release"));
		buf_printf(page->out, "  %.8s  ", str(row, "commit"));
		size_t before = page->out->len;
		age(page, num(row, "created"));
		pad(page, page->out->len - before, 12);
		buf_puts(page->out, "  ");
		put_files(page, num(row, "files"));
		buf_puts(page->out, ", ");
		render_bytes(page->out, num(row, "bytes"));
		buf_puts(page->out, flag(row, "here") ? "  " : "  (not in the store)  ");
		plain(page, str(row, "subject"));
		buf_putc(page->out, '\n');
	}
	if (json_array_size(list) == 0)
		buf_puts(page->out, "No release yet: `lockstep build` makes one.\n");
}

static void render_build(struct page *page)
{
	const json_t *r = page->result;

	buf_puts(page->out, "release   ");
	buf_puts(page->out, style_begin(page->colour, STYLE_BOLD));
	buf_puts(page->out, str(r, "release"));
	buf_puts(page->out, style_end(page->colour, STYLE_BOLD));
	buf_printf(page->out, "\ncommit    %.12s ", str(r, "commit"));
	plain(page, str(r, "subject"));
	buf_printf(page->out, "\n          %s, ", str(r, "from"));
	put_files(page, num(r, "files"));
	buf_puts(page->out, ", ");
	render_bytes(page->out, num(r, "bytes"));
	buf_putc(page->out, '\n');
	if (*str(r, "log"))
		buf_printf(page->out, "log       %s\n", str(r, "log"));
}

static void render_check(struct page *page)
{
	size_t index, p;
	json_t *server, *problem;

	json_array_foreach(json_object_get(page->result, "servers"), index, server) {
		styled(page, STYLE_BOLD, str(server, "environment"));
		buf_puts(page->out, "  ");
		plain(page, str(server, "server"));
		if (*str(server, "arch")) {
			buf_printf(page->out, "  %s %s, as ", str(server, "system"), str(server, "arch"));
			plain(page, str(server, "user"));
			buf_puts(page->out, ", ");
			plain(page, str(server, "path"));
		}
		buf_putc(page->out, '\n');
		if (*str(server, "error")) {
			buf_puts(page->out, "  ");
			styled(page, STYLE_BAD, "bad   ");
			plain(page, str(server, "error"));
			if (*str(server, "hint")) {
				buf_puts(page->out, "\n        ");
				plain(page, str(server, "hint"));
			}
			buf_putc(page->out, '\n');
		}
		json_array_foreach(json_object_get(server, "problems"), p, problem) {
			const char *severity = str(problem, "severity");
			buf_puts(page->out, "  ");
			column(page, *severity == 'o' ? STYLE_GOOD : *severity == 'w' ? STYLE_WARN : STYLE_BAD, severity, 6);
			plain(page, str(problem, "what"));
			if (*str(problem, "why")) {
				buf_puts(page->out, ": ");
				plain(page, str(problem, "why"));
			}
			if (*str(problem, "hint")) {
				buf_puts(page->out, "\n        ");
				plain(page, str(problem, "hint"));
			}
			buf_putc(page->out, '\n');
		}
	}
}

static void render_validate(struct page *page)
{
	size_t index;
	json_t *row;

	plain(page, str(page->result, "file"));
	buf_puts(page->out, " is valid: project ");
	plain(page, str(page->result, "project"));
	buf_puts(page->out, ",");
	json_array_foreach(json_object_get(page->result, "environments"), index, row)
		buf_printf(page->out, "%s %s (%lld server%s)", index ? "," : "", str(row, "environment"),
			   (long long)num(row, "servers"), num(row, "servers") == 1 ? "" : "s");
	buf_putc(page->out, '\n');
}

static void render_text(struct page *page) { buf_puts(page->out, str(page->result, "text")); }

static void render_impact(struct page *page)
{
	const json_t *uses = json_object_get(page->result, "uses");
	size_t index;
	json_t *use;

	json_array_foreach(uses, index, use) {
		const char *change = str(use, "change");
		column(page, STYLE_BOLD, str(use, "project"), 16);
		buf_putc(page->out, ' ');
		column(page, STYLE_PLAIN, str(use, "environment"), 12);
		buf_putc(page->out, ' ');
		if (*str(use, "not_checked")) {
			styled(page, STYLE_WARN, "not checked: ");
			plain(page, str(use, "not_checked"));
		} else if (*str(use, "text")) {
			plain(page, str(use, "text"));
		} else {
			buf_puts(page->out, strcmp(change, "same") == 0 ? "unchanged" : "alters no build and no delivery");
		}
		buf_putc(page->out, '\n');
	}
	if (json_array_size(uses) == 0)
		buf_puts(page->out, "nothing that was deployed from this machine uses it\n");
}

static void render_init(struct page *page)
{
	if (!flag(page->result, "written")) {
		render_text(page);
		return;
	}
	buf_printf(page->out, "wrote lockstep.yml for %s.\nNext: put your servers into it, then `lockstep server check` and "
			      "`lockstep plan ENV`.\n", str(page->result, "words"));
}

static void render_verify(struct page *page)
{
	const json_t *r = page->result;
	size_t index;
	json_t *row;

	json_array_foreach(json_object_get(r, "damage"), index, row) {
		styled(page, STYLE_BAD, "damaged ");
		buf_printf(page->out, " %s ", str(row, "kind"));
		plain(page, str(row, "name"));
		buf_puts(page->out, ": ");
		plain(page, str(row, "why"));
		buf_putc(page->out, '\n');
	}
	buf_printf(page->out, "%lld object%s and %lld release%s read (", (long long)num(r, "objects"), plural(num(r, "objects")),
		   (long long)num(r, "manifests"), plural(num(r, "manifests")));
	render_bytes(page->out, num(r, "bytes"));
	buf_printf(page->out, "), %lld damaged\n", (long long)num(r, "damaged"));
}

static void render_secret_scan(struct page *page)
{
	const json_t *r = page->result;
	size_t index;
	json_t *row;

	json_array_foreach(json_object_get(r, "findings"), index, row) {
		plain(page, str(row, "path"));
		buf_printf(page->out, ":%lld: ", (long long)num(row, "line"));
		styled(page, STYLE_BAD, str(row, "service"));
		buf_printf(page->out, " (%s", str(row, "rule"));
		if (str(row, "environment"))
			buf_printf(page->out, ", %s", str(row, "environment"));
		buf_puts(page->out, "): ");
		plain(page, str(row, "shown"));
		buf_putc(page->out, '\n');
	}
	buf_printf(page->out, "%lld files looked through, %lld findings\n", (long long)num(r, "files"),
		   (long long)num(r, "count"));
}

static void render_gc(struct page *page)
{
	const json_t *r = page->result;
	size_t index;
	json_t *row;

	json_array_foreach(json_object_get(r, "not_asked"), index, row) {
		styled(page, STYLE_WARN, str(row, "server"));
		buf_puts(page->out, " of ");
		plain(page, str(row, "environment"));
		buf_puts(page->out, " was not asked, so what this machine knows of it is kept: ");
		one_line(page, str(row, "why"));
		buf_putc(page->out, '\n');
	}
	buf_printf(page->out, "%s %lld release%s and %lld object%s (", flag(r, "dry_run") ? "would remove" : "removed",
		   (long long)num(r, "manifests_removed"), plural(num(r, "manifests_removed")),
		   (long long)num(r, "objects_removed"), plural(num(r, "objects_removed")));
	render_bytes(page->out, num(r, "bytes_removed"));
	buf_printf(page->out, "), %lld release%s kept\n", (long long)num(r, "manifests_kept"), plural(num(r, "manifests_kept")));
}

static void render_version(struct page *page)
{
	size_t index;
	json_t *row;

	buf_printf(page->out, "lockstep %s\n", str(page->result, "version"));
	json_array_foreach(json_object_get(page->result, "agents"), index, row) {
		buf_printf(page->out, "agent %s %.12s ", str(row, "arch"), str(row, "digest"));
		render_bytes(page->out, num(row, "bytes"));
		buf_putc(page->out, '\n');
	}
}

/* ---- secrets ---- */

static void put_unlisted(struct page *page)
{
	if (flag(page->result, "listed"))
		return;
	buf_puts(page->out, "Not in lockstep.yml yet: under the environment, `values_from: [\"sealed:");
	plain(page, str(page->result, "file"));
	buf_puts(page->out, "\"]`.\n");
}

static void render_secret_set(struct page *page)
{
	const json_t *r = page->result;

	plain(page, str(r, "name"));
	if (flag(r, "changed"))
		buf_printf(page->out, " is sealed as version %lld in ", (long long)num(r, "version"));
	else
		buf_printf(page->out, " has that value already (version %lld) in ", (long long)num(r, "version"));
	plain(page, str(r, "file"));
	buf_putc(page->out, '\n');
	if (*str(r, "key_made")) {
		buf_puts(page->out, "A key was made: ");
		plain(page, str(r, "key_made"));
		buf_printf(page->out, "\nKeep a copy: without it the values are lost. `lockstep secret key %s --export` hands it on.\n",
			   str(r, "environment"));
	}
	if (!flag(r, "declared"))
		buf_puts(page->out, "It is not declared yet: under `env`, with `secret: true`.\n");
	else if (!flag(r, "declared_secret"))
		buf_puts(page->out, "It is not declared as a secret: under `env`, `secret: true` is missing.\n");
	put_unlisted(page);
}

/* Exactly the bytes; a terminal gets the newline that its prompt needs. */
static void put_secret(struct page *page, const char *text)
{
	buf_puts(page->out, text);
	if (page->stdout_tty)
		buf_putc(page->out, '\n');
}

static void render_secret_get(struct page *page) { put_secret(page, str(page->result, "value")); }

static void put_dated_names(struct page *page, const json_t *list)
{
	size_t index, width = 0;
	json_t *row;

	json_array_foreach(list, index, row)
		width = MAX(width, strlen(str(row, "name")));
	json_array_foreach(list, index, row) {
		buf_puts(page->out, "  ");
		column(page, STYLE_PLAIN, str(row, "name"), MIN(width, (size_t)40));
		buf_printf(page->out, "  version %lld, ", (long long)num(row, "version"));
		age(page, num(row, "changed_at"));
		buf_putc(page->out, '\n');
	}
}

static void render_secret_list(struct page *page)
{
	plain(page, str(page->result, "file"));
	buf_printf(page->out, ", sealed with the key %s:\n", str(page->result, "key"));
	put_dated_names(page, json_object_get(page->result, "values"));
	put_unlisted(page);
}

static void render_secret_remove(struct page *page)
{
	plain(page, str(page->result, "name"));
	buf_puts(page->out, " is no longer in ");
	plain(page, str(page->result, "file"));
	buf_puts(page->out, "; the repository's history keeps it\n");
}

static void render_secret_edit(struct page *page)
{
	static const char *const kinds[][2] = { { "set", "sealed   " }, { "removed", "removed  " } };
	bool any = false;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t index;
		json_t *name;
		json_array_foreach(json_object_get(page->result, kinds[i][0]), index, name) {
			buf_puts(page->out, kinds[i][1]);
			plain(page, json_string_value(name));
			buf_putc(page->out, '\n');
			any = true;
		}
	}
	if (!any)
		buf_puts(page->out, "nothing was changed\n");
	else
		put_unlisted(page);
}

static void render_secret_rotate(struct page *page)
{
	const json_t *r = page->result;

	plain(page, str(r, "file"));
	buf_printf(page->out, " is sealed with the new key %s: ", str(r, "key"));
	plain(page, str(r, "key_file"));
	buf_printf(page->out,
		   "\nWhoever needs it gets it by `lockstep secret key %s --export`; where %s is set, change it.\n\n"
		   "The repository's history keeps these values under the earlier key %s. If somebody has that key who\n"
		   "should not, change each where it comes from, then `lockstep secret set` it:\n",
		   str(r, "environment"), str(r, "variable"), str(r, "earlier_key"));
	put_dated_names(page, json_object_get(r, "change"));
}

static void render_secret_key(struct page *page)
{
	const json_t *r = page->result;

	if (json_object_get(r, "export")) {
		put_secret(page, str(r, "export"));
		return;
	}
	buf_printf(page->out, "%s%s of %s: ", flag(r, "imported") ? "took in the key " : "key ", str(r, "key"),
		   str(r, "environment"));
	plain(page, str(r, "key_file"));
	buf_putc(page->out, '\n');
}

static const struct {
	const char *operation;
	void (*render)(struct page *page);
} renderers[] = {
	{ "deploy", render_deploy },	     { "promote", render_deploy },    { "rollback", render_deploy },
	{ "plan", render_plan },	     { "status", render_status },     { "log", render_log },
	{ "releases", render_releases },     { "build", render_build },	      { "server check", render_check },
	{ "config validate", render_validate }, { "config schema", render_text }, { "config reference", render_text },
	{ "config show", render_text },	     { "config impact", render_impact },
	{ "init", render_init },	     { "store verify", render_verify }, { "store gc", render_gc },
	{ "secret set", render_secret_set }, { "secret get", render_secret_get }, { "secret list", render_secret_list },
	{ "secret edit", render_secret_edit }, { "secret remove", render_secret_remove },
	{ "secret rotate", render_secret_rotate }, { "secret key", render_secret_key },
	{ "secret scan", render_secret_scan },
	{ "version", render_version },
	{ "config explain", render_explain }, { "config diff", render_config_diff },
	{ "config history", render_config_history }, { "config import", render_config_import },
	{ "secret revoke", render_secret_revoke },
	{ "diff", render_diff }, { "parity", render_parity }, { "drift", render_drift }, { "facts", render_facts },
	{ "checklist", render_checklist }, { "assess", render_assess }, { "accept", render_accept },
	{ "revert", render_deploy }, { "allow add", render_allow_add }, { "allow list", render_allow_list },
	{ "allow remove", render_allow_remove },
};

void render_result(const struct operation *operation, const json_t *input, const json_t *result,
		   const struct terminal *terminal, struct buf *out)
{
	bool tty = isatty(STDOUT_FILENO) == 1;
	struct page page = { out, terminal->colour, tty, result, input, tty ? (size_t)terminal->columns : 0 };

	for (size_t i = 0; i < ARRAY_LEN(renderers); i++)
		if (strcmp(renderers[i].operation, operation->name) == 0)
			renderers[i].render(&page);
}
