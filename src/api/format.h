/* Inputs that all operations with a parity result have in common (diff, parity, drift). */
#pragma once

#include "api/operation.h"

#define PARITY_FORMATS "table, json, junit, sarif or html"

/* How the result is put down; the operation itself has nothing to do with it: whoever asked
 * writes it (the command line: src/cli/report.h). */
#define PARITY_FORMAT_KEY                                                                                    \
	{                                                                                                    \
		"format", OPERATION_STRING, .value = "FORMAT",                                               \
					    .text = "how it is printed: " PARITY_FORMATS " (table)"          \
	}
/* The same for the reasons of what was not checked; in the result they always stand. */
#define PARITY_COVERAGE_KEY                                                                                  \
	{                                                                                                    \
		"coverage", OPERATION_FLAG, .text = "print what was not checked, and why"                    \
	}
