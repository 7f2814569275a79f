/* What kind of terminal we write to, and styles that vanish when it is none. */
#pragma once

#include "base/buf.h"

#include <stdio.h>

struct terminal {
	bool is_tty;    /* standard error, where progress goes */
	bool colour;    /* standard output may carry colour: a terminal, no NO_COLOR, TERM not dumb */
	bool colour_err;
	int columns;    /* of standard error; 80 when unknown */
};

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_BAD, STYLE_WARN, STYLE_ACCENT };

void terminal_probe(struct terminal *terminal, bool no_colour);
/* The escape sequence that begins or (style_end) ends a style; "" without colour. */
const char *style_begin(bool colour, enum style style);
const char *style_end(bool colour, enum style style);
