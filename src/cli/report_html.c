/* One page that stands for itself: nothing is loaded, no script runs (its own policy forbids
 * both), light and dark, on a phone and on paper. The style sheet is report.css. */
#include "cli/parity_view.h"
#include "cli/report.h"
#include "cli/text.h"

#include "base/clock.h"
#include "codec/digest.h"

extern const char report_css[];

struct document {
	const struct parity_view *view;
	const json_t *result;
	struct buf *out;
};

static void put(struct document *doc, const char *markup)
{
	buf_puts(doc->out, markup);
}
static void text(struct document *doc, const char *foreign)
{
	report_put_text(doc->out, foreign);
}

/* <TAG CLASS>text</TAG> */
static void element(struct document *doc, const char *tag, const char *class, const char *foreign)
{
	buf_printf(doc->out, *class ? "<%s class=\"%s\">" : "<%s>", tag, class);
	text(doc, foreign);
	buf_printf(doc->out, "</%s>", tag);
}

/* A word of ours that stands in a class name; anything else becomes "". */
static const char *known(const char *word)
{
	static const char *const words[] = {"critical", "high",	 "medium",  "low",	   "same",
					    "allowed",	"drift", "missing", "not_checked", "stale"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i], word) == 0)
			return words[i];
	return "";
}

static const char *state_words(const char *state)
{
	static const char *const words[][2] = {
		{"same", "same"},	{"allowed", "allowed to differ"}, {"drift", "differs"},
		{"missing", "missing"}, {"not_checked", "not checked"},	  {"stale", "stale: seen earlier"},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i][0], state) == 0)
			return words[i][1];
	return state;
}

static bool is_off(const char *state)
{
	return strcmp(state, "drift") == 0 || strcmp(state, "missing") == 0;
}

static void put_time(struct document *doc, int64_t at)
{
	char iso[CLOCK_ISO_LEN + 1] = "";

	clock_format_iso(at, iso);
	buf_printf(doc->out, "<time datetime=\"%s\">%.10s %.5s UTC</time>", iso, iso, iso + 11);
}

static void put_base64(struct buf *out, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		uint32_t three = (uint32_t)bytes[i] << 16 | (i + 1 < len ? (uint32_t)bytes[i + 1] << 8 : 0) |
				 (i + 2 < len ? bytes[i + 2] : 0);
		buf_putc(out, digits[three >> 18]);
		buf_putc(out, digits[three >> 12 & 63]);
		buf_putc(out, i + 1 < len ? digits[three >> 6 & 63] : '=');
		buf_putc(out, i + 2 < len ? digits[three & 63] : '=');
	}
}

/* --- head ----------------------------------------------------------------------------------- */

static const char *title_of(const struct parity_view *view)
{
	const char *project = str(view->result, "project"), *kind = str(view->result, "kind");
	AUTO(buf_free) struct buf names = BUF_INIT(64 << 10);

	for (size_t i = 0; i < json_array_size(json_object_get(view->result, "environments")); i++)
		buf_printf(&names, "%s%s", i ? ", " : "", view->labels[i]);
	const char *what = strcmp(kind, "drift") == 0	 ? "Drift"
			   : strcmp(kind, "parity") == 0 ? "Parity"
							 : "Differences";
	return arena_printf(view->arena, "%s%s%s: %s", what, *project ? " of " : "", project,
			    buf_str(&names));
}

static void put_head(struct document *doc)
{
	struct digest digest;

	/* What CSP hashes is what stands between the tags. */
	digest_of(slice_of(report_css), &digest);
	put(doc,
	    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; "
	    "form-action 'none'; style-src 'sha256-");
	put_base64(doc->out, digest.bytes, sizeof(digest.bytes));
	put(doc, "'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		 "<meta name=\"referrer\" content=\"no-referrer\">\n");
	element(doc, "title", "", title_of(doc->view));
	put(doc, "\n<style>");
	put(doc, report_css);
	put(doc, "</style>\n</head>\n<body>\n");
}

static void put_tile(struct document *doc, const char *class, int64_t count, const char *unit,
		     const char *words)
{
	buf_printf(doc->out, "<li class=\"%s\"><b>", class);
	text_put_count(doc->out, count);
	buf_printf(doc->out, "%s</b> %s</li>\n", unit, words);
}

