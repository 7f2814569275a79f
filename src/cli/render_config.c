/* How configuration is shown: explain, diff, history, import. */
#include "cli/page.h"

#include "base/clock.h"

/* --- explain ------------------------------------------------------------------------ */

static void put_candidate(struct page *page, const json_t *candidate)
{
	bool won = flag(candidate, "won");

	buf_puts(page->out, won ? "  * " : "    ");
	column(page, won ? STYLE_GOOD : STYLE_PLAIN, str(candidate, "level"), 12);
	if (*str(candidate, "scope")) {
		plain(page, str(candidate, "scope"));
		buf_puts(page->out, "  ");
	}
	plain(page, str(candidate, "place"));
	if (*str(candidate, "version")) {
		buf_puts(page->out, ", version ");
		plain(page, str(candidate, "version"));
	}
	buf_puts(page->out, "  ");
	one_line(page, str(candidate, "value"));
	buf_puts(page->out, "  (");
	plain(page, str(candidate, "why"));
	buf_puts(page->out, ")\n");
}

void render_explain(struct page *page)
{
	size_t index, c;
	json_t *one, *candidate;

	json_array_foreach(json_object_get(page->result, "environments"), index, one) {
		const json_t *candidates = json_object_get(one, "candidates");
		styled(page, STYLE_BOLD, str(one, "variable"));
		buf_puts(page->out, " in ");
		plain(page, str(one, "environment"));
		if (!flag(one, "declared"))
			buf_puts(page->out, ": not declared in `env`");
		else
			buf_printf(page->out, ": %s%s%s%s", flag(one, "required") ? "required " : "",
				   flag(one, "secret") ? "secret " : "", str(one, "type"),
				   flag(one, "unique") ? ", unique" : flag(one, "same") ? ", same everywhere" : "");
		buf_putc(page->out, '\n');
		json_array_foreach(candidates, c, candidate)
			put_candidate(page, candidate);
		if (json_array_size(candidates) == 0) {
			styled(page, flag(one, "required") ? STYLE_BAD : STYLE_WARN, "    no value");
			buf_putc(page->out, '\n');
		}
	}
}

/* --- diff ------------------------------------------------------------------------------ */

enum { VALUE_COLUMN = 28 };

/* A value cut to the width of its column. */
static void put_value(struct page *page, const json_t *cell)
{
	const char *value = str(cell, "value");
	char shown[VALUE_COLUMN + 4];
	size_t len = strlen(value), most = VALUE_COLUMN - 2;

	if (!flag(cell, "present")) {
		column(page, STYLE_WARN, num(cell, "scoped") ? "(servers)" : "-", VALUE_COLUMN);
		return;
	}
	if (len > most) {
		while (most > 0 && ((unsigned char)value[most] & 0xc0) == 0x80)
			most--;
		len = most;
	}
	memcpy(shown, value, len);
	shown[len] = '\0';
	if (value[len])
		memcpy(shown + len, "~", 2);
	column(page, STYLE_PLAIN, shown, VALUE_COLUMN);
}

void render_config_diff(struct page *page)
{
	const json_t *r = page->result, *columns = json_object_get(r, "columns"), *rows = json_object_get(r, "rows");
	size_t index, c, width = 12;
	json_t *row, *cell, *label;

	json_array_foreach(rows, index, row)
		width = MAX(width, MIN(strlen(str(row, "variable")) + 2, (size_t)44));
	if (json_array_size(rows)) {
		pad(page, 0, 11 + width);
		json_array_foreach(columns, c, label)
			column(page, STYLE_BOLD, json_string_value(label), VALUE_COLUMN);
		buf_putc(page->out, '\n');
	}
	json_array_foreach(rows, index, row) {
		bool bad = flag(row, "bad");
		const char *state = str(row, "state");
		column(page, bad ? STYLE_BAD : strcmp(state, "different") == 0 ? STYLE_WARN : STYLE_PLAIN, state, 11);
		column(page, STYLE_PLAIN, str(row, "variable"), width);
		json_array_foreach(json_object_get(row, "cells"), c, cell)
			put_value(page, cell);
		if (!flag(row, "declared"))
			buf_puts(page->out, "not declared");
		while (page->out->len && page->out->ptr[page->out->len - 1] == ' ')
			page->out->ptr[--page->out->len] = '\0';
		buf_putc(page->out, '\n');
	}
	json_array_foreach(json_object_get(r, "files"), index, row) {
		const char *state = str(row, "state");
		column(page, strcmp(state, "changed") == 0 ? STYLE_WARN : STYLE_PLAIN, state, 11);
		plain(page, str(row, "path"));
		buf_puts(page->out, "  (config file)\n");
	}
	buf_printf(page->out, "%lld variable%s, %lld same, %lld to look at\n", (long long)num(r, "total"),
		   num(r, "total") == 1 ? "" : "s", (long long)num(r, "same"), (long long)num(r, "bad"));
}

