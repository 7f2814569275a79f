/* Text in columns: how wide it is, how it is cut and wrapped. Everything written here goes
 * through buf_put_visible first. Private to this module. */
#pragma once

#include "base/buf.h"

/* Columns a terminal needs for text that is visible already: combining marks take none, wide
 * East Asian characters and emoji two. */
size_t text_width(struct slice s);
/* Columns of a text once it is made visible. */
size_t text_visible_width(const char *text);
/* At most `width` columns of it; what is longer ends in "…". Returns the columns written. */
size_t text_put_cut(struct buf *out, const char *text, size_t width);
/* The same, but what is left out is in the middle: for names and paths, whose ends tell most. */
size_t text_put_middle(struct buf *out, const char *text, size_t width);
/* Words in lines of at most `width` columns (0: one line), each line but the first begun by
 * `indent` spaces. Line ends in the text stay. */
void text_put_wrapped(struct buf *out, const char *text, size_t width, size_t indent);
/* "1,204" */
void text_put_count(struct buf *out, int64_t count);
