/* What tests/integration/test_reports.py drives: a parity result from standard input, as the
 * command line would put it down. report_write VERB FORMAT [COLUMNS [INPUT]]: FORMAT `table`
 * with COLUMNS 0 is a pipe, with more a terminal (colour when $COLOUR is set); INPUT is the
 * operation's, JSON. */
#include "base/fd.h"
#include "cli/page.h"
#include "cli/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
	const char *name;
	void (*render)(struct page *page);
} verbs[] = {
	{"diff", render_diff}, {"parity", render_parity}, {"drift", render_drift}, {"facts", render_facts}};

int main(int argc, char **argv)
{
	AUTO(buf_free) struct buf in = BUF_INIT(256 << 20), out = BUF_INIT(256 << 20);
	AUTO(json_free) json_t *result = NULL, *input = NULL;
	struct err err = ERR_INIT;
	char block[4096];
	ssize_t got;

	if (argc < 3)
		return 2;
	while ((got = read(STDIN_FILENO, block, sizeof(block))) > 0)
		buf_put(&in, block, (size_t)got);
	if (json_parse(buf_slice(&in), "result", 256 << 20, &result, &err) ||
	    (argc > 4 && json_parse(slice_of(argv[4]), "input", JSON_PARSE_MAX, &input, &err))) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	const struct report_format *format = report_format_find(argv[2]);
	if (format) {
		format->write(result, &out);
	} else {
		size_t columns = argc > 3 ? (size_t)strtoul(argv[3], NULL, 10) : 0;
		struct page page = {&out, getenv("COLOUR") != NULL, columns > 0, result, input, columns};
		for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
			if (strcmp(verbs[i].name, argv[1]) == 0)
				verbs[i].render(&page);
	}
	fwrite(buf_str(&out), 1, out.len, stdout);
	return 0;
}