static bool is_whole(const struct document *doc)
{
	const json_t *totals = json_object_get(doc->result, "totals");

	return num(totals, "rows") > 0 && !num(totals, "not_checked") && !num(totals, "stale") &&
	       !doc->view->gap_group_count;
}

static void put_header(struct document *doc)
{
	const struct parity_view *view = doc->view;
	const json_t *totals = json_object_get(doc->result, "totals");
	int64_t differences = (int64_t)view->differences, coverage = num(doc->result, "coverage");

	put(doc, "<header>\n");
	element(doc, "h1", "", title_of(view));
	put(doc, "\n<p class=\"soft\">");
	if (view->reference < view->environment_count && view->environment_count > 1) {
		put(doc, "Held against ");
		element(doc, "strong", "", view->environments[view->reference]);
		put(doc, ". ");
	}
	put(doc, "Looked at on ");
	put_time(doc, num(doc->result, "taken"));
	if (*str(doc->result, "run")) {
		put(doc, ", run ");
		element(doc, "code", "", str(doc->result, "run"));
	}
	put(doc, ".</p>\n<ul class=\"tiles\">\n");
	/* Nothing found is good only where everything was looked at. */
	put_tile(doc,
		 differences	 ? "bad"
		 : is_whole(doc) ? "ok"
				 : "",
		 differences, "", differences == 1 ? "difference" : "differences");
	put_tile(doc, "", num(totals, "same"), "", "same");
	put_tile(doc, "", num(totals, "allowed"), "", "allowed to differ");
	put_tile(doc, num(totals, "not_checked") ? "warn" : "", num(totals, "not_checked"), "",
		 "not checked");
	if (num(totals, "stale"))
		put_tile(doc, "warn", num(totals, "stale"), "", "stale");
	put_tile(doc, coverage < 100 ? "warn" : "ok", coverage, " %", "checked");
	put(doc, "</ul>\n</header>\n<main>\n");
}

static void put_trouble(struct document *doc)
{
	size_t index, s;
	json_t *environment, *server;

	json_array_foreach(json_object_get(doc->result, "environments"), index, environment)
		json_array_foreach(json_object_get(environment, "servers"), s, server)
	{
		const char *trouble =
			parity_server_trouble(doc->view, environment, server, num(doc->result, "taken"));
		if (!trouble)
			continue;
		put(doc, "<p class=\"note text\"><strong>Not seen:</strong> ");
		text(doc, trouble);
		put(doc, "</p>\n");
	}
}

/* --- findings ---------------------------------------------------------------------------------- */

static void put_cells(struct document *doc, const json_t *finding)
{
	size_t index;
	json_t *cell;

	put(doc, "<dl class=\"cells\">\n");
	json_array_foreach(json_object_get(finding, "cells"), index, cell)
	{
		const char *state = str(cell, "state");
		buf_printf(doc->out, "<div class=\"%s\"><dt>", is_off(state) ? "is-off" : "");
		text(doc, str(cell, "environment"));
		if (*str(cell, "server") && strcmp(str(cell, "server"), str(cell, "environment")) != 0) {
			put(doc, " · ");
			text(doc, parity_server(doc->view, finding, str(cell, "server")));
		}
		put(doc, "</dt>");
		element(doc, "dd", "v text", *str(cell, "text") ? str(cell, "text") : "(empty)");
		/* "missing" twice says nothing more. */
		if (*state && strcmp(state_words(state), str(cell, "text")) != 0) {
			buf_printf(doc->out, "<dd class=\"state %s\">", known(state));
			text(doc, state_words(state));
			put(doc, "</dd>");
		}
		put(doc, "</div>\n");
	}
	put(doc, "</dl>\n");
}

static void put_fact(struct document *doc, const char *word, const char *foreign)
{
	if (!*foreign)
		return;
	element(doc, "dt", "", word);
	element(doc, "dd", "", foreign);
	put(doc, "\n");
}

static void put_seen(struct document *doc, const json_t *finding)
{
	if (!num(finding, "first_seen"))
		return;
	put(doc, "<dt>First seen</dt><dd>");
	put_time(doc, num(finding, "first_seen"));
	put(doc, "</dd>\n");
}

