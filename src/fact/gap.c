/* What was not checked, for people: a thousand keys of one reason are one gap. */
#include "fact/gather.h"

#include <stdlib.h>

static const char unreached[] = "could not be reached; what is shown was seen earlier";

static void note_gap(struct gatherer *gatherer, size_t column, struct slice key, bool exact, const char *why)
{
	AUTO(buf_free) struct buf name = BUF_INIT(FACT_KEY_MAX + 1024);
	struct slice dimension = fact_dimension(key);

	/* Single keys are told together: a thousand files of one reason are one gap. */
	buf_put(&name, &column, sizeof(column));
	buf_put_slice(&name, exact ? dimension : key);
	buf_putc(&name, exact ? 1 : 0);
	buf_puts(&name, why);
	struct open_gap *open = map_get(&gatherer->gaps, buf_slice(&name));
	if (!open) {
		const struct compare_column *input = &gatherer->input->columns[column];
		if (gatherer->gaps.count >= GAPS_MAX)
			return;
		open = ARENA_NEW(gatherer->arena, struct open_gap);
		*open = (struct open_gap){
			.column = column,
			.exact = exact,
			.gap = {.key = arena_str(gatherer->arena, key),
				.environment = gatherer->input->environments[input->environment],
				.server = input->server,
				.why = arena_strdup(gatherer->arena, why)},
		};
		map_put(&gatherer->gaps, arena_slice(gatherer->arena, buf_slice(&name)), open);
	} else if (open->exact && !slice_is(key, open->gap.key)) {
		open->exact = false;
		open->gap.key = arena_printf(gatherer->arena, "%.*s/", SLICE_ARG(dimension));
	}
	open->gap.rows++;
}

void gaps_note(struct gatherer *gatherer, const struct compare_row *row)
{
	for (size_t i = 0; i < gatherer->input->column_count; i++) {
		const struct cell *cell = &row->cells[i];
		if (gatherer->input->columns[i].stale)
			note_gap(gatherer, i, SLICE("*"), false, unreached);
		else if (cell->range.len)
			note_gap(gatherer, i, cell->range, cell->range.ptr[cell->range.len - 1] != '/',
				 cell->why);
		else if (cell->state == CELL_NOT_CHECKED && cell->fact && cell->why &&
			 row->environments[gatherer->input->reference].state != CELL_NOT_CHECKED)
			note_gap(gatherer, i, row->key, true, cell->why);
	}
}

static int by_gap(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	order = order ? order : strcmp(x->environment, y->environment);
	order = order ? order : strcmp(x->why, y->why);
	return order ? order : strcmp(x->server ? x->server : "", y->server ? y->server : "");
}

static size_t servers_of(const struct compare_input *input, const char *environment)
{
	size_t count = 0;

	for (size_t i = 0; i < input->column_count; i++)
		count += strcmp(input->environments[input->columns[i].environment], environment) == 0;
	return count;
}

void gaps_finish(struct gatherer *gatherer)
{
	struct findings *out = gatherer->out;
	size_t kept = 0;

	out->gaps = ARENA_NEW_ARRAY(gatherer->arena, gatherer->gaps.count, struct gap);
	for (size_t i = 0; i < gatherer->gaps.entries_used; i++)
		if (gatherer->gaps.entries[i].value)
			out->gaps[out->gap_count++] =
				((struct open_gap *)gatherer->gaps.entries[i].value)->gap;
	qsort(out->gaps, out->gap_count, sizeof(*out->gaps), by_gap);
	for (size_t i = 0, end; i < out->gap_count; i = end) {
		struct gap gap = out->gaps[i];
		for (end = i + 1; end < out->gap_count; end++)
			if (strcmp(out->gaps[end].key, gap.key) != 0 ||
			    strcmp(out->gaps[end].environment, gap.environment) != 0 ||
			    strcmp(out->gaps[end].why, gap.why) != 0)
				break;
		if (end - i < servers_of(gatherer->input, gap.environment)) {
			memmove(&out->gaps[kept], &out->gaps[i], (end - i) * sizeof(gap));
			kept += end - i;
			continue;
		}
		gap.server = NULL;
		out->gaps[kept++] = gap;
	}
	out->gap_count = kept;
}
