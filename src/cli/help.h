/* Help, printed from the operation rows, so that it cannot drift from them. */
#pragma once

#include "api/operation.h"
#include "cli/terminal.h"

void help_overview(struct buf *out, bool colour);
void help_operation(struct buf *out, const struct operation *operation, bool colour);
/* The reference page docs/reference/cli.md. */
void help_reference(struct buf *out);
/* The reference page docs/reference/exit-codes.md. */
void help_exit_codes(struct buf *out);
