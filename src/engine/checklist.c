#include "engine/checklist.h"

#include "engine/parity_matrix.h"
#include "engine/parity_result.h"

enum { EVIDENCE_MAX = 8, DIFFERENCES_MAX = 50 };

/* One question, and the facts that answer it. A fact belongs to the first that wants it. */
struct question {
	const char *name, *text;
	const char *const *facts; /* slice_glob_match; ends with NULL */
	const char *const *shown; /* those that make a good answer for people; ends with NULL */
};

static const char *const os_facts[] = {"os/*", "hw/*", NULL};
static const char *const os_shown[] = {"os/release/*", "os/kernel/version", "os/arch/machine", NULL};
static const char *const runtime_facts[] = {"runtime/*", "pkg/*", "container/*", NULL};
static const char *const runtime_shown[] = {"runtime/*/version", NULL};
static const char *const database_facts[] = {"db/*", NULL};
static const char *const database_shown[] = {"db/*/server/version", "db/*/extension/*/version", NULL};
static const char *const endpoint_facts[] = {"endpoint/*", NULL};
static const char *const endpoint_shown[] = {"endpoint/*/host", "endpoint/*/mode", NULL};
static const char *const variable_facts[] = {"env/*", NULL};
static const char *const variable_shown[] = {"env/*/present", NULL};
static const char *const permission_facts[] = {"file/*/mode", "file/*/owner", "file/*/caps", NULL};
static const char *const permission_shown[] = {"file/shared/*/mode", "file/.env/mode", NULL};
static const char *const network_facts[] = {"net/*", "shape/*", "http/*", "tls/*", "dns/*", NULL};
static const char *const network_shown[] = {"shape/*", "http/*/cdn", "net/listen/*", NULL};
static const char *const other_facts[] = {"*", NULL};

static const struct question questions[] = {
	{"os", "Same OS version?", os_facts, os_shown},
	{"runtime", "Same runtime version (Node, Python, Ruby, PHP)?", runtime_facts, runtime_shown},
	{"database", "Same database version and extensions?", database_facts, database_shown},
	{"endpoints", "Same third-party service endpoints (or equivalent test versions)?", endpoint_facts,
	 endpoint_shown},
	{"variables", "Same environment variables (minus credentials)?", variable_facts, variable_shown},
	{"permissions", "Same file system permissions?", permission_facts, permission_shown},
	{"network", "Same network configuration (load balancer, CDN, firewall rules)?", network_facts,
	 network_shown},
	/* Beyond the seven: files, units and what else is seen. */
	{"files", "Same files, services and schedules?", other_facts, other_facts + 1},
};

struct answer {
	uint64_t rows, same, allowed, differs, not_checked;
	json_t *evidence, *differences, *gaps;
};

struct checklist {
	const struct compare_input *input;
	struct answer answers[ARRAY_LEN(questions)];
};

static bool matches(const char *const *globs, struct slice key)
{
	for (; *globs; globs++)
		if (slice_glob_match(slice_of(*globs), key))
			return true;
	return false;
}

static json_t *cells_json(const struct compare_input *input, const struct compare_row *row)
{
	json_t *cells = json_array();

	for (size_t e = 0; e < input->environment_count; e++) {
		AUTO(buf_free) struct buf text = BUF_INIT(FACT_VALUE_MAX * 4);
		const struct cell *cell = &row->environments[e];
		if (cell->fact)
			fact_put_value(&text, cell->fact);
		else
			buf_puts(&text, cell->state == CELL_NOT_CHECKED
						? (cell->why ? cell->why : "not checked")
						: "missing");
		json_array_append_new(cells,
				      json_pack("{s:s, s:n, s:o, s:s}", "environment", input->environments[e],
						"server", "text", json_text(buf_slice(&text)), "state",
						cell_state_name(cell->state)));
	}
	return cells;
}

static void put(json_t *list, size_t max, const struct checklist *checklist, const struct compare_row *row)
{
	if (json_array_size(list) < max)
		json_array_append_new(list, json_pack("{s:o, s:s, s:s, s:o}", "key", json_text(row->key),
						      "state", cell_state_name(row->state), "severity",
						      row->severity ? severity_name(row->severity) : "",
						      "cells", cells_json(checklist->input, row)));
}

static int add_row(void *context, const struct compare_row *row, struct err *err)
{
	struct checklist *checklist = context;
	size_t q = 0;

	(void)err;
	if (row->is_evidence)
		return 0;
	while (!matches(questions[q].facts, row->key))
		q++;
	struct answer *answer = &checklist->answers[q];
	answer->rows++;
	switch (row->state) {
	case CELL_SAME:
		answer->same++;
		break;
	case CELL_ALLOWED:
		answer->allowed++;
		break;
	case CELL_DRIFT:
	case CELL_MISSING:
		answer->differs++;
		put(answer->differences, DIFFERENCES_MAX, checklist, row);
		return 0;
	case CELL_NOT_CHECKED:
	case CELL_STALE:
		answer->not_checked++;
		put(answer->gaps, DIFFERENCES_MAX, checklist, row);
		return 0;
	}
	if (matches(questions[q].shown, row->key))
		put(answer->evidence, EVIDENCE_MAX, checklist, row);
	return 0;
}

/* What was not looked at is no yes. */
static const char *verdict(const struct answer *answer)
{
	if (answer->differs)
		return "differs";
	return answer->same + answer->allowed == 0 || answer->not_checked ? "not_checked" : "same";
}

int checklist_answer(struct engine *engine, const struct parity_request *request, json_t **out,
		     struct err *err)
{
	AUTO(matrix_close) struct matrix matrix = {0};
	struct checklist checklist = {.input = &matrix.input};
	struct parity_request all;
	struct compare_totals totals;
	json_t *list = json_array(), *environments = json_array();
	bool differs = false;

	for (size_t q = 0; q < ARRAY_LEN(questions); q++) {
		checklist.answers[q].evidence = json_array();
		checklist.answers[q].differences = json_array();
		checklist.answers[q].gaps = json_array();
	}
	int result = matrix_all(engine, request, &all, err) || matrix_open(engine, &all, &matrix, err) ||
				     compare_run(&matrix.input, true, add_row, &checklist, &totals, err)
			     ? -1
			     : 0;
	for (size_t q = 0; q < ARRAY_LEN(questions); q++) {
		struct answer *answer = &checklist.answers[q];
		differs = differs || answer->differs;
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "name",
					questions[q].name, "question", questions[q].text, "answer",
					verdict(answer), "rows", (json_int_t)answer->rows, "same",
					(json_int_t)answer->same, "allowed", (json_int_t)answer->allowed,
					"differs", (json_int_t)answer->differs, "not_checked",
					(json_int_t)answer->not_checked, "evidence", answer->evidence,
					"differences", answer->differences, "gaps", answer->gaps));
	}
	for (size_t e = 0; result == 0 && e < matrix.input.environment_count; e++)
		json_array_append_new(environments, json_text(slice_of(matrix.input.environments[e])));
	*out = json_pack("{s:o, s:o, s:s, s:i}", "questions", list, "environments", environments, "reference",
			 result == 0 ? matrix.input.environments[matrix.input.reference] : "", "exit",
			 differs ? ERR_DRIFT : result == 0 ? observation_exit(&matrix.seen) : ERR_NONE);
	return result;
}
