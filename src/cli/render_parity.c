/* How differences look in a terminal: diff, parity, drift. One line a finding: what it is
 * about, one column an environment, a sentence. The reports for other programs are in
 * report_*.c. */
#include "cli/parity_view.h"
#include "cli/text.h"

#include "base/clock.h"

enum {
	GAP = 2,
	AREA_MAX = 14,
	NAME_MAX_COLUMNS = 60,
	NAME_MIN = 12,
	CELL_MAX = 40,
	CELL_MIN = 8,
	SENTENCE_MIN = 28, /* narrower than that it goes below its line */
	FIRST = 10,	   /* findings told with rank and advice */
	APPEARED_MAX = 50,
	ID_SHOWN = 6, /* of twelve digits: enough to name it by */
};

struct table {
	struct page *page;
	const struct parity_view *view;
	bool numbered;
	size_t number, id, severity, area, name; /* widths; 0: that column is not there */
	size_t *cells;			     /* one an environment */
	size_t sentence;		     /* width; 0: below its line */
	bool stacked;			     /* too narrow for columns */
};

static enum style severity_style(const char *severity)
{
	int rank = parity_severity_rank(severity);

	return rank >= 3 ? STYLE_BAD : rank == 2 ? STYLE_WARN : STYLE_PLAIN;
}

static enum style cell_style(const char *state, const char *severity)
{
	if (strcmp(state, "drift") == 0 || strcmp(state, "missing") == 0)
		return severity_style(severity);
	return strcmp(state, "not_checked") == 0 || strcmp(state, "stale") == 0 ? STYLE_DIM : STYLE_PLAIN;
}

static void begin(struct table *table, enum style style)
{
	buf_puts(table->page->out, style_begin(table->page->colour, style));
}

static void end(struct table *table, enum style style)
{
	buf_puts(table->page->out, style_end(table->page->colour, style));
}

/* Cut, padded and with the gap to the next column. */
static void put_column(struct table *table, enum style style, const char *text, size_t width, bool middle)
{
	if (!width)
		return;
	begin(table, style);
	size_t written = (middle ? text_put_middle : text_put_cut)(table->page->out, text, width);
	end(table, style);
	pad(table->page, written, width + GAP);
}

static void trim(struct buf *out)
{
	while (out->len && out->ptr[out->len - 1] == ' ')
		out->ptr[--out->len] = '\0';
}

static void end_line(struct table *table)
{
	trim(table->page->out);
	buf_putc(table->page->out, '\n');
}

/* What is left of a line behind so many columns; 0: no limit. */
static size_t behind(const struct table *table, size_t taken)
{
	size_t columns = table->page->columns;

	return columns > taken + 10 ? columns - taken : columns ? 10 : 0;
}

static void put_spaces(struct table *table, size_t count)
{
	pad(table->page, 0, count);
}

/* --- widths ----------------------------------------------------------------------------- */

static void widen(size_t *width, const char *text, size_t max)
{
	*width = MAX(*width, MIN(text_visible_width(text), max));
}

static size_t columns_of(size_t width)
{
	return width ? width + GAP : 0;
}

static size_t fixed_width(const struct table *table)
{
	size_t sum = columns_of(table->number) + columns_of(table->id) + columns_of(table->severity) +
		     columns_of(table->area) + columns_of(table->name);

	for (size_t i = 0; i < table->view->environment_count; i++)
		sum += columns_of(table->cells[i]);
	return sum;
}

/* Takes from the widest column until the line fits; false when none can give. */
static bool squeeze(struct table *table, size_t columns)
{
	while (fixed_width(table) > columns + GAP) {
		size_t *widest = table->name > NAME_MIN ? &table->name : NULL;
		for (size_t i = 0; i < table->view->environment_count; i++)
			if (table->cells[i] > CELL_MIN && (!widest || table->cells[i] > *widest))
				widest = &table->cells[i];
		if (!widest)
			return false;
		--*widest;
	}
	return true;
}

/* Told as a whole: how many facts that are is no news. */
static bool is_tree(const json_t *finding)
{
	return *str(finding, "subject") && slice_ends_with(slice_of(str(finding, "key")), "/");
}

static bool stands_in_a_cell(const json_t *finding, struct slice cause)
{
	size_t index;
	json_t *cell;

	json_array_foreach(json_object_get(finding, "cells"), index, cell)
		if (*str(cell, "text") && slice_starts_with(cause, str(cell, "text")))
			return true;
	return false;
}

