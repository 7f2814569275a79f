#include "engine/parity.h"

#include "base/clock.h"
#include "engine/parity_history.h"
#include "engine/parity_matrix.h"
#include "engine/parity_pending.h"
#include "engine/parity_renames.h"
#include "engine/parity_result.h"

/* --- all rows ------------------------------------------------------------ */

/* Every row, for --all. */
struct rows {
	const struct compare_input *input;
	json_t *list;
	size_t left_out;
};

enum { ROWS_MAX = 200000 };

static int add_row(void *context, const struct compare_row *row, struct err *err)
{
	struct rows *rows = context;
	json_t *cells = json_array();

	(void)err;
	if (json_array_size(rows->list) >= ROWS_MAX) {
		rows->left_out++;
		json_decref(cells);
		return 0;
	}
	for (size_t e = 0; e < rows->input->environment_count; e++) {
		AUTO(buf_free) struct buf text = BUF_INIT(FACT_VALUE_MAX * 4);
		const struct cell *cell = &row->environments[e];
		if (cell->fact)
			fact_put_value(&text, cell->fact);
		else
			buf_puts(&text, cell->state == CELL_NOT_CHECKED
						? (cell->why ? cell->why : "not checked")
						: "missing");
		json_array_append_new(cells, json_pack("{s:s, s:n, s:o, s:s}", "environment",
						       rows->input->environments[e], "server", "text",
						       json_text(buf_slice(&text)), "state",
						       cell_state_name(cell->state)));
	}
	json_array_append_new(rows->list, json_pack("{s:o, s:s, s:b, s:o}", "key", json_text(row->key),
						    "state", cell_state_name(row->state), "evidence",
						    row->is_evidence, "cells", cells));
	return 0;
}

static int put_rows(struct matrix *matrix, json_t *out, struct err *err)
{
	struct compare_totals totals;
	struct rows rows = {.input = &matrix->input, .list = json_array()};

	matrix_rewind(matrix);
	json_object_set_new(out, "rows", rows.list);
	if (compare_run(&matrix->input, true, add_row, &rows, &totals, err))
		return -1;
	if (rows.left_out)
		json_object_set_new(out, "rows_left_out", json_integer((json_int_t)rows.left_out));
	return 0;
}

/* --- the commands --------------------------------------------------------------------------- */

/* "staging production": what was held against what, as history tells runs apart. */
static const char *subjects_text(struct engine *engine, const struct parity_request *request)
{
	AUTO(buf_free) struct buf text = BUF_INIT(64 << 10);

	for (size_t i = 0; i < request->count; i++)
		buf_printf(&text, "%s%s", i ? " " : "", request->subjects[i]);
	return arena_strdup(&engine->arena, buf_str(&text));
}

static int compare(struct engine *engine, const struct parity_request *request, enum parity_run_kind kind,
		   json_t **out, struct err *err)
{
	const char *run = NULL;
	AUTO(matrix_close) struct matrix matrix = {0};
	struct findings findings = {0};
	struct pending pending;

	if (matrix_open(engine, request, &matrix, err) ||
	    findings_gather(&engine->arena, &matrix.input, &findings, err))
		return -1;
	parity_renames(engine, &matrix, &findings);
	if (engine->project && parity_history_keep(engine, kind, subjects_text(engine, request), request,
						   &matrix.seen, &findings, &run, err))
		return -1;
	parity_pending_open(engine, matrix.input.environments[matrix.input.reference], &pending);
	findings_rank(&engine->arena, &findings, &pending, matrix.input.now_ms);
	*out = parity_result(engine, parity_run_kind_name(kind),
			     matrix.input.environments[matrix.input.reference], matrix.input.now_ms,
			     &matrix.seen, &findings);
	json_object_set_new(*out, "run", json_cstr(run));
	if (request->all && put_rows(&matrix, *out, err))
		return -1;
	return request->since ? parity_history_since(engine, request->since, *out, err) : 0;
}

int parity_diff(struct engine *engine, const struct parity_request *request, json_t **out, struct err *err)
{
	if (request->count < 2) {
		err_set(err, ERR_USER, "diff wants two or more environments, places or releases");
		return err_hint(err, "such as `lockstep diff staging production`, or, without any file, "
				     "`lockstep diff deploy@stg:/var/www/shop deploy@prod:/var/www/shop`");
	}
	return compare(engine, request, PARITY_RUN_DIFF, out, err);
}

int parity_matrix(struct engine *engine, const struct parity_request *request, json_t **out, struct err *err)
{
	struct parity_request all;

	return matrix_all(engine, request, &all, err) ? -1
						      : compare(engine, &all, PARITY_RUN_PARITY, out, err);
}

