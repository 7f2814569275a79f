/* How advice is shown: the checklist, the assessment, and what to do about findings. */
#include "cli/page.h"

/* --- checklist ------------------------------------------------------------------------ */

static enum style style_of(const char *answer)
{
	return strcmp(answer, "same") == 0	? STYLE_GOOD
	       : strcmp(answer, "differs") == 0 ? STYLE_BAD
						: STYLE_WARN;
}

/* "staging 8.3.6, production 8.2.1", or one value where they are equal. */
static void put_cells(struct page *page, const json_t *row)
{
	const json_t *cells = json_object_get(row, "cells");
	const char *first = NULL;
	bool equal = true;
	size_t index;
	json_t *cell;

	json_array_foreach(cells, index, cell)
	{
		equal = equal && (!first || strcmp(first, str(cell, "text")) == 0);
		first = first ? first : str(cell, "text");
	}
	json_array_foreach(cells, index, cell)
	{
		if (equal && index)
			break;
		buf_puts(page->out, index ? ", " : "");
		if (!equal) {
			one_line(page, str(cell, "environment"));
			buf_puts(page->out, ": ");
		}
		one_line(page, str(cell, "text"));
	}
}

static void put_rows(struct page *page, const json_t *rows, enum style style, size_t most)
{
	size_t index;
	json_t *row;

	json_array_foreach(rows, index, row)
	{
		if (index == most) {
			buf_printf(page->out, "      and %zu more\n", json_array_size(rows) - most);
			break;
		}
		buf_puts(page->out, "      ");
		column(page, style, str(row, "key"), 36);
		buf_puts(page->out, "  ");
		put_cells(page, row);
		buf_putc(page->out, '\n');
	}
}

void render_checklist(struct page *page)
{
	enum { EVIDENCE = 3, DIFFERENCES = 8, GAPS = 3 };
	size_t index;
	json_t *row;

	json_array_foreach(json_object_get(page->result, "questions"), index, row)
	{
		const char *answer = str(row, "answer");
		buf_printf(page->out, "%zu. %s  ", index + 1, str(row, "question"));
		styled(page, style_of(answer),
		       strcmp(answer, "same") == 0	? "yes"
		       : strcmp(answer, "differs") == 0 ? "no"
							: "not checked");
		buf_printf(page->out, "  (%lld same, %lld allowed, %lld differ, %lld not checked)\n",
			   (long long)num(row, "same"), (long long)num(row, "allowed"),
			   (long long)num(row, "differs"), (long long)num(row, "not_checked"));
		put_rows(page, json_object_get(row, "differences"), STYLE_BAD, DIFFERENCES);
		put_rows(page, json_object_get(row, "evidence"), STYLE_PLAIN, EVIDENCE);
		put_rows(page, json_object_get(row, "gaps"), STYLE_WARN, GAPS);
	}
}

/* --- assess ------------------------------------------------------------------------------ */

void render_assess(struct page *page)
{
	static const struct {
		const char *state, *mark;
		enum style style;
	} marks[] = {{"good", "yes", STYLE_GOOD},
		     {"missing", "no", STYLE_BAD},
		     {"unknown", "?", STYLE_WARN},
		     {"not_needed", "-", STYLE_PLAIN}};
	const json_t *next = json_object_get(page->result, "next");
	size_t index;
	json_t *row;

	json_array_foreach(json_object_get(page->result, "practices"), index, row)
	{
		for (size_t i = 0; i < ARRAY_LEN(marks); i++)
			if (strcmp(marks[i].state, str(row, "state")) == 0)
				column(page, marks[i].style, marks[i].mark, 4);
		plain(page, str(row, "text"));
		buf_puts(page->out, "\n      ");
		one_line(page, str(row, "seen"));
		buf_putc(page->out, '\n');
	}
	if (!json_is_object(next)) {
		buf_printf(page->out, "\n%lld of %lld: nothing stands out\n",
			   (long long)num(page->result, "good"), (long long)num(page->result, "judged"));
		return;
	}
	buf_printf(page->out, "\n%lld of %lld. Do this first: ", (long long)num(page->result, "good"),
		   (long long)num(page->result, "judged"));
	styled(page, STYLE_BOLD, str(next, "text"));
	buf_puts(page->out, "\n  because otherwise ");
	plain(page, str(next, "why"));
	buf_puts(page->out, "\n  ");
	styled(page, STYLE_ACCENT, str(next, "command"));
	buf_putc(page->out, '\n');
}

