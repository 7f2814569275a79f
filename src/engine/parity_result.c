#include "engine/parity_result.h"

/* --- parts ---------------------------------------------------------------------------- */

static json_t *environments_json(const struct observation *seen)
{
	json_t *list = json_array();

	for (size_t e = 0; e < seen->environment_count; e++) {
		json_t *servers = json_array();
		for (size_t i = 0; i < seen->count; i++) {
			const struct observed *item = &seen->items[i];
			if (strcmp(item->environment, seen->environments[e]) != 0)
				continue;
			json_array_append_new(
				servers,
				json_pack("{s:o, s:o, s:b, s:b, s:o, s:I}", "server",
					  json_text(slice_of(item->label)), "group", json_cstr(item->group),
					  "reachable", item->why == NULL, "stale", item->stale, "why",
					  item->why ? json_text(slice_of(item->why)) : json_null(), "taken",
					  (json_int_t)item->taken_ms));
		}
		json_array_append_new(list, json_pack("{s:o, s:o}", "name",
						      json_text(slice_of(seen->environments[e])), "servers",
						      servers));
	}
	return list;
}

static json_t *totals_json(const struct compare_totals *totals)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rows", (json_int_t)totals->rows, "same",
			 (json_int_t)totals->same, "allowed", (json_int_t)totals->allowed, "drift",
			 (json_int_t)totals->drift, "missing", (json_int_t)totals->missing, "not_checked",
			 (json_int_t)totals->not_checked, "stale", (json_int_t)totals->stale, "facts",
			 (json_int_t)totals->facts);
}

json_t *text_or_null(const char *text)
{
	return text ? json_text(slice_of(text)) : json_null();
}

static json_t *rule_json(const struct rule *rule)
{
	if (!rule)
		return json_null();
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:I}", "fact", json_text(slice_of(rule->fact)), "kind",
			 rule_kind_name(rule->kind), "where", text_or_null(rule->where), "owner",
			 text_or_null(rule->owner), "reason", text_or_null(rule->reason), "until",
			 (json_int_t)rule->until_ms);
}

static const char *direction_name(enum finding_direction direction)
{
	return direction == FINDING_REFERENCE_HAS     ? "reference_has"
	       : direction == FINDING_REFERENCE_LACKS ? "reference_lacks"
						      : "differs";
}

json_t *finding_json(const struct finding *finding)
{
	struct slice key = slice_of(finding->key);
	json_t *cells = json_array();
	json_t *out = json_pack(
		"{s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:f, s:I, s:I, s:I, s:o}", "id",
		finding->id, "kind", finding_kind_name(finding->kind), "key", json_text(key), "dimension",
		json_text(fact_dimension(key)), "subject", json_text(fact_subject(key)), "attribute",
		json_text(fact_attribute(key)), "severity", severity_name(finding->severity), "direction",
		direction_name(finding->direction), "text", text_or_null(finding->text), "cause",
		json_text(slice_of(finding->cause ? finding->cause : "")), "advice",
		json_text(slice_of(finding->advice ? finding->advice : "")), "why",
		json_text(slice_of(finding->why ? finding->why : "")), "score", finding->score, "folded",
		(json_int_t)finding->folded, "first_seen", (json_int_t)finding->first_seen_ms, "last_seen",
		(json_int_t)finding->last_seen_ms, "rule", rule_json(finding->rule));

	for (size_t i = 0; i < finding->cell_count; i++)
		json_array_append_new(cells, json_pack("{s:o, s:o, s:o, s:s}", "environment",
						       json_text(slice_of(finding->cells[i].environment)),
						       "server", text_or_null(finding->cells[i].server),
						       "text", json_text(slice_of(finding->cells[i].text)),
						       "state", cell_state_name(finding->cells[i].state)));
	json_object_set_new(out, "cells", cells);
	return out;
}

static json_t *gaps_json(const struct findings *findings)
{
	json_t *list = json_array();

	for (size_t i = 0; i < findings->gap_count; i++)
		json_array_append_new(list,
				      json_pack("{s:o, s:o, s:o, s:o, s:I}", "key",
						json_text(slice_of(findings->gaps[i].key)), "environment",
						text_or_null(findings->gaps[i].environment), "server",
						text_or_null(findings->gaps[i].server), "why",
						text_or_null(findings->gaps[i].why), "rows",
						(json_int_t)findings->gaps[i].rows));
	return list;
}

json_t *parity_result(struct engine *engine, const char *kind, const char *reference, int64_t now_ms,
		      const struct observation *seen, const struct findings *findings)
{
	json_t *list = json_array();

	for (size_t i = 0; i < findings->count; i++)
		json_array_append_new(list, finding_json(&findings->items[i]));
	return json_pack("{s:s, s:o, s:o, s:I, s:o, s:o, s:i, s:o, s:o, s:i}", "kind", kind, "project",
			 json_cstr(engine->project ? engine->project->name : NULL), "reference",
			 json_text(slice_of(reference)), "taken", (json_int_t)now_ms, "environments",
			 environments_json(seen), "totals", totals_json(&findings->totals), "coverage",
			 compare_coverage(&findings->totals), "findings", list, "not_checked",
			 gaps_json(findings), "exit", findings->count ? ERR_DRIFT : observation_exit(seen));
}

void finding_name(struct finding *finding, const char *server)
{
	AUTO(buf_free) struct buf text = BUF_INIT(2 * FACT_KEY_MAX);
	struct digest digest;
	char hex[DIGEST_HEX_LEN + 1];

	buf_printf(&text, "%s", finding_kind_name(finding->kind));
	buf_putc(&text, 0);
	buf_puts(&text, finding->key);
	buf_putc(&text, 0);
	buf_puts(&text, server);
	digest_of(buf_slice(&text), &digest);
	digest_to_hex(&digest, hex);
	snprintf(finding->id, sizeof(finding->id), "%.12s", hex);
}
