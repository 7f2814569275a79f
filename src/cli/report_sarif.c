/* SARIF 2.1.0 (OASIS), for code scanning pages and editors: a result a finding, a rule a
 * dimension and kind of finding; what was not checked is a notification, never a pass. */
#include "cli/parity_view.h"
#include "cli/report.h"

#include "base/clock.h"

/* §3.27.10: there is no level above error. */
static const char *level_of(const char *severity)
{
	int rank = parity_severity_rank(severity);

	return rank >= 3 ? "error" : rank == 2 ? "warning" : "note";
}

/* A text of the form [words](place) would be a link (§3.11.6). */
static json_t *message(const char *text)
{
	AUTO(buf_free) struct buf plain_text = BUF_INIT(1 << 20);

	for (const char *c = text; *c; c++)
		buf_puts(&plain_text, c[0] == ']' && c[1] == '(' ? "] " : (char[]){*c, '\0'});
	return json_pack("{s:o}", "text", report_json_text(buf_str(&plain_text)));
}

static const char *rule_id(const struct parity_view *view, const json_t *finding)
{
	return arena_printf(view->arena, "%s/%s", str(finding, "dimension"), str(finding, "kind"));
}

static const char *rule_text(const struct parity_view *view, const json_t *finding)
{
	static const char *const texts[][2] = {
		{"drift", "differs between environments, and no rule allows it"},
		{"within", "differs between the servers of one environment"},
		{"hand_change", "was changed on a server, not by a deployment"},
		{"not_deployed", "is changed in the code, and not deployed yet"},
		{"lapsed", "differs, and the rule that allowed it is over"},
		{"unneeded", "has a rule that nothing needs any more"},
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(texts[i][0], str(finding, "kind")) == 0)
			return arena_printf(view->arena, "%s: %s", str(finding, "dimension"), texts[i][1]);
	return arena_printf(view->arena, "%s: %s", str(finding, "dimension"), str(finding, "kind"));
}

/* The index of the finding's rule; added when it is new. */
static size_t rule_of(const struct parity_view *view, json_t *rules, const json_t *finding)
{
	AUTO(json_free) json_t *id = report_json_text(rule_id(view, finding));
	size_t index;
	json_t *rule;

	json_array_foreach(rules, index, rule) if (json_equal(json_object_get(rule, "id"), id)) return index;
	json_array_append_new(rules, json_pack("{s:O, s:o, s:{s:s}, s:{s:[o]}}", "id", id, "shortDescription",
					       message(rule_text(view, finding)), "defaultConfiguration",
					       "level", level_of(str(finding, "severity")), "properties",
					       "tags", report_json_text(str(finding, "dimension"))));
	return json_array_size(rules) - 1;
}

/* RFC 3986: what a relative path may hold as it is; the rest in percent. */
static const char *uri_of(struct arena *arena, struct slice path)
{
	AUTO(buf_free) struct buf uri = BUF_INIT(256 << 10);

	for (size_t i = 0; i < path.len; i++) {
		unsigned char c = (unsigned char)path.ptr[i];
		bool plain_char = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				  (c >= '0' && c <= '9') || (c && strchr("-._~/", c));
		buf_printf(&uri, plain_char ? "%c" : "%%%02X", c);
	}
	return arena_str(arena, buf_slice(&uri));
}

static json_t *file_location(struct arena *arena, struct slice path, int64_t line)
{
	json_t *physical = json_pack("{s:{s:s}}", "artifactLocation", "uri", uri_of(arena, path));

	if (line > 0)
		json_object_set_new(physical, "region", json_pack("{s:I}", "startLine", (json_int_t)line));
	return physical;
}

/* Where a person would look: the file of the release, else the row of lockstep.yml that judged,
 * else lockstep.yml itself, since viewers want a file. */
static json_t *physical_location(const struct parity_view *view, const json_t *finding)
{
	struct slice where = slice_of(str(json_object_get(finding, "rule"), "where"));
	struct slice subject = slice_of(str(finding, "subject"));
	ptrdiff_t colon = slice_find(where, ':');
	int64_t line = 0;

	if (strcmp(str(finding, "dimension"), "file") == 0 && subject.len && *subject.ptr != '/')
		return file_location(view->arena, subject, 0);
	if (colon > 0 && slice_to_i64(slice_skip(where, (size_t)colon + 1), &line) && line > 0)
		return file_location(view->arena, slice_make(where.ptr, (size_t)colon), line);
	if (*str(view->result, "project"))
		return file_location(view->arena, SLICE("lockstep.yml"), 0);
	return NULL;
}

static json_t *location_of(const struct parity_view *view, const json_t *finding)
{
	json_t *location = json_pack("{s:[{s:o, s:s}]}", "logicalLocations", "fullyQualifiedName",
				     report_json_text(str(finding, "key")), "kind", "resource");
	json_t *physical = physical_location(view, finding);

	if (physical)
		json_object_set_new(location, "physicalLocation", physical);
	return location;
}

