/* JUnit XML for the test page of a CI system: a suite an environment held against the
 * reference, a case a finding; what was not checked is skipped, what is the same is one case
 * (with --all: one a dimension). Fits the schema of Jenkins' plugin. */
#include "cli/parity_view.h"
#include "cli/report.h"

#include "base/clock.h"

struct suite {
	const struct parity_view *view;
	size_t environment; /* index */
	const char *name;
	struct buf cases;
	int64_t tests, failures, skipped;
};

/* Rows of one dimension that are in order. */
struct clean {
	const char *dimension;
	int64_t rows;
	bool broken;
};

static void put_attribute(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, " %s=\"", name);
	report_put_text(out, text);
	buf_putc(out, '"');
}

static void put_property(struct buf *out, const char *name, const char *text)
{
	if (!*text)
		return;
	buf_puts(out, "      <property");
	put_attribute(out, "name", name);
	put_attribute(out, "value", text);
	buf_puts(out, "/>\n");
}

static void put_number_property(struct buf *out, const char *name, int64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)number);
	put_property(out, name, text);
}

static void begin_case(struct suite *suite, const char *class, const char *name)
{
	suite->tests++;
	buf_puts(&suite->cases, "    <testcase");
	put_attribute(&suite->cases, "classname",
		      arena_printf(suite->view->arena, "%s.%s", suite->name, class));
	put_attribute(&suite->cases, "name", name);
	buf_puts(&suite->cases, " time=\"0\"");
}

/* Whom a finding is about: environments with a cell that is not in order; none of them: all
 * but the reference, and the reference where nobody else is in it. */
static bool concerns(const struct parity_view *view, const json_t *finding, size_t environment)
{
	const char *name = view->environments[environment];
	bool any_bad = false, any_other = false, mine_bad = false, mine = false;
	size_t index;
	json_t *cell;

	json_array_foreach(json_object_get(finding, "cells"), index, cell)
	{
		const char *state = str(cell, "state");
		bool bad = strcmp(state, "drift") == 0 || strcmp(state, "missing") == 0;
		bool is_mine = strcmp(str(cell, "environment"), name) == 0;
		any_bad |= bad;
		any_other |= strcmp(str(cell, "environment"), str(view->result, "reference")) != 0;
		mine |= is_mine;
		mine_bad |= is_mine && bad;
	}
	if (any_bad)
		return mine_bad;
	return any_other ? mine && environment != view->reference : mine;
}

static void put_line(struct buf *out, const char *label, const char *text)
{
	if (!*text)
		return;
	report_put_text(out, label);
	report_put_text(out, text);
	buf_putc(out, '\n');
}

static void put_finding(struct suite *suite, const json_t *finding)
{
	struct buf *out = &suite->cases;
	size_t index;
	json_t *cell;

	begin_case(suite, str(finding, "dimension"), str(finding, "key"));
	suite->failures++;
	buf_puts(out, ">\n      <failure");
	put_attribute(
		out, "type",
		arena_printf(suite->view->arena, "%s.%s", str(finding, "kind"), str(finding, "severity")));
	put_attribute(out, "message", str(finding, "text"));
	buf_putc(out, '>');
	json_array_foreach(json_object_get(finding, "cells"), index, cell)
	{
		report_put_text(out, str(cell, "environment"));
		if (*str(cell, "server")) {
			buf_putc(out, ' ');
			report_put_text(out, str(cell, "server"));
		}
		put_line(out, ": ", *str(cell, "text") ? str(cell, "text") : "(empty)");
	}
	put_line(out, "severity: ", str(finding, "severity"));
	put_line(out, "cause: ", str(finding, "cause"));
	put_line(out, "to do: ", str(finding, "advice"));
	put_line(out, "rank: ", str(finding, "why"));
	put_line(out, "finding: ", str(finding, "id"));
	buf_puts(out, "</failure>\n    </testcase>\n");
}

static void put_skipped(struct suite *suite, const char *class, const char *name, const char *why)
{
	begin_case(suite, class, name);
	suite->skipped++;
	buf_puts(&suite->cases, ">\n      <skipped>");
	report_put_text(&suite->cases, why);
	buf_puts(&suite->cases, "</skipped>\n    </testcase>\n");
}

static void put_gaps(struct suite *suite)
{
	const char *environment = suite->view->environments[suite->environment];
	size_t index;
	json_t *gap;

	json_array_foreach(json_object_get(suite->view->result, "not_checked"), index, gap)
	{
		if (strcmp(str(gap, "environment"), environment) != 0)
			continue;
		struct slice dimension = slice_of(str(gap, "key"));
		put_skipped(suite, arena_str(suite->view->arena, slice_cut(&dimension, '/')),
			    *str(gap, "server") ? arena_printf(suite->view->arena, "%s on %s",
							       str(gap, "key"), str(gap, "server"))
						: str(gap, "key"),
			    arena_printf(suite->view->arena, "not checked: %s", str(gap, "why")));
	}
}

static void put_servers(struct suite *suite)
{
	const json_t *result = suite->view->result;
	size_t index, s;
	json_t *environment, *server;

	json_array_foreach(json_object_get(result, "environments"), index, environment)
	{
		if (index != suite->environment)
			continue;
		json_array_foreach(json_object_get(environment, "servers"), s, server)
		{
			const char *trouble =
				parity_server_trouble(suite->view, environment, server, num(result, "taken"));
			if (trouble)
				put_skipped(suite, "server", str(server, "server"), trouble);
		}
	}
}