/* --- one fact over time ------------------------------------------------------------------------ */

void render_fact_history(struct page *page)
{
	const json_t *servers = json_object_get(page->result, "servers");
	size_t index, p;
	json_t *server, *point;

	styled(page, STYLE_BOLD, str(page->result, "fact"));
	buf_putc(page->out, '\n');
	json_array_foreach(servers, index, server) {
		plain(page, str(server, "server"));
		buf_printf(page->out, ", %lld run%s\n", (long long)num(server, "runs"), num(server, "runs") == 1 ? "" : "s");
		json_array_foreach(json_object_get(server, "points"), p, point) {
			const char *state = str(point, "state");
			buf_puts(page->out, "  ");
			age(page, num(point, "at"));
			buf_puts(page->out, "  ");
			if (strcmp(state, "value") == 0)
				plain(page, str(point, "text"));
			else
				styled(page, STYLE_WARN, strcmp(state, "missing") == 0 ? "missing" : str(point, "text"));
			buf_printf(page->out, "  (%s)\n", str(point, "run"));
		}
	}
}

/* --- rules and findings ---------------------------------------------------------------------- */

void render_allow_add(struct page *page)
{
	buf_printf(page->out, "rule %lld: ", (long long)num(page->result, "rule"));
	plain(page, str(page->result, "fact"));
	buf_printf(page->out, " (%s)\n", str(page->result, "kind"));
	buf_printf(page->out, "  %s\n", str(page->result, "how"));
}

void render_allow_list(struct page *page)
{
	const json_t *rules = json_object_get(page->result, "rules");
	size_t index, e;
	json_t *rule, *environment;

	json_array_foreach(rules, index, rule)
	{
		if (num(rule, "rule"))
			buf_printf(page->out, "%-5lld", (long long)num(rule, "rule"));
		else
			buf_puts(page->out, "     ");
		column(page, STYLE_BOLD, str(rule, "fact"), 32);
		buf_printf(page->out, "  %-12s", str(rule, "kind"));
		json_array_foreach(json_object_get(rule, "environments"), e, environment)
		{
			buf_puts(page->out, e ? "," : "  in ");
			plain(page, json_string_value(environment));
		}
		buf_puts(page->out, "  ");
		plain(page, *str(rule, "where") ? str(rule, "where") : "kept on this machine");
		if (*str(rule, "reason")) {
			buf_puts(page->out, ": ");
			one_line(page, str(rule, "reason"));
		}
		if (*str(rule, "owner")) {
			buf_puts(page->out, " (");
			plain(page, str(rule, "owner"));
			buf_putc(page->out, ')');
		}
		buf_putc(page->out, '\n');
	}
	if (json_array_size(rules) == 0)
		buf_puts(page->out, "no rules of this project: the shipped policy alone\n");
}

void render_allow_remove(struct page *page)
{
	buf_printf(page->out, "rule %lld is forgotten\n", (long long)num(page->result, "rule"));
}

/* What another program may read is printed as it is; the sentence for people only where they
 * look. */
void render_accept(struct page *page)
{
	const char *patch = str(page->result, "patch");

	/* A server's file may hold what a terminal obeys. */
	struct slice rest = slice_of(*patch ? patch : str(page->result, "rule"));
	while (page->stdout_tty && rest.len) {
		struct slice line = slice_cut(&rest, '\n');
		buf_put_visible(page->out, line);
		buf_putc(page->out, '\n');
	}
	buf_put_slice(page->out, rest);
	if (page->stdout_tty || !*patch) {
		buf_puts(page->out, "# ");
		plain(page, str(page->result, "how"));
		buf_putc(page->out, '\n');
	}
}