/* What the values beside it do not say: who lacks it, who edited it. */
static void put_remark(const struct table *table, const json_t *finding, struct buf *line)
{
	const json_t *cells = json_object_get(finding, "cells");
	struct slice cause = slice_of(str(finding, "cause"));
	size_t e, c, lack = 0;
	json_t *cell;

	for (e = 0; e < table->view->environment_count; e++)
		json_array_foreach(cells, c, cell) {
			if (strcmp(str(cell, "state"), "missing") != 0 ||
			    strcmp(str(cell, "environment"), table->view->environments[e]) != 0)
				continue;
			buf_printf(line, "%s%s", lack++ ? ", " : "", table->view->labels[e]);
			break;
		}
	if (lack)
		buf_puts(line, lack > 1 ? " lack it" : " lacks it");
	cause = slice_cut(&cause, ';');
	/* When a package came to the other side is no news here. */
	if (cause.len && !slice_starts_with(cause, "changed ") &&
	    !(lack && strcmp(str(finding, "dimension"), "pkg") == 0) && !stands_in_a_cell(finding, cause))
		buf_printf(line, "%s%.*s", line->len ? "; " : "", SLICE_ARG(cause));
	if (num(finding, "folded") && !is_tree(finding)) {
		buf_puts(line, line->len ? "; " : "");
		text_put_count(line, num(finding, "folded"));
		buf_puts(line, " more with it");
	}
}

static bool is_plain_difference(const struct table *table, const json_t *finding)
{
	const json_t *rule = json_object_get(finding, "rule");

	return strcmp(str(table->view->result, "kind"), "diff") == 0 && strcmp(str(finding, "kind"), "drift") == 0 &&
	       strcmp(str(rule, "kind"), "unique") != 0 && strcmp(str(rule, "kind"), "live_only_in") != 0;
}

/* "by hand, new: changed after it was deployed (edited 3 Nov by deploy; 3 more of the same cause)" */
static const char *sentence_of(const struct table *table, const json_t *finding)
{
	AUTO(buf_free) struct buf line = BUF_INIT(1 << 20);
	if (is_plain_difference(table, finding)) {
		put_remark(table, finding, &line);
		return arena_str(table->view->arena, buf_slice(&line));
	}
	const char *kind = table->numbered ? parity_kind_words(table->view, finding) : "";
	const char *cause = strstr(str(finding, "text"), str(finding, "cause")) ? "" : str(finding, "cause");
	int64_t folded = is_tree(finding) ? 0 : num(finding, "folded");

	buf_puts(&line, kind);
	if (parity_is_new(table->view, finding))
		buf_puts(&line, *kind ? ", new" : "new");
	buf_printf(&line, "%s%s", line.len ? ": " : "", str(finding, "text"));
	if (*cause || folded > 0)
		buf_printf(&line, " (%s%s", cause, *cause && folded > 0 ? "; " : "");
	if (folded > 0) {
		text_put_count(&line, folded);
		buf_puts(&line, " more of the same cause");
	}
	if (*cause || folded > 0)
		buf_putc(&line, ')');
	return arena_str(table->view->arena, buf_slice(&line));
}

static void measure(struct table *table, const json_t *findings)
{
	const struct parity_view *view = table->view;
	size_t columns = table->page->columns, index, sentence = 0;
	json_t *finding;

	table->cells = ARENA_NEW_ARRAY(view->arena, view->environment_count, size_t);
	for (size_t i = 0; i < view->environment_count; i++)
		widen(&table->cells[i], view->labels[i], CELL_MAX);
	json_array_foreach(findings, index, finding)
	{
		const char *area, *state;
		const char *name = parity_name(view, finding, &area);
		widen(&table->area, area, AREA_MAX);
		widen(&table->name, name, columns ? NAME_MAX_COLUMNS : SIZE_MAX);
		widen(&sentence, sentence_of(table, finding), SIZE_MAX);
		if (table->page->stdout_tty)
			widen(&table->severity, str(finding, "severity"), CELL_MIN);
		for (size_t i = 0; i < view->environment_count; i++) {
			const char *text = parity_cell(view, finding, i, &state);
			if (text)
				widen(&table->cells[i], text, CELL_MAX);
		}
	}
	if (table->numbered) {
		table->number = json_array_size(findings) >= 100 ? 5 : 3;
		table->id = ID_SHOWN;
	}
	if (!columns) {
		table->sentence = SIZE_MAX;
		return;
	}
	size_t fixed = fixed_width(table);
	if (fixed + MIN(sentence, (size_t)SENTENCE_MIN) <= columns)
		table->sentence = columns - fixed;
	else
		table->stacked = !squeeze(table, columns);
}