/* What is in order. Without `rows` nobody knows of which dimensions it is. */
static void put_clean(struct suite *suite)
{
	enum { DIMENSIONS_MAX = 64 };
	const json_t *result = suite->view->result, *totals = json_object_get(result, "totals");
	struct clean dimensions[DIMENSIONS_MAX];
	size_t count = 0, index;
	json_t *row;

	json_array_foreach(json_object_get(result, "rows"), index, row)
	{
		struct slice rest = slice_of(str(row, "key"));
		const char *name = arena_str(suite->view->arena, slice_cut(&rest, '/')), *state;
		size_t at = 0;
		while (at < count && strcmp(dimensions[at].dimension, name) != 0)
			at++;
		if (at == DIMENSIONS_MAX || !parity_cell(suite->view, row, suite->environment, &state))
			continue;
		if (at == count)
			dimensions[count++] = (struct clean){.dimension = name};
		if (strcmp(state, "same") == 0 || strcmp(state, "allowed") == 0)
			dimensions[at].rows++;
	}
	for (size_t i = 0; i < count; i++) {
		if (!dimensions[i].rows)
			continue;
		begin_case(suite, dimensions[i].dimension,
			   arena_printf(suite->view->arena, "%lld facts in order",
					(long long)dimensions[i].rows));
		buf_puts(&suite->cases, "/>\n");
	}
	int64_t good = num(totals, "same") + num(totals, "allowed");
	if (!count && good > 0) {
		begin_case(suite, "all",
			   arena_printf(suite->view->arena, "%lld facts in order", (long long)good));
		buf_puts(&suite->cases, "/>\n");
	}
}

static void build_suite(struct suite *suite)
{
	const struct parity_view *view = suite->view;
	bool is_reference = suite->environment == view->reference;
	size_t index;
	json_t *finding;

	suite->name = view->environments[suite->environment];
	if (!is_reference && view->reference < view->environment_count)
		suite->name =
			arena_printf(view->arena, "%s against %s", view->environments[suite->environment],
				     view->environments[view->reference]);
	json_array_foreach(view->findings, index, finding) if (concerns(view, finding, suite->environment))
		put_finding(suite, finding);
	put_servers(suite);
	put_gaps(suite);
	if (!is_reference || view->environment_count == 1)
		put_clean(suite);
}

static void put_suite(const struct suite *suite, struct buf *out)
{
	const json_t *result = suite->view->result, *totals = json_object_get(result, "totals");
	char taken[CLOCK_ISO_LEN + 1] = "";

	clock_format_iso(num(result, "taken"), taken);
	taken[CLOCK_ISO_LEN - 1] = '\0'; /* the form has no zone */
	buf_puts(out, "  <testsuite");
	put_attribute(out, "name", suite->name);
	buf_printf(out,
		   " tests=\"%lld\" failures=\"%lld\" errors=\"0\" skipped=\"%lld\" time=\"0\" "
		   "timestamp=\"%s\">\n",
		   (long long)suite->tests, (long long)suite->failures, (long long)suite->skipped, taken);
	buf_puts(out, "    <properties>\n");
	put_property(out, "kind", *str(result, "kind") ? str(result, "kind") : "diff");
	put_property(out, "project", str(result, "project"));
	put_property(out, "reference", str(result, "reference"));
	put_number_property(out, "coverage", num(result, "coverage"));
	put_number_property(out, "facts", num(totals, "facts"));
	put_number_property(out, "allowed", num(totals, "allowed"));
	put_number_property(out, "not_checked", num(totals, "not_checked"));
	buf_puts(out, "    </properties>\n");
	buf_put_slice(out, buf_slice(&suite->cases));
	buf_puts(out, "  </testsuite>\n");
}

static void write_junit(const json_t *result, struct buf *out)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct parity_view view;
	int64_t tests = 0, failures = 0;

	parity_view_open(&arena, result, &view);
	struct suite *suites = ARENA_NEW_ARRAY(&arena, view.environment_count, struct suite);
	for (size_t i = 0; i < view.environment_count; i++) {
		suites[i] = (struct suite){.view = &view, .environment = i, .cases = BUF_INIT(out->max)};
		build_suite(&suites[i]);
		tests += suites[i].tests;
		failures += suites[i].failures;
	}
	buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites");
	put_attribute(out, "name", arena_printf(&arena, "lockstep %s", str(result, "kind")));
	buf_printf(out, " tests=\"%lld\" failures=\"%lld\" errors=\"0\" time=\"0\">\n", (long long)tests,
		   (long long)failures);
	for (size_t i = 0; i < view.environment_count; i++) {
		if (suites[i].tests || i != view.reference)
			put_suite(&suites[i], out);
		buf_free(&suites[i].cases);
	}
	buf_puts(out, "</testsuites>\n");
}

const struct report_format report_junit = {
	.name = "junit",
	.media_type = "application/xml",
	.summary = "JUnit XML, for the test page of a CI system",
	.write = write_junit,
};