static void put_rule(struct document *doc, const json_t *rule)
{
	AUTO(buf_free) struct buf line = BUF_INIT(64 << 10);

	if (!json_is_object(rule))
		return;
	buf_printf(&line, "%s: %s", str(rule, "fact"), str(rule, "kind"));
	buf_printf(&line, ", %s", *str(rule, "where") ? str(rule, "where") : "the shipped policy");
	if (*str(rule, "owner"))
		buf_printf(&line, ", of %s", str(rule, "owner"));
	if (*str(rule, "reason"))
		buf_printf(&line, " (%s)", str(rule, "reason"));
	if (num(rule, "until")) {
		char iso[CLOCK_ISO_LEN + 1] = "";
		clock_format_iso(num(rule, "until"), iso);
		buf_printf(&line, ", until %.10s", iso);
	}
	put_fact(doc, "Judged by", buf_str(&line));
}

static void put_finding(struct document *doc, const json_t *finding, size_t number)
{
	const char *area, *name = parity_name(doc->view, finding, &area);
	const char *severity = str(finding, "severity"), *kind = parity_kind_words(doc->view, finding);

	buf_printf(doc->out,
		   "<li class=\"finding is-%s\" id=\"finding-%zu\">\n<div class=\"top\"><span "
		   "class=\"number\">%zu</span>",
		   known(severity), number, number);
	buf_printf(doc->out, "<span class=\"severity %s\">", known(severity));
	text(doc, severity);
	put(doc, "</span><h3>");
	element(doc, "span", "soft", area);
	put(doc, " ");
	text(doc, name);
	put(doc, "</h3>");
	if (parity_is_new(doc->view, finding))
		element(doc, "span", "tag", "new");
	if (*kind)
		element(doc, "span", "tag", kind);
	put(doc, "</div>\n");
	element(doc, "p", "text", str(finding, "text"));
	put(doc, "\n");
	put_cells(doc, finding);
	put(doc, "<dl class=\"facts\">\n");
	put_fact(doc, "Cause", str(finding, "cause"));
	put_fact(doc, "Ranked by", str(finding, "why"));
	put_seen(doc, finding);
	if (num(finding, "folded") > 0)
		put_fact(doc, "Also",
			 arena_printf(doc->view->arena, "%lld more of the same cause",
				      (long long)num(finding, "folded")));
	put(doc, "</dl>\n");
	if (*str(finding, "advice")) {
		put(doc, "<div class=\"advice\"><b>What to do</b>");
		text(doc, str(finding, "advice"));
		put(doc, "</div>\n");
	}
	put(doc, "<details><summary>Fact and rule</summary>\n<dl class=\"facts\">\n<dt>Fact</dt><dd>");
	element(doc, "code", "", str(finding, "key"));
	put(doc, "</dd>\n");
	put_rule(doc, json_object_get(finding, "rule"));
	put(doc, "<dt>Finding</dt><dd>");
	element(doc, "code", "", str(finding, "id"));
	put(doc, "</dd>\n</dl>\n</details>\n</li>\n");
}

static void put_filter(struct document *doc)
{
	static const char *const severities[] = {"critical", "high", "medium", "low"};
	size_t counts[5] = {0}, used = 0, index;
	json_t *finding;

	json_array_foreach(doc->view->findings, index, finding)
		counts[parity_severity_rank(str(finding, "severity"))]++;
	for (size_t i = 0; i < ARRAY_LEN(severities); i++)
		used += counts[4 - i] > 0;
	if (used < 2)
		return;
	put(doc, "<fieldset class=\"filter\"><legend>Show</legend>\n");
	for (size_t i = 0; i < ARRAY_LEN(severities); i++)
		if (counts[4 - i])
			buf_printf(
				doc->out,
				"<label><input type=\"checkbox\" id=\"show-%s\" checked> %s (%zu)</label>\n",
				severities[i], severities[i], counts[4 - i]);
	put(doc, "</fieldset>\n");
}

/* As cards, in the order of their rank; what kind each is stands beside its name. */
static void put_findings(struct document *doc)
{
	size_t index;
	json_t *finding;

	put(doc, "<ol class=\"findings\">\n");
	json_array_foreach(doc->view->findings, index, finding) put_finding(doc, finding, index + 1);
	put(doc, "</ol>\n");
}

/* --- tables --------------------------------------------------------------------------------------- */

