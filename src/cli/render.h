/* How results look to people: one function an operation. */
#pragma once

#include "api/operation.h"
#include "cli/terminal.h"

/* What goes to standard output for a result; nothing for operations without a row. */
void render_result(const struct operation *operation, const json_t *input, const json_t *result,
		   const struct terminal *terminal, struct buf *out);

/* "3fa9c1d20b7e" */
void render_digest(struct buf *out, const char *hex);
/* "103.2 MB" */
void render_bytes(struct buf *out, int64_t bytes);