int parity_facts(struct engine *engine, const struct parity_request *request, json_t **out, struct err *err)
{
	AUTO(observation_close) struct observation seen = {0};
	struct observe_request look = {
		.subjects = request->subjects,
		.count = request->count,
		.only = request->only,
		.only_count = request->only_count,
		.no_databases = request->no_databases,
		.offline = request->offline,
	};
	json_t *servers = json_array();

	if (observe(engine, &look, &seen, err)) {
		json_decref(servers);
		return -1;
	}
	*out = json_pack("{s:o, s:i}", "servers", servers, "exit", 0);
	for (size_t i = 0; i < seen.count; i++) {
		AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_fd(seen.items[i].fd);
		json_t *facts = json_array();
		struct fact fact;
		int got;
		json_array_append_new(servers,
				      json_pack("{s:o, s:o, s:o, s:o}", "server",
						json_text(slice_of(seen.items[i].label)), "environment",
						json_text(slice_of(seen.items[i].environment)), "why",
						text_or_null(seen.items[i].why), "facts", facts));
		while ((got = fact_next(reader, &fact, err)) > 0) {
			AUTO(buf_free) struct buf text = BUF_INIT(FACT_VALUE_MAX * 4);
			fact_put_value(&text, &fact);
			json_array_append_new(
				facts, json_pack("{s:o, s:s, s:o, s:b}", "key", json_text(fact.key), "kind",
						 fact_kind_name(fact.kind), "value",
						 json_text(buf_slice(&text)), "evidence", fact.evidence));
			if (json_array_size(facts) >= ROWS_MAX)
				break;
		}
		if (got < 0)
			return -1;
		if (seen.items[i].why)
			json_object_set_new(*out, "exit", json_integer(ERR_NETWORK));
	}
	return 0;
}

/* --- for the gate ------------------------------------------------------------------------------ */

static bool comes_with_deployment(const struct environment *environment, const struct finding *finding)
{
	struct slice key = slice_of(finding->key), dimension = fact_dimension(key);
	bool renders = false;

	for (size_t i = 0; i < environment->files.count; i++)
		renders = renders || environment->files.items[i].kind == FILE_ENV;
	if (slice_is(dimension, "env"))
		return renders;
	/* It is the reference: what it lacks of the schema its migrations bring. */
	if (slice_is(dimension, "db"))
		return finding->direction == FINDING_REFERENCE_LACKS;
	return matrix_comes_with_release(key);
}

/* "staging is small (ops, lockstep.yml:41)" */
static const char *exception_text(struct arena *arena, const struct rule *rule)
{
	return arena_printf(arena, "%s (%s%s%s)",
			    rule->reason && *rule->reason ? rule->reason : "no reason given",
			    rule->owner ? rule->owner : "", rule->owner && rule->where ? ", " : "",
			    rule->where ? rule->where : "");
}

int parity_between(struct engine *engine, const struct environment *environment, const char *with,
		   struct parity_evidence *out, struct err *err)
{
	AUTO(matrix_close) struct matrix matrix = {0};
	const char *const subjects[] = {with, environment->name};
	const struct parity_request request = {
		.subjects = subjects, .count = 2, .reference = environment->name};
	struct findings findings = {0};
	struct arena *arena = &engine->arena;
	const char *run;

	if (matrix_open(engine, &request, &matrix, err) ||
	    findings_gather(arena, &matrix.input, &findings, err) ||
	    parity_history_keep(engine, PARITY_RUN_DIFF, subjects_text(engine, &request), &request,
				&matrix.seen, &findings, &run, err))
		return -1;
	*out = (struct parity_evidence){
		.findings =
			ARENA_NEW_ARRAY(arena, findings.count + findings.excusing_count, struct gate_finding),
		.gaps = ARENA_NEW_ARRAY(arena, findings.gap_count, struct gate_gap),
		.coverage = compare_coverage(&findings.totals),
		.checked_ms = clock_wall_ms(),
	};
	for (size_t i = 0; i < findings.count; i++) {
		const struct finding *finding = &findings.items[i];
		if (!finding->severity || comes_with_deployment(environment, finding))
			continue;
		out->findings[out->finding_count++] = (struct gate_finding){
			.id = arena_strdup(arena, finding->id),
			.key = finding->key,
			.text = finding->text,
			.severity = finding->severity,
		};
	}
	for (size_t i = 0; i < findings.excusing_count; i++) {
		const struct rule *rule = findings.excusing[i];
		out->findings[out->finding_count++] = (struct gate_finding){
			.id = "rule",
			.key = arena_strdup(arena, rule->fact),
			.text = "",
			.severity = rule->severity ? rule->severity : SEVERITY_LOW,
			.allowed_by = exception_text(arena, rule),
			.until_ms = rule->until_ms,
		};
	}
	for (size_t i = 0; i < findings.gap_count; i++)
		out->gaps[out->gap_count++] = (struct gate_gap){
			.key = findings.gaps[i].key,
			.environment = findings.gaps[i].environment ? findings.gaps[i].environment : with,
			.why = findings.gaps[i].why ? findings.gaps[i].why : "not looked at",
			.rows = findings.gaps[i].rows,
		};
	return 0;
}