static void begin_table(struct document *doc, const char *class, const char *label, const char *caption)
{
	buf_printf(doc->out,
		   "<div class=\"scroll %s\" role=\"region\" tabindex=\"0\" "
		   "aria-label=\"%s\">\n<table>\n<caption>%s</caption>\n<thead><tr>",
		   class, label, caption);
}

static void put_environment_heads(struct document *doc)
{
	const struct parity_view *view = doc->view;

	for (size_t i = 0; i < view->environment_count; i++) {
		put(doc, "<th scope=\"col\">");
		text(doc, view->labels[i]);
		if (i == view->reference && view->environment_count > 1)
			put(doc, " <span class=\"soft\">(reference)</span>");
		put(doc, "</th>");
	}
	put(doc, "</tr></thead>\n<tbody>\n");
}

static void put_environment_cells(struct document *doc, const json_t *finding)
{
	for (size_t i = 0; i < doc->view->environment_count; i++) {
		const char *state, *shown = parity_cell(doc->view, finding, i, &state);
		element(doc, "td", arena_printf(doc->view->arena, "v %s", known(state)), shown ? shown : "");
	}
}

static void put_matrix(struct document *doc)
{
	size_t index;
	json_t *finding;

	if (json_array_size(doc->view->findings) < 2)
		return;
	put(doc, "<h2>All at a glance</h2>\n");
	begin_table(doc, "glance", "Findings by environment",
		    "One line a finding, in the order of their rank.");
	put(doc, "<th scope=\"col\" class=\"rank\">Severity</th><th scope=\"col\">Fact</th>");
	put_environment_heads(doc);
	json_array_foreach(doc->view->findings, index, finding)
	{
		const char *area, *name = parity_name(doc->view, finding, &area);
		const char *severity = known(str(finding, "severity"));
		buf_printf(doc->out,
			   "<tr class=\"off is-%s\"><td class=\"rank\"><span class=\"severity "
			   "%s\">%s</span></td><th "
			   "scope=\"row\"><a href=\"#finding-%zu\">",
			   severity, severity, severity, index + 1);
		text(doc, area);
		put(doc, " ");
		text(doc, name);
		put(doc, "</a></th>");
		put_environment_cells(doc, finding);
		put(doc, "</tr>\n");
	}
	put(doc, "</tbody>\n</table>\n</div>\n");
}

static void put_gaps(struct document *doc)
{
	enum { SHOWN = 200 };
	const struct parity_view *view = doc->view;

	put(doc, "<h2>Not checked</h2>\n");
	if (!view->gap_group_count) {
		put(doc, num(json_object_get(doc->result, "totals"), "not_checked")
				 ? "<p>Some facts were not checked; the reasons are not in this report.</p>\n"
				 : "<p>Everything that was asked for was looked at.</p>\n");
		return;
	}
	put(doc, "<p class=\"soft\">What was not looked at is not the same: it is not known.</p>\n");
	for (size_t g = 0; g < view->gap_group_count; g++) {
		const struct parity_gap_group *group = &view->gap_groups[g];
		put(doc, "<details open><summary><strong>");
		text(doc, group->why);
		put(doc, "</strong>");
		if (group->rows) {
			put(doc, " <span class=\"soft\">(");
			text_put_count(doc->out, group->rows);
			put(doc, group->rows == 1 ? " fact)</span>" : " facts)</span>");
		}
		put(doc, "</summary>\n<ul class=\"gaps\">\n");
		for (size_t i = 0; i < MIN(group->count, (size_t)SHOWN); i++) {
			const json_t *gap = group->gaps[i];
			put(doc, "<li>");
			element(doc, "code", "", str(gap, "key"));
			put(doc, " in ");
			text(doc, *str(gap, "environment") ? str(gap, "environment") : "every environment");
			if (*str(gap, "server") && strcmp(str(gap, "server"), str(gap, "environment")) != 0) {
				put(doc, ", ");
				text(doc, str(gap, "server"));
			}
			put(doc, "</li>\n");
		}
		if (group->count > SHOWN)
			buf_printf(doc->out, "<li>and %zu more</li>\n", group->count - SHOWN);
		put(doc, "</ul>\n");
		if (*group->advice) {
			put(doc, "<div class=\"advice\"><b>What to do</b>");
			text(doc, group->advice);
			put(doc, "</div>\n");
		}
		put(doc, "</details>\n");
	}
}