/* --- one finding --------------------------------------------------------------------------- */

static size_t indent_of(const struct table *table)
{
	return table->stacked ? 2 : columns_of(table->number) + columns_of(table->id) + 4;
}

static void put_line_below(struct table *table, enum style style, const char *word, const char *text)
{
	size_t indent = indent_of(table);

	if (!*text)
		return;
	put_spaces(table, indent);
	begin(table, style);
	if (*word) {
		buf_printf(table->page->out, "%s ", word);
		indent += strlen(word) + 1;
	}
	text_put_wrapped(table->page->out, text, behind(table, indent), indent);
	end(table, style);
	end_line(table);
}

/* "8.3.6 on web1, web2; 8.3.4 on web3", one line an environment that has several. */
static void put_servers(struct table *table, const json_t *finding, size_t environment)
{
	const json_t *cells = json_object_get(finding, "cells");
	AUTO(buf_free) struct buf line = BUF_INIT(1 << 20);
	size_t count = json_array_size(cells);

	/* Of drift each finding is about one server, and says which. */
	if (strcmp(str(table->view->result, "kind"), "drift") == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		const json_t *cell = json_array_get(cells, i);
		bool told = strcmp(str(cell, "environment"), table->view->environments[environment]) != 0 ||
			    !*str(cell, "server");
		for (size_t j = 0; j < i && !told; j++) {
			const json_t *before = json_array_get(cells, j);
			told = *str(before, "server") &&
			       strcmp(str(before, "environment"), str(cell, "environment")) == 0 &&
			       strcmp(str(before, "text"), str(cell, "text")) == 0;
		}
		if (told)
			continue;
		buf_printf(&line, "%s%s on ", line.len ? "; " : "", str(cell, "text"));
		for (size_t j = i, named = 0; j < count; j++) {
			const json_t *other = json_array_get(cells, j);
			if (!*str(other, "server") ||
			    strcmp(str(other, "environment"), str(cell, "environment")) != 0 ||
			    strcmp(str(other, "text"), str(cell, "text")) != 0)
				continue;
			buf_printf(&line, "%s%s", named++ ? ", " : "",
				   parity_server(table->view, finding, str(other, "server")));
		}
	}
	if (line.len)
		put_line_below(table, STYLE_PLAIN,
			       arena_printf(table->view->arena, "%s:", table->view->labels[environment]),
			       buf_str(&line));
}

static void put_cell(struct table *table, const json_t *finding, size_t environment)
{
	const char *state;
	const char *text = parity_cell(table->view, finding, environment, &state);

	put_column(table, text ? cell_style(state, str(finding, "severity")) : STYLE_PLAIN, text ? text : "",
		   table->cells[environment], false);
}

/* What `accept`, `revert` and `allow add` take. */
static const char *short_id(const struct table *table, const json_t *finding)
{
	return arena_printf(table->view->arena, "%.*s", (int)ID_SHOWN, str(finding, "id"));
}

static void put_stacked(struct table *table, const json_t *finding, size_t number, const char *area,
			const char *name)
{
	size_t label = 0, columns = table->page->columns, taken = 0;
	enum style style = severity_style(str(finding, "severity"));
	const char *head = table->numbered ? arena_printf(table->view->arena, "%zu. ", number) : "";

	buf_puts(table->page->out, head);
	taken += strlen(head);
	if (table->severity) {
		begin(table, style);
		taken += text_put_cut(table->page->out, str(finding, "severity"), table->severity) + 1;
		end(table, style);
		buf_putc(table->page->out, ' ');
	}
	taken += text_put_cut(table->page->out, area, table->area) + 1;
	buf_putc(table->page->out, ' ');
	begin(table, STYLE_BOLD);
	text_put_wrapped(table->page->out, name, behind(table, taken), taken);
	end(table, STYLE_BOLD);
	end_line(table);
	if (table->id)
		put_line_below(table, STYLE_DIM, "id", short_id(table, finding));
	for (size_t i = 0; i < table->view->environment_count; i++)
		widen(&label, table->view->labels[i], columns / 2);
	for (size_t i = 0; i < table->view->environment_count; i++) {
		const char *state;
		const char *text = parity_cell(table->view, finding, i, &state);
		if (!text)
			continue;
		put_spaces(table, 2);
		put_column(table, STYLE_DIM, table->view->labels[i], label, false);
		begin(table, cell_style(state, str(finding, "severity")));
		text_put_cut(table->page->out, text,
			     columns > label + 4 + CELL_MIN ? columns - label - 4 : CELL_MIN);
		end(table, cell_style(state, str(finding, "severity")));
		end_line(table);
	}
}

