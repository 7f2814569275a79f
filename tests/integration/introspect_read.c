/* One reading of a database, for tests: prints its facts as JSON, one object a line, or the
 * error. The address comes by standard input: it may hold a password.
 *
 *	introspect_read [--name NAME] [--via [USER@]HOST[:PORT]] [--time MS] [--count] < URL */
#include "doc/json.h"
#include "introspect/introspect.h"

#include "base/fd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put_line(struct buf *out, json_t *json)
{
	json_put(out, json);
	json_free(&json);
	buf_putc(out, '\n');
}

static void put_fact(struct buf *out, const struct fact *fact)
{
	AUTO(buf_free) struct buf value = BUF_INIT(FACT_VALUE_MAX * 4);

	if (fact->kind == FACT_NOT_CHECKED)
		buf_put_visible(&value, fact->value);
	else
		fact_put_value(&value, fact);
	put_line(out,
		 json_pack("{s:s%, s:s, s:s, s:b}", "key", fact->key.ptr, fact->key.len, "kind",
			   fact_kind_name(fact->kind), "value", buf_str(&value), "evidence", fact->evidence));
}

int main(int argc, char **argv)
{
	struct fact_list facts = FACT_LIST_INIT(DATABASE_FACTS_BYTES_MAX);
	struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	AUTO(buf_free) struct buf url = BUF_INIT(4096), out = BUF_INIT(MIB(512));
	struct database_spec spec = {.name = "main"};
	struct place_address via = {.kind = PLACE_SSH};
	bool count = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--count") == 0) {
			count = true;
		} else if (i + 1 == argc) {
			return 2;
		} else if (strcmp(argv[i], "--name") == 0) {
			spec.name = argv[++i];
		} else if (strcmp(argv[i], "--via") == 0) {
			via.host = via.text = argv[++i];
			spec.via = &via;
		} else if (strcmp(argv[i], "--local") == 0) {
			via = (struct place_address){.kind = PLACE_LOCAL, .path = argv[++i], .text = "local"};
			spec.via = &via;
		} else if (strcmp(argv[i], "--time") == 0) {
			spec.time_ms = atoi(argv[++i]);
		} else {
			return 2;
		}
	}
	int status = fd_read_all(STDIN_FILENO, &url, &err);
	if (status == 0)
		status = database_address_parse(&arena, slice_trim(buf_slice(&url)), &spec.address, &err);
	if (status == 0)
		status = introspect_database(&spec, &facts, &err);
	fact_list_sort(&facts);
	if (status)
		put_line(&out, json_pack("{s:s, s:s, s:s}", "error", err_code_name(err.code), "text",
					 err.text, "hint", err.hint));
	for (size_t i = 0; status == 0 && !count && i < facts.count; i++)
		put_fact(&out, &facts.items[i]);
	if (count)
		put_line(&out, json_pack("{s:I}", "facts", (json_int_t)facts.count));
	if (fd_write_all(STDOUT_FILENO, buf_str(&out), out.len, &err))
		return 2;
	fact_list_free(&facts);
	arena_free(&arena);
	return 0;
}