static void put_gone(struct document *doc)
{
	const json_t *gone = json_object_get(doc->result, "gone");
	size_t index;
	json_t *row;

	if (!json_array_size(gone))
		return;
	put(doc, "<h2>Gone since then</h2>\n<ul>\n");
	json_array_foreach(gone, index, row)
	{
		put(doc, "<li>");
		element(doc, "code", "", str(row, "key"));
		put(doc, " ");
		text(doc, str(row, "text"));
		put(doc, "</li>\n");
	}
	put(doc, "</ul>\n");
}

static void put_servers(struct document *doc)
{
	size_t index, s;
	json_t *environment, *server;

	put(doc, "<h2>Looked at</h2>\n");
	begin_table(doc, "servers", "Environments and servers",
		    "The servers of each environment, and when they were seen.");
	put(doc, "<th scope=\"col\">Environment</th><th scope=\"col\">Server</th><th scope=\"col\">Group</th>"
		 "<th scope=\"col\">Seen</th></tr></thead>\n<tbody>\n");
	json_array_foreach(json_object_get(doc->result, "environments"), index, environment)
		json_array_foreach(json_object_get(environment, "servers"), s, server)
	{
		put(doc, "<tr><th scope=\"row\">");
		text(doc, str(environment, "name"));
		put(doc, "</th>");
		element(doc, "td", "mono", str(server, "server"));
		element(doc, "td", "", str(server, "group"));
		put(doc, "<td>");
		if (flag(server, "stale"))
			put(doc, "not now; earlier: ");
		if (num(server, "taken") && (flag(server, "reachable") || flag(server, "stale")))
			put_time(doc, num(server, "taken"));
		else
			put(doc, flag(server, "reachable") ? "now" : "not seen");
		put(doc, "</td></tr>\n");
	}
	put(doc, "</tbody>\n</table>\n</div>\n");
}

static void put_rows(struct document *doc)
{
	const json_t *rows = json_object_get(doc->result, "rows");
	size_t index;
	json_t *row;

	if (!json_array_size(rows))
		return;
	put(doc, "<h2>All facts</h2>\n<details><summary>");
	text_put_count(doc->out, (int64_t)json_array_size(rows));
	put(doc, " facts, each with its values</summary>\n");
	begin_table(doc, "rows", "All facts", "Every fact that was compared.");
	put(doc, "<th scope=\"col\">Fact</th><th scope=\"col\">State</th>");
	put_environment_heads(doc);
	json_array_foreach(rows, index, row)
	{
		const char *state = str(row, "state");
		buf_printf(doc->out, "<tr class=\"%s\"><th scope=\"row\">", is_off(state) ? "off" : "");
		element(doc, "code", "", str(row, "key"));
		buf_printf(doc->out, "</th><td class=\"%s\">", known(state));
		text(doc, state_words(state));
		put(doc, "</td>");
		put_environment_cells(doc, row);
		put(doc, "</tr>\n");
	}
	put(doc, "</tbody>\n</table>\n</div>\n</details>\n");
}

static void write_html(const json_t *result, struct buf *out)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct parity_view view;
	struct document doc = {&view, result, out};

	parity_view_open(&arena, result, &view);
	put_head(&doc);
	put_header(&doc);
	put_trouble(&doc);
	if (!view.differences) {
		buf_printf(out, "<p class=\"note%s\">", is_whole(&doc) ? " good" : "");
		AUTO(buf_free) struct buf totals = BUF_INIT(4096);
		parity_put_totals(&view, &totals);
		text(&doc, buf_str(&totals));
		put(&doc, ".</p>\n");
	}
	if (json_array_size(view.findings)) {
		put_matrix(&doc);
		put(&doc, "<h2>Fix this first</h2>\n");
		put_filter(&doc);
		put_findings(&doc);
	}
	put_gone(&doc);
	put_gaps(&doc);
	put_servers(&doc);
	put_rows(&doc);
	put(&doc, "</main>\n<footer><p>Made by lockstep " LOCKSTEP_VERSION
		  " without changing anything on the servers.</p></footer>\n</body>\n</html>\n");
}

const struct report_format report_html = {
	.name = "html",
	.media_type = "text/html; charset=utf-8",
	.summary = "one page for people, without anything from elsewhere",
	.write = write_html,
};