static void put_finding(struct table *table, const json_t *finding, size_t number)
{
	struct page *page = table->page;
	const char *area, *name = parity_name(table->view, finding, &area);
	const char *severity = str(finding, "severity"), *text = sentence_of(table, finding);

	if (table->stacked) {
		put_stacked(table, finding, number, area, name);
	} else {
		if (table->number) {
			char shown[32];
			snprintf(shown, sizeof(shown), "%zu", number);
			put_column(table, STYLE_BOLD, shown, table->number, false);
			put_column(table, STYLE_DIM, short_id(table, finding), table->id, false);
		}
		put_column(table, severity_style(severity), severity, table->severity, false);
		put_column(table, STYLE_PLAIN, area, table->area, false);
		put_column(table, STYLE_BOLD, name, table->name, true);
		for (size_t i = 0; i < table->view->environment_count; i++)
			put_cell(table, finding, i);
		if (table->sentence)
			text_put_wrapped(page->out, text, table->sentence == SIZE_MAX ? 0 : table->sentence,
					 fixed_width(table));
		end_line(table);
	}
	if (!table->sentence || table->stacked)
		put_line_below(table, STYLE_PLAIN, "", text);
	for (size_t i = 0; i < table->view->environment_count && parity_names_servers(finding); i++)
		if (table->view->server_counts[i] != 1)
			put_servers(table, finding, i);
}

static void put_advice(struct table *table, const json_t *finding)
{
	put_line_below(table, STYLE_ACCENT, "->", str(finding, "advice"));
}

static void put_rank(struct table *table, const json_t *finding)
{
	/* The severity alone stands in its line already. */
	if (strcmp(str(finding, "why"), str(finding, "severity")) != 0)
		put_line_below(table, STYLE_DIM, "because", str(finding, "why"));
}

static void put_heading(struct table *table)
{
	const struct parity_view *view = table->view;

	if (table->stacked)
		return;
	put_spaces(table, fixed_width(&(struct table){.view = &(struct parity_view){0},
						      .number = table->number,
						      .id = table->id,
						      .severity = table->severity,
						      .area = table->area,
						      .name = table->name}));
	for (size_t i = 0; i < view->environment_count; i++)
		put_column(table, STYLE_DIM, view->labels[i], table->cells[i], false);
	end_line(table);
}

/* --- what stands around the findings ----------------------------------------------------------- */

/* First of all: what was not seen, or not seen now. */
static void put_trouble(struct table *table)
{
	size_t index, s;
	json_t *environment, *server;

	json_array_foreach(json_object_get(table->page->result, "environments"), index, environment)
		json_array_foreach(json_object_get(environment, "servers"), s, server)
	{
		const char *trouble = parity_server_trouble(table->view, environment, server,
							    num(table->page->result, "taken"));
		if (!trouble)
			continue;
		begin(table, STYLE_WARN);
		text_put_wrapped(table->page->out, trouble, behind(table, 2), 2);
		end(table, STYLE_WARN);
		end_line(table);
	}
}

static void put_gap(struct table *table, const json_t *gap)
{
	AUTO(buf_free) struct buf line = BUF_INIT(64 << 10);

	buf_printf(&line, "%s  %s", str(gap, "key"),
		   *str(gap, "environment") ? str(gap, "environment") : "everywhere");
	if (*str(gap, "server") && strcmp(str(gap, "server"), str(gap, "environment")) != 0)
		buf_printf(&line, " %s", str(gap, "server"));
	if (num(gap, "rows") > 1) {
		buf_puts(&line, " (");
		text_put_count(&line, num(gap, "rows"));
		buf_puts(&line, ")");
	}
	put_spaces(table, 4);
	text_put_middle(table->page->out, buf_str(&line),
			table->page->columns > 24 ? table->page->columns - 4 : SIZE_MAX);
	end_line(table);
}

