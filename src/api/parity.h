/* What the operations of parity share. Nobody outside of this folder and the command line's
 * reports includes this. */
#pragma once

#include "api/format.h"

#define PARITY_LOOK_KEYS                                                                                     \
	{"only", OPERATION_LIST, .value = "DIM,…",                                                           \
	 .text = "only these dimensions: env, db, file, runtime, …"},                                        \
		{"no_databases", OPERATION_FLAG, .text = "do not look into databases"},                      \
	{                                                                                                    \
		"offline", OPERATION_FLAG, .text = "ask the servers only; nothing is looked at from here"    \
	}
#define PARITY_SHOW_KEYS                                                                                     \
	{"reference", OPERATION_STRING, .value = "ENV", .text = "what the others are held against"},         \
		{"all", OPERATION_FLAG, .text = "also what is the same"}, PARITY_COVERAGE_KEY,               \
		PARITY_FORMAT_KEY

struct parity_request;
struct parity_request parity_input(struct engine *engine, const json_t *in);
