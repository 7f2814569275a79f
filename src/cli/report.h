/* Results of diff, parity and drift for other programs and for keeping: one row a format,
 * one file a row (report_*.c). `table` and `json` are the command line's own and not here. */
#pragma once

#include "base/buf.h"
#include "doc/json.h"

struct report_format {
	const char *name;	/* as written behind --format */
	const char *media_type; /* for who serves or keeps it */
	const char *summary;
	/* All of the document. `result` is what the operation gave (src/api/parity.c); its texts
	 * are foreign. */
	void (*write)(const json_t *result, struct buf *out);
};

extern const struct report_format report_html, report_junit, report_sarif;
extern const struct report_format *const report_formats[];	  /* ends with NULL */
const struct report_format *report_format_find(const char *name); /* NULL: none */

/* For report_*.c. Foreign text as XML and HTML take it, in content and in attributes:
 * control characters made visible, line ends kept, nothing that ends an element. */
void report_put_text(struct buf *out, const char *text);
/* Made visible only, line ends kept: for JSON strings. A new reference. */
json_t *report_json_text(const char *text);