static void put_coverage(struct table *table)
{
	enum { SHOWN = 12 };
	struct buf *out = table->page->out;

	for (size_t g = 0; g < table->view->gap_group_count; g++) {
		const struct parity_gap_group *group = &table->view->gap_groups[g];
		begin(table, STYLE_BOLD);
		text_put_wrapped(out, group->why, behind(table, 2), 2);
		end(table, STYLE_BOLD);
		if (group->rows) {
			buf_puts(out, " (");
			text_put_count(out, group->rows);
			buf_putc(out, ')');
		}
		buf_putc(out, '\n');
		for (size_t i = 0; i < MIN(group->count, (size_t)SHOWN); i++)
			put_gap(table, group->gaps[i]);
		if (group->count > SHOWN)
			buf_printf(out, "    and %zu more\n", group->count - SHOWN);
		if (*group->advice) {
			put_spaces(table, 2);
			begin(table, STYLE_ACCENT);
			buf_puts(out, "-> ");
			text_put_wrapped(out, group->advice, behind(table, 5), 5);
			end(table, STYLE_ACCENT);
			buf_putc(out, '\n');
		}
	}
	buf_printf(out, "coverage %lld %%\n", (long long)num(table->page->result, "coverage"));
}

static void put_gone(struct table *table)
{
	const json_t *gone = json_object_get(table->page->result, "gone");
	size_t index;
	json_t *row;

	json_array_foreach(gone, index, row)
	{
		const char *area, *name = parity_key_name(table->view, str(row, "key"), &area);
		if (index == 0)
			buf_puts(table->page->out, "Gone since then:\n");
		if (index == APPEARED_MAX) {
			buf_printf(table->page->out, "  and %zu more\n", json_array_size(gone) - index);
			break;
		}
		put_spaces(table, 2);
		begin(table, STYLE_GOOD);
		text_put_wrapped(table->page->out,
				 arena_printf(table->view->arena, "%s %s: %s", area, name, str(row, "text")),
				 behind(table, 4), 4);
		end(table, STYLE_GOOD);
		end_line(table);
	}
}

/* --all: every row that was compared. */
static void put_rows(struct table *table)
{
	size_t index;
	json_t *row;

	json_array_foreach(json_object_get(table->page->result, "rows"), index, row)
	{
		AUTO(buf_free) struct buf line = BUF_INIT(1 << 20);
		if (index == 0)
			buf_puts(table->page->out, "All facts:\n");
		for (size_t i = 0; i < table->view->environment_count; i++) {
			const char *state, *text = parity_cell(table->view, row, i, &state);
			buf_printf(&line, "  %s=%s", table->view->labels[i], text ? text : "");
		}
		column(table->page, cell_style(str(row, "state"), "medium"), str(row, "state"), 11);
		buf_puts(table->page->out, "  ");
		plain(table->page, str(row, "key"));
		plain(table->page, buf_str(&line));
		end_line(table);
	}
	if (num(table->page->result, "rows_left_out")) {
		buf_puts(table->page->out, "and ");
		text_put_count(table->page->out, num(table->page->result, "rows_left_out"));
		buf_puts(table->page->out, " more, not shown\n");
	}
}

static void put_totals(struct table *table)
{
	const json_t *totals = json_object_get(table->page->result, "totals");

	begin(table, table->view->differences ? STYLE_BOLD : STYLE_PLAIN);
	parity_put_totals(table->view, table->page->out);
	end(table, table->view->differences ? STYLE_BOLD : STYLE_PLAIN);
	if (num(totals, "not_checked") && !input_flag(table->page->input, "coverage"))
		buf_puts(table->page->out, " (why: --coverage)");
	buf_putc(table->page->out, '\n');
}

static void put_end(struct table *table)
{
	put_rows(table);
	put_gone(table);
	if (input_flag(table->page->input, "coverage"))
		put_coverage(table);
	put_totals(table);
}

/* --- the three ------------------------------------------------------------------------------------ */