/* --- history ------------------------------------------------------------------------------ */

void render_config_history(struct page *page)
{
	const json_t *versions = json_object_get(page->result, "versions");
	size_t index;
	json_t *row;

	json_array_foreach(versions, index, row) {
		render_digest(page->out, str(row, "config"));
		buf_printf(page->out, "  %lld variable%s", (long long)num(row, "variables"),
			   num(row, "variables") == 1 ? "" : "s");
		if (json_is_integer(json_object_get(row, "files")))
			buf_printf(page->out, ", %lld file%s", (long long)num(row, "files"),
				   num(row, "files") == 1 ? "" : "s");
		buf_puts(page->out, "  ");
		age(page, num(row, "at"));
		if (*str(row, "by")) {
			buf_puts(page->out, " by ");
			plain(page, str(row, "by"));
		}
		if (*str(row, "deployment"))
			buf_printf(page->out, ", deployment %s", str(row, "deployment"));
		buf_putc(page->out, '\n');
	}
	if (json_array_size(versions) == 0) {
		buf_puts(page->out, "this machine has not deployed to ");
		plain(page, str(page->result, "environment"));
		buf_puts(page->out, " yet\n");
	}
}

/* --- import ------------------------------------------------------------------------------- */

void render_config_import(struct page *page)
{
	const json_t *r = page->result;
	size_t index;
	json_t *row;

	json_array_foreach(json_object_get(r, "files"), index, row) {
		buf_puts(page->out, "# ");
		plain(page, str(row, "file"));
		if (flag(row, "found"))
			buf_printf(page->out, ": %lld variable%s\n", (long long)num(row, "variables"),
				   num(row, "variables") == 1 ? "" : "s");
		else
			buf_puts(page->out, ": not there\n");
	}
	json_array_foreach(json_object_get(r, "differences"), index, row) {
		buf_printf(page->out, "# %s: ", str(row, "variable"));
		if (strcmp(str(row, "what"), "different") == 0) {
			buf_puts(page->out, "different in ");
			plain(page, str(row, "here"));
			buf_puts(page->out, " (taken) and ");
			plain(page, str(row, "there"));
		} else {
			buf_printf(page->out, "only on %lld server%s, as in ", (long long)num(row, "servers"),
				   num(row, "servers") == 1 ? "" : "s");
			plain(page, str(row, "here"));
		}
		buf_putc(page->out, '\n');
	}
	json_array_foreach(json_object_get(r, "contract"), index, row)
		buf_printf(page->out, "# %s: %s\n", str(row, "variable"), str(row, "what"));
	if (num(r, "sealed")) {
		buf_printf(page->out, "# %lld secret%s %s ", (long long)num(r, "sealed"), num(r, "sealed") == 1 ? "" : "s",
			   flag(r, "dry_run") ? "would be sealed into" : "sealed into");
		plain(page, str(r, "sealed_file"));
		buf_puts(page->out, flag(r, "key_made") ? ", with a new key: `lockstep secret key` shows where it is kept\n" : "\n");
	}
	if (*str(r, "yaml")) {
		buf_puts(page->out, "# for lockstep.yml:\n");
		buf_puts(page->out, str(r, "yaml"));
	}
}

void render_secret_revoke(struct page *page)
{
	const json_t *r = page->result;

	if (num(r, "removed"))
		buf_printf(page->out, "removed %lld kept cop%s of %s\n", (long long)num(r, "removed"),
			   num(r, "removed") == 1 ? "y" : "ies", str(r, "name"));
	else
		buf_printf(page->out, "this machine keeps no copy of %s in %s\n", str(r, "name"), str(r, "environment"));
}