static json_t *properties_of(const json_t *finding)
{
	static const char *const kept[] = {"key", "severity", "direction", "cause", "advice", "why"};
	json_t *properties = json_object(), *cells = json_array(), *cell;
	size_t index;

	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (*str(finding, kept[i]))
			json_object_set_new(properties, kept[i], report_json_text(str(finding, kept[i])));
	json_array_foreach(json_object_get(finding, "cells"), index, cell)
	{
		json_t *row = json_pack(
			"{s:o, s:o, s:o}", "environment", report_json_text(str(cell, "environment")), "text",
			report_json_text(str(cell, "text")), "state", report_json_text(str(cell, "state")));
		if (*str(cell, "server"))
			json_object_set_new(row, "server", report_json_text(str(cell, "server")));
		json_array_append_new(cells, row);
	}
	json_object_set_new(properties, "cells", cells);
	if (json_is_number(json_object_get(finding, "score")))
		json_object_set(properties, "score", json_object_get(finding, "score"));
	if (num(finding, "folded") > 0)
		json_object_set(properties, "folded", json_object_get(finding, "folded"));
	return properties;
}

static void put_time(json_t *object, const char *key, int64_t at)
{
	char text[CLOCK_ISO_LEN + 1] = "";

	if (at <= 0)
		return;
	clock_format_iso(at, text);
	json_object_set_new(object, key, json_string(text));
}

static json_t *result_of(const struct parity_view *view, json_t *rules, const json_t *finding)
{
	const char *advice = str(finding, "advice");
	size_t rule = rule_of(view, rules, finding);
	json_t *row = json_pack(
		"{s:o, s:I, s:s, s:o, s:[o], s:{s:o}, s:o}", "ruleId",
		report_json_text(rule_id(view, finding)), "ruleIndex", (json_int_t)rule, "level",
		level_of(str(finding, "severity")), "message",
		message(*advice ? arena_printf(view->arena, "%s\n%s", str(finding, "text"), advice)
				: str(finding, "text")),
		"locations", location_of(view, finding), "partialFingerprints", "lockstepFinding/v1",
		report_json_text(str(finding, "id")), "properties", properties_of(finding));
	json_t *provenance = json_object();

	put_time(provenance, "firstDetectionTimeUtc", num(finding, "first_seen"));
	put_time(provenance, "lastDetectionTimeUtc", num(finding, "last_seen"));
	if (json_object_size(provenance))
		json_object_set(row, "provenance", provenance);
	json_decref(provenance);
	if (json_object_get(view->result, "appeared"))
		json_object_set_new(row, "baselineState",
				    json_string(parity_is_new(view, finding) ? "new" : "unchanged"));
	return row;
}

static json_t *notification(const char *level, const char *text)
{
	return json_pack("{s:s, s:o}", "level", level, "message", message(text));
}

/* How the looking went: whom it did not reach, what it could not read. */
static json_t *invocation(const struct parity_view *view)
{
	json_t *notes = json_array(), *item, *server;
	bool all_reached = true;
	size_t index, s;

	json_array_foreach(json_object_get(view->result, "environments"), index, item)
		json_array_foreach(json_object_get(item, "servers"), s, server)
	{
		const char *trouble = parity_server_trouble(view, item, server, num(view->result, "taken"));
		all_reached &= flag(server, "reachable");
		if (trouble)
			json_array_append_new(notes, notification("error", trouble));
	}
	json_array_foreach(json_object_get(view->result, "not_checked"), index, item) json_array_append_new(
		notes, notification("warning", arena_printf(view->arena, "not checked: %s in %s%s%s: %s",
							    str(item, "key"), str(item, "environment"),
							    *str(item, "server") ? " on " : "",
							    str(item, "server"), str(item, "why"))));
	json_t *run = json_pack("{s:b, s:o}", "executionSuccessful", all_reached,
				"toolExecutionNotifications", notes);
	put_time(run, "endTimeUtc", num(view->result, "taken"));
	return run;
}

static void write_sarif(const json_t *result, struct buf *out)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct parity_view view;
	json_t *rules = json_array(), *results = json_array(), *finding;
	size_t index;

	parity_view_open(&arena, result, &view);
	json_array_foreach(view.findings, index, finding)
		json_array_append_new(results, result_of(&view, rules, finding));
	json_t *run = json_pack(
		"{s:{s:{s:s, s:s, s:o}}, s:[o], s:s, s:{s:o, s:o, s:I, s:O}, s:o}", "tool", "driver", "name",
		"lockstep", "version", LOCKSTEP_VERSION, "rules", rules, "invocations", invocation(&view),
		"columnKind", "unicodeCodePoints", "properties", "kind",
		report_json_text(str(result, "kind")), "reference",
		report_json_text(str(result, "reference")), "coverage", (json_int_t)num(result, "coverage"),
		"totals", json_object_get(result, "totals") ? json_object_get(result, "totals") : json_null(),
		"results", results);
	AUTO(json_free)
	json_t *log =
		json_pack("{s:s, s:s, s:[o]}", "$schema", "https://json.schemastore.org/sarif-2.1.0.json",
			  "version", "2.1.0", "runs", run);
	json_put_pretty(out, log);
}

const struct report_format report_sarif = {
	.name = "sarif",
	.media_type = "application/sarif+json",
	.summary = "SARIF 2.1.0, for code scanning pages and editors",
	.write = write_sarif,
};