/* Findings by class; a heading only when there are several. */
static void put_classes(struct table *table, bool advice)
{
	const struct parity_view *view = table->view;
	size_t used = 0, index;
	json_t *finding;

	for (size_t class = 1; class < PARITY_CLASSES; class ++)
		used += view->class_count[class] > 0;
	if (view->environment_count && json_array_size(view->findings))
		put_heading(table);
	for (size_t class = 1; class < PARITY_CLASSES; class ++) {
		if (!view->class_count[class])
			continue;
		if (used > 1 || class == PARITY_HAND || class == PARITY_UNDEPLOYED) {
			styled(table->page, STYLE_BOLD, parity_class_title((enum parity_class) class));
			buf_puts(table->page->out, ":\n");
		}
		json_array_foreach(view->findings, index, finding)
		{
			if (parity_class_of(finding) != (enum parity_class) class)
				continue;
			put_finding(table, finding, 0);
			if (advice)
				put_advice(table, finding);
		}
	}
}

static void render(struct page *page, bool ranked, bool advice)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct parity_view view;
	struct table table = {.page = page, .view = &view, .numbered = ranked};
	size_t index;
	json_t *finding;

	parity_view_open(&arena, page->result, &view);
	measure(&table, view.findings);
	put_trouble(&table);
	if (!ranked) {
		put_classes(&table, advice);
		put_end(&table);
		return;
	}
	if (json_array_size(view.findings)) {
		styled(page, STYLE_BOLD, "Fix this first:");
		buf_putc(page->out, '\n');
		put_heading(&table);
	}
	json_array_foreach(view.findings, index, finding)
	{
		if (index == FIRST) {
			styled(page, STYLE_BOLD, "Then:");
			buf_putc(page->out, '\n');
		}
		put_finding(&table, finding, index + 1);
		if (index < FIRST) {
			put_rank(&table, finding);
			put_advice(&table, finding);
		}
	}
	put_end(&table);
}

void render_diff(struct page *page)
{
	render(page, false, false);
}
void render_parity(struct page *page)
{
	render(page, true, true);
}
void render_drift(struct page *page)
{
	render(page, false, true);
}

/* --- facts ------------------------------------------------------------------------------------- */

static void put_facts(struct page *page, const json_t *server, int64_t *facts, int64_t *not_checked)
{
	const json_t *list = json_object_get(server, "facts");
	size_t index, width = 0;
	json_t *fact;

	json_array_foreach(list, index, fact) width =
		MAX(width, MIN(text_visible_width(str(fact, "key")), (size_t)NAME_MAX_COLUMNS));
	json_array_foreach(list, index, fact)
	{
		bool is_gap = strcmp(str(fact, "kind"), "not_checked") == 0;
		enum style style = is_gap || flag(fact, "evidence") ? STYLE_DIM : STYLE_PLAIN;
		size_t written = text_visible_width(str(fact, "key"));
		plain(page, str(fact, "key"));
		pad(page, MIN(written, width), width + GAP);
		buf_puts(page->out, style_begin(page->colour, style));
		if (is_gap)
			buf_puts(page->out, "not checked: ");
		one_line(page, str(fact, "value"));
		buf_puts(page->out, style_end(page->colour, style));
		buf_putc(page->out, '\n');
		(*(is_gap ? not_checked : facts))++;
	}
}

void render_facts(struct page *page)
{
	const json_t *servers = json_object_get(page->result, "servers");
	int64_t facts = 0, not_checked = 0;
	size_t index;
	json_t *server;

	if (*str(page->result, "fact")) {
		render_fact_history(page);
		return;
	}
	json_array_foreach(servers, index, server)
	{
		if (json_array_size(servers) > 1 || *str(server, "why")) {
			styled(page, STYLE_BOLD, str(server, "server"));
			if (strcmp(str(server, "environment"), str(server, "server")) != 0) {
				buf_puts(page->out, " of ");
				plain(page, str(server, "environment"));
			}
			buf_puts(page->out, ":\n");
		}
		if (*str(server, "why")) {
			buf_puts(page->out, "could not be looked at: ");
			styled(page, STYLE_WARN, str(server, "why"));
			buf_putc(page->out, '\n');
		}
		put_facts(page, server, &facts, &not_checked);
	}
	text_put_count(page->out, facts);
	buf_printf(page->out, " fact%s, ", facts == 1 ? "" : "s");
	text_put_count(page->out, not_checked);
	buf_puts(page->out, " not checked\n");
}
